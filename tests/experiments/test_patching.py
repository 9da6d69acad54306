"""Patching: what each reward class can express, who is a new hack, judges."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from bandit_rlhf.comparisons import Comparisons
from bandit_rlhf.exact import path_sum
from bandit_rlhf.loop import Round
from experiments.lab.words import words
from experiments.lab.world import draw_world
from experiments.patching import (
    Config,
    drawn,
    features_in,
    features_of,
    hunt,
    judge_misspecified,
    judge_realisable,
    payoff_of,
    run,
)
from tests.experiments.paths import on_tiers

LATTICE = words(1.0, 6, 5, 1)


def misfit(features: np.ndarray, target: np.ndarray) -> float:
    """What a linear function of the features and a constant leaves of the target."""
    columns = np.column_stack([features, np.ones(len(features))])
    weights = np.linalg.lstsq(columns, target, rcond=None)[0]
    return float(np.abs(columns @ weights - target).max())


def test_one_class_holds_the_gold_reward_and_the_other_does_not():
    world = draw_world(0, horizon=4)
    gold = world.on_strings(world.gold(0.8))
    for x in range(len(world.prompts)):
        assert misfit(features_of(world, "realisable")[x], gold[x]) < 1e-9
        assert misfit(features_of(world, "misspecified")[x], gold[x]) > 0.1
    batch = LATTICE.language.all_strings()
    reward = LATTICE.reward(LATTICE.payoffs["gold"], batch)
    assert misfit(features_in(LATTICE, "realisable", batch, 0), reward) < 1e-9
    assert misfit(features_in(LATTICE, "misspecified", batch, 0), reward) > 0.1


@pytest.mark.parametrize("kind", ["misspecified", "realisable"])
def test_the_payoff_is_the_weighted_features(kind):
    batch = LATTICE.language.all_strings()
    features = features_in(LATTICE, kind, batch, 0)
    weights = np.random.default_rng(0).standard_normal(features.shape[1])
    paid = LATTICE.reward(payoff_of(LATTICE, kind, weights), batch)
    assert paid == pytest.approx(features @ weights, abs=1e-12)


def test_strings_come_from_policy_and_reference_by_a_coin():
    """A policy that only ends: the share of empty strings tells where strings come from."""
    scores = np.full(LATTICE.log_reference.shape, -50.0)
    scores[:, LATTICE.language.end_token] = 0.0
    policy = path_sum.softmax(LATTICE, np.broadcast_to(scores, (5, *scores.shape)))
    batch = drawn(Config(on_policy=0.5), LATTICE, policy, 0, 8000, np.random.default_rng(0))
    ends = float(LATTICE.reference.next_token_law()[LATTICE.language.end_token])
    expected = 0.5 + 0.5 * ends
    assert abs((batch.lengths == 1).mean() - expected) < 5 * np.sqrt(0.25 / 8000)


def test_a_hack_is_liked_bad_and_new():
    world = draw_world(0, horizon=3)
    gold = world.on_strings(world.gold(0.5))
    reward = -gold  # what is worst is liked best
    worst = [int(gold[x].argmin()) for x in range(2)]
    rows = Comparisons(
        np.array([worst[0]]),
        np.array([int(gold[0].argmax())]),
        range(world.language.string_count),
        prompt=np.array([0]),
        prompts=range(2),
    )
    one = Round(1, 0.1, world.reference, reward, rows, 1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    config = Config(best=1)
    found = hunt(config, world, world.law, gold, one)
    assert (found["hacks"], found["new"]) == (1.0, 0.5)  # prompt 0's was shown
    assert found["string_gold"] == pytest.approx(gold[0].min())
    good = hunt(config, world, world.law, gold, replace(one, reward=gold))
    assert good["hacks"] == 0.0
    # Gold is measured from the reference that is given: where all are bad, none is a hack.
    worse = np.stack([np.eye(gold.shape[1])[place] for place in worst])
    assert hunt(config, world, worse, gold, one)["hacks"] == 0.0


def test_labels_mend_a_class_that_can_be_mended():
    config = Config(rounds=4, pairs=150)
    table = pl.DataFrame(run(config, 0))
    right = table.filter((pl.col("class") == "realisable") & (pl.col("round") == 4))
    assert right["gold"][0] > 1.0
    assert right["hacks"][0] == 0.0
    assert table.filter(pl.col("class") == "misspecified")["hacks"].max() > 0.5  # type: ignore[operator]


def rounds_with(misspecified: float, realisable: float) -> pl.DataFrame:
    rows = [
        {
            "class": kind,
            "round": number,
            "seed": seed,
            "gold": 1.0,
            "new": late if number > 6 else 0.9,
        }
        for kind, late in (("misspecified", misspecified), ("realisable", realisable))
        for seed in range(4)
        for number in range(1, 9)
    ]
    return on_tiers(pl.DataFrame(rows))


@pytest.mark.parametrize(("late", "verdict"), [(0.5, "supported"), (0.0, "refuted")])
def test_judge_of_the_endless_hunt(late, verdict):
    assert judge_misspecified(rounds_with(late, 0.0)).verdict == verdict


@pytest.mark.parametrize(("late", "verdict"), [(0.0, "supported"), (0.3, "refuted")])
def test_judge_of_the_end(late, verdict):
    assert judge_realisable(rounds_with(0.5, late)).verdict == verdict
