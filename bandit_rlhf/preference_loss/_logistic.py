"""What the losses share: -ln sigma(x) without overflow, the margin, and judges of arguments."""

from typing import Any

from array_api_compat import array_namespace

from bandit_rlhf._masked import Array, same_shape


def softplus(x: Array) -> Array:
    """Logarithm of 1 + e^x, finite wherever x is; minus ln sigma of x is this at -x."""
    xp = array_namespace(x)
    return xp.maximum(x, xp.zeros_like(x)) + xp.log1p(xp.exp(-xp.abs(x)))


def margin(
    where: str, chosen: Array, rejected: Array, ref_chosen: Array, ref_rejected: Array
) -> Array:
    """The margin h = ln(pi/ref)(y_w) - ln(pi/ref)(y_l), one a pair."""
    same(
        where, chosen, rejected, ref_chosen_log_prob=ref_chosen, ref_rejected_log_prob=ref_rejected
    )
    return (chosen - ref_chosen) - (rejected - ref_rejected)


def same(where: str, chosen: Array, rejected: Array, **others: Any) -> None:
    """Judge that all arguments have one entry a pair."""
    same_shape(where, chosen_log_prob=chosen, rejected_log_prob=rejected, **others)
