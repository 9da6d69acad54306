"""Several items, ranked: Plackett and Luce's model, ties being blocks of unknown order.

Rewards come in the order of the places, the best first: `ordered[..., place]`.
"""

from typing import Any

import numpy as np
from array_api_compat import array_namespace

from bandit_rlhf import _check

Array = Any
"""Any array of the Array API standard: NumPy, torch, JAX."""

LARGEST_BLOCK = 12
"""A block of b ties takes 2^b sums."""


def plackett_luce(ordered: Array, ranked: int | None = None) -> Array:
    """Log-probability of rankings: each place is a choice among the items that are left.

    ln P = sum_{k <= ranked} (r_k - ln sum_{j >= k} e^(r_j))

    Args:
        ordered: [..., place], rewards in the order of the places, nats.
        ranked: how many places were awarded; the items after them are known to be worse, but not in
            which order. None: all.

    Returns:
        [...], log-probabilities. They sum to one over all orders of the same items; for two items
        the model is Bradley-Terry.

    References:
        Luce 1959, Individual Choice Behavior; Plackett 1975, Applied Statistics 24:193.

    >>> round(float(np.exp(plackett_luce(np.zeros(3)))), 6)   # 1 / 3!
    0.166667
    """
    xp = array_namespace(ordered)
    places = ordered.shape[-1]
    ranked = _ranked(ranked, places)
    log_left = _log_left(xp, ordered)
    terms = (ordered - log_left)[..., :ranked]
    return xp.sum(terms, axis=-1)


def plackett_luce_score(ordered: Array, ranked: int | None = None) -> Array:
    """Derivatives of `plackett_luce` in the rewards.

    d ln P / d r_j = 1[j <= ranked] - sum_{k <= min(j, ranked)} e^(r_j) / sum_{i >= k} e^(r_i)

    Args:
        ordered: [..., place], nats.
        ranked: how many places were awarded; None: all.

    Returns:
        [..., place].
    """
    xp = array_namespace(ordered)
    places = ordered.shape[-1]
    ranked = _ranked(ranked, places)
    log_left = _log_left(xp, ordered)
    columns = []
    for j in range(places):
        chances = xp.exp(ordered[..., j : j + 1] - log_left[..., : min(j + 1, ranked)])
        columns.append(float(j < ranked) - xp.sum(chances, axis=-1))
    return xp.stack(columns, axis=-1)


def plackett_luce_weak_order(ordered: Array, blocks: tuple[int, ...]) -> Array:
    """Log-probability of rankings with ties, each tie being a block whose inner order is not known.

    The sum of `plackett_luce` over all orders within the blocks. A block S ahead of the rest R has

    P(S, R) = sum_{i in S} e^(r_i) / sum_{S + R} e^r  P(S - i, R),    P({}, R) = 1,

    which takes 2^b sums instead of b! orders. The last block costs nothing. The result is concave
    in the rewards: with r + Gumbel noise the event is a convex set (Prekopa 1973).

    Args:
        ordered: [..., place], rewards block by block, nats; any order within a block.
        blocks: the blocks' sizes, adding up to the number of places.

    Returns:
        [...], log-probabilities.

    Raises:
        ValueError: sizes that do not add up, or a block of more than 12 ahead of another.

    >>> round(float(np.exp(plackett_luce_weak_order(np.zeros(3), (2, 1)))), 6)   # 2 of 6 orders
    0.333333
    """
    xp = array_namespace(ordered)
    places = ordered.shape[-1]
    if sum(blocks) != places or min(blocks, default=0) < 1:
        got = f"blocks are {blocks}"
        raise ValueError(_check.complaint(got, f"positive and adding up to {places}", "places"))
    if max(blocks[:-1], default=0) > LARGEST_BLOCK:
        got = f"a block of {max(blocks[:-1])} ties stands ahead of others"
        raise ValueError(_check.complaint(got, f"at most {LARGEST_BLOCK} long", "plackett_luce"))
    log_left = _log_left(xp, ordered)
    total = xp.zeros_like(ordered[..., 0])
    begin = 0
    for size in blocks[:-1]:
        columns = [ordered[..., k] for k in range(begin, begin + size)]
        total = total + _log_block(xp, columns, log_left[..., begin + size])
        begin += size
    return total


def sample_ranking(rewards: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw rankings: [..., place] positions of the items, the best first.

    Sorting by reward plus Gumbel noise is an exact draw (Yellott 1977, J. Math. Psychology 15:109).

    Args:
        rewards: [..., item], nats.
        rng: the source of randomness.

    >>> sample_ranking(np.array([0.0, 50.0, 25.0]), np.random.default_rng(0)).tolist()
    [1, 2, 0]
    """
    return np.argsort(-(rewards + rng.gumbel(size=np.shape(rewards))), axis=-1)


def _ranked(ranked: int | None, places: int) -> int:
    if ranked is None:
        return places
    if not 1 <= ranked <= places:
        raise ValueError(
            _check.complaint(f"ranked is {ranked}", f"in 1..{places}", "plackett_luce")
        )
    return ranked


def _log_left(xp: Any, ordered: Array) -> Array:
    """[..., place], ln of the summed e^r of the items not yet placed."""
    columns = [ordered[..., -1]]
    for k in range(ordered.shape[-1] - 2, -1, -1):
        columns.append(xp.logaddexp(ordered[..., k], columns[-1]))
    return xp.stack(columns[::-1], axis=-1)


def _log_block(xp: Any, columns: list[Array], log_rest: Array) -> Array:
    """The log-probability P(block, rest), subset by subset."""
    left = [log_rest]  # by bit set: ln of the summed e^r of the subset and the rest
    chance = [xp.zeros_like(log_rest)]
    for subset in range(1, 1 << len(columns)):
        members = [k for k in range(len(columns)) if subset >> k & 1]
        left.append(xp.logaddexp(left[subset & (subset - 1)], columns[members[0]]))
        ways = [columns[k] + chance[subset ^ (1 << k)] for k in members]
        total = ways[0]
        for way in ways[1:]:
            total = xp.logaddexp(total, way)
        chance.append(total - left[subset])
    return chance[-1]
