"""How sure a fit is: covariances of scores, intervals of contrasts, the bootstrap.

    Fisher      H^-1                      if the model is right and comparisons are independent
    sandwich    H^-1 (sum s s') H^-1      if comparisons are independent (Huber 1967; White 1982)
    clustered   H^-1 (sum S S') H^-1      if clusters are: S sums the scores s of an annotator, a
    prompt bootstrap   refits on reweighted comparisons or clusters

H is minus the Hessian, with the prior where there is one (the Fisher form is then Laplace's
posterior covariance). Inverses are taken on the complement of the gauge, so that every contrast of
comparable scores has its variance, c' V c, whatever the gauge. Contrasts across components are
refused.
"""

from collections.abc import Hashable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from bandit_rlhf import _check
from bandit_rlhf._array import Float, Int
from bandit_rlhf.comparison_graph import NoFiniteMaximum
from bandit_rlhf.comparisons import Comparisons, PairCounts, aggregate
from bandit_rlhf.reward.fitting import LINKS, refit, settle_ties
from bandit_rlhf.reward.pair_likelihood import PairLikelihood
from bandit_rlhf.reward.result import RewardFit

DENSE_PARAMETERS = 4000
"""A covariance of all scores is a matrix: 128 MB here. Beyond, ask for contrasts."""

Z95 = 1.959963984540054
"""The standard normal's 97.5 % point."""


@dataclass(frozen=True, eq=False)
class Contrast:
    """A difference of scores with its error.

    Args:
        estimate: r_item - r_other, nats.
        stderr: its standard error, nats.
    """

    estimate: float
    stderr: float

    def interval(self, quantile: float = Z95) -> tuple[float, float]:
        """The interval estimate -+ quantile * stderr; by default 95 %."""
        return self.estimate - quantile * self.stderr, self.estimate + quantile * self.stderr


@dataclass(frozen=True, eq=False)
class Covariance:
    """The covariance of a fit's parameters.

    Args:
        fit: the fit.
        matrix: [parameter, parameter]: scores, coefficients, tie parameter.
        kind: how it was estimated.
        clusters: the number of clusters; 0: comparisons were taken as independent.
    """

    fit: RewardFit
    matrix: Float[np.ndarray, "parameter parameter"]
    kind: str
    clusters: int = 0

    @property
    def stderr(self) -> Float[np.ndarray, " item"]:
        """[item], the standard errors of the scores in their gauge."""
        return np.sqrt(np.diag(self.matrix)[: len(self.fit.items)])

    @property
    def extra_stderr(self) -> Float[np.ndarray, " extra"]:
        """[extra], the standard errors of the coefficients, then of the tie parameter."""
        return np.sqrt(np.diag(self.matrix)[len(self.fit.items) :])

    def contrast(self, item: Hashable, other: Hashable) -> Contrast:
        """The difference of two scores, with its standard error.

        Raises:
            ValueError: an unknown name, or items of different components.
        """
        estimate = self.fit.difference(item, other)
        i, j = self.fit.index(item), self.fit.index(other)
        variance = self.matrix[i, i] + self.matrix[j, j] - 2 * self.matrix[i, j]
        return Contrast(estimate, float(np.sqrt(max(variance, 0.0))))


def covariance(
    fit: RewardFit,
    comparisons: Comparisons | PairCounts,
    kind: str = "fisher",
    *,
    cluster: ArrayLike | None = None,
) -> Covariance:
    """The covariance of the parameters of a fit.

    Args:
        fit: of `comparisons`, by `fit` (not by Plackett-Luce or linear rewards).
        comparisons: what was fitted; with `by_prompt`, its `by_prompt()`.
        kind: "fisher", "sandwich", or clustered by "annotator" or "prompt"; for these rows are
            needed.
        cluster: [row], ids of any other clusters; overrides `kind`.

    Returns:
        The covariance; clustered ones bear the factor C / (C - 1) for C clusters.

    Raises:
        ValueError: the comparisons are not those of the fit; too many parameters for a matrix; one
            cluster only; no such column.

    References:
        White 1982, Econometrica 50:1; Liang and Zeger 1986, Biometrika 73:13.

    >>> from bandit_rlhf.reward import fit
    >>> rows = Comparisons.from_ids([0] * 30 + [1] * 10, [1] * 30 + [0] * 10)
    >>> sure = covariance(fit(rows), rows)
    >>> round(sure.contrast(0, 1).stderr ** 2, 6)   # 1 / (n p (1 - p))
    0.133333
    """
    problem, at = _problem(fit, comparisons)
    if len(at) > DENSE_PARAMETERS:
        got = f"the fit has {len(at)} parameters"
        do = "Ask for `contrast_of` the pairs you need."
        raise ValueError(_check.complaint(got, f"at most {DENSE_PARAMETERS}", "covariance", do))
    inverse = problem.dense_curvature(at).pseudo_inverse()
    if kind == "fisher" and cluster is None:
        return Covariance(fit, inverse, kind)
    if kind == "sandwich" and cluster is None:
        return Covariance(fit, inverse @ problem.score_covariance(at) @ inverse, kind)
    if not isinstance(comparisons, Comparisons):
        raise TypeError(_check.complaint("counts have no clusters", "rows", "covariance"))
    ids, count = _clusters(comparisons, kind, cluster)
    summed = _cluster_scores(problem, at, fit.ties, comparisons, ids, count)
    filling = (summed.T @ summed) * (count / (count - 1))
    name = "clustered" if cluster is not None else kind
    return Covariance(fit, inverse @ filling @ inverse, name, count)


