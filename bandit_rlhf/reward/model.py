"""Reward models: what is to be fitted to comparisons, as values that may be kept and passed on.

A model is called with `Comparisons` whose items are all strings of a language, and answers with a
reward for each of them, [prompt, string]. It sees comparisons and nothing else: the type is the
barrier that keeps true rewards from learners. `Given` alone, which ignores them, is told.

>>> rows = Comparisons.from_ids([0, 0, 0, 1], [1, 1, 1, 0], items=range(3))
>>> Tabular(ridge=0.1)(rows, np.random.default_rng(0)).round(2)
array([[ 0.52, -0.52,  0.  ]])
"""

from dataclasses import dataclass

import numpy as np

from bandit_rlhf import _check
from bandit_rlhf._array import Float, Int
from bandit_rlhf.comparison_graph import components
from bandit_rlhf.comparisons import Comparisons, aggregate
from bandit_rlhf.reward.fitting import LINKS, fit, settle_ties
from bandit_rlhf.reward.linear import LinearLikelihood, fit_linear
from bandit_rlhf.reward.newton import Point, maximise
from bandit_rlhf.reward.pair_likelihood import PairLikelihood

TOLERANCE = 1e-10
"""On the residual of the score equations, a share of the comparisons."""


@dataclass(frozen=True, eq=False)
class Tabular:
    """A score of its own for every string of every prompt, by Bradley-Terry.

    Args:
        ridge: the prior's precision, at least 0; at 0 every string must have been compared.
        prior_mean: [prompt, string], nats; None: zeros. Strings never compared keep it.
        ties: what is done with ties: "refuse", "half" or "drop".
    """

    ridge: float = 1.0
    prior_mean: Float[np.ndarray, "prompt string"] | None = None
    ties: str = "refuse"

    def __call__(
        self, comparisons: Comparisons, rng: np.random.Generator
    ) -> Float[np.ndarray, "prompt string"]:
        """Fit, with a reward for every string; nothing is random.

        Raises:
            NoFiniteMaximum: without a prior, the maximum does not exist.
            ValueError: without a prior, a string that was never compared; no convergence.
        """
        shape = table_shape(comparisons)
        table = np.zeros(shape)
        if self.prior_mean is not None:
            prior = _check.finite("prior_mean", self.prior_mean, "Tabular")
            table = _check.shaped("prior_mean", prior, shape, "prompt, string", "Tabular").copy()
        seen = compared(comparisons)
        if not self.ridge and len(seen) < table.size:
            prompt, string = divmod(int(np.setdiff1d(np.arange(table.size), seen)[0]), shape[1])
            got = f"{table.size - len(seen)} strings were never compared, the first of them string"
            got = f"{got} {string} of prompt {prompt}"
            do = "Set ridge > 0: they keep the prior's mean."
            raise ValueError(_check.complaint(got, "compared, as ridge is 0", "Tabular", do))
        prior = table.ravel()[seen]
        if self.ridge:
            rows = comparisons.by_prompt()
            found = fit(
                rows, ridge=self.ridge, prior_mean=prior, ties=self.ties, tolerance=TOLERANCE
            )
        else:
            found = fit(comparisons, by_prompt=True, ties=self.ties, tolerance=TOLERANCE)
        _require_converged(found.converged, found.gradient_norm, "Tabular")
        table.ravel()[seen] = found.scores
        return table


