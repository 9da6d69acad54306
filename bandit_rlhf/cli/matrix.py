"""`bandit-rlhf matrix`: which laws do the estimators of whole libraries obey?

>>> failures({"library": "somelib", "estimators": [
...     {"estimator": "rloo", "error": "ImportError: no rloo", "verdicts": []}]})
['ERROR somelib rloo: ImportError: no rloo']
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from bandit_rlhf.cli.check import finite
from bandit_rlhf.cli.main import tell
from bandit_rlhf.laws.matrix import LETTERS

ABOUT = """Judge the estimators of whole libraries: estimator x law.

bandit-rlhf matrix
bandit-rlhf matrix --library torchtune --library polgrad
bandit-rlhf matrix --python .venv-matrix/bin/python --json > matrix.json
bandit-rlhf matrix --library bandit_rlhf --plot matrix.pdf

Functions of verl, trl, torchtune, trinity-rft and polgrad are called unmodified, behind adapters
that translate arguments and write down what the library claims (bandit_rlhf.laws.adapters). Each
library is judged in a process of its own, by the interpreter that --python names; one that is not
installed there is told, and never passes. `make matrix` makes an environment that has them all.

P passes, F fails, D deviates as declared, C the caller must see to it, E could not run, a dot: the
law does not apply. Exit codes: 0 every law holds, or deviates as declared; 1 a law fails;
2 something could not run.
"""

STYLES = {"P": "green", "F": "bold red", "D": "yellow", "C": "cyan", ".": "dim", "E": "bold red"}


@dataclass(frozen=True)
class Options:
    """What to judge, and how to show it."""

    library: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """Judge this library alone; may be repeated. Left out: all that have adapters."""
    python: str = sys.executable
    """The interpreter that has the libraries, and what this package needs."""
    profile: Literal["dev", "ci", "nightly"] = "dev"
    """dev: structural and generic cases. ci, nightly: Hypothesis looks for more."""
    seconds: float = 900.0
    """How long one library may take."""
    json: bool = False
    """Print verdicts as JSON."""
    plot: Path | None = None
    """Draw the matrix to this file (.pdf, .svg, .png) as well."""


def run(options: Options) -> int:
    """Judge, print, draw, and return the exit code."""
    from bandit_rlhf.laws.matrix import matrix_of

    if options.plot is not None:
        from bandit_rlhf.plot.saving import figure_format

        figure_format(options.plot)  # a wrong ending is told before the long wait
    try:
        matrix = matrix_of(
            options.library,
            python=options.python,
            profile=options.profile,
            seconds=options.seconds,
        )
    except FileNotFoundError as error:
        raise ValueError(
            f"python is {options.python!r}, but should be an interpreter. Give its path."
        ) from error
    table = finite(matrix.as_json())
    if options.json:
        print(json.dumps(table, indent=2, allow_nan=False))
    else:
        show(table)
    if options.plot is not None:
        draw(table, options.plot)
    return matrix.exit_code


def draw(table: dict[str, Any], path: Path) -> None:
    """Draw the table of `--json` to a file."""
    from bandit_rlhf.plot import conformance, drawn_for, save

    if not any(row["estimators"] for row in table["libraries"]):
        tell(f"warning: nothing was judged, so {path} was not drawn.", 0)
        return
    with drawn_for():
        save(conformance(table), path)


def show(table: dict[str, Any]) -> None:
    """Print a table a kind, then failures in words, then counts by library."""
    for kind, rows in by_kind(table).items():
        _print(_grid(kind, rows))
    for row in table["libraries"]:
        for line in failures(row):
            print(line)
    _print(_totals(table))
    for row in table["libraries"]:
        if row["error"]:
            print(f"{row['library']}: {row['error']}")


def _print(grid: Any) -> None:
    """A table as wide as it is: a narrow window breaks lines, but no name is cut."""
    from rich.console import Console

    wide = Console(width=1000).measure(grid).maximum
    console = Console(highlight=False)
    console.width = max(console.width, wide)
    console.print(grid)


def by_kind(table: dict[str, Any]) -> dict[str, list[tuple[str, dict[str, Any]]]]:
    """Kind -> (library, estimator) in order."""
    found: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for row in table["libraries"]:
        for judged in row["estimators"]:
            found.setdefault(judged["kind"], []).append((row["library"], judged))
    return found


def failures(row: dict[str, Any]) -> list[str]:
    """What fails, or could not run, in words: one line a verdict."""
    lines = []
    for judged in row["estimators"]:
        name = f"{row['library']} {judged['estimator']}"
        if judged["error"]:
            lines.append(f"ERROR {name}: {judged['error']}")
        for verdict in judged["verdicts"]:
            if verdict["status"] in ("FAIL", "ERROR"):
                reading = " ".join(verdict["reading"].split())
                lines.append(f"{verdict['status']} {verdict['law']} {name}: {reading}")
    return lines


def _grid(kind: str, rows: list[tuple[str, dict[str, Any]]]) -> Any:
    """One kind: estimators down, laws across."""
    from rich import box
    from rich.table import Table

    laws = list(dict.fromkeys(v["law"] for _, judged in rows for v in judged["verdicts"]))
    grid = Table(
        "", *laws, title=kind, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )
    before = None
    for library, judged in rows:
        if library != before:
            grid.add_row(library, style="bold")
            before = library
        letters = {v["law"]: LETTERS[v["status"]] for v in judged["verdicts"]}
        cells = [letters.get(law, "E" if judged["error"] else "") for law in laws]
        grid.add_row(f"  {judged['estimator']}", *map(_coloured, cells))
    return grid


def _coloured(letter: str) -> Any:
    from rich.text import Text

    return Text(letter, style=STYLES.get(letter, ""))


def _totals(table: dict[str, Any]) -> Any:
    """Verdicts by library and status."""
    from rich import box
    from rich.table import Table

    headings = [word.lower() for word in LETTERS]
    grid = Table("library", "version", "estimators", *headings, box=box.SIMPLE_HEAD)
    for row in table["libraries"]:
        counts = [str(row["counts"][status]) for status in LETTERS]
        grid.add_row(row["library"], row["version"], str(len(row["estimators"])), *counts)
    grid.add_section()
    every = sum(len(row["estimators"]) for row in table["libraries"])
    grid.add_row("all", "", str(every), *(str(table["counts"][status]) for status in LETTERS))
    return grid
