"""What the adapters do to tensors on the way to a library and back, and nothing besides.

The functions use methods of tensors alone, so that nothing here imports torch.

>>> import torch
>>> column, prompts, mask = by_prompt(torch.tensor([[1.0, 2.0]]))
>>> column.tolist(), prompts.tolist(), mask.tolist()
([[1.0], [2.0]], [0, 0], [[1.0], [1.0]])
"""

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

Tensor = Any


def imported(name: str) -> Any:
    """A module of a library, which is imported when an adapter is called, not before."""
    return importlib.import_module(name)


def by_prompt(rewards: Tensor) -> tuple[Tensor, np.ndarray, Tensor]:
    """[prompt, draw] as strings of one token: rewards [string, 1], prompts [string], mask."""
    prompts, draws = rewards.shape
    column = rewards.reshape(-1, 1)
    return column, np.repeat(np.arange(prompts), draws), column.new_ones(column.shape)


def blanked(values: Tensor, mask: Tensor) -> Tensor:
    """Values with zeros at pads, where a library leaves anything."""
    return values.where(mask, values.new_zeros(()))


def with_final(rewards: Tensor, mask: Tensor, final: Tensor | None, gamma: float) -> Tensor:
    """Rewards with the value after a cut in the last one: r_T + gamma V(s_(T+1))."""
    if final is None:
        return rewards
    last = mask.shape[1] - 1 - mask.flip(1).int().argmax(1, keepdim=True)
    return rewards.scatter_add(1, last, gamma * final.reshape(-1, 1).to(rewards.dtype))


def pads_right(mask: Tensor, *arrays: Tensor) -> tuple[tuple[Tensor, ...], Tensor, Callable]:
    """Arrays with their pads moved to the right and zeroed, that mask, and the way back."""
    order = (~mask).int().argsort(dim=1, stable=True)
    moved = mask.gather(1, order)

    def back(result: Tensor) -> Tensor:
        return blanked(result.new_zeros(result.shape).scatter(1, order, result), mask)

    return tuple(blanked(x.gather(1, order), moved) for x in arrays), moved, back
