"""A language: the finite set of strings that a policy can write.

A string is a tuple of token ids. Reading stops in one of two ways, and they are distinct cases:
*terminated* strings end with the end token, *truncated* ones are cut at the horizon without it.
With V ordinary tokens, horizon H and an end token there are 1 + V + ... + V^H strings, one for each
node of the prefix tree: the string terminated at a node above the horizon, the truncated string at
it. Without an end token all V^H strings are truncated.

The order of the strings is the order of the nodes: by level, and within a level by the index
i(a_1 ... a_t) = sum_k a_k V^(k-1). The child `a` of node i at level t is then node a V^t + i of
level t+1, so that an action-major array [action, node] of one level is, reshaped, the next level's
node array. `exact.tree` owes its speed to this; nothing else depends on the choice.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from bandit_rlhf import _check
from bandit_rlhf._array import Bool, Int

String = tuple[int, ...]
"""Token ids; the last is the end token exactly if the string is terminated."""


@dataclass(frozen=True)
class Language:
    """All strings over `vocabulary` of at most `horizon` tokens.

    Args:
        vocabulary: the V ordinary tokens, distinct and non-empty; token a has id a.
        horizon: the largest number of tokens of a string, the end token included; at least 1.
        end: the end token's name, whose id is V; None for strings of exactly `horizon` tokens.

    Raises:
        ValueError: empty or repeated vocabulary, horizon below 1, `end` among the ordinary tokens.

    >>> letters = Language(("a", "b"), horizon=3, end="$")
    >>> letters.string_count
    15
    >>> letters.words(letters.unrank(4))
    ('b', 'a', '$')
    """

    vocabulary: tuple[str, ...]
    horizon: int
    end: str | None = None

    def __post_init__(self) -> None:
        if not self.vocabulary:
            raise ValueError(
                _check.complaint("vocabulary is empty", "one token or more", "Language")
            )
        seen: set[str] = set()
        for token in self.vocabulary:
            if token in seen:
                raise ValueError(
                    _check.complaint(f"token {token!r} occurs twice", "distinct", "Language")
                )
            seen.add(token)
        if self.end in seen:
            got = f"end token {self.end!r} is an ordinary token too"
            raise ValueError(_check.complaint(got, "outside the vocabulary", "Language"))
        # A numpy integer would overflow in V^horizon.
        horizon = _check.integer_at_least("horizon", self.horizon, 1, "Language")
        object.__setattr__(self, "horizon", horizon)

    @property
    def vocabulary_size(self) -> int:
        """V, the number of ordinary tokens."""
        return len(self.vocabulary)

    @property
    def action_count(self) -> int:
        """The number of tokens a policy chooses from: V, and one more with an end token."""
        return self.vocabulary_size + (self.end is not None)

    @property
    def end_token(self) -> int | None:
        """The end token's id, V, or None."""
        return None if self.end is None else self.vocabulary_size

    @property
    def pad_token(self) -> int:
        """The id that fills a batch where no token stands; no policy ever emits it."""
        return self.action_count

    @property
    def string_count(self) -> int:
        """The exact number of strings, as a Python integer of any size."""
        if self.end is None:
            return self.vocabulary_size**self.horizon
        return self.node_count(self.horizon + 1)

    def node_count(self, levels: int) -> int:
        """Nodes of the prefix tree on its first `levels` levels: 1 + V + ... + V^(levels-1)."""
        size = self.vocabulary_size
        return levels if size == 1 else (size**levels - 1) // (size - 1)

    def token(self, word: str) -> int:
        """The id of one word.

        Raises:
            ValueError: the word is neither in the vocabulary nor the end token.
        """
        if word == self.end:
            return self.vocabulary_size
        try:
            return self.vocabulary.index(word)
        except ValueError:
            got = f"word {word!r} is unknown"
            raise ValueError(
                _check.complaint(got, f"one of {self.vocabulary_size} tokens", "Language")
            ) from None

    def tokens(self, words: Iterable[str]) -> String:
        """Words to token ids; the inverse of `words`."""
        return tuple(self.token(word) for word in words)

    def words(self, string: Iterable[int]) -> tuple[str, ...]:
        """Token ids to words."""
        names = self.vocabulary if self.end is None else (*self.vocabulary, self.end)
        return tuple(names[token] for token in string)

    def is_terminated(self, string: String) -> bool:
        """Whether the string ends with the end token, rather than being cut at the horizon."""
        return self.end is not None and string[-1:] == (self.vocabulary_size,)

    def content(self, string: String) -> String:
        """The ordinary tokens of a string, after checking that it is one.

        Raises:
            ValueError: the tokens are no string of this language.
        """
        content = string[:-1] if self.is_terminated(string) else string
        outside = [a for a in content if not 0 <= a < self.vocabulary_size]
        if outside:
            got, expected = (
                f"token {outside[0]} stands in {string}",
                f"0..{self.vocabulary_size - 1} before the end",
            )
            raise ValueError(_check.complaint(got, expected, "Language"))
        whole = (
            len(string) <= self.horizon
            if self.is_terminated(string)
            else len(string) == self.horizon
        )
        if not whole:
            article = "an" if self.is_terminated(string) else "no"
            got = f"{string} has {len(string)} tokens and {article} end token"
            expected = f"terminated within, or of exactly, {self.horizon} tokens"
            raise ValueError(_check.complaint(got, expected, "Language"))
        return content

    def rank(self, string: String) -> int:
        """The string's place in the fixed order, without enumerating.

        rank(a_1 ... a_t) = (1 + V + ... + V^(t-1)) + sum_k a_k V^(k-1); without an end token the
        sum alone.
        """
        content = self.content(string)
        index = 0
        for token in reversed(content):
            index = index * self.vocabulary_size + token
        return index if self.end is None else self.node_count(len(content)) + index

    def unrank(self, rank: int) -> String:
        """The string at a place of the fixed order; the inverse of `rank`.

        >>> binary = Language(("0", "1"), horizon=200, end="$")
        >>> binary.rank(binary.unrank(10**50)) == 10**50
        True
        """
        if not 0 <= rank < self.string_count:
            got = f"rank is {_check.numeral(rank)}"
            expected = f"within 0..{_check.numeral(self.string_count - 1)}"
            raise ValueError(_check.complaint(got, expected, "Language"))
        length = self.horizon
        if self.end is not None:
            length = next(t for t in range(self.horizon + 1) if rank < self.node_count(t + 1))
            rank -= self.node_count(length)
        content = []
        for _ in range(length):
            rank, token = divmod(rank, self.vocabulary_size)
            content.append(token)
        terminated = () if length == self.horizon else (self.vocabulary_size,)
        return (*content, *terminated)

    def batch(self, strings: Sequence[String], pad: int | None = None) -> "TokenBatch":
        """Strings as one padded batch, `horizon` columns wide.

        Args:
            strings: strings of this language.
            pad: the id written after a string's last token; the end token's id is allowed, since
                the mask alone says what counts.
        """
        tokens = np.full(
            (len(strings), self.horizon), self.pad_token if pad is None else pad, np.int64
        )
        mask = np.zeros(tokens.shape, dtype=bool)
        for row, string in enumerate(strings):
            self.content(string)
            tokens[row, : len(string)] = string
            mask[row, : len(string)] = True
        return TokenBatch(self, tokens, mask)

    def all_strings(self, pad: int | None = None, memory_limit: int | None = None) -> "TokenBatch":
        """Every string in the fixed order, [string, token].

        Raises:
            ValueError: the batch would not fit in memory; the message names the number of strings.
        """
        _check.fits_in_memory(
            "strings",
            self.string_count,
            17.0 * self.horizon,
            "Language.all_strings",
            "Shorten the horizon, or use exact.lattice, which does not enumerate.",
            memory_limit,
        )
        levels = [self.horizon] if self.end is None else range(self.horizon + 1)
        fill = self.pad_token if pad is None else pad
        blocks = []
        for length in levels:
            block = np.full((self.vocabulary_size**length, self.horizon), fill, np.int64)
            index = np.arange(len(block))
            for column in range(length):
                index, block[:, column] = np.divmod(index, self.vocabulary_size)
            if length < self.horizon:
                block[:, length] = self.vocabulary_size
            blocks.append(block)
        tokens = np.concatenate(blocks)
        lengths = np.concatenate(
            [np.full(len(b), min(t + 1, self.horizon)) for t, b in zip(levels, blocks, strict=True)]
        )
        return TokenBatch(self, tokens, np.arange(self.horizon) < lengths[:, None])


