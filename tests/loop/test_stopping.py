"""Stopping rules, and a validation score against the exact win rate."""

from collections.abc import Iterator

import numpy as np
import pytest

from bandit_rlhf.annotator import Person
from bandit_rlhf.loop.ladder import Tilt
from bandit_rlhf.loop.round import Round
from bandit_rlhf.loop.running import rounds
from bandit_rlhf.loop.stopping import best_round, until_falling, validation, within_kl
from bandit_rlhf.reward.model import Given
from tests.worlds import random_world

WORLD = random_world(seed=71)
GOLD, LAW = WORLD.bandit.reward_table(), WORLD.bandit.prompt_law


def path(betas: tuple[float, ...] = (3.0, 1.0, 0.3, 0.1, 0.03)) -> Iterator[Round]:
    """Tilts against the true reward's opposite after a good start: gold rises, then falls."""
    proxy = GOLD + 2.0 * np.random.default_rng(2).normal(size=GOLD.shape)
    rng = np.random.default_rng(0)
    return rounds(WORLD.bandit, WORLD.reference, Tilt(betas), Given(proxy), rng)


def test_a_budget_of_kl() -> None:
    every = list(path())
    budget = every[2].kl
    kept = list(within_kl(path(), budget))
    assert [one.step for one in kept] == [0, 1, 2]
    assert list(within_kl(path(), 0.0))[-1].step == 0
    assert len(list(within_kl(path(), 1e9))) == len(every)


def test_what_is_cut_off_is_never_computed() -> None:
    seen = []

    def watched() -> Iterator[Round]:
        for one in path():
            seen.append(one.step)
            yield one

    list(within_kl(watched(), next(iter(list(path())[1:])).kl))
    assert seen == [0, 1, 2]


def test_until_falling_waits_as_long_as_it_is_told() -> None:
    golds = [one.gold for one in path()]
    top = int(np.argmax(golds))
    assert 0 < top < len(golds) - 2, "the path does not turn"
    for patience in (1, 2):
        kept = list(until_falling(path(), lambda one: one.gold, patience))
        waits = [k for k in range(len(golds)) if k - int(np.argmax(golds[: k + 1])) >= patience]
        assert [one.step for one in kept] == list(range(waits[0] + 1))
    assert best_round(path(), lambda one: one.gold).step == top


def test_a_score_that_does_not_rise_counts_as_falling() -> None:
    kept = list(until_falling(path(), lambda one: 1.0, patience=2))
    assert [one.step for one in kept] == [0, 1, 2]


def test_validation_is_an_unbiased_win_rate() -> None:
    """Beside P(policy's string preferred) + half of ties, summed over all pairs of strings."""
    last = list(path())[2]
    law, ref = last.policy.string_law(), WORLD.reference.string_law()  # pyright: ignore
    win = 1 / (1 + np.exp(GOLD[:, None, :] - GOLD[:, :, None]))  # [prompt, own, other]
    by_prompt = np.einsum("xy,xz,xyz->x", law, ref, win)
    exact = float(WORLD.bandit.prompt_law @ by_prompt)
    score = validation(
        Person(GOLD), WORLD.reference, WORLD.bandit.prompt_law, 40_000, np.random.default_rng(3)
    )
    assert abs(score(last) - exact) < 4 / (2 * np.sqrt(40_000))
    assert abs(exact - 0.5) > 0.05, "the control: it differs from a tie"


def test_validation_counts_ties_as_a_half() -> None:
    crowd = Person(GOLD, ties="davidson", tie=20.0)  # all but certain ties
    score = validation(
        crowd, WORLD.reference, WORLD.bandit.prompt_law, 500, np.random.default_rng(4)
    )
    assert score(next(path())) == pytest.approx(0.5, abs=1e-3)


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="patience is 0"):
        until_falling(path(), lambda one: one.gold, 0)
    with pytest.raises(ValueError, match="budget is -1"):
        within_kl(path(), -1.0)
    with pytest.raises(ValueError, match="score is nan, but should be finite"):
        list(until_falling(path(), lambda one: float("nan"), 1))
    with pytest.raises(ValueError, match="the path has 0 rounds"):
        best_round([], lambda one: one.gold)
    with pytest.raises(ValueError, match="pairs is 0"):
        validation(Person(GOLD), WORLD.reference, LAW, 0, np.random.default_rng(0))
