"""ARPA files: conditionals by the back-off formula, and damaged files named with their line."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bandit_rlhf.arpa import from_arpa

Gram = tuple[str, ...]
Model = dict[Gram, tuple[float, float]]
"""From n-gram to its probability and its back-off weight, as probabilities, not logarithms."""

WORDS = ("a", "b", "c")
ACTIONS = (*WORDS, "</s>")


def by_back_off(model: Model, history: Gram, word: str) -> float:
    """p(word | history) = listed, else weight(history) p(word | history without its oldest)."""
    if (*history, word) in model:
        return model[*history, word][0]
    weight = model[history][1] if history in model else 1.0
    return weight * by_back_off(model, history[1:], word)


def random_model(order: int, seed: int) -> Model:
    """A back-off model whose every row sums to one, listing half of all n-grams."""
    rng = np.random.default_rng(seed)
    unigram = rng.dirichlet(np.ones(len(ACTIONS)))
    model: Model = {(w,): (float(p), 1.0) for w, p in zip(ACTIONS, unigram, strict=True)}
    model["<s>",] = (0.0, 1.0)
    histories: list[Gram] = [("<s>",), *((word,) for word in WORDS)]
    for _ in range(order):
        longer: list[Gram] = []
        for history in histories:
            listed = [word for word in ACTIONS if rng.random() < 0.5][:3]
            chances = rng.dirichlet(np.ones(len(listed) + 1))[: len(listed)]
            left = sum(by_back_off(model, history[1:], w) for w in ACTIONS if w not in listed)
            model[history] = (model[history][0], (1 - chances.sum()) / left)
            for word, chance in zip(listed, chances, strict=True):
                model[*history, word] = (float(chance), 1.0)
            longer += [(*history, word) for word in listed if word != "</s>"]
        histories = longer
    return model


def logarithm(value: float, zero: str) -> str:
    return repr(math.log10(value)) if value else zero


def written(model: Model, zero: str = "-99", separator: str = "\t") -> str:
    """The file, with weights left out where they are one."""
    longest = max(len(gram) for gram in model)
    sections = [[g for g in model if len(g) == n] for n in range(1, longest + 1)]
    lines = ["Made by a test.", "", "\\data\\"]
    lines += [f"ngram {n}={len(grams)}" for n, grams in enumerate(sections, 1)]
    for n, grams in enumerate(sections, 1):
        lines += ["", f"\\{n}-grams:"]
        for gram in grams:
            value, weight = model[gram]
            back_off = [] if weight == 1.0 else [logarithm(weight, "-99")]
            lines.append(separator.join([logarithm(value, zero), " ".join(gram), *back_off]))
    return "\n".join([*lines, "", "\\end\\", ""])


def histories(order: int) -> list[Gram]:
    """Every text of at most order + 1 words since the start."""
    texts: list[Gram] = [()]
    for _ in range(order + 1):
        texts += [(*text, word) for text in texts for word in WORDS]
    return list(dict.fromkeys(texts))


def assert_same(path: Path, model: Model, order: int) -> None:
    policy = from_arpa(path, horizon=6)
    assert policy.order == order
    assert set(policy.language.vocabulary) == set(WORDS)
    actions = (*policy.language.vocabulary, "</s>")
    for text in histories(order):
        context = ("<s>", *text)[max(0, len(text) + 1 - order) :]
        expected = [by_back_off(model, context, word) for word in actions]
        difference = np.abs(policy.next_token_law(text) - expected).max()
        assert difference <= 1e-12, f"law after {text} differs by {difference}"


@pytest.mark.parametrize("order", [0, 1, 2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_conditionals_follow_the_back_off_formula(tmp_path: Path, order: int, seed: int) -> None:
    model = random_model(order, seed)
    path = tmp_path / "model.arpa"
    path.write_text(written(model))
    assert_same(path, model, order)


@pytest.mark.parametrize(("zero", "separator"), [("-99", " "), ("-inf", "\t"), ("-99.0", "   ")])
def test_dialects_of_zero_and_of_space(tmp_path: Path, zero: str, separator: str) -> None:
    model = random_model(1, seed=9)
    path = tmp_path / "model.arpa"
    path.write_text(written(model, zero, separator))
    assert_same(path, model, 1)


# A bigram model by hand, two words; <s> a = 0.5 is listed, all else after <s> is backed off.
BY_HAND = """\\data\\
ngram 1=4
ngram 2=2

\\1-grams:
-0.30102999566398120\ta\t0
-0.60205999132796239\tb
-99\t<s>\t-0.0
-0.60205999132796239\t</s>

\\2-grams:
-0.30102999566398120\t<s> a
0\ta b