def contrast_of(
    fit: RewardFit,
    comparisons: Comparisons | PairCounts,
    item: Hashable,
    other: Hashable,
    kind: str = "fisher",
) -> Contrast:
    """The difference of two scores with its error, for any number of items.

    One linear system, solved by conjugate gradients, to about five digits.

    Args:
        fit: of `comparisons`.
        comparisons: what was fitted.
        item: a name.
        other: another, of the same component.
        kind: "fisher" or "sandwich".

    Raises:
        ValueError: an unknown name, items of different components, other comparisons.
    """
    problem, at = _problem(fit, comparisons)
    estimate = fit.difference(item, other)
    weights = np.zeros(len(at))
    weights[fit.index(item)] += 1.0
    weights[fit.index(other)] -= 1.0
    solved = problem.evaluate(at).curvature.solve(weights, 1e-6)
    if kind == "fisher":
        variance = float(weights @ solved)
    elif kind == "sandwich":
        variance = problem.score_variance(at, solved)
    else:
        got = f"kind is {kind!r}"
        raise ValueError(_check.complaint(got, "'fisher' or 'sandwich'", "contrast_of"))
    return Contrast(estimate, float(np.sqrt(variance)))


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Refits on reweighted comparisons.

    Args:
        fit: the fit to all comparisons.
        scores: [resample, item], in the gauge of the fit.
        unfitted: resamples that had no finite maximum, and are not among the scores.
    """

    fit: RewardFit
    scores: Float[np.ndarray, "resample item"]
    unfitted: int

    def interval(
        self, item: Hashable, other: Hashable | None = None, level: float = 0.95
    ) -> tuple[float, float]:
        """The percentile interval of a score, or of a difference of two of one component.

        Raises:
            ValueError: an unknown name, items of different components, more than half of
                1 - level of the resamples unfitted, as these would lie outside.
        """
        share = self.unfitted / (self.unfitted + len(self.scores))
        if share > (1 - level) / 2:
            got = f"{self.unfitted} of {self.unfitted + len(self.scores)} resamples have no maximum"
            do = "Set ridge > 0, or use firth."
            raise ValueError(
                _check.complaint(got, f"at most {(1 - level) / 2:.2%}", "Bootstrap", do)
            )
        draws = self.scores[:, self.fit.index(item)]
        if other is not None:
            self.fit.difference(item, other)
            draws = draws - self.scores[:, self.fit.index(other)]
        low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
        return float(low), float(high)


def bootstrap(
    fit: RewardFit,
    comparisons: Comparisons | PairCounts,
    rng: np.random.Generator,
    *,
    resamples: int = 200,
    cluster: ArrayLike | str | None = None,
) -> Bootstrap:
    """Refit on resampled comparisons, or on resampled clusters of them.

    Drawing rows with replacement gives each a multinomial count; independent Poisson counts are the
    same but for the total, and the count of a pair with w like rows is one Poisson(w) draw. So a
    resample costs one draw a pair, however many rows there are. Clusters get a Poisson(1) weight
    each (Hanley and MacGibbon 2006, Computer Methods and Programs in Biomedicine 83:57).

    Args:
        fit: of `comparisons`, by `fit`.
        comparisons: what was fitted; rows for clusters.
        rng: the source of randomness.
        resamples: how many, at least 1.
        cluster: "annotator", "prompt" or [row] ids; None: comparisons are independent.

    Returns:
        The refitted scores. Resamples without a finite maximum are counted.

    Raises:
        ValueError: the comparisons are not those of the fit; one cluster only.
    """
    _check.integer_at_least("resamples", resamples, 1, "bootstrap")
    _refuse_others(fit, comparisons)
    ids = count = None
    if cluster is not None:
        if not isinstance(comparisons, Comparisons):
            raise TypeError(_check.complaint("counts have no clusters", "rows", "bootstrap"))
        kind = cluster if isinstance(cluster, str) else "given"
        ids, count = _clusters(comparisons, kind, None if isinstance(cluster, str) else cluster)
    counts = aggregate(comparisons) if isinstance(comparisons, Comparisons) else comparisons
    scores = []
    for _ in range(resamples):
        if ids is None or count is None or not isinstance(comparisons, Comparisons):
            drawn = _poisson_counts(counts, rng)
        else:
            drawn = _reweighted(comparisons, rng.poisson(1.0, count)[ids])
        try:
            scores.append(refit(fit, drawn))
        except NoFiniteMaximum:
            continue
    found = np.array(scores).reshape(len(scores), len(fit.items))
    return Bootstrap(fit, found, resamples - len(scores))


def _poisson_counts(counts: PairCounts, rng: np.random.Generator) -> PairCounts:
    ties = None if counts.ties is None else rng.poisson(counts.ties)
    left, right = rng.poisson(counts.left_wins), rng.poisson(counts.right_wins)
    return replace(counts, left_wins=left, right_wins=right, ties=ties).without_empty_cells()


def _reweighted(comparisons: Comparisons, times: np.ndarray) -> PairCounts:
    weight = times if comparisons.weight is None else times * comparisons.weight
    return aggregate(replace(comparisons, weight=weight.astype(np.float64)))


def _problem(
    fit: RewardFit, comparisons: Comparisons | PairCounts
) -> tuple[PairLikelihood, np.ndarray]:
    """The likelihood that was maximised, and its parameters at the maximum."""
    _refuse_others(fit, comparisons)
    counts = aggregate(comparisons) if isinstance(comparisons, Comparisons) else comparisons
    counts, link = settle_ties(counts, LINKS[fit.model], fit.ties)
    extras = np.full(int(link.has_tie), fit.tie or 0.0)
    problem = PairLikelihood(counts, link, fit.component, fit.ridge, np.zeros(len(fit.items)))
    return problem, np.concatenate([fit.scores, fit.coefficients, extras])


def _refuse_others(fit: RewardFit, comparisons: Comparisons | PairCounts) -> None:
    if fit.model not in LINKS or fit.gauge.startswith("features"):
        got = f"the fit is of {fit.model} with gauge {fit.gauge!r}"
        raise ValueError(_check.complaint(got, "a fit of scores to pairs", "uncertainty"))
    same = len(comparisons.items) == len(fit.items) and comparisons.items == fit.items
    if not same or comparisons.covariate_names != fit.covariate_names:
        got = f"there are {len(comparisons.items)} items and {comparisons.covariate_names}"
        do = "Pass the table that was fitted; after by_prompt=True, its by_prompt()."
        expected = f"the fit's {len(fit.items)} items and {fit.covariate_names}"
        raise ValueError(_check.complaint(got, expected, "uncertainty", do))


def _clusters(
    comparisons: Comparisons, kind: str, cluster: ArrayLike | None
) -> tuple[Int[np.ndarray, " row"], int]:
    """Cluster ids from 0, and their number."""
    if cluster is None:
        if kind not in ("annotator", "prompt"):
            got = f"kind is {kind!r}"
            known = "'fisher', 'sandwich', 'annotator' or 'prompt'"
            raise ValueError(_check.complaint(got, known, "covariance"))
        cluster = comparisons.annotator if kind == "annotator" else comparisons.prompt
        if cluster is None:
            raise ValueError(
                _check.complaint(f"the rows have no {kind} column", "one", "covariance")
            )
    ids = np.asarray(cluster)
    _check.shaped("cluster", ids, (comparisons.row_count,), "row", "covariance")
    names, ids = np.unique(ids, return_inverse=True)
    if len(names) < 2:
        raise ValueError(_check.complaint("there is 1 cluster", "two or more", "covariance"))
    return ids, len(names)


def _cluster_scores(
    problem: PairLikelihood,
    at: np.ndarray,
    ties: str,
    comparisons: Comparisons,
    ids: np.ndarray,
    count: int,
) -> np.ndarray:
    """[cluster, parameter], the summed gradients of the log-probabilities of a cluster's rows."""
    from scipy.sparse import csr_array

    rows, n = comparisons, comparisons.item_count
    difference = at[rows.winner] - at[rows.loser]
    design = np.zeros((rows.row_count, 0)) if rows.covariates is None else rows.covariates
    difference += design @ at[n : n + design.shape[1]]
    tied = np.zeros(rows.row_count) if rows.tie is None else rows.tie.astype(np.float64)
    won, lost = 1.0 - tied, np.zeros(rows.row_count)
    if not problem.link.has_tie:
        half = tied / 2 if ties == "half" else 0.0
        won, lost = won + half, lost + half
    tie = float(at[-1]) if problem.link.has_tie else 0.0
    terms = problem.link.terms(difference, tie, won, lost, tied)
    weight = np.ones(rows.row_count) if rows.weight is None else rows.weight
    score = weight * terms.score
    where = np.concatenate([ids, ids]), np.concatenate([rows.winner, rows.loser])
    summed = np.zeros((count, len(at)))
    summed[:, :n] = csr_array((np.concatenate([score, -score]), where), shape=(count, n)).toarray()
    for k, column in enumerate(design.T):
        summed[:, n + k] = np.bincount(ids, score * column, minlength=count)
    if terms.tie_score is not None:
        summed[:, -1] = np.bincount(ids, weight * terms.tie_score, minlength=count)
    return summed
