"""A finite MDP as a Gymnasium environment, for agents that learn by playing (extra: gym).

    observation: the state's index;  action: the action's index;  reward: undiscounted

An episode is `terminated` on entering a terminal state, and `truncated` when the horizon cuts it
in another one. The horizon belongs to the problem: nothing is earned after it, so neither case is
to be bootstrapped. The best policy may depend on the time, which `info` carries; in the token MDP
and in dialogues the state tells it.
"""

from typing import Any

import numpy as np

from bandit_rlhf import _check
from bandit_rlhf.mdp import FiniteMDP

try:
    import gymnasium
except ImportError as error:
    raise ImportError(
        "bandit_rlhf.gym needs gymnasium, which is not installed. "
        "Install the extra: pip install 'bandit-rlhf[gym]'."
    ) from error


class FiniteMDPEnv(gymnasium.Env[np.int64, int | np.int64]):
    """One finite MDP, played step by step.

    `reset(seed=...)` seeds the environment's own generator, which draws first states and outcomes.
    `info` holds the name of the state and the number of actions taken.

    Args:
        mdp: any finite MDP.

    >>> from bandit_rlhf.language import Language
    >>> from bandit_rlhf.mdp import token_mdp
    >>> letters = Language(("a", "b"), 2, "$")
    >>> env = FiniteMDPEnv(token_mdp(letters, lambda prompt, words: words.count("b")))
    >>> env.reset(seed=0)[1]["state"].words
    ()
    >>> env.step(1)[1:4], env.step(2)[1:4]
    ((1.0, False, False), (1.0, True, False))
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 (Gymnasium declares it so)

    def __init__(self, mdp: FiniteMDP) -> None:
        self.mdp = mdp
        self.observation_space = gymnasium.spaces.Discrete(mdp.state_count)
        self.action_space = gymnasium.spaces.Discrete(mdp.action_count)
        self._state: int | None = None
        self._time = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.int64, dict[str, Any]]:
        """Start an episode in a state drawn from the initial law.

        Args:
            seed: of the environment's generator; None goes on with it.
            options: none are known.

        Returns:
            the first state, and `info`.

        Raises:
            ValueError: an option.
        """
        super().reset(seed=seed)
        if options:
            got = f"options are {sorted(options)}"
            raise ValueError(_check.complaint(got, "none", "FiniteMDPEnv.reset"))
        self._state = self._draw(self.mdp.initial_law)
        self._time = 0
        return np.int64(self._state), self._info(self._state)

    def step(self, action: int | np.int64) -> tuple[np.int64, float, bool, bool, dict[str, Any]]:
        """Take an action, and draw what follows.

        Args:
            action: index of the action.

        Returns:
            the next state, the edge's reward, whether the state is terminal, whether the horizon
            cut the episode, and `info`.

        Raises:
            ValueError: an action that there is not.
            RuntimeError: no episode is going on.
        """
        if self._state is None:
            raise RuntimeError("step was called, but no episode is going on. Call reset first.")
        if not self.action_space.contains(action):
            expected = f"one of 0..{self.mdp.action_count - 1}"
            raise ValueError(
                _check.complaint(f"action is {action!r}", expected, "FiniteMDPEnv.step")
            )
        edge = (self._state, int(action))
        outcome = self._draw(self.mdp.probability[edge])
        reward = float(self.mdp.reward[edge][outcome])
        state = int(self.mdp.successor[edge][outcome])
        self._time += 1
        terminated = bool(self.mdp.terminal[state])
        truncated = not terminated and self._time == self.mdp.horizon
        self._state = None if terminated or truncated else state
        return np.int64(state), reward, terminated, truncated, self._info(state)

    def _draw(self, law: np.ndarray) -> int:
        return int(self.np_random.choice(len(law), p=law))

    def _info(self, state: int) -> dict[str, Any]:
        return {"state": self.mdp.state_names[state], "time": self._time}
