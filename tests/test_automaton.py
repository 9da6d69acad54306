"""Automaton rewards against their definitions, read off every string in plain Python."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandit_rlhf import automaton
from bandit_rlhf.automaton import AutomatonReward
from bandit_rlhf.language import Language
from bandit_rlhf.laws import oracle

ROOT = Path(__file__).resolve().parents[1]
ENDED, CUT = Language(("a", "b"), 5, "$"), Language(("a", "b"), 5)
THREE = Language(("a", "b", "c"), 4, "$")
each_language = pytest.mark.parametrize("language", [ENDED, CUT, THREE], ids=["ended", "cut", "3"])
Definition = Callable[[oracle.String], float]


def every(language: Language) -> list[oracle.String]:
    return oracle.strings(language.vocabulary_size, language.horizon, language.end is not None)


def assert_pays(reward: AutomatonReward, definition: Definition) -> None:
    strings = every(reward.language)
    paid = reward(reward.language.batch(strings))
    np.testing.assert_allclose(paid, [definition(y) for y in strings], rtol=0, atol=1e-12)


def content(language: Language, string: oracle.String) -> oracle.String:
    return tuple(a for a in string if a < language.vocabulary_size)


def contains(language: Language, pattern: oracle.String) -> Definition:
    def found(string: oracle.String) -> float:
        read = content(language, string)
        return float(any(read[i : i + len(pattern)] == pattern for i in range(len(read))))

    return found


def repeats(language: Language, width: int) -> Definition:
    def count(string: oracle.String) -> float:
        read = content(language, string)
        return sum(a in read[max(0, t - width) : t] for t, a in enumerate(read))

    return count


# Each constructor


@each_language
def test_token_weights(language: Language) -> None:
    weights = 0.5 + np.arange(language.action_count)
    reward = automaton.token_weights(language, list(weights))
    assert_pays(reward, lambda y: sum(0.5 + a for a in y))
    named = automaton.token_weights(language, {"b": 2.0})
    assert_pays(named, lambda y: 2.0 * y.count(1))


def test_token_weights_may_pay_the_end_token() -> None:
    reward = automaton.token_weights(ENDED, {"$": 3.0})
    assert_pays(reward, lambda y: 3.0 * (y[-1] == 2))


@each_language
def test_length(language: Language) -> None:
    assert_pays(automaton.length(language, -0.25), lambda y: -0.25 * len(y))


@each_language
@pytest.mark.parametrize("cap", [1, 2, 9])
def test_capped_count(language: Language, cap: int) -> None:
    reward = automaton.capped_count(language, ["a"], cap, 1.5)
    assert_pays(reward, lambda y: 1.5 * min(cap, y.count(0)))


def test_capped_count_of_several_words_and_the_end() -> None:
    reward = automaton.capped_count(THREE, ["b", "$"], 2)
    assert_pays(reward, lambda y: min(2, y.count(1) + y.count(3)))


PATTERNS = [(1,), (0, 0), (0, 1), (0, 0, 1), (0, 1, 0), (0, 0, 0), (0, 1, 0, 1), (0, 0, 1, 0, 0)]


@pytest.mark.parametrize("pattern", PATTERNS, ids=str)
@pytest.mark.parametrize("language", [ENDED, CUT], ids=["ended", "cut"])
def test_contains(language: Language, pattern: oracle.String) -> None:
    reward = automaton.contains(language, language.words(pattern), 2.0)
    found = contains(language, pattern)
    assert_pays(reward, lambda y: 2.0 * found(y))


@given(pattern=st.lists(st.integers(0, 1), min_size=1, max_size=6).map(tuple))
def test_contains_any_pattern(pattern: oracle.String) -> None:
    language = Language(("a", "b"), 7, "$")
    reward = automaton.contains(language, language.words(pattern))
    assert_pays(reward, contains(language, pattern))
    assert reward.state_count == len(pattern) + 1


def test_control_an_automaton_that_starts_over_misses_a_substring() -> None:
    """Without the borders of Knuth, Morris and Pratt, "aab" is missed in "aaab"."""
    right = automaton.contains(ENDED, ["a", "a", "b"])
    successor = right.successor.copy()
    successor[2, 0] = 0  # after "aa", another "a" must stay, for "aa" is still read
    assert right.successor[2, 0] == 2
    forgetful = AutomatonReward(ENDED, successor, right.edge, right.truncated)
    with pytest.raises(AssertionError):
        assert_pays(forgetful, contains(ENDED, (0, 0, 1)))


@each_language
@pytest.mark.parametrize("width", [1, 2, 3])
def test_repetition(language: Language, width: int) -> None:
    reward = automaton.repetition(language, width, -1.0)
    count = repeats(language, width)
    assert_pays(reward, lambda y: -count(y))


@each_language
@pytest.mark.parametrize("width", [0, 1, 2, 3])
def test_window_sees_the_last_tokens(language: Language, width: int) -> None:
    def pay(before: tuple[int, ...], token: int) -> float:
        return 100.0 * len(before) + sum(7.0**k * (a + 1) for k, a in enumerate(before)) - token

    reward = automaton.window(language, width, pay)
    assert_pays(reward, lambda y: sum(pay(y[max(0, t - width) : t], a) for t, a in enumerate(y)))
    assert reward.state_count == sum(language.vocabulary_size**k for k in range(width + 1))


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("width", [0, 1, 2, 3])
def test_contexts_remember_the_last_tokens(size: int, width: int) -> None:
    successor = automaton.context_successors(size, width)
    tokens = [automaton.context_tokens(size, width, c) for c in range(len(successor))]
    assert len(set(tokens)) == len(tokens)
    for context, read in enumerate(tokens):
        for token in range(size):
            remembered = (*read, token)[-width:] if width else ()
            assert tokens[successor[context, token]] == remembered


def test_a_reward_for_being_cut() -> None:
    reward = AutomatonReward(
        ENDED, np.array([[0, 1], [1, 1]]), np.zeros((2, 3)), np.array([5.0, 7.0])
    )
    assert_pays(reward, lambda y: 0.0 if y[-1] == 2 else 7.0 if 1 in y else 5.0)


def test_padding_is_not_read() -> None:
    reward = automaton.length(ENDED)
    strings = every(ENDED)
    for pad in range(4):
        np.testing.assert_array_equal(
            reward(ENDED.batch(strings, pad)), [float(len(y)) for y in strings]
        )


# Sums and multiples


@each_language
def test_sums_differences_and_multiples(language: Language) -> None:
    repeated, found = repeats(language, 2), contains(language, (1, 0))
    reward = (
        2.0 * automaton.contains(language, ["b", "a"])
        - automaton.repetition(language, 2)
        + automaton.capped_count(language, ["a"], 2) * 0.5
        + -automaton.length(language)
    )
    assert_pays(reward, lambda y: 2 * found(y) - repeated(y) + 0.5 * min(2, y.count(0)) - len(y))


def test_sums_keep_what_being_cut_pays() -> None:
    cut = AutomatonReward(ENDED, np.zeros((1, 2), int), np.zeros((1, 3)), np.array([4.0]))
    assert_pays(cut + 2 * cut, lambda y: 0.0 if y[-1] == 2 else 12.0)


def test_a_sum_has_only_reachable_states() -> None:
    reward = automaton.repetition(ENDED, 2)
    assert (reward + reward).state_count == reward.state_count  # the two never part
    counted = automaton.capped_count(ENDED, ["a"], 2) + automaton.capped_count(ENDED, ["b"], 2)
    assert counted.state_count == 9


def test_product_lists_the_starts_first() -> None:
    left = automaton.context_successors(2, 1)
    start = np.array([[2, 0], [1, 2]])
    firsts, seconds, successor = automaton.product(left, left, start)
    assert list(zip(firsts, seconds, strict=True))[:2] == [(2, 0), (1, 2)]
    for pair in range(len(firsts)):
        for token in range(2):
            following = successor[pair, token]
            assert firsts[following] == left[firsts[pair], token]
            assert seconds[following] == left[seconds[pair], token]
    assert len(firsts) == 4  # the starts, and both remembering the same token


# Bad input


def reward_with(**changed: Any) -> AutomatonReward:
    parts: dict[str, Any] = {
        "successor": np.zeros((1, 2), int),
        "edge": np.zeros((1, 3)),
        "truncated": np.zeros(1),
    }
    return AutomatonReward(ENDED, **(parts | changed))


COMPLAINTS: list[tuple[Callable[[], Any], str]] = [
    (
        lambda: reward_with(successor=np.zeros((1, 3), int)),
        "successor has shape (1, 3), but should be (1, 2) = [state, token] [AutomatonReward].",
    ),
    (
        lambda: reward_with(edge=np.zeros((1, 2))),
        "edge has shape (1, 2), but should be (1, 3) = [state, action] [AutomatonReward].",
    ),
    (
        lambda: reward_with(successor=np.array([[0, 1]])),
        "successor holds state 1, but should be within 0..0 [AutomatonReward].",
    ),
    (
        lambda: reward_with(successor=np.array([[-1, 0]])),
        "successor holds state -1, but should be within 0..0 [AutomatonReward].",
    ),
    (
        lambda: reward_with(edge=np.array([[0.0, np.nan, 0.0]])),
        "edge[0, 1] is nan (1 of 3 entries), but should be finite [AutomatonReward].",
    ),
    (
        lambda: reward_with(truncated=np.array([np.inf])),
        "truncated[0] is inf (1 of 1 entries), but should be finite [AutomatonReward].",
    ),
    (
        lambda: reward_with(
            successor=np.zeros((0, 2), int), edge=np.zeros((0, 3)), truncated=np.zeros(0)
        ),
        "number of states is 0, but should be at least 1 [AutomatonReward].",
    ),
    (
        lambda: reward_with() * np.inf,
        "factor is inf, but should be finite [AutomatonReward].",
    ),
    (
        lambda: reward_with() + automaton.length(CUT),
        "the rewards read two languages, but should be one [AutomatonReward].",
    ),
    (
        lambda: reward_with()(CUT.batch([])),
        "the batch's language differs, but should be the reward's [AutomatonReward].",
    ),
    (
        lambda: automaton.token_weights(ENDED, [1.0, 2.0]),
        "weights has shape (2,), but should be (3,) = [action] [token_weights].",
    ),
    (
        lambda: automaton.token_weights(ENDED, {"c": 1.0}),
        "word 'c' is unknown, but should be one of 2 tokens [Language].",
    ),
    (
        lambda: automaton.capped_count(ENDED, ["a"], 0),
        "cap is 0, but should be at least 1 [capped_count].",
    ),
    (
        lambda: automaton.contains(ENDED, []),
        "words is [], but should be one ordinary word or more [contains].",
    ),
    (
        lambda: automaton.contains(ENDED, ["a", "$"]),
        "words is ['a', '$'], but should be one ordinary word or more [contains].",
    ),
    (
        lambda: automaton.window(ENDED, -1, lambda context, token: 0.0),
        "width is -1, but should be at least 0 [window].",
    ),
    (
        lambda: automaton.repetition(ENDED, 0),
        "width is 0, but should be at least 1 [repetition].",
    ),
]


def test_axes_that_disagree_are_named_without_type_checking_too() -> None:
    """In a process of its own: here jaxtyping would speak first."""
    program = (
        "import numpy as np\n"
        "from bandit_rlhf.automaton import AutomatonReward\n"
        "from bandit_rlhf.language import Language\n"
        "states = np.zeros((1, 2), int), np.zeros((1, 3)), np.zeros(2)\n"
        "AutomatonReward(Language(('a', 'b'), 5, '$'), *states)\n"
    )
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    message = "truncated has shape (2,), but should be (1,) = [state] [AutomatonReward]."
    assert run.stderr.endswith(f"ValueError: {message}\n")


@pytest.mark.parametrize(
    ("mistake", "message"), COMPLAINTS, ids=[message for _, message in COMPLAINTS]
)
def test_complaint(mistake: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        mistake()
