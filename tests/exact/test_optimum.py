"""Optima on the tree: closed forms over strings, the oracle, identities and the best of n."""

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit_rlhf import objective
from bandit_rlhf.bandit import ContextualBandit
from bandit_rlhf.exact import optimum, tree
from bandit_rlhf.exact.optimum import SoftOptimum
from bandit_rlhf.laws import oracle
from bandit_rlhf.policy import TabularPolicy
from tests.worlds import World, exact, random_world, worlds

BETA = 0.25 / math.log(2)
"""Rewards are quarters, so exp(r / beta) = 2^(4 r) is a fraction."""

WORLD = random_world(seed=5)


def judged(w: World, x: int) -> tuple[oracle.Policy, dict[oracle.String, Fraction]]:
    """The reference of prompt x and exp(r / beta), both in fractions."""
    weight = {y: Fraction(2) ** int(4 * r) for y, r in w.rewards[x].items()}
    return exact(w.reference_weights[x]), weight


def node(w: World, prefix: oracle.String) -> int:
    """A prefix's place in `node_values`: by level, then sum_k a_k V^(k-1)."""
    first = sum(w.size**t for t in range(len(prefix)))
    return first + sum(a * w.size**k for k, a in enumerate(prefix))


def assert_gibbs(got: SoftOptimum, w: World) -> None:
    """The law of strings, and the soft value of every prompt and prefix."""
    law = got.policy.string_law()
    for x in range(len(w.prompt_law)):
        reference, weight = judged(w, x)
        gibbs = oracle.gibbs(oracle.law(reference, w.strings), weight)
        expected = w.string_table([gibbs])[0]
        assert np.abs(law[x] - expected).max() <= 1e-12, "law differs"
        for prefix in oracle.prefixes(w.strings):
            z = oracle.partition(reference, weight, prefix)
            soft = BETA * (math.log(z.numerator) - math.log(z.denominator))
            found = got.node_values[x, node(w, prefix)]
            assert found == pytest.approx(soft, rel=1e-12, abs=1e-12), "value differs"
        assert got.values[x] == got.node_values[x, 0]
    assert_normalised(got.policy)


def assert_normalised(policy: TabularPolicy) -> None:
    np.testing.assert_allclose(policy.log_probs(), policy.logits, rtol=0, atol=1e-12)


@settings(max_examples=60)
@given(w=worlds(reference_zeros=True))
def test_soft_bellman_is_the_oracle(w: World) -> None:
    assert_gibbs(optimum.gibbs_optimum(w.bandit, w.reference, BETA), w)


@pytest.mark.parametrize("end", [True, False], ids=["ended", "cut"])
@pytest.mark.parametrize("beta", [0.01, 0.5, 3.0, 1000.0])
def test_soft_bellman_is_the_closed_form_on_strings(beta: float, end: bool) -> None:
    w = random_world(seed=2, size=3, horizon=6, end=end, prompt_law=(0.5, 0.5))
    got = optimum.gibbs_optimum(w.bandit, w.reference, beta)
    reference, reward = w.reference.string_law(), w.bandit.reward_table()
    closed = objective.gibbs(reference, reward, beta)
    np.testing.assert_allclose(got.policy.string_law(), closed, rtol=1e-11, atol=1e-300)
    soft = objective.soft_value(reference, reward, beta)
    # ln Z is of order 1/beta and rounded like a number of order one.
    np.testing.assert_allclose(got.values, soft, rtol=1e-12, atol=1e-15 * beta)


@settings(max_examples=60)
@given(w=worlds(), beta=st.sampled_from([0.1, 1.0, 7.0]))
def test_every_policy_falls_short_by_beta_kl_to_the_optimum(w: World, beta: float) -> None:
    """Theorem 10: E r - beta KL(pi || ref) = beta ln Z - beta KL(pi || optimum)."""
    bandit, pi, reference = w.bandit, w.policy, w.reference
    best = optimum.gibbs_optimum(bandit, reference, beta)
    reward = tree.expected_reward(bandit, pi).by_prompt
    left = reward - beta * tree.kl(bandit, pi, reference).by_prompt
    right = best.values - beta * tree.kl(bandit, pi, best.policy).by_prompt
    np.testing.assert_allclose(left, right, rtol=1e-11, atol=1e-11)


