"""Reports as text: failures in full, the rest in a line each, and the tally last."""

import numpy as np
import pytest

from bandit_rlhf.contract import Declared, estimator
from bandit_rlhf.laws import suite
from bandit_rlhf.laws.check import check_estimator
from bandit_rlhf.laws.text import law_text, numbers, report_text
from bandit_rlhf.laws.verdict import LawsBroken, Report, Status, Verdict


@estimator("advantage")
def own_sample_inside(rewards):
    """(n - 1)/n of the gradient."""
    return rewards - rewards.mean(axis=1, keepdims=True)


def test_a_failure_is_told_in_full():
    report = check_estimator(None, own_sample_inside, laws=("A1",))
    text = report_text(report)
    law, (verdict,) = suite.law("A1", "advantage"), report.verdicts
    for told in (law.title, law.statement, law.oracle, "2, 3", "eps-units", "(n-1)/n"):
        assert told in text
    assert f"got       {numbers(verdict.got)}" in text
    assert f"expected  {numbers(verdict.expected)}" in text
    program = text.partition("program, as it was run:")[2]
    assert "    from tests.laws.test_text import own_sample_inside as f\n" in program
    assert text.endswith(report.tally)


def test_a_failure_without_a_program_says_nothing_of_one():
    report = check_estimator("advantage", lambda r: 2 * r, claims={"unbiased"}, laws=("A1",))
    text = report_text(report)
    assert "FAIL A1" in text
    assert "as it was run" not in text


def test_each_thing_said_is_said_once():
    verdicts = (
        Verdict("A1", Status.PASS),
        Verdict("A2", Status.ERROR, reading="raised KeyError:\n  'x'"),
        Verdict("A3", Status.ERROR, reading="raised KeyError:\n  'x'"),
        Verdict("A4", Status.DECLARED, reading="GRPO divides by std"),
        Verdict("A5", Status.NOT_APPLICABLE, reading="not claimed"),
        Verdict("A6", Status.PRECONDITION, reading="it asks its caller: pads are clean"),
        Verdict("A7", Status.PASS),
    )
    assert report_text(Report("advantage", "m:f", verdicts)).splitlines() == [
        "m:f as advantage",
        "PASS            A1 A7",
        "ERROR           A2 A3: raised KeyError: 'x'",
        "DECLARED        A4: GRPO divides by std",
        "PRECONDITION    A6: it asks its caller: pads are clean",
        "NOT APPLICABLE  A5: not claimed",
        "ran 3: 2 passed, 0 failed, 1 declared, 1 precondition, 1 not applicable, 2 could not run",
    ]


def test_what_breaks_is_raised_with_the_same_text():
    with pytest.raises(LawsBroken) as caught:
        check_estimator(None, own_sample_inside, laws=("A1", "A6"), on_fail="raise")
    assert str(caught.value) == report_text(caught.value.report)
    assert [v.law for v in caught.value.report.of(Status.FAIL)] == ["A1"]


def test_what_is_declared_is_not_raised():
    meant = {"A1": Declared("a mean over the group, as its paper says", slope="(n-1)/n")}
    report = check_estimator(None, own_sample_inside, declared=meant, on_fail="raise")
    assert "DECLARED        A1: a mean over the group, as its paper says" in report_text(report)


@pytest.mark.parametrize("law", suite.laws(), ids=lambda law: f"{law.kind}-{law.id}")
def test_every_law_can_be_told(law):
    text = law_text(law)
    for told in (law.id, law.kind, law.title, law.statement, law.oracle, law.tolerance):
        assert told in text
    assert (law.theorem and all(name in text for name in law.theorem)) or law.why_no_theorem in text


def test_numbers_keep_the_digits_that_tell_them_apart():
    assert numbers([1.0, 1.0 + 1e-10]) == "[1, 1.0000000001]"
    assert numbers(np.array([np.nan, -np.inf])) == "[nan, -inf]"
    assert numbers([[1.0], [2.0]]).splitlines()[1].startswith(" " * 12)
