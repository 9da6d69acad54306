"""Broken and correct policy losses and aggregations.

>>> import numpy as np
>>> float(padded_mean(np.array([[2.0, 9.0]]), np.array([[True, False]])))
1.0
"""

import numpy as np

from bandit_rlhf.contract import estimator
from bandit_rlhf.laws.bugs.record import Bug, Twin

SUMS = {"weights": "sequence_sum"}
MEANS = {"weights": "token_mean"}


def _kept(values, mask):
    return np.where(mask, values, 0)


def _count(mask, like):
    return like.dtype.type(mask.sum())


# Aggregations


@estimator("aggregation", claims={"token_weights"}, facts=MEANS)
def multiplied_mask(values, mask):
    """Masked by multiplication: NaN * 0 is NaN."""
    return (values * mask).sum() / _count(mask, values)


@estimator("aggregation", claims={"token_weights"}, facts=MEANS)
def unmasked_mean(values, mask):
    """The mean over everything."""
    return values.mean()


@estimator("aggregation", claims={"token_weights", "additive"}, facts=MEANS)
def padded_mean(values, mask):
    """Divided by the padded width."""
    return _kept(values, mask).mean()


@estimator("aggregation", claims={"additive"}, facts=SUMS)
def mean_of_this_batch(values, mask):
    """A token mean of whatever batch it sees, claimed to add up over micro-batches of strings."""
    return _kept(values, mask).sum() / _count(mask, values)


@estimator("aggregation", claims={"additive"}, facts=MEANS)
def own_denominator(values, mask, *, total=None):
    """Told the whole batch's tokens, it divides by its own."""
    return _kept(values, mask).sum() / _count(mask, values)


@estimator("aggregation", claims={"additive"}, facts=MEANS)
def scaled_again(values, mask, *, total=None):
    """Told the whole batch's tokens, it divides by the number of micro-batches as well."""
    own = _count(mask, values)
    steps = 1 if total is None else max(total / own, 1)
    return _kept(values, mask).sum() / values.dtype.type((own if total is None else total) * steps)


@estimator("aggregation", claims={"token_weights"}, facts=MEANS)
def two_masks(values, mask):
    """Full strings, taken for cut ones, are left out of the sum but not of the count."""
    whole = mask.all(axis=1, keepdims=True) & (mask.sum() > mask.shape[1])
    return _kept(values, mask & ~whole).sum() / _count(mask, values)


@estimator("aggregation", claims={"token_weights", "additive"}, facts=MEANS)
def compressed_mean(values, mask):
    """The mean of what participates."""
    return values[mask].mean()


@estimator("aggregation", claims={"token_weights", "additive"}, facts={"weights": "sequence_mean"})
def row_by_row(values, mask):
    """The mean over strings of their means, in a loop."""
    rows = [row[real].mean() for row, real in zip(values, mask, strict=True)]
    return np.asarray(rows, dtype=values.dtype).mean()


# Policy losses


def _ratio(log_prob, old_log_prob, mask):
    return np.exp(_kept(log_prob, mask) - _kept(old_log_prob, mask))


def _pessimistic(ratio, advantages, low=0.2, high=0.2):
    cut = np.clip(ratio, 1 - low, 1 + high).astype(ratio.dtype)
    return np.maximum(-advantages * ratio, -advantages * cut)


@estimator("policy_loss", claims={"unit_ratio"})
def centred_before_mask(log_prob, old_log_prob, advantages, mask):
    """Advantages centred over the padded batch, before the mask."""
    centred = advantages - advantages.mean()
    ratio = _ratio(log_prob, old_log_prob, mask)
    return -_kept(ratio * centred, mask).sum() / _count(mask, log_prob)


@estimator("policy_loss", claims={"token_weights"}, facts=MEANS)
def advantages_as_mask(log_prob, old_log_prob, advantages, mask):
    """The advantages handed over where the mask belongs."""
    ratio = _ratio(log_prob, old_log_prob, mask)
    weights = np.where(mask, np.abs(advantages), 0) + 1e-3
    return -(_kept(ratio * advantages, mask) * weights).sum() / weights.sum()


