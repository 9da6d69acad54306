"""The loop as a whole: what is asked, fitted and kept, the barrier, and bad input."""

from functools import cache

import numpy as np
import pytest

from bandit_rlhf.advantage import grpo, rloo
from bandit_rlhf.annotator import Person
from bandit_rlhf.bandit import ContextualBandit
from bandit_rlhf.comparisons import Comparisons
from bandit_rlhf.loop import (
    BestOfN,
    ClippedSurrogate,
    ExactGradient,
    ExpertIteration,
    Learner,
    PreferenceDescent,
    Regulariser,
    RewardModel,
    Round,
    SampledExpertIteration,
    SampledGradient,
    State,
    Survey,
    Tilt,
    as_tabular,
    rounds,
)
from bandit_rlhf.loop.state import Evidence
from bandit_rlhf.policy import TabularPolicy
from bandit_rlhf.reward.model import Given, Tabular
from tests.worlds import random_world

WORLD = random_world(seed=91)
BANDIT, GOLD = WORLD.bandit, WORLD.bandit.reward_table()
CROWD = Person(GOLD)
LEARNERS: tuple[Learner, ...] = (
    Tilt((1.0, 0.3, 0.1)),
    Tilt((1.0, 0.3, 0.1), penalty="chi-squared"),
    Tilt((1.0, 0.3, 0.1), penalty="kl+chi-squared"),
    BestOfN((2, 4, 8)),
    ExactGradient(0.5),
    ExactGradient(0.5, "natural-token"),
    ExactGradient(0.5, "vanilla", Regulariser(beta=0.1)),
    SampledGradient(0.5, 8, rloo),
    SampledGradient(0.5, 8, grpo),
    ClippedSurrogate(0.5, 8),
    PreferenceDescent("dpo", 0.1, 1.0),
    PreferenceDescent("chi-po", 0.1, 1.0),
    ExpertIteration(2),
    SampledExpertIteration(2, 4, 0.5),
)
NAMES = [f"{type(one).__name__}-{k}" for k, one in enumerate(LEARNERS)]


def run(
    learner: Learner,
    model: RewardModel | None = None,
    survey: Survey | None = None,
    steps: int | None = 3,
    bandit: ContextualBandit = BANDIT,
    seed: int = 0,
) -> list[Round]:
    model = Tabular(ridge=0.5) if model is None else model
    survey = Survey(CROWD, pairs=40, on_policy=0.5, every=2) if survey is None else survey
    rng = np.random.default_rng(seed)
    return list(rounds(bandit, WORLD.reference, learner, model, rng, survey=survey, steps=steps))


@cache
def usual(learner: Learner) -> list[Round]:
    """The path that several tests compare with; learners are values, so they are keys."""
    return run(learner)


def law(one: Round) -> np.ndarray:
    return as_tabular(one.policy).string_law()


@pytest.mark.parametrize("learner", LEARNERS, ids=NAMES)
def test_every_learner_walks_the_loop(learner: Learner) -> None:
    path, again = usual(learner), run(learner)
    assert [one.step for one in path] == [0, 1, 2, 3]
    np.testing.assert_array_equal(law(path[0]), WORLD.reference.string_law())
    assert all(one.kl > 1e-6 for one in path[1:]), "it does not move"
    assert [one.asked for one in path] == [40, 0, 0, 40]
    rows = [one.comparisons.row_count for one in path if one.comparisons is not None]
    assert rows == [40, 40, 40, 80]
    np.testing.assert_array_equal(path[0].reward, path[2].reward)
    assert np.abs(path[2].reward - path[3].reward).max() > 0
    for first, second in zip(path, again, strict=True):  # one generator says it all
        np.testing.assert_array_equal(law(first), law(second))


@pytest.mark.parametrize("learner", LEARNERS, ids=NAMES)
def test_the_true_reward_does_not_pass(learner: Learner) -> None:
    """With comparisons given, another true reward changes what is measured and nothing else."""
    other = ContextualBandit(BANDIT.language, BANDIT.prompts, BANDIT.prompt_law, -GOLD)
    path = usual(learner)
    for one, turned in zip(path, run(learner, bandit=other), strict=True):
        np.testing.assert_array_equal(law(one), law(turned))
        assert one.gold == -turned.gold
    told = run(learner, survey=Survey(Person(-GOLD), pairs=40, on_policy=0.5, every=2))
    assert np.abs(law(told[-1]) - law(path[-1])).max() > 1e-6, "the control changes nothing"


@pytest.mark.parametrize("learner", LEARNERS, ids=NAMES)
def test_a_constant_proxy_moves_nobody(learner: Learner) -> None:
    """Each prompt's proxy is one number: the policy stays at the reference and rounds say so.

    Preferences are even instead: the loss is stationary at the reference.
    """
    if isinstance(learner, PreferenceDescent):
        flat = Survey(Person(np.zeros_like(GOLD)), pairs=40, expected=True)
        path = run(learner, Tabular(ridge=0.5), flat)
    else:
        path = run(learner, Given(np.array([[0.1 + 0.2], [-7.0]]) + np.zeros_like(GOLD)))
    for one in path:
        assert np.abs(law(one) - WORLD.reference.string_law()).max() < 1e-12
        assert one.constant_prompts == (0, 1)
        assert abs(one.kl) < 1e-12
    assert usual(learner)[-1].constant_prompts == ()


