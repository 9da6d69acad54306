"""Whitening of token-level numbers: mean 0 and variance 1 over the tokens that participate."""

from array_api_compat import array_namespace

from bandit_rlhf import _check
from bandit_rlhf._masked import Array, counted, detached, kept, tokens
from bandit_rlhf.contract import estimator


@estimator(
    "whitening",
    claims={"standardised", "zero_at_pads"},
    facts={"ddof": 0, "mean": "removed"},
)
def whiten(
    values: Array,
    mask: Array,
    *,
    shift_mean: bool = True,
    correction: int = 0,
    epsilon: float = 0.0,
) -> Array:
    """Divide by the masked standard deviation, after taking the masked mean away.

    w = (x - mean) / sqrt(var + epsilon), plus the mean again unless it is shifted

    Args:
        values: [string, token].
        mask: [string, token], true where the token participates.
        shift_mean: whether the result has mean 0; false keeps the mean of the values.
        correction: degrees of freedom taken from the variance: 0 the population's, 1 Bessel's.
        epsilon: added to the variance, at least 0; equal values then give 0 instead of an error.

    Returns:
        [string, token], 0 at pads.

    Raises:
        ValueError: no variance to divide by: fewer tokens than degrees of freedom, or equal values
            with epsilon 0.

    Laws G8, U1. Source: the whitening of Ziegler et al. 2019 (1909.08593), each choice explicit.

    >>> import numpy as np
    >>> whiten(np.asarray([[1.0, 3.0, 9.0]]), np.asarray([[True, True, False]]))
    array([[-1.,  1.,  0.]])
    """
    tokens("whiten", mask, values=values)
    epsilon = _check.non_negative("epsilon", epsilon, "whiten")
    xp = array_namespace(values)
    values = kept(values, mask)
    count = counted(mask, values)
    mean = xp.sum(values) / count
    centred = kept(values - mean, mask)
    free = count - correction
    if float(free) <= 0:
        got = f"mask leaves {int(count)} tokens for correction = {correction}"
        raise ValueError(_check.complaint(got, "more tokens than that", "whiten"))
    variance = xp.sum(centred**2) / free
    if float(detached(variance)) + epsilon <= 0:
        raise ValueError(
            _check.complaint(
                "values are all equal", "of some variance", "whiten", "Set epsilon above 0."
            )
        )
    whitened = centred / xp.sqrt(variance + epsilon)
    return whitened if shift_mean else kept(whitened + mean, mask)
