"""How sure a fit to rankings is: the covariance of Plackett and Luce's scores.

As in `uncertainty`: Fisher H^-1 if the model is right, the sandwich H^-1 (sum s s') H^-1 if the
rankings are independent, s being the gradient of one ranking's log-probability. A ranking is one
observation, however many pairs it orders.
"""

import numpy as np

from bandit_rlhf import _check
from bandit_rlhf.comparisons.rankings import Rankings
from bandit_rlhf.reward.curvature import DenseCurvature, gauge_projection
from bandit_rlhf.reward.plackett_luce import PlackettLuceLikelihood
from bandit_rlhf.reward.result import RewardFit
from bandit_rlhf.uncertainty import DENSE_PARAMETERS, Covariance


def ranking_covariance(fit: RewardFit, rankings: Rankings, kind: str = "sandwich") -> Covariance:
    """The covariance of the scores of a fit by `reward.fit_rankings`.

    Args:
        fit: of `rankings`.
        rankings: what was fitted; a weight says how often the ranking was given.
        kind: "fisher" or "sandwich".

    Returns:
        The covariance, in the gauge of the fit.

    Raises:
        ValueError: another fit, other items, no such kind, too many items for a matrix.

    >>> from bandit_rlhf.reward import fit_rankings
    >>> pairs = Rankings.from_lists([["a", "b"]] * 30 + [["b", "a"]] * 10)
    >>> sure = ranking_covariance(fit_rankings(pairs), pairs, "fisher")
    >>> round(sure.contrast("a", "b").stderr ** 2, 6)      # 1 / (n p (1 - p))
    0.133333
    """
    where = "ranking_covariance"
    if kind not in ("fisher", "sandwich"):
        raise ValueError(_check.complaint(f"kind is {kind!r}", "'fisher' or 'sandwich'", where))
    if fit.model != "plackett-luce" or fit.items != rankings.items:
        got = f"the fit is of {fit.model} to {len(fit.items)} items"
        expected = f"of plackett-luce to the {len(rankings.items)} items of the rankings"
        raise ValueError(_check.complaint(got, expected, where))
    items = len(fit.items)
    if items > DENSE_PARAMETERS:
        raise ValueError(
            _check.complaint(f"there are {items}", f"at most {DENSE_PARAMETERS}", where)
        )
    problem = PlackettLuceLikelihood(rankings, fit.ridge)
    information = problem.evaluate(fit.scores).curvature.apply(np.eye(items))
    projection = None if fit.ridge else gauge_projection(fit.component, 0)
    inverse = DenseCurvature(information, projection).pseudo_inverse()
    if kind == "fisher":
        return Covariance(fit, inverse, kind)
    scores = problem.ranking_scores(fit.scores)
    filling = (scores * problem.weight[:, None]).T @ scores
    return Covariance(fit, inverse @ filling @ inverse, kind)
