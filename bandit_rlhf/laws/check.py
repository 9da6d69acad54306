"""Ask all laws of a kind about one estimator.

>>> def leave_one_out(rewards):
...     others = (rewards.sum(axis=1, keepdims=True) - rewards) / max(rewards.shape[1] - 1, 1)
...     return rewards - others
>>> report = check_estimator("advantage", leave_one_out, claims={"unbiased", "group_isolated"})
>>> report.counts["FAIL"], {v.law: str(v.status) for v in report.verdicts}["A1"]
(0, 'PASS')
"""

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from bandit_rlhf.contract import Backend, Contract, Declared, contract_of
from bandit_rlhf.laws import program, suite
from bandit_rlhf.laws.judging import PROFILES, Profile, claims_of, finding, verdict
from bandit_rlhf.laws.kinds import kind_named
from bandit_rlhf.laws.law import Inapplicable, Law
from bandit_rlhf.laws.source import Source
from bandit_rlhf.laws.subject import CannotJudge, Raised, Subject, time_limit
from bandit_rlhf.laws.verdict import LawsBroken, Report, Status, Verdict

Dtype = Literal["float64", "float32", "both"]

LISTENERS: list[Callable[[Report], None]] = []
"""Whoever wants to be told of every report, as `pytest_plugin` does to add them up."""


def check_estimator(
    kind: str | None,
    function: Callable[..., Any],
    *,
    claims: Iterable[str] | None = None,
    declared: Mapping[str, Declared] | None = None,
    dtype: Dtype = "both",
    backend: Backend | None = None,
    laws: Iterable[str] = (),
    profile: str = "dev",
    on_fail: Literal["return", "raise"] = "return",
    verify: bool = True,
    **terms: Any,
) -> Report:
    """Ask the laws of a kind about an estimator.

    Args:
        kind: one of `bandit_rlhf.laws.kinds.KINDS`; None: the one it declares.
        function: the estimator, a function of arrays as its kind is called.
        claims: words of the kind; None: those of its contract, else what the kind implies.
        declared: from ids of laws to deviations that are meant.
        dtype: of the arrays; "both" asks in float64 and in float32.
        backend: "numpy" or "torch"; None: the contract's, else numpy, else torch where only that
            runs.
        laws: ids of laws; none given: all of the kind.
        profile: "dev" (battery and generic points), "ci" or "nightly" (Hypothesis besides).
        on_fail: whether a failing or erring law raises `LawsBroken`.
        verify: whether programs of failing cases are run before they are shown.
        **terms: further terms of the contract, such as `facts={"beta": 0.1}`.

    Returns:
        the report.

    Raises:
        ValueError: an unknown kind, claim, law or profile; a run in which no law could be asked.
        LawsBroken: with `on_fail="raise"`.
    """
    given: dict[str, Any] = dict(terms)
    if claims is not None:
        given["claims"] = frozenset(claims)
    if declared is not None:
        given["declared"] = dict(declared)
    contract = contract_of(function, kind, **given)
    _known_claims(contract)
    asked = suite.of_kind(contract.kind, laws)
    _known_declarations(contract)
    backend = backend or backend_of(function, contract, asked)
    dtypes = ("float64", "float32") if dtype == "both" else (dtype,)
    subjects = tuple(Subject(function, contract, name, backend) for name in dtypes)
    verdicts = tuple(verdict(law, subjects, _profile(profile)) for law in asked)
    if all(v.status in (Status.NOT_APPLICABLE, Status.PRECONDITION) for v in verdicts):
        raise ValueError(
            f"none of {len(verdicts)} laws could be asked, but at least one should be "
            f"[{contract.kind}]. " + (verdicts[0].reading + "." if verdicts else "")
        )
    report = Report(contract.kind, name_of(function), _verified(verdicts) if verify else verdicts)
    for listener in LISTENERS:
        listener(report)
    if on_fail == "raise" and not report.holds:
        from bandit_rlhf.laws.text import report_text

        raise LawsBroken(report, report_text(report))
    return report


def name_of(function: Callable[..., Any]) -> str:
    """module:function."""
    module = getattr(function, "__module__", None) or "?"
    return f"{module}:{getattr(function, '__qualname__', type(function).__qualname__)}"


def _profile(name: str) -> Profile:
    if name not in PROFILES:
        raise ValueError(f"profile is {name!r}, but should be one of {', '.join(PROFILES)}.")
    return PROFILES[name]


def _known_claims(contract: Contract) -> None:
    known = kind_named(contract.kind).claims
    for word in sorted(claims_of(contract) - set(known)):
        raise ValueError(
            f"claim is {word!r}, but should be one of those of {contract.kind}: {', '.join(known)}."
        )


def _known_declarations(contract: Contract) -> None:
    for name in contract.declared:
        suite.law(name, contract.kind)


def backend_of(function: Callable[..., Any], contract: Contract, asked: tuple[Law, ...]) -> Backend:
    """What it declares, else numpy, unless it raises on that, and torch, if loaded, does better."""
    if contract.backend:
        return contract.backend
    if "torch" not in sys.modules:
        return "numpy"
    for law in asked:
        raised = {}
        for backend in ("numpy", "torch"):
            subject = Subject(function, contract, "float64", backend)
            try:
                case = law.draw(Source(bytes(range(1, 200))))
                with time_limit(PROFILES["dev"].seconds):
                    finding(law, subject, case, law.facts_of(contract))
            except (Raised, Inapplicable) as error:
                raised[backend] = isinstance(error, Raised)
            except CannotJudge:
                pass
        if raised.get("numpy"):
            return "numpy" if raised.get("torch") else "torch"
        if not raised:
            return "numpy"
    return "numpy"


def _verified(verdicts: tuple[Verdict, ...]) -> tuple[Verdict, ...]:
    """The verdicts, with each program run once, all in one fresh process."""
    shown = [v for v in verdicts if v.repro]
    answers = dict(zip((v.law for v in shown), program.ran([v.repro for v in shown]), strict=True))
    return tuple(_compared(v, answers[v.law]) if v.repro else v for v in verdicts)


def _compared(verdict: Verdict, answer: Any) -> Verdict:
    if not isinstance(answer, str):
        told = np.asarray([verdict.got, verdict.expected], dtype=float)
        shown = [np.broadcast_to(np.asarray(x, dtype=float), told.shape[1:]) for x in answer]
        if np.allclose(shown, told, 1e-6, 1e-9, equal_nan=True):
            return verdict
        answer = f"it gave {answer[0]} for {answer[1]}"
    return replace(
        verdict, repro="", reading=f"{verdict.reading}; its program did not show it: {answer}"
    )
