"""Tabular softmax policies on the prefix tree: one logit for every next token after every prefix.

    pi(y | x) = prod_t softmax(logits[x, prefix y_<t])[y_t]

Any law on strings has this form (theorem 4), so nothing is lost by the token-level view, and
nothing generalises from one string to another: that is the point of the tabular policy.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from bandit_rlhf import _check, walk
from bandit_rlhf._array import Float
from bandit_rlhf.bandit import Prompt, prompt_words
from bandit_rlhf.language import Language, TokenBatch


@dataclass(frozen=True, eq=False)
class TabularPolicy:
    """A softmax over next tokens at every node of the prefix tree, for every prompt.

    Args:
        language: the strings that can be written.
        prompts: the contexts, in the order of the first axis of `logits`.
        logits: flat [prompt, entry]: level after level, each action-major, so that the logit of
            action a at node i of level t stands at entry `level_offset(t) + a V^t + i`. Minus
            infinity forbids a token; every node allows one at least.

    Raises:
        ValueError: a wrong shape, NaN or plus infinity, a node without an allowed token.

    >>> letters = Language(("a", "b"), 2, "$")
    >>> policy = TabularPolicy.uniform(letters, [()])
    >>> policy.string_law().round(3)
    array([[0.333, 0.111, 0.111, 0.111, 0.111, 0.111, 0.111]])
    """

    language: Language
    prompts: tuple[Prompt, ...]
    logits: Float[np.ndarray, "prompt entry"]

    def __post_init__(self) -> None:
        prompt_words(self.prompts, "TabularPolicy")
        shape = (len(self.prompts), entry_count(self.language))
        _check.shaped("logits", self.logits, shape, "prompt, entry", "TabularPolicy")
        object.__setattr__(self, "logits", np.asarray(self.logits, dtype=np.float64))
        # NaN and +inf make the largest value unusable; a node whose largest is -inf has no token.
        for level in range(self.language.horizon):
            largest = self.level(level).max(axis=1)
            if not np.isfinite(largest).all():
                prompt, node = (int(i) for i in np.argwhere(~np.isfinite(largest))[0])
                at = f"prompt {prompt}, level {level}, node {node}"
                got = f"the largest logit of {at} is {largest[prompt, node]}"
                raise ValueError(_check.complaint(got, "finite", "TabularPolicy"))

    @classmethod
    def uniform(cls, language: Language, prompts: Sequence[Sequence[str]]) -> "TabularPolicy":
        """Every next token equally likely everywhere."""
        named = prompt_words(prompts, "TabularPolicy")
        return cls(
            language, named, np.zeros((len(named), _guarded_entry_count(language, len(named))))
        )

    @classmethod
    def normal(
        cls,
        language: Language,
        prompts: Sequence[Sequence[str]],
        rng: np.random.Generator,
        scale: float = 1.0,
    ) -> "TabularPolicy":
        """Independent Gaussian logits with standard deviation `scale`."""
        named = prompt_words(prompts, "TabularPolicy")
        size = (len(named), _guarded_entry_count(language, len(named)))
        return cls(language, named, scale * rng.standard_normal(size))

    @classmethod
    def from_string_law(
        cls, language: Language, prompts: Sequence[Sequence[str]], law: ArrayLike
    ) -> "TabularPolicy":
        """The policy whose string law is `law` [prompt, string] (theorem 4).

        pi(a | s) = (mass of the strings that start with s a) / (mass of those that start with s);
        after a prefix without mass, which is never reached, it is uniform.
        """
        named = prompt_words(prompts, "TabularPolicy")
        where = "TabularPolicy.from_string_law"
        law = _check.distribution("law", law, where)
        _check.shaped("law", law, (len(named), language.string_count), "prompt, string", where)
        size, with_end = language.vocabulary_size, language.end is not None
        logits = np.empty((len(named), entry_count(language)))
        below = law[:, language.node_count(language.horizon) if with_end else 0 :]
        for level in reversed(range(language.horizon)):
            nodes = size**level
            mass = below.reshape(len(named), size, nodes)
            if with_end:
                first = language.node_count(level)
                mass = np.concatenate([mass, law[:, None, first : first + nodes]], axis=1)
            below = mass.sum(axis=1)
            with np.errstate(divide="ignore"):
                logs = np.where(below[:, None] > 0, np.log(mass), 0.0)
            logits[:, level_slice(language, level)] = logs.reshape(len(named), -1)
        return cls(language, named, logits)

    def level(self, level: int) -> Float[np.ndarray, "prompt action node"]:
        """The logits of one level of the tree, as a view."""
        return as_level(self.language, self.logits, level)

    def log_probs(self) -> Float[np.ndarray, "prompt entry"]:
        """The ln pi(a | x, prefix) in the layout of `logits`."""
        result = np.empty_like(self.logits)
        for level in range(self.language.horizon):
            logits = self.level(level)
            shifted = logits - logits.max(axis=1, keepdims=True)
            shifted -= np.log(np.exp(shifted).sum(axis=1, keepdims=True))
            result[:, level_slice(self.language, level)] = shifted.reshape(len(self.prompts), -1)
        return result

    def string_log_law(self) -> Float[np.ndarray, "prompt string"]:
        """The ln pi(y | x) of every string in the language's order: the string-level view."""
        return accumulate(self.language, self.log_probs())

    def string_law(self) -> Float[np.ndarray, "prompt string"]:
        """pi(y | x) for every string in the language's order."""
        return np.exp(self.string_log_law())

    def next_token_law(
        self, prompt: int, prefix: Sequence[int] = ()
    ) -> Float[np.ndarray, " action"]:
        """pi(. | x, prefix): the probabilities of the next token, the end token last.

        Raises:
            ValueError: a prefix after which no token is chosen.
        """
        _check.place("prompt", prompt, len(self.prompts), "TabularPolicy")
        size, level = self.language.vocabulary_size, len(prefix)
        if level >= self.language.horizon or any(not 0 <= a < size for a in prefix):
            got = f"prefix is {tuple(prefix)}"
            expected = f"fewer than {self.language.horizon} tokens, each within 0..{size - 1}"
            raise ValueError(_check.complaint(got, expected, "TabularPolicy.next_token_law"))
        node = sum(a * size**k for k, a in enumerate(prefix))
        logits = self.level(level)[prompt, :, node]
        weights = np.exp(logits - logits.max())
        return weights / weights.sum()

    def token_log_prob(
        self, batch: TokenBatch, prompt: int = 0
    ) -> Float[np.ndarray, "string token"]:
        """The ln pi(y_t | x, y_<t) of every token of a batch, zero where the mask is False.

        Raises:
            ValueError: a batch of another language.
        """
        language = self.language
        if batch.language != language:
            got = "the batch's language differs"
            raise ValueError(_check.complaint(got, "the policy's", "TabularPolicy"))
        _check.place("prompt", prompt, len(self.prompts), "TabularPolicy")
        nodes, _ = walk.read(batch, self._follow, start=0)
        levels = range(language.horizon)
        first = np.array([level_slice(language, level).start for level in levels])
        width = np.array([language.vocabulary_size**level for level in levels])
        entries = np.where(batch.mask, first + batch.tokens * width + nodes, 0)
        return np.where(batch.mask, self.log_probs()[prompt][entries], 0.0)

    def _follow(self, level: int, node: np.ndarray, token: np.ndarray) -> np.ndarray:
        return token * self.language.vocabulary_size**level + node

    def log_prob(self, batch: TokenBatch, prompt: int = 0) -> Float[np.ndarray, " string"]:
        """The ln pi(y | x) of every string of a batch: the sum of its tokens'."""
        return self.token_log_prob(batch, prompt).sum(axis=1)

    def sample(self, rng: np.random.Generator, draws: int, prompt: int = 0) -> TokenBatch:
        """Independent strings from pi(. | x), token by token."""
        _check.place("prompt", prompt, len(self.prompts), "TabularPolicy")

        def law(level: int, nodes: np.ndarray) -> np.ndarray:
            logits = self.level(level)[prompt][:, nodes]
            return np.exp(logits - logits.max(axis=0)).T

        return walk.write(rng, self.language, self._follow, 0, draws, law)

    def entropy(self) -> Float[np.ndarray, " prompt"]:
        """H(pi(. | x)) = -sum_y pi(y | x) ln pi(y | x), in nats, of every prompt."""
        logs = self.string_log_law()
        law = np.exp(logs)
        return -(law * np.where(law > 0, logs, 0.0)).sum(axis=1)


