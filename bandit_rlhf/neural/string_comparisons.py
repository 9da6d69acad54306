"""Comparisons of strings as token batches: of each pair, the one that was preferred comes first."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bandit_rlhf import _check
from bandit_rlhf._array import Float
from bandit_rlhf.comparisons import Comparisons
from bandit_rlhf.language import Language, TokenBatch
from bandit_rlhf.neural.strings import Reward, Strings, concatenate, finite
from bandit_rlhf.preference import bradley_terry


@dataclass(frozen=True, eq=False)
class StringComparisons:
    """Pairs of strings that answer one prompt each, the winner first.

    Args:
        chosen: the winners [pair].
        rejected: the losers [pair].
        weight: how often each judgement was made, at least 0 [pair]; None: once.

    Raises:
        ValueError: other prompts or another number of strings on one side; a wrong weight.

    >>> from bandit_rlhf.language import Language
    >>> letters = Language(("a", "b"), 1)
    >>> both = [Strings.of(letters.batch([(token,)])) for token in (1, 0)]
    >>> len(StringComparisons(*both))
    1
    """

    chosen: Strings
    rejected: Strings
    weight: Float[Tensor, " pair"] | None = None

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
        if self.weight is not None and len(self):
            if len(self.weight) != len(self) or not bool((self.weight >= 0).all()):
                got = f"weight has {len(self.weight)} entries, the least {float(self.weight.min())}"
                raise ValueError(_check.complaint(got, f"{len(self)}, none below 0", where))
            if not float(self.weight.sum()) > 0:
                raise ValueError(_check.complaint("weight is 0 everywhere", "above 0", where))

    def __len__(self) -> int:
        return len(self.chosen)

    def take(self, pairs: Tensor) -> "StringComparisons":
        """The pairs at these indices, or where this mask is True."""
        weight = None if self.weight is None else self.weight[pairs.to(self.weight.device)]
        return StringComparisons(self.chosen.take(pairs), self.rejected.take(pairs), weight)

    def both(self) -> Strings:
        """The winners, then the losers, so that a network reads them in one call."""
        return concatenate([self.chosen, self.rejected])

    def mean(self, losses: Float[Tensor, " pair"]) -> Float[Tensor, ""]:
        """The mean of one number a pair, weighed by how often each judgement was made."""
        if self.weight is None:
            return losses.mean()
        weight = self.weight.to(losses.dtype)
        return (weight * losses).sum() / weight.sum()

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


def from_table(
    rows: Comparisons, language: Language, device: str | torch.device = "cpu"
) -> StringComparisons:
    """The package's table of comparisons, whose items are all strings of a language, as tensors.

    Args:
        rows: judgements; item i is the string of rank i.
        language: whose strings these are.
        device: where the tensors go.

    Raises:
        ValueError: another number of items than strings; ties.

    >>> letters = Language(("a", "b"), 1)
    >>> from_table(Comparisons.from_ids([1], [0], items=range(2)), letters).chosen.words()
    [('b',)]
    """
    where = "string_comparisons.from_table"
    if rows.item_count != language.string_count:
        got = f"the table has {rows.item_count} items"
        expected = f"{_check.numeral(language.string_count)}, one a string"
        raise ValueError(_check.complaint(got, expected, where))
    if rows.tie is not None and rows.tie.any():
        got = f"{int(rows.tie.sum())} rows are ties"
        do = "Drop them, or count each as a half for both sides."
        raise ValueError(_check.complaint(got, "wins", where, do))
    prompt = np.zeros(rows.row_count, np.int64) if rows.prompt is None else rows.prompt
    sides = []
    for side in (rows.winner, rows.loser):
        ranks, place = np.unique(side, return_inverse=True)
        batch = language.batch([language.unrank(int(rank)) for rank in ranks])
        whole = TokenBatch(language, batch.tokens[place], batch.mask[place])
        sides.append(Strings.of(whole, prompt, device))
    weight = None if rows.weight is None else torch.as_tensor(rows.weight.copy(), device=device)
    chosen, rejected = sides
    return StringComparisons(chosen, rejected, weight)


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
