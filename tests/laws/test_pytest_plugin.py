"""The plugin's tally, in sessions of their own: alone, over workers, with none, with failures."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

LAWS = """
import pytest
from bandit_rlhf.laws.check import check_estimator
from bandit_rlhf.laws.parametrize import parametrize_with_laws

def raw(rewards):
    return rewards

def doubled(rewards):
    return 2 * rewards

@parametrize_with_laws("advantage", [raw], claims={"unbiased", "own_reward_free"})
def test_raw(estimator, law):
    law(estimator)
"""
"""Four laws: U3, U7, A1 and A5."""

BROKEN = """
@parametrize_with_laws("advantage", [doubled], laws=("A1", "A6"), verify=False)
def test_doubled(estimator, law):
    law(estimator)
"""
DIRECT = """
def test_direct():
    report = check_estimator("advantage", doubled, claims={"centred"}, laws=("A2",), verify=False)
    assert not report.holds
"""


@pytest.fixture
def session(tmp_path):
    """Run pytest on a file of tests; its exit code and what it printed."""

    def run(text: str, *words: str) -> tuple[int, str]:
        (tmp_path / "test_mine.py").write_text(text)
        plugin = ("-p", "bandit_rlhf.laws.pytest_plugin", "-p", "no:cacheprovider")
        ran = subprocess.run(
            [sys.executable, "-m", "pytest", "--color=no", *plugin, *words, str(tmp_path)],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )
        return ran.returncode, ran.stdout + ran.stderr

    return run


@pytest.mark.parametrize("words", [(), ("-n", "2")], ids=["alone", "workers"])
def test_laws_are_added_up(session, words):
    code, printed = session(LAWS + BROKEN + DIRECT, *words)
    assert code == 1
    assert "laws: ran 7: 5 passed, 2 failed, 0 declared, 0 could not run" in printed
    assert "FAIL A1" in printed


def test_green_says_how_much_was_asked(session):
    code, printed = session(LAWS, "-q")
    assert code == 0
    assert "laws: ran 4: 4 passed, 0 failed, 0 declared, 0 could not run" in printed


def test_what_could_not_be_asked_counts_apart(session):
    text = LAWS + DIRECT.replace("doubled", "lambda r: r[0]")
    assert "laws: ran 4: 4 passed, 0 failed, 0 declared, 1 could not run" in session(text)[1]


@pytest.mark.parametrize("words", [(), ("-n", "2")], ids=["alone", "workers"])
def test_no_law_at_all_is_said_loudly(session, words):
    code, printed = session("def test_nothing(): pass", *words)
    assert code == 0
    assert "laws: NONE RAN" in printed


def test_collecting_alone_says_nothing_of_laws(session):
    printed = session(LAWS, "--collect-only", "-q")[1]
    assert "test_raw[raw-A1]" in printed
    assert "laws:" not in printed


def test_a_conftest_may_load_it(session, tmp_path):
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["bandit_rlhf.laws.pytest_plugin"]')
    assert "laws: ran 4: 4 passed" in session(LAWS)[1]
