"""What a gradient learner climbs: the fitted reward, a KL penalty, bonuses for entropy.

    J(pi) = E r - beta KL(pi || ref) + tau H(pi) + token_tau T(pi)

H is the entropy of whole strings, T the mean token entropy E_y (1/|y|) sum_t H(pi(. | x, y_<t)).
Every gradient of J is the policy gradient of one payoff, the derivative of J in the law itself,

    f(x, y) = r - beta ln(pi/ref) - tau ln pi
              + token_tau sum_t [H(s_t)/|y| - (ln pi(a_t|s_t) + H(s_t)) E[1/|y'| | s_t]],

up to a constant, held fixed while the gradient is taken.
"""

from dataclasses import dataclass

import numpy as np

from bandit_rlhf import _check
from bandit_rlhf._array import Float
from bandit_rlhf.exact.tree import string_lengths
from bandit_rlhf.loop.string_law import action_values
from bandit_rlhf.policy import TabularPolicy, accumulate, as_level


@dataclass(frozen=True)
class Regulariser:
    """The weights of the three terms beside the reward; all zero: the reward alone.

    Args:
        beta: of KL(pi || ref), in units of reward, at least 0.
        tau: of the entropy of strings, likewise.
        token_tau: of the mean token entropy, likewise.

    Raises:
        ValueError: a weight below 0.

    >>> Regulariser(beta=-1.0)
    Traceback (most recent call last):
    ...
    ValueError: beta is -1, but should be at least 0 [Regulariser].
    """

    beta: float = 0.0
    tau: float = 0.0
    token_tau: float = 0.0

    def __post_init__(self) -> None:
        for name in ("beta", "tau", "token_tau"):
            _check.non_negative(name, getattr(self, name), "Regulariser")

    def payoff(
        self,
        policy: TabularPolicy,
        reference: TabularPolicy,
        reward: Float[np.ndarray, "prompt string"],
    ) -> Float[np.ndarray, "prompt string"]:
        """The derivative f of J in the law, [prompt, string]; the reward where pi has no mass.

        Args:
            policy: pi.
            reference: ref.
            reward: r, [prompt, string].
        """
        if not (self.beta or self.tau or self.token_tau):
            return reward
        log_law = policy.string_log_law()
        possible = ~np.isneginf(log_law)
        own = np.where(possible, log_law, 0.0)
        extra = -self.tau * own
        if self.beta:
            extra = extra - self.beta * (own - np.where(possible, reference.string_log_law(), 0.0))
        if self.token_tau:
            extra = extra + self.token_tau * token_entropy_payoff(policy)
        return reward + np.where(possible, extra, 0.0)


def token_entropy_payoff(policy: TabularPolicy) -> Float[np.ndarray, "prompt string"]:
    """The derivative of the mean token entropy in the law of strings, up to a constant.

    It is the sum over tokens of the last bracket of this module's formula; where pi has no mass it
    means nothing.
    """
    language = policy.language
    log_probs = policy.log_probs()
    probs = np.exp(log_probs)
    logs = np.where(probs > 0, log_probs, 0.0)
    spread = np.empty_like(probs)
    for level in range(language.horizon):
        terms = as_level(language, probs, level) * as_level(language, logs, level)
        as_level(language, spread, level)[:] = -terms.sum(axis=1, keepdims=True)
    inverse_length = np.broadcast_to(
        1.0 / string_lengths(language), (len(policy.prompts), language.string_count)
    )
    _, expected = action_values(policy, inverse_length)
    return accumulate(language, spread) * inverse_length - accumulate(
        language, (logs + spread) * expected
    )
