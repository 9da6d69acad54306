"""Law A8: two implementations of one estimator agree (eager, vectorised, fused).

>>> import numpy as np
>>> assert_twins(lambda r: r - r.mean(1, keepdims=True), lambda r: (r.T - r.mean(1)).T, "advantage")
9
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from bandit_rlhf.contract import Contract, contract_of
from bandit_rlhf.laws import program, suite
from bandit_rlhf.laws.judging import CHOICES, cases
from bandit_rlhf.laws.law import Law, judge
from bandit_rlhf.laws.reading import reading
from bandit_rlhf.laws.shrink import shrunk
from bandit_rlhf.laws.source import Source
from bandit_rlhf.laws.subject import CannotJudge, Subject
from bandit_rlhf.laws.typical import TYPICAL
from bandit_rlhf.laws.universal import results

Estimator = Callable[..., Any]
GENERIC = 5


def assert_twins(
    first: Estimator,
    second: Estimator,
    kind: str | None = None,
    *,
    dtype: str = "float64",
    rounding: float = 64.0,
    **terms: Any,
) -> int:
    """Compare two implementations on typical, degenerate and generic cases of their kind.

    Args:
        first: an estimator.
        second: another that should agree with it.
        kind: of both; None: what the first declares.
        dtype: "float64" or "float32".
        rounding: units in the last place of the sum of absolute terms that they may differ by.
        **terms: of both contracts, such as `settings`.

    Returns:
        how many cases were compared.

    Raises:
        AssertionError: they differ; with the smallest case found, and both answers.
        ValueError: an unknown kind, or one without typical cases.

    Law A8: no theorem, two programs are compared. Source of the demand: verl PR 7581.
    """
    contract = contract_of(first, kind, **terms)
    if contract.kind not in TYPICAL:
        raise ValueError(
            f"kind is {contract.kind!r}, but should be one of {', '.join(TYPICAL)} [assert_twins]."
        )
    law = replace(suite.law("U3", contract.kind), id="A8", title="twins agree", rounding=rounding)
    subjects = [_subject(f, contract, dtype) for f in (first, second)]
    count = 0
    for content, fixed in _cases(law):
        source = Source(content, fixed)
        arrays = TYPICAL[contract.kind](source)
        if not _agree(law, subjects, arrays):
            raise AssertionError(_difference(law, subjects, bytes(source.taken), contract))
        count += 1
    return count


def _subject(function: Estimator, contract: Contract, dtype: str) -> Subject:
    own = getattr(function, "contract", contract)
    return Subject(function, own if own.kind == contract.kind else contract, dtype)


def _cases(law: Law) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Groups of one draw, equal rewards, pads on every side, and generic points."""
    yield b"", {}
    yield bytes(CHOICES), {"n": 2}
    for side in ("right", "left", "interior"):
        yield bytes(range(1, 200)), {"mask.pads": side}
    for content, _ in cases(replace(law, battery=()), GENERIC - 1):
        yield content, {}


def _answer(subject: Subject, arrays: Any) -> Any:
    """Numbers, or the name of what was raised: twins may refuse together."""
    try:
        with np.errstate(all="ignore"):
            return results(subject(*arrays))
    except CannotJudge as error:
        return type(error).__name__


def _agree(law: Law, subjects: list[Subject], arrays: Any) -> bool:
    one, other = (_answer(subject, arrays) for subject in subjects)
    if isinstance(one, str) or isinstance(other, str):
        return isinstance(one, str) and one == other
    if one.shape != other.shape:
        return False
    both = np.isnan(one) & np.isnan(other)
    scale = 1 + sum(np.abs(x).sum() for x in arrays if x.dtype != bool) + np.nansum(np.abs(other))
    numbers = np.where(both, 0, one), np.where(both, 0, other)
    return judge(law, (*numbers, scale), subjects[0].dtype).holds


def _difference(law: Law, subjects: list[Subject], content: bytes, contract: Contract) -> str:
    draw = TYPICAL[contract.kind]
    content = shrunk(content, lambda x: not _agree(law, subjects, draw(Source(x))))
    arrays = draw(Source(content))
    one, other = (_answer(subject, arrays) for subject in subjects)
    words = ""
    if not isinstance(one, str) and not isinstance(other, str) and one.shape == other.shape:
        words = ": " + reading(one, other, float("inf"), {})
    shown = ",\n  ".join(
        f"{name}={program.literal(x)}"
        for name, x in zip(subjects[0].kind.arguments, arrays, strict=False)
    )
    names = [getattr(s.function, "__name__", repr(s.function)) for s in subjects]
    return (
        f"A8: {names[0]} and {names[1]} differ as {contract.kind}{words}\n  {shown}\n"
        f"  {names[0]}: {one}\n  {names[1]}: {other}"
    )
