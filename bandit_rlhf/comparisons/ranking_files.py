"""From files and frames to rankings, and from rankings to pairs."""

from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bandit_rlhf import _check
from bandit_rlhf.comparisons.bad_rows import (
    NAME_TYPES,
    BadRowCounter,
    BadRows,
    Fault,
    weight_faults,
)
from bandit_rlhf.comparisons.files import Chunk, frame_chunk, read_chunks
from bandit_rlhf.comparisons.layouts import RANKING, renamed
from bandit_rlhf.comparisons.rankings import ABSENT, Rankings
from bandit_rlhf.comparisons.table import Comparisons

Blocks = list[list[Hashable]]
"""Tied names in each block, the best block first."""


def read_rankings(
    path: str | Path,
    *,
    format: str | None = None,
    columns: Mapping[str, str] | None = None,
    bad_rows: BadRows = "raise",
) -> Rankings:
    """Read a file with a column `ranking` and, where rankings repeat, `weight`.

    A ranking is a list, the best first, with ties as inner lists (JSON, Parquet), or text such as
    "a > b = c". Prompts and annotators of rankings are not kept.

    Args:
        path: a file of the formats of `reading.read`.
        format: csv, tsv, json, jsonl or parquet; None: what the file's ending says.
        columns: wanted name -> the file's name of a column.
        bad_rows: "raise" at the first row that cannot be used, or "drop" them with a warning.

    Raises:
        OSError: the file cannot be opened.
        ImportError: Parquet without polars.
        ValueError: as `reading.read`; or no such column, a ranking of fewer than two items, with
            one twice, or with an empty place.
    """
    path = Path(path)
    return _rankings(read_chunks(path, format), path.name, columns, bad_rows)


def rankings_from_frame(
    frame: Any, *, columns: Mapping[str, str] | None = None, bad_rows: BadRows = "raise"
) -> Rankings:
    """The same from a polars or pandas frame, or a mapping from column names to sequences.

    Args:
        frame: the rows.
        columns: as for `read_rankings`.
        bad_rows: as for `read_rankings`.

    Raises:
        TypeError: no such frame.
        ValueError: as for `read_rankings`.

    >>> rankings_from_frame({"ranking": ["tea > mate = maize"]}).block.tolist()
    [[0, 1, 1]]
    """
    chunk = frame_chunk(frame)
    return _rankings([chunk], chunk.source, columns, bad_rows)


def ranking_pairs(rankings: Rankings) -> Comparisons:
    """Every pair of every ranking as a comparison, tied where the block is the same.

    Under Plackett and Luce's model any two items of a ranking follow Bradley and Terry's, so that
    the pairs estimate its rewards consistently. But pairs of one ranking are not independent:
    intervals must be clustered by ranking, and the whole likelihood is more efficient (Zhu, Jordan,
    Jiao 2023, arXiv:2301.11270, section 4).

    Returns:
        The table; its annotators are the numbers of the rankings, to cluster by.

    >>> rows = ranking_pairs(Rankings.from_lists([["tea", ["mate", "maize"]]]))
    >>> [(rows.items[a], rows.items[b]) for a, b in zip(rows.winner, rows.loser)]
    [('tea', 'mate'), ('tea', 'maize'), ('mate', 'maize')]
    >>> rows.tie.tolist()
    [False, False, True]
    """
    upper, lower = np.triu_indices(rankings.order.shape[1], 1)
    present = rankings.order[:, lower] != ABSENT
    origin = np.nonzero(present)[0].astype(np.int32)
    tie = (rankings.block[:, upper] == rankings.block[:, lower])[present]
    return Comparisons(
        rankings.order[:, upper][present],
        rankings.order[:, lower][present],
        rankings.items,
        tie if tie.any() else None,
        None if rankings.weight is None else rankings.weight[origin],
        annotator=origin,
        annotators=range(rankings.ranking_count),
    )


def parse_ranking(value: Any) -> Blocks:
    """The blocks of a ranking given as a list (ties are inner lists) or as text.

    Raises:
        ValueError: what a ranking should be and this one is not.

    >>> parse_ranking("tea > mate = maize"), parse_ranking(["tea", ["mate", "maize"]])
    ([['tea'], ['mate', 'maize']], [['tea'], ['mate', 'maize']])
    """
    if isinstance(value, str):
        blocks: Blocks = [[name.strip() for name in tie.split("=")] for tie in value.split(">")]
    elif isinstance(value, list | tuple):
        blocks = [list(entry) if isinstance(entry, list | tuple) else [entry] for entry in value]
    else:
        raise ValueError("text such as 'a > b = c', or a list with the best first")
    names = [name for block in blocks for name in block]
    if not all(blocks) or any(type(name) not in NAME_TYPES or name == "" for name in names):
        raise ValueError("a name (text or a whole number) in every place")
    if len(set(map(type, names))) > 1:
        raise ValueError("names of one type")
    if len(names) < 2:
        raise ValueError("two items or more")
    if len(set(names)) < len(names):
        raise ValueError("distinct items")
    return blocks


def _rankings(
    chunks: Iterable[Chunk], source: str, columns: Mapping[str, str] | None, bad_rows: BadRows
) -> Rankings:
    counter = BadRowCounter(bad_rows)
    rankings: list[Blocks] = []
    weights: list[float] = []
    for chunk in chunks:
        given = renamed(chunk.columns, columns or {}, chunk.source)
        if RANKING not in given:
            got, do = f"the columns are {', '.join(given) or 'none'}", "Map it by `columns`."
            raise ValueError(_check.complaint(got, f"with {RANKING!r}", chunk.source, do))
        parsed: dict[int, Blocks] = {}
        faults = weight_faults(given.get("weight", ()))
        for row, value in enumerate(given[RANKING]):
            try:
                parsed[row] = parse_ranking(value)
            except ValueError as error:
                faults[row] = Fault(f"the ranking is {value!r}", str(error))
        counter.settle(chunk, faults)
        kept = [row for row in parsed if row not in faults]
        rankings += [parsed[row] for row in kept]
        if "weight" in given:
            weights += [float(given["weight"][row]) for row in kept]
    counter.report(source)
    return Rankings.from_lists(rankings, weights or None)
