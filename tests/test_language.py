"""Strings, their fixed order, ranks and padded batches, against the oracle's plain enumeration."""

import re
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandit_rlhf.language import Language, TokenBatch
from bandit_rlhf.laws import oracle
from tests.worlds import SHAPES

ROOT = Path(__file__).resolve().parents[1]
LETTERS = Language(("a", "b"), horizon=3, end="$")


def language_of(size: int, horizon: int, end: bool) -> Language:
    return Language(tuple("abc"[:size]), horizon, "$" if end else None)


each_shape = pytest.mark.parametrize(
    ("size", "horizon", "end"), list(SHAPES), ids=lambda part: str(part)
)


@each_shape
def test_every_string_once_in_the_order_of_ranks(size: int, horizon: int, end: bool) -> None:
    language = language_of(size, horizon, end)
    listed = [language.unrank(rank) for rank in range(language.string_count)]
    assert sorted(listed) == oracle.strings(size, horizon, end)
    assert [language.rank(y) for y in listed] == list(range(len(listed)))
    # The documented order: by number of ordinary tokens, then with the last token most significant.
    content = [tuple(a for a in reversed(y) if a < size) for y in listed]
    assert content == sorted(content, key=lambda tokens: (len(tokens), tokens))
    batch = language.all_strings()
    assert batch.strings() == listed
    assert batch.ranks().tolist() == list(range(len(listed)))


@each_shape
def test_batch_marks_length_and_ending(size: int, horizon: int, end: bool) -> None:
    language = language_of(size, horizon, end)
    every = oracle.strings(size, horizon, end)
    batch = language.batch(every)
    assert len(batch) == len(every)
    assert batch.strings() == every
    assert batch.lengths.tolist() == [len(y) for y in every]
    terminated = [size in y for y in every]
    assert batch.terminated.tolist() == terminated
    assert [language.is_terminated(y) for y in every] == terminated
    assert (batch.tokens[~batch.mask] == language.pad_token).all()
    assert not np.isin(batch.tokens[batch.mask], language.pad_token).any()
    assert batch.ranks().tolist() == [language.rank(y) for y in every]


@each_shape
def test_padding_with_an_action_changes_nothing(size: int, horizon: int, end: bool) -> None:
    """The mask alone says what counts, even where an ordinary token or the end token pads."""
    language = language_of(size, horizon, end)
    plain = language.all_strings()
    for pad in range(language.action_count):
        padded = language.all_strings(pad=pad)
        assert padded.strings() == plain.strings() == language.batch(plain.strings(), pad).strings()
        assert (padded.tokens[~padded.mask] == pad).all()
        assert (padded.ranks() == plain.ranks()).all()
        assert (padded.terminated == plain.terminated).all()


def test_control_the_mask_matters() -> None:
    """Reading a batch padded with the end token without its mask would end truncated strings."""
    batch = LETTERS.batch([(0, 2), (0, 1, 0)], pad=2)
    blind = TokenBatch(LETTERS, batch.tokens, np.ones_like(batch.mask))
    assert blind.strings() == [(0, 2, 2), (0, 1, 0)]
    assert blind.lengths.tolist() != batch.lengths.tolist()


def test_terminated_and_truncated_at_the_horizon_are_two_strings() -> None:
    assert LETTERS.rank((0, 0, 2)) != LETTERS.rank((0, 0, 0))
    assert LETTERS.is_terminated((0, 0, 2))
    assert not LETTERS.is_terminated((0, 0, 0))
    assert LETTERS.content((0, 0, 2)) == (0, 0)


large = st.tuples(st.integers(1, 3), st.integers(1, 200), st.booleans())


@given(shape=large, fraction=st.fractions(0, 1))
def test_unrank_then_rank_at_any_size(shape: tuple[int, int, bool], fraction: Fraction) -> None:
    language = language_of(*shape)
    rank = int(fraction * (language.string_count - 1))
    string = language.unrank(rank)
    assert language.rank(string) == rank
    assert len(string) == language.horizon or language.is_terminated(string)


@given(shape=large)
def test_counts_are_geometric_sums(shape: tuple[int, int, bool]) -> None:
    size, horizon, _ = shape
    language = language_of(*shape)
    nodes = [sum(size**t for t in range(levels)) for levels in range(horizon + 2)]
    assert [language.node_count(levels) for levels in range(horizon + 2)] == nodes
    assert language.string_count == (nodes[-1] if language.end else size**horizon)


