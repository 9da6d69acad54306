"""The neural tier against exact sums: the reference it learns, the labels, what tuning does."""

import math

import numpy as np
import pytest
import torch
from scipy.special import expit

from bandit_rlhf import objective
from bandit_rlhf.neural import SampledJudge, from_table
from experiments.lab import neural
from experiments.lab.dials import Dials
from experiments.lab.world import draw_world

WORLD = draw_world(0, horizon=3)
GOLD = WORLD.on_strings(WORLD.gold(0.5))


@pytest.fixture(scope="module")
def proxy():
    return neural.fit_neural(Dials(0.6, 500), 1, "counts", horizon=3)


@pytest.fixture(scope="module")
def reference():
    return neural.pretrained(WORLD, seed=0)


def test_the_reference_learns_the_law_of_the_world(proxy):
    apart = np.abs(proxy.law - proxy.world.law).sum(axis=1) / 2
    assert (apart < 0.05).all()
    start = neural.fit_neural(Dials(0.6, 500), 1, "counts", horizon=3, pretraining=1)
    assert (np.abs(start.law - proxy.world.law).sum(axis=1) / 2 > apart).all()  # control


def test_the_reward_model_agrees_with_gold_where_it_was_asked(proxy):
    assert proxy.ruler.correlation > 0.5


def test_a_model_linear_in_counts_is_linear_in_counts(proxy):
    counts = proxy.world.counts[proxy.world.bag]
    ended = proxy.world.lengths < proxy.world.language.horizon
    columns = np.column_stack([np.ones(len(counts)), counts, ended])
    _, residual, *_ = np.linalg.lstsq(columns, proxy.reward[0], rcond=None)
    assert float(residual.sum()) < 1e-8


def test_winners_are_better_by_as_much_as_bradley_and_terry_say(reference):
    """E[gold(winner) - gold(loser)] = E[d tanh(d / 2) | two differ], exactly."""
    count, law = 4000, reference.string_law()
    rows = neural.asked(WORLD, law, GOLD, count, seed=0)
    look = from_table(WORLD.language, GOLD)
    gaps = (look(rows.chosen) - look(rows.rejected)).numpy()
    difference = GOLD[:, :, None] - GOLD[:, None, :]
    weight = law[:, :, None] * law[:, None, :] * ~np.eye(law.shape[1], dtype=bool)
    weight *= (WORLD.prompt_law / weight.sum(axis=(1, 2)))[:, None, None]
    expected = float((weight * difference * np.tanh(difference / 2)).sum())
    assert abs(gaps.mean() - expected) < 5 * gaps.std() / np.sqrt(count)
    assert expected > 0.1


def test_infinitely_many_comparisons_meet_the_score_equations(reference):
    """sum_ij p(i) p(j) (phi_i - phi_j) (P(i beats j) - sigma(r_i - r_j)) = 0, string by string."""
    law, found = reference.string_law(), neural.settled_counts(WORLD, reference.string_law(), 0.5)
    counts = WORLD.counts[WORLD.bag]
    features = np.column_stack([counts, WORLD.lengths < WORLD.language.horizon])
    score = 0.0
    for x, one in enumerate(law):
        gap = expit(GOLD[x][:, None] - GOLD[x]) - expit(found[x][:, None] - found[x])
        pull = WORLD.prompt_law[x] * one[:, None] * one * gap
        score = score + 2 * pull.sum(axis=1) @ features
    assert np.abs(score).max() < 1e-8
    np.testing.assert_array_equal(found[0], found[1])  # it does not see the prompt
    assert np.ptp(found) > 0.1


def test_tuning_goes_towards_the_gibbs_optimum(reference):
    """Sampled against exact: three quarters of the way to the optimum, and not beyond."""
    beta = 0.5
    ((step, law),) = neural.tuned(reference, WORLD, GOLD, steps=150, seed=0, beta=beta)
    start = reference.string_law()
    best = objective.gibbs(start, GOLD, beta)

    def value(one):
        return float(WORLD.prompt_law @ objective.regularised_value(one, start, GOLD, beta))

    assert step == 150
    assert value(start) < value(law) <= value(best)
    assert (value(best) - value(law)) < 0.25 * (value(best) - value(start))


def test_exact_measures_lie_within_the_intervals_of_sampled_ones(proxy):
    """Another policy than the reference, once summed over all strings and once drawn from."""
    policy = neural.pretrained(proxy.world, seed=2, steps=20)
    row = proxy.ruler(policy.string_law())
    gold = from_table(proxy.world.language, proxy.ruler.gold)
    judge = SampledJudge(proxy.reference, proxy.model, gold, proxy.world.prompt_law, draws=4000)
    sampled = judge(policy, torch.Generator().manual_seed(0))
    assert sampled.gold is not None
    for name, exact in (("kl", row["kl"]), ("gold", row["gold"] * proxy.ruler.gold_sd)):
        estimate = getattr(sampled, name)
        assert abs(estimate.mean - exact) < 4 * estimate.stderr
        assert estimate.stderr > 0


def test_dials_that_a_network_does_not_have_are_refused():
    for dials in (Dials(0.6), Dials(0.6, 100, tail=2.0)):
        with pytest.raises(ValueError, match="neural tier"):
            neural.fit_neural(dials, 0, "counts", horizon=3)
    assert math.isinf(Dials().estimation)
