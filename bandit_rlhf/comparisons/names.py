"""Names and ids: interning, judging id columns, uniting name lists."""

import itertools
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bandit_rlhf import _check

Names = Sequence[Any]
"""`names[id]`: a tuple, or a range where ids are names enough."""

LARGEST_COUNT = 2**30
"""Two ids and an outcome must fit into one 64-bit key."""


def integers(name: str, ids: ArrayLike) -> np.ndarray:
    """Return `ids` as an integer vector, or say what else they are."""
    array = np.asarray(ids)
    if array.ndim != 1:
        got = f"{name} has shape {array.shape}"
        raise ValueError(_check.complaint(got, "a vector [row]"))
    if array.size and array.dtype.kind not in "iu":
        got = f"{name} has dtype {array.dtype}"
        raise TypeError(_check.complaint(got, "integer ids", do="Use from_labels for names."))
    return array.astype(np.int32) if array.size == 0 else array


def largest(ids: np.ndarray) -> int:
    """The largest id, -1 if there is none."""
    return int(ids.max()) if ids.size else -1


def id_column(name: str, ids: np.ndarray, count: int, rows: int, where: str) -> np.ndarray:
    """Return `ids` as int32, or name the first that is not in 0 .. count - 1."""
    array = _check.shaped(name, integers(name, ids), (rows,), "row", where)
    if count > LARGEST_COUNT:
        raise ValueError(_check.complaint(f"{name} has {count:,} names", "at most 2^30", where))
    if array.min() < 0 or array.max() >= count:
        row = int(((array < 0) | (array >= count)).argmax())
        got = f"{name}[{row}] is {array[row]}"
        raise ValueError(_check.complaint(got, f"an id in 0..{count - 1}", where))
    return array.astype(np.int32, copy=False)


def intern(
    what: str, *columns: Sequence[Hashable] | np.ndarray
) -> tuple[Names, tuple[np.ndarray, ...]]:
    """Sorted distinct names of all columns, and each column as ids.

    Args:
        what: what is named, for messages.
        columns: vectors of names: all strings, or all numbers, or all tuples.

    Returns:
        The names and one int32 id column for each column given.

    Raises:
        TypeError: names of kinds that do not compare, named with their rows.

    >>> intern("item", ["b", "a"], ["a", "c"])
    (('a', 'b', 'c'), (array([1, 0], dtype=int32), array([0, 2], dtype=int32)))
    """
    arrays = [column for column in columns if isinstance(column, np.ndarray)]
    lengths = [len(column) for column in columns]
    if len(arrays) == len(columns) and all(array.dtype.kind in "iuSU" for array in arrays):
        names, ids = np.unique(np.concatenate(arrays), return_inverse=True)
        ordered, ids = tuple(names.tolist()), ids.astype(np.int32)
    else:
        flat = list(itertools.chain.from_iterable(map(_as_list, columns)))
        refuse_mixed(what, flat, lengths)
        ordered = tuple(sorted(set(flat)))  # type: ignore[type-var]
        position = {name: i for i, name in enumerate(ordered)}
        ids = np.fromiter((position[name] for name in flat), np.int32, len(flat))
    return ordered, tuple(np.split(ids, np.cumsum(lengths)[:-1]))


def _as_list(column: Sequence[Hashable] | np.ndarray) -> list[Hashable]:
    return column.tolist() if isinstance(column, np.ndarray) else list(column)


def refuse_mixed(what: str, names: list[Hashable], lengths: list[int]) -> None:
    """Raise if a name is missing or is of another type than the first."""
    for at, name in enumerate(names):
        if name is None or name != name or type(name) is not type(names[0]):
            row = at - max(start for start in np.cumsum([0, *lengths[:-1]]).tolist() if start <= at)
            got = f"{what} name {name!r} in row {row} is of type {type(name).__name__}"
            expected = f"like the first, {names[0]!r} of type {type(names[0]).__name__}"
            raise TypeError(_check.complaint(got, expected, do="Convert all names to strings."))


def unite(first: Names, second: Names) -> tuple[Names, np.ndarray, np.ndarray]:
    """The union of two name lists, and the id maps of both into it.

    Equal lists stay as they are, two ranges give the longer; others are sorted, so that unions do
    not depend on their order.

    >>> unite(("a", "c"), ("b", "c"))[0]
    ('a', 'b', 'c')
    """
    if first is second or (type(first) is type(second) and first == second):
        same = np.arange(len(first), dtype=np.int32)
        return first, same, same
    if isinstance(first, range) and isinstance(second, range):
        longer = max(first, second, key=len)
        return longer, np.arange(len(first), dtype=np.int32), np.arange(len(second), dtype=np.int32)
    names, (one, two) = intern("item", list(first), list(second))
    return names, one, two
