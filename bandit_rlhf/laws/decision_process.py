"""Laws E of values in finite decision processes, where they meet the bandit and where they part.

Transitions [state, action, state], rewards [state, action], policies [time, state, action], values
[time, state]. A tree of two tokens stands for strings: state 0, then 1 or 2, then 3, the end.

>>> expected_along(np.ones((1, 1, 1)), np.ones((2, 1, 1)), np.ones((1, 1)), 0.5, np.ones((2, 1, 1)))
array([1.5])
"""

import itertools

import numpy as np

from bandit_rlhf.laws.law import Case, Law
from bandit_rlhf.laws.source import Source

TREE = np.zeros((4, 2, 4))
"""Tokens 0 and 1 from state 0 to 1 and 2, from these to 3, where it stays."""
TREE[0, 0, 1] = TREE[0, 1, 2] = 1
TREE[1:, :, 3] = 1
COIN = np.zeros((4, 2, 4))
"""Whatever is said first, the user says 1 or 2, each with probability 1/2."""
COIN[0, :, 1:3] = 0.5
COIN[1:, :, 3] = 1


def expected_along(transition, policy, start, gamma, payoff):
    """sum_t gamma^t E payoff_t(s_t, a_t) from each row of `start`, a table of laws of states."""
    total, law = np.zeros(len(start)), start
    for t, choice in enumerate(policy):
        total = total + gamma**t * np.einsum("is,sa,sa->i", law, choice, payoff[t])
        law = np.einsum("is,sa,sab->ib", law, choice, transition)
    return total


def performance_difference(f, transition, reward, policy, rival, gamma):
    """E21: V - V_rival is the sum of the rival's advantages along the policy's way."""
    got, known = f(transition, reward, policy, gamma), f(transition, reward, rival, gamma)
    later = np.vstack([known[1:], np.zeros((1, known.shape[1]))])
    q = reward + gamma * np.einsum("sab,tb->tsa", transition, later)
    gaps = q - known[:, :, None]
    start = np.eye(len(transition))
    expected = known[0] + expected_along(transition, policy, start, gamma, gaps)
    return got[0], expected, 8 * (1 + np.abs(known).sum() + np.abs(reward).sum())


def shaped(f, transition, reward, policy, gamma, potential):
    """E22: with gamma phi(s') - phi(s) added, values lose phi(s) and what is left at the end."""
    paid = reward + gamma * transition @ potential - potential[:, None]
    got, plain = (f(transition, x, policy, gamma)[0] for x in (paid, reward))
    law = np.eye(len(transition))
    for choice in policy:
        law = np.einsum("is,sa,sab->ib", law, choice, transition)
    expected = plain - potential + gamma ** len(policy) * law @ potential
    return got, expected, 8 * (1 + np.abs(reward).sum() + np.abs(potential).sum())


def terminal(f, first, second, rewards):
    """E23: gamma 1, no chance, paid at the end: the value is the mean reward of strings."""
    policy = np.full((2, 4, 2), 0.5)
    policy[0, 0], policy[1, 1:3] = first, second
    paid = np.zeros((4, 2))
    paid[1:3] = rewards
    got = f(TREE, paid, policy, 1.0)[0, 0]
    return got, (first[:, None] * second * rewards).sum(), 2 * np.abs(rewards).sum()


def discounted(f, gamma, rewards):
    """E24: a string of l tokens is worth gamma^(l-1) of its reward: shorter ones gain."""
    longest = len(rewards)
    states = longest + 1  # tokens said so far, and the end
    transition, paid = np.zeros((states, 2, states)), np.zeros((states, 2))
    for said in range(longest):
        transition[said, 0, min(said + 1, longest)] = transition[said, 1, longest] = 1
        paid[said, 1] = rewards[said]
    transition[longest, :, longest] = 1
    got = []
    for length in range(longest):
        policy = np.zeros((longest, states, 2))
        policy[..., 0] = 1
        policy[:, length] = [0, 1]
        got.append(f(transition, paid, policy, gamma)[0, 0])
    expected = gamma ** np.arange(longest) * rewards
    return np.array(got), expected, 4 + np.abs(rewards).sum()


def user_coin(f, action):
    """E25: who answers the user's coin earns 1, who has committed to a string 1/2."""
    paid = np.zeros((4, 2))
    paid[1, 0] = paid[2, 1] = 1
    listens, commits = np.full((2, 4, 2), 0.5), np.zeros((2, 4, 2))
    listens[1, 1], listens[1, 2], commits[..., action] = [1, 0], [0, 1], 1
    got = [f(COIN, paid, policy, 1.0)[0, 0] for policy in (listens, commits)]
    return got, [1.0, 0.5], 4.0


def log_partition(f, first, second, rewards, beta):
    """E26: without chance V(s_0) = beta ln Z, and the policy's strings have the Gibbs law."""
    reference = np.full((2, 4, 2), 0.5)
    reference[0, 0], reference[1, 1:3] = first, second
    paid = np.zeros((4, 2))
    paid[1:3] = rewards
    values, policy = f(TREE, paid, reference, beta)
    weights = first[:, None] * second * np.exp(rewards / beta)
    strings = policy[0, 0][:, None] * policy[1, 1:3]
    got = np.append(values[0, 0], strings.ravel())
    expected = np.append(beta * np.log(weights.sum()), (weights / weights.sum()).ravel())
    return got, expected, 8 * (1 + np.abs(rewards).max() / beta + np.abs(rewards).max())


