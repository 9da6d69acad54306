"""Losses in the margin between policy and reference: DPO and kin.

    h = ln(pi(y_w)/ref(y_w)) - ln(pi(y_l)/ref(y_l))

With p the probability that y_w is preferred, p l(h) + (1-p) l(-h) is least at the margin h*(p)
given with each (law D4). Where h*(p) = ln(p/(1-p))/beta, Bradley-Terry preferences make the optimum
the Gibbs law ref exp(r/beta)/Z (theorem 12, law D5).

Arguments of all: log-probabilities of whole strings [pair], under policy and reference; `beta`
above 0, the coefficient of the KL. Results: one loss a pair, [pair].

>>> import numpy as np
>>> ipo(np.zeros(1), np.zeros(1), np.zeros(1), np.zeros(1), beta=0.5)
array([1.])
"""

from array_api_compat import array_namespace

from bandit_rlhf import _check
from bandit_rlhf._masked import Array
from bandit_rlhf.contract import estimator
from bandit_rlhf.preference_loss._logistic import margin, same, softplus

IN_THE_MARGIN = {"value_at_zero", "shift_invariant", "argmin", "gradient", "monotone", "finite"}
LOGISTIC = "-beta/(1+exp(beta*h))"


@estimator(
    "preference_loss",
    claims=IN_THE_MARGIN | {"antisymmetric", "gibbs"},
    facts={
        "beta": 0.1,
        "at_zero": "log(2)",
        "antisymmetry": "-beta",
        "argmin": "log(p/(1-p))/beta",
        "derivative": LOGISTIC,
    },
)
def dpo(
    chosen_log_prob: Array,
    rejected_log_prob: Array,
    ref_chosen_log_prob: Array,
    ref_rejected_log_prob: Array,
    *,
    beta: float = 0.1,
) -> Array:
    """Direct preference optimisation: -ln sigma(beta h).

    h*(p) = ln(p/(1-p)) / beta

    Laws: D1 to D6, D8, U6. Theorems 10, 12, 13. Source: Rafailov et al. 2023 (2305.18290), eq. 7.

    >>> import numpy as np
    >>> far = np.asarray([1000.0])
    >>> dpo(-far, 0 * far, 0 * far, -far, beta=1.0)
    array([2000.])
    """
    beta = _check.positive("beta", beta, "dpo")
    h = margin(
        "dpo", chosen_log_prob, rejected_log_prob, ref_chosen_log_prob, ref_rejected_log_prob
    )
    return softplus(-beta * h)


@estimator(
    "preference_loss",
    claims=IN_THE_MARGIN - {"monotone"} | {"antisymmetric", "smoothing"},
    facts={
        "beta": 0.1,
        "eps": 0.1,
        "at_zero": "log(2)",
        "antisymmetry": "-beta*(1-2*eps)",
        "argmin": "log((p*(1-eps)+(1-p)*eps)/(p*eps+(1-p)*(1-eps)))/beta",
        "derivative": "-beta*(1-eps)/(1+exp(beta*h))+beta*eps/(1+exp(-beta*h))",
    },
)
def cdpo(
    chosen_log_prob: Array,
    rejected_log_prob: Array,
    ref_chosen_log_prob: Array,
    ref_rejected_log_prob: Array,
    *,
    beta: float = 0.1,
    label_smoothing: float = 0.1,
) -> Array:
    """Conservative DPO: labels smoothed by eps.

    -(1 - eps) ln sigma(beta h) - eps ln sigma(-beta h)

    h*(p) = ln(q/(1-q)) / beta with q = p (1-eps) + (1-p) eps: smoothing pulls margins in.

    Args:
        chosen_log_prob: see the module.
        rejected_log_prob: see the module.
        ref_chosen_log_prob: see the module.
        ref_rejected_log_prob: see the module.
        beta: above 0.
        label_smoothing: eps, within 0 to 1/2.

    Returns:
        [pair].

    Laws: D1 to D4, D6, D7, U6. Source: Mitchell 2023, "A note on DPO with noisy preferences".

    >>> import numpy as np
    >>> cdpo(np.zeros(1), np.zeros(1), np.zeros(1), np.zeros(1)).round(4)
    array([0.6931])
    """
    eps = _smoothing(label_smoothing, 0.5, "cdpo")
    beta = _check.positive("beta", beta, "cdpo")
    h = margin(
        "cdpo", chosen_log_prob, rejected_log_prob, ref_chosen_log_prob, ref_rejected_log_prob
    )
    return (1 - eps) * softplus(-beta * h) + eps * softplus(beta * h)


