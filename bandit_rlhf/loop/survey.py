"""What people are asked: pairs of strings from reference and policy, at the start and again.

A survey turns the policy's law into `Comparisons` by an annotator's judgement. This is where true
rewards end: they stand in the annotator, and what comes out knows none.
"""

from dataclasses import dataclass, replace

import numpy as np

from bandit_rlhf import _check
from bandit_rlhf._array import Float
from bandit_rlhf.annotator import (
    Annotator,
    Questions,
    compare,
    expected_comparisons,
    random_questions,
)
from bandit_rlhf.comparisons import Comparisons
from bandit_rlhf.loop.state import State, as_tabular

BYTES_A_PAIR = 200
"""What an expected survey takes for each ordered pair of strings."""


@dataclass(frozen=True, eq=False)
class Survey:
    """Who is asked, how much, about which strings, and when.

    Both strings of a pair are drawn from on_policy pi + (1 - on_policy) ref, given that they
    differ.

    Args:
        annotator: who judges; about all strings of the language in their order.
        pairs: judgements each time, at least 1.
        on_policy: the share of the current policy in the law of strings, within 0 to 1.
        every: steps from one survey to the next; None: one, before the first step.
        expected: give each possible judgement its expected weight instead of drawing: what
            infinitely many people say, with the weight of `pairs` rows.
        keep: whether earlier judgements stay, or the newest replace them.

    Raises:
        ValueError: a number out of its range.

    >>> from bandit_rlhf.annotator import Person
    >>> survey = Survey(Person(np.array([[0.0, 1.0]])), pairs=100, every=10)
    >>> [step for step in range(30) if survey.due(step)]
    [0, 11, 21]
    """

    annotator: Annotator
    pairs: int
    on_policy: float = 0.0
    every: int | None = None
    expected: bool = False
    keep: bool = True

    def __post_init__(self) -> None:
        _check.integer_at_least("pairs", self.pairs, 1, "Survey")
        if self.every is not None:
            _check.integer_at_least("every", self.every, 1, "Survey")
        if not 0 <= _check.real("on_policy", self.on_policy, "Survey") <= 1:
            got = f"on_policy is {self.on_policy:g}"
            raise ValueError(_check.complaint(got, "a share in [0, 1]", "Survey"))

    def due(self, step: int) -> bool:
        """Whether people are asked before a step, counted from 1; 0 stands for the start."""
        again = self.every is not None and step > 1 and (step - 1) % self.every == 0
        return step == 0 or again

    def ask(self, state: State, rng: np.random.Generator) -> Comparisons:
        """The judgements of people who are asked now.

        Args:
            state: where the learner stands.
            rng: the source of randomness.

        Raises:
            ValueError: a policy that writes one string only; an annotator of other strings.
        """
        law = as_tabular(state.reference).string_law()
        if self.on_policy:
            law = (1 - self.on_policy) * law
            law = law + self.on_policy * as_tabular(state.policy).string_law()
        law = law / law.sum(axis=1, keepdims=True)
        if self.expected:
            questions, weight = every_pair(state.prompt_law, law)
            return expected_comparisons(self.annotator, questions, weight=self.pairs * weight)
        questions = random_questions(rng, self.pairs, state.prompt_law, law)
        return compare(self.annotator, questions, rng)


def every_pair(
    prompt_law: Float[np.ndarray, " prompt"], law: Float[np.ndarray, "prompt string"]
) -> tuple[Questions, Float[np.ndarray, " row"]]:
    """Every question that `annotator.random_questions` may draw, with its probability.

    P(x, first, second) = p(x) p(first | x) p(second | x) / P(they differ | x)

    Raises:
        ValueError: more pairs than fit in memory; a prompt with one string only.

    >>> questions, weight = every_pair(np.ones(1), np.array([[0.5, 0.5]]))
    >>> questions.first.tolist(), weight.tolist()
    ([0, 1], [0.5, 0.5])
    """
    prompts, strings = law.shape
    do = "Draw them: expected=False."
    _check.fits_in_memory("pairs", prompts * strings**2, BYTES_A_PAIR, "Survey", do)
    chance = law[:, :, None] * law[:, None, :]
    chance[:, np.arange(strings), np.arange(strings)] = 0.0
    differ = chance.sum(axis=(1, 2))
    lonely = (differ <= 0) & (prompt_law > 0)
    if lonely.any():
        got = f"the law of strings of prompt {int(lonely.argmax())} has all its mass on one"
        raise ValueError(_check.complaint(got, "spread over two or more", "Survey"))
    chance *= np.where(prompt_law > 0, prompt_law / np.where(differ > 0, differ, 1.0), 0.0)[
        :, None, None
    ]
    prompt, first, second = np.nonzero(chance)
    return Questions(prompt, first, second, prompts, strings), chance[prompt, first, second]


def joined(first: Comparisons | None, second: Comparisons) -> Comparisons:
    """The rows of both tables, which are about the same strings and prompts.

    Raises:
        ValueError: tables of other items or prompts, or only one with covariates.

    >>> rows = Comparisons.from_ids([0], [1])
    >>> joined(rows, rows).row_count
    2
    """
    if first is None:
        return second
    for name in ("items", "prompts", "covariate_names"):
        if getattr(first, name) != getattr(second, name):
            got = f"the tables have other {name}"
            raise ValueError(_check.complaint(got, "the same", "joined"))
    fill = {"tie": np.bool_(False), "weight": np.float64(1.0), "prompt": np.int32(0)}
    columns = {}
    for name in ("winner", "loser", "tie", "weight", "prompt", "covariates"):
        parts = [getattr(table, name) for table in (first, second)]
        if all(part is None for part in parts):
            continue
        rows = (first.row_count, second.row_count)
        full = [
            np.full(count, fill[name]) if part is None else part
            for part, count in zip(parts, rows, strict=True)
        ]
        columns[name] = np.concatenate(full)
    return replace(first, annotator=None, annotators=range(0), **columns)
