"""Every estimator of the house keeps every law it claims, on NumPy and on torch, in both dtypes."""

import importlib
from dataclasses import replace

import pytest

from bandit_rlhf.laws import suite
from bandit_rlhf.laws.check import check_estimator
from bandit_rlhf.laws.judging import PROFILES
from bandit_rlhf.laws.kinds import KINDS, exact

ROOMS = {
    "advantage": (),
    "policy_loss": ("ratio", "surrogate"),
    "divergence": (),
    "preference_loss": (),
    "off_policy": (),
    "selection": (),
}


def references() -> list:
    """Functions with a contract, each once."""
    found = {}
    for room, parts in ROOMS.items():
        for name in (room, *(f"{room}.{part}" for part in parts)):
            module = importlib.import_module(f"bandit_rlhf.{name}")
            for value in vars(module).values():
                if hasattr(value, "contract"):
                    found[value.__module__, value.__qualname__] = value
    return [found[key] for key in sorted(found)]


@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize("function", references(), ids=lambda f: f.__qualname__)
def test_each_reference_holds(function, backend, monkeypatch) -> None:
    monkeypatch.setitem(PROFILES, "dev", replace(PROFILES["dev"], seconds=200.0))  # a busy machine
    own = function.contract.backend or backend
    if function.contract.kind in ("best_of_n", "pass_at_k", "max_of_k", "mismatch"):
        own = "numpy"  # laws of NumPy's own functions
    report = check_estimator(None, function, backend=own, verify=False)
    assert report.holds, [v for v in report.verdicts if v.status in ("FAIL", "ERROR")]
    assert report.counts["PASS"] > 0


def test_the_house_has_an_estimator_for_nearly_every_kind() -> None:
    """Models and fits of preferences, and the exact engine, have tests of laws of their own."""
    kinds = {function.contract.kind for function in references()}
    assert set(KINDS) - kinds - {kind.name for kind in exact.KINDS} == {
        "model_loss",
        "preference_model",
        "ranking_model",
        "reward_fit",
        "reward_loss",
        "sequence_score",
        "tie_model",
    }
    assert len(references()) >= 50


def test_every_law_is_claimed_by_somebody_of_the_house_or_of_the_bugs() -> None:
    from bandit_rlhf.laws.bugs import twins

    claimed: dict[str, set[str]] = {}
    for function in [*references(), *(twin.function for twin in twins())]:
        contract = function.contract
        own = KINDS[contract.kind].implied if contract.claims is None else contract.claims
        claimed.setdefault(contract.kind, set()).update(own)
    for law in suite.laws():
        assert not law.claim or law.claim in claimed[law.kind], (law.kind, law.id)
