"""The null suite: every item is there, agrees, and would be seen if it did not."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from matplotlib.figure import Figure

from bandit_rlhf.exact import bellman
from bandit_rlhf.mdp import FiniteMDP, as_mdp
from experiments import counterexamples, equivalence
from experiments.claims import CLAIMS
from experiments.equivalence import CONTROLS, FINITE_STEPS, TOLERANCE, judge
from experiments.experiment import load
from experiments.null_suite import ITEMS, World, compare, draw_world, token_steps_apart
from experiments.style import venue

SMOKE = equivalence.SWEEP["smoke"].configs[0]
CHAIN_RULES = {"KL chain rule", "entropy chain rule"}


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return equivalence.run(SMOKE, 0)


@pytest.fixture(scope="module")
def table(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, infer_schema_length=None)


def deep_world(seed: int = 0) -> World:
    """A world of three tokens or more, where token by token differs from all at once."""
    rng = np.random.default_rng(seed)
    while (w := draw_world(rng, 3, 4, 2)).language.horizon < 3:
        pass
    return w


# The suite


def test_a_smoke_run_measures_every_item_in_every_world(table: pl.DataFrame) -> None:
    null = table.filter(pl.col("kind") == "null")
    counted = dict(null["item"].value_counts().iter_rows())
    assert counted == dict.fromkeys(ITEMS, SMOKE.worlds)
    assert (null["difference"] <= TOLERANCE * null["scale"].clip(1.0)).all()
    assert null["scale"].min() > 0  # type: ignore[operator]


def test_the_same_seed_gives_the_same_rows(rows: list[dict[str, Any]]) -> None:
    assert equivalence.run(SMOKE, 0) == rows
    assert equivalence.run(SMOKE, 1) != rows


def test_worlds_differ_in_size_and_end() -> None:
    rng = np.random.default_rng(0)
    drawn = [draw_world(rng, 4, 5, 3) for _ in range(60)]
    assert {w.language.horizon for w in drawn} == {1, 2, 3, 4, 5}
    assert {w.language.vocabulary_size for w in drawn} == {1, 2, 3, 4}
    assert {len(w.bandit.prompts) for w in drawn} == {1, 2, 3}
    assert {w.language.end is None for w in drawn} == {True, False}


def seen(w: World, mdp: FiniteMDP) -> set[str]:
    """The items that a wrong MDP breaks, by far."""
    return {name for name, (apart, _) in compare(w, mdp).items() if apart > 1e6 * TOLERANCE}


def crossed(mdp: FiniteMDP) -> FiniteMDP:
    """The first token is overheard: whatever is said, the last token's branch follows."""
    successor = mdp.successor.copy()
    successor[0] = successor[0, -1]
    return replace(mdp, successor=successor)


def test_control_the_right_mdp_breaks_nothing() -> None:
    w = deep_world()
    assert seen(w, as_mdp(w.bandit)) == set()


def test_control_a_discount_breaks_every_item_that_a_reward_enters() -> None:
    w = deep_world()
    assert seen(w, replace(as_mdp(w.bandit), gamma=0.9)) == set(ITEMS) - CHAIN_RULES


def test_control_a_wrong_transition_breaks_the_chain_rules_too() -> None:
    w = deep_world()
    assert seen(w, crossed(as_mdp(w.bandit))) >= CHAIN_RULES


def test_control_a_wrong_reward_is_seen() -> None:
    w = deep_world()
    mdp = as_mdp(w.bandit)
    assert "policy gradients" in seen(w, replace(mdp, reward=1.01 * mdp.reward))


def test_finite_token_steps_halve_their_error_with_their_size() -> None:
    w = deep_world(1)
    coarse, fine = token_steps_apart(w, 64), token_steps_apart(w, 128)
    assert coarse > 1e-6
    assert coarse / fine == pytest.approx(2.0, abs=0.1)


def test_finite_token_steps_of_single_tokens_are_exact() -> None:
    rng = np.random.default_rng(2)
    w = draw_world(rng, 4, 1, 3)
    assert token_steps_apart(w, 4) < TOLERANCE


# The counterexamples


@pytest.mark.parametrize("control", CONTROLS)
def test_controls_start_at_zero_rise_and_end_clear(table: pl.DataFrame, control: str) -> None:
    effects = equivalence.control(table, control)["difference"].to_list()
    assert len(effects) == SMOKE.dials
    assert abs(effects[0]) <= TOLERANCE
    assert effects == sorted(effects)
    assert effects[-1] > equivalence.SEEN


