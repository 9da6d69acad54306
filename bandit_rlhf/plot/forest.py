"""The forest plot: a line an item, its score with an interval, and the ranks it may have."""

from collections.abc import Iterator
from itertools import groupby
from typing import Literal

from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

from bandit_rlhf import _check
from bandit_rlhf.leaderboard import Leaderboard, Standing
from bandit_rlhf.plot import style
from bandit_rlhf.plot.names import short_name

UNITS = {"thurstone": "standard deviations of the noise"}
"""Of the scores; nats where nothing else is said."""

LINE = 1.45
"""Height of a line, in sizes of its letters."""


def forest(board: Leaderboard, *, top: int | None = None) -> Figure:
    """Draw scores with their intervals, and ranks with theirs at the right.

    Args:
        board: the leaderboard; without uncertainty, points alone are drawn.
        top: so many lines of it; None: all.

    Returns:
        A figure as wide as a column of the venue (`style.drawn_for`), as high as it takes.

    Raises:
        ValueError: top below 1.

    >>> from bandit_rlhf.comparisons import Comparisons
    >>> from bandit_rlhf.leaderboard import leaderboard
    >>> from bandit_rlhf.reward import fit
    >>> import numpy as np
    >>> rows = Comparisons.from_labels(["tea", "tea", "mate"], ["mate", "mate", "tea"])
    >>> axes = forest(leaderboard(fit(rows), rows, None, np.random.default_rng(0))).axes[0]
    >>> [label.get_text() for label in axes.get_yticklabels()]
    ['tea', 'mate']
    """
    shown = board.standings
    if top is not None:
        shown = shown[: _check.integer_at_least("top", top, 1, "forest")]
    figure, axes = _page(len(shown) + len({line.component for line in shown}))
    places = list(_places(shown))
    known = shown[0].low is not None
    look = style.series(0)
    for place, line in zip(places, shown, strict=True):
        if line.low is not None and line.high is not None:
            axes.plot((line.low, line.high), (place, place), "-", color=look["color"])
        axes.plot(line.score, place, look["marker"], color=look["color"])
    _label(axes, places, shown)
    unit = UNITS.get(board.fit.model, "nats")
    axes.set_xlabel(
        f"score, {unit}" + (f", with its {100 * board.level:g} % interval" if known else "")
    )
    if board.fit.component_count < len(board.fit.items):
        axes.axvline(0, color="0.6", lw=0.5, zorder=0)
    if known:
        heading = f"rank, and ranks at\n{100 * board.level:g} % confidence for all"
        axes.text(
            1.02, 1.0, heading, transform=axes.transAxes, va="bottom", fontsize=_size("xtick")
        )
    return figure


def _page(lines: int) -> tuple[Figure, Axes]:
    """A figure whose height gives every line of text its room."""
    width = style.current_venue().column
    inch = LINE * _size("ytick") / 72
    figure = Figure(figsize=(width, (lines + 5) * inch), layout="constrained")
    axes = figure.subplots()
    axes.set_ylim(lines - 0.5, -0.5)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", color="0.92", lw=0.5)
    axes.set_axisbelow(True)
    return figure, axes


def _size(axis: Literal["xtick", "ytick"]) -> float:
    """The size of tick labels in points."""
    setting = rcParams["xtick.labelsize" if axis == "xtick" else "ytick.labelsize"]
    return FontProperties(size=setting).get_size_in_points()


def _places(shown: tuple[Standing, ...]) -> Iterator[int]:
    """The height of every line; a gap parts components."""
    place = -1
    for _, lines in groupby(shown, key=lambda line: line.component):
        place += 1
        for _ in lines:
            yield place
            place += 1


def _label(axes: Axes, places: list[int], shown: tuple[Standing, ...]) -> None:
    """Names on the left, ranks on the right, a line above each further component."""
    axes.set_yticks(places, [short_name(line.item) for line in shown])
    previous = shown[0].component
    for place, line in zip(places, shown, strict=True):
        if line.component != previous:
            axes.axhline(place - 1, color="0.6", lw=0.5)
            previous = line.component
        axes.annotate(
            rank_text(line),
            (1.02, place),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=_size("ytick"),
            annotation_clip=False,
        )


def rank_text(line: Standing) -> str:
    """A rank with its interval, as the leaderboard prints it.

    >>> rank_text(Standing("tea", 0, 2, 1, 3, 0.5, 0.1, 0.3, 0.7, 9.0))
    '2  (1-3)'
    """
    if line.rank_low is None:
        return str(line.rank)
    return f"{line.rank}  ({line.rank_low}-{line.rank_high})"
