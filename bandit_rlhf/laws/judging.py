"""From a law and an estimator to a verdict: drive the cases, shrink and read what fails.

>>> from bandit_rlhf.laws.suite import law
>>> judged = Subject(lambda rewards: rewards, Contract("advantage"))
>>> str(verdict(law("A1"), (judged,), PROFILES["dev"]).status)
'PASS'
"""

import hashlib
import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bandit_rlhf.contract import Contract
from bandit_rlhf.laws import program, reading
from bandit_rlhf.laws.gradient import FINER
from bandit_rlhf.laws.law import Case, Finding, Inapplicable, Law, judge
from bandit_rlhf.laws.shrink import shrunk
from bandit_rlhf.laws.source import Source
from bandit_rlhf.laws.subject import CannotJudge, Subject, WrongResult, time_limit
from bandit_rlhf.laws.verdict import Status, Verdict

CHOICES = 512
"""How many choices a case may take; those beyond are the simplest."""


@dataclass(frozen=True)
class Profile:
    """How hard to look.

    Attributes:
        points: generic cases beyond the structural battery.
        examples: cases that Hypothesis proposes.
        seconds: time limit of one law on one estimator.
    """

    points: int
    examples: int
    seconds: float


PROFILES = {
    "dev": Profile(points=3, examples=0, seconds=10.0),
    "ci": Profile(points=3, examples=50, seconds=60.0),
    "nightly": Profile(points=10, examples=2000, seconds=600.0),
}


def verdict(law: Law, subjects: tuple[Subject, ...], profile: Profile) -> Verdict:
    """What a law says about an estimator; `subjects` are the same one in several dtypes."""
    contract = subjects[0].contract
    try:
        facts = law.facts_of(contract)
        applicable(law, subjects[0])
        claimed = not law.claim or law.claim in claims_of(contract)
        with time_limit(profile.seconds):
            if law.precondition and law.precondition in contract.preconditions:
                return Verdict(
                    law.id, Status.PRECONDITION, reading=f"it asks its caller: {law.precondition}"
                )
            if not claimed:
                return _measured(law, subjects[0], facts)
            if law.id in contract.declared:
                return _declared(law, subjects, facts, profile)
            return _judged(law, subjects, facts, profile)
    except Inapplicable as reason:
        return Verdict(law.id, Status.NOT_APPLICABLE, reading=str(reason))
    except CannotJudge as error:
        return Verdict(law.id, Status.ERROR, reading=str(error))


def claims_of(contract: Contract) -> frozenset[str]:
    """What a contract claims; without words of its own, what its kind implies."""
    from bandit_rlhf.laws.kinds import kind_named

    return kind_named(contract.kind).implied if contract.claims is None else contract.claims


def cases(law: Law, points: int) -> Iterator[tuple[bytes, Mapping[str, Any]]]:
    """The structural battery and generic points, as bytes and fixed choices, always the same."""
    for place in range(len(law.battery) + points):
        seed = f"{law.kind} {law.id} {place}".encode()
        fixed = law.battery[place] if place < len(law.battery) else {}
        yield hashlib.shake_128(seed).digest(CHOICES), fixed


def finding(law: Law, subject: Subject, case: Case, facts: Mapping[str, Any]) -> Finding:
    """One case, judged; a deviation that goes away with finer differences was theirs, and holds.

    Steep functions and kinks need finer steps, which round more, so that more is allowed; what
    stays as it is, is the estimator's own.
    """
    found = last = _asked(law, subject, case, facts)
    if not law.differentiates or subject.backend != "numpy":
        return found
    for step in FINER:
        if last.holds:
            return last
        finer = _asked(law, replace(subject, step=step), case, facts)
        finer = replace(finer, allowed=law.rounding * subject.step / step)
        if not finer.holds and abs(finer.size - last.size) <= 0.01 * last.size:
            return found
        last = finer
    return last if last.holds else found


def _asked(law: Law, subject: Subject, case: Case, facts: Mapping[str, Any]) -> Finding:
    try:
        with np.errstate(all="ignore"):  # what overflows is judged, not warned of
            outcome = law.body(subject, **case, **facts)
    except (ValueError, IndexError, TypeError) as error:  # of the judge, on what it was given
        raise WrongResult(f"returned what law {law.id} cannot work with: {error}") from error
    return judge(law, outcome, subject.dtype)


def applicable(law: Law, subject: Subject) -> None:
    """Raise `Inapplicable` where a law has nothing to ask of this subject."""
    for name in law.takes:
        if not subject.takes(name):
            raise Inapplicable(f"it takes no argument {name!r}")
    if law.torch_only and subject.backend != "torch":
        raise Inapplicable("numpy arrays carry no gradient that could leak")


def able(law: Law, subject: Subject) -> bool:
    """Differences of float32 values say nothing to 1e-5, autograd does."""
    return not law.differentiates or subject.dtype == "float64" or subject.backend == "torch"


