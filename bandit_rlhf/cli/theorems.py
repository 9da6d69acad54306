"""`bandit-rlhf theorems`: what is proved, where, and which law tests it.

>>> Options().json
False
"""

import json
from dataclasses import dataclass

ABOUT = """List the theorems that Coq has checked, each with its proof, its code and its laws.

bandit-rlhf theorems
bandit-rlhf theorems --json
bandit-rlhf explain 3            (one theorem, by its number)
"""


@dataclass(frozen=True)
class Options:
    """How to list."""

    json: bool = False
    """Print a JSON list of {id, name, words, latex, coq, instances, code, law, gap}."""


def run(options: Options) -> int:
    """Print the registry."""
    from bandit_rlhf.theorems import theorems

    rows = theorems()
    if options.json:
        print(json.dumps([row.as_json() for row in rows], indent=2))
        return 0
    for row in rows:
        laws = ", ".join(row.law[:3]) + (" ..." if len(row.law) > 3 else "")
        print(f"{row.id:>4}  {row.name:<34} {row.coq[0]:<44} {laws}")
    print(f"{len(rows)} theorems; `bandit-rlhf explain NUMBER` says more")
    return 0
