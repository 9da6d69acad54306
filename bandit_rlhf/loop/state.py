"""What a learner holds, sees and is: a state, evidence, and a pure step from one to the next.

A learner is a frozen value with one method, `step(state, evidence, rng) -> State`. It sees fitted
rewards and comparisons, never a true reward. Its policy is tabular, or can be turned into a tabular
one, as neural policies over enumerable strings can.
"""

from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np

from bandit_rlhf._array import Float
from bandit_rlhf.comparisons import Comparisons
from bandit_rlhf.policy import TabularPolicy


@runtime_checkable
class Enumerable(Protocol):
    """A policy that knows the tabular policy with its law."""

    def tabular(self) -> TabularPolicy:
        """The tabular policy with the same law of strings."""
        ...


Policy = TabularPolicy | Enumerable


@dataclass(frozen=True, eq=False)
class State:
    """Where a learner stands.

    Args:
        policy: pi, now.
        reference: ref, from which it set out.
        prompt_law: p, [prompt].
        step: steps taken.
        setting: what the last step was about: the beta of a tilt, the n of best-of-n, the number of
            steps of a gradient path.
        memory: what else the learner carries, such as the moments of an optimiser.
    """

    policy: Policy
    reference: Policy
    prompt_law: Float[np.ndarray, " prompt"]
    step: int = 0
    setting: float = 0.0
    memory: Any = None

    def moved(self, policy: Policy, setting: float | None = None, memory: Any = None) -> "State":
        """The state after one more step, by default with the number of steps as its setting."""
        step = self.step + 1
        reached = float(step) if setting is None else float(setting)
        return replace(self, policy=policy, step=step, setting=reached, memory=memory)


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a learner may look at.

    Args:
        reward: the fitted reward of every string, [prompt, string], finite.
        comparisons: what people said so far; None: nothing was asked.
    """

    reward: Float[np.ndarray, "prompt string"]
    comparisons: Comparisons | None = None


@runtime_checkable
class Learner(Protocol):
    """A frozen value that moves policies."""

    def step(self, state: State, evidence: Evidence, rng: np.random.Generator) -> State:
        """The state after one step; the given one stays as it is."""
        ...


def as_tabular(policy: Policy) -> TabularPolicy:
    """The tabular policy with the same law.

    >>> from bandit_rlhf.language import Language
    >>> policy = TabularPolicy.uniform(Language(("a",), 1, "$"), [()])
    >>> as_tabular(policy) is policy
    True
    """
    return policy if isinstance(policy, TabularPolicy) else policy.tabular()
