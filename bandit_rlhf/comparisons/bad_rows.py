"""Rows that cannot be used: what is wrong with them, where, and what is done about it."""

import math
import warnings
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bandit_rlhf import _check
from bandit_rlhf.comparisons.files import Chunk

BadRows = Literal["raise", "drop"]
NAME_TYPES = (str, int)


class DroppedRows(UserWarning):
    """Rows were left out as asked; the message counts them and explains the first."""


@dataclass(frozen=True)
class Fault:
    """What is wrong with a row: got, expected, what to do."""

    got: str
    expected: str
    do: str = ""


class BadRowCounter:
    """Stops at rows that cannot be used, or counts them.

    Args:
        policy: "raise" at the first one, or "drop" them all.

    Raises:
        ValueError: another policy.

    >>> counter = BadRowCounter("raise")
    >>> fault = Fault("winner is 'up'", "left or right")
    >>> counter.settle(Chunk("crowd.csv", {}, [2, 3]), {1: fault})
    Traceback (most recent call last):
    ...
    ValueError: winner is 'up', but should be left or right [crowd.csv, line 3].
    """

    def __init__(self, policy: str) -> None:
        if policy not in ("raise", "drop"):
            raise ValueError(_check.complaint(f"bad_rows is {policy!r}", "'raise' or 'drop'"))
        self.policy = policy
        self.rows = self.dropped = 0
        self.first = ""

    def settle(self, chunk: Chunk, faults: Mapping[int, Fault]) -> None:
        """Raise on the first fault of a chunk, or count them all."""
        self.rows += len(chunk.lines)
        if not faults:
            return
        row = min(faults)
        fault = faults[row]
        message = _check.complaint(fault.got, fault.expected, chunk.place(row), fault.do)
        if self.policy == "raise":
            raise ValueError(message)
        self.first = self.first or message
        self.dropped += len(faults)

    def report(self, source: str) -> None:
        """Warn of what was dropped; raise if nothing is left."""
        if self.rows == 0:
            got, do = "there are 0 rows", "Is there more than a header?"
            raise ValueError(_check.complaint(got, "one or more", source, do))
        if self.dropped == self.rows:
            got = f"all {self.rows} rows are dropped (the first: {self.first})"
            raise ValueError(_check.complaint(got, "usable, at least one", source))
        if self.dropped:
            told = f"{source}: dropped {self.dropped} of {self.rows} rows. The first: {self.first}"
            warnings.warn(told, DroppedRows, stacklevel=4)


def name_faults(
    role: str, names: Sequence[Hashable], kinds: dict[str, type], blank: bool = False
) -> dict[int, Fault]:
    """The entries that are no names: missing, or of another type than the first.

    Args:
        role: what is named, for messages.
        names: one a row.
        kinds: role -> the type of its first name; filled here, so that it holds for a whole file.
        blank: whether the empty text is a name.

    >>> name_faults("item", ["a", 7, None], {})[1].got
    'the item 7 is of type int'
    """
    first = next((type(name) for name in names if type(name) in NAME_TYPES), str)
    kind = kinds.setdefault(role, first)
    if set(map(type, names)) == {kind} and (blank or "" not in names):
        return {}
    faults: dict[int, Fault] = {}
    for row, name in enumerate(names):
        nothing = name is None or (isinstance(name, float) and math.isnan(name))
        if nothing or (name == "" and not blank):
            faults[row] = Fault(f"the {role} is missing", "named")
        elif type(name) is not kind:
            got = f"the {role} {name!r} is of type {type(name).__name__}"
            expected = f"of type {kind.__name__}, as the first is"
            faults[row] = Fault(got, expected, "Convert all names to text.")
    return faults


def weight_faults(weights: Sequence[Any]) -> dict[int, Fault]:
    """The entries that are negative, infinite or no numbers.

    >>> sorted(weight_faults(["2", "", "nan", -1, 0.5]))
    [1, 2, 3]
    """
    expected, do = "a finite number of at least 0", "To undo a win, swap it."
    return {
        row: Fault(f"the weight is {weight!r}", expected, do)
        for row, weight in enumerate(weights)
        if not 0 <= _number(weight) < math.inf
    }


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan
