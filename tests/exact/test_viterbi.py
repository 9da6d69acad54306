"""The best strings against sorting all of them, and against what is plain at long horizons."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit_rlhf.automaton import capped_count, contains, length, repetition
from bandit_rlhf.exact import path_sum, viterbi
from bandit_rlhf.exact.lattice import Lattice, LatticePolicy
from bandit_rlhf.exact.viterbi import RankedString
from bandit_rlhf.language import Language
from bandit_rlhf.laws import oracle
from bandit_rlhf.ngram import MarkovPolicy
from tests.lattice_worlds import LatticeWorld, lattice_worlds, random_lattice_world


def assert_best(got: list[RankedString], score: dict[oracle.String, float], count: int) -> None:
    """The highest scores in order; every string once, with its own score."""
    possible = [value for value in score.values() if value > -math.inf]
    expected = sorted(possible, reverse=True)[:count]
    assert [item.score for item in got] == pytest.approx(expected, rel=1e-12, abs=1e-12)
    assert [score[item.string] for item in got] == pytest.approx(expected, rel=1e-12, abs=1e-12)
    assert len({item.string for item in got}) == len(expected)


def log_law(w: LatticeWorld, x: int) -> dict[oracle.String, float]:
    law = w.law(w.other_rows, x)
    return {y: math.log(p) if p else -math.inf for y, p in law.items()}


@settings(max_examples=60)
@given(w=lattice_worlds(), count=st.integers(1, 50))
def test_most_probable_strings_are_the_sorted_law(w: LatticeWorld, count: int) -> None:
    policy = w.other(w.lattice)
    for x in range(len(w.prompts)):
        assert_best(viterbi.most_probable(policy, count, x), log_law(w, x), count)


@settings(max_examples=60)
@given(w=lattice_worlds(reference_zeros=True), count=st.integers(1, 50))
def test_best_strings_are_the_sorted_rewards_of_the_support(w: LatticeWorld, count: int) -> None:
    lattice, gold = w.lattice, w.payoff(w.gold_terms)
    for x in range(len(w.prompts)):
        law = w.law(w.reference_rows, x)
        score = {y: float(r) if law[y] else -math.inf for y, r in gold.items()}
        got = viterbi.best_string(lattice, lattice.payoffs["gold"], count, x)
        assert_best(got, score, count)


@pytest.mark.parametrize("end", [True, False], ids=["ended", "cut"])
@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_most_probable_of_a_gibbs_optimum(end: bool, order: int) -> None:
    """A policy that depends on the step, against the law of the tree."""
    w = random_lattice_world(order, size=3, horizon=5, end=end, order=order)
    lattice = w.lattice
    optimum, _ = path_sum.gibbs_optimum(lattice, lattice.payoffs["gold"], beta=0.3)
    log_laws = optimum.as_tabular().string_log_law()
    strings = w.language.all_strings().strings()
    for x, logs in enumerate(log_laws):
        score = dict(zip(strings, logs.tolist(), strict=True))
        assert_best(viterbi.most_probable(optimum, 20, x), score, 20)


# Long horizons


def coin(horizon: int, probs: list[float], end: str | None = None) -> LatticePolicy:
    language = Language(("a", "b"), horizon, end)
    return Lattice.build(MarkovPolicy.from_probs(language, 0, [probs]), {}).reference


def test_ties_cost_one_descent_each() -> None:
    """All 2^200 strings are equally probable: a breadth-first search would not come back."""
    got = viterbi.most_probable(coin(200, [0.5, 0.5]), count=30)
    assert len({item.string for item in got}) == 30
    assert [item.score for item in got] == pytest.approx([200 * math.log(0.5)] * 30)


def test_near_ties_cost_one_descent_each() -> None:
    """Equal scores that rounding tells apart: orders of adding 0.1 and 0.3, at horizon 120."""
    letters = Language(("a", "b", "c"), 120)
    reference = MarkovPolicy.from_probs(letters, 0, [[0.1, 0.3, 0.6]])
    reward = capped_count(letters, ["a"], 40, 0.1) + capped_count(letters, ["b"], 40, 0.3)
    lattice = Lattice.build(reference, {"reward": reward})
    got = viterbi.best_string(lattice, lattice.payoffs["reward"], count=25)
    assert len({item.string for item in got}) == 25
    assert [item.score for item in got] == pytest.approx([4.0 + 12.0] * 25)


def test_the_mode_of_a_biased_coin_and_its_neighbours() -> None:
    """First a^300, then the 300 strings with one b."""
    got = viterbi.most_probable(coin(300, [0.7, 0.3]), count=302)
    assert got[0].string == (0,) * 300
    assert {item.string.count(1) for item in got[1:301]} == {1}
    assert got[301].string.count(1) == 2
    expected = [300 * math.log(0.7), 299 * math.log(0.7) + math.log(0.3)]
    assert [got[0].score, got[1].score] == pytest.approx(expected)


def test_the_best_of_a_reward_is_constructed_as_it_must_be() -> None:
    letters = Language(("a", "b", "c"), 64, "$")
    reference = MarkovPolicy.from_probs(letters, 0, [[0.3, 0.3, 0.3, 0.1]])
    reward = contains(letters, ["a", "b", "c"], 5.0) + repetition(letters, 1, -1.0)
    lattice = Lattice.build(reference, {"reward": reward + length(letters, -0.25)})
    (best,) = viterbi.best_string(lattice, lattice.payoffs["reward"])
    assert letters.words(best.string) == ("a", "b", "c", "$")
    assert best.score == 5.0 - 4 * 0.25


def test_fewer_strings_than_asked_for() -> None:
    got = viterbi.most_probable(coin(2, [1.0, 0.0, 0.0], "$"), count=9)
    assert got == [RankedString((0, 0), 0.0)]


# Broken twins, each of which the comparison must catch


def greedy(policy: LatticePolicy, count: int, prompt: int) -> list[RankedString]:
    """The most probable token at every step: not the most probable string."""
    lattice = policy.lattice
    state, tokens, score = int(lattice.start[prompt]), (), 0.0
    for step in range(lattice.language.horizon):
        token = int(policy.log_probs[step, state].argmax())
        tokens, score = (*tokens, token), score + float(policy.log_probs[step, state, token])
        if token == lattice.language.end_token:
            break
        state = int(lattice.successor[state, token])
    return [RankedString(tokens, score)] * count


def garden_path() -> LatticePolicy:
    """a is the likelier start, but nothing likely follows it."""
    letters = Language(("a", "b"), 2)
    reference = MarkovPolicy.from_probs(letters, 1, [[0.6, 0.4], [0.5, 0.5], [0.0, 1.0]])
    return Lattice.build(reference, {}).reference


def test_control_greedy_decoding_is_caught() -> None:
    policy = garden_path()
    score = {(0, 0): 0.3, (0, 1): 0.3, (1, 1): 0.4, (1, 0): 0.0}
    score = {y: math.log(p) if p else -math.inf for y, p in score.items()}
    assert_best(viterbi.most_probable(policy, 1), score, 1)
    with pytest.raises(AssertionError):
        assert_best(greedy(policy, 1, 0), score, 1)
    with pytest.raises(AssertionError):
        assert_best(viterbi.most_probable(policy, 1) * 2, score, 2)


def test_control_a_search_blind_to_truncation_is_caught() -> None:
    w = random_lattice_world(seed=2, end=False)
    lattice, gold = w.lattice, w.payoff(w.gold_terms)
    payoff = lattice.payoffs["gold"]
    assert np.abs(payoff.truncated).max() > 0
    score = {y: float(r) for y, r in gold.items()}
    assert_best(viterbi.best_string(lattice, payoff, 9), score, 9)
    blind = type(payoff)(payoff.edge, 0 * payoff.truncated)
    with pytest.raises(AssertionError):
        assert_best(viterbi.best_string(lattice, blind, 9), score, 9)


def test_count_is_at_least_one() -> None:
    with pytest.raises(ValueError, match=r"^count is 0, but should be at least 1 \[viterbi\]"):
        viterbi.most_probable(garden_path(), 0)