@estimator(
    "policy_loss",
    claims={"on_policy_gradient", "baseline_free", "token_weights"},
    facts={"weights": "constant", "length": 2.0, "scale": 0.5},
)
def length_biased(log_prob, old_log_prob, advantages, mask):
    """Each string's mean, where a constant length is claimed."""
    losses = _kept(-advantages * _ratio(log_prob, old_log_prob, mask), mask)
    return (losses.sum(axis=1) / mask.sum(axis=1)).astype(losses.dtype).mean()


@estimator("policy_loss", claims={"on_policy_gradient", "token_weights"}, facts=SUMS)
def maximised(log_prob, old_log_prob, advantages, mask):
    """The objective instead of the loss."""
    return _kept(advantages * _ratio(log_prob, old_log_prob, mask), mask).sum() / len(mask)


@estimator("policy_loss", claims={"on_policy_gradient", "off_policy_gradient"})
def ratio_of_tokens(log_prob, old_log_prob, advantages, mask):
    """Each token weighted by its own ratio, claimed right for strings of another sampler."""
    return -_kept(advantages * _ratio(log_prob, old_log_prob, mask), mask).sum() / len(mask)


@estimator("policy_loss", claims={"on_policy_gradient", "off_policy_gradient"}, backend="torch")
def ratio_of_itself(log_prob, old_log_prob, advantages, mask):
    """A ratio to its own detached copy: always 1, whoever sampled."""
    ratio = (log_prob - log_prob.detach()).exp()
    return -(advantages * ratio).where(mask, log_prob.new_zeros(())).sum() / len(mask)


@estimator("policy_loss", claims={"on_policy_gradient", "off_policy_gradient"})
def current_denominator(log_prob, old_log_prob, advantages, mask):
    """The sampler's log-probabilities computed again with the current policy."""
    return -_kept(advantages * _ratio(log_prob, log_prob, mask), mask).sum() / len(mask)


@estimator("policy_loss", claims={"clipped"}, facts={"clip": (0.2, 0.2)})
def clipped_alone(log_prob, old_log_prob, advantages, mask):
    """The clipped ratio without the maximum."""
    cut = np.clip(_ratio(log_prob, old_log_prob, mask), 0.8, 1.2)
    return (_kept(-advantages * cut, mask).sum() / _count(mask, log_prob)).astype(log_prob.dtype)


@estimator("policy_loss", claims={"clipped"}, facts={"clip": (0.2, 0.28)})
def lower_for_upper(log_prob, old_log_prob, advantages, mask):
    """The lower bound's width on both sides."""
    losses = _pessimistic(_ratio(log_prob, old_log_prob, mask), _kept(advantages, mask))
    return losses.sum() / _count(mask, log_prob)


@estimator("policy_loss", claims={"unit_ratio"})
def probability_for_ratio(log_prob, old_log_prob, advantages, mask):
    """The probability where the ratio belongs."""
    return -_kept(np.exp(_kept(log_prob, mask)) * advantages, mask).sum() / len(mask)


@estimator("policy_loss", claims={"additive"}, facts=SUMS)
def adds_up_by_tokens(log_prob, old_log_prob, advantages, mask):
    """A token mean where strings are to be counted."""
    losses = _pessimistic(_ratio(log_prob, old_log_prob, mask), _kept(advantages, mask))
    return losses.sum() / _count(mask, log_prob)


@estimator("policy_loss", claims={"no_leak", "on_policy_gradient"}, backend="torch")
def attached_sampler(log_prob, old_log_prob, advantages, mask):
    """The sampler's log-probabilities and the advantages keep their graph."""
    ratio = (log_prob - old_log_prob).exp()
    return -(advantages * ratio).where(mask, log_prob.new_zeros(())).sum() / len(mask)