@estimator(
    "preference_loss",
    claims=IN_THE_MARGIN | {"antisymmetric"},
    facts={
        "beta": 0.1,
        "eps": 0.1,
        "flip": 0.1,
        "at_zero": "log(2)",
        "antisymmetry": "-beta/(1-2*eps)",
        "argmin": "log(p/(1-p))/beta",
        "derivative": "(-beta*(1-eps)/(1+exp(beta*h))-beta*eps/(1+exp(-beta*h)))/(1-2*eps)",
    },
)
def robust_dpo(
    chosen_log_prob: Array,
    rejected_log_prob: Array,
    ref_chosen_log_prob: Array,
    ref_rejected_log_prob: Array,
    *,
    beta: float = 0.1,
    label_smoothing: float = 0.1,
) -> Array:
    """Robust DPO: unbiased for the clean loss when labels are flipped at a known rate eps.

    (-(1 - eps) ln sigma(beta h) + eps ln sigma(-beta h)) / (1 - 2 eps)

    Under flips at rate eps, still h*(p) = ln(p/(1-p)) / beta with p of the clean labels.

    Args:
        chosen_log_prob: see the module.
        rejected_log_prob: see the module.
        ref_chosen_log_prob: see the module.
        ref_rejected_log_prob: see the module.
        beta: above 0.
        label_smoothing: eps, the rate of flips, from 0 to below 1/2.

    Returns:
        [pair]; may be negative.

    Laws: D1 to D4, D6, D8, U6. Source: Chowdhury et al. 2024 (2403.00409), equation 11.

    >>> import numpy as np
    >>> robust_dpo(np.zeros(1), np.zeros(1), np.zeros(1), np.zeros(1)).round(4)
    array([0.6931])
    """
    eps = _smoothing(label_smoothing, 0.4999, "robust_dpo")
    beta = _check.positive("beta", beta, "robust_dpo")
    h = margin(
        "robust_dpo", chosen_log_prob, rejected_log_prob, ref_chosen_log_prob, ref_rejected_log_prob
    )
    return ((1 - eps) * softplus(-beta * h) - eps * softplus(beta * h)) / (1 - 2 * eps)


@estimator(
    "preference_loss",
    claims=IN_THE_MARGIN | {"antisymmetric"},
    facts={
        "beta": 0.1,
        "at_zero": "1/(4*beta*beta)",
        "antisymmetry": "-2/beta",
        "argmin": "(p-1/2)/beta",
        "derivative": "2*(h-1/(2*beta))",
    },
)
def ipo(
    chosen_log_prob: Array,
    rejected_log_prob: Array,
    ref_chosen_log_prob: Array,
    ref_rejected_log_prob: Array,
    *,
    beta: float = 0.1,
) -> Array:
    """Identity preference optimisation: (h - 1/(2 beta))^2.

    h*(p) = (p - 1/2) / beta: bounded, also for preferences that are certain.

    The paper's h is of summed log-probabilities; some trainers pass means over tokens, which is
    another loss.

    Laws: D1 to D4, D6, D8, U6. Source: Azar et al. 2023 (2310.12036), equation 17.

    >>> import numpy as np
    >>> ipo(np.ones(1), np.zeros(1), np.zeros(1), np.zeros(1), beta=0.5)
    array([0.])
    """
    beta = _check.positive("beta", beta, "ipo")
    h = margin(
        "ipo", chosen_log_prob, rejected_log_prob, ref_chosen_log_prob, ref_rejected_log_prob
    )
    return (h - 1 / (2 * beta)) ** 2


@estimator(
    "preference_loss",
    claims={"value_at_zero", "shift_invariant", "monotone", "finite"},
    facts={"beta": 0.1, "at_zero": "1"},
)
def hinge(
    chosen_log_prob: Array,
    rejected_log_prob: Array,
    ref_chosen_log_prob: Array,
    ref_rejected_log_prob: Array,
    *,
    beta: float = 0.1,
) -> Array:
    """The hinge of SLiC and RSO: max(0, 1 - beta h).

    For p above 1/2, h*(p) = 1/beta, however strong the preference.

    Laws: D1, D3, D8, U6. Source: Zhao et al. 2023 (2305.10425); Liu et al. 2023 (2309.06657),
    equation 12.

    >>> import numpy as np
    >>> hinge(np.ones(1), np.zeros(1), np.zeros(1), np.zeros(1), beta=0.25)
    array([0.75])
    """
    beta = _check.positive("beta", beta, "hinge")
    h = margin(
        "hinge", chosen_log_prob, rejected_log_prob, ref_chosen_log_prob, ref_rejected_log_prob
    )
    loss = 1 - beta * h
    return array_namespace(loss).maximum(loss, 0 * loss)


