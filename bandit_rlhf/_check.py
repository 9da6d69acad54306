"""Judges of arguments, with one grammar of messages: got, expected, where, what to do.

    prompt_law sums to 0.9, but should be 1 (tolerance 1e-09) [ContextualBandit]. Normalise it.

Every judge returns its argument in the form the caller computes with, so that a check is also the
conversion. Nothing is repaired in silence: a wrong argument raises `ValueError` (a wrong type,
`TypeError`).
"""

import math
import os
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

SUM_TOLERANCE = 1e-9
"""How far a probability vector's sum may lie from one: rounding of 1e6 terms, never a typing
error."""


def complaint(got: str, expected: str, where: str = "", do: str = "") -> str:
    """One sentence of the house grammar.

    >>> complaint("horizon is 0", "at least 1", where="Language", do="Give a positive horizon.")
    'horizon is 0, but should be at least 1 [Language]. Give a positive horizon.'
    """
    place = f" [{where}]" if where else ""
    return f"{got}, but should be {expected}{place}." + (f" {do}" if do else "")


def integer_at_least(name: str, value: Any, least: int, where: str = "") -> int:
    """Return `value` as int, or say why it is not an integer of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(complaint(f"{name} is {value!r}", "an integer", where))
    if value < least:
        raise ValueError(complaint(f"{name} is {value}", f"at least {least}", where))
    return int(value)


def positive(name: str, value: Any, where: str = "", do: str = "") -> float:
    """Return `value` as float, or say why it is not a finite number above zero."""
    number = real(name, value, where)
    if number <= 0:
        raise ValueError(complaint(f"{name} is {number:g}", "above 0", where, do))
    return number


def non_negative(name: str, value: Any, where: str = "", do: str = "") -> float:
    """Return `value` as float, or say why it is not a finite number of at least zero."""
    number = real(name, value, where)
    if number < 0:
        raise ValueError(complaint(f"{name} is {number:g}", "at least 0", where, do))
    return number


def real(name: str, value: Any, where: str = "") -> float:
    """Return `value` as float, or say why it is not a finite real number."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(complaint(f"{name} is {value!r}", "a real number", where))
    if not math.isfinite(value):
        raise ValueError(complaint(f"{name} is {value}", "finite", where))
    return float(value)


def finite(name: str, values: ArrayLike, where: str = "", do: str = "") -> np.ndarray:
    """Return `values` as a float64 array without NaN or infinity, or name the first offender."""
    array = np.asarray(values, dtype=np.float64)
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        at = tuple(int(i) for i in bad[0])
        got = (
            f"{name}[{', '.join(map(str, at))}] is {array[at]} ({len(bad)} of {array.size} entries)"
        )
        raise ValueError(complaint(got, "finite", where, do))
    return array


def shaped(
    name: str, array: np.ndarray, shape: tuple[int, ...], axes: str, where: str = ""
) -> np.ndarray:
    """Return `array`, or say which shape it should have; `axes` names them in words."""
    if array.shape != shape:
        raise ValueError(complaint(f"{name} has shape {array.shape}", f"{shape} = [{axes}]", where))
    return array


def alike(
    name: str, array: np.ndarray, other_name: str, other: np.ndarray, axis: str, where: str = ""
) -> np.ndarray:
    """Return `array`, or say that its last axis does not run over the same things as the other's.

    >>> alike("reward", np.zeros(3), "law", np.zeros(2), "string", "regret")
    Traceback (most recent call last):
    ...
    ValueError: reward has 3 entries [string], but should be 2, as law has [regret].
    """
    if array.shape[-1:] != other.shape[-1:]:
        sizes = [str(a.shape[-1]) if a.ndim else "no axis of" for a in (array, other)]
        got = f"{name} has {sizes[0]} entries [{axis}]"
        raise ValueError(complaint(got, f"{sizes[1]}, as {other_name} has", where))
    return array


def place(name: str, value: Any, count: int, where: str = "") -> int:
    """Return `value` as int, or say why it is no index of `count` things, counted from 0.

    >>> place("prompt", 3, 1, "viterbi")
    Traceback (most recent call last):
    ...
    ValueError: prompt is 3, but should be within 0..0 [viterbi].
    """
    index = integer_at_least(name, value, 0, where)
    if index >= count:
        raise ValueError(complaint(f"{name} is {index}", f"within 0..{count - 1}", where))
    return index


def distribution(name: str, values: ArrayLike, where: str = "", axis: int = -1) -> np.ndarray:
    """Return `values` as float64 probabilities along `axis`, or say what is wrong with them.

    >>> distribution("prompt_law", [0.5, 0.4])
    Traceback (most recent call last):
    ...
    ValueError: prompt_law sums to 0.9, but should be 1 (tolerance 1e-09). Normalise it.
    """
    array = finite(name, values, where)
    if array.ndim == 0:
        raise ValueError(
            complaint(f"{name} is the number {array:g}", "a probability vector", where)
        )
    if array.size == 0:
        raise ValueError(complaint(f"{name} is empty", "a non-empty probability vector", where))
    if array.min() < 0:
        at = tuple(int(i) for i in np.argwhere(array < 0)[0])
        got = f"{name}[{', '.join(map(str, at))}] is {array[at]:g}"
        raise ValueError(complaint(got, "a probability, at least 0", where))
    totals = array.sum(axis=axis)
    off = np.abs(totals - 1.0)
    if off.max() > SUM_TOLERANCE:
        worst = np.unravel_index(int(off.argmax()), np.shape(totals))
        row = f"{name}[{', '.join(str(int(i)) for i in worst)}]" if worst else name
        got = f"{row} sums to {totals[worst]:.12g}"
        raise ValueError(complaint(got, f"1 (tolerance {SUM_TOLERANCE:g})", where, "Normalise it."))
    return array


def physical_memory() -> int:
    """Bytes of memory that this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def fits_in_memory(
    what: str,
    count: int,
    bytes_each: float,
    where: str = "",
    do: str = "",
    limit: int | None = None,
) -> None:
    """Refuse a job whose arrays would not fit, naming the number of entries and the memory needed.

    `limit` is in bytes; by default half of the machine's memory.
    """
    limit = physical_memory() // 2 if limit is None else limit
    needed = math.ceil(count * Fraction(bytes_each))
    if needed > limit:
        got = f"{numeral(count)} {what} need {gibibytes(needed)}"
        raise ValueError(
            complaint(got, f"within the memory limit of {gibibytes(limit)}", where, do)
        )


def gibibytes(size: float) -> str:
    """A size in bytes as text in GiB.

    >>> gibibytes(3 * 2**29)
    '1.5 GiB'
    """
    small = size < 99 * 2**30
    return f"{size / 2**30:,.2g} GiB" if small else f"{numeral(int(size) // 2**30)} GiB"


def numeral(count: int) -> str:
    """A whole number as text: in full below 10^15, rounded above, where no float may reach.

    >>> numeral(1_398_101), numeral(40**300)
    ('1,398,101', '4.15e480')
    """
    if count < 10**15:
        return f"{count:,}"
    exponent, fraction = divmod(math.log10(count), 1.0)
    return f"{10**fraction:.3g}e{exponent:.0f}"
