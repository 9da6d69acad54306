"""The Gymnasium view: their checker, our bookkeeping, and honest dice."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env

from bandit_rlhf.exact import bellman
from bandit_rlhf.gym import FiniteMDPEnv
from bandit_rlhf.language import Language
from bandit_rlhf.mdp import FiniteMDP, History, dialogue_mdp, token_mdp
from tests.mdp_worlds import random_problem

ROOT = Path(__file__).resolve().parents[1]
LETTERS = Language(("a", "b"), 3, "$")


def count_b(prompt: tuple[str, ...], words: tuple[str, ...]) -> float:
    return float(words[-1] == "b")


def dialogue() -> FiniteMDP:
    law = np.array([[0.75, 0.25], [0.25, 0.75]])
    return dialogue_mdp(
        *(["ask", "tell"], ["yes", "no"], 2, law, lambda prompt, words: words.count("yes")),
        prompts=[("hi",), ("ho",)],
        prompt_law=[0.25, 0.75],
    )


MDPS = {
    "tokens": token_mdp(LETTERS, count_b),
    "dialogue": dialogue(),
    "random": random_problem(0)[0].mdp,
}


@pytest.mark.parametrize("mdp", MDPS.values(), ids=MDPS)
def test_gymnasium_finds_nothing_wrong(mdp: FiniteMDP) -> None:
    # Without a spec there is nothing to render again, and the checker would warn.
    check_env(FiniteMDPEnv(mdp), skip_render_check=True)


def test_it_can_be_made_from_a_spec() -> None:
    spec = EnvSpec("Letters-v0", "bandit_rlhf.gym:FiniteMDPEnv", kwargs={"mdp": MDPS["tokens"]})
    check_env(gymnasium.make(spec).unwrapped)


class Forgetful(FiniteMDPEnv):
    """A broken twin: its seed does not reach the dice."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.int64, dict]:
        return super().reset(options=options)


class OutOfBounds(FiniteMDPEnv):
    """A broken twin: the states that it shows lie outside the space."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.int64, dict]:
        state, info = super().reset(seed=seed, options=options)
        return np.int64(state + self.mdp.state_count), info


@pytest.mark.parametrize("twin", [Forgetful, OutOfBounds])
def test_control_gymnasium_finds_what_is_wrong(twin: type[FiniteMDPEnv]) -> None:
    with pytest.raises(AssertionError):
        check_env(twin(MDPS["dialogue"]), skip_render_check=True)


def episode(env: FiniteMDPEnv, actions: list[int], seed: int | None = None) -> list[tuple]:
    seen: list[tuple] = [env.reset(seed=seed)]
    return seen + [env.step(action) for action in actions]


def test_ended_strings_terminate_and_cut_strings_are_truncated() -> None:
    env = FiniteMDPEnv(MDPS["tokens"])
    ends = {
        words: episode(env, [*LETTERS.tokens(words)])[-1]
        for words in [("$",), ("a", "$"), ("b", "b", "$"), ("a", "b", "b")]
    }
    for words, (_, reward, terminated, truncated, info) in ends.items():
        assert info == {"state": History((), words), "time": len(words)}
        assert terminated == (words[-1] == "$")
        assert truncated == (words[-1] != "$")
        assert reward == (words[-1] == "b")
    going = episode(env, [0])[-1]
    assert going[2:4] == (False, False)


def test_the_seed_decides_everything() -> None:
    one, other = FiniteMDPEnv(MDPS["random"]), FiniteMDPEnv(MDPS["random"])
    assert episode(one, [1], seed=3) == episode(other, [1], seed=3)
    going_on = [one.reset()[0] for _ in range(20)]
    assert going_on == [other.reset()[0] for _ in range(20)]
    assert len(set(going_on)) > 1


def returns(mdp: FiniteMDP, log_policy: np.ndarray, episodes: int, seed: int) -> np.ndarray:
    """Discounted returns of a policy played in the environment."""
    env, rng = FiniteMDPEnv(mdp), np.random.default_rng(seed)
    totals = np.zeros(episodes)
    env.reset(seed=seed)
    for i in range(episodes):
        state, info = env.reset()
        over = False
        while not over:
            time = info["time"]
            action = rng.choice(mdp.action_count, p=np.exp(log_policy[time, state]))
            state, reward, terminated, truncated, info = env.step(action)
            totals[i] += mdp.gamma**time * reward
            over = terminated or truncated
    return totals


def test_returns_average_to_the_exact_value() -> None:
    # Beyond 5 standard errors lies one right environment in a million; the seed is fixed.
    process, policy, _ = random_problem(0)
    value = bellman.evaluate(process.mdp, policy.log_policy).value
    played = returns(process.mdp, policy.log_policy, 3000, seed=0)
    error = played.std(ddof=1) / np.sqrt(len(played))
    assert abs(played.mean() - value) < 5 * error
    # Control: a value that is off by a quarter would be noticed.
    assert error < 0.25 / 10


def test_misuse_is_named() -> None:
    env = FiniteMDPEnv(MDPS["tokens"])
    with pytest.raises(RuntimeError, match="no episode is going on"):
        env.step(0)
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"action is 3, but should be one of 0..2"):
        env.step(3)
    env.step(2)
    with pytest.raises(RuntimeError, match="Call reset first"):
        env.step(0)
    with pytest.raises(ValueError, match=r"options are \['start'\], but should be none"):
        env.reset(options={"start": 1})


def test_without_gymnasium_the_extra_is_named() -> None:
    program = "import sys\n{}\nimport bandit_rlhf.gym"
    blocked, free = (
        subprocess.run(
            [sys.executable, "-c", program.format(line)], cwd=ROOT, capture_output=True, text=True
        )
        for line in ("sys.modules['gymnasium'] = None", "")
    )
    assert "ImportError: bandit_rlhf.gym needs gymnasium" in blocked.stderr
    assert "pip install 'bandit-rlhf[gym]'" in blocked.stderr
    assert free.returncode == 0, free.stderr
