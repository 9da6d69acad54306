"""Neural reward models: a network that scores a whole string, fitted by Bradley-Terry.

    minimise -1/n sum_i ln sigma(r(x_i, winner_i) - r(x_i, loser_i))

The score is read after the last token. Comparisons identify it up to a constant a prompt.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from bandit_rlhf import _check
from bandit_rlhf._array import Float
from bandit_rlhf.bandit import Prompt, prompt_words
from bandit_rlhf.language import Language
from bandit_rlhf.neural.network import DTYPES, Architecture, Network, build
from bandit_rlhf.neural.string_comparisons import StringComparisons
from bandit_rlhf.neural.strings import ROWS_AT_ONCE, Strings, reward_table
from bandit_rlhf.preference import bradley_terry


@dataclass(frozen=True, eq=False)
class RewardModel:
    """A score of strings; it may be used wherever a reward is asked for.

    Args:
        language: the strings that can be scored.
        prompts: the contexts, in the order of their embeddings; linear kinds ignore them.
        architecture: the shape of the network.
        network: the parameters.

    >>> letters = Language(("a", "b"), 2, "$")
    >>> model = RewardModel.initial(letters, [()], Architecture("counts"), seed=0)
    >>> model.reward_table()
    array([[0., 0., 0., 0., 0., 0., 0.]])
    """

    language: Language
    prompts: tuple[Prompt, ...]
    architecture: Architecture
    network: Network

    @classmethod
    def initial(
        cls,
        language: Language,
        prompts: Sequence[Sequence[str]],
        architecture: Architecture | None = None,
        *,
        seed: int,
        device: str | torch.device = "cpu",
    ) -> "RewardModel":
        """A model with random parameters (linear kinds: zeros); None is a GRU of width 32."""
        architecture = Architecture() if architecture is None else architecture
        named = prompt_words(prompts, "RewardModel")
        network = build(
            architecture,
            prompts=len(named),
            actions=language.action_count,
            horizon=language.horizon,
            outputs=1,
            seed=seed,
            device=device,
        )
        return cls(language, named, architecture, network)

    @property
    def device(self) -> torch.device:
        """Where the parameters live."""
        return next(self.network.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Of parameters and scores."""
        return DTYPES[self.architecture.dtype]

    def copy(self) -> "RewardModel":
        """The same scores with parameters of its own."""
        return replace(self, network=deepcopy(self.network))

    def prefix_scores(self, strings: Strings) -> Float[Tensor, "string place"]:
        """The score after the prompt and after each token; past the end it means nothing."""
        return self.scores_of_one_hot(strings, strings.one_hot(self.dtype))

    def scores_of_one_hot(
        self, strings: Strings, one_hot: Float[Tensor, "string token action"]
    ) -> Float[Tensor, "string place"]:
        """Prefix scores of tokens given as vectors, in which they may be differentiated."""
        if strings.language != self.language:
            got = "the strings' language differs"
            raise ValueError(_check.complaint(got, "the reward model's", "RewardModel"))
        return self.network(strings.prompt, one_hot)[..., 0]

    def scores(self, strings: Strings) -> Float[Tensor, " string"]:
        """r(x, y) of every row."""
        return at_the_end(self.prefix_scores(strings), strings)

    def __call__(self, strings: Strings) -> Float[Tensor, " string"]:
        """`scores`: a reward model is a reward."""
        return self.scores(strings)

    def reward_table(self) -> Float[np.ndarray, "prompt string"]:
        """r(x, y) of every string of an enumerable language, in its order."""
        return reward_table(self.scores, self.language, self.prompts, self.device)


@dataclass(frozen=True, eq=False)
class RewardModelFit:
    """A fitted reward model and how it went.

    Args:
        model: with the parameters of the best step.
        best_step: where the held-out loss was least, counted from 1; the last step without
            held-out comparisons.
        held_out_losses: at every look [look], nats a pair; empty without held-out comparisons.
        train_losses: of every step's batch [step], nats a pair, without the weight decay.
        stopped_early: whether patience ran out before the steps did.
    """

    model: RewardModel
    best_step: int
    held_out_losses: Float[np.ndarray, " look"]
    train_losses: Float[np.ndarray, " step"]
    stopped_early: bool


