"""Off-policy values: biases and means by sums over all batches in fractions, limits, and edges.

One prompt with three strings; estimates of every batch of two draws, each weighed by its chance
under the sampler.
"""

import itertools
import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
import torch

from bandit_rlhf import off_policy

P = [Fraction(1, 2), Fraction(1, 8), Fraction(3, 8)]
MU = [Fraction(1, 8), Fraction(1, 2), Fraction(3, 8)]
CLAIMED = [Fraction(1, 4), Fraction(1, 4), Fraction(1, 2)]
REWARD = [Fraction(3), Fraction(-1), Fraction(1, 2)]
MODEL = [Fraction(2), Fraction(1), Fraction(-1)]
WEIGHT = [p / mu for p, mu in zip(P, MU, strict=True)]
VALUE = sum(p * r for p, r in zip(P, REWARD, strict=True))
DIRECT = sum(p * q for p, q in zip(P, MODEL, strict=True))

MODEL_FREE = [off_policy.ips, off_policy.snips]
MODEL_BASED = [off_policy.direct_method, off_policy.doubly_robust]


def clipped(*arrays):
    return off_policy.clipped_ips(*arrays, largest=2.0)


def switched(*arrays):
    return off_policy.switch(*arrays, threshold=1.0)


def logs(law: list[Fraction]) -> np.ndarray:
    return np.log(np.array(law, dtype=float))


def columns(model: list[Fraction] | None = None, claimed: list[Fraction] = MU) -> list[np.ndarray]:
    """Arguments of an estimate, were every string drawn once."""
    shared = [np.array(REWARD, dtype=float), logs(P), logs(claimed)]
    if model is None:
        return shared
    mean = float(sum(p * q for p, q in zip(P, model, strict=True)))
    return [*shared, np.array(model, dtype=float), np.full(3, mean)]


def mean_estimate(estimate: Callable, arrays: list[np.ndarray]) -> float:
    """E_mu over ordered batches of two draws."""
    return sum(
        float(MU[a] * MU[b]) * float(estimate(*(x[[a, b]] for x in arrays)))
        for a, b in itertools.product(range(3), repeat=2)
    )


# Means


def test_ips_is_unbiased() -> None:
    assert mean_estimate(off_policy.ips, columns()) == pytest.approx(float(VALUE), abs=1e-14)


@pytest.mark.parametrize("largest", [Fraction(1, 2), Fraction(1), Fraction(2), Fraction(5)])
def test_the_bias_of_a_clip_is_the_documented_one(largest: Fraction) -> None:
    bias = sum(mu * (min(w, largest) - w) * r for mu, w, r in zip(MU, WEIGHT, REWARD, strict=True))
    got = mean_estimate(lambda *x: off_policy.clipped_ips(*x, largest=float(largest)), columns())
    assert got == pytest.approx(float(VALUE + bias), abs=1e-14)
    tail = sum(p * abs(r) for p, w, r in zip(P, WEIGHT, REWARD, strict=True) if w > largest)
    assert abs(bias) <= tail


def test_snips_is_biased_by_what_its_definition_gives() -> None:
    exact = sum(
        MU[a] * MU[b] * (WEIGHT[a] * REWARD[a] + WEIGHT[b] * REWARD[b]) / (WEIGHT[a] + WEIGHT[b])
        for a, b in itertools.product(range(3), repeat=2)
    )
    got = mean_estimate(off_policy.snips, columns())
    assert got == pytest.approx(float(exact), abs=1e-14)
    assert abs(exact - VALUE) > Fraction(1, 10)  # control


@pytest.mark.parametrize("model", [MODEL, REWARD], ids=["wrong model", "right model"])
@pytest.mark.parametrize("claimed", [CLAIMED, MU], ids=["wrong sampler", "right sampler"])
def test_the_bias_of_doubly_robust_is_the_product_of_errors(
    model: list[Fraction], claimed: list[Fraction]
) -> None:
    bias = sum(
        p * (q - r) * (1 - mu / c)
        for p, q, r, mu, c in zip(P, model, REWARD, MU, claimed, strict=True)
    )
    assert (bias == 0) == (model is REWARD or claimed is MU)
    got = mean_estimate(off_policy.doubly_robust, columns(model, claimed))
    assert got == pytest.approx(float(VALUE + bias), abs=1e-14)


@pytest.mark.parametrize("threshold", [0.0, 0.5, 1.0, 4.5, math.inf])
def test_the_bias_of_switch_is_the_models_above_the_threshold(threshold: float) -> None:
    bias = sum(
        p * (q - r) for p, q, r, w in zip(P, MODEL, REWARD, WEIGHT, strict=True) if w > threshold
    )
    got = mean_estimate(lambda *x: off_policy.switch(*x, threshold=threshold), columns(MODEL))
    assert got == pytest.approx(float(VALUE + bias), abs=1e-14)