def test_gradient_of_the_regularised_value_vanishes_at_the_optimum() -> None:
    w, beta = WORLD, 0.8

    def gradient(pi: TabularPolicy) -> np.ndarray:
        penalty = tree.kl(w.bandit, pi, w.reference).gradient
        return tree.expected_reward(w.bandit, pi).gradient - beta * penalty

    best = optimum.gibbs_optimum(w.bandit, w.reference, beta).policy
    assert np.abs(gradient(best)).max() < 1e-14
    assert np.abs(gradient(w.reference)).max() > 1e-2  # control


# Greedy


@settings(max_examples=60)
@given(w=worlds())
def test_greedy_optimum_is_the_maximum_over_the_support(w: World) -> None:
    """Value of every prefix by the oracle's strings; no lesser string has any probability."""
    got = optimum.greedy_optimum(w.bandit, support=w.policy)
    law = got.policy.string_law()
    assert_normalised(got.policy)
    for x, rewards in enumerate(w.rewards):
        policy = exact(w.policy_weights[x])
        for prefix in oracle.prefixes(w.strings):
            below = [y for y in w.strings if y[: len(prefix)] == prefix]
            possible = [y for y in below if oracle.probability(policy, y, len(prefix))]
            best = max(rewards[y] for y in possible)
            assert got.node_values[x, node(w, prefix)] == best
        chosen = {y for y in w.strings if law[x, w.place(y)] > 0}
        allowed = oracle.law(policy, w.strings)
        assert chosen == {y for y in w.strings if allowed[y] and rewards[y] == got.values[x]}


def test_greedy_optimum_beats_every_deterministic_policy_of_a_process() -> None:
    """Policy iteration's fixed point: the oracle's optimum over all policies of the token MDP."""
    w = random_world(seed=1, size=2, horizon=2, prompt_law=(1.0,))
    rewards = w.rewards[0]

    def model(prefix: oracle.String) -> list[list[tuple[int, float, oracle.String]]]:
        if prefix in rewards:
            return []
        after = [(*prefix, a) for a in range(w.size + w.end)]
        return [[(1, rewards.get(longer, 0.0), longer)] for longer in after]

    best = oracle.optimal_value_by_enumeration(model, (), w.horizon)
    assert optimum.greedy_optimum(w.bandit).values[0] == best


def test_tokens_that_tie_share_the_probability() -> None:
    w = random_world(seed=1, size=2, horizon=2, end=False, prompt_law=(1.0,))
    tied = replace(w, rewards=({(0, 0): 1.0, (0, 1): 0.0, (1, 0): 1.0, (1, 1): 1.0},))
    law = optimum.greedy_optimum(tied.bandit).policy.string_law()[0]
    assert [law[w.place(y)] for y in w.strings] == [0.5, 0.0, 0.25, 0.25]


def test_gibbs_optimum_tends_to_the_greedy_and_to_the_reference() -> None:
    w = WORLD
    greedy = optimum.greedy_optimum(w.bandit)
    cold = optimum.gibbs_optimum(w.bandit, w.reference, beta=1e-3)
    np.testing.assert_allclose(cold.values, greedy.values, atol=0.02)
    hot = optimum.gibbs_optimum(w.bandit, w.reference, beta=1e9)
    reference = tree.expected_reward(w.bandit, w.reference).by_prompt
    np.testing.assert_allclose(hot.values, reference, atol=1e-6)


# Best of n, and the table of errors


@settings(max_examples=40)
@given(w=worlds(reference_zeros=True), n=st.sampled_from([1, 2, 5, 64]))
def test_best_of_n_is_the_oracle_for_every_prompt(w: World, n: int) -> None:
    got = optimum.best_of_n(w.bandit, w.reference, n)
    laws = [oracle.law(exact(weights), w.strings) for weights in w.reference_weights]
    pairs = zip(laws, w.rewards, strict=True)
    expected = w.string_table([oracle.best_of_n(law, rewards, n) for law, rewards in pairs])
    assert np.abs(got - expected).max() <= 1e-12


def with_rewards_of(w: World, seed: int) -> ContextualBandit:
    return replace(w, rewards=random_world(seed).rewards).bandit


