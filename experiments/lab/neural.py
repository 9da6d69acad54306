"""The neural tier: small policies, reward networks and sampled policy gradient, measured exactly.

Strings and gold are those of the enumerable world, so that whatever a network has learnt is summed
over every string; what is sampled is the training: comparisons, batches, draws. Only cells that use
it import this module, as it needs torch (the extra `[neural]`).
"""

import zlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import torch

from bandit_rlhf import neural as nn
from bandit_rlhf._array import Float
from bandit_rlhf.annotator import (
    Person,
    Questions,
    compare,
    expected_comparisons,
    random_questions,
)
from bandit_rlhf.bandit import Prompt
from bandit_rlhf.language import Language
from bandit_rlhf.reward import fit_linear
from experiments.lab import curves
from experiments.lab.dials import Dials, covered, whitened
from experiments.lab.world import World, draw_world

Network = Literal["counts", "gru"]
"""Reward models: linear in counts of tokens, or a GRU."""
WIDTH = 16
"""Of embeddings and hidden states."""
PRETRAINING = 60
"""Steps of Adam over all strings: what the network then says is the reference, near the world's."""
HELD_OUT = 0.2
"""Share of the comparisons that decide when to stop fitting."""
LEARNING_RATE = 0.01
"""Of the tuning, by Adam."""
GROUPS = 4
"""Prompts drawn in a step."""


def stream(seed: int, purpose: str) -> int:
    """A seed for each purpose: two networks of one seed do not start alike, nor do their draws.

    >>> stream(0, "policy") == stream(0, "reward"), stream(0, "policy") == stream(0, "policy")
    (False, True)
    """
    named = np.random.SeedSequence((seed, zlib.crc32(purpose.encode())))
    return int(named.generate_state(1)[0])


@lru_cache(maxsize=8)
def pretrained(
    world: World, seed: int, width: int = WIDTH, steps: int = PRETRAINING
) -> nn.NeuralPolicy:
    """A GRU fitted to the world's reference, prompts weighed by their law."""
    return pretrained_on(
        world.language, world.prompts, world.law, world.prompt_law, seed, width, steps
    )


def pretrained_on(
    language: Language,
    prompts: Sequence[Prompt],
    law: Float[np.ndarray, "prompt string"],
    prompt_law: Float[np.ndarray, " prompt"] | None = None,
    seed: int = 0,
    width: int = WIDTH,
    steps: int = PRETRAINING,
) -> nn.NeuralPolicy:
    """A GRU fitted to any law of strings by maximum likelihood."""
    torch.set_num_threads(1)
    design = nn.Architecture("gru", width=width)
    start = nn.NeuralPolicy.initial(language, prompts, design, seed=stream(seed, "policy"))
    return nn.fit_to_law(start, law, prompt_law, steps=steps, learning_rate=0.03).policy


def asked(
    world: World, law: np.ndarray, truth: np.ndarray, comparisons: int, seed: int
) -> nn.StringComparisons:
    """Pairs of different strings, judged by a Bradley-Terry annotator of a true reward.

    Args:
        world: language, prompts and their law.
        law: that the strings are drawn from [prompt, string].
        truth: [prompt, string], in nats.
        comparisons: how many.
        seed: of prompts, strings and judgements.
    """
    rng = np.random.default_rng((seed, 0xDA7A))
    questions = random_questions(rng, comparisons, world.prompt_law, law)
    rows = compare(Person(truth), questions, rng, items=range(truth.shape[1]))
    return nn.string_comparisons.from_table(rows, world.language)


def fit_reward(
    world: World, pairs: nn.StringComparisons, network: Network, seed: int, width: int = WIDTH
) -> nn.RewardModel:
    """A reward model fitted to comparisons, some of them held out to say when to stop."""
    kept, held_out = pairs.split(HELD_OUT, stream(seed, "split"))
    return nn.reward_model.fit(
        untrained(world, network, seed, width),
        kept,
        held_out=held_out,
        steps=200,
        learning_rate=2e-2,
        batch=128,
        seed=stream(seed, "batches"),
    ).model


def untrained(world: World, network: Network, seed: int, width: int = WIDTH) -> nn.RewardModel:
    """A reward model as it starts."""
    design = nn.Architecture(network, width=width)
    return nn.RewardModel.initial(
        world.language, world.prompts, design, seed=stream(seed, "reward")
    )


