"""Broken and correct ensembles and rules of abstention.

>>> import numpy as np
>>> least(np.array([[1.0, 4.0], [2.0, 3.0]])).tolist()
[1.0, 3.0]
"""

import numpy as np

from bandit_rlhf.contract import estimator
from bandit_rlhf.laws.bugs.record import Bug, Twin


@estimator("ensemble", claims={"unanimous", "weight_average"})
def average(scores):
    """The mean over members."""
    return scores.mean(axis=0)


@estimator("ensemble", claims={"unanimous", "pessimistic"})
def least(scores):
    """The member that likes a string least."""
    return scores.min(axis=0)


@estimator("ensemble", claims={"unanimous", "weight_average"})
def total(scores):
    """The sum over members."""
    return scores.sum(axis=0)


@estimator("ensemble", claims={"weight_average"})
def middle(scores):
    """The median, which no mean weights have."""
    return np.sort(scores, axis=0)[len(scores) // 2]


@estimator("ensemble", claims={"pessimistic"})
def greatest(scores):
    """The member that likes a string most: optimism."""
    return scores.max(axis=0)


@estimator("abstention")
def past_threshold(probability, penalty):
    """Answers where p exceeds penalty / (1 + penalty)."""
    return (probability * (1 + penalty) > penalty).astype(probability.dtype)


@estimator("abstention")
def always_answers(probability, penalty):
    """Never abstains."""
    return np.ones_like(probability)


def _bug(law: tuple[str, ...], words: str, function) -> Bug:
    return Bug(function.__name__, function.contract.kind, law, "mutant", words, function)


BUGS = (
    _bug(("E28", "E29"), "a sum for a mean", total),
    _bug(("E29",), "a median", middle),
    _bug(("E30",), "the most optimistic member", greatest),
    _bug(("E31",), "no abstention", always_answers),
)

TWINS = (
    Twin("average", "ensemble", "rewrite", "the mean", average),
    Twin("least", "ensemble", "rewrite", "the minimum", least),
    Twin("past_threshold", "abstention", "rewrite", "the threshold", past_threshold),
)
