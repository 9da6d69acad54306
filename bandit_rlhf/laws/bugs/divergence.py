"""Broken and correct estimates of KL, and controllers of its coefficient.

>>> import numpy as np
>>> float(reversed_ratio(np.array([-1.0]), np.array([-2.0]))[0])
-1.0
"""

import numpy as np

from bandit_rlhf.contract import estimator
from bandit_rlhf.laws.bugs.record import Bug, Twin

REGULARISED = {"gradient", "zero_at_reference"}


def _third(log_prob, ref_log_prob):
    gap = ref_log_prob - log_prob
    return np.exp(gap) - 1 - gap


@estimator("kl", claims=REGULARISED)
def third_as_loss(log_prob, ref_log_prob):
    """k3 in the loss, without a ratio: the gradient of the reverse KL."""
    return _third(log_prob, ref_log_prob)


@estimator("kl", claims={"off_policy_gradient"})
def third_unweighted(log_prob, ref_log_prob, old_log_prob):
    """k3 on the sampler's draws, as if they were the policy's."""
    return _third(log_prob, ref_log_prob) + 0 * old_log_prob


@estimator("kl", claims={"token_gradient"})
def sequence_ratio_on_tokens(log_prob, ref_log_prob, old_log_prob):
    """The geometric mean of ratios, spread over the string, on the KL of tokens."""
    ratio = np.exp((log_prob - old_log_prob).mean(axis=1, keepdims=True))
    return ratio * _third(log_prob, ref_log_prob)


@estimator("kl", claims={"string_gradient"})
def tokens_for_strings(log_prob, ref_log_prob, old_log_prob):
    """Each token's own ratio, claimed right for strings: the prefixes' part is missing."""
    return np.exp(log_prob - old_log_prob) * _third(log_prob, ref_log_prob)


@estimator("kl", claims=REGULARISED)
def first_as_loss(log_prob, ref_log_prob):
    """k1 in the loss: its mean gradient is zero."""
    return log_prob - ref_log_prob


@estimator("kl", claims={"value", "zero_at_reference"})
def reversed_ratio(log_prob, ref_log_prob):
    """The log-ratio of reference to policy."""
    return ref_log_prob - log_prob


@estimator("kl", claims={"value"})
def squared_as_value(log_prob, ref_log_prob):
    """k2, claimed unbiased."""
    return (log_prob - ref_log_prob) ** 2 / 2


@estimator("kl", claims={"non_negative"})
def signed(log_prob, ref_log_prob):
    """k1, claimed to be never negative."""
    return log_prob - ref_log_prob


@estimator("kl", claims={"zero_at_reference"})
def without_minus_one(log_prob, ref_log_prob):
    """k3 without its -1."""
    gap = ref_log_prob - log_prob
    return np.exp(gap) - gap


@estimator("kl", claims={"additive"})
def absolute(log_prob, ref_log_prob):
    """|ln pi - ln ref|, claimed to add up over tokens."""
    return np.abs(log_prob - ref_log_prob)


@estimator("kl", claims={"clamped"}, facts={"band": (0.0, 10.0)})
def unclamped(log_prob, ref_log_prob):
    """k3 where a clamp is declared."""
    return _third(log_prob, ref_log_prob)


@estimator("kl", claims={"reward_gradient"})
def third_as_reward(log_prob, ref_log_prob):
    """k3 as a detached reward."""
    return _third(log_prob, ref_log_prob)


@estimator("kl_controller", facts={"target": 6.0})
def wrong_way(beta, kl):
    """Pushes when the KL is too small."""
    return beta * (1 + 0.1 * min(max(1 - kl / 6.0, -0.2), 0.2))


@estimator("kl_controller", facts={"target": 6.0})
def fed_half(beta, kl):
    """Is fed the KL of half the strings, so that it rests elsewhere."""
    return beta * (1 + 0.1 * min(max(kl / 2 / 6.0 - 1, -0.2), 0.2))


@estimator(
    "kl",
    claims={"value", "zero_at_reference", "additive", "reward_gradient"},
)
def plain_ratio(log_prob, ref_log_prob):
    """k1: negative for single draws, as it must be."""
    return -(ref_log_prob - log_prob)


