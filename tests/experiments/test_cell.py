"""Keys of cells."""

import os
import subprocess
import sys
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.cell import Cell

VALUES = st.one_of(
    st.none(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=5),
    st.tuples(st.integers(), st.floats(allow_nan=False)),
)


@dataclass(frozen=True)
class Config:
    value: Any = 0.5


def key(value: Any, seed: int = 0, experiment: str = "a") -> str:
    return Cell(experiment, Config(value), seed).key


@given(VALUES, VALUES)
def test_cells_have_one_key_exactly_if_they_are_equal(one, other):
    assert (key(one) == key(other)) == (one == other)


def test_numbers_that_are_equal_have_one_key():
    assert key(1) == key(1.0)
    assert key(0.0) == key(-0.0)
    assert key((1, 2.0)) == key((1.0, 2))
    assert key(float("inf")) != key(float("-inf")) != key("inf")
    assert key(float("nan")) == key(float("nan"))
    assert key(None) != key("None")


def test_every_part_of_the_identity_counts():
    assert len({key(1), key(2), key(1, seed=1), key(1, experiment="b")}) == 4


def test_keys_are_the_same_in_every_process():
    code = (
        "from dataclasses import make_dataclass; from experiments.cell import Cell; "
        "C = make_dataclass('C', [('b', float), ('a', str)], frozen=True); "
        "print(Cell('e', C(0.1, 'ü'), 3).key)"
    )
    keys = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.getcwd()},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(keys) == 1


@pytest.mark.parametrize("value", [Fraction(1, 2), object(), {1: 2}, b"x"])
def test_a_config_that_has_no_key_is_refused_by_name(value):
    with pytest.raises(TypeError, match=rf"config\.value is a {type(value).__name__}"):
        key(value)
