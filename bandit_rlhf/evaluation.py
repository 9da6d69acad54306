"""From arrays of outcomes to statements: an estimate with its error, regret, a win rate."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from bandit_rlhf import _check
from bandit_rlhf._array import Float


@dataclass(frozen=True)
class Estimate:
    """A mean with its standard error.

    Args:
        mean: the sample mean.
        stderr: its standard error, s / sqrt(n); 0 for an exact quantity.
        n: the number of independent outcomes; 0 for an exact quantity.
    """

    mean: float
    stderr: float
    n: int

    @classmethod
    def exact(cls, value: float) -> "Estimate":
        """A quantity that was summed, not sampled: it carries no error."""
        return cls(_check.real("value", value, "Estimate.exact"), 0.0, 0)

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Student's interval, mean -+ t_{(1+level)/2, n-1} stderr; a point for an exact quantity.

        Args:
            level: the coverage under independent normal outcomes, between 0 and 1.

        Raises:
            ValueError: a level outside (0, 1).

        >>> low, high = estimate([1.0, 2.0, 3.0]).interval()
        >>> round(low, 3), round(high, 3)
        (-0.484, 4.484)
        """
        level = _check.real("level", level, "Estimate.interval")
        if not 0 < level < 1:
            got = f"level is {level:g}"
            raise ValueError(_check.complaint(got, "between 0 and 1", "Estimate.interval"))
        if self.n == 0:
            return self.mean, self.mean
        from scipy.special import stdtrit

        reach = float(stdtrit(self.n - 1, (1 + level) / 2)) * self.stderr
        return self.mean - reach, self.mean + reach


def estimate(outcomes: ArrayLike) -> Estimate:
    """Mean and standard error of independent outcomes.

    Args:
        outcomes: one finite number an independent repetition [seed], at least 2.

    Raises:
        ValueError: fewer than two outcomes, NaN or infinity.

    >>> estimate([1.0, 2.0, 3.0]).mean
    2.0
    """
    values = _check.finite("outcomes", outcomes, "estimate")
    if values.ndim != 1 or values.size < 2:
        got, do = (
            f"outcomes has shape {values.shape}",
            "One outcome alone says nothing of its error.",
        )
        raise ValueError(_check.complaint(got, "[seed] with 2 seeds or more", "estimate", do))
    return Estimate(
        float(values.mean()), float(values.std(ddof=1) / np.sqrt(values.size)), values.size
    )


def regret(law: ArrayLike, reward: ArrayLike) -> Float[np.ndarray, " *batch"]:
    """What a policy leaves on the table: max_y r(x,y) - E_{y ~ pi} r(x,y), at least 0.

    Args:
        law: the policy's law [..., string].
        reward: the true reward [..., string].

    >>> regret([0.5, 0.5], [0.0, 1.0])
    array(0.5)
    """
    law = _check.distribution("law", law, "regret")
    reward = _check.finite("reward", reward, "regret")
    _check.alike("reward", reward, "law", law, "string", "regret")
    # The gaps to the best are summed, not the rewards: no cancellation, never below zero.
    gaps = reward.max(axis=-1, keepdims=True) - reward
    return np.asarray((law * gaps).sum(axis=-1))


def cumulative_regret(reward: ArrayLike, best: ArrayLike) -> Float[np.ndarray, "*batch round"]:
    """sum_{s <= t} (best_s - reward_s): the regret up to each round.

    Args:
        reward: expected reward of what was chosen [..., round].
        best: expected reward of the best choice, round by round, or one number.
    """
    earned = _check.finite("reward", reward, "cumulative_regret")
    most = _check.finite("best", best, "cumulative_regret")
    if most.ndim:
        _check.alike("best", most, "reward", earned, "round", "cumulative_regret")
    return np.cumsum(most - earned, axis=-1)


def sampled_win_rate(first: ArrayLike, second: ArrayLike) -> Estimate:
    """How often the first policy's string earns more than the second's, ties a half.

    Args:
        first: rewards of the first policy's strings [pair].
        second: rewards of the second's, for the same prompts [pair].

    >>> sampled_win_rate([1.0, 2.0, 0.0], [0.0, 2.0, 1.0]).mean
    0.5
    """
    first = _check.finite("first", first, "sampled_win_rate")
    second = _check.finite("second", second, "sampled_win_rate")
    _check.shaped("second", second, first.shape, "pair", "sampled_win_rate")
    return estimate((1.0 + np.sign(first - second)) / 2)
