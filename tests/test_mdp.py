"""MDPs, the token MDP, dialogues, and the ways to and from the bandit."""

import math
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandit_rlhf.bandit import ContextualBandit
from bandit_rlhf.exact import bellman
from bandit_rlhf.language import Language
from bandit_rlhf.laws import oracle
from bandit_rlhf.mdp import (
    FiniteMDP,
    History,
    as_bandit,
    as_mdp,
    dialogue_mdp,
    entry_array,
    shaped,
    state_array,
    token_mdp,
)
from tests.mdp_worlds import policies, processes, random_problem
from tests.worlds import World, random_world, worlds

ROOT = Path(__file__).resolve().parents[1]
LETTERS = Language(("a", "b"), 2, "$")


def play(mdp: FiniteMDP, state: int, actions: tuple[int, ...]) -> tuple[float, int]:
    """Return and last state of a sequence of actions, in an MDP with one outcome an action."""
    total = 0.0
    for time, action in enumerate(actions):
        assert not mdp.terminal[state]
        total += mdp.gamma**time * mdp.reward[state, action, 0]
        state = int(mdp.successor[state, action, 0])
    return total, state


def histories(mdp: FiniteMDP) -> list[History]:
    """The names of the states, which are histories."""
    names = [name for name in mdp.state_names if isinstance(name, History)]
    assert len(names) == mdp.state_count
    return names


def root(mdp: FiniteMDP, prompt: tuple[str, ...]) -> int:
    return mdp.state_names.index(History(prompt, ()))


# FiniteMDP


def two_rooms(**changes: Any) -> FiniteMDP:
    """Action 0 stays, action 1 leaves for the terminal state and pays 1."""
    fields: dict[str, Any] = {
        "initial_law": [1.0, 0.0],
        "successor": [[[0], [1]], [[1], [1]]],
        "probability": [[[1.0], [1.0]], [[1.0], [1.0]]],
        "reward": [[[0.0], [1.0]], [[0.0], [0.0]]],
        "horizon": 3,
        "gamma": 0.5,
        "terminal": [False, True],
    }
    return FiniteMDP(**fields | changes)


def test_an_mdp_takes_lists_and_names_what_has_no_name() -> None:
    mdp = two_rooms()
    assert (mdp.state_count, mdp.action_count) == (2, 2)
    assert (mdp.state_names, mdp.action_names) == ((0, 1), ("0", "1"))
    assert not two_rooms(terminal=None).terminal.any()
    named = two_rooms(state_names=["in", "out"], action_names=["stay", "leave"])
    assert (named.state_names[1], named.action_names[1]) == ("out", "leave")


def test_expected_reward_averages_outcomes() -> None:
    lottery = FiniteMDP([1.0], [[[0, 0]]], [[[0.25, 0.75]]], [[[4.0, 8.0]]], 1)
    assert lottery.expected_reward().tolist() == [[7.0]]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"initial_law": [0.5, 0.4]}, "initial_law sums to 0.9, but should be 1"),
        ({"initial_law": [1.5, -0.5]}, r"initial_law\[1\] is -0.5"),
        ({"initial_law": [1.0]}, r"initial_law has shape \(1,\), but should be \(2,\) = \[state\]"),
        ({"initial_law": [0.0, 1.0]}, "initial_law starts in the terminal state 1"),
        ({"successor": [[[0], [2]], [[1], [1]]]}, r"successor\[0, 1, 0\] is 2.* a state, 0..1"),
        ({"successor": [[[0], [-1]], [[1], [1]]]}, r"successor\[0, 1, 0\] is -1"),
        ({"successor": np.zeros((2, 0, 1), int)}, r"successor has shape \(2, 0, 1\)"),
        ({"successor": [[0, 1], [1, 1]]}, r"successor has shape \(2, 2\)"),
        ({"probability": [[[1.0], [0.9]], [[1.0], [1.0]]]}, r"probability\[0, 1\] sums to 0.9"),
        ({"probability": [[[1.0]], [[1.0]]]}, r"probability has shape \(2, 1, 1\)"),
        ({"reward": [[[0.0], [math.nan]], [[0.0], [0.0]]]}, r"reward\[0, 1, 0\] is nan"),
        ({"reward": [[[0.0], [math.inf]], [[0.0], [0.0]]]}, r"reward\[0, 1, 0\] is inf"),
        ({"reward": [[0.0, 1.0], [0.0, 0.0]]}, r"reward has shape \(2, 2\)"),
        ({"horizon": 0}, "horizon is 0, but should be at least 1"),
        ({"gamma": 1.5}, "gamma is 1.5, but should be within 0..1"),
        ({"gamma": -0.5}, "gamma is -0.5"),
        ({"gamma": math.nan}, "gamma is nan"),
        ({"terminal": [False, True, True]}, r"terminal has shape \(3,\)"),
        ({"successor": [[[0], [1]], [[1], [0]]]}, "terminal state 1 leads to another state"),
        (
            {"reward": [[[0.0], [1.0]], [[0.0], [2.0]]]},
            "terminal state 1 pays a reward on action 1, outcome 0, but should be a loop",
        ),
        ({"state_names": ["in"]}, "state_names has 1 entries"),
        ({"state_names": ["in", "in"]}, "state name 'in' occurs twice"),
        ({"action_names": ["go", "go"]}, "action name 'go' occurs twice"),
    ],
)
def test_a_wrong_mdp_is_named(changes: dict, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        two_rooms(**changes)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"successor": [[[0.0], [1.0]], [[1.0], [1.0]]]}, "successor holds float64"),
        ({"terminal": [0, 1]}, "terminal holds int64, but should be boolean"),
    ],
)
def test_a_wrong_type_is_named(changes: dict, complaint: str) -> None:
    with pytest.raises(TypeError, match=complaint):
        two_rooms(**changes)


