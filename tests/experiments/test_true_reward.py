"""The true reward: falls, the slope of the tilt, both tiers of one world, judges."""

import numpy as np
import polars as pl
import pytest

from bandit_rlhf import objective
from experiments.lab.world import draw_world
from experiments.true_reward import Config, judge, largest_fall, run, unlocked, worst_falls
from tests.experiments.paths import on_tiers


def test_the_tilt_by_the_true_reward_climbs_by_its_variance():
    """d E r / d(1/beta) = Var r, by central differences: never below zero."""
    world = draw_world(0, horizon=4)
    gold = world.on_strings(world.gold(0.5))
    for rate in (0.1, 1.0, 5.0):
        means = [
            (objective.gibbs(world.law, gold, 1 / (rate + shift)) * gold).sum(axis=1)
            for shift in (-1e-5, 1e-5)
        ]
        law = objective.gibbs(world.law, gold, 1 / rate)
        mean = (law * gold).sum(axis=1)
        variance = (law * gold**2).sum(axis=1) - mean**2
        assert (means[1] - means[0]) / 2e-5 == pytest.approx(variance, rel=1e-5)


def test_exact_paths_fall_under_the_fitted_reward_alone():
    table = pl.DataFrame(run(Config(comparisons=300, steps=10), 0)).with_columns(seed=pl.lit(0))
    assert set(table["method"]) == {"tilt", "best-of-n", "vanilla gradient"}
    assert worst_falls(table, "enumerable", "true") == pytest.approx([0.0], abs=1e-9)
    assert worst_falls(table, "enumerable", "fitted")[0] > 0.1
    assert unlocked(table, "enumerable")[0] >= 0


def test_where_a_path_falls():
    assert largest_fall(np.array([0.5, 1.0, 2.0])) == 0
    assert largest_fall(np.array([-0.5, 1.0])) == 0.5  # below the reference itself
    assert largest_fall(np.array([1.0, 0.2, 3.0, 2.9])) == pytest.approx(0.8)


def test_the_worlds_of_a_seed_are_averaged_and_their_paths_are_not_joined():
    rows = [
        {"seed": 0, "world": world, "method": "tilt", "reward": "true", "gold": gold}
        for world, fall in ((0, 0.0), (1, 0.5))
        for gold in (1.0, 2.0, 2.0 - fall)
    ]
    table = pl.DataFrame(rows).with_columns(tier=pl.lit("words"))
    assert worst_falls(table, "words", "true") == pytest.approx([0.25])


def walked(true_fall: float, fitted_fall: float) -> pl.DataFrame:
    rows = []
    for seed in range(4):
        for reward, fall in (("true", true_fall), ("fitted", fitted_fall)):
            for setting, gold in enumerate((1.0, 2.0, 2.0 - fall)):
                rows.append(
                    {
                        "seed": seed,
                        "world": 0,
                        "reward": reward,
                        "setting": setting,
                        "gold": gold + 0.01 * seed,
                    }
                )
    return on_tiers(pl.DataFrame(rows).with_columns(method=pl.lit("tilt")))


@pytest.mark.parametrize(
    ("true_fall", "fitted_fall", "verdict"),
    [(0.0, 1.0, "supported"), (0.5, 1.0, "refuted"), (0.0, 0.1, "refuted")],
)
def test_judge(true_fall, fitted_fall, verdict):
    assert judge(walked(true_fall, fitted_fall)).verdict == verdict
