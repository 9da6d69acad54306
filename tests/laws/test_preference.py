"""Laws P1-P8 judged: bugs fail, twins and the toolkit's models pass, expectations by fractions."""

import itertools
import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest

from bandit_rlhf import preference
from bandit_rlhf.contract import estimator
from bandit_rlhf.laws import preference as laws
from bandit_rlhf.laws.bugs.preference import BUGS, TWINS
from bandit_rlhf.laws.bugs.record import Bug, Twin
from bandit_rlhf.laws.check import Dtype, check_estimator
from bandit_rlhf.laws.suite import law
from bandit_rlhf.laws.verdict import Status

DTYPES: tuple[Dtype, ...] = ("float64", "float32")


def failing(function, dtype: Dtype, **terms) -> set[str]:
    """Ids of laws that fail or cannot run."""
    report = check_estimator(None, function, dtype=dtype, verify=False, **terms)
    return {v.law for v in report.verdicts if v.status in (Status.FAIL, Status.ERROR)}


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_bugs_fail_their_laws(bug: Bug) -> None:
    assert set(bug.law) <= failing(bug.function, "float64")


def asked_in_single_precision(bug: Bug) -> set[str]:
    """Its laws but those of derivatives, which differences of float32 values do not show."""
    return {name for name in bug.law if not law(name, bug.kind).differentiates}


@pytest.mark.parametrize(
    "bug", list(filter(asked_in_single_precision, BUGS)), ids=lambda bug: bug.name
)
def test_bugs_fail_their_laws_in_single_precision(bug: Bug) -> None:
    assert asked_in_single_precision(bug) <= failing(bug.function, "float32")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("twin", TWINS, ids=lambda twin: twin.name)
def test_twins_pass(twin: Twin, dtype: Dtype) -> None:
    assert failing(twin.function, dtype) == set()


def test_every_law_has_a_bug_to_kill() -> None:
    killed = {(bug.kind, name) for bug in BUGS for name in bug.law}
    assert {(x.kind, x.id) for x in laws.LAWS} <= killed


def test_programs_of_failures_run() -> None:
    for name in ("overflowing_loss", "all_pairs", "full_difference_on_both_sides"):
        (bug,) = (bug for bug in BUGS if bug.name == name)
        report = check_estimator(None, bug.function)
        assert all(v.repro for v in report.verdicts if v.status is Status.FAIL)


# The toolkit's models


@estimator(
    "preference_model",
    claims=("complement", "even", "transitive", "shift_invariant", "margin", "finite"),
)
def bradley_terry(first, second, margin=0.0):
    return np.exp(preference.bradley_terry(first - second - margin).win)


@estimator("preference_model", claims=("complement", "even", "shift_invariant", "margin", "finite"))
def thurstone(first, second, margin=0.0):
    return np.exp(preference.thurstone(first - second - margin).win)


@estimator("reward_loss", claims=("gradient", "shift_invariant", "margin", "finite"))
def negative_log_likelihood(winner, loser, margin=0.0):
    return -preference.bradley_terry(winner - loser - margin).win


@estimator("ranking_model", claims=("normalised", "pair", "choice", "finite"))
def plackett_luce(rewards):
    return preference.plackett_luce(rewards)


@estimator("ranking_model", claims=("normalised", "pair", "choice", "finite"))
def weak_order_without_ties(rewards):
    return preference.plackett_luce_weak_order(rewards, (1,) * len(rewards))


TIES = ("normalised", "mirror", "no_ties")


@estimator("tie_model", claims=TIES, facts={"without_ties": {"threshold": 0.0}})
def rao_kupper(first, second, threshold=0.5):
    difference = first - second
    return tuple(map(np.exp, preference.rao_kupper(difference, difference.dtype.type(threshold))))


