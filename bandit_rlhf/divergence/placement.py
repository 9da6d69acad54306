"""Where the KL goes: into the reward or into the loss; and who sets its coefficient.

>>> round(AdaptiveKL(target=6.0, horizon=100.0)(0.2, kl=7.2, strings=10), 6)
0.204
"""

from collections.abc import Callable
from dataclasses import dataclass

from array_api_compat import array_namespace

from bandit_rlhf import _check
from bandit_rlhf._masked import Array, detached, kept, tokens
from bandit_rlhf.contract import estimator
from bandit_rlhf.divergence.estimates import k1, k2


def kl_in_reward(
    rewards: Array, log_prob: Array, ref_log_prob: Array, mask: Array, *, beta: float
) -> Array:
    """Rewards of tokens minus beta times the detached log-ratio.

    r_t - beta stop(ln pi(y_t | y_<t) - ln ref(y_t | y_<t))

    A policy gradient on them follows E r - beta KL(pi || ref) (theorem 18, law K8).

    Args:
        rewards: [string, token], usually 0 but at the last token.
        log_prob: ln pi, [string, token].
        ref_log_prob: ln ref, [string, token].
        mask: [string, token], true where the token participates.
        beta: coefficient, at least 0, in the rewards' unit per nat.

    Returns:
        [string, token], 0 at pads.

    Source: Ziegler et al. 2019 (1909.08593), equation 2.

    >>> import numpy as np
    >>> one, mask = np.ones((1, 2)), np.asarray([[True, False]])
    >>> kl_in_reward(3 * one, -one, -2 * one, mask, beta=0.5)
    array([[2.5, 0. ]])
    """
    tokens("kl_in_reward", mask, rewards=rewards, log_prob=log_prob, ref_log_prob=ref_log_prob)
    beta = _check.non_negative("beta", beta, "kl_in_reward")
    ratio = k1(kept(detached(log_prob), mask), kept(detached(ref_log_prob), mask))
    return kept(rewards, mask) - beta * ratio


def kl_in_loss(
    losses: Array,
    log_prob: Array,
    ref_log_prob: Array,
    mask: Array,
    old_log_prob: Array | None = None,
    *,
    beta: float,
    estimate: Callable[..., Array] = k2,
) -> Array:
    """Losses of tokens plus beta times an estimate of KL through which the gradient flows.

    l_t + beta k(ln pi(y_t | y_<t), stop ln ref(y_t | y_<t))

    Which gradient that is depends on the estimate: see `estimates` and `weighted`.

    Args:
        losses: [string, token].
        log_prob: ln pi, [string, token].
        ref_log_prob: ln ref, [string, token].
        mask: [string, token], true where the token participates.
        old_log_prob: ln mu of the sampler, [string, token], for weighted estimates; None: others.
        beta: coefficient, at least 0.
        estimate: such as `k2` for draws of pi, `k3_weighted` for draws of mu.

    Returns:
        [string, token], 0 at pads.

    Raises:
        ValueError: shapes differ; beta below 0.

    >>> import numpy as np
    >>> one = np.ones((1, 1))
    >>> kl_in_loss(one, -one, -3 * one, one, beta=0.25)
    array([[1.5]])
    """
    tokens("kl_in_loss", mask, losses=losses, log_prob=log_prob, ref_log_prob=ref_log_prob)
    beta = _check.non_negative("beta", beta, "kl_in_loss")
    fixed = [ref_log_prob] if old_log_prob is None else [ref_log_prob, old_log_prob]
    kl = estimate(kept(log_prob, mask), *(kept(detached(x), mask) for x in fixed))
    return kept(losses, mask) + beta * kept(kl, mask)


@dataclass(frozen=True)
class AdaptiveKL:
    """A proportional controller that keeps the measured KL near a target.

    beta' = beta (1 + cut(KL/target - 1, -0.2, 0.2) strings/horizon)

    Rests exactly at the target (law K9).

    Attributes:
        target: KL of whole strings to keep, in nats, above 0.
        horizon: strings over which a full error acts, above 0.

    Source: Ziegler et al. 2019 (1909.08593), section 2.2.
    """

    target: float
    horizon: float = 10_000.0

    def __post_init__(self) -> None:
        """Judge the settings."""
        _check.positive("target", self.target, "AdaptiveKL")
        _check.positive("horizon", self.horizon, "AdaptiveKL")

    def __call__(self, beta: float, kl: float, strings: int = 1) -> float:
        """The next coefficient after `strings` strings with a mean KL of `kl` nats.

        Raises:
            ValueError: a KL that is not finite; so many strings that beta could turn negative.
        """
        beta = _check.positive("beta", beta, "AdaptiveKL")
        kl = _check.real("kl", float(kl), "AdaptiveKL")
        if not 0 < strings < 5 * self.horizon:
            got, expected = (
                f"strings is {strings}",
                f"within 1 to below 5 horizons = {5 * self.horizon:g}",
            )
            raise ValueError(_check.complaint(got, expected, "AdaptiveKL"))
        error = min(max(kl / self.target - 1, -0.2), 0.2)
        return beta * (1 + error * strings / self.horizon)


@estimator(
    "kl_controller",
    facts={"target": 6.0},
    settings={"target": 6.0, "horizon": 100.0, "strings": 10},
)
def adaptive_beta(beta: float, kl: float, *, target: float, horizon: float, strings: int) -> float:
    """`AdaptiveKL` as a function.

    >>> adaptive_beta(0.5, 6.0, target=6.0, horizon=100.0, strings=10)
    0.5
    """
    return AdaptiveKL(target, horizon)(beta, kl, strings)


def mean_kl(estimates: Array, mask: Array) -> Array:
    """The mean over strings of the sum over tokens: what a controller is to be fed.

    >>> import numpy as np
    >>> float(mean_kl(np.ones((2, 3)), np.asarray([[1, 1, 1], [1, 0, 0]])))
    2.0
    """
    tokens("mean_kl", mask, estimates=estimates)
    xp = array_namespace(estimates)
    return xp.mean(xp.sum(kept(estimates, mask), axis=1))
