"""Do things said to happen with probability p happen that often?

The reliability curve (favourites by how clear they are), proper scores (log loss, Brier) and Cox's
calibration slope: the factor that the log-odds would need. In the sample, the slope of a maximum-
likelihood fit is 1 by its score equations and says nothing; held-out rows tell overconfidence.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from bandit_rlhf import _check
from bandit_rlhf._array import Float, Int
from bandit_rlhf.comparisons import Comparisons, PairCounts
from bandit_rlhf.diagnosis.judgements import cluster_ids, held_out, judgements
from bandit_rlhf.diagnosis.outcome_law import (
    OutcomeLaw,
    log_probabilities,
    outcome_law,
    unit_scores,
)
from bandit_rlhf.reward.fitting import WITHOUT_TIES
from bandit_rlhf.reward.link import Link
from bandit_rlhf.reward.result import RewardFit
from bandit_rlhf.uncertainty import Z95

MANY_JUDGEMENTS = 10_000_000
"""More are not held out one by one."""

HOLD_OUT_CLUSTERS = "Hold out clusters instead: annotators or prompts."


@dataclass(frozen=True)
class CalibrationBin:
    """Judgements with about equally clear favourites.

    Args:
        predicted: the favourites' mean expected score, 1/2 to 1; a tie is half a win.
        observed: their mean score.
        low: of a 95 % interval around `observed`.
        high: likewise.
        judgements: their weight.
    """

    predicted: float
    observed: float
    low: float
    high: float
    judgements: float


@dataclass(frozen=True)
class Calibration:
    """How predictions compare with what happened.

    Args:
        bins: the reliability curve, from the closest contests to the clearest.
        log_loss: the mean of -ln P(outcome), nats.
        baseline_log_loss: the same if all items were equal, and ties as frequent as they are.
        brier: the mean of 1/2 sum over outcomes (P - happened)^2: (p - y)^2 without ties.
        slope: the factor b that makes P(outcome | b d) most probable: 1 is calibrated, below 1
            overconfident, 0 uninformative; infinite if no favourite ever lost.
        slope_stderr: its error, with the predictions as given; NaN where the slope is infinite.
        judgements: their weight.
        clusters: taken as independent; 0: single judgements were.
        folds: of cross-validation; 0: in the sample.
    """

    bins: tuple[CalibrationBin, ...]
    log_loss: float
    baseline_log_loss: float
    brier: float
    slope: float
    slope_stderr: float
    judgements: float
    clusters: int
    folds: int

    @property
    def skill(self) -> float:
        """The share of the baseline's log loss that the rewards save."""
        return 1 - self.log_loss / self.baseline_log_loss


def calibration(
    fit: RewardFit,
    comparisons: Comparisons | PairCounts,
    *,
    bins: int = 10,
    cluster: str | ArrayLike | None = None,
) -> Calibration:
    """Compare a fit with the very comparisons that it was fitted to.

    Args:
        fit: of `comparisons`.
        comparisons: what was fitted.
        bins: of about equal weight, at most; equal predictions stay together.
        cluster: "annotator", "prompt" or [row] ids of what is independent; None: every judgement.

    Returns:
        The calibration, flattered by the fit: prefer `cross_validated_calibration`.

    Raises:
        ValueError: other comparisons, no such clusters.

    References:
        Cox 1958, Biometrika 45:562, for the slope; Wilson 1927, J. Amer. Statist. Assoc. 22:209,
        for the intervals.

    >>> from bandit_rlhf.reward import fit
    >>> rows = Comparisons.from_ids([0] * 75 + [1] * 25, [1] * 75 + [0] * 25)
    >>> found = calibration(fit(rows), rows)
    >>> round(found.bins[0].predicted, 6), found.bins[0].observed, round(found.slope, 6)
    (0.75, 0.75, 1.0)
    """
    where = "calibration"
    _check.integer_at_least("bins", bins, 1, where)
    law = outcome_law(fit, comparisons, where)
    seen = judgements(comparisons, law.link.has_tie, fit.ties)
    clusters = None if cluster is None else cluster_ids(comparisons, cluster, where)
    difference = seen.differences(law)
    predictions = _Predictions(
        law.link, difference, np.full_like(difference, law.tie), seen.outcome
    )
    return _compared(predictions, bins, clusters, 0)


