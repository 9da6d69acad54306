"""Named losses and recipes against loops over strings and tokens."""

import math
from functools import partial

import numpy as np
import pytest
import torch

from bandit_rlhf import divergence, policy_loss
from bandit_rlhf.policy_loss import Clip, Recipe, aggregation, ratio, surrogate

NAN = float("nan")
LOG_PI = [[-1.0, -0.5, NAN], [-2.0, -0.25, -1.5]]
LOG_MU = [[-1.05, -0.25, NAN], [-1.0, -0.5, -1.75]]
LOG_REF = [[-0.5, -0.75, NAN], [-1.25, -1.0, -0.25]]
MASK = [[1, 1, 0], [1, 1, 1]]
A = [1.5, -0.5]
ARRAYS = np.array(LOG_PI), np.array(LOG_MU), np.array(A), np.array(MASK, dtype=bool)
TOKENS = [(i, t) for i in range(2) for t in range(3) if MASK[i][t]]
LENGTHS = [2, 3]


def gap(i: int, t: int) -> float:
    return LOG_PI[i][t] - LOG_MU[i][t]


def bounded(i: int, r: float, low: float, high: float) -> float:
    return max(-A[i] * r, -A[i] * min(max(r, 1 - low), 1 + high))


def ppo_token(i: int, t: int, low: float = 0.2, high: float = 0.2) -> float:
    return bounded(i, math.exp(gap(i, t)), low, high)


def whole(i: int) -> float:
    return sum(gap(i, t) for j, t in TOKENS if j == i)


def test_named_losses_by_loops() -> None:
    gspo = [bounded(i, math.exp(whole(i) / LENGTHS[i]), 3e-4, 4e-4) for i in range(2)]
    cispo = sum(-min(max(math.exp(gap(i, t)), 0.0), 1.28) * A[i] * LOG_PI[i][t] for i, t in TOKENS)
    for name, got, expected in (
        (
            "reinforce",
            policy_loss.reinforce(*ARRAYS),
            sum(-A[i] * LOG_PI[i][t] for i, t in TOKENS) / 2,
        ),
        (
            "importance weighted",
            policy_loss.importance_weighted(*ARRAYS),
            sum(-A[i] * math.exp(whole(i)) for i in range(2)) / 2,
        ),
        ("ppo", policy_loss.ppo(*ARRAYS), sum(ppo_token(i, t) for i, t in TOKENS) / 5),
        (
            "ppo, other band",
            policy_loss.ppo(*ARRAYS, low=0.1, high=0.3),
            sum(ppo_token(i, t, 0.1, 0.3) for i, t in TOKENS) / 5,
        ),
        (
            "dapo",
            policy_loss.dapo(*ARRAYS),
            sum(ppo_token(i, t, 0.2, 0.28) for i, t in TOKENS) / 5,
        ),
        (
            "grpo",
            policy_loss.grpo(*ARRAYS),
            sum(ppo_token(i, t) / LENGTHS[i] for i, t in TOKENS) / 2,
        ),
        (
            "grpo, other band",
            policy_loss.grpo(*ARRAYS, low=0.1, high=0.3),
            sum(ppo_token(i, t, 0.1, 0.3) / LENGTHS[i] for i, t in TOKENS) / 2,
        ),
        (
            "dr_grpo",
            policy_loss.dr_grpo(*ARRAYS, length=8.0, low=0.1, high=0.3),
            sum(ppo_token(i, t, 0.1, 0.3) for i, t in TOKENS) / 16,
        ),
        ("gspo", policy_loss.gspo(*ARRAYS), sum(gspo) / 2),
        ("cispo", policy_loss.cispo(*ARRAYS), cispo / 5),
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-13, err_msg=name)


def test_a_kl_in_the_loss_is_added_to_each_token() -> None:
    recipe = Recipe(
        ratio.token,
        surrogate.score,
        aggregation.sequence_sum,
        kl=divergence.k3,
        beta=0.25,
    )
    got = recipe(*ARRAYS, ref_log_prob=np.array(LOG_REF))
    k3 = [
        math.exp(LOG_REF[i][t] - LOG_PI[i][t]) - 1 - (LOG_REF[i][t] - LOG_PI[i][t])
        for i, t in TOKENS
    ]
    expected = sum(-A[i] * LOG_PI[i][t] for i, t in TOKENS) + 0.25 * sum(k3)
    np.testing.assert_allclose(got, expected / 2, rtol=1e-14)
    with pytest.raises(ValueError, match="ref_log_prob is missing"):
        recipe(*ARRAYS)


def test_gradients_reach_the_policy_alone() -> None:
    log_pi, log_mu, advantages, ref = (
        torch.tensor(np.nan_to_num(np.array(x), nan=-9.0), requires_grad=True)
        for x in (LOG_PI, LOG_MU, A, LOG_REF)
    )
    mask = torch.tensor(MASK, dtype=torch.bool)
    recipe = Recipe(
        ratio.sequence,
        surrogate.pessimistic,
        aggregation.token_mean,
        Clip(0.9, 5.0),
        divergence.k2,
        0.5,
    )
    recipe(log_pi, log_mu, advantages, mask, ref).backward()
    assert log_pi.grad is not None
    assert log_pi.grad[mask].abs().min() > 0
    assert log_pi.grad[~mask].abs().max() == 0
    assert [x.grad for x in (log_mu, advantages, ref)] == [None, None, None]


