"""The results folder: atomic, checked, never confused."""

import contextlib
import errno
import io
import json
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from experiments import atomic, record
from experiments.atomic import require_writable, write_atomically
from experiments.cell import Cell
from experiments.record import (
    DamagedCell,
    IncompleteSweep,
    locked,
    read_state,
    read_table,
    rows_as_parquet,
    write_done,
    write_failed,
)


@dataclass(frozen=True)
class Config:
    beta: float = 0.5
    ladder: tuple[int, ...] = (1, 2)


CELL = Cell("waves", Config(), 3)
OTHER = Cell("waves", Config(beta=1.0), 3)
OLD = rows_as_parquet([{"gain": 1.0}])
NEW = rows_as_parquet([{"gain": 2.0}, {"gain": 3.0}])
ORIGIN = {"source": "0123", "seconds": 0.25}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    (tmp_path / "waves").mkdir()
    return tmp_path


def files(results: Path) -> dict[str, Path]:
    return {path.suffix: path for path in (results / "waves").iterdir()}


def test_a_record_is_read_as_it_was_written(results):
    assert read_state(results, CELL).status == "missing"
    write_done(results, CELL, OLD, ORIGIN)
    state = read_state(results, CELL)
    assert (state.status, state.rows) == ("done", OLD)
    assert state.provenance["config"] == {"beta": 0.5, "ladder": [1, 2]}
    assert state.provenance["seed"] == 3
    assert state.provenance["seconds"] == 0.25
    assert read_state(results, OTHER).status == "missing"


def test_a_new_record_replaces_the_old_one_and_leaves_no_litter(results):
    write_done(results, CELL, OLD, ORIGIN)
    write_failed(results, CELL, "Traceback\nValueError: no", ORIGIN)
    (results / "waves" / f"{CELL.key}.json.0a1b2c3d.tmp").touch()  # left by a kill
    write_done(results, CELL, NEW, ORIGIN)
    assert read_state(results, CELL).rows == NEW
    assert len(list((results / "waves").iterdir())) == 2


def test_a_failure_is_kept_and_does_not_touch_rows(results):
    write_failed(results, OTHER, "Traceback ...\nValueError: no", ORIGIN)
    state = read_state(results, OTHER)
    assert (state.status, state.reason) == ("failed", "ValueError: no")
    write_done(results, CELL, OLD, ORIGIN)
    write_failed(results, CELL, "Traceback ...\nValueError: no", ORIGIN)
    assert read_state(results, CELL).rows == OLD


def test_a_file_that_cannot_be_read_is_damage(results):
    write_done(results, CELL, OLD, ORIGIN)
    for suffix in (".parquet", ".json"):
        path = files(results)[suffix]
        path.unlink()
        path.mkdir()  # as root every mode can be read, but no folder
        assert f"{path} cannot be read" in read_state(results, CELL).reason
        path.rmdir()
        write_done(results, CELL, OLD, ORIGIN)
        assert read_state(results, CELL).status == "done"


@pytest.mark.parametrize("suffix", [".parquet", ".json"])
def test_every_single_wrong_byte_is_noticed_and_named(results, suffix):
    write_done(results, CELL, OLD, ORIGIN)
    path = files(results)[suffix]
    whole = path.read_bytes()
    assert read_state(results, CELL).status == "done"  # the control: unharmed, it passes
    unnoticed = []
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        state = read_state(results, CELL)
        if state.status != "damaged" or path.name not in state.reason:
            unnoticed.append(position)
    # The last byte of the JSON is a newline, whose flip is a vertical tab: not JSON any more.
    assert unnoticed == []


@pytest.mark.parametrize("suffix", [".parquet", ".json"])
@pytest.mark.parametrize("left", [0, 1, 100])
def test_a_truncated_file_is_named(results, suffix, left):
    write_done(results, CELL, OLD, ORIGIN)
    path = files(results)[suffix]
    path.write_bytes(path.read_bytes()[:left])
    assert path.name in read_state(results, CELL).reason
    with pytest.raises(DamagedCell, match=path.name):
        read_table(results, [CELL])