def test_words_and_tokens_are_inverse() -> None:
    assert LETTERS.tokens(["b", "a", "$"]) == (1, 0, 2)
    assert LETTERS.words((1, 0, 2)) == ("b", "a", "$")
    assert (LETTERS.end_token, LETTERS.pad_token, LETTERS.action_count) == (2, 3, 3)
    unending = Language(("a", "b"), 3)
    assert (unending.end_token, unending.pad_token, unending.action_count) == (None, 2, 2)


def test_a_batch_may_be_empty() -> None:
    batch = LETTERS.batch([])
    assert batch.tokens.shape == (0, 3)
    assert batch.strings() == []


# Bad input

HUGE = Language(tuple("abcdefghij"), horizon=400)
COMPLAINTS: list[tuple[Callable[[], Any], str]] = [
    (
        lambda: Language((), 2),
        "vocabulary is empty, but should be one token or more [Language].",
    ),
    (
        lambda: Language(("a", "b", "a"), 2),
        "token 'a' occurs twice, but should be distinct [Language].",
    ),
    (
        lambda: Language(("a", "b"), 2, end="b"),
        "end token 'b' is an ordinary token too, but should be outside the vocabulary [Language].",
    ),
    (
        lambda: Language(("a",), 0),
        "horizon is 0, but should be at least 1 [Language].",
    ),
    (
        lambda: LETTERS.token("c"),
        "word 'c' is unknown, but should be one of 2 tokens [Language].",
    ),
    (
        lambda: Language(("a", "b"), 3).token("$"),
        "word '$' is unknown, but should be one of 2 tokens [Language].",
    ),
    (
        lambda: LETTERS.rank((0, 2, 1)),
        "token 2 stands in (0, 2, 1), but should be 0..1 before the end [Language].",
    ),
    (
        lambda: LETTERS.rank((0, -1, 2)),
        "token -1 stands in (0, -1, 2), but should be 0..1 before the end [Language].",
    ),
    (
        lambda: LETTERS.rank((0, 1)),
        "(0, 1) has 2 tokens and no end token, but should be terminated within, or of exactly, "
        "3 tokens [Language].",
    ),
    (
        lambda: LETTERS.batch([(0, 1, 0, 2)]),
        "(0, 1, 0, 2) has 4 tokens and an end token, but should be terminated within, or of "
        "exactly, 3 tokens [Language].",
    ),
    (
        lambda: LETTERS.rank(()),
        "() has 0 tokens and no end token, but should be terminated within, or of exactly, "
        "3 tokens [Language].",
    ),
    (
        lambda: LETTERS.unrank(15),
        "rank is 15, but should be within 0..14 [Language].",
    ),
    (
        lambda: LETTERS.unrank(-1),
        "rank is -1, but should be within 0..14 [Language].",
    ),
    (
        lambda: HUGE.unrank(10**400),
        "rank is 1e400, but should be within 0..1e400 [Language].",
    ),
    (
        lambda: HUGE.batch([]).ranks(),
        "the language has 1e400 strings, but should be at most 2^63 - 1 [TokenBatch.ranks]. "
        "Use Language.rank, which has no limit, string by string.",
    ),
    (
        lambda: HUGE.all_strings(),
        "1e400 strings need 6.33e394 GiB, but should be within the memory limit of",
    ),
    (
        lambda: LETTERS.all_strings(memory_limit=15 * 17 * 3 - 1),
        "15 strings need 7.1e-07 GiB, but should be within the memory limit of 7.1e-07 GiB "
        "[Language.all_strings]. Shorten the horizon, or use exact.lattice, which does not "
        "enumerate.",
    ),
]


@pytest.mark.parametrize(
    ("mistake", "message"), COMPLAINTS, ids=[message for _, message in COMPLAINTS]
)
def test_complaint(mistake: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        mistake()


def test_control_a_batch_that_fits_is_made() -> None:
    assert len(LETTERS.all_strings(memory_limit=15 * 17 * 3)) == 15


def test_a_numpy_horizon_does_not_overflow() -> None:
    """In a process without type checking, where a numpy integer gets as far as V^horizon."""
    program = (
        "import numpy as np\n"
        "from bandit_rlhf.language import Language\n"
        "print(Language(('a', 'b'), np.int64(100)).string_count == 2**100)\n"
        "print(2 ** np.int64(100) == 2**100)  # control\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == ["True", "False"]
