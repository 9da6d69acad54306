"""Tables in files, in chunks of columns that know their lines: CSV, TSV, JSON, JSONL, Parquet.

CSV, TSV, JSON and JSONL are read with the standard library alone: they need no extra, and every
complaint can name its line. Parquet needs polars (extra `experiments`), which is imported when a
Parquet file is opened and not before. All but a JSON array are read in chunks of bounded size.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from bandit_rlhf import _check

CHUNK_ROWS = 1 << 16
CHUNK_BYTES = 1 << 25
"""A chunk ends at the first of the two; long texts reach the second one first."""

BLOCK_ROWS = 1 << 10
"""Rows between two looks at the second."""

ENDINGS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}
DELIMITERS = {"csv": ",", "tsv": "\t"}
SIGNATURES = {
    b"PAR1": "Parquet",
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "a zip archive",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}
"""The first bytes of files that are not UTF-8 text."""


@dataclass(frozen=True)
class Chunk:
    """Some rows of a table, column by column.

    Args:
        source: the file's name, or the kind of frame; for messages.
        columns: values by column, each [row]; None where a JSON record has no such key.
        lines: [row], where each row begins in its source, counted from 1.
        unit: what `lines` counts: "line", "record" or "row".
        bytes_read: how far into the file the chunk reaches, where that is known.
    """

    source: str
    columns: Mapping[str, Sequence[Any]]
    lines: Sequence[int]
    unit: str = "line"
    bytes_read: int = 0

    def place(self, row: int) -> str:
        """Where a row is, for messages.

        >>> Chunk("crowd.csv", {"left": ["a"]}, [2]).place(0)
        'crowd.csv, line 2'
        """
        return f"{self.source}, {self.unit} {self.lines[row]}"


def read_chunks(path: Path, format: str | None = None) -> Iterator[Chunk]:
    """The rows of a file, chunk by chunk.

    Args:
        path: the file.
        format: one of csv, tsv, json, jsonl, parquet; None: what the ending says.

    Raises:
        OSError: the file cannot be opened.
        ImportError: a Parquet file without polars.
        ValueError: an unknown ending, a file that is empty or not what its ending says, a line that
            is truncated, not UTF-8, or not valid in its format; the message names the line.
    """
    format = _format(path, format)
    _refuse_other_signature(path, format)
    if format == "parquet":
        yield from _parquet(path)
        return
    with path.open("rb") as binary:
        text = io.TextIOWrapper(binary, encoding="utf-8-sig", newline="")
        try:
            if format in DELIMITERS:
                yield from _delimited(path.name, text, binary, DELIMITERS[format])
            elif format == "jsonl":
                yield from _json_lines(path.name, text, binary)
            else:
                yield _json_array(path.name, text)
        except UnicodeDecodeError as error:
            line, byte = undecodable_line(path)
            do = "Convert it, for instance with `iconv -f latin1 -t utf-8`."
            got = f"the text holds the byte {byte:#04x}"
            raise ValueError(
                _check.complaint(got, "UTF-8", f"{path.name}, line {line}", do)
            ) from error


def frame_chunk(frame: Any) -> Chunk:
    """The columns of a polars or pandas frame or of a mapping, without importing either library.

    Raises:
        TypeError: something else, a lazy frame for instance.
        ValueError: columns of unequal length.
    """
    source = type(frame).__name__
    if isinstance(frame, Mapping):
        columns = {
            name: values.tolist() if isinstance(values, np.ndarray) else list(values)
            for name, values in frame.items()
        }
    elif hasattr(frame, "shape") and hasattr(frame, "columns") and hasattr(frame, "__getitem__"):
        columns = {name: frame[name].to_list() for name in frame.columns}
    else:
        do = "Collect a lazy frame first."
        expected = "a polars or pandas DataFrame, or a mapping of columns"
        raise TypeError(_check.complaint(f"frame is a {source}", expected, "from_frame", do))
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(_check.complaint(f"columns have {lengths} rows", "equally long", source))
    rows = next(iter(lengths.values()), 0)
    return Chunk(source, columns, range(1, rows + 1), "row")


def undecodable_line(path: Path) -> tuple[int, int]:
    """The first line that is not UTF-8 (counted from 1), and its first offending byte."""
    with path.open("rb") as binary:
        for number, line in enumerate(binary, start=1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                return number, line[error.start]
    raise ValueError(_check.complaint("every line is UTF-8", "not", path.name))


def _format(path: Path, format: str | None) -> str:
    if format is None:
        ending = path.suffix.lower()
        if ending not in ENDINGS:
            got = f"the name ends in {ending!r}" if ending else "the name has no ending"
            do = (
                f"Rename it, or name the format: one of {', '.join(sorted(set(ENDINGS.values())))}."
            )
            raise ValueError(_check.complaint(got, f"one of {', '.join(ENDINGS)}", path.name, do))
        return ENDINGS[ending]
    if format not in ENDINGS.values():
        known = ", ".join(sorted(set(ENDINGS.values())))
        raise ValueError(_check.complaint(f"format is {format!r}", f"one of {known}", path.name))
    return format


def _refuse_other_signature(path: Path, format: str) -> None:
    """Raise if the first bytes say that the file is empty or of another kind."""
    with path.open("rb") as binary:
        head = binary.read(256)
    if not head:
        raise ValueError(_check.complaint("the file is empty", "one comparison or more", path.name))
    found = next((kind for magic, kind in SIGNATURES.items() if head.startswith(magic)), None)
    if found is None and format == "parquet":
        found = "something else"
    elif found == "Parquet" and format == "parquet":
        found = None
    first = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if found is None:
        found = {
            "csv": {b"{": "JSON", b"[": "JSON"}.get(first),
            "tsv": {b"{": "JSON", b"[": "JSON"}.get(first),
            "jsonl": {b"[": "one JSON array"}.get(
                first, None if first == b"{" else "something else"
            ),
            "json": None if first == b"[" else {b"{": "JSON lines"}.get(first, "something else"),
        }.get(format)
    if found is not None:
        got = f"the file begins with {head[:12]!r}, which is {found}"
        do = "Convert or rename it, or name its format."
        raise ValueError(_check.complaint(got, format, path.name, do))


def _delimited(source: str, text: io.TextIOWrapper, binary: Any, delimiter: str) -> Iterator[Chunk]:
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    limit = csv.field_size_limit(CHUNK_BYTES)  # a field may be a long dialogue; the limit is global
    try:
        ((header, _),) = _numbered(source, reader, 1)
        _check_header(header, source)
        columns: list[list[str]] = [[] for _ in header]
        lines: list[int] = []
        start = 0
        while block := list(_numbered(source, reader, BLOCK_ROWS)):
            rows = _whole_rows(source, header, block)
            lines += [line for _, line in rows]
            for column, values in zip(
                columns, zip(*(row for row, _ in rows), strict=True), strict=False
            ):
                column += values
            if len(lines) >= CHUNK_ROWS or binary.tell() - start > CHUNK_BYTES:
                start = binary.tell()
                yield Chunk(source, dict(zip(header, columns, strict=True)), lines, "line", start)
                columns, lines = [[] for _ in header], []
        if lines:
            whole = dict(zip(header, columns, strict=True))
            yield Chunk(source, whole, lines, "line", binary.tell())
    finally:
        csv.field_size_limit(limit)


def _numbered(source: str, reader: Any, count: int) -> Iterator[tuple[list[str], int]]:
    """The next rows, and the line on which each begins: a quoted field may span lines."""
    begin = reader.line_num + 1
    try:
        for row in islice(reader, count):
            yield row, begin
            begin = reader.line_num + 1
    except csv.Error as error:
        got, place = f"the row does not parse ({error})", f"{source}, line {begin}"
        do = "Is a quotation mark not closed?"
        raise ValueError(_check.complaint(got, "delimited text", place, do)) from error


def _whole_rows(
    source: str, header: list[str], rows: list[tuple[list[str], int]]
) -> list[tuple[list[str], int]]:
    """The rows without empty lines; raise on one that is too short or too long."""
    wrong = [(row, line) for row, line in rows if len(row) != len(header)]
    for row, line in wrong:
        if row:
            do = "Is the line truncated, or a delimiter not quoted?"
            got, expected = f"the row has {len(row)} fields", f"{len(header)} as in the header"
            raise ValueError(_check.complaint(got, expected, f"{source}, line {line}", do))
    return [pair for pair in rows if pair[0]] if wrong else rows


def _check_header(header: list[str], source: str) -> None:
    if not any(header):
        got, expected = "the first line is empty", "a header with the columns' names"
        raise ValueError(_check.complaint(got, expected, f"{source}, line 1"))
    repeated = next((name for name in header if header.count(name) > 1), None)
    if repeated is not None:
        got = f"the header names {repeated!r} twice"
        raise ValueError(_check.complaint(got, "distinct names", f"{source}, line 1"))


def _json_lines(source: str, text: io.TextIOWrapper, binary: Any) -> Iterator[Chunk]:
    records: list[dict[str, Any]] = []
    lines: list[int] = []
    start = 0
    for number, line in enumerate(text, start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            got = f"the line is not JSON ({error.msg}, column {error.colno})"
            do = "Is it truncated?"
            raise ValueError(
                _check.complaint(got, "one JSON object", f"{source}, line {number}", do)
            ) from error
        records.append(_object(record, f"{source}, line {number}"))
        lines.append(number)
        if len(records) == CHUNK_ROWS or binary.tell() - start > CHUNK_BYTES:
            yield Chunk(source, _by_column(records), lines, bytes_read=binary.tell())
            records, lines, start = [], [], binary.tell()
    if records:
        yield Chunk(source, _by_column(records), lines, bytes_read=binary.tell())


def _json_array(source: str, text: io.TextIOWrapper) -> Chunk:
    try:
        records = json.load(text)
    except json.JSONDecodeError as error:
        got = f"the file is not JSON ({error.msg}, column {error.colno})"
        place = f"{source}, line {error.lineno}"
        raise ValueError(
            _check.complaint(got, "one JSON array", place, "Is it truncated?")
        ) from error
    for number, record in enumerate(records, start=1):
        _object(record, f"{source}, record {number}")
    return Chunk(source, _by_column(records), range(1, len(records) + 1), "record")


def _object(record: Any, place: str) -> dict[str, Any]:
    if not isinstance(record, dict):
        got = f"the record is a JSON {type(record).__name__}"
        raise ValueError(_check.complaint(got, "an object with a key for each column", place))
    return record


def _by_column(records: Iterable[dict[str, Any]]) -> dict[str, list[Any]]:
    records = list(records)
    keys = dict.fromkeys(key for record in records for key in record)
    return {key: [record.get(key) for record in records] for key in keys}


def _parquet(path: Path) -> Iterator[Chunk]:
    try:
        import polars
    except ImportError as error:
        raise ImportError(
            f"{path.name} is a Parquet file, which polars reads, but polars is not installed. "
            "Install the extra: pip install 'bandit-rlhf[experiments]'."
        ) from error
    try:
        table = polars.scan_parquet(path)
        height = table.select(polars.len()).collect().item()
        for start in range(0, height, CHUNK_ROWS):
            rows = table.slice(start, CHUNK_ROWS).collect()
            columns = {name: rows[name].to_list() for name in rows.columns}
            lines = range(start + 1, start + 1 + rows.height)
            read = path.stat().st_size * lines[-1] // height
            yield Chunk(path.name, columns, lines, "row", read)
    except polars.exceptions.PolarsError as error:
        got = f"polars cannot read the file ({str(error).splitlines()[0]})"
        raise ValueError(_check.complaint(got, "Parquet", path.name, "Is it truncated?")) from error
