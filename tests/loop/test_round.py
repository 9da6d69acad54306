"""What a round measures, against sums over laws."""

import numpy as np
import pytest

from bandit_rlhf import objective
from bandit_rlhf.loop.round import constant_prompts, judged_reward, measured
from bandit_rlhf.loop.state import State
from bandit_rlhf.policy import TabularPolicy
from tests.worlds import random_world

WORLD = random_world(seed=81)
PROXY = np.random.default_rng(0).normal(size=WORLD.bandit.reward_table().shape)


def test_measures_are_sums_over_the_laws() -> None:
    state = State(WORLD.policy, WORLD.reference, WORLD.bandit.prompt_law, 4, 0.25)
    found = measured(WORLD.bandit, state, PROXY)
    law, ref = WORLD.policy.string_law(), WORLD.reference.string_law()
    for name, by_prompt in (
        ("kl", objective.kl_divergence(law, ref)),
        ("chi_squared", objective.chi_squared(law, ref)),
        ("entropy", objective.entropy(law)),
        ("proxy", (law * PROXY).sum(axis=1)),
        ("gold", (law * WORLD.bandit.reward_table()).sum(axis=1)),
    ):
        expected = float(WORLD.bandit.prompt_law @ by_prompt)
        assert getattr(found, name) == pytest.approx(expected, rel=1e-12), name
    assert (found.step, found.setting, found.asked) == (4, 0.25, 0)
    assert found.constant_prompts == ()
    row = found.row()
    assert row["kl"] == found.kl
    assert set(row) >= {"step", "setting", "kl", "proxy", "gold", "entropy", "token_entropy"}


def test_the_reference_is_at_distance_zero() -> None:
    state = State(WORLD.reference, WORLD.reference, WORLD.bandit.prompt_law)
    found = measured(WORLD.bandit, state, PROXY)
    assert abs(found.kl) < 1e-14
    assert abs(found.chi_squared) < 1e-13


def without(policy: TabularPolicy, prompt: int) -> TabularPolicy:
    """The policy without the empty string (token 2 first) of one prompt."""
    logits = policy.logits.copy()
    logits[prompt, 2] = -np.inf
    return TabularPolicy(policy.language, policy.prompts, logits)


def test_lost_support_is_named() -> None:
    state = State(WORLD.policy, without(WORLD.reference, 1), WORLD.bandit.prompt_law, 7)
    chance = WORLD.policy.string_law()[1, 0]
    with pytest.raises(
        ValueError,
        match=rf"KL.* is infinite at step 7: prompt 1, string 0 \('\$'\) has probability "
        rf"{chance:.3g}, and none under the reference, but should be finite \[loop\]",
    ):
        measured(WORLD.bandit, state, PROXY)
    shrunk = State(without(WORLD.policy, 1), without(WORLD.reference, 1), WORLD.bandit.prompt_law)
    assert np.isfinite(measured(WORLD.bandit, shrunk, PROXY).kl)


def test_constant_rewards_are_told_by_prompt() -> None:
    reward = PROXY.copy()
    reward[0] = 0.1 + 0.2
    reward[0, 1] = 0.3  # equal but for rounding
    ref = WORLD.reference.string_law()
    assert constant_prompts(WORLD.bandit.prompt_law, ref, reward) == (0,)
    assert constant_prompts(np.array([0.0, 1.0]), ref, reward) == ()
    reward[0, 0] = 9.0  # a string that the reference never writes does not count
    assert constant_prompts(WORLD.bandit.prompt_law, ref, reward) == ()
    narrow = without(WORLD.reference, 0).string_law()
    assert constant_prompts(WORLD.bandit.prompt_law, narrow, reward) == (0,)


def test_rewards_are_judged_with_their_step() -> None:
    reward = PROXY.copy()
    reward[1, 3] = np.inf
    words = " ".join(WORLD.language.words(WORLD.language.unrank(3)))
    with pytest.raises(
        ValueError, match=rf"reward of prompt 1, string 3 \('{words[0]}.*\) is inf at step 5"
    ):
        judged_reward(WORLD.bandit, reward, 5)
    with pytest.raises(ValueError, match=r"has shape \(2, 3\).*loop, step 5"):
        judged_reward(WORLD.bandit, reward[:, :3], 5)
