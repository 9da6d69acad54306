"""Estimates of KL(pi || ref) from draws of pi, token by token.

    with x = ln ref(y) - ln pi(y):   k1 = -x,   k2 = x^2 / 2,   k3 = e^x - 1 - x

What each is good for differs, and the names do not tell (theorem 18):

          mean        as a loss, mean gradient        as a detached reward
    k1    KL          0: teaches nothing              grad KL(pi || ref)
    k2    not KL      grad KL(pi || ref)              another direction
    k3    KL          grad KL(ref || pi), the reverse another direction

Gradients are those of one draw; sums over the tokens of a string keep its prefixes fixed (law
K2-token).
Source of the names: Schulman 2020, "Approximating KL divergence".

>>> import numpy as np
>>> k2(np.zeros((1, 1)), np.full((1, 1), 2.0))
array([[2.]])
"""

from array_api_compat import array_namespace

from bandit_rlhf import _check
from bandit_rlhf._masked import Array, same_shape
from bandit_rlhf.contract import estimator


@estimator("kl", claims={"value", "zero_at_reference", "additive", "reward_gradient"})
def k1(log_prob: Array, ref_log_prob: Array) -> Array:
    """The log-ratio: unbiased for KL(pi || ref), of either sign for a single draw.

    k1 = ln pi(y) - ln ref(y)

    As a loss it teaches nothing: E_pi[grad ln pi] = 0 (theorem 1); as a detached reward, it does.

    Args:
        log_prob: ln pi, [string, token].
        ref_log_prob: ln ref, [string, token].

    Returns:
        [string, token], in nats.

    Laws: K1, K4, K6, K8. Theorem 18.

    >>> import numpy as np
    >>> k1(np.full((1, 1), -1.0), np.full((1, 1), -3.0))
    array([[2.]])
    """
    same_shape("k1", log_prob=log_prob, ref_log_prob=ref_log_prob)
    return log_prob - ref_log_prob


@estimator("kl", claims={"gradient", "token_gradient", "zero_at_reference", "non_negative"})
def k2(log_prob: Array, ref_log_prob: Array) -> Array:
    """Half the squared log-ratio: as a loss on draws of pi, its mean gradient is that of KL.

    k2 = (ln pi(y) - ln ref(y))^2 / 2

    Its mean is not KL.

    Args:
        log_prob: ln pi, [string, token].
        ref_log_prob: ln ref, [string, token].

    Returns:
        [string, token], at least 0.

    Laws: K2, K2-token, K4, K5. Theorem 18.

    >>> import numpy as np
    >>> k2(np.full((1, 1), -1.0), np.full((1, 1), -3.0))
    array([[2.]])
    """
    same_shape("k2", log_prob=log_prob, ref_log_prob=ref_log_prob)
    return (log_prob - ref_log_prob) ** 2 / 2


@estimator("kl", claims={"value", "zero_at_reference", "non_negative"})
def k3(log_prob: Array, ref_log_prob: Array) -> Array:
    """The log-ratio with the control variate ref/pi - 1: unbiased, and never negative.

    k3 = ref(y)/pi(y) - 1 - ln(ref(y)/pi(y))

    As a loss its mean gradient is that of KL(ref || pi), the reverse one (law K2 fails).

    Args:
        log_prob: ln pi, [string, token].
        ref_log_prob: ln ref, [string, token].

    Returns:
        [string, token], at least 0; infinite where ref/pi overflows (see `clamped`).

    Laws: K1, K4, K5. Theorem 18.

    >>> import numpy as np
    >>> k3(np.full((1, 1), -1.0), np.full((1, 1), -1.5)).round(4)
    array([[0.1065]])
    """
    same_shape("k3", log_prob=log_prob, ref_log_prob=ref_log_prob)
    gap = ref_log_prob - log_prob
    return array_namespace(log_prob).expm1(gap) - gap


def clamped(estimates: Array, low: float, high: float) -> Array:
    """Estimates cut to a band: a bias that the band declares, and no gradient outside of it.

    Args:
        estimates: [string, token], in nats.
        low: lower end.
        high: upper end, above `low`.

    Raises:
        ValueError: an empty band.

    >>> import numpy as np
    >>> clamped(np.asarray([-3.0, 1.0, 30.0]), 0.0, 10.0)
    array([ 0.,  1., 10.])
    """
    if not low < high:
        raise ValueError(_check.complaint(f"low, high = {low}, {high}", "low < high", "clamped"))
    return array_namespace(estimates).clip(estimates, low, high)


@estimator(
    "kl", claims={"zero_at_reference", "non_negative", "clamped"}, facts={"band": (0.0, 10.0)}
)
def k3_clamped(
    log_prob: Array, ref_log_prob: Array, *, largest_gap: float = 20.0, high: float = 10.0
) -> Array:
    """k3 with its log-ratio and its value cut, as trainers keep it finite.

    Args:
        log_prob: ln pi, [string, token].
        ref_log_prob: ln ref, [string, token].
        largest_gap: the log-ratio is cut to -largest_gap..largest_gap, above 0.
        high: the value is cut to 0..high, above 0.

    Returns:
        [string, token], within 0..high.

    Laws: K4, K5, K7; K1 holds within the band alone.

    >>> import numpy as np
    >>> k3_clamped(np.full((1, 1), -900.0), np.zeros((1, 1)))
    array([[10.]])
    """
    same_shape("k3_clamped", log_prob=log_prob, ref_log_prob=ref_log_prob)
    largest_gap = _check.positive("largest_gap", largest_gap, "k3_clamped")
    gap = clamped(ref_log_prob - log_prob, -largest_gap, largest_gap)
    return clamped(array_namespace(gap).expm1(gap) - gap, 0.0, high)
