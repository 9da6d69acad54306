"""The tree's sums and gradients against the oracle, finite differences and torch's autograd."""

import math
import re
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from bandit_rlhf.bandit import ContextualBandit
from bandit_rlhf.exact import tree
from bandit_rlhf.exact.tree import TreeSum
from bandit_rlhf.language import Language
from bandit_rlhf.laws import oracle
from bandit_rlhf.policy import TabularPolicy
from tests.worlds import World, exact, random_world, worlds

Judgement = tuple[oracle.Number, oracle.Gradient]


class Strings(NamedTuple):
    """What autograd differentiates: one prompt's strings, in any order [string]."""

    log_pi: torch.Tensor
    log_ref: torch.Tensor
    reward: torch.Tensor
    token_entropy: torch.Tensor

    @property
    def pi(self) -> torch.Tensor:
        return self.log_pi.exp()


class Quantity(NamedTuple):
    """One quantity three times: as the tree sums it, as the oracle does, as autograd sees it."""

    sum: Callable[[ContextualBandit, TabularPolicy, TabularPolicy], TreeSum]
    judge: Callable[[World, int], Judgement]
    by_torch: Callable[[Strings], torch.Tensor]


def judge_reward(w: World, x: int) -> Judgement:
    policy = exact(w.policy_weights[x])
    payoff = {y: Fraction(r) for y, r in w.rewards[x].items()}
    value = oracle.mean(oracle.law(policy, w.strings), payoff)
    return value, oracle.mean_gradient(policy, payoff)


def laws(w: World, x: int) -> tuple[oracle.Policy, oracle.Law, oracle.Law]:
    policy, reference = exact(w.policy_weights[x]), exact(w.reference_weights[x])
    return policy, oracle.law(policy, w.strings), oracle.law(reference, w.strings)


def judge_kl(w: World, x: int) -> Judgement:
    policy, p, q = laws(w, x)
    return oracle.kl(p, q), oracle.kl_gradient(policy, q)


def judge_kl_from_reference(w: World, x: int) -> Judgement:
    policy, p, q = laws(w, x)
    return oracle.kl(q, p), oracle.kl_from_gradient(policy, q)


def judge_entropy(w: World, x: int) -> Judgement:
    policy, p, _ = laws(w, x)
    return oracle.entropy(p), oracle.entropy_gradient(policy, w.strings)


def judge_token_entropy(w: World, x: int) -> Judgement:
    policy, p, _ = laws(w, x)
    value = oracle.mean(p, oracle.token_entropies(policy, w.strings))
    return value, oracle.token_entropy_gradient(policy, w.strings)


def judge_chi_squared(w: World, x: int) -> Judgement:
    policy, p, q = laws(w, x)
    return oracle.chi_squared(p, q), oracle.chi_squared_gradient(policy, q)


QUANTITIES = {
    "expected_reward": Quantity(
        lambda b, pi, ref: tree.expected_reward(b, pi),
        judge_reward,
        lambda s: s.pi @ s.reward,
    ),
    "kl": Quantity(tree.kl, judge_kl, lambda s: s.pi @ (s.log_pi - s.log_ref)),
    "kl_from_reference": Quantity(
        tree.kl_from_reference,
        judge_kl_from_reference,
        lambda s: s.log_ref.exp() @ (s.log_ref - s.log_pi),
    ),
    "entropy": Quantity(
        lambda b, pi, ref: tree.entropy(b, pi), judge_entropy, lambda s: -s.pi @ s.log_pi
    ),
    "token_entropy": Quantity(
        lambda b, pi, ref: tree.token_entropy(b, pi),
        judge_token_entropy,
        lambda s: s.pi @ s.token_entropy,
    ),
    "chi_squared": Quantity(
        tree.chi_squared, judge_chi_squared, lambda s: (2 * s.log_pi - s.log_ref).exp().sum() - 1
    ),
}
each_quantity = pytest.mark.parametrize("name", QUANTITIES)
WORLD = random_world(seed=7)


def assert_same(got: TreeSum, expected: TreeSum) -> None:
    """Equal to 1e-12 of the largest number involved, or of one."""
    for part in ("value", "by_prompt", "gradient"):
        a, b = np.asarray(getattr(got, part)), np.asarray(getattr(expected, part))
        assert a.shape == b.shape, part
        difference = np.abs(a - b).max() / max(1.0, np.abs(b).max())
        assert difference <= 1e-12, f"{part} differs by {difference}"


# Against the oracle


