"""What RLHF maximises, and the optima that have a closed form.

    J(pi) = E_pi r - beta KL(pi || ref) + tau H(pi)

All functions take laws as arrays whose last axis runs over the strings (or over any other finite
set of atoms, such as reward levels); leading axes, prompts for instance, are kept. Natural
logarithms.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bandit_rlhf import _check
from bandit_rlhf.contract import estimator

Numbers = Any
"""One number for every law: an array over the leading axes, or np.float64 if there are none."""


def expected_reward(law: ArrayLike, reward: ArrayLike) -> Numbers:
    """E_pi r = sum_y pi(y) r(y).

    Args:
        law: probabilities [..., string].
        reward: rewards [..., string].
    """
    law = _check.distribution("law", law, "expected_reward")
    reward = _check.finite("reward", reward, "expected_reward")
    return (law * _check.alike("reward", reward, "law", law, "string", "expected_reward")).sum(-1)


def over_prompts(prompt_law: ArrayLike, by_prompt: ArrayLike) -> float:
    """J = sum_x p(x) J_x; a prompt that never comes does not count, however infinite its J_x.

    Args:
        prompt_law: p [prompt].
        by_prompt: J_x [prompt].

    >>> over_prompts([1.0, 0.0], [0.25, float("inf")])
    0.25
    """
    law = _check.distribution("prompt_law", prompt_law, "over_prompts")
    possible = law > 0
    return float(law[possible] @ np.asarray(by_prompt, dtype=float)[possible])


@estimator(
    "law_divergence",
    claims={
        "non_negative",
        "pinsker",
        "variational",
        "chain_rule",
        "data_processing",
        "heavy_tail",
    },
)
def kl_divergence(law: ArrayLike, reference: ArrayLike) -> Numbers:
    """KL(pi || ref) = sum_y pi(y) ln(pi(y) / ref(y)) in nats, infinite where ref lacks support.

    Call it with the arguments exchanged for the other direction.

    Laws E10 to E14 and E16. Theorems 8, 26, 34, 35 and 37.

    >>> kl_divergence([0.5, 0.5], [0.25, 0.75]).round(4)
    np.float64(0.1438)
    """
    law = _check.distribution("law", law, "kl_divergence")
    reference = _check.distribution("reference", reference, "kl_divergence")
    _check.alike("reference", reference, "law", law, "string", "kl_divergence")
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(law > 0, law * (np.log(law) - np.log(reference)), 0.0).sum(axis=-1)


@estimator("law_divergence", claims={"non_negative", "pinsker", "data_processing", "transfer"})
def chi_squared(law: ArrayLike, reference: ArrayLike) -> Numbers:
    """chi^2(pi || ref) = sum_y pi(y)^2 / ref(y) - 1, infinite where ref lacks support.

    Laws E10, E11, E14 and E15. Theorem 33.
    """
    law = _check.distribution("law", law, "chi_squared")
    reference = _check.distribution("reference", reference, "chi_squared")
    _check.alike("reference", reference, "law", law, "string", "chi_squared")
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(law > 0, (law - reference) ** 2 / reference, reference).sum(axis=-1)


def entropy(law: ArrayLike) -> Numbers:
    """H(pi) = -sum_y pi(y) ln pi(y) in nats."""
    law = _check.distribution("law", law, "entropy")
    with np.errstate(divide="ignore", invalid="ignore"):
        return -np.where(law > 0, law * np.log(law), 0.0).sum(axis=-1)


@estimator(
    "optimum",
    claims={"gibbs", "log_ratio", "shift_invariant", "composes", "entropy_bonus", "support"}
    | {"amplifies", "mergeable", "dialogue"},
)
def gibbs(reference: ArrayLike, reward: ArrayLike, beta: float, tau: float = 0.0) -> np.ndarray:
    """The maximiser of E r - beta KL(pi || ref) + tau H(pi), unique (theorems 10 and 15).

    pi(y) = ref(y)^(beta/(beta+tau)) exp(r(y)/(beta+tau)) / Z

    Args:
        reference: ref [..., string].
        reward: r [..., string], finite.
        beta: weight of the KL term, above 0.
        tau: weight of the entropy bonus, at least 0.

    Returns:
        the law [..., string].

    Laws E1 to E9. Theorems 10, 12 to 15, 23, 25, 26 and 32.

    Source: Ziegler et al. 2019 (arXiv:1909.08593), section 2; Rafailov et al. 2023
        (arXiv:2305.18290), eq. 4.

    >>> gibbs([0.5, 0.5], [0.0, np.log(3.0)], beta=1.0)
    array([0.25, 0.75])
    """
    scores = _gibbs_scores(reference, reward, beta, tau)
    return np.exp(scores - _log_sum_exp(scores)[..., None])


def soft_value(reference: ArrayLike, reward: ArrayLike, beta: float, tau: float = 0.0) -> Numbers:
    """The optimum's value: (beta+tau) ln sum_y ref(y)^(beta/(beta+tau)) exp(r(y)/(beta+tau)).

    With tau = 0 it is beta ln Z, and any policy falls short of it by beta KL(pi || optimum)
    (theorem 10).
    """
    return (beta + tau) * _log_sum_exp(_gibbs_scores(reference, reward, beta, tau))


def regularised_value(
    law: ArrayLike, reference: ArrayLike, reward: ArrayLike, beta: float, tau: float = 0.0
) -> Numbers:
    """E_pi r - beta KL(pi || ref) + tau H(pi) of any policy."""
    beta = _check.non_negative("beta", beta, "regularised_value")
    tau = _check.non_negative("tau", tau, "regularised_value")
    penalty = beta * kl_divergence(law, reference) if beta else 0.0
    return expected_reward(law, reward) - penalty + tau * entropy(law)


def chi_squared_optimum(reference: ArrayLike, reward: ArrayLike, beta: float) -> np.ndarray:
    """The maximiser of E r - (beta/2) chi^2(pi || ref).

    pi(y) = ref(y) max(0, 1 + (r(y) - lambda) / beta), with lambda such that it sums to one; where
    no atom is cut, lambda is the mean reward under ref. Atoms enter in the order of their reward,
    and lambda is linear in between, so the sum is solved exactly by one sort.

    Source: the chi-squared ball of Huang et al. 2024 (arXiv:2407.13399), here without its KL part.

    >>> chi_squared_optimum([0.5, 0.5], [0.0, 1.0], beta=1.0)
    array([0.25, 0.75])
    """
    where = "chi_squared_optimum"
    reference = _check.distribution("reference", reference, where)
    reward = _check.finite("reward", reward, where)
    _check.alike("reward", reward, "reference", reference, "string", where)
    beta = _check.positive("beta", beta, where)
    reference, reward = np.broadcast_arrays(reference, reward)
    order = np.argsort(-reward, axis=-1, kind="stable")
    mass = np.take_along_axis(reference, order, axis=-1)
    falling = np.take_along_axis(reward, order, axis=-1)
    total = np.cumsum(mass, axis=-1)
    # With the best k atoms kept: sum_k ref (1 + (r - lambda)/beta) = 1.
    with np.errstate(divide="ignore", invalid="ignore"):
        threshold = (np.cumsum(mass * falling, axis=-1) + beta * (total - 1.0)) / total
    kept = (total > 0) & (falling > threshold - beta)
    last = kept.shape[-1] - 1 - np.argmax(kept[..., ::-1], axis=-1)
    multiplier = np.take_along_axis(threshold, last[..., None], axis=-1)
    return reference * np.maximum(0.0, 1.0 + (reward - multiplier) / beta)


@estimator("abstention")
def answers(probability: ArrayLike, penalty: float) -> np.ndarray:
    """Whether to answer, where right earns 1, wrong costs `penalty` and abstaining earns 0.

    answer iff p - lambda (1 - p) > 0, that is p > lambda / (1 + lambda) (theorem 24)

    Args:
        probability: p of being right [...], within 0 to 1.
        penalty: lambda, at least 0.

    Returns:
        1 where it answers, 0 where it abstains [...].

    Law E31. Source: Kalai et al. 2025 (arXiv:2509.04664), section 4.

    >>> answers([0.4, 0.6, 0.9], penalty=3.0)
    array([0, 0, 1])
    """
    probability = _check.finite("probability", probability, "answers")
    if probability.size and not 0 <= probability.min() <= probability.max() <= 1:
        got = f"probability lies within {probability.min():g} to {probability.max():g}"
        raise ValueError(_check.complaint(got, "within 0 to 1", "answers"))
    penalty = _check.non_negative("penalty", penalty, "answers")
    return (probability - penalty * (1 - probability) > 0).astype(np.int64)


def _gibbs_scores(reference: ArrayLike, reward: ArrayLike, beta: float, tau: float) -> np.ndarray:
    reference = _check.distribution("reference", reference, "gibbs")
    reward = _check.finite("reward", reward, "gibbs")
    _check.alike("reward", reward, "reference", reference, "string", "gibbs")
    do = "Without a KL penalty the optimum leaves the reference: use the greedy optimum instead."
    beta = _check.positive("beta", beta, "gibbs", do)
    tau = _check.non_negative("tau", tau, "gibbs")
    with np.errstate(divide="ignore"):
        return (beta * np.log(reference) + reward) / (beta + tau)


def _log_sum_exp(scores: np.ndarray) -> Numbers:
    largest = scores.max(axis=-1, keepdims=True)
    return largest[..., 0] + np.log(np.exp(scores - largest).sum(axis=-1))
