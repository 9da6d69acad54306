"""Existence: the graph says when the maximum is finite, and the error names the right items."""

import networkx
import numpy as np
import pytest
from hypothesis import given

from bandit_rlhf.comparison_graph import (
    NoFiniteMaximum,
    components,
    connectivity,
    is_strongly_connected,
    missing_wins,
    require_finite_maximum,
    tie_parameter_is_finite,
)
from bandit_rlhf.comparisons import Comparisons, aggregate
from tests.comparison_worlds import CHECKED_AT_RANDOM, ringed_tables, tables

pytestmark = CHECKED_AT_RANDOM


def drawn(rows: Comparisons) -> networkx.DiGraph:
    """The graph of wins, by another library."""
    graph = networkx.DiGraph()
    graph.add_nodes_from(range(rows.item_count))
    graph.add_edges_from(zip(rows.winner.tolist(), rows.loser.tolist(), strict=True))
    if rows.tie is not None:
        tied = zip(rows.loser[rows.tie].tolist(), rows.winner[rows.tie].tolist(), strict=True)
        graph.add_edges_from(tied)
    return graph


def partition(labels: np.ndarray) -> set[frozenset[int]]:
    """The sets of items with like labels."""
    return {frozenset(np.flatnonzero(labels == label).tolist()) for label in set(labels.tolist())}


@given(tables(ties=True, most_rows=10))
def test_components_are_networkx_s(rows: Comparisons) -> None:
    found, graph = connectivity(aggregate(rows)), drawn(rows)
    weak = {frozenset(part) for part in networkx.weakly_connected_components(graph)}
    strong = {frozenset(part) for part in networkx.strongly_connected_components(graph)}
    assert partition(found.component) == partition(components(aggregate(rows))) == weak
    assert partition(found.strong) == strong
    arrows = networkx.to_numpy_array(graph, range(rows.item_count))
    assert is_strongly_connected(arrows) is (len(strong) == 1)


@given(tables(most_rows=10))
def test_missing_wins_connect_and_are_as_few_as_can_be(rows: Comparisons) -> None:
    wins = missing_wins(connectivity(aggregate(rows)), range(rows.item_count))
    graph = drawn(rows)
    condensed = networkx.condensation(graph)
    if len(condensed) == 1:
        assert wins == []
        return
    graph.add_edges_from(wins)
    assert networkx.is_strongly_connected(graph)
    unbeaten = sum(degree == 0 for _, degree in condensed.in_degree())
    winless = sum(degree == 0 for _, degree in condensed.out_degree())
    assert len(wins) == max(unbeaten, winless)  # each of them needs one


def test_sweeps_that_do_not_suffice_fall_back_on_the_exact_search() -> None:
    """A path against the order of the sweep needs as many sweeps as it has items."""
    n = 50
    down = np.arange(n - 1, dtype=np.int32)
    path = np.random.default_rng(0).permutation(n).astype(np.int32)
    rows = Comparisons.from_ids(
        np.concatenate([path[down], path[down + 1]]), np.concatenate([path[down + 1], path[down]])
    )
    found = connectivity(aggregate(rows))
    assert found.is_strongly_connected
    assert found.is_connected


def test_the_message_names_unbeaten_winless_and_the_cure() -> None:
    rows = Comparisons.from_labels(["top", "a", "b", "a"], ["a", "b", "a", "bottom"])
    with pytest.raises(NoFiniteMaximum) as caught:
        require_finite_maximum(aggregate(rows), "Bradley-Terry")
    message = str(caught.value)
    assert "{'top'} never lost to the rest" in message
    assert "{'bottom'} never won against the rest" in message
    assert "a win of 'bottom' over 'top'" in message
    assert "set ridge > 0" in message


def test_the_message_names_components_that_never_meet() -> None:
    rows = Comparisons.from_labels(["a", "b", "c", "d"], ["b", "a", "d", "c"])
    with pytest.raises(NoFiniteMaximum, match=r"2 components .* \{'a', 'b'\}, \{'c', 'd'\}"):
        require_finite_maximum(aggregate(rows), "Bradley-Terry")
    group = np.array([0, 0, 1, 1])
    assert require_finite_maximum(aggregate(rows), "Bradley-Terry", group).tolist() == [0, 0, 1, 1]


def test_long_lists_are_counted_not_printed() -> None:
    n = 1000
    rows = Comparisons.from_ids(np.arange(n - 1), np.arange(1, n))
    with pytest.raises(NoFiniteMaximum) as caught:
        require_finite_maximum(aggregate(rows), "Bradley-Terry")
    assert len(str(caught.value)) < 500
    apart = Comparisons.from_ids(np.arange(0, n, 2), np.arange(1, n, 2))
    with pytest.raises(NoFiniteMaximum, match=r"500 components .* and 495 more") as caught:
        require_finite_maximum(aggregate(apart), "Bradley-Terry")
    assert len(str(caught.value)) < 600


def explained_by_ties(rows: Comparisons) -> bool:
    """Whether scores exist with v_i - v_j >= 1 for wins and |v_i - v_j| <= 1 for ties (by LP)."""
    from scipy.optimize import linprog

    assert rows.tie is not None
    lines = []
    for i, j, tied in zip(rows.winner, rows.loser, rows.tie, strict=True):
        line = np.zeros(rows.item_count)
        line[i], line[j] = 1.0, -1.0
        lines += [(line, 1.0), (-line, 1.0)] if tied else [(-line, -1.0)]
    matrix, bound = zip(*lines, strict=True)
    return linprog(np.zeros(rows.item_count), np.array(matrix), bound, bounds=(None, None)).success


@given(tables(ties=True, most_rows=8))
def test_the_tie_parameter_is_finite_unless_ties_can_explain_every_win(rows: Comparisons) -> None:
    assert tie_parameter_is_finite(aggregate(rows)) is not explained_by_ties(rows)


@given(ringed_tables())
def test_a_ring_both_ways_round_is_strongly_connected(rows: Comparisons) -> None:
    assert connectivity(aggregate(rows)).is_strongly_connected
