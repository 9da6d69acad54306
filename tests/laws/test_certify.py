"""Certificates: which objective's gradient a house estimator follows, by theory and by the tool."""

import json

import pytest

from bandit_rlhf import advantage, divergence, policy_loss
from bandit_rlhf.cli.main import main
from bandit_rlhf.contract import estimator
from bandit_rlhf.laws.certify import certify


@estimator("advantage", claims=set())
def crowded(rewards):
    """A success counts for more the more successes its group has."""
    return rewards * rewards.sum(axis=1, keepdims=True) ** 2


@pytest.mark.parametrize(
    ("function", "objective", "slope"),
    [
        (advantage.rloo, "p", 1.0),
        (advantage.reinforce, "p", 1.0),
        (advantage.group_mean, "p", 0.75),  # (n-1)/n of four draws: theorem 3
        (advantage.grpo, "F(p)", None),  # theorem 19
        (policy_loss.reinforce, "E r", 1.0),
        (policy_loss.importance_weighted, "E r", 1.0),
        (policy_loss.dr_grpo, "E r", 0.25),  # over a fixed length of 4
        (policy_loss.grpo, "E[r / |y|]", 1.0),  # batches of one string
        (policy_loss.ppo, "E[r / |y|]", 1.0),
        (divergence.k1, "nothing", 0.0),  # theorem 18
        (divergence.k2, "sum_s pi(s) KL(pi_s || ref_s), prefixes fixed", 1.0),
        (divergence.k3, "sum_s pi(s) KL(ref_s || pi_s), prefixes fixed", 1.0),
    ],
    ids=lambda x: getattr(x, "__qualname__", None),
)
def test_what_theory_says_is_found(function, objective: str, slope: float | None) -> None:
    found = certify(function)
    assert found.follows
    assert found.objective.startswith(objective)
    if slope is not None:
        assert found.slope == pytest.approx(slope, abs=1e-5)
    if found.candidates:
        best, *others = found.candidates
        assert best.error < 1e-5
        assert best.angle < 0.01
        assert all(other.error > 1e-3 for other in others)  # the control: they can be told apart


def test_in_large_groups_the_weight_of_grpo_is_not_the_asymptotic_one() -> None:
    """2 arcsin sqrt p is the limit; four draws follow something near it, not it."""
    asymptotic = next(c for c in certify(advantage.grpo).candidates if "arcsin" in c.objective)
    assert 1.0 < asymptotic.angle < 20.0


def test_what_follows_nothing_is_said_to() -> None:
    found = certify(crowded)
    assert not found.follows
    assert found.objective == "none"
    assert found.candidates[0].error > 0.01


def test_a_kind_without_objectives_is_refused() -> None:
    with pytest.raises(ValueError, match="should be one of advantage, policy_loss, kl"):
        certify(advantage.gae)


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["certify", "bandit_rlhf.advantage:group_mean", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["objective"] == "p"
    assert said["slope"] == pytest.approx(0.75)
    assert {"objective", "slope", "angle", "error"} <= set(said["candidates"][0])
    assert main(["certify", "bandit_rlhf.advantage:group_mean"]) == 0
    assert "0.75" in capsys.readouterr().out
    assert main(["certify", "bandit_rlhf.advantage:gae"]) == 2
    assert "should be one of" in capsys.readouterr().err
