"""RLHF as a contextual bandit whose action is a whole string, beside the token-level MDP.

The names below are the everyday ones; exact sums live in `bandit_rlhf.exact`.
"""

from bandit_rlhf.automaton import AutomatonReward
from bandit_rlhf.bandit import ContextualBandit
from bandit_rlhf.comparisons import Comparisons
from bandit_rlhf.evaluation import Estimate
from bandit_rlhf.language import Language, TokenBatch
from bandit_rlhf.mdp import FiniteMDP, as_bandit, as_mdp
from bandit_rlhf.ngram import MarkovPolicy
from bandit_rlhf.policy import TabularPolicy
from bandit_rlhf.reward import RewardFit, fit

__all__ = [
    "AutomatonReward",
    "Comparisons",
    "ContextualBandit",
    "Estimate",
    "FiniteMDP",
    "Language",
    "MarkovPolicy",
    "RewardFit",
    "TabularPolicy",
    "TokenBatch",
    "as_bandit",
    "as_mdp",
    "fit",
]
