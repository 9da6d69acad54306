"""The judges of arguments: what they return, and every message word for word."""

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandit_rlhf import _check


def test_judges_return_what_is_computed_with() -> None:
    assert _check.integer_at_least("n", np.int32(3), 3) == 3
    assert type(_check.integer_at_least("n", np.int32(3), 3)) is int
    assert type(_check.positive("beta", np.float32(0.5))) is float
    assert _check.non_negative("tau", 0) == 0.0
    assert _check.real("factor", -2) == -2.0
    assert _check.finite("reward", [[1, 2]]).dtype == np.float64
    law = _check.distribution("law", [[0.25, 0.75], [1, 0]])
    np.testing.assert_array_equal(law, [[0.25, 0.75], [1.0, 0.0]])
    array = np.zeros((2, 3))
    assert _check.shaped("logits", array, (2, 3), "prompt, entry") is array


NAN, INF = math.nan, math.inf
COMPLAINTS: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (
        lambda: _check.integer_at_least("horizon", 0, 1, "Language"),
        ValueError,
        "horizon is 0, but should be at least 1 [Language].",
    ),
    (
        lambda: _check.integer_at_least("horizon", 2.0, 1),
        TypeError,
        "horizon is 2.0, but should be an integer.",
    ),
    (
        lambda: _check.integer_at_least("horizon", True, 1),
        TypeError,
        "horizon is True, but should be an integer.",
    ),
    (
        lambda: _check.positive("beta", 0, "gibbs", "Be greedy."),
        ValueError,
        "beta is 0, but should be above 0 [gibbs]. Be greedy.",
    ),
    (
        lambda: _check.positive("beta", -0.5),
        ValueError,
        "beta is -0.5, but should be above 0.",
    ),
    (lambda: _check.positive("beta", NAN), ValueError, "beta is nan, but should be finite."),
    (lambda: _check.real("beta", INF), ValueError, "beta is inf, but should be finite."),
    (
        lambda: _check.real("beta", "1"),
        TypeError,
        "beta is '1', but should be a real number.",
    ),
    (
        lambda: _check.real("beta", True),
        TypeError,
        "beta is True, but should be a real number.",
    ),
    (
        lambda: _check.non_negative("tau", -1),
        ValueError,
        "tau is -1, but should be at least 0.",
    ),
    (
        lambda: _check.finite("reward", [[0.0, 1.0], [NAN, INF]], "Bandit", "Drop it."),
        ValueError,
        "reward[1, 0] is nan (2 of 4 entries), but should be finite [Bandit]. Drop it.",
    ),
    (
        lambda: _check.shaped("reward", np.zeros((2, 3)), (2, 7), "prompt, string", "Bandit"),
        ValueError,
        "reward has shape (2, 3), but should be (2, 7) = [prompt, string] [Bandit].",
    ),
    (
        lambda: _check.distribution("law", [0.5, 0.4], "Bandit"),
        ValueError,
        "law sums to 0.9, but should be 1 (tolerance 1e-09) [Bandit]. Normalise it.",
    ),
    (
        lambda: _check.distribution("law", [0.5, 0.5 + 2e-9]),
        ValueError,
        "law sums to 1.000000002, but should be 1 (tolerance 1e-09). Normalise it.",
    ),
    (
        lambda: _check.distribution("law", [[0.5, 0.5], [0.5, 0.25]]),
        ValueError,
        "law[1] sums to 0.75, but should be 1 (tolerance 1e-09). Normalise it.",
    ),
    (
        lambda: _check.distribution("law", [[0.5, 0.5], [0.25, 0.5]], axis=0),
        ValueError,
        "law[0] sums to 0.75, but should be 1 (tolerance 1e-09). Normalise it.",
    ),
    (
        lambda: _check.distribution("law", [1.5, -0.5]),
        ValueError,
        "law[1] is -0.5, but should be a probability, at least 0.",
    ),
    (
        lambda: _check.distribution("law", [0.5, NAN]),
        ValueError,
        "law[1] is nan (1 of 2 entries), but should be finite.",
    ),
    (
        lambda: _check.distribution("law", []),
        ValueError,
        "law is empty, but should be a non-empty probability vector.",
    ),
    (
        lambda: _check.distribution("law", 1.0),
        ValueError,
        "law is the number 1, but should be a probability vector.",
    ),
    (
        lambda: _check.fits_in_memory("strings", 4**10, 2**10, "tree", "Use less.", limit=2**29),
        ValueError,
        "1,048,576 strings need 1 GiB, but should be within the memory limit of 0.5 GiB [tree]."
        " Use less.",
    ),
    (
        lambda: _check.fits_in_memory("strings", 40**300, 8.0, limit=2**30),
        ValueError,
        "4.15e480 strings need 3.09e472 GiB, but should be within the memory limit of 1 GiB.",
    ),
]


@pytest.mark.parametrize(
    ("judge", "kind", "message"), COMPLAINTS, ids=[message for _, _, message in COMPLAINTS]
)
def test_complaint(judge: Callable[[], Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=f"^{re.escape(message)}$"):
        judge()


def test_a_sum_within_the_tolerance_passes() -> None:
    third = np.full(3, 1 / 3)
    np.testing.assert_array_equal(_check.distribution("law", third), third)
    assert _check.distribution("law", [0.5, 0.5 + 0.9e-9]).sum() > 1  # passed on, not repaired


@given(count=st.integers(0, 2**40), limit=st.integers(0, 2**45))
def test_memory_guard_refuses_exactly_what_exceeds_the_limit(count: int, limit: int) -> None:
    if 24 * count > limit:
        with pytest.raises(ValueError, match="need"):
            _check.fits_in_memory("rows", count, 24.0, limit=limit)
    else:
        _check.fits_in_memory("rows", count, 24.0, limit=limit)


def test_memory_guard_defaults_to_half_of_the_machine() -> None:
    whole = _check.physical_memory()
    assert whole > 2**28
    _check.fits_in_memory("bytes", whole // 2, 1.0)
    with pytest.raises(ValueError, match="memory limit"):
        _check.fits_in_memory("bytes", whole // 2 + 1, 1.0)


@pytest.mark.parametrize(
    ("size", "text"),
    [(2**30, "1 GiB"), (12.3 * 2**30, "12 GiB"), (99.7 * 2**30, "99 GiB"), (2**41, "2,048 GiB")],
)
def test_sizes_in_words(size: float, text: str) -> None:
    assert _check.gibibytes(size) == text


@given(count=st.integers(0, 10**5000))
def test_numerals_are_right_to_their_digits(count: int) -> None:
    text = _check.numeral(count)
    if count < 10**15:
        assert int(text.replace(",", "")) == count
    else:
        mantissa, _, exponent = text.partition("e")
        rounded = round(float(mantissa) * 100) * 10 ** (int(exponent) - 2)
        assert abs(rounded - count) * 190 <= count  # half of the third digit
        assert len(text) < 12
