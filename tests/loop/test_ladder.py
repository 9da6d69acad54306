"""Closed-form optima against the soft-Bellman recursion, conditions of optimality, the oracle."""

import numpy as np
import pytest
from hypothesis import given, settings
from jaxtyping import TypeCheckError

from bandit_rlhf import objective
from bandit_rlhf.exact import optimum
from bandit_rlhf.loop.ladder import BestOfN, Penalty, Tilt, best_of, tilted
from bandit_rlhf.loop.state import Evidence, State, as_tabular
from bandit_rlhf.policy import TabularPolicy
from tests.worlds import World, random_world, worlds

WORLD = random_world(seed=1)
RNG = np.random.default_rng(0)


def start(world: World) -> tuple[State, Evidence]:
    state = State(world.reference, world.reference, world.bandit.prompt_law)
    return state, Evidence(world.bandit.reward_table())


def reached(state: State) -> TabularPolicy:
    return as_tabular(state.policy)


@settings(max_examples=8)
@given(world=worlds())
def test_tilting_is_the_soft_bellman_optimum(world: World) -> None:
    state, evidence = start(world)
    for beta in (0.2, 3.0):
        moved = Tilt((beta,)).step(state, evidence, RNG)
        expected = optimum.gibbs_optimum(world.bandit, world.reference, beta).policy
        np.testing.assert_allclose(reached(moved).string_law(), expected.string_law(), atol=1e-12)
        assert (moved.step, moved.setting) == (1, beta)


def test_tilting_with_entropy_is_gibbs() -> None:
    state, evidence = start(WORLD)
    moved = Tilt((0.5,), tau=0.3).step(state, evidence, RNG)
    expected = objective.gibbs(WORLD.reference.string_law(), evidence.reward, 0.5, 0.3)
    np.testing.assert_allclose(reached(moved).string_law(), expected, atol=1e-13)


def test_chi_squared_tilting_is_its_optimum() -> None:
    state, evidence = start(WORLD)
    moved = Tilt((0.7,), penalty="chi-squared").step(state, evidence, RNG)
    law = WORLD.reference.string_law()
    expected = objective.chi_squared_optimum(law, evidence.reward, 0.7)
    np.testing.assert_allclose(reached(moved).string_law(), expected, atol=1e-13)


@pytest.mark.parametrize("beta", [1e-2, 0.3, 5.0, 1e3])
def test_the_mixed_tilt_satisfies_its_condition(beta: float) -> None:
    """beta (pi/ref + ln(pi/ref)) - r is one number for each prompt: the derivative vanishes."""
    reward, reference = WORLD.bandit.reward_table(), WORLD.reference
    policy = tilted(reference, reward, beta, penalty="kl+chi-squared")
    log_ratio = policy.string_log_law() - reference.string_log_law()
    level = beta * (np.exp(log_ratio) + log_ratio) - reward
    np.testing.assert_allclose(level, level[:, :1] + np.zeros_like(level), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("penalty", ["kl", "chi-squared", "kl+chi-squared"])
def test_no_other_law_does_better(penalty: Penalty) -> None:
    rng, beta = np.random.default_rng(2), 0.4
    reference, reward = WORLD.reference.string_law(), WORLD.bandit.reward_table()

    def value(law: np.ndarray) -> np.ndarray:
        kl, chi = objective.kl_divergence(law, reference), objective.chi_squared(law, reference)
        distance = {"kl": kl, "chi-squared": chi / 2, "kl+chi-squared": kl + chi / 2}[penalty]
        return objective.expected_reward(law, reward) - beta * distance

    best = tilted(WORLD.reference, reward, beta, penalty=penalty).string_law()
    for share in (1e-3, 1e-2, 0.3):
        for other in rng.dirichlet(np.ones(best.shape[1]), size=20):
            mixed = (1 - share) * best + share * other
            assert (value(mixed) < value(best)).all()


def test_small_beta_stays_finite() -> None:
    state, evidence = start(WORLD)
    moved = Tilt((1e-6,)).step(state, evidence, RNG)
    assert np.isfinite(reached(moved).string_log_law()).all()
    top = reached(moved).string_law().argmax(axis=1)
    chosen = evidence.reward[np.arange(len(top)), top]
    np.testing.assert_array_equal(chosen, evidence.reward.max(axis=1))


@settings(max_examples=8)
@given(world=worlds())
def test_best_of_n_is_the_exact_one(world: World) -> None:
    state, evidence = start(world)
    for n in (1, 3):
        moved = BestOfN((n,)).step(state, evidence, RNG)
        expected = optimum.best_of_n(world.bandit, world.reference, n)
        np.testing.assert_allclose(reached(moved).string_law(), expected, rtol=0, atol=1e-12)


def test_rungs_start_from_the_reference() -> None:
    state, evidence = start(WORLD)
    ladder = Tilt((0.1, 1.0))
    second = ladder.step(ladder.step(state, evidence, RNG), evidence, RNG)
    alone = Tilt((1.0,)).step(state, evidence, RNG)
    np.testing.assert_array_equal(reached(second).string_law(), reached(alone).string_law())
    draws = BestOfN((4, 2))
    second = draws.step(draws.step(state, evidence, RNG), evidence, RNG)
    alone = BestOfN((2,)).step(state, evidence, RNG)
    np.testing.assert_array_equal(reached(second).string_law(), reached(alone).string_law())


@pytest.mark.parametrize("beta", [0.0, -1.0])
def test_betas_of_zero_or_below(beta: float) -> None:
    with pytest.raises(ValueError, match=r"betas\[1\] is .* above 0 \[Tilt\]\. Without a penalty"):
        Tilt((1.0, beta))


def test_bad_ladders() -> None:
    with pytest.raises(ValueError, match="betas is empty"):
        Tilt(())
    with pytest.raises(ValueError, match="counts is empty"):
        BestOfN(())
    with pytest.raises(ValueError, match=r"counts\[1\] is 0, but should be at least 1"):
        BestOfN((1, 0))
    with pytest.raises((ValueError, TypeCheckError), match="hellinger"):
        Tilt((1.0,), penalty="hellinger")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="no closed form"):
        Tilt((1.0,), tau=0.1, penalty="chi-squared")
    with pytest.raises(ValueError, match="n is 0"):
        best_of(WORLD.reference, WORLD.bandit.reward_table(), 0)
