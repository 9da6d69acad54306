"""From the bandit to the MDP, and back where that is faithful.

    as_mdp:     the whole string's reward is paid on the edge of its last token; gamma = 1
    as_bandit:  y = a_1 ... a_T,    r(x, y) = sum_t r(s_t, a_t)

Forwards nothing is ever lost (theorem 5). Backwards, whole action strings stand for policies only
if nothing but the actions decides what happens, a reward counts the same wherever it is paid, and
every episode is exactly one string.
"""

from dataclasses import dataclass

import numpy as np

from bandit_rlhf import _check
from bandit_rlhf._array import Bool, Float, Int
from bandit_rlhf.bandit import ContextualBandit, Prompt
from bandit_rlhf.language import Language
from bandit_rlhf.mdp.finite import FiniteMDP
from bandit_rlhf.mdp.token import History, token_mdp
from bandit_rlhf.policy import as_level, entry_count


def as_mdp(bandit: ContextualBandit, memory_limit: int | None = None) -> FiniteMDP:
    """The token MDP of a bandit: its reward is paid with the last token, gamma is 1.

    Args:
        bandit: any bandit whose language fits in memory.
        memory_limit: bytes the arrays may take; by default half of the machine's memory.

    Returns:
        the MDP; the prompt law is its initial law, and state names are `History`.

    Raises:
        ValueError: more strings than fit in memory; rewards that are NaN or infinite.

    >>> bandit = ContextualBandit(Language(("a", "b"), 2), [()], [1.0], [[0.0, 1.0, 2.0, 3.0]])
    >>> as_mdp(bandit).expected_reward()[:3].tolist()
    [[0.0, 0.0], [0.0, 2.0], [1.0, 3.0]]
    """
    language = bandit.language
    table = bandit.reward_table(memory_limit)
    paid = np.zeros((len(table), entry_count(language)))
    cut = table[:, language.node_count(language.horizon) if language.end is not None else 0 :]
    last = as_level(language, paid, language.horizon - 1)
    last[:, : language.vocabulary_size] = cut.reshape(len(table), language.vocabulary_size, -1)
    if language.end is not None:
        for level in range(language.horizon):
            first, width = language.node_count(level), language.vocabulary_size**level
            as_level(language, paid, level)[:, -1] = table[:, first : first + width]
    return token_mdp(language, paid, bandit.prompts, bandit.prompt_law, memory_limit=memory_limit)


def as_bandit(mdp: FiniteMDP, memory_limit: int | None = None) -> ContextualBandit:
    """The bandit whose strings are the episodes' action sequences, where that is faithful.

    An MDP converts exactly if, on all states that can be reached within the horizon,

    - gamma is 1: else the place of a reward matters, not only the sum (theorem 28);
    - each action has one outcome, a single next state and reward: else a policy that looks beats
      every string (theorem 29);
    - either no action ends an episode early, so that all have the same length, or one action, the
      end token, ends it from every state and no other does: else strings have no common language.

    The first state may be random: first states with positive probability are the prompts.

    Args:
        mdp: any finite MDP.
        memory_limit: bytes the rewards may take; by default half of the machine's memory.

    Returns:
        the bandit; a first state that `as_mdp` made from a prompt is that prompt again, any other
        is the prompt of one word, its name. The horizon is that of the longest episode.

    Raises:
        ValueError: the conversion would not be faithful (the message names the reason, and the
            state and the action where there is one); more strings than fit in memory.

    >>> bandit = ContextualBandit(Language(("a", "b"), 2, "$"), [()], [1.0], [np.arange(7.0)])
    >>> as_bandit(as_mdp(bandit)).reward_table()
    array([[0., 1., 2., 3., 4., 5., 6.]])
    """
    if mdp.gamma != 1:
        got = f"gamma is {mdp.gamma:g}"
        do = "A discount weighs rewards by their place in the string, which a bandit cannot see."
        raise ValueError(_check.complaint(got, "1", "as_bandit", do))
    starts = np.flatnonzero(mdp.initial_law > 0)
    edges = _deterministic_edges(mdp)
    levels = _reachable(mdp, edges, starts)
    language, order = _language(mdp, edges, levels)
    do = "Shorten the horizon."
    size = 32.0 * len(starts)
    _check.fits_in_memory("strings", language.string_count, size, "as_bandit", do, memory_limit)

    state, total = starts[:, None], np.zeros((len(starts), 1))
    table, size = [], language.vocabulary_size
    for _ in range(language.horizon):
        # Action-major, as the language orders its nodes.
        paid = np.moveaxis(edges.reward[state][..., order], 2, 1) + total[:, None]
        table.append(paid[:, size:].reshape(len(starts), -1))
        total = paid[:, :size].reshape(len(starts), -1)
        following = np.moveaxis(edges.successor[state][..., order], 2, 1)
        state = following[:, :size].reshape(len(starts), -1)
    prompts = [_prompt(mdp, int(s)) for s in starts]
    rewards = np.concatenate([*table, total], axis=1)
    return ContextualBandit(language, prompts, mdp.initial_law[starts], rewards)


