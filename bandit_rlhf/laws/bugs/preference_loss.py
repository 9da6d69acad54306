"""Broken and correct losses of preferences.

>>> import numpy as np
>>> float(logistic(*(np.zeros(1) for _ in range(4)))[0].round(4))
0.6931
"""

import numpy as np

from bandit_rlhf.contract import estimator
from bandit_rlhf.laws.bugs.record import Bug, Twin

LOGISTIC = {
    "beta": 0.5,
    "at_zero": "log(2)",
    "antisymmetry": "-beta",
    "argmin": "log(p/(1-p))/beta",
    "derivative": "-beta/(1+exp(beta*h))",
}
DPO = {
    "value_at_zero",
    "antisymmetric",
    "shift_invariant",
    "argmin",
    "gibbs",
    "gradient",
    "monotone",
    "finite",
}


def _softplus(x):
    return np.logaddexp(x, np.zeros_like(x))


def _margin(chosen, rejected, ref_chosen, ref_rejected):
    return (chosen - ref_chosen) - (rejected - ref_rejected)


@estimator("preference_loss", claims=DPO, facts=LOGISTIC)
def logistic(chosen, rejected, ref_chosen, ref_rejected):
    """DPO at beta = 1/2, by logaddexp."""
    return _softplus(-0.5 * _margin(chosen, rejected, ref_chosen, ref_rejected))


@estimator("preference_loss", claims={"monotone", "gibbs"}, facts=LOGISTIC, reduction="mean")
def mean_logistic(chosen, rejected, ref_chosen, ref_rejected):
    """DPO, averaged over pairs."""
    return _softplus(-0.5 * _margin(chosen, rejected, ref_chosen, ref_rejected)).mean()


@estimator("preference_loss", claims={"monotone"}, reduction="mean")
def batch_before_logistic(chosen, rejected, ref_chosen, ref_rejected):
    """Margins are summed over the batch before the logistic."""
    return _softplus(-0.5 * _margin(chosen, rejected, ref_chosen, ref_rejected).sum())


@estimator("preference_loss", claims={"finite"})
def naive_logistic(chosen, rejected, ref_chosen, ref_rejected):
    """Minus the logarithm of a sigmoid: it overflows."""
    h = _margin(chosen, rejected, ref_chosen, ref_rejected)
    return np.log(1 + np.exp(-0.5 * h))


@estimator("preference_loss", claims={"finite"}, backend="torch")
def masked_overflow(chosen, rejected, ref_chosen, ref_rejected):
    """An overflow hidden by a choice: the value is finite, its gradient is not."""
    import torch

    x = -0.5 * _margin(chosen, rejected, ref_chosen, ref_rejected)
    return torch.where(x > 30, x, torch.log(1 + torch.exp(x)))


@estimator("preference_loss", claims={"reduction"})
def summed_tokens(chosen_log_prob, rejected_log_prob, chosen_length, rejected_length):
    """Sums over tokens, where means are claimed."""
    return (chosen_log_prob - rejected_log_prob - 2) ** 2 + 0 * chosen_length * rejected_length


@estimator(
    "preference_loss",
    claims={"argmin"},
    facts={"beta": 0.5, "argmin": "(2*p-1)/beta"},
)
def swapped_goal(chosen, rejected, ref_chosen, ref_rejected):
    """SPPO with both goals on one side."""
    return (chosen - ref_chosen - 1) ** 2 + (rejected - ref_rejected - 1) ** 2


@estimator(
    "preference_loss",
    claims={"gradient"},
    facts={"beta": 0.5, "derivative": "-beta/(1+exp(beta*h))", "likelihood": 1.0},
)
def likelihood_twice(chosen, rejected, ref_chosen, ref_rejected):
    """RPO with an average log-probability in place of the pair's likelihood."""
    h = _margin(chosen, rejected, ref_chosen, ref_rejected)
    return _softplus(-0.5 * h) - (chosen + rejected) / 2


@estimator("preference_loss", claims=DPO, facts=LOGISTIC)
def reference_forgotten(chosen, rejected, ref_chosen, ref_rejected):
    """The reference enters for the chosen string alone."""
    return _softplus(-0.5 * (chosen - ref_chosen - rejected) + 0 * ref_rejected)


