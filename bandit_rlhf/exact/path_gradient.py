"""Gradients of expectations over all paths, in the logits of a policy on a lattice.

The logits are logit_t(s, a), so that ln pi_t(a|s) = logit_t(s,a) - ln sum_b exp logit_t(s,b). As
on the tree, one kernel serves every sum along the string: with mass_t(s) the probability of being
in state s at step t,

    d/dlogit_t(s,a) sum_y pi(y) f(y) = mass_t(s) pi_t(a|s) (Q_t(s,a) - V_t(s))

(Sutton et al. 1999, theorem 1), where f may be paid step by step.
"""

from dataclasses import dataclass

import numpy as np

from bandit_rlhf._array import Float
from bandit_rlhf.exact.lattice import Lattice, LatticePolicy, Payoff
from bandit_rlhf.exact.path_sum import forward
from bandit_rlhf.objective import over_prompts


@dataclass(frozen=True, eq=False)
class PathGradient:
    """An expectation with its gradient.

    Args:
        value: sum_x p(x) J_x.
        by_prompt: J_x [prompt].
        gradient: d value / d logits [step, state, action].
    """

    value: float
    by_prompt: Float[np.ndarray, " prompt"]
    gradient: Float[np.ndarray, "step state action"]


def expected_reward(policy: LatticePolicy, payoff: Payoff) -> PathGradient:
    """J(pi) = sum_x p(x) sum_y pi(y|x) r(y) and its gradient: the policy gradient."""
    policy.lattice.judge(payoff)
    edge = np.broadcast_to(payoff.edge, policy.log_probs.shape)
    return _of_sum(policy, edge, payoff.truncated)


def kl(policy: LatticePolicy, other: LatticePolicy) -> PathGradient:
    """KL(pi || other) and its gradient: that of E ln(pi / other), the ratio held fixed.

    Infinite, with a gradient that is NaN, where `other` lacks support that pi visits.
    """
    policy.lattice.judge(other)
    with np.errstate(invalid="ignore"):
        ratio = np.where(_impossible(policy), 0.0, policy.log_probs - other.log_probs)
    return _of_sum(policy, ratio)


def kl_from(other: LatticePolicy, policy: LatticePolicy) -> PathGradient:
    """KL(other || pi) and its gradient in pi's logits, mass_t(s) (pi_t(a|s) - other_t(a|s)).

    The masses are those of `other`: it is the score of its strings, averaged.
    """
    policy.lattice.judge(other)
    lattice = policy.lattice
    with np.errstate(invalid="ignore"):
        ratio = np.where(_impossible(other), 0.0, other.log_probs - policy.log_probs)
    value = _of_sum(other, ratio)
    probs = other.probs
    gradient = policy.probs - probs
    gradient *= _masses(lattice, probs)[:, :, None]
    return PathGradient(value.value, value.by_prompt, gradient)


def entropy(policy: LatticePolicy) -> PathGradient:
    """The sequence entropy H(pi) = -sum_y pi ln pi and its gradient.

    >>> from bandit_rlhf.language import Language
    >>> from bandit_rlhf.ngram import MarkovPolicy
    >>> coin = Language(("heads", "tails"), 3)
    >>> lattice = Lattice.build(MarkovPolicy.from_probs(coin, 0, [[0.5, 0.5]]), {})
    >>> found = entropy(lattice.reference)                # largest at the uniform policy: 3 ln 2
    >>> round(found.value, 6), bool(np.abs(found.gradient).max() < 1e-15)
    (2.079442, True)
    """
    return _of_sum(policy, np.where(_impossible(policy), 0.0, -policy.log_probs))


def chi_squared(policy: LatticePolicy, other: LatticePolicy) -> PathGradient:
    """chi^2(pi || other) = sum_y pi^2 / other - 1 and its gradient.

    Infinite, with a gradient that is NaN, where `other` lacks support that pi visits.
    The gradient is 2 E_pi[(pi / other) grad ln pi]. With through_t(s,a) the sum of pi^2 / other
    over the strings that pass (s,a) at step t, weighed by the prompt law, that is
    2 (through_t(s,a) - pi_t(a|s) sum_b through_t(s,b)).
    """
    policy.lattice.judge(other)
    lattice, size = policy.lattice, policy.lattice.language.vocabulary_size
    with np.errstate(invalid="ignore", over="ignore"):
        factor = np.exp(2 * policy.log_probs - other.log_probs)
    factor[_impossible(policy)] = 0.0
    below = np.empty_like(factor)
    value = np.ones(lattice.state_count)
    for step in reversed(range(lattice.language.horizon)):
        following = np.ones_like(factor[step])
        following[:, :size] = value[lattice.successor]
        # An impossible action counts for nothing, whatever lies behind it.
        below[step] = factor[step] * np.where(factor[step] > 0, following, 0.0)
        value = below[step].sum(axis=1)
    by_prompt = value[lattice.start] - 1.0
    if not np.isfinite(factor).all():
        nowhere = np.full_like(factor, np.nan)
        return PathGradient(over_prompts(lattice.prompt_law, by_prompt), by_prompt, nowhere)
    through = below * _masses(lattice, factor)[:, :, None]
    gradient = 2 * (through - policy.probs * through.sum(axis=2, keepdims=True))
    return PathGradient(over_prompts(lattice.prompt_law, by_prompt), by_prompt, gradient)


