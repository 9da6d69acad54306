"""Dialogues: the agent says a word, a user replies by chance, and so on.

    s = (prompt, a_1, u_1, ..., a_t, u_t),    u_{t+1} ~ user(. | s, a_{t+1})

The state is the whole history, so any user and any reward are Markov. With a user who always gives
the same reply this is a token MDP; otherwise no committed string does what a policy can do.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from bandit_rlhf import _check
from bandit_rlhf.bandit import Prompt, RewardFunction, prompt_words
from bandit_rlhf.mdp.finite import FiniteMDP
from bandit_rlhf.mdp.token import History

UserLaw = Callable[[Prompt, tuple[str, ...]], ArrayLike]
"""From the prompt and all words so far, the agent's last, to the probabilities of the replies."""


def dialogue_mdp(
    agent_words: Sequence[str],
    user_words: Sequence[str],
    turns: int,
    user_law: "ArrayLike | UserLaw",
    reward: RewardFunction,
    pay: Literal["end", "turn"] = "end",
    prompts: Sequence[Sequence[str]] = ((),),
    prompt_law: ArrayLike | None = None,
    gamma: float = 1.0,
    memory_limit: int | None = None,
) -> FiniteMDP:
    """An agent and a stochastic user take turns; the states are the histories.

    Args:
        agent_words: what the agent can say: the actions.
        user_words: what the user can reply: the outcomes.
        turns: the horizon; a turn is one word of the agent and one reply.
        user_law: a function of the prompt and the words so far, or an array
            [agent word, user word] for a user who reacts to the last word alone.
        reward: a function of the prompt and all words since: agent, user, agent, ..., user.
        pay: "end": `reward` of the whole dialogue, on its last edge; "turn": after every reply,
            `reward` of the history so far.
        prompts: how dialogues open, distinct; they are the first states.
        prompt_law: their probabilities [prompt]; None: all alike.
        gamma: discount per turn, within 0..1.
        memory_limit: bytes the arrays may take; by default half of the machine's memory.

    Returns:
        the MDP; state names are `History`.

    Raises:
        ValueError: no or repeated words, no turn, a user's law or reward that is none, more
            histories than fit in memory.

    A coin is called before and shown after the agent's first word; a second word may repeat it:

    >>> mdp = dialogue_mdp(["H", "T"], ["H", "T"], 2, [[0.5, 0.5], [0.5, 0.5]],
    ...                    lambda prompt, words: words[2] == words[1])
    >>> mdp.state_count, mdp.state_names[2].words
    (21, ('H', 'T'))
    """
    where = "dialogue_mdp"
    _distinct("agent_words", agent_words)
    _distinct("user_words", user_words)
    turns = _check.integer_at_least("turns", turns, 1, where)
    if pay not in ("end", "turn"):
        raise ValueError(_check.complaint(f"pay is {pay!r}", "'end' or 'turn'", where))
    named = prompt_words(prompts, where)
    alike = np.full(len(named), 1.0 / len(named))
    law = _check.distribution("prompt_law", alike if prompt_law is None else prompt_law, where)
    _check.shaped("prompt_law", law, (len(named),), "prompt", where)
    actions, replies = len(agent_words), len(user_words)
    total = len(named) * sum((actions * replies) ** t for t in range(turns + 1))
    do = "Take fewer turns or words."
    size = 24.0 * actions * replies + 200
    _check.fits_in_memory("histories", total, size, where, do, memory_limit)
    reply_law = _reply_law(user_law, actions, replies)

    shape = (total, actions, replies)
    successor = np.broadcast_to(np.arange(total)[:, None, None], shape).copy()
    probability = np.full(shape, 1.0 / replies)
    paid = np.zeros(shape)
    names = [History(prompt, ()) for prompt in named]
    state = 0
    for turn in range(turns):
        pays = pay == "turn" or turn == turns - 1
        for _ in range(len(names) - state):
            prompt, words = names[state]
            for a, word in enumerate(agent_words):
                probability[state, a] = reply_law(prompt, (*words, word), a)
                for u, reply in enumerate(user_words):
                    successor[state, a, u] = len(names)
                    names.append(History(prompt, (*words, word, reply)))
                    paid[state, a, u] = float(reward(*names[-1])) if pays else 0.0
            state += 1

    initial = np.zeros(total)
    initial[: len(named)] = law
    _check.finite("reward", paid, f"{where}, [history, agent word, user word]")
    return FiniteMDP(
        *(initial, successor, probability, paid, turns, gamma),
        state_names=names,
        action_names=agent_words,
    )


def _reply_law(
    user_law: "ArrayLike | UserLaw", actions: int, replies: int
) -> Callable[[Prompt, tuple[str, ...], int], np.ndarray]:
    """The user as a function of prompt, words and the last word's index, checked at each call."""
    where, axes = "dialogue_mdp", "agent word, user word"
    if not callable(user_law):
        table = _check.distribution("user_law", user_law, where)
        _check.shaped("user_law", table, (actions, replies), axes, where)
        return lambda prompt, words, word: table[word]
    user = user_law

    def of_history(prompt: Prompt, words: tuple[str, ...], word: int) -> np.ndarray:
        said = f"{where}, after {' '.join((*prompt, *words))!r}"
        law = _check.distribution("user_law", user(prompt, words), said)
        return _check.shaped("user_law", law, (replies,), "user word", said)

    return of_history


def _distinct(name: str, words: Sequence[str]) -> None:
    if isinstance(words, str):
        do = f"Write {words.split()}."
        raise TypeError(_check.complaint(f"{name} is a str", "a sequence of words", do=do))
    if not words:
        raise ValueError(_check.complaint(f"{name} is empty", "one word or more", "dialogue_mdp"))
    if len(set(words)) < len(words):
        twice = next(word for i, word in enumerate(words) if word in words[:i])
        got = f"{name} holds {twice!r} twice"
        raise ValueError(_check.complaint(got, "distinct", "dialogue_mdp"))
