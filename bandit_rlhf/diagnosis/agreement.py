"""Do people agree, with each other and with themselves? Krippendorff's alpha.

    alpha = 1 - D_observed / D_chance

D is the mean distance of two judgements: of the same pair of items under the same prompt, or of
any two. alpha is 1 for perfect agreement, 0 for chance. Which item of a pair comes first is no fact
about it, so outcomes are counted both ways round: chance agreement then knows how frequent ties
are, and nothing of names.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from bandit_rlhf import _check
from bandit_rlhf._array import Float
from bandit_rlhf.comparisons import Comparisons
from bandit_rlhf.comparisons.names import Names
from bandit_rlhf.diagnosis.judgements import judgements

METRICS = {
    "nominal": 1.0 - np.eye(3),
    "interval": np.subtract.outer([1.0, 0.0, -1.0], [1.0, 0.0, -1.0]) ** 2 / 4,
}
"""Distances of win, tie and loss. Counted both ways round, the ordinal metric equals the interval
one: a tie is a quarter as far from a win as a loss is."""

TURNED = np.ix_([2, 1, 0], [2, 1, 0])


@dataclass(frozen=True, eq=False)
class Agreement:
    """Agreement of judgements of the same thing.

    Args:
        kind: "others" or "oneself".
        metric: "nominal" or "interval".
        units: what was judged twice or more (by different people; by one person).
        judgements: of these units.
        observed: 1 - the mean distance of two judgements of a unit; nominal: the share of agreeing
            ones.
        chance: the same for any two judgements.
        alpha: (observed - chance) / (1 - chance); NaN if all judgements are ties.
        low: of an interval around alpha, by resampling units; None without.
        high: likewise.
        level: of the interval.
        annotators: the names.
        pairs: [annotator], the pairs of judgements an annotator takes part in.
        by_annotator: [annotator], `observed` over these; NaN where there are none.
    """

    kind: str
    metric: str
    units: int
    judgements: float
    observed: float
    chance: float
    alpha: float
    low: float | None
    high: float | None
    level: float
    annotators: Names
    pairs: Float[np.ndarray, " annotator"]
    by_annotator: Float[np.ndarray, " annotator"]

    @property
    def alpha_by_annotator(self) -> Float[np.ndarray, " annotator"]:
        """[annotator], (observed - chance) / (1 - chance)."""
        return 1 - (1 - self.by_annotator) / (1 - self.chance)


def krippendorff_alpha(coincidence: ArrayLike, distance: ArrayLike) -> float:
    """Krippendorff's alpha of a coincidence matrix.

    alpha = 1 - (n - 1) sum_kl o_kl d_kl / sum_kl n_k n_l d_kl

    Args:
        coincidence: [value, value], symmetric: o_kl sums, over units with m values, the ordered
            pairs with values k and l, each pair weighing 1 / (m - 1).
        distance: [value, value], d_kl at least 0, zero on the diagonal.

    Returns:
        alpha; NaN if there is but one value.

    References:
        Krippendorff 2011, Computing Krippendorff's alpha-reliability.

    >>> round(krippendorff_alpha([[10, 2], [2, 6]], [[0, 1], [1, 0]]), 4)   # 1 - 19 x 4 / 192
    0.6042
    """
    o = _check.finite("coincidence", coincidence, "krippendorff_alpha")
    d = _check.finite("distance", distance, "krippendorff_alpha")
    _check.shaped("distance", d, o.shape, "value, value", "krippendorff_alpha")
    observed, chance = _distances(o, d)
    return float(1 - observed / chance) if chance > 0 else float("nan")


def _distances(coincidence: np.ndarray, distance: np.ndarray) -> tuple[float, float]:
    """The mean distances of two judgements of a unit, and of any two."""
    shares = coincidence.sum(axis=0)
    n = shares.sum()
    observed = (coincidence * distance).sum() / n
    return float(observed), float(shares @ distance @ shares / (n * (n - 1)))


def agreement_with_others(
    comparisons: Comparisons,
    rng: np.random.Generator | None = None,
    *,
    metric: str = "nominal",
    resamples: int = 1000,
    level: float = 0.95,
) -> Agreement:
    """Agreement of different annotators on the same pair under the same prompt.

    Pairs of judgements by the same annotator do not count.

    Args:
        comparisons: rows with annotators; weights, if any, are whole: repeated judgements.
        rng: the source of randomness for the interval; None: no interval.
        metric: "nominal", or "interval", to which a tie is between win and loss.
        resamples: of the units, which are taken as independent.
        level: of the interval.

    Raises:
        ValueError: no annotators, nothing judged by two of them, fractional weights.

    >>> rows = Comparisons.from_ids([0, 0, 2, 2], [1, 1, 3, 3], annotator=[0, 1, 0, 1],
    ...                             tie=[False, False, True, True])
    >>> agreement_with_others(rows).alpha
    1.0
    """
    return _agreement("others", comparisons, rng, metric, resamples, level)


def agreement_with_oneself(
    comparisons: Comparisons,
    rng: np.random.Generator | None = None,
    *,
    metric: str = "nominal",
    resamples: int = 1000,
    level: float = 0.95,
) -> Agreement:
    """Agreement of an annotator's repeated judgements of the same pair under the same prompt.

    Args:
        comparisons: as in `agreement_with_others`.
        rng: likewise.
        metric: likewise.
        resamples: of the units: (annotator, prompt, pair) with repeats.
        level: of the interval.

    Raises:
        ValueError: no annotators, no repeats, fractional weights.

    >>> rows = Comparisons.from_ids([0, 0, 1], [1, 1, 0], annotator=[0, 0, 0])
    >>> round(agreement_with_oneself(rows).observed, 6)          # one of three pairs
    0.333333
    """
    return _agreement("oneself", comparisons, rng, metric, resamples, level)


def _agreement(
    kind: str,
    rows: Comparisons,
    rng: np.random.Generator | None,
    metric: str,
    resamples: int,
    level: float,
) -> Agreement:
    where = f"agreement_with_{kind}"
    if metric not in METRICS:
        got = f"metric is {metric!r}"
        raise ValueError(_check.complaint(got, "'nominal' or 'interval'", where))
    _check.integer_at_least("resamples", resamples, 1, where)
    if not 0 < _check.real("level", level, where) < 1:
        raise ValueError(_check.complaint(f"level is {level:g}", "between 0 and 1", where))
    if rows.annotator is None:
        raise ValueError(_check.complaint("there is no annotator column", "one", where))
    if rows.weight is not None and (rows.weight != np.floor(rows.weight)).any():
        row = int((rows.weight != np.floor(rows.weight)).argmax())
        got = f"weight[{row}] is {rows.weight[row]:g}"
        raise ValueError(_check.complaint(got, "whole: repeated judgements", where))
    own, annotator, unit = _own_counts(rows, rows.annotator)
    sums = np.zeros((int(unit.max()) + 1, 3))
    np.add.at(sums, unit, own)
    if kind == "others":
        rest = sums[unit] - own  # [own, outcome], what others said of the same
        met = own[:, :, None] * rest[:, None, :]
        pairs = np.zeros((len(sums), 3, 3))
        np.add.at(pairs, unit, met)
    else:
        met = own[:, :, None] * own[:, None, :] - own[:, :, None] * np.eye(3)
        pairs, sums = met, own
    found = pairs.sum(axis=(1, 2))
    kept = found > 0
    if not kept.any():
        what = "judged by two annotators" if kind == "others" else "judged twice by one annotator"
        raise ValueError(_check.complaint(f"no pair was {what}", "some", where))
    pairs = pairs + pairs[:, *TURNED]
    share = sums.sum(axis=1)[kept] / (2 * found[kept])  # a unit weighs as its judgements
    coincidence = share[:, None, None] * pairs[kept]
    distance = METRICS[metric]
    observed, chance = _distances(coincidence.sum(axis=0), distance)
    low, high = _interval(coincidence, distance, rng, resamples, level)
    count = len(rows.annotators)
    taken = np.bincount(annotator, met.sum(axis=(1, 2)), minlength=count)
    apart = np.bincount(annotator, (met * distance).sum(axis=(1, 2)), minlength=count)
    return Agreement(
        kind=kind,
        metric=metric,
        units=int(kept.sum()),
        judgements=float(sums[kept].sum()),
        observed=1 - observed,
        chance=1 - chance,
        alpha=1 - observed / chance if chance > 0 else float("nan"),
        low=low,
        high=high,
        level=level,
        annotators=rows.annotators,
        pairs=taken,
        by_annotator=1 - np.divide(apart, taken, out=np.full(count, np.nan), where=taken > 0),
    )


def _own_counts(
    rows: Comparisons, annotators: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each annotator and unit: [own, outcome] counts, [own] annotator, [own] unit."""
    seen = judgements(rows, True, "refuse")
    prompt = np.zeros(rows.row_count, np.int64) if rows.prompt is None else rows.prompt
    pair = seen.first.astype(np.int64) * rows.item_count + seen.second
    _, pair = np.unique(pair, return_inverse=True)
    units, unit = np.unique(prompt * (pair.max() + 1) + pair, return_inverse=True)
    keys, own = np.unique(annotators.astype(np.int64) * len(units) + unit, return_inverse=True)
    counts = np.stack([np.bincount(own, outcome) for outcome in seen.outcome], axis=1)
    return counts, keys // len(units), keys % len(units)


def _interval(
    coincidence: np.ndarray,
    distance: np.ndarray,
    rng: np.random.Generator | None,
    resamples: int,
    level: float,
) -> tuple[float | None, float | None]:
    """The percentile interval of alpha over resampled units."""
    if rng is None:
        return None, None
    units = len(coincidence)
    alphas = []
    for _ in range(resamples):
        times = np.bincount(rng.integers(0, units, units), minlength=units)
        observed, chance = _distances(np.tensordot(times, coincidence, axes=1), distance)
        alphas.append(1 - observed / chance if chance > 0 else np.nan)
    low, high = np.nanquantile(alphas, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
