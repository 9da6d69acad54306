"""Estimates, regret and win rates against closed forms and against scipy."""

import numpy as np
import pytest
from scipy import stats

from bandit_rlhf import objective, selection
from bandit_rlhf.evaluation import (
    Estimate,
    cumulative_regret,
    estimate,
    regret,
    sampled_win_rate,
)


@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_interval_is_students(level):
    outcomes = np.random.default_rng(1).normal(3.0, 2.0, 12)
    got = estimate(outcomes).interval(level)
    expected = stats.t.interval(level, 11, outcomes.mean(), stats.sem(outcomes))
    assert got == pytest.approx(expected, rel=1e-12)


def test_interval_covers_as_often_as_it_says():
    """2,000 intervals of level 0.9: 5 standard deviations are a false alarm in 10^6."""
    rng = np.random.default_rng(2)
    draws = rng.normal(1.0, 3.0, (2000, 5))
    covered = sum(
        low <= 1.0 <= high for low, high in (estimate(row).interval(0.9) for row in draws)
    )
    assert abs(covered - 1800) < 5 * np.sqrt(2000 * 0.9 * 0.1)
    # Control: the normal quantile in place of Student's is caught by the same test.
    too_short = sum(abs(row.mean() - 1.0) <= 1.645 * row.std(ddof=1) / np.sqrt(5) for row in draws)
    assert abs(too_short - 1800) > 5 * np.sqrt(2000 * 0.9 * 0.1)


def test_an_exact_quantity_carries_no_error():
    assert Estimate.exact(0.25).interval() == (0.25, 0.25)


def test_regret_is_the_gap_to_the_best_string():
    rng = np.random.default_rng(3)
    law, reward = rng.dirichlet(np.ones(6), 4), rng.normal(size=(4, 6))
    assert regret(law, reward) == pytest.approx(reward.max(1) - (law * reward).sum(1), abs=1e-14)
    best = np.eye(6)[reward.argmax(1)]
    assert (regret(best, reward + 1e9) == 0.0).all()


def test_cumulative_regret_adds_up():
    got = cumulative_regret([[0.0, 1.0, 0.5]], 1.0)
    assert got.tolist() == [[1.0, 1.0, 1.5]]


LAW, SHORT = [0.5, 0.5], [1.0]


@pytest.mark.parametrize(
    "call",
    [
        lambda: objective.expected_reward(LAW, SHORT),
        lambda: objective.kl_divergence(LAW, SHORT),
        lambda: objective.chi_squared(LAW, SHORT),
        lambda: objective.gibbs(LAW, SHORT, 1.0),
        lambda: objective.soft_value(LAW, SHORT, 1.0),
        lambda: objective.chi_squared_optimum(LAW, SHORT, 1.0),
        lambda: regret(LAW, SHORT),
    ],
)
def test_one_number_does_not_stand_for_all_strings(call):
    """Broadcasting would answer these without a word."""
    with pytest.raises(ValueError, match=r"has 1 entries \[string\], but should be 2, as"):
        call()


def test_win_rate_wants_laws_and_rewards_of_the_same_atoms():
    with pytest.raises(ValueError, match=r"reward has shape \(1,\), but should be \(2,\)"):
        selection.win_rate(LAW, LAW, SHORT)


def test_sampled_win_rate_agrees_with_the_exact_one():
    """20,000 pairs: 5 standard errors are a false alarm in 10^6."""
    rng = np.random.default_rng(4)
    law, other, reward = rng.dirichlet(np.ones(5)), rng.dirichlet(np.ones(5)), np.arange(5) // 2
    drawn = [reward[rng.choice(5, 20_000, p=p)] for p in (law, other)]
    sampled = sampled_win_rate(*drawn)
    exact = selection.win_rate(law, other, reward)
    assert abs(sampled.mean - exact) < 5 * sampled.stderr
    ties_lost = np.mean(drawn[0] > drawn[1])
    assert abs(ties_lost - exact) > 5 * sampled.stderr


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: estimate([1.0]), r"shape \(1,\), but should be \[seed\] with 2 seeds or more"),
        (lambda: estimate([1.0, np.nan]), r"outcomes\[1\] is nan"),
        (lambda: estimate([1.0, 2.0]).interval(1.0), "level is 1, but should be between 0 and 1"),
        (lambda: regret([0.5, 0.4], [0.0, 1.0]), "law sums to 0.9, but should be 1"),
        (
            lambda: regret([0.5, 0.5], [0.0, 1.0, 2.0]),
            r"reward has 3 entries \[string\], but should be 2, as law has \[regret\]",
        ),
        (
            lambda: cumulative_regret([1.0, 2.0], [1.0, 2.0, 3.0]),
            r"best has 3 entries \[round\], but should be 2, as reward has",
        ),
        (lambda: sampled_win_rate([1.0, 2.0], [1.0]), r"second has shape \(1,\)"),
        (lambda: Estimate.exact(np.inf), "value is inf, but should be finite"),
    ],
)
def test_wrong_arguments_say_what_and_where(call, says):
    with pytest.raises(ValueError, match=says):
        call()
