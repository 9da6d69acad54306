"""Needs: reach by enumeration, the natural gradient by finite differences."""

from math import comb

import numpy as np
import pytest

from bandit_rlhf.exact import path_sum
from bandit_rlhf.selection import pass_at_k
from experiments.lab.needs import (
    drawn_pairs,
    every_pair,
    frequent_pairs,
    holding,
    pass_at,
    success_direction,
    within_reach,
)
from experiments.word_world import world

LATTICE = world(4, 4, 2)
PAIRS = np.array([[0, 0], [0, 1], [2, 3], [3, 3]])


def policy_at(seed: int):
    logits = np.random.default_rng(seed).standard_normal(LATTICE.reference.log_probs.shape)
    return path_sum.softmax(LATTICE, logits)


@pytest.mark.parametrize("seed", range(3))
def test_reach_is_the_mass_of_the_strings_that_hold_the_pair(seed):
    policy, language = policy_at(seed), LATTICE.language
    law, held = policy.as_tabular().string_law(), holding(language, PAIRS)
    first = language.all_strings().tokens[:, 0]
    for x, prompt in enumerate(LATTICE.prompts):
        begun = language.token(prompt[-1]) == PAIRS[:, :1]  # the prompt's last word counts
        inside = held | (begun & (first == PAIRS[:, 1:]))
        assert within_reach(policy, PAIRS)[:, x] == pytest.approx(inside @ law[x], abs=1e-12)


def test_the_direction_is_the_natural_gradient_of_the_mean_success():
    """gradient = mass pi(a|s) direction, by central differences in single logits."""
    policy = policy_at(7)
    direction, visits = success_direction(policy, PAIRS), path_sum.visits(policy)
    gradient = visits[:, :, None] * policy.probs * direction
    assert (policy.probs * direction).sum(axis=2) == pytest.approx(
        np.zeros(visits.shape), abs=1e-12
    )
    rng, step = np.random.default_rng(1), 1e-5

    def success(logits):
        return pass_at(
            LATTICE.prompt_law, within_reach(path_sum.softmax(LATTICE, logits), PAIRS), 1
        )

    places = [tuple(rng.integers(size) for size in direction.shape) for _ in range(25)]
    numeric = []
    for place in places:
        moved = policy.log_probs.copy()
        moved[place] += step
        up = success(moved)
        moved[place] -= 2 * step
        numeric.append((up - success(moved)) / (2 * step))
    assert np.abs(numeric).max() > 1e-4
    assert [gradient[place] for place in places] == pytest.approx(numeric, abs=1e-9)


def test_pass_at_is_the_chance_of_one_hit():
    held = np.array([[0.25, 0.5], [0.0, 1.0]])
    law = np.array([0.75, 0.25])
    by_hand = ((1 - 0.75**3) * 0.75 + (1 - 0.5**3) * 0.25 + 0.25) / 2
    assert pass_at(law, held, 3) == pytest.approx(by_hand)
    # Averaged over binomial counts, the estimator from n samples is unbiased for it.
    n, p = 6, 0.25
    chance = [comb(n, c) * p**c * (1 - p) ** (n - c) for c in range(n + 1)]
    mean = sum(w * pass_at_k(n, c, 3) for c, w in enumerate(chance))
    assert mean == pytest.approx(pass_at(np.ones(1), np.array([[p]]), 3))


def test_pairs_are_distinct_and_cover_the_order():
    everything = frequent_pairs(LATTICE, 100)
    assert len({tuple(pair) for pair in everything}) == len(everything) == 9  # 3 known words
    drawn = drawn_pairs(LATTICE, 4, np.random.default_rng(0))
    assert len(drawn) == 4
    assert {tuple(pair) for pair in drawn} <= {tuple(pair) for pair in everything}
    assert every_pair(3).tolist()[:4] == [[0, 0], [0, 1], [0, 2], [1, 0]]
