"""A cell: one run of one experiment, and the key it is recorded under."""

import hashlib
import json
import math
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Cell:
    """One (experiment, config, seed).

    Args:
        experiment: its name.
        config: its frozen dataclass; fields are bool, int, float, str, None or tuples of these.
        seed: a non-negative integer, handed to `run` as it is.
    """

    experiment: str
    config: Any
    seed: int

    @property
    def key(self) -> str:
        """The name of the record: the first 80 bits of the SHA-256 of the canonical JSON.

        Equal cells have equal keys, and the key says nothing about when, where or by what code the
        cell was computed: those are provenance.
        """
        return hashlib.sha256(canonical_json(self.identity()).encode()).hexdigest()[:20]

    def identity(self) -> dict[str, Any]:
        """Experiment, config and seed as plain JSON values."""
        return {
            "experiment": self.experiment,
            "config": config_as_json(self.config),
            "seed": self.seed,
        }

    def __str__(self) -> str:
        """The cell in words: `first_light(beta=0.1, horizon=16) seed 3`."""
        settings = ", ".join(
            f"{f.name}={getattr(self.config, f.name)}" for f in fields(self.config)
        )
        return f"{self.experiment}({settings}) seed {self.seed}"


def config_as_json(config: Any) -> dict[str, Any]:
    """The fields of a config as plain JSON values.

    Raises:
        TypeError: a field holds something else than bool, int, float, str, None or tuples of these.
    """
    return {f.name: plain(getattr(config, f.name), f"config.{f.name}") for f in fields(config)}


def plain(value: Any, where: str) -> Any:
    """A value as JSON, such that values that are equal in Python have one spelling (1 and 1.0).

    JSON has no infinity and no NaN: they are written as `{"float": "inf"}`.

    >>> plain((1.0, True, None, "a"), "config.x")
    [1, True, None, 'a']
    >>> plain(float("-inf"), "config.x")
    {'float': '-inf'}
    """
    match value:
        case None | bool() | str():
            return value
        case int():
            return int(value)
        case float() if not math.isfinite(value):
            return {"float": repr(float(value))}
        case float():
            return int(value) if value.is_integer() else float(value)
        case tuple() | list():
            return [plain(item, where) for item in value]
    raise TypeError(
        f"{where} is a {type(value).__name__}, but should be bool, int, float, str, None or a "
        "tuple of these, so that a cell has a key. Convert it."
    )


def canonical_json(value: Any) -> str:
    """JSON with sorted keys, no spaces and no NaN: one spelling a value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
