"""What the four commands do, once their options are read."""

import contextlib
import importlib
import itertools
import json
import os
import sys
import traceback
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console

from experiments import report
from experiments.atomic import require_writable
from experiments.cell import Cell
from experiments.claims import Claim
from experiments.experiment import CannotRun, Experiment, catalogue, load
from experiments.judging import Judgement, undecided
from experiments.options import Debate, Draw, List, Run
from experiments.progress import failure, followed, tell
from experiments.provenance import surroundings
from experiments.record import read_state, read_table
from experiments.report import Finding
from experiments.sweep import Outcome, Work, sweep

OK, SOME_FAILED = 0, 1


def list_experiments(package: str, options: List) -> int:
    """Print every experiment, the claims it decides, and what it is about."""
    claims = claims_of(package)
    entries = [
        {"name": name, "claims": [c.id for c in claims if c.experiment == name], "about": about}
        for name, about in catalogue(package).items()
    ]
    if options.json:
        print(json.dumps(entries, indent=2))
    else:
        report.stdout().print(report.experiment_table(entries))
    return OK


def run_experiment(package: str, options: Run, cells: Sequence[Cell]) -> int:
    """Compute the cells that have no rows yet; the exit code says whether all have now."""
    with _stdout_for_answers():
        outcomes = complete(package, cells, options)
    counts = Counter(outcome.status for outcome in outcomes)
    told = ", ".join(f"{counts[status]} {status}" for status in ("computed", "reused", "failed"))
    folder = options.results / options.name
    tell(report.stdout(), f"{options.name}, {len(cells)} cells: {told}; recorded in {folder}")
    return SOME_FAILED if counts["failed"] else OK


def draw_experiment(experiment: Experiment, options: Draw, cells: Sequence[Cell]) -> int:
    """Draw the recorded cells and print the paths of the figures; nothing is computed."""
    _require_folder(options.figures, "--figures")
    with _stdout_for_answers():
        paths = _draw(experiment, read_table(options.results, cells), options)
    for path in paths:
        tell(report.stdout(), str(path))
    return OK


def debate(package: str, options: Debate) -> int:
    """Run every experiment of a profile, draw it, judge its claims, and print the verdicts."""
    claims = claims_of(package)
    if options.headline:
        claims = tuple(claim for claim in claims if claim.headline)
    if options.seed_sets < 1:
        got = f"--seed-sets is {options.seed_sets}"
        raise CannotRun(f"{got}, but should be at least 1. Raise it.")
    err = report.stderr()
    _require_folder(options.figures, "--figures")
    with _stdout_for_answers():
        names = {claim.experiment for claim in claims} if options.headline else catalogue(package)
        experiments, troubles = _load_all(package, names)
        sets = [_seed_set(experiments, options, number) for number in range(options.seed_sets)]
        wanted = dict.fromkeys(cell for cells in sets for cell in itertools.chain(*cells.values()))
        outcomes = complete(package, [*wanted], options)
        troubles |= _failures(outcomes)
        tables = [_tables(cells, options.results, troubles) for cells in sets]
        drawn = _draw_all(experiments, tables[0], options, troubles, err)
        findings = [
            Finding(claim, first, drawn.get(claim.experiment), tuple(others))
            for claim in claims
            for first, *others in [[_judge(claim, one, troubles, err) for one in tables]]
        ]
    for name, trouble in troubles.items():
        tell(err, f"{name}: {trouble}")
    if options.json:
        print(json.dumps([finding.as_json() for finding in findings], indent=2))
    else:
        report.stdout().print(report.verdict_table(findings))
        if options.seed_sets > 1:
            report.stdout().print(report.seeds_table(findings))
        tell(report.stdout(), f"Figures, each as PDF, SVG and PNG, are in {options.figures}")
    return SOME_FAILED if troubles else OK


def complete(package: str, cells: Sequence[Cell], options: Run | Debate) -> list[Outcome]:
    """See to it that the cells are recorded: reuse what is done, compute the rest.

    Raises:
        CannotRun: a cell is to be computed, but the results folder cannot be written to.
        UnusableResults: it could no longer be written to on the way.
    """
    if options.jobs is not None and options.jobs < 1:
        raise CannotRun(f"--jobs is {options.jobs}, but should be at least 1. Raise it.")
    err = report.stderr()
    names = dict.fromkeys(cell.experiment for cell in cells)
    origin = {name: surroundings(f"{package}.{name}") for name in names}
    reused: list[Outcome] = []
    pending: list[Cell] = []
    of_other_source: Counter[str] = Counter()
    for cell in cells:
        state = read_state(options.results, cell)
        if state.status == "damaged":
            tell(err, f"damaged, recomputing: {cell}: {state.reason}")
        if state.status != "done" or options.fresh:
            pending.append(cell)
            continue
        reused.append(Outcome(cell, "reused"))
        if state.provenance["source"] != origin[cell.experiment]["source"]:
            of_other_source[cell.experiment] += 1
    for name, count in of_other_source.items():
        tell(
            err,
            f"warning: {count} recorded cells of {name} were computed by other source than the "
            "present one. They are reused; --fresh recomputes them.",
        )
    if pending:
        _require_folder(options.results, "--results")
    work = Work(package, options.results.absolute(), origin, options.fresh, os.getpid())
    return [*reused, *followed(sweep(pending, work, options.jobs), len(pending), err)]


