"""Tabular policies: the token view and the string view, against the oracle's fractions."""

import math
import re
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from scipy.stats import chi2

from bandit_rlhf import policy as policy_module
from bandit_rlhf.language import Language
from bandit_rlhf.laws import oracle
from bandit_rlhf.policy import TabularPolicy
from tests.worlds import World, exact, random_world, worlds

LETTERS = Language(("a", "b"), 2, "$")
PROMPTS = [(), ("x",)]
WORLD = random_world(21)


def string_law(w: World) -> np.ndarray:
    """What the oracle says of pi(y | x) [prompt, string]."""
    return w.string_table([oracle.law(exact(weights), w.strings) for weights in w.policy_weights])


# The two views


@settings(max_examples=40)
@given(w=worlds())
def test_string_law_is_the_oracle(w: World) -> None:
    expected = string_law(w)
    np.testing.assert_allclose(w.policy.string_law(), expected, rtol=1e-13, atol=0)
    logs = w.policy.string_log_law()
    assert (np.isneginf(logs) == (expected == 0)).all()


@settings(max_examples=40)
@given(w=worlds())
def test_log_prob_of_a_batch_is_the_sum_of_its_tokens(w: World) -> None:
    policy, batch = w.policy, w.language.batch(w.strings)
    for x, weights in enumerate(w.policy_weights):
        by_token = policy.token_log_prob(batch, x)
        assert (by_token[~batch.mask] == 0).all()
        for row, y in zip(by_token, w.strings, strict=True):
            chances = [float(exact(weights)(y[:t])[a]) for t, a in enumerate(y)]
            np.testing.assert_allclose(np.exp(row[: len(y)]), chances, rtol=1e-13, atol=0)
        np.testing.assert_array_equal(policy.log_prob(batch, x), by_token.sum(axis=1))


def test_log_prob_reads_repeated_rows_in_any_order_and_padding() -> None:
    w = WORLD
    strings = [w.strings[i] for i in (7, 0, 7, 3)]
    law = oracle.law(exact(w.policy_weights[1]), w.strings)
    for pad in range(4):
        got = np.exp(w.policy.log_prob(w.language.batch(strings, pad), prompt=1))
        np.testing.assert_allclose(got, [float(law[y]) for y in strings], rtol=1e-13)


@settings(max_examples=20)
@given(w=worlds())
def test_next_token_law_and_log_probs_are_the_oracle(w: World) -> None:
    log_probs = w.policy.log_probs()
    for x, weights in enumerate(w.policy_weights):
        for s in weights:
            expected = [float(p) for p in exact(weights)(s)]
            np.testing.assert_allclose(w.policy.next_token_law(x, s), expected, rtol=1e-14)
            entries = [w.entry(s, a) for a in range(len(expected))]
            np.testing.assert_allclose(np.exp(log_probs[x, entries]), expected, rtol=1e-13)


@settings(max_examples=20)
@given(w=worlds())
def test_entropy_is_the_oracle(w: World) -> None:
    laws = [oracle.law(exact(weights), w.strings) for weights in w.policy_weights]
    np.testing.assert_allclose(w.policy.entropy(), [oracle.entropy(p) for p in laws], atol=1e-13)


def test_levels_are_views_in_the_documented_order() -> None:
    w, policy = WORLD, WORLD.policy
    for level in range(w.horizon):
        block = policy.level(level)
        assert np.shares_memory(block, policy.logits)
        for s in (s for s in w.policy_weights[0] if len(s) == level):
            node = sum(a * w.size**k for k, a in enumerate(s))
            logits = [math.log(weight) for weight in w.policy_weights[1][s]]
            np.testing.assert_array_equal(block[1, :, node], logits)


def test_a_constant_added_to_a_node_changes_nothing() -> None:
    w = WORLD
    logits = w.policy.logits.copy()
    logits[:, [w.entry((1,), a) for a in range(3)]] += 800.0
    np.testing.assert_allclose(
        replace(w.policy, logits=logits).string_law(), w.policy.string_law(), rtol=1e-11
    )


