"""Values from another policy's draws: broken estimators, and rewrites to leave alone.

>>> importance(np.array([1.0, 3.0]), np.zeros(2), np.zeros(2))
np.float64(2.0)
"""

import numpy as np

from bandit_rlhf.contract import estimator
from bandit_rlhf.laws.bugs.record import Bug, Twin


@estimator("off_policy", claims=("unbiased", "on_policy_mean"))
def importance(rewards, log_prob, behaviour_log_prob):
    """Rewards weighed with the ratio of probabilities."""
    return np.mean(np.exp(log_prob - behaviour_log_prob) * rewards)


@estimator("off_policy", claims=("shift_equivariant", "on_policy_mean"))
def self_normalised(rewards, log_prob, behaviour_log_prob):
    """The same over the sum of the weights, which is not unbiased and does not say so."""
    weights = np.exp(log_prob - behaviour_log_prob)
    return np.sum(weights * rewards) / np.sum(weights)


@estimator("off_policy", claims=("known_bias", "on_policy_mean"), facts={"clip": (0.0, 2.0)})
def cut_weights(rewards, log_prob, behaviour_log_prob):
    """Weights of at most two, by the logarithm."""
    cut = np.minimum(log_prob - behaviour_log_prob, np.log(2).astype(rewards.dtype))
    return np.mean(np.exp(cut) * rewards)


@estimator("off_policy", claims=("unbiased", "doubly_robust", "shift_equivariant"))
def model_and_correction(rewards, log_prob, behaviour_log_prob, predicted, baseline):
    """The model's value, and the weighed rewards it did not predict."""
    weights = np.exp(log_prob - behaviour_log_prob)
    return np.mean(baseline + weights * (rewards - predicted))


@estimator("off_policy", claims=("unbiased", "doubly_robust"))
def importance_and_control(rewards, log_prob, behaviour_log_prob, predicted, baseline):
    """The same, added up the other way round."""
    weights = np.exp(log_prob - behaviour_log_prob)
    return np.mean(weights * rewards) - np.mean(weights * predicted - baseline)


@estimator("off_policy", claims=("unbiased",))
def constant_control(rewards, log_prob, behaviour_log_prob):
    """Less a multiple of the weights' excess over one, whose mean is zero."""
    weights = np.exp(log_prob - behaviour_log_prob)
    return np.mean(weights * rewards) - 3 * (np.mean(weights) - 1)


@estimator("off_policy", claims=("unbiased",))
def log_probs_as_probabilities(rewards, log_prob, behaviour_log_prob):
    """The ratio of log-probabilities."""
    return np.mean(log_prob / behaviour_log_prob * rewards)


@estimator("off_policy", claims=("unbiased", "on_policy_mean"))
def ratio_upside_down(rewards, log_prob, behaviour_log_prob):
    """The sampler's probability over the policy's."""
    return np.mean(np.exp(behaviour_log_prob - log_prob) * rewards)


@estimator("off_policy", claims=("unbiased",))
def self_normalised_as_unbiased(rewards, log_prob, behaviour_log_prob):
    """Self-normalised, sold as unbiased."""
    weights = np.exp(log_prob - behaviour_log_prob)
    return np.sum(weights * rewards) / np.sum(weights)


@estimator("off_policy", claims=("unbiased", "doubly_robust"))
def correction_reversed(rewards, log_prob, behaviour_log_prob, predicted, baseline):
    """The model's prediction less the reward."""
    weights = np.exp(log_prob - behaviour_log_prob)
    return np.mean(baseline + weights * (predicted - rewards))


@estimator("off_policy", claims=("doubly_robust",))
def prediction_for_baseline(rewards, log_prob, behaviour_log_prob, predicted, baseline):
    """The model's value of the draw where its value of the policy is meant."""
    weights = np.exp(log_prob - behaviour_log_prob)
    return np.mean(predicted + weights * (rewards - predicted))


@estimator("off_policy", claims=("doubly_robust",))
def model_alone(rewards, log_prob, behaviour_log_prob, predicted, baseline):
    """The direct method, right only where the model is."""
    return np.mean(baseline)


@estimator("off_policy", claims=("shift_equivariant",))
def shifted_weights(rewards, log_prob, behaviour_log_prob):
    """Weights that do not add up to one."""
    return np.mean(np.exp(log_prob - behaviour_log_prob) * rewards)


@estimator("off_policy", claims=("on_policy_mean",))
def one_in_the_denominator(rewards, log_prob, behaviour_log_prob):
    """A one added to the sum of weights, against division by zero."""
    weights = np.exp(log_prob - behaviour_log_prob)
    return np.sum(weights * rewards) / (np.sum(weights) + 1)


@estimator("off_policy", claims=("known_bias",), facts={"clip": (0.0, 1.0)})
def product_cut(rewards, log_prob, behaviour_log_prob):
    """The weighed reward is cut instead of the weight."""
    return np.mean(np.minimum(np.exp(log_prob - behaviour_log_prob) * rewards, 1))


