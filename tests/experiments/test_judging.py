"""Judgements: intervals that cover, verdicts that follow from them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from experiments.judging import (
    Judgement,
    all_of,
    at_least,
    at_most,
    bootstrap_interval,
    exact,
    undecided,
)

NUMBERS = st.floats(-1e6, 1e6)


@given(st.tuples(NUMBERS, NUMBERS).map(sorted).map(tuple), NUMBERS)
def test_a_verdict_is_what_every_point_of_the_interval_says(interval, bound):
    says = {number <= bound for number in interval}
    expected = "undecided" if len(says) == 2 else "supported" if says == {True} else "refuted"
    assert at_most(interval, bound) == expected


@given(NUMBERS, NUMBERS)
def test_an_exact_effect_is_never_undecided(effect, bound):
    assert at_most((effect, effect), bound) == ("supported" if effect <= bound else "refuted")
    assert at_least((effect, effect), bound) == ("supported" if effect >= bound else "refuted")


@given(st.lists(st.sampled_from(["supported", "refuted", "undecided"]), min_size=1))
def test_a_conjunction_is_three_valued_and(verdicts):
    truth = {"supported": 1, "undecided": 0, "refuted": -1}
    assert truth[all_of(verdicts)] == min(truth[verdict] for verdict in verdicts)


def test_no_evidence_is_no_support():
    with pytest.raises(ValueError, match="0 verdicts"):
        all_of([])


@pytest.mark.parametrize(
    ("effect", "interval", "verdict", "message"),
    [
        (math.nan, None, "undecided", "finite"),
        (1.0, (0.0, math.inf), "undecided", "finite"),
        (1.0, (2.0, 0.0), "undecided", "lower, upper"),
        (1.0, (0.0, 2.0), "true", "supported, refuted, undecided"),
    ],
)
def test_a_judgement_without_sense_is_refused(effect, interval, verdict, message):
    with pytest.raises(ValueError, match=message):
        Judgement(effect, interval, verdict, "")


def test_judgements_of_points_and_of_nothing():
    assert exact(2, "refuted", "two").interval == (2.0, 2.0)
    assert undecided("no rows").effect is None


def test_the_interval_agrees_with_student_on_normal_samples():
    """In the mean over samples its ends are those of the t interval, to first order in 1/n."""
    rng = np.random.default_rng(1)
    ratios = []
    for _ in range(200):
        sample = rng.standard_normal(20)
        low, high = bootstrap_interval(sample, rng, resamples=2000)
        t_low, t_high = stats.t.interval(0.95, 19, sample.mean(), stats.sem(sample))
        ratios.append((high - low) / (t_high - t_low))
    assert np.mean(ratios) == pytest.approx(1, abs=0.03)


def test_the_interval_covers_the_mean_as_often_as_it_says():
    """400 samples of 10: the count of covers is Binomial(400, 0.95) up to first order.

    364 covers or fewer have probability 4e-4 at 0.95; the plain percentile interval, whose coverage
    at n = 10 is near 0.90, has mean 361 (the control).
    """
    rng = np.random.default_rng(2)
    covers = plain = 0
    for _ in range(400):
        sample = rng.standard_normal(10)
        low, high = bootstrap_interval(sample, rng, resamples=1000)
        covers += low <= 0 <= high
        means = rng.choice(sample, (1000, 10)).mean(axis=1)
        low, high = np.quantile(means, [0.025, 0.975])
        plain += low <= 0 <= high
    assert covers > 364
    assert plain < covers


def test_the_interval_is_a_function_of_the_rows_and_scales_with_them():
    values = np.array([1.0, 2.0, 4.0, 8.0])
    low, high = bootstrap_interval(values, np.random.default_rng(0))
    assert (low, high) == bootstrap_interval(values, np.random.default_rng(0))
    scaled = bootstrap_interval(3 * values + 1, np.random.default_rng(0))
    assert scaled == pytest.approx((3 * low + 1, 3 * high + 1))
    assert bootstrap_interval([2.0, 2.0], np.random.default_rng(0)) == (2.0, 2.0)


@pytest.mark.parametrize(
    ("values", "level", "message"),
    [
        ([1.0], 0.95, ">= 2 seeds"),
        ([[1.0, 2.0]], 0.95, "shape"),
        ([1.0, math.nan], 0.95, "finite"),
        ([1.0, 2.0], 1.0, "level is 1"),
    ],
)
def test_samples_without_an_interval_are_refused(values, level, message):
    with pytest.raises(ValueError, match=message):
        bootstrap_interval(values, np.random.default_rng(0), level=level)