@estimator("kl", claims={"value", "zero_at_reference", "non_negative"})
def third_by_expm1(log_prob, ref_log_prob):
    """k3 as (e^x - 1) - x."""
    gap = ref_log_prob - log_prob
    return np.expm1(gap) - gap


@estimator("kl", claims={"gradient", "token_gradient", "non_negative", "zero_at_reference"})
def half_square(log_prob, ref_log_prob):
    """k2."""
    gap = ref_log_prob - log_prob
    return gap * gap / 2


@estimator("kl", claims={"off_policy_gradient", "string_gradient"})
def whole_weight(log_prob, ref_log_prob, old_log_prob):
    """k1 with the ratio of the whole string."""
    ratio = np.exp((log_prob - old_log_prob).sum(axis=1, keepdims=True))
    return ratio * (log_prob - ref_log_prob)


@estimator("kl", claims={"zero_at_reference", "clamped"}, facts={"band": (-1.0, 1.0)})
def cut_ratio(log_prob, ref_log_prob):
    """k1 within -1..1."""
    return np.minimum(np.maximum(log_prob - ref_log_prob, -1), 1)


@estimator("kl_controller", facts={"target": 6.0})
def by_logarithm(beta, kl):
    """An exponential controller on the logarithm of the error."""
    return beta * float((kl / 6.0) ** 0.01)


BUGS = (
    Bug(
        "third_as_loss",
        "kl",
        ("K2",),
        "huggingface/trl issue 3025, PR 4638, PR 6503",
        "k3 in the loss without a ratio",
        third_as_loss,
    ),
    Bug(
        "third_unweighted",
        "kl",
        ("K3",),
        "huggingface/trl issue 3025, PR 4638, PR 6503",
        "k3 on another sampler's draws",
        third_unweighted,
    ),
    Bug(
        "sequence_ratio_on_tokens",
        "kl",
        ("K2-token",),
        "huggingface/trl PR 6594, PR 7188 (issue 6586)",
        "a ratio of sequences on the KL of tokens",
        sequence_ratio_on_tokens,
    ),
    Bug(
        "tokens_for_strings",
        "kl",
        ("K2-string",),
        "mutant",
        "the gradient of the prefixes is missing",
        tokens_for_strings,
    ),
    Bug(
        "first_as_loss",
        "kl",
        ("K2",),
        "allenai/open-instruct issue 534",
        "k1 as a loss has a gradient of mean zero",
        first_as_loss,
    ),
    Bug("reversed_ratio", "kl", ("K1",), "mutant", "the sign", reversed_ratio),
    Bug("squared_as_value", "kl", ("K1",), "mutant", "biased", squared_as_value),
    Bug("signed", "kl", ("K5",), "mutant", "negative", signed),
    Bug("without_minus_one", "kl", ("K4",), "mutant", "off by one", without_minus_one),
    Bug("absolute", "kl", ("K6",), "mutant", "not additive", absolute),
    Bug("unclamped", "kl", ("K7",), "mutant", "no clamp", unclamped),
    Bug("third_as_reward", "kl", ("K8",), "mutant", "k3 as reward", third_as_reward),
    Bug("wrong_way", "kl_controller", ("K9",), "mutant", "the sign", wrong_way),
    Bug(
        "fed_half",
        "kl_controller",
        ("K9",),
        "CarperAI/trlx PR 361",
        "the controller is fed another KL",
        fed_half,
    ),
)

TWINS = (
    Twin(
        "plain_ratio",
        "kl",
        "huggingface/trl issue 463",
        "a negative per-token KL is fine: only its mean is not negative",
        plain_ratio,
    ),
    Twin("third_by_expm1", "kl", "rewrite", "k3", third_by_expm1),
    Twin("half_square", "kl", "rewrite", "k2", half_square),
    Twin("whole_weight", "kl", "rewrite", "weighted k1", whole_weight),
    Twin("cut_ratio", "kl", "rewrite", "k1 in a declared band", cut_ratio),
    Twin("by_logarithm", "kl_controller", "rewrite", "another controller", by_logarithm),
)