def martingale(f, transition, reward, reference, beta):
    """E27: along every trajectory, log-ratios are the return less V(s_0) less the luck."""
    values, policy = f(transition, reward, reference, beta)
    ahead = np.vstack([values[1:], np.zeros((1, values.shape[1]))])
    got, expected = [], []
    for s, a, t, b in itertools.product(*map(range, (len(transition), 2, len(transition), 2))):
        ratios = np.log(policy[0, s, a] / reference[0, s, a])
        ratios = ratios + np.log(policy[1, t, b] / reference[1, t, b])
        luck = ahead[0, t] - transition[s, a] @ ahead[0]
        got.append(beta * ratios)
        expected.append(reward[s, a] + reward[t, b] - values[0, s] - luck)
    return np.array(got), np.array(expected), 16 * (1 + beta + np.abs(reward).sum())


def _process(source: Source) -> Case:
    states = source.integer("states", 2, 3)
    return {
        "transition": source.law("P", states, 2, states),
        "reward": source.numbers("r", states, 2),
        "policy": source.law("pi", source.integer("horizon", 2, 3), states, 2),
        "gamma": source.choice("gamma", (1.0, 0.5, 0.75)),
    }


def _rival(source: Source) -> Case:
    case = _process(source)
    return case | {"rival": source.law("mu", *case["policy"].shape)}


def _potential(source: Source) -> Case:
    case = _process(source)
    return case | {"potential": source.numbers("phi", len(case["reward"]))}


def _tree(source: Source) -> Case:
    tables = {"first": source.law("first", 2), "second": source.law("second", 2, 2)}
    return tables | {"rewards": source.numbers("r", 2, 2)}


def _strings(source: Source) -> Case:
    return {
        "gamma": source.choice("gamma", (0.5, 0.25, 0.75)),
        "rewards": source.numbers("r", source.integer("longest", 2, 4)),
    }


def _action(source: Source) -> Case:
    return {"action": source.integer("action", 0, 1)}


def _tree_beta(source: Source) -> Case:
    return _tree(source) | {"beta": source.choice("beta", (1.0, 0.5, 2.0))}


def _chance(source: Source) -> Case:
    states = source.integer("states", 2, 3)
    return {
        "transition": source.law("P", states, 2, states),
        "reward": source.numbers("r", states, 2),
        "reference": source.law("ref", 2, states, 2),
        "beta": source.choice("beta", (1.0, 0.5, 2.0)),
    }


def _law(name, claim, title, statement, oracle, theorem, draw, body, kind="values", **more):
    return Law(
        id=name,
        kind=kind,
        claim=claim,
        title=title,
        statement=statement,
        oracle=oracle,
        theorem=theorem,
        draw=draw,
        body=body,
        **more,
    )


LAWS = (
    _law(
        "E21",
        "performance_difference",
        "two values differ by the advantages along the way",
        r"V^\pi-V^\mu=\sum_t\gamma^t\,\mathbb E_\pi A^\mu(s_t,a_t)",
        "the other policy's advantages, summed forwards",
        ("16",),
        _rival,
        performance_difference,
    ),
    _law(
        "E22",
        "shaping",
        "potentials telescope",
        r"r'=r+\gamma\phi(s')-\phi(s)\Rightarrow V'=V-\phi(s_0)+\gamma^T\mathbb E\phi(s_T)",
        "the potential at both ends",
        ("7",),
        _potential,
        shaped,
    ),
    _law(
        "E23",
        "terminal",
        "where nothing but strings is random, the value is the bandit's",
        r"V(s_0)=\sum_y\pi(y)\,r(y)",
        "sum over strings",
        ("5",),
        _tree,
        terminal,
    ),
    _law(
        "E24",
        "discount",
        "a discount makes longer strings worth less",
        r"V(y)=\gamma^{|y|-1}r(y)",
        "the closed form",
        ("28",),
        _strings,
        discounted,
    ),
    _law(
        "E25",
        "closed_loop",
        "listening to the user's coin is worth 1/2",
        r"V_{\text{closed}}=1,\quad V_{\text{string}}=\tfrac12",
        "the closed form",
        ("29",),
        _action,
        user_coin,
    ),
    _law(
        "E26",
        "log_partition",
        "the backward recursion finds the Gibbs optimum of strings",
        r"V(s_0)=\beta\ln\sum_y\mathrm{ref}(y)e^{r(y)/\beta}",
        "sum over strings",
        ("11",),
        _tree_beta,
        log_partition,
        kind="soft_values",
    ),
    _law(
        "E27",
        "martingale",
        "with chance, log-ratios are returns less the user's luck",
        r"\sum_t\beta\ln\tfrac{\pi}{\mathrm{ref}}=R-V(s_0)-\sum_t(V(s_{t+1})-\mathbb E V)",
        "each trajectory by itself",
        ("27",),
        _chance,
        martingale,
        kind="soft_values",
    ),
)