def test_control_what_no_chance_leads_to_may_stand_anywhere() -> None:
    padded = two_rooms(
        successor=[[[0, 1], [1, 0]], [[1, 0], [1, 0]]],
        probability=np.broadcast_to([1.0, 0.0], (2, 2, 2)),
        reward=np.broadcast_to([0.0, 5.0], (2, 2, 2)),
    )
    assert bellman.value_iteration(padded).value == 0.0


# Shaping


@given(st.data())
def test_shaping_telescopes(data: st.DataObject) -> None:
    """E[gamma^T phi(s_T)] - phi(s_0) is all that it adds, whatever the policy and the potential."""
    process = data.draw(processes())
    policy = data.draw(policies(process))
    mdp = process.mdp
    phi = np.array(data.draw(st.tuples(*[st.integers(-4, 4)] * mdp.state_count)), float)
    phi[mdp.terminal] = 0.0
    gained = (
        bellman.evaluate(shaped(mdp, phi), policy.log_policy).value
        - bellman.evaluate(mdp, policy.log_policy).value
    )
    change = 0.0
    for history, chance, _ in process.paths():
        last = process.gamma ** (len(history) // 2)
        moved = float(last) * phi[history[-1]] - phi[history[0]]
        change += (
            float(dict(process.starts)[history[0]] * 0 + chance * policy.chance(history)) * moved
        )
    assert gained == pytest.approx(change, abs=1e-12)


def test_control_another_addition_does_not_telescope() -> None:
    process, policy, _ = random_problem(0, gamma=Fraction(3, 4))
    mdp, phi = process.mdp, np.array([4.0, -8.0, 0.0])
    wrong = replace(mdp, reward=mdp.reward + phi[mdp.successor] - phi[:, None, None])
    right = bellman.evaluate(shaped(mdp, phi), policy.log_policy).value
    assert abs(bellman.evaluate(wrong, policy.log_policy).value - right) > 0.1


@pytest.mark.parametrize(
    ("potential", "complaint"),
    [
        ([0.0, 1.0], "potential of the terminal state 1 is 1, but should be 0"),
        ([math.nan, 0.0], r"potential\[0\] is nan"),
        ([0.0], r"potential has shape \(1,\)"),
    ],
)
def test_a_wrong_potential_is_named(potential: list, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        shaped(two_rooms(), potential)


# The token MDP


@pytest.mark.parametrize("language", [LETTERS, Language(("a",), 3, "$"), Language(("a", "b"), 3)])
def test_token_mdp_appends_tokens(language: Language) -> None:
    prompts = [("x",), ("y", "z")]
    mdp = token_mdp(language, lambda prompt, words: 0.0, prompts, [0.25, 0.75])
    assert mdp.horizon == language.horizon
    assert mdp.state_count == len(set(mdp.state_names))
    starts = {histories(mdp)[s]: p for s, p in enumerate(mdp.initial_law) if p}
    assert starts == {History(("x",), ()): 0.25, History(("y", "z"), ()): 0.75}
    finished = 0
    for state, name in enumerate(histories(mdp)):
        ended = name.words[-1:] == (language.end,)
        assert mdp.terminal[state] == ended
        if ended or len(name.words) == language.horizon:
            finished += 1
            assert (mdp.successor[state] == state).all()
            continue
        for action, token in enumerate(mdp.action_names):
            following = histories(mdp)[mdp.successor[state, action, 0]]
            assert following == History(name.prompt, (*name.words, token))
    assert finished == 2 * language.string_count


def test_token_rewards_as_function_and_as_array_agree() -> None:
    world = random_world(0, size=2, horizon=3)
    worth = {word: 1.0 + i for i, word in enumerate((*world.language.vocabulary, "$"))}

    def paid(prompt: tuple[str, ...], words: tuple[str, ...]) -> float:
        return worth[words[-1]] * len(words) + (prompt == world.prompts[1])

    by_entry = [
        {
            (s, a): paid(prompt, world.language.words((*s, a)))
            for s in oracle.prefixes(world.strings)
            for a in range(3)
        }
        for prompt in world.prompts
    ]
    law = list(world.prompt_law)
    arrays = token_mdp(world.language, world.logit_table(by_entry), world.prompts, law, gamma=0.5)
    functions = token_mdp(world.language, paid, world.prompts, law, gamma=0.5)
    np.testing.assert_array_equal(arrays.reward, functions.reward)
    assert arrays.gamma == 0.5
    string = (1, 0, 2)
    earned, last = play(arrays, root(arrays, world.prompts[1]), string)
    assert earned == (2 * 1 + 1) + 0.5 * (1 * 2 + 1) + 0.25 * (3 * 3 + 1)
    assert histories(arrays)[last].words == ("b", "a", "$")


@given(worlds(prompts=2))
def test_arrays_travel_between_states_and_prefixes(world: World) -> None:
    entries = np.arange(2.0 * len(world.prompts) * 200)[: len(world.prompts) * 200]
    size = world.policy.logits.shape[1]
    entries = entries.reshape(len(world.prompts), 200)[:, :size]
    states = state_array(world.language, entries, fill=-1.0)
    mdp = as_mdp(world.bandit)
    for state, name in enumerate(histories(mdp)):
        prefix = world.language.tokens(name.words)
        over = len(prefix) == world.horizon or mdp.terminal[state]
        for action in range(mdp.action_count):
            at = world.prompts.index(name.prompt)
            expected = -1.0 if over else entries[at, world.entry(prefix, action)]
            assert states[state, action] == expected
    by_time = np.broadcast_to(states, (world.horizon, *states.shape))
    np.testing.assert_array_equal(entry_array(world.language, by_time), entries)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"reward": np.zeros((1, 3))}, r"reward has shape \(1, 3\), but should be \(1, 9\)"),
        ({"reward": np.full((1, 9), math.nan)}, r"reward\[0, 0\] is nan"),
        ({"reward": lambda prompt, words: math.inf}, "inf"),
        ({"prompts": []}, "prompts is empty"),
        ({"prompts": [("x",), ("x",)]}, "occurs twice"),
        ({"prompt_law": [0.9]}, "prompt_law sums to 0.9"),
        ({"gamma": 2.0}, "gamma is 2"),
        ({"memory_limit": 100}, r"10 states need .* \[token_mdp\]. Shorten the horizon"),
    ],
)
def test_a_wrong_token_mdp_is_named(arguments: dict, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        token_mdp(**{"language": LETTERS, "reward": np.zeros((1, 9))} | arguments)


def test_a_huge_token_mdp_is_refused_before_memory_is_taken() -> None:
    with pytest.raises(ValueError, match="states need"):
        token_mdp(Language(("a", "b", "c"), 60), lambda prompt, words: 0.0)


# Bandit to MDP and back


@given(worlds())
def test_as_mdp_pays_every_string_its_reward_at_the_end(world: World) -> None:
    mdp = as_mdp(world.bandit)
    assert mdp.gamma == 1.0
    for prompt, rewards in zip(world.prompts, world.rewards, strict=True):
        start = root(mdp, prompt)
        for string in world.strings:
            earned, last = play(mdp, start, string)
            assert earned == rewards[string]
            assert histories(mdp)[last].words == world.language.words(string)
            assert play(mdp, start, string[:-1])[0] == 0.0


@given(worlds())
def test_round_trip_gives_the_bandit_back(world: World) -> None:
    bandit = world.bandit
    back = as_bandit(as_mdp(bandit))
    kept = [x for x, p in enumerate(bandit.prompt_law) if p > 0]
    assert back.language == bandit.language
    assert back.prompts == tuple(bandit.prompts[x] for x in kept)
    np.testing.assert_array_equal(back.prompt_law, bandit.prompt_law[kept])
    np.testing.assert_array_equal(back.reward_table(), bandit.reward_table()[kept])


def test_as_mdp_reads_functions_and_automata_too() -> None:
    bandit = ContextualBandit(LETTERS, [()], [1.0], lambda prompt, words: float(len(words)))
    assert as_bandit(as_mdp(bandit)).reward_table().tolist() == [[1.0, *[2.0] * 6]]


def test_as_bandit_sums_dense_rewards() -> None:
    mdp = token_mdp(LETTERS, lambda prompt, words: 10.0 ** (len(words) - 1) * (words[-1] == "b"))
    rewards = dict(
        zip(LETTERS.all_strings().strings(), as_bandit(mdp).reward_table()[0], strict=True)
    )
    assert rewards[(1, 1)] == 11.0
    assert rewards[(1, 2)] == 1.0
    assert rewards[(0, 1)] == 10.0


def test_as_bandit_finds_an_end_action_wherever_it_stands() -> None:
    # Action 0 ends it for 5, actions 1 and 2 go round for 1 and 2.
    going = [[[1], [0], [0]], [[1], [1], [1]]]
    paid = [[[5.0], [1.0], [2.0]], [[0.0], [0.0], [0.0]]]
    mdp = FiniteMDP(
        *([1, 0], going, np.ones((2, 3, 1)), paid, 2),
        terminal=[False, True],
        state_names=["hall", "out"],
        action_names=["leave", "x", "y"],
    )
    bandit = as_bandit(mdp)
    assert bandit.language == Language(("x", "y"), 2, "leave")
    assert bandit.prompts == (("hall",),)
    for rank, reward in enumerate(bandit.reward_table()[0]):
        words = bandit.language.words(bandit.language.unrank(rank))
        assert reward == sum({"leave": 5.0, "x": 1.0, "y": 2.0}[w] for w in words)


def test_as_bandit_takes_episodes_that_all_end_together_before_the_horizon() -> None:
    successor = [[[1], [1]], [[2], [2]], [[2], [2]]]
    mdp = FiniteMDP(
        *([1, 0, 0], successor, np.ones((3, 2, 1)), np.zeros((3, 2, 1)), 9),
        terminal=[False, False, True],
    )
    assert as_bandit(mdp).language == Language(("0", "1"), 2)


def test_as_bandit_overlooks_dice_that_nobody_reaches_or_that_fall_alike() -> None:
    successor = [[[0, 0], [0, 1]], [[0, 1], [0, 1]]]
    probability = [[[0.5, 0.5], [1.0, 0.0]], [[0.5, 0.5], [0.5, 0.5]]]
    mdp = FiniteMDP([1, 0], successor, probability, np.zeros((2, 2, 2)), 3)
    assert as_bandit(mdp).language.string_count == 8


def dice(where: int = 0, split: str = "successor") -> FiniteMDP:
    """Two states in a row; an action in state `where` has two outcomes."""
    successor = np.array([[[1, 1], [1, 1]], [[0, 0], [0, 0]]])
    reward = np.zeros((2, 2, 2))
    (successor if split == "successor" else reward)[where, 1, 1] = (
        where if split == "successor" else 1
    )
    return FiniteMDP(
        [1, 0], successor, np.full((2, 2, 2), 0.5), reward, 2, state_names=["first", "second"]
    )


def uneven(ends: list[list[bool]]) -> FiniteMDP:
    """Two states in a row, horizon 3; ends[state][action] says which actions end it."""
    successor = [[[2 if e else 1 - s] for e in row] for s, row in enumerate(ends)]
    return FiniteMDP(
        *([1, 0, 0], [*successor, [[2]] * 2], np.ones((3, 2, 1)), np.zeros((3, 2, 1)), 3),
        terminal=[False, False, True],
        state_names=["first", "second", "out"],
        action_names=["go", "stop"],
    )


@pytest.mark.parametrize(
    ("mdp", "complaint"),
    [
        (two_rooms(gamma=0.9), r"gamma is 0.9, but should be 1 \[as_bandit\]"),
        (dice(0), "action '1' in state 'first' has 2 different outcomes, but should be determinis"),
        (dice(1), "action '1' in state 'second' has 2 different outcomes"),
        (dice(0, "reward"), "action '1' in state 'first' has 2 different outcomes"),
        (
            uneven([[False, True], [False, False]]),
            "action 'stop' in state 'first' ends the episode at step 1 of 3",
        ),
        (uneven([[False, False], [False, True]]), "'stop' in state 'second' .* step 2 of 3"),
        (uneven([[False, True], [True, False]]), "action 'stop' in state 'first'"),
    ],
)
def test_as_bandit_refuses_what_it_could_not_represent(mdp: FiniteMDP, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        as_bandit(mdp)


def test_control_what_is_refused_passes_once_it_is_mended() -> None:
    assert as_bandit(two_rooms(gamma=1.0)).language == Language(("0",), 3, "1")
    assert as_bandit(uneven([[False, True]] * 2)).language == Language(("go",), 3, "stop")
    # At the last step every string is complete: there it does not matter what ends an episode.
    assert as_bandit(uneven([[False, True], [True, True]])).language == Language(("go",), 2, "stop")


def test_as_bandit_refuses_more_strings_than_fit() -> None:
    ring = FiniteMDP([1.0], [[[0], [0]]], np.ones((1, 2, 1)), np.zeros((1, 2, 1)), 80)
    with pytest.raises(ValueError, match=r"strings need .* \[as_bandit\]. Shorten the horizon"):
        as_bandit(ring)
    with pytest.raises(ValueError, match="16 strings need"):
        as_bandit(replace(ring, horizon=4), memory_limit=100)


# Dialogues


def coin_dialogue(heads: float = 0.5) -> FiniteMDP:
    law = np.array([heads, 1 - heads])
    return dialogue_mdp(
        ["H", "T"], ["H", "T"], 2, np.stack([law, law]), lambda prompt, words: words[2] == words[1]
    )


def test_speakers_alternate_and_histories_grow() -> None:
    mdp = dialogue_mdp(
        *(["ask", "tell"], ["yes", "no", "hm"], 2, np.full((2, 3), 1 / 3), lambda *_: 0.0),
        prompts=[("hi",), ("ho",)],
        prompt_law=[0.5, 0.5],
    )
    assert mdp.state_count == 2 * (1 + 6 + 36)
    assert mdp.action_names == ("ask", "tell")
    followed = 0
    for state, name in enumerate(histories(mdp)):
        assert not mdp.terminal[state]
        if len(name.words) == 4:
            continue
        for a, word in enumerate(("ask", "tell")):
            for u, reply in enumerate(("yes", "no", "hm")):
                following = histories(mdp)[mdp.successor[state, a, u]]
                assert following == History(name.prompt, (*name.words, word, reply))
                followed += 1
    assert followed == 2 * (1 + 6) * 6


def test_a_user_may_hear_the_whole_history() -> None:
    heard = []

    def user(prompt: tuple[str, ...], words: tuple[str, ...]) -> list[float]:
        heard.append((prompt, words))
        agreed = words.count("please") / len(words)
        return [agreed, 1 - agreed]

    mdp = dialogue_mdp(["please", "now"], ["yes", "no"], 2, user, lambda *_: 0.0)
    assert heard[0] == ((), ("please",))
    at = {name.words: state for state, name in enumerate(histories(mdp))}
    assert mdp.probability[at[()], 1].tolist() == [0.0, 1.0]
    assert mdp.probability[at["please", "no"], 1] == pytest.approx([1 / 3, 2 / 3])
    assert mdp.probability[at["please", "no"], 0] == pytest.approx([2 / 3, 1 / 3])


@pytest.mark.parametrize("gamma", [1.0, 0.5])
def test_rewards_are_paid_at_the_end_or_every_turn(gamma: float) -> None:
    def count_b(prompt: tuple[str, ...], words: tuple[str, ...]) -> float:
        return float(words.count("b") + 10 * len(prompt))

    sure = {"user_words": ["ok"], "user_law": np.ones((2, 1)), "turns": 3, "prompts": [("p",)]}
    pays = {
        pay: dialogue_mdp(["a", "b"], reward=count_b, pay=pay, gamma=gamma, **sure)
        for pay in ("end", "turn")
    }
    start = 0
    assert play(pays["end"], start, (1, 0, 1))[0] == gamma**2 * 12
    assert play(pays["turn"], start, (1, 0, 1))[0] == 11 + gamma * 11 + gamma**2 * 12


def test_a_sure_user_makes_a_bandit_and_a_coin_does_not() -> None:
    def told(prompt: tuple[str, ...], words: tuple[str, ...]) -> float:
        return float(words[0::2].count("b"))

    sure = dialogue_mdp(["a", "b"], ["ok", "no"], 2, [[1.0, 0.0], [0.0, 1.0]], told)
    bandit = as_bandit(sure)
    assert bandit.language == Language(("a", "b"), 2)
    assert bandit.reward_table().tolist() == [[0.0, 1.0, 1.0, 2.0]]
    with pytest.raises(ValueError, match=r"action 'H' in state History\(prompt=\(\), words=\(\)\)"):
        as_bandit(coin_dialogue())


def test_theorem_29_closed_loop_wins_what_no_string_does() -> None:
    mdp = coin_dialogue()
    assert bellman.value_iteration(mdp).value == 1.0
    for first in (0, 1):
        for second in (0, 1):
            say = np.full((2, mdp.state_count, 2), -np.inf)
            say[0, :, first] = say[1, :, second] = 0.0
            assert bellman.evaluate(mdp, say).value == 0.5


DIALOGUE: dict[str, Any] = {
    "agent_words": ["a", "b"],
    "user_words": ["y", "n"],
    "turns": 2,
    "user_law": [[0.5, 0.5], [0.5, 0.5]],
    "reward": lambda prompt, words: 0.0,
}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"agent_words": []}, "agent_words is empty, but should be one word or more"),
        ({"user_words": []}, "user_words is empty"),
        ({"agent_words": ["a", "a"]}, "agent_words holds 'a' twice"),
        ({"turns": 0}, "turns is 0, but should be at least 1"),
        ({"user_law": [[0.5, 0.4], [0.5, 0.5]]}, r"user_law\[0\] sums to 0.9"),
        ({"user_law": [0.5, 0.5]}, r"user_law has shape \(2,\), but should be \(2, 2\)"),
        ({"user_law": lambda p, w: [1.0]}, r"user_law has shape \(1,\).* after 'a'"),
        ({"user_law": lambda p, w: [0.5, 0.6]}, r"user_law sums to 1.1.* after 'a'"),
        ({"reward": lambda p, w: math.nan}, r"reward\[.*\] is nan .*dialogue_mdp, \[history"),
        ({"prompt_law": [0.5]}, "prompt_law sums to 0.5"),
        ({"memory_limit": 10}, r"21 histories need .* Take fewer turns or words"),
        ({"turns": 200}, "histories need"),
    ],
)
def test_a_wrong_dialogue_is_named(changes: dict, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        dialogue_mdp(**DIALOGUE | changes)


def test_unhooked_a_wrong_pay_is_named() -> None:
    # Here beartype refuses it first; users have no beartype.
    program = (
        "from bandit_rlhf.mdp import dialogue_mdp\n"
        "dialogue_mdp(['a'], ['y'], 1, [[1.0]], lambda prompt, words: 0.0, pay='later')"
    )
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert "ValueError: pay is 'later', but should be 'end' or 'turn'" in run.stderr


def test_words_in_one_string_are_refused() -> None:
    changes: dict[str, Any] = {"agent_words": "ab"}
    with pytest.raises(TypeError, match="agent_words is a str"):
        dialogue_mdp(**DIALOGUE | changes)
