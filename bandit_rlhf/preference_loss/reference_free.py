"""Losses of pairs without a reference policy: SimPO, ORPO, CPO.

Arguments of all: log-probabilities of whole strings under the policy, [pair]; lengths in tokens
where they are normalised. Results: one loss a pair, [pair].

>>> import numpy as np
>>> simpo(-np.ones(1), -np.ones(1), np.ones(1), np.ones(1), gamma=0.0).round(4)
array([0.6931])
"""

from array_api_compat import array_namespace

from bandit_rlhf import _check
from bandit_rlhf._masked import Array
from bandit_rlhf.contract import estimator
from bandit_rlhf.preference_loss._logistic import same, softplus


@estimator(
    "preference_loss",
    claims={"value_at_zero", "gradient", "monotone", "reduction", "finite"},
    facts={
        "beta": 2.0,
        "at_zero": "log(1+exp(1))",
        "derivative": "-beta/(1+exp(beta*h-1))",
    },
)
def simpo(
    chosen_log_prob: Array,
    rejected_log_prob: Array,
    chosen_length: Array,
    rejected_length: Array,
    *,
    beta: float = 2.0,
    gamma: float = 1.0,
) -> Array:
    """SimPO: the mean log-probability of a token as reward, with a target margin.

    -ln sigma(beta ln pi(y_w)/|y_w| - beta ln pi(y_l)/|y_l| - gamma)

    Args:
        chosen_log_prob: ln pi(y_w), [pair].
        rejected_log_prob: ln pi(y_l), [pair].
        chosen_length: |y_w| in tokens, above 0, [pair].
        rejected_length: |y_l| in tokens, above 0, [pair].
        beta: above 0.
        gamma: margin, at least 0.

    Returns:
        [pair].

    Laws: D1, D6, D8, D9, U6. Source: Meng et al. 2024 (2405.14734), equation 6.

    >>> import numpy as np
    >>> simpo(-np.ones(1), -np.ones(1), np.ones(1), np.ones(1)).round(4)
    array([1.3133])
    """
    beta = _check.positive("beta", beta, "simpo")
    gamma = _check.non_negative("gamma", gamma, "simpo")
    same(
        "simpo",
        chosen_log_prob,
        rejected_log_prob,
        chosen_length=chosen_length,
        rejected_length=rejected_length,
    )
    gap = chosen_log_prob / chosen_length - rejected_log_prob / rejected_length
    return softplus(gamma - beta * gap)


@estimator("preference_loss", claims={"monotone", "reduction", "finite"})
def orpo(
    chosen_log_prob: Array,
    rejected_log_prob: Array,
    chosen_length: Array,
    rejected_length: Array,
    *,
    beta: float = 0.1,
) -> Array:
    """ORPO: the likelihood of the chosen string, and beta times the odds ratio of both.

    -m_w - beta ln sigma(ln odds(m_w) - ln odds(m_l)),   m = ln pi(y)/|y|,  odds(m) = e^m/(1 - e^m)

    Args:
        chosen_log_prob: ln pi(y_w), [pair], below 0.
        rejected_log_prob: ln pi(y_l), [pair], below 0.
        chosen_length: |y_w| in tokens, above 0, [pair].
        rejected_length: |y_l| in tokens, above 0, [pair].
        beta: weight of the odds ratio, above 0.

    Returns:
        [pair].

    Laws: D8, D9, U6. Source: Hong et al. 2024 (2403.07691), equations 6 and 7.

    >>> import numpy as np
    >>> half = np.log(np.asarray([0.5]))
    >>> orpo(half, half, np.ones(1), np.ones(1), beta=1.0).round(4)
    array([1.3863])
    """
    beta = _check.positive("beta", beta, "orpo")
    same(
        "orpo",
        chosen_log_prob,
        rejected_log_prob,
        chosen_length=chosen_length,
        rejected_length=rejected_length,
    )
    better, worse = chosen_log_prob / chosen_length, rejected_log_prob / rejected_length
    return -better + beta * softplus(_log_odds(worse) - _log_odds(better))


@estimator(
    "preference_loss",
    claims={"value_at_zero", "gradient", "monotone", "finite"},
    facts={
        "beta": 0.1,
        "at_zero": "log(2)+4.0",
        "derivative": "-beta/(1+exp(beta*h))",
        "likelihood": 1.0,
    },
)
def cpo(
    chosen_log_prob: Array,
    rejected_log_prob: Array,
    chosen_length: Array | None = None,
    *,
    beta: float = 0.1,
    alpha: float = 1.0,
) -> Array:
    """CPO: DPO against a uniform reference, plus the likelihood of the chosen string.

    -ln sigma(beta (ln pi(y_w) - ln pi(y_l))) - alpha ln pi(y_w) / |y_w|

    Args:
        chosen_log_prob: ln pi(y_w), [pair].
        rejected_log_prob: ln pi(y_l), [pair].
        chosen_length: |y_w| in tokens, [pair]; None: 1.
        beta: above 0.
        alpha: weight of the likelihood, at least 0.

    Returns:
        [pair].

    Laws: D1, D6, D8, U6. Source: Xu et al. 2024 (2401.08417), equation 5.

    >>> import numpy as np
    >>> cpo(-np.ones(1), -np.ones(1)).round(4)
    array([1.6931])
    """
    beta = _check.positive("beta", beta, "cpo")
    alpha = _check.non_negative("alpha", alpha, "cpo")
    same("cpo", chosen_log_prob, rejected_log_prob)
    length = 1.0 if chosen_length is None else chosen_length
    preference = softplus(-beta * (chosen_log_prob - rejected_log_prob))
    return preference - alpha * chosen_log_prob / length


def _log_odds(log_prob: Array) -> Array:
    """ln(e^m / (1 - e^m)) for m < 0."""
    xp = array_namespace(log_prob)
    return log_prob - xp.log(-xp.expm1(log_prob))
