"""Minus the Hessian of a pair likelihood: a graph Laplacian, bordered by a few extra parameters.

        | D - W   B |      W: items, the weights of pairs;   D: their row sums, plus the ridge
        |  B'     C |      B: items x extras;                C: extras x extras

Without a prior, adding a constant to the scores of a component changes nothing and the matrix is
singular along these directions. A dense solve answers in their complement; conjugate gradients
never enter them, since the right-hand side is orthogonal to them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

MAX_CONJUGATE_STEPS = 1000


def gauge_projection(component: np.ndarray, extras: int) -> np.ndarray:
    """[parameter, parameter], the orthogonal projection on scores constant in each component.

    >>> gauge_projection(np.array([0, 0, 1]), 0)
    array([[0.5, 0.5, 0. ],
           [0.5, 0.5, 0. ],
           [0. , 0. , 1. ]])
    """
    n = len(component)
    projection = np.zeros((n + extras, n + extras))
    projection[:n, :n] = (component[:, None] == component) / np.bincount(component)[component]
    return projection


@dataclass(frozen=True, eq=False)
class DenseCurvature:
    """The bordered Laplacian as a matrix, for few items.

    Args:
        matrix: [parameter, parameter].
        projection: on the null space; None: the matrix is regular.
    """

    matrix: np.ndarray
    projection: np.ndarray | None

    def solve(self, gradient: np.ndarray, tolerance: float) -> np.ndarray:
        """The solution in the complement of the null space; it needs no `tolerance`."""
        return np.linalg.solve(self._lifted()[0], gradient)

    def apply(self, vector: np.ndarray) -> np.ndarray:
        """The product with a parameter vector [parameter] or several [parameter, ...]."""
        return self.matrix @ vector

    def pseudo_inverse(self) -> np.ndarray:
        """The inverse on the complement of the null space."""
        matrix, lift = self._lifted()
        inverse = np.linalg.inv(matrix)
        return inverse if self.projection is None else inverse - self.projection / lift

    def _lifted(self) -> tuple[np.ndarray, float]:
        """A regular matrix of like scale: a multiple of the projection fills the null space."""
        if self.projection is None:
            return self.matrix, 1.0
        lift = float(np.trace(self.matrix)) / len(self.matrix)
        return self.matrix + lift * self.projection, lift


@dataclass(frozen=True, eq=False)
class IterativeCurvature:
    """The bordered Laplacian by its products, solved by preconditioned conjugate gradients.

    Args:
        off_diagonal: the product with W, [item] -> [item].
        diagonal: [item], D.
        border: [item, extra].
        corner: [extra, extra].
        fallback: the same as a matrix, made and solved where the iteration is too slow; None: go
            on.
        patience: the number of steps before the fallback.
    """

    off_diagonal: Callable[[np.ndarray], np.ndarray]
    diagonal: np.ndarray
    border: np.ndarray
    corner: np.ndarray
    fallback: Callable[[], DenseCurvature] | None = None
    patience: int = MAX_CONJUGATE_STEPS

    def apply(self, vector: np.ndarray) -> np.ndarray:
        """The product with a parameter vector [parameter] or several [parameter, ...]."""
        n = len(self.diagonal)
        if n == len(vector):
            return (self.diagonal * vector.T).T - self.off_diagonal(vector)
        scores, extras = vector[:n], vector[n:]
        image = (self.diagonal * scores.T).T - self.off_diagonal(scores)
        below = self.border.T @ scores + self.corner @ extras
        return np.concatenate([image + self.border @ extras, below])

    def precondition(self, vector: np.ndarray) -> np.ndarray:
        """The product with the inverse of D and of C."""
        n = len(self.diagonal)
        if n == len(vector):
            return vector / self.diagonal
        extras = np.linalg.solve(self.corner, vector[n:])
        return np.concatenate([vector[:n] / self.diagonal, extras])

    def solve(self, gradient: np.ndarray, tolerance: float) -> np.ndarray:
        """The solution to a residual of `tolerance` relative to the right-hand side."""
        solution = np.zeros_like(gradient)
        residual = gradient
        direction = steered = self.precondition(residual)
        size = residual @ steered
        goal = size * tolerance**2
        for _ in range(self.patience):
            if size <= goal:
                return solution
            image = self.apply(direction)
            length = size / (direction @ image)
            solution = solution + length * direction
            residual = residual - length * image
            steered = self.precondition(residual)
            size, before = residual @ steered, size
            direction = steered + (size / before) * direction
        return solution if self.fallback is None else self.fallback().solve(gradient, tolerance)


def sparse_laplacian(
    weight: np.ndarray,
    right: np.ndarray,
    start: np.ndarray,
    ridge: float,
    border: np.ndarray,
    corner: np.ndarray,
) -> IterativeCurvature:
    """The Laplacian from one triangle of W, row-compressed.

    Args:
        weight: [cell], float32.
        right: [cell].
        start: [item + 1].
        ridge: added to D.
        border: [item, extra].
        corner: [extra, extra].
    """
    from scipy.sparse import csr_array

    items = len(border)
    index = np.int32 if start[-1] < 2**31 else np.int64
    triangle = (weight, right.astype(index, copy=False), start.astype(index, copy=False))
    upper = csr_array(triangle, shape=(items, items))
    lower = upper.T

    def off_diagonal(vector: np.ndarray) -> np.ndarray:
        single = vector.astype(np.float32)
        return (upper @ single).astype(np.float64) + lower @ single

    return IterativeCurvature(off_diagonal, off_diagonal(np.ones(items)) + ridge, border, corner)
