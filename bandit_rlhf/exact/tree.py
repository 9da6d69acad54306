"""Sums over every string of a language, with their gradients in the logits of a tabular policy.

Each quantity is J = sum_x p(x) J_x. One kernel computes sum_y pi(y|x) f(x,y) and its gradient

    dJ / dlogit(x, s, a) = p(x) pi(s|x) pi(a|s) (Q(s,a) - V(s)),

with Q and V the expected f below a node: the policy-gradient theorem on the prefix tree (Sutton et
al. 1999, theorem 1), level by level over contiguous arrays. Every other gradient is this one for
another f, because the score has mean zero (theorem 1). Work and memory are linear in the number of
logits.
"""

from dataclasses import dataclass

import numpy as np

from bandit_rlhf import _check
from bandit_rlhf._array import Float
from bandit_rlhf.bandit import ContextualBandit
from bandit_rlhf.language import Language
from bandit_rlhf.objective import over_prompts
from bandit_rlhf.policy import TabularPolicy, accumulate, as_level, entry_count

CACHE_BYTES = 2**19
"""Size of the blocks in which a level is swept, so that they stay in a core's cache."""


@dataclass(frozen=True, eq=False)
class TreeSum:
    """An exact expectation under a policy.

    Args:
        value: sum_x p(x) J_x.
        by_prompt: J_x [prompt].
        gradient: d value / d logits, in the layout of `TabularPolicy.logits` [prompt, entry].
    """

    value: float
    by_prompt: Float[np.ndarray, " prompt"]
    gradient: Float[np.ndarray, "prompt entry"]


def expected_reward(
    bandit: ContextualBandit, policy: TabularPolicy, memory_limit: int | None = None
) -> TreeSum:
    """J(pi) = sum_x p(x) sum_y pi(y|x) r(x,y), with its gradient.

    Args:
        bandit: prompt law and reward.
        policy: on the same language and prompts.
        memory_limit: bytes the sum may take; by default half of the machine's memory.

    Raises:
        ValueError: another language or other prompts; more strings than fit in memory.

    >>> language = Language(("a", "b"), 1)
    >>> bandit = ContextualBandit(language, [()], [1.0], [[0.0, 1.0]])
    >>> expected_reward(bandit, TabularPolicy.uniform(language, [()])).gradient
    array([[-0.25,  0.25]])
    """
    _same_problem(bandit, policy, memory_limit=memory_limit)
    return policy_gradient(bandit.prompt_law, policy, bandit.reward_table(memory_limit))


def kl(bandit: ContextualBandit, policy: TabularPolicy, reference: TabularPolicy) -> TreeSum:
    """KL(pi || ref) = sum_y pi ln(pi / ref), with its gradient in the logits of pi.

    Infinite, with a gradient that is NaN, where pi leaves the support of the reference.
    """
    _same_problem(bandit, policy)
    _same_problem(bandit, reference, "reference")
    log_law = policy.string_log_law()
    with np.errstate(invalid="ignore"):
        log_ratio = np.where(np.isneginf(log_law), 0.0, log_law - reference.string_log_law())
        return policy_gradient(bandit.prompt_law, policy, log_ratio)


def kl_from_reference(
    bandit: ContextualBandit, policy: TabularPolicy, reference: TabularPolicy
) -> TreeSum:
    """KL(ref || pi) = sum_y ref ln(ref / pi), with its gradient in the logits of pi.

    The gradient at a node is ref(s) (pi(a|s) - ref(a|s)): the score of the data, averaged.
    """
    _same_problem(bandit, policy)
    _same_problem(bandit, reference, "reference")
    log_ref = reference.string_log_law()
    law = np.exp(log_ref)
    with np.errstate(invalid="ignore"):
        log_ratio = np.where(law > 0, log_ref - policy.string_log_law(), 0.0)
    by_prompt = (law * log_ratio).sum(axis=1)
    difference = np.exp(policy.log_probs()) - np.exp(reference.log_probs())
    gradient = difference * visits(reference) * bandit.prompt_law[:, None]
    return TreeSum(over_prompts(bandit.prompt_law, by_prompt), by_prompt, gradient)


def entropy(bandit: ContextualBandit, policy: TabularPolicy) -> TreeSum:
    """The sequence entropy H(pi) = -sum_y pi ln pi, with its gradient."""
    _same_problem(bandit, policy)
    log_law = policy.string_log_law()
    return policy_gradient(bandit.prompt_law, policy, np.where(np.isneginf(log_law), 0.0, -log_law))


