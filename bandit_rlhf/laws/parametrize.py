"""Laws as tests: one pytest id for each estimator and law.

    @parametrize_with_laws("advantage", [my_advantage])
    def test_laws(estimator, law):
        law(estimator)

A law that does not concern an estimator (a claim it does not make, an argument it does not take)
makes no test, so that nothing is skipped and what is green was asked.

>>> from bandit_rlhf.laws.bugs.advantage import by_loop
>>> [f"{f.__name__}-{law.id}" for f, law in pairs("advantage", [by_loop], laws=("A1", "A2", "A4"))]
['by_loop-A1', 'by_loop-A2', 'by_loop-A4']
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from bandit_rlhf.contract import contract_of
from bandit_rlhf.laws import suite
from bandit_rlhf.laws.check import check_estimator
from bandit_rlhf.laws.judging import claims_of
from bandit_rlhf.laws.law import Inapplicable, Law
from bandit_rlhf.laws.subject import Subject
from bandit_rlhf.laws.verdict import Report

Estimator = Callable[..., Any]
ASKED: list[Report] = []
"""What laws said in this process, for the tally that `pytest_plugin` prints."""


@dataclass(frozen=True)
class AskedLaw:
    """A law that a test calls with an estimator.

    Attributes:
        law: the record.
        terms: further arguments of `check_estimator`.
    """

    law: Law
    terms: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Its id, such as "A1"."""
        return self.law.id

    def __call__(self, estimator: Estimator) -> Report:
        """Ask; raises `LawsBroken` with the report where the law fails or cannot be asked."""
        report = check_estimator(
            self.law.kind, estimator, laws=(self.law.id,), on_fail="return", **self.terms
        )
        ASKED.append(report)
        if not report.holds:
            from bandit_rlhf.laws.text import report_text
            from bandit_rlhf.laws.verdict import LawsBroken

            raise LawsBroken(report, report_text(report))
        return report


def pairs(
    kind: str | None, estimators: Sequence[Estimator], laws: Iterable[str] = (), **terms: Any
) -> Iterator[tuple[Estimator, AskedLaw]]:
    """Each estimator with each law that concerns it."""
    wanted = tuple(laws)
    for estimator in estimators:
        own = {
            name: terms[name] for name in ("facts", "settings", "names", "backend") if name in terms
        }
        if "claims" in terms:
            own["claims"] = frozenset(terms["claims"])
        contract = contract_of(estimator, kind, **own)
        subject = Subject(estimator, contract, backend=contract.backend or "numpy")
        for law in suite.of_kind(contract.kind, wanted):
            if _concerns(law, subject):
                yield estimator, AskedLaw(law, terms)


def parametrize_with_laws(
    kind: str | None, estimators: Sequence[Estimator], *, laws: Iterable[str] = (), **terms: Any
) -> Any:
    """A pytest decorator: arguments `estimator` and `law`, one test for each pair.

    Args:
        kind: of the estimators; None: what each declares.
        estimators: functions of arrays, at least one.
        laws: ids; none given: all of the kind.
        **terms: further arguments of `check_estimator`, such as `claims`, `dtype` or `profile`.

    Raises:
        ValueError: no estimator, or none that a law concerns.
    """
    import pytest

    found = list(pairs(kind, estimators, laws, **terms))
    if not found:
        raise ValueError(
            f"{len(estimators)} estimators and {kind} make no test, but should make one. "
            "Give an estimator, and claims that laws test."
        )
    names = [f"{getattr(f, '__name__', repr(f))}-{law.id}" for f, law in found]
    return pytest.mark.parametrize(("estimator", "law"), found, ids=names)


def _concerns(law: Law, subject: Subject) -> bool:
    """Whether the law has something to say that could fail."""
    if law.claim and law.claim not in claims_of(subject.contract):
        return False
    if law.precondition and law.precondition in subject.contract.preconditions:
        return False
    if law.torch_only and subject.backend != "torch":
        return False
    try:
        law.facts_of(subject.contract)
    except Inapplicable:
        return False
    return all(map(subject.takes, law.takes))