@estimator(
    "preference_loss",
    claims={"value_at_zero", "gradient", "monotone", "finite"},
    facts={"beta": 0.1, "at_zero": "log(2)+4.0", "derivative": LOGISTIC, "likelihood": 1.0},
)
def rpo(
    chosen_log_prob: Array,
    rejected_log_prob: Array,
    ref_chosen_log_prob: Array,
    ref_rejected_log_prob: Array,
    chosen_length: Array | None = None,
    *,
    beta: float = 0.1,
    alpha: float = 1.0,
) -> Array:
    """DPO plus the likelihood of the chosen string: -ln sigma(beta h) - alpha ln pi(y_w) / |y_w|.

    Args:
        chosen_log_prob: see the module.
        rejected_log_prob: see the module.
        ref_chosen_log_prob: see the module.
        ref_rejected_log_prob: see the module.
        chosen_length: |y_w| in tokens, [pair]; None: 1.
        beta: above 0.
        alpha: weight of the likelihood, at least 0.

    Returns:
        [pair].

    Laws: D1, D6 (derivative -alpha more in the chosen string), D8, U6. Source: Pang et al. 2024
    (2404.19733), equation 1.

    >>> import numpy as np
    >>> rpo(-np.ones(1), -np.ones(1), -np.ones(1), -np.ones(1), alpha=2.0).round(4)
    array([2.6931])
    """
    alpha = _check.non_negative("alpha", alpha, "rpo")
    preference = dpo(
        chosen_log_prob, rejected_log_prob, ref_chosen_log_prob, ref_rejected_log_prob, beta=beta
    )
    length = 1.0 if chosen_length is None else chosen_length
    return preference - alpha * chosen_log_prob / length


@estimator(
    "preference_loss",
    claims={"value_at_zero", "shift_invariant", "argmin", "monotone", "finite"},
    facts={"beta": 0.1, "at_zero": "1/(2*beta*beta)", "argmin": "(2*p-1)/beta"},
)
def sppo_hard(
    chosen_log_prob: Array,
    rejected_log_prob: Array,
    ref_chosen_log_prob: Array,
    ref_rejected_log_prob: Array,
    *,
    beta: float = 0.1,
) -> Array:
    """Self-play preference optimisation with hard labels.

    (ln pi/ref(y_w) - 1/(2 beta))^2 + (ln pi/ref(y_l) + 1/(2 beta))^2

    With both log-ratios opposite, h*(p) = (2p - 1)/beta.

    Laws: D1, D3, D4, D8, U6. Source: Wu et al. 2024 (2405.00675), equation 4.7 with labels 0 and 1.

    >>> import numpy as np
    >>> sppo_hard(np.ones(1), -np.ones(1), np.zeros(1), np.zeros(1), beta=0.5)
    array([0.])
    """
    beta = _check.positive("beta", beta, "sppo_hard")
    same(
        "sppo_hard",
        chosen_log_prob,
        rejected_log_prob,
        ref_chosen_log_prob=ref_chosen_log_prob,
        ref_rejected_log_prob=ref_rejected_log_prob,
    )
    goal = 1 / (2 * beta)
    better, worse = chosen_log_prob - ref_chosen_log_prob, rejected_log_prob - ref_rejected_log_prob
    return (better - goal) ** 2 + (worse + goal) ** 2


@estimator(
    "preference_loss",
    claims={"value_at_zero", "shift_invariant", "monotone", "finite"},
    facts={"beta": 0.1, "at_zero": "log(2)"},
)
def chi_po(
    chosen_log_prob: Array,
    rejected_log_prob: Array,
    ref_chosen_log_prob: Array,
    ref_rejected_log_prob: Array,
    *,
    beta: float = 0.1,
    bound: float = 20.0,
) -> Array:
    """chi-PO: DPO with the link phi(z) = z + ln z of chi-squared and KL together.

    -ln sigma(cut(beta [phi(pi/ref(y_w)) - phi(pi/ref(y_l))], -bound, bound))

    It pays for strings that the reference hardly says, by their ratio and not its logarithm.

    Args:
        chosen_log_prob: see the module.
        rejected_log_prob: see the module.
        ref_chosen_log_prob: see the module.
        ref_rejected_log_prob: see the module.
        beta: above 0.
        bound: the paper's 2 R_max, above 0; beyond it there is no gradient.

    Returns:
        [pair].

    Laws: D1, D3, D8, U6. Source: Huang et al. 2024 (2407.13399), equation 9, algorithm 1.

    >>> import numpy as np
    >>> chi_po(np.zeros(1), np.zeros(1), np.zeros(1), np.zeros(1)).round(4)
    array([0.6931])
    """
    beta, bound = _check.positive("beta", beta, "chi_po"), _check.positive("bound", bound, "chi_po")
    same(
        "chi_po",
        chosen_log_prob,
        rejected_log_prob,
        ref_chosen_log_prob=ref_chosen_log_prob,
        ref_rejected_log_prob=ref_rejected_log_prob,
    )
    xp = array_namespace(chosen_log_prob)
    better, worse = chosen_log_prob - ref_chosen_log_prob, rejected_log_prob - ref_rejected_log_prob
    gap = _link(better) - _link(worse)
    return softplus(-xp.clip(beta * gap, -bound, bound))


LARGEST_LOG_RATIO = 60.0
"""Ratios are cut at e^60, far beyond any bound, so that squares of them stay finite in float32."""


def _link(log_ratio: Array) -> Array:
    xp = array_namespace(log_ratio)
    return xp.exp(xp.clip(log_ratio, -LARGEST_LOG_RATIO, LARGEST_LOG_RATIO)) + log_ratio


def _smoothing(eps: float, most: float, where: str) -> float:
    if not 0 <= eps <= most:
        got = f"label_smoothing is {eps!r}"
        raise ValueError(_check.complaint(got, f"within 0 to {most:g}", where))
    return float(eps)
