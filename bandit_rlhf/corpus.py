"""From text to a Markov policy: where a real reference policy comes from without a download."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import numpy as np

from bandit_rlhf import _check
from bandit_rlhf._array import Float
from bandit_rlhf.language import Language
from bandit_rlhf.ngram import MarkovPolicy, context_count

UNKNOWN = "<unk>"
END = "</s>"
Smoothing = Literal["witten-bell", "absolute", "add-constant"]
Unit = Literal["word", "letter"]


def english_text() -> str:
    """The documentation text that ships with CPython (`pydoc_data.topics`), about 64,000 words.

    It belongs to the interpreter: another Python version has a slightly different text.
    """
    from pydoc_data import topics

    return "\n\n".join(topics.topics[name] for name in sorted(topics.topics))


def sentences(text: str, unit: Unit = "word") -> Iterator[list[str]]:
    """Lower-case sentences as lists of words, or of letters and spaces.

    A sentence ends at a full stop, question or exclamation mark, colon, semicolon or empty line;
    digits and other signs separate words. Empty sentences are left out.

    >>> list(sentences("To be, or not? It's 42."))
    [['to', 'be', 'or', 'not'], ["it's"]]
    """
    if unit not in ("word", "letter"):
        raise ValueError(_check.complaint(f"unit is {unit!r}", "'word' or 'letter'", "sentences"))
    for piece in re.split(r"[.!?:;](?:\s|$)|\n\s*\n", text.lower()):
        words = re.findall(r"[a-z]+(?:'[a-z]+)*", piece)
        if words:
            yield words if unit == "word" else list(" ".join(words))


def from_text(
    text: str,
    order: int,
    horizon: int,
    vocabulary_size: int,
    smoothing: Smoothing = "witten-bell",
    constant: float = 1.0,
    unit: Unit = "word",
) -> MarkovPolicy:
    """Count an order-k language model with a sentence end.

    With c(h, a) the number of times a follows context h, c(h) their sum, t(h) the number of
    distinct followers and h' the context without its oldest token:

        witten-bell   p(a|h) = (c(h,a) + t(h) p(a|h')) / (c(h) + t(h))
        absolute      p(a|h) = max(c(h,a) - D, 0)/c(h) + D t(h)/c(h) p(a|h'),   D = n1/(n1 + 2 n2)
        add-constant  p(a|h) = (c(h,a) + constant) / (c(h) + constant A)

    where A is the number of actions and n1, n2 count the pairs (h, a) seen once and twice among the
    contexts of h's length, those at the start of a sentence apart (D = 1/2 if none was seen once).
    A context never seen takes the law of h'; the recursion ends at the uniform law, so that every
    string has positive probability. A context at the start is counted there alone and falls back
    on the same tokens anywhere.

    Args:
        text: English or other text in Latin letters.
        order: k, at least 0.
        horizon: of the language.
        vocabulary_size: V with the unknown word included; the most frequent words are kept.
        smoothing: one of the three above.
        constant: the pseudo-count of `add-constant`, above 0.
        unit: words or letters.

    Raises:
        ValueError: a text too short for the order, an unknown smoothing, no room for the model in
            memory.

    Source: Witten and Bell 1991; Ney, Essen and Kneser 1994; both as in Chen and Goodman 1999,
        section 2.

    >>> model = from_text("the cat sat. the cat ran.", order=1, horizon=4, vocabulary_size=9)
    >>> model.language.vocabulary
    ('cat', 'the', 'ran', 'sat')
    >>> law = model.next_token_law(("the",))
    >>> bool(law.argmax() == model.language.token("cat")), round(float(law.sum()), 12)
    (True, 1.0)
    """
    _check.integer_at_least("order", order, 0, "from_text")
    _check.integer_at_least("vocabulary_size", vocabulary_size, 2, "from_text")
    constant = _check.positive("constant", constant, "from_text")
    if smoothing not in ("witten-bell", "absolute", "add-constant"):
        got = f"smoothing is {smoothing!r}"
        expected = "'witten-bell', 'absolute' or 'add-constant'"
        raise ValueError(_check.complaint(got, expected, "from_text"))
    said = list(sentences(text, unit))
    longest = max((len(sentence) for sentence in said), default=0)
    if longest <= order:
        got = f"the text's longest sentence has {longest} {unit}s"
        do = "Give more text, or lower the order."
        raise ValueError(_check.complaint(got, f"more than the order, {order}", "from_text", do))
    vocabulary = most_frequent(said, vocabulary_size)
    language = Language(vocabulary, horizon, END)
    entries, do = context_count(len(vocabulary), order) * language.action_count, "Lower the order."
    _check.fits_in_memory("table entries", entries, 40.0, "from_text", do)
    number = {word: i for i, word in enumerate(vocabulary)}
    ids = [[number.get(word, number.get(UNKNOWN, -1)) for word in sentence] for sentence in said]
    anywhere, at_start = _count(ids, len(vocabulary), order)
    table: list[np.ndarray] = []
    backoff = np.full((1, language.action_count), 1.0 / language.action_count)
    for length, counts in enumerate(anywhere):
        # Level-order numbering: dropping the oldest token of context i leaves context i // V.
        parents = np.arange(len(counts)) // len(vocabulary) if length else np.zeros(1, dtype=int)
        backoff = _smooth(counts, backoff[parents], smoothing, constant)
        table.append(backoff)
    rows_at_start = [_smooth(c, table[n], smoothing, constant) for n, c in enumerate(at_start)]
    return MarkovPolicy.from_probs(language, order, np.concatenate([*rows_at_start, table[order]]))


def most_frequent(said: Iterable[Sequence[str]], vocabulary_size: int) -> tuple[str, ...]:
    """The most frequent words, ties in alphabetical order; any others become one unknown word."""
    frequency = Counter(word for sentence in said for word in sentence)
    ranked = sorted(frequency, key=lambda word: (-frequency[word], word))
    if len(ranked) <= vocabulary_size:
        return tuple(ranked)
    return (*ranked[: vocabulary_size - 1], UNKNOWN)


def _count(
    ids: list[list[int]], size: int, order: int
) -> tuple[list[Float[np.ndarray, "_ action"]], list[Float[np.ndarray, "_ action"]]]:
    """Followers of every context of 0..order tokens anywhere, of 0..order-1 at the start."""
    anywhere = [np.zeros((size**n, size + 1)) for n in range(order + 1)]
    at_start = [np.zeros((size**n, size + 1)) for n in range(order)]
    for sentence in ids:
        for t, token in enumerate([*sentence, size]):
            index = 0
            for n in range(min(t, order) + 1):
                # Context of the last n tokens: the oldest is the lowest digit.
                index = 0 if n == 0 else index * size + sentence[t - n]
                anywhere[n][index, token] += 1
            if t < order:
                at_start[t][index, token] += 1
    return anywhere, at_start


def _smooth(
    counts: np.ndarray, backoff: np.ndarray, smoothing: Smoothing, constant: float
) -> Float[np.ndarray, "context action"]:
    total = counts.sum(axis=1, keepdims=True)
    if smoothing == "add-constant":
        return (counts + constant) / (total + constant * counts.shape[1])
    distinct = (counts > 0).sum(axis=1, keepdims=True)
    if smoothing == "witten-bell":
        kept, given_away, whole = counts, distinct, total + distinct
    else:
        once, twice = (counts == 1).sum(), (counts == 2).sum()
        discount = once / (once + 2 * twice) if once else 0.5
        kept, given_away, whole = np.maximum(counts - discount, 0.0), discount * distinct, total
    return np.where(total > 0, (kept + given_away * backoff) / np.maximum(whole, 1), backoff)
