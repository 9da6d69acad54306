"""Torch as the arrays of a subject: the one place of the laws that imports it.

>>> array(tensor(np.ones(2)) / 2)
array([0.5, 0.5])
"""

from typing import Any

import numpy as np
import torch


def tensor(value: np.ndarray) -> torch.Tensor:
    """An own copy of the array as a tensor on the CPU."""
    return torch.tensor(np.ascontiguousarray(value))


def array(value: Any) -> Any:
    """A tensor's values; anything else as it is."""
    return value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value


def gradient(subject: Any, place: int, arrays: tuple[Any, ...]) -> np.ndarray:
    """The gradient, by autograd, of the sum of the answer in one argument; 0 where none flows."""
    name = subject.kind.arguments[place]
    places, words = subject._arguments(arrays, {})
    own = subject.contract.names.get(name, name)
    leaf = (words[own] if own in words else places[place]).requires_grad_()
    answer = subject._run(places, words)
    first = answer[0] if isinstance(answer, tuple) else answer
    if not isinstance(first, torch.Tensor) or not first.requires_grad:
        return np.zeros(np.shape(arrays[place]))
    (result,) = torch.autograd.grad(first.sum(), leaf, allow_unused=True)
    if result is None:
        return np.zeros(np.shape(arrays[place]))
    back = subject._back(result.detach().cpu().numpy().astype(np.float64))
    return subject.contract.sign * back
