"""Advantages divided by a standard deviation, of the group or of the batch.

Dividing by a deviation that the draws themselves make is no scale: the expected update follows
another objective. For binary rewards and large groups GRPO follows the gradient of 2 arcsin sqrt p
(theorem 19).
"""

from typing import Literal

from array_api_compat import array_namespace

from bandit_rlhf import _check
from bandit_rlhf._masked import Array, table
from bandit_rlhf.advantage.baselines import group_mean, rloo
from bandit_rlhf.contract import Declared, estimator

EPSILON = 1e-6
"""Added to a standard deviation before dividing: groups of equal rewards get 0, not NaN."""

GRPO_BIAS = Declared("divides by the group's standard deviation (2402.03300): grad of another goal")


@estimator(
    "advantage",
    claims={"unbiased", "centred", "shift_invariant", "group_isolated", "finite"}
    | {"z_score", "binary_weight"},
    facts={"over": "group", "centre": "group", "ddof": 1, "epsilon": EPSILON},
    declared={"A1": GRPO_BIAS},
)
def grpo(rewards: Array, *, epsilon: float = EPSILON, correction: int = 1) -> Array:
    """The group's z-scores.

    A_i = (r_i - mean r) / (std r + epsilon)

    Args:
        rewards: [prompt, draw].
        epsilon: above 0, in the rewards' unit.
        correction: degrees of freedom taken from the variance: 1 as in TRL and verl, 0 for the
            population's. A group of one gets 0 either way.

    Returns:
        advantages [prompt, draw]; each row sums to 0.

    Laws: A1 declared, A2, A3, A6, A7, A9, A11. Theorem 19. Source: Shao et al. 2024 (2402.03300),
    section 4.1.2.

    >>> import numpy as np
    >>> grpo(np.asarray([[1.0, 0.0, 0.0, 1.0]]), correction=0).round(4)
    array([[ 1., -1., -1.,  1.]])
    """
    table("grpo", "rewards", rewards, "prompt, draw")
    epsilon = _check.positive("epsilon", epsilon, "grpo")
    centred = group_mean(rewards)
    return centred / (_deviation(centred, 1, correction) + epsilon)


dr_grpo = group_mean
"""GRPO without the deviation (Liu et al. 2025, 2503.20783): minus the mean of the whole group."""


@estimator(
    "advantage",
    claims={"finite", "z_score"},
    facts={"over": "batch", "centre": "batch", "ddof": 1, "epsilon": EPSILON},
)
def batch_whitened(rewards: Array, *, epsilon: float = EPSILON, correction: int = 1) -> Array:
    """The whole batch's z-scores: REINFORCE++ without its token-level KL.

    A = (r - mean) / (std + epsilon), mean and deviation over all prompts and draws

    Prompts mix: an easy prompt's draws all look good.

    Args:
        rewards: [prompt, draw].
        epsilon: above 0.
        correction: degrees of freedom taken from the variance.

    Returns:
        advantages [prompt, draw], summing to 0 over the batch.

    Laws: A7, A9. Source: Hu et al. 2025 (2501.03262), equation 10.

    >>> import numpy as np
    >>> batch_whitened(np.asarray([[1.0], [0.0]]), correction=0).round(4)
    array([[ 1.],
           [-1.]])
    """
    table("batch_whitened", "rewards", rewards, "prompt, draw")
    epsilon = _check.positive("epsilon", epsilon, "batch_whitened")
    xp = array_namespace(rewards)
    centred = rewards - xp.mean(rewards)
    return centred / (_deviation(centred, None, correction) + epsilon)


reinforce_plus_plus = batch_whitened
"""REINFORCE++ (Hu et al. 2025, 2501.03262): global whitening, no group baseline."""


@estimator(
    "advantage",
    claims={"finite", "z_score"},
    facts={"over": "batch", "centre": "group", "ddof": 1, "epsilon": EPSILON},
)
def reinforce_plus_plus_baseline(
    rewards: Array, *, epsilon: float = EPSILON, correction: int = 1
) -> Array:
    """The group's mean as the baseline, then the batch's deviation: REINFORCE++-baseline.

    A_i = (r_i - mean_group) / (std_batch(r - mean_group) + epsilon)

    Args:
        rewards: [prompt, draw].
        epsilon: above 0.
        correction: degrees of freedom taken from the variance.

    Returns:
        advantages [prompt, draw]; each row sums to 0.

    Laws: A7, A9. Source: Hu et al. 2025 (2501.03262), section 3.3.
    """
    epsilon = _check.positive("epsilon", epsilon, "reinforce_plus_plus_baseline")
    centred = group_mean(rewards)
    return centred / (_deviation(centred, None, correction) + epsilon)


@estimator(
    "advantage",
    claims={"centred", "shift_invariant", "group_isolated", "z_score"},
    facts={"over": "group", "centre": "others", "ddof": 1, "epsilon": EPSILON},
)
def whitened_rloo(
    rewards: Array, *, over: Literal["group", "batch"] = "group", epsilon: float = EPSILON
) -> Array:
    """Leave-one-out advantages divided by their own deviation, of the group or the batch.

    Args:
        rewards: [prompt, draw], at least two draws.
        over: what the deviation is taken over.
        epsilon: above 0.

    Returns:
        advantages [prompt, draw]; each row sums to 0.

    Laws: A2, A3, A6, A9.

    >>> import numpy as np
    >>> whitened_rloo(np.asarray([[1.0, 0.0, 0.0, 1.0]])).round(3)
    array([[ 0.866, -0.866, -0.866,  0.866]])
    """
    if over not in ("group", "batch"):
        raise ValueError(
            _check.complaint(f"over is {over!r}", "'group' or 'batch'", "whitened_rloo")
        )
    epsilon = _check.positive("epsilon", epsilon, "whitened_rloo")
    advantages = rloo(rewards)
    return advantages / (_deviation(advantages, 1 if over == "group" else None, 1) + epsilon)


def _deviation(centred: Array, axis: int | None, correction: int) -> Array:
    """The standard deviation of numbers with mean 0; 0 where there are no degrees of freedom."""
    xp = array_namespace(centred)
    count = centred.shape[axis] if axis is not None else centred.shape[0] * centred.shape[1]
    squares = xp.sum(centred**2, axis=axis, keepdims=axis is not None)
    return xp.sqrt(squares / max(count - correction, 1))
