"""Comparisons -> rewards: fits, what they identify, and how sure they are."""

from bandit_rlhf.reward.fitting import fit
from bandit_rlhf.reward.linear import fit_linear
from bandit_rlhf.reward.plackett_luce import fit_rankings
from bandit_rlhf.reward.result import RewardFit

__all__ = ["RewardFit", "fit", "fit_linear", "fit_rankings"]
