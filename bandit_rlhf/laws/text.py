"""Reports and laws as plain text.

>>> from bandit_rlhf.laws.verdict import Report, Status, Verdict
>>> print(report_text(Report("advantage", "m:f", (Verdict("A2", Status.PASS),))))
m:f as advantage
PASS            A2
ran 1: 1 passed, 0 failed, 0 declared, 0 precondition, 0 not applicable, 0 could not run
"""

import textwrap
from typing import Any

import numpy as np

from bandit_rlhf.laws import suite
from bandit_rlhf.laws.law import Law
from bandit_rlhf.laws.verdict import Report, Status, Verdict

WIDTH = 16


def report_text(report: Report) -> str:
    """Failures in full, everything else in a line for each thing said, and the tally."""
    lines = [f"{report.subject} as {report.kind}"]
    for verdict in report.of(Status.FAIL):
        lines += ["", failure_text(verdict, report.kind), ""]
    passed = [verdict.law for verdict in report.of(Status.PASS)]
    if passed:
        lines.append(f"{'PASS':{WIDTH}}{' '.join(passed)}")
    for status in (Status.ERROR, Status.DECLARED, Status.PRECONDITION, Status.NOT_APPLICABLE):
        said: dict[str, list[str]] = {}
        for verdict in report.of(status):
            said.setdefault(verdict.reading, []).append(verdict.law)
        for reading, laws in said.items():
            lines.append(f"{status:{WIDTH}}{' '.join(laws)}: {' '.join(reading.split())}")
    return "\n".join([*lines, report.tally])


def failure_text(verdict: Verdict, kind: str) -> str:
    """The law, what the estimator gave on the smallest case found, and a program that shows it."""
    law = suite.law(verdict.law, kind)
    lines = [
        f"FAIL {law.id}: {law.title}",
        f"  law       {law.statement}",
        f"  theorem   {_theorem(law)}",
        f"  oracle    {law.oracle}",
        f"  got       {numbers(verdict.got)}",
        f"  expected  {numbers(verdict.expected)}",
        f"  reading   {verdict.reading}",
    ]
    if verdict.repro:
        lines += ["  program, as it was run:", "", textwrap.indent(verdict.repro.rstrip(), "    ")]
    return "\n".join(lines)


def law_text(law: Law) -> str:
    """All that a law knows of itself but its cases."""
    claim = f"claim {law.claim!r}" if law.claim else "every estimator of the kind"
    lines = [
        f"{law.id} ({law.kind}): {law.title}",
        f"  law        {law.statement}",
        f"  judges     {claim}",
        f"  theorem    {_theorem(law)}",
        f"  oracle     {law.oracle}",
        f"  tolerance  {law.rounding:g} units in the last place of the sum of absolute terms: "
        f"{law.tolerance}",
    ]
    if law.facts or law.known_facts:
        defaults = [f"{name} (else {value})" for name, value in law.known_facts.items()]
        lines.append(f"  facts      {', '.join([*law.facts, *defaults])}")
    if law.takes:
        lines.append(f"  asks for   the argument {', '.join(law.takes)}")
    lines.append(f"  kills      {', '.join(law.kills) or 'nothing listed'}")
    lines.append(f"  must pass  {', '.join(law.must_pass) or 'nothing listed'}")
    return "\n".join(lines)


def numbers(value: Any) -> str:
    """Numbers with the digits that tell them apart, on one line where they fit.

    >>> numbers([0.5, 1.0]), numbers(float("nan")), numbers(None)
    ('[0.5, 1]', 'nan', 'none')
    """
    if value is None:
        return "none"
    array = np.asarray(value, dtype=float)
    text = np.array2string(
        array, separator=", ", max_line_width=88, formatter={"float_kind": lambda x: f"{x:.12g}"}
    )
    return textwrap.indent(text, " " * 12).strip()


def _theorem(law: Law) -> str:
    return ", ".join(law.theorem) or f"none: {law.why_no_theorem}"
