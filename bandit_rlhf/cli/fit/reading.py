"""What `fit` reads: rows of comparisons, counts of pairs, or rankings."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bandit_rlhf import _check
from bandit_rlhf.cli.fit.options import Options
from bandit_rlhf.comparisons import Comparisons, PairCounts, Rankings
from bandit_rlhf.comparisons.files import read_chunks
from bandit_rlhf.comparisons.joining import join
from bandit_rlhf.comparisons.layouts import RANKING, renamed
from bandit_rlhf.comparisons.progress import shown
from bandit_rlhf.comparisons.ranking_files import ranking_pairs, read_rankings
from bandit_rlhf.comparisons.reading import aggregate_files, read_tables

RANKINGS = "rankings"
LONG = 1 << 24
"""Bytes of a file from which on progress is shown."""


@dataclass(frozen=True)
class Reading:
    """What the file holds.

    Args:
        comparisons: rows or counts to be fitted as pairs, or rankings to be fitted as such.
        from_rankings: the pairs are those of rankings.
    """

    comparisons: Comparisons | PairCounts | Rankings
    from_rankings: bool = False

    @property
    def rows(self) -> Comparisons | None:
        """The rows, where there are any."""
        return self.comparisons if isinstance(self.comparisons, Comparisons) else None


def read_file(options: Options) -> Reading:
    """Read the file as the options say.

    Raises:
        OSError, ImportError, ValueError: as `comparisons.reading.read`; rankings where pairs are
            asked for, or the reverse.
    """
    columns = column_names(options.columns)
    if holds_rankings(options, columns):
        return _rankings(options, columns)
    if options.model == "pl":
        got = f"--model pl is asked for, but {options.file.name} holds comparisons of two"
        raise ValueError(_check.complaint(got, "rankings", do="For two items pl is bt: say bt."))
    how: dict[str, Any] = {
        "layout": options.layout,
        "format": options.format,
        "columns": columns,
        "position": options.position,
        "bad_rows": options.bad_rows,
    }
    with _progress(options.file) as tick:
        if options.stream:
            return Reading(aggregate_files(options.file, **how, progress=tick))
        return Reading(join(read_tables(options.file, **how, progress=tick)))


def column_names(pairs: tuple[str, ...]) -> dict[str, str]:
    """Wanted name -> the file's, from WANTED=NAME.

    >>> column_names(("annotator=rater_id",))
    {'annotator': 'rater_id'}
    """
    found = {}
    for pair in pairs:
        wanted, equals, name = pair.partition("=")
        if not (wanted and equals and name):
            raise ValueError(_check.complaint(f"--columns has {pair!r}", "WANTED=NAME"))
        found[wanted] = name
    return found


def holds_rankings(options: Options, columns: dict[str, str]) -> bool:
    """Whether the first rows have a column of rankings, if the layout is not named."""
    if options.layout is not None:
        return options.layout == RANKINGS
    first = next(read_chunks(options.file, options.format), None)
    if first is None:
        return False
    known = renamed(first.columns, columns, first.source)
    return RANKING in known and not {"winner", "chosen"} & set(known)


def _rankings(options: Options, columns: dict[str, str]) -> Reading:
    refused = {"--by": options.by, "--position": options.position, "--stream": options.stream}
    for name, asked in refused.items():
        if asked:
            got = f"{name} is asked for, but {options.file.name} holds rankings"
            raise ValueError(_check.complaint(got, "comparisons of two"))
    rankings = read_rankings(
        options.file, format=options.format, columns=columns, bad_rows=options.bad_rows
    )
    if options.model in (None, "pl"):
        return Reading(rankings)
    return Reading(ranking_pairs(rankings), from_rankings=True)


@contextlib.contextmanager
def _progress(path: Path) -> Iterator[Any]:
    """A callback that shows how far the reading of a long file is; None for short ones."""
    if path.stat().st_size < LONG:
        yield None
        return
    with shown(path.name) as tick:
        yield tick
