"""Venues of experiments' figures: the palette of `bandit_rlhf.plot`, sizes from tueplots."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args

from tueplots import figsizes, fontsizes

from bandit_rlhf.plot.style import (
    COLOURS,
    FINE,
    GOLDEN,
    LINES,
    MARKERS,
    SANS,
    SERIF,
    SHARED,
    Venue,
    drawn_for,
    figure,
    series,
)

__all__ = [
    "COLOURS",
    "GOLDEN",
    "LINES",
    "MARKERS",
    "SHARED",
    "VENUES",
    "StyleName",
    "Venue",
    "figure",
    "series",
    "venue",
]

StyleName = Literal["neurips", "icml", "jmlr", "talk"]

TALK = {
    "font.size": 18,
    "axes.labelsize": 18,
    "axes.titlesize": 20,
    "legend.fontsize": 15,
    "xtick.labelsize": 15,
    "ytick.labelsize": 15,
    "lines.linewidth": 3,
    "lines.markersize": 9,
    "axes.linewidth": 1.2,
}


def _width(size: Mapping[str, Any]) -> float:
    return size["figure.figsize"][0]


VENUES: dict[StyleName, Venue] = {
    "neurips": Venue(
        _width(figsizes.neurips2024()),
        _width(figsizes.neurips2024()),
        SERIF | FINE | fontsizes.neurips2024(),
    ),
    "icml": Venue(
        _width(figsizes.icml2024_half()),
        _width(figsizes.icml2024_full()),
        SERIF | FINE | fontsizes.icml2024(),
    ),
    "jmlr": Venue(
        _width(figsizes.jmlr2001()),
        _width(figsizes.jmlr2001()),
        SERIF | FINE | fontsizes.jmlr2001(),
    ),
    "talk": Venue(12.0, 12.0, SANS | TALK),  # on a slide of 13.3 by 7.5 inches
}


@contextlib.contextmanager
def venue(name: StyleName) -> Iterator[Venue]:
    """Draw for a venue inside this block; a matplotlibrc of the machine has no say in it.

    Raises:
        ValueError: there is no such style.
    """
    if name not in VENUES:
        known = ", ".join(get_args(StyleName))
        raise ValueError(f"style is {name!r}, but should be one of {known}.")
    with drawn_for(VENUES[name]) as place:
        yield place
