"""Simultaneous rank intervals: critical values known in closed form, coverage, components."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom, norm, studentized_range

from bandit_rlhf.comparisons import Comparisons
from bandit_rlhf.diagnosis import RankIntervals, rank_intervals
from bandit_rlhf.reward import fit
from bandit_rlhf.uncertainty import Z95, Bootstrap, Covariance, bootstrap, covariance
from tests.comparison_worlds import simulated

FALSE_ALARM = 1e-6


def known(
    scores: np.ndarray, matrix: np.ndarray, component: np.ndarray | None = None
) -> Covariance:
    """A covariance that says these scores have this Gaussian error."""
    ring = np.arange(len(scores))
    rows = Comparisons.from_ids(np.r_[ring, np.roll(ring, 1)], np.r_[np.roll(ring, 1), ring])
    parts = np.zeros(len(scores), np.int32) if component is None else component
    return Covariance(replace(fit(rows), scores=scores, component=parts), matrix, "known")


def true_ranks(truth: np.ndarray) -> np.ndarray:
    return 1 + (truth[:, None] < truth).sum(axis=1)


def covers(found: RankIntervals, truth: np.ndarray) -> bool:
    ranks = true_ranks(truth)
    return bool(((found.low <= ranks) & (ranks <= found.high)).all())


def test_two_items_need_the_normal_quantile() -> None:
    found = rank_intervals(known(np.zeros(2), np.eye(2)), np.random.default_rng(0), draws=20_000)
    assert found.critical == pytest.approx(Z95, abs=0.07)  # 5 standard errors of the quantile


@pytest.mark.parametrize("items", [3, 8])
def test_equal_errors_need_tukeys_range(items: int) -> None:
    """max |t| over all pairs is the studentised range over the square root of 2."""
    rng = np.random.default_rng(1)
    found = rank_intervals(known(np.zeros(items), np.eye(items)), rng, draws=20_000)
    exact = studentized_range.ppf(0.95, items, np.inf) / np.sqrt(2)
    assert found.critical == pytest.approx(exact, abs=0.07)


def test_sidaks_bound() -> None:
    rng = np.random.default_rng(2)
    sure = known(np.zeros(6), np.eye(6))
    found = rank_intervals(sure, rng, method="sidak", level=0.9)
    assert found.critical == pytest.approx(norm.isf((1 - 0.9 ** (1 / 15)) / 2))
    assert found.critical > rank_intervals(sure, rng, level=0.9).critical
    assert found.draws == 0


def test_the_gauge_does_not_matter() -> None:
    """A common error of all scores, however large, is no error of their differences."""
    scores, rng = np.array([1.0, 0.0, -1.0]), np.random.default_rng
    plain = rank_intervals(known(scores, 0.01 * np.eye(3)), rng(3))
    shifted = rank_intervals(known(scores + 7, 0.01 * np.eye(3) + 100), rng(3))
    assert plain.low.tolist() == shifted.low.tolist() == [1, 2, 3]
    assert plain.high.tolist() == shifted.high.tolist() == [1, 2, 3]


def test_ranks_by_hand() -> None:
    """Errors of 0.1 a score: 0.14 a difference; only gaps beyond about 0.4 count."""
    scores = np.array([0.0, 1.0, 0.9, -2.0])
    found = rank_intervals(known(scores, 0.01 * np.eye(4)), np.random.default_rng(4))
    assert found.rank.tolist() == [3, 1, 2, 4]
    assert found.low.tolist() == [3, 1, 1, 4]
    assert found.high.tolist() == [3, 2, 2, 4]


def test_steps_down_only_ever_sharpen() -> None:
    rng = np.random.default_rng(5)
    sharper = 0
    for _ in range(20):
        root = rng.normal(size=(6, 6))
        sure = known(rng.normal(scale=3.0, size=6), root @ root.T / 6)
        found = rank_intervals(sure, rng, draws=500)
        gap = sure.fit.scores[:, None] - sure.fit.scores
        diagonal = np.diag(sure.matrix)
        errors = np.sqrt(diagonal[:, None] + diagonal - 2 * sure.matrix + np.eye(6))
        single = gap / errors > found.critical
        assert (found.low >= 1 + single.sum(axis=0)).all()
        assert (found.high <= 6 - single.sum(axis=1)).all()
        assert (found.low <= found.rank).all()
        assert (found.rank <= found.high).all()
        sharper += int(
            (found.high - found.low).sum() < (5 - single.sum(axis=1) - single.sum(axis=0)).sum()
        )
    assert sharper > 0


TRUTHS = {
    "all equal": np.zeros(8),
    "two groups": np.repeat([0.0, 5.0], 4),
    "evenly spaced": np.arange(8.0),
}


@pytest.mark.parametrize("name", TRUTHS)
def test_simultaneous_coverage(name: str) -> None:
    """At 90 %, missed at most as often as a binomial allows (false alarm 1e-6)."""
    truth, runs = TRUTHS[name], 250
    rng = np.random.default_rng(6)
    root = np.tril(rng.normal(size=(8, 8))) * 0.5
    matrix = root @ root.T
    missed = single_missed = 0
    for _ in range(runs):
        sure = known(truth + root @ rng.standard_normal(8), matrix)
        found = rank_intervals(sure, rng, level=0.9, draws=400)
        missed += not covers(found, truth)
        z = norm.isf(0.05)
        gap = sure.fit.scores[:, None] - sure.fit.scores
        diagonal = np.diag(matrix)
        errors = np.sqrt(diagonal[:, None] + diagonal - 2 * matrix + np.eye(8))
        better = gap / errors > z
        one_by_one = replace(found, low=1 + better.sum(axis=0), high=8 - better.sum(axis=1))
        single_missed += not covers(one_by_one, truth)
    bound = binom.isf(FALSE_ALARM, runs, 0.1 + 3 * np.sqrt(0.09 / 400))
    assert missed <= bound
    if name == "all equal":
        assert missed > 0  # the intervals are not vacuous
    if name != "evenly spaced":
        assert single_missed > bound  # control: pair by pair is not enough


def test_coverage_from_comparisons() -> None:
    truth, runs = np.array([0.6, 0.6, 0.2, 0.0, -0.5]), 100
    rng = np.random.default_rng(7)
    missed = 0
    for _ in range(runs):
        rows = simulated(truth, 600, rng)
        missed += not covers(rank_intervals(covariance(fit(rows), rows), rng, draws=300), truth)
    assert missed <= binom.isf(FALSE_ALARM, runs, 0.05 + 3 * np.sqrt(0.05 / 300))


def test_components_have_ranks_of_their_own() -> None:
    component = np.array([0, 1, 0, 1, 2], np.int32)
    scores = np.array([0.0, 100.0, 1.0, 50.0, 7.0])
    found = rank_intervals(known(scores, 1e-4 * np.eye(5), component), np.random.default_rng(8))
    assert found.rank.tolist() == found.low.tolist() == found.high.tolist() == [2, 1, 1, 2, 1]


def test_components_are_told_apart_jointly() -> None:
    """Two pairs in two components: the critical value of two independent |t|."""
    component = np.array([0, 0, 1, 1], np.int32)
    found = rank_intervals(
        known(np.zeros(4), np.eye(4), component), np.random.default_rng(9), draws=20_000
    )
    exact = norm.isf((1 - np.sqrt(0.95)) / 2)
    assert found.critical == pytest.approx(exact, abs=0.07)


def test_bootstrap_and_covariance_agree() -> None:
    rng = np.random.default_rng(10)
    rows = simulated(np.array([2.0, 0.0, 0.0, -2.0]), 2000, rng)
    found = fit(rows)
    drawn = rank_intervals(bootstrap(found, rows, rng, resamples=120), rng)
    assert drawn.low.tolist() == [1, 2, 2, 4]
    assert drawn.high.tolist() == [1, 3, 3, 4]
    assert (drawn.draws, drawn.method) == (120, "max-t")


def test_resamples_without_a_maximum_are_infinitely_far_off() -> None:
    sure = known(np.array([1.0, 0.0]), np.eye(2))
    draws = sure.fit.scores + 0.01 * np.random.default_rng(11).normal(size=(100, 2))
    few, many = (Bootstrap(sure.fit, draws, unfitted) for unfitted in (2, 20))
    assert rank_intervals(few, np.random.default_rng(0)).high.tolist() == [1, 2]
    lost = rank_intervals(many, np.random.default_rng(0))
    assert (lost.high.tolist(), lost.critical) == ([2, 2], np.inf)


REFUSED = {
    "a level of 95": ({"level": 95.0}, "level is 95, but should be between 0 and 1"),
    "no draws": ({"draws": 0}, "draws is 0"),
    "another method": ({"method": "tukey"}, "method is 'tukey'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    options, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        rank_intervals(known(np.zeros(3), np.eye(3)), np.random.default_rng(0), **options)


def test_too_few_resamples_are_refused() -> None:
    sure = known(np.zeros(3), np.eye(3))
    few = Bootstrap(sure.fit, np.zeros((10, 3)), 0)
    with pytest.raises(ValueError, match="10 resamples, but should be at least 20"):
        rank_intervals(few, np.random.default_rng(0))
    with pytest.raises(ValueError, match="sidak is asked of a bootstrap"):
        rank_intervals(few, np.random.default_rng(0), method="sidak")