def entry_count(language: Language) -> int:
    """The number of logits of one prompt: actions x prefixes that are not yet cut."""
    return language.action_count * language.node_count(language.horizon)


def level_slice(language: Language, level: int) -> slice:
    """Where the logits of one level of the tree stand in the flat layout."""
    start = language.action_count * language.node_count(level)
    return slice(start, start + language.action_count * language.vocabulary_size**level)


def as_level(language: Language, flat: np.ndarray, level: int) -> np.ndarray:
    """One level of a flat array [prompt, entry], as a view [prompt, action, node]."""
    return flat[:, level_slice(language, level)].reshape(len(flat), language.action_count, -1)


def accumulate(language: Language, log_ratio: np.ndarray) -> Float[np.ndarray, "prompt string"]:
    """Sum an array [prompt, entry] along each string, to [prompt, string]."""
    prompts, size = len(log_ratio), language.vocabulary_size
    total = np.zeros((prompts, 1))
    strings = []
    for level in range(language.horizon):
        along = as_level(language, log_ratio, level) + total[:, None, :]
        strings.append(along[:, size:, :].reshape(prompts, -1))
        total = along[:, :size, :].reshape(prompts, -1)
    return np.concatenate([*strings, total], axis=1)


def _guarded_entry_count(language: Language, prompts: int) -> int:
    entries = entry_count(language)
    what = f"logits ({_check.numeral(language.string_count)} strings x {prompts} prompts)"
    do = "Shorten the horizon, or use MarkovPolicy with exact.lattice."
    _check.fits_in_memory(what, entries * prompts, 8.0, "TabularPolicy", do)
    return entries
