"""Rewards that a finite automaton can pay while it reads a string.

    r(y) = sum_t edge[s_t, y_t] + (y truncated) truncated[s_T],    s_{t+1} = successor[s_t, y_t]

Counts with a cap, the length, the presence of a substring, any function of the last k tokens, and
sums and multiples of these are of this form. `exact.lattice` sums over all strings under such a
reward at horizons where no enumeration is possible.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from bandit_rlhf import _check, walk
from bandit_rlhf._array import Float, Int
from bandit_rlhf.language import Language, TokenBatch


@dataclass(frozen=True, eq=False)
class AutomatonReward:
    """A reward read off the path of a deterministic automaton, which starts in state 0.

    Args:
        language: whose strings are read.
        successor: the state after each ordinary token [state, token].
        edge: the reward for reading each token, the end token last if there is one [state, action].
        truncated: the reward for being cut at the horizon in each state [state].

    Raises:
        ValueError: shapes that do not fit, successors that are no states, NaN or infinite rewards.
    """

    language: Language
    successor: Int[np.ndarray, "state token"]
    edge: Float[np.ndarray, "state action"]
    truncated: Float[np.ndarray, " state"]

    def __post_init__(self) -> None:
        states, where = len(self.successor), "AutomatonReward"
        _check.integer_at_least("number of states", states, 1, where)
        shape = (states, self.language.vocabulary_size)
        _check.shaped("successor", self.successor, shape, "state, token", where)
        _check.shaped(
            "edge", self.edge, (states, self.language.action_count), "state, action", where
        )
        _check.shaped("truncated", self.truncated, (states,), "state", where)
        if self.successor.min() < 0 or self.successor.max() >= states:
            bad = int(self.successor[(self.successor < 0) | (self.successor >= states)].flat[0])
            raise ValueError(
                _check.complaint(f"successor holds state {bad}", f"within 0..{states - 1}", where)
            )
        _check.finite("edge", self.edge, where)
        _check.finite("truncated", self.truncated, where)

    @property
    def state_count(self) -> int:
        """Number of states."""
        return len(self.successor)

    def __call__(self, batch: TokenBatch) -> Float[np.ndarray, " string"]:
        """The reward of every string of a batch.

        Raises:
            ValueError: a batch of another language.
        """
        if batch.language != self.language:
            got = "the batch's language differs"
            raise ValueError(_check.complaint(got, "the reward's", "AutomatonReward"))
        states, last = walk.read(batch, walk.along(self.successor), start=0)
        total = walk.pick(self.edge, states, batch).sum(axis=1)
        return total + np.where(batch.terminated, 0.0, self.truncated[last])

    def __mul__(self, factor: float) -> "AutomatonReward":
        factor = _check.real("factor", factor, "AutomatonReward")
        return AutomatonReward(
            self.language, self.successor, factor * self.edge, factor * self.truncated
        )

    __rmul__ = __mul__

    def __neg__(self) -> "AutomatonReward":
        return -1.0 * self

    def __sub__(self, other: "AutomatonReward") -> "AutomatonReward":
        return self + -other

    def __add__(self, other: "AutomatonReward") -> "AutomatonReward":
        """The sum, on the pairs of states that can be reached together."""
        left, right, successor = reachable_pairs(self, other)
        return AutomatonReward(
            self.language,
            successor,
            self.edge[left] + other.edge[right],
            self.truncated[left] + other.truncated[right],
        )


def reachable_pairs(
    left: AutomatonReward, right: AutomatonReward
) -> tuple[Int[np.ndarray, " pair"], Int[np.ndarray, " pair"], Int[np.ndarray, "pair token"]]:
    """The product automaton: both states of every reachable pair, and the successor pairs."""
    if left.language != right.language:
        raise ValueError(
            _check.complaint("the rewards read two languages", "one", "AutomatonReward")
        )
    firsts, seconds, successor = product(
        left.successor, right.successor, np.zeros((1, 2), np.int64)
    )
    return firsts, seconds, successor


def product(
    left: Int[np.ndarray, "state token"],
    right: Int[np.ndarray, "other token"],
    start: Int[np.ndarray, "start 2"],
) -> tuple[Int[np.ndarray, " pair"], Int[np.ndarray, " pair"], Int[np.ndarray, "pair token"]]:
    """Run two transition tables side by side from the given pairs, breadth first.

    Returns:
        left state and right state of every pair reached, the starts first and in their order, and
        the pair that follows each token [pair, token].
    """
    width = len(right)
    frontier = known = start[:, 0] * width + start[:, 1]
    while len(frontier):
        following = left[frontier // width] * width + right[frontier % width]
        frontier = np.setdiff1d(following, known)
        known = np.concatenate([known, frontier])
    firsts, seconds = known // width, known % width
    order = np.argsort(known)
    successor = order[np.searchsorted(known, left[firsts] * width + right[seconds], sorter=order)]
    return firsts, seconds, successor


def token_weights(language: Language, weights: ArrayLike | Mapping[str, float]) -> AutomatonReward:
    """A reward linear in counts: r(y) = sum_t w[y_t].

    Args:
        language: the language.
        weights: one number an action [action], the end token last; or words with theirs, others 0.

    >>> letters = Language(("a", "b"), 3, "$")
    >>> token_weights(letters, {"b": 2.0})(letters.batch([(1, 0, 1)]))
    array([4.])
    """
    if isinstance(weights, Mapping):
        named, weights = weights, np.zeros(language.action_count)
        for word, weight in named.items():
            weights[language.token(word)] = weight
    edge = _check.shaped(
        "weights", np.asarray(weights, float), (language.action_count,), "action", "token_weights"
    )
    return AutomatonReward(
        language, np.zeros((1, language.vocabulary_size), np.int64), edge[None].copy(), np.zeros(1)
    )


def length(language: Language, weight: float = 1.0) -> AutomatonReward:
    """r(y) = weight |y|, the end token counted."""
    return token_weights(language, np.full(language.action_count, float(weight)))


def capped_count(
    language: Language, words: Sequence[str], cap: int, weight: float = 1.0
) -> AutomatonReward:
    """r(y) = weight min(cap, number of tokens of y among `words`).

    >>> letters = Language(("a", "b"), 4, "$")
    >>> capped_count(letters, ["b"], cap=2)(letters.batch([(1, 1, 1, 0), (0, 1, 2)]))
    array([2., 1.])
    """
    _check.integer_at_least("cap", cap, 1, "capped_count")
    counted = np.zeros(language.action_count, dtype=bool)
    counted[[language.token(word) for word in words]] = True
    count = np.arange(cap + 1)[:, None]
    successor = np.minimum(count + counted[: language.vocabulary_size], cap)
    edge = weight * (counted & (count < cap)).astype(float)
    return AutomatonReward(language, successor, edge, np.zeros(cap + 1))


def contains(language: Language, words: Sequence[str], weight: float = 1.0) -> AutomatonReward:
    """r(y) = weight if the words stand in y one after the other, else 0.

    The automaton is that of Knuth, Morris and Pratt 1977.

    >>> letters = Language(("a", "b"), 4, "$")
    >>> contains(letters, ["a", "b"])(letters.batch([(1, 0, 1, 1), (1, 1, 2)]))
    array([1., 0.])
    """
    pattern = language.tokens(words)
    if not pattern or any(token >= language.vocabulary_size for token in pattern):
        raise ValueError(
            _check.complaint(f"words is {list(words)}", "one ordinary word or more", "contains")
        )
    matched = len(pattern)
    successor = np.zeros((matched + 1, language.vocabulary_size), dtype=np.int64)
    successor[matched] = matched
    border = 0
    for state, token in enumerate(pattern):
        successor[state] = successor[border] if state else 0
        successor[state, token] = state + 1
        if state:
            border = int(successor[border, token])
    edge = np.zeros((matched + 1, language.action_count))
    edge[matched - 1, pattern[-1]] = weight
    return AutomatonReward(language, successor, edge, np.zeros(matched + 1))


def window(
    language: Language, width: int, pay: Callable[[tuple[int, ...], int], float]
) -> AutomatonReward:
    """r(y) = sum_t pay(the at most `width` ordinary tokens before y_t, y_t).

    Args:
        language: the language.
        width: how many tokens back the reward sees; at least 0.
        pay: the reward of each (context, token id); called once for every context and action.
    """
    _check.integer_at_least("width", width, 0, "window")
    successor = context_successors(language.vocabulary_size, width)
    contexts = [context_tokens(language.vocabulary_size, width, c) for c in range(len(successor))]
    edge = [[pay(context, a) for a in range(language.action_count)] for context in contexts]
    return AutomatonReward(
        language, successor, np.array(edge, dtype=float), np.zeros(len(successor))
    )


def repetition(language: Language, width: int, weight: float = 1.0) -> AutomatonReward:
    """r(y) = weight x the number of tokens that already stand among the `width` tokens before them.

    >>> letters = Language(("a", "b"), 4, "$")
    >>> repetition(letters, 1)(letters.batch([(0, 0, 0, 1), (0, 1, 0, 1)]))
    array([2., 0.])
    """
    _check.integer_at_least("width", width, 1, "repetition")
    size = language.vocabulary_size
    successor = context_successors(size, width)
    edge = np.zeros((len(successor), language.action_count))
    for context in range(len(successor)):
        edge[context, list(set(context_tokens(size, width, context)))] = weight
    return AutomatonReward(language, successor, edge, np.zeros(len(successor)))


def context_successors(vocabulary_size: int, width: int) -> Int[np.ndarray, "context token"]:
    """The automaton that remembers the last `width` tokens; contexts are numbered like tree nodes.

    Context i of t < width tokens is followed under token a by node i + a V^t of the next level; a
    full one drops its first token: (i // V) + a V^(width-1).
    """
    if width == 0:
        return np.zeros((1, vocabulary_size), dtype=np.int64)
    token = np.arange(vocabulary_size)
    offset, rows = 0, []
    for level in range(width + 1):
        index = np.arange(vocabulary_size**level)[:, None]
        if level < width:
            rows.append(offset + len(index) + index + token * len(index))
            offset += len(index)
        else:
            rows.append(offset + index // vocabulary_size + token * (len(index) // vocabulary_size))
    return np.concatenate(rows)


def context_tokens(vocabulary_size: int, width: int, context: int) -> tuple[int, ...]:
    """The tokens, oldest first, that a context number of `context_successors` stands for."""
    level = 0
    while level < width and context >= vocabulary_size**level:
        context -= vocabulary_size**level
        level += 1
    tokens = []
    for _ in range(level):
        context, token = divmod(context, vocabulary_size)
        tokens.append(token)
    return tuple(tokens)
