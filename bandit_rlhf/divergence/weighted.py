"""Estimates of KL(pi || ref) from draws of an older policy mu, as losses.

The gradient flows through the weight pi/mu, and has to: with it E_mu[grad(w k)] is the gradient of
E_pi[k], whatever k is, so that an unbiased value gives an unbiased gradient.

>>> import numpy as np
>>> one = np.full((1, 1), -1.0)
>>> float(k1_weighted(one, 2 * one, one)[0, 0])
1.0
"""

from array_api_compat import array_namespace

from bandit_rlhf._masked import Array, same_shape
from bandit_rlhf.contract import estimator
from bandit_rlhf.divergence.estimates import k1, k3


@estimator("kl", claims={"off_policy_gradient", "token_gradient"})
def k1_weighted(log_prob: Array, ref_log_prob: Array, old_log_prob: Array) -> Array:
    """The log-ratio, weighted by each token's own ratio.

    pi(y)/mu(y) (ln pi(y) - ln ref(y))

    Args:
        log_prob: ln pi, [string, token].
        ref_log_prob: ln ref, [string, token].
        old_log_prob: ln mu of the sampler, [string, token].

    Returns:
        [string, token].

    Laws: K3, K2-token. Theorems 17, 18.

    >>> import numpy as np
    >>> half, one = np.log(np.full((1, 1), 0.5)), np.zeros((1, 1))
    >>> float(k1_weighted(one, one - 1, half)[0, 0])
    2.0
    """
    return _ratio(log_prob, old_log_prob) * k1(log_prob, ref_log_prob)


@estimator("kl", claims={"off_policy_gradient", "token_gradient"})
def k3_weighted(log_prob: Array, ref_log_prob: Array, old_log_prob: Array) -> Array:
    """k3, weighted by each token's own ratio (DeepSeek-V3.2).

    pi(y)/mu(y) (ref(y)/pi(y) - 1 - ln(ref(y)/pi(y)))

    Unbiased for each token with the prefixes of mu; a string's KL needs `k3_sequence_weighted`.

    Args:
        log_prob: ln pi, [string, token].
        ref_log_prob: ln ref, [string, token].
        old_log_prob: ln mu of the sampler, [string, token].

    Returns:
        [string, token].

    Laws: K3, K2-token. Theorems 17, 18. Source: DeepSeek-AI 2025 (2512.02556), section 3.1.

    >>> import numpy as np
    >>> one = np.full((1, 1), -1.0)
    >>> float(k3_weighted(one, one, one)[0, 0])
    0.0
    """
    return _ratio(log_prob, old_log_prob) * k3(log_prob, ref_log_prob)


@estimator("kl", claims={"off_policy_gradient", "string_gradient"})
def k3_sequence_weighted(
    log_prob: Array, ref_log_prob: Array, old_log_prob: Array, mask: Array | None = None
) -> Array:
    """k3 of each token, weighted by the ratio of the whole string: unbiased for strings.

    pi(y)/mu(y) (ref(y_t)/pi(y_t) - 1 - ln(ref(y_t)/pi(y_t))),   pi(y) = prod_t pi(y_t)

    Args:
        log_prob: ln pi, [string, token].
        ref_log_prob: ln ref, [string, token].
        old_log_prob: ln mu of the sampler, [string, token].
        mask: [string, token], true where the token participates; None: everywhere.

    Returns:
        [string, token], 0 at pads.

    Laws: K3, K2-string. Theorems 8, 17, 18.

    >>> import numpy as np
    >>> one = np.full((1, 2), -1.0)
    >>> k3_sequence_weighted(one, one, one)
    array([[0., 0.]])
    """
    same_shape(
        "k3_sequence_weighted",
        log_prob=log_prob,
        ref_log_prob=ref_log_prob,
        old_log_prob=old_log_prob,
    )
    xp = array_namespace(log_prob)
    if mask is not None:
        real = xp.astype(mask, xp.bool)
        nothing = xp.zeros_like(log_prob)
        log_prob, ref_log_prob, old_log_prob = (
            xp.where(real, x, nothing) for x in (log_prob, ref_log_prob, old_log_prob)
        )
    whole = xp.sum(log_prob - old_log_prob, axis=1, keepdims=True)
    return xp.exp(whole) * k3(log_prob, ref_log_prob)


def _ratio(log_prob: Array, old_log_prob: Array) -> Array:
    same_shape("ratio", log_prob=log_prob, old_log_prob=old_log_prob)
    return array_namespace(log_prob).exp(log_prob - old_log_prob)
