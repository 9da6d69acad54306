"""One simulated person: a true reward, and the ways in which judgements stray from it."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from bandit_rlhf import _check
from bandit_rlhf._array import Float
from bandit_rlhf.annotator.questions import Questions
from bandit_rlhf.preference import bradley_terry, davidson, rao_kupper

Ties = Literal["none", "davidson", "rao-kupper"]


@dataclass(frozen=True, eq=False)
class Person:
    """Judges by reward, with noise, biases, haste and lapses.

    With r the true reward, z the length and T the temperature, the first item's lead is

    d = (r(x, first) - r(x, second) + length_bias (z(first) - z(second)) + position_bias) / T,

    and the law of (first, tie, second) is Bradley and Terry's at d, or Davidson's or Rao and
    Kupper's with ties. A hasty judgement, one in 1 - attention, puts the glimpsed reward for r; a
    lapse answers at random, each possible outcome alike.

    Args:
        true_reward: [prompt, item], in nats at T = 1.
        temperature: T, above 0; noise.
        lapse: the share of answers at random, in [0, 1].
        position_bias: added to what is shown first, in units of reward.
        length_bias: added for each unit of length, in units of reward.
        length: [prompt, item]; needed for a length bias.
        attention: the share of judgements made with full attention, in [0, 1].
        glimpsed_reward: [prompt, item], the reward as seen in haste; needed for attention below 1.
        ties: how ties come about.
        tie: the tie parameter, as fits report it: Davidson's ln nu, or Rao and Kupper's eta >= 0.

    Raises:
        ValueError: a parameter out of range, a table of another shape or with NaN, a bias without
            its table, a tie parameter without ties.

    References:
        Bradley and Terry 1952, Biometrika 39:324; Davidson 1970, J. Amer. Statist. Assoc. 65:317;
        Rao and Kupper 1967, J. Amer. Statist. Assoc. 62:194; for lapses, Wichmann and Hill 2001,
        Perception & Psychophysics 63:1293.

    >>> ann = Person(np.array([[0.0, np.log(3)]]), position_bias=np.log(3))
    >>> shown = Questions(np.zeros(2, int), np.array([1, 0]), np.array([0, 1]), 1, 2)
    >>> ann.outcome_probs(shown).round(3).tolist()   # (first, tie, second); odds 9 and 1
    [[0.9, 0.0, 0.1], [0.5, 0.0, 0.5]]
    """

    true_reward: Float[np.ndarray, "prompt item"]
    temperature: float = 1.0
    lapse: float = 0.0
    position_bias: float = 0.0
    length_bias: float = 0.0
    length: Float[np.ndarray, "prompt item"] | None = None
    attention: float = 1.0
    glimpsed_reward: Float[np.ndarray, "prompt item"] | None = None
    ties: Ties = "none"
    tie: float = 0.0

    def __post_init__(self) -> None:
        where = "Person"
        shape = np.shape(self.true_reward)
        if len(shape) != 2 or shape[1] < 2:
            got = f"true_reward has shape {shape}"
            raise ValueError(_check.complaint(got, "[prompt, item], two items or more", where))
        for name in ("true_reward", "length", "glimpsed_reward"):
            if getattr(self, name) is not None:
                table = _check.finite(name, getattr(self, name), where)
                object.__setattr__(
                    self, name, _check.shaped(name, table, shape, "prompt, item", where)
                )
        _check.positive("temperature", self.temperature, where)
        for name in ("lapse", "attention"):
            if not 0 <= _check.real(name, getattr(self, name), where) <= 1:
                got = f"{name} is {getattr(self, name):g}"
                raise ValueError(_check.complaint(got, "a share in [0, 1]", where))
        for name in ("position_bias", "length_bias", "tie"):
            _check.real(name, getattr(self, name), where)
        wanting = (
            ("length_bias", self.length_bias != 0, "length"),
            ("attention", self.attention < 1, "glimpsed_reward"),
        )
        for name, used, table in wanting:
            if used and getattr(self, table) is None:
                got = f"{name} is {getattr(self, name):g} and {table} is absent"
                raise ValueError(_check.complaint(got, "given as [prompt, item]", where))
        if self.ties not in ("none", "davidson", "rao-kupper"):
            got, expected = f"ties is {self.ties!r}", "'none', 'davidson' or 'rao-kupper'"
            raise ValueError(_check.complaint(got, expected, where))
        if self.tie and (self.ties == "none" or (self.ties == "rao-kupper" and self.tie < 0)):
            got = f"tie is {self.tie:g} with ties {self.ties!r}"
            expected = "0 without ties, at least 0 with Rao and Kupper's"
            raise ValueError(_check.complaint(got, expected, where))

    @property
    def shape(self) -> tuple[int, int]:
        """The numbers of prompts and items."""
        prompts, items = self.true_reward.shape
        return prompts, items

    def outcome_probs(self, questions: Questions) -> Float[np.ndarray, "row 3"]:
        """The law of the judgement of each question: first preferred, tie, second preferred.

        Args:
            questions: of as many prompts and items as the tables have.

        Returns:
            [row, outcome], rows summing to 1.

        Raises:
            ValueError: questions about other prompts or items.
        """
        require_shape(self.shape, questions, "Person")
        law = self._choice(questions, self.true_reward)
        if self.attention < 1 and self.glimpsed_reward is not None:
            hasty = self._choice(questions, self.glimpsed_reward)
            law = self.attention * law + (1 - self.attention) * hasty
        chance = np.array([1, 0, 1]) / 2 if self.ties == "none" else np.ones(3) / 3
        return (1 - self.lapse) * law + self.lapse * chance

    def _choice(self, questions: Questions, reward: np.ndarray) -> Float[np.ndarray, "row 3"]:
        x, first, second = questions.prompt, questions.first, questions.second
        lead = reward[x, first] - reward[x, second] + self.position_bias
        if self.length is not None:
            lead = lead + self.length_bias * (self.length[x, first] - self.length[x, second])
        lead = lead / self.temperature
        if self.ties == "davidson":
            outcomes = davidson(lead, np.asarray(self.tie, float))
        elif self.ties == "rao-kupper":
            outcomes = rao_kupper(lead, np.asarray(self.tie, float))
        else:
            outcomes = bradley_terry(lead)
        return np.exp(np.stack(outcomes, axis=-1))


def require_shape(shape: tuple[int, int], questions: Questions, where: str) -> None:
    """Raise if questions are about other numbers of prompts and items."""
    asked = (questions.prompt_count, questions.item_count)
    if asked != shape:
        got = f"questions are about {asked[0]} prompts and {asked[1]} items"
        raise ValueError(_check.complaint(got, f"about {shape[0]} and {shape[1]}", where))
