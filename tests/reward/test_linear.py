"""Linear rewards: features of items, against regressions on differences of features."""

import numpy as np
import pytest
import statsmodels.api as sm

from bandit_rlhf.comparison_graph import NoFiniteMaximum
from bandit_rlhf.comparisons import Comparisons
from bandit_rlhf.preference import davidson
from bandit_rlhf.reward import fit, fit_linear
from tests.comparison_worlds import simulated

RNG_SEED = 3


@pytest.mark.parametrize("items", [12, 400])  # dense and sparse curvature
@pytest.mark.parametrize("model", ["bradley-terry", "thurstone"])
def test_it_is_a_regression_on_differences(items: int, model: str) -> None:
    rng = np.random.default_rng(RNG_SEED)
    features = rng.normal(size=(items, 3))
    rows = simulated(features @ [1.0, -0.5, 0.2], 3000, rng)
    gaps = features[rows.winner] - features[rows.loser]
    sign = np.where(rng.random(3000) < 0.5, 1.0, -1.0)[:, None]  # both outcomes must occur
    link = sm.families.links.Probit() if model == "thurstone" else sm.families.links.Logit()
    theirs = sm.GLM((sign[:, 0] > 0).astype(float), sign * gaps, sm.families.Binomial(link))
    expected = theirs.fit(tol=1e-13)
    found = fit_linear(rows, features, model, tolerance=1e-11)
    np.testing.assert_allclose(found.coefficients, expected.params, atol=1e-8)
    np.testing.assert_allclose(found.scores, features @ expected.params, atol=1e-7)
    assert found.log_likelihood == pytest.approx(expected.llf, abs=1e-7)


def test_indicators_of_items_give_the_unstructured_fit() -> None:
    rows = simulated(np.linspace(-1, 1, 6), 500, np.random.default_rng(RNG_SEED))
    found = fit_linear(rows, np.eye(6)[:, 1:], tolerance=1e-11)
    plain = fit(rows, tolerance=1e-11)
    np.testing.assert_allclose(found.scores - found.scores.mean(), plain.scores, atol=1e-9)
    assert found.log_likelihood == pytest.approx(plain.log_likelihood)


def test_ties_and_covariates_go_along() -> None:
    rng = np.random.default_rng(RNG_SEED)
    law = lambda d: davidson(d, np.asarray(0.0))  # noqa: E731
    slopes = rng.integers(-1, 2, (800, 1)).astype(float)
    truth = np.linspace(-1, 1, 6)
    rows = simulated(truth, 800, rng, law, covariates=slopes)
    found = fit_linear(rows, np.eye(6)[:, 1:], "davidson", tolerance=1e-11)
    plain = fit(rows, "davidson", tolerance=1e-11)
    assert found.tie == pytest.approx(plain.tie, abs=1e-8)
    assert found.coefficients[-1] == pytest.approx(plain.coefficients[0], abs=1e-8)
    assert found.covariate_names[-1] == "length"


def test_ridge_binds_the_coefficients() -> None:
    rng = np.random.default_rng(RNG_SEED)
    features = rng.normal(size=(9, 2))
    rows = simulated(features @ [1.0, 0.0], 200, rng)
    found = fit_linear(rows, features, ridge=5.0, tolerance=1e-12)
    gaps = features[rows.winner] - features[rows.loser]
    upset = 1 / (1 + np.exp(gaps @ found.coefficients))
    np.testing.assert_allclose(gaps.T @ upset, 5.0 * found.coefficients, atol=1e-8)


def test_separable_features_are_named() -> None:
    rows = Comparisons.from_ids([0, 1, 0], [1, 2, 2])
    with pytest.raises(NoFiniteMaximum, match="'height' can separate wins"):
        fit_linear(rows, [[3.0], [2.0], [1.0]], feature_names=["height"])
    assert fit_linear(rows, [[3.0], [2.0], [1.0]], ridge=0.1).converged
    assert fit_linear(rows, [[3.0], [1.0], [2.0]]).converged  # the control


@pytest.mark.parametrize(
    ("features", "names", "message"),
    [
        ([[1.0], [1.0], [1.0]], ["flat"], "'flat' is 0 in every comparison"),
        ([[1.0, 2.0], [2.0, 4.0], [0.0, 0.0]], ["a", "b"], "'a', 'b' vary only as other"),
        ([[1.0], [2.0]], None, r"shape \(2, 1\)"),
        ([1.0, 2.0, 3.0], None, r"shape \(3,\)"),
        ([[1.0], [np.nan], [0.0]], None, r"features\[1, 0\] is nan"),
        ([[1.0], [2.0], [0.0]], ["a", "b"], "there are 2 feature names"),
    ],
)
def test_bad_features_are_named(features, names, message: str) -> None:
    rows = Comparisons.from_ids([0, 1, 2, 1, 2, 0], [1, 0, 1, 2, 0, 2])
    with pytest.raises(ValueError, match=message):
        fit_linear(rows, np.array(features), feature_names=names)


def test_scores_made_of_features_are_no_free_parameters():
    rows = Comparisons.from_ids([0, 0, 1, 2, 3, 0], [1, 1, 0, 1, 2, 3])
    found = fit_linear(rows, [[1.0, 0.0], [0.0, 1.0], [0.5, 0.2], [0.1, 0.9]])
    assert found.parameter_count == 2
    assert fit(rows, ridge=1.0).parameter_count == 3
