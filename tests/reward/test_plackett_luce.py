"""Rankings: choix, Bradley-Terry, finite differences and the sum over orders as judges."""

from typing import Any

import choix
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandit_rlhf.comparison_graph import NoFiniteMaximum
from bandit_rlhf.comparisons import Rankings
from bandit_rlhf.preference import plackett_luce_weak_order, sample_ranking
from bandit_rlhf.reward import fit, fit_rankings
from bandit_rlhf.reward.plackett_luce import PlackettLuceLikelihood
from tests.comparison_worlds import CHECKED_AT_RANDOM, ringed_tables

pytestmark = CHECKED_AT_RANDOM

ITEMS = 6


def drawn_rankings(rng: np.random.Generator, count: int, ties: bool) -> list[list]:
    truth = rng.normal(size=ITEMS)
    rankings: list[list] = []
    for _ in range(count):
        offered = rng.choice(ITEMS, rng.integers(2, ITEMS + 1), replace=False)
        ranking: list = offered[sample_ranking(truth[offered], rng)].tolist()
        if ties and len(ranking) > 2 and rng.random() < 0.6:
            at = int(rng.integers(0, len(ranking) - 1))
            ranking[at : at + 2] = [[ranking[at], ranking[at + 1]]]
        rankings.append(ranking)
    return rankings


def log_likelihood(rankings: list[list], scores: np.ndarray) -> float:
    """Ranking by ranking, subset by subset: shares nothing with the fit."""
    total = 0.0
    for ranking in rankings:
        blocks = [entry if isinstance(entry, list) else [entry] for entry in ranking]
        places = [item for block in blocks for item in block]
        total += float(plackett_luce_weak_order(scores[places], tuple(map(len, blocks))))
    return total


def test_full_orders_are_choix_s() -> None:
    rankings = drawn_rankings(np.random.default_rng(0), 200, ties=False)
    found = fit_rankings(Rankings.from_lists(rankings), tolerance=1e-11)
    orders: Any = rankings
    theirs = choix.ilsr_rankings(ITEMS, orders, max_iter=300, tol=1e-12)
    np.testing.assert_allclose(found.scores, theirs - theirs.mean(), atol=1e-6)
    assert found.converged


@given(ringed_tables())
def test_rankings_of_two_are_bradley_terry(rows) -> None:
    pairs = [[int(a), int(b)] for a, b in zip(rows.winner, rows.loser, strict=True)]
    found = fit_rankings(Rankings.from_lists(pairs), tolerance=1e-11)
    plain = fit(rows, tolerance=1e-11)
    np.testing.assert_allclose(found.scores, plain.scores, atol=1e-8)
    assert found.log_likelihood == pytest.approx(plain.log_likelihood)


@pytest.mark.parametrize("ties", [False, True])
def test_gradient_and_curvature_are_derivatives(ties: bool) -> None:
    rankings = drawn_rankings(np.random.default_rng(1), 40, ties)
    rankings += [[0, [1, 2, 3], 4, 5], [[0, 1], [2, 3], 4], [2, [0, 1]]]
    problem = PlackettLuceLikelihood(Rankings.from_lists(rankings), 0.0)
    at = np.random.default_rng(2).normal(size=ITEMS)
    point = problem.evaluate(at)
    assert problem.log_likelihood(at) == pytest.approx(log_likelihood(rankings, at), rel=1e-12)
    steps = 1e-5 * np.eye(ITEMS)
    slopes = [
        (log_likelihood(rankings, at + step) - log_likelihood(rankings, at - step)) / 2e-5
        for step in steps
    ]
    np.testing.assert_allclose(point.gradient, slopes, atol=1e-6)
    bends = [
        (problem.evaluate(at - step).gradient - problem.evaluate(at + step).gradient) / 2e-5
        for step in steps
    ]
    np.testing.assert_allclose(point.curvature.apply(np.eye(ITEMS)), bends, atol=1e-6)
    np.testing.assert_allclose(problem.ranking_scores(at).sum(axis=0), point.gradient, atol=1e-12)


def test_the_fit_with_ties_is_a_maximum() -> None:
    rankings = drawn_rankings(np.random.default_rng(3), 120, ties=True)
    found = fit_rankings(Rankings.from_lists(rankings))
    assert found.converged
    best = log_likelihood(rankings, found.scores)
    assert found.log_likelihood == pytest.approx(best, rel=1e-12)
    for step in 1e-3 * np.random.default_rng(4).normal(size=(20, ITEMS)):
        assert log_likelihood(rankings, found.scores + step - step.mean()) < best


@given(st.integers(1, 3))
def test_weights_repeat_rankings(times: int) -> None:
    rankings = drawn_rankings(np.random.default_rng(5), 60, ties=True)
    repeated = fit_rankings(Rankings.from_lists(rankings * times), ridge=0.5)
    weighted = fit_rankings(Rankings.from_lists(rankings, weight=[times] * 60), ridge=0.5)
    np.testing.assert_allclose(repeated.scores, weighted.scores, atol=1e-8)


def test_an_item_never_ranked_below_the_rest_is_named() -> None:
    rankings = Rankings.from_lists([["top", "a", "b"], ["top", "b", "a"]])
    with pytest.raises(NoFiniteMaximum, match=r"\{'top'\} never lost"):
        fit_rankings(rankings)
    assert fit_rankings(rankings, ridge=1.0).converged


def test_ties_that_stand_for_too_many_orders_are_refused() -> None:
    """A block of eight ahead of others is 40,320 orders; at the end it is none."""
    eight = list("abcdefgh")
    with pytest.raises(ValueError, match="ties of ranking 0 stand for 40,320 orders"):
        fit_rankings(Rankings.from_lists([[eight, "z"], ["z", eight]]))
    assert fit_rankings(Rankings.from_lists([["z", eight]]), ridge=1.0).converged
