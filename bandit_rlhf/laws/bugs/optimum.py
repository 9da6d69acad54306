"""Broken and correct Gibbs optima.

>>> import numpy as np
>>> multiplied(np.array([0.5, 0.5]), np.array([0.0, 0.0]), 1.0).tolist()
[0.5, 0.5]
"""

import numpy as np

from bandit_rlhf.contract import estimator
from bandit_rlhf.laws.bugs.record import Bug, Twin

ALL = {"gibbs", "log_ratio", "shift_invariant", "composes", "support", "amplifies"}
WHOLE = ALL | {"mergeable", "dialogue"}


def _normalised(weights):
    return weights / weights.sum()


@estimator("optimum", claims=WHOLE | {"entropy_bonus"})
def by_logarithms(reference, reward, beta, tau=0.0):
    """The largest exponent is taken off first."""
    with np.errstate(divide="ignore"):
        scores = (beta * np.log(reference) + reward) / (beta + tau)
    return _normalised(np.exp(scores - scores.max()))


@estimator("optimum", claims=WHOLE)
def multiplied(reference, reward, beta):
    """The definition."""
    return _normalised(reference * np.exp(reward / beta))


@estimator("optimum", claims=ALL)
def beta_upside_down(reference, reward, beta):
    """Multiplied by beta where it is to be divided."""
    return _normalised(reference * np.exp(reward * beta))


@estimator("optimum", claims=WHOLE)
def no_reference(reference, reward, beta):
    """A softmax of the rewards."""
    return _normalised(np.exp(reward / beta))


@estimator("optimum", claims={"shift_invariant"})
def raw_power(reference, reward, beta):
    """Weights that are powers of rewards."""
    return _normalised(reference * (1 + np.abs(reward)) ** (1 / beta))


@estimator("optimum", claims={"entropy_bonus"})
def bonus_in_the_reward_alone(reference, reward, beta, tau=0.0):
    """The bonus flattens the reward and leaves the reference sharp."""
    return _normalised(reference * np.exp(reward / (beta + tau)))


@estimator("optimum", claims={"dialogue"})
def dice_left_alone(reference, reward, beta):
    """The first half is tilted by its mean weight, the dice after the risky move stay fair."""
    weights = reference * np.exp(reward / beta)
    law = _normalised(weights)
    risky = law[1:].sum()
    return np.append(law[:1], risky * _normalised(reference[1:]))


def _bug(law: tuple[str, ...], words: str, function) -> Bug:
    return Bug(function.__name__, "optimum", law, "mutant", words, function)


BUGS = (
    _bug(("E1", "E2", "E4", "E7"), "beta upside down", beta_upside_down),
    _bug(("E1", "E2", "E6", "E8"), "the reference forgotten", no_reference),
    _bug(("E3",), "powers of rewards", raw_power),
    _bug(("E5",), "half a bonus", bonus_in_the_reward_alone),
    _bug(("E9",), "fair dice", dice_left_alone),
)

TWINS = (
    Twin("by_logarithms", "optimum", "rewrite", "in log space", by_logarithms),
    Twin("multiplied", "optimum", "rewrite", "the definition", multiplied),
)
