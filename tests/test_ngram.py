"""Markov policies against the oracle, with prompts as prefixes."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from scipy import stats

from bandit_rlhf.language import Language
from bandit_rlhf.laws import oracle
from bandit_rlhf.ngram import MarkovPolicy, context_count
from tests.lattice_worlds import LatticeWorld, contexts, lattice_worlds, random_lattice_world

FALSE_ALARM = 1e-9
"""Probability that the goodness-of-fit test fails although all is well; its seed is fixed too."""

WORLD = random_lattice_world(seed=1, size=2, horizon=4, order=2)


def assert_law(law: np.ndarray, w: LatticeWorld) -> None:
    for x in range(len(w.prompts)):
        expected = w.table(w.law(w.other_rows, x)).astype(float)
        assert np.abs(law[x] - expected).max() <= 1e-13, "law differs"


@settings(max_examples=60)
@given(w=lattice_worlds())
def test_law_on_the_tree_is_the_oracle(w: LatticeWorld) -> None:
    assert_law(w.markov(w.other_rows).as_tabular(w.prompt_words).string_law(), w)


@settings(max_examples=40)
@given(w=lattice_worlds())
def test_log_probs_and_next_token_laws_are_the_oracle(w: LatticeWorld) -> None:
    policy, batch = w.markov(w.other_rows), w.language.all_strings()
    for x, prompt in enumerate(w.prompt_words):
        exact, law = w.exact(w.other_rows, x), w.law(w.other_rows, x)
        got = np.exp(policy.log_prob(batch, prompt))
        np.testing.assert_allclose(got, w.table(law).astype(float), rtol=1e-12)
        tokens = np.exp(policy.token_log_prob(batch, prompt))
        for row, string in zip(tokens, batch.strings(), strict=True):
            chances = [float(exact(string[:t])[a]) for t, a in enumerate(string)]
            np.testing.assert_allclose(row[: len(string)], chances, rtol=1e-12)
            assert (row[len(string) :] == 1).all()
        for prefix in oracle.prefixes(w.strings):
            expected = np.array(exact(prefix), dtype=float)
            got = policy.next_token_law(prompt, prefix)
            np.testing.assert_allclose(got, expected, rtol=1e-12)


@settings(max_examples=60)
@given(w=lattice_worlds())
def test_entropy_is_the_oracle(w: LatticeWorld) -> None:
    policy = w.markov(w.other_rows)
    for x, prompt in enumerate(w.prompt_words):
        expected = oracle.entropy(w.law(w.other_rows, x))
        assert policy.entropy(prompt) == pytest.approx(expected, rel=1e-12, abs=1e-13)


def test_entropy_at_a_long_horizon_is_wald_s() -> None:
    """Independent tokens: E|y| = (1 - (1-q)^H) / q times the entropy of one token."""
    law, horizon = np.array([0.6, 0.39, 0.01]), 500
    policy = MarkovPolicy.from_probs(Language(("a", "b"), horizon, "$"), 0, [law.tolist()])
    steps = (1 - (1 - law[-1]) ** horizon) / law[-1]
    assert policy.entropy() == pytest.approx(-steps * (law @ np.log(law)), rel=1e-12)


def test_contexts_remember_the_last_tokens_since_the_start() -> None:
    letters = Language(("a", "b", "c"), 5, "$")
    assert [context_count(3, order) for order in (0, 1, 2, 3)] == [1, 4, 13, 40]
    numbered = contexts(3, 2)
    rng = np.random.default_rng(0)
    policy = MarkovPolicy.from_probs(letters, 2, rng.dirichlet(np.ones(4), len(numbered)))
    for number, tokens in enumerate(numbered):
        assert policy.context(letters.words(tokens)) == number
        if len(tokens) == 2:  # the oldest token of a longer prompt is forgotten
            assert policy.context(("c", *letters.words(tokens))) == number


def test_prompt_and_prefix_are_one_text() -> None:
    w = WORLD
    policy = w.markov(w.other_rows)
    long = policy.next_token_law(("a", "b", "b"), ())
    np.testing.assert_array_equal(long, policy.next_token_law(("a",), (1, 1)))
    np.testing.assert_array_equal(long, policy.next_token_law((), (0, 1, 1)))
    assert np.abs(long - policy.next_token_law(("a", "b", "a"), ())).max() > 0.01  # control


@pytest.mark.parametrize("end", [True, False], ids=["ended", "cut"])
def test_samples_have_the_policy_s_law(end: bool) -> None:
    w = random_lattice_world(seed=6, size=2, horizon=3, end=end, order=1)
    policy, draws = w.markov(w.other_rows), 20_000

    def alarmed(law: np.ndarray, prompt: tuple[str, ...]) -> bool:
        batch = policy.sample(np.random.default_rng(5), draws, prompt)
        counts = np.bincount(batch.ranks(), minlength=len(law))
        assert (law * draws).min() > 10  # large enough for Pearson's limit
        return bool(stats.chisquare(counts, law * draws).pvalue < FALSE_ALARM)

    for x, prompt in enumerate(w.prompt_words):
        law = w.table(w.law(w.other_rows, x)).astype(float)
        assert not alarmed(law, prompt)
        assert alarmed(w.table(w.law(w.reference_rows, x)).astype(float), prompt)  # control


def test_samples_are_padded_and_masked_after_the_end() -> None:
    w = WORLD
    batch = w.markov(w.other_rows).sample(np.random.default_rng(0), 500)
    assert (batch.tokens[~batch.mask] == w.language.pad_token).all()
    assert (batch.tokens[batch.mask] < w.language.pad_token).all()
    assert set(batch.strings()) <= set(w.strings)
    assert batch.terminated.any()
    assert not batch.terminated.all()


# Broken twins, each of which the comparison with the oracle must catch


def relaid(w: LatticeWorld, order: list[int]) -> np.ndarray:
    policy = w.markov(w.other_rows)
    broken = MarkovPolicy(w.language, w.order, policy.log_probs[order])
    return broken.as_tabular(w.prompt_words).string_law()


def reversed_contexts(w: LatticeWorld) -> list[int]:
    """The newest token as the lowest digit."""
    numbered = contexts(w.size, w.order)
    return [numbered.index(tokens[::-1]) for tokens in numbered]


def startless_contexts(w: LatticeWorld) -> list[int]:
    """Short contexts read as if token 0 stood before the start."""
    numbered = contexts(w.size, w.order)
    return [numbered.index((0,) * (w.order - len(tokens)) + tokens) for tokens in numbered]


TWINS: dict[str, Callable[[LatticeWorld], np.ndarray]] = {
    "newest token as the lowest digit": lambda w: relaid(w, reversed_contexts(w)),
    "the start taken for a token": lambda w: relaid(w, startless_contexts(w)),
    "prompts ignored": lambda w: np.repeat(
        w.markov(w.other_rows).as_tabular([()]).string_law(), len(w.prompts), axis=0
    ),
    "another policy": lambda w: w.reference.as_tabular(w.prompt_words).string_law(),
}


@pytest.mark.parametrize("twin", TWINS)
def test_control_a_broken_twin_is_caught(twin: str) -> None:
    assert_law(WORLD.markov(WORLD.other_rows).as_tabular(WORLD.prompt_words).string_law(), WORLD)
    with pytest.raises(AssertionError, match="law differs"):
        assert_law(TWINS[twin](WORLD), WORLD)


def test_control_an_entropy_without_visits_is_caught() -> None:
    w = WORLD
    policy = w.markov(w.other_rows)
    first_step = -(policy.next_token_law() @ np.log(policy.next_token_law()))
    assert abs(policy.entropy() - w.horizon * first_step) > 0.01


# Bad input


def test_errors_name_what_is_wrong() -> None:
    letters = Language(("a", "b"), 3, "$")
    row = [0.5, 0.25, 0.25]
    cases: list[tuple[str, Callable[[], object]]] = [
        (
            r"^probs\[1\] sums to 0\.9, but should be 1 .*\[MarkovPolicy, context\]\. Normalise it",
            lambda: MarkovPolicy.from_probs(letters, 1, [row, [0.5, 0.2, 0.2], row]),
        ),
        (
            r"^probs\[0, 1\] is -0\.5, but should be a probability",
            lambda: MarkovPolicy.from_probs(letters, 0, [[1.25, -0.5, 0.25]]),
        ),
        (
            r"^log_probs has shape \(1, 3\), but should be \(3, 3\) = \[context, action\]",
            lambda: MarkovPolicy.from_probs(letters, 1, [row]),
        ),
        (
            r"^order is -1, but should be at least 0",
            lambda: MarkovPolicy.from_probs(letters, -1, [row]),
        ),
        (
            r"^exp\(log_probs\)\[0, 0\] is nan",
            lambda: MarkovPolicy(letters, 0, np.array([[math.nan, 0.0, 0.0]])),
        ),
        (
            r"^exp\(log_probs\)\[0, 0\] is inf",
            lambda: MarkovPolicy(letters, 0, np.array([[1000.0, 0.0, 0.0]])),
        ),
    ]
    for message, wrong in cases:
        with pytest.raises(ValueError, match=message):
            wrong()


def test_a_prompt_outside_the_vocabulary_is_refused() -> None:
    letters = Language(("a", "b"), 3, "$")
    policy = MarkovPolicy.from_probs(letters, 0, [[0.5, 0.25, 0.25]])
    with pytest.raises(ValueError, match=r"^word 'c' is unknown, but should be one of 2 tokens"):
        policy.sample(np.random.default_rng(0), 5, ("a", "c"))
    with pytest.raises(ValueError, match=r"^prompt \('a', '\$'\) holds the end token, but should"):
        policy.entropy(("a", "$"))


def test_the_tree_of_a_long_horizon_is_refused() -> None:
    language = Language(tuple("abcdefgh"), 64)
    policy = MarkovPolicy.from_probs(language, 0, [[0.125] * 8])
    with pytest.raises(ValueError, match=r"logits need .* GiB.*\[MarkovPolicy\.as_tabular\]"):
        policy.as_tabular([()])
    assert policy.entropy() == pytest.approx(64 * math.log(8), rel=1e-13)
