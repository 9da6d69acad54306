"""Language models counted from text, against a recount with dictionaries and fractions."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit_rlhf import corpus
from bandit_rlhf.corpus import END, UNKNOWN, Smoothing, english_text, from_text, sentences
from bandit_rlhf.ngram import MarkovPolicy

START = "<s>"
History = tuple[str, ...]
SMOOTHINGS: tuple[Smoothing, ...] = ("witten-bell", "absolute", "add-constant")


@dataclass
class Recount:
    """The model by its formulas, one probability at a time, with a switch for each mistake."""

    said: list[list[str]]
    vocabulary: tuple[str, ...]
    order: int
    smoothing: Smoothing
    constant: Fraction = Fraction(1)
    mistake: str = ""
    counts: dict[History, Counter[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for sentence in self.said:
            known = [w if w in self.vocabulary else UNKNOWN for w in sentence]
            text = [START, *known, END]
            for t in range(1, len(text)):
                for width in range(min(t, self.order) + 1):
                    history = tuple(text[t - width : t])
                    self.counts.setdefault(history, Counter())[text[t]] += 1
        if self.mistake == "the end is not counted":
            for counter in self.counts.values():
                counter.pop(END, None)

    @property
    def actions(self) -> tuple[str, ...]:
        return (*self.vocabulary, END)

    def history(self, words: History) -> History:
        """The last tokens, with the start before them if it is among the last."""
        text = (START, *words)
        kept = text[max(0, len(text) - self.order) :]
        return (
            kept[1:] if self.mistake == "the start is nothing special" and START in kept else kept
        )

    def discount(self, history: History) -> Fraction:
        """D of the histories of the same length, at the start or not."""
        alike = [
            counter
            for other, counter in self.counts.items()
            if len(other) == len(history) and (START in other) == (START in history)
        ]
        seen = Counter(times for counter in alike for times in counter.values())
        if self.mistake == "half is taken off always" or not seen[1]:
            return Fraction(1, 2)
        return Fraction(seen[1], seen[1] + 2 * seen[2])

    def probability(self, history: History | None, word: str) -> Fraction:
        if history is None:
            return Fraction(1, len(self.actions))
        counter = self.counts.get(history, Counter())
        count, total, distinct = counter[word], sum(counter.values()), len(counter)
        if self.smoothing == "add-constant":
            added = self.constant * (2 if self.mistake == "added twice" else 1)
            return (count + added) / (total + added * len(self.actions))
        fallback = history[1:] if history else None
        if self.mistake == "the newest word is dropped" and history:
            fallback = history[:-1]
        lower = self.probability(fallback, word)
        if not total:
            return lower
        if self.smoothing == "witten-bell":
            distinct += self.mistake == "one follower too many"
            return (count + distinct * lower) / (total + distinct)
        discount = self.discount(history)
        return (max(count - discount, 0) + discount * distinct * lower) / total


def assert_recounted(model: MarkovPolicy, recount: Recount, prompts: list[History]) -> None:
    assert model.language.vocabulary == recount.vocabulary
    for prompt in prompts:
        law = model.next_token_law(prompt)
        history = recount.history(prompt)
        expected = [float(recount.probability(history, word)) for word in recount.actions]
        difference = np.abs(law - expected).max()
        assert difference <= 1e-12, f"law after {prompt} differs by {difference}"


def all_prompts(vocabulary: tuple[str, ...], longest: int) -> list[History]:
    prompts: list[History] = [()]
    for _ in range(longest):
        prompts += [(*prompt, word) for prompt in prompts for word in vocabulary]
    return list(dict.fromkeys(prompts))


TEXTS = st.lists(
    st.lists(st.sampled_from(["a", "b", "c", "dd", "e"]), min_size=1, max_size=6),
    min_size=1,
    max_size=8,
)


@settings(max_examples=80)
@given(
    said=TEXTS,
    order=st.integers(0, 2),
    size=st.integers(2, 6),
    smoothing=st.sampled_from(SMOOTHINGS),
)
def test_model_is_the_recount(
    said: list[list[str]], order: int, size: int, smoothing: Smoothing
) -> None:
    if max(map(len, said)) <= order:
        said = [*said, ["a"] * (order + 1)]
    text = ". ".join(" ".join(sentence) for sentence in said)
    model = from_text(text, order, 5, size, smoothing, constant=0.25)
    recount = Recount(said, model.language.vocabulary, order, smoothing, Fraction(1, 4))
    assert_recounted(model, recount, all_prompts(model.language.vocabulary, order))
    np.testing.assert_allclose(np.exp(model.log_probs).sum(axis=1), 1.0, rtol=1e-12)
    assert np.isfinite(model.log_probs).all()


ENGLISH = """The cat sat on the mat. The cat ran! Did the dog see the cat? The dog sat; the cat ran
on. A dog ran on the mat: the cat saw it."""


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
@pytest.mark.parametrize("order", [0, 1, 2, 3])
@pytest.mark.parametrize("unit", ["word", "letter"])
def test_words_and_letters_of_a_text_are_the_recount(
    smoothing: Smoothing, order: int, unit: corpus.Unit
) -> None:
    model = from_text(ENGLISH, order, 5, 6, smoothing, unit=unit)
    said = list(sentences(ENGLISH, unit))
    recount = Recount(said, model.language.vocabulary, order, smoothing)
    assert UNKNOWN in model.language.vocabulary
    assert_recounted(model, recount, all_prompts(model.language.vocabulary, min(order + 1, 3)))


def test_one_row_by_hand() -> None:
    """'the' is followed by cat, cat, dog: Witten-Bell gives cat (2 + 2 p(cat)) / 5."""
    model = from_text("the cat. the cat. the dog.", order=1, horizon=4, vocabulary_size=5)
    assert model.language.vocabulary == ("the", "cat", "dog")
    unigram = {"the": 3, "cat": 2, "dog": 1, END: 3}
    lower = {word: (count + 4 / 4) / (9 + 4) for word, count in unigram.items()}
    law = dict(zip((*model.language.vocabulary, END), model.next_token_law(("the",)), strict=True))
    assert law["cat"] == pytest.approx((2 + 2 * lower["cat"]) / 5)
    assert law["dog"] == pytest.approx((1 + 2 * lower["dog"]) / 5)
    assert law[END] == pytest.approx(2 * lower[END] / 5)
    start = dict(zip(law, model.next_token_law(()), strict=True))
    assert start["the"] == pytest.approx((3 + lower["the"]) / 4)


# Text


def test_sentences_end_where_they_should() -> None:
    text = "One two.  Three: four; five?\n\nSix's 7 o'clock -- \n\n 3.14, e.g. this!"
    assert list(sentences(text)) == [
        ["one", "two"],
        ["three"],
        ["four"],
        ["five"],
        ["six's", "o'clock"],
        ["e", "g"],
        ["this"],
    ]
    assert list(sentences("Ab c.", "letter")) == [["a", "b", " ", "c"]]
    assert list(sentences("12. !")) == []


def test_the_most_frequent_words_are_kept_and_ties_are_alphabetical() -> None:
    said = [["b", "a", "c", "c"], ["b", "a", "d"]]
    assert corpus.most_frequent(said, 4) == ("a", "b", "c", "d")
    assert corpus.most_frequent(said, 3) == ("a", "b", UNKNOWN)
    assert corpus.most_frequent(said, 9) == ("a", "b", "c", "d")


def test_english_text_ships_with_python() -> None:
    """Documentation of a language in English: thousands of words, `the` first among them."""
    said = list(sentences(english_text()))
    words = Counter(word for sentence in said for word in sentence)
    assert words.total() > 40_000
    assert len(words) > 3_000
    assert words.most_common(1)[0][0] == "the"


def test_english_prefixes_are_prompts() -> None:
    """Openings of real sentences; the model after each is the recount's."""
    model = from_text(english_text(), order=1, horizon=16, vocabulary_size=60)
    said = list(sentences(english_text()))
    recount = Recount(said, model.language.vocabulary, 1, "witten-bell")
    known = (s for s in said if len(s) > 4 and all(w in recount.vocabulary for w in s[:3]))
    prompts = [tuple(sentence[:3]) for sentence in islice(known, 20)]
    assert len(prompts) == 20
    assert_recounted(model, recount, [(), *prompts])
    batch = model.sample(np.random.default_rng(0), 50, prompts[0])
    assert np.isfinite(model.log_prob(batch, prompts[0])).all()


