"""Needs that a reward knows nothing of: a pair of adjacent words that somebody wants said.

Whether a policy still has a pair within reach is exact on a lattice whose states remember the last
word: the probability that a string avoids the pair is one backward sweep.
"""

import numpy as np

from bandit_rlhf import corpus
from bandit_rlhf.exact.lattice import Lattice, LatticePolicy
from bandit_rlhf.language import Language
from experiments.lab.tiers import last_word


def frequent_pairs(lattice: Lattice, count: int) -> np.ndarray:
    """Pairs of adjacent ordinary words [pair, 2], the commonest first.

    All pairs, where they are at most `count`; otherwise `count` of them, at even steps in the order
    of how probable their second word is after the first.
    """
    last, unknown = last_word(lattice), lattice.language.token(corpus.UNKNOWN)
    words = [word for word in range(lattice.language.vocabulary_size) if word != unknown]
    follows = {int(word): state for state, word in enumerate(last)}
    pairs = np.array([(first, second) for first in words for second in words])
    chance = np.array([lattice.log_reference[follows[a], b] for a, b in pairs])
    pairs = pairs[np.argsort(-chance, kind="stable")]
    if len(pairs) <= count:
        return pairs
    return pairs[np.linspace(0, len(pairs) - 1, count).round().astype(int)]


def within_reach(policy: LatticePolicy, pairs: np.ndarray) -> np.ndarray:
    """P(a string holds the pair) for every need and prompt [pair, prompt].

    1 - V_0 with V_t(s) = sum_a pi_t(a|s) V_{t+1}(s a), the pair's own step left out. The
    last word of a prompt counts as the first of a pair.

    >>> from bandit_rlhf.automaton import repetition
    >>> from bandit_rlhf.language import Language
    >>> from bandit_rlhf.ngram import MarkovPolicy
    >>> coin = Language(("h", "t"), 2)
    >>> reference = MarkovPolicy.from_probs(coin, 1, [[0.5, 0.5]] * 3)
    >>> lattice = Lattice.build(reference, {"r": repetition(coin, 1)}, [("h",)])
    >>> within_reach(lattice.reference, np.array([[0, 0], [1, 1]])).ravel().tolist()
    [0.5, 0.25]
    """
    lattice, size = policy.lattice, policy.lattice.language.vocabulary_size
    after = last_word(lattice)[None] == pairs[:, :1]  # [pair, state]
    second = pairs[:, 1]
    into = lattice.successor[:, second].T  # [pair, state]
    avoids = np.ones((len(pairs), lattice.state_count))
    for step in reversed(range(lattice.language.horizon)):
        probs = policy.probs[step]
        flow = np.zeros((lattice.state_count, lattice.state_count))
        rows = np.arange(lattice.state_count)[:, None]
        np.add.at(flow, (rows, lattice.successor), probs[:, :size])
        said = np.where(after, probs[:, second].T * np.take_along_axis(avoids, into, axis=1), 0.0)
        avoids = avoids @ flow.T - said + probs[:, size:].sum(axis=1)
    return np.clip(1 - avoids[:, lattice.start], 0.0, 1.0)


def pass_at(prompt_law: np.ndarray, held: np.ndarray, tries: int) -> float:
    """Mean over needs and prompts of 1 - (1 - P)^k: is what is wanted among k strings?

    Args:
        prompt_law: probabilities of the prompts [prompt].
        held: P(a string holds the need) [need, prompt].
        tries: k.
    """
    with np.errstate(divide="ignore"):
        found = -np.expm1(tries * np.log1p(-held))
    return float((found @ prompt_law).mean())


def drawn_pairs(lattice: Lattice, count: int, rng: np.random.Generator) -> np.ndarray:
    """Pairs as in `frequent_pairs`, but one drawn from each of `count` equal parts of the order."""
    pairs = frequent_pairs(lattice, len(lattice.log_reference) * lattice.language.action_count)
    if len(pairs) <= count:
        return pairs
    return np.array([rng.choice(part) for part in np.array_split(pairs, count)])


def success_direction(policy: LatticePolicy, pairs: np.ndarray) -> np.ndarray:
    """The natural gradient of the mean success over needs, by step, state and action.

    The policy knows its state and the step, not which need is posed nor whether it is met already:
    the advantage of an action is averaged over needs and over the ways to its state. With m_i(s)
    the mass in s that has not met need i and V_i(s) the probability to go on missing it,

        direction_t(s, a) = mean_i m_i(s) (V_i(s) - V_i(s a)) / mass(s),

    where V_i(s a) is 0 if the step meets the need; 0 where no mass comes.

    Args:
        policy: on a lattice whose states remember the last word.
        pairs: the needs [need, 2].
    """
    lattice, size = policy.lattice, policy.lattice.language.vocabulary_size
    steps, needs = lattice.language.horizon, np.arange(len(pairs))
    after = last_word(lattice)[None] == pairs[:, :1]
    second = pairs[:, 1]
    into = lattice.successor[:, second].T
    misses = np.ones((steps + 1, len(pairs), lattice.state_count))
    rows = np.arange(lattice.state_count)[:, None]
    flows = np.zeros((steps, lattice.state_count, lattice.state_count))
    for step in reversed(range(steps)):
        probs = policy.probs[step]
        np.add.at(flows[step], (rows, lattice.successor), probs[:, :size])
        below = misses[step + 1]
        said = np.where(after, probs[:, second].T * np.take_along_axis(below, into, axis=1), 0.0)
        misses[step] = below @ flows[step].T - said + probs[:, size:].sum(axis=1)
    start = np.bincount(lattice.start, lattice.prompt_law, lattice.state_count)
    missing, mass = np.tile(start, (len(pairs), 1)), start
    result = np.zeros(policy.log_probs.shape)
    met, states = np.nonzero(after)
    for step in range(steps):
        below = misses[step + 1]
        onward = missing.T @ below  # [state, following state], summed over needs
        goes_on = np.take_along_axis(onward, lattice.successor, axis=1)
        meets = missing[met, states] * below[met, into[met, states]]
        np.subtract.at(goes_on, (states, second[met]), meets)
        here = (missing * misses[step]).sum(axis=0)
        result[step, :, :size] = here[:, None] - goes_on
        result[step, :, size:] = (here - missing.sum(axis=0))[:, None]
        result[step] /= np.where(mass > 0, mass, 1.0)[:, None] * len(needs)
        leaving = np.zeros_like(missing)
        np.add.at(
            leaving,
            (met, into[met, states]),
            missing[met, states] * policy.probs[step][states, second[met]],
        )
        missing, mass = missing @ flows[step] - leaving, mass @ flows[step]
    return result


def every_pair(size: int) -> np.ndarray:
    """All pairs of `size` words [pair, 2]."""
    first, second = np.divmod(np.arange(size * size), size)
    return np.stack([first, second], axis=1)


def holding(language: Language, pairs: np.ndarray) -> np.ndarray:
    """Whether each string of a small language holds each pair, the prompt left out [pair, string].

    >>> holding(Language(("h", "t"), 2), np.array([[0, 1]])).tolist()   # hh, th, ht, tt
    [[False, False, True, False]]
    """
    tokens = language.all_strings().tokens
    before, after = tokens[:, :-1], tokens[:, 1:]
    return np.array([((before == a) & (after == b)).any(axis=1) for a, b in pairs])
