"""Real bugs as small broken estimators, each with the laws that must catch it, and correct twins.

Sources are public reports; the code is written afresh here, from the description of the cause.

>>> all(bug.function.contract.kind == bug.kind for bug in bugs())
True
"""

import importlib
from functools import cache

from bandit_rlhf.laws.bugs.record import Bug, Twin

MODULES = (
    "advantage",
    "gae",
    "policy_loss",
    "loss_parts",
    "wiring",
    "divergence",
    "preference_loss",
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
"""The modules of this package that hold `BUGS` and `TWINS`."""

__all__ = ["Bug", "Twin", "bugs", "twins"]


@cache
def bugs() -> tuple[Bug, ...]:
    """Every broken estimator."""
    return tuple(bug for name in MODULES for bug in _module(name).BUGS)


@cache
def twins() -> tuple[Twin, ...]:
    """Every correct estimator that must not be accused."""
    return tuple(twin for name in MODULES for twin in _module(name).TWINS)


def _module(name: str):
    return importlib.import_module(f"{__name__}.{name}")
