"""Newton's method for a concave log-likelihood that is known by its gradient and curvature.

The log-likelihood itself is not evaluated on the way: along a direction it is concave, so the sign
and size of the directional derivative at the new point say whether the step went too far. Stopping
is by the score equation, item by item: the largest |observed - expected| relative to the item's
games.
"""

from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np


@runtime_checkable
class Curvature(Protocol):
    """Minus the Hessian at a point."""

    def solve(self, gradient: np.ndarray, tolerance: float) -> np.ndarray:
        """Newton's direction, to a relative residual of `tolerance` where solved iteratively."""
        ...

    def apply(self, vector: np.ndarray) -> np.ndarray:
        """The product with a parameter vector [parameter] or several [parameter, ...]."""
        ...


class Point(NamedTuple):
    """The log-likelihood around a parameter vector.

    Args:
        at: [parameter].
        gradient: [parameter].
        error: the largest entry of the gradient, each relative to the weight of its comparisons.
        curvature: minus the Hessian.
    """

    at: np.ndarray
    gradient: np.ndarray
    error: float
    curvature: Curvature


@runtime_checkable
class Problem(Protocol):
    """A concave log-likelihood, with its prior if it has one."""

    def evaluate(self, at: np.ndarray) -> Point:
        """Gradient, error and curvature at a parameter vector."""
        ...

    def longest_step(self, at: np.ndarray, direction: np.ndarray) -> float:
        """How far one may go along `direction` inside the parameters' domain."""
        ...


class Solution(NamedTuple):
    """Where Newton's method stopped, and whether that is a maximum."""

    point: Point
    converged: bool
    iterations: int


MAX_SHORTENINGS = 50

OVERSHOOT = 0.5
"""A step is kept unless the slope at its end is below minus this share of the slope at its
start."""


def maximise(
    problem: Problem, start: np.ndarray, tolerance: float, max_iterations: int
) -> Solution:
    """Climb from `start` until the error is at most `tolerance` or the iterations are spent.

    The linear systems are solved only as well as the step deserves: to a relative residual of the
    present error, which keeps the convergence quadratic (Dembo, Eisenstat and Steihaug 1982,
    Inexact Newton methods, Theorem 3.3).

    >>> from bandit_rlhf.reward.few_items import FewItems
    >>> won = np.array([[0.0, 3.0], [1.0, 0.0]])
    >>> problem = FewItems(won, 0.0, np.zeros(2))
    >>> found = maximise(problem, np.zeros(2), tolerance=1e-8, max_iterations=20)
    >>> found.converged, found.point.at.round(6)   # -+ ln(3) / 2
    (True, array([ 0.549306, -0.549306]))
    """
    point = problem.evaluate(start)
    for iteration in range(max_iterations):
        if point.error <= tolerance:
            return Solution(point, True, iteration)
        enough = 0.1 * tolerance / point.error
        direction = point.curvature.solve(point.gradient, min(0.1, max(point.error, enough)))
        at, slope = point.at, float(point.gradient @ direction)
        del point  # its curvature may fill memory that the next one needs
        point = _step(problem, at, direction, slope)
    return Solution(point, point.error <= tolerance, max_iterations)


def _step(problem: Problem, at: np.ndarray, direction: np.ndarray, slope: float) -> Point:
    length = min(1.0, problem.longest_step(at, direction))
    point = problem.evaluate(at + length * direction)
    for _ in range(MAX_SHORTENINGS):
        end_slope = float(point.gradient @ direction)
        if end_slope >= -OVERSHOOT * slope:
            break
        length *= max(0.1, slope / (slope - end_slope))  # secant: where the slope would vanish
        point = problem.evaluate(at + length * direction)
    return point
