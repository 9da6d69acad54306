"""The best strings of a lattice, exactly: most probable under a policy, or highest in reward."""

import heapq
from dataclasses import dataclass

import numpy as np

from bandit_rlhf import _check
from bandit_rlhf._array import Float
from bandit_rlhf.exact.lattice import Lattice, LatticePolicy, Payoff
from bandit_rlhf.language import String


@dataclass(frozen=True)
class RankedString:
    """A string with its score: ln pi(y|x), or a reward."""

    string: String
    score: float


def most_probable(policy: LatticePolicy, count: int = 1, prompt: int = 0) -> list[RankedString]:
    """The `count` most probable strings of a policy, with ln pi(y|x).

    Best-first search over prefixes, ordered by the prefix's score plus the exact best score of any
    completion (Viterbi's recursion); so strings come out in order, and no others are finished.

    >>> from bandit_rlhf.automaton import length
    >>> from bandit_rlhf.language import Language
    >>> from bandit_rlhf.ngram import MarkovPolicy
    >>> letters = Language(("a", "b"), 40, "$")
    >>> reference = MarkovPolicy.from_probs(letters, 0, [[0.75, 0.05, 0.2]])
    >>> lattice = Lattice.build(reference, {})
    >>> [item.string for item in most_probable(lattice.reference, 2)]
    [(2,), (0, 2)]
    """
    truncated = np.zeros(policy.lattice.state_count)
    return _best(policy.lattice, policy.log_probs, truncated, count, prompt)


def best_string(lattice: Lattice, payoff: Payoff, count: int = 1, prompt: int = 0) -> list[RankedString]:
    """The `count` strings of highest reward among those the reference can write, with their reward."""
    scores = np.where(np.isneginf(lattice.log_reference), -np.inf, payoff.edge)
    steps = np.broadcast_to(scores, (lattice.language.horizon, *scores.shape))
    return _best(lattice, steps, payoff.truncated, count, prompt)


def _best(
    lattice: Lattice,
    scores: Float[np.ndarray, "step state action"],
    truncated: Float[np.ndarray, " state"],
    count: int,
    prompt: int,
) -> list[RankedString]:
    _check.integer_at_least("count", count, 1, "viterbi")
    language, size, horizon = lattice.language, lattice.language.vocabulary_size, lattice.language.horizon
    completion = np.empty((horizon + 1, lattice.state_count))
    completion[horizon] = truncated
    for step in reversed(range(horizon)):
        through = scores[step].copy()
        through[:, :size] += completion[step + 1][lattice.successor]
        completion[step] = through.max(axis=1)
    # Entries: (-bound, order of arrival, tokens, state or None when finished, score so far).
    arrival = 0
    start = int(lattice.start[prompt])
    frontier: list[tuple[float, int, String, int | None, float]]
    frontier = [(-float(completion[0, start]), arrival, (), start, 0.0)]
    found: list[RankedString] = []
    while frontier and len(found) < count:
        bound, _, tokens, state, score = heapq.heappop(frontier)
        if state is None:
            found.append(RankedString(tokens, score))
            continue
        if len(tokens) == horizon:
            final = score + float(truncated[state])
            heapq.heappush(frontier, (-final, arrival := arrival + 1, tokens, None, final))
            continue
        reached = score + scores[len(tokens), state]
        bounds = reached.copy()
        bounds[:size] += completion[len(tokens) + 1][lattice.successor[state]]
        # Of one node's children no more than `count` can ever be wanted.
        wanted = np.argsort(-bounds, kind="stable")[:count]
        for action in wanted[bounds[wanted] > -np.inf].tolist():
            going_on = action != language.end_token
            item = (*tokens, action), int(lattice.successor[state, action]) if going_on else None
            heapq.heappush(frontier, (-float(bounds[action]), arrival := arrival + 1, *item, float(reached[action])))
    return found
