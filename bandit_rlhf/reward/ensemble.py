"""Ensembles: several fitted rewards of the same strings, and what to make of their disagreement.

Members stand on the first axis, [member, prompt, string] or any [member, ...]. An aggregation is a
pure function from that array to one reward, [...]. A reward is known up to a constant for each
prompt, and minima and variances over members depend on these constants: `anchored` settles them, by
giving every member mean zero under one law (Eisenstein et al. 2023, 2312.09244, section 2).

>>> members = np.array([[[0.0, 2.0, 1.0]], [[0.0, -2.0, 1.0]]])
>>> mean(members), worst_case(members)
(array([[0., 0., 1.]]), array([[ 0., -2.,  1.]]))
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from bandit_rlhf import _check
from bandit_rlhf._array import Float
from bandit_rlhf.comparisons import Comparisons
from bandit_rlhf.reward.model import Linear, Tabular, table_shape

Model = TypeVar("Model", Tabular, Linear)
Source = Literal["shared", "private", "bootstrap"]
Aggregation = Callable[[np.ndarray], np.ndarray]
"""From members' scores [member, ...] to one reward [...]."""


def mean(scores: ArrayLike) -> Float[np.ndarray, " *shape"]:
    """The mean over members.

    Args:
        scores: [member, ...].

    Raises:
        ValueError: no members; a score that is not finite.
    """
    return judged(scores, "mean").mean(axis=0)


def worst_case(scores: ArrayLike) -> Float[np.ndarray, " *shape"]:
    """The least favourable member, string by string: min_k r_k.

    Args:
        scores: [member, ...], anchored.

    Raises:
        ValueError: no members; a score that is not finite.

    Source: Coste et al. 2023 (2310.02743), equation 1: worst-case optimisation.
    """
    return judged(scores, "worst_case").min(axis=0)


def mean_minus_variance(scores: ArrayLike, lam: float) -> Float[np.ndarray, " *shape"]:
    """The mean less lambda times the variance over members (divided by their number).

    Args:
        scores: [member, ...], anchored.
        lam: lambda, per nat, at least 0.

    Raises:
        ValueError: no members; a score that is not finite; a negative lambda.

    Source: Coste et al. 2023 (2310.02743), equation 2: uncertainty-weighted optimisation.

    >>> mean_minus_variance([[0.0, 2.0], [0.0, -2.0]], lam=0.5)
    array([ 0., -2.])
    """
    lam = _check.non_negative("lam", lam, "mean_minus_variance")
    members = judged(scores, "mean_minus_variance")
    return members.mean(axis=0) - lam * members.var(axis=0)


def lower_confidence_bound(scores: ArrayLike, k: float) -> Float[np.ndarray, " *shape"]:
    """The mean less k standard deviations over members (variance divided by their number).

    Args:
        scores: [member, ...], anchored.
        k: at least 0.

    Raises:
        ValueError: no members; a score that is not finite; a negative k.

    >>> lower_confidence_bound([[0.0, 2.0], [0.0, -2.0]], k=2.0)
    array([ 0., -4.])
    """
    k = _check.non_negative("k", k, "lower_confidence_bound")
    members = judged(scores, "lower_confidence_bound")
    return members.mean(axis=0) - k * members.std(axis=0)


def gaussian_lower_bound(
    score: ArrayLike, covariance: ArrayLike, k: float, design: ArrayLike | None = None
) -> Float[np.ndarray, " *shape"]:
    """A fit's own lower bound, from its covariance: r - k sqrt(c' V c).

    c is what the score says of the parameters: a row of the identity for tabular scores, the
    features for linear ones, less its mean under the anchoring law if scores are anchored.

    Args:
        score: [...], nats.
        covariance: V, [parameter, parameter].
        k: at least 0; 1.645 bounds each score by itself at 95 %.
        design: c, [..., parameter]; None: the identity.

    Raises:
        ValueError: arrays that do not fit together, a variance below zero, a negative k.

    Source: Zhu, Jordan, Jiao 2023 (2301.11270), equation 9, string by string.

    >>> gaussian_lower_bound([1.0, 2.0], [[1.0, 0.0], [0.0, 4.0]], k=1.0)
    array([0., 0.])
    """
    where = "gaussian_lower_bound"
    k = _check.non_negative("k", k, where)
    score = _check.finite("score", score, where)
    matrix = _check.finite("covariance", covariance, where)
    rows = np.eye(len(matrix)) if design is None else _check.finite("design", design, where)
    _check.shaped("design", rows, (*score.shape, len(matrix)), "..., parameter", where)
    variance = ((rows @ matrix) * rows).sum(axis=-1)
    if variance.min() < -1e-9 * np.abs(matrix).max():
        got = f"a variance is {variance.min():g}"
        raise ValueError(_check.complaint(got, "at least 0: a covariance", where))
    return score - k * np.sqrt(np.maximum(variance, 0.0))


