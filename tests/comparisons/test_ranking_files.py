"""Rankings: their notations, their faults, and the pairs they fall into."""

import itertools
import json

import numpy as np
import polars
import pytest

from bandit_rlhf.comparisons import Rankings
from bandit_rlhf.comparisons.bad_rows import DroppedRows
from bandit_rlhf.comparisons.ranking_files import (
    parse_ranking,
    ranking_pairs,
    rankings_from_frame,
    read_rankings,
)
from bandit_rlhf.preference import plackett_luce
from bandit_rlhf.reward import fit

LISTS = [["tea", ["mate", "maize"]], ["mate", "tea"], [["tea", "mate"]]]
TEXTS = ["tea > mate = maize", "mate>tea", "tea = mate"]


def same(one: Rankings, two: Rankings) -> bool:
    columns = all(
        np.array_equal(getattr(one, name), getattr(two, name)) for name in ("order", "block")
    )
    return columns and one.items == two.items


def test_every_notation_and_format_says_the_same(tmp_path):
    expected = Rankings.from_lists(LISTS)
    lines = [json.dumps({"ranking": ranking}) for ranking in LISTS]
    (tmp_path / "t.jsonl").write_text("\n".join(lines))
    (tmp_path / "t.json").write_text(f"[{','.join(lines)}]")
    (tmp_path / "t.csv").write_text("\n".join(["ranking", *TEXTS]))
    blocks = [[[name] if isinstance(name, str) else name for name in each] for each in LISTS]
    polars.DataFrame({"ranking": blocks}).write_parquet(tmp_path / "t.parquet")
    for name in ("t.jsonl", "t.json", "t.csv", "t.parquet"):
        assert same(read_rankings(tmp_path / name), expected), name
    assert same(rankings_from_frame({"order": TEXTS}, columns={"ranking": "order"}), expected)


def test_weights_are_kept():
    rankings = rankings_from_frame({"ranking": TEXTS, "weight": [1, "2.5", 0]})
    assert rankings.weight is not None
    assert rankings.weight.tolist() == [1.0, 2.5, 0.0]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("tea", "two items or more"),
        ([], "two items or more"),
        ("tea > tea", "distinct"),
        ("tea > > mate", "in every place"),
        (["tea", []], "in every place"),
        (["tea", None], "in every place"),
        (["tea", True], "in every place"),
        (["tea", 7], "of one type"),
        (7, "a list with the best first"),
    ],
)
def test_what_is_no_ranking_is_refused_with_its_place(tmp_path, value, message):
    with pytest.raises(ValueError, match=message):
        parse_ranking(value)
    path = tmp_path / "t.jsonl"
    path.write_text(f'{{"ranking": ["a", "b"]}}\n{json.dumps({"ranking": value})}\n')
    with pytest.raises(ValueError, match=rf"{message}.*t\.jsonl, line 2"):
        read_rankings(path)
    with pytest.warns(DroppedRows, match="1 of 2"):
        assert read_rankings(path, bad_rows="drop").ranking_count == 1


def test_a_table_without_rankings_is_refused():
    with pytest.raises(ValueError, match="the columns are winner, but should be with 'ranking'"):
        rankings_from_frame({"winner": ["a"]})


def test_pairs_are_all_pairs_in_order():
    rows = ranking_pairs(Rankings.from_lists(LISTS, weight=[1.0, 2.0, 3.0]))
    assert rows.annotator is not None
    assert rows.tie is not None
    told = {
        (ranking, rows.items[winner], rows.items[loser], tie)
        for ranking, winner, loser, tie in zip(
            rows.annotator, rows.winner, rows.loser, rows.tie, strict=True
        )
    }
    assert told == {
        (0, "tea", "mate", False),
        (0, "tea", "maize", False),
        (0, "mate", "maize", True),
        (1, "mate", "tea", False),
        (2, "tea", "mate", True),
    }
    assert rows.weight is not None
    assert rows.weight.tolist() == [1, 1, 1, 2, 3]


def test_pairs_of_all_rankings_give_the_rewards_of_plackett_and_luce():
    """Exact: every order of four items, weighted by its probability."""
    reward = np.array([1.0, 0.25, -0.5, -0.75])
    orders = list(itertools.permutations(range(4)))
    chance = np.exp(plackett_luce(reward[np.array(orders)]))
    assert chance.sum() == pytest.approx(1, abs=1e-12)
    rankings = Rankings.from_lists([[f"item {i}" for i in order] for order in orders], chance)
    fitted = fit(ranking_pairs(rankings), tolerance=1e-12)
    assert fitted.scores == pytest.approx(reward - reward.mean(), abs=1e-9)


def test_control_pairs_of_the_reversed_rankings_do_not():
    reward = np.array([1.0, 0.25, -0.5, -0.75])
    orders = list(itertools.permutations(range(4)))
    chance = np.exp(plackett_luce(reward[np.array(orders)]))
    rankings = Rankings.from_lists([[f"item {i}" for i in order[::-1]] for order in orders], chance)
    assert fit(ranking_pairs(rankings)).scores[0] < 0
