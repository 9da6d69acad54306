"""A machine judge: the confusion counted by hand, on the real files, and recovered from draws."""

import csv
from collections import Counter

import numpy as np
import pytest
from scipy import stats

from bandit_rlhf.annotator import (
    Confusion,
    MachineJudge,
    Person,
    compare,
    confusion,
    every_question,
    expected_comparisons,
    random_questions,
)
from bandit_rlhf.comparisons import Comparisons
from bandit_rlhf.comparisons.reading import read
from tests.real_data import real

ANSWERS = np.array([[0.7, 0.05, 0.25], [0.5, 0.1, 0.4], [0.2, 0.05, 0.75]])
PERSON = Person(np.array([[0.0, 1.0, -0.5]]), ties="davidson", tie=0.2)
JUDGE = MachineJudge(PERSON, ANSWERS)


def test_the_law_is_the_law_of_total_probability():
    questions = every_question(1, 3)
    person = PERSON.outcome_probs(questions)
    for k, law in enumerate(JUDGE.outcome_probs(questions)):
        for m in range(3):
            total = sum(person[k, h] * ANSWERS[h, m] for h in range(3))
            assert law[m] == pytest.approx(total, abs=1e-15)


def test_counts_by_hand():
    """The machine answers (x, b, a) twice, and (y, a, b), which a person answered, never."""
    people = Comparisons.from_sides(
        ["a", "a", "b", "a"],
        ["b", "b", "a", "b"],
        [1, 0, -1, 1],
        prompt=["x", "x", "x", "y"],
        weight=[2.0, 1.0, 1.0, 5.0],
        position=True,
    )
    machine = Comparisons.from_sides(
        ["a", "b", "b", "c"],
        ["b", "a", "a", "a"],
        [-1, 0, -1, 1],
        prompt=["x", "x", "x", "x"],
        position=True,
    )
    found = confusion(people, machine)
    assert found.counts.tolist() == [[0, 0, 2], [0, 0, 1], [0, 0.5, 0.5]]
    assert found.agreement == 0.5 / 4
    with pytest.raises(ValueError, match="never answered"):
        Confusion(np.diag([1.0, 0.0, 1.0])).law()
    smoothed = Confusion(np.diag([1.0, 0.0, 1.0])).law(prior=1.0)
    assert smoothed == pytest.approx(np.array([[2, 1, 1], [4 / 3] * 3, [1, 1, 2]]) / 4)


def test_position_bias_is_the_odds_where_people_are_even():
    tied, even = 0.2, 0.4
    counts = np.diag([40.0, 20.0, 40.0]) @ ANSWERS
    first = even * 0.7 + tied * 0.5 + even * 0.2
    second = even * 0.25 + tied * 0.4 + even * 0.75
    assert Confusion(counts).position_bias() == pytest.approx(np.log(first / second), abs=1e-12)
    assert Confusion(np.eye(3)).position_bias() == 0.0


def test_a_machine_that_copies_people_is_recovered_exactly():
    rows = compare(PERSON, every_question(1, 3), np.random.default_rng(0), position=True)
    assert confusion(rows, rows).agreement == 1.0


def test_the_answers_are_recovered_from_draws():
    """Chi-squared over the three rows of the confusion, false-alarm rate 1e-6; a twin is caught."""
    questions = random_questions(np.random.default_rng(1), 30_000, [1.0], [[0.2, 0.3, 0.5]])
    rng = np.random.default_rng(2)
    person = compare(PERSON, questions, rng, position=True)
    # The machine answers the person's answer: the model's own assumption.
    assert person.covariates is not None
    assert person.tie is not None
    said = np.where(person.tie, 1, np.where(person.covariates[:, 0] > 0, 0, 2))
    at = rng.random((len(said), 1))
    answer = (np.cumsum(ANSWERS[said], axis=1)[:, :-1] <= at).sum(axis=1)
    numbered = [f"question {k}" for k in range(len(said))]
    tables = [
        Comparisons.from_sides(
            questions.first, questions.second, 1 - outcome, prompt=numbered, position=True
        )
        for outcome in (said, answer)
    ]
    found = confusion(*tables)
    assert found.total == len(said)
    assert chi_squared_p(found.counts, ANSWERS) > 1e-6
    turned = ANSWERS[::-1, ::-1]  # the broken twin: sides exchanged
    assert chi_squared_p(found.counts, turned) < 1e-6
    fitted = MachineJudge(PERSON, found.law())
    assert fitted.outcome_probs(questions) == pytest.approx(
        JUDGE.outcome_probs(questions), abs=0.02
    )


def chi_squared_p(counts: np.ndarray, answers: np.ndarray) -> float:
    expected = counts.sum(axis=1, keepdims=True) * answers
    return float(stats.chi2.sf(((counts - expected) ** 2 / expected).sum(), 6))


def test_the_machine_may_answer_too():
    rows = expected_comparisons(JUDGE, every_question(1, 3))
    assert rows.weight is not None
    assert rows.weight.sum() == pytest.approx(6, abs=1e-12)


def test_gpt_4_beside_the_crowd():
    """Against a join by the csv module alone."""
    paths = [real(f"llmfao/{name}crowd-comparisons.csv") for name in ("", "gpt4-")]
    found = confusion(*(read(path, position=True) for path in paths))
    answers = {}
    with paths[1].open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            answers[row["prompt"], row["left"], row["right"]] = row["winner"]
    joint: Counter = Counter()
    with paths[0].open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            joint[row["winner"], answers[row["prompt"], row["left"], row["right"]]] += 1
    order = ("left", "tie", "right")
    assert found.counts.tolist() == [[joint[h, m] for m in order] for h in order]
    assert found.total == 8931
    # The crowd ties 39 % of judgements, GPT-4 3 % of pairs.
    law = found.law()
    assert law.sum(axis=1) == pytest.approx(1)
    assert (law[:, 1] < 0.06).all()


def test_rows_without_sides_or_in_common_are_refused():
    sided = Comparisons.from_sides(["a"], ["b"], [1], position=True)
    with pytest.raises(ValueError, match="covariate of position"):
        confusion(Comparisons.from_labels(["a"], ["b"]), sided)
    other = Comparisons.from_sides(["b"], ["a"], [1], position=True)
    with pytest.raises(ValueError, match="share 0 questions"):
        confusion(sided, other)


def test_answers_that_are_no_laws_are_refused():
    with pytest.raises(ValueError, match=r"answers\[1\] sums to 0.5"):
        MachineJudge(PERSON, np.array([[1.0, 0, 0], [0.5, 0, 0], [0, 0, 1.0]]))
