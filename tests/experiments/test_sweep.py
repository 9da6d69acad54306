"""Sweeps: killed, doubled, failing, in parallel; and the progress that they show."""

import io
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import joblib
import polars as pl
import pytest
from rich.console import Console

from experiments.cell import Cell
from experiments.experiment import load
from experiments.progress import followed
from experiments.provenance import THREAD_VARIABLES, surroundings
from experiments.record import locked, read_state, read_table
from experiments.sweep import Outcome, Work, sweep

QUICK = 12  # cells of the profile `quick`


def done(results: Path) -> set[str]:
    """`slope seed` of every recorded cell, as the log of executions spells it."""
    entries = [json.loads(path.read_text()) for path in results.glob("waves/*.json")]
    return {f"{float(e['config']['slope'])} {e['seed']}" for e in entries if e["status"] == "done"}


def wait_for(condition, what: str) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError(f"after a minute there is still not {what}")


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_kill_9_loses_nothing_and_repeats_no_finished_cell(tiny, jobs):
    words = ("run", "waves", "--config.pause", "0.2", "--jobs", jobs)
    results = tiny.root / "results"
    killed = tiny.start(*words)
    wait_for(lambda: len(done(results)) >= 3, "a third record")
    os.killpg(killed.pid, signal.SIGKILL)  # the workers, too
    killed.communicate()
    recorded = done(results)
    assert 3 <= len(recorded) < QUICK  # the control: it was killed in the middle

    again = tiny.call(*words)
    assert again.returncode == 0, again.stderr
    assert len(done(results)) == QUICK
    assert f"{QUICK - len(recorded)} computed, {len(recorded)} reused, 0 failed" in again.stdout
    executions = Counter(tiny.logged("start"))
    assert {cell: executions[cell] for cell in recorded} == dict.fromkeys(recorded, 1)
    assert len(executions) == QUICK
    assert not list(results.glob("waves/*.tmp"))


def test_two_runs_at_once_share_the_work(tiny):
    words = ("run", "waves", "--config.pause", "0.1", "--jobs", "2")
    both = [tiny.start(*words), tiny.start(*words)]
    answers = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], answers
    assert Counter(tiny.logged("start")) == Counter(tiny.logged("end"))
    assert sorted(Counter(tiny.logged("start")).values()) == [1] * QUICK
    assert len(done(tiny.root / "results")) == QUICK


def test_without_locks_two_runs_do_cells_twice(tiny):
    """The control of the test above: it is the lock that keeps the runs apart."""
    (tiny.root / "sitecustomize.py").write_text(
        "import contextlib\nimport experiments.record as record\n"
        "record.locked = lambda results, cell, wait: contextlib.nullcontext(True)\n"
    )
    words = ("run", "waves", "--config.pause", "4", "--config.slope", "1", "--seeds", "1")
    both = [tiny.start(*words), tiny.start(*words)]
    for process in both:
        process.communicate(timeout=120)
    assert max(Counter(tiny.logged("start")).values()) == 2


def work(tiny, **changes) -> Work:
    results = tiny.root / "results"
    results.mkdir(exist_ok=True)
    settings = {
        "package": tiny.package,
        "results": results,
        "surroundings": {"waves": surroundings(f"{tiny.package}.waves")},
        "fresh": False,
        "main_process": os.getpid(),
    }
    return Work(**settings | changes)


def test_a_failed_cell_keeps_its_traceback_and_the_others_go_on(tiny):
    place = work(tiny)
    cells = load(tiny.package, "waves").cells("full")
    outcomes = list(sweep(cells, place, jobs=1))
    assert [outcome.status for outcome in outcomes] == ["computed", "failed", "computed"]
    state = read_state(place.results, cells[1])
    assert state.reason == "ZeroDivisionError: trouble was asked for"
    assert "waves.py" in state.provenance["traceback"]
    # It is tried again, and only it:
    assert [outcome.status for outcome in sweep(cells, place, jobs=1)] == [
        "reused",
        "failed",
        "reused",
    ]


def test_a_worker_that_dies_is_a_failed_cell_and_the_others_go_on(tiny):
    place = work(tiny)
    waves = load(tiny.package, "waves")
    cells = waves.cells("smoke") + waves.cells("smoke", 1, {"trouble": "die", "slope": 9.0})
    outcomes = {outcome.cell: outcome for outcome in sweep(cells, place, jobs=2)}
    assert {outcomes[cell].status for cell in cells[:-1]} <= {"computed", "reused"}
    assert outcomes[cells[-1]].status == "failed"
    assert "worker of this cell died" in read_state(place.results, cells[-1]).reason


