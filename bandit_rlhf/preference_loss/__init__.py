"""Losses of pairs, and of single judged strings, that fit a policy to preferences directly.

Each takes log-probabilities of whole strings and returns one loss a pair, without reduction.
`against_reference`: DPO and kin, in the margin h = ln(pi/ref)(y_w) - ln(pi/ref)(y_l);
`reference_free`: SimPO, ORPO, CPO; `unpaired`: KTO; `exploration`: XPO's optimism.

>>> import numpy as np
>>> lp = np.log(np.array([0.5]))
>>> dpo(lp, lp, lp, lp).round(4)
array([0.6931])
"""

from bandit_rlhf.preference_loss.against_reference import (
    cdpo,
    chi_po,
    dpo,
    hinge,
    ipo,
    robust_dpo,
    rpo,
    sppo_hard,
)
from bandit_rlhf.preference_loss.exploration import optimism, xpo
from bandit_rlhf.preference_loss.reference_free import cpo, orpo, simpo
from bandit_rlhf.preference_loss.unpaired import kto, mismatched, reference_point

__all__ = [
    "cdpo",
    "chi_po",
    "cpo",
    "dpo",
    "hinge",
    "ipo",
    "kto",
    "mismatched",
    "optimism",
    "orpo",
    "reference_point",
    "robust_dpo",
    "rpo",
    "simpo",
    "sppo_hard",
    "xpo",
]
