"""One fit's own doubt, without an ensemble: posterior deviations, and the reward less k of them.

    r(x, y) - k sd(r(x, y) - E_{y' ~ anchor(x)} r(x, y'))

The deviation is that of Laplace's posterior, with the covariance H^-1 of `uncertainty`: a string
that was never compared has the prior's. Only contrasts have a deviation, hence the anchor.

>>> rows = Comparisons.from_ids([0] * 5 + [1] * 5, [1] * 5 + [0] * 5, items=range(3))
>>> bound = LowerBound(Tabular(ridge=1.0), k=1.0, anchor=np.array([[0.5, 0.5, 0.0]]))
>>> int(bound(rows, np.random.default_rng(0)).argmin())   # the string that nobody saw
2
"""

from dataclasses import dataclass

import numpy as np

from bandit_rlhf import _check
from bandit_rlhf._array import Float
from bandit_rlhf.comparisons import Comparisons
from bandit_rlhf.reward.ensemble import anchored, gaussian_lower_bound
from bandit_rlhf.reward.model import Linear, Tabular, table_shape


@dataclass(frozen=True, eq=False)
class LowerBound:
    """A reward model that subtracts k posterior standard deviations from an anchored fit.

    Args:
        model: tabular or linear.
        k: at least 0; 1.645 bounds each contrast by itself at 95 %.
        anchor: the law under which rewards have mean zero, [prompt, string].

    Raises:
        ValueError: a negative k.

    Source: Zhu, Jordan, Jiao 2023 (2301.11270), algorithm 1, string by string.
    """

    model: Tabular | Linear
    k: float
    anchor: Float[np.ndarray, "prompt string"]

    def __post_init__(self) -> None:
        _check.non_negative("k", self.k, "LowerBound")

    def __call__(
        self, comparisons: Comparisons, rng: np.random.Generator
    ) -> Float[np.ndarray, "prompt string"]:
        """The bound for every string; nothing is random."""
        if isinstance(self.model, Linear):
            theta = self.model.coefficients(comparisons)
            design = anchored_features(self.model.features, self.anchor)
            matrix = self.model.covariance(comparisons, theta)
            return gaussian_lower_bound(design @ theta, matrix, self.k, design)
        table = self.model(comparisons, rng)
        spread = tabular_deviation(self.model, comparisons, table, self.anchor)
        return anchored(table[None], self.anchor)[0] - self.k * spread


def anchored_features(
    features: Float[np.ndarray, "prompt string feature"],
    law: Float[np.ndarray, "prompt string"],
) -> Float[np.ndarray, "prompt string feature"]:
    """The features less their mean under a law: phi(x, y) - E phi(x, y').

    >>> anchored_features(np.array([[[1.0], [3.0]]]), np.array([[0.5, 0.5]]))
    array([[[-1.],
            [ 1.]]])
    """
    return features - (law[:, :, None] * features).sum(axis=1, keepdims=True)


def tabular_deviation(
    model: Tabular,
    comparisons: Comparisons,
    table: Float[np.ndarray, "prompt string"],
    anchor: Float[np.ndarray, "prompt string"],
) -> Float[np.ndarray, "prompt string"]:
    """The posterior standard deviation of every score less the anchor's mean.

    With H = sum_rows w p (1 - p) (e_y - e_y')(e_y - e_y')' + ridge, prompt by prompt, and
    c = e_y - anchor: sqrt(c' H^-1 c).

    Args:
        model: what was fitted.
        comparisons: to what.
        table: the fit, [prompt, string].
        anchor: probabilities, [prompt, string].

    Raises:
        ValueError: a law that is none, or of other strings; strings too many for a matrix.

    >>> rows = Comparisons.from_ids([0] * 2 + [1] * 2, [1] * 2 + [0] * 2)
    >>> model, flat = Tabular(ridge=0.0), np.zeros((1, 2))
    >>> tabular_deviation(model, rows, flat, np.array([[0.0, 1.0]]))   # 1 / sqrt(4 / 4)
    array([[1., 0.]])
    """
    where = "tabular_deviation"
    shape = table_shape(comparisons)
    law = _check.distribution("anchor", anchor, where)
    _check.shaped("anchor", law, shape, "prompt, string", where)
    _check.shaped("table", table, shape, "prompt, string", where)
    _check.fits_in_memory("strings", shape[1], 32.0 * shape[1], where, "Use Linear rewards.")
    rows = comparisons
    weight = np.ones(rows.row_count) if rows.weight is None else rows.weight
    if rows.tie is not None and model.ties == "drop":
        weight = np.where(rows.tie, 0.0, weight)
    prompt = np.zeros(rows.row_count, np.int64) if rows.prompt is None else rows.prompt
    half = np.tanh((table[prompt, rows.winner] - table[prompt, rows.loser]) / 2)
    doubt = weight * (1 - half**2) / 4  # p (1 - p)
    result = np.empty(shape)
    for x in range(shape[0]):
        own = prompt == x
        joint = np.zeros((shape[1], shape[1]))
        np.add.at(joint, (rows.winner[own], rows.loser[own]), doubt[own])
        joint = joint + joint.T
        hessian = np.diag(joint.sum(axis=1) + model.ridge) - joint
        inverse = np.linalg.inv(hessian) if model.ridge else np.linalg.pinv(hessian, hermitian=True)
        along = inverse @ law[x]
        variance = np.diag(inverse) - 2 * along + law[x] @ along
        result[x] = np.sqrt(np.maximum(variance, 0.0))
    return result
