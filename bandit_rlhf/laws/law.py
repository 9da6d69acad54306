"""A law: a statement about estimators, the sum that judges it, and the cases it is judged on.

The body of a law is the law. It takes the subject and a case, in plain numpy and loops, and returns
what the subject gave, what mathematics gives, and the sum of the absolute terms, which is the scale
of rounding. The same lines are what a failure prints as a program, so that there is no second
version of a law to drift away.

    body(f, **case) -> (got, expected, scale)
    f(*arrays)      -> the subject on arrays of its kind
    slope(f, place, direction, *arrays), grad(f, place, *arrays): derivatives (laws/gradient.py)

>>> from bandit_rlhf.laws.suite import law
>>> judge(law("A2"), (np.array([3e-16]), np.zeros(1), 4.0), "float64").holds
True
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bandit_rlhf.contract import Contract
from bandit_rlhf.laws.source import Source

Case = dict[str, Any]
Body = Callable[..., tuple[Any, Any, Any]]
Draw = Callable[[Source], Case]

ROUNDING = 16.0
"""Units in the last place of the sum of absolute terms that a correct estimator may be off."""


class Inapplicable(Exception):
    """This case does not concern this subject; the words say why."""


@dataclass(frozen=True)
class Law:
    """One law of one kind of estimator.

    Attributes:
        id: such as "A1"; a law of several kinds keeps its id.
        kind: the kind it judges, or "*" for all (see `universal`).
        claim: the claim it tests; "" for laws that hold for all.
        title: the statement in a few words.
        statement: the statement in LaTeX.
        oracle: what computes the truth.
        theorem: ids of the theorems it tests; empty with `why_no_theorem` saying why.
        draw: from choices to a case, one for all drivers.
        body: see the module.
        battery: choices by name for the structural cases, beyond the generic ones.
        takes: arguments beyond the required ones that the subject must take.
        facts: facts the contract must give; they are passed to the body by name.
        known_facts: facts passed if given, with their defaults.
        precondition: a word that, among the contract's preconditions, excuses the subject.
        differentiates: whether it takes derivatives; in float32 that needs torch.
        torch_only: it speaks of autograd itself.
        rounding: units in the last place allowed, of the scale.
        tolerance: why that many.
    """

    id: str
    kind: str
    claim: str
    title: str
    statement: str
    oracle: str
    draw: Draw
    body: Body
    theorem: tuple[str, ...] = ()
    why_no_theorem: str = ""
    battery: tuple[Mapping[str, Any], ...] = ()
    takes: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    known_facts: Mapping[str, Any] = field(default_factory=dict)
    precondition: str = ""
    differentiates: bool = False
    torch_only: bool = False
    rounding: float = ROUNDING
    tolerance: str = "rounding of a sum of these terms"

    @property
    def kills(self) -> tuple[str, ...]:
        """Names of the broken estimators that this law must catch."""
        from bandit_rlhf.laws import bugs

        return tuple(
            bug.name for bug in bugs.bugs() if self.id in bug.law and bug.kind == self.kind
        )

    @property
    def must_pass(self) -> tuple[str, ...]:
        """Names of the correct estimators that it must not accuse."""
        from bandit_rlhf.laws import bugs

        return tuple(twin.name for twin in bugs.twins() if self.kind in ("*", twin.kind))

    def facts_of(self, contract: Contract) -> dict[str, Any]:
        """What the contract tells the body; its absence makes the law inapplicable."""
        told = dict(contract.facts)
        if contract.reduction != "none":
            told["reduction"] = contract.reduction
        missing = [name for name in self.facts if name not in told]
        if missing:
            raise Inapplicable(
                f"needs the fact {missing[0]!r}: Contract(facts={{{missing[0]!r}: ...}})"
            )
        given = {name: told[name] for name in self.facts}
        known = {name: told.get(name, value) for name, value in self.known_facts.items()}
        return given | known


@dataclass(frozen=True)
class Finding:
    """What a body found on one case, judged.

    Attributes:
        got: what the subject gave.
        expected: what mathematics gives.
        size: the largest |got - expected| in units in the last place of the scale.
        allowed: how large it may be.
    """

    got: np.ndarray
    expected: np.ndarray
    size: float
    allowed: float

    @property
    def holds(self) -> bool:
        """Whether the case obeys the law; NaN does not."""
        return self.size <= self.allowed


def judge(law: Law, outcome: tuple[Any, Any, Any], dtype: str) -> Finding:
    """Compare what a body returned, in units in the last place of the subject's dtype."""
    got, expected, scale = (np.asarray(x, dtype=np.float64) for x in outcome)
    got, expected = np.broadcast_arrays(got, expected)
    unit = float(np.finfo(dtype).eps)
    floor = np.maximum(np.broadcast_to(scale, got.shape), np.finfo(np.float32).tiny)
    with np.errstate(invalid="ignore"):
        off = np.abs(got - expected) / (unit * floor)
    same = got == expected  # infinities, where a law expects them
    off = np.where(same, 0.0, np.where(np.isnan(off), np.inf, off))
    return Finding(got, expected, float(off.max(initial=0.0)), law.rounding)
