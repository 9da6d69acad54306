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
    """The `count` most probable strings of a policy, or all that are possible, with ln pi(y|x).

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


def best_string(
    lattice: Lattice, payoff: Payoff, count: int = 1, prompt: int = 0
) -> list[RankedString]:
    """The `count` strings of highest reward that the reference can write, with their reward."""
    lattice.judge(payoff)
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
    """Best-first search over prefixes, by how far the best completion falls short of the optimum.

    The shortfall is summed action by action from Viterbi's recursion, where it is exactly zero for
    a state's best action. Newer prefixes go first among equals, so that each string takes one
    descent however many ties there are.
    """
    _check.integer_at_least("count", count, 1, "viterbi")
    language, horizon = lattice.language, lattice.language.horizon
    completion = np.empty((horizon + 1, lattice.state_count))
    completion[horizon] = truncated
    for step in reversed(range(horizon)):
        through = scores[step].copy()
        through[:, : language.vocabulary_size] += completion[step + 1][lattice.successor]
        completion[step] = through.max(axis=1)
    # Entries: (shortfall, -order of arrival, tokens, state or None after the end, score so far).
    frontier: list[tuple[float, int, String, int | None, float]]
    frontier = [(0.0, 0, (), lattice.start_of(prompt), 0.0)]
    arrivals = 1
    found: list[RankedString] = []
    while frontier and len(found) < count:
        shortfall, _, tokens, state, score = heapq.heappop(frontier)
        step = len(tokens)
        if state is None:
            found.append(RankedString(tokens, score))
            continue
        if step == horizon:
            found.append(RankedString(tokens, score + float(truncated[state])))
            continue
        through = scores[step, state].copy()
        through[: language.vocabulary_size] += completion[step + 1][lattice.successor[state]]
        shortfalls = shortfall + (completion[step, state] - through)
        # No more than `count` of one prefix's children can ever be wanted; the best comes last.
        wanted = np.argsort(shortfalls, kind="stable")[count - 1 :: -1]
        for action in wanted[shortfalls[wanted] < np.inf].tolist():
            going_on = action != language.end_token
            following = int(lattice.successor[state, action]) if going_on else None
            reached = score + float(scores[step, state, action])
            item = (float(shortfalls[action]), -arrivals, (*tokens, action), following, reached)
            heapq.heappush(frontier, item)
            arrivals += 1
    return found
