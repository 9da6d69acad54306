"""Markov policies under automaton rewards, in numbers that the package and the oracle both read.

Policies are whole-number weights by context; rewards are sums of terms, each of which knows its
automaton and, separately, what it pays for a whole string.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

from bandit_rlhf import automaton
from bandit_rlhf.automaton import AutomatonReward
from bandit_rlhf.bandit import ContextualBandit
from bandit_rlhf.exact.lattice import Lattice, LatticePolicy
from bandit_rlhf.language import Language
from bandit_rlhf.laws import oracle
from bandit_rlhf.ngram import MarkovPolicy

Context = tuple[int, ...]
Rows = dict[Context, list[int]]
"""From the last tokens since the start, oldest first, to the next tokens' weights."""

KINDS = ("tokens", "length", "capped", "contains", "repetition", "window", "machine")


@dataclass(frozen=True)
class Term:
    """One reward: its kind, weight, tokens (weights, counted ones, a pattern), cap or width."""

    kind: str
    weight: float = 1.0
    tokens: tuple[int, ...] = ()
    number: int = 1

    def automaton(self, language: Language) -> AutomatonReward:
        match self.kind:
            case "tokens":
                return automaton.token_weights(language, self.token_weights(language.action_count))
            case "length":
                return automaton.length(language, self.weight)
            case "capped":
                words = language.words(self.tokens)
                return automaton.capped_count(language, words, self.number, self.weight)
            case "contains":
                return automaton.contains(language, language.words(self.tokens), self.weight)
            case "repetition":
                return automaton.repetition(language, self.number, self.weight)
            case "window":
                return automaton.window(language, self.number, self.window_pay)
        successor, edge, truncated = self.machine(language.vocabulary_size, language.action_count)
        return AutomatonReward(language, successor, edge, truncated)

    def pay(self, string: oracle.String, size: int, end: bool) -> Fraction:
        """What the whole string earns, by its definition."""
        content = [a for a in string if a < size]
        before = [tuple(content[max(0, t - self.number) : t]) for t in range(len(string))]
        weight = Fraction(self.weight)
        match self.kind:
            case "tokens":
                return sum(
                    (Fraction(self.token_weights(size + end)[a]) for a in string), Fraction()
                )
            case "length":
                return weight * len(string)
            case "capped":
                return weight * min(self.number, sum(a in self.tokens for a in string))
            case "contains":
                width = len(self.tokens)
                windows = [tuple(content[t : t + width]) for t in range(len(content))]
                return weight * (self.tokens in windows)
            case "repetition":
                return weight * sum(a in b for a, b in zip(string, before, strict=True))
            case "window":
                pairs = zip(before, string, strict=True)
                return sum((Fraction(self.window_pay(b, a)) for b, a in pairs), Fraction())
        successor, edge, truncated = self.machine(size, size + end)
        state, total = 0, Fraction()
        for a in string:
            total += Fraction(float(edge[state, a]))
            state = successor[state, a] if a < size else None
        return total if state is None else total + Fraction(float(truncated[state]))

    def token_weights(self, actions: int) -> list[float]:
        return [self.weight * self.tokens[a % len(self.tokens)] for a in range(actions)]

    def window_pay(self, context: tuple[int, ...], token: int) -> float:
        """Some function that sees every token of the context and its place."""
        mixed = sum((k + 2) * (a + 1) for k, a in enumerate(context)) + 3 * token
        return self.weight * (mixed % 5 - 2)

    def machine(self, size: int, actions: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A random automaton of three states that also pays for being cut; `number` is its seed."""
        rng = np.random.default_rng(self.number)
        edge, truncated = rng.integers(-4, 5, (3, actions)) / 4, rng.integers(-4, 5, 3) / 4
        return rng.integers(0, 3, (3, size)), self.weight * edge, self.weight * truncated


@dataclass(frozen=True)
class LatticeWorld:
    """A reference and another policy of one order, two rewards, and prompts in token ids."""

    size: int
    horizon: int
    end: bool
    order: int
    reference_rows: Rows
    other_rows: Rows
    gold_terms: tuple[Term, ...]
    proxy_terms: tuple[Term, ...]
    prompts: tuple[Context, ...]
    prompt_law: tuple[float, ...]

    # As the package sees it

    @property
    def language(self) -> Language:
        return Language(tuple("abcdefgh"[: self.size]), self.horizon, "$" if self.end else None)

    @property
    def prompt_words(self) -> tuple[tuple[str, ...], ...]:
        return tuple(self.language.words(prompt) for prompt in self.prompts)

    def markov(self, rows: Rows) -> MarkovPolicy:
        table = [np.array(rows[c]) / sum(rows[c]) for c in contexts(self.size, self.order)]
        return MarkovPolicy.from_probs(self.language, self.order, np.array(table))

    @property
    def reference(self) -> MarkovPolicy:
        return self.markov(self.reference_rows)

    @property
    def gold(self) -> AutomatonReward:
        return total([term.automaton(self.language) for term in self.gold_terms])

    @property
    def proxy(self) -> AutomatonReward:
        return total([term.automaton(self.language) for term in self.proxy_terms])

    @property
    def lattice(self) -> Lattice:
        rewards = {"gold": self.gold, "proxy": self.proxy}
        return Lattice.build(self.reference, rewards, self.prompt_words, list(self.prompt_law))

    def other(self, lattice: Lattice) -> LatticePolicy:
        return lattice.policy_of(self.markov(self.other_rows))

    def bandit(self, reward: AutomatonReward) -> ContextualBandit:
        return ContextualBandit(self.language, self.prompt_words, list(self.prompt_law), reward)

    # As the oracle sees it

    @property
    def strings(self) -> list[oracle.String]:
        return oracle.strings(self.size, self.horizon, self.end)

    def exact(self, rows: Rows, x: int) -> oracle.Policy:
        """The policy after prompt x, in fractions."""

        def policy(prefix: oracle.String) -> list[Fraction]:
            said = (*self.prompts[x], *prefix)
            row = rows[said[max(0, len(said) - self.order) :]]
            return [Fraction(w, sum(row)) for w in row]

        return policy

    def law(self, rows: Rows, x: int) -> oracle.Law:
        return oracle.law(self.exact(rows, x), self.strings)

    def payoff(self, terms: tuple[Term, ...]) -> dict[oracle.String, Fraction]:
        return {
            y: sum((term.pay(y, self.size, self.end) for term in terms), Fraction())
            for y in self.strings
        }

    def table(self, of_string: dict[oracle.String, oracle.Number]) -> np.ndarray:
        """A dict by string as an array [string], in the language's order."""
        result = np.full(len(of_string), np.nan)
        for y, value in of_string.items():
            result[self.language.rank(y)] = value
        return result


def contexts(size: int, order: int) -> list[Context]:
    """The documented numbering: short ones first, the oldest token as the lowest digit."""
    return [
        tuple(index // size**k % size for k in range(length))
        for length in range(order + 1)
        for index in range(size**length)
    ]


def total(rewards: list[AutomatonReward]) -> AutomatonReward:
    first, *rest = rewards
    for reward in rest:
        first = first + reward
    return first


@st.composite
def lattice_worlds(
    draw: st.DrawFn, zeros: bool = True, reference_zeros: bool = False, longest: int = 4
) -> LatticeWorld:
    """Worlds of at most 3^3 full-length strings, of orders 0 to 3, with every kind of reward.

    Args:
        draw: Hypothesis's.
        zeros: whether the other policy may give a token no probability.
        reference_zeros: whether the reference may.
        longest: the largest horizon.
    """
    size = draw(st.integers(1, 3))
    horizon = draw(st.integers(1, min(longest, 3 if size == 3 else 4)))
    end, order = draw(st.booleans()), draw(st.integers(0, 2 if size == 3 else 3))
    actions, token = size + end, st.integers(0, size - 1)

    def rows(allow_zero: bool) -> Rows:
        weights = st.lists(
            st.integers(0 if allow_zero else 1, 7), min_size=actions, max_size=actions
        ).filter(any)
        return draw(st.fixed_dictionaries(dict.fromkeys(contexts(size, order), weights)))

    def terms() -> tuple[Term, ...]:
        one = st.builds(
            Term,
            kind=st.sampled_from(KINDS),
            weight=st.integers(-4, 4).map(lambda quarter: quarter / 4),
            tokens=st.lists(token, min_size=1, max_size=3).map(tuple),
            number=st.integers(1, 3),
        )
        return tuple(draw(st.lists(one, min_size=1, max_size=2)))

    prompt = st.lists(token, max_size=4).map(tuple)
    prompts = tuple(draw(st.lists(prompt, min_size=1, max_size=3, unique=True)))
    parts = draw(st.tuples(*[st.integers(0, 5)] * len(prompts)).filter(any))
    return LatticeWorld(
        size,
        horizon,
        end,
        order,
        rows(reference_zeros),
        rows(zeros),
        terms(),
        terms(),
        prompts,
        prompt_law=tuple(part / sum(parts) for part in parts),
    )


def random_lattice_world(
    seed: int, size: int = 3, horizon: int = 3, end: bool = True, order: int = 1
) -> LatticeWorld:
    """One world with all kinds of reward and three prompts, for tests that need only one."""
    rng = np.random.default_rng(seed)

    def rows() -> Rows:
        return {c: rng.integers(1, 8, size + end).tolist() for c in contexts(size, order)}

    gold = (
        Term("capped", 0.5, (0,), 2),
        Term("repetition", -1.0, number=1),
        Term("contains", 1.5, (size - 1, 0)),
        Term("machine", 1.0, number=seed),
    )
    proxy = (Term("tokens", 0.25, (3, -2, 1)), Term("length", -0.25), Term("window", 0.5, number=2))
    prompts = ((), (0,), tuple(int(a) for a in rng.integers(0, size, 4)))
    return LatticeWorld(
        size, horizon, end, order, rows(), rows(), gold, proxy, prompts, (0.25, 0.5, 0.25)
    )
