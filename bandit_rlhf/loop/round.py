"""One turn of the loop, measured: the policy, what it was optimised against, and how good it is.

Measures are exact sums over all strings. The true reward is used here, to judge, and goes no
further.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from bandit_rlhf import _check
from bandit_rlhf._array import Float
from bandit_rlhf.bandit import ContextualBandit
from bandit_rlhf.comparisons import Comparisons
from bandit_rlhf.exact import tree
from bandit_rlhf.loop.state import Policy, State, as_tabular

CONSTANT = 1e-12
"""How far rewards of one prompt may lie apart, as a share of the largest, and be called equal."""


@dataclass(frozen=True, eq=False)
class Round:
    """The loop after a step.

    Args:
        step: steps taken; 0: the reference itself.
        setting: the beta, n or number of steps that the policy belongs to.
        policy: pi.
        reward: the fitted reward of this step, the proxy, [prompt, string].
        comparisons: all that people have said; None: nobody was asked.
        asked: rows that were asked before this step; 0: none.
        kl: KL(pi || ref), nats.
        chi_squared: chi^2(pi || ref).
        proxy: E_pi of the fitted reward.
        gold: E_pi of the true reward.
        entropy: H(pi) of whole strings, nats.
        token_entropy: the mean token entropy, nats.
        constant_prompts: prompts that occur whose fitted reward is the same for every string the
            reference can write. There it orders nothing: only bonuses move the policy.
    """

    step: int
    setting: float
    policy: Policy
    reward: Float[np.ndarray, "prompt string"]
    comparisons: Comparisons | None
    asked: int
    kl: float
    chi_squared: float
    proxy: float
    gold: float
    entropy: float
    token_entropy: float
    constant_prompts: tuple[int, ...] = ()

    def row(self) -> dict[str, float]:
        """The numbers alone, for a table of results."""
        names = ("step", "setting", "asked", "kl", "chi_squared", "proxy", "gold", "entropy")
        numbers = {name: getattr(self, name) for name in (*names, "token_entropy")}
        return {**numbers, "constant_prompts": len(self.constant_prompts)}


def measured(
    bandit: ContextualBandit,
    state: State,
    reward: Float[np.ndarray, "prompt string"],
    comparisons: Comparisons | None = None,
    asked: int = 0,
) -> Round:
    """The round of a state, by exact sums.

    Args:
        bandit: prompt law and true reward.
        state: where the learner stands.
        reward: the fitted reward of this step.
        comparisons: all that people have said.
        asked: rows asked before this step.

    Raises:
        ValueError: an infinite KL: the policy writes a string that the reference never does.
    """
    policy, reference = as_tabular(state.policy), as_tabular(state.reference)
    divergence = tree.kl(bandit, policy, reference).value
    if not np.isfinite(divergence):
        raise ValueError(_lost_support(bandit, state.step, policy, reference))
    law = bandit.prompt_law

    def mean(payoff: np.ndarray) -> float:
        return tree.policy_gradient(law, policy, payoff).value

    return Round(
        state.step,
        state.setting,
        state.policy,
        reward,
        comparisons,
        asked,
        divergence,
        tree.chi_squared(bandit, policy, reference).value,
        mean(reward),
        mean(bandit.reward_table()),
        tree.entropy(bandit, policy).value,
        tree.token_entropy(bandit, policy).value,
        constant_prompts(law, reference.string_law(), reward),
    )


def constant_prompts(
    prompt_law: Float[np.ndarray, " prompt"],
    reference: Float[np.ndarray, "prompt string"],
    reward: Float[np.ndarray, "prompt string"],
) -> tuple[int, ...]:
    """The prompts that occur on which a reward is the same for every string that can be written.

    >>> constant_prompts(np.array([0.5, 0.5]), np.full((2, 2), 0.5), np.array([[1.0, 1], [0, 1]]))
    (0,)
    """
    possible = reference > 0
    high = np.where(possible, reward, -np.inf).max(axis=1)
    low = np.where(possible, reward, np.inf).min(axis=1)
    alike = high - low <= CONSTANT * np.maximum(1.0, np.maximum(np.abs(high), np.abs(low)))
    return tuple(int(x) for x in np.flatnonzero(alike & (prompt_law > 0)))


def judged_reward(
    bandit: ContextualBandit, reward: ArrayLike, step: int
) -> Float[np.ndarray, "prompt string"]:
    """Return a fitted reward as float64, or say at which step it is wrong for which string.

    Args:
        bandit: the strings and prompts.
        reward: [prompt, string].
        step: the step it was fitted for.

    Raises:
        ValueError: a wrong shape; a reward that is not finite.
    """
    table = np.asarray(reward, dtype=np.float64)
    shape = (len(bandit.prompts), bandit.language.string_count)
    _check.shaped("the fitted reward", table, shape, "prompt, string", f"loop, step {step}")
    bad = np.argwhere(~np.isfinite(table))
    if len(bad):
        prompt, string = (int(i) for i in bad[0])
        words = " ".join(bandit.language.words(bandit.language.unrank(string)))
        got = (
            f"the fitted reward of prompt {prompt}, string {string} ({words!r}) is "
            f"{table[prompt, string]} at step {step} ({len(bad)} of {table.size} entries)"
        )
        do = "Rounds before this step are sound; mend the reward model."
        raise ValueError(_check.complaint(got, "finite", "loop", do))
    return table


def _lost_support(bandit: ContextualBandit, step: int, policy: object, reference: object) -> str:
    """Name a string that the policy writes and the reference does not."""
    language = bandit.language
    law, ref = (one.string_law() for one in (policy, reference))  # pyright: ignore
    outside = np.where((ref == 0) & (bandit.prompt_law > 0)[:, None], law, 0.0)
    prompt, string = (int(i) for i in np.unravel_index(int(outside.argmax()), law.shape))
    words = " ".join(language.words(language.unrank(string)))
    got = (
        f"KL(pi || ref) is infinite at step {step}: prompt {prompt}, string {string} ({words!r}) "
        f"has probability {law[prompt, string]:.3g}, and none under the reference"
    )
    do = "Keep the policy within the reference's support, or widen the reference."
    return _check.complaint(got, "finite", "loop", do)
