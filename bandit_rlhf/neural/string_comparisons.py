"""Comparisons of strings as token batches: of each pair, the one that was preferred comes first."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bandit_rlhf import _check
from bandit_rlhf.neural.strings import Reward, Strings, finite
from bandit_rlhf.preference import bradley_terry


@dataclass(frozen=True, eq=False)
class StringComparisons:
    """Pairs of strings that answer one prompt each, the winner first.

    Args:
        chosen: the winners [pair].
        rejected: the losers [pair].

    Raises:
        ValueError: other prompts or another number of strings on one side.

    >>> from bandit_rlhf.language import Language
    >>> letters = Language(("a", "b"), 1)
    >>> both = [Strings.of(letters.batch([(token,)])) for token in (1, 0)]
    >>> len(StringComparisons(*both))
    1
    """

    chosen: Strings
    rejected: Strings

    def __post_init__(self) -> None:
        where = "StringComparisons"
        if len(self.chosen) != len(self.rejected):
            got = f"chosen has {len(self.chosen)} strings"
            raise ValueError(_check.complaint(got, f"{len(self.rejected)}, as rejected has", where))
        differ = (self.chosen.prompt != self.rejected.prompt).nonzero().flatten().tolist()
        if differ:
            got = f"pair {differ[0]} has prompts {int(self.chosen.prompt[differ[0]])} and "
            got += str(int(self.rejected.prompt[differ[0]]))
            raise ValueError(_check.complaint(got, "one prompt for both strings", where))

    def __len__(self) -> int:
        return len(self.chosen)

    def take(self, pairs: Tensor) -> "StringComparisons":
        """The pairs at these indices, or where this mask is True."""
        return StringComparisons(self.chosen.take(pairs), self.rejected.take(pairs))

    def split(self, held_out: float, seed: int) -> "tuple[StringComparisons, StringComparisons]":
        """Two random parts: to train on, and a share `held_out`, at least one pair each."""
        where = "StringComparisons.split"
        if not 0 < _check.real("held_out", held_out, where) < 1 or len(self) < 2:
            got = f"held_out is {held_out:g} of {len(self)} pairs"
            raise ValueError(_check.complaint(got, "within 0 to 1, of two pairs or more", where))
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))
        kept_back = min(max(1, round(held_out * len(self))), len(self) - 1)
        return self.take(order[kept_back:]), self.take(order[:kept_back])

    def parts(self, count: int, seed: int) -> "list[StringComparisons]":
        """A random partition into `count` parts of nearly equal size."""
        if not 1 <= count <= len(self):
            got = f"count is {count} for {len(self)} pairs"
            raise ValueError(_check.complaint(got, "one pair a part or more", "StringComparisons"))
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))
        return [self.take(part) for part in order.tensor_split(count)]


def compare(
    first: Strings, second: Strings, gold: Reward, rng: np.random.Generator
) -> StringComparisons:
    """A Bradley-Terry annotator of gold rewards judges pairs of strings.

    P(first wins) = 1 / (1 + exp(-(gold(first) - gold(second))))

    Args:
        first: strings [pair].
        second: strings that answer the same prompts [pair].
        gold: the annotator's reward, in nats.
        rng: the annotator's dice.

    Raises:
        ValueError: other prompts or another number of strings on one side; NaN or infinite rewards.
    """
    StringComparisons(first, second)  # judges the pairing
    difference = finite(gold, first, "compare") - finite(gold, second, "compare")
    win = np.exp(bradley_terry(difference.detach().double().cpu().numpy()).win)
    wins = torch.as_tensor(rng.random(len(first)) < win, device=first.tokens.device)
    return StringComparisons(_either(wins, first, second), _either(~wins, first, second))


def _either(wins: Tensor, first: Strings, second: Strings) -> Strings:
    tokens = torch.where(wins[:, None], first.tokens, second.tokens)
    mask = torch.where(wins[:, None], first.mask, second.mask)
    return Strings(first.language, first.prompt, tokens, mask)
