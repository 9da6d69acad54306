"""The table of comparisons: what it holds, what it refuses."""

import numpy as np
import pytest
from hypothesis import given

from bandit_rlhf.comparisons import Comparisons
from tests.comparison_worlds import CHECKED_AT_RANDOM, tables

pytestmark = CHECKED_AT_RANDOM


def test_columns_that_need_no_conversion_are_viewed_read_only() -> None:
    winner = np.array([0, 1], np.int32)
    rows = Comparisons.from_ids(winner, np.array([1, 2], np.int32))
    assert np.shares_memory(rows.winner, winner)
    with pytest.raises(ValueError, match="read-only"):
        rows.winner[0] = 2
    winner[0] = 2  # the control: the caller's own array stays writable


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int64])
def test_ids_of_any_integer_type_become_int32(dtype: type) -> None:
    rows = Comparisons.from_ids(np.array([0, 1], dtype), np.array([1, 0], dtype))
    assert rows.winner.dtype == rows.loser.dtype == np.int32


def test_names_are_interned_in_sorted_order_whatever_the_rows() -> None:
    one = Comparisons.from_labels(["c", "a"], ["a", "b"])
    two = Comparisons.from_labels(["a", "c"], ["b", "a"])
    assert one.items == two.items == ("a", "b", "c")
    arrays = Comparisons.from_labels(np.array(["c", "a"]), np.array(["a", "b"]))
    assert arrays.items == one.items
    np.testing.assert_array_equal(arrays.winner, one.winner)


def test_sides_say_who_won_and_who_was_shown_first() -> None:
    rows = Comparisons.from_sides(["x", "x", "x"], ["y", "y", "y"], [1, -1, 0], position=True)
    assert [rows.items[i] for i in rows.winner] == ["x", "y", "x"]
    assert rows.tie is not None
    assert rows.tie.tolist() == [False, False, True]
    assert rows.covariates is not None
    assert rows.covariates.ravel().tolist() == [1.0, -1.0, 1.0]


def test_by_prompt_makes_an_item_of_each_pair_that_occurs() -> None:
    rows = Comparisons.from_labels(
        ["a", "b", "c"], ["b", "a", "a"], prompt=["p", "p", "q"], annotator=[7, 8, 7]
    )
    split = rows.by_prompt()
    assert split.items == (("p", "a"), ("p", "b"), ("q", "a"), ("q", "c"))
    assert [split.items[i] for i in split.winner] == [("p", "a"), ("p", "b"), ("q", "c")]
    assert split.annotators == (7, 8)


@given(tables(ties=True, covariates=True))
def test_select_keeps_rows_and_names(rows: Comparisons) -> None:
    first = rows.select(np.arange(rows.row_count) == 0)
    assert first.row_count == 1
    assert first.items == rows.items
    assert first.covariates is not None
    assert rows.covariates is not None
    assert (first.winner[0], first.covariates[0, 0]) == (rows.winner[0], rows.covariates[0, 0])


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        ({"winner": [], "loser": []}, ValueError, "0 rows, but should be one comparison or more"),
        ({"winner": [0], "loser": [0]}, ValueError, "there are 1 items"),
        ({"winner": [0, 1], "loser": [1, 1]}, ValueError, "row 1 compares item 1 with itself"),
        ({"winner": [0, -1], "loser": [1, 1]}, ValueError, r"winner\[1\] is -1"),
        ({"winner": [0, 5], "loser": [1, 1], "items": range(3)}, ValueError, r"winner\[1\] is 5"),
        ({"winner": [0.0], "loser": [1.0]}, TypeError, "winner has dtype float64"),
        ({"winner": ["a"], "loser": ["b"]}, TypeError, "Use from_labels"),
        ({"winner": [[0]], "loser": [[1]]}, ValueError, r"shape \(1, 1\)"),
        ({"winner": [0, 1], "loser": [1]}, ValueError, r"loser has shape \(1,\)"),
        ({"weight": [1, -2]}, ValueError, r"weight\[1\] is -2, but should be at least 0"),
        ({"weight": [1, np.nan]}, ValueError, r"weight\[1\] is nan"),
        ({"weight": [1, np.inf]}, ValueError, r"weight\[1\] is inf"),
        ({"weight": [0, 0]}, ValueError, "every weight is 0"),
        ({"weight": [1]}, ValueError, r"weight has shape \(1,\)"),
        ({"tie": [0, 1]}, TypeError, "tie has dtype int64"),
        ({"tie": [True]}, ValueError, r"tie has shape \(1,\)"),
        ({"annotator": [0, 1, 2]}, ValueError, r"annotator has shape \(3,\)"),
        ({"covariates": [[1.0], [2.0]]}, ValueError, "covariates have no names"),
        ({"covariate_names": ("x",)}, ValueError, "covariates are absent"),
        (
            {"covariates": [[1.0], [np.nan]], "covariate_names": ("x",)},
            ValueError,
            r"covariates\[1, 0\] is nan",
        ),
    ],
)
def test_bad_columns_are_named(columns: dict, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        Comparisons.from_ids(**{"winner": [0, 1], "loser": [1, 0], **columns})


@pytest.mark.parametrize(
    ("winner", "message"),
    [
        (["a", 3], "item name 3 in row 1 is of type int"),
        (["a", None], "item name None in row 1"),
        (["a", float("nan")], "item name nan in row 1"),
    ],
)
def test_mixed_names_are_refused_with_their_row(winner: list, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        Comparisons.from_labels(winner, ["b", "c"])


def test_a_mixed_name_in_the_second_column_is_counted_from_its_first_row() -> None:
    with pytest.raises(TypeError, match="item name 3 in row 1 "):
        Comparisons.from_labels(["a", "b"], ["c", 3])


def test_an_unknown_outcome_is_named() -> None:
    with pytest.raises(ValueError, match=r"outcome\[1\] is .*2.*, but should be \+1"):
        Comparisons.from_sides(["a", "a"], ["b", "b"], [1, 2])
