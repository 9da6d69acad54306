"""Neural rooms in the package's loop: the same measures, pure steps, rewards of every string."""

import numpy as np
import pytest

from bandit_rlhf import objective
from bandit_rlhf.annotator import Person
from bandit_rlhf.bandit import ContextualBandit
from bandit_rlhf.language import Language
from bandit_rlhf.loop import Survey, rounds
from bandit_rlhf.loop.state import Evidence, State
from bandit_rlhf.neural import (
    ExactGradient,
    ExactJudge,
    NeuralReward,
    NeuralSteps,
    Optimiser,
    PolicyGradient,
    from_table,
    train,
)
from bandit_rlhf.policy import TabularPolicy
from bandit_rlhf.reward.model import Given
from tests import neural_worlds as worlds

LANGUAGE = Language(("a", "b"), 3, "$")
TABLE = worlds.random_table(LANGUAGE, 1, seed=0)
BANDIT = ContextualBandit(LANGUAGE, [()], [1.0], TABLE)


def rloo(state: State, evidence: Evidence) -> PolicyGradient:
    proxy = from_table(LANGUAGE, evidence.reward)
    return PolicyGradient(state.reference, proxy, beta=0.2, groups=1, draws=32)  # pyright: ignore


def ascent(state: State, evidence: Evidence) -> ExactGradient:
    law = state.reference.tabular().string_law()  # pyright: ignore
    return ExactGradient(ExactJudge(state.prompt_law, law, evidence.reward), beta=0.2)


def test_steps_of_the_loop_are_steps_of_the_training() -> None:
    """With an exact gradient, k steps of the loop with n inside are k n steps of `train`."""
    ref = worlds.policy(LANGUAGE, seed=1)
    optimiser = Optimiser(0.02)
    path = rounds(
        BANDIT,
        ref,
        NeuralSteps(ascent, inner=5, optimiser=optimiser),
        Given(TABLE),
        np.random.default_rng(0),
        steps=4,
    )
    judge = ExactJudge.of(ref, ref, from_table(LANGUAGE, TABLE))
    learner = ExactGradient(judge, beta=0.2)
    other = train(
        ref, learner, judge, steps=20, optimiser=optimiser, seed=0, marks=[0, 5, 10, 15, 20]
    )
    for here, there in zip(path, other, strict=True):
        np.testing.assert_allclose(
            here.policy.tabular().string_law(),  # pyright: ignore
            there.policy.string_law(),
            rtol=0,
            atol=1e-12,
        )
        assert here.kl == pytest.approx(there.kl, abs=1e-12)
        assert here.proxy == pytest.approx(there.proxy, abs=1e-12)


def test_a_step_leaves_the_given_state_as_it_was() -> None:
    ref = worlds.policy(LANGUAGE, seed=1)
    learner, evidence = NeuralSteps(rloo, inner=3), Evidence(TABLE)
    start = State(ref, ref, np.ones(1))
    first = learner.step(start, evidence, np.random.default_rng(0))
    again = [learner.step(first, evidence, np.random.default_rng(1)) for _ in range(2)]
    laws = [one.policy.tabular().string_law() for one in again]  # pyright: ignore
    np.testing.assert_array_equal(laws[0], laws[1])
    assert (first.step, again[0].step) == (1, 2)
    assert np.abs(laws[0] - ref.string_law()).max() > 1e-6


def test_a_whole_neural_pipeline_gains_gold() -> None:
    ref = worlds.policy(LANGUAGE, seed=1, dtype="float32")
    start = worlds.reward_model(LANGUAGE, seed=2, width=16, dtype="float32")
    path = list(
        rounds(
            BANDIT,
            ref,
            NeuralSteps(rloo, inner=20, optimiser=Optimiser(0.02)),
            NeuralReward(start, held_out=0.2, options={"steps": 100}),
            np.random.default_rng(0),
            survey=Survey(Person(TABLE), pairs=2000),
            steps=3,
        )
    )
    optimum = objective.gibbs(ref.string_law(), TABLE, 0.2)
    best = float(objective.expected_reward(optimum, TABLE)[0])
    assert path[-1].gold - path[0].gold > 0.5 * (best - path[0].gold)
    # What was fitted is the gold reward up to a constant, mostly.
    fitted, law = path[0].reward[0], ref.string_law()[0]
    assert np.average((fitted - law @ fitted - TABLE[0] + law @ TABLE[0]) ** 2, weights=law) < (
        0.1 * np.average((TABLE[0] - law @ TABLE[0]) ** 2, weights=law)
    )


def test_a_tabular_policy_is_refused() -> None:
    uniform = TabularPolicy.uniform(LANGUAGE, [()])
    state = State(uniform, uniform, np.ones(1))
    with pytest.raises(TypeError, match="the policy is a TabularPolicy, but should be a Neural"):
        NeuralSteps(rloo).step(state, Evidence(TABLE), np.random.default_rng(0))
    with pytest.raises(ValueError, match="inner is 0, but should be at least 1"):
        NeuralSteps(rloo, inner=0)
