"""Entropy against its definition at high precision, its gradient, and the sampled estimate."""

import math

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bandit_rlhf import divergence

rows = st.lists(st.floats(-300, 300), min_size=1, max_size=6)


def by_definition(logits: list[float], temperature: float = 1.0) -> float:
    with mpmath.workdps(300):
        weights = [mpmath.exp(mpmath.mpf(x) / temperature) for x in logits]
        law = [w / mpmath.fsum(weights) for w in weights]
        return float(-mpmath.fsum(p * mpmath.log(p) for p in law))


@given(rows, st.sampled_from([0.25, 1.0, 3.0]))
def test_entropy_is_its_definition(logits: list[float], temperature: float) -> None:
    got = float(divergence.entropy(np.array(logits), temperature))
    assert got == pytest.approx(by_definition(logits, temperature), rel=1e-12, abs=1e-14)
    assert -1e-15 <= got <= math.log(len(logits)) + 1e-14


def test_closed_forms() -> None:
    assert divergence.entropy(np.zeros((2, 3, 8))).shape == (2, 3)
    np.testing.assert_allclose(divergence.entropy(np.full(8, 700.0)), math.log(8), rtol=1e-15)
    banned = np.array([0.0, -np.inf, 0.0])
    np.testing.assert_allclose(divergence.entropy(banned), math.log(2), rtol=1e-15)
    assert divergence.entropy(np.array([1e3, -1e3])) == 0.0


def test_gradient_is_minus_pi_times_ln_pi_plus_entropy() -> None:
    logits = torch.tensor([0.3, -1.2, 2.0, -math.inf], dtype=torch.float64, requires_grad=True)
    entropy = divergence.entropy(logits, 2.0)
    (gradient,) = torch.autograd.grad(entropy, logits)
    law = torch.softmax(logits.detach() / 2.0, 0)
    expected = -law * (torch.where(law > 0, law, 1.0).log() + entropy.detach()) / 2.0
    torch.testing.assert_close(gradient, expected, rtol=1e-13, atol=1e-15)


def test_surprisal_averages_to_entropy_but_its_gradient_to_nothing() -> None:
    logits = torch.tensor([0.3, -1.2, 2.0], dtype=torch.float64, requires_grad=True)
    log_prob = torch.log_softmax(logits, 0)
    law = log_prob.detach().exp()
    mean = (law * divergence.surprisal(log_prob)).sum()
    torch.testing.assert_close(mean, divergence.entropy(logits))
    (as_loss,) = torch.autograd.grad(mean, logits, retain_graph=True)
    torch.testing.assert_close(as_loss, torch.zeros(3, dtype=torch.float64))
    rewarded = (law * divergence.surprisal(log_prob).detach() * log_prob).sum()
    (as_reward,) = torch.autograd.grad(rewarded, logits)
    (slope,) = torch.autograd.grad(divergence.entropy(logits), logits)
    torch.testing.assert_close(as_reward, slope)


def test_numpy_and_torch_agree_keep_float32_and_leave_arguments() -> None:
    logits = np.random.default_rng(1).normal(size=(2, 3, 5)).astype(np.float32)
    before = logits.copy()
    got, by_torch = divergence.entropy(logits), divergence.entropy(torch.from_numpy(logits))
    assert got.dtype == np.float32
    assert by_torch.dtype == torch.float32
    np.testing.assert_allclose(by_torch.numpy(), got, rtol=1e-5)
    np.testing.assert_array_equal(logits, before)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.inf])
def test_a_temperature_must_be_positive_and_finite(temperature: float) -> None:
    with pytest.raises(ValueError, match=r"^temperature is "):
        divergence.entropy(np.zeros(2), temperature)
