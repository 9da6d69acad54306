"""The results folder: one record a cell, written whole, checked when read, locked while computed.

    <results>/<experiment>/<key>.json            provenance; its arrival makes the cell done
    <results>/<experiment>/<key>-<digest>.parquet    rows, under a name that holds their digest
    <results>/<experiment>/<key>.failed.json     the traceback of the latest failure, if any
    <results>/<experiment>/.locks/<key>.lock     held by the process that computes the cell

The rows are written first and the JSON that points to them last, each atomically, so that a kill at
any moment leaves the old record or the new one and never a mixture. A record that is not what was
written (a wrong checksum, a missing file, another cell's identity) is `damaged`, and says why.

A failure never touches rows: as `run` is a pure function, a record that is done stays true when
recomputing it fails.
"""

import contextlib
import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import filelock
import polars as pl

from experiments.atomic import flush_folder, write_atomically
from experiments.cell import Cell, canonical_json

Status = Literal["missing", "failed", "damaged", "done"]


class DamagedCell(Exception):
    """A record is not what was written; the message names the file and the reason."""


class IncompleteSweep(Exception):
    """Some cells of a sweep have no rows: missing or failed."""


@dataclass(frozen=True)
class State:
    """What the results folder knows about a cell.

    Args:
        status: `missing`, `failed`, `damaged` or `done`.
        provenance: the JSON of the record; empty where there is none that can be trusted.
        reason: why it is damaged or failed; empty otherwise.
        rows: the Parquet bytes, checked against their digest; empty unless done.
    """

    status: Status
    provenance: dict[str, Any]
    reason: str = ""
    rows: bytes = b""


def read_state(results: Path, cell: Cell) -> State:
    """Read and check the record of a cell; damage is a state, not an error."""
    folder = results / cell.experiment
    try:
        provenance = _read_signed(folder / f"{cell.key}.json")
    except (FileNotFoundError, NotADirectoryError):
        return _failure(folder / f"{cell.key}.failed.json")
    except DamagedCell as damage:
        return State("damaged", {}, str(damage))
    if any(provenance[name] != value for name, value in cell.identity().items()):
        return State("damaged", {}, f"{folder / cell.key}.json is the record of another cell")
    path = folder / str(provenance["rows"])
    try:
        rows = path.read_bytes()
    except OSError as error:
        return State("damaged", provenance, f"{path} cannot be read: {error.strerror}")
    if (digest := _sha256(rows)) != provenance["sha256"]:
        return State(
            "damaged",
            provenance,
            f"{path} has {len(rows)} bytes of SHA-256 {digest[:12]}..., but should have "
            f"{provenance['bytes']} of {provenance['sha256'][:12]}...",
        )
    return State("done", provenance, rows=rows)


def _failure(path: Path) -> State:
    """The state of a cell without rows: missing, or failed with its traceback."""
    try:
        provenance = _read_signed(path)
    except (FileNotFoundError, NotADirectoryError):
        return State("missing", {})
    except DamagedCell as damage:
        return State("damaged", {}, str(damage))
    return State("failed", provenance, provenance["traceback"].strip().splitlines()[-1])


def write_done(results: Path, cell: Cell, rows: bytes, provenance: dict[str, Any]) -> None:
    """Record the rows of a cell, then remove what they replace.

    Args:
        results: the results folder.
        cell: whose record this is; its lock is held by the caller.
        rows: Parquet bytes, see `rows_as_parquet`.
        provenance: what is known about their making, as JSON values.

    Raises:
        OSError: the folder is read-only or full; the old record, if any, still stands.
    """
    folder = results / cell.experiment
    digest = _sha256(rows)
    name = f"{cell.key}-{digest[:12]}.parquet"
    write_atomically(folder / name, rows)
    entry = {"status": "done", "rows": name, "sha256": digest, "bytes": len(rows)}
    _write_signed(folder / f"{cell.key}.json", cell.identity() | provenance | entry)
    stale = [*folder.glob(f"{cell.key}-*.parquet"), *folder.glob(f"{cell.key}*.tmp")]
    for path in [*stale, folder / f"{cell.key}.failed.json"]:
        if path.name != name:
            path.unlink(missing_ok=True)
    flush_folder(folder)


def write_failed(results: Path, cell: Cell, traceback: str, provenance: dict[str, Any]) -> None:
    """Record the traceback of a failed cell, beside the rows it may have from before.

    Raises:
        OSError: the folder is read-only or full.
    """
    entry = {"status": "failed", "traceback": traceback}
    path = results / cell.experiment / f"{cell.key}.failed.json"
    _write_signed(path, cell.identity() | provenance | entry)


