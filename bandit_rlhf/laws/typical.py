"""Typical arguments of each kind, for laws that hold whatever the kind.

>>> from bandit_rlhf.laws.source import Source
>>> [x.shape for x in TYPICAL["aggregation"](Source(b""))]
[(2, 2), (2, 2)]
"""

from collections.abc import Callable

import numpy as np

from bandit_rlhf.laws.source import Source

Arguments = tuple[np.ndarray, ...]


def _tokens(source: Source, count: int) -> Arguments:
    """Arrays [string, token] and a mask with pads anywhere."""
    strings, tokens = source.integer("strings", 2, 3), source.integer("tokens", 2, 3)
    mask = source.mask("mask", strings, tokens)
    return (*(source.numbers("x", strings, tokens) for _ in range(count)), mask)


def _log_probs(source: Source, *shape: int) -> np.ndarray:
    """Log-probabilities between -0.25 and -4.25, dyadic."""
    return -0.25 - np.abs(source.numbers("log_prob", *shape))


def _aggregation(source: Source) -> Arguments:
    return _tokens(source, 1)


def _gae(source: Source) -> Arguments:
    return _tokens(source, 2)


def _vtrace(source: Source) -> Arguments:
    rewards, values, mask = _tokens(source, 2)
    return (_log_probs(source, *mask.shape), _log_probs(source, *mask.shape), rewards, values, mask)


def _policy_loss(source: Source) -> Arguments:
    advantages, mask = _tokens(source, 1)
    log_prob = _log_probs(source, *mask.shape)
    near = log_prob + source.numbers("ratio", *mask.shape) / 64  # inside every clip region
    return log_prob, near, advantages, mask


def _log_ratio(source: Source) -> Arguments:
    log_prob, near, _, mask = _policy_loss(source)
    return log_prob, near, mask


def _surrogate(source: Source) -> Arguments:
    log_prob, near, advantages, _ = _policy_loss(source)
    return log_prob, log_prob - near, advantages


def _value_loss(source: Source) -> Arguments:
    return _tokens(source, 3)


def _per_decision(source: Source) -> Arguments:
    rewards, mask = _tokens(source, 1)
    log_probs = (_log_probs(source, *mask.shape) / 8 for _ in range(2))
    return rewards, *log_probs, mask


def _kl(source: Source) -> Arguments:
    shape = source.integer("strings", 2, 3), source.integer("tokens", 2, 3)
    return tuple(_log_probs(source, *shape) for _ in range(3))


def _advantage(source: Source) -> Arguments:
    return (source.numbers("r", source.integer("prompts", 2, 3), source.integer("n", 2, 4)),)


def _preference_loss(source: Source) -> Arguments:
    pairs = source.integer("pairs", 2, 4)
    lengths = tuple(2 + np.abs(source.numbers("length", pairs)) for _ in range(2))
    return (*(4 * _log_probs(source, pairs) for _ in range(4)), *lengths)


def _unpaired_loss(source: Source) -> Arguments:
    strings = source.integer("strings", 2, 4)
    log_prob, ref_log_prob = _log_probs(source, strings), _log_probs(source, strings)
    good = np.arange(strings) % 2 == 0
    return log_prob, ref_log_prob, good, np.array(0.25)


def _pair(source: Source) -> Arguments:
    pairs = source.integer("pairs", 2, 4)
    return source.numbers("first", pairs), source.numbers("second", pairs)


def _off_policy(source: Source) -> Arguments:
    draws = source.integer("draws", 2, 4)
    rewards, predicted, baseline = (source.numbers(name, draws) for name in ("r", "q", "v"))
    return rewards, _log_probs(source, draws), _log_probs(source, draws), predicted, baseline


def _sequence_score(source: Source) -> Arguments:
    values, mask = _tokens(source, 1)
    return values, mask, np.where(mask, 1, 0)


def _entropy(source: Source) -> Arguments:
    return (source.numbers("logits", 2, 2, source.integer("vocabulary", 2, 4)),)


TYPICAL: dict[str, Callable[[Source], Arguments]] = {
    "advantage": _advantage,
    "gae": _gae,
    "vtrace": _vtrace,
    "whitening": _aggregation,
    "aggregation": _aggregation,
    "log_ratio": _log_ratio,
    "surrogate": _surrogate,
    "policy_loss": _policy_loss,
    "value_loss": _value_loss,
    "kl": _kl,
    "entropy": _entropy,
    "preference_loss": _preference_loss,
    "unpaired_loss": _unpaired_loss,
    "preference_model": _pair,
    "reward_loss": _pair,
    "tie_model": _pair,
    "sequence_score": _sequence_score,
    "off_policy": _off_policy,
    "per_decision": _per_decision,
}
"""Kind -> its arguments in order, the required ones at least."""

MASKED = (
    "gae",
    "vtrace",
    "whitening",
    "aggregation",
    "log_ratio",
    "policy_loss",
    "value_loss",
    "per_decision",
)
"""Kinds whose pads must not matter; `sequence_score` has laws of its own."""

DIFFERENTIABLE = ("whitening", "aggregation", "log_ratio", "policy_loss", "value_loss")
"""Those of them that gradients flow through."""
