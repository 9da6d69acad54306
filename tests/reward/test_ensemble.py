"""Aggregations by their definitions, theorem 21, what members learn from, and bad input."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from jaxtyping import TypeCheckError
from scipy import stats

from bandit_rlhf.annotator import Person, compare, random_questions
from bandit_rlhf.comparisons import Comparisons
from bandit_rlhf.reward import fit
from bandit_rlhf.reward.ensemble import (
    Ensemble,
    EnsembleReward,
    WeightAverage,
    anchored,
    fit_members,
    gaussian_lower_bound,
    lower_confidence_bound,
    mean,
    mean_minus_variance,
    samples,
    weight_average,
    worst_case,
)
from bandit_rlhf.reward.model import Linear, Tabular
from bandit_rlhf.uncertainty import covariance

RNG = np.random.default_rng(0)
GOLD = RNG.normal(size=(2, 5))
FEATURES = RNG.normal(size=(2, 5, 3))
LAW = RNG.dirichlet(np.ones(5), size=2)
AGGREGATIONS = (
    mean,
    worst_case,
    partial(mean_minus_variance, lam=0.5),
    partial(lower_confidence_bound, k=1.0),
)

members = arrays(
    np.float64, st.tuples(st.integers(1, 4), st.just(2), st.just(3)), elements=st.floats(-5, 5)
)


def asked(rows: int, seed: int = 1) -> Comparisons:
    rng = np.random.default_rng(seed)
    law = np.full((2, 5), 0.2)
    return compare(Person(GOLD), random_questions(rng, rows, [0.5, 0.5], law), rng)


# Aggregations


@settings(max_examples=30)
@given(scores=members)
def test_aggregations_are_their_definitions(scores: np.ndarray) -> None:
    k = len(scores)
    for prompt, string in np.ndindex(scores.shape[1:]):
        own = [float(s) for s in scores[:, prompt, string]]
        centre = sum(own) / k
        variance = sum((s - centre) ** 2 for s in own) / k
        for got, expected in (
            (mean(scores), centre),
            (worst_case(scores), sorted(own)[0]),
            (mean_minus_variance(scores, 0.5), centre - 0.5 * variance),
            (lower_confidence_bound(scores, 2.0), centre - 2.0 * variance**0.5),
        ):
            assert got[prompt, string] == pytest.approx(expected, abs=1e-7)


@settings(max_examples=30)
@given(scores=members)
def test_no_aggregation_is_above_the_mean(scores: np.ndarray) -> None:
    for aggregate in AGGREGATIONS[1:]:
        assert (aggregate(scores) <= mean(scores) + 1e-12).all()


@pytest.mark.parametrize("aggregate", AGGREGATIONS)
def test_one_member_alone_is_its_own_aggregate(aggregate) -> None:
    np.testing.assert_allclose(aggregate(GOLD[None]), GOLD, atol=1e-14)


def test_anchoring_removes_what_no_comparison_tells() -> None:
    """A constant added to one member of one prompt changes minima, but not anchored ones."""
    scores = RNG.normal(size=(3, 2, 5))
    moved = scores.copy()
    moved[1, 0] += 7.0
    np.testing.assert_allclose(anchored(scores, LAW), anchored(moved, LAW), atol=1e-12)
    np.testing.assert_allclose((anchored(scores, LAW) * LAW).sum(axis=-1), 0.0, atol=1e-12)
    gaps = [worst_case(one)[0] - worst_case(one)[0, :1] for one in (scores, moved)]
    assert np.abs(gaps[0] - gaps[1]).max() > 0.1, "the control: it matters without"


@settings(max_examples=30)
@given(
    weights=arrays(np.float64, (4, 3), elements=st.floats(-3, 3)),
    phi=arrays(np.float64, (2, 5, 3), elements=st.floats(-3, 3)),
)
def test_weight_averaging_is_the_mean_ensemble(weights: np.ndarray, phi: np.ndarray) -> None:
    """Theorem 21; for a reward that is not linear in its weights it fails."""
    expected = mean(np.stack([phi @ theta for theta in weights]))
    np.testing.assert_allclose(weight_average(weights, phi), expected, rtol=0, atol=1e-12)


def test_weight_averaging_needs_linearity() -> None:
    weights = RNG.normal(size=(4, 3))
    bent = [np.tanh(FEATURES @ theta) for theta in weights]
    assert np.abs(np.tanh(weight_average(weights, FEATURES)) - mean(np.stack(bent))).max() > 0.05


# A fit's own lower bound


def test_gaussian_lower_bound_of_a_tabular_fit() -> None:
    """The standard error of a score less the anchor's mean, contrast by contrast."""
    rows = asked(400)
    one = rows.select(np.asarray(rows.prompt) == 0)
    found = fit(one)
    matrix = covariance(found, one).matrix
    design = np.eye(5) - LAW[0]
    score = found.scores - LAW[0] @ found.scores
    bound = gaussian_lower_bound(score, matrix, 1.5, design)
    for item in range(5):
        contrast = np.eye(5)[item] - LAW[0]
        variance = sum(contrast[i] * contrast[j] * matrix[i, j] for i in range(5) for j in range(5))
        assert bound[item] == pytest.approx(score[item] - 1.5 * variance**0.5, rel=1e-10)


