"""The neural tier: a small policy pretrained on an enumerable world, a reward network, sampled RL.

Needs torch, as `bandit_rlhf.neural` does: experiments import this module inside their cells.
"""

from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache

import numpy as np
import torch

from bandit_rlhf import neural as nn
from bandit_rlhf._array import Float
from bandit_rlhf.bandit import Prompt
from bandit_rlhf.language import Language
from bandit_rlhf.neural.strings import concatenate
from experiments.lab.world import World

PRETRAINING = 250
"""Steps of Adam over all strings."""
LEARNING_RATE = 0.01
"""Of the tuning, by Adam."""
GROUPS = 4
"""Prompts drawn in a step."""


@lru_cache(maxsize=4)
def pretrained(world: World, width: int, seed: int) -> nn.NeuralPolicy:
    """A GRU fitted to the world's reference, prompts weighed by their law."""
    return pretrained_on(world.language, world.prompts, world.law, world.prompt_law, width, seed)


def pretrained_on(
    language: Language,
    prompts: Sequence[Prompt],
    law: Float[np.ndarray, "prompt string"],
    prompt_law: Float[np.ndarray, " prompt"] | None = None,
    width: int = 16,
    seed: int = 0,
) -> nn.NeuralPolicy:
    """A GRU fitted to any law of strings."""
    torch.set_num_threads(1)
    design = nn.Architecture("gru", width=width)
    start = nn.NeuralPolicy.initial(language, prompts, design, seed=seed)
    return nn.fit_to_law(start, law, prompt_law, steps=PRETRAINING, learning_rate=0.02).policy


def asked(
    policy: nn.NeuralPolicy, world: World, truth: np.ndarray, comparisons: int, seed: int
) -> nn.StringComparisons:
    """Pairs of a policy's strings, judged by a Bradley-Terry annotator of a true reward.

    Args:
        policy: whose strings are compared.
        world: for the prompts' law.
        truth: [prompt, string], in nats.
        comparisons: how many.
        seed: of prompts, strings and judgements.
    """
    rng = np.random.default_rng((seed, 0xDA7A))
    prompts = rng.choice(len(world.prompts), comparisons, p=world.prompt_law)
    generator, rows = torch.Generator().manual_seed(seed), torch.as_tensor(prompts)
    first, second = policy.sample(generator, rows), policy.sample(generator, rows)
    return nn.compare(first, second, nn.from_table(world.language, truth), rng)


def drawn_from(
    world: World, truth: np.ndarray, comparisons: int, seed: int
) -> nn.StringComparisons:
    """The same of strings drawn from the world's own reference."""
    torch.set_num_threads(1)
    rng = np.random.default_rng((seed, 0xDA7A))
    sizes = rng.multinomial(comparisons, world.prompt_law)
    first, second = (
        concatenate(
            [
                nn.Strings.of(world.reference.sample(rng, int(size), prompt), prompt)
                for prompt, size in enumerate(sizes)
            ]
        )
        for _ in range(2)
    )
    return nn.compare(first, second, nn.from_table(world.language, truth), rng)


def fitted_reward(
    world: World, comparisons: nn.StringComparisons, width: int, seed: int
) -> nn.RewardModel:
    """A GRU fitted to comparisons, a tenth of them held out to say when to stop."""
    design = nn.Architecture("gru", width=width)
    start = nn.RewardModel.initial(world.language, world.prompts, design, seed=seed)
    rows, held_out = comparisons.split(0.1, seed)
    return nn.reward_model.fit(start, rows, held_out=held_out, seed=seed).model


def tuned(
    reference: nn.NeuralPolicy,
    world: World,
    reward: Float[np.ndarray, "prompt string"],
    *,
    steps: int,
    draws: int,
    seed: int,
    beta: float = 0.0,
    sequence_entropy: float = 0.0,
    token_entropy: float = 0.0,
    marks: Collection[int] | None = None,
) -> Iterator[tuple[int, Float[np.ndarray, "prompt string"]]]:
    """REINFORCE with leave-one-out baselines; the marked steps and the laws of strings there.

    Args:
        reference: where it starts, and what the KL penalty is to.
        world: language, prompts and their law.
        reward: what it is tuned to.
        steps: of Adam.
        draws: strings of each step, a multiple of `GROUPS`.
        seed: of the strings.
        beta: weight of the KL penalty in the reward; 0: none.
        sequence_entropy: weight of the bonus for the entropy of strings.
        token_entropy: weight of the bonus for the mean entropy of next tokens.
        marks: steps to yield; None: the last alone.
    """
    judge = nn.ExactJudge(world.prompt_law, reference.string_law(), reward)
    learner = nn.PolicyGradient(
        reference=reference,
        proxy=nn.from_table(world.language, reward),
        beta=beta,
        kl="reward" if beta else "none",
        sequence_entropy=sequence_entropy,
        token_entropy=token_entropy,
        prompt_law=world.prompt_law,
        groups=GROUPS,
        draws=draws // GROUPS,
    )
    optimiser = nn.Optimiser(learning_rate=LEARNING_RATE)
    wanted = {steps} if marks is None else set(marks)
    for one in nn.train(
        reference, learner, judge, steps=steps, optimiser=optimiser, seed=seed, marks=wanted
    ):
        if one.step in wanted:
            yield one.step, one.policy.string_law()