def cross_validated_calibration(
    fit: RewardFit,
    comparisons: Comparisons,
    rng: np.random.Generator,
    *,
    folds: int = 10,
    bins: int = 10,
    cluster: str | ArrayLike | None = None,
) -> Calibration:
    """Compare with every part of the judgements a refit to the others.

    A weight says how often a judgement was made, and without clusters each time is dealt by
    itself: holding out all of a pair's wins but none of its losses would turn predictions upside
    down.

    Args:
        fit: which model, prior and treatment of ties to refit.
        comparisons: what was fitted.
        rng: deals the rows, or clusters of them, into folds.
        folds: at least 2.
        bins: as in `calibration`.
        cluster: "annotator", "prompt" or [row] ids: held out as a whole, and taken as independent.
            None: single judgements. Predictions for new people, or new prompts, need their
            cluster here.

    Returns:
        The calibration of predictions that have not seen their outcome.

    Raises:
        ValueError: other comparisons, no such clusters, fewer clusters than folds; without
            clusters, fractional weights or more than 10 million judgements.
        NoFiniteMaximum: without a fold the rewards are not determined.

    >>> from bandit_rlhf.reward import fit
    >>> rows = Comparisons.from_ids([0, 1] * 50, [1, 0] * 50)      # a coin
    >>> found = cross_validated_calibration(fit(rows), rows, np.random.default_rng(0))
    >>> found.log_loss > found.baseline_log_loss
    True
    """
    where = "cross_validated_calibration"
    _check.integer_at_least("bins", bins, 1, where)
    if cluster is None:
        comparisons = one_each(comparisons, where)
    law = outcome_law(fit, comparisons, where)
    seen = judgements(comparisons, law.link.has_tie, fit.ties)
    clusters = None if cluster is None else cluster_ids(comparisons, cluster, where)
    group = np.arange(comparisons.row_count) if clusters is None else clusters
    difference, tie = np.empty(comparisons.row_count), np.empty(comparisons.row_count)
    for rows, others in held_out(law, comparisons, group, folds, rng, where):
        difference[rows] = seen.differences(others)[rows]
        tie[rows] = _tie_of(others, law.link)
    predictions = _Predictions(law.link, difference, tie, seen.outcome)
    return _compared(predictions, bins, clusters, folds)


def one_each(rows: Comparisons, where: str) -> Comparisons:
    """A row for each judgement, where a weight says how often it was made.

    Raises:
        ValueError: fractional weights, or more than 10 million judgements.

    >>> found = one_each(Comparisons.from_ids([0, 1], [1, 0], weight=[3, 1]), "here")
    >>> found.winner.tolist(), found.weight
    ([0, 0, 0, 1], None)
    """
    if rows.weight is None:
        return rows
    if (rows.weight % 1 != 0).any():
        got, expected = "weights are fractions", "counts of judgements to hold out one by one"
        raise ValueError(_check.complaint(got, expected, where, HOLD_OUT_CLUSTERS))
    if rows.weight.sum() > MANY_JUDGEMENTS:
        got = f"there are {rows.weight.sum():,.0f} judgements"
        expected = f"at most {MANY_JUDGEMENTS:,} to hold out one by one"
        raise ValueError(_check.complaint(got, expected, where, HOLD_OUT_CLUSTERS))
    times = rows.weight.astype(np.int64)
    return replace(rows, weight=None).select(np.repeat(np.arange(rows.row_count), times))


@dataclass(frozen=True, eq=False)
class _Predictions:
    """Predicted differences and tie parameters, and the weights of what happened."""

    link: Link
    difference: Float[np.ndarray, " row"]
    tie: Float[np.ndarray, " row"]
    outcome: Float[np.ndarray, "outcome row"]

    def by_tie(self, law: Callable, slope: float = 1.0) -> Float[np.ndarray, "outcome row"]:
        """A function of (link, differences, tie parameter), once for each fold's parameter."""
        found = np.empty_like(self.outcome)
        for tie in np.unique(self.tie):
            rows = self.tie == tie
            at_edge = self.link.has_tie and tie <= self.link.tie_above
            link = WITHOUT_TIES[self.link.name] if at_edge else self.link
            found[:, rows] = law(link, slope * self.difference[rows], float(tie))
        return found


def _tie_of(others: OutcomeLaw, link: Link) -> float:
    """A fold without ties puts the tie parameter to its edge."""
    return others.tie if others.link.has_tie or not link.has_tie else link.tie_above


def _compared(
    predictions: _Predictions, bins: int, clusters: np.ndarray | None, folds: int
) -> Calibration:
    outcome = predictions.outcome
    weight = outcome.sum(axis=0)
    total = float(weight.sum())
    log_chance = predictions.by_tie(log_probabilities)
    chance = np.exp(log_chance)
    happened = outcome > 0
    log_loss = -float((outcome[happened] * log_chance[happened]).sum()) / total
    squares = chance**2  # sum_k w_k (sum_j (p_j - [j = k])^2) / 2
    brier = float((outcome * (squares.sum(axis=0) + 1 - 2 * chance)).sum()) / (2 * total)
    slope, stderr = _slope(predictions, clusters)
    return Calibration(
        bins=_reliability(chance, outcome, bins, clusters),
        log_loss=log_loss,
        baseline_log_loss=_baseline(outcome),
        brier=brier,
        slope=slope,
        slope_stderr=stderr,
        judgements=total,
        clusters=0 if clusters is None else int(clusters.max()) + 1,
        folds=folds,
    )