@dataclass(frozen=True, eq=False)
class Linear:
    """A reward linear in features of prompt and string, by Bradley-Terry: r = phi(x, y) . theta.

    Args:
        features: phi, [prompt, string, feature].
        ridge: the prior's precision of theta, at least 0.
        prior_mean: of theta, [feature]; None: zeros.
        ties: what is done with ties: "refuse", "half" or "drop".
    """

    features: Float[np.ndarray, "prompt string feature"]
    ridge: float = 1e-6
    prior_mean: Float[np.ndarray, " feature"] | None = None
    ties: str = "refuse"

    def __call__(
        self, comparisons: Comparisons, rng: np.random.Generator
    ) -> Float[np.ndarray, "prompt string"]:
        """Fit, with a reward for every string; nothing is random.

        Raises:
            NoFiniteMaximum: without a prior, features separate wins from losses.
            ValueError: features of other prompts or strings; one that no comparison tells apart.
        """
        return self.features @ self.coefficients(comparisons)

    def coefficients(self, comparisons: Comparisons) -> Float[np.ndarray, " feature"]:
        """Theta, [feature], in nats for each unit of the feature."""
        rows, phi = self._compared(comparisons)
        if self.prior_mean is None:
            found = fit_linear(rows, phi, ridge=self.ridge, ties=self.ties, tolerance=TOLERANCE)
            _require_converged(found.converged, found.gradient_norm, "Linear")
            return found.coefficients
        problem = self._likelihood(rows, phi)
        solution = maximise(problem, problem.start(), TOLERANCE, 100)
        _require_converged(solution.converged, solution.point.error, "Linear")
        return solution.point.at

    def covariance(
        self, comparisons: Comparisons, coefficients: Float[np.ndarray, " feature"]
    ) -> Float[np.ndarray, "feature feature"]:
        """The inverse of minus the Hessian at `coefficients`: Laplace's posterior of theta.

        Args:
            comparisons: what was fitted.
            coefficients: [feature], their fit.

        Raises:
            ValueError: a singular Hessian: without a prior, features that comparisons do not tell.
        """
        rows, phi = self._compared(comparisons)
        hessian = self._likelihood(rows, phi).evaluate(coefficients).curvature
        matrix = hessian.apply(np.eye(phi.shape[1]))
        if np.linalg.matrix_rank(matrix) < len(matrix):
            got = f"the Hessian has rank {np.linalg.matrix_rank(matrix)}"
            do = "Set ridge > 0."
            raise ValueError(_check.complaint(got, f"{len(matrix)}", "Linear.covariance", do))
        return np.linalg.inv(matrix)

    def _compared(self, comparisons: Comparisons) -> tuple[Comparisons, np.ndarray]:
        """Rows with an item for each compared (prompt, string), and the features of these."""
        features = _check.finite("features", self.features, "Linear")
        if features.ndim != 3 or features.shape[:2] != table_shape(comparisons):
            got = f"features have shape {features.shape}"
            prompts, strings = table_shape(comparisons)
            expected = f"[prompt, string, feature] with {prompts} prompts and {strings} strings"
            raise ValueError(_check.complaint(got, expected, "Linear"))
        flat = features.reshape(-1, features.shape[2])
        return comparisons.by_prompt(), flat[compared(comparisons)]

    def _likelihood(self, rows: Comparisons, phi: np.ndarray) -> "_Displaced":
        counts, link = settle_ties(aggregate(rows), LINKS["bradley-terry"], self.ties)
        pairs = PairLikelihood(counts, link, components(counts), 0.0, np.zeros(len(phi)))
        width = phi.shape[1]
        mean = np.zeros(width) if self.prior_mean is None else self.prior_mean
        _check.shaped("prior_mean", mean, (width,), "feature", "Linear")
        return _Displaced(pairs, phi, self.ridge, mean)


class _Displaced(LinearLikelihood):
    """The likelihood of linear rewards under a Gaussian prior with a mean other than zero."""

    def __init__(
        self, pairs: PairLikelihood, features: np.ndarray, ridge: float, mean: np.ndarray
    ) -> None:
        super().__init__(pairs, features, ridge)
        self.mean = mean

    def evaluate(self, at: np.ndarray) -> Point:
        """Gradient, error and curvature at a parameter vector."""
        point = super().evaluate(at)
        gradient = point.gradient.copy()
        gradient[: self.width] += self.ridge * self.mean
        error = float(np.max(np.abs(gradient) / self.scale))
        return Point(at, gradient, error, point.curvature)


@dataclass(frozen=True, eq=False)
class Given:
    """A reward told beforehand, such as the true one: no comparison is looked at.

    Args:
        reward: [prompt, string].
    """

    reward: Float[np.ndarray, "prompt string"]

    def __call__(
        self, comparisons: Comparisons | None, rng: np.random.Generator
    ) -> Float[np.ndarray, "prompt string"]:
        """The reward."""
        return self.reward


def _require_converged(converged: bool, residual: float, where: str) -> None:
    """Raise if a fit stopped before its maximum: a table of rewards has no place to say so."""
    if not converged:
        got = f"the fit stopped with a residual of {residual:.2g} in its score equations"
        do = "Set ridge higher, or fit by reward.fit, which reports what it could not do."
        raise ValueError(_check.complaint(got, f"at most {TOLERANCE:g}", where, do))


def table_shape(comparisons: Comparisons) -> tuple[int, int]:
    """The numbers of prompts and of strings that comparisons are about."""
    return len(comparisons.prompts), comparisons.item_count


def compared(comparisons: Comparisons) -> Int[np.ndarray, " cell"]:
    """Which cells prompt * strings + string were compared, rising: the items of `by_prompt`.

    >>> compared(Comparisons.from_ids([0, 1], [1, 0], items=range(3), prompt=[0, 1])).tolist()
    [0, 1, 3, 4]
    """
    rows = comparisons
    prompt = np.zeros(rows.row_count, np.int64) if rows.prompt is None else rows.prompt
    base = prompt.astype(np.int64) * rows.item_count
    return np.unique(np.concatenate([base + rows.winner, base + rows.loser]))