def token_entropy(bandit: ContextualBandit, policy: TabularPolicy) -> TreeSum:
    """The mean token entropy E_y (1/|y|) sum_t H(pi(. | x, y_<t)), with its gradient.

    It differs from sequence entropy per expected token whenever strings differ in length. Its
    gradient has two parts: strings are reweighted, and each node's entropy changes,
    dH(s)/dlogit(s,a) = -pi(a|s) (ln pi(a|s) + H(s)).
    """
    _same_problem(bandit, policy)
    language = policy.language
    log_probs = policy.log_probs()
    probs = np.exp(log_probs)
    safe_logs = np.where(probs > 0, log_probs, 0.0)
    spread = np.empty_like(probs)
    for level in range(language.horizon):
        node_entropy = -(
            as_level(language, probs, level) * as_level(language, safe_logs, level)
        ).sum(1)
        as_level(language, spread, level)[:] = node_entropy[:, None]
    per_token = accumulate(language, spread) / string_lengths(language)
    reweighted = policy_gradient(bandit.prompt_law, policy, per_token)
    inverse_length = _expected_below(
        policy, np.broadcast_to(1.0 / string_lengths(language), per_token.shape)
    )
    through_nodes = -probs * (safe_logs + spread) * visits(policy) * inverse_length
    gradient = reweighted.gradient + through_nodes * bandit.prompt_law[:, None]
    return TreeSum(reweighted.value, reweighted.by_prompt, gradient)


def chi_squared(
    bandit: ContextualBandit, policy: TabularPolicy, reference: TabularPolicy
) -> TreeSum:
    """chi^2(pi || ref) = E_pi[pi / ref - 1], with its gradient, 2 E_pi[(pi / ref) grad ln pi].

    Infinite, with a gradient that is NaN, where pi leaves the support of the reference.
    """
    _same_problem(bandit, policy)
    _same_problem(bandit, reference, "reference")
    log_law = policy.string_log_law()
    with np.errstate(invalid="ignore"):
        log_ratio = np.where(np.isneginf(log_law), -np.inf, log_law - reference.string_log_law())
        half = policy_gradient(bandit.prompt_law, policy, np.expm1(log_ratio))
    return TreeSum(half.value, half.by_prompt, 2.0 * half.gradient)


def policy_gradient(
    prompt_law: Float[np.ndarray, " prompt"],
    policy: TabularPolicy,
    payoff: Float[np.ndarray, "prompt string"],
) -> TreeSum:
    """sum_x p(x) sum_y pi(y|x) f(x,y) and its gradient, f held fixed: the kernel of this module.

    Reach goes down the tree; then one sweep a level, from the widest up, does values and gradient
    together in blocks that fit a core's cache. No exponential is taken twice: the narrow levels
    keep theirs from the way down.
    """
    language, last = policy.language, policy.language.horizon - 1
    size, with_end = language.vocabulary_size, language.end is not None
    gradient = np.empty_like(policy.logits)
    values = np.empty(len(policy.prompts))
    for x, weight in enumerate(prompt_law):
        logits, out, f = policy.logits[x : x + 1], gradient[x : x + 1], payoff[x]
        reach, kept = [np.array([weight])], []
        for level in range(last):
            weights, total = _weights(as_level(language, logits, level)[0])
            reach.append((weights[:size] * (reach[level] / total)).ravel())
            kept.append((weights, total))
        below = f[language.node_count(last + 1) if with_end else 0 :].reshape(size, -1)
        for level in range(last, -1, -1):
            ended = f[language.node_count(level) :][: size**level] if with_end else None
            value = _sweep(
                as_level(language, logits, level)[0],
                kept[level] if level < last else None,
                below,
                ended,
                reach[level],
                as_level(language, out, level)[0],
            )
            below = value.reshape(size, -1) if level else value
        values[x] = below[0]
    gradient[prompt_law == 0] = 0.0  # where an infinite payoff would make it 0 x NaN
    return TreeSum(over_prompts(prompt_law, values), values, gradient)