def _broken(
    law: Law, subjects: tuple[Subject, ...], facts: Mapping[str, Any], profile: Profile
) -> Iterator[tuple[Subject, bytes, Case, Finding]]:
    """The cases that do not hold, with the bytes that draw them again."""
    judged, last = 0, Inapplicable("no dtype in which its derivatives can be taken")
    for subject in subjects:
        if not able(law, subject):
            continue
        subject = replace(subject, shares=law.id == "U7", whole=law.id == "U5")
        for content, fixed in cases(law, profile.points):
            source = Source(content, fixed)
            case = law.draw(source)
            try:
                found = finding(law, subject, case, facts)
            except Inapplicable as reason:
                last = reason
                continue
            judged += 1
            if not found.holds:
                yield subject, bytes(source.taken), case, found
    if not judged:
        raise last


def _judged(
    law: Law, subjects: tuple[Subject, ...], facts: Mapping[str, Any], profile: Profile
) -> Verdict:
    for subject, content, _, found in _broken(law, subjects, facts, profile):
        return _failed(law, subject, facts, content, found)
    if profile.examples:
        content = _explored(law, subjects[0], facts, profile.examples)
        if content is not None:
            found = finding(law, subjects[0], law.draw(Source(content)), facts)
            return _failed(law, subjects[0], facts, content, found)
    return Verdict(law.id, Status.PASS)


def _measured(law: Law, subject: Subject, facts: Mapping[str, Any]) -> Verdict:
    """An unclaimed law: what holds is told, nobody is accused."""
    said = "holds"
    try:
        for _, _, case, found in _broken(law, (subject,), facts, PROFILES["dev"]):
            said = reading.reading(found.got, found.expected, found.size, case)
            break
    except CannotJudge as error:
        said = str(error)
    return Verdict(
        law.id, Status.NOT_APPLICABLE, reading=f"not claimed ({law.claim}); measured: {said}"
    )


def _declared(
    law: Law, subjects: tuple[Subject, ...], facts: Mapping[str, Any], profile: Profile
) -> Verdict:
    """A deviation that is meant: it must be there, and be the one declared."""
    meant = subjects[0].contract.declared[law.id]
    shown = None
    for _, _, case, found in _broken(law, subjects, facts, profile):
        shown = shown or found
        if meant.slope is None:
            continue
        slope = reading.factor(meant.slope, case)
        other = replace(found, expected=slope * found.expected)
        if not (abs(other.got - other.expected) <= 1e-4 * abs(found.expected).max()).all():
            return Verdict(
                law.id,
                Status.FAIL,
                found.got.tolist(),
                (slope * found.expected).tolist(),
                f"declared to be {meant.slope} of the truth ({meant.reason}), but "
                + reading.reading(found.got, found.expected, found.size, case),
            )
    if shown is None:
        return Verdict(
            law.id,
            Status.FAIL,
            reading=f"declared to deviate ({meant.reason}), but holds: take the declaration out",
        )
    return Verdict(
        law.id, Status.DECLARED, shown.got.tolist(), shown.expected.tolist(), meant.reason
    )


def _explored(law: Law, subject: Subject, facts: Mapping[str, Any], examples: int) -> bytes | None:
    """Bytes of a case that Hypothesis found to fail, or None."""
    from hypothesis import HealthCheck, settings, strategies
    from hypothesis import errors as hypothesis_errors
    from hypothesis import find as hypothesis_find

    def fails(content: bytes) -> bool:
        try:
            return not finding(law, subject, law.draw(Source(content)), facts).holds
        except Inapplicable:
            return False

    try:
        return hypothesis_find(
            strategies.binary(max_size=CHOICES),
            fails,
            settings=settings(
                max_examples=examples,
                deadline=None,
                database=None,
                derandomize=True,
                suppress_health_check=tuple(HealthCheck),  # pyright: ignore[reportArgumentType]
            ),
        )
    except hypothesis_errors.NoSuchExample:
        return None


def _failed(
    law: Law, subject: Subject, facts: Mapping[str, Any], content: bytes, found: Finding
) -> Verdict:
    """Shrink within the class of the failure, read it, and write the program."""
    wanted = reading.category(found.got, found.expected)

    def fails(candidate: bytes) -> bool:
        try:
            other = finding(law, subject, law.draw(Source(candidate)), facts)
        except (Inapplicable, CannotJudge):
            return False
        return not other.holds and reading.category(other.got, other.expected) == wanted

    content = shrunk(content, fails) if fails(content) else content
    smallest = finding(law, subject, law.draw(Source(content)), facts)
    case = law.draw(Source(content))  # again: the subject may have changed the first
    found = smallest if not smallest.holds else found
    sizes = ", ".join(f"{k} = {v}" for k, v in case.items() if isinstance(v, int))
    where = f" [{', '.join(filter(None, (sizes, subject.dtype, subject.backend)))}]"
    return Verdict(
        law.id,
        Status.FAIL,
        found.got.tolist(),
        found.expected.tolist(),
        reading.reading(found.got, found.expected, found.size, case) + where,
        program.program(law, subject, {**case, **facts}) or "",
    )


def torch_available() -> bool:
    """Whether torch could be imported, without importing it."""
    return importlib.util.find_spec("torch") is not None
