"""Path sums against the oracle, the tree, autograd, and closed forms at long horizons."""

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from bandit_rlhf import automaton, objective
from bandit_rlhf.bandit import ContextualBandit
from bandit_rlhf.exact import optimum, path_gradient, path_sum, tree
from bandit_rlhf.exact.lattice import Lattice, LatticePolicy, Payoff
from bandit_rlhf.exact.path_sum import PathSum
from bandit_rlhf.exact.tree import TreeSum
from bandit_rlhf.language import Language
from bandit_rlhf.laws import oracle
from bandit_rlhf.ngram import MarkovPolicy
from bandit_rlhf.policy import TabularPolicy, as_level
from tests.lattice_worlds import LatticeWorld, lattice_worlds, random_lattice_world


class Quantity(NamedTuple):
    """One quantity of a policy and a reference, three times."""

    on_lattice: Callable[[LatticePolicy, LatticePolicy], PathSum]
    on_tree: Callable[[LatticeWorld, TabularPolicy, TabularPolicy], TreeSum]
    judge: Callable[[LatticeWorld, int], oracle.Number]


def bandit(w: LatticeWorld) -> ContextualBandit:
    return w.bandit(w.gold)


def second_moment_on_tree(w: LatticeWorld, pi: TabularPolicy, ref: TabularPolicy) -> TreeSum:
    product = w.bandit(w.gold).reward_table() * w.bandit(w.proxy).reward_table()
    return tree.policy_gradient(np.array(w.prompt_law), pi, product)


def judge_second_moment(w: LatticeWorld, x: int) -> oracle.Number:
    gold, proxy = w.payoff(w.gold_terms), w.payoff(w.proxy_terms)
    return oracle.mean(w.law(w.other_rows, x), {y: gold[y] * proxy[y] for y in gold})


def judge_token_entropy(w: LatticeWorld, x: int) -> oracle.Number:
    spread = oracle.token_entropies(w.exact(w.other_rows, x), w.strings)
    return oracle.mean(w.law(w.other_rows, x), spread)


QUANTITIES = {
    "expected_reward": Quantity(
        lambda pi, ref: path_sum.expected_reward(pi, pi.lattice.payoffs["gold"]),
        lambda w, pi, ref: tree.expected_reward(bandit(w), pi),
        lambda w, x: oracle.mean(w.law(w.other_rows, x), w.payoff(w.gold_terms)),
    ),
    "second_moment": Quantity(
        lambda pi, ref: path_sum.second_moment(
            pi, pi.lattice.payoffs["gold"], pi.lattice.payoffs["proxy"]
        ),
        second_moment_on_tree,
        judge_second_moment,
    ),
    "kl": Quantity(
        path_sum.kl,
        lambda w, pi, ref: tree.kl(bandit(w), pi, ref),
        lambda w, x: oracle.kl(w.law(w.other_rows, x), w.law(w.reference_rows, x)),
    ),
    "kl_from_reference": Quantity(
        lambda pi, ref: path_sum.kl(ref, pi),
        lambda w, pi, ref: tree.kl_from_reference(bandit(w), pi, ref),
        lambda w, x: oracle.kl(w.law(w.reference_rows, x), w.law(w.other_rows, x)),
    ),
    "entropy": Quantity(
        lambda pi, ref: path_sum.entropy(pi),
        lambda w, pi, ref: tree.entropy(bandit(w), pi),
        lambda w, x: oracle.entropy(w.law(w.other_rows, x)),
    ),
    "token_entropy": Quantity(
        lambda pi, ref: path_sum.token_entropy(pi),
        lambda w, pi, ref: tree.token_entropy(bandit(w), pi),
        judge_token_entropy,
    ),
    "chi_squared": Quantity(
        path_sum.chi_squared,
        lambda w, pi, ref: tree.chi_squared(bandit(w), pi, ref),
        lambda w, x: oracle.chi_squared(w.law(w.other_rows, x), w.law(w.reference_rows, x)),
    ),
}
each_quantity = pytest.mark.parametrize("name", QUANTITIES)


