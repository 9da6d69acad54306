"""Bradley-Terry with Jeffreys' prior: scores that are finite and, to first order, unbiased.

    maximise l(r, gamma) + 1/2 log det I(r, gamma)

With h the leverage of a cell, the information in it times the variance of its difference, each
cell's score gains h (1/2 - p): half a comparison for each degree of freedom, split evenly between
both outcomes (Firth 1993, Biometrika 80:27; Heinze and Schemper 2002, Statistics in Medicine
21:2409).
"""

import numpy as np

from bandit_rlhf import _check
from bandit_rlhf.reward.newton import Point
from bandit_rlhf.reward.pair_likelihood import PairLikelihood

FIRTH_PARAMETERS = 3000
"""Leverages need the inverse information, a dense matrix: 72 MB here."""


class FirthLikelihood:
    """A Bradley-Terry likelihood with Jeffreys' prior, climbed along the Fisher scoring directions.

    Args:
        likelihood: the one without the prior.

    Raises:
        ValueError: too many parameters for a dense inverse.

    >>> from bandit_rlhf.comparisons import Comparisons
    >>> from bandit_rlhf.reward import fit
    >>> always = Comparisons.from_ids([0, 0, 0], [1, 1, 1])
    >>> round(fit(always, firth=True).difference(0, 1), 6)   # ln((3 + 1/2) / (0 + 1/2))
    1.94591
    """

    def __init__(self, likelihood: PairLikelihood) -> None:
        size = likelihood.items + likelihood.extras
        if size > FIRTH_PARAMETERS:
            got = f"firth is asked for {size} parameters"
            expected = f"at most {FIRTH_PARAMETERS}"
            raise ValueError(_check.complaint(got, expected, "fit", "Use ridge > 0."))
        self.likelihood = likelihood
        counts = likelihood.counts
        self.left, self.right = counts.left, counts.right
        self.games = counts.left_wins.astype(np.float64) + counts.right_wins
        covariates = counts.covariates
        self.design = np.zeros((counts.cell_count, 0)) if covariates is None else covariates

    def longest_step(self, at: np.ndarray, direction: np.ndarray) -> float:
        """Parameters are not bounded."""
        return np.inf

    def evaluate(self, at: np.ndarray) -> Point:
        """The modified score, its largest relative entry, and the information."""
        n, left, right = self.likelihood.items, self.left, self.right
        curvature = self.likelihood.dense_curvature(at)
        covariance = curvature.pseudo_inverse()
        variance = covariance[left, left] + covariance[right, right] - 2 * covariance[left, right]
        across = covariance[left, n:] - covariance[right, n:] + self.design @ covariance[n:, n:] / 2
        variance += 2 * (across * self.design).sum(axis=1)
        share = 0.5 + 0.5 * np.tanh((at[left] - at[right] + self.design @ at[n:]) / 2)
        pull = self.games * share * (1 - share) * variance * (0.5 - share)
        gradient = self.likelihood.evaluate(at).gradient
        gradient[:n] += np.bincount(left, pull, minlength=n) - np.bincount(right, pull, minlength=n)
        gradient[n:] += pull @ self.design
        error = float(np.max(np.abs(gradient) / self.likelihood.scale))
        return Point(at, gradient, error, curvature)
