"""Posterior deviations against the house's covariances, and their coverage under the prior."""

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from bandit_rlhf.annotator import Person, compare, random_questions
from bandit_rlhf.comparisons import Comparisons
from bandit_rlhf.reward import fit
from bandit_rlhf.reward.ensemble import anchored
from bandit_rlhf.reward.lower_bound import LowerBound, anchored_features, tabular_deviation
from bandit_rlhf.reward.model import Linear, Tabular
from bandit_rlhf.uncertainty import covariance

RNG = np.random.default_rng(0)
GOLD = RNG.normal(size=(2, 5))
LAW = RNG.dirichlet(np.ones(5), size=2)


def asked(rows: int, gold: np.ndarray = GOLD, seed: int = 1) -> Comparisons:
    rng = np.random.default_rng(seed)
    law = np.full(gold.shape, 1 / gold.shape[1])
    prompts = np.full(len(gold), 1 / len(gold))
    return compare(Person(gold), random_questions(rng, rows, prompts, law), rng)


@pytest.mark.parametrize("ridge", [0.0, 0.5])
def test_deviations_are_those_of_the_fit_s_covariance(ridge: float) -> None:
    rows, model = asked(300), Tabular(ridge=ridge)
    spread = tabular_deviation(model, rows, model(rows, RNG), LAW)
    cells = rows.by_prompt()
    found = fit(cells, ridge=ridge) if ridge else fit(rows, by_prompt=True)
    matrix = covariance(found, cells).matrix
    for prompt, string in np.ndindex(2, 5):
        contrast = np.zeros((2, 5))
        contrast[prompt] = -LAW[prompt]
        contrast[prompt, string] += 1.0
        variance = contrast.ravel() @ matrix @ contrast.ravel()
        assert spread[prompt, string] == pytest.approx(variance**0.5, rel=1e-6)


def test_unseen_strings_have_the_prior_s_deviation() -> None:
    rows = Comparisons.from_ids([0, 1] * 50, [1, 0] * 50, items=range(3))
    anchor = np.array([[0.0, 0.0, 1.0]])
    spread = tabular_deviation(Tabular(ridge=4.0), rows, np.zeros((1, 3)), anchor)
    assert spread[0, 2] == 0.0
    # the sum of 0 and 1 is told by nothing: variance (1/4)/2 of their mean, and 1/4 of the unseen
    apart = 1 / (4 + 2 * 25)  # of half the difference, times two: H = ridge + 2 * 100 p (1 - p)
    assert spread[0, 0] ** 2 == pytest.approx(0.125 + apart / 2 + 0.25, rel=1e-12)


def test_the_posterior_is_calibrated_under_the_prior() -> None:
    """Truths drawn from the prior: squared standardised errors average one, within 4 errors."""
    ridge, squares = 1.0, []
    for seed in range(80):
        truth = np.random.default_rng(10_000 + seed).normal(size=(1, 4)) / np.sqrt(ridge)
        rows, model = asked(60, truth, seed), Tabular(ridge=ridge)
        table, anchor = model(rows, RNG), np.full((1, 4), 0.25)
        error = anchored(table[None], anchor)[0] - anchored(truth[None], anchor)[0]
        squares.append(float((error / tabular_deviation(model, rows, table, anchor))[0, 0] ** 2))
    assert abs(np.mean(squares) - 1) < 4 * np.sqrt(2 / 80)


def test_dropped_ties_teach_nothing() -> None:
    rows = Comparisons.from_ids([0, 0, 1], [1, 1, 0], tie=[True, False, False])
    anchor, flat = np.array([[0.0, 1.0]]), np.zeros((1, 2))
    spreads = [
        tabular_deviation(Tabular(1e-9, ties=ties), rows, flat, anchor)[0, 0] ** -2
        for ties in ("half", "drop")
    ]
    np.testing.assert_allclose(spreads, [3 / 4, 2 / 4], rtol=1e-6)


def test_bounds_are_scores_less_deviations() -> None:
    rows, rng = asked(200), np.random.default_rng(0)
    model = Tabular(ridge=0.5)
    table = model(rows, rng)
    expected = anchored(table[None], LAW)[0] - 2.0 * tabular_deviation(model, rows, table, LAW)
    np.testing.assert_allclose(LowerBound(model, 2.0, LAW)(rows, rng), expected, atol=1e-12)


def test_a_linear_model_that_tells_all_strings_is_the_tabular_one() -> None:
    """Unit vectors as features: two derivations of the same posterior."""
    rows, rng = asked(200), np.random.default_rng(0)
    units = np.eye(10).reshape(2, 5, 10)
    linear = LowerBound(Linear(units, ridge=0.5), 1.5, LAW)(rows, rng)
    tabular = LowerBound(Tabular(ridge=0.5), 1.5, LAW)(rows, rng)
    np.testing.assert_allclose(linear, tabular, rtol=0, atol=1e-7)


def test_anchored_features_have_mean_zero() -> None:
    features = RNG.normal(size=(2, 5, 3))
    centred = anchored_features(features, LAW)
    np.testing.assert_allclose(np.einsum("xy,xyf->xf", LAW, centred), 0.0, atol=1e-14)
    np.testing.assert_allclose(np.diff(centred, axis=1), np.diff(features, axis=1), atol=1e-14)


def test_bad_input() -> None:
    rows, rng = asked(50), np.random.default_rng(0)
    with pytest.raises(ValueError, match="k is -1"):
        LowerBound(Tabular(), -1.0, LAW)
    with pytest.raises((ValueError, TypeCheckError), match="anchor"):
        LowerBound(Tabular(), 1.0, LAW[:, :4] / LAW[:, :4].sum(axis=1, keepdims=True))(rows, rng)
    with pytest.raises(ValueError, match="sums to"):
        LowerBound(Tabular(), 1.0, LAW / 2)(rows, rng)
