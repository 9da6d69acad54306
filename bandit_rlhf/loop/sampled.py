"""Policy gradient from draws: strings of the policy, weighed by an advantage estimator.

    g = sum_x p(x) 1/G sum_i A_i grad ln pi(y_i | x),   y_i ~ pi(. | x) independent

Every prompt gets G draws each step and its own weight, so that prompts add no noise. A draw's
reward is the payoff of `regulariser`: penalties and bonuses enter as rewards, held fixed.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bandit_rlhf import _check
from bandit_rlhf._array import Float, Int
from bandit_rlhf.advantage import rloo
from bandit_rlhf.language import TokenBatch
from bandit_rlhf.loop.gradient import Geometry, judged_geometry
from bandit_rlhf.loop.regulariser import Regulariser
from bandit_rlhf.loop.state import Evidence, State, as_tabular
from bandit_rlhf.loop.string_law import along, from_log_law, score_gradient
from bandit_rlhf.policy import TabularPolicy, as_level

Advantage = Callable[..., Any]
"""From rewards [prompt, draw] to advantages [prompt, draw], such as those of `advantage`."""


@dataclass(frozen=True)
class SampledGradient:
    """Ascent on J by draws: REINFORCE, RLOO, GRPO, ... by the advantage that is passed in.

    In the natural geometries the inverse Fisher information is exact and the gradient drawn: the
    estimate is unbiased where the advantage is, but divides by the probability of what was drawn.

    Args:
        step_size: eta, above 0.
        draws: G, strings a prompt, at least 1.
        advantage: from rewards [prompt, draw] to advantages.
        geometry: "vanilla", "natural-token" or "natural-string", see `gradient`.
        regulariser: the terms of J beside the reward.

    Raises:
        ValueError: a number out of its range, an unknown geometry.

    Source: Williams 1992; Ahmadian et al. 2024 (2402.14740) for RLOO on whole strings.

    >>> from bandit_rlhf.language import Language
    >>> half = TabularPolicy.uniform(Language(("a", "b"), 1), [()])
    >>> start, seen = State(half, half, np.ones(1)), Evidence(np.array([[0.0, 1.0]]))
    >>> moved = SampledGradient(1.0, draws=1000).step(start, seen, np.random.default_rng(0))
    >>> (as_tabular(moved.policy).logits - half.log_probs()).round(1)   # exactly: -+ 1/4
    array([[-0.2,  0.2]])
    """

    step_size: float
    draws: int
    advantage: Advantage = rloo
    geometry: Geometry = "vanilla"
    regulariser: Regulariser = field(default_factory=Regulariser)

    def __post_init__(self) -> None:
        _check.positive("step_size", self.step_size, "SampledGradient")
        _check.integer_at_least("draws", self.draws, 1, "SampledGradient")
        judged_geometry(self.geometry, "SampledGradient")

    def step(self, state: State, evidence: Evidence, rng: np.random.Generator) -> State:
        """One step up the estimate from fresh draws."""
        policy = as_tabular(state.policy)
        payoff = self.regulariser.payoff(policy, as_tabular(state.reference), evidence.reward)
        ranks = np.stack([batch.ranks() for batch in drawn(policy, self.draws, rng)])
        advantages = judged_advantages(self.advantage, payoff, ranks)
        weights = draw_weights(ranks, advantages, payoff.shape[1])
        return state.moved(
            moved_by_weights(policy, state.prompt_law, weights, self.step_size, self.geometry)
        )


def drawn(policy: TabularPolicy, draws: int, rng: np.random.Generator) -> list[TokenBatch]:
    """Independent strings of the policy, one batch a prompt.

    >>> from bandit_rlhf.language import Language
    >>> half = TabularPolicy.uniform(Language(("a", "b"), 1), [()])
    >>> [len(batch) for batch in drawn(half, 3, np.random.default_rng(0))]
    [3]
    """
    return [policy.sample(rng, draws, x) for x in range(len(policy.prompts))]


def judged_advantages(
    advantage: Advantage,
    payoff: Float[np.ndarray, "prompt string"],
    ranks: Int[np.ndarray, "prompt draw"],
) -> Float[np.ndarray, "prompt draw"]:
    """The advantages of draws.

    Raises:
        ValueError: another shape than the draws', or one that is not finite.

    >>> judged_advantages(rloo, np.array([[0.0, 1.0]]), np.array([[1, 0, 0]]))
    array([[ 1. , -0.5, -0.5]])
    """
    rewards = np.take_along_axis(payoff, ranks, axis=1)
    name = getattr(advantage, "__name__", "advantage")
    values = _check.finite("advantages", advantage(rewards), name)
    return _check.shaped("advantages", values, rewards.shape, "prompt, draw", name)


def draw_weights(
    ranks: Int[np.ndarray, "prompt draw"],
    advantages: Float[np.ndarray, "prompt draw"],
    strings: int,
) -> Float[np.ndarray, "prompt string"]:
    """The weight 1/G sum_i A_i 1[y_i = y] of each string.

    >>> draw_weights(np.array([[2, 0]]), np.array([[1.0, -1.0]]), 3)
    array([[-0.5,  0. ,  0.5]])
    """
    weights = np.zeros((len(ranks), strings))
    prompt = np.broadcast_to(np.arange(len(ranks))[:, None], ranks.shape)
    np.add.at(weights, (prompt, ranks), advantages / ranks.shape[1])
    return weights


def moved_by_weights(
    policy: TabularPolicy,
    prompt_law: Float[np.ndarray, " prompt"],
    weights: Float[np.ndarray, "prompt string"],
    step_size: float,
    geometry: Geometry,
) -> TabularPolicy:
    """The policy after a step along sum_x p(x) sum_y w(x, y) grad ln pi(y | x).

    vanilla          the gradient in the logits of tokens
    natural-token    F^-1 of it: w(s, a) / (pi(s) pi(a|s)) - w(s) / pi(s)
    natural-string   F^-1 of that in the logits of strings: w(y) / pi(y)

    Args:
        policy: pi, where the weights were drawn.
        prompt_law: p, [prompt].
        weights: w, [prompt, string]; 0 wherever pi is.
        step_size: eta.
        geometry: of the step.

    >>> from bandit_rlhf.language import Language
    >>> half = TabularPolicy.uniform(Language(("a", "b"), 1), [()])
    >>> up = moved_by_weights(half, np.ones(1), np.array([[0.0, 1.0]]), 1.0, "natural-token")
    >>> up.logits - half.log_probs()      # 1/pi - 1
    array([[-1.,  1.]])
    """
    language, prompts = policy.language, policy.prompts
    if geometry == "natural-string":
        log_law = policy.string_log_law()
        push = np.zeros_like(weights)
        some = weights != 0
        push[some] = weights[some] * np.exp(-log_law[some])
        return from_log_law(language, prompts, log_law + step_size * push)
    entries = along(language, weights)
    if geometry == "vanilla":
        direction = score_gradient(policy, entries) * prompt_law[:, None]
    else:
        direction = _natural(policy, entries)
    return TabularPolicy(language, prompts, policy.log_probs() + step_size * direction)


def _natural(
    policy: TabularPolicy, entries: Float[np.ndarray, "prompt entry"]
) -> Float[np.ndarray, "prompt entry"]:
    """The inverse Fisher information of a softmax at every node, applied to score gradients."""
    language, size = policy.language, policy.language.vocabulary_size
    log_probs = policy.log_probs()
    result = np.zeros_like(entries)
    log_reach = np.zeros((len(policy.prompts), 1))
    for level in range(language.horizon):
        own = as_level(language, log_probs, level) + log_reach[:, None]
        weights = as_level(language, entries, level)
        passed, taken = weights.any(axis=1), weights != 0
        push = np.zeros_like(weights)
        push[taken] = weights[taken] * np.exp(-own[taken])
        pull = np.zeros_like(log_reach)
        pull[passed] = weights.sum(axis=1)[passed] * np.exp(-log_reach[passed])
        as_level(language, result, level)[:] = push - pull[:, None]
        log_reach = own[:, :size].reshape(len(own), -1)
    return result
