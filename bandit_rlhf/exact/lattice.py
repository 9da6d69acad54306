"""The lattice: an order-k Markov policy run side by side with the automata of its rewards.

A state is a pair (the last k tokens, what the automata remember). Whatever a reward or the
reference needs to know of a prefix is in the state, so a sum over all strings is a sum over paths,
linear in steps x states x actions, at horizons where strings cannot be enumerated.

A KL-regularised optimum of such a problem is no order-k policy: it depends on the state and on the
steps that are left. It lives in the product class, `LatticePolicy`, where it is exact.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from bandit_rlhf import _check, walk
from bandit_rlhf._array import Float, Int
from bandit_rlhf.automaton import AutomatonReward, product
from bandit_rlhf.bandit import Prompt, prompt_words
from bandit_rlhf.language import Language, TokenBatch
from bandit_rlhf.ngram import MarkovPolicy
from bandit_rlhf.policy import TabularPolicy, entry_count, level_slice


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
        log_reference: ln ref(a | state), the same at every step [state, action].
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
            rewards: by name; every automaton starts after the prompt and reads the string alone.
            prompts: prefixes in words.
            prompt_law: their probabilities; uniform if None.
            memory_limit: bytes that two policies may take; by default half of the machine's memory.

        Raises:
            ValueError: a reward on another language, a prompt outside the vocabulary or given
                twice, a law that is none, a lattice that does not fit in memory.

        >>> from bandit_rlhf.automaton import length
        >>> letters = Language(("a", "b"), 50, "$")
        >>> reference = MarkovPolicy.from_probs(letters, 0, [[0.5, 0.25, 0.25]])
        >>> Lattice.build(reference, {"length": length(letters)}).state_count
        1
        """
        language, where = reference.language, "Lattice.build"
        named = prompt_words(prompts, where)
        law = np.full(len(named), 1 / len(named)) if prompt_law is None else prompt_law
        law = _check.distribution("prompt_law", law, where)
        _check.shaped("prompt_law", law, (len(named),), "prompt", where)
        for name, reward in rewards.items():
            if reward.language != language:
                got = f"reward {name!r} reads another language"
                raise ValueError(_check.complaint(got, "the reference's", where))
        contexts = np.array([reference.context(prompt) for prompt in named])
        unique, start = np.unique(contexts, return_inverse=True)
        # Fold in one automaton after the other; `columns` holds every part's state on each state.
        successor, columns = reference.successor, [np.arange(len(reference.log_probs))]
        starts = unique
        for reward in rewards.values():
            pairs = np.stack([starts, np.zeros_like(starts)], axis=1)
            left, right, successor = product(successor, reward.successor, pairs)
            columns = [column[left] for column in columns] + [right]
            starts = np.arange(len(unique))
        if not rewards:
            start = unique[start]
        _check.fits_in_memory(
            "step-state-action entries",
            language.horizon * len(successor) * language.action_count,
            16.0,
            where,
            "Lower the horizon, the order or the automata's sizes.",
            memory_limit,
        )
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

    def read(
        self, batch: TokenBatch, prompt: int = 0
    ) -> tuple[Int[np.ndarray, "string step"], Int[np.ndarray, " string"]]:
        """The state before every token of every string, and the state in which each stops."""
        if batch.language != self.language:
            got = "the batch's language differs"
            raise ValueError(_check.complaint(got, "the lattice's", "Lattice"))
        return walk.read(batch, walk.along(self.successor), self.start_of(prompt))

    def start_of(self, prompt: int) -> int:
        """The state in which a prompt starts.

        Raises:
            ValueError: no such prompt.
        """
        return int(self.start[_check.place("prompt", prompt, len(self.prompts), "Lattice")])

    def judge(self, *parts: "LatticePolicy | Payoff") -> None:
        """Refuse policies and payoffs that belong to other states than these.

        Raises:
            ValueError: a policy on another lattice, a payoff of other states or actions.
        """
        for part in parts:
            if isinstance(part, LatticePolicy):
                if part.lattice is not self:
                    do = "Build one lattice with all rewards, and policies on it."
                    got = "a policy lives on another lattice"
                    raise ValueError(_check.complaint(got, "on the same", "Lattice", do))
            else:
                shape = self.log_reference.shape
                _check.shaped("payoff.edge", part.edge, shape, "state, action", "Lattice")
                _check.shaped("payoff.truncated", part.truncated, shape[:1], "state", "Lattice")

    def reward(
        self, payoff: Payoff, batch: TokenBatch, prompt: int = 0
    ) -> Float[np.ndarray, " string"]:
        """The reward of every string of a batch."""
        self.judge(payoff)
        states, last = self.read(batch, prompt)
        total = walk.pick(payoff.edge, states, batch).sum(axis=1)
        return total + np.where(batch.terminated, 0.0, payoff.truncated[last])

    def policy_of(self, policy: MarkovPolicy) -> "LatticePolicy":
        """Another Markov policy, of the reference's language and of its order or below.

        Raises:
            ValueError: another language; contexts told apart that this lattice merges.
        """
        where = "Lattice.policy_of"
        if policy.language != self.language:
            got = "the policy's language differs"
            raise ValueError(_check.complaint(got, "the lattice's", where))
        pairs = np.stack([self.start, [policy.context(prompt) for prompt in self.prompts]], axis=1)
        left, right, _ = product(self.successor, policy.successor, np.unique(pairs, axis=0))
        context = np.full(self.state_count, -1)
        context[left] = right
        if (context[left] != right).any():
            got = f"the policy of order {policy.order} is finer than the lattice"
            raise ValueError(_check.complaint(got, "a function of its states", where))
        log_probs = policy.log_probs[np.maximum(context, 0)]
        return LatticePolicy(
            self, np.broadcast_to(log_probs, (self.language.horizon, *log_probs.shape))
        )


