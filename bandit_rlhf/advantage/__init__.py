"""Rewards -> weights of scores: how good a draw was, beside what was to be expected.

Whole strings, [prompt, draw]: `baselines` are unbiased, `normalised` ones divide by a deviation and
say so. Steps, [string, token]: `returns` and `whitening`. Array API functions that carry contracts.

>>> import numpy as np
>>> rloo(np.asarray([[1.0, 0.0, 0.0]]))
array([[ 1. , -0.5, -0.5]])
"""

from bandit_rlhf.advantage.baselines import (
    constant_baseline,
    greedy_baseline,
    group_mean,
    opo,
    reinforce,
    rloo,
)
from bandit_rlhf.advantage.normalised import (
    batch_whitened,
    dr_grpo,
    grpo,
    reinforce_plus_plus,
    reinforce_plus_plus_baseline,
    whitened_rloo,
)
from bandit_rlhf.advantage.returns import gae, reward_to_go, vtrace
from bandit_rlhf.advantage.whitening import whiten

__all__ = [
    "batch_whitened",
    "constant_baseline",
    "dr_grpo",
    "gae",
    "greedy_baseline",
    "group_mean",
    "grpo",
    "opo",
    "reinforce",
    "reinforce_plus_plus",
    "reinforce_plus_plus_baseline",
    "reward_to_go",
    "rloo",
    "vtrace",
    "whiten",
    "whitened_rloo",
]
