"""Back-off n-gram models in ARPA format, read as Markov policies."""

import re
from pathlib import Path

import numpy as np

from bandit_rlhf import _check
from bandit_rlhf.language import Language
from bandit_rlhf.ngram import MarkovPolicy, context_count

START = "<s>"
END = "</s>"
LOG_OF_ZERO = -99.0
"""What SRILM writes for log10 of zero, where others write -inf."""

Gram = tuple[str, ...]
Table = dict[Gram, tuple[float, float]]
"""From an n-gram to log10 of its probability and log10 of its back-off weight."""


def from_arpa(path: str | Path, horizon: int, renormalise: bool = False) -> MarkovPolicy:
    r"""Read a back-off n-gram model in ARPA format, as SRILM, KenLM and CMU Sphinx write it.

        p(a|h) = 10^listed(h a) if listed, else 10^backoff(h) p(a|h')

    where h' is h without its oldest token. `<s>` becomes the start of the string, `</s>` the end
    token; a model of n-grams has order n - 1.

    Args:
        path: the file.
        horizon: of the language.
        renormalise: divide each row by its sum, which may be off by 1e-3 where few digits were
            printed.

    Raises:
        ValueError: no ARPA file, a damaged line (named), other counts than the header's, rows that
            do not sum to one within 1e-9 unless `renormalise`; more contexts than fit in memory.

    >>> import tempfile
    >>> lines = r"\data\,ngram 1=2,\1-grams:,-0.30103 yes,-0.30103 </s>,\end\ ".split(",")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "yes.arpa").write_text("\n".join(lines))
    ...     model = from_arpa(Path(folder, "yes.arpa"), horizon=8, renormalise=True)
    >>> model.language.vocabulary, model.next_token_law()
    (('yes',), array([0.5, 0.5]))
    """
    grams = _read(Path(path))
    order = len(grams) - 1
    vocabulary = tuple(word for (word,) in grams[0] if word not in (START, END))
    if (END,) not in grams[0]:
        raise ValueError(_check.complaint(f"{path} has no {END}", "an end token", "from_arpa"))
    language = Language(vocabulary, horizon, END)
    entries = context_count(len(vocabulary), order) * language.action_count
    _check.fits_in_memory("table entries", entries, 24.0, "from_arpa", "Use a smaller model.")

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
    """The log10 p(. | context) by back-off, each row computed once."""

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
    """The tables of 1-grams, 2-grams and so on, after checking them against the header's counts."""
    grams: list[Table] = []
    announced: dict[int, int] = {}
    ended = False
    # Words are separated by blanks and tabs alone; other kinds of space may stand inside a word.
    with open(path, encoding="utf-8", errors="surrogateescape") as lines:
        for number, line in enumerate(lines, 1):
            text, where = line.strip(" \t\r\n"), f"{path}, line {number}"
            if header := re.fullmatch(r"\\(\d+)-grams:", text):
                if int(header[1]) != len(grams) + 1:
                    got = f"section {text} follows {len(grams)}-grams"
                    raise ValueError(_check.complaint(got, "in order", where))
                grams.append({})
            elif text == "\\end\\":
                ended = True
                break
            elif not grams and (count := re.fullmatch(r"ngram (\d+) *= *(\d+)", text)):
                announced[int(count[1])] = int(count[2])
            elif grams and text:
                gram, entry = _entry(text, grams, where)
                grams[-1][gram] = entry
    if not grams or not ended:
        got = f"{path} has {'no n-gram section' if not grams else 'no closing line'}"
        raise ValueError(_check.complaint(got, "an ARPA file up to its \\end\\", "from_arpa"))
    found = {n: len(table) for n, table in enumerate(grams, 1)}
    for n in sorted(announced.keys() | found.keys()) if announced else ():
        if announced.get(n, 0) != found.get(n, 0):
            got = f"{path} lists {found.get(n, 0)} {n}-grams"
            expected = f"{announced.get(n, 0)}, as its header says"
            raise ValueError(_check.complaint(got, expected, "from_arpa", "Fetch the file again."))
    return grams


def _entry(text: str, grams: list[Table], where: str) -> tuple[Gram, tuple[float, float]]:
    """One line of the last section: the n-gram, log10 of its probability, log10 of its weight."""
    words, fields = len(grams), re.split(r"[ \t]+", text)
    gram = tuple(fields[1 : words + 1])
    try:
        value, weight = float(fields[0]), float(fields[words + 1]) if fields[words + 1 :] else 0.0
    except ValueError:
        value = weight = np.nan
    right = len(fields) in (words + 1, words + 2) and value <= 0 and np.isfinite(weight)
    if not right:
        expected = f"log10 of a probability, {words} words and at most a back-off weight"
        raise ValueError(_check.complaint(f"the line is {text!r}", expected, where))
    if gram in grams[-1]:
        raise ValueError(_check.complaint(f"{' '.join(gram)!r} is listed twice", "once", where))
    for word in gram if words > 1 else ():
        if (word,) not in grams[0]:
            raise ValueError(_check.complaint(f"{word!r} is no 1-gram", "listed as one", where))
    return gram, (value if value > LOG_OF_ZERO else -np.inf, weight)
