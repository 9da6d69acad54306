"""The win matrix: how often the row's item won against the column's."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bandit_rlhf import _check
from bandit_rlhf.comparisons import PairCounts
from bandit_rlhf.leaderboard import Leaderboard
from bandit_rlhf.plot import style
from bandit_rlhf.plot.names import short_name
from bandit_rlhf.plot.pairs import Pairs, pairs_among

WRITTEN = 12
"""Up to so many items the shares are written into the cells."""

MOST = 200
"""More items than this make cells too small to print."""

LARGEST = 7.0
"""Size of the names' letters in points; it falls where there are many."""

NAME = 22
"""Characters of a name, each about half as wide as it is high."""


def win_matrix(board: Leaderboard, counts: PairCounts, *, top: int | None = None) -> Figure:
    """Draw the share of wins of every pair, a tie counting half; grey: they never met.

    Args:
        board: gives the order of the items, the best first.
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
    >>> drawn = win_matrix(board, aggregate(rows)).axes[0]
    >>> [text.get_text() for text in drawn.texts]                   # per cent
    ['67', '33']
    """
    chosen = chosen_items(board, counts, top, MOST, "win_matrix")
    pairs = pairs_among(counts, chosen)
    width = style.current_venue().column
    letter = min(LARGEST, 72 * width / (len(chosen) + 0.55 * NAME + 4))  # as high as a cell
    left = (0.55 * NAME + 4) * letter / 72
    side = width - left - 0.12
    below, height = 0.7, side + 0.9 + 2 * letter / 72
    figure = Figure(figsize=(width, height))
    figure.set_layout_engine("none")  # the names' room is known
    axes = figure.add_axes((left / width, below / height, side / width, side / height))
    under = figure.add_axes((left / width, 0.45 / height, side / width, 0.1 / height))
    with np.errstate(invalid="ignore"):
        share = (pairs.wins + pairs.ties / 2) / pairs.games
    axes.set_facecolor("0.88")
    image = axes.imshow(np.ma.masked_invalid(share), vmin=0, vmax=1, interpolation="none")
    bar = figure.colorbar(image, cax=under, orientation="horizontal")
    bar.set_label("share of wins of the row's item (ties: half; grey: never met)")
    _label(axes, [counts.items[i] for i in chosen.tolist()], letter)
    if len(chosen) <= WRITTEN:
        _write(axes, share, pairs)
    return figure


def chosen_items(
    board: Leaderboard, counts: PairCounts, top: int | None, most: int, where: str
) -> np.ndarray:
    """[chosen], ids of the items to draw, in the order of the board."""
    if counts.items != board.fit.items:
        got = f"there are {counts.item_count} items"
        expected = f"those of the fit, {len(board)}"
        raise ValueError(
            _check.complaint(got, expected, where, "Pass the counts that were fitted.")
        )
    ordered = [line.item for line in board]
    if top is not None:
        ordered = ordered[: _check.integer_at_least("top", top, 1, where)]
    if len(ordered) > most:
        got, do = f"there are {len(ordered)} items", f"Give top, for instance {most}."
        raise ValueError(_check.complaint(got, f"at most {most}", where, do))
    place = {item: i for i, item in enumerate(counts.items)}
    return np.array([place[item] for item in ordered])


def _label(axes: Axes, items: list, letter: float) -> None:
    """Rows by name and number, columns by number, in letters that fit the cells."""
    numbers = [str(1 + i) for i in range(len(items))]
    names = [
        f"{short_name(item, NAME)}  {number}" for item, number in zip(items, numbers, strict=True)
    ]
    axes.set_yticks(range(len(items)), names, fontsize=0.95 * letter)
    turned = 90 if len(items) > WRITTEN else 0
    axes.set_xticks(range(len(items)), numbers, fontsize=0.95 * letter, rotation=turned)
    axes.tick_params(length=0, pad=2, labelbottom=False, labeltop=True)
    axes.spines[:].set_visible(False)


def _write(axes: Axes, share: np.ndarray, pairs: Pairs) -> None:
    for i, j in zip(*np.nonzero(pairs.games), strict=True):
        text = f"{100 * share[i, j]:.0f}"
        colour = "white" if share[i, j] < 0.5 else "black"  # cividis runs from dark to light
        axes.text(j, i, text, ha="center", va="center", color=colour, fontsize="x-small")
