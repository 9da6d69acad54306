"""How figures look: a venue sets widths and type sizes, the palette survives print and eyes.

Fonts are those that ship with matplotlib (STIX, a Times; DejaVu Sans), so that a figure looks the
same everywhere and needs no LaTeX. Colours differ in lightness, so that they stay apart in grey,
and under each kind of colour blindness; line styles and markers say it again.
"""

import contextlib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import matplotlib
from cycler import cycler
from matplotlib.figure import Figure

# Lightness L* from dark to light: 0, 16, 30, 46, 63, 79; in an order that parts the first two most.
COLOURS = ("#222255", "#EE7733", "#AA4499", "#88CCEE", "#7A2E00", "#000000")
LINES = ("-", "--", "-.", (0, (1, 1)), (0, (5, 1, 1, 1, 1, 1)), (0, (7, 3)))
MARKERS = ("o", "s", "^", "D", "v", "P")
GOLDEN = (5**0.5 - 1) / 2

SERIF = {"font.family": "serif", "font.serif": ["STIXGeneral"], "mathtext.fontset": "stix"}
SANS = {"font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"]}
FINE = {"lines.linewidth": 1.2, "lines.markersize": 3, "axes.linewidth": 0.6}
TEN_POINT = {
    "font.size": 9,
    "axes.labelsize": 9,
    "axes.titlesize": 9,
    "legend.fontsize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
}
"""For text set in ten points: labels one point smaller, ticks and legends three."""

SHARED: dict[str, Any] = {
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

# What would differ between two runs, or name the program's version, is left out of the files.
METADATA: dict[str, dict[str, Any]] = {
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
}
PNG_DPI = 300


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


PAPER = Venue(5.5, 5.5, SERIF | FINE | TEN_POINT)
"""A page of one column, 5.5 inches wide, as many conferences print it."""

_venue: ContextVar[Venue] = ContextVar("venue", default=PAPER)


@contextlib.contextmanager
def drawn_for(venue: Venue = PAPER) -> Iterator[Venue]:
    """Draw for a venue inside this block; a matplotlibrc of the machine has no say in it."""
    token = _venue.set(venue)
    settings: Any = {**SHARED, **venue.rc}
    try:
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(settings)
            yield venue
    finally:
        _venue.reset(token)


def current_venue() -> Venue:
    """The venue of the innermost `drawn_for` block; outside of all, `PAPER`."""
    return _venue.get()


def figure(rows: int = 1, columns: int = 1, height_to_width: float = GOLDEN) -> Figure:
    """An empty figure of the current venue: one column wide, or the page for panels side by side.

    Args:
        rows: panels below each other that the caller will add.
        columns: panels side by side that the caller will add.
        height_to_width: of one panel.

    >>> with drawn_for(Venue(3.25, 6.75, {})):
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
