"""The pairs among some items as small matrices, for figures of who met and beat whom."""

from typing import NamedTuple

import numpy as np

from bandit_rlhf.comparisons import PairCounts


class Pairs(NamedTuple):
    """Pairs of chosen items, each [item, item].

    Args:
        wins: of the row's item against the column's.
        ties: symmetric.
    """

    wins: np.ndarray
    ties: np.ndarray

    @property
    def games(self) -> np.ndarray:
        """How often the two met, by weight."""
        return self.wins + self.wins.T + self.ties

    @property
    def both_ways(self) -> np.ndarray:
        """Whether either item won against the other, or they tied."""
        return ((self.wins > 0) & (self.wins.T > 0)) | (self.ties > 0)


def pairs_among(counts: PairCounts, chosen: np.ndarray) -> Pairs:
    """The counts of pairs of some items, in the order given.

    Args:
        counts: of all items.
        chosen: [chosen], distinct ids.

    >>> from bandit_rlhf.comparisons import Comparisons, aggregate
    >>> counts = aggregate(Comparisons.from_ids([0, 2, 1], [2, 0, 2]))
    >>> pairs_among(counts, np.array([2, 0])).wins.tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    place = np.full(counts.item_count, -1)
    place[chosen] = np.arange(len(chosen))
    one, two = place[counts.left], place[counts.right]
    kept = (one >= 0) & (two >= 0)
    one, two = one[kept], two[kept]
    won, lost, tied = counts.outcomes(slice(None))
    wins, ties = np.zeros((2, len(chosen), len(chosen)))
    np.add.at(wins, (one, two), won[kept])
    np.add.at(wins, (two, one), lost[kept])
    if tied is not None:
        np.add.at(ties, (one, two), tied[kept])
    return Pairs(wins, ties + ties.T)