def _sweep(
    logits: Float[np.ndarray, "action node"],
    kept: tuple[np.ndarray, np.ndarray] | None,
    below: Float[np.ndarray, "token node"],
    ended: Float[np.ndarray, " node"] | None,
    reach: Float[np.ndarray, " node"],
    gradient: Float[np.ndarray, "action node"],
) -> Float[np.ndarray, " node"]:
    """Values of one level's nodes; writes pi(s) pi(a|s) (Q(s,a) - V(s)) to `gradient`.

    The rows of a level lie a power of two apart, where they evict one another from the cache: each
    block is worked on in contiguous scratch and written out once. The weights are never normalised;
    their sum divides the two places where it matters.
    """
    size, nodes = below.shape
    value = np.empty(nodes)
    step = max(1, CACHE_BYTES // (8 * len(logits)))
    for start in range(0, nodes, step):
        at = slice(start, start + step)
        weights, total = _weights(logits[:, at]) if kept is None else (kept[0][:, at], kept[1][at])
        product = weights[:size] * below[:, at]
        product.sum(axis=0, out=value[at])
        if ended is not None:
            value[at] += weights[size] * ended[at]
        value[at] /= total
        factor = reach[at] / total
        advantage = np.subtract(below[:, at], value[at], out=product)
        advantage *= factor
        np.multiply(weights[:size], advantage, out=gradient[:size, at])
        if ended is not None:
            gradient[size, at] = weights[size] * ((ended[at] - value[at]) * factor)
    return value


def _weights(
    logits: Float[np.ndarray, "action node"],
) -> tuple[Float[np.ndarray, "action node"], Float[np.ndarray, " node"]]:
    """Softmax over actions up to its normaliser: the weights and their sums.

    exp(logits) serves wherever every sum stays far from the ends of the floating range; only
    otherwise is each node's largest logit subtracted first, which would cost every call a fifth of
    its time.
    """
    with np.errstate(over="ignore"):
        weights = np.exp(logits)
        total = weights.sum(axis=0)
    if not (total.min() > 1e-100 and total.max() < 1e100):
        weights = np.exp(logits - logits.max(axis=0))
        total = weights.sum(axis=0)
    return weights, total


def visits(policy: TabularPolicy) -> Float[np.ndarray, "prompt entry"]:
    """pi(s | x), the probability that a string passes through prefix s, at every entry of s."""
    language, size = policy.language, policy.language.vocabulary_size
    probs = np.exp(policy.log_probs())
    result = np.empty_like(probs)
    reach = np.ones((len(policy.prompts), 1))
    for level in range(language.horizon):
        as_level(language, result, level)[:] = reach[:, None]
        reach = (as_level(language, probs, level)[:, :size] * reach[:, None]).reshape(
            len(reach), -1
        )
    return result


def string_lengths(language: Language) -> Float[np.ndarray, " string"]:
    """|y| of every string in the language's order, the end token counted."""
    if language.end is None:
        return np.full(language.string_count, float(language.horizon))
    levels = np.arange(language.horizon + 1)
    lengths = np.minimum(levels + 1, language.horizon).astype(float)
    return np.repeat(lengths, [language.vocabulary_size ** int(t) for t in levels])


def _expected_below(
    policy: TabularPolicy, payoff: Float[np.ndarray, "prompt string"]
) -> Float[np.ndarray, "prompt entry"]:
    """E[f(y) | y passes s] at every entry of s."""
    language, size, prompts = policy.language, policy.language.vocabulary_size, len(policy.prompts)
    probs = np.exp(policy.log_probs())
    result = np.empty_like(probs)
    with_end = language.end is not None
    below = payoff[:, language.node_count(language.horizon) if with_end else 0 :]
    for level in reversed(range(language.horizon)):
        law = as_level(language, probs, level)
        value = (law[:, :size] * below.reshape(prompts, size, -1)).sum(axis=1)
        if with_end:
            first = language.node_count(level)
            value = value + law[:, size] * payoff[:, first : first + size**level]
        as_level(language, result, level)[:] = value[:, None]
        below = value
    return result


def _same_problem(
    bandit: ContextualBandit,
    policy: TabularPolicy,
    name: str = "policy",
    memory_limit: int | None = None,
) -> None:
    if policy.language != bandit.language:
        got = f"the {name}'s language differs"
        raise ValueError(_check.complaint(got, "the bandit's", "exact.tree"))
    if policy.prompts != bandit.prompts:
        got, expected = (
            f"the {name}'s prompts are {policy.prompts}",
            f"the bandit's {bandit.prompts}",
        )
        raise ValueError(_check.complaint(got, expected, "exact.tree"))
    strings, prompts = bandit.language.string_count, len(bandit.prompts)
    per_string = 8.0 * prompts * (2 + 3 * entry_count(bandit.language) / strings)
    do = "Shorten the horizon, or use exact.lattice."
    _check.fits_in_memory("strings", strings, per_string, "exact.tree", do, memory_limit)