def settled_counts(
    world: World, law: np.ndarray, misspecification: float
) -> Float[np.ndarray, "prompt string"]:
    """The reward that infinitely many comparisons teach a network linear in counts.

    Such a network does not see the prompt: one set of weights serves them all. Its features are the
    counts of words and whether the string has ended, so that strings of one bag score alike.

    Args:
        world: whose gold reward people judge by.
        law: that the strings to compare are drawn from [prompt, string].
        misspecification: m of the gold reward.
    """
    on_bags, bags = world.on_bags(law), len(world.counts)
    left, right = np.triu_indices(bags, k=1)
    prompts = np.repeat(np.arange(len(world.prompts)), len(left))
    first, second = (np.tile(side, len(world.prompts)) for side in (left, right))
    weight = world.prompt_law[prompts] * on_bags[prompts, first] * on_bags[prompts, second]
    rows = expected_comparisons(
        Person(world.gold(misspecification)),
        Questions(prompts, first, second, len(world.prompts), bags),
        weight=weight / weight.sum(),
        items=range(bags),
    )
    ended = world.counts.sum(axis=1) < world.language.horizon
    features = whitened(np.column_stack([world.counts, ended]), world.prompt_law @ on_bags)
    scores = fit_linear(rows, features).scores
    return world.on_strings(np.tile(scores, (len(world.prompts), 1)))


@dataclass(frozen=True, eq=False)
class NeuralProxy:
    """A neural reward model, and what it was fitted on.

    Args:
        world: the strings and the gold reward.
        reference: a GRU pretrained on the world's law; strings to compare were drawn from it.
        law: its string law [prompt, string].
        gold: the true reward [prompt, string].
        model: the fitted reward model.
        reward: its scores [prompt, string].
    """

    world: World
    reference: nn.NeuralPolicy
    law: Float[np.ndarray, "prompt string"]
    gold: Float[np.ndarray, "prompt string"]
    model: nn.RewardModel
    reward: Float[np.ndarray, "prompt string"]

    @property
    def ruler(self) -> curves.Ruler:
        """Measures laws from the network's reference."""
        return curves.Ruler.of(self.world, self.gold, self.reward, self.law)


def fit_neural(
    dials: Dials,
    seed: int,
    network: Network,
    horizon: int = 5,
    width: int = WIDTH,
    pretraining: int = PRETRAINING,
) -> NeuralProxy:
    """Pretrain a reference, draw comparisons of its strings, fit a reward model to them.

    Raises:
        ValueError: infinitely many comparisons, or errors of strings' own: a network has its own.
    """
    if not np.isfinite(dials.estimation) or dials.tail:
        raise ValueError(
            f"dials are {dials}, but the neural tier has finitely many comparisons and no errors "
            "but those of the network [fit_neural]. Set estimation, and leave tail at 0."
        )
    world = draw_world(seed, horizon)
    reference = pretrained(world, seed, width, pretraining)
    law, gold = reference.string_law(), world.on_strings(world.gold(dials.misspecification))
    pairs = asked(world, covered(np.log(law), dials.coverage), gold, int(dials.estimation), seed)
    model = fit_reward(world, pairs, network, seed, width)
    return NeuralProxy(world, reference, law, gold, model, model.reward_table())


def tuned(
    reference: nn.NeuralPolicy,
    world: World,
    reward: Float[np.ndarray, "prompt string"],
    *,
    steps: int,
    draws: int = 64,
    seed: int,
    beta: float = 0.0,
    sequence_entropy: float = 0.0,
    token_entropy: float = 0.0,
    learning_rate: float = LEARNING_RATE,
    marks: Collection[int] | None = None,
) -> Iterator[tuple[int, Float[np.ndarray, "prompt string"]]]:
    """REINFORCE with leave-one-out baselines; the marked steps and the laws of strings there.

    Args:
        reference: where it starts, and what the KL penalty is to.
        world: language, prompts and their law.
        reward: what it is tuned to.
        steps: of Adam.
        draws: strings of each step, `GROUPS` times two or more.
        seed: of the strings.
        beta: weight of the KL penalty in the reward; 0: none.
        sequence_entropy: weight of the bonus for the entropy of strings.
        token_entropy: weight of the bonus for the mean entropy of next tokens.
        learning_rate: of Adam.
        marks: steps to yield; None: the last alone.

    Raises:
        ValueError: draws that the groups cannot share alike.
    """
    if draws % GROUPS or draws < 2 * GROUPS:
        raise ValueError(f"draws is {draws}, but should be {GROUPS} times two or more [tuned].")
    torch.set_num_threads(1)
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
    wanted = {steps} if marks is None else set(marks)
    for one in nn.train(
        reference,
        learner,
        nn.ExactJudge(world.prompt_law, reference.string_law(), reward),
        steps=steps,
        optimiser=nn.Optimiser(learning_rate=learning_rate),
        seed=stream(seed, "tuning"),
        marks=wanted,
    ):
        if one.step in wanted:
            yield one.step, one.policy.string_law()


def hacked(
    proxy: NeuralProxy, seed: int, steps: int, learning_rate: float, marks: Collection[int]
) -> Iterator[dict[str, Any]]:
    """Tuning to a reward model's scores, in their sd, without a KL penalty; every mark measured."""
    ruler = proxy.ruler
    for step, law in tuned(
        proxy.reference,
        proxy.world,
        proxy.reward / ruler.proxy_sd,
        steps=steps,
        seed=seed,
        learning_rate=learning_rate,
        marks=marks,
    ):
        yield {"method": "sampled-gradient", "setting": float(step), **ruler(law)}
