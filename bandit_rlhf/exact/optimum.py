"""The policies that maximise: the Gibbs optimum by soft-Bellman recursion, and the greedy one.

Whole strings and single tokens give the same optimum: the Gibbs law over strings has the next-token
conditionals pi(a|s) = ref(a|s) exp((V(sa) - V(s)) / beta), where

    V(s) = beta ln sum_a ref(a|s) exp(V(sa) / beta),    V(y) = r(y),    V(x) = beta ln Z(x)

(theorems 10 and 11). The recursion is the one of soft Q-learning with the reference in place of the
uniform policy (Levine 2018, arXiv:1805.00909, section 2.3; Rafailov et al. 2024, arXiv:2404.12358).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bandit_rlhf import _check, selection
from bandit_rlhf._array import Float, Int
from bandit_rlhf.bandit import ContextualBandit
from bandit_rlhf.policy import TabularPolicy, as_level, entry_count, level_slice


@dataclass(frozen=True, eq=False)
class SoftOptimum:
    """An optimum, KL-regularised or greedy, and its values.

    Args:
        policy: the optimal policy; its logits are normalised.
        values: V(x) [prompt], beta ln Z(x) or the largest reward.
        node_values: V(s) at every inner node, level after level [prompt, node].
    """

    policy: TabularPolicy
    values: Float[np.ndarray, " prompt"]
    node_values: Float[np.ndarray, "prompt node"]


def gibbs_optimum(bandit: ContextualBandit, reference: TabularPolicy, beta: float) -> SoftOptimum:
    """The policy that maximises E r - beta KL(pi || ref), by backward recursion over the tree.

    Args:
        bandit: the reward.
        reference: ref, on the bandit's language and prompts.
        beta: weight of the KL term, above 0.

    Raises:
        ValueError: beta not above 0; a reference of another problem.

    >>> from bandit_rlhf.language import Language
    >>> language = Language(("a", "b"), 1)
    >>> bandit = ContextualBandit(language, [()], [1.0], [[0.0, np.log(3.0)]])
    >>> gibbs_optimum(bandit, TabularPolicy.uniform(language, [()]), beta=1.0).policy.string_law()
    array([[0.25, 0.75]])
    """
    do = "Without a KL penalty the optimum is greedy: use greedy_optimum."
    beta = _check.positive("beta", beta, "gibbs_optimum", do)
    log_ref = reference.log_probs()

    def soft_max(level: int, payoff: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        scores = as_level(bandit.language, log_ref, level) + payoff / beta
        largest = scores.max(axis=1)
        log_sum = largest + np.log(np.exp(scores - largest[:, None]).sum(axis=1))
        return scores - log_sum[:, None], beta * log_sum

    logits, values = _backward(bandit, reference, soft_max)
    policy = TabularPolicy(bandit.language, bandit.prompts, logits)
    return SoftOptimum(policy, values[:, 0], values)


def greedy_optimum(bandit: ContextualBandit, support: TabularPolicy | None = None) -> SoftOptimum:
    """The policy that maximises E r alone, and V(s) = max_a V(sa): policy iteration's fixed point.

    On a tree one backward sweep of greedy improvement is policy iteration run to its end. Tokens
    that tie share the probability.

    Args:
        bandit: the reward.
        support: tokens to which this policy gives no probability are not used.
    """
    support = support or TabularPolicy.uniform(bandit.language, bandit.prompts)
    impossible = np.isneginf(support.logits)

    def hard_max(level: int, payoff: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        allowed = np.where(as_level(bandit.language, impossible, level), -np.inf, payoff)
        best = allowed.max(axis=1)
        chosen = allowed == best[:, None]
        with np.errstate(divide="ignore"):
            return np.log(chosen / chosen.sum(axis=1, keepdims=True)), best

    logits, values = _backward(bandit, support, hard_max)
    policy = TabularPolicy(bandit.language, bandit.prompts, logits)
    return SoftOptimum(policy, values[:, 0], values)


def best_of_n(
    bandit: ContextualBandit, reference: TabularPolicy, n: int
) -> Float[np.ndarray, "prompt string"]:
    """The string law of the best of n draws from the reference, for every prompt (theorem 20)."""
    _same_problem(bandit, reference)
    pairs = zip(reference.string_law(), bandit.reward_table(), strict=True)
    return np.stack([selection.best_of_n_law(law, reward, n) for law, reward in pairs])


@dataclass(frozen=True, eq=False)
class ErrorTable:
    """How wrong a proxy reward is, string by string, from the most to the least probable.

    Args:
        rank: the string's place in the language's order [string].
        log_reference: ln ref(y|x) [string].
        true_reward: r*(x,y) [string].
        proxy_reward: r^(x,y) [string].
    """

    rank: Int[np.ndarray, " string"]
    log_reference: Float[np.ndarray, " string"]
    true_reward: Float[np.ndarray, " string"]
    proxy_reward: Float[np.ndarray, " string"]

    @property
    def error(self) -> Float[np.ndarray, " string"]:
        """The r^ - r* of every string."""
        return self.proxy_reward - self.true_reward


def error_table(
    bandit: ContextualBandit, proxy: ContextualBandit, reference: TabularPolicy, prompt: int = 0
) -> ErrorTable:
    """Per-string errors of a proxy against how probable the reference makes the string.

    Args:
        bandit: the problem with the true reward.
        proxy: the same language and prompts with the proxy reward.
        reference: the policy whose probabilities order the rows.
        prompt: index of the prompt.

    Raises:
        ValueError: a proxy or a reference of another problem.
    """
    _same_problem(bandit, proxy)
    _same_problem(bandit, reference)
    log_reference = reference.string_log_law()[prompt]
    order = np.argsort(-log_reference, kind="stable")
    true_reward, proxy_reward = bandit.reward_table()[prompt], proxy.reward_table()[prompt]
    return ErrorTable(order, log_reference[order], true_reward[order], proxy_reward[order])


def _backward(
    bandit: ContextualBandit,
    policy: TabularPolicy,
    improve: Callable[[int, np.ndarray], tuple[np.ndarray, np.ndarray]],
) -> tuple[np.ndarray, np.ndarray]:
    """Logits and values of all nodes, swept from the widest level up.

    `improve` turns a level and its payoffs [prompt, action, node] into its logits [prompt, action,
    node] and values [prompt, node].
    """
    _same_problem(bandit, policy)
    language, prompts = bandit.language, len(bandit.prompts)
    reward, with_end = bandit.reward_table(), language.end is not None
    logits = np.empty((prompts, entry_count(language)))
    values = np.empty((prompts, language.node_count(language.horizon)))
    below = reward[:, language.node_count(language.horizon) if with_end else 0 :]
    for level in reversed(range(language.horizon)):
        first, nodes = language.node_count(level), language.vocabulary_size**level
        payoff = below.reshape(prompts, language.vocabulary_size, nodes)
        if with_end:
            payoff = np.concatenate([payoff, reward[:, None, first : first + nodes]], axis=1)
        level_logits, below = improve(level, payoff)
        logits[:, level_slice(language, level)] = level_logits.reshape(prompts, -1)
        values[:, first : first + nodes] = below
    return logits, values


def _same_problem(bandit: ContextualBandit, other: ContextualBandit | TabularPolicy) -> None:
    if other.language != bandit.language or other.prompts != bandit.prompts:
        name = "policy" if isinstance(other, TabularPolicy) else "proxy"
        got = f"the {name} has another language or other prompts"
        raise ValueError(_check.complaint(got, "the bandit's", "exact.optimum"))
