"""The conformance matrix: estimators of libraries down, laws across, a cell for each verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from bandit_rlhf.laws.matrix import LETTERS
from bandit_rlhf.plot import style


@dataclass(frozen=True)
class Look:
    """How a verdict is drawn: its colours differ in lightness, and its letter says it again."""

    face: str
    ink: str
    words: str


# Lightness L* 93, 30, 63, 79, 100, 0: they stay apart in grey, failures and errors are dark.
LOOKS = {
    "PASS": Look("#DDEEF8", "#446677", "passes"),
    "FAIL": Look("#7A2E00", "white", "fails"),
    "DECLARED": Look("#EE7733", "black", "deviates as declared"),
    "PRECONDITION": Look("#C4C4C4", "black", "the caller must see to it"),
    "NOT APPLICABLE": Look("white", "#999999", "does not apply, or is not claimed"),
    "ERROR": Look("black", "white", "could not run"),
}

CELL = 0.105
"""Width and height of a cell, inches."""
LETTER = 4.8
"""Size of letters and names, points; a name of n letters is about n * WIDE inches long."""
WIDE = 0.46 * LETTER / 72
GAP = 0.1
"""Between panels, inches."""


@dataclass(frozen=True)
class Panel:
    """One kind of estimator: laws, and lines that are a library's name or an estimator's cells."""

    kind: str
    laws: tuple[str, ...]
    lines: tuple[tuple[str, Mapping[str, str] | None], ...]

    @property
    def top(self) -> float:
        """Room for the names of the laws above the cells, inches."""
        return max(2 * CELL, 0.04 + WIDE * max(map(len, self.laws), default=0))

    @property
    def height(self) -> float:
        """Inches."""
        return self.top + CELL * len(self.lines) + GAP


def conformance(table: Mapping[str, Any], *, columns: int = 2, kinds: Sequence[str] = ()) -> Figure:
    """Draw estimator x law, a panel a kind of estimator, with counts by library below.

    Args:
        table: what `bandit-rlhf matrix --json` prints.
        columns: of panels, side by side.
        kinds: of estimators, to draw these alone; none given: all.

    Returns:
        A figure as wide as the page of the venue (`style.drawn_for`), as high as it takes.

    Raises:
        ValueError: nothing was judged.

    >>> verdicts = [{"law": "A1", "status": "PASS"}, {"law": "A2", "status": "FAIL"}]
    >>> rloo = {"estimator": "rloo", "kind": "advantage", "error": "", "verdicts": verdicts}
    >>> counts = dict.fromkeys(LETTERS, 0) | {"PASS": 1, "FAIL": 1}
    >>> row = {"library": "somelib", "version": "1.0", "error": "", "counts": counts}
    >>> figure = conformance({"counts": counts, "libraries": [row | {"estimators": [rloo]}]})
    >>> sorted(text.get_text() for text in figure.axes[0].texts)[:4]
    ['.', '.', '0', '0']
    """
    panels = [panel for panel in panels_of(table) if not kinds or panel.kind in kinds]
    if not panels:
        raise ValueError(
            "table has no estimators, but should have some: nothing was judged "
            "[conformance]. Install a library, or ask for other kinds."
        )
    width = style.current_venue().page
    stacks = _stacks(panels, columns)
    body = max(sum(panel.height for panel in stack) for stack in stacks)
    height = GAP + body + _foot_height(table)
    figure = Figure(figsize=(width, height))
    figure.set_layout_engine("none")  # every place is given in inches
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    for place, stack in enumerate(stacks):
        left, y = place * width / columns, GAP
        for panel in stack:
            _draw_panel(axes, panel, left, y, width / columns)
            y += panel.height
    _draw_foot(axes, table, GAP + body, width)
    return figure


def panels_of(table: Mapping[str, Any]) -> list[Panel]:
    """A panel a kind, in the order in which kinds come; laws that never apply are left out."""
    found: dict[str, dict[str, list[Mapping[str, Any]]]] = {}
    for row in table["libraries"]:
        for judged in row["estimators"]:
            found.setdefault(judged["kind"], {}).setdefault(row["library"], []).append(judged)
    return [_panel(kind, libraries) for kind, libraries in found.items()]


def _panel(kind: str, libraries: Mapping[str, Sequence[Mapping[str, Any]]]) -> Panel:
    laws: dict[str, bool] = {}
    lines: list[tuple[str, Mapping[str, str] | None]] = []
    for library, estimators in libraries.items():
        lines.append((library, None))
        for judged in estimators:
            said = {v["law"]: v["status"] for v in judged["verdicts"]}
            for law, status in said.items():
                laws[law] = laws.get(law, False) or status != "NOT APPLICABLE"
            lines.append((judged["estimator"], said))
    return Panel(kind, tuple(law for law, asked in laws.items() if asked), tuple(lines))


def _stacks(panels: Sequence[Panel], columns: int) -> list[list[Panel]]:
    """Panels, highest first, each where the stack is lowest."""
    stacks: list[list[Panel]] = [[] for _ in range(columns)]
    for panel in sorted(panels, key=lambda panel: -panel.height):
        min(stacks, key=lambda stack: sum(p.height for p in stack)).append(panel)
    return stacks


def _draw_panel(axes: Axes, panel: Panel, left: float, top: float, width: float) -> None:
    """Laws above, names at the left, cells at the right edge of the column."""
    start = left + width - GAP - CELL * len(panel.laws)
    room = int((start - left - GAP / 2 - 0.04) / WIDE)
    bold = {"fontsize": LETTER + 1, "fontweight": "bold", "va": "center"}
    axes.text(left + GAP / 2, top + panel.top - CELL, panel.kind.replace("_", " "), **bold)
    for at, law in enumerate(panel.laws):
        place = (start + (at + 0.5) * CELL, top + panel.top - 0.02)
        axes.text(*place, law, rotation=90, ha="center", va="bottom", fontsize=LETTER)
    for at, (name, said) in enumerate(panel.lines):
        y = top + panel.top + at * CELL
        if said is None:
            heading = {"fontsize": LETTER, "fontstyle": "italic", "va": "center"}
            axes.text(left + GAP / 2, y + CELL / 2, name, **heading)
            axes.plot((left + GAP / 2, left + width - GAP), (y, y), "-", color="0.8", lw=0.4)
            continue
        shown = name if len(name) <= room else name[: room - 1] + "\N{HORIZONTAL ELLIPSIS}"
        axes.text(start - 0.04, y + CELL / 2, shown, ha="right", va="center", fontsize=LETTER)
        for column, law in enumerate(panel.laws):
            _draw_cell(axes, start + column * CELL, y, said.get(law, "" if said else "ERROR"))


def _draw_cell(axes: Axes, x: float, y: float, status: str) -> None:
    """A square with a letter; nothing where the law was not asked of this estimator."""
    if not status:
        return
    look = LOOKS[status]
    square = {"facecolor": look.face, "edgecolor": "0.85", "linewidth": 0.3}
    axes.add_patch(Rectangle((x, y), CELL, CELL, **square))
    centre = {"ha": "center", "va": "center_baseline", "fontsize": LETTER - 0.6}
    axes.text(x + CELL / 2, y + CELL / 2, LETTERS[status], color=look.ink, **centre)


def _foot_height(table: Mapping[str, Any]) -> float:
    return (max(len(table["libraries"]) + 2, len(LOOKS) + 1) + 1) * 1.25 * CELL


def _draw_foot(axes: Axes, table: Mapping[str, Any], top: float, width: float) -> None:
    """Counts by library at the left, what letters mean at the right."""
    line, places = 1.25 * CELL, [width * (0.17 + 0.045 * at) for at in range(len(LETTERS))]
    small = {"fontsize": LETTER, "va": "center"}
    axes.plot((GAP / 2, width - GAP), (top, top), "-", color="0.5", lw=0.5)
    for x, letter in zip(places, LETTERS.values(), strict=True):
        axes.text(x, top + line, letter, ha="right", fontweight="bold", **small)
    rows = [*table["libraries"], {"library": "all", "counts": table["counts"]}]
    for at, row in enumerate(rows):
        y = top + (at + 2) * line
        name = " ".join(filter(None, (row["library"], row.get("version"))))
        axes.text(GAP / 2, y, name, **small)
        if row.get("error"):
            why = row["error"].split(":")[0]
            axes.text(places[-1] + 0.08, y, why, fontstyle="italic", **small)
        for x, status in zip(places, LETTERS, strict=True):
            axes.text(x, y, str(row["counts"][status]), ha="right", **small)
    for at, (status, look) in enumerate(LOOKS.items()):
        y = top + (at + 1) * line
        _draw_cell(axes, 0.62 * width, y - CELL / 2, status)
        axes.text(0.62 * width + 1.6 * CELL, y, look.words, **small)