def claims_of(package: str) -> tuple[Claim, ...]:
    """The claims of a package, in the order in which they stand.

    Raises:
        CannotRun: two share an id, or one names an experiment that does not exist.
    """
    claims: tuple[Claim, ...] = importlib.import_module(f"{package}.claims").CLAIMS
    known = catalogue(package)
    seen: set[str] = set()
    for claim in claims:
        if claim.id in seen:
            raise CannotRun(f"Two claims have the id {claim.id!r}. Rename one in {package}.claims.")
        if claim.experiment not in known:
            raise CannotRun(
                f"Claim {claim.id!r} names the experiment {claim.experiment!r}, but there are: "
                f"{', '.join(known) or 'none'}. Correct it in {package}.claims."
            )
        seen.add(claim.id)
    return claims


def _load_all(package: str, names: Collection[str]) -> tuple[list[Experiment], dict[str, str]]:
    """Every experiment of these names that can be loaded, and why the others cannot."""
    experiments: list[Experiment] = []
    troubles: dict[str, str] = {}
    for name in sorted(names):
        try:
            experiments.append(load(package, name))
        except CannotRun as error:
            troubles[name] = str(error)
    return experiments, troubles


def _seed_set(
    experiments: Sequence[Experiment], options: Debate, number: int
) -> dict[str, list[Cell]]:
    """Experiment -> its cells under the seeds of one set, disjoint from those of another."""
    return {
        experiment.name: experiment.cells(
            options.profile,
            first_seed=options.first_seed + number * experiment.sweep[options.profile].seeds,
        )
        for experiment in experiments
    }


def _tables(
    cells: Mapping[str, Sequence[Cell]], results: Path, troubles: Collection[str]
) -> dict[str, pl.DataFrame]:
    """Experiment -> its rows, where no cell failed."""
    return {
        name: read_table(results, wanted) for name, wanted in cells.items() if name not in troubles
    }


def _draw_all(
    experiments: Sequence[Experiment],
    tables: Mapping[str, pl.DataFrame],
    options: Debate,
    troubles: dict[str, str],
    err: Console,
) -> dict[str, Path]:
    """Experiment -> its figure; what cannot be drawn is told, and judged all the same.

    Raises:
        CannotRun: the figures cannot be written.
    """
    drawn: dict[str, Path] = {}
    for experiment in experiments:
        if experiment.name not in tables:
            continue
        try:
            drawn[experiment.name] = _draw(experiment, tables[experiment.name], options)[0]
        except CannotRun:
            raise
        except Exception as error:
            tell(err, traceback.format_exc())
            troubles[experiment.name] = f"draw failed: {type(error).__name__}: {error}"
    return drawn


def _failures(outcomes: Sequence[Outcome]) -> dict[str, str]:
    """Experiment -> how many of its cells failed, and how the first did."""
    failed: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.status == "failed":
            failed.setdefault(outcome.cell.experiment, []).append(outcome)
    return {name: f"failed cells: {len(f)}; {failure(f[0])}" for name, f in failed.items()}


def _draw(experiment: Experiment, table: pl.DataFrame, options: Draw | Debate) -> list[Path]:
    """Draw a table and write the figure in every format.

    Raises:
        CannotRun: the figures cannot be written.
    """
    from experiments.figures import render, save  # pyplot: half a second that `run` spares

    pictures = render(experiment.draw, table, options.style)
    try:
        return save(pictures, options.figures, experiment.name)
    except OSError as error:
        raise CannotRun(
            f"Cannot write figures to {options.figures}: {error}. Free some space, or choose "
            "another folder with --figures."
        ) from error


def _judge(
    claim: Claim, tables: Mapping[str, pl.DataFrame], troubles: dict[str, str], err: Console
) -> Judgement:
    """The judgement of a claim; without a complete table nothing is decided."""
    if claim.experiment not in tables:
        return undecided(f"not measured: {troubles[claim.experiment]}")
    try:
        judgement = claim.judge(tables[claim.experiment])
        if not isinstance(judgement, Judgement):
            raise TypeError(f"judge returned a {type(judgement).__name__}, but should a Judgement")
        return judgement
    except Exception as error:
        tell(err, traceback.format_exc())
        reason = f"judge failed: {type(error).__name__}: {error}"
        troubles[claim.id] = reason
        return undecided(reason)


def _require_folder(folder: Path, option: str) -> None:
    """Turn an unwritable folder into a message, before hours of computing.

    Raises:
        CannotRun: it cannot be created or written to.
    """
    try:
        require_writable(folder)
    except OSError as error:
        raise CannotRun(
            f"{folder} should be a folder that can be written to, but: {error}. "
            f"Make it writable, free some space, or choose another with {option}."
        ) from error


def _stdout_for_answers() -> contextlib.AbstractContextManager[Any]:
    """Send what experiments print to stderr: stdout carries the answer alone."""
    return contextlib.redirect_stdout(sys.stderr)
