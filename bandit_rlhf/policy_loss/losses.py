"""The named policy losses, each a recipe.

All take `log_prob`, `old_log_prob`, `mask` [string, token] and `advantages` [string] or [string,
token], and return a number to be minimised, an array without axes.
"""

from functools import partial

from bandit_rlhf._masked import Array
from bandit_rlhf.contract import Declared, estimator
from bandit_rlhf.policy_loss import aggregation, ratio, surrogate
from bandit_rlhf.policy_loss.clipping import Clip
from bandit_rlhf.policy_loss.recipe import Recipe

LENGTH_BIAS = Declared("weighs tokens by the lengths of what was drawn: not the policy gradient")


@estimator(
    "policy_loss",
    claims={"on_policy_gradient", "baseline_free", "token_weights", "additive", "no_leak"},
    facts={"weights": "sequence_sum"},
)
def reinforce(log_prob: Array, old_log_prob: Array, advantages: Array, mask: Array) -> Array:
    """REINFORCE: -1/B sum_i A_i ln pi(y_i).

    Laws: L1, L4, L5, L7, U1 to U4. Source: Williams 1992, Machine Learning 8:229.

    >>> import numpy as np
    >>> lp, mask = np.log(np.asarray([[0.5, 0.5]])), np.ones((1, 2), dtype=bool)
    >>> round(float(reinforce(lp, lp, np.asarray([1.0]), mask)), 4)
    1.3863
    """
    recipe = Recipe(ratio.token, surrogate.score, aggregation.sequence_sum)
    return recipe(log_prob, old_log_prob, advantages, mask)


@estimator(
    "policy_loss",
    claims={"on_policy_gradient", "off_policy_gradient", "baseline_free", "unit_ratio", "no_leak"},
)
def importance_weighted(
    log_prob: Array, old_log_prob: Array, advantages: Array, mask: Array
) -> Array:
    """Importance sampling over whole strings: -1/B sum_i A_i pi(y_i)/mu(y_i).

    Unbiased on draws of mu, with a variance that grows as (1 + chi^2)^H.

    Laws: L1, L2, L4, L6, L7. Theorem 17.
    """
    recipe = Recipe(ratio.sequence, surrogate.weighted, aggregation.sequence_mean)
    return recipe(log_prob, old_log_prob, advantages, mask)


@estimator(
    "policy_loss",
    claims={"on_policy_gradient", "clipped", "token_weights", "unit_ratio", "additive", "no_leak"},
    facts={"clip": (0.2, 0.2), "weights": "token_mean"},
    declared={"L1": LENGTH_BIAS},
)
def ppo(
    log_prob: Array,
    old_log_prob: Array,
    advantages: Array,
    mask: Array,
    *,
    low: float = 0.2,
    high: float = 0.2,
    dual: float | None = None,
) -> Array:
    """PPO's clipped surrogate, averaged over the tokens of the batch.

    mean_t max(-A rho_t, -A cut(rho_t, 1 - low, 1 + high)), and with `dual` at most -A dual for A <
    0

    Laws: L1 declared (token mean), L3, L5, L6, L7. Source: Schulman et al. 2017 (1707.06347),
    equation 7; Ye et al. 2020 (1912.09729), equation 5.
    """
    clip = Clip(low, high, dual)
    recipe = Recipe(ratio.token, surrogate.pessimistic, aggregation.token_mean, clip)
    return recipe(log_prob, old_log_prob, advantages, mask)


@estimator(
    "policy_loss",
    claims={"on_policy_gradient", "clipped", "token_weights", "unit_ratio", "additive", "no_leak"},
    facts={"clip": (0.2, 0.2), "weights": "sequence_mean"},
    declared={"L1": LENGTH_BIAS},
)
def grpo(
    log_prob: Array,
    old_log_prob: Array,
    advantages: Array,
    mask: Array,
    *,
    low: float = 0.2,
    high: float = 0.2,
) -> Array:
    """GRPO's clipped surrogate, averaged over tokens, then over strings (the 1/|o| of the paper).

    Laws: L1 declared, L3, L5, L6, L7. Source: Shao et al. 2024 (2402.03300), equation 3 without KL.
    """
    recipe = Recipe(ratio.token, surrogate.pessimistic, aggregation.sequence_mean, Clip(low, high))
    return recipe(log_prob, old_log_prob, advantages, mask)


