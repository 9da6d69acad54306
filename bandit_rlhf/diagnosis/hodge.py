"""Flows on a graph of comparisons, split in what scores, triangles and long cycles explain.

A flow says for each edge by how much its start is above its end. With incidence D (edge by item),
circulation C (triangle by edge, C D = 0) and the inner product <f, g> = sum_e w_e f_e g_e every
flow is the orthogonal sum of

    gradient  D s              differences of scores: consistent with one order
    curl      W^-1 C' phi      cyclic around triangles
    harmonic  the rest         without divergence or circulation: cyclic on long loops only

(Jiang, Lim, Yao and Ye 2011, Mathematical Programming 127:203, Theorem 2 and section 4). Matrices
are sparse; the two projections are least-squares problems, solved iteratively.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from bandit_rlhf import _check
from bandit_rlhf._array import Float, Int

MOST_PATHS = 4_000_000
"""Triangles are looked for among so many paths i < j < k at most: all of 288 items are compared."""

EXACT = 1e-14
"""Relative residual at which least squares stop."""

ROUNDING = 1e-16
"""A part whose squared norm is below this share of the flow's is 0."""

SWEEPS = 3
"""Each sweep projects what the one before left over, down to rounding."""


class HodgeFlows(NamedTuple):
    """The parts of a flow; their sum is the flow.

    Args:
        gradient: [edge].
        curl: [edge].
        harmonic: [edge].
    """

    gradient: Float[np.ndarray, " edge"]
    curl: Float[np.ndarray, " edge"]
    harmonic: Float[np.ndarray, " edge"]


@dataclass(frozen=True, eq=False)
class EdgeComplex:
    """A graph with its triangles.

    Args:
        item_count: the number of items.
        start: [edge], the smaller id.
        end: [edge], the larger id; edges are distinct and sorted by (start, end).
        triangles: [triangle, 3], the edges i-j, j-k and i-k of i < j < k; None: too many paths to
            look for them.
    """

    item_count: int
    start: Int[np.ndarray, " edge"]
    end: Int[np.ndarray, " edge"]
    triangles: Int[np.ndarray, "triangle 3"] | None

    def corners(self, triangle: int) -> tuple[int, int, int]:
        """The ids i < j < k of a triangle."""
        if self.triangles is None:
            raise ValueError(_check.complaint("the triangles are not known", "found", "corners"))
        first, second, _ = self.triangles[triangle]
        return int(self.start[first]), int(self.end[first]), int(self.end[second])

    def circulations(self, flow: Float[np.ndarray, " edge"]) -> Float[np.ndarray, " triangle"]:
        """[triangle], f_ij + f_jk + f_ki; none if the triangles are not known."""
        if self.triangles is None:
            return np.empty(0)
        along = flow[self.triangles]
        return along[:, 0] + along[:, 1] - along[:, 2]


def edge_complex(item_count: int, start: np.ndarray, end: np.ndarray) -> EdgeComplex:
    """Find the triangles of a graph.

    Args:
        item_count: at least 2.
        start: [edge], ids, each smaller than its `end`.
        end: [edge].

    Raises:
        ValueError: edges that are not distinct and sorted.

    >>> edge_complex(4, np.array([0, 0, 1, 2]), np.array([1, 2, 2, 3])).triangles.tolist()
    [[0, 2, 1]]
    """
    start, end = np.asarray(start, np.int64), np.asarray(end, np.int64)
    key = start * item_count + end
    if (start >= end).any() or (np.diff(key) <= 0).any():
        got = "edges are not distinct pairs start < end in rising order"
        raise ValueError(_check.complaint(got, "sorted", "edge_complex", "Sort them."))
    first = np.searchsorted(start, np.arange(item_count + 1))
    onward = np.diff(first)[end]
    if onward.sum() > MOST_PATHS:
        return EdgeComplex(item_count, start, end, None)
    one = np.repeat(np.arange(len(start)), onward)
    begins = np.cumsum(onward) - onward
    two = np.arange(len(one)) - np.repeat(begins, onward) + first[end[one]]
    closing = start[one] * item_count + end[two]
    third = np.searchsorted(key, closing)
    closed = key[np.minimum(third, len(key) - 1)] == closing
    triangles = np.stack([one[closed], two[closed], third[closed]], axis=1)
    return EdgeComplex(item_count, start, end, triangles)


