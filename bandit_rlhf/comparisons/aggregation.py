"""From rows to counts of pairs, by the way that suits the size.

Few items: one bincount over all n^2 ordered pairs. Many items: pack (left, right, outcome) into one
64-bit key, sort, and count runs; sorting packed keys is several times cheaper than grouping.
Weights or covariates: sort cells and add. Files larger than memory: a stream of tables, each
aggregated and added to the rest.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache

import numpy as np

from bandit_rlhf import _check
from bandit_rlhf.comparisons.names import Names
from bandit_rlhf.comparisons.pair_counts import PairCounts, from_cells, narrow
from bandit_rlhf.comparisons.table import Comparisons

DENSE_ITEMS = 4096
"""Up to here n^2 64-bit counters (128 MiB) may serve, if rows are as many as ordered pairs."""

STREAM_ITEMS = 16384
"""Up to here n^2 16-bit counters (512 MiB) may serve a stream."""

BLOCK = 1 << 18
"""Rows a temporary array may have: large enough to amortise calls, small enough for the cache."""

LEFT_WON, RIGHT_WON, TIED = 0, 1, 2


def aggregate(comparisons: Comparisons) -> PairCounts:
    """Count how often each pair met and with what outcome; annotators and prompts are summed over.

    Args:
        comparisons: the rows.

    Returns:
        The counts, whole if the rows carry no weights.

    >>> counts = aggregate(Comparisons.from_ids([2, 1, 1], [1, 2, 2], tie=[False, False, True]))
    >>> counts.start.tolist(), counts.right.tolist(), counts.left_wins, counts.ties
    ([0, 0, 1, 1], [2], array([1], dtype=uint8), array([1], dtype=uint8))
    """
    n = comparisons.item_count
    if comparisons.weight is not None or comparisons.covariates is not None:
        return _add_cells(comparisons)
    if n <= DENSE_ITEMS and n * n <= 4 * comparisons.row_count:
        wins, ties = count_matrices(comparisons)
        return from_matrices(comparisons.items, wins, ties)
    return _count_runs(comparisons)


def aggregate_stream(tables: Iterable[Comparisons]) -> PairCounts:
    """Count pairs over tables that need not fit into memory together.

    The result does not depend on the order of the tables, and equals `aggregate` of all rows at
    once.

    Args:
        tables: comparisons over the same or different items; the result's items are their union.

    Raises:
        ValueError: no table.

    >>> tables = (Comparisons.from_ids([i], [1 - i]) for i in (0, 1, 0))
    >>> aggregate_stream(tables).left_wins.tolist()
    [2]
    """
    matrix: MatrixCounter | None = None
    runs: list[PairCounts] = []  # sizes fall at least by half: the merges of a binary counter
    for table in tables:
        if matrix is None and not runs and MatrixCounter.suits(table):
            matrix = MatrixCounter(table.items)
        if matrix is not None and matrix.takes(table):
            matrix.add(table)
            continue
        runs.append(aggregate(table))
        while len(runs) > 1 and runs[-2].cell_count < 2 * runs[-1].cell_count:
            runs[-2:] = [runs[-2] + runs[-1]]
    if matrix is not None:
        runs.append(matrix.counts())
    if not runs:
        raise ValueError(
            _check.complaint("the stream has 0 tables", "one or more", "aggregate_stream")
        )
    while len(runs) > 1:
        runs[-2:] = [runs[-2] + runs[-1]]
    return runs[0]


class MatrixCounter:
    """Counts of ordered pairs in an n x n matrix of 16 bits (more if need be), for long streams."""

    def __init__(self, items: Names) -> None:
        self.items = items
        self.wins = np.zeros(len(items) ** 2, np.uint16)
        self.ties: np.ndarray | None = None

    @staticmethod
    def suits(table: Comparisons) -> bool:
        """Whether the table has so many rows an item that a matrix is the smaller thing to keep."""
        n = table.item_count
        return n <= STREAM_ITEMS and n * n <= 64 * table.row_count and MatrixCounter.plain(table)

    @staticmethod
    def plain(table: Comparisons) -> bool:
        """Whether a row counts one and has no covariates."""
        return table.weight is None and table.covariates is None

    def takes(self, table: Comparisons) -> bool:
        """Whether the table speaks of the same items and its rows count one each."""
        return self.plain(table) and (table.items is self.items or table.items == self.items)

    def add(self, table: Comparisons) -> None:
        """Count the rows of a table."""
        n = len(self.items)
        for rows in _blocks(table.row_count, 8 * BLOCK):
            key = table.winner[rows] * np.int64(n) + table.loser[rows]
            if table.tie is not None:
                tied = table.tie[rows]
                if self.ties is None:
                    self.ties = np.zeros_like(self.wins)
                self.ties = self._add_keys(self.ties, key[tied])
                key = key[~tied]
            self.wins = self._add_keys(self.wins, key)

    @staticmethod
    def _add_keys(counters: np.ndarray, key: np.ndarray) -> np.ndarray:
        if key.size == 0:
            return counters
        key.sort()
        first = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]]))
        cell = key[first]
        total = counters[cell] + np.diff(first, append=len(key))
        if total.max() > np.iinfo(counters.dtype).max:
            counters = counters.astype(np.min_scalar_type(int(total.max())))
        counters[cell] = total
        return counters

    def counts(self) -> PairCounts:
        """What was counted so far."""
        n = len(self.items)
        ties = None if self.ties is None else self.ties.reshape(n, n)
        return from_matrices(self.items, self.wins.reshape(n, n), ties)


def from_matrices(items: Names, wins: np.ndarray, ties: np.ndarray | None = None) -> PairCounts:
    """Counts from a matrix wins[winner, loser] and, if there are ties, ties[item, item].

    >>> from_matrices(("a", "b"), np.array([[0, 3], [1, 0]])).right_wins.tolist()
    [1]
    """
    n = len(items)
    per_item = np.zeros(n + 1, np.int64)
    parts: list[tuple[np.ndarray, ...]] = []
    for rows in _blocks(n, max(1, 4 * BLOCK // n)):
        row, right, above, below = _upper_cells(n, rows.start, rows.stop)
        sides = [wins.take(above), wins.take(below)]
        met = (sides[0] > 0) | (sides[1] > 0)
        if ties is not None:
            sides.append(ties.take(above).astype(np.uint64) + ties.take(below).astype(np.uint64))
            met |= sides[2] > 0
        if not met.all():
            row, right = row[met], right[met]
            sides = [side[met] for side in sides]
        per_item[1:] += np.bincount(row, minlength=n)
        parts.append((right, *(narrow(side) for side in sides)))
    right, left_wins, right_wins, *tied = (
        np.concatenate(column) for column in zip(*parts, strict=True)
    )
    start = np.cumsum(per_item)
    return PairCounts(items, start, right, left_wins, right_wins, tied[0] if tied else None)


@lru_cache(maxsize=2)
def _upper_cells(n: int, begin: int, stop: int) -> tuple[np.ndarray, ...]:
    """Of the pairs left < right with begin <= left < stop: left, right, and both flat indices."""
    row, column = np.triu_indices(stop - begin, 1, n - begin)
    row += begin
    column += begin
    return row, column.astype(np.int32), row * n + column, column * n + row


def count_matrices(comparisons: Comparisons) -> tuple[np.ndarray, np.ndarray | None]:
    """Matrices [winner, loser] of wins and, if there is a column for them, of ties; few items only.

    >>> count_matrices(Comparisons.from_ids([0, 0], [1, 1]))[0].tolist()
    [[0, 2], [0, 0]]
    """
    n, weight = comparisons.item_count, comparisons.weight
    key = comparisons.winner * np.int32(n) + comparisons.loser  # n^2 <= DENSE_ITEMS^2 < 2^31
    if comparisons.tie is None:
        return np.bincount(key, weight, n * n).reshape(n, n), None
    key += comparisons.tie * np.int32(n * n)
    counted = np.bincount(key, weight, 2 * n * n).reshape(2, n, n)
    return counted[0], counted[1]


def _count_runs(comparisons: Comparisons) -> PairCounts:
    n, rows = comparisons.item_count, comparisons.row_count
    bits = n.bit_length()
    key = np.empty(rows, np.int64)
    for block in _blocks(rows, BLOCK):
        winner, loser, part = comparisons.winner[block], comparisons.loser[block], key[block]
        np.minimum(winner, loser, out=part)
        part <<= bits
        part += np.maximum(winner, loser)
        part <<= 2
        outcome = (winner > loser).view(np.int8)  # LEFT_WON is 0, RIGHT_WON is 1
        part += (
            outcome if comparisons.tie is None else np.where(comparisons.tie[block], TIED, outcome)
        )
    key.sort()
    outcomes = (LEFT_WON, RIGHT_WON) if comparisons.tie is None else (LEFT_WON, RIGHT_WON, TIED)
    per_item = np.zeros(n + 1, np.int64)
    sides: list[list[np.ndarray]] = [[] for _ in outcomes]
    right = key.view(np.int32)  # the pairs found so far fit into half of the keys they came from
    pairs = 0
    for block in _whole_runs(key, max(BLOCK, 2 * n)):
        pair = key[block] >> 2
        outcome = (key[block] & 3).astype(np.int8)
        first = np.flatnonzero(np.concatenate([[True], pair[1:] != pair[:-1]]))
        pair = pair[first]
        per_item[1:] += np.bincount(pair >> bits, minlength=n)
        right[pairs : pairs + len(pair)] = pair & ((1 << bits) - 1)
        pairs += len(pair)
        for side, which in zip(sides, outcomes, strict=True):
            side.append(narrow(np.add.reduceat(outcome == which, first, dtype=np.int64)))
    del right
    key.resize((pairs + 1) // 2, refcheck=False)  # hand the other memory back
    left_wins, right_wins, *tied = (np.concatenate(side) for side in sides)
    return PairCounts(
        comparisons.items,
        np.cumsum(per_item),
        key.view(np.int32)[:pairs],
        left_wins,
        right_wins,
        tied[0] if tied else None,
    )


def _add_cells(comparisons: Comparisons) -> PairCounts:
    weight = (
        np.ones(comparisons.row_count, np.uint64)
        if comparisons.weight is None
        else comparisons.weight
    )
    nothing = np.zeros_like(weight)
    tie = comparisons.tie
    won = weight if tie is None else np.where(tie, nothing, weight)
    return from_cells(
        comparisons.items,
        comparisons.winner,
        comparisons.loser,
        won,
        nothing,
        None if tie is None else np.where(tie, weight, nothing),
        comparisons.covariates,
        comparisons.covariate_names,
    )


def _blocks(count: int, size: int) -> Iterator[slice]:
    return (slice(i, min(i + size, count)) for i in range(0, count, size))


def _whole_runs(key: np.ndarray, size: int) -> Iterator[slice]:
    """Blocks of about `size` sorted keys which end where a pair ends."""
    start = 0
    while start < len(key):
        stop = min(start + size, len(key))
        stop = int(np.searchsorted(key, ((key[stop - 1] >> 2) + 1) << 2))
        yield slice(start, stop)
        start = stop
