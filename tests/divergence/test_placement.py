"""KL in the reward and in the loss, the controller, and what it is fed."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from bandit_rlhf import divergence
from bandit_rlhf.divergence import AdaptiveKL

NAN = float("nan")
MASK = np.array([[True, True, False], [True, False, False]])


def padded(*real: float) -> np.ndarray:
    """Three tokens in two strings, NaN at pads."""
    table = np.full((2, 3), NAN)
    table[MASK] = real
    return table


REWARDS, LOG_PROB, REFERENCE = padded(0.0, 2.0, 1.0), padded(-1.0, -0.5, -2.0), padded(-3, -1, -1)


def test_the_reward_loses_beta_times_the_log_ratio() -> None:
    got = divergence.kl_in_reward(REWARDS, LOG_PROB, REFERENCE, MASK, beta=0.5)
    assert got.tolist() == [[-1.0, 1.75, 0.0], [1.5, 0.0, 0.0]]
    nothing = divergence.kl_in_reward(REWARDS, LOG_PROB, REFERENCE, MASK, beta=0.0)
    np.testing.assert_array_equal(nothing[MASK], REWARDS[MASK])


def test_policy_gradient_on_these_rewards_is_that_of_the_regularised_objective() -> None:
    """Sum over all strings of one token: E[R grad ln pi] = grad(E r - beta KL), by autograd."""
    logits = torch.tensor([0.4, -0.3, 1.0], dtype=torch.float64, requires_grad=True)
    ref = torch.log_softmax(torch.tensor([0.0, 0.7, -0.2], dtype=torch.float64), 0)
    rewards, beta = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64), 0.3
    mask = torch.ones((3, 1), dtype=torch.bool)
    log_prob = torch.log_softmax(logits, 0)
    shaped = divergence.kl_in_reward(
        rewards[:, None], log_prob[:, None], ref[:, None], mask, beta=beta
    )
    assert not shaped.requires_grad
    surrogate = (log_prob.detach().exp() * shaped[:, 0] * log_prob).sum()
    objective = (log_prob.exp() * (rewards - beta * (log_prob - ref))).sum()
    (got,) = torch.autograd.grad(surrogate, logits, retain_graph=True)
    (expected,) = torch.autograd.grad(objective, logits)
    torch.testing.assert_close(got, expected, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("estimate", [divergence.k1, divergence.k2, divergence.k3])
def test_the_loss_gains_beta_times_the_estimate(estimate: Callable) -> None:
    got = divergence.kl_in_loss(REWARDS, LOG_PROB, REFERENCE, MASK, beta=0.5, estimate=estimate)
    whole = REWARDS[0:1, :2] + 0.5 * estimate(LOG_PROB[0:1, :2], REFERENCE[0:1, :2])
    np.testing.assert_allclose(got[0:1, :2], whole, rtol=1e-15)
    assert (got[~MASK] == 0).all()


@pytest.mark.parametrize(
    "estimate",
    [divergence.k1_weighted, divergence.k3_weighted, divergence.k3_sequence_weighted],
)
def test_weighted_estimates_in_the_loss_do_not_see_pads(estimate: Callable) -> None:
    old = padded(-0.8, -0.7, -1.5)
    got = divergence.kl_in_loss(
        REWARDS, LOG_PROB, REFERENCE, MASK, old, beta=2.0, estimate=estimate
    )
    for i, length in enumerate((2, 1)):
        arrays = (x[i : i + 1, :length] for x in (LOG_PROB, REFERENCE, old))
        expected = REWARDS[i, :length] + 2.0 * estimate(*arrays)[0]
        np.testing.assert_allclose(got[i, :length], expected, rtol=1e-15)
    assert (got[~MASK] == 0).all()


def test_an_estimate_that_is_not_zero_at_the_reference_leaves_pads_at_zero() -> None:
    arrays = REWARDS, LOG_PROB, REFERENCE, MASK
    got = divergence.kl_in_loss(*arrays, beta=1.0, estimate=lambda p, q: p - q + 1)
    assert got.tolist() == [[3.0, 3.5, 0.0], [1.0, 0.0, 0.0]]


def test_gradient_flows_into_the_policy_alone_and_not_into_pads() -> None:
    log_prob, reference, old = (
        torch.from_numpy(x).clone().requires_grad_()
        for x in (LOG_PROB, REFERENCE, padded(-0.8, -0.7, -1.5))
    )
    arrays = torch.from_numpy(REWARDS), log_prob, reference, torch.from_numpy(MASK), old
    got = divergence.kl_in_loss(*arrays, beta=1.0, estimate=divergence.k3_weighted)
    leaves = log_prob, reference, old
    gradient, *others = torch.autograd.grad(got.sum(), leaves, allow_unused=True)
    assert others == [None, None]
    real = torch.from_numpy(MASK)
    assert torch.equal(gradient != 0, real)
    assert torch.isfinite(gradient).all()


def test_numpy_and_torch_agree_keep_float32_and_leave_arguments() -> None:
    places: list[Callable] = [divergence.kl_in_reward, divergence.kl_in_loss]
    for place in places:
        arrays = [x.astype(np.float32) for x in (REWARDS, LOG_PROB, REFERENCE)]
        before = [x.copy() for x in arrays]
        got = place(*arrays, MASK, beta=0.1)
        by_torch = place(*map(torch.from_numpy, arrays), torch.from_numpy(MASK), beta=0.1)
        assert got.dtype == np.float32
        assert by_torch.dtype == torch.float32
        np.testing.assert_allclose(by_torch.numpy(), got, rtol=1e-6)
        np.testing.assert_array_equal(arrays, before)


def test_mean_kl_sums_tokens_and_averages_strings() -> None:
    assert float(divergence.mean_kl(padded(1.0, 2.0, 5.0), MASK)) == 4.0


# The controller


def test_the_controller_by_hand() -> None:
    control = AdaptiveKL(target=6.0, horizon=1000.0)
    assert control(0.2, kl=6.6, strings=100) == pytest.approx(0.2 * (1 + 0.1 * 0.1), rel=1e-14)
    assert control(0.2, kl=60.0, strings=100) == pytest.approx(0.2 * (1 + 0.2 * 0.1), rel=1e-14)
    assert control(0.2, kl=0.0, strings=100) == pytest.approx(0.2 * (1 - 0.2 * 0.1), rel=1e-14)
    assert control(0.2, kl=6.0, strings=100) == 0.2


@pytest.mark.parametrize("start", [0.01, 5.0])
def test_the_controller_brings_kl_to_its_target(start: float) -> None:
    """On a bandit whose optimum has KL = 1/(2 beta^2), as a Gaussian mean shift has."""
    control, beta = AdaptiveKL(target=2.0, horizon=10.0), start
    for _ in range(1000):
        beta = control(beta, kl=1 / (2 * beta**2), strings=5)
    assert 1 / (2 * beta**2) == pytest.approx(2.0, rel=1e-9)


def test_errors_name_what_is_wrong() -> None:
    one, mask = np.ones((1, 1)), np.ones((1, 1), dtype=bool)
    control = AdaptiveKL(6.0, horizon=100.0)
    cases: list[tuple[str, Callable[[], object]]] = [
        ("^beta is -1", lambda: divergence.kl_in_reward(one, one, one, mask, beta=-1.0)),
        ("^beta is -1", lambda: divergence.kl_in_loss(one, one, one, mask, beta=-1.0)),
        (
            r"^log_prob has shape \(1, 2\)",
            lambda: divergence.kl_in_reward(one, np.ones((1, 2)), one, mask, beta=1.0),
        ),
        ("^mask has no participating token", lambda: divergence.mean_kl(one, ~mask)),
        ("^target is 0", lambda: AdaptiveKL(0.0)),
        ("^horizon is -1", lambda: AdaptiveKL(1.0, -1.0)),
        ("^beta is 0", lambda: control(0.0, 1.0)),
        ("^kl is nan, but should be finite", lambda: control(1.0, NAN)),
        ("^strings is 500, but should be within 1 to below", lambda: control(1.0, 1.0, 500)),
        ("^strings is 0", lambda: control(1.0, 1.0, 0)),
    ]
    for message, wrong in cases:
        with pytest.raises(ValueError, match=message):
            wrong()
