"""Made-up tables of optimisation paths, for judges."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import polars as pl

from experiments.lab.tiers import TIERS

D = np.linspace(0.25, 6.0, 24)
OFF = {"misspecification": 0.0, "estimation": math.inf, "coverage": 1.0, "tail": 0.0}


def path(
    gold: Callable[[np.ndarray, int], np.ndarray],
    *,
    seeds: int = 10,
    config: dict[str, Any] | None = None,
    **columns: Any,
) -> pl.DataFrame:
    """One path a seed with `gold(distance, seed)`; KL saturates at 72 nats."""
    parts = []
    for seed in range(seeds):
        values = np.asarray(gold(D, seed), dtype=float)
        parts.append(
            pl.DataFrame(
                {
                    "seed": [seed] * len(D),
                    "world": [0] * len(D),
                    "distance": D,
                    "kl": D**2,
                    "largest_kl": [72.0] * len(D),
                    "setting": np.arange(1.0, len(D) + 1),
                    "gold": values,
                    "proxy": D,
                    **{name: [value] * len(D) for name, value in columns.items()},
                    **{f"config.{k}": [v] * len(D) for k, v in (config or {}).items()},
                }
            )
        )
    return pl.concat(parts)


def on_tiers(table: pl.DataFrame, tiers: Iterable[str] = TIERS) -> pl.DataFrame:
    """The same rows on every tier that a prediction names."""
    return pl.concat([table.with_columns(tier=pl.lit(tier)) for tier in tiers])


def joined(parts: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Tables on top of each other."""
    return pl.concat(list(parts), how="diagonal")


def turning(at: float, height: float = 2.0) -> Callable[[np.ndarray, int], np.ndarray]:
    """A parabola with its peak at d = `at`; seeds differ a little."""
    return lambda d, seed: height * (2 * d / at - (d / at) ** 2) + 0.001 * seed * d


def rising(d: np.ndarray, seed: int) -> np.ndarray:
    """A curve that only rises."""
    return d + 0.001 * seed
