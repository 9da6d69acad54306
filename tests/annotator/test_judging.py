"""Draws follow the exact laws, of people and of mixed populations; broken samplers are caught."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from bandit_rlhf.annotator import (
    Person,
    Population,
    Questions,
    compare,
    every_question,
    expected_comparisons,
)
from bandit_rlhf.comparisons import Comparisons

FALSE_ALARM = 1e-6
"""The chance that a test of sampled frequencies fails although the law is right."""

REWARD = np.array([[0.0, 1.0, -0.5]])
ANN = Person(REWARD, position_bias=0.4, lapse=0.05, ties="davidson", tie=-0.5)
BOB = Person(-2 * REWARD, ties="rao-kupper", tie=0.3)
BOTH = Population((ANN, BOB), np.array([0.7, 0.3]))


def repeated(questions: Questions, times: int) -> Questions:
    columns = {
        name: np.tile(getattr(questions, name), times) for name in ("prompt", "first", "second")
    }
    return replace(questions, **columns)


def outcomes(rows: Comparisons, questions: Questions) -> np.ndarray:
    """[row] 0 first, 1 tie, 2 second, read off the table."""
    won = np.where(rows.winner == questions.first, 0, 2)
    assert ((rows.winner == questions.first) | (rows.winner == questions.second)).all()
    return won if rows.tie is None else np.where(rows.tie, 1, won)


def frequencies_fit(annotator, other, times: int = 4000) -> bool:
    """Whether draws of one annotator fit the law of another, over all questions at once."""
    questions = repeated(every_question(1, 3), times)
    drawn = outcomes(compare(annotator, questions, np.random.default_rng(1)), questions)
    found = np.stack([np.bincount(drawn[k::6], minlength=3) for k in range(6)])
    expected = times * other.outcome_probs(every_question(1, 3))
    possible = expected > 0
    if (found[~possible] > 0).any():
        return False
    statistic = ((found - expected)[possible] ** 2 / expected[possible]).sum()
    return bool(stats.chi2.sf(statistic, possible.sum() - 6) > FALSE_ALARM)


@pytest.mark.parametrize("annotator", [ANN, BOB, BOTH, Person(REWARD)])
def test_draws_follow_the_exact_law(annotator):
    assert frequencies_fit(annotator, annotator)


@pytest.mark.parametrize(
    "twin",
    [
        replace(ANN, position_bias=0.0),
        replace(ANN, position_bias=-0.4),
        replace(ANN, lapse=0.0, temperature=1.3),
        replace(ANN, tie=-0.2),
        replace(ANN, ties="none", tie=0.0),
        BOTH,
    ],
)
def test_control_draws_do_not_fit_the_law_of_somebody_else(twin):
    assert not frequencies_fit(twin, ANN)


def test_the_table_tells_sides_prompts_and_names():
    questions = every_question(2, 3)
    person = Person(np.zeros((2, 3)), ties="davidson", tie=0.0)
    rows = compare(person, questions, np.random.default_rng(0), items="abc", position=True)
    drawn = outcomes(rows, questions)
    assert set(drawn) == {0, 1, 2}
    assert rows.items == ("a", "b", "c")
    assert rows.prompt is not None
    assert np.array_equal(rows.prompt, questions.prompt)
    assert rows.covariates is not None
    assert np.array_equal(rows.covariates[:, 0], np.where(drawn == 2, -1.0, 1.0))
    assert rows.annotator is None


def agreement(worker: np.ndarray | None) -> float:
    """How often answers 2k and 2k + 1 to one question agree."""
    one = Questions(np.zeros(40_000, int), np.ones(40_000, int), np.zeros(40_000, int), 1, 3)
    drawn = outcomes(compare(BOTH, one, np.random.default_rng(5), worker=worker), one)
    return float((drawn[::2] == drawn[1::2]).mean())


def test_a_worker_keeps_a_hidden_type():
    """Answers of one worker agree with chance sum_k s_k sum_o P_k(o)^2, of two, sum_o P(o)^2.

    Binomial tests over 20,000 pairs, each with a false-alarm rate of 1e-6.
    """
    question = Questions(np.zeros(1, int), np.ones(1, int), np.zeros(1, int), 1, 3)
    laws = BOTH.outcome_probs_by_type(question)[:, 0]
    of_one = float(BOTH.shares @ (laws**2).sum(axis=1))
    of_two = float(((BOTH.shares @ laws) ** 2).sum())
    assert of_one > of_two + 0.05
    workers = np.repeat(np.arange(20_000), 2)
    for worker, chance, other in ((workers, of_one, of_two), (None, of_two, of_one)):
        found = round(agreement(worker) * 20_000)
        assert stats.binomtest(found, 20_000, chance).pvalue > FALSE_ALARM
        assert stats.binomtest(found, 20_000, other).pvalue < FALSE_ALARM


def test_workers_are_in_the_table_and_types_are_not():
    worker = np.array([4, 4, 0, 1, 2, 2])
    rows = compare(BOTH, every_question(1, 3), np.random.default_rng(0), worker=worker)
    assert rows.annotator is not None
    assert np.array_equal(rows.annotator, worker)
    assert not any("type" in name for name in vars(rows))
    with pytest.raises(ValueError, match=r"worker has shape \(2,\)"):
        compare(BOTH, every_question(1, 3), np.random.default_rng(0), worker=[0, 1])


def test_a_population_is_the_mixture_of_its_types():
    questions = every_question(1, 3)
    laws = [0.7 * ANN.outcome_probs(questions), 0.3 * BOB.outcome_probs(questions)]
    assert BOTH.outcome_probs(questions) == pytest.approx(sum(laws), abs=1e-15)
    assert BOTH.mean_reward() == pytest.approx(0.7 * REWARD - 0.6 * REWARD, abs=1e-15)


@pytest.mark.parametrize(
    ("people", "shares", "message"),
    [
        ((ANN, BOB), [0.5, 0.4], "shares sums to 0.9"),
        ((ANN,), [0.5, 0.5], r"shares has shape \(2,\)"),
        ((ANN, Person(np.zeros((2, 3)))), [0.5, 0.5], "types have tables of shapes"),
    ],
)
def test_populations_without_sense_are_refused(people, shares, message):
    with pytest.raises(ValueError, match=message):
        Population(people, np.array(shares))


@pytest.mark.parametrize("weight", [None, [1.0, 0.0, 2.5, 1.0, 1.0, 4.0]])
def test_expected_comparisons_are_the_law_row_by_row(weight):
    questions = every_question(1, 3)
    rows = expected_comparisons(ANN, questions, weight=weight, position=True)
    assert rows.weight is not None
    assert rows.tie is not None
    assert rows.covariates is not None
    found = np.zeros((3, 3, 3))  # [first, second, outcome]
    ahead = rows.covariates[:, 0] > 0
    first = np.where(ahead, rows.winner, rows.loser)
    second = np.where(ahead, rows.loser, rows.winner)
    outcome = np.where(rows.tie, 1, np.where(ahead, 0, 2))
    np.add.at(found, (first, second, outcome), rows.weight)
    times = np.ones(6) if weight is None else np.array(weight)
    expected = times[:, None] * ANN.outcome_probs(questions)
    assert found[questions.first, questions.second] == pytest.approx(expected, abs=1e-15)