def test_fresh_computes_again_and_a_cell_held_elsewhere_is_waited_for(tiny):
    place = work(tiny)
    cells = load(tiny.package, "waves").cells("smoke")
    list(sweep(cells, place, jobs=1))
    list(sweep(cells, place, jobs=1))
    assert len(tiny.logged("start")) == 4
    list(sweep(cells, work(tiny, fresh=True), jobs=1))
    assert len(tiny.logged("start")) == 8

    with locked(place.results, cells[0], wait=False):
        stream = sweep(cells, place, jobs=1)
        assert {next(stream).cell for _ in range(3)} == set(cells[1:])
    assert next(stream).cell == cells[0]


@pytest.mark.parametrize(("backend", "here"), [("threading", True), ("loky", False)])
def test_the_backend_is_the_users(tiny, backend, here):
    tiny.edit('"pid": None', '"pid": os.getpid()')
    place = work(tiny)
    cells = load(tiny.package, "waves").cells("smoke")
    with joblib.parallel_config(backend=backend, n_jobs=2):
        assert {outcome.status for outcome in sweep(cells, place)} == {"computed"}
    pids = set(read_table(place.results, cells)["pid"])
    assert (pids == {os.getpid()}) == here


def test_same_config_and_seed_give_the_same_bytes_in_other_processes(tiny):
    digests = []
    for folder, jobs in (("one", "1"), ("two", "2")):
        answer = tiny.call("run", "waves", "--results", folder, "--jobs", jobs)
        assert answer.returncode == 0, answer.stderr
        digests.append(
            {path.name: path.read_bytes() for path in (tiny.root / folder).rglob("*.parquet")}
        )
    assert len(digests[0]) == QUICK
    assert digests[0] == digests[1]


def test_rows_that_depend_on_more_than_config_and_seed_show(tiny):
    """The control of the test above."""
    tiny.edit('"pid": None', '"pid": os.getpid()')
    names = []
    for folder in ("one", "two"):
        tiny.call("run", "waves", "--results", folder, "--profile", "smoke", "--jobs", "1")
        names.append({path.name for path in (tiny.root / folder).rglob("*.parquet")})
    assert len(names[0]) == len(names[1]) == 4
    assert names[0].isdisjoint(names[1])


@pytest.mark.parametrize(("given", "expected"), [({}, "1"), ({"OMP_NUM_THREADS": "2"}, "2")])
def test_each_worker_has_one_thread_unless_the_user_says_otherwise(tiny, given, expected):
    tiny.edit('"pid": None', '"pid": os.environ["OMP_NUM_THREADS"]')
    for name in THREAD_VARIABLES:
        tiny.environment.pop(name, None)
    tiny.environment |= given
    answer = tiny.call("run", "waves", "--profile", "smoke", "--jobs", "2")
    assert answer.returncode == 0, answer.stderr
    folder = tiny.root / "results" / "waves"
    threads = [pl.read_parquet(path)["pid"].to_list() for path in folder.glob("*.parquet")]
    assert threads == [[expected] * 4] * 4
    entry = json.loads(next(folder.glob("*.json")).read_text())
    assert entry["threads"]["OMP_NUM_THREADS"] == expected


@dataclass(frozen=True)
class Config:
    slope: float = 1.0


def outcomes(count: int, clock: list[float]) -> Iterator[Outcome]:
    for index in range(count):
        clock[0] += 5.0
        cell = Cell("waves", Config(), index)
        status = "failed" if index == 1 else "computed"
        yield Outcome(cell, status, "Traceback\nValueError: no [/red]")


def test_where_there_is_no_terminal_plain_lines_come_rarely(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("experiments.progress.time.monotonic", lambda: clock[0])
    shown = io.StringIO()
    console = Console(file=shown, width=40)
    assert len(list(followed(outcomes(12, clock), 12, console))) == 12
    lines = shown.getvalue().splitlines()
    assert lines == [
        "failed: waves(slope=1.0) seed 1: ValueError: no [/red]",
        "4 of 12 cells, 12.0 cells/min, 40 s left",
        "8 of 12 cells, 12.0 cells/min, 20 s left",
        "12 of 12 cells, 12.0 cells/min, 0 s left",
    ]


def test_on_a_terminal_there_is_a_bar_with_rate_and_failures():
    shown = io.StringIO()
    console = Console(file=shown, width=120, force_terminal=True)
    assert len(list(followed(outcomes(12, [0.0]), 12, console))) == 12
    for text in ("12/12", "cells/s", "ValueError: no [/red]"):
        assert text in shown.getvalue()
    assert "\x1b[" in shown.getvalue()  # the control: what the plain lines above have none of