def token_entropy(policy: LatticePolicy) -> PathGradient:
    """The mean token entropy E_y (1/|y|) sum_t H(pi_t(. | s_t)) and its gradient.

    Three things change with a logit: which strings are written, with the entropy met so far (`met`)
    and what is left (`left`) both divided by the length to come (`inverse`), and the state's own
    entropy.
    """
    lattice, size = policy.lattice, policy.lattice.language.vocabulary_size
    horizon, probs = lattice.language.horizon, policy.probs
    logs = np.where(probs > 0, policy.log_probs, 0.0)
    spread = -(probs * logs).sum(axis=2)
    # E[1/|y|] and E[(1/|y|) sum of the entropies still to come] after each action, at each state.
    inverse_after, left_after = np.empty_like(probs), np.zeros_like(probs)
    inverse, left = np.full(lattice.state_count, 1.0 / horizon), np.zeros(lattice.state_count)
    inverses = np.empty(spread.shape)
    for step in reversed(range(horizon)):
        inverse_after[step] = 1.0 / (step + 1)
        inverse_after[step, :, :size] = inverse[lattice.successor]
        left_after[step, :, :size] = left[lattice.successor]
        inverse = inverses[step] = (probs[step] * inverse_after[step]).sum(axis=1)
        left = spread[step] * inverse + (probs[step] * left_after[step]).sum(axis=1)
    by_prompt = left[lattice.start]

    gradient = np.empty_like(probs)
    mass, met = _start(lattice), np.zeros(lattice.state_count)
    for step in range(horizon):
        met = met + mass * spread[step]
        payoff = met[:, None] * inverse_after[step] + mass[:, None] * left_after[step]
        payoff -= (probs[step] * payoff).sum(axis=1, keepdims=True)
        own = -(logs[step] + spread[step, :, None]) * (mass * inverses[step])[:, None]
        gradient[step] = probs[step] * (payoff + own)
        mass, met = (forward(lattice, amount, probs[step]) for amount in (mass, met))
    return PathGradient(over_prompts(lattice.prompt_law, by_prompt), by_prompt, gradient)


def _of_sum(
    policy: LatticePolicy,
    edge: Float[np.ndarray, "step state action"],
    truncated: Float[np.ndarray, " state"] | float = 0.0,
) -> PathGradient:
    """The kernel: sum_y pi(y) f(y) and its gradient, for f paid step by step and held fixed."""
    lattice, size = policy.lattice, policy.lattice.language.vocabulary_size
    probs, value = policy.probs, np.zeros(lattice.state_count) + truncated
    advantage = edge.copy()
    for step in reversed(range(lattice.language.horizon)):
        advantage[step, :, :size] += value[lattice.successor]
        with np.errstate(invalid="ignore"):
            value = np.where(probs[step] > 0, probs[step] * advantage[step], 0.0).sum(axis=1)
            advantage[step] -= value[:, None]
    by_prompt = value[lattice.start]
    with np.errstate(invalid="ignore"):
        gradient = advantage * probs * _masses(lattice, probs)[:, :, None]
    return PathGradient(over_prompts(lattice.prompt_law, by_prompt), by_prompt, gradient)


def _impossible(policy: LatticePolicy) -> np.ndarray:
    return np.isneginf(policy.log_probs)


def _start(lattice: Lattice) -> Float[np.ndarray, " state"]:
    """The prompt law, as mass on the starting states."""
    return np.bincount(lattice.start, lattice.prompt_law, lattice.state_count)


def _masses(
    lattice: Lattice, weights: Float[np.ndarray, "step state action"]
) -> Float[np.ndarray, "step state"]:
    """The weight with which each state is reached at each step."""
    masses = np.empty(weights.shape[:2])
    mass = _start(lattice)
    for step, row in enumerate(weights):
        masses[step] = mass
        mass = forward(lattice, mass, row)
    return masses
