"""Entropies of next tokens: broken ones, and rewrites to leave alone.

>>> log_sum_less_mean(np.zeros(2)).round(4)
np.float64(0.6931)
"""

import math

import numpy as np

from bandit_rlhf.contract import estimator
from bandit_rlhf.laws.bugs.record import Bug, Twin

WORDS = ("value", "bounded", "chain_rule", "gradient")


def _log_softmax(logits):
    return logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)


def _entropy(log_p):
    return -np.sum(np.exp(log_p) * log_p, axis=-1)


@estimator("entropy", claims=(*WORDS, "finite"))
def log_sum_less_mean(logits):
    """The logarithm of the sum of e^l, less the mean logit."""
    log_sum = np.logaddexp.reduce(logits, axis=-1)
    p = np.exp(logits - log_sum[..., None])
    return log_sum - np.sum(p * logits, axis=-1)


@estimator("entropy", claims=(*WORDS, "temperature"))
def mean_surprise(logits, temperature=1.0):
    """The definition."""
    return _entropy(_log_softmax(logits / temperature))


@estimator("entropy", claims=(*WORDS, "temperature", "excluded", "finite"))
def largest_taken_off(logits, temperature=1.0):
    """The definition with the largest logit at 0, and 0 ln 0 = 0."""
    shifted = (logits - logits.max(axis=-1, keepdims=True)) / temperature
    powers = np.exp(shifted)
    total = powers.sum(axis=-1)
    terms = np.where(powers > 0, powers * np.where(powers > 0, shifted, 0), 0)
    return np.log(total) - terms.sum(axis=-1) / total


@estimator("entropy", claims=("bounded", "chain_rule"))
def in_bits(logits):
    """Bits for nats."""
    return _entropy(_log_softmax(logits)) / math.log(2)


@estimator("entropy", claims=("value", "gradient"))
def sum_of_log_probs(logits):
    """-ln p without its weight: the cross-entropy of the uniform law."""
    return -np.mean(_log_softmax(logits), axis=-1)


@estimator("entropy", claims=("value", "gradient", "chain_rule"))
def collision_entropy(logits):
    """Renyi's entropy of order two, which has no chain rule."""
    return -np.log(np.sum(np.exp(2 * _log_softmax(logits)), axis=-1))


@estimator("entropy", claims=("bounded",))
def sign_forgotten(logits):
    """The sum of p ln p."""
    return -_entropy(_log_softmax(logits))


@estimator("entropy", claims=("gradient",))
def twice(logits):
    """Both p and its surprise are counted on."""
    return 2 * _entropy(_log_softmax(logits))


@estimator("entropy", claims=("temperature",))
def temperature_on_the_result(logits, temperature=1.0):
    """The entropy is divided, not the logits."""
    return _entropy(_log_softmax(logits)) / temperature


@estimator("entropy", claims=("temperature",))
def temperature_ignored(logits, temperature=1.0):
    """The temperature is taken and not used."""
    return _entropy(_log_softmax(logits))


@estimator("entropy", claims=("excluded",))
def zero_times_infinity(logits):
    """0 ln 0 is NaN."""
    return _entropy(_log_softmax(logits))


@estimator("entropy", claims=("finite",))
def overflowing_softmax(logits):
    """Exponentials of the logits themselves."""
    p = np.exp(logits) / np.sum(np.exp(logits), axis=-1, keepdims=True)
    return -np.sum(p * np.log(p), axis=-1)


def _bug(law: tuple[str, ...], words: str, function) -> Bug:
    return Bug(function.__name__, "entropy", law, "mutant", words, function)


BUGS = (
    _bug(("H2", "H3"), "bits for nats", in_bits),
    _bug(("H1", "H4"), "surprise without its weight", sum_of_log_probs),
    _bug(("H1", "H3", "H4"), "Renyi's entropy", collision_entropy),
    _bug(("H2",), "the sign", sign_forgotten),
    _bug(("H4",), "a factor two", twice),
    _bug(("H5",), "the entropy is divided by the temperature", temperature_on_the_result),
    _bug(("H5",), "the temperature is not used", temperature_ignored),
    _bug(("H6",), "0 ln 0", zero_times_infinity),
    _bug(("U6", "U6-gradient"), "the softmax overflows", overflowing_softmax),
)


def _rewrite(words: str, function) -> Twin:
    return Twin(function.__name__, "entropy", "rewrite", words, function)


TWINS = (
    _rewrite("ln Z minus the mean logit", log_sum_less_mean),
    _rewrite("the definition", mean_surprise),
    _rewrite("the largest logit taken off", largest_taken_off),
)
