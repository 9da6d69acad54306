"""Best-of-n: draw n strings from the reference and keep the one with the highest reward.

With F the distribution function of the reward under the reference and F_ its left limit, the reward
of the winner has the law P(level) = F^n - F_^n, and among equal rewards the winner is distributed
as the reference is (ties broken by a fair draw).
"""

import numpy as np
from numpy.typing import ArrayLike

from bandit_rlhf import _check


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
    ratio = np.minimum(mass / np.where(at_most > 0, at_most, 1.0), 1.0)
    with np.errstate(divide="ignore"):
        return at_most**n * -np.expm1(n * np.log1p(-ratio))
