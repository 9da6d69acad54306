"""From losses of tokens to one number: which weight each token has.

    token_mean     1 / (tokens of the batch)         long strings weigh more; depends on the batch
    sequence_mean  1 / (strings * tokens of it)      tokens of short strings weigh more: length bias
    sequence_sum   1 / strings                       the policy gradient's own
    constant       1 / (strings * a fixed length)    the same, scaled

Micro-batches add up when each is told the whole batch's denominator, `total`.
"""

from array_api_compat import array_namespace

from bandit_rlhf import _check
from bandit_rlhf._masked import Array, counted, kept, tokens
from bandit_rlhf.contract import estimator


@estimator("aggregation", claims={"token_weights", "additive"}, facts={"weights": "token_mean"})
def token_mean(values: Array, mask: Array, *, total: float | None = None) -> Array:
    """The mean over all participating tokens (DAPO).

    sum_t x_t / total

    Args:
        values: [string, token].
        mask: [string, token], true where the token participates.
        total: participating tokens of the whole batch; None: of this one.

    Returns:
        a number, as an array without axes.

    Laws: L5, U1, U2, U3, U4. Source: Yu et al. 2025 (2503.14476), equation 12.

    >>> import numpy as np
    >>> float(token_mean(np.asarray([[1.0, 2.0], [6.0, 0.0]]), np.asarray([[1, 1], [1, 0]])))
    3.0
    """
    tokens("token_mean", mask, values=values)
    xp = array_namespace(values)
    return xp.sum(kept(values, mask)) / _total(total, counted(mask, values), "token_mean")


@estimator("aggregation", claims={"token_weights", "additive"}, facts={"weights": "sequence_mean"})
def sequence_mean(values: Array, mask: Array, *, total: float | None = None) -> Array:
    """The mean over strings of the mean over their tokens (GRPO).

    1/total sum_i (1/|y_i|) sum_t x_it

    Strings without a participating token are left out of sum and count.

    Args:
        values: [string, token].
        mask: [string, token].
        total: strings of the whole batch; None: of this one.

    Returns:
        a number, as an array without axes.

    Laws: L5, U1, U2, U3, U4; L4 fails by design (theorem 30). Source: Shao et al. 2024
    (2402.03300), equation 3.
    """
    tokens("sequence_mean", mask, values=values)
    xp = array_namespace(values)
    lengths = counted(mask, values, axis=1)
    some = lengths > 0
    means = xp.sum(kept(values, mask), axis=1) / xp.where(some, lengths, xp.ones_like(lengths))
    count = xp.sum(xp.astype(some, values.dtype))
    return xp.sum(means) / _total(total, count, "sequence_mean")


@estimator("aggregation", claims={"token_weights", "additive"}, facts={"weights": "sequence_sum"})
def sequence_sum(values: Array, mask: Array, *, total: float | None = None) -> Array:
    """The mean over strings of the sum over their tokens: the policy gradient's own weights.

    1/total sum_i sum_t x_it

    Args:
        values: [string, token].
        mask: [string, token].
        total: strings of the whole batch; None: rows of this one.

    Returns:
        a number, as an array without axes.

    Laws: L5, U1, U2, U3, U4.
    """
    tokens("sequence_sum", mask, values=values)
    total = float(values.shape[0]) if total is None else _check.positive("total", total)
    return array_namespace(values).sum(kept(values, mask)) / total


@estimator(
    "aggregation",
    claims={"token_weights", "additive"},
    facts={"weights": "constant", "length": 4.0},
    settings={"length": 4.0},
)
def constant(values: Array, mask: Array, *, length: float, total: float | None = None) -> Array:
    """The sum over tokens, over strings and a fixed length (Dr. GRPO).

    1/(total * length) sum_i sum_t x_it

    Args:
        values: [string, token].
        mask: [string, token].
        length: a number that depends on no draw, such as the token budget; not the padded width.
        total: strings of the whole batch; None: rows of this one.

    Returns:
        a number, as an array without axes.

    Laws: L5, U1, U2, U3, U4. Source: Liu et al. 2025 (2503.20783), section 3.2.
    """
    return sequence_sum(values, mask, total=total) / _check.positive("length", length, "constant")


def _total(total: float | None, own: Array, where: str) -> Array | float:
    return own if total is None else _check.positive("total", total, where)
