"""Reuse: escape times against simulated gradients, support, the nucleus, judges."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from bandit_rlhf.bandit import ContextualBandit
from bandit_rlhf.exact import path_sum, tree
from bandit_rlhf.language import Language
from bandit_rlhf.objective import gibbs
from bandit_rlhf.policy import TabularPolicy, as_level
from experiments.lab.tiers import SIZES
from experiments.reuse import TRIES, Config, in_nucleus, natural_time, passes, vanilla_time
from experiments.reuse_judges import judge_crossing, judge_escape, judge_nucleus
from experiments.word_world import world
from tests.experiments.paths import on_tiers

LANGUAGE = Language(("a", "b", "c"), 3)
START = TabularPolicy.normal(LANGUAGE, [()], np.random.default_rng(0))
TARGET = (2, 0, 1)


def laws_along(policy: TabularPolicy) -> np.ndarray:
    return np.log([policy.next_token_law(0, TARGET[:t]) for t in range(3)])


def simulated(natural: bool, step: float) -> float:
    """The time until pi(y*) = 1/2 by Euler steps with the gradients of the whole tree."""
    reward = np.zeros((1, LANGUAGE.string_count))
    reward[0, LANGUAGE.rank(TARGET)] = 1.0
    bandit = ContextualBandit(LANGUAGE, [()], [1.0], reward)
    policy, time = START, 0.0
    while (found := tree.expected_reward(bandit, policy)).value < 0.5:
        direction = found.gradient
        if natural:
            direction = direction / (tree.visits(policy) * np.exp(policy.log_probs()))
        # Steps as long as the logits bear: time runs fast where nothing moves.
        pace = step / np.abs(direction).max()
        policy = TabularPolicy(LANGUAGE, policy.prompts, policy.logits + pace * direction)
        time += pace
    return time


@pytest.mark.parametrize("natural", [False, True])
def test_escape_times_are_those_of_the_gradients_of_the_tree(natural):
    exact = (natural_time if natural else vanilla_time)(laws_along(START), np.array(TARGET))
    assert simulated(natural, 5e-3) == pytest.approx(exact, rel=0.02)


def test_rarer_strings_take_longer_by_as_much_as_they_are_rarer():
    """Ten times rarer, ten times the time; the natural gradient adds a constant instead."""
    times = []
    for rare in (1e-6, 1e-7, 1e-8):
        laws = np.log([[rare, 1 - rare], [0.5, 0.5]])
        times.append((vanilla_time(laws, np.zeros(2, int)), natural_time(laws, np.zeros(2, int))))
    (a, na), (b, nb), (c, nc) = times
    assert b / a == pytest.approx(10, rel=1e-3)
    assert c / b == pytest.approx(10, rel=1e-3)
    assert nc - nb == pytest.approx(nb - na, rel=1e-2)
    assert vanilla_time(np.log([[0.6, 0.4]]), np.array([0])) == 0.0


def test_what_the_reference_cannot_say_no_step_says():
    lattice = world(4, 4, 2)
    logs = lattice.log_reference.copy()
    logs[:, 1] = -np.inf
    logs -= np.log(np.exp(logs).sum(axis=1, keepdims=True))
    narrow = replace(lattice, log_reference=logs)
    gold = narrow.payoffs["gold"]
    policy = narrow.reference
    for _ in range(5):
        policy = path_sum.softmax(narrow, policy.log_probs + path_sum.advantage(policy, gold))
    tilted, _ = path_sum.gibbs_optimum(narrow, gold, 0.01)
    for one in (policy, tilted):
        assert (one.probs[:, :, 1] == 0).all()
        assert path_sum.kl(one, narrow.reference).value < np.inf
    free, _ = path_sum.gibbs_optimum(lattice, gold, 0.01)  # the control
    assert (free.probs[:, :, 1] > 0).any()


def test_a_policy_that_is_told_the_problem_is_the_tilt_by_success():
    before = np.array([[0.2], [0.0]])
    rows = list(passes(Config(told_rate=2.0), np.ones(1), before, before))
    told = next(r["pass"] for r in rows if r["policy"] == "told" and r["tries"] == 1)
    tilted = gibbs([0.2, 0.8], [1.0, 0.0], beta=0.5)[0]
    assert told == pytest.approx(tilted / 2)
    same = {r["tries"]: r["pass"] for r in rows if r["policy"] == "reference"}
    assert {r["tries"]: r["pass"] for r in rows if r["policy"] == "shared"} == same


def test_the_nucleus_is_the_smallest_set():
    lattice = world(4, 4, 2)
    inside, probs = in_nucleus(lattice, 0.8), np.exp(lattice.log_reference)
    mass = np.where(inside, probs, 0.0).sum(axis=1)
    least = np.where(inside, probs, 1.0).min(axis=1)
    assert (mass >= 0.8 - 1e-12).all()
    assert (mass - least < 0.8).all()  # without its least token it holds less
    assert (least >= np.where(inside, 0.0, probs).max(axis=1)).all()
    level = as_level(LANGUAGE, START.log_probs(), 0)
    assert level.shape == (1, 3, 1)


@pytest.mark.parametrize(("slope", "verdict"), [(1.0, "supported"), (0.5, "refuted")])
def test_judge_of_escape(slope, verdict):
    rng, rows = np.random.default_rng(0), []
    for seed in range(5):
        for rare in np.linspace(1, 20, 8):
            time = slope * rare + 0.01 * rng.standard_normal()
            rows.append({"seed": seed, "log_reference": -rare, "vanilla": time, "natural": 1.0})
    table = on_tiers(pl.DataFrame(rows).with_columns(row=pl.lit("escape")))
    assert judge_escape(table).verdict == verdict


def passing(late: float) -> pl.DataFrame:
    rows = []
    for seed in range(4):
        for i, tries in enumerate(TRIES):
            base = min(1.0, 0.05 + 0.1 * i) + 0.0001 * seed
            for policy, value in (
                ("reference", base),
                ("shared", base + 0.2 if i < 4 else base - late),
                ("told", base + 0.3),
            ):
                rows.append({"seed": seed, "tries": tries, "policy": policy, "pass": value})
    return on_tiers(pl.DataFrame(rows).with_columns(row=pl.lit("pass")))


def test_judge_of_the_crossing():
    crossed = judge_crossing(passing(0.1))
    assert crossed.verdict == "supported"
    assert "overtakes at k = 256" in crossed.measured
    assert judge_crossing(passing(-0.1)).verdict == "refuted"


@pytest.mark.parametrize(("outside", "verdict"), [(0.01, "supported"), (0.3, "refuted")])
def test_judge_of_the_nucleus(outside, verdict):
    rows = [
        {"seed": seed, "rate": rate, "gold": gold, "outside": share + 0.001 * seed}
        for seed in range(4)
        for rate, gold, share in ((0.0, 0.0, 0.05), (1.0, 1.0, outside), (9.0, -1.0, 0.9))
    ]
    table = on_tiers(pl.DataFrame(rows).with_columns(row=pl.lit("nucleus")), SIZES)
    assert judge_nucleus(table).verdict == verdict
