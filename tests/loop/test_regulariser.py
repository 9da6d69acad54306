"""The payoff of the regularised objective against gradients on the tree and in the law itself."""

import numpy as np
import pytest
from hypothesis import given, settings

from bandit_rlhf.exact import tree
from bandit_rlhf.loop.regulariser import Regulariser
from bandit_rlhf.loop.string_law import from_log_law
from bandit_rlhf.policy import TabularPolicy
from tests.worlds import World, random_world, worlds

TERMS = Regulariser(beta=0.3, tau=0.2, token_tau=0.5)


def objective(world: World, policy: TabularPolicy, terms: Regulariser) -> tree.TreeSum:
    """J and its gradient, term by term from `exact.tree`."""
    bandit = world.bandit
    parts = (
        (1.0, tree.expected_reward(bandit, policy)),
        (-terms.beta, tree.kl(bandit, policy, world.reference)),
        (terms.tau, tree.entropy(bandit, policy)),
        (terms.token_tau, tree.token_entropy(bandit, policy)),
    )
    return tree.TreeSum(
        sum(weight * part.value for weight, part in parts),
        np.sum([weight * part.by_prompt for weight, part in parts], axis=0),
        np.sum([weight * part.gradient for weight, part in parts], axis=0),
    )


@settings(max_examples=10)
@given(world=worlds())
def test_the_payoff_s_policy_gradient_is_the_objective_s(world: World) -> None:
    reward = world.bandit.reward_table()
    payoff = TERMS.payoff(world.policy, world.reference, reward)
    gradient = tree.policy_gradient(world.bandit.prompt_law, world.policy, payoff).gradient
    expected = objective(world, world.policy, TERMS).gradient
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("terms", [TERMS, Regulariser(token_tau=1.0)])
def test_the_payoff_is_the_derivative_in_the_law(terms: Regulariser) -> None:
    """d/de J((1-e) pi + e delta_y) = f(y) - E f, by finite differences in the law."""
    world = random_world(seed=7, prompt_law=(1.0,))
    policy, step = world.policy, 1e-6
    payoff = terms.payoff(policy, world.reference, world.bandit.reward_table())[0]
    law = policy.string_law()[0]
    for string in range(len(law)):
        towards = np.eye(len(law))[string] - law

        def value(e: float, towards: np.ndarray = towards) -> float:
            moved = from_log_law(world.language, world.prompts, np.log(law + e * towards)[None])
            return objective(world, moved, terms).value

        slope = (value(step) - value(-step)) / (2 * step)
        assert slope == pytest.approx(payoff[string] - law @ payoff, abs=1e-5)


def test_where_the_policy_has_no_mass_the_payoff_is_the_reward() -> None:
    world = random_world(seed=9)
    logits = world.policy.logits.copy()
    logits[:, 0] = -np.inf
    policy = TabularPolicy(world.language, world.prompts, logits)
    reward, outside = world.bandit.reward_table(), policy.string_law() == 0
    payoff = TERMS.payoff(policy, world.reference, reward)
    np.testing.assert_array_equal(payoff[outside], reward[outside])
    assert (payoff[~outside] != reward[~outside]).all()


def test_without_terms_the_payoff_is_the_reward() -> None:
    world = random_world(seed=8)
    reward = world.bandit.reward_table()
    assert Regulariser().payoff(world.policy, world.reference, reward) is reward


@pytest.mark.parametrize("name", ["beta", "tau", "token_tau"])
def test_weights_below_zero(name: str) -> None:
    with pytest.raises(ValueError, match=rf"{name} is -0.1, but should be at least 0"):
        Regulariser(**{name: -0.1})
