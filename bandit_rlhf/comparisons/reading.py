"""From files and frames to comparisons: `read`, `from_frame`; `aggregate_files` beyond memory.

The layout is told by the columns, or named (`layouts.LAYOUTS`); columns of other names are mapped,
`columns={"annotator": "rater_id"}`. Nothing is repaired: a row that cannot be used stops the
reading, with its line, or, if so asked, is dropped and counted in a warning.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from bandit_rlhf import _check
from bandit_rlhf.comparisons import layouts
from bandit_rlhf.comparisons.aggregation import aggregate_stream
from bandit_rlhf.comparisons.bad_rows import (
    BadRowCounter,
    BadRows,
    Fault,
    name_faults,
    weight_faults,
)
from bandit_rlhf.comparisons.files import Chunk, frame_chunk, read_chunks
from bandit_rlhf.comparisons.layouts import Layout, Sheet
from bandit_rlhf.comparisons.pair_counts import PairCounts
from bandit_rlhf.comparisons.table import Comparisons

Tick = Callable[[int, int, int], None]
"""Called after every chunk with bytes read, bytes in all, rows read."""


def read(
    path: str | Path,
    *,
    layout: str | None = None,
    format: str | None = None,
    columns: Mapping[str, str] | None = None,
    position: bool = False,
    bad_rows: BadRows = "raise",
) -> Comparisons:
    r"""Read a file of comparisons into one table.

    Args:
        path: CSV, TSV, JSON (one array), JSONL, or Parquet, which needs the extra `experiments`.
        layout: a key of `layouts.LAYOUTS`; None: the one whose columns the file has.
        format: csv, tsv, json, jsonl or parquet; None: what the file's ending says.
        columns: wanted name -> the file's name of a column, e.g. {"annotator": "rater_id"}.
        position: record who was shown first as a covariate to be fitted; the layout must tell.
        bad_rows: "raise" at the first row that cannot be used, or "drop" them with a warning.

    Returns:
        The table, items, prompts and annotators by their names in the file.

    Raises:
        OSError: the file cannot be opened.
        ImportError: Parquet without polars.
        ValueError: an unknown layout or column, an empty file, a file that is not what its ending
            says; a line that is truncated, not UTF-8, compares an item with itself, has no name, an
            unknown outcome, or a weight that is negative or no number. The message says where.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "crowd.csv"
    >>> _ = path.write_text("left,right,winner,worker\ntea,mate,left,Ann\nmate,tea,tie,Bob\n")
    >>> rows = read(path)
    >>> rows.items, rows.tie.tolist(), rows.annotators
    (('mate', 'tea'), [False, True], ('Ann', 'Bob'))
    """
    path = Path(path)
    return _one_table(read_chunks(path, format), path.name, layout, columns, position, bad_rows)


def from_frame(
    frame: Any,
    *,
    layout: str | None = None,
    columns: Mapping[str, str] | None = None,
    position: bool = False,
    bad_rows: BadRows = "raise",
) -> Comparisons:
    """The same from a polars or pandas frame, or a mapping from column names to sequences.

    Args:
        frame: the rows.
        layout: as for `read`.
        columns: as for `read`.
        position: as for `read`.
        bad_rows: as for `read`.

    Raises:
        TypeError: no such frame.
        ValueError: as for `read`; rows are counted from 1.

    >>> frame = {"model_a": ["x"], "model_b": ["y"], "winner": ["model_b"]}
    >>> rows = from_frame(frame, position=True)
    >>> rows.items[rows.winner[0]], rows.covariates.tolist()
    ('y', [[-1.0]])
    """
    chunk = frame_chunk(frame)
    return _one_table([chunk], chunk.source, layout, columns, position, bad_rows)


def read_tables(
    paths: str | Path | Iterable[str | Path],
    *,
    layout: str | None = None,
    format: str | None = None,
    columns: Mapping[str, str] | None = None,
    position: bool = False,
    bad_rows: BadRows = "raise",
    progress: Tick | None = None,
) -> Iterator[Comparisons]:
    """The rows of one or more files as a stream of tables of bounded size.

    Args:
        paths: files of the same layout.
        layout: as for `read`.
        format: as for `read`.
        columns: as for `read`.
        position: as for `read`.
        bad_rows: as for `read`.
        progress: is told how far the reading is.

    Raises:
        OSError, ImportError, ValueError: as for `read`.
    """
    named = [Path(p) for p in ([paths] if isinstance(paths, str | Path) else paths)]
    if not named:
        raise ValueError(_check.complaint("there are 0 files", "one or more", "read_tables"))
    sizes = [path.stat().st_size for path in named]
    rows = 0
    for number, path in enumerate(named):
        counter = BadRowCounter(bad_rows)
        for chunk, sheet, known in _sheets(read_chunks(path, format), layout, columns, counter):
            rows += len(chunk.lines)
            if sheet.origin:
                yield _table([sheet], known, position)
            if progress is not None:
                progress(sum(sizes[:number]) + chunk.bytes_read, sum(sizes), rows)
        counter.report(path.name)


def aggregate_files(
    paths: str | Path | Iterable[str | Path],
    *,
    layout: str | None = None,
    format: str | None = None,
    columns: Mapping[str, str] | None = None,
    position: bool = False,
    bad_rows: BadRows = "raise",
    progress: Tick | None = None,
) -> PairCounts:
    """Count the pairs in files that need not fit into memory; the same as `aggregate(read(...))`.

    A chunk of rows is held at a time, and the counts of all pairs that occur.

    Args:
        paths: files of the same layout.
        layout: as for `read`.
        format: as for `read`.
        columns: as for `read`.
        position: as for `read`.
        bad_rows: as for `read`.
        progress: is told how far the reading is; `progress.shown` makes one that draws a bar.

    Raises:
        OSError, ImportError, ValueError: as for `read`.
    """
    return aggregate_stream(
        read_tables(
            paths,
            layout=layout,
            format=format,
            columns=columns,
            position=position,
            bad_rows=bad_rows,
            progress=progress,
        )
    )


def _one_table(
    chunks: Iterable[Chunk],
    source: str,
    layout: str | None,
    columns: Mapping[str, str] | None,
    position: bool,
    bad_rows: BadRows,
) -> Comparisons:
    counter = BadRowCounter(bad_rows)
    read = list(_sheets(chunks, layout, columns, counter))
    counter.report(source)
    return _table([sheet for _, sheet, _ in read], read[0][2], position)


def _sheets(
    chunks: Iterable[Chunk],
    layout: str | None,
    columns: Mapping[str, str] | None,
    counter: BadRowCounter,
) -> Iterator[tuple[Chunk, Sheet, Layout]]:
    """Each chunk with its usable judgements."""
    kinds: dict[str, type] = {}
    known: Layout | None = None
    told: set[str] = set()
    for chunk in chunks:
        if not chunk.lines:
            continue
        given = layouts.renamed(chunk.columns, columns or {}, chunk.source)
        if known is None:
            known, told = _layout(layout, given, chunk.source), set(given)
        _refuse_new_columns(chunk, known, told, given)
        sheet = known.sheet(given)
        faults = _faults(sheet, kinds, known.strings)
        counter.settle(chunk, faults)
        if faults:
            sheet = sheet.select([i for i, row in enumerate(sheet.origin) if row not in faults])
        yield chunk, sheet, known


def _layout(name: str | None, columns: Iterable[str], source: str) -> Layout:
    if name is None:
        return layouts.detect(columns, source)
    return layouts.named(name, columns, source)


def _refuse_new_columns(
    chunk: Chunk, known: Layout, told: set[str], given: Mapping[str, Any]
) -> None:
    """Raise if keys that matter come or go in the middle of a file of JSON lines."""
    matter = {*known.needs, *layouts.OPTIONAL}
    changed = sorted((told ^ set(given)) & matter)
    if changed:
        verb = "appears" if changed[0] in given else "is missing"
        got, do = f"the key {changed[0]!r} {verb} from here on", "Give every record the same keys."
        raise ValueError(_check.complaint(got, "as in the records before", chunk.place(0), do))


def _faults(sheet: Sheet, kinds: dict[str, type], strings: bool) -> dict[int, Fault]:
    """What is wrong with rows of the chunk, the layout's own complaints first."""
    expected = "a comparison of two items"
    pairs = enumerate(zip(sheet.first, sheet.second, strict=True))
    judged = [
        {i: Fault(f"the row compares {a!r} with itself", expected, "Drop it.")}
        for i, (a, b) in pairs
        if a == b
    ]
    judged += [
        weight_faults(sheet.weight or ()),
        name_faults("prompt", sheet.prompt or (), kinds, True),
        name_faults("annotator", sheet.annotator or (), kinds),
        name_faults("item", sheet.first, kinds, strings),
        name_faults("item", sheet.second, kinds, strings),
    ]
    found = {sheet.origin[i]: fault for faults in judged for i, fault in faults.items()}
    return found | sheet.faults


def _table(sheets: Sequence[Sheet], layout: Layout, position: bool) -> Comparisons:
    if position and not layout.sided:
        got = f"position is asked of layout {layout.name!r}, which knows no sides"
        sided = ", ".join(known.name for known in layouts.LAYOUTS.values() if known.sided)
        raise ValueError(_check.complaint(got, f"asked of a layout that does ({sided})", "read"))

    def joined(name: str) -> list[Any] | None:
        parts = [getattr(sheet, name) for sheet in sheets]
        return None if parts[0] is None else list(chain.from_iterable(parts))

    weight = joined("weight")
    return Comparisons.from_sides(
        joined("first") or [],
        joined("second") or [],
        np.array(joined("outcome"), np.int8),
        weight=None if weight is None else [float(w) for w in weight],
        prompt=joined("prompt"),
        annotator=joined("annotator"),
        position=position,
    )
