"""A pytest plugin that says how many laws ran: `-p bandit_rlhf.laws.pytest_plugin`.

Green tests hide how much they asked. This one adds up what every law said in the session, across
pytest-xdist's workers, and says so at the end.

>>> summary({"PASS": 2, "FAIL": 1})
'laws: ran 3: 2 passed, 1 failed, 0 declared, 0 could not run'
>>> summary({})
'laws: NONE RAN: no test asked a law, so that green says nothing about estimators'
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from bandit_rlhf.laws.check import LISTENERS
from bandit_rlhf.laws.verdict import Report

PROPERTY = "bandit_rlhf_laws"
TALLY = pytest.StashKey[Counter]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Note on the test what laws said while it ran; properties travel to xdist's controller."""
    counts: Counter = Counter()

    def add(report: Report) -> None:
        counts.update(report.counts)

    LISTENERS.append(add)
    try:
        return (yield)
    finally:
        LISTENERS.remove(add)
        if counts:
            item.user_properties.append((PROPERTY, dict(counts)))


def pytest_configure(config: pytest.Config) -> None:
    """Start at zero."""
    config.stash[TALLY] = Counter()
    config.pluginmanager.register(_Adder(config), "bandit-rlhf-laws-tally")


class _Adder:
    """Adds up the notes of tests as their reports arrive."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            for name, counts in report.user_properties:
                if name == PROPERTY and isinstance(counts, dict):
                    self.config.stash[TALLY].update(counts)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the tally, in red where a law failed, could not run, or none ran."""
    if not config.option.collectonly:
        tally = config.stash[TALLY]
        bad = not ran(tally) or tally["FAIL"] or tally["ERROR"]
        terminalreporter.write_line(summary(tally), red=bool(bad), bold=bool(bad))


def ran(counts: Mapping[str, int]) -> int:
    """How many laws gave a verdict."""
    return sum(counts.get(status, 0) for status in ("PASS", "FAIL", "DECLARED"))


def summary(counts: Mapping[str, int]) -> str:
    """One line; that none ran is said as well."""
    words = {"PASS": "passed", "FAIL": "failed", "DECLARED": "declared", "ERROR": "could not run"}
    told = [f"{counts.get(status, 0)} {word}" for status, word in words.items()]
    if not ran(counts) and not counts.get("ERROR"):
        return "laws: NONE RAN: no test asked a law, so that green says nothing about estimators"
    return f"laws: ran {ran(counts)}: {', '.join(told)}"