@each_quantity
@settings(max_examples=40)
@given(w=worlds())
def test_tree_is_the_oracle(name: str, w: World) -> None:
    quantity = QUANTITIES[name]
    if name == "kl_from_reference":  # finite only where the policy keeps the reference's support
        w = replace(w, policy_weights=w.reference_weights, reference_weights=w.policy_weights)
    expected = w.judged(lambda x: quantity.judge(w, x))
    assert_same(quantity.sum(w.bandit, w.policy, w.reference), expected)


SHAPES = {
    "one token, ended": random_world(1, size=1, horizon=4, end=True),
    "one token, cut": random_world(2, size=1, horizon=4, end=False),
    "horizon 1, ended": random_world(3, size=3, horizon=1, end=True),
    "horizon 1, cut": random_world(4, size=3, horizon=1, end=False),
    "cut": random_world(5, size=3, horizon=3, end=False),
    "a prompt that never comes": random_world(6, prompt_law=(0.0, 0.625, 0.375)),
}


@each_quantity
@pytest.mark.parametrize("shape", SHAPES)
def test_tree_is_the_oracle_at_the_edges(name: str, shape: str) -> None:
    w, quantity = SHAPES[shape], QUANTITIES[name]
    expected = w.judged(lambda x: quantity.judge(w, x))
    assert_same(quantity.sum(w.bandit, w.policy, w.reference), expected)


@pytest.mark.parametrize("cache_bytes", [1, 200, 400])
def test_blocks_of_a_level_join(monkeypatch: pytest.MonkeyPatch, cache_bytes: int) -> None:
    w = random_world(8, size=3, horizon=4)
    whole = tree.expected_reward(w.bandit, w.policy)
    assert_same(whole, w.judged(lambda x: judge_reward(w, x)))
    monkeypatch.setattr(tree, "CACHE_BYTES", cache_bytes)
    assert_same(tree.expected_reward(w.bandit, w.policy), whole)


@settings(max_examples=40)
@given(w=worlds())
def test_visits_are_the_probabilities_of_prefixes(w: World) -> None:
    got = tree.visits(w.policy)
    for x, weights in enumerate(w.policy_weights):
        for s, row in weights.items():
            chance = float(oracle.probability(exact(weights), s))
            entries = [w.entry(s, a) for a in range(len(row))]
            assert np.abs(got[x, entries] - chance).max() <= 1e-12


@settings(max_examples=20)
@given(w=worlds(prompts=1))
def test_string_lengths_count_the_end_token(w: World) -> None:
    lengths = w.string_table([{y: len(y) for y in w.strings}])[0]
    assert (tree.string_lengths(w.language) == lengths).all()


# Lost support


@settings(max_examples=60)
@given(w=worlds(reference_zeros=True))
def test_divergences_are_infinite_exactly_where_support_is_lost(w: World) -> None:
    """Prompt by prompt; the sum over prompts is infinite where such a prompt can come."""
    pairs = [laws(w, x)[1:] for x in range(len(w.prompt_law))]
    for divergence, judged in {
        tree.kl: [oracle.kl(p, q) for p, q in pairs],
        tree.kl_from_reference: [oracle.kl(q, p) for p, q in pairs],
        tree.chi_squared: [oracle.chi_squared(p, q) for p, q in pairs],
    }.items():
        got = divergence(w.bandit, w.policy, w.reference)
        by_prompt = [float(value) for value in judged]
        np.testing.assert_allclose(got.by_prompt, by_prompt, rtol=1e-12, atol=1e-12)
        total = sum(p * v for p, v in zip(w.prompt_law, by_prompt, strict=True) if p)
        assert got.value == pytest.approx(total, rel=1e-12, abs=1e-12)


def without_a_token(w: World, x: int) -> World:
    """The world whose reference never starts prompt x with token 0."""
    weights = list(w.reference_weights)
    weights[x] = weights[x] | {(): [0, *weights[x][()][1:]]}
    return replace(w, reference_weights=tuple(weights))


