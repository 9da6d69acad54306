"""Log-probabilities and advantages -> a loss to be minimised.

A named loss (`losses`) is a `Recipe` of orthogonal parts: `ratio`, `surrogate`, `clipping`,
`aggregation` and the place of the KL. Array API functions that carry contracts.

>>> import numpy as np
>>> log_prob, mask = np.log(np.full((2, 3), 0.5)), np.ones((2, 3), dtype=bool)
>>> float(ppo(log_prob, log_prob, np.asarray([1.0, -1.0]), mask))
0.0
"""

from bandit_rlhf.policy_loss.aggregation import (
    constant,
    sequence_mean,
    sequence_sum,
    token_mean,
)
from bandit_rlhf.policy_loss.clipping import Clip
from bandit_rlhf.policy_loss.losses import (
    cispo,
    dapo,
    dr_grpo,
    grpo,
    gspo,
    importance_weighted,
    ppo,
    reinforce,
)
from bandit_rlhf.policy_loss.recipe import Recipe
from bandit_rlhf.policy_loss.value_loss import value_loss

__all__ = [
    "Clip",
    "Recipe",
    "cispo",
    "constant",
    "dapo",
    "dr_grpo",
    "grpo",
    "gspo",
    "importance_weighted",
    "ppo",
    "reinforce",
    "sequence_mean",
    "sequence_sum",
    "token_mean",
    "value_loss",
]
