"""GAE, V-trace and rewards to go against sums over the steps of each string."""

import numpy as np
import pytest
import torch

from bandit_rlhf.advantage import gae, reward_to_go, vtrace

NAN = float("nan")
MASK = np.array([[True, False, True, True], [True, True, False, False]])


def world(seed: int, pad: float = 0.0):
    rng = np.random.default_rng(seed)
    table = [np.where(MASK, rng.normal(size=MASK.shape), pad) for _ in range(4)]
    return table, rng.normal(size=2)


def steps(i: int) -> np.ndarray:
    return np.flatnonzero(MASK[i])


@pytest.mark.parametrize("pad", [0.0, 1e3, NAN])
@pytest.mark.parametrize(("gamma", "lam"), [(1.0, 1.0), (0.5, 0.25), (0.9, 0.0)])
def test_gae_is_the_discounted_sum_of_errors(pad: float, gamma: float, lam: float) -> None:
    (rewards, values, *_), final = world(0, pad)
    got, returns = gae(rewards, values, MASK, final, gamma=gamma, lam=lam)
    for i in range(2):
        r, v = rewards[i, steps(i)], np.append(values[i, steps(i)], final[i])
        errors = r + gamma * v[1:] - v[:-1]
        expected = [
            sum((gamma * lam) ** m * e for m, e in enumerate(errors[k:]))
            for k in range(len(errors))
        ]
        np.testing.assert_allclose(got[i, steps(i)], expected, rtol=1e-13)
        np.testing.assert_allclose(returns[i, steps(i)], expected + v[:-1], rtol=1e-13)
    assert not got[~MASK].any()
    assert not returns[~MASK].any()


def test_without_a_final_value_strings_have_ended() -> None:
    (rewards, values, *_), _ = world(1)
    ended = gae(rewards, values, MASK, gamma=0.5, lam=0.75)
    np.testing.assert_array_equal(
        ended, gae(rewards, values, MASK, np.zeros(2), gamma=0.5, lam=0.75)
    )


@pytest.mark.parametrize("gamma", [1.0, 0.5])
def test_rewards_to_go(gamma: float) -> None:
    (rewards, *_), _ = world(2, NAN)
    got = reward_to_go(rewards, MASK, gamma=gamma)
    for i in range(2):
        r = rewards[i, steps(i)]
        expected = [gamma ** np.arange(len(r) - k) @ r[k:] for k in range(len(r))]
        np.testing.assert_allclose(got[i, steps(i)], expected, rtol=1e-13)
    assert not got[~MASK].any()


@pytest.mark.parametrize("pad", [0.0, NAN])
@pytest.mark.parametrize(("rho_max", "c_max"), [(1.0, 1.0), (1.5, 0.75), (1e9, 1e9)])
def test_vtrace_by_its_definition(pad: float, rho_max: float, c_max: float) -> None:
    """Equation 1 of Espeholt et al.: v_s = V_s + sum_t gamma^(t-s) (prod c) rho_t delta_t."""
    (log_pi, log_mu, rewards, values), final = world(3, pad)
    gamma = 0.75
    targets, advantages = vtrace(
        log_pi, log_mu, rewards, values, MASK, final, gamma=gamma, rho_max=rho_max, c_max=c_max
    )
    for i in range(2):
        at = steps(i)
        ratio = np.exp(log_pi[i, at] - log_mu[i, at])
        rho, c = np.minimum(ratio, rho_max), np.minimum(ratio, c_max)
        v = np.append(values[i, at], final[i])
        errors = rho * (rewards[i, at] + gamma * v[1:] - v[:-1])
        expected = [
            v[s] + sum(gamma ** (t - s) * c[s:t].prod() * errors[t] for t in range(s, len(at)))
            for s in range(len(at))
        ]
        later = np.append(expected[1:], final[i])
        np.testing.assert_allclose(targets[i, at], expected, rtol=1e-12)
        np.testing.assert_allclose(
            advantages[i, at], rho * (rewards[i, at] + gamma * later - v[:-1]), rtol=1e-12
        )
    assert not targets[~MASK].any()
    assert not advantages[~MASK].any()


def test_torch_agrees() -> None:
    (log_pi, log_mu, rewards, values), final = world(4)
    arrays = (log_pi, log_mu, rewards, values, MASK, final)
    tensors = tuple(map(torch.tensor, arrays))
    np.testing.assert_allclose(vtrace(*arrays)[0], vtrace(*tensors)[0].numpy(), rtol=1e-13)
    np.testing.assert_allclose(
        gae(*arrays[2:], lam=0.5)[1], gae(*tensors[2:], lam=0.5)[1].numpy(), rtol=1e-13
    )


def test_bad_arguments_are_named() -> None:
    (rewards, values, *_), _ = world(5)
    four = rewards, rewards, rewards, rewards
    for wrong, message in (
        (lambda: gae(rewards, values[:, :2], MASK), r"values has shape \(2, 2\)"),
        (lambda: gae(rewards, values, np.zeros_like(MASK)), r"no participating token"),
        (lambda: gae(rewards, values, MASK, np.zeros(3)), r"final_value has shape \(3,\)"),
        (lambda: gae(rewards, values, MASK, gamma=1.5), r"gamma is 1\.5.*within 0 to 1"),
        (lambda: gae(rewards, values, MASK, lam=-0.5), r"lam is -0\.5"),
        (lambda: vtrace(*four, MASK, rho_max=0.0), r"rho_max is 0"),
        (lambda: vtrace(*four, MASK, c_max=0.0), r"c_max is 0"),
    ):
        with pytest.raises(ValueError, match=message):
            wrong()
