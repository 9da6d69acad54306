"""The critic's loss."""

from array_api_compat import array_namespace

from bandit_rlhf import _check
from bandit_rlhf._masked import Array, kept, tokens
from bandit_rlhf.contract import estimator
from bandit_rlhf.policy_loss.aggregation import token_mean


@estimator(
    "value_loss",
    claims={"pessimistic", "clipped", "token_weights"},
    facts={"clip": 0.2, "scale": 0.5, "weights": "token_mean"},
)
def value_loss(
    values: Array, old_values: Array, returns: Array, mask: Array, *, clip: float | None = 0.2
) -> Array:
    """Half the squared error, no smaller than with the step from the old values cut.

    mean_t 1/2 max((V - R)^2, (V_old + cut(V - V_old, -clip, clip) - R)^2)

    Args:
        values: [string, token].
        old_values: of the critic at sampling, [string, token].
        returns: targets, [string, token].
        mask: [string, token], true where the token participates.
        clip: largest step, above 0, in the rewards' unit; None: no cut.

    Returns:
        a number, as an array without axes.

    Laws: G9, U1 to U3. Source: Schulman's implementation of 1707.06347; the maximum, not the
    minimum.

    >>> import numpy as np
    >>> one = np.ones((1, 1))
    >>> float(value_loss(3 * one, one, 3 * one, one))   # the step 1 -> 3 is cut to 1.2
    1.62
    """
    tokens("value_loss", mask, values=values, old_values=old_values, returns=returns)
    xp = array_namespace(values)
    values = kept(values, mask)  # what else stands at pads, the mean leaves out
    loss = (values - returns) ** 2
    if clip is not None:
        clip = _check.positive("clip", clip, "value_loss")
        near = old_values + xp.clip(values - old_values, -clip, clip)
        loss = xp.maximum(loss, (near - returns) ** 2)
    return token_mean(loss / 2, mask)
