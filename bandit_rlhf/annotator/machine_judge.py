"""A machine judge, fitted to its answers beside those of people to the same questions.

The model is a confusion matrix: given a person's answer (first, tie, second), the machine's is
independent of the items. That is coarse, but the maximum of its likelihood has a closed form, it
keeps apart what matters (agreement, a position bias and a tie rate of the machine's own), and it
composes exactly: the machine's law is the person's times the matrix. Where the assumption fails,
`Confusion.law` differs between parts of the items.
"""

from dataclasses import dataclass

import numpy as np

from bandit_rlhf import _check
from bandit_rlhf._array import Float, Int
from bandit_rlhf.annotator.judging import FIRST, SECOND, TIE, Annotator
from bandit_rlhf.annotator.questions import Questions
from bandit_rlhf.comparisons import Comparisons
from bandit_rlhf.comparisons.names import unite
from bandit_rlhf.comparisons.table import POSITION


@dataclass(frozen=True, eq=False)
class MachineJudge:
    """Answers what a machine would, were a given person asked the same question.

    P(machine says m | question) = sum_h P(person says h | question) answers[h, m]

    Args:
        person: the annotator behind the machine.
        answers: [person's outcome, machine's outcome], rows summing to 1; `Confusion.law`.

    Raises:
        ValueError: rows that are no laws.

    >>> from bandit_rlhf.annotator import Person
    >>> answers = np.array([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    >>> judge = MachineJudge(Person(np.array([[0.0, 0.0]])), answers)
    >>> judge.outcome_probs(Questions(np.array([0]), np.array([0]), np.array([1]), 1, 2)).tolist()
    [[0.5, 0.0, 0.5]]
    """

    person: Annotator
    answers: Float[np.ndarray, "3 3"]

    def __post_init__(self) -> None:
        law = _check.distribution("answers", self.answers, "MachineJudge")
        axes = "person's outcome, machine's outcome"
        object.__setattr__(self, "answers", _check.shaped("answers", law, (3, 3), axes))

    def outcome_probs(self, questions: Questions) -> Float[np.ndarray, "row 3"]:
        """[row, outcome], over first preferred, tie, second preferred."""
        return self.person.outcome_probs(questions) @ self.answers


@dataclass(frozen=True, eq=False)
class Confusion:
    """What a machine answered where people answered.

    Args:
        counts: [person's outcome, machine's outcome] over (first, tie, second).

    >>> Confusion(np.array([[6.0, 0.0, 2.0], [3.0, 0.0, 1.0], [2.0, 0.0, 6.0]])).agreement
    0.6
    """

    counts: Float[np.ndarray, "3 3"]

    @property
    def total(self) -> float:
        """The number of judgements by people that the machine answered too."""
        return float(self.counts.sum())

    @property
    def agreement(self) -> float:
        """The share of judgements on which both say the same."""
        return float(np.trace(self.counts)) / self.total

    def law(self, prior: float = 0.0) -> Float[np.ndarray, "3 3"]:
        """[person's outcome, machine's outcome], the maximum-likelihood law of the answers.

        Args:
            prior: added to each count, at least 0 (a Dirichlet prior of 1 + prior at its mode).

        Raises:
            ValueError: an outcome that people never gave, without a prior.

        References:
            Dawid and Skene 1979, Applied Statistics 28:20, equation 2.3, the truth known.
        """
        counts = self.counts + _check.non_negative("prior", prior, "Confusion.law")
        total = counts.sum(axis=1, keepdims=True)
        if (total == 0).any():
            missing = ("first", "tie", "second")[int((total == 0).argmax())]
            got, do = f"people never answered {missing!r}", "Set prior > 0."
            raise ValueError(_check.complaint(got, "seen to, at least once", "Confusion.law", do))
        return counts / total

    def position_bias(self, prior: float = 0.0) -> float:
        """The machine's ln P(first) / P(second) where people prefer both sides alike, in nats.

        People are given their tie rate, and half of the rest for each side. The machine never
        answering one of the sides makes it infinite; a prior keeps it finite.
        """
        law, ties = self.law(prior), self.counts[TIE].sum() / self.total
        even = np.array([(1 - ties) / 2, ties, (1 - ties) / 2]) @ law
        with np.errstate(divide="ignore"):
            return float(np.log(even[FIRST]) - np.log(even[SECOND]))


def confusion(people: Comparisons, machine: Comparisons) -> Confusion:
    """Put a machine's judgements beside people's of the same prompt, pair and order of sides.

    Each judgement by a person counts once (by its weight), against the machine's answer to the
    question; where the machine answered it several times, against the shares of its answers.

    Args:
        people: rows with the covariate of position (`read(..., position=True)`).
        machine: likewise; names of items and prompts are those of `people`.

    Returns:
        The counts; questions that only one side answered are not among them: compare `total` with
        the weight of the rows.

    Raises:
        ValueError: rows that do not tell who was shown first, or no question in common.

    >>> people = Comparisons.from_sides(["a", "a"], ["b", "b"], [1, 0], position=True)
    >>> machine = Comparisons.from_sides(["a"], ["b"], [-1], position=True)
    >>> confusion(people, machine).counts.tolist()
    [[0.0, 0.0, 1.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
    """
    items, *item_maps = unite(people.items, machine.items)
    _, *prompt_maps = unite(people.prompts, machine.prompts)
    sides = [
        _sides(rows, item_map, prompt_map)
        for rows, item_map, prompt_map in zip(
            (people, machine), item_maps, prompt_maps, strict=True
        )
    ]
    keys = [
        (x * np.int64(len(items)) + first) * len(items) + second for x, first, second, _ in sides
    ]
    questions, place = np.unique(np.concatenate(keys), return_inverse=True)
    tables = []
    split = np.split(place, [len(keys[0])])
    for rows, where, (_, _, _, outcome) in zip((people, machine), split, sides, strict=True):
        weight = np.ones(rows.row_count) if rows.weight is None else rows.weight
        table = np.zeros((len(questions), 3))
        np.add.at(table, (where, outcome), weight)
        tables.append(table)
    asked = tables[1].sum(axis=1)
    both = (asked > 0) & (tables[0].sum(axis=1) > 0)
    if not both.any():
        got, do = "people and machine share 0 questions", "Do their names and sides agree?"
        raise ValueError(_check.complaint(got, "one or more", "confusion", do))
    return Confusion(tables[0][both].T @ (tables[1][both] / asked[both, None]))


def _sides(
    rows: Comparisons, item_map: np.ndarray, prompt_map: np.ndarray
) -> tuple[Int[np.ndarray, " row"], ...]:
    """Prompt, first item, second item, and outcome of each row."""
    if rows.covariates is None or POSITION not in rows.covariate_names:
        got, do = "the rows do not tell who was shown first", "Read them with position=True."
        raise ValueError(_check.complaint(got, "with the covariate of position", "confusion", do))
    ahead = rows.covariates[:, rows.covariate_names.index(POSITION)] > 0
    winner, loser = item_map[rows.winner], item_map[rows.loser]
    outcome = np.where(ahead, FIRST, SECOND)
    if rows.tie is not None:
        outcome = np.where(rows.tie, TIE, outcome)
    prompt = np.zeros(rows.row_count, np.int32) if rows.prompt is None else rows.prompt
    return (
        prompt_map[prompt],
        np.where(ahead, winner, loser),
        np.where(ahead, loser, winner),
        outcome,
    )
