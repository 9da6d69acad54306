"""Expert iteration: keep the best of some draws, imitate them, draw again.

Exactly, the policy becomes (or moves a share of the way to) the law of the best of n of its own
draws. Where no two strings tie, t full steps are the best of n^t draws of the reference. Sampled,
the kept strings are imitated by gradient steps on their log-likelihood.
"""

from dataclasses import dataclass

import numpy as np

from bandit_rlhf import _check
from bandit_rlhf.loop.ladder import best_of
from bandit_rlhf.loop.round import constant_prompts
from bandit_rlhf.loop.sampled import draw_weights, drawn
from bandit_rlhf.loop.state import Evidence, State, as_tabular
from bandit_rlhf.loop.string_law import along, from_log_law, score_gradient
from bandit_rlhf.policy import TabularPolicy


@dataclass(frozen=True)
class ExpertIteration:
    """pi <- (1 - share) pi + share (best of n of pi), exactly.

    Args:
        n: draws of which the best is kept, at least 1.
        share: of the way to go, above 0 and at most 1.

    Raises:
        ValueError: a number out of its range.

    Source: Anthony et al. 2017 (1705.08439); Gulcehre et al. 2023 (2308.08998) for language.

    >>> from bandit_rlhf.language import Language
    >>> half = TabularPolicy.uniform(Language(("a", "b"), 1), [()])
    >>> start, seen = State(half, half, np.ones(1)), Evidence(np.array([[0.0, 1.0]]))
    >>> moved = ExpertIteration(2).step(start, seen, np.random.default_rng(0))
    >>> as_tabular(moved.policy).string_law()
    array([[0.25, 0.75]])
    """

    n: int
    share: float = 1.0

    def __post_init__(self) -> None:
        _check.integer_at_least("n", self.n, 1, "ExpertIteration")
        if _check.positive("share", self.share, "ExpertIteration") > 1:
            got = f"share is {self.share:g}"
            raise ValueError(_check.complaint(got, "at most 1", "ExpertIteration"))

    def step(self, state: State, evidence: Evidence, rng: np.random.Generator) -> State:
        """One exact step; nothing is random."""
        policy = as_tabular(state.policy)
        expert = best_of(policy, evidence.reward, self.n)
        law = (1 - self.share) * policy.string_law() + self.share * expert.string_law()
        with np.errstate(divide="ignore"):
            return state.moved(from_log_law(policy.language, policy.prompts, np.log(law)))


@dataclass(frozen=True)
class SampledExpertIteration:
    """Draw groups of n, keep the best of each, climb the log-likelihood of what was kept.

    Args:
        n: draws of which the best is kept, at least 1.
        groups: kept strings a prompt, at least 1.
        step_size: of each gradient step in the logits, above 0.
        epochs: gradient steps on the same kept strings, at least 1.

    Raises:
        ValueError: a number out of its range.

    >>> from bandit_rlhf.language import Language
    >>> half = TabularPolicy.uniform(Language(("a", "b"), 1), [()])
    >>> start, seen = State(half, half, np.ones(1)), Evidence(np.array([[0.0, 1.0]]))
    >>> learner = SampledExpertIteration(2, groups=1000, step_size=1.0, epochs=50)
    >>> law = as_tabular(learner.step(start, seen, np.random.default_rng(0)).policy).string_law()
    >>> bool(abs(law[0, 1] - 0.75) < 0.05)
    True
    """

    n: int
    groups: int
    step_size: float
    epochs: int = 1

    def __post_init__(self) -> None:
        for name in ("n", "groups", "epochs"):
            _check.integer_at_least(name, getattr(self, name), 1, "SampledExpertIteration")
        _check.positive("step_size", self.step_size, "SampledExpertIteration")

    def step(self, state: State, evidence: Evidence, rng: np.random.Generator) -> State:
        """Fresh groups, then `epochs` steps on the kept strings; ties go to the first drawn.

        Prompts whose reward is the same for every string are left alone: there the learner would
        imitate nothing but the accidents of its own draws.
        """
        policy = as_tabular(state.policy)
        batches = drawn(policy, self.n * self.groups, rng)
        ranks = np.stack([batch.ranks() for batch in batches]).reshape(-1, self.groups, self.n)
        prompt = np.arange(len(ranks))[:, None, None]
        best = evidence.reward[prompt, ranks].argmax(axis=2)
        kept = np.take_along_axis(ranks, best[:, :, None], axis=2)[:, :, 0]
        weights = draw_weights(kept, np.ones(kept.shape), evidence.reward.shape[1])
        law = as_tabular(state.reference).string_law()
        weights[list(constant_prompts(state.prompt_law, law, evidence.reward))] = 0.0
        entries = along(policy.language, weights) * state.prompt_law[:, None]
        for _ in range(self.epochs):
            logits = policy.log_probs() + self.step_size * score_gradient(policy, entries)
            policy = TabularPolicy(policy.language, policy.prompts, logits)
        return state.moved(policy)
