"""The bandit: three ways to give a reward, and every way to get it wrong."""

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bandit_rlhf import automaton
from bandit_rlhf.bandit import ContextualBandit
from bandit_rlhf.language import Language
from bandit_rlhf.laws import oracle

LETTERS = Language(("a", "b"), 3, "$")
PROMPTS = [(), ("say", "b")]
LAW = [0.25, 0.75]


def count(words: tuple[str, ...]) -> float:
    return float(min(2, words.count("b")))


def test_table_function_and_automaton_are_one_reward() -> None:
    by_function = ContextualBandit(LETTERS, PROMPTS, LAW, lambda prompt, words: count(words))
    by_automaton = ContextualBandit(
        LETTERS, PROMPTS, LAW, automaton.capped_count(LETTERS, ["b"], cap=2)
    )
    table = np.zeros((2, 15))
    for string in oracle.strings(2, 3, end=True):
        table[:, LETTERS.rank(string)] = count(LETTERS.words(string))
    by_table = ContextualBandit(LETTERS, PROMPTS, LAW, table)
    assert table.any()
    for bandit in (by_function, by_automaton, by_table):
        np.testing.assert_array_equal(bandit.reward_table(), table)


def test_a_reward_function_reads_prompt_and_ending() -> None:
    def pay(prompt: tuple[str, ...], words: tuple[str, ...]) -> float:
        return (10.0 if prompt else 0.0) + (words[-1] == "$")

    table = ContextualBandit(LETTERS, PROMPTS, LAW, pay).reward_table()
    ended = [float(LETTERS.is_terminated(LETTERS.unrank(rank))) for rank in range(15)]
    np.testing.assert_array_equal(table, [ended, [10 + e for e in ended]])


def test_a_prompt_may_have_no_probability() -> None:
    bandit = ContextualBandit(LETTERS, PROMPTS, [0, 1], np.zeros((2, 15)))
    np.testing.assert_array_equal(bandit.prompt_law, [0.0, 1.0])


def test_prompts_are_kept_as_tuples_of_words() -> None:
    bandit = ContextualBandit(LETTERS, [["say", "b"], []], LAW, np.zeros((2, 15)))
    assert bandit.prompts == (("say", "b"), ())


def bandit_with(**changed: Any) -> ContextualBandit:
    parts: dict[str, Any] = {
        "language": LETTERS,
        "prompts": PROMPTS,
        "prompt_law": LAW,
        "reward": np.zeros((2, 15)),
    }
    return ContextualBandit(**(parts | changed))


def table_with(value: float) -> np.ndarray:
    table = np.zeros((2, 15))
    table[1, 4] = value
    return table


def some_nan(prompt: tuple[str, ...], words: tuple[str, ...]) -> float:
    return math.nan if words == ("b", "a", "$") else 0.0


LONG = Language(tuple("abcdefghijklmnopqrstuvwxyz"), 64, "$")
COMPLAINTS: list[tuple[Callable[[], Any], str]] = [
    (
        lambda: bandit_with(prompts=[]),
        "prompts is empty, but should be one prompt or more [ContextualBandit]. "
        "Use [()], the empty prompt alone.",
    ),
    (
        lambda: bandit_with(prompts=[("a",), ("b",), ("a",)]),
        "prompt ('a',) occurs twice, but should be distinct [ContextualBandit].",
    ),
    (
        lambda: bandit_with(prompt_law=[0.5, 0.4]),
        "prompt_law sums to 0.9, but should be 1 (tolerance 1e-09) [ContextualBandit]. "
        "Normalise it.",
    ),
    (
        lambda: bandit_with(prompt_law=[1.25, -0.25]),
        "prompt_law[1] is -0.25, but should be a probability, at least 0 [ContextualBandit].",
    ),
    (
        lambda: bandit_with(prompt_law=[math.nan, 1.0]),
        "prompt_law[0] is nan (1 of 2 entries), but should be finite [ContextualBandit].",
    ),
    (
        lambda: bandit_with(prompt_law=[1.0]),
        "prompt_law has shape (1,), but should be (2,) = [prompt] [ContextualBandit].",
    ),
    (
        lambda: bandit_with(reward=table_with(math.nan)),
        "reward[1, 4] is nan (1 of 30 entries), but should be finite [ContextualBandit].",
    ),
    (
        lambda: bandit_with(reward=table_with(-math.inf)),
        "reward[1, 4] is -inf (1 of 30 entries), but should be finite [ContextualBandit].",
    ),
    (
        lambda: bandit_with(reward=np.zeros((2, 14))),
        "reward has shape (2, 14), but should be (2, 15) = [prompt, string] [ContextualBandit].",
    ),
    (
        lambda: bandit_with(reward=automaton.length(Language(("a", "b"), 3))),
        "the reward reads another language, but should be the bandit's [ContextualBandit].",
    ),
    (
        lambda: bandit_with(reward=some_nan).reward_table(),
        "reward[0, 4] is nan (2 of 30 entries), but should be finite "
        "[ContextualBandit, [prompt, string]].",
    ),
    (
        lambda: bandit_with(language=LONG, reward=some_nan).reward_table(),
        "3.76e90 strings need 3.81e84 GiB, but should be within the memory limit of",
    ),
]


@pytest.mark.parametrize(
    ("mistake", "message"), COMPLAINTS, ids=[message for _, message in COMPLAINTS]
)
def test_complaint(mistake: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        mistake()


def test_a_prompt_that_is_one_str_is_not_read_letter_by_letter() -> None:
    message = (
        "prompt 'say b' is a str, but should be a sequence of words [ContextualBandit]. "
        "Write ('say', 'b')."
    )
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        bandit_with(prompts=["say b", "b"])


def test_control_the_bandit_of_these_tests_is_sound() -> None:
    assert bandit_with().reward_table().shape == (2, 15)
