"""Law A8: two implementations of one estimator agree (eager, vectorised, fused).

They are asked whatever the laws of their kind ask: groups of one draw, equal rewards, pads on
every side, whole enumerations. So there are no cases of its own to keep up to date.

>>> by_row, by_column = lambda r: r - r.mean(1, keepdims=True), lambda r: (r.T - r.mean(1)).T
>>> assert_twins(by_row, by_column, "advantage") > 100
True
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from bandit_rlhf.contract import Backend, contract_of
from bandit_rlhf.laws import suite
from bandit_rlhf.laws.check import Dtype, backend_of, name_of
from bandit_rlhf.laws.gradient import numpy_grad, numpy_slope
from bandit_rlhf.laws.judging import applicable, cases
from bandit_rlhf.laws.law import ROUNDING, Case, Inapplicable, Law
from bandit_rlhf.laws.reading import category
from bandit_rlhf.laws.shrink import shrunk
from bandit_rlhf.laws.source import Source
from bandit_rlhf.laws.subject import CannotJudge, Subject
from bandit_rlhf.laws.twin_difference import Difference, text
from bandit_rlhf.laws.typical import MASKED

Estimator = Callable[..., Any]


class _Differ(Exception):
    """The twins differ."""

    def __init__(self, difference: Difference) -> None:
        self.difference = difference


class _Refused(Exception):
    """Both refuse these arguments, and so agree."""


@dataclass(frozen=True)
class _Pair:
    """Both twins as one subject of a law's body: what it asks, both are asked."""

    subjects: tuple[Subject, Subject]
    rounding: float
    differentiable: bool
    known: dict[Any, Any] = field(default_factory=dict)

    def __call__(self, *arrays: Any, **named: Any) -> Any:
        key = repr([(x.shape, x.tobytes()) if isinstance(x, np.ndarray) else x for x in arrays])
        key = key, repr(named), self.subjects[0].dtype
        if key not in self.known:
            self.known[key] = self._agreed(arrays, named, None)
            if self.differentiable:
                for place, array in enumerate(arrays):
                    if isinstance(array, np.ndarray) and array.dtype.kind == "f":
                        self._agreed(arrays, {}, place)
        return self.known[key]

    def grad(self, place: int, *arrays: Any) -> Any:
        if self.differentiable:
            return self._agreed(arrays, {}, place)
        return numpy_grad(self, place, *arrays)  # by values near by

    def slope(self, place: int, direction: np.ndarray, *arrays: Any) -> Any:
        if self.differentiable:
            return np.sum(self.grad(place, *arrays) * direction)
        return numpy_slope(self, place, direction, *arrays)

    def _agreed(self, arrays: Any, named: Mapping[str, Any], place: int | None) -> Any:
        """What both answer, as a value or as the gradient in one place."""
        first, second = (_answer(subject, arrays, named, place) for subject in self.subjects)
        where = self.subjects, arrays, named, place
        refused = [isinstance(answer, CannotJudge) for answer in (first, second)]
        if all(refused):
            raise _Refused(str(first))
        if any(refused):
            raise _Differ(Difference(*where, first, second, np.inf, "refuses"))
        one, other = self._compared(first, second, arrays)
        size = self._size(one, other, arrays)
        if size > self.rounding:
            sort = category(one, other) if one.shape == other.shape else "shape"
            raise _Differ(Difference(*where, one, other, size, sort))
        return first

    def _compared(self, first: Any, second: Any, arrays: Any) -> tuple[np.ndarray, np.ndarray]:
        """Both answers, without what stands at pads and results that only one of them has."""
        kind = self.subjects[0].kind
        answers = [x if isinstance(x, tuple) else (x,) for x in (first, second)]
        if kind.name in MASKED:
            mask = arrays[kind.arguments.index("mask")]
            answers = [
                [np.where(mask, x, 0.0) if x.shape == mask.shape else x for x in answer]
                for answer in answers
            ]
        count = min(map(len, answers))
        one, other = (np.concatenate([np.ravel(x) for x in a[:count]]) for a in answers)
        return (one, other) if count > 1 else (answers[0][0], answers[1][0])

    def _size(self, one: np.ndarray, other: np.ndarray, arrays: Any) -> float:
        """How far they are apart, in units in the last place of the terms that make them."""
        if one.shape != other.shape:
            return np.inf
        numbers = map(np.asarray, (*arrays, one, other))
        terms = [x for x in numbers if x.dtype != np.bool_]
        scale = 1 + sum(np.abs(x[np.isfinite(x)]).sum() for x in terms)
        same = (one == other) | (np.isnan(one) & np.isnan(other))
        with np.errstate(invalid="ignore"):
            gap = np.where(same, 0.0, np.abs(one - other))
        unit = float(np.finfo(self.subjects[0].dtype).eps)
        return float(np.where(np.isnan(gap), np.inf, gap).max(initial=0.0) / (unit * scale))


