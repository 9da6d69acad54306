"""k1, k2, k3: means and mean gradients by sums over all draws, in numpy and through autograd."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bandit_rlhf import divergence

LOGITS = torch.tensor([0.3, -1.1, 0.8, 0.1], dtype=torch.float64)
REFERENCE = torch.log_softmax(torch.tensor([-0.2, 0.9, 0.4, -0.6], dtype=torch.float64), 0)
ESTIMATES = [divergence.k1, divergence.k2, divergence.k3, divergence.k3_clamped]

gaps = st.floats(-15, 15)


def row(values: list[float]) -> np.ndarray:
    return np.array([values])


def forward_kl(log_prob: torch.Tensor) -> torch.Tensor:
    return (log_prob.exp() * (log_prob - REFERENCE)).sum()


def reverse_kl(log_prob: torch.Tensor) -> torch.Tensor:
    return (REFERENCE.exp() * (REFERENCE - log_prob)).sum()


def slope(value: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """The gradient in the logits of a function of the policy's log-probabilities."""
    logits = LOGITS.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(value(torch.log_softmax(logits, 0)), logits)
    return gradient


def as_loss(estimate: Callable) -> torch.Tensor:
    """E_pi[grad k], the draws' probabilities held fixed."""
    law = torch.softmax(LOGITS, 0)
    return slope(lambda log_prob: (law * estimate(log_prob[None], REFERENCE[None])[0]).sum())


def as_reward(estimate: Callable) -> torch.Tensor:
    """E_pi[k grad ln pi], the estimate held fixed."""
    log_pi = torch.log_softmax(LOGITS, 0)
    fixed = log_pi.exp() * estimate(log_pi[None], REFERENCE[None])[0]
    return slope(lambda log_prob: (fixed * log_prob).sum())


def mean_value(estimate: Callable) -> float:
    log_pi = torch.log_softmax(LOGITS, 0)
    return float((log_pi.exp() * estimate(log_pi[None], REFERENCE[None])[0]).sum())


def test_means_are_kl_but_for_k2() -> None:
    log_pi = torch.log_softmax(LOGITS, 0)
    kl, reverse = float(forward_kl(log_pi)), float(reverse_kl(log_pi))
    assert abs(kl - reverse) > 0.01  # control: the two directions can be told apart
    assert mean_value(divergence.k1) == pytest.approx(kl, abs=1e-14)
    assert mean_value(divergence.k3) == pytest.approx(kl, abs=1e-14)
    assert abs(mean_value(divergence.k2) - kl) > 0.01


def test_the_table_of_gradients() -> None:
    """Theorem 18: which estimate teaches what, as a loss and as a detached reward."""
    kl, reverse = slope(forward_kl), slope(reverse_kl)
    assert (kl - reverse).abs().max() > 0.05
    torch.testing.assert_close(as_loss(divergence.k1), torch.zeros(4, dtype=torch.float64))
    torch.testing.assert_close(as_loss(divergence.k2), kl)
    torch.testing.assert_close(as_loss(divergence.k3), reverse)
    torch.testing.assert_close(as_reward(divergence.k1), kl)
    for other in (divergence.k2, divergence.k3):
        assert (as_reward(other) - kl).abs().max() > 0.05


@given(st.lists(gaps, min_size=1, max_size=6))
def test_k3_is_never_negative_and_k2_agrees_near_zero(log_ratio: list[float]) -> None:
    x = row(log_ratio)
    assert (divergence.k3(x * 0, x) >= 0).all()
    small = x / 1e4
    third = np.abs(small) ** 3 * np.exp(np.abs(small)) / 6 + 1e-18
    distance = np.abs(divergence.k3(small * 0, small) - divergence.k2(small * 0, small))
    assert (distance <= third).all()  # Taylor's remainder


def test_k3_keeps_its_digits_near_zero() -> None:
    """e^x - 1 - x at x = 1e-6 is x^2/2 (1 + x/3), which the plain difference loses."""
    x = 1e-6
    got = divergence.k3(np.zeros((1, 1)), row([x]))[0, 0]
    exact = x**2 / 2 * (1 + x / 3)
    assert got == pytest.approx(exact, rel=1e-9)
    assert abs((np.exp(x) - 1.0 - x) / exact - 1) > 1e-6


def test_clamped_cuts_values_and_their_gradients() -> None:
    log_prob = torch.tensor([[-0.5, -3.0, -60.0]], dtype=torch.float64, requires_grad=True)
    reference = torch.full((1, 3), -0.5, dtype=torch.float64)
    got = divergence.k3_clamped(log_prob, reference, high=5.0)
    assert got.tolist()[0] == [0.0, 5.0, 5.0]
    (gradient,) = torch.autograd.grad(got.sum(), log_prob)
    assert gradient.tolist() == [[0.0, 0.0, 0.0]]
    assert divergence.k3(log_prob.detach(), reference)[0, 1] > 5  # control: above the band
    inside = divergence.k3_clamped(row([-1.0]), row([-1.5]))
    assert inside == divergence.k3(row([-1.0]), row([-1.5]))


def test_a_huge_log_ratio_is_finite_where_clamped() -> None:
    assert np.isfinite(divergence.k3_clamped(row([-1e4, -1.0]), row([-1.0, -1e4]))).all()
    log_prob = torch.tensor([[-1e4, -1.0]], requires_grad=True)
    got = divergence.k3_clamped(log_prob, torch.tensor([[-1.0, -1e4]]))
    (gradient,) = torch.autograd.grad(got.sum(), log_prob)
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("estimate", ESTIMATES)
def test_numpy_and_torch_agree_keep_float32_and_leave_arguments(estimate: Callable) -> None:
    generator = np.random.default_rng(3)
    log_prob, reference = (-generator.exponential(size=(2, 3)) for _ in range(2))
    before = log_prob.copy(), reference.copy()
    got = estimate(log_prob, reference)
    by_torch = estimate(torch.from_numpy(log_prob), torch.from_numpy(reference)).numpy()
    np.testing.assert_allclose(by_torch, got, rtol=1e-13)
    np.testing.assert_array_equal((log_prob, reference), before)
    half = log_prob.astype(np.float32), reference.astype(np.float32)
    assert estimate(*half).dtype == np.float32
    assert estimate(*map(torch.from_numpy, half)).dtype == torch.float32


@pytest.mark.parametrize("estimate", ESTIMATES)
def test_shapes_must_agree(estimate: Callable) -> None:
    message = r"^ref_log_prob has shape \(1, 1\), but should be \(1, 2\), as log_prob has"
    with pytest.raises(ValueError, match=message):
        estimate(np.zeros((1, 2)), np.zeros((1, 1)))


def test_errors_of_bands() -> None:
    with pytest.raises(ValueError, match=r"^low, high = 1\.0, 1\.0, but should be low < high"):
        divergence.clamped(np.zeros(1), 1.0, 1.0)
    with pytest.raises(ValueError, match=r"^largest_gap is 0, but should be above 0"):
        divergence.k3_clamped(row([0.0]), row([0.0]), largest_gap=0.0)
    with pytest.raises(ValueError, match=r"^low, high = 0\.0, -1\.0"):
        divergence.k3_clamped(row([0.0]), row([0.0]), high=-1.0)