@estimator("preference_loss", claims=DPO, facts=LOGISTIC)
def flipped_labels(chosen, rejected, ref_chosen, ref_rejected):
    """Chosen and rejected exchanged."""
    return _softplus(0.5 * _margin(chosen, rejected, ref_chosen, ref_rejected))


@estimator("preference_loss", claims={"value_at_zero", "antisymmetric", "argmin"}, facts=LOGISTIC)
def twice_beta(chosen, rejected, ref_chosen, ref_rejected):
    """Beta is applied twice over."""
    return _softplus(-1.0 * _margin(chosen, rejected, ref_chosen, ref_rejected))


@estimator("preference_loss", claims={"gibbs", "monotone"}, facts={"beta": 0.5})
def squared_margin(chosen, rejected, ref_chosen, ref_rejected):
    """IPO, claimed to have the Gibbs law as its optimum."""
    return (_margin(chosen, rejected, ref_chosen, ref_rejected) - 1) ** 2


@estimator("preference_loss", claims={"value_at_zero"}, facts=LOGISTIC)
def shifted_zero(chosen, rejected, ref_chosen, ref_rejected):
    """A target margin that is not declared."""
    return _softplus(1 - 0.5 * _margin(chosen, rejected, ref_chosen, ref_rejected))


@estimator("preference_loss", claims={"smoothing"})
def one_sided_smoothing(chosen, rejected, ref_chosen, ref_rejected, label_smoothing=0.0):
    """Smoothing shrinks the loss, and forgets the other label."""
    h = _margin(chosen, rejected, ref_chosen, ref_rejected)
    return (1 - label_smoothing) * _softplus(-0.5 * h)


@estimator("preference_loss", claims={"smoothing"})
def both_labels(chosen, rejected, ref_chosen, ref_rejected, label_smoothing=0.0):
    """Both labels, each with its probability."""
    h = 0.5 * _margin(chosen, rejected, ref_chosen, ref_rejected)
    return (1 - label_smoothing) * _softplus(-h) + label_smoothing * _softplus(h)


@estimator("preference_loss", claims={"reduction", "monotone", "finite"})
def mean_of_tokens(chosen_log_prob, rejected_log_prob, chosen_length, rejected_length):
    """SimPO without a margin."""
    gap = chosen_log_prob / chosen_length - rejected_log_prob / rejected_length
    return _softplus(-gap)


@estimator("mismatch")
def reversal(count):
    """The middle of an odd number of pairs stays in its place."""
    return np.arange(count)[::-1].copy()


@estimator("mismatch")
def by_two_halves(count):
    """A cycle that visits even places, then odd ones."""
    order = np.concatenate([np.arange(0, count, 2), np.arange(1, count, 2)])
    result = np.empty(count, dtype=np.int64)
    result[order] = np.roll(order, -1)
    return result


def _value(x):
    return 1 / (1 + np.exp(-x))


@estimator(
    "unpaired_loss",
    claims={"monotone", "value_at_zero", "shift_invariant"},
    facts={"at_zero": 0.5},
)
def two_values(log_prob, ref_log_prob, desirable, reference_point):
    """KTO as a choice of two sigmoids."""
    gain = 0.5 * (log_prob - ref_log_prob - reference_point)
    return np.where(desirable, _value(-gain), _value(gain)).astype(log_prob.dtype)


@estimator("unpaired_loss", claims={"monotone"})
def one_sign(log_prob, ref_log_prob, desirable, reference_point):
    """Undesirable strings are raised as well."""
    return _value(-0.5 * (log_prob - ref_log_prob - reference_point)).astype(log_prob.dtype)


@estimator("unpaired_loss", claims={"value_at_zero"}, facts={"at_zero": 0.5})
def without_point(log_prob, ref_log_prob, desirable, reference_point):
    """The reference point is left out."""
    gain = 0.5 * (log_prob - ref_log_prob)
    return np.where(desirable, _value(-gain), _value(gain)).astype(log_prob.dtype)


@estimator("unpaired_loss", claims={"shift_invariant"})
def without_reference(log_prob, ref_log_prob, desirable, reference_point):
    """The reference policy is left out."""
    gain = 0.5 * (log_prob - reference_point)
    return np.where(desirable, _value(-gain), _value(gain)).astype(log_prob.dtype)


