"""How far the policy has moved from the sampler: log-ratios [string, token], 0 at pads.

A ratio of tokens, of whole strings, or their geometric mean. Where the policy is the sampler, each
is 0. Laws L6, L8, U1 to U3 and U7.

>>> import numpy as np
>>> sequence(np.ones((1, 2)) * -1.0, np.ones((1, 2)) * -2.0, np.ones((1, 2), dtype=bool))
array([[2., 2.]])
"""

from array_api_compat import array_namespace

from bandit_rlhf._masked import Array, counted, detached, kept
from bandit_rlhf.contract import estimator

SPAN = frozenset({"zero_on_policy", "span"})


@estimator("log_ratio", claims=SPAN, facts={"span": "token"})
def token(log_prob: Array, old_log_prob: Array, mask: Array) -> Array:
    """Ln pi(y_t | y_<t) - ln mu(y_t | y_<t), each token by itself (PPO)."""
    return kept(log_prob, mask) - kept(old_log_prob, mask)


@estimator("log_ratio", claims=SPAN, facts={"span": "sequence"})
def sequence(log_prob: Array, old_log_prob: Array, mask: Array) -> Array:
    """Ln pi(y) - ln mu(y), the same at each token: the ratio that makes draws of mu unbiased."""
    return _spread(array_namespace(log_prob).sum(token(log_prob, old_log_prob, mask), axis=1), mask)


@estimator("log_ratio", claims=SPAN, facts={"span": "geometric"})
def geometric(log_prob: Array, old_log_prob: Array, mask: Array) -> Array:
    """(ln pi(y) - ln mu(y)) / |y|, the same at each token (GSPO; 2507.18071, eq. 7)."""
    xp = array_namespace(log_prob)
    gaps = token(log_prob, old_log_prob, mask)
    length = counted(mask, gaps, axis=1)
    return _spread(xp.sum(gaps, axis=1) / xp.where(length > 0, length, xp.ones_like(length)), mask)


@estimator("log_ratio", claims=SPAN, facts={"span": "geometric"})
def geometric_token(log_prob: Array, old_log_prob: Array, mask: Array) -> Array:
    """The value of `geometric` with the gradient of each token (GSPO-token, 2507.18071, eq. 14)."""
    own = kept(log_prob, mask)
    return detached(geometric(log_prob, old_log_prob, mask)) + own - detached(own)


def _spread(numbers: Array, mask: Array) -> Array:
    """One number a string, repeated at its tokens."""
    xp = array_namespace(numbers)
    return kept(numbers[:, None] * xp.ones_like(xp.astype(mask, numbers.dtype)), mask)