def test_a_higher_order_fits_its_own_text_better() -> None:
    """Mean log-probability of the text's sentences; the unigram model is the control."""

    def fit(order: int) -> float:
        model = from_text(english_text(), order, horizon=40, vocabulary_size=50)
        known = [s for s in sentences(english_text()) if len(s) < 40]
        table = {word: i for i, word in enumerate(model.language.vocabulary)}
        unknown = table[UNKNOWN]
        strings = [(*(table.get(word, unknown) for word in s), len(table)) for s in known[:500]]
        return float(model.log_prob(model.language.batch(strings)).mean())

    unigram, bigram, trigram = (fit(order) for order in (0, 1, 2))
    assert unigram + 1 < bigram < trigram - 1


# Broken twins, each of which the recount must catch


MISTAKES: list[tuple[str, Smoothing]] = [
    ("the start is nothing special", "witten-bell"),
    ("one follower too many", "witten-bell"),
    ("the end is not counted", "witten-bell"),
    ("the newest word is dropped", "witten-bell"),
    ("half is taken off always", "absolute"),
    ("the start is nothing special", "absolute"),
    ("added twice", "add-constant"),
    ("the end is not counted", "add-constant"),
]


@pytest.mark.parametrize(("mistake", "smoothing"), MISTAKES)
def test_control_a_mistake_is_caught(mistake: str, smoothing: Smoothing) -> None:
    said = list(sentences(ENGLISH))
    model = from_text(ENGLISH, 2, 5, 8, smoothing)
    prompts = all_prompts(model.language.vocabulary, 2)
    assert_recounted(model, Recount(said, model.language.vocabulary, 2, smoothing), prompts)
    broken = Recount(said, model.language.vocabulary, 2, smoothing, mistake=mistake)
    with pytest.raises(AssertionError, match="differs by"):
        assert_recounted(model, broken, prompts)


