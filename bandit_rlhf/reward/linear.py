"""Rewards linear in features of the items: few parameters however many items."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from bandit_rlhf import _check
from bandit_rlhf._array import Float
from bandit_rlhf.comparison_graph import components
from bandit_rlhf.comparisons import Comparisons, PairCounts, aggregate
from bandit_rlhf.reward.curvature import DenseCurvature
from bandit_rlhf.reward.fitting import DOUBTFUL, LINKS, judged_link, settle_ties
from bandit_rlhf.reward.identification import require_identified, require_unseparated
from bandit_rlhf.reward.newton import Point, maximise
from bandit_rlhf.reward.pair_likelihood import PairLikelihood
from bandit_rlhf.reward.result import LINEAR_GAUGE, RewardFit


class LinearLikelihood:
    """The pair likelihood of r = features . theta; parameters are [theta, coefficients, tie].

    With A the map from these parameters to scores and extras, the gradient is A' g and minus the
    Hessian is A' H A: comparisons are summed to items first, and only items meet the features.

    Args:
        pairs: the likelihood in the scores, without a prior.
        features: [item, feature].
        ridge: the prior's precision of theta; 0: no prior.
    """

    def __init__(self, pairs: PairLikelihood, features: np.ndarray, ridge: float) -> None:
        self.pairs = pairs
        self.features = features
        self.ridge = ridge
        self.width = features.shape[1]
        spread = np.zeros(self.width)
        for block in pairs.blocks:
            gap = np.abs(block.spread(features) - features[pairs.counts.right[block.cells]])
            left, right, ties = pairs.counts.outcomes(block.cells)
            spread += (left + right + (0.0 if ties is None else ties)) @ gap
        self.scale = np.concatenate([spread + ridge, pairs.scale[pairs.items :]])
        self.scale[self.scale == 0] = 1.0

    def start(self) -> Float[np.ndarray, " parameter"]:
        """All zero, but for the tie parameter."""
        at = np.zeros(self.width + self.pairs.extras)
        if self.pairs.link.has_tie:
            at[-1] = self.pairs.link.tie_start
        return at

    def scores_and_extras(self, at: np.ndarray) -> np.ndarray:
        """A . parameters: the parameters of the pair likelihood."""
        return np.concatenate([self.features @ at[: self.width], at[self.width :]])

    def longest_step(self, at: np.ndarray, direction: np.ndarray) -> float:
        """As far as the tie parameter's bound allows."""
        return self.pairs.longest_step(at, direction)

    def evaluate(self, at: np.ndarray) -> Point:
        """Gradient, largest error and curvature."""
        point = self.pairs.evaluate(self.scores_and_extras(at))
        items, width = self.pairs.items, self.width
        gradient = np.concatenate(
            [self.features.T @ point.gradient[:items], point.gradient[items:]]
        )
        gradient[:width] -= self.ridge * at[:width]
        chain = np.zeros((items + self.pairs.extras, len(at)))
        chain[:items, :width] = self.features
        chain[items:, width:] = np.eye(self.pairs.extras)
        matrix = chain.T @ point.curvature.apply(chain)
        matrix[range(width), range(width)] += self.ridge
        error = float(np.max(np.abs(gradient) / self.scale))
        return Point(at, gradient, error, DenseCurvature(matrix, None))


def fit_linear(
    comparisons: Comparisons | PairCounts,
    features: ArrayLike,
    model: str = "bradley-terry",
    *,
    feature_names: Sequence[str] | None = None,
    ridge: float = 0.0,
    ties: str = "refuse",
    tolerance: float = 1e-8,
    max_iterations: int = 100,
) -> RewardFit:
    """Fit a reward that is linear in features of the items.

    maximise sum_rows w log P(outcome | (phi_winner - phi_loser) . theta + z . gamma, tie)
             - ridge / 2 |theta|^2

    Features that tell items apart also across components make all scores comparable: the result has
    one component, and existence is a question of the features, not of the graph alone.

    Args:
        comparisons: rows, or counts of pairs.
        features: [item, feature], phi.
        model: "bradley-terry", "thurstone", "rao-kupper" or "davidson".
        feature_names: one name a feature; None: "feature 0", ...
        ridge: the prior's precision of theta, at least 0.
        ties: what Bradley-Terry and Thurstone-Mosteller do with ties: "refuse", "half" or "drop".
        tolerance: on the residual of the score equations, a share of the comparisons' features.
        max_iterations: Newton steps before giving up, with `converged=False`.

    Returns:
        The fit: `scores` are features . theta; `coefficients` are theta, then the covariates'.

    Raises:
        NoFiniteMaximum: features and covariates can separate wins from losses.
        ValueError: a feature that no comparison tells from the others, arguments out of range.

    References:
        Zhu, Jordan and Jiao 2023 (2301.11270), section 3, for the estimator and its error bound.

    >>> rows = Comparisons.from_ids([0, 0, 0, 1], [1, 1, 1, 0])
    >>> fit_linear(rows, [[1.0], [0.0]]).coefficients.round(6)   # ln 3
    array([1.098612])
    """
    link = judged_link(model, ties, ridge, tolerance, max_iterations, "fit_linear")
    counts = aggregate(comparisons) if isinstance(comparisons, Comparisons) else comparisons
    counts, link = settle_ties(counts, link, ties)
    phi = _check.finite("features", features, "fit_linear")
    if phi.ndim != 2 or len(phi) != counts.item_count or phi.shape[1] == 0:
        got = f"features have shape {phi.shape}"
        expected = f"[item, feature] with {counts.item_count} items"
        raise ValueError(_check.complaint(got, expected, "fit_linear"))
    width = phi.shape[1]
    names = tuple(feature_names or (f"feature {k}" for k in range(width)))
    if len(names) != width:
        raise ValueError(
            _check.complaint(f"there are {len(names)} feature names", f"{width}", "fit_linear")
        )
    names += tuple(counts.covariate_names)
    one_component = np.zeros(counts.item_count, np.int32)
    pairs = PairLikelihood(counts, link, components(counts), 0.0, np.zeros(counts.item_count))
    problem = LinearLikelihood(pairs, phi, ridge)
    curvature = problem.evaluate(problem.start()).curvature
    information = curvature.apply(np.eye(width + pairs.extras))[: len(names), : len(names)]
    require_identified(information, np.diag(information), names)
    solution = maximise(problem, problem.start(), tolerance, max_iterations)
    at = problem.scores_and_extras(solution.point.at)
    if not ridge and (pairs.widest_difference(at) > DOUBTFUL or not solution.converged):
        require_unseparated(counts, phi, link.has_tie, names, link.name)
    tie = None
    if LINKS[model].has_tie:
        tie = float(at[-1]) if link.has_tie else LINKS[model].tie_above
    return RewardFit(
        model=model,
        items=counts.items,
        scores=at[: counts.item_count],
        gauge=LINEAR_GAUGE,
        component=one_component,
        tie=tie,
        coefficients=solution.point.at[: len(names)],
        covariate_names=names,
        converged=solution.converged,
        gradient_norm=solution.point.error,
        iterations=solution.iterations,
        log_likelihood=pairs.log_likelihood(at),
        ridge=ridge,
        prior_mean=np.zeros(counts.item_count),
        firth=False,
        ties=ties,
        comparisons=sum(counts.totals()),
    )
