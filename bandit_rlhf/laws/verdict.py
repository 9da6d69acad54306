"""What a law says about an estimator, and how many laws said what.

>>> Report("advantage", "m:f", (Verdict("A1", Status.PASS),)).tally
'ran 1: 1 passed, 0 failed, 0 declared, 0 precondition, 0 not applicable, 0 could not run'
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """The six answers of a law."""

    PASS = "PASS"
    FAIL = "FAIL"
    DECLARED = "DECLARED"
    PRECONDITION = "PRECONDITION"
    NOT_APPLICABLE = "NOT APPLICABLE"
    ERROR = "ERROR"


@dataclass(frozen=True)
class Verdict:
    """One law on one estimator.

    Attributes:
        law: its id.
        status: one of the six.
        got: on the shown case, what the estimator gave; None where there is none.
        expected: what mathematics gives.
        reading: what the deviation looks like, or why there is no answer.
        repro: a program that shows the failing case, and that has been run.
    """

    law: str
    status: Status
    got: Any = None
    expected: Any = None
    reading: str = ""
    repro: str = ""


@dataclass(frozen=True)
class Report:
    """All laws of a kind on one estimator.

    Attributes:
        kind: of the estimator.
        subject: its name.
        verdicts: in the order of the suite.
    """

    kind: str
    subject: str
    verdicts: tuple[Verdict, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many verdicts of each status, zeros included."""
        tally = Counter(verdict.status for verdict in self.verdicts)
        return {str(status): tally[status] for status in Status}

    @property
    def holds(self) -> bool:
        """Whether no law failed and none met an error."""
        return not any(self.of(Status.FAIL)) and not any(self.of(Status.ERROR))

    def of(self, status: Status) -> Iterator[Verdict]:
        """The verdicts of one status."""
        return (verdict for verdict in self.verdicts if verdict.status == status)

    @property
    def tally(self) -> str:
        """One line, such as "ran 7: 7 passed; not applicable 2, declared 1"."""
        counts = self.counts
        ran = counts["PASS"] + counts["FAIL"] + counts["DECLARED"]
        named = {
            "passed": "PASS",
            "failed": "FAIL",
            "declared": "DECLARED",
            "precondition": "PRECONDITION",
            "not applicable": "NOT APPLICABLE",
            "could not run": "ERROR",
        }
        return f"ran {ran}: " + ", ".join(f"{counts[key]} {word}" for word, key in named.items())

    def as_json(self) -> dict[str, Any]:
        """Kind, subject, counts and verdicts as JSON's own types."""
        verdicts = [asdict(v) | {"status": str(v.status)} for v in self.verdicts]
        return {
            "kind": self.kind,
            "subject": self.subject,
            "counts": self.counts,
            "verdicts": verdicts,
        }


class LawsBroken(AssertionError):
    """An estimator broke a law, or could not be judged; the message is the report."""

    def __init__(self, report: Report, text: str) -> None:
        super().__init__(text)
        self.report = report
