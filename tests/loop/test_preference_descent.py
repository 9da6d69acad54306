"""DPO and chi-PO: slopes of the house's losses, and where descent settles."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from bandit_rlhf import preference_loss
from bandit_rlhf.annotator import Person, every_question, expected_comparisons
from bandit_rlhf.comparisons import Comparisons
from bandit_rlhf.loop.ladder import tilted
from bandit_rlhf.loop.preference_descent import Logits, Loss, PreferenceDescent
from bandit_rlhf.loop.state import Evidence, State, as_tabular
from bandit_rlhf.loop.string_law import from_log_law
from bandit_rlhf.policy import TabularPolicy
from bandit_rlhf.reward.model import Tabular
from tests.worlds import World, random_world

WORLD = random_world(seed=41, size=2, horizon=2)
RNG = np.random.default_rng(0)
ROWS = expected_comparisons(
    Person(WORLD.bandit.reward_table()), every_question(2, WORLD.language.string_count)
)


def settled(learner: PreferenceDescent, rows: Comparisons, world: World = WORLD) -> TabularPolicy:
    evidence = Evidence(np.zeros_like(world.bandit.reward_table()), rows)
    state = State(world.reference, world.reference, world.bandit.prompt_law)
    return as_tabular(learner.step(state, evidence, RNG).policy)


NAMED = {
    "dpo": preference_loss.dpo,
    "chi-po": preference_loss.chi_po,
    "bounded": partial(preference_loss.chi_po, bound=0.2),
}
LEARNERS = {
    "dpo": PreferenceDescent("dpo", beta=0.3, step_size=1.0),
    "chi-po": PreferenceDescent("chi-po", beta=0.3, step_size=1.0),
    "bounded": PreferenceDescent("chi-po", beta=0.3, step_size=1.0, bound=0.2),
}


def mean_loss(name: str, logs: np.ndarray) -> float:
    """The house's loss of all comparisons under log-probabilities [prompt, string]."""
    rows, log_ref = ROWS, WORLD.reference.string_log_law()
    assert rows.prompt is not None
    assert rows.weight is not None
    won, lost = (rows.prompt, rows.winner), (rows.prompt, rows.loser)
    losses = NAMED[name](logs[won], logs[lost], log_ref[won], log_ref[lost], beta=0.3)
    return float((rows.weight * losses).sum() / rows.weight.sum())


@pytest.mark.parametrize("logits", ["token", "string"])
@pytest.mark.parametrize("name", NAMED)
def test_a_descent_is_the_gradient_of_the_loss(name: str, logits: Logits) -> None:
    """In the logits that are moved, by finite differences of the house's loss."""
    step = 1e-6
    policy, learner = WORLD.policy, replace(LEARNERS[name], logits=logits)
    at = State(policy, WORLD.reference, WORLD.bandit.prompt_law)
    evidence = Evidence(np.zeros_like(WORLD.bandit.reward_table()), ROWS)
    moved = as_tabular(replace(learner, step_size=1e-4).step(at, evidence, RNG).policy)

    def at_logits(change: np.ndarray) -> np.ndarray:
        if logits == "string":
            scores = policy.string_log_law() + change
            return from_log_law(WORLD.language, WORLD.prompts, scores).string_log_law()
        shifted = TabularPolicy(WORLD.language, WORLD.prompts, policy.logits + change)
        return shifted.string_log_law()

    shape = policy.string_log_law().shape if logits == "string" else policy.logits.shape
    gradient = np.zeros(shape)
    for cell in np.ndindex(shape):
        push = np.zeros(shape)
        push[cell] = step
        rise = mean_loss(name, at_logits(push)) - mean_loss(name, at_logits(-push))
        gradient[cell] = rise / (2 * step)
    expected = at_logits(-1e-4 * gradient)
    change = moved.string_log_law() - policy.string_log_law()
    np.testing.assert_allclose(change, expected - policy.string_log_law(), rtol=0, atol=1e-11)
    assert np.abs(change).max() > 1e-7


@pytest.mark.parametrize("name", NAMED)
def test_slopes_are_those_of_the_house_s_loss(name: str) -> None:
    learner, own = LEARNERS[name], WORLD.policy.string_log_law()

    def value(logs: np.ndarray) -> float:
        return mean_loss(name, logs)

    slopes = learner.slopes(WORLD.policy, WORLD.reference, ROWS)
    for cell in np.ndindex(own.shape):
        shift = np.zeros_like(own)
        shift[cell] = 1e-6
        slope = (value(own + shift) - value(own - shift)) / 2e-6
        assert slope == pytest.approx(slopes[cell], abs=1e-8)


def assert_settles(loss: Loss, optimum: TabularPolicy, step_size: float) -> None:
    """The optimum stays where it is, the reference comes closer; the other loss leaves it."""
    learner = PreferenceDescent(loss, 0.5, step_size, 1, "string")
    evidence = Evidence(np.zeros_like(optimum.string_law()), ROWS)
    at = State(optimum, WORLD.reference, WORLD.bandit.prompt_law)

    def move(learner: PreferenceDescent) -> float:
        law = as_tabular(learner.step(at, evidence, RNG).policy).string_law()
        return float(np.abs(law - optimum.string_law()).max())

    assert move(learner) < 1e-8
    other: Loss = "dpo" if loss == "chi-po" else "chi-po"
    assert move(replace(learner, loss=other)) > 1e-3
    gaps = [
        np.abs(
            settled(replace(learner, descents=n), ROWS).string_law() - optimum.string_law()
        ).max()
        for n in (1, 10, 100)
    ]
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < 0.05