def test_switch_ends_at_the_model_and_at_doubly_robust() -> None:
    arrays = columns(MODEL)
    low, high = (off_policy.switch(*arrays, threshold=x) for x in (0.0, math.inf))
    assert low == off_policy.direct_method(*arrays) == float(DIRECT)
    assert high == off_policy.doubly_robust(*arrays)


def test_a_model_of_nothing_makes_doubly_robust_ips() -> None:
    arrays = columns([Fraction(0)] * 3)
    assert off_policy.doubly_robust(*arrays) == off_policy.ips(*arrays[:3])


def test_a_right_model_leaves_doubly_robust_no_variance() -> None:
    arrays = columns(REWARD)
    for pair in itertools.product(range(3), repeat=2):
        got = off_policy.doubly_robust(*(x[list(pair)] for x in arrays))
        assert got == pytest.approx(float(VALUE), abs=1e-15)


def test_snips_of_draws_far_apart_does_not_overflow() -> None:
    """The weights are e^-1500 : e^0 : e^0 of the largest, which itself is e^1500."""
    rewards, far = np.array([7.0, 1.0, 2.0]), np.array([0.0, 1500.0, 1500.0])
    assert float(off_policy.snips(rewards, far, np.zeros(3))) == pytest.approx(1.5, rel=1e-15)


def test_snips_of_rare_strings_does_not_underflow() -> None:
    """Log-probabilities of long strings: only the ratio of the weights counts."""
    log_prob, log_mu = np.array([-3000.0, -3000.0 + math.log(3)]), np.array([-1000.0, -1000.0])
    got = off_policy.snips(np.array([1.0, 5.0]), log_prob, log_mu)
    assert got == pytest.approx(4.0, rel=1e-12)
    assert off_policy.ips(np.array([1.0, 5.0]), log_prob, log_mu) == 0.0  # control


# Tokens

REWARDS = np.array([[0.5, 2.0], [0.5, -1.0], [3.0, float("nan")]])
"""Of the strings (0, 0), (0, 1) and (1), which ends."""
REAL = np.array([[1, 1], [1, 1], [1, 0]], dtype=bool)


def tokens_of(first: list[float], second: list[float]) -> np.ndarray:
    rows = [[first[0], second[0]], [first[0], second[1]], [first[1], math.nan]]
    with np.errstate(invalid="ignore"):
        return np.log(np.array(rows))


@pytest.mark.parametrize("gamma", [1.0, 0.5, 0.0])
def test_per_decision_is_unbiased_with_less_variance(gamma: float) -> None:
    log_p, log_mu = tokens_of([0.75, 0.25], [0.2, 0.8]), tokens_of([0.5, 0.5], [0.6, 0.4])
    p, mu = (np.exp(np.where(REAL, x, 0).sum(axis=1)) for x in (log_p, log_mu))
    returns = np.where(REAL, REWARDS, 0) @ np.array([1.0, gamma])
    single = np.array(
        [
            off_policy.per_decision(
                *(x[i : i + 1] for x in (REWARDS, log_p, log_mu, REAL)), gamma=gamma
            )
            for i in range(3)
        ]
    )
    assert mu @ single == pytest.approx(p @ returns, rel=1e-14)
    by_hand = 1.5 * (0.5 + gamma * 2.0 * 0.2 / 0.6)
    assert single[0] == pytest.approx(by_hand, rel=1e-14)
    whole = off_policy.per_decision(REWARDS, log_p, log_mu, REAL, gamma=gamma)
    assert whole == pytest.approx(single.mean(), rel=1e-14)


def test_one_rewarded_last_token_makes_per_decision_ips() -> None:
    log_p, log_mu = np.log([[0.3, 0.2], [0.7, 0.9]]), np.log([[0.6, 0.5], [0.1, 0.8]])
    rewards = np.array([[0.0, 2.0], [0.0, -3.0]])
    got = off_policy.per_decision(rewards, log_p, log_mu, np.ones((2, 2)))
    whole = off_policy.ips(rewards[:, 1], log_p.sum(axis=1), log_mu.sum(axis=1))
    assert got == pytest.approx(whole, rel=1e-14)


def test_interior_pads_are_no_steps() -> None:
    nan = math.nan
    rewards, log_p = np.array([[1.0, nan, 4.0]]), np.array([[-0.5, nan, -1.0]])
    log_mu, mask = np.array([[-0.7, nan, -0.4]]), np.array([[True, False, True]])
    real = [x[:, ::2] for x in (rewards, log_p, log_mu, mask)]
    padded = off_policy.per_decision(rewards, log_p, log_mu, mask, gamma=0.5)
    assert padded == off_policy.per_decision(*real, gamma=0.5)


