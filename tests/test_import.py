"""`import bandit_rlhf` is light: what it loads and costs, in fresh processes without the hook."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HEAVY = (
    *("torch", "gymnasium", "polars", "joblib", "matplotlib", "hypothesis", "tyro", "rich"),
    *("jaxtyping", "beartype", "scipy.optimize", "scipy.sparse", "scipy.stats"),
)
BUDGET = 0.3  # seconds


def fresh(program: str) -> str:
    """Run a program in a new interpreter and return what it prints."""
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "", "OMP_NUM_THREADS": "1"},
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def heavy_modules_after(statement: str) -> set[str]:
    """The modules of HEAVY that a fresh interpreter holds after one statement."""
    loaded = fresh(f"import sys\n{statement}\nprint(*sys.modules)").split()
    return set(HEAVY) & set(loaded)


def cpu_seconds_beyond_numpy(statement: str, runs: int = 5) -> float:
    """CPU time of a statement once numpy is there, best of several fresh interpreters.

    House rule: no test asserts wall time, which a busy machine stretches at will. CPU time leaves
    out waiting; numpy, whose import is no choice of ours, is paid before the clock starts; and the
    best of several runs sees compiled bytecode and a warm disk cache. The rest is the package's.
    """
    program = (
        "import time, numpy\n"
        "start = time.process_time()\n"
        f"{statement}\n"
        "print(time.process_time() - start)"
    )
    return min(float(fresh(program)) for _ in range(runs))


def test_import_loads_nothing_heavy() -> None:
    assert heavy_modules_after("import bandit_rlhf") == set()


@pytest.mark.parametrize("module", ["matplotlib", "hypothesis", "scipy.stats"])
def test_control_a_heavy_import_is_seen(module: str) -> None:
    assert module in heavy_modules_after(f"import bandit_rlhf, {module}")


def test_import_stays_within_its_budget() -> None:
    assert cpu_seconds_beyond_numpy("import bandit_rlhf") < BUDGET


def test_control_a_costly_import_is_seen() -> None:
    busy = f"while time.process_time() - start < {BUDGET}: pass"
    assert cpu_seconds_beyond_numpy(f"import bandit_rlhf\n{busy}", runs=2) >= BUDGET