def test_dpo_settles_on_the_tilt_of_the_fitted_reward() -> None:
    """Theorem 12, from comparisons that people of a true reward make in expectation."""
    fitted = Tabular(ridge=0.0)(ROWS, RNG)
    expected = tilted(WORLD.reference, fitted, 0.5)
    assert_settles("dpo", expected, step_size=60.0)
    true = tilted(WORLD.reference, WORLD.bandit.reward_table(), 0.5)
    np.testing.assert_allclose(expected.string_law(), true.string_law(), rtol=0, atol=1e-6)


def test_chi_po_settles_on_the_mixed_tilt() -> None:
    fitted = Tabular(ridge=0.0)(ROWS, RNG)
    assert_settles(
        "chi-po", tilted(WORLD.reference, fitted, 0.5, penalty="kl+chi-squared"), step_size=10.0
    )


def test_ratios_beyond_all_bounds_leave_no_gradient() -> None:
    """The string 3 has become e^900 times likelier: nothing overflows, its pairs are left alone."""
    scores = WORLD.reference.string_log_law()
    scores[0, 3] = 0.0
    rare = from_log_law(WORLD.language, WORLD.prompts, scores - 900 * (np.arange(7) == 3))
    far = from_log_law(WORLD.language, WORLD.prompts, scores)
    rows = Comparisons.from_ids([3, 1], [1, 2], items=range(7), prompt=[0, 1])
    slopes = PreferenceDescent("chi-po", 0.1, 1.0).slopes(far, rare, rows)
    assert slopes[0].tolist() == [0.0] * 7
    assert np.isfinite(slopes).all()
    assert slopes[1, 1] < 0 < slopes[1, 2]


def test_logits_of_tokens_move_strings_never_compared() -> None:
    rows = Comparisons.from_ids([3], [1], items=range(7), prompt=[0])
    rows = Comparisons(rows.winner, rows.loser, rows.items, prompt=rows.prompt, prompts=range(2))
    others = [0, 2, 4, 5, 6]
    log_ref = WORLD.reference.string_log_law()[0]
    ratios = {}
    for logits in ("token", "string"):
        policy = settled(PreferenceDescent("dpo", 0.5, 1.0, 20, logits), rows)
        ratios[logits] = (policy.string_log_law()[0] - log_ref)[others]
    assert np.ptp(ratios["string"]) < 1e-12
    assert np.ptp(ratios["token"]) > 0.1


def test_separated_comparisons_drift_for_ever() -> None:
    rows = Comparisons.from_ids([3, 3], [1, 2], items=range(7), prompt=[0, 1])
    kls = []
    for descents in (3, 12, 50):
        policy = settled(PreferenceDescent("dpo", 0.1, 500.0, descents, "string"), rows)
        log_ratio = policy.string_log_law() - WORLD.reference.string_log_law()
        kls.append(float((policy.string_law() * log_ratio).sum()))
    assert kls[0] < kls[1] < kls[2]


def test_comparisons_that_cannot_be_read() -> None:
    learner = PreferenceDescent("dpo", 0.1, 1.0)
    with pytest.raises(ValueError, match=r"there are no comparisons.*Pass survey="):
        learner.step(
            State(WORLD.reference, WORLD.reference, WORLD.bandit.prompt_law),
            Evidence(WORLD.bandit.reward_table()),
            RNG,
        )
    with pytest.raises(ValueError, match="about 1 prompts and 4 strings, but should be about 2"):
        settled(learner, Comparisons.from_ids([0], [3]))
    tied = Comparisons.from_ids([0, 1], [1, 6], items=range(7), prompt=[0, 1], tie=[True, False])
    with pytest.raises(ValueError, match="1 of 2 comparisons are ties"):
        settled(learner, tied)


def test_strings_that_the_reference_never_writes() -> None:
    logits = WORLD.reference.logits.copy()
    logits[1, 2] = -np.inf  # the end at once: string 0
    reference = TabularPolicy(WORLD.language, WORLD.prompts, logits)
    rows = Comparisons.from_ids([2, 3], [3, 0], items=range(7), prompt=[0, 1])
    state = State(reference, reference, WORLD.bandit.prompt_law)
    evidence = Evidence(WORLD.bandit.reward_table(), rows)
    with pytest.raises(ValueError, match="row 1 compares strings 3 and 0, one of which the ref"):
        PreferenceDescent("dpo", 0.1, 1.0).step(state, evidence, RNG)
    spared = Evidence(evidence.reward, rows.select([0]))
    moved = as_tabular(PreferenceDescent("dpo", 0.1, 1.0).step(state, spared, RNG).policy)
    assert moved.string_law()[1, 0] == 0


def test_numbers_of_zero_or_below() -> None:
    with pytest.raises(ValueError, match="beta is 0, but should be above 0"):
        PreferenceDescent("dpo", 0.0, 1.0)
    with pytest.raises(ValueError, match="step_size is -1, but should be above 0"):
        PreferenceDescent("dpo", 0.1, -1.0)
    with pytest.raises(ValueError, match="bound is 0, but should be above 0"):
        PreferenceDescent("chi-po", 0.1, 1.0, bound=0.0)
    with pytest.raises(ValueError, match="descents is 0, but should be at least 1"):
        PreferenceDescent("dpo", 0.1, 1.0, descents=0)