def hodge_decomposition(
    graph: EdgeComplex,
    flow: Float[np.ndarray, " edge"],
    weight: Float[np.ndarray, " edge"],
    tolerance: float = EXACT,
) -> HodgeFlows:
    """Split a flow in its gradient, curl and harmonic part.

    Args:
        graph: with its triangles.
        flow: [edge], by how much the start is above the end, for instance in nats.
        weight: [edge], positive, for instance inverse variances.
        tolerance: of the projections, relative to the flow.

    Returns:
        The parts, orthogonal under the weights up to the tolerance.

    Raises:
        ValueError: weights that are not positive, shapes that do not agree, unknown triangles.

    >>> ring = edge_complex(3, np.array([0, 0, 1]), np.array([1, 2, 2]))
    >>> found = hodge_decomposition(ring, np.array([3.0, 0.0, 0.0]), np.ones(3))
    >>> found.gradient.round(9).tolist(), found.curl.round(9).tolist()
    ([2.0, 1.0, -1.0], [1.0, -1.0, 1.0])
    """
    where = "hodge_decomposition"
    if graph.triangles is None:
        got = f"the graph has more than {MOST_PATHS:,} paths of two edges"
        do = "Ask for `without_gradient` alone."
        raise ValueError(_check.complaint(got, "small enough to list triangles", where, do))
    cyclic = without_gradient(graph, flow, weight, tolerance)
    root = np.sqrt(weight)
    from scipy.sparse import csr_array

    count = len(graph.triangles)
    signs = np.broadcast_to([1.0, 1.0, -1.0], (count, 3)) / root[graph.triangles]
    place = graph.triangles.ravel(), np.repeat(np.arange(count), 3)
    boundary = csr_array((signs.ravel(), place), shape=(len(flow), count))
    curl = _projected(boundary, root * cyclic, tolerance) / root
    return HodgeFlows(flow - cyclic, curl, cyclic - curl)


def has_harmonic_flows(graph: EdgeComplex, rng: np.random.Generator) -> bool:
    """Whether some loop is not a sum of triangles, so that flows can be harmonic.

    If so, a random flow has a harmonic part with probability 1. Weights play no role: they bend the
    parts, not their dimensions.

    >>> ring = edge_complex(4, np.array([0, 0, 1, 2]), np.array([1, 3, 2, 3]))
    >>> has_harmonic_flows(ring, np.random.default_rng(0))
    True
    """
    probe = rng.standard_normal(len(graph.start))
    harmonic = hodge_decomposition(graph, probe, np.ones_like(probe)).harmonic
    return bool(harmonic @ harmonic > ROUNDING * (probe @ probe))


def without_gradient(
    graph: EdgeComplex,
    flow: Float[np.ndarray, " edge"],
    weight: Float[np.ndarray, " edge"],
    tolerance: float = EXACT,
) -> Float[np.ndarray, " edge"]:
    """[edge], the flow less its gradient part: what no scores explain."""
    where = "hodge_decomposition"
    edges = len(graph.start)
    for name, values in (("flow", flow), ("weight", weight)):
        _check.shaped(name, _check.finite(name, values, where), (edges,), "edge", where)
    if edges and weight.min() <= 0:
        at = int(weight.argmin())
        got = f"weight[{at}] is {weight[at]:g}"
        raise ValueError(_check.complaint(got, "above 0", where, "Leave the edge out."))
    from scipy.sparse import csr_array

    root = np.sqrt(weight)
    place = np.tile(np.arange(edges), 2), np.concatenate([graph.start, graph.end])
    incidence = csr_array((np.concatenate([root, -root]), place), shape=(edges, graph.item_count))
    return flow - _projected(incidence, root * flow, tolerance) / root


def _projected(matrix, vector: np.ndarray, tolerance: float) -> np.ndarray:
    """The orthogonal projection of a vector on the range of a sparse matrix."""
    from scipy.sparse.linalg import lsqr

    found = np.zeros_like(vector)
    if not matrix.shape[1]:
        return found
    for _ in range(SWEEPS):
        left = vector - found
        if not np.linalg.norm(matrix.T @ left) > tolerance * np.linalg.norm(vector):
            break
        solved = lsqr(matrix, left, atol=tolerance, btol=tolerance, conlim=0.0)[0]
        found = found + matrix @ solved
    return found
