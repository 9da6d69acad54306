"""Progress of a sweep on stderr: a bar on a terminal, a plain line now and then elsewhere."""

import time
from collections.abc import Callable, Iterable, Iterator

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from experiments.sweep import Outcome

SECONDS_BETWEEN_LINES = 20.0


def followed(outcomes: Iterable[Outcome], total: int, console: Console) -> Iterator[Outcome]:
    """Hand outcomes through, showing how far the sweep is; failures are told as they happen."""
    if total == 0:
        yield from outcomes
    elif console.is_terminal:
        yield from _with_bar(outcomes, total, console)
    else:
        yield from _with_lines(outcomes, total, lambda text: tell(console, text), time.monotonic)


def tell(console: Console, text: str) -> None:
    """Print text as it is: no markup, no wrapping, no colours."""
    console.print(Text(text), soft_wrap=True, highlight=False)


def failure(outcome: Outcome) -> str:
    """One line on a failed cell: which, and the last line of its traceback."""
    return f"{outcome.cell}: {outcome.traceback.strip().splitlines()[-1]}"


class _Rate(ProgressColumn):
    """Finished cells a second."""

    def render(self, task: Task) -> Text:
        return Text(rate(task.finished_speed or task.speed or 0.0))


def rate(cells_per_second: float) -> str:
    """A rate in the unit that makes it readable.

    >>> rate(2.5), rate(0.05)
    ('2.5 cells/s', '3.0 cells/min')
    """
    if cells_per_second >= 1:
        return f"{cells_per_second:.1f} cells/s"
    return f"{60 * cells_per_second:.1f} cells/min"


def _with_bar(outcomes: Iterable[Outcome], total: int, console: Console) -> Iterator[Outcome]:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("cells", total=total)
        for outcome in outcomes:
            if outcome.status == "failed":
                tell(progress.console, f"failed: {failure(outcome)}")
            progress.update(task, advance=1, description=outcome.cell.experiment)
            yield outcome


def _with_lines(
    outcomes: Iterable[Outcome],
    total: int,
    say: Callable[[str], None],
    clock: Callable[[], float],
) -> Iterator[Outcome]:
    start = last = clock()
    for done, outcome in enumerate(outcomes, start=1):
        now = clock()
        if outcome.status == "failed":
            say(f"failed: {failure(outcome)}")
        if done == total or now - last >= SECONDS_BETWEEN_LINES:
            last = now
            speed = done / max(now - start, 1e-9)
            left = (total - done) / speed
            say(f"{done} of {total} cells, {rate(speed)}, {left:.0f} s left")
        yield outcome
