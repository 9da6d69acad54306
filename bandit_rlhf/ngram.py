"""Markov policies: n-gram language models as reference policies, over any horizon.

    pi(y | x) = prod_t p(y_t | the last k tokens of x y_<t)

A prompt is a prefix: it decides in which context writing starts. The contexts are the tokens since
the start, k at most, numbered as in `automaton.context_successors`; so a context shorter than k
says that the string started there.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from bandit_rlhf import _check, walk
from bandit_rlhf._array import Float, Int
from bandit_rlhf.automaton import context_successors
from bandit_rlhf.bandit import Prompt
from bandit_rlhf.language import Language, TokenBatch
from bandit_rlhf.policy import TabularPolicy, entry_count, level_slice


@dataclass(frozen=True, eq=False)
class MarkovPolicy:
    """An order-k next-token law, the same at every position.

    Args:
        language: vocabulary, horizon and end token.
        order: k, how many tokens back the law depends on; 0 is a unigram model.
        log_probs: ln p(a | context) [context, action], the end token last; minus infinity is
            allowed.

    Raises:
        ValueError: a wrong shape, rows that do not sum to one.

    >>> letters = Language(("a", "b"), 3, "$")
    >>> policy = MarkovPolicy.from_probs(letters, 0, [[0.5, 0.25, 0.25]])
    >>> round(float(np.exp(policy.log_prob(letters.batch([(0, 1, 2)]))[0])), 6)
    0.03125
    """

    language: Language
    order: int
    log_probs: Float[np.ndarray, "context action"]

    def __post_init__(self) -> None:
        _check.integer_at_least("order", self.order, 0, "MarkovPolicy")
        contexts = context_count(self.language.vocabulary_size, self.order)
        shape = (contexts, self.language.action_count)
        _check.shaped("log_probs", self.log_probs, shape, "context, action", "MarkovPolicy")
        with np.errstate(over="ignore"):
            law = np.exp(self.log_probs)
        _check.distribution("exp(log_probs)", law, "MarkovPolicy, context")

    @classmethod
    def from_probs(cls, language: Language, order: int, probs: ArrayLike) -> "MarkovPolicy":
        """From probabilities [context, action] instead of their logarithms."""
        law = _check.distribution("probs", probs, "MarkovPolicy, context")
        with np.errstate(divide="ignore"):
            return cls(language, order, np.log(law))

    @cached_property
    def successor(self) -> Int[np.ndarray, "context token"]:
        """The context that follows each context and ordinary token."""
        return context_successors(self.language.vocabulary_size, self.order)

    def context(self, prompt: Prompt = ()) -> int:
        """The context in which writing starts after a prompt.

        Raises:
            ValueError: a word of the prompt is outside the vocabulary, or is the end token.
        """
        state = 0
        for word in prompt:
            token = self.language.token(word)
            if token == self.language.end_token:
                got = f"prompt {prompt} holds the end token"
                raise ValueError(_check.complaint(got, "ordinary words", "MarkovPolicy"))
            state = int(self.successor[state, token])
        return state

    def next_token_law(
        self, prompt: Prompt = (), prefix: Iterable[int] = ()
    ) -> Float[np.ndarray, " action"]:
        """p(. | prompt, prefix): the probabilities of the next token, the end token last."""
        state = self.context(prompt)
        for token in prefix:
            state = int(self.successor[state, token])
        return np.exp(self.log_probs[state])

    def token_log_prob(
        self, batch: TokenBatch, prompt: Prompt = ()
    ) -> Float[np.ndarray, "string token"]:
        """The ln pi(y_t | x, y_<t) of every token of a batch, zero where the mask is False."""
        states, _ = walk.read(batch, walk.along(self.successor), self.context(prompt))
        return walk.pick(self.log_probs, states, batch)

    def log_prob(self, batch: TokenBatch, prompt: Prompt = ()) -> Float[np.ndarray, " string"]:
        """The ln pi(y | x) of every string of a batch."""
        return self.token_log_prob(batch, prompt).sum(axis=1)

    def sample(self, rng: np.random.Generator, draws: int, prompt: Prompt = ()) -> TokenBatch:
        """Independent strings from pi(. | x), token by token."""
        return walk.write(
            rng,
            self.language,
            walk.along(self.successor),
            self.context(prompt),
            draws,
            lambda _, context: np.exp(self.log_probs[context]),
        )

    def entropy(self, prompt: Prompt = ()) -> float:
        """H(pi(. | x)) in nats: next-token entropies, weighed by the visits to their contexts."""
        probs = np.exp(self.log_probs)
        spread = -(probs * np.where(probs > 0, self.log_probs, 0.0)).sum(axis=1)
        mass = np.zeros(len(probs))
        mass[self.context(prompt)] = 1.0
        total, moving = 0.0, probs[:, : self.language.vocabulary_size]
        for _ in range(self.language.horizon):
            total += float(mass @ spread)
            mass = np.bincount(self.successor.ravel(), (mass[:, None] * moving).ravel(), len(mass))
        return total

    def as_tabular(self, prompts: Sequence[Prompt]) -> TabularPolicy:
        """The same policy on the prefix tree, one logit for every prefix: for small languages."""
        language = self.language
        entries = entry_count(language)
        _check.fits_in_memory("logits", entries * len(prompts), 8.0, "MarkovPolicy.as_tabular")
        logits = np.empty((len(prompts), entries))
        starts = np.array([self.context(tuple(prompt)) for prompt in prompts])
        for level, states in enumerate(walk.unfold(language, self.successor, starts)):
            rows = np.moveaxis(self.log_probs[states], 2, 1)
            logits[:, level_slice(language, level)] = rows.reshape(len(prompts), -1)
        return TabularPolicy(language, tuple(tuple(prompt) for prompt in prompts), logits)


def context_count(vocabulary_size: int, order: int) -> int:
    """1 + V + ... + V^order."""
    return sum(vocabulary_size**level for level in range(order + 1))
