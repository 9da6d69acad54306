"""Arrays with pads: judges of shapes, sums over participating tokens, and the stop of a gradient.

What stands at a pad may be anything, NaN included, so it is replaced *before* arithmetic: NaN * 0
is NaN, and so is its gradient.

>>> import numpy as np
>>> kept(np.asarray([[1.0, float("nan")]]), np.asarray([[True, False]]))
array([[1., 0.]])
"""

from typing import Any

from array_api_compat import array_namespace

from bandit_rlhf import _check

Array = Any
"""Any array of the Array API standard: NumPy, torch, JAX."""


def kept(values: Array, mask: Array) -> Array:
    """The values where a token participates, 0 at pads."""
    xp = array_namespace(values)
    return xp.where(xp.astype(mask, xp.bool), values, xp.zeros_like(values))


def counted(mask: Array, like: Array, axis: int | None = None) -> Array:
    """How many tokens participate, in the dtype of `like`."""
    xp = array_namespace(like)
    return xp.sum(xp.astype(xp.astype(mask, xp.bool), like.dtype), axis=axis)


def detached(values: Array) -> Array:
    """The values without their gradient; arrays that carry none, as they are."""
    return values.detach() if hasattr(values, "detach") else values


def tokens(where: str, mask: Array, **arrays: Array) -> None:
    """Judge that all arrays are [string, token] like the mask, which leaves some token.

    Raises:
        ValueError: another shape; no participating token, for which no mean exists.
    """
    if mask.ndim != 2:
        raise ValueError(
            _check.complaint(f"mask has {mask.ndim} axes", "two, [string, token]", where)
        )
    for name, array in arrays.items():
        if tuple(array.shape) != tuple(mask.shape):
            got = f"{name} has shape {tuple(array.shape)}"
            raise ValueError(
                _check.complaint(got, f"{tuple(mask.shape)} = [string, token], as mask", where)
            )
    xp = array_namespace(mask)
    if not bool(xp.any(xp.astype(mask, xp.bool))):
        raise ValueError(
            _check.complaint("mask has no participating token", "true somewhere", where)
        )


def table(where: str, name: str, array: Array, axes: str) -> None:
    """Judge that an array has two axes, such as "prompt, draw", and is not empty."""
    if array.ndim != 2 or 0 in array.shape:
        got = f"{name} has shape {tuple(array.shape)}"
        raise ValueError(_check.complaint(got, f"a table [{axes}], not empty", where))


def same_shape(where: str, **arrays: Array) -> None:
    """Judge that all arrays have the shape of the first."""
    (first, array), *others = arrays.items()
    for name, other in others:
        if tuple(other.shape) != tuple(array.shape):
            got = f"{name} has shape {tuple(other.shape)}"
            raise ValueError(_check.complaint(got, f"{tuple(array.shape)}, as {first} has", where))
