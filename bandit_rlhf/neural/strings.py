"""Strings as tensors: rows of token ids with a mask, each with its prompt.

What `language.TokenBatch` is to NumPy, `Strings` is to torch, with the prompt of every row at its
side, so that policies, rewards and learners pass a single value around. A reward is any function
from `Strings` to one number a row.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bandit_rlhf import _check
from bandit_rlhf._array import Bool, Float, Int
from bandit_rlhf.bandit import Prompt
from bandit_rlhf.language import Language, TokenBatch

ROWS_AT_ONCE = 8192
"""Rows that a network reads in one call where no gradient is kept: memory stays flat."""


@dataclass(frozen=True, eq=False)
class Strings:
    """Padded strings and their prompts, on one device.

    Args:
        language: whose strings these are.
        prompt: the index of each row's prompt [string].
        tokens: token ids [string, token]; what stands where the mask is False means nothing.
        mask: True where a token belongs to its string, the end token included [string, token].

    >>> letters = Language(("a", "b"), 2, "$")
    >>> Strings.of(letters.batch([(0, 2), (1, 1)]), prompt=0).words()
    [('a', '$'), ('b', 'b')]
    """

    language: Language
    prompt: Int[Tensor, " string"]
    tokens: Int[Tensor, "string token"]
    mask: Bool[Tensor, "string token"]

    @classmethod
    def of(
        cls,
        batch: TokenBatch,
        prompt: "int | Sequence[int] | np.ndarray" = 0,
        device: str | torch.device = "cpu",
    ) -> "Strings":
        """A NumPy batch as tensors.

        Args:
            batch: the strings.
            prompt: one index for all rows, or one a row.
            device: where the tensors go.
        """
        rows = np.broadcast_to(np.asarray(prompt, dtype=np.int64), (len(batch),)).copy()
        return cls(
            batch.language,
            torch.as_tensor(rows, device=device),
            torch.as_tensor(batch.tokens, device=device),
            torch.as_tensor(batch.mask, device=device),
        )

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def lengths(self) -> Int[Tensor, " string"]:
        """Number of tokens of each string, the end token included."""
        return self.mask.sum(dim=1)

    def take(self, rows: Tensor) -> "Strings":
        """The rows at these indices, or where this mask is True."""
        rows = rows.to(self.tokens.device)
        return Strings(self.language, self.prompt[rows], self.tokens[rows], self.mask[rows])

    def batch(self) -> TokenBatch:
        """The rows as a NumPy batch, without their prompts."""
        mask = self.mask.cpu().numpy()
        tokens = np.where(mask, self.tokens.cpu().numpy(), self.language.pad_token)
        return TokenBatch(self.language, tokens, mask)

    def words(self) -> list[tuple[str, ...]]:
        """Every row spelled out."""
        return [self.language.words(string) for string in self.batch().strings()]

    def ranks(self) -> Int[Tensor, " string"]:
        """The place of every row in the language's order of strings."""
        return torch.as_tensor(self.batch().ranks(), device=self.tokens.device)

    def one_hot(self, dtype: torch.dtype) -> Float[Tensor, "string token action"]:
        """Tokens as unit vectors, zero at pads."""
        actions = torch.arange(self.language.action_count, device=self.tokens.device)
        return ((self.tokens[..., None] == actions) & self.mask[..., None]).to(dtype)


Reward = Callable[[Strings], Tensor]
"""From strings to one number a row [string]; a reward model's `scores` is one."""


def concatenate(parts: Sequence[Strings]) -> Strings:
    """The rows of several batches of one language, in order."""
    return Strings(
        parts[0].language,
        torch.cat([part.prompt for part in parts]),
        torch.cat([part.tokens for part in parts]),
        torch.cat([part.mask for part in parts]),
    )


def every_string(
    language: Language, prompts: int, device: str | torch.device = "cpu"
) -> list[Strings]:
    """Every string of an enumerable language, in its order, once for each prompt.

    Raises:
        ValueError: more strings than fit in memory.
    """
    batch = language.all_strings()
    return [Strings.of(batch, prompt, device) for prompt in range(prompts)]


def reward_table(
    reward: Reward, language: Language, prompts: Sequence[Prompt], device: str | torch.device
) -> Float[np.ndarray, "prompt string"]:
    """The reward of every string, in float64 and in the language's order, without gradients.

    Raises:
        ValueError: more strings than fit in memory; a reward that is NaN or infinite, with the
            string named.
    """
    rows = []
    for strings in every_string(language, len(prompts), device):
        parts = torch.arange(len(strings)).split(ROWS_AT_ONCE)
        with torch.no_grad():
            rows.append(torch.cat([finite(reward, strings.take(part)) for part in parts]))
    return torch.stack(rows).double().cpu().numpy()


def finite(reward: Reward, strings: Strings, where: str = "reward_table") -> Float[Tensor, " row"]:
    """The rewards of a batch, or the first that is NaN or infinite, with its place and string.

    Raises:
        ValueError: a reward of another shape than [string]; NaN or infinity.
    """
    values = reward(strings)
    if tuple(values.shape) != (len(strings),):
        got = f"the reward has shape {tuple(values.shape)}"
        raise ValueError(_check.complaint(got, f"({len(strings)},) = [string]", where))
    bad = (~torch.isfinite(values)).nonzero().flatten().tolist()
    if bad:
        row = bad[0]
        spelled = " ".join(strings.take(torch.tensor([row])).words()[0])
        prompt = int(strings.prompt[row])
        got = f"the reward of {spelled!r} is {float(values[row])}"
        at = f"{where}, row {row} of {len(strings)} in the batch, prompt {prompt}"
        also = f" {len(bad) - 1} more rows are not finite either." if len(bad) > 1 else ""
        do = f"Look at the reward model's inputs and parameters.{also}"
        raise ValueError(_check.complaint(got, "finite", at, do))
    return values


def from_table(language: Language, table: np.ndarray) -> Reward:
    """A reward that looks strings up in a table [prompt, string].

    >>> letters = Language(("a", "b"), 1)
    >>> reward = from_table(letters, np.array([[0.0, 2.0]]))
    >>> reward(Strings.of(letters.batch([(1,), (0,)]))).tolist()
    [2.0, 0.0]
    """
    if table.ndim != 2 or table.shape[1] != language.string_count:
        got = f"table has shape {table.shape}"
        expected = f"[prompt, string] with {_check.numeral(language.string_count)} strings"
        raise ValueError(_check.complaint(got, expected, "from_table"))
    values = torch.as_tensor(np.asarray(table, dtype=np.float64))

    def look_up(strings: Strings) -> Tensor:
        return values.to(strings.tokens.device)[strings.prompt, strings.ranks()]

    return look_up


def from_batches(function: Callable[[TokenBatch], np.ndarray]) -> Reward:
    """A reward from a NumPy function of strings alone, such as an `AutomatonReward`."""

    def score(strings: Strings) -> Tensor:
        values = np.asarray(function(strings.batch()), dtype=np.float64)
        return torch.as_tensor(values, device=strings.tokens.device)

    return score
