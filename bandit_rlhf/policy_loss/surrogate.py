"""From ratios and advantages to losses of tokens, [string, token].

surrogate(log_prob, log_ratio, advantages, clip): what is minimised before aggregation.

>>> import numpy as np
>>> weighted(np.zeros(1), np.log(np.ones(1) * 1.5), np.ones(1) * 2.0, None)
array([-3.])

Laws L1, L3, L7 and L8.
"""

from array_api_compat import array_namespace

from bandit_rlhf._masked import Array, detached
from bandit_rlhf.contract import estimator
from bandit_rlhf.policy_loss.clipping import Clip


@estimator("surrogate", settings={"clip": None})
def score(log_prob: Array, log_ratio: Array, advantages: Array, clip: Clip | None) -> Array:
    """-A ln pi: REINFORCE. The ratio has no part in it."""
    return -advantages * log_prob


@estimator("surrogate", settings={"clip": None})
def weighted(log_prob: Array, log_ratio: Array, advantages: Array, clip: Clip | None) -> Array:
    """-A pi/mu: the weighted advantage, whose gradient on draws of mu is the policy's."""
    return -advantages * array_namespace(log_ratio).exp(log_ratio)


@estimator(
    "surrogate",
    claims={"first_order", "clipped"},
    facts={"clip": (0.2, 0.25)},
    settings={"clip": Clip(0.2, 0.25)},
)
def pessimistic(log_prob: Array, log_ratio: Array, advantages: Array, clip: Clip | None) -> Array:
    """max(-A rho, -A cut(rho)): PPO's bound (Schulman et al. 2017, 1707.06347, equation 7).

    With a dual bound c, tokens of negative advantage lose at most -A c.
    """
    xp = array_namespace(log_ratio)
    free = weighted(log_prob, log_ratio, advantages, clip)
    if clip is None:
        return free
    bound = xp.maximum(free, -advantages * clip.cut(xp.exp(log_ratio)))
    if clip.dual is None:
        return bound
    return xp.where(advantages < 0, xp.minimum(bound, -advantages * clip.dual), bound)


@estimator(
    "surrogate",
    claims={"first_order", "truncated"},
    facts={"cut": (0.8, 1.25)},
    settings={"clip": Clip(0.2, 0.25)},
    backend="torch",
)
def truncated_weight(
    log_prob: Array, log_ratio: Array, advantages: Array, clip: Clip | None
) -> Array:
    """-stop(cut(rho)) A ln pi: CISPO; every token keeps a gradient (2506.13585, equation 4)."""
    ratio = array_namespace(log_ratio).exp(log_ratio)
    return -detached(ratio if clip is None else clip.cut(ratio)) * advantages * log_prob