def weight_average(coefficients: ArrayLike, features: ArrayLike) -> Float[np.ndarray, " *shape"]:
    """The reward of the members' mean weights: phi . mean_k theta_k.

    For linear rewards it equals the mean ensemble, mean_k (phi . theta_k) (theorem 21).

    Args:
        coefficients: theta, [member, feature].
        features: phi, [..., feature].

    Raises:
        ValueError: no members; a number that is not finite; features that do not match.

    Source: Ramé et al. 2024 (2401.12187), WARM.

    >>> weight_average([[1.0, 0.0], [3.0, 2.0]], [[1.0, 0.0], [0.0, 1.0]])
    array([2., 1.])
    """
    weights = judged(coefficients, "weight_average")
    phi = _check.finite("features", features, "weight_average")
    _check.alike("features", phi, "coefficients", weights, "feature", "weight_average")
    return phi @ weights.mean(axis=0)


def anchored(scores: ArrayLike, law: ArrayLike) -> Float[np.ndarray, "member ..."]:
    """The same rewards with mean zero under a law: r_k(x, y) - E_{y ~ law(x)} r_k(x, y).

    Args:
        scores: [member, ..., string].
        law: probabilities [..., string], such as the reference's.

    >>> anchored([[5.0, 7.0]], [0.5, 0.5])
    array([[-1.,  1.]])
    """
    members = judged(scores, "anchored")
    law = _check.distribution("law", law, "anchored")
    _check.shaped("law", law, members.shape[1:], "..., string", "anchored")
    return members - (members * law).sum(axis=-1, keepdims=True)


