"""Gradients on the lattice against the tree, finite differences, and a twin to be caught."""

from collections.abc import Callable

import numpy as np
import pytest

from bandit_rlhf import walk
from bandit_rlhf.automaton import capped_count, contains
from bandit_rlhf.bandit import ContextualBandit
from bandit_rlhf.exact import path_gradient, path_sum, tree
from bandit_rlhf.exact.lattice import Lattice, LatticePolicy
from bandit_rlhf.language import Language
from bandit_rlhf.ngram import MarkovPolicy, context_count
from bandit_rlhf.policy import TabularPolicy, as_level

PROMPTS = ((), ("a",), ("b", "a"))
LAW = [0.3, 0.7, 0.0]


def lattice(end: str | None, order: int = 1, horizon: int = 4) -> Lattice:
    language = Language(("a", "b"), horizon, end)
    rng = np.random.default_rng(order)
    rows = rng.dirichlet(np.ones(language.action_count), context_count(2, order))
    reward = capped_count(language, ["a"], 2) + contains(language, ["b", "b"])
    reference = MarkovPolicy.from_probs(language, order, rows)
    return Lattice.build(reference, {"reward": reward}, PROMPTS, LAW)


def drawn(world: Lattice, seed: int) -> np.ndarray:
    shape = (world.language.horizon, world.state_count, world.language.action_count)
    return np.random.default_rng(seed).standard_normal(shape)


def bandit_of(world: Lattice) -> ContextualBandit:
    strings = world.language.string_count
    return ContextualBandit(world.language, PROMPTS, LAW, np.zeros((len(PROMPTS), strings)))


Gradient = Callable[[LatticePolicy, LatticePolicy], path_gradient.PathGradient]
Value = Callable[[LatticePolicy, LatticePolicy], path_sum.PathSum]
OnTree = Callable[[ContextualBandit, TabularPolicy, TabularPolicy], tree.TreeSum]

QUANTITIES: dict[str, tuple[Gradient, Value, OnTree]] = {
    "kl": (path_gradient.kl, path_sum.kl, tree.kl),
    "kl_from": (
        lambda p, q: path_gradient.kl_from(q, p),
        lambda p, q: path_sum.kl(q, p),
        tree.kl_from_reference,
    ),
    "entropy": (
        lambda p, q: path_gradient.entropy(p),
        lambda p, q: path_sum.entropy(p),
        lambda b, p, q: tree.entropy(b, p),
    ),
    "token_entropy": (
        lambda p, q: path_gradient.token_entropy(p),
        lambda p, q: path_sum.token_entropy(p),
        lambda b, p, q: tree.token_entropy(b, p),
    ),
    "chi_squared": (path_gradient.chi_squared, path_sum.chi_squared, tree.chi_squared),
}

quantity = pytest.mark.parametrize("name", QUANTITIES)
ending = pytest.mark.parametrize("end", ["$", None])


def gathered(world: Lattice, gradient: np.ndarray) -> np.ndarray:
    """A tree's gradient [prompt, entry], summed over the prefixes of each state."""
    total = np.zeros((world.language.horizon, world.state_count, world.language.action_count))
    levels = walk.unfold(world.language, world.successor, world.start)
    for step, states in enumerate(levels):
        rows = np.moveaxis(as_level(world.language, gradient, step), 1, 2)
        np.add.at(total[step], states, rows)
    return total


def two_policies(world: Lattice) -> tuple[LatticePolicy, LatticePolicy]:
    return path_sum.softmax(world, drawn(world, 5)), path_sum.softmax(world, drawn(world, 6))


@quantity
@ending
@pytest.mark.parametrize("order", [0, 1, 2])
def test_lattice_gradient_is_the_trees_summed_over_prefixes(
    name: str, end: str | None, order: int
) -> None:
    world = lattice(end, order)
    policy, other = two_policies(world)
    ours, _, on_tree = QUANTITIES[name]
    got = ours(policy, other)
    expected = on_tree(bandit_of(world), policy.as_tabular(), other.as_tabular())
    assert got.value == pytest.approx(expected.value, abs=1e-12)
    assert got.by_prompt == pytest.approx(expected.by_prompt, abs=1e-11, rel=1e-12)
    scale = max(1.0, np.abs(expected.gradient).max())
    assert np.abs(got.gradient - gathered(world, expected.gradient)).max() < 1e-12 * scale


@quantity
@ending
def test_gradient_is_the_slope_of_the_value(name: str, end: str | None) -> None:
    world = lattice(end)
    _, other = two_policies(world)
    ours, value, _ = QUANTITIES[name]
    logits = drawn(world, 5)
    got = ours(path_sum.softmax(world, logits), other).gradient
    rng = np.random.default_rng(9)
    for _ in range(5):
        direction = rng.standard_normal(logits.shape)
        up, down = (
            value(path_sum.softmax(world, logits + h * direction), other).value
            for h in (1e-5, -1e-5)
        )
        slope = (up - down) / 2e-5
        assert (got * direction).sum() == pytest.approx(slope, rel=1e-6, abs=1e-7)


@quantity
def test_gradients_of_a_state_sum_to_zero(name: str) -> None:
    """A softmax does not change when all logits of a state move together."""
    world = lattice("$")
    got = QUANTITIES[name][0](*two_policies(world)).gradient
    assert np.abs(got.sum(axis=2)).max() < 1e-13 * max(1.0, np.abs(got).max())


@quantity
def test_values_are_path_sums(name: str) -> None:
    world = lattice("$", order=2, horizon=30)
    policy, other = two_policies(world)
    ours, value, _ = QUANTITIES[name]
    assert ours(policy, other).value == pytest.approx(value(policy, other).value, rel=1e-11)


def without_mass(policy: LatticePolicy, other: LatticePolicy) -> np.ndarray:
    """KL held fixed at every state, as a per-token KL loss does: future KL is left out."""
    ratio = policy.log_probs - other.log_probs
    probs = np.exp(policy.log_probs)
    mean = (probs * ratio).sum(axis=2, keepdims=True)
    return path_sum.visits(policy)[:, :, None] * probs * (ratio - mean)


def test_control_a_per_token_kl_is_not_the_gradient_of_the_kl() -> None:
    world = lattice("$")
    policy, other = two_policies(world)
    exact = path_gradient.kl(policy, other).gradient
    assert np.abs(exact - without_mass(policy, other)).max() > 0.01
    # At the last step nothing follows, and the two agree.
    assert np.abs(exact - without_mass(policy, other))[-1].max() < 1e-13


def test_lost_support_makes_kl_infinite_and_costs_nothing_where_unused() -> None:
    world = lattice("$")
    policy, other = two_policies(world)
    logits = drawn(world, 5)
    logits[:, :, 0] = -np.inf
    narrow = path_sum.softmax(world, logits)
    assert path_gradient.kl(policy, narrow).value == np.inf
    assert path_gradient.chi_squared(policy, narrow).value == np.inf
    for name in ("kl", "entropy", "chi_squared", "token_entropy"):
        got = QUANTITIES[name][0](narrow, other)
        assert np.isfinite(got.gradient).all()
        assert (got.gradient[:, :, 0] == 0).all()
