"""Advantages of whole strings: the reward minus a baseline that does not see the own reward.

E[1/G sum_i A_i grad ln pi(y_i)] = grad J for every one of them (theorem 2); they differ in
variance. Rewards and advantages are [prompt, draw], in nats; the draws of a prompt are independent.
"""

from array_api_compat import array_namespace

from bandit_rlhf import _check
from bandit_rlhf._masked import Array, same_shape, table
from bandit_rlhf.contract import Declared, estimator


@estimator(
    "advantage",
    claims={"unbiased", "own_reward_free", "group_isolated", "finite", "scale_degree"}
    | {"zero_at_baseline"},
    facts={"degree": 1, "baseline": 0.0},
)
def reinforce(rewards: Array) -> Array:
    """The reward itself: no baseline.

    A_i = r_i

    Args:
        rewards: [prompt, draw].

    Returns:
        advantages [prompt, draw].

    Laws: A1, A4, A5, A6, A7, A10. Source: Williams 1992, Machine Learning 8:229, (11).

    >>> import numpy as np
    >>> reinforce(np.asarray([[1.0, 0.0]]))
    array([[1., 0.]])
    """
    table("reinforce", "rewards", rewards, "prompt, draw")
    return rewards + 0.0


@estimator(
    "advantage",
    claims={"unbiased", "own_reward_free", "group_isolated", "finite", "zero_at_baseline"},
    facts={"baseline": 0.75},
    settings={"baseline": 0.75},
)
def constant_baseline(rewards: Array, *, baseline: float) -> Array:
    """The reward minus a number fixed before the draws.

    A_i = r_i - b

    Args:
        rewards: [prompt, draw].
        baseline: b, in the rewards' unit.

    Returns:
        advantages [prompt, draw].

    Laws: A1, A5, A6, A7, A10. Source: Williams 1992, equation 11.
    """
    table("constant_baseline", "rewards", rewards, "prompt, draw")
    return rewards - _check.real("baseline", baseline, "constant_baseline")


def greedy_baseline(rewards: Array, greedy_reward: Array) -> Array:
    """The reward minus that of the greedy string of the prompt: ReMax.

    A_i = r_i - r(argmax pi)

    Args:
        rewards: [prompt, draw].
        greedy_reward: [prompt], the reward of the most probable string by greedy decoding.

    Returns:
        advantages [prompt, draw].

    Source: Li et al. 2023 (2310.10505), equation 7. A law of `constant_baseline` a prompt: A1.

    >>> import numpy as np
    >>> greedy_baseline(np.asarray([[1.0, 0.0]]), np.asarray([0.5]))
    array([[ 0.5, -0.5]])
    """
    table("greedy_baseline", "rewards", rewards, "prompt, draw")
    if tuple(greedy_reward.shape) != tuple(rewards.shape[:1]):
        got = f"greedy_reward has shape {tuple(greedy_reward.shape)}"
        raise ValueError(
            _check.complaint(got, f"{tuple(rewards.shape[:1])} = [prompt]", "greedy_baseline")
        )
    return rewards - greedy_reward[:, None]


@estimator(
    "advantage",
    claims={
        "unbiased",
        "centred",
        "shift_invariant",
        "own_reward_free",
        "group_isolated",
        "scale_degree",
    },
    facts={"degree": 1},
)
def rloo(rewards: Array, *, alone: float | None = None) -> Array:
    """The reward minus the mean reward of the other draws: REINFORCE leave-one-out.

    A_i = r_i - 1/(G-1) sum_{j != i} r_j = G/(G-1) (r_i - mean r)

    Args:
        rewards: [prompt, draw], at least two draws.
        alone: the advantage of a draw without others; None: groups of one are refused.

    Returns:
        advantages [prompt, draw]; each row sums to 0.

    Raises:
        ValueError: a group of one draw, and `alone` is None.

    Laws: A1 to A6. Theorem 3. Source: Kool et al. 2019; Ahmadian et al. 2024 (2402.14740), equation
    5.

    >>> import numpy as np
    >>> rloo(np.asarray([[3.0, 0.0, 0.0]]))
    array([[ 3. , -1.5, -1.5]])
    """
    table("rloo", "rewards", rewards, "prompt, draw")
    draws = rewards.shape[1]
    if draws == 1:
        if alone is None:
            raise ValueError(
                _check.complaint(
                    "rewards has 1 draw a prompt",
                    "at least 2: there is no other draw to compare with",
                    "rloo",
                    "Draw more, or say what a single draw gets: alone=0.0.",
                )
            )
        return 0.0 * rewards + alone
    xp = array_namespace(rewards)
    others = (xp.sum(rewards, axis=1, keepdims=True) - rewards) / (draws - 1)
    return rewards - others


@estimator(
    "advantage",
    claims={"unbiased", "centred", "shift_invariant", "group_isolated", "finite", "scale_degree"},
    facts={"degree": 1},
    declared={"A1": Declared("the mean includes the draw's own reward", slope="(n-1)/n")},
)
def group_mean(rewards: Array) -> Array:
    """The reward minus the mean of its group, its own included: Dr. GRPO.

    A_i = r_i - mean_j r_j = (G-1)/G A_i^RLOO

    The expected update is (G-1)/G of the gradient (theorem 3): a smaller step, in the right
    direction.

    Args:
        rewards: [prompt, draw].

    Returns:
        advantages [prompt, draw]; each row sums to 0.

    Laws: A1 with slope (n-1)/n, A2, A3, A4, A6, A7. Source: Liu et al. 2025 (2503.20783), section
    3.2.

    >>> import numpy as np
    >>> group_mean(np.asarray([[3.0, 0.0, 0.0]]))
    array([[ 2., -1., -1.]])
    """
    table("group_mean", "rewards", rewards, "prompt, draw")
    xp = array_namespace(rewards)
    return rewards - xp.mean(rewards, axis=1, keepdims=True)


@estimator(
    "advantage",
    claims={"group_isolated", "finite", "shift_invariant", "scale_degree"},
    facts={"degree": 1},
)
def opo(rewards: Array, lengths: Array | None = None) -> Array:
    """The reward minus the length-weighted mean of its group: optimal for independent token scores.

    A_i = r_i - sum_j l_j r_j / sum_j l_j

    The weights make the baseline see its own reward, so that law A1 holds up to a factor for equal
    lengths only.

    Args:
        rewards: [prompt, draw].
        lengths: l, [prompt, draw], tokens of each draw, above 0; None: all equal.

    Returns:
        advantages [prompt, draw].

    Laws: A3, A4, A6, A7. Source: Hao et al. 2025 (2505.23585), equation 8.

    >>> import numpy as np
    >>> opo(np.asarray([[3.0, 0.0]]), np.asarray([[1.0, 2.0]]))
    array([[ 2., -1.]])
    """
    table("opo", "rewards", rewards, "prompt, draw")
    xp = array_namespace(rewards)
    weights: Array = xp.ones_like(rewards) if lengths is None else lengths
    same_shape("opo", rewards=rewards, lengths=weights)
    if not bool(xp.all(weights > 0)):
        raise ValueError(_check.complaint("lengths has entries of 0 or below", "above 0", "opo"))
    weighted = xp.sum(weights * rewards, axis=1, keepdims=True)
    return rewards - weighted / xp.sum(weights, axis=1, keepdims=True)