@dataclass(frozen=True, eq=False)
class TokenBatch:
    """Strings as padded rows.

    Args:
        language: whose strings these are.
        tokens: token ids [string, token]; what stands where the mask is False means nothing.
        mask: True where a token belongs to its string, the end token included [string, token].
    """

    language: Language
    tokens: Int[np.ndarray, "string token"]
    mask: Bool[np.ndarray, "string token"]

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def lengths(self) -> Int[np.ndarray, " string"]:
        """Number of tokens of each string, the end token included."""
        return self.mask.sum(axis=1)

    @property
    def terminated(self) -> Bool[np.ndarray, " string"]:
        """True where the string ends with the end token, False where the horizon cut it."""
        if self.language.end_token is None:
            return np.zeros(len(self), dtype=bool)
        return (self.mask & (self.tokens == self.language.end_token)).any(axis=1)

    def strings(self) -> list[String]:
        """The rows as tuples of token ids, without padding."""
        return [tuple(row[keep].tolist()) for row, keep in zip(self.tokens, self.mask, strict=True)]

    def ranks(self) -> Int[np.ndarray, " string"]:
        """The rank of every row, in 64-bit integers.

        Raises:
            ValueError: the language has more strings than 64-bit integers can number.
        """
        language = self.language
        if language.string_count > np.iinfo(np.int64).max:
            got = f"the language has {_check.numeral(language.string_count)} strings"
            do = "Use Language.rank, which has no limit, string by string."
            raise ValueError(_check.complaint(got, "at most 2^63 - 1", "TokenBatch.ranks", do))
        content = self.mask & (self.tokens < language.vocabulary_size)
        digits = np.where(content, self.tokens, 0)
        powers = np.array(
            [language.vocabulary_size**k for k in range(self.tokens.shape[1])], np.int64
        )
        index = digits @ powers
        if language.end is None:
            return index
        offsets = np.array([language.node_count(t) for t in range(language.horizon + 1)], np.int64)
        return offsets[content.sum(axis=1)] + index
