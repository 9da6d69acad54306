"""Neural policies: a network that says the law of the next token after every prefix.

    pi(y | x) = prod_t softmax(network(x, y_<t))[y_t]

They generalise from string to string, which a `TabularPolicy` cannot. Where the language can be
enumerated, `tabular` turns a neural policy into the tabular one with the same law, so that every
exact sum of the package serves it too.
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
from bandit_rlhf.neural.network import Architecture, HiddenNetwork, build
from bandit_rlhf.neural.strings import ROWS_AT_ONCE, Strings
from bandit_rlhf.policy import TabularPolicy


@dataclass(frozen=True, eq=False)
class NeuralPolicy:
    """A GRU or a small transformer over a language, one embedding a prompt.

    The value is frozen, its network's parameters are tensors: functions that train return a new
    policy and leave the given one as it was.

    Args:
        language: the strings that can be written.
        prompts: the contexts, in the order of their embeddings.
        architecture: the shape of the network.
        network: the parameters.

    >>> letters = Language(("a", "b"), 3, "$")
    >>> policy = NeuralPolicy.initial(letters, [()], Architecture(width=8), seed=0)
    >>> strings = policy.sample(torch.Generator().manual_seed(0), prompt=0, draws=5)
    >>> policy.log_probs(strings).shape, policy.string_law().sum().round(12)
    (torch.Size([5]), np.float64(1.0))
    """

    language: Language
    prompts: tuple[Prompt, ...]
    architecture: Architecture
    network: HiddenNetwork

    @classmethod
    def initial(
        cls,
        language: Language,
        prompts: Sequence[Sequence[str]],
        architecture: Architecture | None = None,
        *,
        seed: int,
        device: str | torch.device = "cpu",
    ) -> "NeuralPolicy":
        """A policy with random parameters; None is a GRU of width 32.

        Raises:
            ValueError: an architecture that is linear, no or repeated prompts.
        """
        architecture = Architecture() if architecture is None else architecture
        named = prompt_words(prompts, "NeuralPolicy")
        network = build(
            architecture,
            prompts=len(named),
            actions=language.action_count,
            horizon=language.horizon,
            outputs=language.action_count,
            seed=seed,
            device=device,
        )
        if not isinstance(network, HiddenNetwork):
            got = f"architecture is {architecture.kind!r}"
            raise ValueError(_check.complaint(got, "'gru' or 'transformer'", "NeuralPolicy"))
        return cls(language, named, architecture, network)

    @property
    def device(self) -> torch.device:
        """Where the parameters live."""
        return self.network.prompt_embedding.device

    def copy(self) -> "NeuralPolicy":
        """The same law with parameters of its own."""
        return replace(self, network=deepcopy(self.network))

    def logits(self, strings: Strings) -> Float[Tensor, "string token action"]:
        """What the softmax of every token is taken of."""
        self._judge(strings)
        one_hot = strings.one_hot(self.network.token_embedding.dtype)
        return self.network(strings.prompt, one_hot[:, :-1])

    def token_log_probs(self, strings: Strings) -> Float[Tensor, "string token"]:
        """The ln pi(y_t | x, y_<t) of every token, zero where the mask is False."""
        return chosen(self.logits(strings), strings)

    def log_probs(self, strings: Strings) -> Float[Tensor, " string"]:
        """The ln pi(y | x) of every string: the sum of its tokens'."""
        return self.token_log_probs(strings).sum(dim=1)

    def sample(self, generator: torch.Generator, prompt: "int | Tensor", draws: int = 1) -> Strings:
        """Independent strings, token by token.

        Args:
            generator: the source of randomness, on the policy's device.
            prompt: one index, or several [prompt].
            draws: strings for each of them.

        Returns:
            `draws` rows for each prompt, one prompt after the other.
        """
        _check.integer_at_least("draws", draws, 1, "NeuralPolicy.sample")
        prompts = torch.atleast_1d(torch.as_tensor(prompt, device=self.device))
        for index in prompts.unique().tolist():
            _check.place("prompt", index, len(self.prompts), "NeuralPolicy.sample")
        rows = prompts.repeat_interleave(draws)
        language, end = self.language, self.language.end_token
        tokens, masks = [], []
        state, token, alive = None, None, torch.ones_like(rows, dtype=torch.bool)
        with torch.no_grad():
            for _ in range(language.horizon):
                logits, state = self.network.step(state, rows, token)
                token = torch.multinomial(logits.softmax(-1), 1, generator=generator)[:, 0]
                tokens.append(torch.where(alive, token, language.pad_token))
                masks.append(alive)
                if end is not None:
                    alive = alive & (token != end)
        return Strings(language, rows, torch.stack(tokens, dim=1), torch.stack(masks, dim=1))

    def node_logits(self) -> Float[Tensor, "prompt entry"]:
        """The logits after every prefix, in the layout of `TabularPolicy.logits`.

        One row for each prefix of horizon - 1 tokens is enough: node i of level t is the start of
        row i, whose later tokens are all 0.

        Raises:
            ValueError: more prefixes than fit in memory.
        """
        language, size = self.language, self.language.vocabulary_size
        last = language.horizon - 1
        count, per_row = size**last, 16.0 * language.horizon * len(self.prompts)
        _check.fits_in_memory(
            "prefixes",
            count,
            per_row * (self.architecture.width + language.action_count),
            "NeuralPolicy.node_logits",
            "Shorten the horizon, or sample.",
        )
        index = torch.arange(count, device=self.device)
        columns = [(index // size**k) % size for k in range(last)]
        tokens = torch.stack([*columns, torch.zeros_like(index)], dim=1)
        mask = (torch.arange(last + 1, device=self.device) < last).expand(count, -1)
        by_prompt = []
        for prompt in range(len(self.prompts)):
            rows = Strings(language, torch.full_like(index, prompt), tokens, mask)
            parts = [self.logits(rows.take(part)) for part in index.split(ROWS_AT_ONCE)]
            logits = torch.cat(parts)
            levels = [logits[: size**t, t].T.reshape(-1) for t in range(last + 1)]
            by_prompt.append(torch.cat(levels))
        return torch.stack(by_prompt)

    def string_log_law(self) -> Float[Tensor, "prompt string"]:
        """The ln pi(y | x) of every string in the language's order; gradients flow through."""
        return accumulate(self.language, self.node_log_probs(self.node_logits()))

    def node_log_probs(
        self, node_logits: Float[Tensor, "prompt entry"]
    ) -> Float[Tensor, "prompt entry"]:
        """The ln pi(a | x, prefix) in the layout of `node_logits`."""
        levels = [level.log_softmax(dim=1) for level in by_level(self.language, node_logits)]
        return torch.cat([level.flatten(1) for level in levels], dim=1)

    def tabular(self) -> TabularPolicy:
        """The tabular policy with the same law, in float64: the door to every exact sum."""
        with torch.no_grad():
            logits = self.node_logits().double().cpu().numpy()
        return TabularPolicy(self.language, self.prompts, logits)

    def string_law(self) -> Float[np.ndarray, "prompt string"]:
        """pi(y | x) of every string in the language's order, normalised in float64."""
        return self.tabular().string_law()

    def _judge(self, strings: Strings) -> None:
        if strings.language != self.language:
            got = "the strings' language differs"
            raise ValueError(_check.complaint(got, "the policy's", "NeuralPolicy"))


def chosen(
    logits: Float[Tensor, "string token action"], strings: Strings
) -> Float[Tensor, "string token"]:
    """The log-softmax at the tokens that stand there, zero at pads."""
    tokens = torch.where(strings.mask, strings.tokens, 0)
    logs = logits.log_softmax(-1).gather(-1, tokens[..., None])[..., 0]
    return torch.where(strings.mask, logs, torch.zeros_like(logs))


def by_level(language: Language, flat: Float[Tensor, "prompt entry"]) -> list[Tensor]:
    """A flat array over the prefix tree as one [prompt, action, node] a level."""
    actions, size = language.action_count, language.vocabulary_size
    widths = [actions * size**level for level in range(language.horizon)]
    return [part.reshape(len(flat), actions, -1) for part in flat.split(widths, dim=1)]


def accumulate(
    language: Language, flat: Float[Tensor, "prompt entry"]
) -> Float[Tensor, "prompt string"]:
    """Sum an array over the prefix tree along each string, as `policy.accumulate` does in NumPy."""
    size = language.vocabulary_size
    total = flat.new_zeros(len(flat), 1)
    strings = []
    for level in by_level(language, flat):
        along = level + total[:, None, :]
        strings.append(along[:, size:].reshape(len(flat), -1))
        total = along[:, :size].reshape(len(flat), -1)
    return torch.cat([*strings, total], dim=1)