@estimator(
    "policy_loss",
    claims={
        "on_policy_gradient",
        "baseline_free",
        "clipped",
        "token_weights",
        "unit_ratio",
        "additive",
        "no_leak",
    },
    facts={"clip": (0.2, 0.2), "weights": "constant", "length": 4.0, "scale": 0.25},
    settings={"length": 4.0},
)
def dr_grpo(
    log_prob: Array,
    old_log_prob: Array,
    advantages: Array,
    mask: Array,
    *,
    length: float,
    low: float = 0.2,
    high: float = 0.2,
) -> Array:
    """Dr. GRPO: the surrogate over a fixed length, so that its gradient is the policy's, scaled.

    Laws: L1 with scale 1/length, L3, L4, L5, L6, L7. Source: Liu et al. 2025 (2503.20783), section
    3.2.
    """
    recipe = Recipe(
        ratio.token,
        surrogate.pessimistic,
        partial(aggregation.constant, length=length),
        Clip(low, high),
    )
    return recipe(log_prob, old_log_prob, advantages, mask)


@estimator(
    "policy_loss",
    claims={"on_policy_gradient", "clipped", "token_weights", "unit_ratio", "additive", "no_leak"},
    facts={"clip": (0.2, 0.28), "weights": "token_mean"},
    declared={"L1": LENGTH_BIAS},
)
def dapo(
    log_prob: Array,
    old_log_prob: Array,
    advantages: Array,
    mask: Array,
    *,
    low: float = 0.2,
    high: float = 0.28,
) -> Array:
    """DAPO: PPO's surrogate with a higher upper bound, averaged over the tokens of the batch.

    Laws: L1 declared, L3, L5, L6, L7. Source: Yu et al. 2025 (2503.14476), equation 12.
    """
    return ppo(log_prob, old_log_prob, advantages, mask, low=low, high=high)


@estimator(
    "policy_loss",
    claims={"on_policy_gradient", "clipped", "token_weights", "unit_ratio", "no_leak"},
    facts={"clip": (3e-4, 4e-4), "weights": "sequence_mean"},
    declared={"L1": LENGTH_BIAS},
)
def gspo(
    log_prob: Array,
    old_log_prob: Array,
    advantages: Array,
    mask: Array,
    *,
    low: float = 3e-4,
    high: float = 4e-4,
) -> Array:
    """GSPO: the clipped surrogate with the geometric mean of the token ratios, one a string.

    mean_i max(-A_i s_i, -A_i cut(s_i)),   s_i = (pi(y_i)/mu(y_i))^(1/|y_i|)

    Laws: L1 declared (its gradient has 1/|y|), L6, L7. Source: Zheng et al. 2025 (2507.18071),
    equation 5.
    """
    recipe = Recipe(
        ratio.geometric, surrogate.pessimistic, aggregation.sequence_mean, Clip(low, high)
    )
    return recipe(log_prob, old_log_prob, advantages, mask)


@estimator(
    "policy_loss",
    claims={"on_policy_gradient", "token_weights", "additive", "no_leak"},
    facts={"weights": "token_mean"},
    declared={"L1": LENGTH_BIAS},
    backend="torch",
)
def cispo(
    log_prob: Array,
    old_log_prob: Array,
    advantages: Array,
    mask: Array,
    *,
    low: float = 1.0,
    high: float = 0.28,
) -> Array:
    """CISPO: the cut ratio is a weight without gradient, so no token is dropped.

    mean_t -stop(cut(rho_t)) A ln pi_t

    Its stop of the gradient needs autograd, so laws judge it on torch.

    Laws: L1 declared, L5, L7. Source: MiniMax 2025 (2506.13585), equation 4.
    """
    recipe = Recipe(
        ratio.token, surrogate.truncated_weight, aggregation.token_mean, Clip(low, high)
    )
    return recipe(log_prob, old_log_prob, advantages, mask)
