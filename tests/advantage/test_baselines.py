"""Advantages of whole strings against their definitions on fractions, and what they refuse."""

import math
from fractions import Fraction
from statistics import fmean, pstdev, stdev

import numpy as np
import pytest
import torch

from bandit_rlhf import advantage

ROWS = [[3.0, 0.5, -1.0], [0.25, 0.25, 2.0]]
REWARDS = np.array(ROWS)


def exact(rows: list[list[float]], baseline) -> np.ndarray:
    """r - baseline(row, place), on fractions."""
    return np.array(
        [[float(Fraction(r) - baseline(row, i)) for i, r in enumerate(row)] for row in rows]
    )


def mean(row: list[float]) -> Fraction:
    return sum(map(Fraction, row), Fraction(0)) / len(row)


def of_others(row: list[float], place: int) -> Fraction:
    return mean(row[:place] + row[place + 1 :])


def test_each_baseline_by_its_definition() -> None:
    greedy, lengths = np.array([0.5, -2.0]), np.array([[1.0, 2.0, 5.0], [3.0, 1.0, 1.0]])
    weighted = [
        sum(Fraction(w) * Fraction(r) for w, r in zip(ws, row, strict=True))
        / sum(map(Fraction, ws))
        for ws, row in zip(lengths.tolist(), ROWS, strict=True)
    ]
    known = {tuple(row): number for row, number in zip(ROWS, weighted, strict=True)}
    cases = {
        "reinforce": (advantage.reinforce(REWARDS), lambda row, i: 0),
        "constant": (advantage.constant_baseline(REWARDS, baseline=0.75), lambda row, i: 0.75),
        "rloo": (advantage.rloo(REWARDS), of_others),
        "group mean": (advantage.group_mean(REWARDS), lambda row, i: mean(row)),
        "opo, equal": (advantage.opo(REWARDS), lambda row, i: mean(row)),
        "opo": (advantage.opo(REWARDS, lengths), lambda row, i: known[tuple(row)]),
        "greedy": (
            advantage.greedy_baseline(REWARDS, greedy),
            lambda row, i: Fraction(greedy[ROWS.index(row)]),
        ),
    }
    for name, (got, baseline) in cases.items():
        expected = exact(ROWS, lambda row, i, f=baseline: Fraction(f(row, i)))
        np.testing.assert_allclose(got, expected, rtol=1e-15, atol=1e-15, err_msg=name)


def test_deviations_by_the_statistics_module() -> None:
    eps, table = 0.5, [x for row in ROWS for x in row]
    group = [[(r - fmean(row)) / (stdev(row) + eps) for r in row] for row in ROWS]
    population = [[(r - fmean(row)) / (pstdev(row) + eps) for r in row] for row in ROWS]
    batch = [[(r - fmean(table)) / (stdev(table) + eps) for r in row] for row in ROWS]
    centred = [[r - fmean(row) for r in row] for row in ROWS]
    spread = math.sqrt(sum(x * x for row in centred for x in row) / 5) + eps
    left_out = exact(ROWS, of_others)
    for got, expected in (
        (advantage.grpo(REWARDS, epsilon=eps), group),
        (advantage.grpo(REWARDS, epsilon=eps, correction=0), population),
        (advantage.batch_whitened(REWARDS, epsilon=eps), batch),
        (
            advantage.reinforce_plus_plus_baseline(REWARDS, epsilon=eps),
            np.array(centred) / spread,
        ),
        (
            advantage.whitened_rloo(REWARDS, epsilon=eps),
            left_out / (np.sqrt((left_out**2).sum(axis=1, keepdims=True) / 2) + eps),
        ),
        (
            advantage.whitened_rloo(REWARDS, over="batch", epsilon=eps),
            left_out / (math.sqrt((left_out**2).sum() / 5) + eps),
        ),
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-14)


def test_small_epsilon_is_what_is_added_by_default() -> None:
    row = np.array([[0.0, 1e-5]])
    expected = 0.5e-5 / (stdev([0.0, 1e-5]) + 1e-6)
    got = advantage.grpo(row)
    np.testing.assert_allclose(got, [[-expected, expected]], rtol=1e-12)


def test_groups_of_one_and_of_equal_rewards() -> None:
    single, equal = np.array([[2.0], [5.0]]), np.full((2, 3), 4.0)
    for function in (
        advantage.grpo,
        advantage.group_mean,
        advantage.reinforce_plus_plus_baseline,
        advantage.opo,
    ):
        np.testing.assert_array_equal(function(single), np.zeros((2, 1)))
        np.testing.assert_array_equal(function(equal), np.zeros((2, 3)))
    nothing = np.zeros((2, 1))
    for rewards in (single, nothing):
        np.testing.assert_array_equal(advantage.rloo(rewards, alone=0.25), np.full((2, 1), 0.25))
    np.testing.assert_array_equal(advantage.whitened_rloo(equal), np.zeros((2, 3)))
    np.testing.assert_allclose(advantage.batch_whitened(np.array([[7.0]])), [[0.0]], atol=0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_torch_agrees_and_dtypes_and_arguments_are_kept(dtype: str) -> None:
    rewards = REWARDS.astype(dtype)
    tensor = torch.tensor(rewards)
    for name in ("reinforce", "rloo", "group_mean", "grpo", "batch_whitened", "opo"):
        function = getattr(advantage, name)
        got, other = function(rewards), function(tensor)
        assert got.dtype == rewards.dtype
        assert other.dtype == tensor.dtype
        np.testing.assert_allclose(got, other.numpy(), rtol=1e-6, err_msg=name)
        assert not np.shares_memory(got, rewards)
    np.testing.assert_array_equal(rewards, REWARDS.astype(dtype))


def test_bad_arguments_are_named() -> None:
    for wrong, message in (
        (lambda: advantage.rloo(np.ones((2, 1))), r"1 draw a prompt.*alone=0\.0"),
        (lambda: advantage.grpo(np.ones(3)), r"rewards has shape \(3,\).*\[prompt, draw\]"),
        (lambda: advantage.reinforce(np.ones((0, 2))), r"rewards has shape \(0, 2\)"),
        (lambda: advantage.grpo(REWARDS, epsilon=0.0), r"epsilon is 0"),
        (lambda: advantage.opo(REWARDS, np.zeros((2, 3))), r"lengths has entries of 0 or below"),
        (lambda: advantage.opo(REWARDS, np.ones((2, 2))), r"lengths has shape \(2, 2\)"),
        (lambda: advantage.greedy_baseline(REWARDS, np.ones(3)), r"greedy_reward has shape \(3,\)"),
        (lambda: advantage.constant_baseline(REWARDS, baseline=math.nan), r"baseline is nan"),
    ):
        with pytest.raises(ValueError, match=message):
            wrong()