def test_rows_that_are_gone_and_records_that_are_swapped_are_damage(results):
    write_done(results, CELL, OLD, ORIGIN)
    (results / "waves" / f"{OTHER.key}.json").write_bytes(files(results)[".json"].read_bytes())
    assert "another cell" in read_state(results, OTHER).reason
    files(results)[".parquet"].unlink()
    assert "cannot be read: No such file" in read_state(results, CELL).reason


class Dead(BaseException):
    """The process was killed: nothing after this moment touches the disk."""


class DyingDisk:
    """The file operations of `atomic`, the n-th of which kills; all later ones are dead, too."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, lives: int):
        self.lives = lives
        for owner, name in ((os, "fsync"), (os, "replace"), (Path, "unlink")):
            monkeypatch.setattr(owner, name, self.mortal(getattr(owner, name)))
        monkeypatch.setattr(atomic, "open", self.open, raising=False)

    def mortal(self, operation: Any) -> Any:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            self.step()
            return operation(*args, **kwargs)

        return wrapped

    def step(self) -> None:
        self.lives -= 1
        if self.lives < 0:
            raise Dead

    def open(self, path: Path, mode: str) -> Any:
        self.step()
        return HalfWritten(open(path, mode), self.step)


class HalfWritten(io.BytesIO):
    """A file whose process may be killed in the middle of a write."""

    def __init__(self, file: Any, step: Callable[[], None]):
        super().__init__()
        self.file, self.step = file, step

    def write(self, content: Any) -> int:
        half = len(content) // 2
        self.file.write(content[:half])
        self.file.flush()
        self.step()
        return self.file.write(content[half:])

    def fileno(self) -> int:
        return self.file.fileno()

    def flush(self) -> None:
        self.file.flush()

    def close(self) -> None:
        self.file.close()


def states_after_every_kill(results: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace OLD by NEW, killed at the first, second, ... file operation: what is found then."""
    found = []
    for lives in range(1000):
        for path in (results / "waves").iterdir():
            path.unlink()
        write_done(results, CELL, OLD, ORIGIN)
        with monkeypatch.context() as patch:
            disk = DyingDisk(patch, lives)
            with contextlib.suppress(Dead):
                write_done(results, CELL, NEW, ORIGIN)
            survived = disk.lives >= 0
        state = read_state(results, CELL)
        found.append({OLD: "old", NEW: "new"}.get(state.rows, state.status))
        if survived:
            break
    return found


def test_a_kill_at_any_moment_leaves_the_old_record_or_the_new_one(results, monkeypatch):
    found = states_after_every_kill(results, monkeypatch)
    assert len(found) > 10  # two files, each: open, half, flush, rename, flush of the folder
    assert set(found) == {"old", "new"}
    assert found == sorted(found, reverse=True), "old until the rename of the JSON, then new"


def test_the_same_kills_find_a_writer_that_is_not_atomic(results, monkeypatch):
    def in_place(path: Path, content: bytes) -> None:
        with atomic.open(path, "wb") as file:  # type: ignore[attr-defined]
            file.write(content)

    monkeypatch.setattr(atomic, "open", open, raising=False)
    monkeypatch.setattr(record, "write_atomically", in_place)
    assert "damaged" in states_after_every_kill(results, monkeypatch)


# This suite may run as root, for whom no mode makes a folder read-only; so read-only and full disks
# are met as the errors that they give, and as folders that cannot exist.
def test_a_full_disk_loses_nothing(results, monkeypatch):
    write_done(results, CELL, OLD, ORIGIN)
    before = sorted(path.name for path in (results / "waves").iterdir())

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            write_done(results, CELL, NEW, ORIGIN)
    assert read_state(results, CELL).rows == OLD
    assert sorted(path.name for path in (results / "waves").iterdir()) == before


@pytest.mark.parametrize("folder", ["file/below", "/proc/no_such_folder"])
def test_a_folder_that_cannot_be_written_to_is_told(tmp_path, folder):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"file|proc"):
        require_writable(tmp_path / folder)