@contextlib.contextmanager
def locked(results: Path, cell: Cell, wait: bool) -> Iterator[bool]:
    """Hold the lock of a cell; the system frees it when the process dies, however it dies.

    Args:
        results: the results folder.
        cell: the cell to lock.
        wait: wait for another process that holds it, or give up at once.

    Yields:
        Whether the lock is held.
    """
    folder = results / cell.experiment / ".locks"
    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / f"{cell.key}.lock", timeout=-1 if wait else 0)
    try:
        lock.acquire()
    except filelock.Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def read_table(results: Path, cells: Sequence[Cell]) -> pl.DataFrame:
    """The rows of these cells and no others, in their order: what `draw` and the judges see.

    Each row carries the columns `config.<field>` and `seed` of its cell before its own. A column
    that a row or a cell lacks is null there.

    Raises:
        DamagedCell: a record fails its checksum; the message names the file.
        IncompleteSweep: a cell is missing or failed.
    """
    states = [read_state(results, cell) for cell in cells]
    damaged = [state.reason for state in states if state.status == "damaged"]
    if damaged:
        raise DamagedCell(
            f"{len(damaged)} of {len(cells)} cells are damaged: {'; '.join(damaged)}. "
            "Run the experiment again: it recomputes them and keeps the rest."
        )
    counts = {status: sum(s.status == status for s in states) for status in ("missing", "failed")}
    if any(counts.values()):
        raise IncompleteSweep(
            f"{len(cells)} cells should be recorded in {results}, but "
            + " and ".join(f"{n} are {status}" for status, n in counts.items() if n)
            + ". Run the experiment again: it computes these and keeps the rest."
        )
    frames = [_labelled(cell, state.rows) for cell, state in zip(cells, states, strict=True)]
    return pl.concat(frames, how="diagonal_relaxed")


def _labelled(cell: Cell, rows: bytes) -> pl.DataFrame:
    """The rows of a cell, each with the config and the seed it belongs to."""
    labels = {f"config.{f.name}": getattr(cell.config, f.name) for f in fields(cell.config)}
    first = pl.DataFrame([labels | {"seed": cell.seed}])
    return first.join(pl.read_parquet(io.BytesIO(rows)), how="cross")


def rows_as_parquet(rows: Sequence[dict[str, Any]]) -> bytes:
    """The rows as Parquet bytes, the same bytes for the same rows.

    None becomes null; NaN and infinities stay what they are, as a measurement may end there; a key
    that a row lacks is null. Columns stand in the order in which their keys first appear.

    Raises:
        ValueError: there are no rows, or a key is taken (`seed` and `config.*` label the cell).
        TypeError: a value, or the mixture in a column, is nothing that Parquet can hold.
    """
    if not rows:
        raise ValueError("run returned 0 rows, but should return at least 1. Return what it saw.")
    columns = list(dict.fromkeys(key for row in rows for key in row))
    taken = [key for key in columns if key == "seed" or key.startswith("config.")]
    if taken:
        raise ValueError(
            f"run returned the keys {', '.join(taken)}, but `seed` and `config.*` label the cell "
            "itself. Leave them out, or rename them."
        )
    series = [_column(key, [_scalar(row.get(key)) for row in rows]) for key in columns]
    buffer = io.BytesIO()
    pl.DataFrame(series).write_parquet(buffer, compression="zstd", statistics=False)
    return buffer.getvalue()


def _column(key: str, values: list[Any]) -> pl.Series:
    """One column; integers among floats become floats, any other mixture is an error."""
    kinds = {type(value) for value in values if value is not None}
    names = ", ".join(sorted(kind.__name__ for kind in kinds))
    if kinds == {int, float}:
        values = [None if value is None else float(value) for value in values]
    elif len(kinds) > 1:
        raise TypeError(f"column {key!r} mixes {names}, but should hold one type. Split it.")
    try:
        series = pl.Series(key, values, strict=True)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as error:
        raise TypeError(f"column {key!r} of {names} cannot be recorded: {error}.") from error
    if series.dtype == pl.Object:
        raise TypeError(
            f"column {key!r} holds {names}, but should hold bool, int, float, str, None or lists "
            "of these. Convert it."
        )
    return series


def _scalar(value: Any) -> Any:
    """A NumPy scalar or array as the Python value it holds; anything else as it is."""
    return value.tolist() if hasattr(value, "tolist") else value


def _write_signed(path: Path, content: dict[str, Any]) -> None:
    """Write JSON that carries the checksum of its other entries."""
    signed = content | {"checksum": _sha256(canonical_json(content).encode())}
    write_atomically(path, (json.dumps(signed, indent=2, allow_nan=False) + "\n").encode())


def _read_signed(path: Path) -> dict[str, Any]:
    """Read JSON written by `_write_signed`.

    Raises:
        FileNotFoundError, NotADirectoryError: there is none.
        DamagedCell: it cannot be read, does not parse, or its checksum is wrong.
    """
    try:
        written = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise DamagedCell(f"{path} cannot be read: {error.strerror}") from error
    try:
        content = json.loads(written)
        checksum = content.pop("checksum")
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise DamagedCell(f"{path} is not the JSON that was written: {error!r}") from error
    if checksum != _sha256(canonical_json(content).encode()):
        raise DamagedCell(f"{path} does not match its own checksum")
    return content


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
