"""Reading and writing strings along the states of a deterministic automaton.

Prefixes, the contexts of a Markov policy, the states of a reward and those of a lattice are all
states in this sense: the next one is a function of the step, the state and the token.
"""

from collections.abc import Callable

import numpy as np

from bandit_rlhf import _check
from bandit_rlhf._array import Float, Int
from bandit_rlhf.language import Language, TokenBatch

Follow = Callable[[int, np.ndarray, np.ndarray], np.ndarray]
"""From the step, states and ordinary tokens to the next states."""


def along(successor: Int[np.ndarray, "state token"]) -> Follow:
    """Follow a table of successors, the same at every step."""
    return lambda _, state, token: successor[state, token]


def read(
    batch: TokenBatch, follow: Follow, start: int
) -> tuple[Int[np.ndarray, "string step"], Int[np.ndarray, " string"]]:
    """The state before every token of every string, and the state in which each stops.

    Args:
        batch: the strings; from its end on, a string stays in its last state.
        follow: the next state.
        start: the state before the first token.

    Returns:
        states [string, token], and the last states [string].

    >>> letters = Language(("a", "b"), 3, "$")
    >>> counting_b = np.array([[0, 1], [1, 2], [2, 2]])
    >>> states, last = read(letters.batch([(1, 0, 2)]), along(counting_b), start=0)
    >>> states, last
    (array([[0, 1, 1]]), array([1]))
    """
    state = np.full(len(batch), start)
    states = np.empty(batch.tokens.shape, dtype=np.int64)
    for column in range(batch.tokens.shape[1]):
        states[:, column] = state
        token = batch.tokens[:, column]
        going_on = batch.mask[:, column] & (token < batch.language.vocabulary_size)
        state = np.where(going_on, follow(column, state, np.where(going_on, token, 0)), state)
    return states, state


def pick(
    table: np.ndarray, states: Int[np.ndarray, "string step"], batch: TokenBatch
) -> Float[np.ndarray, "string step"]:
    """The entry of a table [state, action] for every token of a batch, zero where no token is.

    A table [step, state, action] is read at each token's own step.
    """
    token = np.where(batch.mask, batch.tokens, 0)
    step = (np.arange(batch.tokens.shape[1]),) if table.ndim == 3 else ()
    return np.where(batch.mask, table[(*step, states, token)], 0.0)


def write(
    rng: np.random.Generator,
    language: Language,
    follow: Follow,
    start: int,
    draws: int,
    law: Callable[[int, Int[np.ndarray, " draw"]], Float[np.ndarray, "draw action"]],
) -> TokenBatch:
    """Independent strings, token by token.

    Args:
        rng: the source of randomness.
        language: whose strings are written.
        follow: the next state.
        start: the state before the first token.
        draws: how many strings.
        law: step and states to the probabilities of the next token, up to a factor a row.
    """
    draws = _check.integer_at_least("draws", draws, 0, "sample")
    tokens = np.full((draws, language.horizon), language.pad_token, np.int64)
    mask = np.zeros(tokens.shape, dtype=bool)
    alive, state = np.arange(draws), np.full(draws, start)
    for step in range(language.horizon):
        token = draw(rng, law(step, state))
        tokens[alive, step] = token
        mask[alive, step] = True
        going_on = token < language.vocabulary_size
        alive = alive[going_on]
        state = follow(step, state[going_on], token[going_on])
    return TokenBatch(language, tokens, mask)


def draw(
    rng: np.random.Generator, weights: Float[np.ndarray, "draw action"]
) -> Int[np.ndarray, " draw"]:
    """One action a row, with probability proportional to the weights."""
    cumulative = np.cumsum(weights, axis=1)
    total = cumulative[:, -1]
    # The product may round up to the total itself, where no action would be left.
    threshold = np.minimum(rng.random(len(weights)) * total, np.nextafter(total, 0.0))
    return (cumulative <= threshold[:, None]).sum(axis=1)


def unfold(
    language: Language,
    successor: Int[np.ndarray, "state token"],
    starts: Int[np.ndarray, " prompt"],
) -> list[Int[np.ndarray, "prompt node"]]:
    """The state at every node of the prefix tree, level by level, for each starting state."""
    levels = [np.asarray(starts)[:, None]]
    for _ in range(language.horizon - 1):
        following = np.moveaxis(successor[levels[-1]], 2, 1)
        levels.append(following.reshape(len(starts), -1))
    return levels