def test_error_table_runs_from_the_most_to_the_least_probable() -> None:
    w = WORLD
    proxy = with_rewards_of(w, seed=6)
    for x in range(len(w.prompt_law)):
        got = optimum.error_table(w.bandit, proxy, w.reference, prompt=x)
        assert sorted(got.rank) == list(range(len(w.strings)))
        assert (np.diff(got.log_reference) <= 0).all()
        law = oracle.law(exact(w.reference_weights[x]), w.strings)
        other = random_world(6).rewards[x]
        for row, rank in enumerate(got.rank):
            string = w.language.unrank(int(rank))
            assert got.log_reference[row] == pytest.approx(math.log(law[string]))
            assert got.true_reward[row] == w.rewards[x][string]
            assert got.proxy_reward[row] == other[string]
            assert got.error[row] == other[string] - w.rewards[x][string]


# Broken twins, each of which the comparisons must catch


def relabelled(got: SoftOptimum, policy: TabularPolicy) -> SoftOptimum:
    return replace(got, policy=policy)


TWINS: dict[str, Callable[[World], SoftOptimum]] = {
    "beta twice as large": lambda w: optimum.gibbs_optimum(w.bandit, w.reference, 2 * BETA),
    "uniform reference": lambda w: optimum.gibbs_optimum(
        w.bandit, TabularPolicy.uniform(w.language, w.prompts), BETA
    ),
    "greedy": lambda w: optimum.greedy_optimum(w.bandit),
    "the reference itself": lambda w: relabelled(
        optimum.gibbs_optimum(w.bandit, w.reference, BETA), w.reference
    ),
    "tilted token by token with the mean reward below": lambda w: relabelled(
        optimum.gibbs_optimum(w.bandit, w.reference, BETA), tilted_by_means(w)
    ),
    "values of the prompt beside": lambda w: replace(
        optimum.gibbs_optimum(w.bandit, w.reference, BETA),
        node_values=optimum.gibbs_optimum(w.bandit, w.reference, BETA).node_values[::-1],
    ),
}


def tilted_by_means(w: World) -> TabularPolicy:
    """Q is the mean under the reference: soft-Bellman without the soft maximum."""
    logits = [
        {
            (s, a): math.log(p) + mean_below(w, x, (*s, a)) / BETA
            for s in oracle.prefixes(w.strings)
            for a, p in enumerate(exact(w.reference_weights[x])(s))
        }
        for x in range(len(w.prompt_law))
    ]
    return TabularPolicy(w.language, w.prompts, w.logit_table(logits))


def mean_below(w: World, x: int, prefix: oracle.String) -> float:
    policy, n = exact(w.reference_weights[x]), len(prefix)
    below = [y for y in w.strings if y[:n] == prefix]
    return float(sum(oracle.probability(policy, y, n) * Fraction(w.rewards[x][y]) for y in below))


@pytest.mark.parametrize("twin", TWINS)
def test_control_a_broken_twin_is_caught(twin: str) -> None:
    w = random_world(seed=5, horizon=3)
    assert_gibbs(optimum.gibbs_optimum(w.bandit, w.reference, BETA), w)
    with pytest.raises(AssertionError, match=r"differs|assert"):
        assert_gibbs(TWINS[twin](w), w)


def test_control_best_of_n_plus_one_is_caught() -> None:
    w = WORLD
    got = optimum.best_of_n(w.bandit, w.reference, 3)
    laws = [oracle.law(exact(weights), w.strings) for weights in w.reference_weights]
    pairs = zip(laws, w.rewards, strict=True)
    expected = w.string_table([oracle.best_of_n(law, rewards, 3) for law, rewards in pairs])
    assert np.abs(got - expected).max() <= 1e-12
    assert np.abs(optimum.best_of_n(w.bandit, w.reference, 4) - expected).max() > 1e-3


# Bad input


def test_errors_name_what_is_wrong() -> None:
    w, longer = WORLD, random_world(5, horizon=4)
    message = r"^the policy has another language or other prompts, but should be the bandit's"
    with pytest.raises(ValueError, match=message):
        optimum.gibbs_optimum(w.bandit, longer.reference, beta=1.0)
    with pytest.raises(ValueError, match=message):
        optimum.greedy_optimum(w.bandit, longer.reference)
    with pytest.raises(ValueError, match=message):
        optimum.best_of_n(w.bandit, longer.reference, n=2)
    with pytest.raises(ValueError, match=r"^the proxy has another language or other prompts"):
        optimum.error_table(w.bandit, longer.bandit, w.reference)
    with pytest.raises(ValueError, match=r"^beta is 0, .* above 0 .*: use greedy_optimum\.$"):
        optimum.gibbs_optimum(w.bandit, w.reference, beta=0.0)
