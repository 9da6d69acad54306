"""Policy gradient without sampling: vanilla, or natural in one of two geometries.

    natural-string   ln pi(y) += eta f(y)                                       a softmax of strings
    natural-token    logit(s, a) += eta (Q_f(s, a) - V_f(s))                    a softmax of tokens
    vanilla          logit(s, a) += eta p(x) pi(s) pi(a|s) (Q_f(s, a) - V_f(s))

f is the payoff of `regulariser`. Without a regulariser the first is the Gibbs path itself: after t
steps pi = ref exp(eta t r) / Z, the optimum at beta = 1/(eta t). The others are not.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from bandit_rlhf import _check
from bandit_rlhf._array import Float
from bandit_rlhf.exact import tree
from bandit_rlhf.loop.regulariser import Regulariser
from bandit_rlhf.loop.state import Evidence, State, as_tabular
from bandit_rlhf.loop.string_law import action_values, from_log_law
from bandit_rlhf.policy import TabularPolicy

Geometry = Literal["vanilla", "natural-token", "natural-string"]
GEOMETRIES = ("vanilla", "natural-token", "natural-string")


@dataclass(frozen=True)
class ExactGradient:
    """Ascent on J by its exact gradient.

    Args:
        step_size: eta, above 0; in 1/reward for the natural ones.
        geometry: of the step.
        regulariser: the terms of J beside the reward.

    Raises:
        ValueError: a step size of 0 or below, an unknown geometry.

    Source: Sutton et al. 1999 for the vanilla gradient; Kakade 2001 and Agarwal et al. 2021
        (1908.00261), lemma 15, for the natural one of a softmax.

    >>> from bandit_rlhf.language import Language
    >>> half = TabularPolicy.uniform(Language(("a", "b"), 1), [()])
    >>> start, seen = State(half, half, np.ones(1)), Evidence(np.array([[0.0, 1.0]]))
    >>> two = ExactGradient(np.log(3.0) / 2)      # two steps: beta = 1 / ln 3
    >>> state = two.step(two.step(start, seen, np.random.default_rng(0)), seen,
    ...                  np.random.default_rng(0))
    >>> as_tabular(state.policy).string_law().round(6)
    array([[0.25, 0.75]])
    """

    step_size: float
    geometry: Geometry = "natural-string"
    regulariser: Regulariser = field(default_factory=Regulariser)

    def __post_init__(self) -> None:
        _check.positive("step_size", self.step_size, "ExactGradient")
        judged_geometry(self.geometry, "ExactGradient")

    def step(self, state: State, evidence: Evidence, rng: np.random.Generator) -> State:
        """One step up; nothing is random."""
        policy = as_tabular(state.policy)
        payoff = self.regulariser.payoff(policy, as_tabular(state.reference), evidence.reward)
        return state.moved(
            ascended(policy, state.prompt_law, payoff, self.step_size, self.geometry)
        )


def ascended(
    policy: TabularPolicy,
    prompt_law: Float[np.ndarray, " prompt"],
    payoff: Float[np.ndarray, "prompt string"],
    step_size: float,
    geometry: Geometry,
) -> TabularPolicy:
    """The policy after one exact step up E f, f held fixed.

    >>> from bandit_rlhf.language import Language
    >>> half = TabularPolicy.uniform(Language(("a", "b"), 1), [()])
    >>> up = ascended(half, np.ones(1), np.array([[0.0, np.log(3.0)]]), 1.0, "natural-string")
    >>> up.string_law()
    array([[0.25, 0.75]])
    """
    language, prompts = policy.language, policy.prompts
    if geometry == "natural-string":
        return from_log_law(language, prompts, policy.string_log_law() + step_size * payoff)
    if geometry == "natural-token":
        of_action, of_node = action_values(policy, payoff)
        direction = of_action - of_node
    else:
        direction = tree.policy_gradient(prompt_law, policy, payoff).gradient
    # Normalised logits, so that a long path does not drift away from zero.
    return TabularPolicy(language, prompts, policy.log_probs() + step_size * direction)


def judged_geometry(geometry: str, where: str) -> None:
    """Raise if there is no such geometry.

    >>> judged_geometry("vanilla", "README")
    """
    if geometry not in GEOMETRIES:
        got = f"geometry is {geometry!r}"
        raise ValueError(_check.complaint(got, f"one of {', '.join(GEOMETRIES)}", where))
