"""What annotators are asked: a prompt and two items (strings, systems), one shown first."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from bandit_rlhf import _check
from bandit_rlhf._array import Float, Int
from bandit_rlhf.comparisons.names import id_column


@dataclass(frozen=True, eq=False)
class Questions:
    """Pairs of items to be compared, row by row.

    Args:
        prompt: [row], prompt ids.
        first: [row], ids of the items shown first.
        second: [row], ids of the items shown second; nowhere equal to the first.
        prompt_count: the number of prompts.
        item_count: the number of items.

    Raises:
        ValueError: no rows, unequal lengths, ids out of range, an item beside itself.

    >>> Questions(np.array([0]), np.array([0]), np.array([2]), 1, 2)
    Traceback (most recent call last):
    ...
    ValueError: second[0] is 2, but should be an id in 0..1 [Questions].
    """

    prompt: Int[np.ndarray, " row"]
    first: Int[np.ndarray, " row"]
    second: Int[np.ndarray, " row"]
    prompt_count: int
    item_count: int

    def __post_init__(self) -> None:
        where, rows = "Questions", len(self.first)
        if rows == 0:
            raise ValueError(_check.complaint("there are 0 questions", "one or more", where))
        columns = (
            ("prompt", self.prompt, self.prompt_count),
            ("first", self.first, self.item_count),
            ("second", self.second, self.item_count),
        )
        for name, column, count in columns:
            object.__setattr__(self, name, id_column(name, column, count, rows, where))
        same = self.first == self.second
        if same.any():
            row = int(same.argmax())
            got = f"question {row} shows item {self.first[row]} twice"
            raise ValueError(_check.complaint(got, "a pair of two items", where))

    @property
    def row_count(self) -> int:
        """The number of questions."""
        return len(self.first)

    def turned(self) -> "Questions":
        """The same questions with the other item shown first."""
        return Questions(self.prompt, self.second, self.first, self.prompt_count, self.item_count)


def every_question(prompt_count: int, item_count: int) -> Questions:
    """Each ordered pair of different items under each prompt, once.

    >>> questions = every_question(1, 3)
    >>> list(zip(questions.first.tolist(), questions.second.tolist()))
    [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]
    """
    first, second = np.nonzero(~np.eye(item_count, dtype=bool))
    prompt = np.repeat(np.arange(prompt_count), len(first))
    return Questions(
        prompt,
        np.tile(first, prompt_count),
        np.tile(second, prompt_count),
        prompt_count,
        item_count,
    )


def random_questions(
    rng: np.random.Generator, count: int, prompt_law: ArrayLike, item_law: ArrayLike
) -> Questions:
    """Draw questions: a prompt, and two items drawn independently, given that they differ.

    P(first, second | x) is proportional to p(first | x) p(second | x) for first != second.

    Args:
        rng: the source of randomness.
        count: how many.
        prompt_law: [prompt], probabilities.
        item_law: [prompt, item], probabilities, of two items or more under each prompt that occurs.

    Raises:
        ValueError: no laws, or one that has all its mass on one item.

    >>> rng = np.random.default_rng(0)
    >>> questions = random_questions(rng, 1000, [0.5, 0.5], [[0.5, 0.5, 0]] * 2)
    >>> int(questions.first.max()), questions.row_count
    (1, 1000)
    """
    where = "random_questions"
    prompts = _check.distribution("prompt_law", prompt_law, where)
    law = _check.distribution("item_law", item_law, where)
    _check.shaped("item_law", law, (len(prompts), law.shape[-1]), "prompt, item", where)
    apart = law * (1 - law)  # P(first = y, second != y): proportional to the law of the first
    lonely = (apart.sum(axis=1) <= 0) & (prompts > 0)
    if lonely.any():
        got = f"item_law[{int(lonely.argmax())}] has all its mass on one item"
        raise ValueError(_check.complaint(got, "spread over two or more", where))
    prompt = rng.choice(len(prompts), size=count, p=prompts)
    first, second = np.empty(count, np.int64), np.empty(count, np.int64)
    for x in np.unique(prompt):
        rows = np.flatnonzero(prompt == x)
        first[rows] = _draw(rng, apart[x], len(rows))
        second[rows] = _draw_others(rng, law[x], first[rows])
    return Questions(prompt, first, second, len(prompts), law.shape[1])


def _draw(
    rng: np.random.Generator, weights: Float[np.ndarray, " item"], count: int
) -> Int[np.ndarray, " row"]:
    """[row], items drawn in proportion to their weights."""
    return rng.choice(len(weights), size=count, p=weights / weights.sum())


def _draw_others(
    rng: np.random.Generator, law: Float[np.ndarray, " item"], taken: Int[np.ndarray, " row"]
) -> Int[np.ndarray, " row"]:
    """[row], items drawn by the law, given that they are not the one taken.

    A uniform point of the unit interval without the segment of the taken item; should rounding hit
    that segment or the end, the point is drawn again.
    """
    end = np.cumsum(law)
    drawn = taken.copy()
    while len(again := np.flatnonzero((drawn == taken) | (drawn == len(law)))):
        segment = law[taken[again]]
        at = rng.random(len(again)) * (end[-1] - segment)
        at += np.where(at >= end[taken[again]] - segment, segment, 0.0)
        drawn[again] = np.searchsorted(end, at, side="right")
    return drawn
