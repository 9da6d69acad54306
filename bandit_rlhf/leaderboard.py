"""The leaderboard: items by score, with the errors of scores and of ranks.

Scores of different components of the comparison graph do not compare. Neither do their ranks: each
component has a leaderboard of its own, the largest component first.
"""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass

import numpy as np

from bandit_rlhf import _check
from bandit_rlhf._array import Float, Int
from bandit_rlhf.comparisons import Comparisons, PairCounts, Rankings, aggregate
from bandit_rlhf.comparisons.rankings import ABSENT
from bandit_rlhf.diagnosis import rank_intervals
from bandit_rlhf.reward.result import RewardFit
from bandit_rlhf.uncertainty import Bootstrap, Covariance


@dataclass(frozen=True)
class Standing:
    """One line of the leaderboard.

    Args:
        item: its name.
        component: its component, counted from 0, the largest first.
        rank: inside the component, from 1, the best.
        rank_low: the best rank that the comparisons allow; None: not known.
        rank_high: the worst one; likewise.
        score: nats, in the gauge of the fit.
        stderr: its standard error; None: not known.
        low: of the score's interval; likewise.
        high: likewise.
        games: comparisons (rankings) that it took part in, by weight.
    """

    item: Hashable
    component: int
    rank: int
    rank_low: int | None
    rank_high: int | None
    score: float
    stderr: float | None
    low: float | None
    high: float | None
    games: float


@dataclass(frozen=True, eq=False)
class Leaderboard:
    """Standings of all items of a fit.

    Args:
        fit: the fit.
        standings: the best first, component by component.
        level: of the intervals: of each score's alone, of the ranks' all together.
        uncertainty: how errors were estimated: "fisher", "sandwich", "annotator", "prompt",
            "bootstrap"...; None: they were not.
    """

    fit: RewardFit
    standings: tuple[Standing, ...]
    level: float
    uncertainty: str | None

    def __iter__(self) -> Iterator[Standing]:
        return iter(self.standings)

    def __len__(self) -> int:
        return len(self.standings)


def leaderboard(
    fit: RewardFit,
    comparisons: Comparisons | PairCounts | Rankings,
    sure: Covariance | Bootstrap | None,
    rng: np.random.Generator,
    *,
    level: float = 0.95,
) -> Leaderboard:
    """Order the items of a fit, with intervals for scores and ranks.

    Args:
        fit: the fit.
        comparisons: what was fitted.
        sure: the covariance or the bootstrap of `fit`; None: no intervals.
        rng: for the simultaneous intervals of the ranks (`diagnosis.rank_intervals`).
        level: the coverage, between 0 and 1.

    Returns:
        The leaderboard.

    Raises:
        ValueError: a level outside (0, 1), the covariance of another fit.

    >>> from bandit_rlhf.reward import fit
    >>> from bandit_rlhf.uncertainty import covariance
    >>> rows = Comparisons.from_labels(["tea"] * 30 + ["mate"] * 10, ["mate"] * 30 + ["tea"] * 10)
    >>> found = fit(rows)
    >>> board = leaderboard(found, rows, covariance(found, rows), np.random.default_rng(0))
    >>> [(line.item, round(line.score, 3), round(line.stderr, 3), line.games) for line in board]
    [('tea', 0.549, 0.183, 40.0), ('mate', -0.549, 0.183, 40.0)]
    """
    if not 0 < _check.real("level", level, "leaderboard") < 1:
        raise ValueError(_check.complaint(f"level is {level:g}", "between 0 and 1", "leaderboard"))
    if sure is not None and sure.fit is not fit:
        raise ValueError(_check.complaint("sure is of another fit", "of this one", "leaderboard"))
    ranks = None if sure is None else rank_intervals(sure, rng, level=level)
    stderr, low, high = (None, None, None) if sure is None else _errors(sure, level)
    component, games = _largest_first(fit.component), _games(comparisons)
    place = _places(fit, component) if ranks is None else ranks.rank
    standings = tuple(
        Standing(
            item=fit.items[i],
            component=int(component[i]),
            rank=int(place[i]),
            rank_low=None if ranks is None else int(ranks.low[i]),
            rank_high=None if ranks is None else int(ranks.high[i]),
            score=float(fit.scores[i]),
            stderr=None if stderr is None else float(stderr[i]),
            low=None if low is None else float(low[i]),
            high=None if high is None else float(high[i]),
            games=float(games[i]),
        )
        for i in np.lexsort((-fit.scores, component)).tolist()
    )
    kind = "bootstrap" if isinstance(sure, Bootstrap) else getattr(sure, "kind", None)
    return Leaderboard(fit, standings, level, kind)


def _errors(sure: Covariance | Bootstrap, level: float) -> tuple[np.ndarray, ...]:
    """[item] each: standard errors, and both ends of the scores' intervals."""
    if isinstance(sure, Bootstrap):
        ends = np.array([sure.interval(item, level=level) for item in sure.fit.items])
        return sure.scores.std(axis=0, ddof=1), ends[:, 0], ends[:, 1]
    from scipy.special import ndtri

    reach = float(ndtri((1 + level) / 2)) * sure.stderr
    return sure.stderr, sure.fit.scores - reach, sure.fit.scores + reach


def _places(fit: RewardFit, component: np.ndarray) -> Int[np.ndarray, " item"]:
    """[item], one more than the number of better items of the component."""
    ranks = np.empty(len(component), np.int64)
    for label in range(int(component.max()) + 1):
        members = np.flatnonzero(component == label)
        falling = np.sort(-fit.scores[members])
        ranks[members] = 1 + np.searchsorted(falling, -fit.scores[members], side="left")
    return ranks


def _largest_first(component: np.ndarray) -> Int[np.ndarray, " item"]:
    """Components renumbered by falling size."""
    order = np.argsort(-np.bincount(component), kind="stable")
    return np.argsort(order, kind="stable")[component]


def _games(comparisons: Comparisons | PairCounts | Rankings) -> Float[np.ndarray, " item"]:
    """[item], the weight of the comparisons or rankings it occurs in."""
    if isinstance(comparisons, Rankings):
        present = comparisons.order != ABSENT
        weight = np.ones(len(present)) if comparisons.weight is None else comparisons.weight
        each = np.broadcast_to(weight[:, None], present.shape)[present]
        return np.bincount(comparisons.order[present], each, len(comparisons.items))
    counts = aggregate(comparisons) if isinstance(comparisons, Comparisons) else comparisons
    return counts.games()
