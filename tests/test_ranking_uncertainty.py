"""Errors of Plackett-Luce fits: Bradley-Terry's for pairs, finite differences for more."""

import numpy as np
import pytest

from bandit_rlhf.comparisons import Comparisons, Rankings
from bandit_rlhf.preference import plackett_luce_weak_order, sample_ranking
from bandit_rlhf.ranking_uncertainty import ranking_covariance
from bandit_rlhf.reward import fit, fit_rankings
from bandit_rlhf.uncertainty import covariance

LISTS = [
    *(["a", "b", "c", "d"], ["b", "a", "d", "c"], ["c", "a", "b"], ["d", ["a", "c"], "b"]),
    *([["a", "b"], "c"], ["c", "d", "a"], ["b", "d"], ["d", "b", "a", "c"]),
]
BLOCKS = [
    *((1, 1, 1, 1), (1, 1, 1, 1), (1, 1, 1), (1, 2, 1)),
    *((2, 1), (1, 1, 1), (1, 1), (1, 1, 1, 1)),
]


@pytest.mark.parametrize("kind", ["fisher", "sandwich"])
def test_rankings_of_two_are_bradley_terry(kind):
    pairs = [(0, 1), (1, 0), (1, 2), (2, 1), (2, 0), (0, 2), (0, 1), (1, 2), (2, 3), (3, 0)]
    rankings = Rankings.from_lists([list(pair) for pair in pairs])
    rows = Comparisons.from_ids(*map(list, zip(*pairs, strict=True)))
    expected = covariance(fit(rows), rows, kind).matrix
    found = ranking_covariance(fit_rankings(rankings, tolerance=1e-11), rankings, kind).matrix
    np.testing.assert_allclose(found, expected, atol=1e-7)


def log_likelihoods(scores: np.ndarray) -> np.ndarray:
    """[ranking], by the public law."""
    place = dict(zip("abcd", scores, strict=True))
    flat = [[n for entry in ranking for n in entry] for ranking in LISTS]
    return np.array(
        [
            float(plackett_luce_weak_order(np.array([place[n] for n in names]), blocks))
            for names, blocks in zip(flat, BLOCKS, strict=True)
        ]
    )


@pytest.mark.parametrize("ridge", [0.0, 0.7])
def test_curvature_and_scores_by_finite_differences(ridge):
    rankings = Rankings.from_lists(LISTS)
    found = fit_rankings(rankings, ridge=ridge, tolerance=1e-11)
    step, axes = 1e-4, np.eye(4)
    at = found.scores

    def total(scores):
        return log_likelihoods(scores).sum() - ridge / 2 * (scores**2).sum()

    hessian = np.array(
        [
            [
                total(at + step * (u + v))
                - total(at + step * (u - v))
                - total(at - step * (u - v))
                + total(at - step * (u + v))
                for u in axes
            ]
            for v in axes
        ]
    ) / (4 * step**2)
    each = np.stack(
        [(log_likelihoods(at + step * u) - log_likelihoods(at - step * u)) for u in axes], axis=1
    ) / (2 * step)
    inverse = np.linalg.pinv(-hessian, rcond=1e-6, hermitian=True)
    fisher = ranking_covariance(found, rankings, "fisher").matrix
    sandwich = ranking_covariance(found, rankings).matrix
    np.testing.assert_allclose(fisher, inverse, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(sandwich, inverse @ each.T @ each @ inverse, rtol=1e-4, atol=1e-5)


def test_a_weight_is_so_many_rankings():
    once = Rankings.from_lists(LISTS, weight=[3] * len(LISTS))
    thrice = Rankings.from_lists(LISTS * 3)
    matrices = [ranking_covariance(fit_rankings(r), r).matrix for r in (once, thrice)]
    np.testing.assert_allclose(*matrices, rtol=1e-6, atol=1e-9)


def test_intervals_cover_the_truth():
    """95 % of z-values within 1.96: of 300 fits, at least 269 and at most 297 with p > 1e-3."""
    truth = np.array([0.8, 0.0, -0.3, -0.5])
    rng = np.random.default_rng(7)
    covered = 0
    for _ in range(300):
        drawn = sample_ranking(np.tile(truth, (120, 1)), rng)
        rankings = Rankings.from_lists(drawn.tolist())
        contrast = ranking_covariance(fit_rankings(rankings), rankings).contrast(0, 3)
        low, high = contrast.interval()
        covered += low <= truth[0] - truth[3] <= high
    assert 269 <= covered <= 297


def test_what_is_refused():
    rankings = Rankings.from_lists(LISTS)
    found = fit_rankings(rankings)
    with pytest.raises(ValueError, match="kind is 'bayes', but should be"):
        ranking_covariance(found, rankings, "bayes")
    with pytest.raises(ValueError, match="to 4 items, but should be of plackett-luce to the 2"):
        ranking_covariance(found, Rankings.from_lists([["a", "b"], ["b", "a"]]))
    rows = Comparisons.from_labels(["a", "b"], ["b", "a"])
    with pytest.raises(ValueError, match="the fit is of bradley-terry"):
        ranking_covariance(fit(rows), rankings)
