"""`bandit-rlhf explain LAW`: what a law or a theorem says, and an estimator that breaks the law.

>>> Options("A1").law
'A1'
"""

import json
from dataclasses import dataclass
from typing import Annotated

import tyro

ABOUT = """Explain a law: statement, theorem, oracle, tolerance, what it catches, and a minimal
failing example, which is computed now. Or explain a theorem, by its number: statement, proof,
code, laws, and what the proof does not cover.

bandit-rlhf explain A1
bandit-rlhf explain U1 --kind gae
bandit-rlhf explain 3
bandit-rlhf explain L4 --json
"""


@dataclass(frozen=True)
class Options:
    """Which law."""

    law: Annotated[str, tyro.conf.Positional]
    """Id of a law, such as A1, or number of a theorem, such as 3."""
    kind: str | None = None
    """Of this kind, where several have a law of that id."""
    json: bool = False
    """Print as JSON."""


def run(options: Options) -> int:
    """Explain the law, or the law of each kind that has it; or the theorem."""
    if options.law.isdigit():
        return _explain_theorem(options)
    from bandit_rlhf.cli.check import finite
    from bandit_rlhf.cli.laws import row
    from bandit_rlhf.laws import bugs, suite
    from bandit_rlhf.laws.check import check_estimator
    from bandit_rlhf.laws.text import failure_text, law_text
    from bandit_rlhf.theorems import of_law

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
        for known in of_law(law.kind, law.id):
            words, proofs = " ".join(known.words.split()), ", ".join(known.coq)
            print(f"\n  theorem {known.id}: {words}\n    {proofs}")
        if broken is not None and verdict is not None:
            print(f"\n  for example {broken.name} ({broken.source}): {broken.words}\n")
            print(failure_text(verdict, law.kind))
        print()
    if options.json:
        print(json.dumps(told, indent=2))
    return 0


def _explain_theorem(options: Options) -> int:
    """Print all that the registry knows of one theorem."""
    from bandit_rlhf.theorems import theorem

    row = theorem(options.law)
    if options.json:
        print(json.dumps(row.as_json(), indent=2))
        return 0
    print(f"Theorem {row.id} ({row.name}): {' '.join(row.words.split())}")
    for what, said in (
        ("statement", " ".join(row.latex.split())),
        ("proof", ", ".join(row.coq)),
        ("instance", ", ".join(row.instances)),
        ("code", ", ".join(row.code)),
        ("laws", ", ".join(row.law)),
        ("not covered", " ".join(row.gap.split())),
    ):
        print(f"  {what:<12} {said}")
    return 0
