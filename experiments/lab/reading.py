"""Reading tables of optimisation paths: one curve, its turn, and numbers over seeds.

A *fall* is the gold gain at the top of a curve less that at its end, in standard deviations under
the reference; the reference itself, with gain 0, belongs to every curve.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from experiments import goodhart
from experiments.judging import Interval, bootstrap_interval

DIALS = ("misspecification", "estimation", "coverage", "tail")
OFF: dict[str, float] = {
    "misspecification": 0.0,
    "estimation": math.inf,
    "coverage": 1.0,
    "tail": 0.0,
}
"""Where a dial does nothing."""


def where(**values: Any) -> pl.Expr:
    """Rows whose columns have these values.

    >>> table = pl.DataFrame({"config.tier": ["words", "neural"], "method": ["tilt", "tilt"]})
    >>> table.filter(where(method="tilt") & set_to(tier="words")).height
    1
    """
    return pl.all_horizontal(pl.col(name) == value for name, value in values.items())


def set_to(**values: Any) -> pl.Expr:
    """Rows whose config has these values."""
    return where(**{f"config.{name}": value for name, value in values.items()})


def alone(table: pl.DataFrame, *dials: str) -> pl.DataFrame:
    """The rows in which these dials are on and no other."""
    return table.filter(
        pl.all_horizontal(
            (pl.col(f"config.{dial}") != OFF[dial])
            if dial in dials
            else (pl.col(f"config.{dial}") == OFF[dial])
            for dial in DIALS
        )
    )


def paths(table: pl.DataFrame) -> dict[tuple[int, int], pl.DataFrame]:
    """(seed, world) -> its curve, in the order in which it was walked; one of each in the table.

    Walks lead away from the reference; a sampled one may turn back.
    """
    parts = table.partition_by("seed", "world", as_dict=True, maintain_order=True)
    return {(int(key[0]), int(key[1])): parts[key] for key in sorted(parts)}


def by_seed(table: pl.DataFrame, of_curve: Callable[[pl.DataFrame], float]) -> np.ndarray:
    """A number of each curve, averaged over the worlds of every seed [seed]."""
    numbers: dict[int, list[float]] = {}
    for (seed, _), points in paths(table).items():
        numbers.setdefault(seed, []).append(of_curve(points))
    return np.array([np.mean(values) for values in numbers.values()])


def falls(table: pl.DataFrame) -> np.ndarray:
    """The fall of every seed's curves [seed]."""
    return by_seed(table, lambda points: goodhart.turn(points).fall)


def over_seeds(values: ArrayLike) -> Interval:
    """95 % for the mean over seeds; a point where all seeds agree, as exact results do.

    The generator is fixed, so that a verdict is a function of the rows.
    """
    values = np.asarray(values, dtype=float)
    if np.ptp(values) == 0:
        return float(values[0]), float(values[0])
    return bootstrap_interval(values, np.random.default_rng(0))


def said(values: np.ndarray, digits: int = 2) -> str:
    """A mean with its interval, as text."""
    low, high = over_seeds(values)
    mean = f"{np.mean(values):.{digits}f}"
    return mean if low == high else f"{mean} [{low:.{digits}f}, {high:.{digits}f}]"


def enough(table: pl.DataFrame) -> bool:
    """Whether there are two seeds or more, as an interval wants them."""
    return table.height > 0 and table["seed"].n_unique() > 1
