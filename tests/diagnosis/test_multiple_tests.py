"""Adjusted p-values: statsmodels as the reference, and what they promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom
from statsmodels.stats.multitest import multipletests

from bandit_rlhf.diagnosis import benjamini_hochberg, holm
from tests.comparison_worlds import CHECKED_AT_RANDOM

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=20)


@CHECKED_AT_RANDOM
@settings(max_examples=25)
@given(P_VALUES)
def test_equals_statsmodels(p: list[float]) -> None:
    for mine, theirs in ((benjamini_hochberg, "fdr_bh"), (holm, "holm")):
        expected = np.asarray(multipletests(p, method=theirs)[1], float)
        np.testing.assert_allclose(mine(p), expected, rtol=1e-12, atol=1e-15)


def test_false_discoveries_stay_within_their_rate() -> None:
    """30 true null hypotheses and 10 false ones, 400 times; a naive count does not."""
    rng = np.random.default_rng(0)
    shares, any_false, naive = [], 0, 0
    for _ in range(400):
        p = np.concatenate([rng.random(30), rng.beta(0.1, 5.0, 10)])
        found = benjamini_hochberg(p) <= 0.1
        shares.append(found[:30].sum() / max(found.sum(), 1))
        any_false += bool((holm(p)[:30] <= 0.1).any())
        naive += bool((p[:30] <= 0.1).any())
    assert np.mean(shares) < 0.1 + 5 * 0.5 / np.sqrt(400)
    bound = binom.isf(1e-6, 400, 0.1)
    assert any_false <= bound
    assert naive > bound  # control


@pytest.mark.parametrize("adjust", [benjamini_hochberg, holm])
@pytest.mark.parametrize(
    ("p", "message"),
    [([0.1, 1.5], r"p_values\[1\] is 1.5"), ([], "shape"), ([-0.1], r"p_values\[0\] is -0.1")],
)
def test_refused(adjust, p: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        adjust(p)
