"""Every law bites what it should and nothing else: broken estimators fail, correct ones pass.

The controls of the whole suite. Bugs and twins are those of `bandit_rlhf.laws.bugs`.
"""

import functools
import itertools
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from bandit_rlhf.contract import contract_of
from bandit_rlhf.laws import suite
from bandit_rlhf.laws.bugs import bugs, twins
from bandit_rlhf.laws.check import check_estimator
from bandit_rlhf.laws.judging import PROFILES, claims_of, verdict
from bandit_rlhf.laws.subject import Subject
from bandit_rlhf.laws.verdict import Status

SEEDS = replace(PROFILES["dev"], points=100, seconds=250.0)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A law's time limit is for users who wait; a busy machine must fail nothing here."""
    monkeypatch.setitem(PROFILES, "dev", replace(PROFILES["dev"], seconds=200.0))


HOLDS = {Status.PASS, Status.DECLARED, Status.NOT_APPLICABLE, Status.PRECONDITION}


@pytest.mark.parametrize("bug", bugs(), ids=lambda bug: f"{bug.kind}-{bug.name}")
def test_each_bug_fails_the_laws_it_names(bug) -> None:
    report = check_estimator(bug.kind, bug.function, laws=bug.law, verify=False)
    assert [v.law for v in report.of(Status.FAIL)] == list(bug.law), report.verdicts


@pytest.mark.parametrize("twin", twins(), ids=lambda twin: f"{twin.kind}-{twin.name}")
def test_each_twin_passes_at_a_hundred_seeds_in_both_dtypes(twin) -> None:
    contract = contract_of(twin.function)
    subjects = tuple(
        Subject(twin.function, contract, dtype, contract.backend or "numpy")
        for dtype in ("float64", "float32")
    )
    found = [verdict(law, subjects, SEEDS) for law in suite.of_kind(twin.kind)]
    assert {v.status for v in found} <= HOLDS, [v for v in found if v.status not in HOLDS]
    assert any(v.status is Status.PASS for v in found)


def test_every_law_kills_a_bug_and_spares_a_twin_that_claims_it() -> None:
    """U laws hold for all kinds, and bite wherever one of their kinds is bitten."""
    killed = {(bug.kind, name) for bug in bugs() for name in bug.law}
    everywhere = {name for _, name in killed}
    spared: Counter = Counter()
    for twin in twins():
        contract = contract_of(twin.function)
        claims = claims_of(contract)
        for law in suite.of_kind(twin.kind):
            if not law.claim or law.claim in claims:
                spared[twin.kind, law.id] += 1
    for law in suite.laws():
        universal = law.id.startswith("U") and not law.claim
        assert (law.kind, law.id) in killed or (universal and law.id in everywhere), law.id
        assert spared[law.kind, law.id], (law.kind, law.id)


def test_ids_are_unique_in_their_kind_and_every_law_says_where_its_truth_is_from() -> None:
    counts = Counter((law.kind, law.id) for law in suite.laws())
    assert max(counts.values()) == 1
    for law in suite.laws():
        assert bool(law.theorem) != bool(law.why_no_theorem), (law.kind, law.id)
        assert law.statement, law.id
        assert law.oracle, law.id
        assert law.tolerance, law.id


def leave_one_out(rewards):
    others = rewards.sum(axis=1, keepdims=True) - rewards
    return rewards - others / (rewards.shape[1] - 1)


def masked_mean(values, mask):
    return values[mask].mean()


def logistic(first, second):
    return 1 / (1 + np.exp(second - first))


def importance(rewards, log_prob, behaviour_log_prob):
    return (np.exp(log_prob - behaviour_log_prob) * rewards).mean()


def largest(rewards, k):
    subsets = itertools.combinations(rewards, k)
    return np.mean([max(subset) for subset in subsets], dtype=rewards.dtype)


PLANTED = (
    ("advantage", leave_one_out, "A1", {}),
    ("aggregation", masked_mean, "L5", {"facts": {"weights": "token_mean"}}),
    ("preference_model", logistic, "P1", {}),
    ("off_policy", importance, "O1", {}),
    ("max_of_k", largest, "B6", {}),
)


@pytest.mark.parametrize(("dtype", "bias"), [("float64", 1e-12), ("float32", 1e-5)])
@pytest.mark.parametrize(("kind", "right", "law", "terms"), PLANTED, ids=lambda x: str(x)[:12])
def test_the_smallest_planted_bias_is_caught(kind, right, law, terms, dtype, bias) -> None:
    """Relative biases of 1e-12 and 1e-5, in laws of five kinds; without them all pass."""

    @functools.wraps(right)
    def biased(*arguments):
        return right(*arguments) * np.dtype(dtype).type(1 + bias)

    assert ask(kind, right, law, dtype, terms) is Status.PASS
    assert ask(kind, biased, law, dtype, terms) is Status.FAIL


def ask(kind: str, function, law: str, dtype, terms) -> Status:
    report = check_estimator(kind, function, laws=(law,), dtype=dtype, verify=False, **terms)
    return report.verdicts[0].status


def test_control_a_declared_deviation_that_is_gone_fails() -> None:
    from bandit_rlhf.contract import Declared

    declared = {"A1": Declared("was biased once")}
    report = check_estimator("advantage", leave_one_out, declared=declared, laws=("A1",))
    assert report.verdicts[0].status is Status.FAIL
    assert "take the declaration out" in report.verdicts[0].reading


def test_control_a_declared_slope_must_be_the_one_found() -> None:
    from bandit_rlhf.contract import Declared

    def mean_baseline(rewards):
        return rewards - rewards.mean(axis=1, keepdims=True)

    right, wrong = (
        check_estimator(
            "advantage", mean_baseline, declared={"A1": Declared("mean", slope=slope)}, laws=("A1",)
        ).verdicts[0]
        for slope in ("(n-1)/n", "1/n")
    )
    assert (right.status, wrong.status) == (Status.DECLARED, Status.FAIL)
