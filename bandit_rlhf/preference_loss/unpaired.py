"""KTO: losses of single strings, judged desirable or not, about a reference point.

>>> import numpy as np
>>> kto(np.zeros(2), np.zeros(2), np.asarray([True, False]), np.asarray(0.0))
array([0.5, 0.5])
"""

from typing import Any

import numpy as np
from array_api_compat import array_namespace

from bandit_rlhf import _check
from bandit_rlhf._masked import Array, detached, same_shape
from bandit_rlhf.contract import estimator


@estimator(
    "unpaired_loss",
    claims={"monotone", "value_at_zero", "shift_invariant", "no_leak"},
    facts={"at_zero": 0.5},
)
def kto(
    log_prob: Array,
    ref_log_prob: Array,
    desirable: Array,
    reference_point: Array,
    *,
    beta: float = 0.1,
    desirable_weight: float = 1.0,
    undesirable_weight: float = 1.0,
) -> Array:
    """Kahneman-Tversky optimisation: a value that saturates, above and below a reference point.

    w_d (1 - sigma(beta (h - z)))  if desirable,  w_u (1 - sigma(beta (z - h)))  if not

    with h = ln pi(y) - ln ref(y).

    Args:
        log_prob: ln pi(y), [string].
        ref_log_prob: ln ref(y), [string]; no gradient flows into it.
        desirable: bool, [string].
        reference_point: z, a number; see `reference_point`. No gradient flows into it.
        beta: above 0.
        desirable_weight: w_d, above 0.
        undesirable_weight: w_u, above 0.

    Returns:
        [string], within 0 to the weight.

    Laws: D1, D3, D8, L7. Source: Ethayarajh et al. 2024 (2402.01306), equations 7 and 8.

    >>> import numpy as np
    >>> kto(np.ones(1), np.zeros(1), np.asarray([True]), np.asarray(1.0))
    array([0.5])
    """
    beta = _check.positive("beta", beta, "kto")
    same_shape("kto", log_prob=log_prob, ref_log_prob=ref_log_prob, desirable=desirable)
    xp = array_namespace(log_prob)
    gain = beta * (log_prob - detached(ref_log_prob) - detached(reference_point))
    up = _check.positive("desirable_weight", desirable_weight, "kto")
    down = _check.positive("undesirable_weight", undesirable_weight, "kto")
    good = xp.astype(desirable, xp.bool)
    return xp.where(good, up * _sigmoid(-gain), down * _sigmoid(gain))


def reference_point(log_prob: Array, ref_log_prob: Array) -> Array:
    """The point z = max(0, mean log-ratio) of mismatched prompts and strings, without gradient.

    Args:
        log_prob: ln pi of strings of *other* prompts, [string] (see `mismatched`).
        ref_log_prob: ln ref of the same, [string].

    Returns:
        a number, at least 0: a biased estimate of KL(pi || ref), as in the paper.

    Source: Ethayarajh et al. 2024 (2402.01306), section 4.1.

    >>> import numpy as np
    >>> float(reference_point(np.asarray([-1.0, -2.0]), np.asarray([-2.0, -2.0])))
    0.5
    """
    same_shape("reference_point", log_prob=log_prob, ref_log_prob=ref_log_prob)
    xp = array_namespace(log_prob)
    mean = xp.mean(detached(log_prob) - detached(ref_log_prob))
    return xp.maximum(mean, xp.zeros_like(mean))


@estimator("mismatch", claims={"derangement"})
def mismatched(count: int) -> Any:
    """Which prompt's string each prompt is matched with: the next one's, the last with the first.

    A reversal would leave the middle one in its place.

    Args:
        count: number of prompts, at least 2.

    Returns:
        indices [prompt], a permutation without fixed point.

    Raises:
        ValueError: fewer than 2, for which there is none.

    Law D10.

    >>> mismatched(3)
    array([1, 2, 0])
    """
    if count < 2:
        got = f"count is {count}"
        raise ValueError(_check.complaint(got, "at least 2: one alone has no other", "mismatched"))
    return np.roll(np.arange(count), -1)


def _sigmoid(x: Array) -> Array:
    xp = array_namespace(x)
    small = xp.exp(-xp.abs(x))
    return xp.where(x >= 0, 1 / (1 + small), small / (1 + small))
