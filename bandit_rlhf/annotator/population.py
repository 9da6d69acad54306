"""A mixed population: people of hidden types, each with rewards of its own."""

from dataclasses import dataclass

import numpy as np

from bandit_rlhf import _check
from bandit_rlhf._array import Float
from bandit_rlhf.annotator.person import Person, require_shape
from bandit_rlhf.annotator.questions import Questions


@dataclass(frozen=True, eq=False)
class Population:
    """Types of people and their shares; the table of comparisons does not tell who is what.

    P(outcome | question) = sum_k share_k P_k(outcome | question)

    Args:
        people: one person a type.
        shares: [type], probabilities.

    Raises:
        ValueError: no type, shares that are no law, types with other prompts or items.

    References:
        Siththaranjan, Laidlaw, Hadfield-Menell 2024 (arXiv:2312.08358): hidden context.

    >>> mild, keen = Person(np.array([[0.0, 1.0]])), Person(np.array([[0.0, -9.0]]))
    >>> both = Population((mild, keen), np.array([0.75, 0.25]))
    >>> both.mean_reward()
    array([[ 0. , -1.5]])
    """

    people: tuple[Person, ...]
    shares: Float[np.ndarray, " type"]

    def __post_init__(self) -> None:
        where = "Population"
        shares = _check.distribution("shares", self.shares, where)
        object.__setattr__(
            self, "shares", _check.shaped("shares", shares, (len(self.people),), "type", where)
        )
        shapes = {person.shape for person in self.people}
        if len(shapes) > 1:
            got = f"types have tables of shapes {sorted(shapes)}"
            raise ValueError(_check.complaint(got, "the same [prompt, item]", where))

    @property
    def shape(self) -> tuple[int, int]:
        """The numbers of prompts and items."""
        return self.people[0].shape

    def mean_reward(self) -> Float[np.ndarray, "prompt item"]:
        """[prompt, item], the types' true rewards averaged by their shares."""
        return np.tensordot(self.shares, [person.true_reward for person in self.people], axes=1)

    def outcome_probs(self, questions: Questions) -> Float[np.ndarray, "row 3"]:
        """The law of the judgement of each question by somebody drawn afresh.

        Args:
            questions: of as many prompts and items as the tables have.

        Returns:
            [row, outcome], over first preferred, tie, second preferred.

        Raises:
            ValueError: questions about other prompts or items.
        """
        require_shape(self.shape, questions, "Population")
        laws = [person.outcome_probs(questions) for person in self.people]
        return np.tensordot(self.shares, laws, axes=1)

    def outcome_probs_by_type(self, questions: Questions) -> Float[np.ndarray, "type row 3"]:
        """The law of the judgement of each question by each type."""
        return np.stack([person.outcome_probs(questions) for person in self.people])
