"""The lattice: an order-k Markov policy run side by side with the automata of its rewards.

A state is a pair (the last k tokens, what the automata remember). Whatever a reward or the reference
needs to know of a prefix is in the state, so a sum over all strings is a sum over paths, linear in
steps x states x actions, at horizons where strings cannot be enumerated.

A KL-regularised optimum of such a problem is no order-k policy: it depends on the state and on the steps
that are left. It lives in the product class, `LatticePolicy`, where it is exact.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from bandit_rlhf import _check
from bandit_rlhf._array import Float, Int
from bandit_rlhf.automaton import AutomatonReward, product
from bandit_rlhf.bandit import Prompt
from bandit_rlhf.language import Language, TokenBatch
from bandit_rlhf.ngram import MarkovPolicy
from bandit_rlhf.policy import TabularPolicy, draw, entry_count, level_slice


@dataclass(frozen=True, eq=False)
class Payoff:
    """A reward on the edges of a lattice.

    Args:
        edge: paid when an action is taken in a state [state, action].
        truncated: paid when the horizon cuts a string in a state [state].
    """

    edge: Float[np.ndarray, "state action"]
    truncated: Float[np.ndarray, " state"]

    def __mul__(self, factor: float) -> "Payoff":
        return Payoff(factor * self.edge, factor * self.truncated)

    __rmul__ = __mul__

    def __add__(self, other: "Payoff") -> "Payoff":
        return Payoff(self.edge + other.edge, self.truncated + other.truncated)

    def __sub__(self, other: "Payoff") -> "Payoff":
        return self + -1.0 * other


@dataclass(frozen=True, eq=False)
class Lattice:
    """States, transitions, prompt law, the reference and the rewards that can be told apart there.

    Args:
        language: vocabulary, horizon, end token.
        prompts: the contexts.
        prompt_law: their probabilities [prompt].
        start: the state in which each prompt starts [prompt].
        successor: the state after each ordinary token [state, token].
        reference: the reference policy on the lattice.
        payoffs: the rewards by name.
    """

    language: Language
    prompts: tuple[Prompt, ...]
    prompt_law: Float[np.ndarray, " prompt"]
    start: Int[np.ndarray, " prompt"]
    successor: Int[np.ndarray, "state token"]
    log_reference: Float[np.ndarray, "state action"]
    payoffs: dict[str, Payoff]

    @classmethod
    def build(
        cls,
        reference: MarkovPolicy,
        rewards: dict[str, AutomatonReward],
        prompts: Sequence[Sequence[str]] = ((),),
        prompt_law: ArrayLike | None = None,
        memory_limit: int | None = None,
    ) -> "Lattice":
        """Pair the reference's contexts with the automata's states, as far as prompts reach them.

        Args:
            reference: an order-k policy; prompts decide in which context it starts.
            rewards: by name; every automaton starts anew after the prompt and reads the string alone.
            prompts: prefixes in words.
            prompt_law: their probabilities; uniform if None.
            memory_limit: bytes for one policy on the lattice; by default half of the machine's memory.

        Raises:
            ValueError: a reward on another language, a prompt outside the vocabulary, a law that is none, a
                lattice that does not fit in memory.

        >>> from bandit_rlhf.automaton import length
        >>> letters = Language(("a", "b"), 50, "$")
        >>> reference = MarkovPolicy.from_probs(letters, 0, [[0.5, 0.25, 0.25]])
        >>> Lattice.build(reference, {"length": length(letters)}).state_count
        1
        """
        language, where = reference.language, "Lattice.build"
        named = tuple(tuple(prompt) for prompt in prompts)
        if not named:
            raise ValueError(_check.complaint("prompts is empty", "one prompt or more", where, "Use [()]."))
        law = np.full(len(named), 1 / len(named)) if prompt_law is None else prompt_law
        law = _check.shaped(
            "prompt_law", _check.distribution("prompt_law", law, where), (len(named),), "prompt", where
        )
        for name, reward in rewards.items():
            if reward.language != language:
                got = f"reward {name!r} reads another language"
                raise ValueError(_check.complaint(got, "the reference's", where))
        contexts = np.array([reference.context(prompt) for prompt in named])
        unique, start = np.unique(contexts, return_inverse=True)
        # Fold the automata in one after the other; `columns` keeps every part's state on each lattice state.
        successor, columns, starts = reference.successor, [np.arange(len(reference.log_probs))], unique
        for reward in rewards.values():
            pairs = np.stack([starts, np.zeros_like(starts)], axis=1)
            left, right, successor = product(successor, reward.successor, pairs)
            columns = [column[left] for column in columns] + [right]
            starts = np.arange(len(unique))
        if not rewards:
            start = unique[start]
        _check.fits_in_memory(
            "step-state-action entries", language.horizon * len(successor) * language.action_count, 16.0,
            where, "Lower the horizon, the order or the automata's sizes.", memory_limit,
        )  # fmt: skip
        payoffs = {
            name: Payoff(reward.edge[column], reward.truncated[column])
            for (name, reward), column in zip(rewards.items(), columns[1:], strict=True)
        }
        return cls(language, named, law, start, successor, reference.log_probs[columns[0]], payoffs)

    @property
    def state_count(self) -> int:
        """Number of states."""
        return len(self.successor)

    @property
    def reference(self) -> "LatticePolicy":
        """The reference as a policy of the product class."""
        shape = (self.language.horizon, *self.log_reference.shape)
        return LatticePolicy(self, np.broadcast_to(self.log_reference, shape))

    def policy_of(self, policy: MarkovPolicy) -> "LatticePolicy":
        """Another Markov policy of the reference's language and of its order or below.

        Raises:
            ValueError: the policy distinguishes contexts that this lattice merges.
        """
        pairs = np.stack([self.start, [policy.context(prompt) for prompt in self.prompts]], axis=1)
        left, right, _ = product(self.successor, policy.successor, np.unique(pairs, axis=0))
        context = np.full(self.state_count, -1)
        context[left] = right
        if policy.language != self.language or (context[left] != right).any():
            got = f"the policy of order {policy.order} is finer than the lattice"
            raise ValueError(_check.complaint(got, "a function of its states", "Lattice.policy_of"))
        log_probs = policy.log_probs[np.maximum(context, 0)]
        return LatticePolicy(self, np.broadcast_to(log_probs, (self.language.horizon, *log_probs.shape)))


@dataclass(frozen=True, eq=False)
class LatticePolicy:
    """A policy that knows the lattice state and the step: ln pi_t(a | state).

    Args:
        lattice: the state space.
        log_probs: normalised [step, state, action]; minus infinity is allowed.
    """

    lattice: Lattice
    log_probs: Float[np.ndarray, "step state action"]

    def next_token_law(self, prefix: Sequence[int] = (), prompt: int = 0) -> Float[np.ndarray, " action"]:
        """pi(. | prompt, prefix): the probabilities of the next token, the end token last."""
        state = self.lattice.start[prompt]
        for token in prefix:
            state = self.lattice.successor[state, token]
        return np.exp(self.log_probs[len(prefix), state])

    def token_log_prob(self, batch: TokenBatch, prompt: int = 0) -> Float[np.ndarray, "string token"]:
        """ln pi(y_t | x, y_<t) of every token of a batch, zero where the mask is False."""
        lattice = self.lattice
        state = np.full(len(batch), lattice.start[prompt])
        result = np.zeros(batch.tokens.shape)
        for column in range(batch.tokens.shape[1]):
            reading = batch.mask[:, column]
            token = np.where(reading, batch.tokens[:, column], 0)
            result[:, column] = np.where(reading, self.log_probs[column, state, token], 0.0)
            going_on = reading & (token < lattice.language.vocabulary_size)
            state = np.where(going_on, lattice.successor[state, np.where(going_on, token, 0)], state)
        return result

    def log_prob(self, batch: TokenBatch, prompt: int = 0) -> Float[np.ndarray, " string"]:
        """ln pi(y | x) of every string of a batch."""
        return self.token_log_prob(batch, prompt).sum(axis=1)

    def sample(self, rng: np.random.Generator, draws: int, prompt: int = 0) -> TokenBatch:
        """Independent strings from pi(. | x), exactly: no Markov chain, no rejection."""
        language, lattice = self.lattice.language, self.lattice
        tokens = np.full((draws, language.horizon), language.pad_token, np.int64)
        mask = np.zeros(tokens.shape, dtype=bool)
        state, alive = np.full(draws, lattice.start[prompt]), np.ones(draws, dtype=bool)
        for column in range(language.horizon):
            token = draw(rng, np.exp(self.log_probs[column, state]).T)
            tokens[:, column] = np.where(alive, token, language.pad_token)
            mask[:, column] = alive
            alive = alive & (token < language.vocabulary_size)
            state = np.where(alive, lattice.successor[state, np.where(alive, token, 0)], state)
        return TokenBatch(language, tokens, mask)

    def as_tabular(self) -> TabularPolicy:
        """The same policy on the prefix tree, one logit for every prefix: for small languages."""
        lattice, language = self.lattice, self.lattice.language
        prompts, entries = len(lattice.prompts), entry_count(language)
        _check.fits_in_memory("logits", entries * prompts, 8.0, "LatticePolicy.as_tabular")
        logits = np.empty((prompts, entries))
        states = lattice.start[:, None]
        for level in range(language.horizon):
            rows = np.moveaxis(self.log_probs[level][states], 2, 1)
            logits[:, level_slice(language, level)] = rows.reshape(prompts, -1)
            states = np.moveaxis(lattice.successor[states], 2, 1).reshape(prompts, -1)
        return TabularPolicy(language, lattice.prompts, logits)
