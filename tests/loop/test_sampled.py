"""Sampled steps against the exact ones: expectations over every batch, intervals over seeds."""

import itertools

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from bandit_rlhf.advantage import grpo, reinforce, rloo
from bandit_rlhf.evaluation import estimate
from bandit_rlhf.exact import tree
from bandit_rlhf.loop.gradient import ExactGradient, Geometry, ascended
from bandit_rlhf.loop.regulariser import Regulariser
from bandit_rlhf.loop.sampled import (
    Advantage,
    SampledGradient,
    draw_weights,
    judged_advantages,
    moved_by_weights,
)
from bandit_rlhf.loop.state import Evidence, Learner, State, as_tabular
from bandit_rlhf.loop.string_law import along, score_gradient
from bandit_rlhf.policy import TabularPolicy, accumulate, as_level
from tests.worlds import random_world

WORLD = random_world(seed=21, size=2, horizon=2)
GEOMETRIES: tuple[Geometry, ...] = ("vanilla", "natural-token", "natural-string")


def direction(policy: TabularPolicy, moved: TabularPolicy, geometry: Geometry) -> np.ndarray:
    """The change of logits, in the logits that the geometry moves, up to what moves nothing."""
    if geometry == "natural-string":
        return moved.string_log_law() - policy.string_log_law()
    return moved.logits - policy.log_probs()


def expected_direction(advantage: Advantage, geometry: Geometry, payoff: np.ndarray) -> np.ndarray:
    """The mean step over every batch of two draws, prompt by prompt, weighed by its chance."""
    policy, law = WORLD.policy, WORLD.policy.string_law()
    strings = law.shape[1]
    total = np.zeros_like(payoff if geometry == "natural-string" else policy.logits)
    for pair in itertools.product(range(strings), repeat=2):
        ranks = np.array([pair, pair])
        weights = draw_weights(ranks, judged_advantages(advantage, payoff, ranks), strings)
        step = 1e-7 if geometry == "natural-string" else 1.0
        moved = moved_by_weights(policy, WORLD.bandit.prompt_law, weights, step, geometry)
        chance = law[:, pair[0]] * law[:, pair[1]]
        total += chance[:, None] * direction(policy, moved, geometry) / step
    return total


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("advantage", [reinforce, rloo])
def test_the_expected_step_is_the_exact_one(advantage: Advantage, geometry: Geometry) -> None:
    terms = Regulariser(0.2, 0.1, 0.3)
    payoff = terms.payoff(WORLD.policy, WORLD.reference, WORLD.bandit.reward_table())
    step = 1e-7 if geometry == "natural-string" else 1.0
    exact = ascended(WORLD.policy, WORLD.bandit.prompt_law, payoff, step, geometry)
    expected = direction(WORLD.policy, exact, geometry) / step
    found = expected_direction(advantage, geometry, payoff)
    tolerance = 1e-5 if geometry == "natural-string" else 1e-12
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


def test_grpo_expects_another_step() -> None:
    payoff = WORLD.bandit.reward_table()
    exact = tree.expected_reward(WORLD.bandit, WORLD.policy).gradient
    found = expected_direction(grpo, "vanilla", payoff)
    scale = (found * exact).sum() / (exact * exact).sum()
    assert np.abs(found - scale * exact).max() > 1e-2 * np.abs(found).max()


def test_natural_token_inverts_the_fisher_information_of_any_weights() -> None:
    """F F^-1 g = g, with F applied as sum_x p sum_y pi score (score . direction)."""
    rng, policy = np.random.default_rng(3), WORLD.policy
    language, law = policy.language, policy.string_law()
    weights = rng.normal(size=law.shape)
    moved = moved_by_weights(policy, np.ones(2), weights, 1.0, "natural-token")
    push = moved.logits - policy.log_probs()
    nodes = np.zeros_like(push)  # the mean of the direction at each node, which scores subtract
    for level in range(language.horizon):
        probs = np.exp(as_level(language, policy.log_probs(), level))
        mean = (probs * as_level(language, push, level)).sum(axis=1, keepdims=True)
        as_level(language, nodes, level)[:] = mean
    slopes = accumulate(language, push - nodes)  # score(y) . direction
    image = score_gradient(policy, along(language, law * slopes))
    gradient = score_gradient(policy, along(language, weights))
    np.testing.assert_allclose(image, gradient, rtol=0, atol=1e-12)


LAW = WORLD.bandit.prompt_law
SEEDS = 12
LEVEL = 0.999
"""Of the interval at each of four checkpoints: a false alarm in 250 runs, and seeds are fixed."""


def test_sampled_paths_bracket_the_exact_one() -> None:
    bandit, reward = WORLD.bandit, WORLD.bandit.reward_table()

    def golds(learner: Learner, seed: int) -> list[float]:
        rng, state = np.random.default_rng(seed), State(WORLD.reference, WORLD.reference, LAW)
        means = []
        for step in range(1, 13):
            state = learner.step(state, Evidence(reward), rng)
            if step % 4 == 0:
                means.append(tree.expected_reward(bandit, as_tabular(state.policy)).value)
        return means

    exact = golds(ExactGradient(0.3, "vanilla"), 0)
    sampled = np.array([golds(SampledGradient(0.3, 256, rloo), seed) for seed in range(SEEDS)])
    intervals = [estimate(column).interval(LEVEL) for column in sampled.T]
    assert all(low <= value <= high for value, (low, high) in zip(exact, intervals, strict=True))
    slow = golds(ExactGradient(0.25, "vanilla"), 0)  # the control: another path lies outside
    assert not intervals[-1][0] <= slow[-1] <= intervals[-1][1]


def test_advantages_that_are_not_finite() -> None:
    def broken(rewards: np.ndarray) -> np.ndarray:
        return np.where(rewards == rewards.max(), np.nan, rewards)

    ranks = np.array([[0, 1], [1, 2]])
    with pytest.raises(ValueError, match=r"advantages\[\d, \d\] is nan .* finite \[broken\]"):
        judged_advantages(broken, WORLD.bandit.reward_table(), ranks)
    with pytest.raises(ValueError, match="advantages has shape"):
        judged_advantages(lambda r: r[:, :1], WORLD.bandit.reward_table(), ranks)


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="step_size is -1"):
        SampledGradient(-1.0, 4)
    with pytest.raises(ValueError, match="draws is 0"):
        SampledGradient(1.0, 0)
    with pytest.raises((ValueError, TypeCheckError), match="flat"):
        SampledGradient(1.0, 4, geometry="flat")  # pyright: ignore[reportArgumentType]
