"""The likelihoods behind the fits: derivatives, and that all ways of computing them agree."""

from collections.abc import Callable

import numpy as np
import pytest

from bandit_rlhf.comparisons import Comparisons, PairCounts, aggregate
from bandit_rlhf.preference import davidson, rao_kupper
from bandit_rlhf.reward import curvature as curvatures
from bandit_rlhf.reward import few_items, newton, pair_likelihood
from bandit_rlhf.reward.few_items import FewItems
from bandit_rlhf.reward.link import BRADLEY_TERRY, DAVIDSON, RAO_KUPPER, THURSTONE, Link
from bandit_rlhf.reward.pair_likelihood import PairLikelihood
from tests.comparison_worlds import simulated

LINKS = (BRADLEY_TERRY, THURSTONE, RAO_KUPPER, DAVIDSON)
named = pytest.mark.parametrize("link", LINKS, ids=lambda link: link.name)


def counts_for(link: Link, items: int = 7, covariates: bool = True) -> PairCounts:
    rng = np.random.default_rng(0)
    law: Callable | None = (lambda d: davidson(d, np.asarray(0.1))) if link.has_tie else None
    slopes = rng.integers(-1, 2, (400, 2)).astype(float)
    scores = rng.normal(size=items)
    return aggregate(simulated(scores, 400, rng, law, covariates=slopes if covariates else None))


def likelihood(counts: PairCounts, link: Link, ridge: float = 0.0) -> PairLikelihood:
    n = counts.item_count
    return PairLikelihood(counts, link, np.zeros(n, int), ridge, np.full(n, 0.3))


def somewhere(problem: PairLikelihood) -> np.ndarray:
    at = np.random.default_rng(1).normal(size=problem.items + problem.extras)
    at[-1] = abs(at[-1]) + 0.2
    return at


@named
def test_gradient_and_curvature_are_derivatives(link: Link) -> None:
    problem = likelihood(counts_for(link), link)
    at = somewhere(problem)
    point = problem.evaluate(at)
    steps = 1e-5 * np.eye(len(at))
    slopes = [
        (problem.log_likelihood(at + step) - problem.log_likelihood(at - step)) / 2e-5
        for step in steps
    ]
    np.testing.assert_allclose(point.gradient, slopes, atol=2e-6)
    bends = [
        (problem.evaluate(at - step).gradient - problem.evaluate(at + step).gradient) / 2e-5
        for step in steps
    ]
    np.testing.assert_allclose(point.curvature.apply(np.eye(len(at))), bends, atol=1e-6)


@pytest.mark.parametrize("link", [RAO_KUPPER, DAVIDSON], ids=lambda link: link.name)
def test_log_likelihood_is_the_preference_model_s(link: Link) -> None:
    model = {RAO_KUPPER.name: rao_kupper, DAVIDSON.name: davidson}[link.name]
    counts = counts_for(link, covariates=False)
    problem = likelihood(counts, link)
    at = somewhere(problem)
    laws = model(at[counts.left] - at[counts.right], np.asarray(at[-1]))
    assert counts.ties is not None
    total = counts.left_wins @ laws.win + counts.right_wins @ laws.loss + counts.ties @ laws.tie
    assert problem.log_likelihood(at) == pytest.approx(float(total), rel=1e-13)


@pytest.mark.parametrize("ridge", [0.0, 0.7])
def test_few_items_and_pairs_are_one_likelihood(ridge: float) -> None:
    counts = counts_for(BRADLEY_TERRY, covariates=False)
    pairs = likelihood(counts, BRADLEY_TERRY, ridge)
    few = FewItems(counts.win_matrix(), ridge, np.full(7, 0.3))
    at = np.random.default_rng(2).normal(size=7)
    one, two = pairs.evaluate(at), few.evaluate(at)
    np.testing.assert_allclose(one.gradient, two.gradient, atol=1e-12)
    assert one.error == pytest.approx(two.error, rel=1e-12)
    np.testing.assert_allclose(
        one.curvature.apply(np.eye(7)), two.curvature.apply(np.eye(7)), atol=1e-12
    )
    assert few.log_likelihood(at) == pytest.approx(pairs.log_likelihood(at), rel=1e-13)
    np.testing.assert_array_equal(pairs.start(), few.start())


