"""What a deviation looks like: words for the number behind `got` and `expected`.

>>> import numpy as np
>>> reading(np.array([0.5, -0.5]), np.array([1.0, -1.0]), 4e15, {"n": 2})
'off by 4e+15 eps-units; pure scale error x0.5 = (n-1)/n: own sample inside a mean?'
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np

CLOSE = 1e-6
"""How near a slope must come to a known factor to be given its name."""

FORMULAS = {
    "(n-1)/n": "own sample inside a mean?",
    "n/(n-1)": "own sample left out of a mean, but not of its size?",
    "1/n": "divided by the number of draws once too often?",
    "n": "a sum where a mean is meant?",
    "1/(n-1)": "a sum over the others divided by n - 1?",
    "-1": "the sign",
    "2": "a factor two",
    "1/2": "a factor one half",
}


def category(got: np.ndarray, expected: np.ndarray) -> str:
    """The class of a failure, kept by shrinking: "nonfinite", "vanishing", "scale" or "other"."""
    if not (np.isfinite(got).all() and np.isfinite(expected).all()):
        return "nonfinite"
    if expected.any() and not got.any():
        return "vanishing"
    return "scale" if _slope(got, expected) is not None else "other"


def reading(got: np.ndarray, expected: np.ndarray, size: float, case: Mapping[str, Any]) -> str:
    """One line: how far off, and what sort of error that is."""
    sort, slope = category(got, expected), _slope(got, expected)
    if sort == "nonfinite":
        words = _nonfinite(got)
    elif sort == "vanishing":
        words = "nothing at all is left of it"
    else:
        words = _residual(got, expected) if slope is None else _scale(slope, case)
    off = "off by more than can be counted" if np.isinf(size) else f"off by {size:.2g} eps-units"
    return f"{off}; {words}"


def factor(formula: float | str, case: Mapping[str, Any]) -> float:
    """A factor such as "(n-1)/n" at the sizes of a case.

    >>> factor("(n-1)/n", {"n": 4})
    0.75
    """
    if not isinstance(formula, str):
        return float(formula)
    sizes = {name: value for name, value in case.items() if isinstance(value, int)}
    try:
        return float(eval(compile(formula, "slope", "eval"), {"__builtins__": {}}, sizes))
    except (NameError, SyntaxError, TypeError, ZeroDivisionError) as error:
        known = ", ".join(sizes) or "nothing"
        raise ValueError(
            f"slope is {formula!r}, but should be a formula in the sizes of the case "
            f"({known}): {error}."
        ) from error


def _slope(got: np.ndarray, expected: np.ndarray) -> float | None:
    """The c with got = c * expected, if there is one and two entries tell."""
    got, expected = got.ravel(), expected.ravel()
    norm = float(expected @ expected)
    if not np.isfinite(got).all() or not 0 < norm < np.inf or np.count_nonzero(expected) < 2:
        return None
    slope = float(got @ expected) / norm
    residual = np.abs(got - slope * expected).max()
    return slope if residual <= CLOSE * np.abs(got).max() else None


def _scale(slope: float, case: Mapping[str, Any]) -> str:
    text = f"pure scale error x{slope:.6g}"
    for formula, guess in FORMULAS.items():
        try:
            value = factor(formula, case)
        except ValueError:
            continue
        if abs(slope - value) <= CLOSE * abs(value):
            return f"{text} = {formula}: {guess}"
    near = Fraction(slope).limit_denominator(64)
    named = f" = {near}" if near and abs(slope - near) <= CLOSE * abs(near) else ""
    return text + named


def _nonfinite(got: np.ndarray) -> str:
    bad = int((~np.isfinite(got)).sum())
    which = "NaN" if np.isnan(got).any() else "infinite"
    return f"{bad} of {got.size} entries are {which}"


def _residual(got: np.ndarray, expected: np.ndarray) -> str:
    if not expected.any():
        return f"should be 0, is up to {np.abs(got).max():.4g}"
    norm = float((expected * expected).sum())
    slope = float((got * expected).sum()) / norm
    gap = float(np.abs(got - expected).max())
    if got.size == 1:
        return f"differs by {float(got.ravel()[0] - expected.ravel()[0]):.4g} (ratio {slope:.6g})"
    with np.errstate(over="ignore", invalid="ignore"):
        left = np.linalg.norm(got - slope * expected) / np.linalg.norm(got) if got.any() else 0.0
    return f"not a scale: slope {slope:.4g}, {left:.2g} of it lies elsewhere; largest gap {gap:.4g}"
