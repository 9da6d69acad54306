"""Figures to files: PDF, SVG or PNG, the same bytes for the same figure."""

from pathlib import Path

from matplotlib.figure import Figure

from bandit_rlhf import _check
from bandit_rlhf.plot.style import METADATA, PNG_DPI


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure in the format that the ending of the path says.

    Args:
        figure: draw and save it inside one `style.drawn_for` block, as the settings of fonts are
            read when it is saved.
        path: ending in .pdf, .svg or .png.

    Raises:
        ValueError: another ending.
        OSError: the file cannot be written.

    >>> save(Figure(), "forest.jpeg")
    Traceback (most recent call last):
    ...
    ValueError: the path ends in '.jpeg', but should be in .pdf, .svg or .png [forest.jpeg].
    """
    form = figure_format(path)
    figure.savefig(path, format=form, metadata=METADATA[form], dpi=PNG_DPI)


def figure_format(path: str | Path) -> str:
    """The format that the ending of a path says.

    Raises:
        ValueError: none that can be written.

    >>> figure_format("forest.PDF")
    'pdf'
    """
    ending = Path(path).suffix.lower()
    if ending.removeprefix(".") not in METADATA:
        got = f"the path ends in {ending!r}" if ending else "the path has no ending"
        raise ValueError(_check.complaint(got, "in .pdf, .svg or .png", str(path)))
    return ending.removeprefix(".")
