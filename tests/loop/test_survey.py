"""Surveys: when people are asked, about which strings, and what comes of infinitely many."""

import numpy as np
import pytest
from scipy import stats

from bandit_rlhf.annotator import Person
from bandit_rlhf.comparisons import Comparisons
from bandit_rlhf.loop.state import State
from bandit_rlhf.loop.string_law import from_log_law
from bandit_rlhf.loop.survey import Survey, every_pair, joined
from bandit_rlhf.reward.model import Tabular
from tests.worlds import random_world

WORLD = random_world(seed=61, size=2, horizon=2)
GOLD = WORLD.bandit.reward_table()
STATE = State(WORLD.policy, WORLD.reference, WORLD.bandit.prompt_law)
CROWD = Person(GOLD)


def test_people_are_asked_at_the_start_and_again() -> None:
    once, again = Survey(CROWD, 5), Survey(CROWD, 5, every=3)
    assert [step for step in range(10) if once.due(step)] == [0]
    assert [step for step in range(10) if again.due(step)] == [0, 4, 7]


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_strings_come_from_both_policies_by_share(share: float) -> None:
    """Drawn questions against the law of pairs from its definition, by a chi-squared test."""
    rows = Survey(CROWD, 20_000, on_policy=share).ask(STATE, np.random.default_rng(1))
    mixed = (1 - share) * WORLD.reference.string_law() + share * WORLD.policy.string_law()
    strings = mixed.shape[1]
    expected = np.zeros((2, strings, strings))
    for x, p in enumerate(WORLD.bandit.prompt_law):
        pair = np.outer(mixed[x], mixed[x])
        np.fill_diagonal(pair, 0.0)
        expected[x] = p * (pair + pair.T) / pair.sum()
    assert rows.prompt is not None
    low, high = np.minimum(rows.winner, rows.loser), np.maximum(rows.winner, rows.loser)
    found = np.zeros_like(expected)
    np.add.at(found, (rows.prompt, low, high), 1)
    at = np.triu_indices(strings, 1)
    counts, shares = found[:, *at].ravel(), expected[:, *at].ravel()
    assert stats.chisquare(counts, shares * rows.row_count).pvalue > 1e-3
    other = 0.5 * shares + 0.5 / len(shares)  # the control: another law is told apart
    assert stats.chisquare(counts, other * rows.row_count).pvalue < 1e-6


def test_infinitely_many_people_tell_the_true_reward() -> None:
    rows = Survey(CROWD, 100, expected=True).ask(STATE, np.random.default_rng(0))
    assert rows.weight is not None
    assert rows.weight.sum() == pytest.approx(100)
    fitted = Tabular(ridge=0.0)(rows, np.random.default_rng(0))
    expected = GOLD - GOLD.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(fitted, expected, rtol=0, atol=1e-7)


def test_expected_pairs_are_the_law_of_drawn_ones() -> None:
    law = WORLD.reference.string_law()
    questions, weight = every_pair(WORLD.bandit.prompt_law, law)
    assert weight.sum() == pytest.approx(1.0)
    x, y, z = questions.prompt[7], questions.first[7], questions.second[7]
    differ = 1 - (law[x] ** 2).sum()
    chance = WORLD.bandit.prompt_law[x] * law[x, y] * law[x, z] / differ
    assert weight[7] == pytest.approx(chance, rel=1e-12)


def test_joining_keeps_every_row() -> None:
    plain = Comparisons.from_ids([0, 1], [1, 2], items=range(3))
    tied = Comparisons.from_ids([2], [0], items=range(3), tie=[True])
    heavy = Comparisons.from_ids([2], [1], items=range(3), weight=[4.0])
    both = joined(joined(plain, tied), heavy)
    assert both.winner.tolist() == [0, 1, 2, 2]
    assert both.loser.tolist() == [1, 2, 0, 1]
    assert both.tie is not None
    assert both.tie.tolist() == [False, False, True, False]
    assert both.weight is not None
    assert both.weight.tolist() == [1.0, 1.0, 1.0, 4.0]
    assert joined(None, plain) is plain


def test_tables_of_other_strings_do_not_join() -> None:
    with pytest.raises(ValueError, match="the tables have other items"):
        joined(Comparisons.from_ids([0], [1]), Comparisons.from_ids([0], [2]))


def test_a_policy_that_writes_one_string_leaves_nothing_to_ask() -> None:
    scores = np.full(GOLD.shape, -np.inf)
    scores[:, 3] = 0.0
    sure = from_log_law(WORLD.language, WORLD.prompts, scores)
    state = State(sure, WORLD.reference, WORLD.bandit.prompt_law)
    with pytest.raises(ValueError, match="has all its mass on one item"):
        Survey(CROWD, 10, on_policy=1.0).ask(state, np.random.default_rng(0))
    with pytest.raises(ValueError, match="strings of prompt 0 has all its mass on one"):
        Survey(CROWD, 10, on_policy=1.0, expected=True).ask(state, np.random.default_rng(0))
    never = State(sure, WORLD.reference, np.array([0.0, 1.0]))
    with pytest.raises(ValueError, match="strings of prompt 1 has all its mass on one"):
        Survey(CROWD, 10, on_policy=1.0, expected=True).ask(never, np.random.default_rng(0))
    rows = Survey(CROWD, 50, on_policy=0.5).ask(state, np.random.default_rng(0))
    assert ((rows.winner == 3) | (rows.loser == 3)).mean() > 0.5


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="pairs is 0"):
        Survey(CROWD, 0)
    with pytest.raises(ValueError, match="every is 0"):
        Survey(CROWD, 1, every=0)
    with pytest.raises(ValueError, match=r"on_policy is 1\.5, but should be a share"):
        Survey(CROWD, 1, on_policy=1.5)
    with pytest.raises(ValueError, match="questions are about 2 prompts and 7 items"):
        Survey(Person(GOLD[:, :3]), 5).ask(STATE, np.random.default_rng(0))
