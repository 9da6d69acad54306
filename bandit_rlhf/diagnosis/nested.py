"""Is the larger model worth its parameters? Likelihood-ratio tests between nested fits.

Nested are: fits without and with some covariates (position, length); one set of scores for all
prompts inside scores for each prompt; rewards linear in features inside free scores. Others are
refused with the reason: Bradley-Terry and Thurstone, or Davidson and Rao-Kupper, are not special
cases of one another, and log-likelihoods of different data do not compare.
"""

from dataclasses import dataclass

import numpy as np

from bandit_rlhf import _check
from bandit_rlhf.diagnosis.goodness import chi_squared_p
from bandit_rlhf.reward.fitting import LINKS
from bandit_rlhf.reward.result import RewardFit

ROUNDING = 1e-6
"""Log-likelihoods of converged fits are this exact, as a share of their size."""


@dataclass(frozen=True)
class LikelihoodRatio:
    """A likelihood-ratio test.

    Args:
        smaller: the null hypothesis, in words.
        larger: the alternative, in words.
        statistic: 2 (l_larger - l_smaller).
        df: parameters that the larger model has more.
        p_value: P(chi-squared with df degrees of freedom >= statistic).
        comparisons_per_parameter: of the larger model. The chi-squared law is for large values;
            with few comparisons for each parameter the test rejects too often.
    """

    smaller: str
    larger: str
    statistic: float
    df: int
    p_value: float
    comparisons_per_parameter: float


def likelihood_ratio(smaller: RewardFit, larger: RewardFit) -> LikelihoodRatio:
    """Test a fit against a larger one of the same comparisons.

    2 (l_larger - l_smaller) ~ chi-squared(df) where the smaller model is right and comparisons are
    independent.

    Bradley-Terry is the edge of Davidson's and of Rao and Kupper's model at which ties are
    impossible: without ties the fits coincide, and a single tie refutes it. Where Bradley-Terry
    dropped the ties it is a fit of other data, and the test is refused.

    Args:
        smaller: a maximum-likelihood fit.
        larger: another one, of the same comparisons.

    Returns:
        The test.

    Raises:
        ValueError: not nested, a prior, ties as halves, not converged, other comparisons; the
            message says which.

    References:
        Wilks 1938, Annals of Mathematical Statistics 9:60.

    >>> from dataclasses import replace
    >>> from bandit_rlhf.comparisons import Comparisons
    >>> from bandit_rlhf.reward import fit
    >>> rows = Comparisons.from_sides("aaaabbbb", "bbbbaaaa", [1, 1, 1, -1] * 2, position=True)
    >>> alone = replace(rows, covariates=None, covariate_names=())
    >>> found = likelihood_ratio(fit(alone), fit(rows))   # whoever is shown first wins 3 of 4
    >>> found.larger, found.df, round(found.statistic, 4)
    ('bradley-terry + position', 1, 2.093)
    """
    where = "likelihood_ratio"
    for name, fit in (("smaller", smaller), ("larger", larger)):
        _require_maximum(name, fit, where)
    reason = why_not_nested(smaller, larger)
    if reason is not None:
        turned = why_not_nested(larger, smaller) is None
        do = "Swap them." if turned else "Compare held-out log losses: cross_validated_calibration."
        raise ValueError(_check.complaint(f"{reason}: the models are not nested", "so", where, do))
    if not np.isclose(smaller.comparisons, larger.comparisons, rtol=1e-9):
        got = f"the fits are of {smaller.comparisons:g} and {larger.comparisons:g} comparisons"
        raise ValueError(_check.complaint(got, "of the same ones", where))
    statistic = 2 * (larger.log_likelihood - smaller.log_likelihood)
    if statistic < -ROUNDING * (1 + abs(larger.log_likelihood)):
        got = f"the larger model's log-likelihood is lower by {-statistic / 2:g}"
        do = "Pass two fits of the same table."
        raise ValueError(_check.complaint(got, "at least the smaller one's", where, do))
    statistic = max(statistic, 0.0)  # below only by rounding
    df = _free(larger) - _free(smaller)
    return LikelihoodRatio(
        smaller=_words(smaller, larger),
        larger=_words(larger, smaller),
        statistic=statistic,
        df=df,
        p_value=chi_squared_p(statistic, df) if df else 1.0,  # df = 0: the models coincide
        comparisons_per_parameter=larger.comparisons / _free(larger),
    )


def why_not_nested(smaller: RewardFit, larger: RewardFit) -> str | None:
    """The reason why the first model is no special case of the second; None: it is one.

    >>> from bandit_rlhf.comparisons import Comparisons
    >>> from bandit_rlhf.reward import fit
    >>> rows = Comparisons.from_ids([0, 0, 1], [1, 1, 0])
    >>> why_not_nested(fit(rows), fit(rows, "thurstone"))
    'bradley-terry is no special case of thurstone'
    """
    if smaller.model != larger.model:
        at_edge = larger.model in LINKS and larger.tie == LINKS[larger.model].tie_above
        if smaller.model != "bradley-terry" or larger.tie is None:
            return f"{smaller.model} is no special case of {larger.model}"
        if not at_edge:
            return f"there are ties, which {larger.model} explains and {smaller.model} ignores"
    if is_linear(larger):
        kind = "also linear, in features not kept with the fit" if is_linear(smaller) else "free"
        return f"the larger model's scores are linear in features, the smaller one's {kind}"
    by_prompt = splits_by_prompt(smaller, larger)
    if not by_prompt and smaller.items != larger.items:
        return "the items are not the same, nor are the larger model's (prompt, item) of the others"
    extra = set(smaller.covariate_names) - set(larger.covariate_names)
    if extra and not is_linear(smaller):
        return f"the covariates {sorted(extra)} are in the smaller model only"
    if _words(smaller, larger) == _words(larger, smaller):
        return "both fits are of one model"
    return None


def is_linear(fit: RewardFit) -> bool:
    """Whether rewards are linear in features."""
    return fit.gauge.startswith("features")


def splits_by_prompt(pooled: RewardFit, split: RewardFit) -> bool:
    """Whether the second fit has scores for each (prompt, item) of the first one's items."""
    if pooled.items == split.items:
        return False
    names = set(pooled.items)
    return all(isinstance(x, tuple) and len(x) == 2 and x[1] in names for x in split.items)


def _free(fit: RewardFit) -> int:
    """Free parameters; linear fits have no others than coefficients and tie parameter."""
    scores = 0 if is_linear(fit) else len(fit.items) - fit.component_count
    return scores + len(fit.coefficients) + (fit.tie is not None)


def _require_maximum(name: str, fit: RewardFit, where: str) -> None:
    if fit.ridge or fit.firth:
        kind = f"a fit with ridge {fit.ridge:g}" if fit.ridge else "a fit with Jeffreys' prior"
        raise ValueError(_check.complaint(f"{name} is {kind}", "one of maximum likelihood", where))
    if not fit.converged:
        got = f"{name} has not converged (residual {fit.gradient_norm:.1e})"
        raise ValueError(_check.complaint(got, "converged", where, "Raise max_iterations."))
    if fit.tie is None and fit.ties == "half":
        got = f"{name} counts ties as halves, which no law of outcomes produces"
        do = "Use model 'davidson' or 'rao-kupper', or ties='drop'."
        raise ValueError(_check.complaint(got, "a law of all outcomes", where, do))


def _words(fit: RewardFit, other: RewardFit) -> str:
    words = f"linear {fit.model}" if is_linear(fit) else fit.model
    if splits_by_prompt(other, fit):
        words += " by prompt"
    return " + ".join([words, *(() if is_linear(fit) else fit.covariate_names)])
