"""The Hodge decomposition: dense linear algebra, orthogonality, graphs with known topology."""

import itertools

import numpy as np
import pytest

from bandit_rlhf.diagnosis import edge_complex, hodge, hodge_decomposition
from bandit_rlhf.diagnosis.hodge import EdgeComplex, has_harmonic_flows, without_gradient


def random_graph(rng: np.random.Generator, items: int, density: float) -> EdgeComplex:
    start, end = np.triu_indices(items, 1)
    kept = rng.random(len(start)) < density
    return edge_complex(items, start[kept], end[kept])


def dense_gradient(graph: EdgeComplex) -> np.ndarray:
    """[edge, item]."""
    eye = np.eye(graph.item_count)
    return eye[graph.start] - eye[graph.end]


def dense_circulation(graph: EdgeComplex) -> np.ndarray:
    """[triangle, edge], from a plain search."""
    edges = list(zip(graph.start.tolist(), graph.end.tolist(), strict=True))
    rows = []
    for i, j, k in itertools.combinations(range(graph.item_count), 3):
        if {(i, j), (j, k), (i, k)} <= set(edges):
            row = np.zeros(len(edges))
            row[[edges.index((i, j)), edges.index((j, k))]] = 1.0
            row[edges.index((i, k))] = -1.0
            rows.append(row)
    return np.array(rows).reshape(len(rows), len(edges))


GRAPHS = [
    (items, density, seed) for items in (5, 9) for density in (0.4, 0.7, 1.0) for seed in (0, 1)
]


@pytest.mark.parametrize(("items", "density", "seed"), GRAPHS)
def test_triangles_are_those_of_a_plain_search(items: int, density: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, items, density)
    flow = rng.normal(size=len(graph.start))
    expected = dense_circulation(graph)
    assert graph.triangles is not None
    assert len(graph.triangles) == len(expected)
    np.testing.assert_allclose(
        np.sort(graph.circulations(flow)), np.sort(expected @ flow), atol=1e-12
    )
    for triangle, edges in enumerate(graph.triangles):
        i, j, k = graph.corners(triangle)
        pairs = [(graph.start[e], graph.end[e]) for e in edges]
        assert pairs == [(i, j), (j, k), (i, k)]


@pytest.mark.parametrize(("items", "density", "seed"), GRAPHS)
def test_equals_dense_projections(items: int, density: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, items, density)
    flow = rng.normal(size=len(graph.start))
    weight = np.exp(rng.normal(size=len(graph.start)))
    found = hodge_decomposition(graph, flow, weight)
    root = np.sqrt(weight)

    def projected(basis: np.ndarray) -> np.ndarray:
        return basis @ (np.linalg.pinv(basis) @ (root * flow)) / root

    gradient = projected(root[:, None] * dense_gradient(graph))
    curl = projected(dense_circulation(graph).T / root[:, None])
    np.testing.assert_allclose(found.gradient, gradient, atol=1e-11)
    np.testing.assert_allclose(found.curl, curl, atol=1e-11)
    np.testing.assert_allclose(found.harmonic, flow - gradient - curl, atol=1e-11)
    np.testing.assert_allclose(
        without_gradient(graph, flow, weight), found.curl + found.harmonic, atol=1e-12
    )


@pytest.mark.parametrize("density", [0.15, 0.5])
def test_parts_are_orthogonal_to_machine_precision(density: float) -> None:
    rng = np.random.default_rng(2)
    graph = random_graph(rng, 40, density)
    flow = rng.normal(size=len(graph.start))
    weight = np.exp(2 * rng.normal(size=len(graph.start)))
    parts = hodge_decomposition(graph, flow, weight)
    np.testing.assert_allclose(sum(parts), flow, atol=1e-13)
    size = float(weight @ flow**2)
    for one, other in itertools.combinations(parts, 2):
        assert abs(float(weight @ (one * other))) < 1e-13 * size
    assert sum(float(weight @ part**2) for part in parts) == pytest.approx(size, rel=1e-12)
    unweighted = hodge_decomposition(graph, flow, np.ones_like(weight))
    wrong = abs(float(weight @ (unweighted.gradient * unweighted.curl)))
    assert wrong > 1e-6 * size  # control: without the weights the parts are not orthogonal


def test_a_tolerance_is_kept() -> None:
    """What draws of the bootstrap use: sizes are off by less than a ten-millionth."""
    rng = np.random.default_rng(7)
    graph = random_graph(rng, 40, 0.2)
    flow, weight = rng.normal(size=len(graph.start)), np.exp(rng.normal(size=len(graph.start)))
    exact, rough = (hodge_decomposition(graph, flow, weight, t) for t in (1e-14, 1e-6))
    size = float(weight @ flow**2)
    for one, other in zip(exact, rough, strict=True):
        assert float(weight @ (one - other) ** 2) < 1e-7 * size
        assert float(weight @ one**2) == pytest.approx(float(weight @ other**2), abs=1e-7 * size)


