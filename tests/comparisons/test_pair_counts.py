"""Aggregation: every way of counting gives the same counts, and counts add in any order."""

import dataclasses
import functools
import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandit_rlhf.comparisons import Comparisons, PairCounts, aggregate, aggregate_stream
from bandit_rlhf.comparisons import aggregation as ways
from tests.comparison_worlds import CHECKED_AT_RANDOM, tables

pytestmark = CHECKED_AT_RANDOM


def as_dictionary(counts: PairCounts) -> dict[tuple, tuple]:
    """What was counted, cell by cell."""
    ties = np.zeros(counts.cell_count) if counts.ties is None else counts.ties
    extra = np.zeros((counts.cell_count, 0)) if counts.covariates is None else counts.covariates
    columns = zip(
        counts.left, counts.right, counts.left_wins, counts.right_wins, ties, extra, strict=True
    )
    return {
        (counts.items[i], counts.items[j], *map(float, z)): (float(a), float(b), float(t))
        for i, j, a, b, t, z in columns
    }


def counted_one_by_one(rows: Comparisons) -> dict[tuple, tuple]:
    """The dull way."""
    found: dict[tuple, list[float]] = {}
    for k in range(rows.row_count):
        i, j = int(rows.winner[k]), int(rows.loser[k])
        z = [] if rows.covariates is None else rows.covariates[k].tolist()
        side = 0 if i < j else 1
        if side:
            i, j, z = j, i, [-value for value in z]
        if rows.tie is not None and rows.tie[k]:
            side = 2
        key = (rows.items[i], rows.items[j], *(value + 0.0 for value in z))
        found.setdefault(key, [0.0, 0.0, 0.0])[side] += (
            1.0 if rows.weight is None else float(rows.weight[k])
        )
    return {key: tuple(value) for key, value in found.items() if any(value)}


@given(tables(ties=True))
def test_all_ways_of_counting_agree(rows: Comparisons) -> None:
    expected = counted_one_by_one(rows)
    wins, ties = ways.count_matrices(rows)
    matrix = ways.MatrixCounter(rows.items)
    matrix.add(rows)
    for counts in (
        aggregate(rows),
        ways.from_matrices(rows.items, wins, ties),
        ways._count_runs(rows),
        ways._add_cells(rows),
        matrix.counts(),
    ):
        assert as_dictionary(counts) == expected


@given(tables(covariates=True))
def test_covariates_split_cells_and_turn_with_the_pair(rows: Comparisons) -> None:
    assert as_dictionary(aggregate(rows)) == counted_one_by_one(rows)


@given(tables(ties=True), st.data())
def test_weights_add_up(rows: Comparisons, data: st.DataObject) -> None:
    weights = st.lists(
        st.sampled_from([0.0, 0.5, 1.0, 3.0]), min_size=rows.row_count, max_size=rows.row_count
    )
    weight = data.draw(weights.filter(any))
    weighted = dataclasses.replace(rows, weight=np.array(weight))
    assert as_dictionary(aggregate(weighted)) == counted_one_by_one(weighted)


@given(st.lists(tables(ties=True), min_size=1, max_size=5), st.randoms())
def test_merging_is_addition_in_any_order(parts: list[Comparisons], random) -> None:
    counts = [aggregate(part) for part in parts]
    shuffled = random.sample(counts, len(counts))
    forward = as_dictionary(functools.reduce(operator.add, counts))
    assert as_dictionary(functools.reduce(operator.add, shuffled)) == forward
    assert as_dictionary(aggregate_stream(iter(parts))) == forward
    total: dict[tuple, np.ndarray] = {}
    for part in parts:
        for key, value in counted_one_by_one(part).items():
            total[key] = total.get(key, np.zeros(3)) + value
    assert forward == {key: tuple(value) for key, value in total.items()}


def test_merging_unites_names() -> None:
    one = aggregate(Comparisons.from_labels(["a"], ["c"]))
    two = aggregate(Comparisons.from_labels(["c"], ["b"]))
    assert as_dictionary(one + two) == {("a", "c"): (1, 0, 0), ("b", "c"): (0, 1, 0)}
    assert (one + two).items == (two + one).items == ("a", "b", "c")


