"""Robust: the worst case against a general optimiser, chi-squared by enumeration, judges."""

import numpy as np
import polars as pl
import pytest
from scipy.optimize import minimize

from bandit_rlhf import objective
from bandit_rlhf.exact import path_sum
from bandit_rlhf.exact.lattice import Payoff
from experiments.lab import words
from experiments.robust import (
    Config,
    chi_squared_frontier,
    enumerable,
    judge_private,
    judge_shared,
    judge_weight_average,
    weights_averaged,
    worst_policy,
)
from experiments.word_world import world
from experiments.yardstick import Yardstick
from tests.experiments.paths import on_tiers

LATTICE = world(3, 2, 1)
BATCH = LATTICE.language.all_strings()
REFERENCE = LATTICE.reference.as_tabular().string_law()[0]


def members(count: int) -> list[Payoff]:
    rng = np.random.default_rng(3)
    shape = LATTICE.log_reference.shape
    return [Payoff(rng.standard_normal(shape), np.zeros(shape[0])) for _ in range(count)]


def test_the_worst_policy_against_a_general_optimiser_over_all_strings():
    """max_pi min_k (E_pi r_k - E_ref r_k) - beta KL, over logits of whole strings, by epigraph."""
    beta, payoffs = 0.4, members(3)
    rewards = np.stack([LATTICE.reward(one, BATCH) for one in payoffs])
    rewards = rewards - (rewards @ REFERENCE)[:, None]

    def law_of(logits):
        weight = np.exp(logits - logits.max())
        return weight / weight.sum()

    def value(law):
        return float((rewards @ law).min() - beta * objective.kl_divergence(law, REFERENCE))

    found = worst_policy(LATTICE, payoffs, beta).as_tabular().string_law()[0]
    start = np.append(np.log(REFERENCE), 0.0)
    best = minimize(
        lambda at: beta * objective.kl_divergence(law_of(at[:-1]), REFERENCE) - at[-1],
        start,
        method="SLSQP",
        constraints={"type": "ineq", "fun": lambda at: rewards @ law_of(at[:-1]) - at[-1]},
        options={"maxiter": 200, "ftol": 1e-10},
    )
    assert value(found) == pytest.approx(value(law_of(best.x[:-1])), abs=1e-4)
    mixed = path_sum.gibbs_optimum(LATTICE, payoffs[0], beta)[0].as_tabular().string_law()[0]
    assert value(found) > value(mixed) + 0.01  # the control: one member alone is not robust


def test_the_chi_squared_frontier_is_that_of_the_strings():
    weights = np.array([0.5, -0.25, 1.0, 0.0])
    payoff = words.linear(LATTICE, weights)
    ruler = Yardstick.of(LATTICE, payoff)
    gold = LATTICE.reward(LATTICE.payoffs["gold"], BATCH)
    for row in chi_squared_frontier(Config(betas=(2.0, 0.2)), LATTICE, weights, ruler):
        law = objective.chi_squared_optimum(REFERENCE, LATTICE.reward(payoff, BATCH), row["beta"])
        assert row["kl"] == pytest.approx(float(objective.kl_divergence(law, REFERENCE)), abs=1e-9)
        assert row["gold"] == pytest.approx(float((law - REFERENCE) @ gold), abs=1e-9)


def test_averaging_weights_is_averaging_linear_rewards_and_not_others():
    rng = np.random.default_rng(0)
    features = rng.standard_normal((40, 4))
    scores = rng.standard_normal((5, 4)) @ features.T + rng.standard_normal((5, 1))
    assert weights_averaged(scores, features) == pytest.approx(scores.mean(axis=0), abs=1e-12)
    bent = np.exp(scores)
    assert np.abs(weights_averaged(bent, features) - bent.mean(axis=0)).max() > 0.01


def test_every_frontier_starts_at_the_reference_and_the_worst_case_is_cautious():
    config = Config(members=3, many=300, worlds=1, betas=(1e6, 0.5))
    table = pl.DataFrame(list(enumerable(config, 0)))
    weak = table.filter(pl.col("beta") == 1e6)
    assert np.abs(weak["gold"].to_numpy()).max() < 1e-3
    assert weak["kl"].to_numpy().max() < 1e-6
    strong = {
        row["method"]: row
        for row in table.filter((pl.col("beta") == 0.5) & (pl.col("error") == "private")).iter_rows(
            named=True
        )
    }
    assert strong["weight average"]["gold"] == pytest.approx(strong["mean"]["gold"], abs=1e-9)
    assert strong["worst case"]["kl"] != pytest.approx(strong["mean"]["kl"], abs=1e-6)


def frontier(gain: float) -> pl.DataFrame:
    rows = [
        {
            "seed": seed,
            "world": 0,
            "method": method,
            "beta": beta,
            "gold": gold + 0.01 * seed,
            "error": error,
        }
        for seed in range(4)
        for error in ("private", "shared")
        for method, more in (("one", -0.5), ("mean", 0.0), ("worst case", gain))
        for beta, gold in ((1.0, 1.0), (0.1, 0.2 + more))
    ]
    return on_tiers(pl.DataFrame(rows).with_columns(weight_gap=pl.lit(1e-14)))


@pytest.mark.parametrize(
    ("gain", "verdict"), [(0.5, "supported"), (0.0, "refuted"), (-1.0, "refuted")]
)
def test_judges_of_both_errors(gain, verdict):
    assert judge_private(frontier(gain)).verdict == verdict
    assert judge_shared(frontier(gain)).verdict == verdict


def test_judge_of_the_weight_average():
    assert judge_weight_average(frontier(0.0)).verdict == "supported"
    apart = frontier(0.0).with_columns(weight_gap=pl.lit(0.1))
    assert judge_weight_average(apart).verdict == "refuted"
