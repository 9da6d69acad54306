import math

import numpy as np
import polars as pl

from experiments.lab import reading


def table(gold, seeds=3, worlds=2):
    return pl.DataFrame(
        [
            {"seed": s, "world": w, "distance": float(d), "gold": float(gold(d, s, w))}
            for s in range(seeds)
            for w in range(worlds)
            for d in (1, 2, 3)
        ]
    )


def test_falls_are_averaged_over_the_worlds_of_a_seed():
    rows = table(lambda d, s, w: [0, 1, 2, 1 - s - w][d])
    np.testing.assert_allclose(reading.falls(rows), [1.5, 2.5, 3.5])


def test_a_curve_is_read_as_it_was_walked():
    """A sampled path that turns back ends where it ends, not where it was furthest out."""
    gold = [1.0, -0.5, 1.0]
    rows = pl.DataFrame({"seed": 0, "world": 0, "distance": [1.0, 2.5, 2.3], "gold": gold})
    np.testing.assert_allclose(reading.falls(rows), [0.0])


def test_a_curve_that_only_falls_falls_from_the_reference():
    np.testing.assert_allclose(reading.falls(table(lambda d, s, w: -d)), 3)


def test_the_interval_of_an_exact_result_is_a_point():
    assert reading.over_seeds(np.array([2.0, 2.0])) == (2.0, 2.0)
    low, high = reading.over_seeds(np.array([1.0, 2.0, 3.0]))
    assert low < 2 < high
    assert reading.said(np.array([2.0, 2.0])) == "2.00"


def test_alone_wants_these_dials_on_and_the_others_off():
    rows = pl.DataFrame(
        {
            "config.misspecification": [0.0, 0.6, 0.6, 0.0],
            "config.estimation": [math.inf, math.inf, 50.0, 50.0],
            "config.coverage": [1.0] * 4,
            "config.tail": [0.0] * 4,
        }
    ).with_row_index("row")
    assert reading.alone(rows)["row"].to_list() == [0]
    assert reading.alone(rows, "misspecification")["row"].to_list() == [1]
    assert reading.alone(rows, "misspecification", "estimation")["row"].to_list() == [2]


def test_enough_is_two_seeds():
    assert not reading.enough(table(lambda d, s, w: d, seeds=1))
    assert reading.enough(table(lambda d, s, w: d, seeds=2))