def _answer(subject: Subject, arrays: Any, named: Mapping[str, Any], place: int | None) -> Any:
    """The value or gradient, or the error that stands for a refusal."""
    try:
        return subject(*arrays, **named) if place is None else subject.grad(place, *arrays)
    except CannotJudge as error:
        return error


def assert_twins(
    first: Estimator,
    second: Estimator,
    kind: str | None = None,
    *,
    dtype: Dtype = "both",
    backend: Backend | None = None,
    points: int = 3,
    rounding: float = ROUNDING,
    **terms: Any,
) -> int:
    """Compare two implementations wherever the laws of their kind would ask one of them.

    Values are compared; where both take torch and the kind is one that gradients flow through, so
    are gradients in every argument. What stands at pads is not. Refusing together is agreement.

    Args:
        first: an estimator.
        second: another that should agree with it.
        kind: of both; None: what the first declares.
        dtype: of the arrays; "both" asks in float64 and in float32.
        backend: "numpy" or "torch"; None: found out for each.
        points: generic cases for each law, beyond its structural battery.
        rounding: units in the last place of the sum of absolute terms that they may differ by.
        **terms: of both contracts, such as `facts={"beta": 0.1}`.

    Returns:
        how many different arguments both have answered.

    Raises:
        AssertionError: they differ; with the smallest case found and a program that shows it.
        ValueError: an unknown kind; or both refuse everything, so that nothing was compared.

    Law A8: no theorem, two programs are compared. Source of the demand: verl PR 7581.
    """
    kind = contract_of(first, kind, **terms).kind
    contracts = [contract_of(f, kind, **terms) for f in (first, second)]
    laws = suite.of_kind(kind)
    backends = [
        backend or backend_of(f, c, laws) for f, c in zip((first, second), contracts, strict=True)
    ]
    flows = backends == ["torch", "torch"] and any(law.differentiates for law in laws)
    known: dict[Any, Any] = {}
    refusal = ""
    for name in ("float64", "float32") if dtype == "both" else (dtype,):
        one, other = (
            Subject(f, c, name, b)
            for f, c, b in zip((first, second), contracts, backends, strict=True)
        )
        pair = _Pair((one, other), rounding, flows, known)
        for law in laws:
            said = _asked(law, pair, points)
            refusal = refusal or said
    if not known:
        raise ValueError(
            f"{name_of(first)} and {name_of(second)} were never compared, but should be at least "
            f"once [{kind}]: {refusal or 'no law could be asked of both'}."
        )
    return len(known)


def _asked(law: Law, pair: _Pair, points: int) -> str:
    """Compare on the cases of a law; why there were none to compare on, or ""."""
    try:
        facts = law.facts_of(pair.subjects[0].contract)
        for subject in pair.subjects:
            applicable(law, subject)
            if law.precondition and law.precondition in subject.contract.preconditions:
                raise Inapplicable(f"one asks its caller: {law.precondition}")
    except Inapplicable as reason:
        return str(reason)
    reductions = {subject.contract.reduction for subject in pair.subjects}
    if law.id == "U5":  # the law of whole batches: one reduces them, or both in the same way
        if len(reductions) > 1:
            return "they reduce pairs in different ways"
        one, other = (replace(subject, whole=True) for subject in pair.subjects)
        pair = replace(pair, subjects=(one, other))
    said = ""
    for content, fixed in cases(law, points):
        source = Source(content, fixed)
        found, refusal = _met(law, pair, law.draw(source), facts)
        said = refusal or said
        if found is not None:
            raise AssertionError(text(_smallest(law, pair, bytes(source.taken), facts, found)))
    return said


def _met(
    law: Law, pair: _Pair, case: Case, facts: Mapping[str, Any]
) -> tuple[Difference | None, str]:
    """The first difference that the body of a law meets, and why it was cut short."""
    try:
        with np.errstate(all="ignore"):
            law.body(pair, **case, **facts)
    except _Differ as found:
        return found.difference, ""
    except (_Refused, Inapplicable) as refusal:
        return None, str(refusal)
    return None, ""


def _smallest(
    law: Law, pair: _Pair, content: bytes, facts: Mapping[str, Any], found: Difference
) -> Difference:
    """The difference of the same sort at the simplest case found."""

    def met(candidate: bytes) -> Difference | None:
        fresh = replace(pair, known={})
        return _met(law, fresh, law.draw(Source(candidate)), facts)[0]

    def fails(candidate: bytes) -> bool:
        other = met(candidate)
        return other is not None and other.sort == found.sort

    return met(shrunk(content, fails)) or found