def assert_same(got: PathSum, expected: PathSum | TreeSum) -> None:
    """Equal to 1e-12 of the number, or of one; infinite together."""
    for part in ("value", "by_prompt"):
        a, b = np.asarray(getattr(got, part)), np.asarray(getattr(expected, part))
        assert a.shape == b.shape, part
        assert (np.isinf(a) == np.isinf(b)).all(), part
        finite = np.isfinite(b)
        difference = np.abs(a[finite] - b[finite]) / np.maximum(1.0, np.abs(b[finite]))
        assert (difference <= 1e-12).all(), f"{part} differs by {difference.max()}"


def judged(w: LatticeWorld, judge: Callable[[LatticeWorld, int], oracle.Number]) -> PathSum:
    by_prompt = [float(judge(w, x)) for x in range(len(w.prompts))]
    value = sum(p * v for p, v in zip(w.prompt_law, by_prompt, strict=True) if p)
    return PathSum(float(value), np.array(by_prompt))


# Against the oracle on fractions


@each_quantity
@settings(max_examples=40)
@given(w=lattice_worlds(reference_zeros=True))
def test_lattice_is_the_oracle(name: str, w: LatticeWorld) -> None:
    lattice = w.lattice
    got = QUANTITIES[name].on_lattice(w.other(lattice), lattice.reference)
    assert_same(got, judged(w, QUANTITIES[name].judge))


@settings(max_examples=40)
@given(w=lattice_worlds(reference_zeros=True))
def test_visits_are_the_probabilities_of_reaching_a_state(w: LatticeWorld) -> None:
    lattice = w.lattice
    expected = np.zeros((w.horizon, lattice.state_count))
    for x, chance in enumerate(w.prompt_law):
        policy = w.exact(w.other_rows, x)
        for prefix in oracle.prefixes(w.strings):
            state = lattice.start[x]
            for token in prefix:
                state = lattice.successor[state, token]
            expected[len(prefix), state] += chance * float(oracle.probability(policy, prefix))
    assert np.abs(path_sum.visits(w.other(lattice)) - expected).max() <= 1e-12


# Against the tree, where both can go


def time_dependent(lattice: Lattice, seed: int, forbidden: float = 0.2) -> LatticePolicy:
    """Random logits at every step and state, some of them minus infinity."""
    rng = np.random.default_rng(seed)
    shape = (lattice.language.horizon, *lattice.log_reference.shape)
    logits = rng.normal(size=shape)
    logits[rng.random(shape) < forbidden] = -np.inf
    logits[..., 0] = np.maximum(logits[..., 0], -1.0)  # one token at least is allowed
    return path_sum.softmax(lattice, logits)


OVERLAP = list(itertools.product((True, False), (0, 1, 2, 3), ((1, 6), (2, 6), (3, 5), (4, 4))))


@pytest.mark.parametrize(("end", "order", "shape"), OVERLAP)
def test_lattice_is_the_tree(end: bool, order: int, shape: tuple[int, int]) -> None:
    size, horizon = shape
    w = random_lattice_world(order + 10 * size, size, horizon, end, order)
    lattice = w.lattice
    pi = time_dependent(lattice, seed=order)
    for quantity in QUANTITIES.values():
        for policy, reference in ((pi, lattice.reference), (w.other(lattice), lattice.reference)):
            expected = quantity.on_tree(w, policy.as_tabular(), reference.as_tabular())
            assert_same(quantity.on_lattice(policy, reference), expected)


@pytest.mark.parametrize(("end", "order", "shape"), OVERLAP)
def test_gibbs_optimum_is_the_one_on_strings(end: bool, order: int, shape: tuple[int, int]) -> None:
    """Backward over states = backward over prefixes = the closed form over strings."""
    size, horizon = shape
    w = random_lattice_world(order + 10 * size, size, horizon, end, order)
    lattice = w.lattice
    for beta in (0.1, 1.0, 10.0):
        got, value = path_sum.gibbs_optimum(lattice, lattice.payoffs["gold"], beta)
        law, reference = got.as_tabular().string_law(), w.reference.as_tabular(w.prompt_words)
        on_tree = optimum.gibbs_optimum(bandit(w), reference, beta)
        np.testing.assert_allclose(law, on_tree.policy.string_law(), rtol=1e-11, atol=1e-13)
        closed = objective.gibbs(reference.string_law(), bandit(w).reward_table(), beta)
        np.testing.assert_allclose(law, closed, rtol=1e-11, atol=1e-13)
        soft = objective.soft_value(reference.string_law(), bandit(w).reward_table(), beta)
        expected = PathSum(float(np.array(w.prompt_law) @ soft), soft)
        assert_same(value, expected)
        assert_same(value, PathSum(expected.value, on_tree.values))


