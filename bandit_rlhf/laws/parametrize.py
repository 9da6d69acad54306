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
from bandit_rlhf.laws.check import backend_of, check_estimator
from bandit_rlhf.laws.judging import able, applicable, claims_of
from bandit_rlhf.laws.law import Inapplicable, Law
from bandit_rlhf.laws.subject import Subject
from bandit_rlhf.laws.verdict import Report

Estimator = Callable[..., Any]

ASKING = ("dtype", "backend", "profile", "verify")
"""What says how `check_estimator` asks; its other terms are those of a contract."""


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
        return check_estimator(
            self.law.kind, estimator, laws=(self.law.id,), on_fail="raise", **self.terms
        )


def pairs(
    kind: str | None, estimators: Sequence[Estimator], laws: Iterable[str] = (), **terms: Any
) -> Iterator[tuple[Estimator, AskedLaw]]:
    """Each estimator with each law that concerns it."""
    own = {name: value for name, value in terms.items() if name not in ASKING}
    if own.get("claims") is not None:
        own["claims"] = frozenset(own["claims"])
    dtype, wanted = terms.get("dtype", "both"), tuple(laws)
    for estimator in estimators:
        contract = contract_of(estimator, kind, **own)
        known = suite.of_kind(contract.kind, wanted)
        backend = terms.get("backend") or backend_of(estimator, contract, known)
        dtypes = ("float64", "float32") if dtype == "both" else (dtype,)
        subjects = [Subject(estimator, contract, name, backend) for name in dtypes]
        for law in known:
            if _concerns(law, subjects):
                yield estimator, AskedLaw(law, {**terms, "backend": backend})


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
        ValueError: no estimator, or one that no law concerns.
    """
    import pytest

    found = list(pairs(kind, estimators, laws, **terms))
    asked = {id(estimator) for estimator, _ in found}
    idle = [_name(estimator) for estimator in estimators if id(estimator) not in asked]
    if idle or not found:
        raise ValueError(
            f"{', '.join(idle) or 'an empty list of estimators'} makes no test, but should make "
            "one [parametrize_with_laws]. Give estimators, and claims that the laws test."
        )
    names = [f"{_name(estimator)}-{law.id}" for estimator, law in found]
    return pytest.mark.parametrize(("estimator", "law"), found, ids=names)


def _name(estimator: Estimator) -> str:
    return getattr(estimator, "__name__", type(estimator).__name__)


def _concerns(law: Law, subjects: Sequence[Subject]) -> bool:
    """Whether the law has something to say that could fail."""
    contract = subjects[0].contract
    if law.claim and law.claim not in claims_of(contract):
        return False
    if law.precondition and law.precondition in contract.preconditions:
        return False
    try:
        law.facts_of(contract)
        applicable(law, subjects[0])
    except Inapplicable:
        return False
    return any(able(law, subject) for subject in subjects)
