"""The comparison graph: who met whom, how often, and whether wins went both ways."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bandit_rlhf.comparisons import PairCounts
from bandit_rlhf.leaderboard import Leaderboard
from bandit_rlhf.plot import style
from bandit_rlhf.plot.names import short_name
from bandit_rlhf.plot.pairs import Pairs, pairs_among
from bandit_rlhf.plot.win_matrix import chosen_items

MOST = 200
"""More items than this leave no room for their names."""

LARGEST = 7.0
"""Size of the names' letters in points; it falls where there are many."""

NAME = 22
"""Characters of a name, each about half as wide as it is high."""


def comparison_network(board: Leaderboard, counts: PairCounts, *, top: int | None = None) -> Figure:
    """Draw a circle for each component: its items as dots, the best on top, then clockwise.

    A line joins two items that met, the darker the more often. It is solid if wins (or ties) went
    both ways; without a prior a fit exists iff arrows lead from every item to all of its component.

    Args:
        board: the leaderboard.
        counts: of the pairs that were fitted.
        top: so many items of the board; None: all, at most 200.

    Returns:
        A figure as wide as a column of the venue.

    Raises:
        ValueError: more than 200 items, top below 1, counts of other items.

    >>> from bandit_rlhf.comparisons import Comparisons, aggregate
    >>> from bandit_rlhf.leaderboard import leaderboard
    >>> from bandit_rlhf.reward import fit
    >>> rows = Comparisons.from_labels(["tea", "tea", "mate"], ["mate", "mate", "tea"])
    >>> board = leaderboard(fit(rows), rows, None, np.random.default_rng(0))
    >>> drawn = comparison_network(board, aggregate(rows))
    >>> [text.get_text() for text in drawn.axes[0].texts]
    ['tea', 'mate']
    """
    chosen = chosen_items(board, counts, top, MOST, "comparison_network")
    pairs = pairs_among(counts, chosen)
    sizes = np.unique([line.component for line in board][: len(chosen)], return_counts=True)[1]
    centre, radius, extent = shelves(sizes)
    width = style.current_venue().column
    letter = min(LARGEST, 72 * 0.85 * width / extent[0])  # the colour bar takes the rest
    figure = Figure(figsize=(width, extent[1] * letter / 72 + 0.5), layout="constrained")
    axes = figure.subplots()
    axes.set_axis_off()
    axes.set_aspect("equal")
    spare = max(0.0, 72 * 0.85 * width / letter - extent[0])
    axes.set(xlim=(-spare / 2, extent[0] + spare / 2), ylim=(-extent[1], 0))
    angle = np.concatenate([clockwise(n) for n in sizes.tolist()])
    outward = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    place = np.repeat(centre, sizes, axis=0) + np.repeat(radius, sizes)[:, None] * outward
    _lines(axes, place, pairs)
    dots = axes.scatter(
        *place.T,
        s=0.6 * letter**2,
        c=board.fit.scores[chosen],
        cmap="cividis_r",
        edgecolors="black",
        linewidths=0.4,
        zorder=2,
    )
    bar = figure.colorbar(dots, ax=axes, shrink=0.6, pad=0.01)
    bar.set_label("score (compares within a circle)")
    for item, at, turn in zip(chosen.tolist(), place + outward, angle, strict=True):
        _name(axes, short_name(counts.items[item], NAME), at, np.degrees(turn), letter)
    shown = [
        Line2D([], [], color="0.3", ls="-", label="each won, or they tied"),
        Line2D([], [], color="0.3", ls="--", label="one won every time"),
    ]
    figure.legend(handles=shown, loc="outside lower center", ncols=2)
    return figure


def shelves(sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray, tuple[float, float]]:
    """Circles for components on shelves, the largest first, names included; in sizes of a letter.

    Args:
        sizes: [component], items.

    Returns:
        centres [component, 2], with y falling; radii [component]; width and height of it all.

    >>> centre, radius, extent = shelves(np.array([60, 2]))
    >>> bool(radius[0] * 2 * np.pi >= 60)                # a line of letters for each
    True
    """
    radius = np.where(sizes > 1, np.maximum(1.3 * sizes / (2 * np.pi), np.minimum(sizes, 8)), 0.0)
    half = radius + NAME / 2 + 1.5
    shelf = max(2 * half.max(), 1.5 * np.sqrt((4 * half**2).sum()))
    centre = np.zeros((len(sizes), 2))
    x = y = height = widest = 0.0
    for k, reach in enumerate(half.tolist()):
        if x + 2 * reach > shelf:
            x, y, height = 0.0, y - height, 0.0
        centre[k] = x + reach, y - reach
        x, height = x + 2 * reach, max(height, 2 * reach)
        widest = max(widest, x)
    return centre, radius, (widest, height - y)


def clockwise(items: int) -> np.ndarray:
    """[item], the angles of items around a circle: from the top; of two, from the left."""
    start = np.pi / 2 if items > 2 else np.pi
    return start - 2 * np.pi * np.arange(items) / items


def _lines(axes: Axes, place: np.ndarray, pairs: Pairs) -> None:
    one, two = np.nonzero(np.triu(pairs.games, 1))
    if not len(one):
        return
    share = pairs.games[one, two] / pairs.games.max()
    crowded = min(1.0, np.sqrt(60 / len(one)))  # many lines: each fainter
    both_ways = pairs.both_ways[one, two]
    for kept, look in ((both_ways, "-"), (~both_ways, "--")):
        colours = np.zeros((int(kept.sum()), 4))
        colours[:, 3] = crowded * (0.2 + 0.6 * share[kept])
        ends = np.stack([place[one[kept]], place[two[kept]]], axis=1)
        width = 0.4 + share[kept]
        lines = LineCollection(list(ends), linestyles=look, linewidths=width, colors=colours)
        axes.add_collection(lines)


def _name(axes: Axes, name: str, at: np.ndarray, degrees: float, letter: float) -> None:
    """A name that runs outwards, and never upside down."""
    leftwards = np.cos(np.radians(degrees)) < -1e-9
    axes.text(
        at[0],
        at[1],
        name,
        rotation=degrees + 180 * leftwards,
        rotation_mode="anchor",
        ha="right" if leftwards else "left",
        va="center",
        fontsize=0.9 * letter,
        zorder=3,
    )
