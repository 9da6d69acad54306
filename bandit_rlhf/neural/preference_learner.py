"""Learning from comparisons directly: DPO, chi-PO and every other loss of a margin.

>>> from bandit_rlhf.language import Language
>>> from bandit_rlhf.neural.strings import Strings
>>> letters = Language(("a", "b"), 1)
>>> policy = NeuralPolicy.initial(letters, [()], seed=0)
>>> pair = StringComparisons(*(Strings.of(letters.batch([(token,)])) for token in (1, 0)))
>>> learner = PreferenceLearner(policy, pair, beta=0.5)
>>> round(learner.loss(policy, torch.tensor([0])).item(), 4)  # ln 2: the policy is the reference
0.6931
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from bandit_rlhf import _check, preference_loss
from bandit_rlhf.neural.policy import NeuralPolicy
from bandit_rlhf.neural.reference import Reference, supported_log_probs
from bandit_rlhf.neural.string_comparisons import StringComparisons

PreferenceLoss = Callable[..., Tensor]


@dataclass(frozen=True, eq=False)
class PreferenceLearner:
    """A loss of `bandit_rlhf.preference_loss` on random batches of comparisons.

    Args:
        reference: the policy in the denominator.
        comparisons: pairs, the winner first.
        beta: the loss's coefficient, above 0.
        pair_loss: `preference_loss.dpo`, `chi_po`, `ipo`, ...: of log-probabilities of whole
            strings and `beta`.
        batch: pairs of each step.

    Raises:
        ValueError: a beta of 0 or below; no comparisons; a string that the reference never says.

    Source: Rafailov et al. 2023 (2305.18290), equation 7; Huang et al. 2024 (2407.13399), equation
    9.
    """

    reference: Reference
    comparisons: StringComparisons
    beta: float = 0.1
    pair_loss: PreferenceLoss = preference_loss.dpo
    batch: int = 256
    updates: int = 1
    ref_log_probs: tuple[Tensor, Tensor] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        where = "PreferenceLearner"
        do = (
            "beta is the weight of the KL that the loss stands for; without it there is no optimum."
        )
        _check.positive("beta", self.beta, where, do)
        _check.integer_at_least("batch", self.batch, 1, where)
        if len(self.comparisons) == 0:
            raise ValueError(_check.complaint("there are no comparisons", "one or more", where))
        sides = (self.comparisons.chosen, self.comparisons.rejected)
        logs = [supported_log_probs(self.reference, side, where).sum(dim=1) for side in sides]
        object.__setattr__(self, "ref_log_probs", tuple(logs))

    def collect(self, policy: NeuralPolicy, generator: torch.Generator) -> Tensor:
        """The indices of a random batch of pairs."""
        count = len(self.comparisons)
        order = torch.randperm(count, generator=generator, device=policy.device)
        return order[: min(self.batch, count)]

    def loss(self, policy: NeuralPolicy, collected: Tensor) -> Tensor:
        """The mean loss of the batch's pairs."""
        pairs = self.comparisons.take(collected)
        chosen, rejected = policy.log_probs(pairs.both()).chunk(2)
        refs = [logs[collected].to(chosen.dtype) for logs in self.ref_log_probs]
        return pairs.mean(self.pair_loss(chosen, rejected, *refs, beta=self.beta))