\\end\\
"""


def test_rows_by_hand(tmp_path: Path) -> None:
    """After <s>: a 1/2, the rest 1 x unigram; after a: b alone, once its weight is zero."""
    path = tmp_path / "hand.arpa"
    path.write_text(BY_HAND.replace("a\t0\n", "a\t-99\n"))
    policy = from_arpa(path, horizon=3)
    assert policy.language.vocabulary == ("a", "b")
    assert policy.language.end == "</s>"
    np.testing.assert_allclose(policy.next_token_law(()), [0.5, 0.25, 0.25], atol=1e-15)
    np.testing.assert_allclose(policy.next_token_law(("a",)), [0.0, 1.0, 0.0], atol=1e-15)
    np.testing.assert_allclose(policy.next_token_law(("b",)), [0.5, 0.25, 0.25], atol=1e-15)


@pytest.mark.parametrize("zero", ["-99", "-99.0000", "-inf"])
def test_the_sign_for_zero_is_zero(tmp_path: Path, zero: str) -> None:
    path = tmp_path / "hand.arpa"
    path.write_text(BY_HAND.replace("-0.60205999132796239\tb", f"{zero}\tb"))
    policy = from_arpa(path, horizon=3, renormalise=True)
    np.testing.assert_allclose(policy.next_token_law(("b",)), np.array([2, 0, 1]) / 3)
    assert policy.log_probs[policy.context(("b",)), 1] == -math.inf


def test_rows_that_do_not_sum_to_one_are_refused_or_renormalised(tmp_path: Path) -> None:
    path = tmp_path / "hand.arpa"
    path.write_text(BY_HAND)  # after a: b with probability 1, and the others backed off
    with pytest.raises(ValueError, match=r"^exp\(log_probs\)\[1\] sums to 1\.75, but should be 1"):
        from_arpa(path, horizon=3)
    policy = from_arpa(path, horizon=3, renormalise=True)
    np.testing.assert_allclose(policy.next_token_law(("a",)), np.array([2, 4, 1]) / 7)
    np.testing.assert_allclose(policy.next_token_law(()), [0.5, 0.25, 0.25])


def test_a_word_may_hold_any_space_but_blank_and_tab(tmp_path: Path) -> None:
    path = tmp_path / "hand.arpa"
    word = "o\u00a0clock"
    path.write_text(BY_HAND.replace("b", word), encoding="utf-8")
    policy = from_arpa(path, horizon=3, renormalise=True)
    assert policy.language.vocabulary == ("a", word)


# Broken twins, each of which the comparison must catch


TWINS: dict[str, Callable[[Model], Model]] = {
    "back-off weights ignored": lambda model: {g: (p, 1.0) for g, (p, _) in model.items()},
    "the start taken for an unseen word": lambda model: {
        g: entry for g, entry in model.items() if "<s>" not in g
    },
    "longest n-grams ignored": lambda model: {g: entry for g, entry in model.items() if len(g) < 3},
}


@pytest.mark.parametrize("twin", TWINS)
def test_control_a_broken_twin_is_caught(tmp_path: Path, twin: str) -> None:
    model = random_model(2, seed=1)
    path = tmp_path / "model.arpa"
    path.write_text(written(model))
    assert_same(path, model, 2)
    with pytest.raises(AssertionError, match="differs by"):
        assert_same(path, TWINS[twin](model), 2)


# Damaged files

LINE = "log10 of a probability, 2 words and at most a back-off weight"
DAMAGE: dict[str, tuple[str, str, str]] = {
    "no number": (
        "0\ta b",
        "zero\ta b",
        rf"^the line is 'zero\\ta b', but should be {LINE} \[.*, ",
    ),
    "too few words": ("0\ta b", "0\ta", r"^the line is '0\\ta', but should be .*, line 13\]"),
    "too many fields": ("0\ta b", "0\ta b 0 0", r"^the line is '0\\ta b 0 0', .*line 13\]"),
    "positive logarithm": ("0\ta b", "0.5\ta b", r"^the line is '0\.5\\ta b', .*line 13\]"),
    "not a number": ("0\ta b", "nan\ta b", r"^the line is 'nan\\ta b', .*line 13\]"),
    "infinite weight": ("0\ta b", "0\ta b inf", r"^the line is '0\\ta b inf', .*line 13\]"),
    "unknown word": ("0\ta b", "0\ta z", r"^'z' is no 1-gram, but should be listed .*line 13\]"),
    "twice": ("0\ta b", "0\t<s> a", r"^'<s> a' is listed twice, but should be once .*line 13\]"),
    "section missing": ("2-grams", "3-grams", r"^section \\3-grams: follows 1-grams, .*line 11\]"),
    "cut": ("\\end\\\n", "", r"hand\.arpa has no closing line, but should be an ARPA file"),
    "line lost": ("0\ta b\n", "", r"hand\.arpa lists 1 2-grams, but should be 2, as its header"),
    "section lost": (
        "\\2-grams:\n-0.30102999566398120\t<s> a\n0\ta b\n",
        "",
        r"hand\.arpa lists 0 2-grams, but should be 2, as its header says",
    ),
    "no end token": ("</s>", "<end>", r"hand\.arpa has no </s>, but should be an end token"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_named(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "hand.arpa"
    path.write_text(BY_HAND)
    assert from_arpa(path, horizon=3, renormalise=True).order == 1  # control
    whole, damaged, message = DAMAGE[damage]
    assert BY_HAND.count(whole) == 1
    path.write_text(BY_HAND.replace(whole, damaged))
    with pytest.raises(ValueError, match=message):
        from_arpa(path, horizon=3, renormalise=True)


def test_files_of_another_kind_are_refused(tmp_path: Path) -> None:
    for name, content in (("empty", b""), ("text", b"To be, or not"), ("gzip", b"\x1f\x8b\xff")):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(ValueError, match=rf"{name} has no n-gram section, but should be an"):
            from_arpa(path, horizon=3)
    with pytest.raises(FileNotFoundError):
        from_arpa(tmp_path / "nowhere", horizon=3)


def test_a_model_too_large_for_memory_is_refused(tmp_path: Path) -> None:
    """A trigram table over 5,000 words has 10^11 entries, however few the file lists."""
    words = [f"w{i}" for i in range(5000)]
    chance = 1 / (len(words) + 1)
    model: Model = {(word,): (chance, 1.0) for word in (*words, "</s>")}
    model["<s>",] = (0.0, 1.0)
    model["<s>", "w1"] = model["<s>", "w1", "w2"] = (0.5, 1.0)
    path = tmp_path / "large.arpa"
    path.write_text(written(model))
    with pytest.raises(ValueError, match=r"table entries need .* GiB.*\[from_arpa\]"):
        from_arpa(path, horizon=3)