@pytest.mark.parametrize("name", ["kl", "chi_squared"])
def test_the_gradient_of_an_infinite_divergence_is_nan_where_it_is_infinite(name: str) -> None:
    w = without_a_token(WORLD, 1)
    got = QUANTITIES[name].sum(w.bandit, w.policy, w.reference)
    expected = w.judged(lambda x: QUANTITIES[name].judge(w, x if x == 0 else 0))
    assert got.value == math.inf
    assert np.isnan(got.gradient[1]).any()
    np.testing.assert_allclose(got.gradient[0], expected.gradient[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["kl", "chi_squared"])
def test_a_prompt_that_never_comes_may_lose_support(name: str) -> None:
    w = without_a_token(replace(WORLD, prompt_law=(1.0, 0.0)), 1)
    got = QUANTITIES[name].sum(w.bandit, w.policy, w.reference)
    assert got.by_prompt[1] == math.inf
    assert got.value == got.by_prompt[0]
    assert (got.gradient[1] == 0).all()


# Gradients


@each_quantity
def test_gradient_is_the_central_difference(name: str) -> None:
    w, step = WORLD, 1e-5
    bandit, policy, reference = w.bandit, w.policy, w.reference
    gradient = QUANTITIES[name].sum(bandit, policy, reference).gradient

    def value(x: int, entry: int, change: float) -> float:
        logits = policy.logits.copy()
        logits[x, entry] += change
        moved = replace(policy, logits=logits)
        return QUANTITIES[name].sum(bandit, moved, reference).value

    for x, entry in np.ndindex(gradient.shape):
        slope = (value(x, entry, step) - value(x, entry, -step)) / (2 * step)
        assert gradient[x, entry] == pytest.approx(slope, abs=1e-8), (x, entry)


def as_torch(w: World, x: int, logits: torch.Tensor) -> Strings:
    """ln pi of every string by log_softmax node by node, with nothing of the package."""
    prefixes = oracle.prefixes(w.strings)
    actions = range(w.size + w.end)
    nodes = torch.tensor([[w.entry(s, a) for a in actions] for s in prefixes])
    log_probs = dict(zip(prefixes, logits[nodes].log_softmax(dim=1), strict=True))
    along = [torch.stack([log_probs[y[:t]][a] for t, a in enumerate(y)]) for y in w.strings]
    spread = {s: -(row.exp() @ row) for s, row in log_probs.items()}
    met = [torch.stack([spread[y[:t]] for t in range(len(y))]) for y in w.strings]
    reference = exact(w.reference_weights[x])
    log_ref = [math.log(oracle.probability(reference, y)) for y in w.strings]
    return Strings(
        torch.stack([tokens.sum() for tokens in along]),
        torch.tensor(log_ref, dtype=torch.float64),
        torch.tensor([w.rewards[x][y] for y in w.strings], dtype=torch.float64),
        torch.stack([entropies.mean() for entropies in met]),
    )


def autograd(w: World, name: str) -> TreeSum:
    logits = torch.tensor(w.policy.logits, requires_grad=True)
    by_prompt = torch.stack(
        [QUANTITIES[name].by_torch(as_torch(w, x, logits[x])) for x in range(len(logits))]
    )
    value = torch.tensor(w.prompt_law, dtype=torch.float64) @ by_prompt
    (gradient,) = torch.autograd.grad(value, logits)
    return TreeSum(value.item(), by_prompt.detach().numpy(), gradient.numpy())


@each_quantity
@pytest.mark.parametrize("end", [True, False], ids=["ended", "cut"])
def test_tree_is_autograd(name: str, end: bool) -> None:
    w = random_world(9, size=3, horizon=3, end=end)
    got = QUANTITIES[name].sum(w.bandit, w.policy, w.reference)
    assert_same(got, autograd(w, name))


def test_large_logits_neither_overflow_nor_warn() -> None:
    language = Language(("a", "b"), 2, "$")
    bandit = ContextualBandit(language, [()], [1.0], [np.arange(7.0)])
    logits = np.array([[900.0, -900.0, 0.0, 0.0, 0.0, 900.0, 0.0, -900.0, 0.0]])
    got = tree.expected_reward(bandit, TabularPolicy(language, ((),), logits))
    assert got.value == pytest.approx(5.0)  # "a" then "b", the string of rank 1 + 2 + 2
    assert np.abs(got.gradient).max() < 1e-12


# Laws that need no second program


def test_divergences_from_itself_vanish_with_their_gradients() -> None:
    w = WORLD
    for divergence in (tree.kl, tree.kl_from_reference, tree.chi_squared):
        got = divergence(w.bandit, w.policy, w.policy)
        assert got.value == pytest.approx(0.0, abs=1e-14)
        assert np.abs(got.gradient).max() < 1e-14


@settings(max_examples=20)
@given(w=worlds())
def test_gradients_sum_to_zero_at_every_node(w: World) -> None:
    """Softmax does not see a constant added to a node's logits."""
    for quantity in QUANTITIES.values():
        gradient = quantity.sum(w.bandit, w.policy, w.reference).gradient
        for s in w.policy_weights[0]:
            entries = [w.entry(s, a) for a in range(w.size + w.end)]
            scale = max(1.0, np.abs(gradient).max())
            assert np.abs(gradient[:, entries].sum(axis=1)).max() <= 1e-12 * scale


def test_sequence_entropy_is_the_sum_of_visited_token_entropies() -> None:
    """The chain rule of entropy: H(y) = sum_s pi(s) H(. | s)."""
    w = WORLD
    got = tree.entropy(w.bandit, w.policy).by_prompt
    for x, weights in enumerate(w.policy_weights):
        policy = exact(weights)
        chain = sum(
            float(oracle.probability(policy, s)) * oracle.next_token_entropy(policy, s)
            for s in weights
        )
        assert got[x] == pytest.approx(chain, rel=1e-13)


def test_token_entropy_is_not_sequence_entropy_per_expected_token() -> None:
    w = WORLD
    lengths = w.policy.string_law() @ tree.string_lengths(w.language)
    per_token = tree.entropy(w.bandit, w.policy).by_prompt / lengths
    token = tree.token_entropy(w.bandit, w.policy).by_prompt
    assert np.abs(token - per_token).min() > 1e-3
    cut = random_world(7, end=False)  # control: strings of one length
    per_token = tree.entropy(cut.bandit, cut.policy).by_prompt / cut.horizon
    np.testing.assert_allclose(tree.token_entropy(cut.bandit, cut.policy).by_prompt, per_token)


# Broken twins, each of which the comparison with the oracle must catch


def at_end(w: World) -> np.ndarray:
    """True at the end token's entries."""
    ends = {(s, a): a == w.size for s in w.policy_weights[0] for a in range(w.size + w.end)}
    return w.logit_table([ends]).astype(bool)[0]


def token_law(w: World) -> np.ndarray:
    return np.exp(w.policy.log_probs())


def reward_by_level(w: World) -> np.ndarray:
    """Rewards in lexicographic order of strings, where the order by level is meant."""
    return np.array([[rewards[y] for y in w.strings] for rewards in w.rewards])


def frozen_prefixes(w: World, per_token: np.ndarray, correct: TreeSum) -> TreeSum:
    """A gradient that takes each node's own divergence, but no blame for those below it."""
    node_mean = np.empty_like(per_token)
    law = token_law(w)
    for s in w.policy_weights[0]:
        entries = [w.entry(s, a) for a in range(w.size + w.end)]
        node_mean[:, entries] = (law * per_token)[:, entries].sum(axis=1, keepdims=True)
    chance = np.array(w.prompt_law)[:, None]
    gradient = chance * tree.visits(w.policy) * law * (per_token - node_mean)
    return replace(correct, gradient=gradient)


def log_ratio(w: World) -> np.ndarray:
    return w.policy.log_probs() - w.reference.log_probs()


def reward_sum(w: World) -> TreeSum:
    return tree.expected_reward(w.bandit, w.policy)


def scaled(quantity: TreeSum, gradient: np.ndarray) -> TreeSum:
    return replace(quantity, gradient=quantity.gradient * gradient)


def even_prompts(w: World) -> World:
    return replace(w, prompt_law=tuple(1 / len(w.prompt_law) for _ in w.prompt_law))


def through_strings_only(w: World) -> TreeSum:
    """Mean token entropy with every node's entropy held fixed."""
    correct = tree.token_entropy(w.bandit, w.policy)
    spread = w.string_table(
        [oracle.token_entropies(exact(weights), w.strings) for weights in w.policy_weights]
    )
    fixed = tree.policy_gradient(w.bandit.prompt_law, w.policy, spread)
    return replace(correct, gradient=fixed.gradient)


TWINS: dict[str, tuple[str, Callable[[World], TreeSum]]] = {
    "reward: forgets reach": (
        "expected_reward",
        lambda w: scaled(reward_sum(w), 1 / tree.visits(w.policy)),
    ),
    "reward: forgets the end token's part": (
        "expected_reward",
        lambda w: scaled(reward_sum(w), 1.0 - at_end(w)),
    ),
    "reward: forgets the prompt law in the value": (
        "expected_reward",
        lambda w: replace(reward_sum(w), value=float(reward_sum(w).by_prompt.mean())),
    ),
    "reward: forgets the prompt law in the gradient": (
        "expected_reward",
        lambda w: replace(reward_sum(w), gradient=reward_sum(even_prompts(w)).gradient),
    ),
    "reward: strings in another order": (
        "expected_reward",
        lambda w: tree.policy_gradient(w.bandit.prompt_law, w.policy, reward_by_level(w)),
    ),
    "reward: no softmax Jacobian": (
        "expected_reward",
        lambda w: scaled(reward_sum(w), 1 / token_law(w)),
    ),
    "kl: the other direction": (
        "kl",
        lambda w: tree.kl_from_reference(w.bandit, w.policy, w.reference),
    ),
    "kl: prefixes held fixed": (
        "kl",
        lambda w: frozen_prefixes(w, log_ratio(w), tree.kl(w.bandit, w.policy, w.reference)),
    ),
    "kl: forgets the prompt law": (
        "kl",
        lambda w: tree.kl(even_prompts(w).bandit, w.policy, w.reference),
    ),
    "kl_from_reference: visits of the policy": (
        "kl_from_reference",
        lambda w: scaled(
            tree.kl_from_reference(w.bandit, w.policy, w.reference),
            tree.visits(w.policy) / tree.visits(w.reference),
        ),
    ),
    "kl_from_reference: the other direction": (
        "kl_from_reference",
        lambda w: tree.kl(w.bandit, w.policy, w.reference),
    ),
    "entropy: prefixes held fixed": (
        "entropy",
        lambda w: frozen_prefixes(w, -w.policy.log_probs(), tree.entropy(w.bandit, w.policy)),
    ),
    "entropy: forgets the end token's part": (
        "entropy",
        lambda w: scaled(tree.entropy(w.bandit, w.policy), 1.0 - at_end(w)),
    ),
    "token_entropy: strings reweighted, nodes' entropies held fixed": (
        "token_entropy",
        through_strings_only,
    ),
    "token_entropy: sequence entropy over the horizon": (
        "token_entropy",
        lambda w: TreeSum(
            *(
                getattr(tree.entropy(w.bandit, w.policy), part) / w.horizon
                for part in ("value", "by_prompt", "gradient")
            )
        ),
    ),
    "chi_squared: forgets the factor 2": (
        "chi_squared",
        lambda w: scaled(tree.chi_squared(w.bandit, w.policy, w.reference), np.array(0.5)),
    ),
    "chi_squared: forgets the 1": (
        "chi_squared",
        lambda w: replace(
            tree.chi_squared(w.bandit, w.policy, w.reference),
            value=tree.chi_squared(w.bandit, w.policy, w.reference).value + 1,
        ),
    ),
    "chi_squared: arguments exchanged": (
        "chi_squared",
        lambda w: tree.chi_squared(w.bandit, w.reference, w.policy),
    ),
}


def test_every_quantity_has_a_broken_twin() -> None:
    assert {name for name, _ in TWINS.values()} == set(QUANTITIES)


@pytest.mark.parametrize("twin", TWINS)
def test_control_a_broken_twin_is_caught(twin: str) -> None:
    name, broken = TWINS[twin]
    expected = WORLD.judged(lambda x: QUANTITIES[name].judge(WORLD, x))
    assert_same(QUANTITIES[name].sum(WORLD.bandit, WORLD.policy, WORLD.reference), expected)
    with pytest.raises(AssertionError, match="differs by"):
        assert_same(broken(WORLD), expected)


# Bad input


def test_other_language_and_other_prompts_are_named() -> None:
    w = WORLD
    longer, stranger = random_world(7, horizon=4), random_world(7, prompt_law=(0.5, 0.25, 0.25))
    with pytest.raises(
        ValueError, match=r"^the policy's language differs, but should be the bandit's"
    ):
        tree.expected_reward(w.bandit, longer.policy)
    with pytest.raises(ValueError, match=r"^the reference's language differs"):
        tree.kl(w.bandit, w.policy, longer.policy)
    with pytest.raises(
        ValueError, match=r"^the reference's prompts are .*'2'.* should be the bandit's"
    ):
        tree.chi_squared(w.bandit, w.policy, stranger.policy)


def test_size_guard_names_strings_and_memory() -> None:
    language = Language(("a", "b", "c", "d"), horizon=10, end="$")
    bandit = ContextualBandit(language, [()], [1.0], lambda prompt, words: 0.0)
    policy = TabularPolicy.uniform(language, [()])
    message = (
        "1,398,101 strings need 0.06 GiB, but should be within the memory limit of 0.031 GiB "
        "[exact.tree]. Shorten the horizon, or use exact.lattice."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        tree.expected_reward(bandit, policy, memory_limit=2**25)


def test_control_a_problem_that_fits_is_summed() -> None:
    w = WORLD
    unbounded = tree.expected_reward(w.bandit, w.policy)
    assert_same(tree.expected_reward(w.bandit, w.policy, memory_limit=2**20), unbounded)
