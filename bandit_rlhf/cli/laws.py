"""`bandit-rlhf laws`: the laws, by kind.

>>> run(Options(kind="mismatch"))
mismatch: number of pairs -> which completion each prompt is matched with (KTO's reference)
  claims: derangement
  D10             derangement             reference pairs are a derangement
1 law
0
"""

import json
from dataclasses import dataclass
from typing import Any

ABOUT = """List the laws that estimators are judged by.

bandit-rlhf laws
bandit-rlhf laws --kind advantage
bandit-rlhf laws --json

Each kind is a calling convention, each claim a word that an estimator may take on itself; the
theorems that a law tests stand in brackets.
`bandit-rlhf explain A1` tells all about one law.
"""


@dataclass(frozen=True)
class Options:
    """Which laws, and how."""

    kind: str | None = None
    """Of this kind alone."""
    json: bool = False
    """Print rows as JSON."""


def run(options: Options) -> int:
    """List the laws."""
    from bandit_rlhf.laws import suite
    from bandit_rlhf.laws.kinds import KINDS, kind_named

    kinds = [kind_named(options.kind)] if options.kind else list(KINDS.values())
    listed = [law for kind in kinds for law in suite.of_kind(kind.name)]
    if options.json:
        print(json.dumps([row(law) for law in listed], indent=2))
        return 0
    for kind in kinds:
        print(f"{kind.name}: {kind.about}")
        print(f"  claims: {', '.join(kind.claims)}")
        for law in suite.of_kind(kind.name):
            theorem = f" [{', '.join(law.theorem)}]" if law.theorem else ""
            print(f"  {law.id:<15} {law.claim or '(all)':<24}{law.title}{theorem}")
    print(f"{len(listed)} law{'s' if len(listed) != 1 else ''}")
    return 0


def row(law: Any) -> dict[str, Any]:
    """A law as JSON's own types."""
    return {
        "id": law.id,
        "kind": law.kind,
        "claim": law.claim,
        "title": law.title,
        "statement": law.statement,
        "theorem": list(law.theorem),
        "why_no_theorem": law.why_no_theorem,
        "oracle": law.oracle,
        "tolerance": f"{law.rounding:g} units: {law.tolerance}",
        "facts": [*law.facts, *law.known_facts],
        "kills": list(law.kills),
        "must_pass": list(law.must_pass),
    }
