"""Between laws of whole strings and policies of single tokens, in logarithms and adjoint to it.

`from_log_law` makes a policy of unnormalised log-probabilities of strings; `along` spreads weights
of strings over the tokens they are made of, which is what gradients need.
"""

import numpy as np
from numpy.typing import ArrayLike

from bandit_rlhf import _check
from bandit_rlhf._array import Float, Int
from bandit_rlhf.bandit import Prompt
from bandit_rlhf.language import Language, TokenBatch
from bandit_rlhf.policy import TabularPolicy, as_level, entry_count, level_slice


def from_log_law(
    language: Language, prompts: tuple[Prompt, ...], log_law: ArrayLike
) -> TabularPolicy:
    """The policy with pi(y | x) proportional to exp(log_law(x, y)); nothing underflows.

    pi(a | s) = (mass of the strings that start with s a) / (mass of those that start with s)

    (theorem 4); after a prefix without mass, which is never reached, it is uniform.

    Args:
        language: the strings.
        prompts: the contexts.
        log_law: [prompt, string], up to a constant for each prompt; minus infinity forbids.

    Raises:
        ValueError: a wrong shape, NaN or plus infinity, a prompt without possible string.

    >>> letters = Language(("a", "b"), 1)
    >>> from_log_law(letters, ((),), [[-1000.0, -1000.0]]).string_law()
    array([[0.5, 0.5]])
    """
    where = "from_log_law"
    logs = np.asarray(log_law, dtype=np.float64)
    _check.shaped("log_law", logs, (len(prompts), language.string_count), "prompt, string", where)
    largest = logs.max(axis=1)
    if not np.isfinite(largest).all():
        prompt = int(np.argmax(~np.isfinite(largest)))
        got = f"the largest log_law of prompt {prompt} is {largest[prompt]}"
        raise ValueError(_check.complaint(got, "finite", where))
    size, with_end = language.vocabulary_size, language.end is not None
    logits = np.empty((len(prompts), entry_count(language)))
    below = logs[:, language.node_count(language.horizon) if with_end else 0 :]
    for level in reversed(range(language.horizon)):
        mass = _with_ended(language, level, below, logs)
        top = mass.max(axis=1)
        shift = np.where(np.isneginf(top), 0.0, top)[:, None]
        with np.errstate(divide="ignore"):
            total = shift[:, 0] + np.log(np.exp(mass - shift).sum(axis=1))
        reached = ~np.isneginf(total)[:, None]
        rows = np.where(reached, mass, 0.0) - np.where(reached, total[:, None], np.log(size))
        logits[:, level_slice(language, level)] = rows.reshape(len(prompts), -1)
        below = total
    return TabularPolicy(language, prompts, logits)


def along(
    language: Language, weights: Float[np.ndarray, "prompt string"]
) -> Float[np.ndarray, "prompt entry"]:
    """The summed weight of the strings that choose a token after a prefix, at each entry.

    The adjoint of `policy.accumulate`: sum_y w(y) accumulate(u)(y) = sum_entries along(w) u.

    Args:
        language: the strings.
        weights: [prompt, string], of either sign.

    >>> along(Language(("a", "b"), 1), np.array([[1.0, -2.0]]))
    array([[ 1., -2.]])
    """
    result = np.empty((len(weights), entry_count(language)))
    first = language.node_count(language.horizon) if language.end is not None else 0
    below = weights[:, first:]
    for level in reversed(range(language.horizon)):
        mass = _with_ended(language, level, below, weights)
        result[:, level_slice(language, level)] = mass.reshape(len(weights), -1)
        below = mass.sum(axis=1)
    return result


def score_gradient(
    policy: TabularPolicy, entry_weights: Float[np.ndarray, "prompt entry"]
) -> Float[np.ndarray, "prompt entry"]:
    """The gradient of sum w ln pi(a | x, s) in the policy's logits, w held fixed.

    d / dlogit(x, s, a) = w(s, a) - pi(a | s) sum_b w(s, b)

    Args:
        policy: pi.
        entry_weights: w, [prompt, entry]; for weights of whole strings, `along` of these.

    >>> policy = TabularPolicy.uniform(Language(("a", "b"), 1), [()])
    >>> score_gradient(policy, np.array([[1.0, 0.0]]))
    array([[ 0.5, -0.5]])
    """
    language, result = policy.language, np.empty_like(entry_weights)
    probs = np.exp(policy.log_probs())
    for level in range(language.horizon):
        weights = as_level(language, entry_weights, level)
        pull = as_level(language, probs, level) * weights.sum(axis=1, keepdims=True)
        as_level(language, result, level)[:] = weights - pull
    return result


def action_values(
    policy: TabularPolicy, payoff: Float[np.ndarray, "prompt string"]
) -> tuple[Float[np.ndarray, "prompt entry"], Float[np.ndarray, "prompt entry"]]:
    """Q(s, a) and V(s) at each entry: the expected payoff of strings through (s, a), and through s.

    Args:
        policy: pi.
        payoff: f, [prompt, string], finite.

    >>> policy = TabularPolicy.uniform(Language(("a", "b"), 1), [()])
    >>> action_values(policy, np.array([[0.0, 1.0]]))
    (array([[0., 1.]]), array([[0.5, 0.5]]))
    """
    language = policy.language
    probs = np.exp(policy.log_probs())
    of_action, of_node = np.empty_like(probs), np.empty_like(probs)
    first = language.node_count(language.horizon) if language.end is not None else 0
    below = payoff[:, first:]
    for level in reversed(range(language.horizon)):
        values = _with_ended(language, level, below, payoff)
        below = (as_level(language, probs, level) * values).sum(axis=1)
        as_level(language, of_action, level)[:] = values
        as_level(language, of_node, level)[:] = below[:, None]
    return of_action, of_node


def token_entries(batch: TokenBatch) -> Int[np.ndarray, "string token"]:
    """Where the logit of each token of a batch stands, 0 where the mask is False.

    >>> token_entries(Language(("a", "b"), 2, "$").batch([(1, 0), (2,)])).tolist()
    [[1, 4], [2, 0]]
    """
    language = batch.language
    size, levels = language.vocabulary_size, range(language.horizon)
    width = np.array([size**level for level in levels])
    first = np.array([level_slice(language, level).start for level in levels])
    digits = np.where(batch.mask & (batch.tokens < size), batch.tokens, 0) * width
    node = np.cumsum(digits, axis=1) - digits
    return np.where(batch.mask, first + batch.tokens * width + node, 0)


def _with_ended(
    language: Language, level: int, below: np.ndarray, of_string: np.ndarray
) -> np.ndarray:
    """[prompt, action, node]: what is below each token, and of the strings that end here."""
    size, nodes = language.vocabulary_size, language.vocabulary_size**level
    values = below.reshape(len(below), size, nodes)
    if language.end is None:
        return values
    first = language.node_count(level)
    return np.concatenate([values, of_string[:, None, first : first + nodes]], axis=1)
