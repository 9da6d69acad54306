"""How far a long reading is: a bar on a terminal, a line now and then elsewhere."""

import contextlib
import time
from collections.abc import Callable, Iterator

SECONDS_BETWEEN_LINES = 20.0


@contextlib.contextmanager
def shown(
    title: str, console: object = None, clock: Callable[[], float] = time.monotonic
) -> Iterator[Callable[[int, int, int], None]]:
    r"""A callback for `reading.aggregate_files` that shows bytes read and rows on stderr.

    Args:
        title: what is read.
        console: a `rich.console.Console`; None: stderr.
        clock: seconds, for the lines.

    >>> import io
    >>> from rich.console import Console
    >>> text = io.StringIO()
    >>> with shown("crowd.csv", Console(file=text)) as tick:
    ...     tick(50, 100, 2000)
    ...     tick(100, 100, 4000)
    >>> text.getvalue()
    'crowd.csv: 100 %, 4,000 rows\n'
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = console if isinstance(console, Console) else Console(stderr=True)
    if not console.is_terminal:
        last = clock()

        def tell(done: int, total: int, rows: int) -> None:
            nonlocal last
            if done >= total or clock() - last >= SECONDS_BETWEEN_LINES:
                last = clock()
                line = f"{title}: {done / max(total, 1):.0%}, {rows:,} rows".replace("%", " %")
                console.print(line, markup=False, highlight=False, soft_wrap=True)

        yield tell
        return
    bar = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:.0f} %  {task.fields[rows]:,} rows"),
        TimeRemainingColumn(),
    )
    with Progress(*bar, console=console) as progress:
        task = progress.add_task(title, rows=0)

        def draw(done: int, total: int, rows: int) -> None:
            progress.update(task, completed=done, total=total, rows=rows)

        yield draw