@pytest.mark.parametrize(
    ("gamma", "length"), [(1.0, 8), (0.9, 8), (0.87, 7), (0.78, 4), (0.55, 2), (0.45, 1)]
)
def test_theorem_28_by_hand(gamma: float, length: int) -> None:
    worth = {n: gamma ** (n - 1) * n / 8 for n in range(1, 9)}
    assert max(worth, key=lambda n: worth[n]) == length
    assert counterexamples.discount(1 - gamma) == pytest.approx(1 - length / 8)


@pytest.mark.parametrize("heads", [0.5, 0.7, 1.0])
def test_theorem_29_by_hand(heads: float) -> None:
    entropy, gap = counterexamples.stochastic_user(heads)
    assert gap == pytest.approx(1 - heads)
    assert entropy == pytest.approx(-sum(p * math.log2(p) for p in (heads, 1 - heads) if p))


@pytest.mark.parametrize("exponent", [0.0, 0.2, 0.5, 1.0])
def test_theorem_30_by_hand(exponent: float) -> None:
    # In the logit of a at the root, both gradients are 1/4 of a difference of rewards.
    right, normalised = 1.0 - 0.8, 1.0 / 2**exponent - 0.8
    effect = counterexamples.length_normalisation(exponent)
    assert effect == pytest.approx(1 - normalised / right)
    assert (effect > 1) == (normalised < 0)


def test_theorem_30_a_baseline_keeps_the_sign() -> None:
    assert counterexamples.length_normalisation(1.0) > 1
    assert 0 < counterexamples.length_normalisation(1.0, baseline=True) < 1


def test_theorem_30_going_along_the_normalised_gradient_lowers_the_reward() -> None:
    right = as_mdp(counterexamples.length_world(np.array([0.8, 1.0, 1.0])))
    per_token = as_mdp(counterexamples.length_world(np.array([0.8, 0.5, 0.5])))
    uniform = bellman.log_softmax(np.zeros((2, right.state_count, 2)))
    step = bellman.policy_gradient(per_token, uniform)
    moved = bellman.log_softmax(uniform + 1e-3 * step)
    assert bellman.evaluate(right, moved).value < bellman.evaluate(right, uniform).value


# The claim


def made_up(
    difference: float = 1e-15, effect: float = 0.5, at_zero: float = 0.0, scale: float = 1.0
) -> pl.DataFrame:
    null = [equivalence.row("null", item, 1e-16) for item in ITEMS]
    null[3] |= {"difference": difference, "scale": scale}
    controls = [
        equivalence.row("control", name, value, dial=dial)
        for name in CONTROLS
        for dial, value in ((0.0, at_zero), (1.0, effect))
    ]
    beside = [equivalence.row("beside", FINITE_STEPS, 0.3, dial=1.0)]
    return pl.DataFrame(null + controls + beside, infer_schema_length=None)


@pytest.mark.parametrize(
    ("made", "verdict"),
    [
        (made_up(), "supported"),
        (made_up(difference=0.0), "supported"),
        (made_up(difference=1e-11), "refuted"),
        (made_up(difference=1e-11, scale=100.0), "supported"),
        (made_up(difference=1e-11, scale=0.01), "refuted"),
        (made_up(difference=math.nan), "refuted"),
        (made_up(difference=math.inf), "refuted"),
        (made_up(effect=0.0), "undecided"),
        (made_up(at_zero=0.2), "undecided"),
        (made_up().filter(pl.col("item") != "values"), "undecided"),
        (made_up().filter(pl.col("item") != "discount"), "undecided"),
        (made_up().filter(pl.col("kind") != "control"), "undecided"),
    ],
)
def test_the_verdict_follows_from_the_rows(made: pl.DataFrame, verdict: str) -> None:
    assert judge(made).verdict == verdict


def test_the_claim_is_registered_and_judged(table: pl.DataFrame) -> None:
    (claim,) = [c for c in CLAIMS if c.experiment == "equivalence"]
    judgement = claim.judge(table)
    assert (claim.id, claim.number, judgement.verdict) == ("14-bandit", 14, "supported")
    assert judgement.interval == (judgement.effect, judgement.effect)
    assert load("experiments", "equivalence").about.startswith("Bandit = MDP")


@pytest.mark.parametrize("style", ["neurips", "icml", "talk"])
def test_the_figure_shows_every_item_and_control(table: pl.DataFrame, style: Any) -> None:
    with venue(style):
        figure = equivalence.draw(table)
        assert isinstance(figure, Figure)
        left, right = figure.axes
        figure.draw_without_rendering()
        assert len(left.get_yticklabels()) == len(ITEMS) + 1
        assert len(right.get_legend_handles_labels()[1]) == len(CONTROLS)
        for axes in (left, right):
            assert axes.get_position().width > 0.25
