"""Laws R1-R8 judged: bugs fail, twins and fits pass, expectations by hand and by other means."""

import math
from fractions import Fraction

import choix
import numpy as np
import pytest

from bandit_rlhf.comparisons.aggregation import from_matrices
from bandit_rlhf.contract import estimator
from bandit_rlhf.laws import reward_fit as laws
from bandit_rlhf.laws.bugs.record import Bug, Twin
from bandit_rlhf.laws.bugs.reward_fit import BUGS, TWINS
from bandit_rlhf.laws.check import Dtype, check_estimator
from bandit_rlhf.laws.verdict import Status
from bandit_rlhf.reward import fit

DTYPES: tuple[Dtype, ...] = ("float64", "float32")


def failing(function, dtype: Dtype, **terms) -> set[str]:
    """Ids of laws that fail or cannot run."""
    report = check_estimator(None, function, dtype=dtype, verify=False, **terms)
    return {v.law for v in report.verdicts if v.status in (Status.FAIL, Status.ERROR)}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_bugs_fail_their_laws(bug: Bug, dtype: Dtype) -> None:
    assert set(bug.law) <= failing(bug.function, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("twin", TWINS, ids=lambda twin: twin.name)
def test_twins_pass(twin: Twin, dtype: Dtype) -> None:
    assert failing(twin.function, dtype) == set()


def test_every_law_has_a_bug_to_kill() -> None:
    killed = {(bug.kind, name) for bug in BUGS for name in bug.law}
    assert {(x.kind, x.id) for x in laws.LAWS} <= killed


def test_programs_of_failures_run() -> None:
    for name in ("log_odds_of_wins", "refused_without_a_name", "first_end_token"):
        (bug,) = (bug for bug in BUGS if bug.name == name)
        report = check_estimator(None, bug.function)
        assert all(v.repro for v in report.verdicts if v.status is Status.FAIL)


# The toolkit's fits, and another library's

FIT = ("score_equation", "gauge", "flipped", "duplicates", "relabelled", "population")


def scores_of(wins, **settings):
    items = tuple(f"item {i}" for i in range(len(wins)))
    return fit(from_matrices(items, wins), **settings).scores.astype(wins.dtype)


@estimator("reward_fit", claims=(*FIT, "existence"), facts={"gauge": "mean"})
def maximum_likelihood(wins):
    return scores_of(wins)


@estimator(
    "reward_fit",
    claims=("score_equation", "gauge", "flipped", "relabelled", "existence"),
    facts={
        "gauge": "mean",
        "ridge": 0.25,
        "without_maximum": {"separable": "regularised", "disconnected": "regularised"},
    },
)
def with_a_gaussian_prior(wins):
    return scores_of(wins, ridge=0.25)


@estimator(
    "reward_fit",
    claims=("gauge", "flipped", "relabelled", "existence"),
    facts={"gauge": "mean", "without_maximum": {"separable": "regularised"}},
)
def with_jeffreys_prior(wins):
    return scores_of(wins, firth=True)


@estimator("reward_fit", claims=FIT, facts={"gauge": "mean", "accuracy": 1e-6})
def luce_spectral_ranking(wins):
    """Maystre and Grossglauser 2015, `choix`."""
    return choix.ilsr_pairwise_dense(wins, max_iter=500).astype(wins.dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "subject",
    [maximum_likelihood, with_a_gaussian_prior, with_jeffreys_prior, luce_spectral_ranking],
)
def test_fits_pass(subject, dtype: Dtype) -> None:
    report = check_estimator(None, subject, dtype=dtype, verify=False)
    assert report.holds
    assert report.counts["PASS"] == len(subject.contract.claims)


def test_a_prior_that_is_not_declared_is_found() -> None:
    assert failing(with_a_gaussian_prior, "float64", facts={"gauge": "mean"}) >= {"R1"}


# The laws' expectations, a second time


def test_two_items_have_the_logit_of_the_share() -> None:
    """R1's equation, solved in closed form, is met by logit(w/n), and by nothing else."""
    wins = np.array([[0.0, 5.0], [2.0, 0.0]])
    gap = math.log(Fraction(5, 7) / Fraction(2, 7))
    for off, met in ((0.0, True), (1e-6, False)):
        scores = np.array([gap + off, 0.0])
        got, expected, scale = laws.score_equation(lambda _, s=scores: s, wins, 0.0, 0.0)
        assert np.all(np.abs(got - expected) <= 1e-14 * scale) == met
        assert expected.tolist() == [5, 2]


def test_an_allowance_hides_no_more_than_it_says() -> None:
    got = laws.settled(np.array([1.0, 2.0, 3.0]), np.array([1.5, 2.0, 1.0]), 0.75)
    assert got.tolist() == [1.5, 2.0, 2.25]


def test_population_wins_are_those_of_the_strengths() -> None:
    """Whole wins whose shares are Bradley-Terry's, exactly."""
    seen = []
    strengths, games = np.array([1.0, 3.0, 6.0]), np.array([[0, 2, 1], [2, 0, 3], [1, 3, 0.0]])

    def wins_seen(wins):
        seen.append(wins)
        return np.zeros(3)

    _, expected, _ = laws.population(wins_seen, strengths, games, 0.0)
    for i, j in ((0, 1), (1, 2), (2, 0)):
        share = Fraction(seen[0][i, j]) / Fraction(seen[0][i, j] + seen[0][j, i])
        assert share == Fraction(strengths[i]) / Fraction(strengths[i] + strengths[j])
        gap = expected[i] - expected[j]
        assert gap == pytest.approx(math.log(share / (1 - share)), rel=1e-14)


def test_refusals_must_name_the_item_and_not_another() -> None:
    wins = np.array([[0, 1, 1], [1, 0, 1], [0, 0, 0.0]])

    def saying(text):
        def refuse(_):
            raise ValueError(text)

        return refuse

    for text, named in (("item 2 never wins.", 1.0), ("12 games.", 0.0), ("item 1 lost.", 0.0)):
        assert laws.existence(saying(text), wins, 2, "separable", {})[0] == named
    assert laws.existence(lambda _: np.zeros(3), wins, 2, "separable", {})[0] == 0.0
    regularised = {"separable": "regularised"}
    assert laws.existence(lambda _: np.zeros(3), wins, 2, "separable", regularised)[0] == 1.0
    assert laws.existence(saying("item 2"), wins, 2, "separable", regularised)[0] == 0.0


@pytest.mark.parametrize(("offset", "read"), [(0, [11.0, 22.0, 33.0]), (1, [12.0, 23.0, 33.0])])
def test_last_tokens_by_hand(offset: int, read: list[float]) -> None:
    values = np.array([[10.0, 11, 12, 13], [20, 21, 22, 23], [30, 31, 32, 33]])
    mask = np.array([[1, 1, 0, 0], [0, 1, 1, 0], [1, 0, 1, 1]], dtype=bool)
    tokens = np.array([[0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 2, 0]])
    _, expected, _ = laws.last_token(lambda *x: 0.0, values, mask, offset)
    assert expected.tolist() == read
    _, expected, _ = laws.end_is_pad(lambda *x: 0.0, values, tokens, mask, offset)
    assert expected.tolist() == read