def test_a_folder_that_can_be_written_to_is_left_as_it_was(tmp_path):
    require_writable(tmp_path / "new" / "folder")
    assert list((tmp_path / "new" / "folder").iterdir()) == []


def test_write_atomically_replaces_the_whole_file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"long content")
    write_atomically(path, b"short")
    assert path.read_bytes() == b"short"
    assert list(tmp_path.iterdir()) == [path]


def test_a_lock_is_held_once_and_freed(results):
    with locked(results, CELL, wait=False) as first:
        assert first
        with locked(results, CELL, wait=False) as second:
            assert not second
        with locked(results, OTHER, wait=False) as other:
            assert other
    with locked(results, CELL, wait=False) as again:
        assert again


def test_rows_keep_what_they_hold():
    rows = [
        {"name": "a", "value": 1, "none": None, "flag": True, "many": [1.0, 2.0]},
        {"name": "b", "value": math.nan, "none": None, "flag": False, "many": []},
        {"name": "c", "value": np.float64("-inf"), "flag": None, "late": np.int64(7)},
    ]
    frame = pl.read_parquet(io.BytesIO(rows_as_parquet(rows)))
    assert frame.columns == ["name", "value", "none", "flag", "many", "late"]
    value = frame["value"].to_list()
    assert value[0] == 1.0
    assert math.isnan(value[1])
    assert value[2] == -math.inf
    assert frame["none"].null_count() == 3
    assert frame["flag"].to_list() == [True, False, None]
    assert frame["many"].to_list() == [[1.0, 2.0], [], None]
    assert frame["late"].to_list() == [None, None, 7]


def test_floats_survive_to_the_last_bit():
    rng = np.random.default_rng(0)
    values = rng.standard_normal(1000) * 10.0 ** rng.uniform(-300, 300, size=1000)
    frame = pl.read_parquet(io.BytesIO(rows_as_parquet([{"v": v} for v in values])))
    assert frame["v"].to_list() == values.tolist()


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        ([], ValueError, "0 rows"),
        ([{"seed": 1}], ValueError, "seed"),
        ([{"config.beta": 1}], ValueError, r"config\.beta"),
        ([{"a": 1}, {"a": "x"}], TypeError, "column 'a' mixes int, str"),
        ([{"a": 1}, {"a": True}], TypeError, "column 'a' mixes bool, int"),
        ([{"a": object()}], TypeError, "column 'a'"),
        ([{"a": 2**200}], TypeError, "column 'a'"),
    ],
)
def test_rows_that_cannot_be_recorded_are_refused_by_name(rows, error, message):
    with pytest.raises(error, match=message):
        rows_as_parquet(rows)


def test_the_table_is_the_cells_asked_for_in_their_order(results):
    write_done(results, CELL, OLD, ORIGIN)
    write_done(results, OTHER, rows_as_parquet([{"gain": 9, "more": "x"}]), ORIGIN)
    table = read_table(results, [OTHER, CELL])
    assert table.columns == ["config.beta", "config.ladder", "seed", "gain", "more"]
    assert table["config.beta"].to_list() == [1.0, 0.5]
    assert table["config.ladder"].to_list() == [[1, 2], [1, 2]]
    assert table["gain"].to_list() == [9.0, 1.0]
    assert table["more"].to_list() == ["x", None]
    assert read_table(results, [CELL]).height == 1


def test_an_incomplete_table_is_refused(results):
    write_done(results, CELL, OLD, ORIGIN)
    with pytest.raises(IncompleteSweep, match=r"2 cells should be recorded .* 1 are missing"):
        read_table(results, [CELL, OTHER])
    write_failed(results, OTHER, "ValueError: no", ORIGIN)
    with pytest.raises(IncompleteSweep, match="1 are failed"):
        read_table(results, [CELL, OTHER])


def test_the_provenance_is_plain_json(results):
    write_done(results, CELL, OLD, ORIGIN)
    content = json.loads(files(results)[".json"].read_text())
    assert content["rows"] == files(results)[".parquet"].name
    assert content["status"] == "done"
