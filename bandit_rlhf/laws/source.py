"""Where the numbers of a law's case come from: a string of bytes, read choice by choice.

One `draw` serves three drivers. The structural battery fixes some choices by name and reads the
others from a fixed stream; generic points read a fixed stream throughout; Hypothesis proposes the
bytes. What was chosen is recorded as bytes, so every case can be drawn again and made smaller: byte
0 is always the simplest choice, and a string that runs out goes on with zeros.

Numbers lie on a dyadic lattice, on which sums and shifts are exact in float32 and float64 alike.

>>> source = Source(b"")
>>> source.integer("draws", 2, 4), source.numbers("rewards", 2), source.law("p", 2)
(2, array([0., 0.]), array([0.5, 0.5]))
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

Option = TypeVar("Option")

LATTICE = tuple(
    sorted(
        (k / 16 for k in range(-64, 65)),
        key=lambda x: (x.as_integer_ratio()[1], abs(x), x < 0),
    )
)
"""Dyadic numbers in [-4, 4], simplest first: 0, 1, -1, 2, -2, ..., 1/2, -1/2, ..."""


class Source:
    """Choices read from bytes, with some of them fixed by name.

    Attributes:
        taken: the bytes that would draw the same case again, without fixed choices.
    """

    def __init__(self, content: bytes, fixed: Mapping[str, Any] | None = None) -> None:
        self._content = content
        self._fixed = fixed or {}
        self.taken = bytearray()

    def choice(self, name: str, options: Sequence[Option]) -> Option:
        """One of at most 256 options, the simplest first."""
        if name in self._fixed:
            index = list(options).index(self._fixed[name])
        else:
            place = len(self.taken)
            index = (self._content[place] if place < len(self._content) else 0) % len(options)
        self.taken.append(index)
        return options[index]

    def integer(self, name: str, least: int, most: int) -> int:
        """A whole number in least..most."""
        return self.choice(name, range(least, most + 1))

    def flag(self, name: str) -> bool:
        """False or true."""
        return self.choice(name, (False, True))

    def numbers(self, name: str, *shape: int) -> np.ndarray:
        """Dyadic numbers in [-4, 4]; a fixed name gives the whole array."""
        if name in self._fixed:
            values = np.broadcast_to(self._fixed[name], shape)
            self.taken.extend(LATTICE.index(float(x)) for x in values.ravel())
            return np.array(values, dtype=np.float64)
        return np.array(
            [self.choice("", LATTICE) for _ in range(math.prod(shape))], dtype=np.float64
        ).reshape(shape)

    def law(self, name: str, *shape: int) -> np.ndarray:
        """Probabilities along the last axis: weights 1 to 8 over their sum."""
        weights = [self.integer(name, 1, 8) for _ in range(math.prod(shape))]
        table = np.array(weights, dtype=np.float64).reshape(shape)
        return table / table.sum(axis=-1, keepdims=True)

    def mask(self, name: str, strings: int, tokens: int, pads: str | None = None) -> np.ndarray:
        """Which tokens participate, at least one a string; pads right, left or inside."""
        side = pads or self.choice(f"{name}.pads", ("none", "right", "left", "interior"))
        table = np.ones((strings, tokens), dtype=bool)
        if side != "none":
            for row in table:
                count = self.integer(name, 0, tokens - 1)
                start = {"right": tokens - count, "left": 0, "interior": min(1, tokens - count)}
                row[start[side] : start[side] + count] = False
        return table
