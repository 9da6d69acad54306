"""Finite Markov decision processes with a finite horizon and rewards on edges.

    J(pi) = E sum_{t < horizon} gamma^t r(s_t, a_t, o_t),    s_{t+1} = successor(s_t, a_t, o_t)

The outcome o_t is what chance, or a user, adds to an action. Nothing here knows about strings.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bandit_rlhf import _check
from bandit_rlhf._array import Bool, Float, Int


@dataclass(frozen=True, eq=False)
class FiniteMDP:
    """A finite MDP: every action in every state has a list of outcomes.

    An episode *terminates* on entering a terminal state and is *cut* when `horizon` actions have
    been taken; nothing is earned after either. Short outcome lists are padded with probability 0.

    Args:
        initial_law: probabilities of the first state [state]; none on a terminal state.
        successor: the next state [state, action, outcome].
        probability: of each outcome [state, action, outcome]; sums to 1 over outcomes.
        reward: paid on each edge [state, action, outcome], finite.
        horizon: the number of actions after which an episode is cut; at least 1.
        gamma: discount per step, within 0..1.
        terminal: True where nothing follows [state]; such a state leads to itself and pays 0. None:
            nowhere.
        state_names: distinct, hashable; None: 0, 1, ...
        action_names: distinct; None: "0", "1", ...

    Raises:
        ValueError: a law that is none, shapes that do not fit, successors that are no states, NaN
            or infinite rewards, a terminal state that pays or leads elsewhere, repeated names.
        TypeError: successors that are no integers, a mask that is not boolean.

    Source: Puterman 1994, Markov Decision Processes, chapter 4 (finite horizon).

    A coin shows state 1 or 2, whatever is done; then action 1 wins in state 1, action 0 in state 2:

    >>> successor = [[[1, 2], [1, 2]], [[1, 1], [1, 1]], [[2, 2], [2, 2]]]
    >>> reward = [[[0, 0], [0, 0]], [[0, 0], [1, 1]], [[1, 1], [0, 0]]]
    >>> coin = FiniteMDP([1, 0, 0], successor, np.full((3, 2, 2), 0.5), reward, horizon=2)
    >>> coin.expected_reward().tolist()
    [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0]]
    """

    initial_law: Float[np.ndarray, " state"]
    successor: Int[np.ndarray, "state action outcome"]
    probability: Float[np.ndarray, "state action outcome"]
    reward: Float[np.ndarray, "state action outcome"]
    horizon: int
    gamma: float
    terminal: Bool[np.ndarray, " state"]
    state_names: tuple[Hashable, ...]
    action_names: tuple[str, ...]

    def __init__(
        self,
        initial_law: ArrayLike,
        successor: ArrayLike,
        probability: ArrayLike,
        reward: ArrayLike,
        horizon: int,
        gamma: float = 1.0,
        terminal: ArrayLike | None = None,
        state_names: Sequence[Hashable] | None = None,
        action_names: Sequence[str] | None = None,
    ) -> None:
        where, axes = "FiniteMDP", "state, action, outcome"
        follows = _states(successor)
        states, actions, _ = shape = follows.shape
        law = _check.distribution("initial_law", initial_law, where)
        _check.shaped("initial_law", law, (states,), "state", where)
        chance = _check.shaped("probability", np.asarray(probability, float), shape, axes, where)
        chance = _check.distribution("probability", chance, where)
        pay = _check.shaped("reward", _check.finite("reward", reward, where), shape, axes, where)
        gamma = _check.non_negative("gamma", gamma, where)
        if gamma > 1:
            raise ValueError(_check.complaint(f"gamma is {gamma:g}", "within 0..1", where))
        final = np.zeros(states, bool) if terminal is None else np.asarray(terminal)
        if final.dtype != np.bool_:
            raise TypeError(_check.complaint(f"terminal holds {final.dtype}", "boolean", where))
        _check.shaped("terminal", final, (states,), "state", where)
        values: dict[str, Any] = {
            "initial_law": law,
            "successor": follows,
            "probability": chance,
            "reward": pay,
            "horizon": _check.integer_at_least("horizon", horizon, 1, where),
            "gamma": gamma,
            "terminal": final,
            "state_names": _names("state", state_names, range(states)),
            "action_names": _names("action", action_names, [str(a) for a in range(actions)]),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)
        self._refuse_life_after_the_end()

    def _refuse_life_after_the_end(self) -> None:
        here = np.arange(self.state_count)[:, None, None]
        possible = self.terminal[:, None, None] & (self.probability > 0)
        for moved, what in (
            (self.successor != here, "leads to another state"),
            (self.reward != 0, "pays a reward"),
        ):
            if (possible & moved).any():
                s, a, o = (int(i) for i in np.argwhere(possible & moved)[0])
                got = f"terminal state {self.state_names[s]!r} {what} on action {a}, outcome {o}"
                do = "Pay on the edge that enters it."
                raise ValueError(_check.complaint(got, "a loop that pays 0", "FiniteMDP", do))
        if (ended := np.flatnonzero(self.terminal & (self.initial_law > 0))).size:
            got = f"initial_law starts in the terminal state {self.state_names[ended[0]]!r}"
            raise ValueError(_check.complaint(got, "on states with a choice", "FiniteMDP"))

    @property
    def state_count(self) -> int:
        """Number of states."""
        return self.successor.shape[0]

    @property
    def action_count(self) -> int:
        """Number of actions."""
        return self.successor.shape[1]

    def expected_reward(self) -> Float[np.ndarray, "state action"]:
        """r(s, a) = sum_o P(o | s, a) r(s, a, o)."""
        return (self.probability * self.reward).sum(axis=-1)


def shaped(mdp: FiniteMDP, potential: ArrayLike) -> FiniteMDP:
    """The same MDP with the reward r(s, a, s') + gamma phi(s') - phi(s).

    The additions telescope: the return of an episode of T steps changes by
    gamma^T phi(s_T) - phi(s_0). Where phi is 0 in every state in which an episode can stop, that is
    a constant of the first state, and neither the optimum nor any policy gradient moves.

    Args:
        mdp: any finite MDP.
        potential: phi [state], finite; 0 in terminal states. Where the horizon cuts an episode in
            another state, gamma^T phi(s_T) stays.

    Raises:
        ValueError: a potential that is not 0 in a terminal state, or not finite.

    Source: Ng, Harada and Russell 1999, Policy invariance under reward transformations, theorem 1.

    >>> sure = [[[1.0]], [[1.0]]]
    >>> leave = FiniteMDP([1, 0], [[[1]], [[1]]], sure, [[[2]], [[0]]], 1, terminal=[False, True])
    >>> shaped(leave, [5, 0]).reward.ravel().tolist()
    [-3.0, 0.0]
    """
    phi = _check.finite("potential", potential, "shaped")
    _check.shaped("potential", phi, (mdp.state_count,), "state", "shaped")
    if (wrong := np.flatnonzero(mdp.terminal & (phi != 0))).size:
        got = f"potential of the terminal state {mdp.state_names[wrong[0]]!r} is {phi[wrong[0]]:g}"
        raise ValueError(_check.complaint(got, "0", "shaped"))
    reward = mdp.reward + mdp.gamma * phi[mdp.successor] - phi[:, None, None]
    return replace(mdp, reward=reward)


def _states(successor: ArrayLike) -> Int[np.ndarray, "state action outcome"]:
    """The successors as integers, after checking that they are states."""
    where, array = "FiniteMDP", np.asarray(successor)
    if array.ndim != 3 or array.size == 0:
        got, expected = f"successor has shape {array.shape}", "[state, action, outcome], not empty"
        raise ValueError(_check.complaint(got, expected, where))
    if not np.issubdtype(array.dtype, np.integer):
        raise TypeError(_check.complaint(f"successor holds {array.dtype}", "integers", where))
    outside = np.argwhere((array < 0) | (array >= len(array)))
    if len(outside):
        at = tuple(int(i) for i in outside[0])
        got = f"successor[{', '.join(map(str, at))}] is {array[at]}"
        raise ValueError(_check.complaint(got, f"a state, 0..{len(array) - 1}", where))
    return array.astype(np.int64)


def _names(kind: str, names: Sequence[Any] | None, default: Sequence[Any]) -> tuple[Any, ...]:
    """The names, after checking that there is one each."""
    if names is None:
        return tuple(default)
    if len(names) != len(default):
        got = f"{kind}_names has {len(names)} entries"
        raise ValueError(_check.complaint(got, f"{len(default)} = [{kind}]", "FiniteMDP"))
    if len(set(names)) < len(names):
        seen: set[Any] = set()
        twice = next(name for name in names if name in seen or seen.add(name))
        got = f"{kind} name {twice!r} occurs twice"
        raise ValueError(_check.complaint(got, "distinct", "FiniteMDP"))
    return tuple(names)