def test_gaussian_lower_bound_covers() -> None:
    """At k = 1.645 about 95 % of bounds lie below the truth of a linear reward, over surveys."""
    truth = np.array([1.0, -0.5, 0.3])
    crowd, below, total = Person(FEATURES @ truth), 0, 0
    design = FEATURES - (LAW[:, :, None] * FEATURES).sum(axis=1, keepdims=True)
    for seed in range(25):
        rng = np.random.default_rng(seed)
        questions = random_questions(rng, 500, [0.5, 0.5], np.full((2, 5), 0.2))
        rows, model = compare(crowd, questions, rng), Linear(FEATURES, ridge=1e-9)
        theta = model.coefficients(rows)
        bound = gaussian_lower_bound(design @ theta, model.covariance(rows, theta), 1.645, design)
        below += int(bound[0, 0] <= (design @ truth)[0, 0])
        total += 1
    assert stats.binomtest(below, total, 0.95).pvalue > 1e-3
    assert stats.binomtest(total // 2, total, 0.95).pvalue < 1e-3


def test_gaussian_lower_bound_refuses_what_is_no_covariance() -> None:
    with pytest.raises(ValueError, match="a variance is -1"):
        gaussian_lower_bound([0.0, 0.0], [[-1.0, 0.0], [0.0, 1.0]], 1.0)
    with pytest.raises(ValueError, match="design has shape"):
        gaussian_lower_bound([0.0, 0.0], np.eye(2), 1.0, np.eye(3))


# Members


def test_shared_data_with_priors_of_their_own() -> None:
    """Members differ where data are few, agree where they are many; each is a mode by itself."""
    spreads = []
    for rows in (10, 100_000):
        ensemble = fit_members(asked(rows), Tabular(ridge=1.0), 8, np.random.default_rng(2))
        spreads.append(anchored(ensemble.scores, LAW).std(axis=0).mean())
    assert spreads[0] > 20 * spreads[1]
    rng = np.random.default_rng(2)
    first = Tabular(1.0, rng.standard_normal((2, 5)))(asked(10), rng)
    again = fit_members(asked(10), Tabular(ridge=1.0), 8, np.random.default_rng(2))
    np.testing.assert_allclose(again.scores[0], first, atol=1e-9)


def test_linear_members_keep_their_coefficients() -> None:
    ensemble = fit_members(asked(50), Linear(FEATURES, 0.5), 6, np.random.default_rng(3))
    assert ensemble.coefficients is not None
    assert ensemble.member_count == 6
    np.testing.assert_allclose(
        weight_average(ensemble.coefficients, FEATURES), mean(ensemble.scores), atol=1e-12
    )
    assert ensemble.scores.std(axis=0).min() > 1e-3


def test_unseen_strings_keep_the_prior_s_spread() -> None:
    """120 members, one string never compared: the variance of its score is 1/ridge."""
    rows = Comparisons.from_ids([0, 1], [1, 0], items=range(3))
    scores = fit_members(rows, Tabular(ridge=4.0), 120, np.random.default_rng(4)).scores
    statistic = 4.0 * (scores[:, 0, 2] ** 2).sum()
    assert abs(statistic - 120) < 4 * np.sqrt(2 * 120)


def test_private_parts_are_a_partition() -> None:
    rows = asked(31)
    tagged = Comparisons(
        rows.winner, rows.loser, rows.items, weight=np.arange(1.0, 32.0), prompts=range(2)
    )
    parts = samples(tagged, 4, np.random.default_rng(5), "private")
    weights = np.concatenate([part.weight for part in parts if part.weight is not None])
    assert sorted(weights.tolist()) == list(range(1, 32))
    assert {part.row_count for part in parts} == {7, 8}
    assert not np.array_equal(weights, np.arange(1.0, 32.0)), "not shuffled"


def test_bootstrap_members_spread_like_the_estimator() -> None:
    """The resampling variance of a linear fit is its sampling variance, within a factor."""
    rows, model = asked(800), Linear(FEATURES, ridge=1e-6)
    ensemble = fit_members(rows, model, 40, np.random.default_rng(6), source="bootstrap")
    assert ensemble.coefficients is not None
    expected = np.diag(model.covariance(rows, model.coefficients(rows)))
    ratio = ensemble.coefficients.var(axis=0, ddof=1) / expected
    assert ((ratio > 0.5) & (ratio < 2.0)).all()


def test_an_ensemble_is_a_reward_model() -> None:
    rows, rng = asked(40), np.random.default_rng(7)
    model = EnsembleReward(Tabular(ridge=1.0), 5, worst_case, LAW)
    found = model(rows, np.random.default_rng(7))
    scores = fit_members(rows, Tabular(ridge=1.0), 5, rng).scores
    np.testing.assert_array_equal(found, worst_case(anchored(scores, LAW)))


def test_weight_averages_are_reward_models_too() -> None:
    """The same draws give the mean ensemble, up to the constants that anchoring removes."""
    rows, model = asked(40), Linear(FEATURES, ridge=1.0)
    averaged = WeightAverage(model, 5)(rows, np.random.default_rng(8))
    ensemble = EnsembleReward(model, 5, mean, LAW)(rows, np.random.default_rng(8))
    np.testing.assert_allclose(anchored(averaged[None], LAW)[0], ensemble, atol=1e-12)


# Bad input


@pytest.mark.parametrize("aggregate", AGGREGATIONS)
def test_empty_ensembles(aggregate) -> None:
    with pytest.raises(ValueError, match=r"shape \(0, 2, 5\).*An ensemble has one member or more"):
        aggregate(np.zeros((0, 2, 5)))
    with pytest.raises(ValueError, match=r"scores have shape \(3,\)"):
        aggregate(np.zeros(3))


@pytest.mark.parametrize("aggregate", AGGREGATIONS)
def test_members_with_nan(aggregate) -> None:
    scores = np.zeros((3, 2, 5))
    scores[1, 0, 4] = np.nan
    with pytest.raises(ValueError, match="the score of member 1, prompt 0, string 4 is nan"):
        aggregate(scores)
    with pytest.raises(ValueError, match="the score of member 2, string 1 is inf"):
        aggregate([[0.0, 0.0], [0.0, 0.0], [0.0, np.inf]])


def test_members_of_different_shapes() -> None:
    with pytest.raises(ValueError, match=r"members have shapes \[\(2,\), \(3,\)\]"):
        mean([np.zeros(2), np.zeros(3)])
    with pytest.raises((ValueError, TypeCheckError), match="coefficients"):
        Ensemble(np.zeros((3, 1, 2)), np.zeros((2, 4)))
    with pytest.raises(ValueError, match="features has 2 entries"):
        weight_average(np.zeros((2, 3)), np.zeros((5, 2)))
    with pytest.raises(ValueError, match="law has shape"):
        anchored(np.zeros((2, 2, 5)), LAW[:1])


def test_members_that_cannot_be_fitted() -> None:
    rows, rng = asked(3), np.random.default_rng(0)
    with pytest.raises(ValueError, match="members is 0"):
        fit_members(rows, Tabular(), 0, rng)
    with pytest.raises(ValueError, match="3 rows for 4 members"):
        fit_members(rows, Tabular(), 4, rng, source="private")
    with pytest.raises(ValueError, match="prior_scale is 1 and ridge is 0"):
        fit_members(rows, Tabular(ridge=0.0), 2, rng, prior_scale=1.0)
    with pytest.raises(ValueError, match="lam is -1"):
        mean_minus_variance(GOLD[None], -1.0)
    with pytest.raises(ValueError, match="k is -1"):
        lower_confidence_bound(GOLD[None], -1.0)
