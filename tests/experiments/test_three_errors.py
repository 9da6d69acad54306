import numpy as np
import polars as pl
import pytest

from bandit_rlhf import objective
from experiments import three_errors as experiment
from experiments.lab.world import draw_world

SMALL = experiment.Config(comparisons=(50, 500), steps=(1, 20), horizon=4, worlds=1)
WORDS = experiment.Config("words", 1.0, comparisons=(50,), steps=(1, 20), horizon=5, worlds=1)

NETWORKS = experiment.Config("neural", comparisons=(50, 500), steps=(1, 20), horizon=3, worlds=1)


@pytest.mark.parametrize("config", [SMALL, WORDS, NETWORKS])
def test_the_terms_sum_to_the_regret_computed_on_its_own(config):
    rows = experiment.run(config, 2)
    assert len(rows) == len(config.comparisons) * len(config.steps)
    for row in rows:
        terms = [row[term] for term in experiment.TERMS]
        assert abs(sum(terms) - row["total"]) <= 1e-12
        assert row["residual"] <= 1e-12
        assert row["total"] >= 0
        assert row["misspecification"] >= -1e-12  # it is a regret of its own
    assert max(abs(row["optimisation"]) for row in rows) > 1e-3  # no term is trivially 0


def test_steps_of_regularised_natural_gradient_reach_the_tilt_that_they_are_said_to():
    world = draw_world(0, 3)
    reward = world.on_strings(world.gold(0.3))
    log_law, eta, beta = world.log_law.copy(), SMALL.step_size, SMALL.beta
    for steps in range(1, 8):
        log_law = log_law + eta * (reward - beta * (log_law - world.log_law))
        log_law -= np.log(np.exp(log_law).sum(axis=1, keepdims=True))
        tilt = objective.gibbs(world.law, reward, experiment.stopped(SMALL, steps))
        np.testing.assert_allclose(np.exp(log_law), tilt, atol=1e-12)


def test_without_misspecification_its_term_is_zero():
    config = experiment.Config(misspecification=0.0, comparisons=(50,), horizon=4, worlds=1)
    for row in experiment.run(config, 0):
        assert row["misspecification"] == pytest.approx(0, abs=1e-9)


def table(shares, residual=1e-15, seeds=10):
    rows = []
    for tier, share in shares.items():
        for seed in range(seeds):
            total = 1.0 + 0.01 * seed
            terms = (share * total, (1 - share) * total, 0.0)
            rows.append(
                {
                    "seed": seed,
                    "world": 0,
                    "config.tier": tier,
                    "config.misspecification": experiment.TIERS[tier],
                    "comparisons": experiment.COMPARISONS,
                    "steps": experiment.STEPS,
                    **dict(zip(experiment.TERMS, terms, strict=True)),
                    "total": total,
                    "residual": residual,
                }
            )
    return pl.DataFrame(rows)


def test_the_share_decides_and_broken_arithmetic_decides_nothing():
    every = {"enumerable": 0.8, "words": 0.6, "neural": 0.7}
    assert experiment.judge(table(every)).verdict == "supported"
    assert experiment.judge(table({"enumerable": 0.8, "words": 0.6})).verdict == "undecided"
    assert experiment.judge(table({"enumerable": 0.8, "words": 0.3})).verdict == "refuted"
    assert experiment.judge(table({"enumerable": 0.8}, residual=1e-9)).verdict == "undecided"
    assert experiment.judge(table({"enumerable": 0.8}, seeds=1)).verdict == "undecided"


def test_the_figure_draws():
    assert len(experiment.draw(table({"enumerable": 0.8, "words": -0.2})).axes) == 6
    three = {"enumerable": 0.8, "words": -0.2, "neural": 0.5}
    assert len(experiment.draw(table(three)).axes) == 9
