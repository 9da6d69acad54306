"""Markov decision processes, and the ways between them and the bandit.

`finite` is any finite MDP with a finite horizon, and knows nothing of strings; `token` writes a
language's strings one token a step; `dialogue` lets an agent and a stochastic user alternate;
`conversion` goes from the bandit to the MDP and, where that is faithful, back.
"""

from bandit_rlhf.mdp.conversion import as_bandit, as_mdp
from bandit_rlhf.mdp.dialogue import dialogue_mdp
from bandit_rlhf.mdp.finite import FiniteMDP, shaped
from bandit_rlhf.mdp.token import History, entry_array, state_array, token_mdp

__all__ = [
    "FiniteMDP",
    "History",
    "as_bandit",
    "as_mdp",
    "dialogue_mdp",
    "entry_array",
    "shaped",
    "state_array",
    "token_mdp",
]
