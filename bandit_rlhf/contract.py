"""What an estimator declares about itself: its kind, its claims and its deliberate deviations.

A contract is data on the function, `function.contract`, and changes nothing about calling it. The
law suite (`bandit_rlhf.laws`) reads it: laws attach to claims, so that nobody is judged for what
was never said.

>>> @estimator("advantage", claims={"unbiased", "centred"})
... def leave_one_out(rewards):
...     others = (rewards.sum(axis=1, keepdims=True) - rewards) / (rewards.shape[1] - 1)
...     return rewards - others
>>> contract_of(leave_one_out).kind
'advantage'
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])
Backend = Literal["numpy", "torch"]


@dataclass(frozen=True)
class Declared:
    """A deviation from a law that is meant, and checked to be still there.

    Attributes:
        reason: why, with its source.
        slope: the exact factor got = slope * expected, a number or a formula in the sizes of the
            case such as "(n-1)/n" with n draws a prompt; None: any deviation counts.
    """

    reason: str
    slope: float | str | None = None


@dataclass(frozen=True)
class Contract:
    """What an estimator declares.

    Attributes:
        kind: what sort of estimator, one of `bandit_rlhf.laws.kinds.KINDS`.
        claims: what it claims, words of its kind; None: what every estimator of the kind must hold.
        declared: from the id of a law to the deviation from it that is meant.
        axes: the order of axes of its arrays where it differs from the kind's, such as
            ("token", "string"); None: the kind's.
        mask: whether a mask is true where a token "participates" or where it is a "pad".
        sign: 1 where a loss is minimised and a KL or an advantage is positive when the kind's is;
            -1 for the opposite.
        reduction: how a loss over pairs is returned: one value a pair, their mean or their sum.
        preconditions: what the caller must have done, such as "rewards are masked"; a law whose
            case breaks it answers PRECONDITION.
        facts: numbers the laws need, such as {"beta": 0.1} or {"clip": (0.8, 1.2)}.
        settings: keyword arguments for every call.
        names: from the kind's name of an argument to the function's own, such as
            {"mask": "response_mask"}; named arguments are passed by keyword, others by place.
        backend: the arrays it takes; None: found out by trying numpy first.
    """

    kind: str
    claims: frozenset[str] | None = None
    declared: Mapping[str, Declared] = field(default_factory=dict)
    axes: tuple[str, ...] | None = None
    mask: Literal["participates", "pad"] = "participates"
    sign: int = 1
    reduction: Literal["none", "mean", "sum"] = "none"
    preconditions: frozenset[str] = field(default_factory=frozenset)
    facts: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    backend: Backend | None = None


def estimator(
    kind: str,
    *,
    claims: Iterable[str] | None = None,
    preconditions: Iterable[str] = (),
    **terms: Any,
) -> Callable[[Function], Function]:
    """Declare a function's contract; see `Contract` for the terms."""
    contract = Contract(
        kind,
        claims=None if claims is None else frozenset(claims),
        preconditions=frozenset(preconditions),
        **terms,
    )

    def declare(function: Function) -> Function:
        function.contract = contract  # pyright: ignore[reportFunctionMemberAccess]
        return function

    return declare


def contract_of(function: Callable[..., Any], kind: str | None = None, **terms: Any) -> Contract:
    """The contract a function carries, with these terms in place of its own.

    Raises:
        ValueError: the function declares no kind, and none is given.
    """
    own = getattr(function, "contract", None)
    if kind is not None and (own is None or own.kind != kind):
        own = Contract(kind)  # asked for as another kind, its own terms do not count
    if own is None:
        name = getattr(function, "__name__", repr(function))
        raise ValueError(
            f"{name} declares no kind, but should. Give one (--kind), or decorate it: "
            '@estimator("advantage").'
        )
    return replace(own, **terms)
