"""Estimates of KL(pi || ref) and of entropy: what regularises, and where it stands.

`estimates`: k1, k2, k3 from draws of the policy; `weighted`: from draws of an older one;
`placement`: in the reward or in the loss, and the controller of its coefficient; `entropies`: from
logits.

>>> import numpy as np
>>> log_prob, ref_log_prob = np.log(np.array([[0.5, 0.25]])), np.log(np.array([[0.25, 0.25]]))
>>> k1(log_prob, ref_log_prob).round(4).tolist(), k3(log_prob, ref_log_prob).round(4).tolist()
([[0.6931, 0.0]], [[0.1931, 0.0]])
"""

from bandit_rlhf.divergence.entropies import entropy, surprisal
from bandit_rlhf.divergence.estimates import clamped, k1, k2, k3, k3_clamped
from bandit_rlhf.divergence.placement import (
    AdaptiveKL,
    adaptive_beta,
    kl_in_loss,
    kl_in_reward,
    mean_kl,
)
from bandit_rlhf.divergence.weighted import k1_weighted, k3_sequence_weighted, k3_weighted

__all__ = [
    "AdaptiveKL",
    "adaptive_beta",
    "clamped",
    "entropy",
    "k1",
    "k1_weighted",
    "k2",
    "k3",
    "k3_clamped",
    "k3_sequence_weighted",
    "k3_weighted",
    "kl_in_loss",
    "kl_in_reward",
    "mean_kl",
    "surprisal",
]
