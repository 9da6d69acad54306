"""The command line: from words to options, from errors to exit codes."""

import functools
import operator
import sys
from collections.abc import Sequence
from dataclasses import make_dataclass
from typing import Annotated, Any

import tyro

from experiments import commands, options, report
from experiments.experiment import CannotRun, Experiment, catalogue, load
from experiments.options import Debate, Draw, List, Run
from experiments.overrides import chosen, overrides_type
from experiments.progress import tell
from experiments.record import DamagedCell, IncompleteSweep
from experiments.sweep import UnusableResults

CANNOT_RUN, INTERRUPTED = 2, 130


def main(arguments: Sequence[str] | None = None, package: str = "experiments") -> int:
    """Run a command and return its exit code.

    Args:
        arguments: the words after `python -m experiments`; None: those of the process.
        package: where the experiments and their `claims` are.

    Returns:
        0 fine; 1 a cell, a figure or a judge failed; 2 could not run; 130 interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _main(words, package)
    except (CannotRun, DamagedCell, IncompleteSweep, UnusableResults) as error:
        tell(report.stderr(), f"error: {error}")
        return CANNOT_RUN
    except KeyboardInterrupt:
        tell(report.stderr(), "interrupted; the same command goes on with the cells that are left")
        return INTERRUPTED
    except SystemExit as exit_:  # tyro has printed help or a usage error
        return exit_.code if isinstance(exit_.code, int) else CANNOT_RUN


def _main(words: Sequence[str], package: str) -> int:
    experiment = _experiment_in(words, package)
    command = _parse(words, experiment)
    match command:
        case List():
            return commands.list_experiments(package, command)
        case Debate():
            return commands.debate(package, command)
    if experiment is None or experiment.name != command.name:
        experiment = load(package, command.name)
    overrides = chosen(command.config) if hasattr(command, "config") else {}
    cells = experiment.cells(command.profile, command.seeds, overrides, command.first_seed)
    if isinstance(command, Run):
        return commands.run_experiment(package, command, cells)
    return commands.draw_experiment(experiment, command, cells)


def _experiment_in(words: Sequence[str], package: str) -> Experiment | None:
    """The experiment that `run` or `draw` is told to take, whose config gives further options."""
    if not words or words[0] not in ("run", "draw"):
        return None
    known = catalogue(package)
    plain = [word for word in words[1:] if not word.startswith("-")]
    name = next((word for word in plain if word in known), None)
    if name is None and (not plain or {"-h", "--help"} & set(words)):
        return None
    return load(package, name or plain[0])


def _parse(words: Sequence[str], experiment: Experiment | None) -> Any:
    """The options of one command, as an instance of its dataclass."""
    run, draw = (_with_config(command, experiment) for command in (Run, Draw))
    subcommands = [
        Annotated[
            command,
            tyro.conf.subcommand(
                name, description=about if [name] == words[:1] else about.partition("\n")[0]
            ),
        ]
        for name, command, about in (
            ("list", List, options.ABOUT_LIST),
            ("run", run, options.ABOUT_RUN),
            ("draw", draw, options.ABOUT_DRAW),
            ("debate", Debate, options.ABOUT_DEBATE),
        )
    ]
    union: Any = functools.reduce(operator.or_, subcommands)
    return tyro.cli(
        union, args=list(words), prog="python -m experiments", description=options.ABOUT
    )


def _with_config(command: type, experiment: Experiment | None) -> type:
    """The options of a command with those of an experiment's config added."""
    if experiment is None:
        return command
    config = overrides_type(experiment.config)
    return make_dataclass(
        command.__name__, [("config", config, config())], bases=(command,), frozen=True
    )
