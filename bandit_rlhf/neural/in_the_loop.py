"""Neural policies and reward models in the package's loop (`bandit_rlhf.loop.rounds`).

`NeuralReward` is a reward model of the loop: it is fitted to comparisons and answers with the
reward of every string. `NeuralSteps` is a learner of the loop: a neural learner of this room that
takes some steps of its optimiser for each step of the loop, whose moments it carries along.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from bandit_rlhf import _check
from bandit_rlhf._array import Float
from bandit_rlhf.comparisons import Comparisons
from bandit_rlhf.loop.state import Evidence, State
from bandit_rlhf.neural import reward_model
from bandit_rlhf.neural.learner import Learner, Optimiser, take_step
from bandit_rlhf.neural.policy import NeuralPolicy
from bandit_rlhf.neural.reward_model import RewardModel
from bandit_rlhf.neural.string_comparisons import from_table


@dataclass(frozen=True, eq=False)
class NeuralReward:
    """A neural reward model for the loop, fitted anew to all comparisons when people were asked.

    Args:
        start: the parameters that each fit sets out from.
        held_out: share of the rows that decides when to stop, within 0 to 1; 0: all steps are
            taken.
        options: of `reward_model.fit`, such as steps, learning_rate, weight_decay.

    >>> from bandit_rlhf.language import Language
    >>> from bandit_rlhf.neural.network import Architecture
    >>> letters = Language(("a", "b"), 1)
    >>> start = RewardModel.initial(letters, [()], Architecture("counts"), seed=0)
    >>> rows = Comparisons.from_ids([1, 1, 0], [0, 0, 1], items=range(2))
    >>> table = NeuralReward(start, options={"steps": 300})(rows, np.random.default_rng(0))
    >>> float((table[0, 1] - table[0, 0]).round(2))  # ln 2: two wins to one
    0.69
    """

    start: RewardModel
    held_out: float = 0.0
    options: dict[str, Any] = field(default_factory=dict)

    def __call__(
        self, comparisons: Comparisons, rng: np.random.Generator
    ) -> Float[np.ndarray, "prompt string"]:
        """Fit, with a reward for every string."""
        rows = from_table(comparisons, self.start.language, self.start.device)
        seeds = rng.integers(2**31, size=2).tolist()
        held_out, options = None, dict(self.options)
        if self.held_out:
            rows, held_out = rows.split(self.held_out, seed=seeds[0])
        fitted = reward_model.fit(self.start, rows, held_out=held_out, seed=seeds[1], **options)
        return fitted.model.reward_table()


@dataclass(frozen=True, eq=False)
class NeuralSteps:
    """A neural learner as a learner of the loop.

    Args:
        learner: from state and evidence to a learner of this room; what it sees is the fitted
            reward of every string, and comparisons, never a true reward.
        inner: collections for each step of the loop, at least 1.
        optimiser: whose moments go on from step to step.

    >>> from bandit_rlhf.bandit import ContextualBandit
    >>> from bandit_rlhf.language import Language
    >>> from bandit_rlhf.loop import rounds
    >>> from bandit_rlhf.neural import Architecture, NeuralPolicy, PolicyGradient
    >>> from bandit_rlhf.neural.strings import from_table as from_rewards
    >>> from bandit_rlhf.reward.model import Given
    >>> letters, table = Language(("a", "b"), 1), np.array([[0.0, 1.0]])
    >>> def rloo(state, evidence):
    ...     proxy = from_rewards(letters, evidence.reward)
    ...     return PolicyGradient(state.reference, proxy, beta=0.1, groups=1)
    >>> reference = NeuralPolicy.initial(letters, [()], Architecture(width=8), seed=0)
    >>> bandit = ContextualBandit(letters, [()], [1.0], table)
    >>> learner = NeuralSteps(rloo, inner=20, optimiser=Optimiser(learning_rate=0.02))
    >>> path = rounds(bandit, reference, learner, Given(table), np.random.default_rng(0), steps=2)
    >>> golds = [one.gold for one in path]
    >>> golds == sorted(golds)
    True
    """

    learner: Callable[[State, Evidence], Learner]
    inner: int = 10
    optimiser: Optimiser = field(default_factory=Optimiser)

    def __post_init__(self) -> None:
        _check.integer_at_least("inner", self.inner, 1, "NeuralSteps")

    def step(self, state: State, evidence: Evidence, rng: np.random.Generator) -> State:
        """`inner` collections, each followed by the learner's updates.

        Raises:
            TypeError: a policy that is not neural.
        """
        if not isinstance(state.policy, NeuralPolicy):
            got = f"the policy is a {type(state.policy).__name__}"
            do = "Start the loop from a NeuralPolicy; neural.fit_to_law makes one of any law."
            raise TypeError(_check.complaint(got, "a NeuralPolicy", "NeuralSteps", do))
        policy = state.policy.copy()
        torch_optimiser = self.optimiser.of(policy)
        if state.memory is not None:
            # A copy: loading shares tensors, and the given state stays as it is.
            torch_optimiser.load_state_dict(deepcopy(state.memory))
        generator = torch.Generator(device=policy.device).manual_seed(int(rng.integers(2**62)))
        learner = self.learner(state, evidence)
        for _ in range(self.inner):
            take_step(policy, learner, generator, torch_optimiser, self.optimiser)
        return state.moved(policy, memory=torch_optimiser.state_dict())
