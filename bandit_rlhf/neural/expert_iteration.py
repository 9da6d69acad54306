"""Expert iteration: draw, keep the best of each prompt by the proxy, imitate, again."""

from dataclasses import dataclass

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from bandit_rlhf import _check
from bandit_rlhf._array import Float
from bandit_rlhf.neural.policy import NeuralPolicy
from bandit_rlhf.neural.pretraining import prompt_weights
from bandit_rlhf.neural.strings import Reward, Strings, finite


@dataclass(frozen=True, eq=False)
class ExpertIteration:
    """Best-of-n, imitated: -mean ln pi over the `kept` best of `draws` strings of each prompt.

    Its limit a step is the best-of-n law of the policy itself, n = draws / kept.

    Args:
        proxy: what is selected by.
        prompt_law: weights of the prompts [prompt]; None: all alike.
        groups: prompts drawn in a step.
        draws: strings for each of them.
        kept: of these, the best; ties by the order of the draws.
        updates: steps of imitation on each collection.

    Raises:
        ValueError: more kept than drawn.

    Source: Anthony, Tian, Barber 2017 (1705.08439); Gulcehre et al. 2023 (2308.08998).

    >>> ExpertIteration(torch.sum, draws=4, kept=5)
    Traceback (most recent call last):
    ...
    ValueError: kept is 5, but should be at most draws = 4 [ExpertIteration].
    """

    proxy: Reward
    prompt_law: ArrayLike | None = None
    groups: int = 8
    draws: int = 16
    kept: int = 2
    updates: int = 4

    def __post_init__(self) -> None:
        where = "ExpertIteration"
        for name in ("groups", "draws", "kept", "updates"):
            _check.integer_at_least(name, getattr(self, name), 1, where)
        if self.kept > self.draws:
            got = f"kept is {self.kept}"
            raise ValueError(_check.complaint(got, f"at most draws = {self.draws}", where))

    def collect(self, policy: NeuralPolicy, generator: torch.Generator) -> Strings:
        """The best strings of each drawn prompt."""
        weights = prompt_weights(policy, self.prompt_law, "ExpertIteration")
        law = torch.as_tensor(weights, device=policy.device)
        prompts = torch.multinomial(law, self.groups, replacement=True, generator=generator)
        strings = policy.sample(generator, prompts, self.draws)
        rewards = finite(self.proxy, strings, "ExpertIteration").reshape(-1, self.draws)
        order = rewards.argsort(dim=1, descending=True, stable=True)[:, : self.kept]
        first = torch.arange(len(rewards), device=order.device)[:, None] * self.draws
        return strings.take((first + order).reshape(-1))

    def loss(self, policy: NeuralPolicy, collected: Strings) -> Float[Tensor, ""]:
        """The mean of -ln pi over the kept strings, nats a string."""
        return -policy.log_probs(collected).mean()
