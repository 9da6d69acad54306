"""Policy gradients against exact sums: over all pairs of draws, no sampling is left."""

import numpy as np
import pytest
import torch

from bandit_rlhf import advantage, divergence, objective, policy_loss
from bandit_rlhf.language import Language
from bandit_rlhf.neural import (
    ExactGradient,
    ExactJudge,
    NeuralPolicy,
    Optimiser,
    PolicyGradient,
    from_table,
    last,
    train,
)
from tests.neural_worlds import (
    LETTERS,
    every_group,
    frequencies_fit,
    gradient,
    policy,
    random_table,
    slope,
)

TABLE = random_table(LETTERS, 1, seed=0)
PROXY = from_table(LETTERS, TABLE)
BETA, TAU = 0.3, 0.2
PROMPTS = (("x",), ("y",))
PROMPT_LAW = np.array([0.3, 0.7])


def expected_update(pi: NeuralPolicy, learner: PolicyGradient) -> np.ndarray:
    """The mean gradient of the learner's loss over every group of two draws."""
    law, total = pi.string_law()[0], 0.0
    for ranks, strings in every_group(LETTERS, 2):
        loss = learner.loss(pi, learner.weigh(pi, strings))
        total = total + law[list(ranks)].prod() * gradient(pi, loss)
    return np.asarray(total)


def exact_gradient(pi: NeuralPolicy, ref: NeuralPolicy, beta: float, tau: float) -> np.ndarray:
    """The gradient of -(E r - beta KL + tau H), by autograd through every string's probability."""
    logs = pi.string_log_law()[0]
    law, ref_logs = logs.exp(), ref.string_log_law()[0].detach()
    goal = (law * torch.as_tensor(TABLE[0])).sum() - beta * (law * (logs - ref_logs)).sum()
    return gradient(pi, -(goal - tau * (law * logs).sum()))


def learner(ref: NeuralPolicy, **settings) -> PolicyGradient:
    return PolicyGradient(ref, PROXY, draws=2, groups=1, **settings)


UNBIASED = {
    "rloo, KL in the reward": ({"beta": BETA}, BETA, 0.0),
    "rloo, no KL": ({"kl": "none"}, 0.0, 0.0),
    "no baseline": ({"kl": "none", "advantage": advantage.reinforce}, 0.0, 0.0),
    "entropy of strings": ({"beta": BETA, "sequence_entropy": TAU}, BETA, TAU),
    "KL in the loss of strings": ({"beta": BETA, "kl": "string loss"}, BETA, 0.0),
    "importance weighted": (
        {"beta": BETA, "surrogate": policy_loss.importance_weighted},
        BETA,
        0.0,
    ),
}


@pytest.mark.parametrize("kind", ["gru", "transformer"])
@pytest.mark.parametrize("name", UNBIASED)
def test_the_expected_update_is_the_gradient(kind: str, name: str) -> None:
    settings, beta, tau = UNBIASED[name]
    pi, ref = policy(kind=kind, seed=1), policy(kind=kind, seed=2)
    wanted = exact_gradient(pi, ref, beta, tau)
    assert np.abs(wanted).max() > 1e-3
    found = expected_update(pi, learner(ref, **settings))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-10)


BIASED = {
    "k1 in the loss": {"beta": BETA, "kl": "string loss", "kl_estimate": divergence.k1},
    "k3 in the loss": {"beta": BETA, "kl": "string loss", "kl_estimate": divergence.k3},
    "KL of tokens": {"beta": BETA, "kl": "token loss"},
    "grpo": {"beta": BETA, "advantage": advantage.grpo},
}


@pytest.mark.parametrize("name", BIASED)
def test_control_biased_updates_are_told_apart(name: str) -> None:
    pi, ref = policy(seed=1), policy(seed=2)
    wanted, found = (
        exact_gradient(pi, ref, BETA, 0.0),
        expected_update(pi, learner(ref, **BIASED[name])),
    )
    assert np.abs(found - wanted).max() > 1e-3


def test_prompts_come_by_their_law_and_strings_by_the_policy() -> None:
    pi = policy(seed=1, prompts=PROMPTS)
    learner = PolicyGradient(
        pi,
        from_table(LETTERS, random_table(LETTERS, 2, seed=0)),
        prompt_law=PROMPT_LAW,
        groups=10_000,
        draws=2,
    )
    drawn = learner.collect(pi, torch.Generator().manual_seed(0)).strings
    pairs = drawn.prompt.reshape(-1, 2)
    assert torch.equal(pairs[:, 0], pairs[:, 1])
    prompts, ranks = drawn.prompt.numpy(), drawn.ranks().numpy()
    assert frequencies_fit(prompts[::2], PROMPT_LAW)
    for prompt in range(2):
        assert frequencies_fit(ranks[prompts == prompt], pi.string_law()[prompt])


def test_the_mean_of_the_group_scales_the_gradient() -> None:
    pi, ref = policy(seed=1), policy(seed=2)
    found = expected_update(pi, learner(ref, beta=BETA, advantage=advantage.dr_grpo))
    np.testing.assert_allclose(found, exact_gradient(pi, ref, BETA, 0.0) / 2, rtol=0, atol=1e-10)


