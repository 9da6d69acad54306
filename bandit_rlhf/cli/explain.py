"""`bandit-rlhf explain LAW`: what a law says, and an estimator that breaks it.

>>> Options("A1").law
'A1'
"""

import json
from dataclasses import dataclass
from typing import Annotated

import tyro

ABOUT = """Explain a law: statement, theorem, oracle, tolerance, what it catches, and a minimal
failing example, which is computed now.

bandit-rlhf explain A1
bandit-rlhf explain U1 --kind gae
bandit-rlhf explain L4 --json
"""


@dataclass(frozen=True)
class Options:
    """Which law."""

    law: Annotated[str, tyro.conf.Positional]
    """Id of a law, such as A1."""
    kind: str | None = None
    """Of this kind, where several have a law of that id."""
    json: bool = False
    """Print as JSON."""


def run(options: Options) -> int:
    """Explain the law, or the law of each kind that has it."""
    from bandit_rlhf.cli.check import finite
    from bandit_rlhf.cli.laws import row
    from bandit_rlhf.laws import bugs, suite
    from bandit_rlhf.laws.check import check_estimator
    from bandit_rlhf.laws.text import failure_text, law_text

    first = suite.law(options.law, options.kind)  # or an error with the nearest id
    same = [x for x in suite.laws() if x.id == first.id and options.kind in (None, x.kind)]
    told = []
    for law in same:
        broken = next((b for b in bugs.bugs() if b.kind == law.kind and law.id in b.law), None)
        verdict = None
        if broken is not None:
            (verdict,) = check_estimator(law.kind, broken.function, laws=(law.id,)).verdicts
        if options.json:
            example = None
            if broken is not None and verdict is not None:
                example = {"name": broken.name, "words": broken.words, "source": broken.source}
                example |= {"got": verdict.got, "expected": verdict.expected}
                example |= {"reading": verdict.reading, "repro": verdict.repro}
            told.append(finite(row(law) | {"example": example}))
            continue
        print(law_text(law))
        if broken is not None and verdict is not None:
            print(f"\n  for example {broken.name} ({broken.source}): {broken.words}\n")
            print(failure_text(verdict, law.kind))
        print()
    if options.json:
        print(json.dumps(told, indent=2))
    return 0