def _baseline(outcome: np.ndarray) -> float:
    """The entropy of the law that gives both items equal chances, with the observed ties."""
    win, tie, loss = outcome.sum(axis=1) / outcome.sum()
    shares = np.array([(win + loss) / 2, tie, (win + loss) / 2])
    present = shares[shares > 0]
    return -float((present * np.log(present)).sum())


def _slope(predictions: _Predictions, clusters: np.ndarray | None) -> tuple[float, float]:
    """The calibration slope and its sandwich error."""
    outcome = predictions.outcome
    up, down = predictions.difference > 0, predictions.difference < 0
    agreed = outcome[0][up].sum() + outcome[2][down].sum()
    opposed = outcome[2][up].sum() + outcome[0][down].sum()
    if not outcome[1][up | down].any() and not (agreed and opposed):
        return float("inf") if agreed else -float("inf") if opposed else float("nan"), float("nan")
    slope = _root(lambda slope: float((outcome * _slope_scores(predictions, slope)).sum()))
    scores = _slope_scores(predictions, slope)
    chance = np.exp(predictions.by_tie(log_probabilities, slope))
    information = float((outcome.sum(axis=0) * (chance * scores**2).sum(axis=0)).sum())
    if clusters is None:
        filling = float((outcome * scores**2).sum())
    else:
        count = int(clusters.max()) + 1
        summed = np.bincount(clusters, (outcome * scores).sum(axis=0), minlength=count)
        filling = float(summed @ summed) * count / (count - 1)
    return slope, float(np.sqrt(filling)) / information


def _slope_scores(predictions: _Predictions, slope: float) -> np.ndarray:
    """[outcome, row], the derivatives of the log-probabilities in the slope."""
    return predictions.by_tie(unit_scores, slope) * predictions.difference


def _root(falling: Callable[[float], float]) -> float:
    """The zero of a falling function that has one."""
    from scipy.optimize import root_scalar

    end = 1.0 if falling(0.0) > 0 else -1.0
    while end * falling(end) > 0:
        end *= 2
    return float(root_scalar(falling, bracket=(0.0, end), xtol=1e-12).root)


def _reliability(
    chance: np.ndarray, outcome: np.ndarray, bins: int, clusters: np.ndarray | None
) -> tuple[CalibrationBin, ...]:
    expected = chance[0] + chance[1] / 2
    points = outcome[0] + outcome[1] / 2
    weight = outcome.sum(axis=0)
    upset = expected < 0.5
    expected = np.where(upset, 1 - expected, expected)
    points = np.where(upset, weight - points, points)
    found = []
    for rows in _equal_parts(expected, weight, bins):
        mass = float(weight[rows].sum())
        mean = float(points[rows].sum()) / mass
        part = None if clusters is None else clusters[rows]
        low, high = _wilson(mean, _effective(points[rows], weight[rows], part))
        predicted = float(expected[rows] @ weight[rows]) / mass
        found.append(CalibrationBin(predicted, mean, low, high, mass))
    return tuple(found)


def _equal_parts(
    expected: np.ndarray, weight: np.ndarray, bins: int
) -> list[Int[np.ndarray, " part"]]:
    """Rows in order of their predictions, cut at equal weights but never between equal ones."""
    order = np.argsort(expected, kind="stable")
    order = order[weight[order] > 0]
    values, which = np.unique(expected[order].round(12), return_inverse=True)
    mass = np.bincount(which, weight[order], minlength=len(values))
    middle = (np.cumsum(mass) - mass / 2) / mass.sum()
    part = np.minimum((middle * bins).astype(int), bins - 1)[which]
    return [order[part == number] for number in range(bins) if (part == number).any()]


def _effective(points: np.ndarray, weight: np.ndarray, clusters: np.ndarray | None) -> float:
    """As many independent judgements would be as sure of their mean; at most the weight."""
    mass = float(weight.sum())
    if clusters is None:
        return mass
    mean = float(points.sum()) / mass
    summed = np.bincount(clusters, points - mean * weight)
    seen = len(np.unique(clusters))
    variance = float(summed @ summed) / mass**2 * seen / max(seen - 1, 1)
    if variance == 0:  # all clusters alike, or a single one
        return min(mass, float(seen))
    return min(mass, mean * (1 - mean) / variance)


def _wilson(mean: float, count: float) -> tuple[float, float]:
    """Wilson's 95 % interval of a probability, from the mean of `count` judgements."""
    squared = Z95**2 / count
    centre = (mean + squared / 2) / (1 + squared)
    half = np.sqrt(squared * (mean * (1 - mean) + squared / 4)) / (1 + squared)
    return float(max(centre - half, 0.0)), float(min(centre + half, 1.0))  # by rounding alone
