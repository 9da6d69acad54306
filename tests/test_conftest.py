"""The switches of the session do switch: checked in sessions of their own, each with a control."""

import os
import subprocess
import sys
from pathlib import Path

import jaxtyping
import pytest

CONFTEST = Path(__file__).with_name("conftest.py")
ROOT = CONFTEST.parents[1]


def run_session(folder: Path, test: str, ci: str) -> subprocess.CompletedProcess[str]:
    """Run one test file in a pytest of its own, under this project's conftest."""
    (folder / "conftest.py").write_text(CONFTEST.read_text())
    (folder / "test_it.py").write_text(test)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "--rootdir=.", "-c", os.devnull, "."],
        cwd=folder,
        env=os.environ | {"CI": ci},
        capture_output=True,
        text=True,
    )


SKIPS = {
    "a test": "import pytest\ndef test_it(): pytest.skip('no graphics card')",
    "a mark": "import pytest\n@pytest.mark.skip(reason='no graphics card')\ndef test_it(): pass",
    "a module": "import pytest\npytest.skip('no graphics card', allow_module_level=True)",
    "beside a pass": (
        "import pytest\ndef test_it(): pytest.skip('no graphics card')\ndef test_on(): pass"
    ),
}


@pytest.mark.parametrize("test", SKIPS.values(), ids=SKIPS.keys())
def test_ci_fails_on_a_skip_and_names_it(tmp_path: Path, test: str) -> None:
    session = run_session(tmp_path, test, ci="1")
    assert session.returncode != 0
    assert "CI should skip nothing" in session.stdout
    assert "test_it.py" in session.stdout
    assert "no graphics card" in session.stdout


def test_control_outside_ci_a_skip_passes(tmp_path: Path) -> None:
    session = run_session(tmp_path, SKIPS["beside a pass"], ci="")
    assert session.returncode == 0, session.stdout
    assert "1 passed, 1 skipped" in session.stdout


def test_control_ci_passes_without_a_skip(tmp_path: Path) -> None:
    session = run_session(tmp_path, "def test_it(): pass", ci="1")
    assert session.returncode == 0, session.stdout
    assert "CI should skip nothing" not in session.stdout


WRONG_AXES = """
import numpy as np
from bandit_rlhf.language import Language, TokenBatch
TokenBatch(Language(("a", "b"), horizon=3), np.zeros((2, 3), int), np.zeros((2, 4), bool))
"""


def test_axes_are_checked_in_tests() -> None:
    with pytest.raises(jaxtyping.TypeCheckError, match="mask"):
        exec(WRONG_AXES)


def test_control_axes_are_not_checked_without_the_hook() -> None:
    unhooked = subprocess.run(
        [sys.executable, "-c", WRONG_AXES], cwd=ROOT, capture_output=True, text=True
    )
    assert "TypeCheckError" not in unhooked.stderr
