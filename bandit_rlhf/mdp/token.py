"""The token MDP of a language: a state for every prefix, an action for every token.

    s = (prompt, tokens so far),    s' = (prompt, tokens so far, token),    deterministic

The end token leads to a terminal state, so a string that it ends *terminates*. A string that the
horizon cuts stops in a state that is not terminal: the two cases stay distinct, as in the language.

States stand prompt after prompt; within a prompt the prefixes of 0 .. horizon tokens come in the
language's order of nodes, then the terminated strings in the order of the prefixes that they end.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from bandit_rlhf import _check
from bandit_rlhf._array import Float, Int
from bandit_rlhf.bandit import Prompt, prompt_words
from bandit_rlhf.language import Language
from bandit_rlhf.mdp.finite import FiniteMDP
from bandit_rlhf.policy import as_level, entry_count

TokenReward = Callable[[Prompt, tuple[str, ...]], float]
"""From the prompt's words and the words so far to the reward paid for the last of them."""


class History(NamedTuple):
    """The name of a state: the prompt's words, and all words said since."""

    prompt: Prompt
    words: tuple[str, ...]


def token_mdp(
    language: Language,
    reward: "ArrayLike | TokenReward",
    prompts: Sequence[Sequence[str]] = ((),),
    prompt_law: ArrayLike | None = None,
    gamma: float = 1.0,
    memory_limit: int | None = None,
) -> FiniteMDP:
    """A language as an MDP that is paid token by token.

    Args:
        language: the strings that can be written; its horizon is the MDP's.
        reward: of each token: a function of the prompt's words and the words so far, the new one
            included; or an array [prompt, entry] in the layout of `TabularPolicy.logits`.
        prompts: the contexts, distinct; they are the first states.
        prompt_law: their probabilities [prompt]; None: all alike.
        gamma: discount per token, within 0..1.
        memory_limit: bytes the arrays may take; by default half of the machine's memory.

    Returns:
        the MDP; state names are `History`, action names the tokens, the end token's last.

    Raises:
        ValueError: prompts, law, gamma or rewards that are none; more states than fit in memory.

    >>> letters = Language(("a", "b"), 2, "$")
    >>> mdp = token_mdp(letters, lambda prompt, words: words[-1] == "b")
    >>> mdp.state_count, mdp.state_names[6].words, mdp.state_names[7].words
    (10, ('b', 'b'), ('$',))
    """
    where = "token_mdp"
    named = prompt_words(prompts, where)
    alike = np.full(len(named), 1.0 / len(named))
    law = _check.distribution("prompt_law", alike if prompt_law is None else prompt_law, where)
    _check.shaped("prompt_law", law, (len(named),), "prompt", where)
    block = _states_per_prompt(language)
    actions, total = language.action_count, len(named) * block
    do = "Shorten the horizon, or use exact.lattice."
    _check.fits_in_memory("states", total, 24.0 * actions + 200, where, do, memory_limit)

    successor = np.repeat(np.arange(total), actions).reshape(total, actions)
    for states, following in _steps(language, len(named)):
        successor[states] = following
    names = [History(prompt, words) for prompt in named for words in _words(language)]
    if callable(reward):
        paid = np.zeros((total, actions))
        for states, following in _steps(language, len(named)):
            paid[states] = [[float(reward(*names[s])) for s in row] for row in following]
    else:
        entries = _check.finite("reward", reward, where)
        _check.shaped(
            "reward", entries, (len(named), entry_count(language)), "prompt, entry", where
        )
        paid = state_array(language, entries)

    initial = np.zeros(total)
    initial[::block] = law
    terminal = np.arange(total) % block >= language.node_count(language.horizon + 1)
    return FiniteMDP(
        initial,
        successor[..., None],
        np.ones((total, actions, 1)),
        paid[..., None],
        language.horizon,
        gamma,
        terminal,
        names,
        language.words(range(actions)),
    )


def state_array(
    language: Language, entries: Float[np.ndarray, "prompt entry"], fill: float = 0.0
) -> Float[np.ndarray, "state action"]:
    """From the layout of `TabularPolicy.logits` to the states of the token MDP.

    Args:
        language: of the token MDP.
        entries: a number for every token after every prefix [prompt, entry].
        fill: what stands where no token follows.
    """
    block, prompts = _states_per_prompt(language), len(entries)
    result = np.full((prompts, block, language.action_count), fill)
    for level in range(language.horizon):
        first, width = language.node_count(level), language.vocabulary_size**level
        result[:, first : first + width] = np.moveaxis(as_level(language, entries, level), 1, 2)
    return result.reshape(prompts * block, language.action_count)


def entry_array(
    language: Language, values: Float[np.ndarray, "time state action"]
) -> Float[np.ndarray, "prompt entry"]:
    """From [time, state, action] to the layout of `TabularPolicy.logits`: each prefix at its time.

    Args:
        language: of the token MDP.
        values: a number for every action in every state at every time [time, state, action].
    """
    block = _states_per_prompt(language)
    by_prompt = values.reshape(len(values), -1, block, language.action_count)
    result = np.empty((by_prompt.shape[1], entry_count(language)))
    for level in range(language.horizon):
        first, width = language.node_count(level), language.vocabulary_size**level
        nodes = by_prompt[level, :, first : first + width]
        as_level(language, result, level)[:] = np.moveaxis(nodes, 2, 1)
    return result


def _states_per_prompt(language: Language) -> int:
    """Prefixes of every length, and the strings that the end token terminates."""
    prefixes = language.node_count(language.horizon + 1)
    return prefixes + (language.node_count(language.horizon) if language.end is not None else 0)


def _steps(
    language: Language, prompts: int
) -> Iterator[tuple[Int[np.ndarray, " state"], Int[np.ndarray, "state action"]]]:
    """Level by level, the states where a token is chosen and what follows each token."""
    starts = _states_per_prompt(language) * np.arange(prompts)[:, None]
    ended = language.node_count(language.horizon + 1)
    for level in range(language.horizon):
        node = np.arange(language.vocabulary_size**level)
        state = language.node_count(level) + node
        children = [
            language.node_count(level + 1) + token * len(node) + node
            for token in range(language.vocabulary_size)
        ]
        if language.end is not None:
            children.append(ended + state)
        following = starts[:, :, None] + np.stack(children, axis=1)
        yield (starts + state).ravel(), following.reshape(-1, language.action_count)


def _words(language: Language) -> list[tuple[str, ...]]:
    """What has been written in each state of one prompt."""
    level: list[tuple[str, ...]] = [()]
    prefixes = [*level]
    for _ in range(language.horizon):
        level = [(*words, token) for token in language.vocabulary for words in level]
        prefixes += level
    if language.end is None:
        return prefixes
    inner = prefixes[: language.node_count(language.horizon)]
    return prefixes + [(*words, language.end) for words in inner]