@settings(max_examples=40)
@given(w=lattice_worlds(reference_zeros=True))
def test_gibbs_optimum_is_the_oracle(w: LatticeWorld) -> None:
    """The law ref(y) 2^(16 r(y)) in fractions: rewards are sixteenths, and beta = 1 / (16 ln 2)."""
    lattice, beta = w.lattice, 1 / (16 * math.log(2))
    got, value = path_sum.gibbs_optimum(lattice, lattice.payoffs["gold"], beta)
    weight = {y: Fraction(2) ** int(16 * r) for y, r in w.payoff(w.gold_terms).items()}
    law = got.as_tabular().string_law()
    for x in range(len(w.prompts)):
        expected = w.table(oracle.gibbs(w.law(w.reference_rows, x), weight)).astype(float)
        assert np.abs(law[x] - expected).max() <= 1e-12
        partition = oracle.partition(w.exact(w.reference_rows, x), weight)
        soft = beta * (math.log(partition.numerator) - math.log(partition.denominator))
        assert value.by_prompt[x] == pytest.approx(soft, rel=1e-12, abs=1e-12)


def test_the_regularised_value_falls_short_by_beta_kl_to_the_optimum() -> None:
    """Theorem 10: E r - beta KL(pi || ref) = beta ln Z - beta KL(pi || optimum) for any policy."""
    w = random_lattice_world(seed=1, horizon=200, order=2)
    lattice, beta = w.lattice, 0.7
    gold, reference = lattice.payoffs["gold"], lattice.reference
    best, value = path_sum.gibbs_optimum(lattice, gold, beta)
    for seed in range(3):
        pi = time_dependent(lattice, seed)
        reward = path_sum.expected_reward(pi, gold).by_prompt
        left = reward - beta * path_sum.kl(pi, reference).by_prompt
        right = value.by_prompt - beta * path_sum.kl(pi, best).by_prompt
        np.testing.assert_allclose(left, right, rtol=1e-12)


def test_gibbs_optimum_of_another_reference() -> None:
    """Tilting twice is tilting once: Gibbs(Gibbs(ref, r, b), s, b) = Gibbs(ref, r + s, b)."""
    lattice = random_lattice_world(seed=2, horizon=50).lattice
    gold, proxy = lattice.payoffs["gold"], lattice.payoffs["proxy"]
    first, _ = path_sum.gibbs_optimum(lattice, gold, beta=0.8)
    twice, _ = path_sum.gibbs_optimum(lattice, proxy, beta=0.8, reference=first)
    once, _ = path_sum.gibbs_optimum(lattice, gold + proxy, beta=0.8)
    np.testing.assert_allclose(twice.log_probs, once.log_probs, rtol=0, atol=1e-11)


# Lost support


