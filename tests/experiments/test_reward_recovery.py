"""Reward recovery: the constant against closed forms and draws, and a judge that can lose."""

import numpy as np
import polars as pl
import pytest
from scipy import stats

from bandit_rlhf.annotator import Person
from experiments import reward_recovery, style
from experiments.preference_judges import judge_recovery, lemma_constant
from experiments.reward_recovery import Config, asymptotic_constant, run


@pytest.mark.parametrize("items", [2, 3, 10])
def test_among_equals_the_constant_is_two(items):
    """p (1 - p) = 1/4 throughout, so the information is a quarter of Sigma."""
    assert asymptotic_constant(Person(np.zeros((1, items)))) == pytest.approx(2, abs=1e-12)


def test_of_two_items_the_constant_is_the_standard_error_of_their_difference():
    gap = 1.3
    p = 1 / (1 + np.exp(-gap))
    found = asymptotic_constant(Person(np.array([[gap, 0.0]])))
    assert found == pytest.approx(1 / np.sqrt(p * (1 - p)), abs=1e-12)


def test_the_constant_lies_between_its_bounds():
    rng = np.random.default_rng(0)
    for _ in range(20):
        reward = rng.standard_normal((1, int(rng.integers(2, 9)))) * rng.uniform(0, 2)
        gap = np.ptp(reward)
        curvature = 1 / (2 + np.exp(gap) + np.exp(-gap))
        assert 2 - 1e-9 <= asymptotic_constant(Person(reward)) <= curvature**-0.5 + 1e-9


def test_the_error_among_equals_is_chi_squared():
    """N error^2 / 4 is chi-squared with d degrees up to O(1/N): 60 data sets, false alarm 1e-6."""
    config = Config(comparisons=4000, dimension=4, score_sd=1e-9, repeats=60)
    rows = run(config, 0)
    assert all(row["converged"] for row in rows)
    total = sum(config.comparisons * row["error"] ** 2 / 4 for row in rows)
    law = stats.chi2(4 * len(rows))
    assert 1e-6 < law.cdf(total) < 1 - 1e-6
    assert law.cdf(2 * total) > 1 - 1e-6  # power: an error sqrt(2) too large is caught


def test_where_no_maximum_exists_the_row_says_so():
    rows = run(Config(comparisons=5, dimension=8, repeats=3), 0)
    assert [row["converged"] for row in rows] == [False] * 3
    assert [row["error"] for row in rows] == [None] * 3


def test_running_is_a_pure_function():
    config = reward_recovery.SWEEP["smoke"].configs[0]
    assert run(config, 0) == run(config, 0)
    assert run(config, 0) != run(config, 1)


def law(
    power: float = -0.5, in_d: float = 0.5, constant: float = 1.0, noise: float = 0.01
) -> pl.DataFrame:
    """A table in which error = constant k d^in_d N^power, k = 2, within some noise.

    The noise is log-normal, and such that the mean square stays as it is.
    """
    rng = np.random.default_rng(0)
    rows = [
        {
            "seed": seed,
            "config.dimension": d,
            "config.comparisons": n,
            "converged": True,
            "error": constant
            * 2
            * d**in_d
            * n**power
            * np.exp(noise * rng.standard_normal() - noise**2),
            "constant": 2.0,
            "curvature": 0.1,
        }
        for seed in range(10)
        for d in (4, 16)
        for n in (1000, 10_000)
        for _ in range(3)
    ]
    return pl.DataFrame(rows)


@pytest.mark.parametrize(
    ("table", "verdict"),
    [
        (law(), "supported"),
        (law(power=-0.25), "refuted"),
        (law(power=-1.0), "refuted"),
        (law(in_d=1.0), "refuted"),
        (law(constant=1.3), "refuted"),
        (law(noise=1.0), "undecided"),
        (law().filter(pl.col("seed") == 0), "undecided"),
        (law().with_columns(converged=pl.col("seed") > 0), "undecided"),
    ],
    ids=["law", "N^-1/4", "N^-1", "d^1", "constant", "noise", "one seed", "no maximum"],
)
def test_the_judge(table, verdict):
    assert judge_recovery(table).verdict == verdict


def test_the_constant_of_the_lemma_holds_as_often_as_asked():
    table = law(noise=0.3)
    c = lemma_constant(table, delta=0.1)
    bound = (
        c
        * np.sqrt((table["config.dimension"] + np.log(10)) / table["config.comparisons"])
        / table["curvature"]
    )
    held = (table["error"] <= bound * (1 + 1e-12)).mean()
    assert 0.9 <= held < 0.92  # of 120 rows


def test_the_figure_is_drawn_from_the_rows_alone():
    rows = []
    for config in reward_recovery.SWEEP["smoke"].configs:
        about = {"config.dimension": config.dimension, "config.comparisons": config.comparisons}
        rows += [about | {"seed": 0} | row for row in run(config, 0)]
    with style.venue("neurips"):
        figure = reward_recovery.draw(pl.DataFrame(rows))
    left, right = figure.axes
    assert len(left.lines) == 4  # points and a law for each of two dimensions
    assert len(right.lines) == 3
