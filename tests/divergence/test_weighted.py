"""Weighted KL losses on draws of another policy, against the oracle's sums over whole strings.

Three prefixes of two tokens each: the start, and after either first token.
"""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from bandit_rlhf import divergence
from bandit_rlhf.laws import oracle

STRINGS = oracle.strings(2, 2, end=False)
PREFIXES: list[oracle.String] = [(), (0,), (1,)]
LOGITS = np.array([[0.2, -0.7], [0.5, 0.1], [-0.4, 0.9]])
REFERENCE = np.array([[-0.3, 0.4], [0.0, -1.0], [0.6, 0.2]])
SAMPLER = np.array([[0.9, 0.1], [-0.5, 0.3], [0.2, 0.0]])


def policy(logits: np.ndarray) -> oracle.Policy:
    rows = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return lambda prefix: rows[PREFIXES.index(prefix)].tolist()


def of_tokens(logits: torch.Tensor) -> torch.Tensor:
    """Log-probabilities of the tokens of every string, [string, token]."""
    log_prob = torch.log_softmax(logits, dim=1)
    return torch.stack(
        [torch.stack([log_prob[PREFIXES.index(y[:t]), y[t]] for t in range(2)]) for y in STRINGS]
    )


def mean_slope(estimate: Callable, sampler: np.ndarray) -> tuple[float, np.ndarray]:
    """E_mu of the sum over tokens, and of its gradient, by a sum over all strings."""
    logits = torch.from_numpy(LOGITS).clone().requires_grad_()
    old, ref = of_tokens(torch.from_numpy(sampler)), of_tokens(torch.from_numpy(REFERENCE))
    losses = estimate(of_tokens(logits), ref, old).sum(dim=1)
    total = (old.sum(dim=1).exp() * losses).sum()
    (gradient,) = torch.autograd.grad(total, logits)
    return total.item(), gradient.numpy()


def as_table(gradient: oracle.Gradient) -> np.ndarray:
    return np.array([[float(gradient[s, a]) for a in (0, 1)] for s in PREFIXES])


def kl_of_strings() -> tuple[float, np.ndarray]:
    here, reference = policy(LOGITS), oracle.law(policy(REFERENCE), STRINGS)
    gradient = as_table(oracle.kl_gradient(here, reference))
    return float(oracle.kl(oracle.law(here, STRINGS), reference)), gradient


def next_token_kls(visits: oracle.Policy) -> tuple[float, np.ndarray]:
    """KLs of next tokens with the prefixes of `visits`, held fixed."""
    value, gradient = 0.0, np.zeros((3, 2))
    for i, prefix in enumerate(PREFIXES):
        p, q = (np.array(policy(x)(prefix)) for x in (LOGITS, REFERENCE))
        kl, chance = p @ np.log(p / q), oracle.probability(visits, prefix)
        value += chance * kl
        gradient[i] = chance * p * (np.log(p / q) - kl)
    return float(value), gradient


@pytest.mark.parametrize("sampler", [SAMPLER, LOGITS], ids=["off-policy", "on-policy"])
def test_the_strings_ratio_gives_the_strings_kl(sampler: np.ndarray) -> None:
    value, gradient = mean_slope(divergence.k3_sequence_weighted, sampler)
    expected, slope = kl_of_strings()
    assert value == pytest.approx(expected, abs=1e-14)
    np.testing.assert_allclose(gradient, slope, atol=1e-14)


@pytest.mark.parametrize("estimate", [divergence.k1_weighted, divergence.k3_weighted])
@pytest.mark.parametrize("sampler", [SAMPLER, LOGITS], ids=["off-policy", "on-policy"])
def test_each_tokens_ratio_gives_the_next_tokens_kls(
    estimate: Callable, sampler: np.ndarray
) -> None:
    value, gradient = mean_slope(estimate, sampler)
    expected, slope = next_token_kls(policy(sampler))
    assert value == pytest.approx(expected, abs=1e-14)
    np.testing.assert_allclose(gradient, slope, atol=1e-14)


def test_control_the_two_weightings_differ() -> None:
    """Even on-policy: fixed prefixes lose the part of grad KL that moves them (theorem 8)."""
    for sampler in (SAMPLER, LOGITS):
        _, by_token = mean_slope(divergence.k3_weighted, sampler)
        assert np.abs(by_token - kl_of_strings()[1]).max() > 1e-3


def test_control_a_detached_weight_gives_another_gradient() -> None:
    def detached(log_prob: torch.Tensor, ref: torch.Tensor, old: torch.Tensor) -> torch.Tensor:
        weight = (log_prob - old).sum(dim=1, keepdim=True).exp().detach()
        return weight * divergence.k3(log_prob, ref)

    value, gradient = mean_slope(detached, SAMPLER)
    expected, slope = kl_of_strings()
    assert value == pytest.approx(expected, abs=1e-14)  # the value alone does not tell
    assert np.abs(gradient - slope).max() > 0.01


def test_pads_of_the_strings_ratio_count_for_nothing() -> None:
    nan = float("nan")
    mask = torch.tensor([[True, True, False]])
    log_prob = torch.tensor([[-0.5, -1.0, nan]], requires_grad=True)
    ref, old = torch.tensor([[-0.7, -0.2, nan]]), torch.tensor([[-0.6, -0.9, nan]])
    got = divergence.k3_sequence_weighted(log_prob, ref, old, mask)
    short = divergence.k3_sequence_weighted(log_prob[:, :2], ref[:, :2], old[:, :2])
    torch.testing.assert_close(got[:, :2], short)
    assert got[0, 2] == 0
    (gradient,) = torch.autograd.grad(got.sum(), log_prob)
    assert gradient[0, 2] == 0
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize(
    "estimate",
    [divergence.k1_weighted, divergence.k3_weighted, divergence.k3_sequence_weighted],
)
def test_numpy_and_torch_agree_and_keep_float32(estimate: Callable) -> None:
    generator = np.random.default_rng(5)
    arrays = [-generator.exponential(size=(2, 3)) for _ in range(3)]
    got = estimate(*arrays)
    np.testing.assert_allclose(estimate(*map(torch.from_numpy, arrays)).numpy(), got, rtol=1e-13)
    assert estimate(*(x.astype(np.float32) for x in arrays)).dtype == np.float32
    with pytest.raises(ValueError, match=r"^old_log_prob has shape \(1, 3\)"):
        estimate(arrays[0], arrays[1], arrays[2][:1])