def test_uniform_and_normal() -> None:
    uniform = TabularPolicy.uniform(LETTERS, PROMPTS)
    np.testing.assert_allclose(uniform.next_token_law(1, (0,)), np.full(3, 1 / 3))
    first, second, other = (
        TabularPolicy.normal(LETTERS, PROMPTS, np.random.default_rng(seed), scale=2.0)
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first.logits, second.logits)
    assert (first.logits != other.logits).all()
    many = TabularPolicy.normal(Language(("a", "b"), 14), [()], np.random.default_rng(3), 2.0)
    # 32,766 draws: each statistic is standard normal; 5 deviations are a false alarm in 10^6.
    count = many.logits.size
    assert abs(many.logits.mean() / 2 * math.sqrt(count)) < 5
    assert abs((many.logits**2).mean() / 4 - 1) * math.sqrt(count / 2) < 5


# From a law on strings to a policy (theorem 4)


@settings(max_examples=40)
@given(w=worlds())
def test_from_string_law_returns_the_law(w: World) -> None:
    law = string_law(w)
    policy = TabularPolicy.from_string_law(w.language, w.prompts, law)
    np.testing.assert_allclose(policy.string_law(), law, rtol=1e-13, atol=0)
    for x, weights in enumerate(w.policy_weights):
        for s in weights:  # and the policy itself, wherever a string passes
            visited = oracle.probability(exact(weights), s) > 0
            uniform = [Fraction(1, len(weights[s]))] * len(weights[s])
            expected = exact(weights)(s) if visited else uniform
            np.testing.assert_allclose(
                policy.next_token_law(x, s), [float(p) for p in expected], rtol=1e-13
            )


# Sampling


def pearson(batch_ranks: np.ndarray, law: np.ndarray) -> float:
    """The p-value of Pearson's chi-squared test that the ranks were drawn from the law."""
    counts = np.bincount(batch_ranks, minlength=len(law))
    assert counts[law == 0].sum() == 0
    possible = law > 0
    expected = len(batch_ranks) * law[possible]
    assert expected.min() >= 5  # the usual condition
    statistic = ((counts[possible] - expected) ** 2 / expected).sum()
    return float(chi2.sf(statistic, possible.sum() - 1))


@pytest.mark.parametrize("end", [True, False], ids=["ended", "cut"])
@pytest.mark.parametrize("prompt", [0, 1])
def test_samples_have_the_string_law(end: bool, prompt: int) -> None:
    """At a fixed seed; over seeds it would be a false alarm in a thousand."""
    w = random_world(22, end=end)
    batch = w.policy.sample(np.random.default_rng(5), 20_000, prompt)
    assert pearson(batch.ranks(), string_law(w)[prompt]) > 1e-3
    assert w.language.batch(batch.strings()).tokens.tolist() == batch.tokens.tolist()


def test_control_samples_of_another_policy_are_told_apart() -> None:
    w = random_world(22)
    ranks = w.policy.sample(np.random.default_rng(5), 20_000, prompt=0).ranks()
    assert pearson(ranks, string_law(w)[1]) < 1e-9


def test_forbidden_tokens_are_never_drawn() -> None:
    w = WORLD
    weights = w.policy_weights[0] | {(): [0, 3, 0], (1,): [2, 0, 1]}
    w = replace(w, policy_weights=(weights, weights))
    batch = w.policy.sample(np.random.default_rng(6), 5_000)
    assert pearson(batch.ranks(), string_law(w)[0]) > 1e-3


def test_samples_repeat_with_their_generator() -> None:
    first, second, other = (
        WORLD.policy.sample(np.random.default_rng(seed), 50).ranks() for seed in (1, 1, 2)
    )
    assert (first == second).all()
    assert (first != other).any()


# Bad input


def logits_with(value: float, *entries: int) -> np.ndarray:
    logits = np.zeros((2, 9))
    logits[1, list(entries)] = value
    return logits


def tabular(logits: np.ndarray) -> TabularPolicy:
    return TabularPolicy(LETTERS, ((), ("x",)), logits)


def law_with(*last_row: float) -> np.ndarray:
    return np.array([[1.0, 0, 0, 0, 0, 0, 0], last_row])


