"""Where bandit and MDP must part: one small world and one dial each, from the null (0) to 1.

Every effect is exact, and 0 where its dial is 0.
"""

from dataclasses import replace

import numpy as np

from bandit_rlhf.bandit import ContextualBandit
from bandit_rlhf.exact import bellman
from bandit_rlhf.language import Language
from bandit_rlhf.mdp import FiniteMDP, as_mdp, dialogue_mdp

LONGEST = 8
"""Tokens of the longest string in the discount's world."""
LENGTHS = np.array([1.0, 2.0, 2.0])
WORTH = np.array([0.8, 1.0, 1.0])
"""Lengths and rewards of the strings $, a$ and aa of the length-normalised loss's world."""


def discount(dial: float) -> float:
    """The reward that a discount gives away: max_y r(y) - r(y_gamma) (theorem 28).

    Strings a...a$ of 1 to 8 tokens; r = length / 8. The discounted optimum maximises
    gamma^(length - 1) length: it prefers shorter, worse strings once gamma < 7/8.

    Args:
        dial: 1 - gamma.
    """
    language = Language(("a",), LONGEST, "$")
    bandit = ContextualBandit(language, [()], [1.0], lambda prompt, words: len(words) / LONGEST)
    mdp = as_mdp(bandit)
    chosen = bellman.value_iteration(replace(mdp, gamma=1.0 - dial)).log_policy
    return float(bandit.reward_table().max()) - bellman.evaluate(mdp, chosen).value


def stochastic_user(heads: float) -> tuple[float, float]:
    """The value of looking: the best closed-loop policy's less the best string's (theorem 29).

    The user says H or T, whatever was said; the agent's second word wins 1 if it repeats that.

    Args:
        heads: P(H), within 1/2..1.

    Returns:
        the user's entropy as a share of ln 2, and the gap.
    """
    law = np.array([heads, 1.0 - heads])
    mdp = dialogue_mdp(
        ["H", "T"], ["H", "T"], 2, np.stack([law, law]), lambda prompt, words: words[2] == words[1]
    )
    strings = [(first, second) for first in (0, 1) for second in (0, 1)]
    best_string = max(bellman.evaluate(mdp, committed(mdp, string)).value for string in strings)
    entropy = -float(sum(p * np.log(p) for p in law if p > 0))
    return entropy / float(np.log(2.0)), bellman.value_iteration(mdp).value - best_string


def committed(mdp: FiniteMDP, string: tuple[int, ...]) -> np.ndarray:
    """The policy that says a string, whatever is replied: ln pi_t(a|s) [time, state, action]."""
    log_policy = np.full((mdp.horizon, mdp.state_count, mdp.action_count), -np.inf)
    for time, action in enumerate(string):
        log_policy[time, :, action] = 0.0
    return log_policy


def length_normalisation(exponent: float, baseline: bool = False) -> float:
    """How wrong the gradient of a length-normalised loss is: 1 - <g_normalised, g> / <g, g>.

    The loss weighs each string by r / |y|^exponent. Strings $ (r = 0.8), a$ and aa (r = 1), uniform
    policy: writing on is better, yet past exponent = 0.32 the normalised gradient ends the string,
    and the effect passes 1: going along it, expected reward falls (theorem 30).

    Args:
        exponent: 0 for no normalisation, 1 for the mean over tokens.
        baseline: whether the expected reward is subtracted first, which keeps the sign right here.
    """
    mdp = as_mdp(length_world(WORTH))
    uniform = bellman.log_softmax(np.zeros((mdp.horizon, mdp.state_count, mdp.action_count)))
    mean = bellman.evaluate(mdp, uniform).value if baseline else 0.0
    weighed = as_mdp(length_world((WORTH - mean) / LENGTHS**exponent))
    right, normalised = (bellman.policy_gradient(m, uniform) for m in (mdp, weighed))
    return 1.0 - float((normalised * right).sum() / (right * right).sum())


def length_world(reward: np.ndarray) -> ContextualBandit:
    """The strings $, a$ and aa with these rewards [string]."""
    return ContextualBandit(Language(("a",), 2, "$"), [()], [1.0], reward[None])
