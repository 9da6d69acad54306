"""Broken and correct parts of policy losses.

>>> import numpy as np
>>> unmasked_sum(np.ones((1, 2)), np.zeros((1, 2)), np.array([[True, False]])).tolist()
[[2.0, 0.0]]
"""

import numpy as np

from bandit_rlhf.contract import estimator
from bandit_rlhf.laws.bugs.record import Bug, Twin

TOKEN, SEQUENCE, GEOMETRIC = ({"span": x} for x in ("token", "sequence", "geometric"))
SPAN = {"zero_on_policy", "span"}
BAND = {"clip": (0.2, 0.25)}


def _gaps(log_prob, old_log_prob, mask):
    return np.where(mask, log_prob - old_log_prob, 0)


@estimator("log_ratio", claims=SPAN, facts=SEQUENCE)
def unmasked_sum(log_prob, old_log_prob, mask):
    """Pads enter the ratio of the string."""
    whole = (log_prob - old_log_prob).sum(axis=1, keepdims=True)
    return np.where(mask, whole, 0)


@estimator("log_ratio", claims=SPAN, facts=GEOMETRIC)
def padded_geometric(log_prob, old_log_prob, mask):
    """The mean over the padded width."""
    return np.where(mask, _gaps(log_prob, old_log_prob, mask).mean(axis=1, keepdims=True), 0)


@estimator("log_ratio", claims=SPAN, facts=TOKEN)
def batch_centred(log_prob, old_log_prob, mask):
    """Log-ratios of tokens, minus their mean over the batch."""
    gaps = _gaps(log_prob, old_log_prob, mask)
    return np.where(mask, gaps - gaps[mask].mean(), 0)


@estimator("log_ratio")
def no_denominator(log_prob, old_log_prob, mask):
    """The log-probability for the log-ratio."""
    return np.where(mask, log_prob, 0)


@estimator("surrogate")
def gain_for_loss(log_prob, log_ratio, advantages):
    """What is to be maximised, returned as a loss."""
    return advantages * np.exp(log_ratio)


@estimator("surrogate", claims={"first_order", "clipped"}, facts=BAND)
def minimum_for_maximum(log_prob, log_ratio, advantages):
    """The smaller loss: optimism outside of the band."""
    ratio = np.exp(log_ratio)
    cut = np.clip(ratio, 1 - 0.2, 1 + 0.25).astype(ratio.dtype)
    return np.minimum(-advantages * ratio, -advantages * cut)


@estimator("surrogate", claims={"truncated"}, facts={"cut": (0.8, 1.25)})
def weight_not_cut(log_prob, log_ratio, advantages):
    """Importance weights of any size on the score."""
    return -np.exp(log_ratio) * advantages * log_prob


@estimator("surrogate", claims={"truncated"}, facts={"cut": (0.8, 1.25)}, backend="torch")
def weight_attached(log_prob, log_ratio, advantages):
    """The cut ratio keeps its gradient inside of the band."""
    return -log_ratio.exp().clip(0.8, 1.25) * advantages * log_prob


@estimator("log_ratio", claims=SPAN, facts=SEQUENCE)
def sum_by_row(log_prob, old_log_prob, mask):
    """The ratio of each string, by a loop."""
    result = np.zeros_like(log_prob)
    for i, real in enumerate(mask):
        result[i, real] = (log_prob[i, real] - old_log_prob[i, real]).sum()
    return result


@estimator("log_ratio", claims=SPAN, facts=GEOMETRIC)
def root_of_product(log_prob, old_log_prob, mask):
    """The geometric mean, by one division at the end."""
    whole = _gaps(log_prob, old_log_prob, mask).sum(axis=1, keepdims=True)
    return np.where(mask, whole / mask.sum(axis=1, keepdims=True).astype(whole.dtype), 0)


@estimator("surrogate", claims={"first_order", "clipped"}, facts={**BAND, "dual": 3.0})
def minimum_of_gains(log_prob, log_ratio, advantages):
    """-min(A r, A cut(r)) is max(-A r, -A cut(r)); for A < 0 the gain is at least 3 A."""
    ratio = np.exp(log_ratio)
    cut = np.clip(ratio, 1 - 0.2, 1 + 0.25).astype(ratio.dtype)
    gain = np.minimum(advantages * ratio, advantages * cut)
    return -np.where(advantages < 0, np.maximum(gain, 3 * advantages), gain)


@estimator(
    "surrogate",
    claims={"first_order", "truncated"},
    facts={"cut": (0.8, 1.25)},
    backend="torch",
)
def clamped_weight(log_prob, log_ratio, advantages):
    """The weight from a detached log-ratio, clamped."""
    return -advantages * log_ratio.detach().exp().clamp(0.8, 1.25) * log_prob


BUGS = (
    Bug(
        "unmasked_sum",
        "log_ratio",
        ("U1", "U1-gradient", "L8"),
        "huggingface/trl PR 2708",
        "tokens past the end enter the ratio",
        unmasked_sum,
    ),
    Bug(
        "padded_geometric",
        "log_ratio",
        ("U2", "L8", "L8-gradient"),
        "mutant",
        "divided by the padded width",
        padded_geometric,
    ),
    Bug(
        "batch_centred",
        "log_ratio",
        ("L8", "L8-gradient"),
        "MakazhanAlpamys/Soup issue 723",
        "centred over the batch",
        batch_centred,
    ),
    Bug("no_denominator", "log_ratio", ("L6",), "mutant", "no denominator", no_denominator),
    Bug("gain_for_loss", "surrogate", ("L1",), "mutant", "the sign", gain_for_loss),
    Bug(
        "minimum_for_maximum",
        "surrogate",
        ("L3",),
        "mutant",
        "the smaller of both losses",
        minimum_for_maximum,
    ),
    Bug("weight_not_cut", "surrogate", ("L8",), "mutant", "no cut", weight_not_cut),
    Bug("weight_attached", "surrogate", ("L7",), "mutant", "a graph not cut", weight_attached),
)

TWINS = (
    Twin("sum_by_row", "log_ratio", "rewrite", "by a loop", sum_by_row),
    Twin("root_of_product", "log_ratio", "rewrite", "divided once", root_of_product),
    Twin("minimum_of_gains", "surrogate", "rewrite", "-min(x) = max(-x)", minimum_of_gains),
    Twin("clamped_weight", "surrogate", "rewrite", "a detached log-ratio", clamped_weight),
)
