"""Joining tables: the same as one table of all rows."""

import numpy as np
import pytest

from bandit_rlhf.comparisons import Comparisons, aggregate
from bandit_rlhf.comparisons.joining import join

NAMES = ["ant", "bee", "cat", "dog", "eel"]


def random_table(seed: int, rows: int, **columns) -> tuple[list, list, dict]:
    rng = np.random.default_rng(seed)
    pairs = [rng.permutation(NAMES)[:2].tolist() for _ in range(rows)]
    made = {name: make(rng, rows) for name, make in columns.items()}
    return [a for a, _ in pairs], [b for _, b in pairs], made


COLUMNS = {
    "tie": lambda rng, rows: rng.random(rows) < 0.3,
    "weight": lambda rng, rows: rng.integers(1, 5, rows).astype(float),
    "prompt": lambda rng, rows: rng.choice(["x", "y", "z"], rows).tolist(),
    "annotator": lambda rng, rows: rng.choice(["Ann", "Bob"], rows).tolist(),
}


def test_parts_join_to_the_whole():
    winner, loser, columns = random_table(0, 40, **COLUMNS)
    whole = Comparisons.from_labels(winner, loser, **columns)
    parts = [
        Comparisons.from_labels(
            winner[k : k + 8], loser[k : k + 8], **{n: c[k : k + 8] for n, c in columns.items()}
        )
        for k in range(0, 40, 8)
    ]
    assert len({part.items for part in parts} | {part.prompts for part in parts}) > 2
    both = join(parts)
    assert (both.items, both.prompts, both.annotators) == (
        whole.items,
        whole.prompts,
        whole.annotators,
    )
    for name in ("winner", "loser", "tie", "weight", "prompt", "annotator"):
        np.testing.assert_array_equal(getattr(both, name), getattr(whole, name))


def test_ties_and_weights_of_some_tables_only():
    plain = Comparisons.from_labels(["ant"], ["bee"])
    tied = Comparisons.from_labels(["bee"], ["cat"], tie=[True])
    heavy = Comparisons.from_labels(["cat"], ["ant"], weight=[3])
    both = join([plain, tied, heavy])
    assert both.tie is not None
    assert both.weight is not None
    assert both.tie.tolist() == [False, True, False]
    assert both.weight.tolist() == [1, 1, 3]
    added = aggregate(plain) + aggregate(tied) + aggregate(heavy)
    np.testing.assert_array_equal(aggregate(both).games(), added.games())


def test_covariates_join():
    parts = [
        Comparisons.from_sides(["a", "b"], ["b", "a"], np.array([1, -1]), position=True),
        Comparisons.from_sides(["a"], ["c"], np.array([-1]), position=True),
    ]
    both = join(parts)
    assert both.covariates is not None
    assert both.covariates.ravel().tolist() == [1.0, -1.0, -1.0]
    with pytest.raises(ValueError, match="covariates are"):
        join([parts[0], Comparisons.from_labels(["a"], ["b"])])


def test_what_cannot_be_joined():
    with pytest.raises(ValueError, match="there are 0 tables, but should be one or more"):
        join([])
    known = Comparisons.from_labels(["a"], ["b"], annotator=["Ann"])
    with pytest.raises(ValueError, match="some tables have annotators and some have none"):
        join([known, Comparisons.from_labels(["a"], ["b"])])
