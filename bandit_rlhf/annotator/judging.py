"""From annotators and questions to comparisons: drawn, or expected."""

from collections.abc import Hashable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike

from bandit_rlhf import _check
from bandit_rlhf._array import Float, Int
from bandit_rlhf.annotator.population import Population
from bandit_rlhf.annotator.questions import Questions
from bandit_rlhf.comparisons import Comparisons
from bandit_rlhf.comparisons.names import id_column
from bandit_rlhf.comparisons.table import POSITION

FIRST, TIE, SECOND = 0, 1, 2
"""The outcomes in the order of the laws."""


@runtime_checkable
class Annotator(Protocol):
    """Whoever answers by a law: a `Person`, a `Population`, a `MachineJudge`, or yours."""

    def outcome_probs(self, questions: Questions) -> Float[np.ndarray, "row 3"]:
        """[row, outcome], over first preferred, tie, second preferred."""
        ...


def compare(
    annotator: Annotator,
    questions: Questions,
    rng: np.random.Generator,
    *,
    worker: ArrayLike | None = None,
    items: Sequence[Hashable] | None = None,
    position: bool = False,
) -> Comparisons:
    """Draw a judgement of every question.

    Args:
        annotator: who answers.
        questions: what is asked.
        rng: the source of randomness.
        worker: [row], ids of the individuals who answer. In a `Population` each of them has one
            hidden type, drawn once, so that judgements of a worker are alike; other annotators are
            all alike. None: everybody answers once.
        items: the items' names; None: their ids.
        position: record who was shown first as a covariate to be fitted.

    Returns:
        The table; it knows neither true rewards nor types.

    Raises:
        ValueError: questions about other prompts or items, worker ids of another length.

    >>> from bandit_rlhf.annotator import Person, every_question
    >>> ann = Person(np.array([[0.0, 40.0]]))
    >>> rows = compare(ann, every_question(1, 2), np.random.default_rng(0), position=True)
    >>> rows.winner.tolist(), rows.covariates.ravel().tolist()
    ([1, 1], [-1.0, 1.0])
    """
    rows = questions.row_count
    ids = None
    if worker is not None:
        ids = np.asarray(worker)
        ids = id_column("worker", ids, int(ids.max(initial=0)) + 1, rows, "compare")
    if ids is not None and isinstance(annotator, Population):
        kind = rng.choice(len(annotator.people), size=int(ids.max()) + 1, p=annotator.shares)
        law = annotator.outcome_probs_by_type(questions)[kind[ids], np.arange(rows)]
    else:
        law = annotator.outcome_probs(questions)
    at = rng.random((rows, 1))
    outcome = (np.cumsum(law, axis=1)[:, :-1] <= at).sum(axis=1)
    return _table(questions, outcome, ids, items, position)


def expected_comparisons(
    annotator: Annotator,
    questions: Questions,
    *,
    weight: ArrayLike | None = None,
    items: Sequence[Hashable] | None = None,
    position: bool = False,
) -> Comparisons:
    """Every question with every outcome that can happen, weighted by its probability.

    What infinitely many judgements tell: fitting this table gives the population maximum, exactly.

    Args:
        annotator: who answers.
        questions: what is asked.
        weight: [row], how often each question is asked; None: once.
        items: the items' names; None: their ids.
        position: record who was shown first as a covariate to be fitted.

    Raises:
        ValueError: questions about other prompts or items, weights that are negative or not finite.

    >>> from bandit_rlhf.annotator import Person, every_question
    >>> rows = expected_comparisons(Person(np.array([[0.0, np.log(3)]])), every_question(1, 2))
    >>> rows.winner.tolist(), rows.weight.round(12).tolist()
    ([0, 1, 1, 0], [0.25, 0.75, 0.75, 0.25])
    """
    law = annotator.outcome_probs(questions)
    if weight is not None:
        times = _check.finite("weight", weight, "expected_comparisons")
        _check.shaped("weight", times, (len(law),), "row", "expected_comparisons")
        law = law * times[:, None]
    row, outcome = np.nonzero(law)
    asked = Questions(
        questions.prompt[row],
        questions.first[row],
        questions.second[row],
        questions.prompt_count,
        questions.item_count,
    )
    return _table(asked, outcome, None, items, position, law[row, outcome])


def _table(
    questions: Questions,
    outcome: Int[np.ndarray, " row"],
    worker: Int[np.ndarray, " row"] | None,
    items: Sequence[Hashable] | None,
    position: bool,
    weight: Float[np.ndarray, " row"] | None = None,
) -> Comparisons:
    turned = outcome == SECOND
    tie = outcome == TIE
    return Comparisons(
        np.where(turned, questions.second, questions.first),
        np.where(turned, questions.first, questions.second),
        range(questions.item_count) if items is None else tuple(items),
        tie if tie.any() else None,
        weight,
        questions.prompt,
        worker,
        np.where(turned, -1.0, 1.0)[:, None] if position else None,
        range(questions.prompt_count),
        range(0) if worker is None else range(int(worker.max()) + 1),
        (POSITION,) if position else (),
    )
