"""Laws of strings and policies of tokens: inverses, adjoints and derivatives."""

import numpy as np
import pytest
from hypothesis import given, settings

from bandit_rlhf.exact import tree
from bandit_rlhf.language import Language
from bandit_rlhf.loop.string_law import (
    action_values,
    along,
    from_log_law,
    score_gradient,
    token_entries,
)
from bandit_rlhf.policy import TabularPolicy, accumulate, entry_count
from tests.worlds import World, random_world, worlds

WORLD = random_world(seed=3, size=2, horizon=3)


@settings(max_examples=15)
@given(world=worlds())
def test_a_policy_is_its_law(world: World) -> None:
    log_law = world.policy.string_log_law()
    again = from_log_law(world.language, world.prompts, log_law + 700.0)
    np.testing.assert_allclose(again.string_law(), np.exp(log_law), rtol=0, atol=1e-13)


def test_no_mass_underflows() -> None:
    scores = np.linspace(0.0, 1e5, WORLD.language.string_count)[None]
    policy = from_log_law(WORLD.language, ((),), scores)
    np.testing.assert_allclose(policy.string_log_law(), scores - 1e5, rtol=1e-12, atol=1e-9)
    with np.errstate(divide="ignore"):  # the control: by way of probabilities all but one are lost
        through = TabularPolicy.from_string_law(WORLD.language, ((),), np.exp(scores - 1e5))
    assert np.isneginf(through.string_log_law()).any()


def test_impossible_strings_stay_impossible() -> None:
    scores = np.where(np.arange(WORLD.language.string_count) % 3 == 0, 0.0, -np.inf)[None]
    law = from_log_law(WORLD.language, ((),), scores).string_law()
    np.testing.assert_allclose(law, np.exp(scores) / np.exp(scores).sum(), atol=1e-15)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_laws_that_are_none(bad: float) -> None:
    with pytest.raises(ValueError, match=r"the largest log_law of prompt 1 is .* finite"):
        from_log_law(Language(("a",), 1), ((), ("x",)), [[0.0], [bad]])


@pytest.mark.parametrize("end", [True, False])
def test_along_is_the_adjoint_of_accumulate(end: bool) -> None:
    world = random_world(seed=4, size=3, horizon=3, end=end)
    rng, language = np.random.default_rng(0), world.language
    weights = rng.normal(size=(2, language.string_count))
    entries = rng.normal(size=(2, entry_count(language)))
    left = (along(language, weights) * entries).sum(axis=1)
    right = (weights * accumulate(language, entries)).sum(axis=1)
    np.testing.assert_allclose(left, right, rtol=1e-12)


def test_score_gradient_is_a_finite_difference() -> None:
    policy, rng, step = WORLD.policy, np.random.default_rng(1), 1e-6
    weights = rng.normal(size=(2, WORLD.language.string_count))
    gradient = score_gradient(policy, along(policy.language, weights))

    def value(logits: np.ndarray) -> float:
        moved = TabularPolicy(policy.language, policy.prompts, logits)
        return float((weights * moved.string_log_law()).sum())

    for prompt, entry in np.ndindex(gradient.shape):
        shift = np.zeros_like(policy.logits)
        shift[prompt, entry] = step
        slope = (value(policy.logits + shift) - value(policy.logits - shift)) / (2 * step)
        assert slope == pytest.approx(gradient[prompt, entry], abs=1e-7)


@settings(max_examples=15)
@given(world=worlds())
def test_action_values_make_the_policy_gradient(world: World) -> None:
    policy, payoff = world.policy, world.bandit.reward_table()
    of_action, of_node = action_values(policy, payoff)
    reach = tree.visits(policy) * np.exp(policy.log_probs())
    gradient = world.bandit.prompt_law[:, None] * reach * (of_action - of_node)
    expected = tree.expected_reward(world.bandit, policy)
    np.testing.assert_allclose(gradient, expected.gradient, rtol=0, atol=1e-12)
    np.testing.assert_allclose(of_node[:, 0], expected.by_prompt, rtol=0, atol=1e-12)


def test_token_entries_find_the_logits() -> None:
    policy = WORLD.policy
    batch = WORLD.language.all_strings()
    entries = token_entries(batch)
    found = np.where(batch.mask, policy.log_probs()[1][entries], 0.0)
    np.testing.assert_array_equal(found, policy.token_log_prob(batch, 1))