@estimator("unpaired_loss", claims={"no_leak", "monotone"}, backend="torch")
def detached_point(log_prob, ref_log_prob, desirable, reference_point):
    """The reference point and the reference without their graphs."""
    import torch

    gain = 0.5 * (log_prob - ref_log_prob.detach() - reference_point.detach())
    return torch.sigmoid(torch.where(desirable, -gain, gain))


@estimator("unpaired_loss", claims={"no_leak"}, backend="torch")
def attached_point(log_prob, ref_log_prob, desirable, reference_point):
    """The reference point keeps its graph."""
    import torch

    gain = 0.5 * (log_prob - ref_log_prob.detach() - reference_point)
    return torch.sigmoid(torch.where(desirable, -gain, gain))


BUGS = (
    Bug(
        "batch_before_logistic",
        "preference_loss",
        ("U5",),
        "trinity-rft 0.2.0 to 0.6.0",
        "margins summed over the whole batch before the log-sigmoid",
        batch_before_logistic,
    ),
    Bug("naive_logistic", "preference_loss", ("U6",), "mutant", "overflow", naive_logistic),
    Bug(
        "masked_overflow",
        "preference_loss",
        ("U6-gradient",),
        "mutant",
        "inf * 0 in the gradient of a choice",
        masked_overflow,
    ),
    Bug(
        "summed_tokens",
        "preference_loss",
        ("D9",),
        "huggingface/trl PR 1265; meta-pytorch/torchtune issue 1291",
        "sum or average over tokens for IPO",
        summed_tokens,
    ),
    Bug(
        "swapped_goal",
        "preference_loss",
        ("D4",),
        "huggingface/trl PR 1615",
        "a wrong formula of SPPO with hard labels",
        swapped_goal,
    ),
    Bug(
        "likelihood_twice",
        "preference_loss",
        ("D6",),
        "huggingface/trl PR 1705",
        "an average log-probability for the likelihood term",
        likelihood_twice,
    ),
    Bug(
        "reference_forgotten",
        "preference_loss",
        ("D3", "D1"),
        "mutant",
        "half of the reference is missing",
        reference_forgotten,
    ),
    Bug(
        "flipped_labels",
        "preference_loss",
        ("D8", "D2", "D4", "D5", "D6"),
        "mutant",
        "labels exchanged",
        flipped_labels,
    ),
    Bug("twice_beta", "preference_loss", ("D2", "D4"), "mutant", "beta twice", twice_beta),
    Bug("squared_margin", "preference_loss", ("D5",), "mutant", "another optimum", squared_margin),
    Bug("shifted_zero", "preference_loss", ("D1",), "mutant", "a hidden margin", shifted_zero),
    Bug(
        "one_sided_smoothing",
        "preference_loss",
        ("D7",),
        "mutant",
        "the other label is forgotten",
        one_sided_smoothing,
    ),
    Bug("reversal", "mismatch", ("D10",), "mutant", "a fixed point", reversal),
    Bug("one_sign", "unpaired_loss", ("D8",), "mutant", "the sign", one_sign),
    Bug("without_point", "unpaired_loss", ("D1",), "mutant", "no point", without_point),
    Bug("without_reference", "unpaired_loss", ("D3",), "mutant", "no ref", without_reference),
    Bug("attached_point", "unpaired_loss", ("L7",), "mutant", "a graph not cut", attached_point),
)

TWINS = (
    Twin("logistic", "preference_loss", "rewrite", "DPO by logaddexp", logistic),
    Twin("mean_logistic", "preference_loss", "rewrite", "a declared mean", mean_logistic),
    Twin("both_labels", "preference_loss", "rewrite", "cDPO", both_labels),
    Twin("mean_of_tokens", "preference_loss", "rewrite", "means over tokens", mean_of_tokens),
    Twin("by_two_halves", "mismatch", "rewrite", "another cycle", by_two_halves),
    Twin("detached_point", "unpaired_loss", "rewrite", "a graph cut", detached_point),
    Twin("two_values", "unpaired_loss", "rewrite", "KTO", two_values),
)