@estimator("tie_model", claims=TIES, facts={"without_ties": {"log_prevalence": -800.0}})
def davidson(first, second, log_prevalence=-1.0):
    difference = first - second
    outcomes = preference.davidson(difference, difference.dtype.type(log_prevalence))
    return tuple(map(np.exp, outcomes))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "model",
    [
        bradley_terry,
        thurstone,
        negative_log_likelihood,
        plackett_luce,
        weak_order_without_ties,
        rao_kupper,
        davidson,
    ],
)
def test_the_toolkits_models_pass(model, dtype: Dtype) -> None:
    report = check_estimator(None, model, dtype=dtype, verify=False)
    ran = [v for v in report.verdicts if v.status is Status.PASS]
    assert report.holds
    assert len(ran) >= len(model.contract.claims) - (dtype == "float32")


@pytest.mark.parametrize("dtype", DTYPES)
def test_torchs_own_loss_passes_with_its_derivatives(dtype: Dtype) -> None:
    import torch

    def loss(winner, loser):
        return -torch.nn.functional.logsigmoid(winner - loser)

    claims = ("gradient", "shift_invariant", "finite")
    report = check_estimator(
        "reward_loss", loss, dtype=dtype, backend="torch", claims=claims, verify=False
    )
    status = {v.law: v.status for v in report.verdicts}
    assert {status[name] for name in ("P4", "P6", "U6", "U6-gradient")} == {Status.PASS}


def test_torchs_autograd_through_the_toolkits_loss_in_single_precision() -> None:
    assert failing(negative_log_likelihood, "float32", backend="torch") == set()


def test_thurstone_is_not_transitive_in_log_odds() -> None:
    assert failing(thurstone, "float64", claims=("transitive",)) == {"P3"}


# The laws' expectations, a second time


def strength_law(strengths: tuple[int, ...]) -> dict[tuple[int, ...], Fraction]:
    """Plackett and Luce's model in whole strengths, by drawing without replacement."""
    result = {}
    for order in itertools.permutations(range(len(strengths))):
        left, chance = sum(strengths), Fraction(1)
        for item in order:
            chance *= Fraction(strengths[item], left)
            left -= strengths[item]
        result[order] = chance
    return result


def test_rankings_of_whole_strengths() -> None:
    strengths = (1, 2, 5)
    rewards, chances = np.log(strengths), strength_law(strengths)
    _, expected, _ = laws.first_choice(lambda r: np.float64(0), rewards)
    for item in range(3):
        exact = sum(p for order, p in chances.items() if order[0] == item)
        assert exact == Fraction(strengths[item], 8)
        assert expected[item] == pytest.approx(float(exact), rel=1e-14)
    assert sum(chances.values()) == 1
    for places, ordered in laws.orders(rewards):
        assert float(preference.plackett_luce(ordered)) == pytest.approx(
            math.log(chances[tuple(places)]), rel=1e-13
        )


def test_two_items_and_no_ties_of_whole_strengths() -> None:
    a, b = np.log([3.0]), np.log([2.0])
    _, log_chance, _ = laws.two_items(lambda r: np.float64(0), a[0], b[0])
    assert math.exp(log_chance) == pytest.approx(float(Fraction(3, 5)), rel=1e-14)
    nothing = np.zeros((3, 1))
    _, chances, _ = laws.untied(lambda first, second: nothing, a, b, {})
    assert chances[:, 0].tolist() == pytest.approx([3 / 5, 0, 2 / 5], rel=1e-14)


def test_derivative_of_the_loss() -> None:
    """P6's expected side against differentiation in fifty digits."""

    class Silent:
        def grad(self, place, *arrays):
            return np.zeros(1)

    winner, loser = 0.75, 2.5
    _, expected, _ = laws.loss_gradient(Silent(), np.array([winner]), np.array([loser]))

    def loss(w, lost):
        return mpmath.log(1 + mpmath.exp(lost - w))

    with mpmath.workdps(50):
        slopes = [mpmath.diff(loss, (winner, loser), order) for order in ((1, 0), (0, 1))]
    assert expected[:, 0].tolist() == pytest.approx([float(s) for s in slopes], rel=1e-14)