def test_a_gradient_has_no_other_part() -> None:
    rng = np.random.default_rng(3)
    graph = random_graph(rng, 12, 0.5)
    scores = rng.normal(size=12)
    flow = scores[graph.start] - scores[graph.end]
    found = hodge_decomposition(graph, flow, np.exp(rng.normal(size=len(flow))))
    np.testing.assert_allclose(found.gradient, flow, atol=1e-12)
    np.testing.assert_allclose(graph.circulations(flow), 0, atol=1e-12)


def test_a_ring_of_four_is_harmonic() -> None:
    ring = edge_complex(4, np.array([0, 0, 1, 2]), np.array([1, 3, 2, 3]))
    flow = np.array([1.0, -1.0, 1.0, 1.0])  # 0 > 1 > 2 > 3 > 0
    found = hodge_decomposition(ring, flow, np.ones(4))
    np.testing.assert_allclose(found.harmonic, flow, atol=1e-12)


def test_a_chord_turns_it_into_curl() -> None:
    chorded = edge_complex(4, np.array([0, 0, 0, 1, 2]), np.array([1, 2, 3, 2, 3]))
    flow = np.array([1.0, 0.0, -1.0, 1.0, 1.0])
    found = hodge_decomposition(chorded, flow, np.ones(5))
    np.testing.assert_allclose(found.curl, flow, atol=1e-12)


def test_a_complete_graph_has_no_harmonic_flow() -> None:
    rng = np.random.default_rng(4)
    graph = random_graph(rng, 15, 1.0)
    found = hodge_decomposition(graph, rng.normal(size=105), np.exp(rng.normal(size=105)))
    np.testing.assert_allclose(found.harmonic, 0, atol=1e-11)


def test_borda_counts_are_the_potential_of_a_complete_graph() -> None:
    """Jiang et al. 2011, section 6.3: with equal weights scores are the mean flows of items."""
    rng = np.random.default_rng(5)
    graph = random_graph(rng, 7, 1.0)
    flow = rng.normal(size=21)
    matrix = np.zeros((7, 7))
    matrix[graph.start, graph.end], matrix[graph.end, graph.start] = flow, -flow
    borda = matrix.mean(axis=1)
    found = hodge_decomposition(graph, flow, np.ones(21))
    np.testing.assert_allclose(found.gradient, borda[graph.start] - borda[graph.end], atol=1e-12)


@pytest.mark.parametrize(("items", "density", "seed"), GRAPHS)
def test_harmonic_flows_exist_where_triangles_do_not_span_the_loops(
    items: int, density: float, seed: int
) -> None:
    """The dimension of harmonic flows: edges less the ranks of incidence and circulation."""
    graph = random_graph(np.random.default_rng(seed), items, density)
    ranks = [
        np.linalg.matrix_rank(matrix) if matrix.size else 0
        for matrix in (dense_gradient(graph), dense_circulation(graph))
    ]
    dimension = len(graph.start) - sum(ranks)
    assert has_harmonic_flows(graph, np.random.default_rng(6)) == (dimension > 0)


def test_control_both_kinds_of_graphs_are_among_these() -> None:
    graphs = [
        random_graph(np.random.default_rng(seed), items, density) for items, density, seed in GRAPHS
    ]
    found = [has_harmonic_flows(graph, np.random.default_rng(6)) for graph in graphs]
    assert set(found) == {False, True}


def test_a_tree_has_no_loops() -> None:
    tree = edge_complex(4, np.array([0, 1, 1]), np.array([1, 2, 3]))
    flow = np.array([3.0, -1.0, 2.0])
    found = hodge_decomposition(tree, flow, np.array([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(found.gradient, flow, atol=1e-12)
    assert tree.circulations(flow).shape == (0,)


def test_too_many_paths_leave_the_triangles_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hodge, "MOST_PATHS", 34)
    start, end = np.triu_indices(7, 1)  # 35 paths i < j < k
    graph = edge_complex(7, start, end)
    assert graph.triangles is None
    assert graph.circulations(np.ones(21)).shape == (0,)
    assert without_gradient(graph, np.ones(21), np.ones(21)).shape == (21,)
    with pytest.raises(ValueError, match="more than 34 paths of two edges"):
        hodge_decomposition(graph, np.ones(21), np.ones(21))
    with pytest.raises(ValueError, match="triangles are not known"):
        graph.corners(0)


TRIANGLE = edge_complex(3, np.array([0, 0, 1]), np.array([1, 2, 2]))

REFUSED = {
    "weights of 0": (np.ones(3), np.array([1.0, 0.0, 1.0]), r"weight\[1\] is 0"),
    "a missing flow": (np.array([1.0, np.nan, 1.0]), np.ones(3), r"flow\[1\] is nan"),
    "too few": (np.ones(2), np.ones(2), r"flow has shape \(2,\)"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    flow, weight, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        hodge_decomposition(TRIANGLE, flow, weight)


@pytest.mark.parametrize(("start", "end"), [([1, 0], [0, 1]), ([0, 0], [2, 1]), ([0, 0], [1, 1])])
def test_unsorted_edges_are_refused(start: list[int], end: list[int]) -> None:
    with pytest.raises(ValueError, match="distinct pairs start < end in rising order"):
        edge_complex(3, np.array(start), np.array(end))
