"""Where twins differ: the arguments, both answers, and a program that shows them.

>>> call("f", ["np.array([1.0])"], {"gamma": "0.5"})
'f(np.array([1.0]), gamma=0.5)'
"""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bandit_rlhf.laws import program
from bandit_rlhf.laws.check import name_of
from bandit_rlhf.laws.reading import reading
from bandit_rlhf.laws.subject import Subject
from bandit_rlhf.laws.text import numbers


@dataclass(frozen=True)
class Difference:
    """Arguments on which two estimators differ.

    Attributes:
        subjects: the two.
        arrays: the arguments, in the dialect of the kind.
        named: those that were handed over by name.
        place: of the argument in which the gradients differ; None: the values do.
        first: what the first answered: an array, or the exception.
        second: what the second answered.
        size: how far apart they are, in units in the last place.
        sort: the class of the difference, kept by shrinking.
    """

    subjects: tuple[Subject, Subject]
    arrays: tuple[Any, ...]
    named: Mapping[str, Any]
    place: int | None
    first: Any
    second: Any
    size: float
    sort: str


def text(found: Difference) -> str:
    """Names, arguments, both answers, what the difference looks like, and the program."""
    one, other = found.subjects
    arguments = zip(one.kind.arguments, found.arrays, strict=False)
    shown = [f"{name} = {_shown(x)}" for name, x in (*arguments, *found.named.items())]
    what = "" if found.place is None else f" in their gradient in {_place(found)}"
    backends = " and ".join(dict.fromkeys((one.backend, other.backend)))
    lines = [
        f"A8: {name_of(one.function)} and {name_of(other.function)} differ{what}, but should agree "
        f"[{one.kind.name}, {one.dtype}, {backends}]",
        *(f"  {line}" for line in shown),
        f"  first     {_answer(found.first)}",
        f"  second    {_answer(found.second)}",
        f"  reading   {_reading(found)}",
    ]
    shows = _program(found)
    if shows:
        lines += ["  program, as it was run:", "", textwrap.indent(shows.rstrip(), "    ")]
    return "\n".join(lines)


def call(name: str, places: Sequence[str], words: Mapping[str, str]) -> str:
    """A call as Python text."""
    return f"{name}({', '.join([*places, *(f'{key}={x}' for key, x in words.items())])})"


def _place(found: Difference) -> str:
    assert found.place is not None
    return found.subjects[0].kind.arguments[found.place]


def _shown(value: Any) -> str:
    return program.literal(value.tolist() if isinstance(value, np.ndarray) else value)


def _answer(answer: Any) -> str:
    return str(answer) if isinstance(answer, Exception) else numbers(answer)


def _reading(found: Difference) -> str:
    if found.sort == "refuses":
        return "one of them refuses"
    if found.sort == "shape":
        return "their shapes differ"
    one, other = np.asarray(found.first), np.asarray(found.second)
    if np.isfinite(one).all():  # what is not finite is the deviation
        one, other = (one, other) if np.isfinite(other).all() else (other, one)
    return reading(one, other, found.size, {})


def _program(found: Difference) -> str:
    """A program that calls both as this comparison did, if it runs as said; else ""."""
    lines = ["import numpy as np"]
    if any(subject.backend == "torch" for subject in found.subjects):
        lines.append("import torch")
    for word, subject in zip(("first", "second"), found.subjects, strict=True):
        path = program.import_path(subject.function)
        if path is None:
            return ""
        lines.append(f"from {path[0]} import {path[1]} as {word}")
    for word, name, subject in zip(
        ("first", "second"), ("got", "expected"), found.subjects, strict=True
    ):
        places, words = subject._arguments(found.arrays, dict(found.named))
        texts = [_literal(x, subject.dtype) for x in places]
        named = {key: _literal(x, subject.dtype) for key, x in words.items()}
        if found.place is None:
            lines += [f"{name} = {call(word, texts, named)}", f"print({name})"]
            continue
        own = subject.contract.names.get(_place(found), _place(found))
        if own in named:
            leaf, named[own] = named[own], "leaf"
        else:
            leaf, texts[found.place] = texts[found.place], "leaf"
        lines += [
            f"leaf = {leaf}.requires_grad_()",
            f"answer = {call(word, texts, named)}",
            "answer = answer[0] if isinstance(answer, tuple) else answer",
            f"{name} = torch.autograd.grad(answer.sum() + 0 * leaf.sum(), leaf)[0]",
            f"print({name})",
        ]
    shows = "\n".join([*lines, ""])
    (outcome,) = program.ran([shows])
    raises = isinstance(outcome, str)
    return shows if raises == (found.sort == "refuses") else ""


def _literal(value: Any, dtype: str) -> str:
    """An argument as text; arrays and tensors with their dtype."""
    if isinstance(value, np.ndarray):
        plain = program.literal(value)
        return f"{plain}.astype({dtype!r})" if value.dtype == np.float32 else plain
    if hasattr(value, "detach"):
        return f"torch.tensor({_literal(value.detach().numpy(), dtype)})"
    return program.literal(value)