def test_nan_at_pads_makes_no_nan_in_gradients() -> None:
    log_pi = torch.tensor(LOG_PI, requires_grad=True)
    others = [torch.tensor(np.array(x)) for x in (LOG_MU, A)]
    mask = torch.tensor(MASK, dtype=torch.bool)
    for name in ("reinforce", "importance_weighted", "ppo", "grpo", "dapo", "gspo", "cispo"):
        (slopes,) = torch.autograd.grad(getattr(policy_loss, name)(log_pi, *others, mask), log_pi)
        assert bool(torch.isfinite(slopes).all()), name


@pytest.mark.parametrize("place", range(4))
def test_nan_at_the_pads_of_any_argument_stays_there(place: int) -> None:
    """Values and gradients, with advantages of tokens and a KL in the loss."""
    table = [np.where(MASK, x, -1.0) for x in (LOG_PI, LOG_MU, LOG_REF)]
    table.insert(2, np.where(MASK, np.array(A)[:, None], 0.0))
    mask = torch.tensor(MASK, dtype=torch.bool)
    recipe = Recipe(
        ratio.token, surrogate.weighted, aggregation.token_mean, kl=divergence.k3, beta=0.5
    )

    def loss_and_slopes(arrays: list[np.ndarray]) -> list[np.ndarray]:
        tensors = [torch.tensor(x) for x in arrays]
        log_pi = tensors[0].requires_grad_()
        loss = recipe(log_pi, tensors[1], tensors[2], mask, tensors[3])
        (slopes,) = torch.autograd.grad(loss, log_pi)
        return [loss.detach().numpy(), slopes.numpy()]

    clean = loss_and_slopes(table)
    dirty = loss_and_slopes(
        [np.where(MASK, x, NAN) if k == place else x for k, x in enumerate(table)]
    )
    for got, expected in zip(dirty, clean, strict=True):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("place", range(3))
def test_nan_at_the_critics_pads_makes_no_nan(place: int) -> None:
    arrays = [torch.tensor(np.where(MASK, x, 0.5)) for x in (LOG_PI, LOG_MU, LOG_REF)]
    mask = torch.tensor(MASK, dtype=torch.bool)
    arrays[place] = torch.where(mask, arrays[place], NAN)
    values, old, returns = arrays
    loss = policy_loss.value_loss(values.requires_grad_(), old, returns, mask)
    (slopes,) = torch.autograd.grad(loss, values)
    assert bool(torch.isfinite(slopes).all())
    assert float(slopes[~mask].abs().sum()) == 0.0


def test_aggregations_by_loops() -> None:
    values = np.array([[1.0, 2.0, NAN], [4.0, 8.0, 16.0]])
    mask = ARRAYS[-1]
    np.testing.assert_allclose(aggregation.token_mean(values, mask), 31 / 5)
    np.testing.assert_allclose(aggregation.token_mean(values, mask, total=10.0), 3.1)
    np.testing.assert_allclose(aggregation.sequence_mean(values, mask), (1.5 + 28 / 3) / 2)
    np.testing.assert_allclose(aggregation.sequence_sum(values, mask), 31 / 2)
    np.testing.assert_allclose(aggregation.sequence_sum(values, mask, total=4.0), 31 / 4)
    np.testing.assert_allclose(aggregation.constant(values, mask, length=5.0), 3.1)
    empty = np.array([[False] * 3, [True] * 3])
    np.testing.assert_allclose(aggregation.sequence_mean(values, empty), 28 / 3)


@pytest.mark.parametrize("clip", [0.2, 1.5, None])
def test_the_critics_loss_by_a_loop(clip: float | None) -> None:
    values, old, returns = (
        [[1.0, -2.0, NAN], [0.5, 3.0, -1.0]],
        [[0.5, -0.5, NAN], [0.5, 0.0, 0.0]],
        [[2.0, 0.0, NAN], [0.25, 0.5, 1.0]],
    )
    expected = 0.0
    for i, t in TOKENS:
        v, o, r = values[i][t], old[i][t], returns[i][t]
        near = v if clip is None else o + min(max(v - o, -clip), clip)
        expected += max((v - r) ** 2, (near - r) ** 2) / 2
    now, before, goal = (np.array(x) for x in (values, old, returns))
    got = policy_loss.value_loss(now, before, goal, ARRAYS[-1], clip=clip)
    np.testing.assert_allclose(got, expected / 5, rtol=1e-14)


def test_bad_arguments_are_named() -> None:
    log_pi, log_mu, advantages, mask = ARRAYS
    for wrong, message in (
        (
            lambda: policy_loss.ppo(log_pi, log_mu[:, :2], advantages, mask),
            r"old_log_prob has shape",
        ),
        (lambda: policy_loss.ppo(log_pi, log_mu, np.ones((3, 3)), mask), r"advantages has shape"),
        (lambda: policy_loss.ppo(log_pi, log_mu, advantages, mask & False), r"no participating"),
        (lambda: policy_loss.dr_grpo(*ARRAYS, length=0.0), r"length is 0"),
        (partial(policy_loss.value_loss, log_pi, log_pi, log_pi, mask, clip=0.0), r"clip is 0"),
        (lambda: aggregation.token_mean(log_pi, mask, total=-1.0), r"total is -1"),
    ):
        with pytest.raises(ValueError, match=message):
            wrong()
