"""Back-off n-gram models in ARPA format, read as Markov policies."""

import re
from pathlib import Path

import numpy as np

from bandit_rlhf import _check
from bandit_rlhf.language import Language
from bandit_rlhf.ngram import MarkovPolicy, context_count

START = "<s>"
END = "</s>"

Gram = tuple[str, ...]
Table = dict[Gram, tuple[float, float]]
"""From an n-gram to log10 of its probability and log10 of its back-off weight."""


def from_arpa(path: str | Path, horizon: int, renormalise: bool = False) -> MarkovPolicy:
    """Read a back-off n-gram model in ARPA format, as SRILM, KenLM and CMU Sphinx write it.

        p(a|h) = 10^listed(h a) if listed, else 10^backoff(h) p(a|h'),   h' = h without its oldest token

    `<s>` becomes the start of the string, `</s>` the end token; a model of n-grams has order n - 1.

    Args:
        path: the file.
        horizon: of the language.
        renormalise: divide each row by its sum; files printed with few digits are off by 1e-3 or so.

    Raises:
        ValueError: no ARPA file, a damaged line (named), rows that do not sum to one within 1e-9 unless
            `renormalise`; more contexts than fit in memory.
    """
    grams = _read(Path(path))
    order = len(grams) - 1
    vocabulary = tuple(word for (word,) in grams[0] if word not in (START, END))
    if (END,) not in grams[0]:
        raise ValueError(_check.complaint(f"{path} has no {END}", "an end token", "from_arpa"))
    language = Language(vocabulary, horizon, END)
    rows = context_count(len(vocabulary), order)
    what = "table entries"
    _check.fits_in_memory(what, rows * language.action_count, 24.0, "from_arpa", "Use a smaller model.")

    levels: list[list[Gram]] = [[()]]
    for _ in range(order):
        levels.append([(*context, word) for word in vocabulary for context in levels[-1]])
    table = _Conditionals(grams, (*vocabulary, END))
    at_start = [table.row((START, *context)) for level in levels[:-1] for context in level]
    logs = np.stack([*at_start, *(table.row(context) for context in levels[-1])]) * np.log(10.0)
    if renormalise:
        logs -= np.log(np.exp(logs).sum(axis=1, keepdims=True))
    return MarkovPolicy(language, order, logs)


class _Conditionals:
    """log10 p(. | context) by back-off, each row computed once."""

    def __init__(self, grams: list[Table], actions: Gram) -> None:
        self.grams, self.order = grams, len(grams) - 1
        self.position = {word: i for i, word in enumerate(actions)}
        self.listed: dict[Gram, list[tuple[int, float]]] = {}
        for gram, (value, _) in ((gram, entry) for table in grams for gram, entry in table.items()):
            if gram[-1] != START:
                self.listed.setdefault(gram[:-1], []).append((self.position[gram[-1]], value))
        self.known: dict[Gram, np.ndarray] = {}

    def row(self, context: Gram) -> np.ndarray:
        context = context[-self.order :] if self.order else ()
        if context not in self.known:
            if context:
                _, weight = self.grams[len(context) - 1].get(context, (0.0, 0.0))
                row = self.row(context[1:]) + weight
            else:
                row = np.full(len(self.position), -np.inf)
            for action, value in self.listed.get(context, ()):
                row[action] = value
            self.known[context] = row
        return self.known[context]


def _read(path: Path) -> list[Table]:
    """The tables of 1-grams, 2-grams and so on."""
    grams: list[Table] = []
    section, ended = 0, False
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            text = line.strip()
            if header := re.fullmatch(r"\\(\d+)-grams:", text):
                section = int(header[1])
                if section != len(grams) + 1:
                    got = f"section {text} follows {len(grams)}-grams"
                    raise ValueError(_check.complaint(got, "in order", f"{path}, line {number}"))
                grams.append({})
            elif text == "\\end\\":
                ended = True
                break
            elif section and text:
                fields = text.split()
                try:
                    value = float(fields[0])
                    weight = float(fields[section + 1]) if len(fields) > section + 1 else 0.0
                    if len(fields) not in (section + 1, section + 2):
                        raise ValueError
                except (ValueError, IndexError):
                    expected = f"log10 probability, {section} words and at most a back-off weight"
                    raise ValueError(
                        _check.complaint(f"the line is {text!r}", expected, f"{path}, line {number}")
                    ) from None
                # SRILM writes -99 for log10 of zero.
                grams[-1][tuple(fields[1 : section + 1])] = (value if value > -99 else -np.inf, weight)
    if not grams or not ended:
        got = f"{path} has {'no n-gram section' if not grams else 'no closing line'}"
        raise ValueError(_check.complaint(got, "an ARPA file up to its \\end\\", "from_arpa"))
    return grams
