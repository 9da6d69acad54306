"""Best-of-n: draw n strings from the reference and keep the one with the highest reward.

With F the distribution function of the reward under the reference and F_ its left limit, the reward
of the winner has the law P(level) = F^n - F_^n, and among equal rewards the winner is distributed
as the reference is (ties broken by a fair draw).
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from bandit_rlhf import _check
from bandit_rlhf.contract import estimator


@estimator("best_of_n", claims={"law", "kl_bound", "identity", "monotone"})
def best_of_n_law(law: ArrayLike, reward: ArrayLike, n: int) -> np.ndarray:
    """The law of the best of n independent draws.

    P(y) = (F(r(y))^n - F_(r(y))^n) ref(y) / P_ref(reward = r(y))

    Args:
        law: reference probabilities [atom]; the atoms may be strings or reward levels.
        reward: rewards [atom], finite.
        n: number of draws, at least 1.

    Returns:
        probabilities [atom].

    Source: Beirami et al. 2024 (arXiv:2401.01879), lemma 1, extended to ties. Theorem 20; law B1.

    >>> best_of_n_law([0.5, 0.25, 0.25], [0.0, 1.0, 1.0], n=2)
    array([0.25 , 0.375, 0.375])
    """
    law, level, mass, at_most = _levels(law, reward)
    n = _check.integer_at_least("n", n, 1, "best_of_n_law")
    return (_won(mass, at_most, n) / np.where(mass > 0, mass, 1.0))[level] * law


def best_of_n_kl(law: ArrayLike, reward: ArrayLike, n: int) -> float:
    """KL(best of n || ref) in nats, exactly: the sum over reward levels of P ln(P / ref).

    It is at most ln n - (n-1)/n (theorem 36), and close to it where no single reward has much mass:
    Beirami et al. 2024 (arXiv:2401.01879), theorem 1. Law B3.

    >>> round(best_of_n_kl([0.5, 0.5], [0.0, 1.0], n=2), 4)
    0.1308
    """
    _, _, mass, at_most = _levels(law, reward)
    n = _check.integer_at_least("n", n, 1, "best_of_n_kl")
    won = _won(mass, at_most, n)
    some = won > 0
    return float((won[some] * np.log(won[some] / mass[some])).sum())


def best_of_n_chi_squared(law: ArrayLike, reward: ArrayLike, n: int) -> float:
    """chi^2(best of n || ref) = sum over reward levels of P^2 / ref - 1."""
    _, _, mass, at_most = _levels(law, reward)
    n = _check.integer_at_least("n", n, 1, "best_of_n_chi_squared")
    won = _won(mass, at_most, n)
    some = mass > 0
    return float(((won[some] - mass[some]) ** 2 / mass[some]).sum())


def win_rate(law: ArrayLike, other: ArrayLike, reward: ArrayLike) -> float:
    """P(r(y) > r(y')) + P(r(y) = r(y'))/2 for independent y ~ law, y' ~ other; ties count a half.

    For best of n against its reference it is at most n/(n+1) (theorem 36).
    """
    first = _check.distribution("law", law, "win_rate")
    second = _check.distribution("other", other, "win_rate")
    reward = _check.finite("reward", reward, "win_rate")
    for name, one in (("other", second), ("reward", reward)):
        _check.shaped(name, one, first.shape, "atom, as law", "win_rate")
    values, level = np.unique(reward, return_inverse=True)
    first = np.bincount(level, first, len(values))
    second = np.bincount(level, second, len(values))
    below = np.cumsum(second) - second
    return float(first @ (below + second / 2))


@estimator("pass_at_k", claims={"combinatorial", "large"})
def pass_at_k(n: int, c: int, k: int) -> float:
    """The probability that k of n samples, drawn without replacement, hold one of c correct ones.

    pass@k = 1 - C(n-c, k) / C(n, k) = 1 - prod_{i=n-c+1..n} (1 - k/i)

    Unbiased for 1 - (1 - p)^k when the n samples are independent; 1 - (1 - c/n)^k is biased low.

    Args:
        n: samples, at least 1.
        c: correct ones, within 0 to n.
        k: within 1 to n.

    Returns:
        a probability.

    Raises:
        ValueError: counts that do not fit together.

    Laws: B2, B6. Source: Chen et al. 2021 (2107.03374), equation 1.

    >>> pass_at_k(4, 2, 2), pass_at_k(4, 0, 2)
    (0.8333333333333333, 0.0)
    """
    n = _check.integer_at_least("n", n, 1, "pass_at_k")
    c = _check.integer_at_least("c", c, 0, "pass_at_k")
    k = _check.integer_at_least("k", k, 1, "pass_at_k")
    if max(c, k) > n:
        got = f"n, c, k = {n}, {c}, {k}"
        raise ValueError(_check.complaint(got, "c <= n and k <= n", "pass_at_k"))
    # Where no k samples miss every correct one, i reaches k and the product is 0.
    return 1.0 - math.prod(1 - k / i for i in range(n - c + 1, n + 1))


@estimator("max_of_k", claims={"unbiased", "subsets"})
def max_of_k(rewards: ArrayLike, k: int) -> float:
    """The mean over all subsets of k draws of their largest reward: unbiased for E max of k.

    sum_i C(i-1, k-1)/C(n, k) r_(i),   r_(1) <= ... <= r_(n)

    Args:
        rewards: of n independent draws, [draw], finite.
        k: within 1 to n.

    Returns:
        a number in the rewards' unit.

    Raises:
        ValueError: k above n, for which there is no such subset; a reward that is not finite.

    Law B6. Pass@k is this for rewards 0 and 1. Source: Chen et al. 2021 (2107.03374), generalised.

    >>> round(max_of_k([0.0, 1.0, 0.0], k=2), 6)
    0.666667
    """
    values = np.sort(_check.finite("rewards", rewards, "max_of_k"))
    k = _check.integer_at_least("k", k, 1, "max_of_k")
    if values.ndim != 1 or k > len(values):
        got = f"k is {k} for rewards of shape {values.shape}"
        raise ValueError(_check.complaint(got, "at most the number of draws", "max_of_k"))
    n = len(values)
    shares = [math.comb(i, k - 1) / math.comb(n, k) for i in range(k - 1, n)]
    return float(np.dot(shares, values[k - 1 :]))


def _levels(
    law: ArrayLike, reward: ArrayLike
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Law [atom], level of each atom, and by rising level the mass and the mass at or below it."""
    law = _check.distribution("law", law, "best of n")
    reward = _check.finite("reward", reward, "best of n")
    _check.shaped("reward", reward, (law.size,), "atom", "best of n")
    values, level = np.unique(reward, return_inverse=True)
    mass = np.bincount(level, law, len(values))
    at_most = np.cumsum(mass)
    # A sum of 1 - 1e-10 is one by the judge's tolerance, but its n-th power may be far from it.
    return law, level, mass / at_most[-1], at_most / at_most[-1]


def _won(mass: np.ndarray, at_most: np.ndarray, n: int) -> np.ndarray:
    """F^n - F_^n = F^n (1 - (1 - mass/F)^n), without cancellation where the mass is small."""
    ratio = mass / np.where(at_most > 0, at_most, 1.0)
    with np.errstate(divide="ignore"):
        return at_most**n * -np.expm1(n * np.log1p(-ratio))
