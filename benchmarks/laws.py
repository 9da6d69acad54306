"""How fast a verdict is: whole processes of `bandit-rlhf check`, and the milliseconds of each law.

    python -m benchmarks.laws [--repeats 5]

Medians over rounds. A passing check is timed with and without imports of its own; a failing one
includes shrinking and the run of the program that it prints. A law's time is that of its battery
and generic points on an estimator that passes, float64, in a warm process.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Annotated

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from bandit_rlhf.contract import contract_of
from bandit_rlhf.laws import suite
from bandit_rlhf.laws.bugs import twins
from bandit_rlhf.laws.judging import PROFILES, claims_of, verdict
from bandit_rlhf.laws.subject import Subject
from bandit_rlhf.laws.verdict import Status

PROCESSES = (
    ("a passing numpy estimator", ["bandit_rlhf.advantage:rloo"], 1.0),
    ("a passing loss, numpy", ["bandit_rlhf.policy_loss:reinforce"], None),
    (
        "a failing one, shrunk, its program run",
        ["bandit_rlhf.laws.bugs.advantage:others_over_n"],
        3.0,
    ),
)
"""What is checked, its words, and the seconds it may take."""
LAW_SECONDS = 5e-3


def seconds(call: Callable[[], object], repeats: int) -> float:
    """Median wall seconds of a call."""
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def process(words: list[str]) -> None:
    """One whole process of `bandit-rlhf check`."""
    code = "import sys; from bandit_rlhf.cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "check", *words]
    subprocess.run(command, check=False, capture_output=True)


def law_seconds(repeats: int) -> dict[str, float]:
    """Each claimed law on a twin that claims it: the least of its twins' medians."""
    found: dict[str, float] = {}
    for twin in twins():
        contract = contract_of(twin.function)
        if contract.backend == "torch":
            continue
        claims, subject = claims_of(contract), Subject(twin.function, contract)
        for law in suite.of_kind(twin.kind):
            claimed = not law.claim or law.claim in claims
            if not claimed or verdict(law, (subject,), PROFILES["dev"]).status is not Status.PASS:
                continue
            name = f"{law.kind}:{law.id}"
            taken = seconds(lambda: verdict(law, (subject,), PROFILES["dev"]), repeats)  # noqa: B023
            found[name] = min(taken, found.get(name, np.inf))
    return found


def main(
    repeats: Annotated[int, tyro.conf.arg(help="rounds of each")] = 5,
) -> None:
    """Measure and print two tables."""
    console = Console(width=max(100, Console().width))
    table = Table("process", "seconds", "target", title="bandit-rlhf check", title_justify="left")
    for name, words, target in PROCESSES:
        taken = seconds(lambda: process(words), repeats)  # noqa: B023
        said = "" if target is None else f"{target}: {'reached' if taken <= target else 'missed'}"
        table.add_row(name, f"{taken:.2f}", said)
    console.print(table)
    found = law_seconds(repeats)
    slow = {name: taken for name, taken in found.items() if taken > LAW_SECONDS}
    console.print(
        f"{len(found)} laws: median {1e3 * statistics.median(found.values()):.2f} ms, "
        f"{len(found) - len(slow)} within {1e3 * LAW_SECONDS:g} ms"
    )
    slowest = Table("slowest laws", "ms")
    for name, taken in sorted(found.items(), key=lambda item: -item[1])[:12]:
        slowest.add_row(name, f"{1e3 * taken:.1f}")
    console.print(slowest)


if __name__ == "__main__":
    tyro.cli(main)
