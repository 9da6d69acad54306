"""The clipped surrogate's gradient against the house's loss, by finite differences."""

import numpy as np
import pytest

from bandit_rlhf.advantage import rloo
from bandit_rlhf.loop.clipped import ClippedSurrogate, surrogate_gradient, token_slopes
from bandit_rlhf.loop.regulariser import Regulariser
from bandit_rlhf.loop.sampled import SampledGradient, drawn
from bandit_rlhf.loop.state import Evidence, State, as_tabular
from bandit_rlhf.policy import TabularPolicy
from bandit_rlhf.policy_loss import Clip, Recipe, aggregation, ratio, surrogate
from tests.worlds import random_world

WORLD = random_world(seed=31, size=2, horizon=3)
LAW = WORLD.bandit.prompt_law
REWARD = Evidence(WORLD.bandit.reward_table())
START = State(WORLD.reference, WORLD.reference, LAW)


@pytest.mark.parametrize("clip", [Clip(0.2, 0.2), Clip(0.1, 0.3, dual=1.5)])
def test_the_gradient_is_that_of_the_house_s_loss(clip: Clip) -> None:
    """The policy differs much from the sampler, so that many tokens are clipped; none at a kink."""
    rng, step = np.random.default_rng(0), 1e-6
    batches = drawn(WORLD.reference, 12, rng)
    advantages = rng.normal(size=(2, 12))
    recipe = Recipe(ratio.token, surrogate.pessimistic, aggregation.sequence_sum, clip)

    def gain(logits: np.ndarray) -> float:
        policy = TabularPolicy(WORLD.language, WORLD.prompts, logits)
        losses = [
            recipe(
                policy.token_log_prob(batch, x),
                WORLD.reference.token_log_prob(batch, x),
                advantages[x],
                batch.mask,
            )
            for x, batch in enumerate(batches)
        ]
        return -float(LAW @ np.array(losses))

    policy = TabularPolicy.normal(WORLD.language, WORLD.prompts, rng)
    gradient = surrogate_gradient(policy, WORLD.reference, batches, advantages, LAW, clip)
    free = surrogate_gradient(policy, WORLD.reference, batches, advantages, LAW, Clip(1.0, 1e9))
    assert np.abs(gradient - free).max() > 0.03, "nothing was clipped"
    for _ in range(10):
        along = rng.normal(size=gradient.shape)
        slope = gain(policy.logits + step * along) - gain(policy.logits - step * along)
        assert slope / (2 * step) == pytest.approx(float((gradient * along).sum()), abs=1e-6)


def test_one_epoch_is_the_policy_gradient() -> None:
    terms = Regulariser(beta=0.1, tau=0.1)
    clipped = ClippedSurrogate(0.7, 8, epochs=1, regulariser=terms)
    plain = SampledGradient(0.7, 8, rloo, regulariser=terms)
    laws = [
        as_tabular(learner.step(START, REWARD, np.random.default_rng(5)).policy).string_law()
        for learner in (clipped, plain)
    ]
    np.testing.assert_allclose(*laws, rtol=0, atol=1e-13)


def test_the_band_holds_back() -> None:
    """The largest ratio of drawn tokens after many epochs: little beyond the band, or far."""

    def largest(clip: Clip) -> float:
        learner = ClippedSurrogate(0.5, 16, epochs=25, clip=clip)
        policy = as_tabular(learner.step(START, REWARD, np.random.default_rng(6)).policy)
        batch = drawn(WORLD.reference, 16, np.random.default_rng(6))[0]
        moved = policy.token_log_prob(batch, 0) - WORLD.reference.token_log_prob(batch, 0)
        return float(np.exp(moved).max())

    assert largest(Clip(0.2, 0.2)) < 1.6 < largest(Clip(1.0, 1e9))


def test_slopes_stop_outside_the_band() -> None:
    ratios = np.log(np.array([[0.7, 0.9, 1.1, 1.3, 3.0]]))
    up = token_slopes(ratios, np.array([[1.0]]), Clip(0.2, 0.2, dual=2.0))
    down = token_slopes(ratios, np.array([[-1.0]]), Clip(0.2, 0.2, dual=2.0))
    np.testing.assert_allclose(up, [[0.7, 0.9, 1.1, 0.0, 0.0]])
    np.testing.assert_allclose(down, [[0.0, -0.9, -1.1, -1.3, 0.0]])


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="draws is 0, but should be at least 1"):
        ClippedSurrogate(1.0, 0)
    with pytest.raises(ValueError, match="epochs is 0, but should be at least 1"):
        ClippedSurrogate(1.0, 4, epochs=0)
    with pytest.raises(ValueError, match="step_size is 0"):
        ClippedSurrogate(0.0, 4)
