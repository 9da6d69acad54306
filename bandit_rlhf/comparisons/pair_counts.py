"""Counts of pairs: all that a choice model without annotators needs to know of the comparisons."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from bandit_rlhf import _check
from bandit_rlhf._array import Float, Int, Shaped
from bandit_rlhf.comparisons.names import Names, unite

BLOCK = 1 << 15
"""Cells in a block: temporary arrays of 256 kB."""


class Block(NamedTuple):
    """A run of cells whose temporary arrays stay in the cache.

    Args:
        cells: the cells, all of the left items they touch.
        items: [seen], the left items that have cells here.
        sizes: [seen], their numbers of cells.
        offsets: [seen], where their cells begin, counted from the block's first cell.
    """

    cells: slice
    items: np.ndarray
    sizes: np.ndarray
    offsets: np.ndarray

    def spread(self, values: np.ndarray) -> np.ndarray:
        """[cell, ...], the left item's entry of `values` [item, ...]."""
        return np.repeat(values[self.items], self.sizes, axis=0)

    def left_sums(self, values: np.ndarray) -> np.ndarray:
        """[seen], the sums of `values` [cell] over each left item's cells."""
        return np.add.reduceat(values, self.offsets, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class PairCounts:
    """Weighted edges of the graph of comparisons, row-compressed by the smaller id.

    A cell is a pair left < right (with its own value of the covariates, where there are any). The
    cells of the left item i are `start[i]:start[i + 1]`, sorted by the right item. Whole counts
    are kept in the narrowest unsigned type that holds them, so that they add exactly; weighted
    ones in float64.

    Merging is addition, `one + other`: commutative and associative (exactly so for whole counts).

    Args:
        items: the names.
        start: [item + 1], from 0 to the number of cells.
        right: [cell], the larger id of the pair.
        left_wins: [cell], how often the smaller id won.
        right_wins: [cell], how often the larger id won.
        ties: [cell]; None: no ties.
        covariates: [cell, covariate], the left item's value minus the right's; None: none.
        covariate_names: one name a covariate.

    >>> from bandit_rlhf.comparisons import Comparisons, aggregate
    >>> counts = aggregate(Comparisons.from_ids([0, 1, 0], [1, 0, 1]))
    >>> counts.left_wins.tolist(), counts.right_wins.tolist()
    ([2], [1])
    >>> (counts + counts).win_matrix()
    array([[0., 4.],
           [2., 0.]])
    """

    items: Names
    start: Int[np.ndarray, " item_plus_1"]
    right: Int[np.ndarray, " cell"]
    left_wins: Shaped[np.ndarray, " cell"]
    right_wins: Shaped[np.ndarray, " cell"]
    ties: Shaped[np.ndarray, " cell"] | None = None
    covariates: Float[np.ndarray, "cell covariate"] | None = None
    covariate_names: Names = ()

    @property
    def item_count(self) -> int:
        """The number of items, compared or not."""
        return len(self.items)

    @property
    def cell_count(self) -> int:
        """The number of distinct pairs (times covariate values)."""
        return len(self.right)

    @property
    def left(self) -> Int[np.ndarray, " cell"]:
        """[cell], the smaller id of the pair."""
        return np.repeat(np.arange(self.item_count, dtype=np.int32), np.diff(self.start))

    def win_matrix(self) -> Float[np.ndarray, "item item"]:
        """[winner, loser], the weight of wins; for few items only."""
        n, left = self.item_count, self.left.astype(np.intp)
        won = np.zeros((n, n))
        won.put(left * n + self.right, self.left_wins)
        won.put(self.right * np.intp(n) + left, self.right_wins)
        return won

    def outcomes(
        self, cells: slice
    ) -> tuple[
        Float[np.ndarray, " cell"], Float[np.ndarray, " cell"], Float[np.ndarray, " cell"] | None
    ]:
        """Left wins, right wins and ties (None: none) of some cells, as new float64 arrays."""
        left = self.left_wins[cells].astype(np.float64)
        right = self.right_wins[cells].astype(np.float64)
        return left, right, None if self.ties is None else self.ties[cells].astype(np.float64)

    def blocks(self, size: int) -> Iterator[Block]:
        """Runs of whole left items with about `size` cells each, or one left item with more."""
        item = 0
        while item < self.item_count:
            begin = int(self.start[item])
            stop = int(np.searchsorted(self.start, begin + size, side="right")) - 1
            stop = min(max(stop, item + 1), self.item_count)
            offsets = self.start[item : stop + 1] - begin
            sizes = np.diff(offsets)
            seen = np.flatnonzero(sizes)
            if len(seen):
                cells = slice(begin, begin + int(offsets[-1]))
                yield Block(cells, seen + item, sizes[seen], offsets[:-1][seen])
            item = stop

    def wins(self) -> Float[np.ndarray, " item"]:
        """[item], the weight of comparisons won."""
        return self._item_sums(self.left_wins, self.right_wins)

    def losses(self) -> Float[np.ndarray, " item"]:
        """[item], the weight of comparisons lost."""
        return self._item_sums(self.right_wins, self.left_wins)

    def tied(self) -> Float[np.ndarray, " item"]:
        """[item], the weight of comparisons that ended in a tie."""
        if self.ties is None:
            return np.zeros(self.item_count)
        return self._item_sums(self.ties, self.ties)

    def games(self) -> Float[np.ndarray, " item"]:
        """[item], the weight of all comparisons an item took part in."""
        return self.wins() + self.losses() + self.tied()

    def totals(self) -> tuple[float, float]:
        """The weight of decided comparisons and of ties."""
        decided = self.left_wins.sum(dtype=np.float64) + self.right_wins.sum(dtype=np.float64)
        return float(decided), 0.0 if self.ties is None else float(self.ties.sum(dtype=np.float64))

    def _item_sums(self, as_left: np.ndarray, as_right: np.ndarray) -> np.ndarray:
        """[item], one column summed over the cells on the left, one over those on the right."""
        sums = np.zeros(self.item_count)
        for block in self.blocks(max(BLOCK, 2 * self.item_count)):
            sums[block.items] += block.left_sums(as_left[block.cells])
            sums += np.bincount(self.right[block.cells], as_right[block.cells], self.item_count)
        return sums

    def ties_as_halves(self) -> "PairCounts":
        """The same counts with a tie as half a win for each side."""
        if self.ties is None:
            return self
        half = 0.5 * self.ties
        left_wins, right_wins = self.left_wins + half, self.right_wins + half
        return replace(self, left_wins=left_wins, right_wins=right_wins, ties=None)

    def ties_dropped(self) -> "PairCounts":
        """The same counts without the ties."""
        return self if self.ties is None else replace(self, ties=None).without_empty_cells()

    def without_empty_cells(self) -> "PairCounts":
        """The same counts without the cells in which nothing happened."""
        kept = (self.left_wins > 0) | (self.right_wins > 0)
        if self.ties is not None:
            kept |= self.ties > 0
        if kept.all():
            return self
        return replace(
            self,
            start=np.concatenate([[0], np.cumsum(kept)])[self.start],
            right=self.right[kept],
            left_wins=self.left_wins[kept],
            right_wins=self.right_wins[kept],
            ties=None if self.ties is None else self.ties[kept],
            covariates=None if self.covariates is None else self.covariates[kept],
        )

    def __add__(self, other: "PairCounts") -> "PairCounts":
        if self.covariate_names != other.covariate_names:
            got = f"covariates are {self.covariate_names} and {other.covariate_names}"
            raise ValueError(_check.complaint(got, "the same in both", "PairCounts + PairCounts"))
        items, here, there = unite(self.items, other.items)
        covariates = None
        if self.covariates is not None and other.covariates is not None:
            covariates = np.concatenate([self.covariates, other.covariates])
        ties = None
        if self.ties is not None or other.ties is not None:
            ties = _joined(self._ties_or_zeros(), other._ties_or_zeros())
        return from_cells(
            items,
            np.concatenate([here[self.left], there[other.left]]),
            np.concatenate([here[self.right], there[other.right]]),
            _joined(self.left_wins, other.left_wins),
            _joined(self.right_wins, other.right_wins),
            ties,
            covariates,
            self.covariate_names,
        )

    def _ties_or_zeros(self) -> np.ndarray:
        return np.zeros(self.cell_count, np.uint8) if self.ties is None else self.ties


def from_cells(
    items: Names,
    left: np.ndarray,
    right: np.ndarray,
    left_wins: np.ndarray,
    right_wins: np.ndarray,
    ties: np.ndarray | None,
    covariates: np.ndarray | None,
    covariate_names: Names,
) -> PairCounts:
    """Sort cells given in any order and side, and add up those that are the same cell."""
    swap = left > right
    if swap.any():
        left, right = np.where(swap, right, left), np.where(swap, left, right)
        left_wins, right_wins = (
            np.where(swap, right_wins, left_wins),
            np.where(swap, left_wins, right_wins),
        )
        if covariates is not None:
            covariates = np.where(swap[:, None], -covariates, covariates)
    key = left.astype(np.int64) << 32 | right
    if covariates is None:
        order = np.argsort(key, kind="stable")
    else:
        covariates = covariates + 0.0  # -0.0 and 0.0 are one cell
        order = np.lexsort((*covariates.T[::-1], key))
    key = key[order]
    fresh = np.empty(len(key), bool)
    fresh[0] = True
    np.not_equal(key[1:], key[:-1], out=fresh[1:])
    if covariates is not None:
        covariates = covariates[order]
        fresh[1:] |= (covariates[1:] != covariates[:-1]).any(axis=1)
    first = np.flatnonzero(fresh)
    if ties is not None:
        ties = narrow(np.add.reduceat(ties[order], first))
    return PairCounts(
        items,
        np.searchsorted(key[first] >> 32, np.arange(len(items) + 1)),
        (key[first] & 0xFFFFFFFF).astype(np.int32),
        narrow(np.add.reduceat(left_wins[order], first)),
        narrow(np.add.reduceat(right_wins[order], first)),
        ties if ties is not None and ties.any() else None,
        None if covariates is None else covariates[first],
        covariate_names,
    ).without_empty_cells()


def narrow(counts: np.ndarray) -> np.ndarray:
    """Whole counts in the narrowest unsigned type that holds them; float counts as they are."""
    if counts.dtype.kind == "f":
        return counts
    return counts.astype(np.min_scalar_type(int(counts.max(initial=0))), copy=False)


def _joined(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Both columns of counts, whole ones in 64 bits, where sums of them do not wrap around."""
    return np.concatenate([c if c.dtype.kind == "f" else c.astype(np.uint64) for c in (one, two)])
