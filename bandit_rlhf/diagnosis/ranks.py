"""How sure is the ranking? Intervals for all ranks that hold together.

The rank of an item is one more than the number of better ones. If the signs of all differences that
are called significant are right, with probability `level` or more, then so are all ranks between

    low_j  = 1 + #{k: k is significantly better},    high_j = n - #{k: k is significantly worse}

(Mogstad, Romano, Shaikh and Wilhelm 2024, Review of Economic Studies 91:476; Klein, Wright and
Wieczorek 2020, J. Royal Statistical Society A 183:489, do so from any joint confidence set). Signs
are tested by max-t, step by step: once j > k is found, (j, k) no longer competes for that claim,
and the critical value falls (Romano and Wolf 2005, Econometrica 73:1237).
"""

from dataclasses import dataclass

import numpy as np

from bandit_rlhf import _check
from bandit_rlhf._array import Float, Int
from bandit_rlhf.comparisons.names import Names
from bandit_rlhf.uncertainty import Bootstrap, Covariance

SIMULATED_ITEMS = 500
"""Up to here the largest |t| of all pairs is simulated: a draw costs a matrix of all pairs."""


@dataclass(frozen=True, eq=False)
class RankIntervals:
    """Simultaneous intervals for the ranks of all items, each within its component.

    Args:
        items: the names.
        component: [item]; ranks of different components do not compare.
        rank: [item], from 1, the best, by the estimates.
        low: [item], the best rank that is compatible with the comparisons.
        high: [item], the worst one.
        level: all intervals hold together with at least this probability.
        critical: how many standard errors two scores must differ to be told apart.
        method: "max-t" or "sidak".
        draws: of max-t; 0 for Sidak's bound.
    """

    items: Names
    component: Int[np.ndarray, " item"]
    rank: Int[np.ndarray, " item"]
    low: Int[np.ndarray, " item"]
    high: Int[np.ndarray, " item"]
    level: float
    critical: float
    method: str
    draws: int