def test_a_long_stream_in_a_matrix_equals_sorting_it_at_once() -> None:
    rng = np.random.default_rng(3)
    n, rows = 40, 5000
    winner = rng.integers(0, n, rows, dtype=np.int32)
    loser = (winner + rng.integers(1, n, rows, dtype=np.int32)) % n
    table = Comparisons.from_ids(winner, loser, items=range(n))
    assert ways.MatrixCounter.suits(table.select(slice(0, 1000)))
    stream = (table.select(slice(begin, begin + 1000)) for begin in range(0, rows, 1000))
    assert as_dictionary(aggregate_stream(stream)) == as_dictionary(ways._count_runs(table))


def test_counters_widen_before_they_wrap_around() -> None:
    matrix = ways.MatrixCounter(range(2))
    many = Comparisons.from_ids(np.zeros(70_000, np.int32), np.ones(70_000, np.int32))
    matrix.add(many)
    assert matrix.wins.dtype == np.uint32
    assert matrix.counts().left_wins.tolist() == [70_000]
    total = aggregate(many)
    assert total.left_wins.dtype == np.uint32
    small = aggregate(Comparisons.from_ids([0] * 200, [1] * 200))
    assert small.left_wins.dtype == np.uint8  # 200 + 200 would wrap around
    assert (small + small).left_wins.tolist() == [400]


def test_a_billion_like_rows_are_one_weight() -> None:
    counts = aggregate(Comparisons.from_ids([0, 1], [1, 0], weight=[1e9, 1e9]))
    assert counts.left_wins.tolist() == [1e9]


@given(tables(ties=True))
def test_item_sums_and_tie_rules(rows: Comparisons) -> None:
    counts = aggregate(rows)
    assert rows.tie is not None
    won = np.bincount(rows.winner[~rows.tie], minlength=rows.item_count)
    lost = np.bincount(rows.loser[~rows.tie], minlength=rows.item_count)
    both = np.concatenate([rows.winner[rows.tie], rows.loser[rows.tie]])
    tied = np.bincount(both, minlength=rows.item_count)
    np.testing.assert_array_equal(counts.wins(), won)
    np.testing.assert_array_equal(counts.losses(), lost)
    np.testing.assert_array_equal(counts.tied(), tied)
    np.testing.assert_array_equal(counts.ties_as_halves().wins(), won + tied / 2)
    np.testing.assert_array_equal(counts.ties_dropped().wins(), won)
    assert counts.ties_dropped().ties is None
    assert counts.totals() == (float((~rows.tie).sum()), float(rows.tie.sum()))


@given(tables(ties=True))
def test_the_win_matrix_is_counted_one_by_one(rows: Comparisons) -> None:
    assert rows.tie is not None
    expected = np.zeros((rows.item_count, rows.item_count))
    for winner, loser in zip(rows.winner[~rows.tie], rows.loser[~rows.tie], strict=True):
        expected[winner, loser] += 1
    np.testing.assert_array_equal(aggregate(rows).win_matrix(), expected)
    np.testing.assert_array_equal(ways.count_matrices(rows)[0], expected)


@given(tables(most_rows=60), st.integers(1, 20))
def test_blocks_cover_every_cell_once(rows: Comparisons, size: int) -> None:
    counts = aggregate(rows)
    blocks = list(counts.blocks(size))
    covered = np.concatenate([np.arange(b.cells.start, b.cells.stop) for b in blocks])
    np.testing.assert_array_equal(covered, np.arange(counts.cell_count))
    left = np.concatenate([np.repeat(b.items, b.sizes) for b in blocks])
    np.testing.assert_array_equal(left, counts.left)


def test_counts_with_other_covariates_do_not_merge() -> None:
    one = aggregate(Comparisons.from_ids([0], [1]))
    two = aggregate(Comparisons.from_ids([0], [1], covariates=[[1.0]], covariate_names=["length"]))
    with pytest.raises(ValueError, match="covariates are"):
        one + two


def test_an_empty_stream_is_refused() -> None:
    with pytest.raises(ValueError, match="the stream has 0 tables"):
        aggregate_stream(iter(()))
