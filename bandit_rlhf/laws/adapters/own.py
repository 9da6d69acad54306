"""The reference estimators of this package, under the contracts that they carry.

>>> [subject.name for subject in SUBJECTS if subject.kind == "value_loss"]
['policy_loss.value_loss']
"""

import importlib

from bandit_rlhf.laws.adapters.subject import Foreign

ROOMS = (
    "advantage",
    "policy_loss",
    "divergence",
    "preference_loss",
    "off_policy",
    "selection",
)


def _subjects(room: str) -> list[Foreign]:
    """The estimators of a module, those that declare a contract; one with two names comes once."""
    module = importlib.import_module(f"bandit_rlhf.{room}")
    found = [getattr(module, name) for name in dir(module) if not name.startswith("_")]
    return [
        Foreign("bandit_rlhf", f"{room}.{f.__name__}", f, f.contract, dtype="both")
        for f in dict.fromkeys(f for f in found if hasattr(f, "contract"))
    ]


SUBJECTS = tuple(subject for room in ROOMS for subject in _subjects(room))