# Gradients


def test_gradients_of_cut_weights_are_finite_and_zero_above() -> None:
    """A weight that overflows float64 passes through where(); so must not its derivative."""
    log_prob = torch.tensor([-0.5, -1.0], dtype=torch.float64, requires_grad=True)
    log_mu = torch.tensor([-0.25, -900.0], dtype=torch.float64)
    one = torch.ones(2, dtype=torch.float64)
    estimates: list[tuple[Callable, int]] = [(clipped, 3), (switched, 5)]
    for estimate, count in estimates:
        arrays = [3 * one, log_prob, log_mu, one, one][:count]
        (gradient,) = torch.autograd.grad(estimate(*arrays), log_prob)
        gain = 3.0 if count == 3 else 2.0
        expected = [gain * math.exp(-0.25) / 2, 0.0]
        torch.testing.assert_close(gradient, torch.tensor(expected, dtype=torch.float64))


def test_pads_get_no_gradient() -> None:
    log_p = torch.from_numpy(tokens_of([0.75, 0.25], [0.2, 0.8])).requires_grad_()
    log_mu = torch.from_numpy(tokens_of([0.5, 0.5], [0.6, 0.4]))
    rewards, mask = torch.from_numpy(REWARDS), torch.from_numpy(REAL)
    value = off_policy.per_decision(rewards, log_p, log_mu, mask)
    (gradient,) = torch.autograd.grad(value, log_p)
    assert torch.equal(gradient != 0, mask)
    assert torch.isfinite(gradient).all()


def test_the_gradient_of_ips_is_that_of_the_value() -> None:
    """E_mu[grad w r] = grad sum_y pi(y) r(y), in the logits."""
    logits = torch.tensor([0.3, -0.4, 0.1], dtype=torch.float64, requires_grad=True)
    log_pi = torch.log_softmax(logits, 0)
    rewards, mu = (torch.tensor(np.array(x, dtype=float)) for x in (REWARD, MU))
    singles = [off_policy.ips(rewards[[i]], log_pi[[i]], mu[[i]].log()) for i in range(3)]
    mean = (mu * torch.stack(singles)).sum()
    (got,) = torch.autograd.grad(mean, logits, retain_graph=True)
    (expected,) = torch.autograd.grad((log_pi.exp() * rewards).sum(), logits)
    torch.testing.assert_close(got, expected, rtol=1e-13, atol=1e-15)


# Arrays


@pytest.mark.parametrize("estimate", [*MODEL_FREE, clipped, *MODEL_BASED, switched])
def test_numpy_and_torch_agree_keep_float32_and_leave_arguments(estimate: Callable) -> None:
    arrays = columns(MODEL) if estimate in (*MODEL_BASED, switched) else columns()
    before = [x.copy() for x in arrays]
    got = estimate(*arrays)
    assert float(estimate(*map(torch.from_numpy, arrays))) == pytest.approx(float(got), rel=1e-14)
    np.testing.assert_array_equal(arrays, before)
    assert estimate(*(x.astype(np.float32) for x in arrays)).dtype == np.float32
    assert estimate(*(torch.from_numpy(x).float() for x in arrays)).dtype == torch.float32


def test_errors_name_what_is_wrong() -> None:
    one, two, none = np.ones(1), np.ones(2), np.ones(0)
    row, mask = np.ones((1, 1)), np.ones((1, 1), dtype=bool)
    cases: list[tuple[str, Callable[[], object]]] = [
        (r"^log_prob has shape \(2,\)", lambda: off_policy.ips(one, two, one)),
        (r"^behaviour_log_prob has shape", lambda: off_policy.snips(one, one, two)),
        (r"^rewards has shape \(0,\)", lambda: off_policy.snips(none, none, none)),
        (r"^rewards has shape \(1, 1\)", lambda: off_policy.ips(row, row, row)),
        (r"^largest is 0", lambda: off_policy.clipped_ips(one, one, one, largest=0.0)),
        (
            r"^predicted has shape \(2,\)",
            lambda: off_policy.doubly_robust(one, one, one, two, one),
        ),
        (
            r"^rewards has shape \(0,\)",
            lambda: off_policy.direct_method(none, none, none, none, none),
        ),
        (
            r"^threshold is nan, but should be at least 0",
            lambda: off_policy.switch(one, one, one, one, one, threshold=math.nan),
        ),
        (
            r"^gamma is 1\.5, but should be within 0 to 1",
            lambda: off_policy.per_decision(row, row, row, mask, gamma=1.5),
        ),
        (r"^mask has no participating", lambda: off_policy.per_decision(row, row, row, ~mask)),
    ]
    for message, wrong in cases:
        with pytest.raises(ValueError, match=message):
            wrong()
