"""XPO: DPO with a bonus for leaving what the reference says, so that comparisons explore.

>>> import numpy as np
>>> float(optimism(np.asarray([-1.0, -3.0]), alpha=0.5))
-1.0
"""

from array_api_compat import array_namespace

from bandit_rlhf import _check
from bandit_rlhf._masked import Array
from bandit_rlhf.preference_loss.against_reference import dpo


def optimism(log_prob: Array, *, alpha: float) -> Array:
    """The term alpha mean ln pi(y) over draws y of the *reference*, to be minimised.

    Pushing their probability down moves the policy to where its implicit reward is uncertain.

    Args:
        log_prob: ln pi of strings that the reference drew, [string].
        alpha: at least 0.

    Returns:
        a number.

    Source: Xie et al. 2024 (2405.21046), equation 6.

    >>> import numpy as np
    >>> float(optimism(np.asarray([-2.0]), alpha=0.0)) == 0.0
    True
    """
    alpha = _check.non_negative("alpha", alpha, "optimism")
    return alpha * array_namespace(log_prob).mean(log_prob)


def xpo(
    chosen_log_prob: Array,
    rejected_log_prob: Array,
    ref_chosen_log_prob: Array,
    ref_rejected_log_prob: Array,
    explored_log_prob: Array,
    *,
    beta: float = 0.1,
    alpha: float = 1e-3,
) -> Array:
    """Exploratory preference optimisation: the mean DPO loss plus `optimism`.

    mean_i -ln sigma(beta h_i) + alpha mean_j ln pi(y_j),   y_j drawn by the reference

    Args:
        chosen_log_prob: ln pi(y_w), [pair].
        rejected_log_prob: ln pi(y_l), [pair].
        ref_chosen_log_prob: ln ref(y_w), [pair].
        ref_rejected_log_prob: ln ref(y_l), [pair].
        explored_log_prob: ln pi of the reference's own draws, [string].
        beta: above 0.
        alpha: at least 0; 0 is online DPO.

    Returns:
        a number.

    Source: Xie et al. 2024 (2405.21046), algorithm 1.

    >>> import numpy as np
    >>> one = np.zeros(1)
    >>> round(float(xpo(one, one, one, one, one - 2, alpha=0.5)), 4)
    -0.3069
    """
    losses = dpo(
        chosen_log_prob, rejected_log_prob, ref_chosen_log_prob, ref_rejected_log_prob, beta=beta
    )
    return array_namespace(losses).mean(losses) + optimism(explored_log_prob, alpha=alpha)
