"""Where the KL goes: into the reward or into the loss; and who sets its coefficient.

>>> round(AdaptiveKL(target=6.0, horizon=100.0)(0.2, kl=7.2, strings=10), 6)
0.204
"""

from dataclasses import dataclass

from array_api_compat import array_namespace

from bandit_rlhf import _check
from bandit_rlhf._masked import Array, detached, kept, tokens
from bandit_rlhf.contract import estimator
from bandit_rlhf.divergence.estimates import k1


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


def kl_in_loss(losses: Array, estimates: Array, mask: Array, *, beta: float) -> Array:
    """Losses of tokens plus beta times estimates of KL through which the gradient flows.

    Which gradient that is depends on the estimate: see `estimates`.

    Args:
        losses: [string, token].
        estimates: of KL, [string, token].
        mask: [string, token], true where the token participates.
        beta: coefficient, at least 0.

    Returns:
        [string, token], 0 at pads.

    >>> import numpy as np
    >>> one = np.ones((1, 1))
    >>> kl_in_loss(one, 4 * one, one, beta=0.25)
    array([[2.]])
    """
    tokens("kl_in_loss", mask, losses=losses, estimates=estimates)
    beta = _check.non_negative("beta", beta, "kl_in_loss")
    return kept(losses, mask) + beta * kept(estimates, mask)


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
        """The next coefficient after `strings` strings with a mean KL of `kl` nats."""
        beta = _check.positive("beta", beta, "AdaptiveKL")
        error = min(max(float(kl) / self.target - 1, -0.2), 0.2)
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
