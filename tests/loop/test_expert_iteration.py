"""Expert iteration against powers of best-of-n, and its sampled form against the exact law."""

import numpy as np
import pytest

from bandit_rlhf.evaluation import estimate
from bandit_rlhf.loop.expert_iteration import ExpertIteration, SampledExpertIteration
from bandit_rlhf.loop.ladder import best_of
from bandit_rlhf.loop.state import Evidence, State, as_tabular
from bandit_rlhf.loop.string_law import along, score_gradient
from bandit_rlhf.policy import TabularPolicy
from tests.worlds import random_world

WORLD = random_world(seed=51, size=2, horizon=2)
LAW = WORLD.bandit.prompt_law
DISTINCT = np.random.default_rng(1).normal(size=(2, WORLD.language.string_count))
START = State(WORLD.reference, WORLD.reference, LAW)
RNG = np.random.default_rng(0)


def test_t_steps_are_the_best_of_n_to_the_t() -> None:
    state = START
    for t in range(1, 5):
        state = ExpertIteration(3).step(state, Evidence(DISTINCT), RNG)
        expected = best_of(WORLD.reference, DISTINCT, 3**t).string_law()
        found = as_tabular(state.policy).string_law()
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_a_share_goes_a_share_of_the_way() -> None:
    found = as_tabular(ExpertIteration(4, 0.25).step(START, Evidence(DISTINCT), RNG).policy)
    full = best_of(WORLD.reference, DISTINCT, 4).string_law()
    expected = 0.75 * WORLD.reference.string_law() + 0.25 * full
    np.testing.assert_allclose(found.string_law(), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("reward", [DISTINCT, np.round(DISTINCT)], ids=["distinct", "tied"])
def test_the_sampled_step_imitates_the_best_of_n(reward: np.ndarray) -> None:
    """Its mean is the score gradient of the exact best-of-n law: along it, the squared length."""
    law = best_of(WORLD.reference, reward, 3).string_law()
    gradient = score_gradient(WORLD.reference, along(WORLD.language, law)) * LAW[:, None]
    learner = SampledExpertIteration(3, 40, 1.0)
    steps = []
    for seed in range(40):
        moved = learner.step(START, Evidence(reward), np.random.default_rng(seed))
        push = as_tabular(moved.policy).logits - WORLD.reference.log_probs()
        steps.append(float((push * gradient).sum()))
    low, high = estimate(steps).interval(0.999)
    assert low <= float((gradient * gradient).sum()) <= high
    assert not low <= 0.0 <= high, "too wide to mean anything"


def test_epochs_climb_the_likelihood_of_what_was_kept() -> None:
    gaps = []
    for epochs in (1, 10, 100):
        learner = SampledExpertIteration(8, 200, 1.0, epochs)
        moved = learner.step(START, Evidence(DISTINCT), np.random.default_rng(3))
        best = best_of(WORLD.reference, DISTINCT, 8).string_law()
        gaps.append(float(np.abs(as_tabular(moved.policy).string_law() - best).max()))
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < 0.1


def test_forbidden_strings_stay_forbidden() -> None:
    logits = WORLD.reference.logits.copy()
    logits[:, 0] = -np.inf
    reference = TabularPolicy(WORLD.language, WORLD.prompts, logits)
    state = State(reference, reference, LAW)
    for learner in (ExpertIteration(2, 0.5), SampledExpertIteration(2, 10, 1.0)):
        law = as_tabular(learner.step(state, Evidence(DISTINCT), RNG).policy).string_law()
        assert (law[reference.string_law() == 0] == 0).all()


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="n is 0"):
        ExpertIteration(0)
    for share in (0.0, 1.5):
        with pytest.raises(ValueError, match="share is"):
            ExpertIteration(2, share)
    with pytest.raises(ValueError, match="groups is 0"):
        SampledExpertIteration(2, 0, 1.0)
