"""The table of rankings: each row orders some items, with ties as blocks."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bandit_rlhf import _check
from bandit_rlhf.comparisons.names import Names, id_column, intern
from bandit_rlhf.comparisons.pair_counts import PairCounts, from_cells
from bandit_rlhf.comparisons.table import judged_weights

ABSENT = -1
"""Pads rows of fewer places."""


@dataclass(frozen=True, eq=False)
class Rankings:
    """A frozen table of rankings, the best item first; items not listed were not on offer.

    Args:
        order: [ranking, place], item ids, padded at the end with -1.
        block: [ranking, place], 0, 0, 1, ...: items of one block are tied; it rises by 0 or 1.
        items: the names.
        weight: [ranking], at least 0; None: once each.

    Raises:
        ValueError: no rankings, a ranking of fewer than two items, an item twice in one ranking,
            ids out of range, blocks out of order, a negative or non-finite weight.

    >>> rankings = Rankings.from_lists([["a", "b", "c"], ["b", ["a", "c"]]])
    >>> rankings.order.tolist(), rankings.block.tolist()
    ([[0, 1, 2], [1, 0, 2]], [[0, 1, 2], [0, 1, 1]])
    """

    order: np.ndarray
    block: np.ndarray
    items: Names
    weight: np.ndarray | None = None

    def __post_init__(self) -> None:
        where = "Rankings"
        if self.order.size == 0:
            raise ValueError(_check.complaint("the table has 0 rankings", "one or more", where))
        rows, places = self.order.shape
        _check.shaped("block", self.block, (rows, places), "ranking, place", where)
        present = self.order != ABSENT
        id_column("order", self.order[present], len(self.items), int(present.sum()), where)
        if (present[:, 1:] & ~present[:, :-1]).any():
            row = int((present[:, 1:] & ~present[:, :-1]).any(axis=1).argmax())
            got = f"ranking {row} has a gap before its end"
            raise ValueError(_check.complaint(got, "padded at its end only", where))
        if (present.sum(axis=1) < 2).any():
            row = int((present.sum(axis=1) < 2).argmax())
            got = f"ranking {row} has {present[row].sum()} items"
            raise ValueError(_check.complaint(got, "two or more", where, "Drop it."))
        listed = np.sort(self.order, axis=1)
        twice = (listed[:, 1:] == listed[:, :-1]) & (listed[:, 1:] != ABSENT)
        if twice.any():
            row = int(twice.any(axis=1).argmax())
            item = self.items[listed[row, 1:][twice[row]][0]]
            got = f"ranking {row} lists {item!r} twice"
            raise ValueError(_check.complaint(got, "each item once", where))
        rise = np.diff(self.block, axis=1)
        wrong = ((rise != 0) & (rise != 1) & present[:, 1:]).any(axis=1) | (self.block[:, 0] != 0)
        if wrong.any():
            got = f"the blocks of ranking {int(wrong.argmax())} are {self.block[wrong.argmax()]}"
            raise ValueError(_check.complaint(got, "from 0, rising by 0 or 1", where))
        if self.weight is not None:
            object.__setattr__(self, "weight", judged_weights(self.weight, rows))

    @property
    def ranking_count(self) -> int:
        """The number of rankings, whatever their weights."""
        return len(self.order)

    def adjacent_wins(self) -> PairCounts:
        """A win of each item over each item of the next block: the arrows that decide existence.

        Wins over later blocks follow by transitivity, so that the components are those of all wins.
        """
        winners, losers = [np.empty(0, np.int32)], [np.empty(0, np.int32)]
        places = self.order.shape[1]
        for gap in range(1, places):
            after = self.block[:, gap:] - self.block[:, :-gap] == 1
            after &= self.order[:, gap:] != ABSENT
            winners.append(self.order[:, :-gap][after])
            losers.append(self.order[:, gap:][after])
        winner, loser = np.concatenate(winners), np.concatenate(losers)
        once = np.ones(len(winner), np.uint64)
        return from_cells(self.items, winner, loser, once, 0 * once, None, None, ())

    @classmethod
    def from_lists(
        cls,
        rankings: Sequence[Sequence[Any]],
        weight: ArrayLike | None = None,
    ) -> "Rankings":
        """A table from lists of names, the best first; an inner list is a block of ties.

        Raises:
            ValueError: see the class.
        """
        blocks = [
            [(name, k) for k, entry in enumerate(ranking) for name in _members(entry)]
            for ranking in rankings
        ]
        if not blocks:
            raise ValueError(_check.complaint("there are 0 rankings", "one or more", "Rankings"))
        items, (ids,) = intern("item", [name for ranking in blocks for name, _ in ranking])
        places = max(map(len, blocks))
        order = np.full((len(blocks), places), ABSENT, np.int32)
        block = np.zeros((len(blocks), places), np.int32)
        begin = 0
        for row, ranking in enumerate(blocks):
            order[row, : len(ranking)] = ids[begin : begin + len(ranking)]
            block[row, : len(ranking)] = [number for _, number in ranking]
            begin += len(ranking)
        return cls(order, block, items, None if weight is None else np.asarray(weight, np.float64))


def _members(entry: Hashable | list[Hashable]) -> list[Hashable]:
    return entry if isinstance(entry, list) else [entry]