def bradley_terry_loss(model: RewardModel, comparisons: StringComparisons) -> Float[Tensor, ""]:
    """The weighted mean of -ln sigma(r(winner) - r(loser)), nats a pair."""
    return comparisons.mean(pair_losses(model, comparisons))


def pair_losses(model: RewardModel, comparisons: StringComparisons) -> Float[Tensor, " pair"]:
    """The -ln sigma(r(winner) - r(loser)) of every pair, nats."""
    chosen, rejected = model.scores(comparisons.both()).chunk(2)
    return -bradley_terry(chosen - rejected).win


def fit(
    model: RewardModel,
    comparisons: StringComparisons,
    *,
    held_out: StringComparisons | None = None,
    steps: int = 400,
    learning_rate: float = 1e-2,
    weight_decay: float = 0.0,
    batch: int = 256,
    look_every: int = 10,
    patience: int = 10,
    seed: int,
) -> RewardModelFit:
    """Fit by Adam with decoupled weight decay, stopping where held-out comparisons say so.

    Args:
        model: where to start; it stays as it is.
        comparisons: what to learn from.
        held_out: what decides when to stop, and which step was best; None: all steps are taken,
            with a step size that falls linearly to zero.
        steps: of Adam, at most.
        learning_rate: of every step.
        weight_decay: share of the parameters that a step of size one would take off, at least 0.
        batch: pairs of each step.
        look_every: steps between two looks at the held-out loss.
        patience: looks without improvement after which to stop.
        seed: of the order of the pairs.

    Raises:
        ValueError: no comparisons; a loss that is not finite, with its step and batch.

    Source: Ouyang et al. 2022 (2203.02155), equation 1; weight decay as in 1711.05101.
    """
    where = "reward_model.fit"
    if len(comparisons) == 0 or (held_out is not None and len(held_out) == 0):
        raise ValueError(_check.complaint("there are no comparisons", "one or more", where))
    steps = _check.integer_at_least("steps", steps, 1, where)
    batch = min(_check.integer_at_least("batch", batch, 1, where), len(comparisons))
    rate = _check.positive("learning_rate", learning_rate, where)
    decay = _check.non_negative("weight_decay", weight_decay, where)
    look_every = _check.integer_at_least("look_every", look_every, 1, where)
    patience = _check.integer_at_least("patience", patience, 1, where)
    model = best = model.copy()
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(model.network.parameters(), lr=rate, weight_decay=decay)
    losses, looks, best_step, best_loss, stopped = [], [], steps, np.inf, False
    for step in range(1, steps + 1):
        if held_out is None:
            for group in optimiser.param_groups:
                group["lr"] = rate * (1 - (step - 1) / steps)
        rows = torch.randperm(len(comparisons), generator=generator)[:batch]
        optimiser.zero_grad()
        loss = bradley_terry_loss(model, comparisons.take(rows))
        if not bool(torch.isfinite(loss)):
            got = f"the loss of a batch of {batch} pairs is {loss.item()}"
            do = "Lower the learning rate, or look at the parameters it started from."
            raise ValueError(_check.complaint(got, "finite", f"{where}, step {step}", do))
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        if held_out is not None and (step % look_every == 0 or step == steps):
            looks.append(mean_loss(model, held_out))
            if looks[-1] < best_loss:
                best, best_step, best_loss = model.copy(), step, looks[-1]
            since = (step - best_step) // look_every
            if stopped := since >= patience:
                break
    chosen = model if held_out is None else best
    return RewardModelFit(chosen, best_step, np.array(looks), np.array(losses), stopped)


def mean_loss(model: RewardModel, comparisons: StringComparisons) -> float:
    """`bradley_terry_loss` of any number of pairs, without a gradient."""
    parts = torch.arange(len(comparisons)).split(ROWS_AT_ONCE)
    with torch.no_grad():
        losses = [pair_losses(model, comparisons.take(part)) for part in parts]
    return comparisons.mean(torch.cat(losses)).item()


def at_the_end(
    prefix_scores: Float[Tensor, "string place"], strings: Strings
) -> Float[Tensor, " string"]:
    """The score after each row's last token."""
    return prefix_scores.gather(1, strings.lengths[:, None])[:, 0]
