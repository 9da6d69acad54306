"""Many tests at once: p-values that say how many of the findings may be false."""

import numpy as np
from numpy.typing import ArrayLike

from bandit_rlhf import _check
from bandit_rlhf._array import Float


def benjamini_hochberg(p_values: ArrayLike) -> Float[np.ndarray, " test"]:
    """Adjusted p-values q: of the tests with q <= a, a share of at most a is expected to be false.

    q_(i) = min_{j >= i} p_(j) m / j for the sorted p-values, independent or positively dependent.

    Args:
        p_values: [test], in [0, 1].

    Returns:
        [test], in the order given.

    Raises:
        ValueError: no tests, values outside of [0, 1].

    References:
        Benjamini and Hochberg 1995, J. Royal Statistical Society B 57:289.

    >>> benjamini_hochberg([0.01, 0.5, 0.02, 0.03]).round(4).tolist()
    [0.04, 0.5, 0.04, 0.04]
    """
    p, order = _sorted(p_values, "benjamini_hochberg")
    m = len(p)
    steps = p * m / np.arange(1, m + 1)
    return _unsorted(np.minimum.accumulate(steps[::-1])[::-1], order)


def holm(p_values: ArrayLike) -> Float[np.ndarray, " test"]:
    """Adjusted p-values: with probability 1 - a, none of the tests with a value <= a is false.

    max_{j <= i} min(1, p_(j) (m - j + 1)) for the sorted p-values, under any dependence.

    Args:
        p_values: [test], in [0, 1].

    Returns:
        [test], in the order given.

    Raises:
        ValueError: no tests, values outside of [0, 1].

    References:
        Holm 1979, Scandinavian Journal of Statistics 6:65.

    >>> holm([0.01, 0.5, 0.02, 0.03]).round(4).tolist()
    [0.04, 0.5, 0.06, 0.06]
    """
    p, order = _sorted(p_values, "holm")
    m = len(p)
    steps = np.minimum(p * np.arange(m, 0, -1), 1.0)
    return _unsorted(np.maximum.accumulate(steps), order)


def _sorted(p_values: ArrayLike, where: str) -> tuple[np.ndarray, np.ndarray]:
    p = _check.finite("p_values", p_values, where)
    if p.ndim != 1 or not len(p):
        got = f"p_values have shape {p.shape}"
        raise ValueError(_check.complaint(got, "one value a test", where))
    if p.min() < 0 or p.max() > 1:
        worst = int(np.argmax(np.maximum(-p, p - 1)))
        got = f"p_values[{worst}] is {p[worst]:g}"
        raise ValueError(_check.complaint(got, "between 0 and 1", where))
    order = np.argsort(p, kind="stable")
    return p[order], order


def _unsorted(values: np.ndarray, order: np.ndarray) -> np.ndarray:
    found = np.empty_like(values)
    found[order] = values
    return found
