"""Broken and correct laws of strings and exact policy gradients.

>>> import numpy as np
>>> outer(np.array([0.5, 0.5]), np.array([[1.0, 0.0], [0.5, 0.5]])).tolist()
[[0.5, 0.0], [0.25, 0.25]]
"""

import numpy as np

from bandit_rlhf.contract import estimator
from bandit_rlhf.laws.bugs.record import Bug, Twin

ALL = {"gradient", "score", "bounded"}


def _softmax(logits):
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()


@estimator("string_law")
def outer(first, second):
    """Each row of the second table times the chance of getting there."""
    return np.einsum("a,ab->ab", first, second)


@estimator("string_law")
def wrong_prefix(first, second):
    """The second token's law after another first token."""
    return first[:, None] * np.roll(second, 1, axis=0)


@estimator("policy_gradient", claims=ALL)
def by_jacobian(logits, reward):
    """The Jacobian of the softmax times the rewards."""
    law = _softmax(logits)
    return (np.diag(law) - np.outer(law, law)) @ reward


@estimator("policy_gradient", claims=ALL)
def no_mean(logits, reward):
    """Probability times reward: the score's mean is forgotten."""
    return _softmax(logits) * reward


@estimator("policy_gradient", claims={"bounded"})
def natural(logits, reward):
    """The natural direction, r - E r, which has no such bound."""
    return reward - _softmax(logits) @ reward


def _bug(law: tuple[str, ...], words: str, function) -> Bug:
    return Bug(function.__name__, function.contract.kind, law, "mutant", words, function)


BUGS = (
    _bug(("E17",), "another prefix", wrong_prefix),
    _bug(("E18", "E19"), "no mean taken off", no_mean),
    _bug(("E20",), "the natural direction", natural),
)

TWINS = (
    Twin("outer", "string_law", "rewrite", "by einsum", outer),
    Twin("by_jacobian", "policy_gradient", "rewrite", "by the Jacobian", by_jacobian),
)