# Bad input


def test_errors_name_what_is_wrong() -> None:
    text = "one two three. four five."
    cases: list[tuple[str, Callable[[], object]]] = [
        (
            r"^the text's longest sentence has 3 words, but should be more than the order, 3 "
            r"\[from_text\]\. Give more text, or lower the order\.$",
            lambda: from_text(text, 3, 5, 9),
        ),
        (r"^the text's longest sentence has 0 words", lambda: from_text("12 34", 0, 5, 9)),
        (r"^order is -1, but should be at least 0", lambda: from_text(text, -1, 5, 9)),
        (r"^vocabulary_size is 1, but should be at least 2", lambda: from_text(text, 1, 5, 1)),
        (r"^horizon is 0, but should be at least 1", lambda: from_text(text, 1, 0, 9)),
        (
            r"^constant is 0, but should be above 0",
            lambda: from_text(text, 1, 5, 9, "add-constant", constant=0.0),
        ),
        (
            r"table entries need .* GiB, but should be within the memory limit .*Lower the order",
            lambda: from_text(" ".join(map(word, range(3000))), 8, 5, 3000),
        ),
    ]
    for message, wrong in cases:
        with pytest.raises(ValueError, match=message):
            wrong()


def word(number: int) -> str:
    """Distinct words of letters."""
    return "".join("abcdefghij"[int(digit)] for digit in str(number))


def test_unknown_smoothing_and_unit_are_named() -> None:
    """Given as a user without a type checker would; the test session's own checker is by-passed."""
    smooth: Callable[..., MarkovPolicy] = getattr(from_text, "__wrapped__", from_text)
    split: Callable[..., Iterator[list[str]]] = getattr(sentences, "__wrapped__", sentences)
    with pytest.raises(ValueError, match=r"^smoothing is 'kneser', but should be 'witten-bell'"):
        smooth("a b c.", 1, 5, 9, smoothing="kneser")
    with pytest.raises(ValueError, match=r"^unit is 'syllable', but should be 'word' or 'letter'"):
        list(split("a b c.", unit="syllable"))
