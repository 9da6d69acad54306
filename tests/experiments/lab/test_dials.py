import math

import numpy as np
import pytest
from scipy.optimize import minimize

from experiments.lab.dials import ERROR_SD, Dials, fit_proxy, own_errors, whitened
from experiments.lab.world import draw_world, monomials


@pytest.fixture(scope="module")
def world():
    return draw_world(seed=1, horizon=4)


def test_without_a_dial_turned_the_proxy_is_the_gold_reward(world):
    assert np.abs(fit_proxy(world, Dials(), seed=0).error).max() < 1e-6


@pytest.mark.parametrize("degree", [1, 2])
def test_the_population_fit_maximises_the_expected_log_likelihood(world, degree):
    """A second derivation: a general optimiser on the sum over all pairs of bags."""
    dials = Dials(misspecification=0.6, coverage=1.5)
    proxy = fit_proxy(world, dials, seed=0, degree=degree)
    features, gold = monomials(world.counts, degree), world.gold(0.6)[0]
    features = whitened(features, world.on_bags(world.law)[0])
    law = world.on_bags(proxy.asked)[0]
    weight = np.outer(law, law)
    wins = weight / (1 + np.exp(gold[None, :] - gold[:, None]))

    def loss(theta):
        scores = features @ theta
        lead = scores[:, None] - scores[None, :]
        value = (wins * np.logaddexp(0, -lead)).sum()
        pull = wins / (1 + np.exp(lead))
        return value, -features.T @ (pull.sum(axis=1) - pull.sum(axis=0))

    best = minimize(loss, np.zeros(features.shape[1]), jac=True, tol=1e-14, method="BFGS")
    slope = loss(np.linalg.lstsq(features, proxy.fitted[0][first_of(world)], rcond=None)[0])[1]
    assert np.abs(slope).max() < 1e-6
    fitted = proxy.fitted[0][first_of(world)]
    np.testing.assert_allclose(
        fitted - fitted[0], features @ best.x - features[0] @ best.x, atol=2e-3
    )


def first_of(world):
    """One string of each bag."""
    return np.array([np.argmax(world.bag == bag) for bag in range(len(world.counts))])


def test_estimation_errors_shrink_with_comparisons_like_one_over_root_n(world):
    def error(n):
        sizes = [fit_proxy(world, Dials(estimation=n), seed).error for seed in range(8)]
        return np.sqrt(np.mean([(world.law * e**2).sum(axis=1).mean() for e in sizes]))

    few, many = error(400), error(40_000)
    assert 5 < few / many < 20  # ten, but for noise and the prior
    assert many < 0.05


def test_coverage_alone_does_not_hurt_a_class_that_holds_the_truth(world):
    assert np.abs(fit_proxy(world, Dials(coverage=2.0), seed=0).error).max() < 1e-6
    wrong = [fit_proxy(world, Dials(0.5, coverage=c), 0).error for c in (1.0, 2.0)]
    assert np.abs(wrong[0] - wrong[1]).max() > 0.01  # control: with a class that does not, it does


def test_coverage_is_the_exponent_of_the_law_asked_about(world):
    asked = fit_proxy(world, Dials(coverage=2.0), seed=0).asked
    expected = world.law**2 / (world.law**2).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(asked, expected, atol=1e-14)
    even = fit_proxy(world, Dials(coverage=0.0), seed=0).asked
    np.testing.assert_allclose(even, 1 / world.language.string_count)


def test_own_errors_have_the_stated_size_and_heavier_tails_for_fewer_degrees(world):
    rng = np.random.default_rng(0)
    gauss, heavy = (own_errors(world, degrees, rng) for degrees in (math.inf, 1.0))
    for errors in (gauss, heavy):
        np.testing.assert_allclose((world.law * errors).sum(axis=1), 0, atol=1e-12)
        np.testing.assert_allclose(np.sqrt((world.law * errors**2).sum(axis=1)), ERROR_SD)
    assert np.abs(heavy).max() > 3 * np.abs(gauss).max()
    assert not own_errors(world, 0.0, rng).any()


def test_whitened_features_have_identity_covariance(world):
    law = world.on_bags(world.law)[0]
    seen = whitened(monomials(world.counts, 2), law)
    np.testing.assert_allclose(law @ seen, 0, atol=1e-10)
    np.testing.assert_allclose(seen.T @ (law[:, None] * seen), np.eye(14), atol=1e-8)


def test_the_learner_sees_winners_alone(world):
    """Equal comparisons give equal fits, whatever the gold reward that they came from."""
    proxy = fit_proxy(world, Dials(estimation=200), seed=5)
    assert sum(table.row_count for table in proxy.comparisons) == 200
    again = fit_proxy(world, Dials(estimation=200), seed=5)
    np.testing.assert_array_equal(proxy.reward, again.reward)
    other = fit_proxy(world, Dials(estimation=200), seed=6)
    assert not np.allclose(proxy.reward, other.reward)


@pytest.mark.parametrize(
    "wrong",
    [{"misspecification": 1.5}, {"estimation": 0}, {"coverage": -1.0}, {"tail": math.nan}],
)
def test_a_dial_out_of_range_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Dials(**wrong)
