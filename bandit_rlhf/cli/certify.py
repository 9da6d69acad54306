"""`bandit-rlhf certify MODULE:FUNCTION`: which objective does it follow?

>>> run(Options("bandit_rlhf.divergence:k1"))
bandit_rlhf.divergence.estimates:k1 as kl
follows nothing: the mean step is 0
0
"""

import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import tyro

from bandit_rlhf.cli import _estimator

ABOUT = """Find the objective whose gradient an estimator's expected step is.

bandit-rlhf certify bandit_rlhf.advantage:grpo
bandit-rlhf certify bandit_rlhf.divergence:k3
bandit-rlhf certify mine:loss --kind policy_loss --json

Sums are exact, over all strings or batches of a few small worlds. An objective is followed if one
factor maps its gradient to the step in all of them; else the nearest ones are listed with angle (in
degrees) and relative error. Kinds: advantage, policy_loss, kl.

Exit codes: 0 an objective is followed; 1 none is; 2 could not run.
"""


@dataclass(frozen=True)
class Options:
    """What to certify."""

    estimator: Annotated[str, tyro.conf.Positional]
    """MODULE:FUNCTION; modules are looked for in this folder too."""
    kind: str | None = None
    """What it estimates; left out: what its contract says."""
    set: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """NAME=VALUE of a keyword argument for every call; may be repeated."""
    backend: Literal["numpy", "torch"] | None = None
    """Arrays it is given; left out: its contract's, else numpy."""
    json: bool = False
    """Print the certificate as JSON."""


def run(options: Options) -> int:
    """Certify, print, and return the exit code."""
    from bandit_rlhf.laws.certify import certify
    from bandit_rlhf.laws.subject import CannotJudge

    terms: dict[str, Any] = {}
    if options.set:
        terms["settings"] = _estimator.assignments("--set", options.set)
    if options.backend:
        terms["backend"] = options.backend
    try:
        found = certify(_estimator.named(options.estimator), options.kind, **terms)
    except CannotJudge as error:
        raise ValueError(f"{options.estimator} {error}") from error
    if options.json:
        print(json.dumps(found.as_json(), indent=2))
        return 0 if found.follows else 1
    print(f"{found.subject} as {found.kind}")
    if found.candidates and found.follows:
        print(f"follows {found.slope:.6g} times the gradient of {found.objective}")
    else:
        print(f"follows {found.objective}")
    for one in found.candidates:
        print(
            f"  {one.objective:<48} slope {one.slope:>10.6f}  angle {one.angle:>8.4f}  "
            f"error {one.error:.2e}"
        )
    return 0 if found.follows else 1
