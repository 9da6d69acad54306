"""Bradley-Terry for few items: the same likelihood on the n x n matrix of games.

With hundreds of items every array is small, and the time goes into calls: a matrix needs the
fewest.
"""

import numpy as np

from bandit_rlhf._array import Float
from bandit_rlhf.reward.curvature import DenseCurvature, IterativeCurvature, gauge_projection
from bandit_rlhf.reward.newton import Point

PATIENCE = 20
"""So many products with the matrix cost as much as solving it."""

WIDEST_SCORE = 300.0
"""Scores (nats) of which e^score and ratios of it neither overflow nor vanish."""


class FewItems:
    """Bradley-Terry counts as a matrix, prepared for Newton's method; parameters are the scores.

    Args:
        won: [winner, loser], the weight of wins; all items in one component.
        ridge: the prior's precision, per squared nat; 0: no prior.
        prior_mean: [item], in nats.

    >>> won = np.array([[0.0, 3.0], [1.0, 0.0]])
    >>> FewItems(won, 0.0, np.zeros(2)).evaluate(np.zeros(2)).gradient
    array([ 1., -1.])
    """

    def __init__(
        self,
        won: Float[np.ndarray, "item item"],
        ridge: float,
        prior_mean: Float[np.ndarray, " item"],
    ) -> None:
        self.one = np.ones(len(won))
        self.games = won + won.T
        self.wins = won @ self.one
        self.total = self.games @ self.one
        self.component = np.zeros(len(won), np.int32)
        self.comparisons = float(self.wins.sum())
        self.ridge = ridge
        self.prior_mean = prior_mean
        self.scale = np.where(self.total + ridge > 0, self.total + ridge, 1.0)

    def start(self) -> Float[np.ndarray, " item"]:
        """Scores that would be right if all opponents were equal."""
        return np.log((self.wins + 0.5) / (self.total - self.wins + 0.5))

    def log_likelihood(self, at: np.ndarray) -> float:
        """The log-likelihood without the prior, in nats.

        sum_i w_i r_i - sum_pairs n_ij ln(e^r_i + e^r_j)
        """
        odds = self._odds(at)
        if odds is None:
            return float(self.wins @ at - 0.5 * (self.games * np.logaddexp(at[:, None], at)).sum())
        log_sums = np.log(odds[:, None] + odds)
        return float(self.wins @ np.log(odds) - 0.5 * np.vdot(self.games, log_sums))

    def _odds(self, at: np.ndarray) -> np.ndarray | None:
        """[item], e^score; None where that would overflow."""
        return np.exp(at) if np.abs(at).max() < WIDEST_SCORE else None

    def longest_step(self, at: np.ndarray, direction: np.ndarray) -> float:
        """Scores are not bounded."""
        return np.inf

    def evaluate(self, at: np.ndarray) -> Point:
        """Gradient, largest error and curvature."""
        odds = self._odds(at)
        if odds is None:
            share = 0.5 + 0.5 * np.tanh((at[:, None] - at) / 2)
        else:
            share = odds[:, None] / (odds[:, None] + odds)
        weight = self.games * share
        gradient = self.wins - weight @ self.one
        if self.ridge:
            gradient -= self.ridge * (at - self.prior_mean)
        error = float((np.abs(gradient) / self.scale).max())
        weight *= share.T
        diagonal = weight @ self.one + self.ridge

        def as_matrix() -> DenseCurvature:
            projection = gauge_projection(self.component, 0) if self.ridge == 0 else None
            return DenseCurvature(np.diag(diagonal) - weight, projection)

        nothing = np.empty((len(at), 0))
        curvature = IterativeCurvature(
            weight.__matmul__, diagonal, nothing, nothing[:0], as_matrix, PATIENCE
        )
        return Point(at, gradient, error, curvature)