def test_support_lost_only_behind_an_impossible_token_costs_nothing() -> None:
    """The policy never writes b; only after b would the reference lack a token."""
    letters = Language(("a", "b"), 4)
    reference = MarkovPolicy.from_probs(letters, 1, [[0.5, 0.5], [0.5, 0.5], [0.0, 1.0]])
    pure = MarkovPolicy.from_probs(letters, 1, [[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    lattice = Lattice.build(reference, {})
    pi = lattice.policy_of(pure)
    assert path_sum.kl(pi, lattice.reference).value == pytest.approx(4 * math.log(2))
    assert path_sum.chi_squared(pi, lattice.reference).value == pytest.approx(2**4 - 1)
    # Control: with a chance of b, both are infinite.
    mixed = lattice.policy_of(MarkovPolicy.from_probs(letters, 1, [[0.9, 0.1]] * 3))
    assert path_sum.kl(mixed, lattice.reference).value == math.inf
    assert path_sum.chi_squared(mixed, lattice.reference).value == math.inf


def test_a_prompt_that_never_comes_may_lose_support() -> None:
    letters = Language(("a", "b"), 3)
    reference = MarkovPolicy.from_probs(letters, 1, [[0.5, 0.5], [0.5, 0.5], [1.0, 0.0]])
    lattice = Lattice.build(reference, {}, [("a",), ("b",)], [1.0, 0.0])
    stay = MarkovPolicy.from_probs(letters, 1, [[0.5, 0.5], [1.0, 0.0], [0.0, 1.0]])
    for divergence in (path_sum.kl, path_sum.chi_squared):
        got = divergence(lattice.policy_of(stay), lattice.reference)
        assert got.by_prompt[1] == math.inf
        assert got.value == got.by_prompt[0]


# Gradients


GRADIENT_WORLD = random_lattice_world(seed=8, size=2, horizon=3, order=1)


def test_gradient_gathers_the_tree_s_over_prefixes_of_a_state() -> None:
    w = GRADIENT_WORLD
    lattice = w.lattice
    pi = time_dependent(lattice, seed=4)
    got = path_gradient.expected_reward(pi, lattice.payoffs["gold"])
    on_tree = tree.expected_reward(bandit(w), pi.as_tabular())
    assert_same(PathSum(got.value, got.by_prompt), on_tree)
    expected = np.zeros_like(got.gradient)
    states = lattice.start[:, None]
    for step in range(w.horizon):
        rows = np.moveaxis(as_level(w.language, on_tree.gradient, step), 1, 2)
        np.add.at(expected[step], states, rows)
        states = np.moveaxis(lattice.successor[states], 2, 1).reshape(len(states), -1)
    np.testing.assert_allclose(got.gradient, expected, rtol=0, atol=1e-14)
    np.testing.assert_allclose(
        got.gradient,
        path_sum.visits(pi)[..., None]
        * np.exp(pi.log_probs)
        * path_sum.advantage(pi, lattice.payoffs["gold"]),
        rtol=0,
        atol=1e-15,
    )


def test_gradient_is_the_central_difference() -> None:
    lattice, step = GRADIENT_WORLD.lattice, 1e-5
    gold = lattice.payoffs["gold"]
    logits = np.random.default_rng(0).normal(size=(3, *lattice.log_reference.shape))
    gradient = path_gradient.expected_reward(path_sum.softmax(lattice, logits), gold).gradient

    def value(place: tuple[int, ...], change: float) -> float:
        moved = logits.copy()
        moved[place] += change
        return path_sum.expected_reward(path_sum.softmax(lattice, moved), gold).value

    for place in np.ndindex(logits.shape):
        slope = (value(place, step) - value(place, -step)) / (2 * step)
        assert gradient[place] == pytest.approx(slope, abs=1e-8), place


def autograd(lattice: Lattice, logits: np.ndarray, payoff: Payoff) -> tuple[float, np.ndarray]:
    """The value by backward recursion in torch, with its derivative."""
    leaf = torch.tensor(logits, requires_grad=True)
    edge, successor = torch.tensor(payoff.edge), torch.tensor(lattice.successor)
    value = torch.tensor(payoff.truncated)
    for step in reversed(range(len(logits))):
        below = torch.zeros_like(edge)
        below[:, : successor.shape[1]] = value[successor]
        value = (leaf[step].softmax(dim=1) * (edge + below)).sum(dim=1)
    total = torch.tensor(lattice.prompt_law) @ value[torch.tensor(lattice.start)]
    (gradient,) = torch.autograd.grad(total, leaf)
    return total.item(), gradient.numpy()


@pytest.mark.parametrize("end", [True, False], ids=["ended", "cut"])
def test_gradient_is_autograd(end: bool) -> None:
    lattice = random_lattice_world(seed=6, horizon=40, end=end, order=2).lattice
    logits = np.random.default_rng(0).normal(size=(40, *lattice.log_reference.shape))
    pi = path_sum.softmax(lattice, logits)
    for payoff in lattice.payoffs.values():
        got = path_gradient.expected_reward(pi, payoff)
        value, gradient = autograd(lattice, logits, payoff)
        assert got.value == pytest.approx(value, rel=1e-13)
        np.testing.assert_allclose(got.gradient, gradient, rtol=0, atol=1e-14)


def test_natural_gradient_solves_the_fisher_equation() -> None:
    """F A = g: the advantage, times the Fisher matrix of a softmax, is the gradient."""
    lattice = GRADIENT_WORLD.lattice
    pi = time_dependent(lattice, seed=3, forbidden=0.0)
    got = path_gradient.expected_reward(pi, lattice.payoffs["gold"])
    advantage = path_sum.advantage(pi, lattice.payoffs["gold"])
    visits, probs = path_sum.visits(pi), np.exp(pi.log_probs)
    for step, state in np.ndindex(visits.shape):
        p = probs[step, state]
        fisher = visits[step, state] * (np.diag(p) - np.outer(p, p))
        product = fisher @ advantage[step, state]
        np.testing.assert_allclose(product, got.gradient[step, state], rtol=0, atol=1e-14)


def test_softmax_does_not_see_a_constant() -> None:
    lattice = GRADIENT_WORLD.lattice
    logits = np.random.default_rng(0).normal(size=(3, *lattice.log_reference.shape))
    got = path_sum.softmax(lattice, logits)
    np.testing.assert_allclose(np.exp(got.log_probs).sum(axis=2), 1.0, rtol=1e-14)
    ratio = got.log_probs[..., 1:] - got.log_probs[..., :1]
    np.testing.assert_allclose(ratio, logits[..., 1:] - logits[..., :1], rtol=0, atol=1e-14)
    shifted = path_sum.softmax(lattice, logits + 900.0)
    np.testing.assert_allclose(shifted.log_probs, got.log_probs, rtol=0, atol=1e-11)


# Broken twins, each of which the comparison with the oracle must catch


def weighed_alike(got: PathSum) -> PathSum:
    return replace(got, value=float(got.by_prompt.mean()))


def without_truncation(pi: LatticePolicy) -> PathSum:
    gold = pi.lattice.payoffs["gold"]
    return path_sum.expected_reward(pi, replace(gold, truncated=0 * gold.truncated))


def product_of_means(pi: LatticePolicy) -> PathSum:
    payoffs = pi.lattice.payoffs
    gold, proxy = (path_sum.expected_reward(pi, payoffs[name]) for name in ("gold", "proxy"))
    return PathSum(gold.value * proxy.value, gold.by_prompt * proxy.by_prompt)


def token_kl_of_the_start(pi: LatticePolicy, ref: LatticePolicy) -> PathSum:
    """KL with every step counted as often as the first: visits forgotten."""
    start = pi.lattice.start
    p, q = pi.log_probs[0, start], ref.log_probs[0, start]
    by_prompt = pi.lattice.language.horizon * (np.exp(p) * (p - q)).sum(axis=1)
    return PathSum(float(pi.lattice.prompt_law @ by_prompt), by_prompt)


def plus(got: PathSum, constant: float) -> PathSum:
    return PathSum(got.value + constant, got.by_prompt + constant)


def per_horizon(pi: LatticePolicy) -> PathSum:
    got, horizon = path_sum.entropy(pi), pi.lattice.language.horizon
    return PathSum(got.value / horizon, got.by_prompt / horizon)


TWINS: dict[str, tuple[str, Callable[[LatticePolicy, LatticePolicy], PathSum]]] = {
    "reward: truncation unpaid": ("expected_reward", lambda pi, ref: without_truncation(pi)),
    "reward: prompt law forgotten": (
        "expected_reward",
        lambda pi, ref: weighed_alike(path_sum.expected_reward(pi, pi.lattice.payoffs["gold"])),
    ),
    "reward: under the reference": (
        "expected_reward",
        lambda pi, ref: path_sum.expected_reward(ref, pi.lattice.payoffs["gold"]),
    ),
    "second moment: product of means": (
        "second_moment",
        lambda pi, ref: product_of_means(pi),
    ),
    "kl: the other direction": ("kl", lambda pi, ref: path_sum.kl(ref, pi)),
    "kl: visits forgotten": ("kl", token_kl_of_the_start),
    "kl from reference: the other direction": ("kl_from_reference", path_sum.kl),
    "entropy: of the reference": ("entropy", lambda pi, ref: path_sum.entropy(ref)),
    "entropy: prompt law forgotten": (
        "entropy",
        lambda pi, ref: weighed_alike(path_sum.entropy(pi)),
    ),
    "token entropy: sequence entropy": ("token_entropy", lambda pi, ref: path_sum.entropy(pi)),
    "token entropy: divided by the horizon": ("token_entropy", lambda pi, ref: per_horizon(pi)),
    "chi-squared: forgets the 1": (
        "chi_squared",
        lambda pi, ref: plus(path_sum.chi_squared(pi, ref), 1.0),
    ),
    "chi-squared: exchanged": ("chi_squared", lambda pi, ref: path_sum.chi_squared(ref, pi)),
}


def test_every_quantity_has_a_broken_twin() -> None:
    assert {name for name, _ in TWINS.values()} == set(QUANTITIES)


@pytest.mark.parametrize("twin", TWINS)
def test_control_a_broken_twin_is_caught(twin: str) -> None:
    name, broken = TWINS[twin]
    w = random_lattice_world(seed=4, order=1)
    w = replace(w, prompt_law=(0.125, 0.75, 0.125))
    lattice = w.lattice
    pi, ref = w.other(lattice), lattice.reference
    expected = judged(w, QUANTITIES[name].judge)
    assert_same(QUANTITIES[name].on_lattice(pi, ref), expected)
    with pytest.raises(AssertionError, match="differs by"):
        assert_same(broken(pi, ref), expected)


def test_control_an_optimum_that_ignores_the_steps_left_is_caught() -> None:
    """The first step's conditionals at every step: an order-k policy, which is not the optimum."""
    w = random_lattice_world(seed=4, order=1)
    lattice = w.lattice
    best, value = path_sum.gibbs_optimum(lattice, lattice.payoffs["gold"], beta=1.0)
    frozen = LatticePolicy(lattice, np.broadcast_to(best.log_probs[:1], best.log_probs.shape))

    def regularised(pi: LatticePolicy) -> np.ndarray:
        reward = path_sum.expected_reward(pi, lattice.payoffs["gold"]).by_prompt
        return reward - path_sum.kl(pi, lattice.reference).by_prompt

    np.testing.assert_allclose(regularised(best), value.by_prompt, rtol=1e-13)
    assert (regularised(frozen) < value.by_prompt - 1e-3).all()


def test_control_a_gradient_without_visits_is_caught() -> None:
    lattice = GRADIENT_WORLD.lattice
    logits = np.random.default_rng(0).normal(size=(3, *lattice.log_reference.shape))
    pi = path_sum.softmax(lattice, logits)
    got = path_gradient.expected_reward(pi, lattice.payoffs["gold"])
    _, expected = autograd(lattice, logits, lattice.payoffs["gold"])
    assert np.abs(got.gradient - expected).max() < 1e-14
    advantage = path_sum.advantage(pi, lattice.payoffs["gold"])
    assert np.abs(np.exp(pi.log_probs) * advantage - expected).max() > 1e-3
    assert np.abs(path_sum.visits(pi)[..., None] * advantage - expected).max() > 1e-3


# Bad input


@pytest.mark.parametrize("beta", [0.0, -1.0])
def test_beta_is_above_zero(beta: float) -> None:
    letters = Language(("a", "b"), 3)
    lattice = Lattice.build(
        MarkovPolicy.from_probs(letters, 0, [[0.5, 0.5]]), {"length": automaton.length(letters)}
    )
    message = rf"^beta is {beta:g}, but should be above 0 \[gibbs_optimum\]\. Without a KL penalty"
    with pytest.raises(ValueError, match=message):
        path_sum.gibbs_optimum(lattice, lattice.payoffs["length"], beta)
