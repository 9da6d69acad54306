"""Hypothesis strategies for tables of comparisons, small enough to shrink to a readable case."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import strategies as st

from bandit_rlhf.comparisons import Comparisons
from bandit_rlhf.preference import bradley_terry, sample_outcome

NAMES = ("length", "style")

CHECKED_AT_RANDOM = pytest.mark.filterwarnings("ignore:Do not use the `random` module")
"""The type checker draws which element of a sequence it looks at; no example depends on that."""


@st.composite
def tables(
    draw: st.DrawFn,
    items: st.SearchStrategy[int] = st.integers(2, 6),  # noqa: B008
    most_rows: int = 30,
    ties: bool = False,
    covariates: bool = False,
) -> Comparisons:
    """Any rows: connected or not, unbeaten items or not."""
    n = draw(items)
    row = st.tuples(st.integers(0, n - 1), st.integers(1, n - 1), st.booleans(), st.integers(-1, 1))
    rows = draw(st.lists(row, min_size=1, max_size=most_rows))
    winner = np.array([first for first, *_ in rows], np.int32)
    gap = np.array([gap for _, gap, *_ in rows], np.int32)
    tie = np.array([tied for *_, tied, _ in rows])
    slope = np.array([[float(value)] for *_, value in rows])
    return Comparisons.from_ids(
        winner,
        (winner + gap) % n,
        items=range(n),
        tie=tie if ties else None,
        covariates=slope if covariates else None,
        covariate_names=("length",) if covariates else (),
    )


@st.composite
def ringed_tables(draw: st.DrawFn, ties: bool = False, covariates: bool = False) -> Comparisons:
    """Rows with a ring of wins both ways round: every maximum is finite (without covariates)."""
    free = draw(tables(ties=ties, covariates=covariates))
    ring = np.arange(free.item_count, dtype=np.int32)
    following = np.roll(ring, -1)
    more = 2 * len(ring)
    return Comparisons.from_ids(
        np.concatenate([free.winner, ring, following]),
        np.concatenate([free.loser, following, ring]),
        items=free.items,
        tie=None if free.tie is None else np.concatenate([free.tie, np.zeros(more, bool)]),
        covariates=None
        if free.covariates is None
        else np.concatenate([free.covariates, np.zeros((more, 1))]),
        covariate_names=free.covariate_names,
    )


def simulated(
    scores: np.ndarray,
    rows: int,
    rng: np.random.Generator,
    outcome_law: Callable | None = None,
    covariates: np.ndarray | None = None,
    prompt: np.ndarray | None = None,
) -> Comparisons:
    """Random pairs judged by Bradley-Terry, or by another law of the outcomes."""
    n = len(scores)
    left = rng.integers(0, n, rows)
    right = (left + rng.integers(1, n, rows)) % n
    law = outcome_law or bradley_terry
    outcome = sample_outcome(law(scores[left] - scores[right]), rng)
    return Comparisons.from_ids(
        np.where(outcome < 0, right, left),
        np.where(outcome < 0, left, right),
        items=range(n),
        tie=(outcome == 0) if (outcome == 0).any() else None,
        prompt=prompt,
        covariates=covariates,
        covariate_names=() if covariates is None else NAMES[: covariates.shape[1]],
    )