def test_token_entropy_is_that_of_the_visited_prefixes() -> None:
    """With the prefixes of two draws held fixed, the loss falls by the mean of their entropies."""
    pi, ref = policy(seed=1), policy(seed=2)
    _, strings = next(x for x in every_group(LETTERS, 2) if x[0] == (0, 4))
    plain, with_bonus = (learner(ref, kl="none", token_entropy=w) for w in (0.0, TAU))
    entropies = []
    for string in strings.batch().strings():
        for place in range(len(string)):
            law = pi.tabular().next_token_law(0, string[:place])
            entropies.append(-(law * np.log(law)).sum())
    assert len(entropies) == 3
    losses = [float(one.loss(pi, one.weigh(pi, strings)).detach()) for one in (plain, with_bonus)]
    assert losses[1] - losses[0] == pytest.approx(-TAU * np.mean(entropies), abs=1e-12)


def test_the_exact_gradient_is_that_of_finite_differences() -> None:
    pi, ref = policy(seed=1), policy(seed=2)
    learner = ExactGradient(ExactJudge.of(pi, ref, PROXY), beta=BETA, sequence_entropy=TAU)
    found = gradient(pi, learner.loss(pi, None))

    def goal(one: NeuralPolicy) -> float:
        law, ref_law = one.string_law(), ref.string_law()
        return -float(objective.regularised_value(law, ref_law, TABLE, BETA, TAU)[0])

    assert float(learner.loss(pi, None).detach()) == pytest.approx(goal(pi), abs=1e-12)
    for seed in range(3):
        difference, direction = slope(pi, goal, seed)
        assert difference == pytest.approx(found @ direction, rel=1e-6, abs=1e-8)


WORLD = Language(("a", "b"), 3, "$")
WORLD_TABLE = random_table(WORLD, 2, seed=3)


def to_the_optimum(learn, rate: float, steps: int, tau: float = 0.0) -> tuple[float, float]:
    """KL(pi || Gibbs optimum) at the start and at the end of a training, beta = 0.5."""
    ref = policy(WORLD, seed=5, prompts=PROMPTS, width=16, dtype="float32")
    judge = ExactJudge.of(ref, ref, from_table(WORLD, WORLD_TABLE), prompt_law=PROMPT_LAW)
    optimum = objective.gibbs(ref.string_law(), WORLD_TABLE, 0.5, tau)
    end = last(
        train(
            ref,
            learn(ref, judge),
            judge,
            steps=steps,
            optimiser=Optimiser(rate),
            seed=0,
            marks=[],
        )
    )
    laws = (ref.string_law(), end.policy.string_law())
    start, reached = (float(PROMPT_LAW @ objective.kl_divergence(law, optimum)) for law in laws)
    return start, reached


def test_exact_ascent_reaches_the_gibbs_optimum() -> None:
    start, reached = to_the_optimum(lambda ref, judge: ExactGradient(judge, beta=0.5), 0.03, 200)
    assert reached < start / 100


def test_exact_ascent_with_an_entropy_bonus_reaches_its_own_optimum() -> None:
    start, reached = to_the_optimum(
        lambda ref, judge: ExactGradient(judge, beta=0.5, sequence_entropy=0.5), 0.03, 200, tau=0.5
    )
    assert reached < start / 100


SAMPLED = {
    "rloo": {},
    "ppo": {"surrogate": policy_loss.ppo, "updates": 2},
    "KL in the loss": {"kl": "string loss"},
}


@pytest.mark.parametrize("name", SAMPLED)
def test_sampled_ascent_comes_near_the_gibbs_optimum(name: str) -> None:
    def learn(ref, judge):
        proxy = from_table(WORLD, WORLD_TABLE)
        return PolicyGradient(
            ref, proxy, beta=0.5, prompt_law=PROMPT_LAW, groups=4, draws=32, **SAMPLED[name]
        )

    start, reached = to_the_optimum(learn, 0.02, 120)
    assert reached < start / 10


def test_wrong_arguments_are_refused() -> None:
    ref = policy()
    for beta in (0.0, -1.0):
        with pytest.raises(ValueError, match=f"beta is {beta:g}, but should be above 0"):
            PolicyGradient(ref, PROXY, beta=beta)
    with pytest.raises(ValueError, match="token_entropy is -1, but should be at least 0"):
        PolicyGradient(ref, PROXY, token_entropy=-1.0)
    with pytest.raises(ValueError, match="draws is 0, but should be at least 1"):
        PolicyGradient(ref, PROXY, draws=0)
    with pytest.raises(ValueError, match="beta is -1, but should be at least 0"):
        ExactGradient(ExactJudge.of(ref, ref, PROXY), beta=-1.0)
    law = np.array([[0.5, 0, 0.5, 0, 0, 0, 0]])
    narrow = ExactJudge(np.ones(1), law, TABLE)
    with pytest.raises(ValueError, match="the reference never says string 1 of prompt 0"):
        ExactGradient(narrow, beta=0.1)
    assert ExactGradient(narrow, beta=0.0).updates == 1
    assert PolicyGradient(ref, PROXY, beta=0.0, kl="none").beta == 0