def test_a_reward_that_turns_nan_in_mid_training() -> None:
    """The rounds before stay with the caller; the message names step, prompt, string, value."""
    calls = []

    def failing(comparisons: Comparisons, rng: np.random.Generator) -> np.ndarray:
        calls.append(comparisons.row_count)
        table = Tabular(ridge=0.5)(comparisons, rng)
        if len(calls) == 3:
            table[1, 4] = np.nan
        return table

    kept = []
    survey = Survey(CROWD, 40, on_policy=0.5, every=2)
    rng = np.random.default_rng(0)
    path = rounds(BANDIT, WORLD.reference, ExactGradient(0.5), failing, rng, survey=survey, steps=9)
    with pytest.raises(
        ValueError,
        match=r"reward of prompt 1, string 4 \('b a \$'\) is nan at step 5 \(1 of 30 entries\)",
    ):
        kept.extend(path)
    assert calls == [40, 80, 120]
    assert [one.step for one in kept] == [0, 1, 2, 3, 4]
    for one, sound in zip(kept, run(ExactGradient(0.5), steps=4), strict=True):
        np.testing.assert_array_equal(law(one), law(sound))


class Lost:
    """A learner that leaves the reference's support at its second step."""

    def step(self, state: State, evidence: Evidence, rng: np.random.Generator) -> State:
        return state if state.step == 5 else state.moved(WIDE if state.step else NARROW)


def _narrow() -> TabularPolicy:
    logits = WORLD.reference.logits.copy()
    logits[1, 2] = -np.inf
    return TabularPolicy(WORLD.language, WORLD.prompts, logits)


WIDE, NARROW = WORLD.reference, _narrow()


def test_an_infinite_kl_is_refused_before_it_is_recorded() -> None:
    kept = []
    path = rounds(BANDIT, NARROW, Lost(), Given(GOLD), np.random.default_rng(0), steps=3)
    with pytest.raises(
        ValueError, match=r"KL.* is infinite at step 2: prompt 1, string 0 \('\$'\)"
    ):
        kept.extend(path)
    assert [one.step for one in kept] == [0, 1]
    assert all(np.isfinite(one.kl) for one in kept)


def test_a_learner_s_own_error_names_the_step() -> None:
    def broken(rewards: np.ndarray) -> np.ndarray:
        return rewards * np.nan

    with pytest.raises(ValueError, match=r"advantages\[0, 0\] is nan") as caught:
        run(SampledGradient(0.5, 8, broken))
    assert any("failed at step 1" in note for note in caught.value.__notes__)


class Wrapped:
    """A policy that is not tabular, but knows its table, as neural ones do."""

    def __init__(self, inner: TabularPolicy) -> None:
        self.inner = inner

    def tabular(self) -> TabularPolicy:
        return self.inner


def test_other_policies_serve_by_their_table() -> None:
    rng = np.random.default_rng(0)
    wrapped = Wrapped(WORLD.reference)
    path = rounds(BANDIT, wrapped, Tilt((0.5,)), Given(GOLD), rng)
    plain = rounds(BANDIT, WORLD.reference, Tilt((0.5,)), Given(GOLD), rng)
    for one, other in zip(path, plain, strict=True):
        np.testing.assert_array_equal(law(one), law(other))
        assert one.row() == other.row()


def test_surveys_may_forget() -> None:
    fresh = Survey(CROWD, 40, every=1, keep=False)
    path = run(Tilt((0.5,) * 4), survey=fresh, steps=4)
    rows = [one.comparisons.row_count for one in path if one.comparisons is not None]
    assert rows == [40] * 5


def test_arguments_are_judged_before_the_first_round() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="steps is None for ExactGradient"):
        rounds(BANDIT, WORLD.reference, ExactGradient(1.0), Given(GOLD), rng)
    with pytest.raises(ValueError, match="steps is 3, but should be at most the ladder's 1 rungs"):
        rounds(BANDIT, WORLD.reference, Tilt((1.0,)), Given(GOLD), rng, steps=3)
    with pytest.raises(ValueError, match="neither a survey nor a comparison for Tabular"):
        rounds(BANDIT, WORLD.reference, Tilt((1.0,)), Tabular(), rng)
    other = random_world(seed=92, size=3)
    with pytest.raises(ValueError, match="the reference has another language"):
        rounds(BANDIT, other.reference, Tilt((1.0,)), Given(GOLD), rng)
    with pytest.raises(ValueError, match=r"the fitted reward has shape \(2, 3\)"):
        next(rounds(BANDIT, WORLD.reference, Tilt((1.0,)), Given(GOLD[:, :3]), rng))
