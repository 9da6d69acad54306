"""The matrix: one process a library, and a row for whatever may go wrong with it.

The library is a stand-in package of the same name and signatures in a temporary folder, which the
process finds before any other.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bandit_rlhf.laws import matrix
from bandit_rlhf.laws.adapters import LIBRARIES
from bandit_rlhf.laws.matrix import Judged, Matrix, Row, matrix_of

Install = Callable[[str], Path]

WHITEN = """
import torch
def whiten(x, mask=None, shift_mean=True):
    real = mask.to(x.dtype)
    count = real.sum()
    kept = x.where(mask, x.new_zeros(()))
    mean = kept.sum() / count
    centred = (kept - mean).where(mask, x.new_zeros(()))
    var = (centred**2).sum() / (count - 1)
    return centred * torch.rsqrt(var + 1e-8)
"""
RIGHT = """
def masked_mean(x, mask, dim=None):
    return x.where(mask, x.new_zeros(())).sum() / mask.sum()
"""


def write(folder: Path, text: str) -> Path:
    """A package `torchtune` in the folder, with this text as its module `rlhf`."""
    package = folder / "torchtune"
    (package / "rlhf").mkdir(parents=True)
    (package / "__init__.py").write_text("print('a banner on standard output')\n")
    (package / "rlhf" / "__init__.py").write_text(text)
    (package / "rlhf" / "loss.py").write_text("")
    return folder


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Write a package `torchtune` that the next process will find."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return lambda text: write(tmp_path, text)


def judged_once(factory: pytest.TempPathFactory, text: str) -> Matrix:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(write(factory.mktemp("library"), text)))
        return matrix_of(["torchtune"])


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> Matrix:
    """A library that does what its contracts say."""
    return judged_once(tmp_path_factory, WHITEN + RIGHT)


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory) -> Matrix:
    """One that adds the mean back when it whitens, and whose mean is not a number."""
    text = WHITEN.replace("+ 1e-8)", "+ 1e-8) + mean").replace(
        "    real", "    assert shift_mean\n    real"
    )
    text += "def masked_mean(x, mask, dim=None):\n    return (x * float('nan')).sum()\n"
    return judged_once(tmp_path_factory, text)


def row_of(**how: Any) -> Row:
    return matrix_of(["torchtune"], **how).rows[0]


def named(table: Matrix, name: str) -> Judged:
    return next(judged for judged in table.rows[0].estimators if judged.name == name)


def verdicts(judged: Judged) -> dict[str, dict[str, Any]]:
    assert judged.report is not None
    return {v["law"]: v for v in judged.report["verdicts"]}


def test_a_library_is_judged_in_its_own_process(right: Matrix) -> None:
    row = right.rows[0]
    assert (row.error, len(row.estimators)) == ("", 11)
    # the stand-in whitens as its contract says, and leaves NaN at pads alone: the law G8 holds, and
    # the declared deviations are no longer there, which is a failure of the declaration
    assert verdicts(named(right, "whiten"))["G8"]["status"] == "PASS"
    assert verdicts(named(right, "whiten"))["U1"]["status"] == "FAIL"
    assert verdicts(named(right, "masked_mean"))["L5"]["status"] == "PASS"
    # what it lacks is an error of its estimator, not of the rest
    missing = {v["status"] for v in verdicts(named(right, "DPOLoss")).values()}
    assert "ERROR" in missing
    assert missing <= {"ERROR", "NOT APPLICABLE"}
    assert "torchtune" not in sys.modules


def test_a_mean_that_is_added_back_fails_with_a_program(wrong: Matrix) -> None:
    verdict = verdicts(named(wrong, "whiten"))["G8"]
    assert verdict["status"] == "FAIL"
    assert "from bandit_rlhf.laws.adapters.torchtune import whiten" in verdict["repro"]
    got, expected = (np.array(verdict[key]) for key in ("got", "expected"))
    gap = (got - expected)[np.abs(got - expected) > 1e-3]
    assert len(gap) > 1
    np.testing.assert_allclose(gap, gap[0], atol=1e-3)  # one mean, at every participating token


def test_nan_fails_and_never_passes(wrong: Matrix) -> None:
    assert verdicts(named(wrong, "masked_mean"))["L5"]["status"] == "FAIL"
    assert wrong.exit_code == 1


def test_a_library_that_is_not_there() -> None:
    row = matrix_of(["verl"]).rows[0]
    assert row.error == f"not installed: {LIBRARIES['verl'].install}"
    assert row.estimators == ()
    assert Matrix((row,)).exit_code == 2


def test_a_library_that_lacks_a_module_is_not_installed(install: Install) -> None:
    (install("") / "torchtune" / "rlhf" / "loss.py").unlink()
    assert row_of().error.startswith("not installed: pip install torchtune==0.6.1")


def test_a_library_that_lacks_what_it_needs_cannot_be_imported(install: Install) -> None:
    install("import no_such_requirement")
    assert row_of().error == (
        "cannot be imported: ModuleNotFoundError: No module named 'no_such_requirement'"
    )


def test_a_library_that_raises_on_import_cannot_be_imported(install: Install) -> None:
    install("raise RuntimeError('no GPU')")
    assert row_of().error == "cannot be imported: RuntimeError: no GPU"


def test_what_was_said_before_a_crash_is_kept(install: Install) -> None:
    install(
        "import os, signal\n"
        "def masked_mean(x, mask, dim=None):\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    row = row_of()
    assert row.error.startswith("crashed with signal 9 while judging masked_mean")
    assert [judged.name for judged in row.estimators][-2:] == ["get_rewards_ppo, kl", "masked_mean"]
    assert row.estimators[-1].counts["ERROR"] == 1
    assert Matrix((row,)).exit_code == 2


def test_a_library_that_hangs_is_stopped_with_all_it_started(
    install: Install, tmp_path: Path
) -> None:
    install(
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(tmp_path / 'child')!r}, 'w').write(str(child.pid))\n"
        "time.sleep(600)\n"
    )
    row = row_of(seconds=5.0)
    assert row.error == "took longer than 5 s before it had judged anything"
    status = Path("/proc") / (tmp_path / "child").read_text() / "stat"
    assert not status.exists() or status.read_text().split()[2] == "Z"


def test_a_library_that_exits_did_not_pass(install: Install) -> None:
    install("import os, sys\nprint('out of licences', file=sys.stderr, flush=True)\nos._exit(0)")
    row = row_of()
    assert row.error == "stopped with code 0 before it had judged anything: out of licences"
    assert Matrix((row,)).exit_code == 2


def test_an_interpreter_that_lacks_what_we_need_says_so(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -S -c "import numpy"\n')
    python.chmod(0o755)
    row = matrix_of(["polgrad"], python=str(python)).rows[0]
    assert row.error.startswith("stopped with code 1 before it had judged anything")
    assert "numpy" in row.error


def test_an_interpreter_that_is_not_there() -> None:
    with pytest.raises(FileNotFoundError):
        matrix_of(["polgrad"], python="no/such/python")


def test_an_unknown_library_is_told_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("something ran"))
    with pytest.raises(ValueError, match="Did you mean 'polgrad'"):
        matrix_of(["trl", "polgard"])


# Codes, counts, JSON


def report(**counts: int) -> dict[str, Any]:
    every = dict.fromkeys(matrix.LETTERS, 0) | counts
    return {"kind": "advantage", "subject": "m:f", "counts": every, "verdicts": []}


def test_exit_codes() -> None:
    holds = Judged("a", "advantage", report(PASS=2, DECLARED=1))
    fails = Judged("b", "advantage", report(FAIL=1, ERROR=1))
    broken = Judged("c", "advantage", report(PASS=1, ERROR=1))
    assert Matrix((Row("x", "1", "", (holds,)),)).exit_code == 0
    assert Matrix((Row("x", "1", "", (holds, fails)),)).exit_code == 1
    assert Matrix((Row("x", "1", "", (holds, broken)),)).exit_code == 2
    assert Matrix((Row("x", "1", "", (Judged("d", "kl", error="no"),)),)).exit_code == 2
    assert Matrix((Row("x", "1", "crashed", (holds,)),)).exit_code == 2
    assert Matrix((Row("x", "1", "crashed", (holds, fails)),)).exit_code == 1


def test_the_json_has_the_fields_of_check(right: Matrix) -> None:
    table = right.as_json()
    json.dumps(table)
    assert set(table) == {"counts", "libraries"}
    (row,) = table["libraries"]
    assert set(row) == {"library", "version", "error", "counts", "estimators"}
    for judged in row["estimators"]:
        assert set(judged) == {"estimator", "error", "kind", "subject", "counts", "verdicts"}
        assert sum(judged["counts"].values()) == len(judged["verdicts"])
        for verdict in judged["verdicts"]:
            assert set(verdict) == {"law", "status", "got", "expected", "reading", "repro"}
    for status in matrix.LETTERS:
        told = sum(v["status"] == status for j in row["estimators"] for v in j["verdicts"])
        assert row["counts"][status] == table["counts"][status] == told
