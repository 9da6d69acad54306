"""Plackett and Luce's model: exact sums over all orders."""

import itertools

import numpy as np
import pytest
import torch

from bandit_rlhf.preference import (
    bradley_terry,
    plackett_luce,
    plackett_luce_score,
    plackett_luce_weak_order,
    sample_ranking,
)

REWARDS = np.array([0.3, -1.2, 2.0, 0.9, -0.4])


def test_probabilities_of_all_orders_sum_to_one() -> None:
    orders = np.array(list(itertools.permutations(range(5))))
    assert np.exp(plackett_luce(REWARDS[orders])).sum() == pytest.approx(1.0, abs=1e-13)


def test_two_items_are_bradley_terry() -> None:
    pair = bradley_terry(REWARDS[0] - REWARDS[1]).win
    assert float(plackett_luce(REWARDS[:2])) == pytest.approx(float(pair), rel=1e-15)


def test_the_pairwise_marginal_is_bradley_terry_whatever_else_is_ranked() -> None:
    orders = np.array(list(itertools.permutations(range(5))))
    first = np.argmax(orders == 0, axis=1) < np.argmax(orders == 3, axis=1)
    marginal = np.exp(plackett_luce(REWARDS[orders]))[first].sum()
    pair = np.exp(bradley_terry(REWARDS[0] - REWARDS[3]).win)
    assert marginal == pytest.approx(float(pair), abs=1e-13)


@pytest.mark.parametrize("ranked", [1, 2, 4, 5])
def test_awarding_fewer_places_sums_over_the_orders_of_the_rest(ranked: int) -> None:
    tails = itertools.permutations(range(ranked, 5))
    orders = np.array([[*range(ranked), *tail] for tail in tails])
    total = np.exp(plackett_luce(REWARDS[orders])).sum()
    assert np.exp(plackett_luce(REWARDS, ranked)) == pytest.approx(total, abs=1e-14)


@pytest.mark.parametrize("blocks", [(1, 1, 1, 1, 1), (2, 3), (1, 3, 1), (2, 2, 1), (5,), (4, 1)])
def test_a_weak_order_sums_over_its_orders(blocks: tuple[int, ...]) -> None:
    ends = np.cumsum(blocks)
    parts = [range(end - size, end) for size, end in zip(blocks, ends, strict=True)]
    choices = itertools.product(*(itertools.permutations(part) for part in parts))
    orders = np.array([list(itertools.chain(*choice)) for choice in choices])
    total = np.exp(plackett_luce(REWARDS[orders])).sum()
    assert np.exp(plackett_luce_weak_order(REWARDS, blocks)) == pytest.approx(total, abs=1e-14)


def test_rewards_far_apart_neither_overflow_nor_vanish() -> None:
    far = np.array([900.0, 0.0, -900.0])
    assert plackett_luce(far) == pytest.approx(0.0, abs=1e-300)
    assert plackett_luce(far[::-1].copy()) == pytest.approx(-2700.0)
    assert plackett_luce_weak_order(far[::-1].copy(), (2, 1)) == pytest.approx(-2700.0, rel=1e-3)


@pytest.mark.parametrize("ranked", [2, None])
def test_scores_are_derivatives_and_autograd_s(ranked: int | None) -> None:
    scores = plackett_luce_score(REWARDS, ranked)
    step = 1e-6 * np.eye(5)
    slopes = (plackett_luce(REWARDS + step, ranked) - plackett_luce(REWARDS - step, ranked)) / 2e-6
    np.testing.assert_allclose(scores, slopes, atol=1e-8)
    assert scores.sum() == pytest.approx(0.0, abs=1e-14)
    at = torch.tensor(REWARDS, requires_grad=True)
    (gradient,) = torch.autograd.grad(plackett_luce(at, ranked), at)
    np.testing.assert_allclose(gradient.numpy(), scores, atol=1e-14)


def test_weak_orders_are_concave_in_the_rewards() -> None:
    rng = np.random.default_rng(0)
    one, two = rng.normal(scale=3, size=(2, 200, 5))
    middle = plackett_luce_weak_order((one + two) / 2, (1, 3, 1))
    ends = plackett_luce_weak_order(one, (1, 3, 1)) + plackett_luce_weak_order(two, (1, 3, 1))
    assert (middle >= ends / 2 - 1e-12).all()


def test_draws_follow_the_law() -> None:
    """300,000 draws of six orders, five standard errors each."""
    rewards = np.array([0.5, 0.0, -0.7])
    drawn = sample_ranking(np.tile(rewards, (300_000, 1)), np.random.default_rng(2))
    for order in itertools.permutations(range(3)):
        p = float(np.exp(plackett_luce(rewards[list(order)])))
        share = (drawn == np.array(order)).all(axis=1).mean()
        assert abs(share - p) < 5 * np.sqrt(p * (1 - p) / len(drawn))


@pytest.mark.parametrize(
    ("blocks", "message"),
    [((2, 2), "adding up to 5"), ((5, 0), "positive"), ((), "adding up to 5")],
)
def test_blocks_must_cover_the_places(blocks: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plackett_luce_weak_order(REWARDS, blocks)


def test_a_long_tie_ahead_of_others_is_refused_and_one_at_the_end_is_free() -> None:
    with pytest.raises(ValueError, match="a block of 13 ties stands ahead"):
        plackett_luce_weak_order(np.zeros(14), (13, 1))
    assert np.exp(plackett_luce_weak_order(np.zeros(14), (1, 13))) == pytest.approx(1 / 14)


@pytest.mark.parametrize("ranked", [0, 6])
def test_ranked_must_be_a_number_of_places(ranked: int) -> None:
    with pytest.raises(ValueError, match=r"in 1\.\.5"):
        plackett_luce(REWARDS, ranked)
