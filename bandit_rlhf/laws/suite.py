"""All laws, by kind and by id.

>>> [x.id for x in of_kind("advantage", ["A1", "A2"])]
['A1', 'A2']
"""

import difflib
import importlib
from collections.abc import Iterable
from functools import cache

from bandit_rlhf.laws.kinds import kind_named
from bandit_rlhf.laws.law import Law

MODULES = (
    "universal",
    "advantage",
    "gae",
    "policy_loss",
    "loss_parts",
    "wiring",
    "divergence",
    "preference_loss",
    "unpaired_loss",
    "preference",
    "reward_fit",
    "off_policy",
    "selection",
    "entropy",
    "optimum",
    "law_divergence",
    "string_policy",
    "decision_process",
    "caution",
)
"""The modules of `bandit_rlhf.laws` that each hold `LAWS`, in the order of the suite."""


@cache
def laws() -> tuple[Law, ...]:
    """Every law of every kind."""
    return tuple(
        law for name in MODULES for law in importlib.import_module(f"bandit_rlhf.laws.{name}").LAWS
    )


def of_kind(kind: str, ids: Iterable[str] = ()) -> tuple[Law, ...]:
    """The laws of a kind, universal ones first; only those of `ids`, if any are given.

    Raises:
        ValueError: an unknown kind, or an id that is no law of it.
    """
    kind_named(kind)
    wanted = tuple(ids)
    return tuple(law(name, kind) for name in wanted) or tuple(x for x in laws() if x.kind == kind)


def law(name: str, kind: str | None = None) -> Law:
    """The law of that id (of that kind).

    Raises:
        ValueError: there is none; the message proposes the nearest.
    """
    if kind is not None:
        kind_named(kind)
    known = {x.id: x for x in reversed(laws()) if kind in (None, x.kind)}
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(sorted(known))}."
    of = f" of kind {kind}" if kind else ""
    raise ValueError(f"law is {name!r}, but should be the id of a law{of}. {hint}")