def rank_intervals(
    sure: Covariance | Bootstrap,
    rng: np.random.Generator,
    *,
    level: float = 0.95,
    draws: int = 4000,
    method: str | None = None,
) -> RankIntervals:
    """Intervals for the ranks of all items, which hold together with probability `level`.

    t_jk = (r_j - r_k) / stderr(r_j - r_k), against the law of the largest of them around the truth:
    Gaussian with the given covariance, or the bootstrap's. A resample without a finite maximum
    counts as infinitely far off.

    Args:
        sure: the covariance of a fit (Fisher, sandwich or clustered), or its bootstrap.
        rng: the source of randomness.
        level: between 0 and 1.
        draws: of the Gaussian law; 4000 leave an error of 0.35 % in the level.
        method: "max-t"; or "sidak", its upper bound for Gaussian scores in closed form (Sidak 1967,
            J. Amer. Statist. Assoc. 62:626). None: max-t up to 500 items.

    Returns:
        The intervals. With a prior they are Bayesian: the covariance is the posterior's.

    Raises:
        ValueError: arguments out of range; too few resamples for the level; Sidak's bound with a
            bootstrap.

    >>> from bandit_rlhf.comparisons import Comparisons
    >>> from bandit_rlhf.reward import fit
    >>> from bandit_rlhf.uncertainty import covariance
    >>> rows = Comparisons.from_ids([0, 1, 1, 2], [1, 0, 2, 1], weight=[90, 10, 50, 50])
    >>> found = rank_intervals(covariance(fit(rows), rows), np.random.default_rng(0))
    >>> found.low.tolist(), found.high.tolist()      # items 1 and 2 cannot be told apart
    ([1, 2, 2], [1, 3, 3])
    """
    where = "rank_intervals"
    if not 0 < _check.real("level", level, where) < 1:
        raise ValueError(_check.complaint(f"level is {level:g}", "between 0 and 1", where))
    _check.integer_at_least("draws", draws, 1, where)
    if method not in (None, "max-t", "sidak"):
        got = f"method is {method!r}"
        raise ValueError(_check.complaint(got, "'max-t' or 'sidak'", where))
    fit = sure.fit
    n = len(fit.items)
    if method is None:
        method = "max-t" if isinstance(sure, Bootstrap) or n <= SIMULATED_ITEMS else "sidak"
    rivals = fit.component[:, None] == fit.component
    np.fill_diagonal(rivals, False)
    errors, deviations, missing = _deviations(sure, draws, rng, level, where, method)
    gap = fit.scores[:, None] - fit.scores
    t = np.divide(gap, errors, out=np.zeros_like(gap), where=rivals & (errors > 0))
    if method == "sidak":
        critical = sidak_critical(int(rivals.sum()) // 2, level)
        better, used = t > critical, 0
    else:
        better, critical = _step_down(t, rivals, errors, deviations, missing, level)
        used = len(deviations) + missing
    size = rivals.sum(axis=1) + 1
    return RankIntervals(
        items=fit.items,
        component=fit.component,
        rank=1 + ((gap < 0) & rivals).sum(axis=1),
        low=1 + better.sum(axis=0),
        high=size - better.sum(axis=1),
        level=level,
        critical=critical,
        method=method,
        draws=used,
    )


def sidak_critical(pairs: int, level: float) -> float:
    """The bound c on `pairs` Gaussian t-values with P(all |t| <= c) >= level.

    P(|t| <= c)^pairs = level. Gaussian intervals that are symmetric around the truth hold together
    at least as often as independent ones would.

    >>> round(sidak_critical(1, 0.95), 6)
    1.959964
    """
    from scipy.special import ndtri

    return float(ndtri((1 + level ** (1 / max(pairs, 1))) / 2))


def _deviations(
    sure: Covariance | Bootstrap,
    draws: int,
    rng: np.random.Generator,
    level: float,
    where: str,
    method: str,
) -> tuple[Float[np.ndarray, "item item"], Float[np.ndarray, "draw item"], int]:
    """Standard errors of all differences, draws of (estimate - truth), draws that were infinite."""
    n = len(sure.fit.items)
    if isinstance(sure, Bootstrap):
        if method == "sidak":
            raise ValueError(
                _check.complaint("sidak is asked of a bootstrap", "asked of a covariance", where)
            )
        wanted = int(np.ceil(1 / (1 - level)))
        if len(sure.scores) < wanted:
            got = f"there are {len(sure.scores)} resamples"
            raise ValueError(_check.complaint(got, f"at least {wanted} at level {level:g}", where))
        spread = np.cov(sure.scores, rowvar=False).reshape(n, n)
        return _errors(spread), sure.scores - sure.fit.scores, sure.unfitted
    spread = sure.matrix[:n, :n]
    if method == "sidak":
        return _errors(spread), np.empty((0, n)), 0
    values, vectors = np.linalg.eigh(spread)
    root = vectors * np.sqrt(np.maximum(values, 0.0))  # the gauge's eigenvalue is 0 up to rounding
    return _errors(spread), rng.standard_normal((draws, n)) @ root.T, 0


def _errors(spread: np.ndarray) -> np.ndarray:
    """[item, item], the standard errors of differences."""
    variance = np.diag(spread)
    squares = variance[:, None] + variance - 2 * spread
    return np.sqrt(np.maximum(squares, 0.0))  # 0 on the diagonal up to rounding


def _step_down(
    t: np.ndarray,
    rivals: np.ndarray,
    errors: np.ndarray,
    deviations: np.ndarray,
    missing: int,
    level: float,
) -> tuple[np.ndarray, float]:
    """[item, item] which is better than which, and the first step's critical value."""
    scale = np.where(rivals & (errors > 0), errors, np.inf)
    better = np.zeros_like(rivals)
    first = np.nan
    while True:
        open_scale = np.where(better, np.inf, scale)
        largest = np.array([((one[:, None] - one) / open_scale).max() for one in deviations])
        largest = np.append(largest, np.full(missing, np.inf))
        critical = float(np.quantile(largest, level, method="higher"))
        first = critical if np.isnan(first) else first
        found = rivals & (t > critical)
        if not (found & ~better).any():
            return better, first
        better |= found
