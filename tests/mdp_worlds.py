"""Finite MDPs in exact numbers: one description, read by the package and by the oracle."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

from bandit_rlhf.laws import oracle
from bandit_rlhf.mdp import FiniteMDP

Path = tuple[oracle.History, Fraction, Fraction]
"""A trajectory (state, action, ..., state), the product of its outcomes' chances, its return."""


@dataclass(frozen=True)
class Process:
    """An MDP whose numbers are whole weights and quarters.

    Args:
        initial: weight of each first state; 0 for terminal ones.
        outcomes: [state][action] -> (weight, reward, next state), ...; terminal states are empty.
    """

    initial: tuple[int, ...]
    outcomes: tuple[tuple[tuple[tuple[int, Fraction, int], ...], ...], ...]
    actions: int
    horizon: int
    gamma: Fraction

    @property
    def mdp(self) -> FiniteMDP:
        """As the package holds it; short outcome lists are padded, terminal states loop."""
        states = len(self.outcomes)
        widest = max((len(o) for row in self.outcomes for o in row), default=1)
        successor = np.zeros((states, self.actions, widest), dtype=np.int64)
        probability, reward = np.zeros(successor.shape), np.zeros(successor.shape)
        for s, row in enumerate(self.outcomes):
            if not row:
                successor[s], probability[s, :, 0] = s, 1.0
            for a, listed in enumerate(row):
                for o, (weight, paid, following) in enumerate(listed):
                    successor[s, a, o] = following
                    probability[s, a, o] = weight / sum(w for w, _, _ in listed)
                    reward[s, a, o] = float(paid)
        law = np.array(self.initial) / sum(self.initial)
        terminal = [not row for row in self.outcomes]
        return FiniteMDP(
            law, successor, probability, reward, self.horizon, float(self.gamma), terminal
        )

    def model(self, state: oracle.State) -> list[list[tuple[Fraction, Fraction, int]]]:
        """As the oracle reads it."""
        assert isinstance(state, int)
        return [
            [(Fraction(w, sum(v for v, _, _ in listed)), r, s) for w, r, s in listed]
            for listed in self.outcomes[state]
        ]

    @property
    def starts(self) -> list[tuple[int, Fraction]]:
        """First states and their probabilities."""
        return [(s, Fraction(w, sum(self.initial))) for s, w in enumerate(self.initial) if w]

    def paths(self) -> Iterator[Path]:
        """Every trajectory from every first state, its chance included; policies play no part."""

        def follow(history: oracle.History, chance: Fraction, earned: Fraction) -> Iterator[Path]:
            time = len(history) // 2
            actions = self.model(history[-1]) if time < self.horizon else []
            if not actions:
                yield history, chance, earned
            for a, listed in enumerate(actions):
                for p, r, s in listed:
                    if p:
                        paid = earned + self.gamma**time * r
                        yield from follow((*history, a, s), chance * p, paid)

        for state, p in self.starts:
            yield from follow((state,), p, Fraction(0))

    def visits(self) -> list[tuple[int, int]]:
        """Every (time, state) in which an action can ever be taken."""
        seen = {(t, h[2 * t]) for h, _, _ in self.paths() for t in range(len(h) // 2)}
        return sorted(seen)


@dataclass(frozen=True)
class Weighted:
    """A policy as whole-number weights [time][state][action]."""

    weights: tuple[tuple[tuple[int, ...], ...], ...]

    @property
    def log_policy(self) -> np.ndarray:
        """As the package holds it: ln pi_t(a|s) [time, state, action]."""
        with np.errstate(divide="ignore"):
            table = np.log(np.array(self.weights, dtype=float))
            return table - np.log(np.array(self.weights).sum(axis=-1, keepdims=True))

    def __call__(self, history: oracle.History) -> list[Fraction]:
        """As the oracle asks it."""
        row = self.weights[len(history) // 2][history[-1]]
        return [Fraction(w, sum(row)) for w in row]

    def chance(self, history: oracle.History) -> Fraction:
        """The product of the probabilities of a trajectory's actions."""
        return math.prod(
            (self(history[: 2 * t + 1])[history[2 * t + 1]] for t in range(len(history) // 2)),
            start=Fraction(1),
        )


quarters = st.integers(-8, 8).map(lambda quarter: Fraction(quarter, 4))


@st.composite
def processes(
    draw: st.DrawFn, gammas: tuple[Fraction, ...] = (Fraction(0), Fraction(3, 4), Fraction(1))
) -> Process:
    """MDPs of at most 3 states, 3 actions, 2 outcomes and 3 steps; at least one state goes on."""
    states, actions = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    outcome = st.tuples(st.integers(1, 3), quarters, st.integers(0, states - 1))
    row = st.tuples(*[st.lists(outcome, min_size=1, max_size=2).map(tuple)] * actions)
    going = draw(st.tuples(*[st.booleans()] * (states - 1)))
    outcomes = tuple(draw(row) if goes else () for goes in (True, *going))
    weight = [st.integers(0, 3) if goes else st.just(0) for goes in outcomes]
    initial = draw(st.tuples(*weight).filter(any))
    return Process(
        initial, outcomes, actions, draw(st.integers(1, 3)), draw(st.sampled_from(gammas))
    )


def policies(process: Process, zeros: bool = True) -> st.SearchStrategy[Weighted]:
    """Policies of a process; with `zeros` they may forbid actions."""
    weight = st.integers(0 if zeros else 1, 5)
    row = st.tuples(*[weight] * process.actions).filter(any)
    at_time = st.tuples(*[row] * len(process.outcomes))
    return st.tuples(*[at_time] * process.horizon).map(Weighted)


@st.composite
def problems(
    draw: st.DrawFn,
    zeros: bool = True,
    gammas: tuple[Fraction, ...] = (Fraction(3, 4), Fraction(1)),
) -> tuple[Process, Weighted, Weighted]:
    """A process, a policy and a reference without zeros."""
    process = draw(processes(gammas=gammas))
    return process, draw(policies(process, zeros)), draw(policies(process, zeros=False))


def random_problem(
    seed: int, gamma: Fraction = Fraction(3, 4), horizon: int = 3
) -> tuple[Process, Weighted, Weighted]:
    """One problem without special features: 3 states, the last terminal, 2 actions, 2 outcomes."""
    rng = np.random.default_rng(seed)

    def outcome(following: int) -> tuple[int, Fraction, int]:
        return int(rng.integers(1, 4)), Fraction(int(rng.integers(-8, 9)), 4), following

    def weighted() -> Weighted:
        drawn = rng.integers(1, 6, (horizon, 3, 2)).tolist()
        return Weighted(tuple(tuple(tuple(row) for row in rows) for rows in drawn))

    going = tuple(tuple((outcome(a), outcome(1 - a)) for a in (0, 1)) for _ in (0, 1))
    leaving = ((*going[1][0][:1], outcome(2)), going[1][1])
    return Process((1, 2, 0), (going[0], leaving, ()), 2, horizon, gamma), weighted(), weighted()
