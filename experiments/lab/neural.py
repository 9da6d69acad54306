"""The neural tier: a GRU policy, trained by sampled policy gradient against a neural reward model.

Strings and gold are those of the enumerable world, so that every policy is measured exactly; what
is sampled is the training: comparisons, batches, draws. Only cells that use it import this module,
as it needs torch (the extra `[neural]`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import torch

from bandit_rlhf._array import Float
from bandit_rlhf.annotator import Person, compare, random_questions
from bandit_rlhf.neural import pretraining, reward_model, string_comparisons
from bandit_rlhf.neural.judge import ExactJudge
from bandit_rlhf.neural.learner import Optimiser, train
from bandit_rlhf.neural.network import Architecture
from bandit_rlhf.neural.policy import NeuralPolicy
from bandit_rlhf.neural.policy_gradient import PolicyGradient
from bandit_rlhf.neural.reward_model import RewardModel
from bandit_rlhf.neural.strings import Reward, Strings
from experiments.lab import curves
from experiments.lab.dials import Dials, covered
from experiments.lab.world import World, draw_world

Network = Literal["counts", "bigrams", "gru"]
"""Reward models: linear in counts of tokens, in counts of neighbouring pairs, or a GRU."""
WIDTH = 16
"""Of embeddings and hidden states."""
HELD_OUT = 0.2
"""Share of the comparisons that decide when to stop fitting."""


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
    reference: NeuralPolicy
    law: Float[np.ndarray, "prompt string"]
    gold: Float[np.ndarray, "prompt string"]
    model: RewardModel
    reward: Float[np.ndarray, "prompt string"]


@lru_cache(maxsize=4)
def pretrained(seed: int, horizon: int, steps: int) -> NeuralPolicy:
    """A GRU fitted to the law of one world by maximum likelihood."""
    torch.set_num_threads(1)
    world = draw_world(seed, horizon)
    start = NeuralPolicy.initial(
        world.language, world.prompts, Architecture("gru", width=WIDTH), seed=seed
    )
    return pretraining.fit_to_law(start, world.law, world.prompt_law, steps=steps).policy


def fit_neural(
    dials: Dials, seed: int, network: Network, horizon: int = 5, pretraining_steps: int = 80
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
    world, reference = draw_world(seed, horizon), pretrained(seed, horizon, pretraining_steps)
    law, gold = reference.string_law(), world.on_strings(world.gold(dials.misspecification))
    asked = covered(np.log(law), dials.coverage)
    rng = np.random.default_rng((seed, 0xDA7A))
    questions = random_questions(rng, int(dials.estimation), world.prompt_law, asked)
    rows = compare(Person(gold), questions, rng, items=range(gold.shape[1]))
    pairs = string_comparisons.from_table(rows, world.language)
    kept, held_out = pairs.split(HELD_OUT, seed)
    start = RewardModel.initial(
        world.language, world.prompts, Architecture(network, width=WIDTH), seed=seed
    )
    fitted = reward_model.fit(
        start, kept, held_out=held_out, steps=200, learning_rate=2e-2, batch=128, seed=seed
    ).model
    return NeuralProxy(world, reference, law, gold, fitted, fitted.reward_table())


def scaled(model: RewardModel, sd: float) -> Reward:
    """The model's scores in units of their standard deviation under the reference."""

    def score(strings: Strings) -> torch.Tensor:
        return model(strings) / sd

    return score


def sampled_gradient(
    proxy: NeuralProxy, seed: int, steps: int, learning_rate: float, marks: tuple[int, ...]
) -> Iterator[dict[str, Any]]:
    """RLOO from draws of the policy, without a KL penalty; every mark measured exactly."""
    torch.set_num_threads(1)
    world = proxy.world
    ruler = curves.Ruler.of(world, proxy.gold, proxy.reward, proxy.law)
    learner = PolicyGradient(
        reference=proxy.reference,
        proxy=scaled(proxy.model, ruler.proxy_sd),
        kl="none",
        prompt_law=world.prompt_law,
        groups=4,
        draws=16,
    )
    judge = ExactJudge(world.prompt_law, proxy.law, proxy.reward, proxy.gold)
    path = train(
        proxy.reference,
        learner,
        judge,
        steps=steps,
        optimiser=Optimiser(learning_rate),
        seed=seed,
        marks=marks,
    )
    for round_ in path:
        if round_.step:
            row = ruler(round_.policy.string_law())
            yield {"method": "sampled-gradient", "setting": float(round_.step), **row}
