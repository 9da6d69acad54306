"""The kernel of the tree where its exponentials need care: large, small and mixed logits."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit_rlhf.exact import tree
from bandit_rlhf.exact.tree import TreeSum
from bandit_rlhf.policy import TabularPolicy, level_slice
from tests.worlds import World, random_world, worlds


def shifted(policy: TabularPolicy, shift: Callable[[tuple[int, ...]], np.ndarray]) -> TabularPolicy:
    """The same policy: a constant [prompt, 1, node] added to all logits of a node."""
    logits = policy.logits.copy()
    for level in range(policy.language.horizon):
        rows = policy.level(level)
        constant = shift((rows.shape[0], 1, rows.shape[2]))
        place = level_slice(policy.language, level)
        logits[:, place] = (rows + constant).reshape(len(logits), -1)
    return replace(policy, logits=logits)


def assert_same(got: TreeSum, expected: TreeSum, tolerance: float) -> None:
    assert got.value == pytest.approx(expected.value, abs=tolerance)
    np.testing.assert_allclose(got.by_prompt, expected.by_prompt, rtol=0, atol=tolerance)
    np.testing.assert_allclose(got.gradient, expected.gradient, rtol=0, atol=tolerance)


@settings(max_examples=60)
@given(w=worlds(), constant=st.sampled_from([0.0, -800.0, 709.5, -230.0, 230.0, -1e4, 1e4]))
def test_a_constant_added_everywhere_changes_nothing(w: World, constant: float) -> None:
    got = tree.expected_reward(w.bandit, shifted(w.policy, lambda shape: np.full(shape, constant)))
    # A logit of 10^4 has 12 digits left behind the point.
    assert_same(got, tree.expected_reward(w.bandit, w.policy), 1e-11)


@pytest.mark.parametrize("scale", [1.0, 100.0, 1000.0, 1e5])
def test_constants_of_their_own_at_every_node_change_nothing(scale: float) -> None:
    """Within one block some nodes would overflow, some vanish, and most need nothing."""
    w = random_world(seed=3, size=3, horizon=6)
    rng = np.random.default_rng(0)
    moved = shifted(w.policy, lambda shape: scale * rng.standard_normal(shape))
    expected = tree.expected_reward(w.bandit, w.policy)
    assert_same(tree.expected_reward(w.bandit, moved), expected, 1e-14 * max(10.0, scale))


def test_control_unshifted_exponentials_would_not_do() -> None:
    w = random_world(seed=3)
    moved = shifted(w.policy, lambda shape: np.full(shape, -1000.0))
    assert np.exp(moved.logits).max() == 0.0
    assert np.abs(tree.expected_reward(w.bandit, moved).gradient).max() > 1e-3


def test_a_token_far_below_the_others_counts_for_nothing() -> None:
    """Its exponential may vanish or be subnormal; softmax rounds it away before that."""
    w = random_world(seed=3)
    logits, forbidden = w.policy.logits.copy(), w.policy.logits.copy()
    for level in range(w.horizon):
        start = level_slice(w.language, level).start
        logits[:, start : start + w.size**level] = -740.0
        forbidden[:, start : start + w.size**level] = -np.inf
    got = tree.expected_reward(w.bandit, replace(w.policy, logits=logits))
    assert_same(got, tree.expected_reward(w.bandit, replace(w.policy, logits=forbidden)), 1e-15)
