"""Comparisons of strings: judged as Bradley and Terry say, split, and read from the table."""

import numpy as np
import pytest
import torch

from bandit_rlhf.comparisons import Comparisons
from bandit_rlhf.language import Language
from bandit_rlhf.neural import StringComparisons, Strings, compare, from_batches, from_table
from bandit_rlhf.neural.string_comparisons import from_table as from_rows
from bandit_rlhf.neural.strings import reward_table
from tests.neural_worlds import LETTERS, all_strings, frequencies_fit, random_table

TABLE = random_table(LETTERS, 1, seed=0)


def rows(count: int = 100, seed: int = 0) -> StringComparisons:
    rng = np.random.default_rng(seed)
    every = all_strings(LETTERS)
    first, second = (every.take(torch.as_tensor(rng.integers(7, size=count))) for _ in range(2))
    return compare(first, second, from_table(LETTERS, TABLE), rng)


def test_the_better_string_wins_as_often_as_the_model_says() -> None:
    every, count = all_strings(LETTERS), 20_000
    first, second = (every.take(torch.full((count,), rank)) for rank in (3, 5))
    judged = compare(first, second, from_table(LETTERS, TABLE), np.random.default_rng(0))
    chance = 1 / (1 + np.exp(TABLE[0, 5] - TABLE[0, 3]))
    won = (judged.chosen.ranks() == 3).long().numpy()
    assert frequencies_fit(won, np.array([1 - chance, chance]))
    assert not frequencies_fit(won, np.array([0.5, 0.5]))
    assert ((judged.chosen.ranks() + judged.rejected.ranks()) == 8).all()


def test_parts_hold_every_pair_once() -> None:
    whole = rows(101)
    marked = StringComparisons(whole.chosen, whole.rejected, torch.arange(101.0) + 1)
    for parts in (marked.split(0.2, seed=0), marked.parts(3, seed=0)):
        weights = torch.cat([part.weight for part in parts])  # pyright: ignore
        assert sorted(weights.tolist()) == list(range(1, 102))
        assert not torch.equal(weights, marked.weight)  # pyright: ignore
    assert [len(part) for part in marked.split(0.2, seed=0)] == [81, 20]
    assert [len(part) for part in marked.parts(3, seed=0)] == [34, 34, 33]


def test_the_package_s_table_is_read_row_by_row() -> None:
    table = Comparisons.from_ids(
        [3, 0, 6], [1, 5, 2], items=range(7), prompt=[0, 1, 1], weight=[1.0, 2.0, 0.5]
    )
    read = from_rows(table, LETTERS)
    assert read.chosen.ranks().tolist() == [3, 0, 6]
    assert read.rejected.ranks().tolist() == [1, 5, 2]
    assert read.chosen.prompt.tolist() == read.rejected.prompt.tolist() == [0, 1, 1]
    assert read.weight is not None
    assert read.weight.tolist() == [1.0, 2.0, 0.5]
    with pytest.raises(ValueError, match="the table has 8 items, but should be 7, one a string"):
        from_rows(Comparisons.from_ids([0], [1], items=range(8)), LETTERS)
    ties = Comparisons.from_ids([0], [1], items=range(7), tie=[True])
    with pytest.raises(ValueError, match="1 rows are ties"):
        from_rows(ties, LETTERS)


def test_rewards_from_numpy_are_looked_up_and_computed() -> None:
    table = random_table(LETTERS, 2, seed=1)
    found = reward_table(from_table(LETTERS, table), LETTERS, [("x",), ("y",)], "cpu")
    np.testing.assert_array_equal(found, table)
    lengths = from_batches(lambda batch: batch.lengths)
    assert lengths(all_strings(LETTERS)).tolist() == [1, 2, 2, 2, 2, 2, 2]
    with pytest.raises(ValueError, match=r"table has shape \(2, 6\)"):
        from_table(LETTERS, table[:, :6])


def test_strings_go_to_numpy_and_back() -> None:
    language = Language(("a", "b", "c"), 3, "$")
    batch = language.all_strings()
    strings = Strings.of(batch, prompt=4)
    assert strings.ranks().tolist() == list(range(language.string_count))
    assert strings.batch().strings() == batch.strings()
    assert strings.lengths.tolist() == batch.lengths.tolist()
    assert set(strings.prompt.tolist()) == {4}


def test_wrong_pairs_are_refused() -> None:
    every = all_strings(LETTERS, 2)
    with pytest.raises(ValueError, match="chosen has 3 strings, but should be 2"):
        StringComparisons(every.take(torch.arange(3)), every.take(torch.arange(2)))
    three = every.take(torch.arange(3))
    with pytest.raises(ValueError, match="pair 1 has prompts 0 and 1"):
        StringComparisons(every.take(torch.tensor([0, 1])), every.take(torch.tensor([0, 8])))
    with pytest.raises(
        ValueError, match=r"2 entries, the least -1\.0, but should be 3, none below"
    ):
        StringComparisons(three, three, torch.tensor([1.0, -1.0]))
    with pytest.raises(ValueError, match="held_out is 1 of 100 pairs"):
        rows().split(1.0, seed=0)
    with pytest.raises(ValueError, match="count is 101 for 100 pairs"):
        rows().parts(101, seed=0)
    nan = from_table(LETTERS, np.full((1, 7), np.nan))
    with pytest.raises(ValueError, match=r"the reward of .* is nan, but should be finite"):
        compare(
            every.take(torch.arange(2)), every.take(torch.arange(2)), nan, np.random.default_rng(0)
        )
