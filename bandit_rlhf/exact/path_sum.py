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
from bandit_rlhf.objective import over_prompts


@dataclass(frozen=True, eq=False)
class PathSum:
    """An exact expectation under a policy on a lattice.

    Args:
        value: sum_x p(x) J_x.
        by_prompt: J_x [prompt].
    """

    value: float
    by_prompt: Float[np.ndarray, " prompt"]


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
    policy.lattice.judge(payoff)
    return _expected_sum(policy, lambda _: payoff.edge, payoff.truncated)


def kl(policy: LatticePolicy, other: LatticePolicy) -> PathSum:
    """KL(pi || other) by the chain rule, infinite where `other` lacks support that pi visits."""
    policy.lattice.judge(other)

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
            probs = policy.probs[step]
            spread = -(probs * np.where(probs > 0, policy.log_probs[step], 0.0)).sum(axis=1)
            met += mass * spread
            if probs.shape[1] > size:
                by_prompt[x] += float(met @ probs[:, size]) / (step + 1)
            mass, met = forward(lattice, mass, probs), forward(lattice, met, probs)
        by_prompt[x] += met.sum() / horizon
    return _path_sum(lattice, by_prompt)


def chi_squared(policy: LatticePolicy, other: LatticePolicy) -> PathSum:
    """chi^2(pi || other) = sum_y pi^2 / other - 1, in logarithms along the paths.

    Infinite where `other` lacks support that pi visits, or beyond the floating range.
    """
    policy.lattice.judge(other)
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
        return _path_sum(lattice, np.expm1(value[lattice.start]))


def second_moment(policy: LatticePolicy, first: Payoff, second: Payoff) -> PathSum:
    """E[r_1(y) r_2(y)] under a policy; with the means it gives variances and correlations.

    M_t(s) = sum_a pi (e_1 e_2 + e_1 V_2(sa) + e_2 V_1(sa) + M(sa)).
    """
    policy.lattice.judge(first, second)
    lattice, size = policy.lattice, policy.lattice.language.vocabulary_size
    values = [first.truncated, second.truncated]
    moment = first.truncated * second.truncated
    for step in reversed(range(lattice.language.horizon)):
        probs = policy.probs[step]
        totals = [first.edge.copy(), second.edge.copy()]
        for total, value in zip(totals, values, strict=True):
            total[:, :size] += value[lattice.successor]
        # e_1 e_2 + e_1 V_2 + e_2 V_1 = (e_1 + V_1)(e_2 + V_2) - V_1 V_2.
        squares = totals[0] * totals[1]
        squares[:, :size] += (moment - values[0] * values[1])[lattice.successor]
        moment = (probs * squares).sum(axis=1)
        values = [(probs * total).sum(axis=1) for total in totals]
    return _path_sum(lattice, moment[lattice.start])


def advantage(policy: LatticePolicy, payoff: Payoff) -> Float[np.ndarray, "step state action"]:
    """Q_t(s,a) - V_t(s): what an action earns more than the policy does from there.

    It is the natural gradient of the expected reward in the logits logit_t(s,a): Kakade 2001.
    """
    policy.lattice.judge(payoff)
    lattice, size, value = policy.lattice, policy.lattice.language.vocabulary_size, payoff.truncated
    result = np.empty(policy.log_probs.shape)
    for step in reversed(range(lattice.language.horizon)):
        result[step] = payoff.edge
        result[step, :, :size] += value[lattice.successor]
        value = np.einsum("sa,sa->s", policy.probs[step], result[step])
        result[step] -= value[:, None]
    return result


def visits(policy: LatticePolicy) -> Float[np.ndarray, "step state"]:
    """The probability of writing a token at step t in state s, prompts weighed by their law."""
    lattice = policy.lattice
    mass = np.bincount(lattice.start, lattice.prompt_law, lattice.state_count)
    result = np.empty((lattice.language.horizon, lattice.state_count))
    for step in range(lattice.language.horizon):
        result[step] = mass
        mass = forward(lattice, mass, policy.probs[step])
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
    lattice.judge(reference, payoff)
    size = lattice.language.vocabulary_size
    log_probs = np.empty(reference.log_probs.shape)
    value = payoff.truncated / beta
    edge = payoff.edge / beta
    for step in reversed(range(lattice.language.horizon)):
        scores = np.add(reference.log_probs[step], edge, out=log_probs[step])
        scores[:, :size] += value[lattice.successor]
        value = _log_sum_exp(scores)
        scores -= value[:, None]
    return LatticePolicy(lattice, log_probs), _path_sum(lattice, beta * value[lattice.start])


def softmax(lattice: Lattice, logits: Float[np.ndarray, "step state action"]) -> LatticePolicy:
    """The policy with the given logits: ln pi_t(a|s) = logit_t(s,a) - ln sum_b exp logit_t(s,b)."""
    log_probs = np.empty(logits.shape)
    for step, rows in enumerate(logits):
        total = _log_sum_exp(rows)
        if not np.isfinite(total).all():
            state = int(np.argmin(np.isfinite(total)))
            got = f"ln sum exp of the logits of step {step}, state {state} is {total[state]}"
            do = "Allow one action at least, and no NaN or infinity."
            raise ValueError(_check.complaint(got, "finite", "path_sum.softmax", do))
        np.subtract(rows, total[:, None], out=log_probs[step])
    return LatticePolicy(lattice, log_probs)


def _expected_sum(
    policy: LatticePolicy,
    edge: Callable[[int], np.ndarray],
    truncated: Float[np.ndarray, " state"],
) -> PathSum:
    """The recursion of this module, for payoffs `edge(step)` [state, action]."""
    lattice, size, value = policy.lattice, policy.lattice.language.vocabulary_size, truncated
    for step in reversed(range(lattice.language.horizon)):
        probs, payoff, below = policy.probs[step], edge(step), value[lattice.successor]
        with np.errstate(invalid="ignore"):
            value = np.einsum("sa,sa->s", probs, payoff)
            value += np.einsum("sa,sa->s", probs[:, :size], below)
        if not np.isfinite(value).all():
            # An impossible action earns nothing, whatever lies behind it.
            value = np.where(probs > 0, payoff, 0.0)
            value[:, :size] += np.where(probs[:, :size] > 0, below, 0.0)
            value = (probs * value).sum(axis=1)
    return _path_sum(lattice, value[lattice.start])


def _path_sum(lattice: Lattice, by_prompt: Float[np.ndarray, " prompt"]) -> PathSum:
    return PathSum(over_prompts(lattice.prompt_law, by_prompt), by_prompt)


def forward(lattice: Lattice, mass: np.ndarray, probs: np.ndarray) -> Float[np.ndarray, " state"]:
    """The mass in each state after one more ordinary token."""
    moving = mass[:, None] * probs[:, : lattice.language.vocabulary_size]
    return np.bincount(lattice.successor.ravel(), moving.ravel(), lattice.state_count)


def _log_sum_exp(scores: Float[np.ndarray, "state action"]) -> Float[np.ndarray, " state"]:
    largest = scores.max(axis=1)
    anchor = np.where(np.isfinite(largest), largest, 0.0)
    with np.errstate(divide="ignore", over="ignore"):
        return anchor + np.log(np.exp(scores - anchor[:, None]).sum(axis=1))
