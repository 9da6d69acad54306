"""The progress of a long reading, on a terminal and elsewhere."""

import io

from rich.console import Console

from bandit_rlhf.comparisons.progress import SECONDS_BETWEEN_LINES, shown


def test_elsewhere_lines_come_now_and_then():
    text, seconds = io.StringIO(), 0.0
    with shown("crowd [x].csv", Console(file=text), lambda: seconds) as tick:
        for part in range(1, 11):
            seconds += SECONDS_BETWEEN_LINES / 4
            tick(part, 10, 1000 * part)
    assert text.getvalue().splitlines() == [
        "crowd [x].csv: 40 %, 4,000 rows",
        "crowd [x].csv: 80 %, 8,000 rows",
        "crowd [x].csv: 100 %, 10,000 rows",
    ]


def test_on_a_terminal_a_bar_is_drawn():
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=120)
    with shown("crowd.csv", console) as tick:
        tick(50, 100, 2000)
        tick(100, 100, 4000)
    assert "crowd.csv" in text.getvalue()
    assert "100 %  4,000 rows" in text.getvalue()
