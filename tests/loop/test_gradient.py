"""Exact steps: the Gibbs path, Fisher information by brute force, fixed points, differences."""

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from bandit_rlhf.exact import tree
from bandit_rlhf.loop.gradient import ExactGradient, Geometry, ascended, judged_geometry
from bandit_rlhf.loop.ladder import tilted
from bandit_rlhf.loop.regulariser import Regulariser
from bandit_rlhf.loop.state import Evidence, State, as_tabular
from bandit_rlhf.policy import TabularPolicy
from tests.worlds import World, random_world

WORLD = random_world(seed=11, size=2, horizon=4)
RNG = np.random.default_rng(0)


def followed(learner: ExactGradient, steps: int, world: World = WORLD) -> list[TabularPolicy]:
    state = State(world.reference, world.reference, world.bandit.prompt_law)
    evidence, path = Evidence(world.bandit.reward_table()), []
    for _ in range(steps):
        state = learner.step(state, evidence, RNG)
        path.append(as_tabular(state.policy))
    return path


def gap_to_gibbs(path: list[TabularPolicy], step_size: float) -> float:
    """The largest difference in a string's probability to the Gibbs optimum at 1/(eta t)."""
    reward = WORLD.bandit.reward_table()
    gaps = [  # at every tenth step
        np.abs(
            policy.string_law()
            - tilted(WORLD.reference, reward, 1 / (step_size * (t + 1))).string_law()
        ).max()
        for t, policy in enumerate(path)
        if t % 10 == 9
    ]
    return float(np.max(gaps))


def test_natural_gradient_on_strings_is_the_gibbs_path() -> None:
    path = followed(ExactGradient(0.2), 100)
    assert gap_to_gibbs(path, 0.2) <= 1e-8
    assert WORLD.bandit.prompt_law @ tree.kl(WORLD.bandit, path[-1], WORLD.reference).by_prompt > 1


def test_controls_leave_the_gibbs_path() -> None:
    for geometry in ("natural-token", "vanilla"):
        assert gap_to_gibbs(followed(ExactGradient(0.2, geometry), 20), 0.2) > 1e-3


def test_both_natural_ones_agree_on_single_tokens() -> None:
    world = random_world(seed=12, size=3, horizon=1)
    last = [
        followed(ExactGradient(0.3, geometry), 10, world)[-1].string_law()
        for geometry in ("natural-token", "natural-string")
    ]
    np.testing.assert_allclose(*last, rtol=0, atol=1e-13)


def test_natural_token_step_inverts_the_fisher_information() -> None:
    """F direction = gradient, F = sum_x p sum_y pi score score' by brute force over strings."""
    world = random_world(seed=13, size=2, horizon=2)
    policy, law = world.policy, world.policy.string_law()
    moved = ascended(
        policy, world.bandit.prompt_law, world.bandit.reward_table(), 1.0, "natural-token"
    )
    direction = moved.logits - policy.log_probs()
    gradient = tree.expected_reward(world.bandit, policy).gradient
    for x, p in enumerate(world.bandit.prompt_law):
        scores = np.array(
            [
                tree.policy_gradient(np.eye(2)[x], policy, _one_hot(world, y)).gradient[x]
                / law[x, y]
                for y in range(law.shape[1])
            ]
        )
        fisher = p * (scores.T * law[x]) @ scores
        np.testing.assert_allclose(fisher @ direction[x], gradient[x], rtol=0, atol=1e-13)


def _one_hot(world: World, string: int) -> np.ndarray:
    return np.tile(np.eye(world.language.string_count)[string], (2, 1))


def test_vanilla_step_is_the_gradient_of_the_objective() -> None:
    terms, step = Regulariser(0.2, 0.1, 0.3), 1e-6
    policy, bandit = WORLD.policy, WORLD.bandit
    payoff = terms.payoff(policy, WORLD.reference, bandit.reward_table())
    moved = ascended(policy, bandit.prompt_law, payoff, 1.0, "vanilla")
    direction = moved.logits - policy.log_probs()

    def value(logits: np.ndarray) -> float:
        at = TabularPolicy(policy.language, policy.prompts, logits)
        return (
            tree.expected_reward(bandit, at).value
            - 0.2 * tree.kl(bandit, at, WORLD.reference).value
            + 0.1 * tree.entropy(bandit, at).value
            + 0.3 * tree.token_entropy(bandit, at).value
        )

    rng = np.random.default_rng(1)
    for _ in range(4):
        along = rng.normal(size=policy.logits.shape)
        slope = (value(policy.logits + step * along) - value(policy.logits - step * along)) / 2
        assert slope / step == pytest.approx(float((direction * along).sum()), rel=1e-5, abs=1e-8)


@pytest.mark.parametrize(
    ("geometry", "step_size", "steps"), [("natural-string", 1.0, 40), ("natural-token", 1.0, 40)]
)
def test_regularised_gradient_settles_on_the_tilt(
    geometry: Geometry, step_size: float, steps: int
) -> None:
    learner = ExactGradient(step_size, geometry, Regulariser(beta=0.5, tau=0.25))
    last = followed(learner, steps)[-1]
    expected = tilted(WORLD.reference, WORLD.bandit.reward_table(), 0.5, 0.25)
    np.testing.assert_allclose(last.string_law(), expected.string_law(), rtol=0, atol=1e-8)


def test_token_entropy_bonus_raises_token_entropy() -> None:
    entropies = [
        tree.token_entropy(
            WORLD.bandit,
            followed(ExactGradient(1.0, "natural-token", Regulariser(token_tau=tau)), 15)[-1],
        ).value
        for tau in (0.0, 1.0)
    ]
    assert entropies[0] < entropies[1]


def test_forbidden_tokens_stay_forbidden() -> None:
    world = random_world(seed=14)
    logits = world.reference.logits.copy()
    logits[:, 0] = -np.inf
    reference = TabularPolicy(world.language, world.prompts, logits)
    state = State(reference, reference, world.bandit.prompt_law)
    evidence = Evidence(world.bandit.reward_table())
    outside = reference.string_law() == 0
    assert outside.any()
    for geometry in ("vanilla", "natural-token", "natural-string"):
        learner = ExactGradient(0.5, geometry, Regulariser(0.1, 0.1, 0.1))
        moved = learner.step(learner.step(state, evidence, RNG), evidence, RNG)
        law = as_tabular(moved.policy).string_law()
        assert (law[outside] == 0).all()
        assert np.abs(law - reference.string_law()).max() > 1e-3


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="step_size is 0, but should be above 0"):
        ExactGradient(0.0)
    with pytest.raises((ValueError, TypeCheckError), match="mirror"):
        ExactGradient(1.0, "mirror")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="geometry is 'mirror', but should be one of vanilla"):
        judged_geometry("mirror", "here")
