"""A sweep: compute the cells that have no rows yet, in parallel, each recorded as it finishes.

Each cell is guarded by its lock, so that two sweeps at once share the work. The joblib backend is
the user's (`joblib.parallel_config`), worker processes by default.
"""

import contextlib
import os
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

import joblib
from joblib.parallel import get_active_backend

from experiments.cell import Cell
from experiments.experiment import load
from experiments.record import (
    locked,
    read_state,
    rows_as_parquet,
    write_done,
    write_failed,
)


class UnusableResults(Exception):
    """The results folder is read-only or full; what is recorded in it stands."""


@dataclass(frozen=True)
class Outcome:
    """What became of a cell: `busy` means that another process is computing it."""

    cell: Cell
    status: Literal["computed", "reused", "failed", "busy"]
    traceback: str = ""


@dataclass(frozen=True)
class Work:
    """What every cell of a sweep shares.

    Args:
        package: the package that the experiments are modules of.
        results: the results folder.
        surroundings: experiment -> its `provenance.surroundings`.
        fresh: recompute cells that are done.
        main_process: who started the sweep.
    """

    package: str
    results: Path
    surroundings: dict[str, dict[str, Any]]
    fresh: bool
    main_process: int


def sweep(cells: Sequence[Cell], work: Work, jobs: int | None = None) -> Iterator[Outcome]:
    """Compute cells, yielding one outcome a cell as it comes.

    A worker that dies (out of memory, a crash in native code) takes the pool with it: the cells
    that are left then run alone until the one that kills its worker is found and recorded as
    failed.

    Args:
        cells: what to compute.
        work: what they share.
        jobs: cells at a time; None: as the active `joblib.parallel_config` says, else the cores.

    Raises:
        UnusableResults: a record could not be written.
    """
    waiting = list(cells)
    while waiting:
        try:
            for outcome in _in_parallel(waiting, work, jobs):
                waiting.remove(outcome.cell)
                yield outcome
        except BrokenProcessPool:
            for cell in list(waiting):
                outcome, died = _alone(cell, work)
                waiting.remove(cell)
                yield outcome
                if died:
                    break


def _in_parallel(cells: Sequence[Cell], work: Work, jobs: int | None) -> Iterator[Outcome]:
    """One outcome a cell; those that another process holds come last, and are waited for."""
    if jobs is None:
        configured = get_active_backend()[1]  # 1, or no number, where the user configured none
        jobs = configured if isinstance(configured, int) and configured != 1 else joblib.cpu_count()
    parallel: Any = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered")
    task = joblib.delayed(attempt)
    busy = []
    for outcome in parallel(task(cell, work, wait=False) for cell in list(cells)):
        if outcome.status == "busy":
            busy.append(outcome.cell)
        else:
            yield outcome
    yield from parallel(task(cell, work, wait=True) for cell in busy)


def _alone(cell: Cell, work: Work) -> tuple[Outcome, bool]:
    """The outcome of a cell in a process of its own, and whether that process died."""
    try:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            return pool.submit(attempt, cell, work, wait=True).result(), False
    except BrokenProcessPool:
        report = (
            "The worker process died without a Python traceback: killed (out of memory?) or "
            "crashed in native code.\nBrokenProcessPool: the worker of this cell died"
        )
        with _recording(cell, work):
            write_failed(work.results, cell, report, work.surroundings[cell.experiment])
        return Outcome(cell, "failed", report), True


def attempt(cell: Cell, work: Work, wait: bool) -> Outcome:
    """Compute and record one cell, unless another process has done so or is at it.

    Raises:
        UnusableResults: the record could not be written.
    """
    if os.getpid() != work.main_process:
        sys.stdout = sys.stderr  # the main process may be writing JSON to stdout
    with _recording(cell, work), locked(work.results, cell, wait) as held:
        if not held:
            return Outcome(cell, "busy")
        if not work.fresh and read_state(work.results, cell).status == "done":
            return Outcome(cell, "reused")
        return _compute(cell, work)


@contextlib.contextmanager
def _recording(cell: Cell, work: Work) -> Iterator[None]:
    """Say what a failing write means; an experiment's own errors never get here."""
    try:
        yield
    except OSError as error:
        raise UnusableResults(
            f"Cannot record {cell} in {work.results}: {error}. Everything recorded so far stands: "
            "make room or choose another --results, and the same command goes on from there."
        ) from error


def _compute(cell: Cell, work: Work) -> Outcome:
    """Run a cell whose lock is held, and record its rows or its traceback."""
    about = work.surroundings[cell.experiment] | {"started": datetime.now(UTC).isoformat()}
    start = time.perf_counter()
    try:
        rows = rows_as_parquet(load(work.package, cell.experiment).run(cell.config, cell.seed))
    except (Exception, SystemExit):
        about["seconds"] = time.perf_counter() - start
        report = traceback.format_exc()
        write_failed(work.results, cell, report, about)
        return Outcome(cell, "failed", report)
    about["seconds"] = time.perf_counter() - start
    write_done(work.results, cell, rows, about)
    return Outcome(cell, "computed")