LONG = Language(("a", "b", "c", "d"), 40)
NODE = "the largest logit of prompt 1, level 1, node 1 is"
COMPLAINTS: list[tuple[Callable[[], Any], str]] = [
    (
        lambda: tabular(np.zeros((2, 8))),
        "logits has shape (2, 8), but should be (2, 9) = [prompt, entry] [TabularPolicy].",
    ),
    # Level 1 starts at entry 3 and has two nodes: node 1 stands at entries 4, 6 and 8.
    (
        lambda: tabular(logits_with(np.nan, 6)),
        f"{NODE} nan, but should be finite [TabularPolicy].",
    ),
    (
        lambda: tabular(logits_with(np.inf, 6)),
        f"{NODE} inf, but should be finite [TabularPolicy].",
    ),
    (
        lambda: tabular(logits_with(-np.inf, 4, 6, 8)),
        f"{NODE} -inf, but should be finite [TabularPolicy].",
    ),
    (
        lambda: TabularPolicy.uniform(LETTERS, []),
        "prompts is empty, but should be one prompt or more [TabularPolicy]. "
        "Use [()], the empty prompt alone.",
    ),
    (
        lambda: TabularPolicy.uniform(LETTERS, [("x",), ("x",)]),
        "prompt ('x',) occurs twice, but should be distinct [TabularPolicy].",
    ),
    (
        lambda: TabularPolicy.from_string_law(LETTERS, PROMPTS, law_with(0.5, 0.25, 0, 0, 0, 0, 0)),
        "law[1] sums to 0.75, but should be 1 (tolerance 1e-09) [TabularPolicy.from_string_law]. "
        "Normalise it.",
    ),
    (
        lambda: TabularPolicy.from_string_law(LETTERS, PROMPTS, law_with(2, -1, 0, 0, 0, 0, 0)),
        "law[1, 1] is -1, but should be a probability, at least 0 [TabularPolicy.from_string_law].",
    ),
    (
        lambda: TabularPolicy.from_string_law(LETTERS, PROMPTS, [[1.0], [1.0]]),
        "law has shape (2, 1), but should be (2, 7) = [prompt, string] "
        "[TabularPolicy.from_string_law].",
    ),
    (
        lambda: tabular(np.zeros((2, 9))).next_token_law(0, (0, 1)),
        "prefix is (0, 1), but should be fewer than 2 tokens, each within 0..1 "
        "[TabularPolicy.next_token_law].",
    ),
    (
        lambda: tabular(np.zeros((2, 9))).next_token_law(0, (2,)),
        "prefix is (2,), but should be fewer than 2 tokens, each within 0..1 "
        "[TabularPolicy.next_token_law].",
    ),
    (
        lambda: WORLD.policy.log_prob(LETTERS.batch([])),
        "the batch's language differs, but should be the policy's [TabularPolicy].",
    ),
    (
        lambda: TabularPolicy.uniform(LONG, PROMPTS),
        "3.22e24 logits (1.21e24 strings x 2 prompts) need 2.4e16 GiB, but should be within the "
        "memory limit of",
    ),
    (
        lambda: TabularPolicy.normal(LONG, PROMPTS, np.random.default_rng(0)),
        "3.22e24 logits (1.21e24 strings x 2 prompts) need 2.4e16 GiB",
    ),
]


@pytest.mark.parametrize(
    ("mistake", "message"), COMPLAINTS, ids=[message for _, message in COMPLAINTS]
)
def test_complaint(mistake: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        mistake()


def test_control_one_forbidden_token_is_no_mistake() -> None:
    policy = tabular(logits_with(-np.inf, 4, 6))
    np.testing.assert_array_equal(policy.next_token_law(1, (1,)), [0.0, 0.0, 1.0])


def test_size_guard_lets_pass_what_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two prompts with nine logits of eight bytes each, against half of the machine."""
    monkeypatch.setattr(policy_module._check, "physical_memory", lambda: 2 * 2 * 9 * 8)
    assert TabularPolicy.uniform(LETTERS, PROMPTS).logits.shape == (2, 9)
    monkeypatch.setattr(policy_module._check, "physical_memory", lambda: 2 * 2 * 9 * 8 - 2)
    with pytest.raises(ValueError, match=re.escape("18 logits (7 strings x 2 prompts) need")):
        TabularPolicy.uniform(LETTERS, PROMPTS)


def test_logits_are_kept_in_double_precision() -> None:
    policy = tabular(np.zeros((2, 9), dtype=np.float32))
    assert policy.logits.dtype == np.float64
