"""Expectations over all paths of a lattice, by one backward sweep each.

    V_t(s) = sum_a pi_t(a|s) (payoff(s,a) + V_{t+1}(s a)),    V_H(s) = payoff of truncation

Rewards, KL and entropy are sums along the string and go through this one recursion (KL and entropy
by the chain rule, theorems 8 and 9); chi-squared is a product along the string and goes through its
logarithm.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bandit_rlhf import _check
from bandit_rlhf._array import Float
from bandit_rlhf.exact.lattice import Lattice, LatticePolicy, Payoff


@dataclass(frozen=True, eq=False)
class PathSum:
    """An exact expectation under a policy on a lattice.

    Args:
        value: sum_x p(x) J_x.
        by_prompt: J_x [prompt].
    """

    value: float
    by_prompt: Float[np.ndarray, " prompt"]


@dataclass(frozen=True, eq=False)
class PathGradient:
    """An expectation with its gradient in the logits of the policy.

    Args:
        value: sum_x p(x) J_x.
        by_prompt: J_x [prompt].
        advantage: Q_t(s,a) - V_t(s) [step, state, action]; the natural gradient in the logits.
        gradient: d value / d logits = visits_t(s) pi_t(a|s) advantage [step, state, action].
    """

    value: float
    by_prompt: Float[np.ndarray, " prompt"]
    advantage: Float[np.ndarray, "step state action"]
    gradient: Float[np.ndarray, "step state action"]


def expected_reward(policy: LatticePolicy, payoff: Payoff) -> PathSum:
    """J(pi) = sum_x p(x) sum_y pi(y|x) r(y).

    >>> from bandit_rlhf.automaton import length
    >>> from bandit_rlhf.language import Language
    >>> from bandit_rlhf.ngram import MarkovPolicy
    >>> letters = Language(("a", "b"), 200, "$")
    >>> lattice = Lattice.build(
    ...     MarkovPolicy.from_probs(letters, 0, [[0.25, 0.25, 0.5]]), {"length": length(letters)}
    ... )
    >>> expected_reward(lattice.reference, lattice.payoffs["length"]).value
    2.0
    """
    return _expected_sum(policy, lambda _: payoff.edge, payoff.truncated)


def kl(policy: LatticePolicy, other: LatticePolicy) -> PathSum:
    """KL(pi || other) by the chain rule, infinite where `other` lacks support that pi visits."""

    def log_ratio(step: int) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            difference = policy.log_probs[step] - other.log_probs[step]
        return np.where(np.isneginf(policy.log_probs[step]), 0.0, difference)

    return _expected_sum(policy, log_ratio, np.zeros(policy.lattice.state_count))


def entropy(policy: LatticePolicy) -> PathSum:
    """The sequence entropy H(pi) = -sum_y pi ln pi."""

    def surprise(step: int) -> np.ndarray:
        logs = policy.log_probs[step]
        return np.where(np.isneginf(logs), 0.0, -logs)

    return _expected_sum(policy, surprise, np.zeros(policy.lattice.state_count))


def token_entropy(policy: LatticePolicy) -> PathSum:
    """The mean token entropy E_y (1/|y|) sum_t H(pi_t(. | s_t)).

    Two sums go forward together: the mass in each state, and the entropy met so far times that
    mass; where a string of length t ends, its share is divided by t.
    """
    lattice, size = policy.lattice, policy.lattice.language.vocabulary_size
    horizon, by_prompt = lattice.language.horizon, np.zeros(len(lattice.prompts))
    for x, start in enumerate(lattice.start):
        mass, met = np.zeros(lattice.state_count), np.zeros(lattice.state_count)
        mass[start] = 1.0
        for step in range(horizon):
            probs = np.exp(policy.log_probs[step])
            spread = -(probs * np.where(probs > 0, policy.log_probs[step], 0.0)).sum(axis=1)
            met += mass * spread
            if probs.shape[1] > size:
                by_prompt[x] += float(met @ probs[:, size]) / (step + 1)
            mass, met = _forward(lattice, mass, probs), _forward(lattice, met, probs)
        by_prompt[x] += met.sum() / horizon
    return _over_prompts(lattice, by_prompt)


def chi_squared(policy: LatticePolicy, other: LatticePolicy) -> PathSum:
    """chi^2(pi || other) = sum_y pi^2 / other - 1, in logarithms along the paths.

    Infinite where `other` lacks support that pi visits, or beyond the floating range.
    """
    lattice, size = policy.lattice, policy.lattice.language.vocabulary_size
    value = np.zeros(lattice.state_count)
    for step in reversed(range(lattice.language.horizon)):
        logs = policy.log_probs[step]
        with np.errstate(invalid="ignore"):
            scores = 2 * logs - other.log_probs[step]
            scores[:, :size] += value[lattice.successor]
        # An impossible action counts for nothing, whatever lies behind it.
        value = _log_sum_exp(np.where(np.isneginf(logs), -np.inf, scores))
    with np.errstate(over="ignore"):
        return _over_prompts(lattice, np.expm1(value[lattice.start]))


def second_moment(policy: LatticePolicy, first: Payoff, second: Payoff) -> PathSum:
    """E[r_1(y) r_2(y)] under a policy; with the means it gives variances and correlations.

    M_t(s) = sum_a pi (e_1 e_2 + e_1 V_2(sa) + e_2 V_1(sa) + M(sa)).
    """
    lattice, size = policy.lattice, policy.lattice.language.vocabulary_size
    values = [first.truncated, second.truncated]
    moment = first.truncated * second.truncated
    for step in reversed(range(lattice.language.horizon)):
        probs = np.exp(policy.log_probs[step])
        totals = [first.edge.copy(), second.edge.copy()]
        for total, value in zip(totals, values, strict=True):
            total[:, :size] += value[lattice.successor]
        # e_1 e_2 + e_1 V_2 + e_2 V_1 = (e_1 + V_1)(e_2 + V_2) - V_1 V_2.
        squares = totals[0] * totals[1]
        squares[:, :size] += (moment - values[0] * values[1])[lattice.successor]
        moment = (probs * squares).sum(axis=1)
        values = [(probs * total).sum(axis=1) for total in totals]
    return _over_prompts(lattice, moment[lattice.start])


def policy_gradient(policy: LatticePolicy, payoff: Payoff) -> PathGradient:
    """The expected reward with advantages and gradient in the logits of a time-dependent policy.

    dJ / dlogit_t(s,a) = visits_t(s) pi_t(a|s) (Q_t(s,a) - V_t(s))

    Sutton et al. 1999, theorem 1. The natural gradient of a tabular softmax is the advantage alone:
    Kakade 2001.
    """
    lattice, size = policy.lattice, policy.lattice.language.vocabulary_size
    horizon, value = lattice.language.horizon, payoff.truncated
    advantage = np.empty(policy.log_probs.shape)
    for step in reversed(range(horizon)):
        advantage[step] = payoff.edge
        advantage[step, :, :size] += value[lattice.successor]
        value = np.einsum("sa,sa->s", np.exp(policy.log_probs[step]), advantage[step])
        advantage[step] -= value[:, None]
    gradient = np.exp(policy.log_probs)
    mass = np.bincount(lattice.start, lattice.prompt_law, lattice.state_count)
    for step in range(horizon):
        following = _forward(lattice, mass, gradient[step])
        gradient[step] *= mass[:, None] * advantage[step]
        mass = following
    total = _over_prompts(lattice, value[lattice.start])
    return PathGradient(total.value, total.by_prompt, advantage, gradient)


def visits(policy: LatticePolicy) -> Float[np.ndarray, "step state"]:
    """The probability of writing a token at step t in state s, prompts weighed by their law."""
    lattice = policy.lattice
    mass = np.bincount(lattice.start, lattice.prompt_law, lattice.state_count)
    result = np.empty((lattice.language.horizon, lattice.state_count))
    for step in range(lattice.language.horizon):
        result[step] = mass
        mass = _forward(lattice, mass, np.exp(policy.log_probs[step]))
    return result


def gibbs_optimum(
    lattice: Lattice, payoff: Payoff, beta: float, reference: LatticePolicy | None = None
) -> tuple[LatticePolicy, PathSum]:
    """The policy that maximises E r - beta KL(pi || ref), and its value, by soft-Bellman recursion.

    pi_t(a|s) = ref(a|s) exp((e(s,a) + V_{t+1}(sa) - V_t(s)) / beta)
    V_t(s)    = beta ln sum_a ref(a|s) exp((e(s,a) + V_{t+1}(sa)) / beta),    V_0 = beta ln Z

    Exact for the whole-string problem (theorems 10 and 11), since what is left to earn depends on
    the prefix through its state alone.

    Args:
        lattice: the problem.
        payoff: the reward.
        beta: weight of the KL term, above 0.
        reference: ref; the lattice's own if None.
    """
    do = "Without a KL penalty the optimum is greedy: see exact.viterbi.best_string."
    beta = _check.positive("beta", beta, "gibbs_optimum", do)
    reference = reference or lattice.reference
    size = lattice.language.vocabulary_size
    log_probs = np.empty(reference.log_probs.shape)
    value = payoff.truncated / beta
    edge = payoff.edge / beta
    for step in reversed(range(lattice.language.horizon)):
        scores = np.add(reference.log_probs[step], edge, out=log_probs[step])
        scores[:, :size] += value[lattice.successor]
        value = _log_sum_exp(scores)
        scores -= value[:, None]
    return LatticePolicy(lattice, log_probs), _over_prompts(lattice, beta * value[lattice.start])


def softmax(lattice: Lattice, logits: Float[np.ndarray, "step state action"]) -> LatticePolicy:
    """The policy with the given logits: ln pi_t(a|s) = logit_t(s,a) - ln sum_b exp logit_t(s,b)."""
    flat = logits.reshape(-1, logits.shape[-1])
    return LatticePolicy(lattice, (flat - _log_sum_exp(flat)[:, None]).reshape(logits.shape))


def _expected_sum(
    policy: LatticePolicy,
    edge: Callable[[int], np.ndarray],
    truncated: Float[np.ndarray, " state"],
) -> PathSum:
    """The recursion of this module, for payoffs `edge(step)` [state, action]."""
    lattice, size, value = policy.lattice, policy.lattice.language.vocabulary_size, truncated
    for step in reversed(range(lattice.language.horizon)):
        payoff = edge(step).copy()
        payoff[:, :size] += value[lattice.successor]
        probs = np.exp(policy.log_probs[step])
        # An impossible action earns nothing, whatever lies behind it.
        with np.errstate(invalid="ignore"):
            value = np.where(probs > 0, probs * payoff, 0.0).sum(axis=1)
    return _over_prompts(lattice, value[lattice.start])


def _over_prompts(lattice: Lattice, by_prompt: Float[np.ndarray, " prompt"]) -> PathSum:
    """All J_x with sum_x p(x) J_x; a prompt that never comes does not count, infinite or not."""
    possible = lattice.prompt_law > 0
    return PathSum(float(lattice.prompt_law[possible] @ by_prompt[possible]), by_prompt)


def _forward(lattice: Lattice, mass: np.ndarray, probs: np.ndarray) -> Float[np.ndarray, " state"]:
    """The mass in each state after one more ordinary token."""
    moving = mass[:, None] * probs[:, : lattice.language.vocabulary_size]
    return np.bincount(lattice.successor.ravel(), moving.ravel(), lattice.state_count)


def _log_sum_exp(scores: Float[np.ndarray, "state action"]) -> Float[np.ndarray, " state"]:
    largest = scores.max(axis=1)
    anchor = np.where(np.isfinite(largest), largest, 0.0)
    with np.errstate(divide="ignore", over="ignore"):
        return anchor + np.log(np.exp(scores - anchor[:, None]).sum(axis=1))
