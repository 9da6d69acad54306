"""The neural tier against exact sums: the reference it learns, the labels, what tuning does."""

import numpy as np
import pytest

from bandit_rlhf import objective
from bandit_rlhf.neural.strings import from_table
from experiments.lab import small_networks
from experiments.lab.world import draw_world

WORLD = draw_world(0, horizon=3)
GOLD = WORLD.on_strings(WORLD.gold(0.5))


@pytest.fixture(scope="module")
def reference():
    return small_networks.pretrained(WORLD, width=16, seed=0)


def test_the_pretrained_network_is_the_reference(reference):
    assert np.abs(reference.string_law() - WORLD.law).sum(axis=1).max() < 0.1
    assert small_networks.PRETRAINING > 0


@pytest.mark.parametrize("source", ["network", "world"])
def test_winners_are_better_by_as_much_as_bradley_and_terry_say(reference, source):
    """E[gold(winner) - gold(loser)] = E[d tanh(d / 2)] over pairs of the reference, exactly."""
    count = 4000
    if source == "network":
        rows = small_networks.asked(reference, WORLD, GOLD, count, seed=0)
    else:
        rows = small_networks.drawn_from(WORLD, GOLD, count, seed=0)
    look = from_table(WORLD.language, GOLD)
    gaps = (look(rows.chosen) - look(rows.rejected)).numpy()
    law = reference.string_law() if source == "network" else WORLD.law
    difference = GOLD[:, :, None] - GOLD[:, None, :]
    weight = law[:, :, None] * law[:, None, :] * WORLD.prompt_law[:, None, None]
    expected = float((weight * difference * np.tanh(difference / 2)).sum())
    assert abs(gaps.mean() - expected) < 5 * gaps.std() / np.sqrt(count)
    assert expected > 0.1


def test_tuning_goes_towards_the_gibbs_optimum(reference):
    """Sampled against exact: three quarters of the way to the optimum, and not beyond."""
    beta = 0.5
    ((step, law),) = small_networks.tuned(
        reference, WORLD, GOLD, steps=150, draws=64, seed=0, beta=beta
    )
    start = reference.string_law()
    best = objective.gibbs(start, GOLD, beta)

    def value(one):
        return float(WORLD.prompt_law @ objective.regularised_value(one, start, GOLD, beta))

    assert step == 150
    assert value(start) < value(law) <= value(best)
    assert (value(best) - value(law)) < 0.25 * (value(best) - value(start))
