"""What the commands print: the table of verdicts, its JSON, the list of experiments."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from experiments.claims import Claim
from experiments.judging import Judgement

COLOUR = {"supported": "green", "refuted": "red", "undecided": "yellow"}
PLAIN_WIDTH = 160  # columns, where there is no terminal to ask


@dataclass(frozen=True)
class Finding:
    """A claim, its judgement, and the figure that shows it.

    Args:
        claim: what is claimed.
        judgement: on the first set of seeds.
        figure: None if it could not be drawn.
        others: the judgements on further sets of seeds.
    """

    claim: Claim
    judgement: Judgement
    figure: Path | None
    others: tuple[Judgement, ...] = ()

    @property
    def stands(self) -> bool:
        """Whether the verdict is the same on every set of seeds."""
        return all(other.verdict == self.judgement.verdict for other in self.others)

    def as_json(self) -> dict[str, Any]:
        """The finding as `debate --json` prints it."""
        return {
            "id": self.claim.id,
            "who": self.claim.who,
            "statement": self.claim.statement,
            "prediction": self.claim.prediction,
            "null": self.claim.null,
            **_numbers(self.judgement),
            "experiment": self.claim.experiment,
            "figure": None if self.figure is None else str(self.figure),
            "on_other_seeds": [_numbers(other) for other in self.others],
        }


def _numbers(judgement: Judgement) -> dict[str, Any]:
    return {
        "effect": judgement.effect,
        "interval": judgement.interval,
        "verdict": judgement.verdict,
    }


def verdict_table(findings: Sequence[Finding]) -> Table:
    """One row a claim: claim, who, prediction, measured, verdict, figure."""
    table = Table(title="The debate", show_lines=True, expand=False)
    for column, ratio in (("claim", 4), ("who", 2), ("prediction", 5), ("measured", 5)):
        table.add_column(column, ratio=ratio, overflow="fold")
    table.add_column("verdict", no_wrap=True)
    table.add_column("figure", overflow="fold", ratio=2)
    for finding in findings:
        verdict = finding.judgement.verdict
        table.add_row(  # Text, as a claim may hold square brackets, which are markup in a str
            Text(f"{finding.claim.id}\n{finding.claim.statement}"),
            Text(finding.claim.who),
            Text(finding.claim.prediction),
            Text(finding.judgement.measured),
            Text(verdict, style=COLOUR[verdict]),
            Text("none" if finding.figure is None else finding.figure.name),
        )
    return table


def seeds_table(findings: Sequence[Finding]) -> Table:
    """One row a claim: verdict and effect on every set of seeds, and whether the verdict stands."""
    sets = 1 + max((len(finding.others) for finding in findings), default=0)
    table = Table(title=f"Verdicts on {sets} disjoint sets of seeds")
    table.add_column("claim")
    for number in range(1, sets + 1):
        table.add_column(f"set {number}", overflow="fold")
    table.add_column("the same")
    for finding in findings:
        cells = [
            Text(judgement.verdict, style=COLOUR[judgement.verdict]) + Text(_effect(judgement))
            for judgement in (finding.judgement, *finding.others)
        ]
        same = Text("yes") if finding.stands else Text("no", style="red")
        table.add_row(Text(finding.claim.id), *cells, same)
    return table


def _effect(judgement: Judgement) -> str:
    """The effect with its interval, three digits each."""
    if judgement.effect is None or judgement.interval is None:
        return ""
    low, high = judgement.interval
    return f" {judgement.effect:.3g} [{low:.3g}, {high:.3g}]"


def experiment_table(entries: Sequence[Mapping[str, Any]]) -> Table:
    """One row an experiment: name, claims, about."""
    table = Table()
    for column in ("name", "claims", "about"):
        table.add_column(column, overflow="fold")
    for entry in entries:
        table.add_row(Text(entry["name"]), Text("\n".join(entry["claims"])), Text(entry["about"]))
    return table


def stdout() -> Console:
    """Where answers go."""
    return _console(stderr=False)


def stderr() -> Console:
    """Where progress, warnings and errors go."""
    return _console(stderr=True)


def _console(stderr: bool) -> Console:
    console = Console(stderr=stderr)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = PLAIN_WIDTH
    return console
