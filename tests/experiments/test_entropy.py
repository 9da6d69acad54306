"""Entropy: bonuses against enumeration, the entropy law by finite differences, judges."""

import numpy as np
import polars as pl
import pytest

from bandit_rlhf import objective
from bandit_rlhf.exact import path_sum
from experiments import entropy
from experiments.entropy import (
    TRIES,
    Config,
    beta_at,
    covariance_by_prompt,
    identities,
    sequence_bonus_optimum,
    token_bonus_optimum,
)
from experiments.entropy_judges import explained, judge_coverage, judge_easy, judge_exchange
from experiments.lab import curves
from experiments.lab.dials import Dials, fit_proxy
from experiments.lab.world import draw_world
from experiments.word_world import world
from tests.experiments.paths import on_tiers

LATTICE = world(4, 4, 2)
GOLD = LATTICE.payoffs["gold"]


def law_and_reward():
    reference = LATTICE.reference.as_tabular().string_law()
    batch = LATTICE.language.all_strings()
    reward = np.stack([LATTICE.reward(GOLD, batch, x) for x in range(len(LATTICE.prompts))])
    return reference, reward


@pytest.mark.parametrize(("beta", "tau"), [(1.0, 0.5), (0.3, 1.2), (0.5, 0.0)])
def test_the_sequence_bonus_is_the_closed_form_over_all_strings(beta, tau):
    reference, reward = law_and_reward()
    found = sequence_bonus_optimum(LATTICE, GOLD, beta, tau).as_tabular().string_law()
    assert found == pytest.approx(objective.gibbs(reference, reward, beta, tau), abs=1e-12)


def test_the_token_bonus_is_best_for_every_token_and_blind_to_later_entropy():
    """At the last step it is the sequence bonus; without a bonus, Gibbs; else another policy."""
    token, whole = (
        f(LATTICE, GOLD, 0.5, 0.5) for f in (token_bonus_optimum, sequence_bonus_optimum)
    )
    assert token.log_probs[-1] == pytest.approx(whole.log_probs[-1], abs=1e-12)
    assert np.abs(token.log_probs[0] - whole.log_probs[0]).max() > 0.01
    plain, gibbs = (
        token_bonus_optimum(LATTICE, GOLD, 0.5, 0.0),
        path_sum.gibbs_optimum(LATTICE, GOLD, 0.5)[0],
    )
    assert plain.log_probs == pytest.approx(gibbs.log_probs, abs=1e-12)
    reference, reward = law_and_reward()

    def value(policy):
        law = policy.as_tabular().string_law()
        by_prompt = objective.regularised_value(law, reference, reward, 0.5, 0.5)
        return float(LATTICE.prompt_law @ by_prompt)

    assert value(whole) > value(token) + 1e-4


def test_identities_hold_and_the_sum_over_tokens_does_not():
    found = identities(LATTICE, GOLD)
    assert max(found["slope"], found["natural"], found["vanilla"]) < 1e-12
    assert abs(found["token_gap"]) > 0.01  # the control: future entropy matters


def test_the_entropy_law_by_finite_differences():
    """dH/d eta along ref exp(eta r) is -Cov(ln pi, r), here between two tilts."""
    step = 1e-4
    low, high = (
        path_sum.entropy(path_sum.gibbs_optimum(LATTICE, GOLD, 1 / (1 + shift))[0]).value
        for shift in (-step, step)
    )
    policy = path_sum.gibbs_optimum(LATTICE, GOLD, 1.0)[0]
    surprise = type(GOLD)(LATTICE.log_reference, np.zeros(LATTICE.state_count))
    law = -covariance_by_prompt(policy, surprise + GOLD, GOLD)
    assert (high - low) / (2 * step) == pytest.approx(law, abs=1e-6)
    assert abs(law) > 0.01


@pytest.mark.parametrize("ratio", [0.0, 1.0])
def test_the_beta_at_a_level_earns_that_level(ratio):
    world_ = draw_world(0, horizon=4)
    proxy = curves.centred(fit_proxy(world_, Dials(0.8, 500), 0).reward, world_.law)
    beta = beta_at(Config(level=0.5), world_.prompt_law, world_.law, proxy, ratio)
    law = objective.gibbs(world_.law, proxy, beta, ratio * beta)
    start, most = (
        float(world_.prompt_law @ value)
        for value in ((world_.law * proxy).sum(axis=1), proxy.max(axis=1))
    )
    earned = float(world_.prompt_law @ (law * proxy).sum(axis=1))
    assert (earned - start) / (most - start) == pytest.approx(0.5, abs=1e-6)


def test_the_matched_policies_earn_the_same():
    config = Config(comparisons=200, rates=(1.0,), ratios=(1.0,))
    rows = [row for row in entropy.run(config, 0) if row["row"] == "matched"]
    assert [row["bonus"] for row in rows] == ["none", "sequence", "token"]
    assert np.ptp([row["proxy"] for row in rows]) < 1e-4
    assert rows[1]["entropy"] > rows[0]["entropy"]  # of all such policies one has the most


def test_judge_of_what_is_easy():
    rows = pl.DataFrame(
        {"row": "identity", "tier": ["enumerable", "words"], "token_gap": [0.5, -0.8]}
        | {name: [1e-13, 1e-12] for name in ("slope", "natural", "vanilla")}
    )
    assert judge_easy(rows).verdict == "supported"
    assert judge_easy(rows.with_columns(slope=pl.lit(1e-3))).verdict == "refuted"


def matched(gain: float) -> pl.DataFrame:
    rows = []
    for seed in range(5):
        for bonus, ratio, more in (
            ("none", 0.0, 0.0),
            ("sequence", 1.0, gain),
            ("token", 1.0, gain),
        ):
            passes = {
                f"pass@{k}": min(1.0, 0.1 * i + more + 0.001 * seed * ratio)
                for i, k in enumerate(TRIES)
            }
            rows.append({"row": "matched", "seed": seed, "bonus": bonus, "ratio": ratio} | passes)
    return on_tiers(pl.DataFrame(rows))


@pytest.mark.parametrize(
    ("gain", "verdict"), [(0.2, "supported"), (0.0, "refuted"), (0.049, "undecided")]
)
def test_judge_of_reach(gain, verdict):
    found = judge_coverage(matched(gain))
    assert found.verdict == verdict
    assert "pass@1024" in found.measured  # where none meets half


def path(power: float) -> pl.DataFrame:
    entropies = np.linspace(0.2, 2.0, 12)
    return pl.DataFrame(
        {"row": "path", "tier": "words", "bonus": "none", "token_entropy": np.tile(entropies, 3)}
        | {
            "proxy": np.tile(5 - 0.7 * np.exp(entropies) ** power, 3),
            "seed": np.repeat(range(3), 12),
        }
    )


def test_judge_of_the_exchange():
    assert explained(path(1.0).filter(pl.col("seed") == 0))[0] == pytest.approx(1.0)
    assert judge_exchange(on_tiers(path(1.0))).verdict == "supported"
    assert judge_exchange(path(1.0)).verdict == "undecided"  # other tiers were not run
    assert judge_exchange(path(5.0)).verdict == "refuted"
