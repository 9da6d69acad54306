"""The table of rankings: what it holds, what it refuses, and its arrows."""

import numpy as np
import pytest

from bandit_rlhf.comparisons import Rankings


def test_lists_become_places_and_blocks() -> None:
    rankings = Rankings.from_lists([["b", ["a", "c"], "d"], ["d", "a"]], weight=[2, 1])
    assert rankings.items == ("a", "b", "c", "d")
    assert rankings.order.tolist() == [[1, 0, 2, 3], [3, 0, -1, -1]]
    assert rankings.block[0].tolist() == [0, 1, 1, 2]
    assert rankings.ranking_count == 2


def test_arrows_lead_to_every_item_of_the_next_block() -> None:
    counts = Rankings.from_lists([["a", ["b", "c"], "d"]]).adjacent_wins()
    won = {
        (counts.items[i], counts.items[j])
        for i, j, wins in zip(counts.left, counts.right, counts.left_wins, strict=True)
        if wins
    }
    assert won == {("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")}
    assert not counts.right_wins.any()


@pytest.mark.parametrize(
    ("rankings", "message"),
    [
        ([], "there are 0 rankings"),
        ([["a", "b"], ["a"]], "ranking 1 has 1 items"),
        ([["a", "b"], ["a", "b", "a"]], "ranking 1 lists 'a' twice"),
    ],
)
def test_bad_rankings_are_named(rankings: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Rankings.from_lists(rankings)


@pytest.mark.parametrize(
    ("order", "block", "message"),
    [
        ([[0, -1, 1]], [[0, 0, 1]], "ranking 0 has a gap"),
        ([[0, 1, 2]], [[0, 2, 3]], "the blocks of ranking 0"),
        ([[0, 1, 2]], [[1, 1, 1]], "the blocks of ranking 0"),
        ([[0, 1, 7]], [[0, 1, 2]], "is 7, but should be an id in 0..2"),
        ([[0, 1, 2]], [[0, 1]], r"block has shape \(1, 2\)"),
    ],
)
def test_bad_places_are_named(order: list, block: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Rankings(np.array(order, np.int32), np.array(block, np.int32), range(3))


def test_bad_weights_are_named() -> None:
    with pytest.raises(ValueError, match=r"weight\[0\] is -1"):
        Rankings.from_lists([["a", "b"]], weight=[-1.0])
