"""Returns and advantages of steps: reward-to-go, GAE, V-trace.

Arrays are [string, token]; a mask says which tokens are steps of the policy. Pads, wherever they
stand (tool output lies inside), are no steps: the next participating token is the next step. A
string that was cut ends in a state worth `final_value`; one that terminated ends in a state worth
0.
"""

from array_api_compat import array_namespace

from bandit_rlhf import _check
from bandit_rlhf._masked import Array, kept, tokens
from bandit_rlhf.contract import estimator


@estimator(
    "gae",
    claims={
        "monte_carlo",
        "td_error",
        "recursion",
        "unbiased_with_true_values",
        "return_is_sum",
        "episodes_separate",
        "masked_is_compressed",
        "zero_at_pads",
    },
)
def gae(
    rewards: Array,
    values: Array,
    mask: Array,
    final_value: Array | None = None,
    *,
    gamma: float = 1.0,
    lam: float = 1.0,
) -> tuple[Array, Array]:
    """Generalised advantage estimates, and the returns they imply.

    delta_t = r_t + gamma V(s_{t+1}) - V(s_t);   A_t = delta_t + gamma lambda A_{t+1};   R_t = A_t +
    V(s_t)

    With a critic off by e, the policy gradient at gamma = 1 is off by
    (1 - lambda) sum_t sum_{l>=1} lambda^(l-1) E[grad ln pi(a_t|s_t) e(s_{t+l})] (theorem 17):
    nothing at lambda = 1.

    Args:
        rewards: [string, token].
        values: V(s_t), [string, token], of the state before each token.
        mask: [string, token], true where the token is a step.
        final_value: [string], V of the state after the last step, where the string was cut; None:
            all terminated, 0.
        gamma: discount, 0 to 1.
        lam: lambda, 0 to 1.

    Returns:
        advantages and returns, [string, token], 0 at pads.

    Laws: G1 to G7. Theorem 17. Source: Schulman et al. 2015 (1506.02438), equation 16.

    >>> import numpy as np
    >>> mask = np.asarray([[True, True]])
    >>> gae(np.asarray([[0.0, 1.0]]), np.asarray([[0.5, 0.5]]), mask, lam=0.0)[0]
    array([[0. , 0.5]])
    """
    tokens("gae", mask, rewards=rewards, values=values)
    gamma, lam = _unit("gamma", gamma, "gae"), _unit("lam", lam, "gae")
    xp = array_namespace(rewards)
    steps = xp.astype(mask, xp.bool)
    following, later = _last(rewards, final_value, "gae"), xp.zeros_like(rewards[:, 0])
    advantages = []
    for t in reversed(range(rewards.shape[1])):
        here = steps[:, t]
        error = rewards[:, t] + gamma * following - values[:, t]
        later = xp.where(here, error + gamma * lam * later, later)
        following = xp.where(here, values[:, t], following)
        advantages.append(later)
    table = kept(xp.stack(advantages[::-1], axis=1), mask)
    return table, kept(table + values, mask)


def reward_to_go(rewards: Array, mask: Array, *, gamma: float = 1.0) -> Array:
    """The discounted sum of rewards from each step on.

    R_t = r_t + gamma R_{t+1}

    Args:
        rewards: [string, token].
        mask: [string, token], true where the token is a step.
        gamma: discount, 0 to 1.

    Returns:
        [string, token], 0 at pads.

    Law G1: it is the return of `gae` at lambda = 1, whatever the values. Source: Williams 1992.

    >>> import numpy as np
    >>> reward_to_go(np.asarray([[1.0, 2.0]]), np.asarray([[True, True]]), gamma=0.5)
    array([[2., 2.]])
    """
    xp = array_namespace(rewards)
    return gae(rewards, xp.zeros_like(rewards), mask, gamma=gamma, lam=1.0)[0]


@estimator(
    "vtrace",
    claims={"on_policy_return", "recursion", "fixed_point", "zero_at_pads"},
    facts={"clip": 1.0, "trace_clip": 1.0},
)
def vtrace(
    log_prob: Array,
    behaviour_log_prob: Array,
    rewards: Array,
    values: Array,
    mask: Array,
    final_value: Array | None = None,
    *,
    gamma: float = 1.0,
    rho_max: float = 1.0,
    c_max: float = 1.0,
) -> tuple[Array, Array]:
    """V-trace targets and advantages for draws of another policy.

    v_t = V_t + rho_t delta_t + gamma c_t (v_{t+1} - V_{t+1});   A_t = rho_t (r_t + gamma v_{t+1} -
    V_t)

    with rho_t = min(rho_max, pi/mu) and c_t = min(c_max, pi/mu). On policy v_t is the return.

    Args:
        log_prob: ln pi, [string, token].
        behaviour_log_prob: ln mu of the sampler, [string, token].
        rewards: [string, token].
        values: [string, token].
        mask: [string, token], true where the token is a step.
        final_value: [string], as in `gae`.
        gamma: discount, 0 to 1.
        rho_max: largest weight of an error, above 0.
        c_max: largest weight of a trace, above 0.

    Returns:
        targets and advantages, [string, token], 0 at pads.

    Law O7. Source: Espeholt et al. 2018 (1802.01561), equations 1 and 4.
    """
    tokens(
        "vtrace",
        mask,
        log_prob=log_prob,
        behaviour_log_prob=behaviour_log_prob,
        rewards=rewards,
        values=values,
    )
    gamma = _unit("gamma", gamma, "vtrace")
    rho_max = _check.positive("rho_max", rho_max, "vtrace")
    c_max = _check.positive("c_max", c_max, "vtrace")
    xp = array_namespace(rewards)
    steps = xp.astype(mask, xp.bool)
    ratio = xp.exp(log_prob - behaviour_log_prob)
    rho, trace = xp.clip(ratio, max=rho_max), xp.clip(ratio, max=c_max)
    following = target = _last(rewards, final_value, "vtrace")
    targets, advantages = [], []
    for t in reversed(range(rewards.shape[1])):
        here, value = steps[:, t], values[:, t]
        advantages.append(rho[:, t] * (rewards[:, t] + gamma * target - value))
        error = rho[:, t] * (rewards[:, t] + gamma * following - value)
        new = value + error + gamma * trace[:, t] * (target - following)
        target, following = xp.where(here, new, target), xp.where(here, value, following)
        targets.append(target)
    return (
        kept(xp.stack(targets[::-1], axis=1), mask),
        kept(xp.stack(advantages[::-1], axis=1), mask),
    )


def _last(rewards: Array, final_value: Array | None, where: str) -> Array:
    """The value of the state after each string's last step."""
    xp = array_namespace(rewards)
    if final_value is None:
        return xp.zeros_like(rewards[:, 0])
    if tuple(final_value.shape) != tuple(rewards.shape[:1]):
        got = f"final_value has shape {tuple(final_value.shape)}"
        raise ValueError(_check.complaint(got, f"{tuple(rewards.shape[:1])} = [string]", where))
    return final_value


def _unit(name: str, value: float, where: str) -> float:
    number = _check.real(name, value, where)
    if not 0 <= number <= 1:
        raise ValueError(_check.complaint(f"{name} is {number:g}", "within 0 to 1", where))
    return number
