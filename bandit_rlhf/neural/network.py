"""Networks that read a prompt and a string and say something after every prefix.

    outputs [string, token + 1, output]: row t is what is known after the prompt and t tokens

Four architectures behind one signature: a GRU, a small causal transformer, and two linear ones,
whose output is a sum over the tokens (`counts`) or the pairs of neighbours (`bigrams`) read so far.
Tokens come in as unit vectors, so that a gradient in them estimates what any substitution of a
token would do (`search`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from bandit_rlhf import _check
from bandit_rlhf._array import Float, Int

KINDS = ("gru", "transformer", "counts", "bigrams")
DTYPES = {"float32": torch.float32, "float64": torch.float64}

State = Any
"""What a recurrent reading carries from token to token."""


@dataclass(frozen=True)
class Architecture:
    """The shape of a network; everything but its parameters.

    Args:
        kind: "gru", "transformer", or for rewards also "counts" and "bigrams", linear in the
            counts of tokens, or of pairs of neighbours, the start of the string included.
        width: size of embeddings and hidden states; the linear kinds have none.
        layers: GRU layers or transformer blocks.
        heads: attention heads of a transformer; a divisor of `width`.
        dtype: "float32" or "float64".

    Raises:
        ValueError: an unknown kind or dtype; heads that do not divide the width.

    >>> Architecture("transformer", width=16).heads
    2
    """

    kind: Literal["gru", "transformer", "counts", "bigrams"] = "gru"
    width: int = 32
    layers: int = 1
    heads: int = 2
    dtype: Literal["float32", "float64"] = "float32"

    def __post_init__(self) -> None:
        where = "Architecture"
        if self.kind not in KINDS:
            got = f"kind is {self.kind!r}"
            raise ValueError(_check.complaint(got, f"one of {', '.join(KINDS)}", where))
        if self.dtype not in DTYPES:
            got = f"dtype is {self.dtype!r}"
            raise ValueError(_check.complaint(got, f"one of {', '.join(DTYPES)}", where))
        for name in ("width", "layers", "heads"):
            _check.integer_at_least(name, getattr(self, name), 1, where)
        if self.kind == "transformer" and self.width % self.heads:
            got = f"width is {self.width}"
            raise ValueError(_check.complaint(got, f"a multiple of heads = {self.heads}", where))

    @property
    def is_linear(self) -> bool:
        """Whether the output is linear in features of the string, without hidden layers."""
        return self.kind in ("counts", "bigrams")


class GRUBody(nn.Module):
    """A gated recurrent unit over embeddings."""

    def __init__(self, architecture: Architecture, positions: int) -> None:
        super().__init__()
        width = architecture.width
        self.gru = nn.GRU(width, width, architecture.layers, batch_first=True)

    def forward(
        self, inputs: Float[Tensor, "string token width"]
    ) -> Float[Tensor, "string token width"]:
        """Hidden states after every input."""
        return self.gru(inputs)[0]

    def step(
        self, state: State, value: Float[Tensor, "string width"]
    ) -> tuple[Float[Tensor, "string width"], State]:
        """One more input; `state` is None before the first."""
        hidden, state = self.gru(value[:, None], state)
        return hidden[:, 0], state


class TransformerBody(nn.Module):
    """Causal attention (1706.03762) and feed-forward, each normalised before (2002.04745)."""

    def __init__(self, architecture: Architecture, positions: int) -> None:
        super().__init__()
        width = architecture.width
        self.heads = architecture.heads
        self.positions = nn.Parameter(torch.empty(positions, width))
        self.blocks = nn.ModuleList(
            nn.ModuleDict(
                {
                    "before_attention": nn.LayerNorm(width),
                    "queries_keys_values": nn.Linear(width, 3 * width),
                    "mix": nn.Linear(width, width),
                    "before_feed": nn.LayerNorm(width),
                    "widen": nn.Linear(width, 4 * width),
                    "narrow": nn.Linear(4 * width, width),
                }
            )
            for _ in range(architecture.layers)
        )
        self.last = nn.LayerNorm(width)

    def forward(
        self, inputs: Float[Tensor, "string token width"]
    ) -> Float[Tensor, "string token width"]:
        """Hidden states after every input, each of which sees itself and the past."""
        hidden = inputs + self.positions[: inputs.shape[1]]
        for block in self.blocks:
            hidden = hidden + self._attention(block, block["before_attention"](hidden))  # type: ignore[index]
            wide = functional.gelu(block["widen"](block["before_feed"](hidden)))  # type: ignore[index]
            hidden = hidden + block["narrow"](wide)  # type: ignore[index]
        return self.last(hidden)

    def _attention(self, block: Any, hidden: Tensor) -> Tensor:
        rows, length, width = hidden.shape
        split = block["queries_keys_values"](hidden).view(rows, length, 3, self.heads, -1)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        return block["mix"](seen.transpose(1, 2).reshape(rows, length, width))

    def step(
        self, state: State, value: Float[Tensor, "string width"]
    ) -> tuple[Float[Tensor, "string width"], State]:
        """One more input; the state is the inputs so far, read again: horizons here are short."""
        inputs = value[:, None] if state is None else torch.cat([state, value[:, None]], dim=1)
        return self(inputs)[:, -1], inputs


class HiddenNetwork(nn.Module):
    """Prompt and tokens are embedded, a body reads them, a linear head speaks after each."""

    def __init__(
        self, architecture: Architecture, prompts: int, actions: int, horizon: int, outputs: int
    ) -> None:
        super().__init__()
        width = architecture.width
        self.prompt_embedding = nn.Parameter(torch.empty(prompts, width))
        self.token_embedding = nn.Parameter(torch.empty(actions, width))
        body = {"gru": GRUBody, "transformer": TransformerBody}[architecture.kind]
        self.body = body(architecture, horizon + 1)
        self.head = nn.Linear(width, outputs)

    def forward(
        self, prompt: Int[Tensor, " string"], one_hot: Float[Tensor, "string token action"]
    ) -> Float[Tensor, "string place output"]:
        """Outputs after the prompt and after every token."""
        first = self.prompt_embedding[prompt][:, None]
        return self.head(self.body(torch.cat([first, one_hot @ self.token_embedding], dim=1)))

    def step(
        self, state: State, prompt: Int[Tensor, " string"], token: Int[Tensor, " string"] | None
    ) -> tuple[Float[Tensor, "string output"], State]:
        """The outputs after one more token; `token` is None where only the prompt was read."""
        value = self.prompt_embedding[prompt] if token is None else self.token_embedding[token]
        hidden, state = self.body.step(state, value)
        return self.head(hidden), state


class LinearNetwork(nn.Module):
    """Running sums of one weight a token, or a pair of neighbours; the prompt plays no part."""

    def __init__(
        self, architecture: Architecture, prompts: int, actions: int, horizon: int, outputs: int
    ) -> None:
        super().__init__()
        self.pairs = architecture.kind == "bigrams"
        before = actions + 1 if self.pairs else 1
        self.weights = nn.Parameter(torch.empty(before, actions, outputs))

    def forward(
        self, prompt: Int[Tensor, " string"], one_hot: Float[Tensor, "string token action"]
    ) -> Float[Tensor, "string place output"]:
        """Sums over the tokens read so far, zero before the first."""
        if self.pairs:
            rows, length, actions = one_hot.shape
            before = one_hot.new_zeros(rows, length, actions + 1)
            before[:, :1, actions] = 1.0
            before[:, 1:, :actions] = one_hot[:, :-1]
            worth = torch.einsum("nta,ntb,abo->nto", before, one_hot, self.weights)
        else:
            worth = one_hot @ self.weights[0]
        return functional.pad(worth.cumsum(dim=1), (0, 0, 1, 0))


Network = HiddenNetwork | LinearNetwork
Built = TypeVar("Built", HiddenNetwork, LinearNetwork)


def build(
    architecture: Architecture,
    *,
    prompts: int,
    actions: int,
    horizon: int,
    outputs: int,
    seed: int,
    device: str | torch.device = "cpu",
) -> Network:
    """A network with fresh parameters, the same for the same seed on every device.

    Weights are normal with variance 1 / fan-in (1 for embeddings, which read unit vectors); biases
    and the weights of linear kinds are zero, gains one. No global random state is read or moved.
    """
    _check.integer_at_least("seed", seed, 0, "neural.network.build")
    kind: Callable[..., Network] = LinearNetwork if architecture.is_linear else HiddenNetwork
    with torch.device("meta"):
        network = kind(architecture, prompts, actions, horizon, outputs)
    network = network.to(DTYPES[architecture.dtype]).to_empty(device="cpu")
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.ndim == 2:
                fan_in = 1 if name.endswith("embedding") else parameter.shape[1]
                parameter.normal_(0.0, fan_in**-0.5, generator=generator)
            else:
                is_gain = "before_" in name or name.endswith("last.weight")
                parameter.fill_(1.0 if is_gain and name.endswith("weight") else 0.0)
    return network.to(device)
