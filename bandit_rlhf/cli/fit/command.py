"""Read, assess, report: what `bandit-rlhf fit` does, in this order."""

from bandit_rlhf import _check
from bandit_rlhf.cli.fit import report
from bandit_rlhf.cli.fit.assessment import Assessment, assess
from bandit_rlhf.cli.fit.options import Options
from bandit_rlhf.cli.fit.reading import read_file
from bandit_rlhf.cli.fit.table_file import require_table_ending, write_table

OK, NOT_CONVERGED = 0, 1


def run(options: Options) -> int:
    r"""Fit the file and report; the exit code says whether the fit converged.

    Raises:
        NoFiniteMaximum: the fit does not exist.
        ValueError, OSError, ImportError: a wrong option, a file that cannot be used.

    >>> import tempfile
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp()) / "votes.csv"
    >>> _ = path.write_text("winner,loser\n" + "tea,mate\n" * 3 + "mate,tea\n")
    >>> run(Options(path, output=path.with_name("board.csv"), resamples=0))
    Bradley-Terry: 2 items, 4 comparisons...
    0
    >>> path.with_name("board.csv").read_text().splitlines()[0]
    'item,component,rank,rank_low,rank_high,score,stderr,low,high,games'
    """
    require_sensible(options)
    result = assess(read_file(options), options)
    if options.json:
        report.print_json(result, options)
    else:
        report.print_report(result, options)
    if options.output is not None:
        write_table(result.board, options.output)
    if options.plot is not None:
        _plot(result, options)
    return OK if result.fit.converged else NOT_CONVERGED


def require_sensible(options: Options) -> None:
    """Refuse, before a long fit, what would be refused after it.

    Raises:
        ValueError: a number out of range, an ending that cannot be written, options at odds.
    """
    if not 0 < options.level < 1:
        raise ValueError(_check.complaint(f"--level is {options.level:g}", "between 0 and 1"))
    for name, least in (("bootstrap", 0), ("resamples", 0), ("top", 1), ("seed", 0)):
        value = getattr(options, name)
        if value is not None:
            _check.integer_at_least(f"--{name}", value, least)
    if options.stream and (options.by or options.cluster):
        got = "--stream is given with --by or --cluster"
        raise ValueError(
            _check.complaint(got, "given without, as counts know no prompts or people")
        )
    if options.output is not None:
        require_table_ending(options.output)
    if options.plot is not None:
        from bandit_rlhf.plot.saving import figure_format

        figure_format(options.plot)


def _plot(result: Assessment, options: Options) -> None:
    """Draw the figure that is asked for, and save it."""
    from bandit_rlhf import plot
    from bandit_rlhf.diagnosis import Calibration

    assert options.plot is not None
    with plot.drawn_for():
        match options.figure:
            case "forest":
                drawn = plot.forest(result.board, top=options.top)
            case "wins":
                drawn = plot.win_matrix(result.board, result.counts, top=options.top)
            case "network":
                drawn = plot.comparison_network(result.board, result.counts, top=options.top)
            case "calibration":
                found = result.diagnosis and result.diagnosis.calibration
                if not isinstance(found, Calibration):
                    reason = found.reason if found else "the fit did not converge"
                    raise ValueError(f"--figure calibration cannot be drawn: {reason}")
                drawn = plot.reliability(found)
        plot.save(drawn, options.plot)
