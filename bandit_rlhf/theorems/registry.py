"""The registry of theorems, read from its file.

>>> [row.id for row in theorems()[:3]]
['1', '2', '3']
"""

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from bandit_rlhf import _check

PLACES = (
    Path(__file__).parents[2] / "proofs" / "theorems.toml",  # of a checkout
    Path(__file__).parent / "theorems.toml",  # of an installed wheel
)


@dataclass(frozen=True)
class Theorem:
    """One theorem and its legs. Names, never line numbers.

    Attributes:
        id: its number, as laws and docstrings cite it.
        name: in a few words, with underscores.
        words: the statement in plain words.
        latex: the statement.
        coq: the theorems that prove it, as "File.name", the main one first.
        instances: lemmas that satisfy the hypotheses, as "File.name", against vacuity.
        code: the Python objects it speaks of, as "module:object".
        law: the laws that test it on floats, as "kind:ID".
        gap: what the proof does not cover.
    """

    id: str
    name: str
    words: str
    latex: str
    coq: tuple[str, ...]
    instances: tuple[str, ...]
    code: tuple[str, ...]
    law: tuple[str, ...]
    gap: str

    def as_json(self) -> dict[str, Any]:
        """Fields as JSON's own types."""
        return {f.name: _plain(getattr(self, f.name)) for f in fields(self)}


@cache
def theorems() -> tuple[Theorem, ...]:
    """Every theorem, in the order of the file.

    Raises:
        ValueError: a row with missing or unknown keys, or an id or a name twice.
    """
    source = next((place for place in PLACES if place.exists()), None)
    if source is None:
        raise ValueError(_check.complaint("theorems.toml is missing", "in proofs/", "theorems"))
    return rows(tomllib.loads(source.read_text(encoding="utf-8"))["theorem"])


def rows(tables: Iterable[Mapping[str, Any]]) -> tuple[Theorem, ...]:
    """Tables of the file as theorems, judged.

    >>> rows([{"id": "1"}])
    Traceback (most recent call last):
    ...
    ValueError: theorem '1' lacks name, words, latex, ..., but should be complete [theorems.toml].
    """
    known = [f.name for f in fields(Theorem)]
    found: list[Theorem] = []
    for table in tables:
        missing = [name for name in known if not table.get(name)]
        unknown = [name for name in table if name not in known]
        if missing or unknown:
            got = f"theorem {table.get('id')!r} " + (
                f"lacks {', '.join(missing)}" if missing else f"has {', '.join(unknown)}"
            )
            expected = "complete" if missing else f"made of {', '.join(known)}"
            raise ValueError(_check.complaint(got, expected, "theorems.toml"))
        found.append(Theorem(**{name: _frozen(table[name]) for name in known}))
    for what in ("id", "name"):
        values = [getattr(row, what) for row in found]
        twice = sorted({value for value in values if values.count(value) > 1})
        if twice:
            got = f"{what} {twice[0]!r} stands twice"
            raise ValueError(_check.complaint(got, "once", "theorems.toml"))
    return tuple(found)


def theorem(number: str) -> Theorem:
    """The theorem of that id or name.

    Raises:
        ValueError: there is none; the message proposes the nearest.
    """
    known = {row.id: row for row in theorems()} | {row.name: row for row in theorems()}
    if number in known:
        return known[number]
    near = difflib.get_close_matches(number, known, n=1, cutoff=0.5)
    hint = f"Did you mean {near[0]!r}?" if near else "`bandit-rlhf theorems` lists them."
    raise ValueError(f"theorem is {number!r}, but should be an id or a name. {hint}")


def of_law(kind: str, law: str) -> tuple[Theorem, ...]:
    """The theorems that a law tests.

    >>> [row.id for row in of_law("advantage", "A1")]
    ['2', '3']
    """
    return tuple(row for row in theorems() if f"{kind}:{law}" in row.law)


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
