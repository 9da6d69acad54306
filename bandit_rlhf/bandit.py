"""RLHF as a contextual bandit: the prompt is the context, the whole string is the action."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from bandit_rlhf import _check
from bandit_rlhf._array import Float
from bandit_rlhf.automaton import AutomatonReward
from bandit_rlhf.language import Language

Prompt = tuple[str, ...]
"""The words of a prompt; the empty tuple is the prompt of an unconditional language model."""

RewardFunction = Callable[[Prompt, tuple[str, ...]], float]
"""From the prompt's words and the string's (end token included) to a reward."""


@dataclass(frozen=True, eq=False)
class ContextualBandit:
    """J(pi) = E_{x ~ prompt_law} E_{y ~ pi(. | x)} r(x, y), with y a whole string.

    Args:
        language: the strings that can be written.
        prompts: the contexts, distinct; what a prompt's words mean is the policy's business.
        prompt_law: their probabilities [prompt], non-negative with sum 1.
        reward: a table [prompt, string] in the language's order of strings; or a function of the
            prompt's and the string's words; or an automaton that reads the string alone.

    Raises:
        ValueError: no or repeated prompts, a law that is none, NaN or infinite rewards, a wrong
        shape.

    >>> letters = Language(("a", "b"), 2, "$")
    >>> problem = ContextualBandit(letters, [()], [1.0], lambda prompt, words: words.count("b"))
    >>> problem.reward_table()
    array([[0., 0., 1., 0., 1., 1., 2.]])
    """

    language: Language
    prompts: tuple[Prompt, ...]
    prompt_law: Float[np.ndarray, " prompt"]
    reward: "Float[np.ndarray, 'prompt string'] | AutomatonReward | RewardFunction"

    def __init__(
        self,
        language: Language,
        prompts: Sequence[Sequence[str]],
        prompt_law: ArrayLike,
        reward: "ArrayLike | AutomatonReward | RewardFunction",
    ) -> None:
        where = "ContextualBandit"
        named = prompt_words(prompts, where)
        law = _check.distribution("prompt_law", prompt_law, where)
        _check.shaped("prompt_law", law, (len(named),), "prompt", where)
        if isinstance(reward, AutomatonReward):
            if reward.language != language:
                raise ValueError(
                    _check.complaint("the reward reads another language", "the bandit's", where)
                )
        elif not callable(reward):
            reward = _check.finite("reward", reward, where)
            _check.shaped(
                "reward", reward, (len(named), language.string_count), "prompt, string", where
            )
        for name, value in (
            ("language", language),
            ("prompts", named),
            ("prompt_law", law),
            ("reward", reward),
        ):
            object.__setattr__(self, name, value)

    def reward_table(self, memory_limit: int | None = None) -> Float[np.ndarray, "prompt string"]:
        """Every reward [prompt, string], in the language's order of strings.

        Raises:
            ValueError: more strings than fit in memory, or a reward function that returns NaN or
            infinity.
        """
        if isinstance(self.reward, np.ndarray):
            return self.reward
        batch = self.language.all_strings(memory_limit=memory_limit)
        if isinstance(self.reward, AutomatonReward):
            return np.broadcast_to(self.reward(batch), (len(self.prompts), len(batch))).copy()
        spelled = [self.language.words(string) for string in batch.strings()]
        table = [
            [float(self.reward(prompt, words)) for words in spelled] for prompt in self.prompts
        ]
        return _check.finite("reward", table, "ContextualBandit, [prompt, string]")


def prompt_words(prompts: Sequence[Sequence[str]], where: str) -> tuple[Prompt, ...]:
    """The prompts as tuples of words, after checking that they are distinct contexts.

    Raises:
        TypeError: a prompt that is one str, which would be read letter by letter.
        ValueError: no or repeated prompts.

    >>> prompt_words([["to", "be"], []], "README")
    (('to', 'be'), ())
    """
    for prompt in prompts:
        if isinstance(prompt, str):
            do = f"Write {tuple(prompt.split())}."
            got = f"prompt {prompt!r} is a str"
            raise TypeError(_check.complaint(got, "a sequence of words", where, do))
    named = tuple(tuple(prompt) for prompt in prompts)
    if not named:
        do = "Use [()], the empty prompt alone."
        raise ValueError(_check.complaint("prompts is empty", "one prompt or more", where, do))
    if len(set(named)) < len(named):
        twice = next(p for i, p in enumerate(named) if p in named[:i])
        raise ValueError(_check.complaint(f"prompt {twice} occurs twice", "distinct", where))
    return named