@estimator("per_decision", claims=("unbiased", "on_policy_mean"))
def weights_so_far(rewards, log_prob, behaviour_log_prob, mask, gamma=1.0):
    """Each reward with the weight of the tokens up to its own."""
    ratio = np.where(mask, log_prob - behaviour_log_prob, 0)
    steps = np.arange(mask.shape[1]).astype(rewards.dtype)
    gains = np.where(mask, rewards, 0) * gamma**steps * np.exp(np.cumsum(ratio, axis=1))
    return np.mean(np.sum(gains, axis=1))


@estimator("per_decision", claims=("unbiased", "on_policy_mean"))
def weight_of_the_string(rewards, log_prob, behaviour_log_prob, mask):
    """The whole string's weight on its return: more noise, the same mean."""
    ratio = np.sum(np.where(mask, log_prob - behaviour_log_prob, 0), axis=1)
    return np.mean(np.exp(ratio) * np.sum(np.where(mask, rewards, 0), axis=1))


@estimator("per_decision", claims=("unbiased",))
def weight_of_the_token(rewards, log_prob, behaviour_log_prob, mask):
    """Each reward with the weight of its own token only."""
    ratio = np.where(mask, log_prob - behaviour_log_prob, 0)
    return np.mean(np.sum(np.where(mask, rewards, 0) * np.exp(ratio), axis=1))


@estimator("per_decision", claims=("unbiased",))
def weights_before(rewards, log_prob, behaviour_log_prob, mask):
    """Each reward with the weight of the tokens before its own."""
    ratio = np.where(mask, log_prob - behaviour_log_prob, 0)
    before = np.cumsum(ratio, axis=1) - ratio
    return np.mean(np.sum(np.where(mask, rewards, 0) * np.exp(before), axis=1))


@estimator("per_decision", claims=("unbiased",))
def discounted_from_one(rewards, log_prob, behaviour_log_prob, mask, gamma=1.0):
    """The first reward is discounted already."""
    ratio = np.where(mask, log_prob - behaviour_log_prob, 0)
    steps = 1 + np.arange(mask.shape[1]).astype(rewards.dtype)
    gains = np.where(mask, rewards, 0) * gamma**steps * np.exp(np.cumsum(ratio, axis=1))
    return np.mean(np.sum(gains, axis=1))


@estimator("per_decision", claims=("on_policy_mean",))
def mean_over_tokens(rewards, log_prob, behaviour_log_prob, mask):
    """A mean over the strings' tokens for the sum."""
    weights = np.exp(np.where(mask, log_prob - behaviour_log_prob, 0))
    return np.mean(np.sum(np.where(mask, weights * rewards, 0), axis=1) / mask.shape[1])


def _following(values, mask, final_value):
    """The value after each token: that of the next real one, or the final one."""
    result, ahead = np.zeros_like(values), final_value + 0 * values[:, 0]
    for t in reversed(range(values.shape[1])):
        result[:, t] = ahead
        ahead = np.where(mask[:, t], values[:, t], ahead)
    return result


def _targets(ratio, trace, rewards, values, mask, final_value, gamma):
    """Targets and advantages, right to left."""
    following = _following(values, mask, final_value)
    errors = ratio * (np.where(mask, rewards, 0) + gamma * following - values)
    excess, later = np.zeros_like(values), np.zeros_like(values[:, 0])
    for t in reversed(range(values.shape[1])):
        later = np.where(mask[:, t], errors[:, t] + gamma * trace[:, t] * later, later)
        excess[:, t] = later
    targets = np.where(mask, values + excess, 0)
    after = _following(targets, mask, final_value)
    return targets, np.where(mask, ratio * (rewards + gamma * after - values), 0)


TRACE = {"on_policy_return", "recursion", "fixed_point"}


@estimator("vtrace", claims=TRACE | {"zero_at_pads"})
def right_to_left(log_prob, behaviour_log_prob, rewards, values, mask, final_value=0.0, gamma=1.0):
    """V-trace by its recursion."""
    values = np.where(mask, values, 0)
    cut = np.minimum(np.exp(np.where(mask, log_prob - behaviour_log_prob, 0)), 1)
    return _targets(cut, cut, rewards, values, mask, final_value, gamma)


@estimator("vtrace", claims=TRACE)
def sum_of_errors(log_prob, behaviour_log_prob, rewards, values, mask, final_value=0.0, gamma=1.0):
    """V-trace by its definition, a double sum over each string's real tokens."""
    targets, ends = np.zeros_like(values), final_value + np.zeros_like(values[:, 0])
    for i, real in enumerate(map(np.flatnonzero, mask)):
        v = np.append(values[i, real], ends[i])
        cut = np.minimum(np.exp(log_prob[i, real] - behaviour_log_prob[i, real]), 1)
        errors = cut * (rewards[i, real] + gamma * v[1:] - v[:-1])
        for s, place in enumerate(real):
            traces = np.append(1, np.cumprod(gamma * cut[s:-1]))
            targets[i, place] = v[s] + np.sum(traces * errors[s:])
    return targets