@pytest.mark.parametrize("module", [few_items, pair_likelihood])
def test_scores_too_wide_for_odds_take_the_other_way(module, monkeypatch) -> None:
    counts = counts_for(BRADLEY_TERRY, covariates=False)

    def make() -> FewItems | PairLikelihood:
        if module is few_items:
            return FewItems(counts.win_matrix(), 0.0, np.zeros(7))
        return PairLikelihood(counts, BRADLEY_TERRY, np.zeros(7, int), 0.0, np.zeros(7))

    at = np.random.default_rng(2).normal(size=7)
    by_odds, log_likelihood = make().evaluate(at), make().log_likelihood(at)
    limit = "WIDEST_SCORE" if module is few_items else "WIDEST_ODDS"
    monkeypatch.setattr(module, limit, 0.0)
    np.testing.assert_allclose(make().evaluate(at).gradient, by_odds.gradient, atol=1e-12)
    assert make().log_likelihood(at) == pytest.approx(log_likelihood, rel=1e-13)
    assert np.isfinite(make().evaluate(1000.0 * at).gradient).all()
    assert np.isfinite(make().log_likelihood(1000.0 * at))


@named
def test_sparse_and_dense_reach_one_maximum(link: Link, monkeypatch) -> None:
    counts = counts_for(link)
    dense = likelihood(counts, link)
    monkeypatch.setattr(pair_likelihood, "DENSE_PARAMETERS", 0)
    sparse = likelihood(counts, link)
    assert (dense.is_dense, sparse.is_dense) == (True, False)
    at = somewhere(dense)
    whole = np.eye(len(at))
    np.testing.assert_allclose(  # 32-bit weights
        sparse.evaluate(at).curvature.apply(whole),
        dense.evaluate(at).curvature.apply(whole),
        rtol=1e-5,
        atol=1e-4,
    )
    one, two = (newton.maximise(p, p.start(), 1e-10, 50) for p in (dense, sparse))
    assert one.converged
    assert two.converged
    gap = one.point.at - two.point.at
    gap[:7] -= gap[0]  # the gauge is free
    np.testing.assert_allclose(gap, 0.0, atol=1e-7)


def test_conjugate_gradients_out_of_patience_fall_back_on_the_matrix() -> None:
    path = np.arange(60)
    rows = Comparisons.from_ids(
        np.concatenate([path[1:], path[:-1]]), np.concatenate([path[:-1], path[1:]])
    )
    problem = FewItems(aggregate(rows).win_matrix(), 0.0, np.zeros(60))
    at = np.random.default_rng(0).normal(size=60)
    point = problem.evaluate(at)
    direction = point.curvature.solve(point.gradient, 1e-10)
    np.testing.assert_allclose(point.curvature.apply(direction), point.gradient, atol=1e-9)
    assert isinstance(point.curvature, curvatures.IterativeCurvature)
    assert point.curvature.patience < 59  # which a path of 60 would need


def test_the_pseudo_inverse_is_numpy_s() -> None:
    problem = likelihood(counts_for(DAVIDSON), DAVIDSON)
    curvature = problem.dense_curvature(somewhere(problem))
    np.testing.assert_allclose(
        curvature.pseudo_inverse(), np.linalg.pinv(curvature.matrix, rcond=1e-10), atol=1e-12
    )


def test_a_step_too_far_is_shortened() -> None:
    """From far out Newton's full step overshoots; the slope at its end tells."""

    class Kinked:
        def __init__(self) -> None:
            self.visited: list[float] = []

        def longest_step(self, at: np.ndarray, direction: np.ndarray) -> float:
            return np.inf

        def evaluate(self, at: np.ndarray) -> newton.Point:  # -ln cosh x
            self.visited.append(float(at[0]))
            gradient = -np.tanh(at)
            bend = curvatures.DenseCurvature(1 / np.cosh(at)[:, None] ** 2, None)
            return newton.Point(at, gradient, float(abs(gradient[0])), bend)

    problem = Kinked()
    solution = newton.maximise(problem, np.array([2.0]), 1e-12, 50)
    assert solution.converged
    assert abs(solution.point.at[0]) < 1e-12
    assert abs(problem.visited[1]) > 10  # the control: the full step would have gone far away
