"""The value of a policy from another policy's draws.

A draw y_i of mu with reward r_i is weighed with w_i = pi(y_i)/mu(y_i), from log-probabilities of
whole strings. Model-based estimates know q(y_i) and v_i = sum_y pi(y) q(y) at the draw's prompt.

    ips               mean w r                        unbiased; variance grows with chi^2(pi || mu)
    clipped_ips       mean cut(w) r                   biased by E_mu[(cut(w) - w) r]
    snips             sum w r / sum w                 biased, consistent; shifts with the rewards
    per_decision      weights up to each token        unbiased, less variance than ips
    direct_method     mean v                          as good as the model
    doubly_robust     mean v + w (r - q)              unbiased if the model or mu is right
    switch            doubly robust below a weight, the model above

>>> import numpy as np
>>> log_prob, log_mu = np.log([0.9, 0.1]), np.log([0.5, 0.5])
>>> float(ips(np.array([1.0, 0.0]), log_prob, log_mu).round(6))
0.9
"""

import math

from array_api_compat import array_namespace

from bandit_rlhf import _check
from bandit_rlhf._masked import Array, kept, same_shape, tokens
from bandit_rlhf.contract import estimator


@estimator("off_policy", claims={"unbiased", "on_policy_mean"})
def ips(rewards: Array, log_prob: Array, behaviour_log_prob: Array) -> Array:
    """Inverse propensity scoring: mean w r.

    Unbiased where mu has the support of pi (theorem 17).

    Args:
        rewards: [draw].
        log_prob: ln pi(y_i), [draw].
        behaviour_log_prob: ln mu(y_i), [draw].

    Returns:
        a number, as an array without axes.

    Laws: O1, O4. Source: Horvitz and Thompson 1952; Precup et al. 2000, section 3.

    >>> import numpy as np
    >>> float(ips(np.array([2.0]), np.log([0.5]), np.log([0.25])))
    4.0
    """
    xp = array_namespace(rewards)
    return xp.mean(xp.exp(_log_weights("ips", rewards, log_prob, behaviour_log_prob)) * rewards)


@estimator(
    "off_policy",
    claims={"known_bias", "on_policy_mean"},
    facts={"clip": (0.0, 2.0)},
    settings={"largest": 2.0},
)
def clipped_ips(
    rewards: Array, log_prob: Array, behaviour_log_prob: Array, *, largest: float
) -> Array:
    """IPS with weights of at most `largest`: mean min(w, largest) r.

    Its bias is E_mu[(min(w, largest) - w) r], at most E_pi[|r|; w > largest].

    Args:
        rewards: [draw].
        log_prob: ln pi(y_i), [draw].
        behaviour_log_prob: ln mu(y_i), [draw].
        largest: above 0; on-policy draws are left alone from 1 on.

    Returns:
        a number.

    Laws: O4, O6. Source: Ionides 2008, J. Comput. Graph. Stat. 17:295.

    >>> import numpy as np
    >>> float(clipped_ips(np.array([2.0]), np.log([0.5]), np.log([0.125]), largest=3.0))
    6.0
    """
    largest = _check.positive("largest", largest, "clipped_ips")
    gaps = _log_weights("clipped_ips", rewards, log_prob, behaviour_log_prob)
    return array_namespace(rewards).mean(_cut(gaps, largest, beyond=largest) * rewards)


@estimator("off_policy", claims={"shift_equivariant", "on_policy_mean"})
def snips(rewards: Array, log_prob: Array, behaviour_log_prob: Array) -> Array:
    """Self-normalised IPS: sum w r / sum w.

    A weighted mean of the rewards seen, so within their range, whatever the weights.

    Args:
        rewards: [draw].
        log_prob: ln pi(y_i), [draw].
        behaviour_log_prob: ln mu(y_i), [draw].

    Returns:
        a number.

    Laws: O3, O4. Source: Swaminathan and Joachims 2015, NeurIPS 28:3231.

    >>> import numpy as np
    >>> float(snips(np.array([2.0, 2.0]), np.log([0.5, 0.1]), np.log([0.125, 0.2])))
    2.0
    """
    xp = array_namespace(rewards)
    gaps = _log_weights("snips", rewards, log_prob, behaviour_log_prob)
    weights = xp.exp(gaps - xp.max(gaps))  # a common factor cancels, and the largest is 1
    return xp.sum(weights * rewards) / xp.sum(weights)


@estimator("per_decision", claims={"unbiased", "on_policy_mean"})
def per_decision(
    rewards: Array,
    log_prob: Array,
    behaviour_log_prob: Array,
    mask: Array,
    *,
    gamma: float = 1.0,
) -> Array:
    """Each token's reward with the weight of the tokens up to it.

    mean_i sum_t gamma^t (prod_{s<=t} pi(y_s)/mu(y_s)) r_t

    Args:
        rewards: of tokens, [string, token].
        log_prob: ln pi of tokens, [string, token].
        behaviour_log_prob: ln mu of tokens, [string, token].
        mask: [string, token], true where the token participates.
        gamma: discount a participating token, within 0 to 1.

    Returns:
        a number.

    Laws: O4, O5, U1 to U3. Source: Precup, Sutton and Singh 2000, ICML, section 4.

    >>> import numpy as np
    >>> log_prob, log_mu = np.log([[0.5, 1.0]]), np.log([[0.25, 0.5]])
    >>> float(per_decision(np.array([[1.0, 1.0]]), log_prob, log_mu, np.ones((1, 2))))
    6.0
    """
    tokens(
        "per_decision",
        mask,
        rewards=rewards,
        log_prob=log_prob,
        behaviour_log_prob=behaviour_log_prob,
    )
    if not 0 <= _check.real("gamma", gamma, "per_decision") <= 1:
        got = f"gamma is {gamma:g}"
        raise ValueError(_check.complaint(got, "within 0 to 1", "per_decision"))
    xp = array_namespace(rewards)
    gaps = kept(log_prob, mask) - kept(behaviour_log_prob, mask)
    real = xp.astype(xp.astype(mask, xp.bool), rewards.dtype)
    steps = xp.cumulative_sum(real, axis=1) - real
    discounts = gamma**steps
    weights = xp.exp(xp.cumulative_sum(gaps, axis=1))
    return xp.mean(xp.sum(discounts * weights * kept(rewards, mask), axis=1))