@estimator("vtrace", claims={"zero_at_pads"})
def values_at_pads(log_prob, behaviour_log_prob, rewards, values, mask, final_value=0.0, gamma=1.0):
    """Where no token participates the target is the value."""
    targets = sum_of_errors(log_prob, behaviour_log_prob, rewards, values, mask, final_value, gamma)
    return np.where(mask, targets, values)


@estimator("vtrace", claims=TRACE)
def trace_not_cut(log_prob, behaviour_log_prob, rewards, values, mask, final_value=0.0, gamma=1.0):
    """The trace's ratios are left as they are."""
    values = np.where(mask, values, 0)
    ratio = np.exp(np.where(mask, log_prob - behaviour_log_prob, 0))
    return _targets(np.minimum(ratio, 1), ratio, rewards, values, mask, final_value, gamma)


@estimator("vtrace", claims=TRACE)
def ratios_upside_down(
    log_prob, behaviour_log_prob, rewards, values, mask, final_value=0.0, gamma=1.0
):
    """The sampler's probability over the policy's."""
    values = np.where(mask, values, 0)
    cut = np.minimum(np.exp(np.where(mask, behaviour_log_prob - log_prob, 0)), 1)
    return _targets(cut, cut, rewards, values, mask, final_value, gamma)


@estimator("vtrace", claims=TRACE)
def cut_strings_end(
    log_prob, behaviour_log_prob, rewards, values, mask, final_value=0.0, gamma=1.0
):
    """A string that was cut is taken for one that ended."""
    values = np.where(mask, values, 0)
    cut = np.minimum(np.exp(np.where(mask, log_prob - behaviour_log_prob, 0)), 1)
    return _targets(cut, cut, rewards, values, mask, 0 * final_value, gamma)


@estimator("vtrace", claims=("on_policy_return",))
def advantages_from_values(
    log_prob, behaviour_log_prob, rewards, values, mask, final_value=0.0, gamma=1.0
):
    """Advantages that look one step ahead, to the value and not to the target."""
    values = np.where(mask, values, 0)
    cut = np.minimum(np.exp(np.where(mask, log_prob - behaviour_log_prob, 0)), 1)
    targets, _ = _targets(cut, cut, rewards, values, mask, final_value, gamma)
    following = _following(values, mask, final_value)
    return targets, np.where(mask, cut * (rewards + gamma * following - values), 0)


def _bug(law: tuple[str, ...], words: str, function, source: str = "mutant") -> Bug:
    return Bug(function.__name__, function.contract.kind, law, source, words, function)


RAY = "ray-project/ray issues 12047, 7107"
COACH = "IntelLabs/coach PR 311"

BUGS = (
    _bug(("U1-zero",), "values left at pads", values_at_pads),
    _bug(("O1",), "log-likelihoods used as probabilities", log_probs_as_probabilities, RAY),
    _bug(("O1",), "the ratio upside down", ratio_upside_down, RAY),
    _bug(("O1", "O2"), "the correction's order reversed", correction_reversed, COACH),
    _bug(("O1",), "self-normalised weights are biased", self_normalised_as_unbiased),
    _bug(("O2",), "the prediction for the baseline", prediction_for_baseline),
    _bug(("O2",), "no correction at all", model_alone),
    _bug(("O3",), "weights do not sum to one", shifted_weights),
    _bug(("O4",), "a one in the denominator", one_in_the_denominator),
    _bug(("O6",), "the product is cut, not the weight", product_cut),
    _bug(("O5",), "the weight of one token only", weight_of_the_token),
    _bug(("O5",), "the own token's weight is missing", weights_before),
    _bug(("O5-discounted",), "discounted once too often", discounted_from_one),
    _bug(("O4",), "a mean over tokens", mean_over_tokens),
    _bug(("O7-recursion",), "the trace is not cut", trace_not_cut),
    _bug(("O7-recursion", "O7-fixed-point"), "ratios upside down", ratios_upside_down),
    _bug(("O7", "O7-recursion", "O7-fixed-point"), "truncation as an end", cut_strings_end),
    _bug(("O7",), "advantages of one step", advantages_from_values),
)


def _rewrite(words: str, function) -> Twin:
    return Twin(function.__name__, function.contract.kind, "rewrite", words, function)


TWINS = (
    _rewrite("the definition", importance),
    _rewrite("biased, and not said to be unbiased", self_normalised),
    _rewrite("a clip, declared", cut_weights),
    _rewrite("the definition", model_and_correction),
    _rewrite("the control variate's form", importance_and_control),
    _rewrite("unbiased but odd: a control variate of mean zero", constant_control),
    _rewrite("the definition", weights_so_far),
    _rewrite("trajectory-wise weights have the same mean", weight_of_the_string),
    _rewrite("the recursion", right_to_left),
    _rewrite("the double sum, targets alone", sum_of_errors),
)
