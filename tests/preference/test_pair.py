"""Laws P1-P8 of pairwise choice models, their derivatives, and torch's autograd through them."""

from collections.abc import Callable
from functools import partial

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bandit_rlhf import preference as models

DIFFERENCES = np.array([-40.0, -3.0, -0.5, 0.0, 1e-9, 0.7, 2.0, 40.0])

PAIR_MODELS: dict[str, tuple[Callable, Callable]] = {
    "bradley_terry": (models.bradley_terry, models.bradley_terry_score),
    "thurstone": (models.thurstone, models.thurstone_score),
    "rao_kupper": (
        lambda d: models.rao_kupper(d, 0.0 * d + 0.3),
        lambda d: models.rao_kupper_score(d, 0.0 * d + 0.3),
    ),
    "davidson": (
        lambda d: models.davidson(d, 0.0 * d - 0.4),
        lambda d: models.davidson_score(d, 0.0 * d - 0.4),
    ),
}

each_model = pytest.mark.parametrize(
    ("log_prob", "score"), PAIR_MODELS.values(), ids=PAIR_MODELS.keys()
)


@each_model
def test_three_outcomes_sum_to_one(log_prob: Callable, score: Callable) -> None:
    outcomes = log_prob(DIFFERENCES)
    np.testing.assert_allclose(sum(np.exp(x) for x in outcomes), 1.0, atol=1e-15)


@each_model
def test_swapping_the_items_swaps_win_and_loss(log_prob: Callable, score: Callable) -> None:
    here, there = log_prob(DIFFERENCES), log_prob(-DIFFERENCES)
    np.testing.assert_allclose(here.win, there.loss, rtol=1e-15)
    np.testing.assert_allclose(here.tie, there.tie, rtol=1e-15)


@each_model
def test_equal_rewards_win_equally(log_prob: Callable, score: Callable) -> None:
    outcomes = log_prob(np.zeros(1))
    assert outcomes.win == outcomes.loss


@given(st.floats(-8, 8), st.floats(-8, 8))
def test_bradley_terry_logits_add_along_a_chain(first: float, second: float) -> None:
    def logit(difference: float) -> float:
        outcomes = models.bradley_terry(np.asarray(difference))
        return float(outcomes.win - outcomes.loss)

    assert logit(first) + logit(second) == pytest.approx(logit(first + second), abs=1e-12)


@given(st.floats(-6, 6), st.floats(-5, 5))
def test_davidson_odds_do_not_depend_on_ties(difference: float, log_prevalence: float) -> None:
    outcomes = models.davidson(np.asarray(difference), np.asarray(log_prevalence))
    assert float(outcomes.win - outcomes.loss) == pytest.approx(difference, abs=1e-12)


def test_without_ties_both_tie_models_are_bradley_terry() -> None:
    bare = models.bradley_terry(DIFFERENCES)
    for outcomes in (
        models.rao_kupper(DIFFERENCES, np.zeros(1)),
        models.davidson(DIFFERENCES, np.asarray([-np.inf])),
    ):
        np.testing.assert_allclose(outcomes.win, bare.win, rtol=1e-14)
        np.testing.assert_array_equal(outcomes.tie, -np.inf)


def test_rao_kupper_s_tie_is_what_win_and_loss_leave() -> None:
    """Exactly, in 50 digits: the product form loses nothing to cancellation."""
    with mpmath.workdps(50):
        for difference in (-3.0, 0.0, 5.0):
            for threshold in (1e-6, 0.3, 20.0):
                d, eta = mpmath.mpf(difference), mpmath.mpf(threshold)
                rest = 1 - 1 / (1 + mpmath.exp(eta - d)) - 1 / (1 + mpmath.exp(eta + d))
                got = models.rao_kupper(np.asarray(difference), np.asarray(threshold)).tie
                assert float(got) == pytest.approx(float(mpmath.log(rest)), rel=1e-12)


def test_thurstone_is_exact_in_both_tails() -> None:
    with mpmath.workdps(50):
        for difference in (-35.0, -8.0, 0.3, 8.0):
            exact = mpmath.log(mpmath.ncdf(difference))
            got = models.thurstone(np.asarray(difference)).win
            assert float(got) == pytest.approx(float(exact), rel=1e-13)


@each_model
def test_scores_are_derivatives(log_prob: Callable, score: Callable) -> None:
    at, step = np.array([-6.0, -0.5, 0.0, 0.7, 5.0]), 1e-6
    above, below, scores = log_prob(at + step), log_prob(at - step), score(at)
    for up, down, slope in zip(above, below, scores, strict=True):
        if np.isfinite(up).all():
            np.testing.assert_allclose(slope, (up - down) / (2 * step), atol=1e-8)


@each_model
def test_scores_average_to_zero(log_prob: Callable, score: Callable) -> None:
    at = np.array([-6.0, -0.5, 0.0, 0.7, 5.0])
    mean = sum(np.exp(x) * s for x, s in zip(log_prob(at), score(at), strict=True))
    np.testing.assert_allclose(mean, 0.0, atol=1e-14)


@each_model
def test_torch_agrees_and_autograd_flows(log_prob: Callable, score: Callable) -> None:
    at = torch.tensor([-30.0, -0.5, 0.0, 0.7, 30.0], dtype=torch.float64, requires_grad=True)
    outcome = torch.tensor([1, -1, 1, 1, -1])
    loss = -models.select(log_prob(at), outcome).sum()
    (gradient,) = torch.autograd.grad(loss, at)
    numpy_at = at.detach().numpy()
    expected = models.select(log_prob(numpy_at), outcome.numpy()).sum()
    assert float(loss.detach()) == pytest.approx(-float(expected), rel=1e-12)
    slope = models.select(score(numpy_at), outcome.numpy())
    np.testing.assert_allclose(gradient.numpy(), -slope, atol=1e-12)


def test_autograd_reaches_tie_parameters_and_margins() -> None:
    threshold = torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
    reward = torch.tensor([0.2, -0.1], dtype=torch.float64, requires_grad=True)
    margin = 0.5
    outcomes = models.rao_kupper(reward[:1] - reward[1:] - margin, threshold)
    (outcomes.tie.sum()).backward()
    shifted = models.rao_kupper_score(np.asarray([0.3 - margin]), np.asarray(0.4))
    assert reward.grad is not None
    np.testing.assert_allclose(reward.grad.numpy(), [shifted.tie[0], -shifted.tie[0]], atol=1e-14)
    step = 1e-6
    tie = partial(models.rao_kupper, np.asarray(0.3 - margin))
    slope = (tie(np.asarray(0.4 + step)).tie - tie(np.asarray(0.4 - step)).tie) / (2 * step)
    assert threshold.grad is not None
    assert float(threshold.grad) == pytest.approx(float(slope), abs=1e-8)


def test_draws_follow_the_law() -> None:
    """400,000 draws: five standard errors leave a false alarm of 6e-7 an outcome."""
    outcomes = models.davidson(np.full(400_000, 0.8), np.asarray(-0.2))
    drawn = models.sample_outcome(outcomes, np.random.default_rng(1))
    for value, log_prob in ((1, outcomes.win), (0, outcomes.tie), (-1, outcomes.loss)):
        p = float(np.exp(log_prob[0]))
        assert abs((drawn == value).mean() - p) < 5 * np.sqrt(p * (1 - p) / len(drawn))


def test_a_list_is_no_array() -> None:
    with pytest.raises(TypeError):
        models.thurstone([0.0])