@dataclass(frozen=True, eq=False)
class LatticePolicy:
    """A policy that knows the lattice state and the step: ln pi_t(a | state).

    Args:
        lattice: the state space.
        log_probs: normalised [step, state, action]; minus infinity is allowed.
    """

    lattice: Lattice
    log_probs: Float[np.ndarray, "step state action"]

    def __post_init__(self) -> None:
        shape = (self.lattice.language.horizon, *self.lattice.log_reference.shape)
        _check.shaped("log_probs", self.log_probs, shape, "step, state, action", "LatticePolicy")

    @cached_property
    def probs(self) -> Float[np.ndarray, "step state action"]:
        """pi_t(a | state); computed once, and once for all steps where they are alike."""
        if self.log_probs.strides[0] == 0:
            return np.broadcast_to(np.exp(self.log_probs[0]), self.log_probs.shape)
        return np.exp(self.log_probs)

    def next_token_law(
        self, prefix: Sequence[int] = (), prompt: int = 0
    ) -> Float[np.ndarray, " action"]:
        """pi(. | prompt, prefix): the probabilities of the next token, the end token last."""
        language, state = self.lattice.language, self.lattice.start_of(prompt)
        size = language.vocabulary_size
        if len(prefix) >= language.horizon or any(not 0 <= a < size for a in prefix):
            got = f"prefix is {tuple(prefix)}"
            expected = f"fewer than {language.horizon} tokens, each within 0..{size - 1}"
            raise ValueError(_check.complaint(got, expected, "LatticePolicy.next_token_law"))
        for token in prefix:
            state = int(self.lattice.successor[state, token])
        return self.probs[len(prefix), state]

    def token_log_prob(
        self, batch: TokenBatch, prompt: int = 0
    ) -> Float[np.ndarray, "string token"]:
        """The ln pi(y_t | x, y_<t) of every token of a batch, zero where the mask is False."""
        states, _ = self.lattice.read(batch, prompt)
        return walk.pick(self.log_probs, states, batch)

    def log_prob(self, batch: TokenBatch, prompt: int = 0) -> Float[np.ndarray, " string"]:
        """The ln pi(y | x) of every string of a batch."""
        return self.token_log_prob(batch, prompt).sum(axis=1)

    def sample(self, rng: np.random.Generator, draws: int, prompt: int = 0) -> TokenBatch:
        """Independent strings from pi(. | x), exactly: no Markov chain, no rejection."""
        lattice = self.lattice
        return walk.write(
            rng,
            lattice.language,
            walk.along(lattice.successor),
            lattice.start_of(prompt),
            draws,
            lambda step, state: self.probs[step, state],
        )

    def as_tabular(self) -> TabularPolicy:
        """The same policy on the prefix tree, one logit for every prefix: for small languages."""
        lattice, language = self.lattice, self.lattice.language
        prompts, entries = len(lattice.prompts), entry_count(language)
        _check.fits_in_memory("logits", entries * prompts, 8.0, "LatticePolicy.as_tabular")
        logits = np.empty((prompts, entries))
        for level, states in enumerate(walk.unfold(language, lattice.successor, lattice.start)):
            rows = np.moveaxis(self.log_probs[level][states], 2, 1)
            logits[:, level_slice(language, level)] = rows.reshape(prompts, -1)
        return TabularPolicy(language, lattice.prompts, logits)