@estimator("off_policy", claims={"shift_equivariant"})
def direct_method(
    rewards: Array,
    log_prob: Array,
    behaviour_log_prob: Array,
    predicted: Array,
    baseline: Array,
) -> Array:
    """The model's own value: mean v.

    Of the arguments that all estimates share, only the last is looked at.

    Args:
        rewards: [draw].
        log_prob: ln pi(y_i), [draw].
        behaviour_log_prob: ln mu(y_i), [draw].
        predicted: q(y_i), [draw].
        baseline: v_i = sum_y pi(y) q(y) at the draw's prompt, [draw].

    Returns:
        a number.

    Law O3.

    >>> import numpy as np
    >>> one = np.ones(2)
    >>> float(direct_method(one, one, one, one, np.array([0.25, 0.75])))
    0.5
    """
    model = {"predicted": predicted, "baseline": baseline}
    _log_weights("direct_method", rewards, log_prob, behaviour_log_prob, **model)  # judges them
    return array_namespace(baseline).mean(baseline)


@estimator("off_policy", claims={"unbiased", "doubly_robust", "shift_equivariant"})
def doubly_robust(
    rewards: Array,
    log_prob: Array,
    behaviour_log_prob: Array,
    predicted: Array,
    baseline: Array,
) -> Array:
    """The model's value, corrected where rewards were seen: mean v + w (r - q).

    Its bias is the product of both errors, sum_y pi(y) (q - r)(1 - mu/claimed mu) (theorem 17).

    Args:
        rewards: [draw].
        log_prob: ln pi(y_i), [draw].
        behaviour_log_prob: ln mu(y_i), as claimed, [draw].
        predicted: q(y_i), [draw].
        baseline: v_i = sum_y pi(y) q(y) at the draw's prompt, [draw].

    Returns:
        a number.

    Laws: O1, O2, O3. Source: Dudik, Langford and Li 2011 (1103.4601), section 3.

    >>> import numpy as np
    >>> one = np.ones(1)
    >>> float(doubly_robust(3 * one, np.log([0.5]), np.log([0.25]), 2 * one, one))
    3.0
    """
    model = {"predicted": predicted, "baseline": baseline}
    gaps = _log_weights("doubly_robust", rewards, log_prob, behaviour_log_prob, **model)
    xp = array_namespace(rewards)
    return xp.mean(baseline + xp.exp(gaps) * (rewards - predicted))


@estimator("off_policy", claims={"shift_equivariant"}, settings={"threshold": 1.0})
def switch(
    rewards: Array,
    log_prob: Array,
    behaviour_log_prob: Array,
    predicted: Array,
    baseline: Array,
    *,
    threshold: float,
) -> Array:
    """Doubly robust where the weight is at most a threshold, the model elsewhere.

    mean v + w 1[w <= threshold] (r - q)

    Its bias is the model's on strings above the threshold: E_pi[(q - r) 1[w > threshold]].

    Args:
        rewards: [draw].
        log_prob: ln pi(y_i), [draw].
        behaviour_log_prob: ln mu(y_i), [draw].
        predicted: q(y_i), [draw].
        baseline: v_i = sum_y pi(y) q(y) at the draw's prompt, [draw].
        threshold: at least 0; 0 is the direct method, infinity is doubly robust.

    Returns:
        a number.

    Raises:
        ValueError: a threshold below 0.

    Law O3. Source: Wang, Agarwal and Dudik 2017 (1612.01205), SWITCH with the doubly robust part.

    >>> import numpy as np
    >>> one = np.ones(1)
    >>> float(switch(3 * one, np.log([0.5]), np.log([0.25]), 2 * one, one, threshold=1.0))
    1.0
    """
    if not threshold >= 0:
        got = f"threshold is {threshold!r}"
        raise ValueError(_check.complaint(got, "at least 0", "switch"))
    model = {"predicted": predicted, "baseline": baseline}
    gaps = _log_weights("switch", rewards, log_prob, behaviour_log_prob, **model)
    weights = _cut(gaps, threshold, beyond=0.0)
    return array_namespace(rewards).mean(baseline + weights * (rewards - predicted))


def _log_weights(
    where: str, rewards: Array, log_prob: Array, sampler: Array, **model: Array
) -> Array:
    """The logarithms of w [draw], of draws that are there and have all they need."""
    same_shape(where, rewards=rewards, log_prob=log_prob, behaviour_log_prob=sampler, **model)
    if rewards.ndim != 1 or not rewards.shape[0]:
        got = f"rewards has shape {tuple(rewards.shape)}"
        raise ValueError(_check.complaint(got, "[draw], not empty", where))
    return log_prob - sampler


def _cut(gaps: Array, most: float, beyond: float) -> Array:
    """The weights up to `most`, `beyond` above it; those never overflow, nor do gradients."""
    xp = array_namespace(gaps)
    above = gaps > (math.log(most) if most > 0 else -math.inf)
    weights = xp.exp(xp.where(above, xp.zeros_like(gaps), gaps))
    return xp.where(above, xp.full_like(gaps, beyond), weights)
