"""The log-likelihood of pair counts in item scores, covariate coefficients and a tie parameter.

    l(r, gamma, t) = sum_cells log P(outcomes | d = r_left - r_right + z . gamma, t)
                     - ridge / 2 |r - prior_mean|^2

One pass over the cells yields gradient and curvature. Cells come in blocks that fit the cache. The
curvature in r is a weighted Laplacian of the graph of comparisons, kept as one triangle in 32-bit
floats: it only steers the steps, while gradients, which decide where they end, are in 64 bits.
"""

from collections.abc import Callable

import numpy as np

from bandit_rlhf._array import Float, Int
from bandit_rlhf.comparisons.pair_counts import BLOCK, Block, PairCounts
from bandit_rlhf.reward.curvature import (
    DenseCurvature,
    IterativeCurvature,
    gauge_projection,
    sparse_laplacian,
)
from bandit_rlhf.reward.link import BRADLEY_TERRY, Link, Terms
from bandit_rlhf.reward.newton import Point

DENSE_PARAMETERS = 300
"""Up to here a dense solve is cheaper than conjugate gradients on the sparse triangle."""

WIDEST_ODDS = 600.0
"""Score ranges (nats) within which ratios of e^score neither overflow nor vanish."""


class PairLikelihood:
    """Pair counts prepared for Newton's method; parameters are [scores, coefficients, tie].

    Args:
        counts: the cells.
        link: the choice model.
        component: [item], the undirected component of the graph.
        ridge: the prior's precision, per squared nat; 0: no prior.
        prior_mean: [item], in nats.

    >>> from bandit_rlhf.comparisons import Comparisons, aggregate
    >>> counts = aggregate(Comparisons.from_ids([0, 0, 0, 1], [1, 1, 1, 0]))
    >>> problem = PairLikelihood(counts, BRADLEY_TERRY, np.zeros(2, int), 0.0, np.zeros(2))
    >>> round(problem.log_likelihood(np.array([np.log(3), 0.0])), 6)   # 3 ln 3/4 + ln 1/4
    -2.249341
    """

    def __init__(
        self,
        counts: PairCounts,
        link: Link,
        component: Int[np.ndarray, " item"],
        ridge: float,
        prior_mean: Float[np.ndarray, " item"],
    ) -> None:
        self.counts = counts
        self.link = link
        self.component = component
        self.ridge = ridge
        self.prior_mean = prior_mean
        self.items = counts.item_count
        self.comparisons = sum(counts.totals())
        self.covariates = len(counts.covariate_names)
        self.extras = self.covariates + link.has_tie
        self.blocks = list(counts.blocks(max(BLOCK, 2 * self.items)))
        self.scale = self._scale()
        self.is_dense = self.items + self.extras <= DENSE_PARAMETERS

    def _scale(self) -> np.ndarray:
        """[parameter], the weight of the comparisons that speak of each parameter."""
        counts = self.counts
        scale = np.full(self.items + self.extras, self.comparisons)
        scale[: self.items] = counts.games() + self.ridge
        if counts.covariates is not None:
            left, right, ties = counts.outcomes(slice(None))
            games = left + right + (0.0 if ties is None else ties)
            scale[self.items :][: self.covariates] = games @ np.abs(counts.covariates)
        return np.where(scale > 0, scale, 1.0)

    def start(self) -> Float[np.ndarray, " parameter"]:
        """Scores that would be right if all opponents were equal; coefficients 0."""
        half = 0.5 + 0.5 * self.counts.tied()
        at = np.zeros(self.items + self.extras)
        at[: self.items] = np.log((self.counts.wins() + half) / (self.counts.losses() + half))
        if self.link.has_tie:
            at[-1] = self.link.tie_start
        return at

    def longest_step(self, at: np.ndarray, direction: np.ndarray) -> float:
        """Nine tenths of the way to the bound of the tie parameter."""
        if not self.link.has_tie or direction[-1] >= 0:
            return np.inf
        return 0.9 * (at[-1] - self.link.tie_above) / -direction[-1]

    def evaluate(self, at: np.ndarray) -> Point:
        """Gradient, largest error and curvature, in one pass over the cells."""
        dtype = np.float64 if self.is_dense else np.float32
        gradient, weight, border, corner = self._sums(self._terms_at(at), dtype)
        if self.ridge:
            gradient[: self.items] -= self.ridge * (at[: self.items] - self.prior_mean)
        error = float(np.max(np.abs(gradient) / self.scale))
        make = self._dense if self.is_dense else self._sparse
        return Point(at, gradient, error, make(weight, border, corner, self.ridge))

    def dense_curvature(self, at: np.ndarray) -> DenseCurvature:
        """Minus the Hessian as a matrix in 64 bits, whatever the size."""
        return self._dense(*self._sums(self._terms_at(at), np.float64)[1:], self.ridge)

    def score_covariance(self, at: np.ndarray) -> np.ndarray:
        """[parameter, parameter], the sum over comparisons of the outer products of their scores.

        It estimates the information where the model is right, and fills the sandwich where it is
        not. A comparison of weight w counts as w comparisons.
        """
        return self._dense(*self._sums(self._squared_scores(at), np.float64)[1:], 0.0).matrix

    def score_variance(self, at: np.ndarray, weights: np.ndarray) -> float:
        """The quadratic form weights' M weights of the score covariance M, without forming it."""
        squared_scores, total = self._squared_scores(at), 0.0
        for block in self.blocks:
            right = self.counts.right[block.cells]
            terms = squared_scores(block, right)
            along, tie = self.predictors(weights, block, right)
            total += float(terms.information @ along**2)
            if terms.cross is not None and terms.tie_information is not None:
                total += 2 * tie * float(terms.cross @ along) + tie**2 * terms.tie_information.sum()
        return total

    def _squared_scores(self, at: np.ndarray) -> Callable[[Block, np.ndarray], Terms]:
        """Terms whose information is the sum of squared scores of a cell's comparisons."""

        def terms_at(block: Block, right: np.ndarray) -> Terms:
            difference, tie = self.predictors(at, block, right)
            nothing = np.zeros(len(right))
            squares, crosses, tie_squares = nothing, nothing, nothing
            for which, count in enumerate(self.counts.outcomes(block.cells)):
                if count is None:
                    continue
                once = np.eye(3)[which][:, None]
                terms = self.link.terms(difference, tie, *once)
                squares = squares + count * terms.score**2
                if terms.tie_score is not None:
                    crosses = crosses + count * terms.score * terms.tie_score
                    tie_squares = tie_squares + count * terms.tie_score**2
            if not self.link.has_tie:
                return Terms(nothing, squares)
            return Terms(nothing, squares, nothing, crosses, tie_squares)

        return terms_at

    def coefficient_information(self, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """[covariate, covariate], the information with the scores unknown, and with them known."""
        k = self.covariates
        dtype = np.float64 if self.is_dense else np.float32
        _, weight, border, corner = self._sums(self._terms_at(at), dtype)
        border, corner = border[:, :k], corner[:k, :k]
        nothing = np.empty((self.items, 0))
        make = self._dense if self.is_dense else self._sparse
        scores = make(weight, nothing, nothing[:0], self.ridge)
        solved = np.column_stack([scores.solve(column, 1e-6) for column in border.T])
        return corner - border.T @ solved, corner

    def _sums(
        self, terms_at: Callable[[Block, np.ndarray], Terms], dtype: type
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Gradient, cell weights of the Laplacian, border and corner."""
        n, counts = self.items, self.counts
        gradient = np.zeros(n + self.extras)
        border = np.zeros((n, self.extras))
        corner = np.zeros((self.extras, self.extras))
        weight = np.empty(counts.cell_count, dtype)
        for block in self.blocks:
            right = counts.right[block.cells]
            terms = terms_at(block, right)
            weight[block.cells] = terms.information
            gradient[:n] -= np.bincount(right, terms.score, minlength=n)
            gradient[block.items] += block.left_sums(terms.score)
            if self.extras:
                design = self._design(block)
                gradient[n:] += extra_score(design, terms)
                corner += extra_information(design, terms)
                for k, column in enumerate(extra_cross(design, terms).T):
                    border[:, k] -= np.bincount(right, column, minlength=n)
                    border[block.items, k] += block.left_sums(column)
        return gradient, weight, border, corner

    def _sparse(
        self, weight: np.ndarray, border: np.ndarray, corner: np.ndarray, ridge: float
    ) -> IterativeCurvature:
        counts = self.counts
        return sparse_laplacian(weight, counts.right, counts.start, ridge, border, corner)

    def _dense(
        self, weight: np.ndarray, border: np.ndarray, corner: np.ndarray, ridge: float
    ) -> DenseCurvature:
        n, extras = border.shape
        cell = self.counts.left.astype(np.intp) * n + self.counts.right
        upper = np.bincount(cell, weight, minlength=n * n).reshape(n, n)
        matrix = np.empty((n + extras, n + extras))
        scores = -(upper + upper.T)
        np.fill_diagonal(scores, ridge - scores.sum(axis=1))
        matrix[:n, :n], matrix[:n, n:], matrix[n:, :n], matrix[n:, n:] = (
            scores,
            border,
            border.T,
            corner,
        )
        projection = gauge_projection(self.component, extras) if ridge == 0 else None
        return DenseCurvature(matrix, projection)

    def _odds(self, at: np.ndarray) -> np.ndarray | None:
        """[item], u = e^score up to a factor; None where they do not serve.

        For Bradley-Terry p = u_left / (u_left + u_right): one division a cell, no exponential.
        """
        if self.link is not BRADLEY_TERRY or self.extras:
            return None
        lowest, highest = at.min(), at.max()
        return np.exp(at - (lowest + highest) / 2) if highest - lowest < WIDEST_ODDS else None

    def _terms_at(self, at: np.ndarray) -> Callable[[Block, np.ndarray], Terms]:
        odds = self._odds(at)
        if odds is not None:

            def by_odds(block: Block, right: np.ndarray) -> Terms:
                left_wins, right_wins, _ = self.counts.outcomes(block.cells)
                share = block.spread(odds)
                share /= share + odds.take(right)
                right_wins += left_wins
                right_wins *= share  # wins expected of the left item
                left_wins -= right_wins
                np.subtract(1.0, share, out=share)
                share *= right_wins
                return Terms(left_wins, share)

            return by_odds

        def by_difference(block: Block, right: np.ndarray) -> Terms:
            difference, tie = self.predictors(at, block, right)
            return self.link.terms(difference, tie, *self.counts.outcomes(block.cells))

        return by_difference

    def predictors(
        self, at: np.ndarray, block: Block, right: np.ndarray
    ) -> tuple[np.ndarray, float]:
        """The cells' differences of rewards, and the tie parameter."""
        difference = block.spread(at) - at.take(right)
        if self.counts.covariates is not None:
            gamma = at[self.items :][: self.covariates]
            difference += self.counts.covariates[block.cells] @ gamma
        return difference, float(at[-1]) if self.link.has_tie else 0.0

    def widest_difference(self, at: np.ndarray) -> float:
        """The largest |d| of any cell, nats."""
        return max(
            float(np.abs(self.predictors(at, block, self.counts.right[block.cells])[0]).max())
            for block in self.blocks
        )

    def log_likelihood(self, at: np.ndarray) -> float:
        """The log-likelihood without the prior, in nats."""
        total = 0.0
        odds = self._odds(at)
        for block in self.blocks:
            right = self.counts.right[block.cells]
            outcomes = self.counts.outcomes(block.cells)
            if odds is not None:  # ln p = r - ln(e^r_left + e^r_right): one logarithm a cell
                total -= float(
                    (outcomes[0] + outcomes[1]) @ np.log(block.spread(odds) + odds.take(right))
                )
            else:
                difference, tie = self.predictors(at, block, right)
                total += float(self.link.log_likelihood(difference, tie, *outcomes).sum())
        return total if odds is None else total + float(self.counts.wins() @ np.log(odds))

    def _design(self, block: Block) -> np.ndarray:
        if self.counts.covariates is None:
            return np.empty((block.cells.stop - block.cells.start, 0))
        return self.counts.covariates[block.cells]


def extra_score(design: np.ndarray, terms: Terms) -> np.ndarray:
    """[extra], the score of the coefficients and, if there is one, of the tie parameter."""
    score = terms.score @ design
    return score if terms.tie_score is None else np.append(score, terms.tie_score.sum())


def extra_cross(design: np.ndarray, terms: Terms) -> np.ndarray:
    """[cell, extra], the information shared by the cell's difference and the extra parameters."""
    shared = terms.information[:, None] * design
    return shared if terms.cross is None else np.column_stack([shared, terms.cross])


def extra_information(design: np.ndarray, terms: Terms) -> np.ndarray:
    """[extra, extra], the information about the extra parameters among themselves."""
    inner = design.T @ (terms.information[:, None] * design)
    if terms.cross is None or terms.tie_information is None:
        return inner
    side = (terms.cross @ design)[:, None]
    return np.block([[inner, side], [side.T, terms.tie_information.sum()]])
