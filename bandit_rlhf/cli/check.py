"""`bandit-rlhf check MODULE:FUNCTION`: does an estimator do what it claims?

>>> run(Options("bandit_rlhf.advantage:rloo", law=("A1",)))
bandit_rlhf.advantage.baselines:rloo as advantage
PASS            A1
ran 1: 1 passed, 0 failed, 0 declared, 0 precondition, 0 not applicable, 0 could not run
0
"""

import contextlib
import json
import math
import sys
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import tyro

from bandit_rlhf.cli import _estimator
from bandit_rlhf.cli.main import CANNOT_RUN, FAILED, OK, tell

ABOUT = """Judge an estimator by the laws of its kind: exact sums, not another implementation.

bandit-rlhf check bandit_rlhf.advantage:rloo
bandit-rlhf check mine:advantage --kind advantage --claim unbiased --claim group_isolated
bandit-rlhf check mine:dpo --kind preference_loss --claim gibbs --fact beta=0.1 --set beta=0.1
bandit-rlhf check mine:loss --kind policy_loss --backend torch --law L1 --law L7 --json

The function takes arrays as its kind says (`bandit-rlhf laws` lists kinds and claims). What it
claims stands in its contract (bandit_rlhf.contract.estimator) or here; without any, its kind's own
claims count. A failing law prints its smallest case and a program that was run.

Exit codes: 0 all laws hold; 1 a law fails; 2 a law could not be asked.
"""


@dataclass(frozen=True)
class Options:
    """What to judge, and as what."""

    estimator: Annotated[str, tyro.conf.Positional]
    """MODULE:FUNCTION; modules are looked for in this folder too."""
    kind: str | None = None
    """What it estimates, such as advantage; left out: what its contract says."""
    law: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """Ask this law alone; may be repeated."""
    claim: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """A claim to judge it by, in place of its contract's; may be repeated."""
    fact: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """NAME=VALUE that a law needs to know, such as beta=0.1; may be repeated."""
    set: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """NAME=VALUE of a keyword argument for every call; may be repeated."""
    dtype: Literal["float64", "float32", "both"] = "both"
    """Numbers it is given."""
    backend: Literal["numpy", "torch"] | None = None
    """Arrays it is given; left out: what runs, numpy first."""
    profile: Literal["dev", "ci", "nightly"] = "dev"
    """dev: structural and generic cases. ci, nightly: Hypothesis looks for more."""
    json: bool = False
    """Print the report as JSON."""


def run(options: Options) -> int:
    """Ask, print, and return the exit code."""
    from bandit_rlhf.laws.check import check_estimator
    from bandit_rlhf.laws.text import report_text

    terms: dict[str, Any] = {}
    if options.fact:
        terms["facts"] = _estimator.assignments("--fact", options.fact)
    if options.set:
        terms["settings"] = _estimator.assignments("--set", options.set)
    with contextlib.redirect_stdout(sys.stderr):  # what the user's module prints is no report
        function = _estimator.named(options.estimator)
        report = check_estimator(
            options.kind,
            function,
            claims=options.claim or None,
            dtype=options.dtype,
            backend=options.backend,
            laws=options.law,
            profile=options.profile,
            **terms,
        )
    if options.json:
        print(json.dumps(finite(report.as_json()), indent=2, allow_nan=False))
    else:
        print(report_text(report))
    if report.counts["FAIL"]:
        return FAILED
    if not report.counts["ERROR"]:
        return OK
    return tell(_hint(report.kind, options.backend), CANNOT_RUN)


def _hint(name: str, backend: str | None) -> str:
    """How the estimator was called, for one that could not be."""
    from bandit_rlhf.laws.kinds import kind_named

    kind = kind_named(name)
    required, further = kind.arguments[: kind.required], kind.arguments[kind.required :]
    optional = f"[, {', '.join(further)}]" if further else ""
    asked = f"hint: estimators of kind {name} are called as f({', '.join(required)}{optional})"
    if backend is None:
        asked += "; one that takes torch tensors needs --backend torch"
    return asked + "."


def finite(value: Any) -> Any:
    """The value with NaN and infinities as words, which JSON has no numbers for.

    >>> finite({"got": [1.0, float("nan")]})
    {'got': [1.0, 'nan']}
    """
    if isinstance(value, dict):
        return {key: finite(x) for key, x in value.items()}
    if isinstance(value, list | tuple):
        return [finite(x) for x in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
