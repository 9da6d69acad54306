"""How figures look: the venue sets widths and type sizes, the palette survives print and eyes.

Sizes come from tueplots. Fonts are those that ship with matplotlib (STIX, a Times; DejaVu Sans),
so that a figure looks the same everywhere and needs no LaTeX. Colours differ in lightness, so that
they stay apart in grey, and under each kind of colour blindness; line styles and markers say it
again.
"""

import contextlib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal, get_args

import matplotlib
from cycler import cycler
from matplotlib.figure import Figure
from tueplots import figsizes, fontsizes

StyleName = Literal["neurips", "icml", "jmlr", "talk"]

# Lightness L* from dark to light: 0, 16, 30, 46, 63, 79; in an order that parts the first two most.
COLOURS = ("#222255", "#EE7733", "#AA4499", "#88CCEE", "#7A2E00", "#000000")
LINES = ("-", "--", "-.", (0, (1, 1)), (0, (5, 1, 1, 1, 1, 1)), (0, (7, 3)))
MARKERS = ("o", "s", "^", "D", "v", "P")
GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True)
class Venue:
    """Where a figure appears.

    Args:
        column: width of one column, inches.
        page: width of the text block, inches; equal to `column` in one-column venues.
        rc: matplotlib settings, type sizes in points among them.
    """

    column: float
    page: float
    rc: Mapping[str, Any]


def _width(size: Mapping[str, Any]) -> float:
    return size["figure.figsize"][0]


SERIF = {"font.family": "serif", "font.serif": ["STIXGeneral"], "mathtext.fontset": "stix"}
SANS = {"font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"]}
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
FINE = {"lines.linewidth": 1.2, "lines.markersize": 3, "axes.linewidth": 0.6}
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
SHARED = {
    "axes.prop_cycle": cycler(color=COLOURS) + cycler(linestyle=LINES),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "image.cmap": "cividis",  # lightness rises evenly; made for colour-blind readers
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    "savefig.bbox": None,  # "tight" would change the width that the venue sets
    "pdf.fonttype": 42,  # embedded TrueType: venues refuse Type 3
    "ps.fonttype": 42,
    "svg.fonttype": "path",  # outlines: no font to miss
    "svg.hashsalt": "bandit_rlhf",  # else the ids in an SVG are random
}

_venue: ContextVar[Venue] = ContextVar("venue", default=VENUES["neurips"])


@contextlib.contextmanager
def venue(name: StyleName) -> Iterator[Venue]:
    """Draw for a venue inside this block; a matplotlibrc of the machine has no say in it.

    Raises:
        ValueError: there is no such style.
    """
    if name not in VENUES:
        known = ", ".join(get_args(StyleName))
        raise ValueError(f"style is {name!r}, but should be one of {known}.")
    settings: Any = {**SHARED, **VENUES[name].rc}
    token = _venue.set(VENUES[name])
    try:
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(settings)
            yield VENUES[name]
    finally:
        _venue.reset(token)


def figure(rows: int = 1, columns: int = 1, height_to_width: float = GOLDEN) -> Figure:
    """An empty figure of the current venue: one column wide, or the page for panels side by side.

    Args:
        rows: panels below each other that the caller will add.
        columns: panels side by side that the caller will add.
        height_to_width: of one panel.

    >>> with venue("icml"):
    ...     width, height = figure(columns=2, height_to_width=0.5).get_size_inches()
    >>> float(width), float(height)
    (6.75, 1.6875)
    """
    width = _venue.get().column if columns == 1 else _venue.get().page
    return Figure(figsize=(width, rows * height_to_width * width / columns))


def series(index: int) -> dict[str, Any]:
    """Colour, line style and marker of one series, as keyword arguments of `Axes.plot`.

    Raises:
        ValueError: there is no such series; more than six lines are not told apart.

    >>> series(1)
    {'color': '#EE7733', 'linestyle': '--', 'marker': 's'}
    """
    if not 0 <= index < len(COLOURS):
        raise ValueError(
            f"series is {index}, but should be in 0..{len(COLOURS) - 1}: more lines than that are "
            "not told apart. Use panels, or a colour map for an ordered ladder."
        )
    return {"color": COLOURS[index], "linestyle": LINES[index], "marker": MARKERS[index]}
