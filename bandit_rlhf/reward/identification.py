"""What graphs do not tell: whether coefficients are determined, and whether they are finite.

A coefficient multiplies a column of the predictor matrix X [cell, column], d = X . parameters: the
two items' indicators or features, and the covariates of the comparison.
"""

import numpy as np

from bandit_rlhf import _check
from bandit_rlhf.comparison_graph import NoFiniteMaximum
from bandit_rlhf.comparisons import PairCounts
from bandit_rlhf.comparisons.names import Names

OWN_SHARE = 1e-5
"""A coefficient must keep this share of its information once the others are fitted along."""

DOUBTFUL = 12.0
"""Differences (nats) this large may be on their way to infinity."""


def require_identified(own: np.ndarray, alone: np.ndarray, names: Names) -> None:
    """Raise if some combination of coefficients changes no probability that others do not.

    Args:
        own: [coefficient, coefficient], the information with all else unknown.
        alone: [coefficient], the information about each with all else known.
        names: [coefficient].

    Raises:
        ValueError: naming the coefficients of that combination.

    >>> require_identified(np.ones((2, 2)), np.ones(2), ("height", "length"))
    Traceback (most recent call last):
    ...
    ValueError: 'height', 'length' vary only as other parameters do, but should be different ...
    """
    where = "fit"
    scale = np.sqrt(alone)
    if (scale == 0).any():
        got = f"{names[int((scale == 0).argmax())]!r} is 0 in every comparison"
        raise ValueError(_check.complaint(got, "different between items or comparisons", where))
    values, vectors = np.linalg.eigh(own / scale / scale[:, None])
    if values[0] < OWN_SHARE:
        weight = np.abs(vectors[:, 0] / scale)
        involved = np.flatnonzero(weight > 1e-3 * weight.max()).tolist()
        got = f"{', '.join(repr(names[k]) for k in involved)} vary only as other parameters do"
        do = "Drop one, or use ridge > 0."
        raise ValueError(_check.complaint(got, "different within pairs or along cycles", where, do))


def require_unseparated(
    counts: PairCounts,
    features: np.ndarray | None,
    tie_parameter: bool,
    names: Names,
    model: str,
) -> None:
    """Raise if scores and coefficients together separate wins from losses.

    A direction along which no outcome becomes less probable, and some more, exists iff a linear
    program has a positive value (Albert and Anderson 1984, Biometrika 71:1).

    Args:
        counts: the cells.
        features: [item, feature]; None: an indicator for each item.
        tie_parameter: whether the model has one.
        names: [coefficient], the last ones of the parameters but the tie parameter.
        model: the model's name, for messages.

    Raises:
        NoFiniteMaximum: naming the coefficients in that direction.
    """
    direction = separating_direction(counts, features, tie_parameter)
    if direction is None:
        return
    slopes = direction[-1 - len(names) : -1]
    named = ", ".join(repr(name) for name, slope in zip(names, slopes, strict=True) if slope)
    raise NoFiniteMaximum(
        _check.complaint(
            f"{model}: {named or 'the items'} can separate wins from losses",
            "overlapping, as the maximum is at infinity",
            do="Compare more, drop the covariate, or set ridge > 0.",
        )
    )


def separating_direction(
    counts: PairCounts, features: np.ndarray | None, tie_parameter: bool
) -> np.ndarray | None:
    """A direction in [items or features, covariates, tie] that never makes outcomes less probable.

    Wins ask for d >= u, ties for |d| <= u, with u = 0 where there is no tie parameter.

    Args:
        counts: the cells.
        features: [item, feature]; None: an indicator for each item.
        tie_parameter: whether u is free.

    Returns:
        The direction, or None if there is none but those that change no probability.
    """
    from scipy.optimize import linprog
    from scipy.sparse import csr_array, eye_array, hstack, vstack

    of_item = csr_array(eye_array(counts.item_count) if features is None else features)
    design = np.zeros((counts.cell_count, 0)) if counts.covariates is None else counts.covariates
    nothing = np.zeros((counts.cell_count, 1))
    gaps = of_item[counts.left] - of_item[counts.right]
    predictor = csr_array(hstack([gaps, csr_array(design), csr_array(nothing)]))
    slack = csr_array(hstack([0 * gaps, csr_array(0 * design), csr_array(nothing + tie_parameter)]))
    left, right = counts.left_wins > 0, counts.right_wins > 0
    tied = np.zeros(counts.cell_count, bool) if counts.ties is None else counts.ties > 0
    never_less = csr_array(
        vstack(
            [
                csr_array(predictor - slack)[left],
                csr_array(-predictor - slack)[right],
                csr_array(slack - predictor)[tied],
                csr_array(slack + predictor)[tied],
            ]
        )
    )
    gain = np.asarray(never_less.sum(axis=0)).ravel()
    if tie_parameter:
        gain[-1] += 1.0
    zeros = np.zeros(len(never_less.indptr) - 1)
    found = linprog(-gain, A_ub=-never_less, b_ub=zeros, bounds=(-1.0, 1.0))
    if found.status != 0:
        raise RuntimeError(f"the linear program for separation ended with {found.message!r}")
    if -found.fun <= 1e-7 * max(1.0, np.abs(gain).max()):
        return None
    return np.where(np.abs(found.x) > 1e-9, found.x, 0.0)
