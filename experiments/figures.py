"""From a table to figure files: PDF, SVG and PNG, the same bytes for the same table."""

import io
from collections.abc import Callable
from pathlib import Path

import polars as pl
from matplotlib import pyplot
from matplotlib.figure import Figure

from bandit_rlhf.plot.style import METADATA, PNG_DPI
from experiments.atomic import write_atomically
from experiments.style import StyleName, Venue, venue


def render(
    draw: Callable[[pl.DataFrame], Figure], table: pl.DataFrame, style: StyleName
) -> dict[str, bytes]:
    """Draw a table in a venue's style.

    Args:
        draw: an experiment's `draw`.
        table: the rows; `draw` gets nothing else.
        style: the venue.

    Returns:
        Format (`pdf`, `svg`, `png`) -> the bytes of the file.

    Raises:
        TypeError: `draw` returned something else than a Figure.
    """
    with venue(style) as place:
        drawn = draw(table)
        if not isinstance(drawn, Figure):
            raise TypeError(
                f"draw returned a {type(drawn).__name__}, but should return a matplotlib Figure."
            )
        try:
            fit_width(drawn, place)
            return {form: _saved(drawn, form) for form in METADATA}
        finally:
            pyplot.close(drawn)  # pyplot keeps the figures that it made


def fit_width(drawn: Figure, place: Venue) -> None:
    """Give a figure the venue's width (column or page, whichever is nearer), keeping its shape."""
    width, height = drawn.get_size_inches()
    new = min((place.column, place.page), key=lambda allowed: abs(allowed - width))
    drawn.set_size_inches(new, height * new / width)


def _saved(drawn: Figure, form: str) -> bytes:
    buffer = io.BytesIO()
    drawn.savefig(buffer, format=form, metadata=METADATA[form], dpi=PNG_DPI)
    return buffer.getvalue()


def save(pictures: dict[str, bytes], folder: Path, name: str) -> list[Path]:
    """Write each format to `<folder>/<name>.<format>`, atomically.

    Raises:
        OSError: the folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = {form: folder / f"{name}.{form}" for form in pictures}
    for form, path in paths.items():
        write_atomically(path, pictures[form])
    return list(paths.values())
