"""One person: exact probabilities against formulas written out, and every fault by itself."""

import math
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandit_rlhf.annotator import Person, Questions, every_question, expected_comparisons
from bandit_rlhf.annotator.person import Ties
from bandit_rlhf.reward import fit
from tests.comparison_worlds import CHECKED_AT_RANDOM

pytestmark = CHECKED_AT_RANDOM

REWARD = np.array([[0.0, 1.0, -0.5], [2.0, 0.0, 0.3]])
LENGTH = np.array([[3.0, 1.0, 2.0], [5.0, 5.0, 1.0]])
GLIMPSE = np.array([[0.5, 0.5, -0.5], [1.0, 1.0, 0.3]])


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def by_hand(person: Person, x: int, a: int, b: int) -> list[float]:
    """The law of one answer, in plain arithmetic."""

    def choice(reward) -> list[float]:
        lead = reward[x][a] - reward[x][b] + person.position_bias
        if person.length is not None:
            lead += person.length_bias * (person.length[x][a] - person.length[x][b])
        lead /= person.temperature
        if person.ties == "none":
            return [sigmoid(lead), 0.0, sigmoid(-lead)]
        if person.ties == "davidson":
            weights = [math.exp(lead), math.exp(person.tie) * math.exp(lead / 2), 1.0]
            return [w / sum(weights) for w in weights]
        theta = math.exp(person.tie)
        first = math.exp(lead) / (math.exp(lead) + theta)
        second = 1 / (1 + theta * math.exp(lead))
        return [first, 1 - first - second, second]

    law = choice(person.true_reward)
    if person.glimpsed_reward is not None:
        hasty = choice(person.glimpsed_reward)
        law = [
            person.attention * p + (1 - person.attention) * q
            for p, q in zip(law, hasty, strict=True)
        ]
    chance = [0.5, 0.0, 0.5] if person.ties == "none" else [1 / 3] * 3
    return [(1 - person.lapse) * p + person.lapse * q for p, q in zip(law, chance, strict=True)]


SMALL = st.floats(-3, 3)
SHARE = st.floats(0, 1)


@st.composite
def people(draw: st.DrawFn) -> Person:
    kinds: tuple[Ties, ...] = get_args(Ties)
    ties = draw(st.sampled_from(kinds))
    tie = {"none": st.just(0.0), "davidson": SMALL, "rao-kupper": st.floats(0, 3)}[ties]
    return Person(
        REWARD,
        temperature=draw(st.floats(0.2, 5)),
        lapse=draw(SHARE),
        position_bias=draw(SMALL),
        length_bias=draw(SMALL),
        length=LENGTH,
        attention=draw(SHARE),
        glimpsed_reward=GLIMPSE,
        ties=ties,
        tie=draw(tie),
    )


@given(people())
def test_probabilities_are_those_written_out(person):
    questions = every_question(2, 3)
    law = person.outcome_probs(questions)
    expected = [
        by_hand(person, x, a, b)
        for x, a, b in zip(questions.prompt, questions.first, questions.second, strict=True)
    ]
    assert law == pytest.approx(np.array(expected), abs=1e-12)
    assert law.sum(axis=1) == pytest.approx(1, abs=1e-12)


def test_without_position_bias_sides_do_not_matter():
    questions = every_question(2, 3)
    person = Person(REWARD, ties="davidson", tie=0.3, lapse=0.1)
    assert person.outcome_probs(questions.turned())[:, ::-1] == pytest.approx(
        person.outcome_probs(questions), abs=1e-15
    )


def test_control_with_position_bias_they_do():
    questions = every_question(2, 3)
    person = Person(REWARD, position_bias=0.5)
    law, turned = person.outcome_probs(questions), person.outcome_probs(questions.turned())
    assert (law[:, 0] > turned[:, 2] + 0.01).all()