@estimator("policy_loss", claims={"no_leak", "on_policy_gradient"}, backend="torch")
def detached_sampler(log_prob, old_log_prob, advantages, mask):
    """The sampler and the advantages without their graphs."""
    nothing = log_prob.new_zeros(())
    gaps = (log_prob - old_log_prob.detach()).where(mask, nothing)
    return -(advantages.detach().where(mask, nothing) * gaps.exp()).sum() / len(mask)


@estimator("policy_loss", claims={"on_policy_gradient", "unit_ratio"})
def first_token_alone(log_prob, old_log_prob, advantages, mask):
    """Only the first token of each string is trained."""
    ratio = np.where(mask[:, :1], _ratio(log_prob, old_log_prob, mask)[:, :1], 1)
    return -(ratio * _kept(advantages, mask)[:, :1]).sum() / log_prob.dtype.type(len(mask))


@estimator(
    "policy_loss",
    claims={"on_policy_gradient", "baseline_free", "token_weights", "additive"},
    facts=SUMS,
)
def score_by_loop(log_prob, old_log_prob, advantages, mask):
    """REINFORCE, token by token."""
    total = log_prob.dtype.type(0)
    for at in zip(*np.nonzero(mask), strict=True):
        total = total - advantages[at] * log_prob[at]
    return total / len(mask)


@estimator(
    "policy_loss",
    claims={"clipped", "token_weights", "unit_ratio", "additive"},
    facts={"clip": (0.2, 0.2)} | MEANS,
)
def minimum_of_gains(log_prob, old_log_prob, advantages, mask):
    """PPO as minus the minimum of gains."""
    ratio = _ratio(log_prob, old_log_prob, mask)
    cut = np.minimum(np.maximum(ratio, 0.8), 1.2).astype(ratio.dtype)
    gains = np.minimum(ratio * _kept(advantages, mask), cut * _kept(advantages, mask))
    return -gains.sum() / _count(mask, log_prob)


@estimator("policy_loss", claims={"on_policy_gradient", "off_policy_gradient", "baseline_free"})
def whole_ratio(log_prob, old_log_prob, advantages, mask):
    """The ratio of whole strings, on the first token's advantage, which is the string's."""
    ratio = np.exp((_kept(log_prob, mask) - _kept(old_log_prob, mask)).sum(axis=1))
    first = np.take_along_axis(advantages, mask.argmax(axis=1)[:, None], axis=1)[:, 0]
    return -(ratio * first).mean()


@estimator("policy_loss", claims={"on_policy_gradient", "baseline_free"}, backend="torch")
def always_one(log_prob, old_log_prob, advantages, mask):
    """On the first step after sampling the ratio is 1, and its gradient is not 0."""
    nothing = log_prob.new_zeros(())
    own, gains = (x.where(mask, nothing) for x in (log_prob, advantages))
    return -(gains * (own - own.detach()).exp()).sum() / len(mask)


@estimator("policy_loss", claims={"on_policy_gradient", "unit_ratio"})
def negated_log_probs(log_prob, old_log_prob, advantages, mask):
    """Old minus new, of negative log-probabilities."""
    new, old = -_kept(log_prob, mask), -_kept(old_log_prob, mask)
    return -(_kept(advantages, mask) * np.exp(old - new)).sum() / len(mask)