@dataclass(frozen=True, eq=False)
class _Edges:
    """The only outcome of each action, and where it is not the only one."""

    successor: Int[np.ndarray, "state action"]
    reward: Float[np.ndarray, "state action"]
    random: Bool[np.ndarray, "state action"]


def _deterministic_edges(mdp: FiniteMDP) -> _Edges:
    likeliest = mdp.probability.argmax(axis=-1)[..., None]
    successor = np.take_along_axis(mdp.successor, likeliest, axis=-1)
    reward = np.take_along_axis(mdp.reward, likeliest, axis=-1)
    differs = (mdp.successor != successor) | (mdp.reward != reward)
    random = ((mdp.probability > 0) & differs).any(axis=-1)
    return _Edges(successor[..., 0], reward[..., 0], random)


def _reachable(
    mdp: FiniteMDP, edges: _Edges, starts: Int[np.ndarray, " start"]
) -> list[np.ndarray]:
    """The states in which an action is taken at each time, none of whose outcomes is random."""
    levels, alive = [], starts
    while len(alive) and len(levels) < mdp.horizon:
        if edges.random[alive].any():
            s, a = (int(i) for i in np.argwhere(edges.random[alive])[0])
            outcomes = int((mdp.probability[alive[s], a] > 0).sum())
            got = f"{_where(mdp, int(alive[s]), a)} has {outcomes} different outcomes"
            do = "A string commits to its actions; a policy could react to what happened."
            raise ValueError(_check.complaint(got, "deterministic", "as_bandit", do))
        levels.append(alive)
        following = np.unique(edges.successor[alive])
        alive = following[~mdp.terminal[following]]
    return levels


def _language(
    mdp: FiniteMDP, edges: _Edges, levels: list[np.ndarray]
) -> tuple[Language, Int[np.ndarray, " action"]]:
    """The language of all episodes, and the actions in the order of its tokens."""
    ends = [mdp.terminal[edges.successor[alive]] for alive in levels]
    actions = np.arange(mdp.action_count)
    first = ends[0][0]
    # At the last step every string is complete, whatever its last action leads to.
    early = ends[:-1] or ends
    if first.sum() == 1 and len(actions) > 1 and all((level == first).all() for level in early):
        end = int(first.argmax())
        others = np.delete(actions, end)
        vocabulary = tuple(mdp.action_names[a] for a in others)
        return Language(vocabulary, len(levels), mdp.action_names[end]), np.append(others, end)
    for time, level in enumerate(ends[:-1]):
        if level.any():
            s, a = (int(i) for i in np.argwhere(level)[0])
            got = (
                f"{_where(mdp, int(levels[time][s]), a)} ends the episode at step {time + 1} "
                f"of {len(levels)}"
            )
            expected = "the one action that ends it, from every state, or wait for the last step"
            do = "Add an end action, or let every episode run equally long."
            raise ValueError(_check.complaint(got, expected, "as_bandit", do))
    return Language(mdp.action_names, len(levels)), actions


def _where(mdp: FiniteMDP, state: int, action: int) -> str:
    return f"action {mdp.action_names[action]!r} in state {mdp.state_names[state]!r}"


def _prompt(mdp: FiniteMDP, state: int) -> Prompt:
    name = mdp.state_names[state]
    return name.prompt if isinstance(name, History) and not name.words else (str(name),)