@pytest.mark.parametrize("gap", [1e4, -1e4])
def test_a_strong_reward_overflows_nowhere(gap):
    law = Person(np.array([[gap, 0.0]]), ties="davidson").outcome_probs(every_question(1, 2))
    assert law[:, ::-1][:: 1 if gap < 0 else -1][0] == pytest.approx([1, 0, 0], abs=1e-12)


# What infinitely many judgements tell a fit: the fault's size, or its trace.


def test_a_fit_finds_reward_over_temperature():
    person = Person(REWARD[:1], temperature=2.0)
    fitted = fit(expected_comparisons(person, every_question(1, 3)), tolerance=1e-12)
    assert fitted.scores == pytest.approx((REWARD[0] - REWARD[0].mean()) / 2, abs=1e-9)


@pytest.mark.parametrize(("ties", "tie"), [("davidson", -0.4), ("rao-kupper", 0.6)])
def test_a_fit_finds_the_tie_parameter(ties, tie):
    person = Person(REWARD[:1], ties=ties, tie=tie)
    fitted = fit(expected_comparisons(person, every_question(1, 3)), ties, tolerance=1e-12)
    assert fitted.tie == pytest.approx(tie, abs=1e-8)
    assert fitted.scores == pytest.approx(REWARD[0] - REWARD[0].mean(), abs=1e-8)


def test_a_fit_with_a_covariate_finds_the_position_bias():
    person = Person(REWARD[:1], temperature=2.0, position_bias=0.8)
    rows = expected_comparisons(person, every_question(1, 3), position=True)
    fitted = fit(rows, tolerance=1e-12)
    assert fitted.coefficients == pytest.approx([0.4], abs=1e-8)
    assert fitted.scores == pytest.approx((REWARD[0] - REWARD[0].mean()) / 2, abs=1e-8)


def test_a_length_bias_goes_into_the_scores():
    person = Person(REWARD[:1], length_bias=0.5, length=LENGTH[:1])
    fitted = fit(expected_comparisons(person, every_question(1, 3)), tolerance=1e-12)
    biased = REWARD[0] + 0.5 * LENGTH[0]
    assert fitted.scores == pytest.approx(biased - biased.mean(), abs=1e-9)


def test_lapses_pull_scores_together():
    person = Person(REWARD[:1], lapse=0.2)
    fitted = fit(expected_comparisons(person, every_question(1, 3)), tolerance=1e-12)
    true = REWARD[0] - REWARD[0].mean()
    assert (np.abs(fitted.scores) < np.abs(true) - 0.01).all()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"true_reward": np.zeros((1, 1))}, "two items or more"),
        ({"true_reward": np.array([[0.0, np.nan]])}, r"true_reward\[0, 1\] is nan"),
        ({"temperature": 0.0}, "temperature is 0, but should be above 0"),
        ({"lapse": 1.5}, "lapse is 1.5"),
        ({"attention": -0.1}, "attention is -0.1"),
        ({"length_bias": 1.0}, "length_bias is 1 and length is absent"),
        ({"attention": 0.5}, "attention is 0.5 and glimpsed_reward is absent"),
        ({"tie": 1.0}, "tie is 1 with ties 'none'"),
        ({"ties": "rao-kupper", "tie": -1.0}, "tie is -1 with ties 'rao-kupper'"),
        ({"position_bias": math.inf}, "position_bias is inf"),
    ],
)
def test_parameters_without_sense_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        Person(**({"true_reward": np.array([[0.0, 1.0]])} | parameters))


def test_questions_about_other_items_are_refused():
    with pytest.raises(
        ValueError, match="about 1 prompts and 3 items, but should be about 2 and 3"
    ):
        Person(REWARD).outcome_probs(every_question(1, 3))


def test_a_question_of_one_item_is_refused():
    with pytest.raises(ValueError, match="question 0 shows item 1 twice"):
        Questions(np.zeros(1, int), np.ones(1, int), np.ones(1, int), 1, 2)