BUGS = (
    Bug(
        "multiplied_mask",
        "aggregation",
        ("U1",),
        "OpenRLHF/OpenRLHF PR 1240",
        "NaN * 0 = NaN",
        multiplied_mask,
    ),
    Bug(
        "unmasked_mean",
        "aggregation",
        ("U1", "U1-gradient", "U2"),
        "allenai/open-instruct PR 535",
        "an unmasked mean of loss and KL",
        unmasked_mean,
    ),
    Bug(
        "padded_mean",
        "aggregation",
        ("U2", "U4"),
        "verl-project/verl issue 3741",
        "the padded width as denominator",
        padded_mean,
    ),
    Bug(
        "mean_of_this_batch",
        "aggregation",
        ("U4",),
        "huggingface/trl issue 3021; allenai/open-instruct PR 1137, 1161",
        "a micro-batch's own token mean",
        mean_of_this_batch,
    ),
    Bug(
        "own_denominator",
        "aggregation",
        ("U4-total",),
        "PrimeIntellect-ai/prime-rl PR 583",
        "a micro-batch's token denominator",
        own_denominator,
    ),
    Bug(
        "scaled_again",
        "aggregation",
        ("U4-total",),
        "modelscope/ms-swift issue 10117",
        "an extra division by accumulation steps",
        scaled_again,
    ),
    Bug(
        "two_masks",
        "aggregation",
        ("L5",),
        "huggingface/trl issue 6369",
        "numerator and denominator are masked differently",
        two_masks,
    ),
    Bug(
        "centred_before_mask",
        "policy_loss",
        ("U1",),
        "MakazhanAlpamys/Soup issue 723",
        "centred over the batch before the mask",
        centred_before_mask,
    ),
    Bug(
        "advantages_as_mask",
        "policy_loss",
        ("L5",),
        "verl-project/verl issue 2506",
        "advantages passed as the response mask",
        advantages_as_mask,
    ),
    Bug(
        "length_biased",
        "policy_loss",
        ("L4", "L5", "L1"),
        "huggingface/trl PR 3138, 3256",
        "1/|o| weights",
        length_biased,
    ),
    Bug("maximised", "policy_loss", ("L1",), "mutant", "the sign", maximised),
    Bug(
        "ratio_of_tokens",
        "policy_loss",
        ("L2",),
        "mutant",
        "token ratios claimed unbiased for strings",
        ratio_of_tokens,
    ),
    Bug(
        "ratio_of_itself",
        "policy_loss",
        ("L2",),
        "meta-pytorch/torchforge PR 571",
        "log-probabilities minus their own detached copy",
        ratio_of_itself,
    ),
    Bug(
        "current_denominator",
        "policy_loss",
        ("L2",),
        "radixark/miles PR 1829",
        "the denominator recomputed with the current actor",
        current_denominator,
    ),
    Bug("clipped_alone", "policy_loss", ("L3",), "mutant", "no maximum", clipped_alone),
    Bug("lower_for_upper", "policy_loss", ("L3",), "mutant", "one width twice", lower_for_upper),
    Bug(
        "probability_for_ratio",
        "policy_loss",
        ("L6",),
        "mutant",
        "no denominator",
        probability_for_ratio,
    ),
    Bug("adds_up_by_tokens", "policy_loss", ("U4",), "mutant", "tokens counted", adds_up_by_tokens),
    Bug("attached_sampler", "policy_loss", ("L7",), "mutant", "a graph not cut", attached_sampler),
    Bug(
        "first_token_alone",
        "policy_loss",
        ("L1", "L1-direction"),
        "mutant",
        "later tokens are not trained",
        first_token_alone,
    ),
)

TWINS = (
    Twin("compressed_mean", "aggregation", "rewrite", "by indexing", compressed_mean),
    Twin("row_by_row", "aggregation", "rewrite", "by a loop", row_by_row),
    Twin("score_by_loop", "policy_loss", "rewrite", "by a loop", score_by_loop),
    Twin("minimum_of_gains", "policy_loss", "rewrite", "-min(x) = max(-x)", minimum_of_gains),
    Twin("detached_sampler", "policy_loss", "rewrite", "graphs cut", detached_sampler),
    Twin(
        "always_one",
        "policy_loss",
        "verl-project/verl issues 2311, 2501",
        "log-probabilities equal the sampler's on the first step, as they should",
        always_one,
    ),
    Twin(
        "negated_log_probs",
        "policy_loss",
        "openai/baselines issue 652",
        "the ratio of negative log-probabilities is old minus new",
        negated_log_probs,
    ),
    Twin("whole_ratio", "policy_loss", "rewrite", "importance sampling of strings", whole_ratio),
)