def judged(scores: ArrayLike, where: str) -> Float[np.ndarray, "member ..."]:
    """Return members' scores as float64, or say what is wrong with which of them.

    >>> judged([[[0.0, float("nan")]]], "mean")
    Traceback (most recent call last):
    ...
    ValueError: the score of member 0, prompt 0, string 1 is nan, but should be finite [mean]...
    """
    try:
        members = np.asarray(scores, dtype=np.float64)
    except ValueError:
        got = f"members have shapes {sorted({np.shape(one) for one in scores})}"  # pyright: ignore
        raise ValueError(_check.complaint(got, "of one shape", where)) from None
    if members.ndim < 2 or members.size == 0:
        got = f"scores have shape {members.shape}"
        do = "An ensemble has one member or more."
        raise ValueError(_check.complaint(got, "[member, ...], not empty", where, do))
    bad = np.argwhere(~np.isfinite(members))
    if len(bad):
        at = tuple(bad[0].tolist())
        words = {2: ("string",), 3: ("prompt", "string")}.get(members.ndim)
        words = words or tuple(f"axis {k}" for k in range(1, members.ndim))
        place = ", ".join(f"{w} {i}" for w, i in zip(("member", *words), at, strict=True))
        got = f"the score of {place} is {members[at]}"
        do = "Leave the member out, or refit it."
        raise ValueError(_check.complaint(got, "finite", where, do))
    return members


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Fitted rewards of the same strings.

    Args:
        scores: [member, prompt, string], nats.
        coefficients: [member, feature], for linear rewards; None: not linear.

    Raises:
        ValueError: no members, a score that is not finite, other numbers of members.
    """

    scores: Float[np.ndarray, "member prompt string"]
    coefficients: Float[np.ndarray, "member feature"] | None = None

    def __post_init__(self) -> None:
        judged(self.scores, "Ensemble")
        if self.coefficients is not None:
            judged(self.coefficients, "Ensemble")
            if len(self.coefficients) != len(self.scores):
                got = f"there are coefficients of {len(self.coefficients)} members"
                raise ValueError(_check.complaint(got, f"{len(self.scores)}", "Ensemble"))

    @property
    def member_count(self) -> int:
        """The number of members."""
        return len(self.scores)


def fit_members(
    comparisons: Comparisons,
    model: Tabular | Linear,
    members: int,
    rng: np.random.Generator,
    *,
    source: Source = "shared",
    prior_scale: float | None = None,
) -> Ensemble:
    """Fit a model several times.

    Args:
        comparisons: of all strings of a language.
        model: tabular or linear; each member's prior mean is the model's plus its own draw.
        members: how many, at least 1.
        rng: the source of randomness.
        source: what a member learns from: all rows ("shared"), its part of a random partition
            ("private"), or as many rows drawn with replacement ("bootstrap").
        prior_scale: standard deviation of the draws of prior means, of scores in nats or of
            coefficients, at least 0; None: that of the prior, 1/sqrt(ridge), where data are shared,
            and 0 elsewhere. Each member is then the mode of the posterior under a prior of its own
            (Osband et al. 2018, 1806.03335, section 3, without noise on the data).

    Returns:
        The ensemble, not anchored.

    Raises:
        ValueError: no members, fewer rows than private parts, an unknown source, a draw of priors
            without ridge.

    >>> rows = Comparisons.from_ids([0, 1, 2, 0], [1, 2, 0, 2], items=range(3))
    >>> fit_members(rows, Tabular(ridge=1.0), 5, np.random.default_rng(0)).scores.shape
    (5, 1, 3)
    """
    where = "fit_members"
    count = _check.integer_at_least("members", members, 1, where)
    if prior_scale is None:
        prior_scale = model.ridge**-0.5 if source == "shared" and model.ridge else 0.0
    scale = _check.non_negative("prior_scale", prior_scale, where)
    if scale and not model.ridge:
        got = f"prior_scale is {scale:g} and ridge is 0"
        raise ValueError(_check.complaint(got, "0 where there is no prior", where))
    scores, coefficients = [], []
    for rows in samples(comparisons, count, rng, source):
        if isinstance(model, Linear):
            own = _displaced(model, model.features.shape[2:], scale, rng)
            coefficients.append(own.coefficients(rows))
            scores.append(model.features @ coefficients[-1])
        else:
            own = _displaced(model, table_shape(comparisons), scale, rng)
            scores.append(own(rows, rng))
    return Ensemble(np.stack(scores), np.stack(coefficients) if coefficients else None)


def samples(
    comparisons: Comparisons, members: int, rng: np.random.Generator, source: Source
) -> list[Comparisons]:
    """What each member learns from: all rows, its part of a partition, or a resample."""
    rows = comparisons.row_count
    if source == "shared":
        return [comparisons] * members
    if source == "bootstrap":
        return [comparisons.select(rng.integers(rows, size=rows)) for _ in range(members)]
    if source != "private":
        got = f"source is {source!r}"
        raise ValueError(_check.complaint(got, "'shared', 'private' or 'bootstrap'", "fit_members"))
    if rows < members:
        got = f"there are {rows} rows for {members} members"
        raise ValueError(_check.complaint(got, "one row each or more", "fit_members"))
    return [comparisons.select(part) for part in np.array_split(rng.permutation(rows), members)]


@dataclass(frozen=True, eq=False)
class EnsembleReward:
    """A reward model that fits an ensemble, anchors it and aggregates.

    Args:
        model: tabular or linear.
        members: how many.
        aggregation: from [member, prompt, string] to [prompt, string].
        anchor: the law under which every member has mean zero, [prompt, string].
        source: what a member learns from, see `fit_members`.
        prior_scale: likewise.
    """

    model: Tabular | Linear
    members: int
    aggregation: Aggregation
    anchor: Float[np.ndarray, "prompt string"]
    source: Source = "shared"
    prior_scale: float | None = None

    def __call__(
        self, comparisons: Comparisons, rng: np.random.Generator
    ) -> Float[np.ndarray, "prompt string"]:
        """Fit the members and aggregate them."""
        options = {"source": self.source, "prior_scale": self.prior_scale}
        found = fit_members(comparisons, self.model, self.members, rng, **options)
        return self.aggregation(anchored(found.scores, self.anchor))


@dataclass(frozen=True, eq=False)
class WeightAverage:
    """A reward model that fits linear members and averages their weights, not their scores.

    Args:
        model: linear.
        members: how many.
        source: what a member learns from, see `fit_members`.
        prior_scale: likewise.

    >>> rows = Comparisons.from_ids([0, 1, 2, 0], [1, 2, 0, 2], items=range(3))
    >>> model = WeightAverage(Linear(np.array([[[0.0], [1.0], [2.0]]]), ridge=1.0), members=4)
    >>> model(rows, np.random.default_rng(0)).shape
    (1, 3)
    """

    model: Linear
    members: int
    source: Source = "shared"
    prior_scale: float | None = None

    def __call__(
        self, comparisons: Comparisons, rng: np.random.Generator
    ) -> Float[np.ndarray, "prompt string"]:
        """Fit the members and average their weights."""
        options = {"source": self.source, "prior_scale": self.prior_scale}
        found = fit_members(comparisons, self.model, self.members, rng, **options)
        assert found.coefficients is not None  # linear members have them
        return weight_average(found.coefficients, self.model.features)


def _displaced(
    model: Model, shape: tuple[int, ...], scale: float, rng: np.random.Generator
) -> Model:
    """The model with its prior mean moved by a normal draw."""
    if not scale:
        return model
    start = np.zeros(shape) if model.prior_mean is None else model.prior_mean
    return replace(model, prior_mean=start + scale * rng.standard_normal(shape))
