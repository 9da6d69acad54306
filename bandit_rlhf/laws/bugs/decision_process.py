"""Broken and correct values of finite decision processes.

>>> import numpy as np
>>> backwards(np.ones((1, 1, 1)), np.ones((1, 1)), np.ones((2, 1, 1)), 0.5).tolist()
[[1.5], [1.0]]
"""

import numpy as np

from bandit_rlhf.contract import estimator
from bandit_rlhf.laws.bugs.record import Bug, Twin

ALL = {"performance_difference", "shaping", "terminal", "discount", "closed_loop"}


def _sweep(transition, reward, policy, gamma, ahead):
    """Values from the last step to the first; `ahead` looks from each action to what follows."""
    values = np.zeros((len(policy) + 1, len(transition)), reward.dtype)
    for t in reversed(range(len(policy))):
        q = reward + gamma * ahead(transition, values[t + 1])
        values[t] = (policy[t] * q).sum(axis=1)
    return values[:-1]


def _mean(transition, values):
    return transition @ values


@estimator("values", claims=ALL)
def backwards(transition, reward, policy, gamma):
    """Bellman's equation, from the end."""
    return _sweep(transition, reward, policy, gamma, _mean)


@estimator("values", claims=ALL)
def forwards(transition, reward, policy, gamma):
    """Sums of discounted rewards over occupancies, for each time of starting."""
    rows = []
    for start in range(len(policy)):
        law, total = np.eye(len(transition), dtype=reward.dtype), 0
        for t, choice in enumerate(policy[start:]):
            total = total + gamma**t * law @ (choice * reward).sum(axis=1)
            law = law @ np.einsum("sa,sab->sb", choice, transition)
        rows.append(total)
    return np.array(rows)


@estimator("values", claims=ALL)
def first_policy_throughout(transition, reward, policy, gamma):
    """The policy of the first step at every step."""
    return _sweep(transition, reward, np.repeat(policy[:1], len(policy), axis=0), gamma, _mean)


@estimator("values", claims=ALL)
def no_discount(transition, reward, policy, gamma):
    """Gamma forgotten."""
    return _sweep(transition, reward, policy, 1.0, _mean)


@estimator("values", claims=ALL)
def lucky_user(transition, reward, policy, gamma):
    """The best reply in place of the mean one."""
    best = lambda P, v: np.where(P > 0, v, -np.inf).max(axis=2)  # noqa: E731
    return _sweep(transition, reward, policy, gamma, best)


@estimator("values", claims={"shaping"})
def cut_rewards(transition, reward, policy, gamma):
    """Negative rewards are cut off."""
    return _sweep(transition, np.maximum(reward, 0), policy, gamma, _mean)


def _soft(transition, reward, reference, beta, look):
    """Soft values and policy from the last step to the first."""
    horizon, states, _ = reference.shape
    values, policy = np.zeros((horizon + 1, states)), np.zeros(reference.shape)
    for t in reversed(range(horizon)):
        q = reward + look(transition, values[t + 1], beta)
        weights = reference[t] * np.exp(q / beta)
        values[t] = beta * np.log(weights.sum(axis=1))
        policy[t] = weights / weights.sum(axis=1, keepdims=True)
    return values[:-1], policy


@estimator("soft_values")
def soft_backwards(transition, reward, reference, beta):
    """The soft Bellman equation, chance averaged."""
    return _soft(transition, reward, reference, beta, lambda P, v, _: P @ v)


@estimator("soft_values")
def tilted_chance(transition, reward, reference, beta):
    """The user's replies are tilted as if they were chosen."""
    tilt = lambda P, v, b: b * np.log(P @ np.exp(v / b))  # noqa: E731
    return _soft(transition, reward, reference, beta, tilt)


@estimator("soft_values")
def hard_values(transition, reward, reference, beta):
    """The largest action value in place of the soft maximum."""
    values, policy = _soft(transition, reward, reference, beta, lambda P, v, _: P @ v)
    return values.max(axis=1, keepdims=True) + 0 * values, policy


def _bug(law: tuple[str, ...], words: str, function) -> Bug:
    return Bug(function.__name__, function.contract.kind, law, "mutant", words, function)


BUGS = (
    _bug(("E21", "E23"), "one policy for all times", first_policy_throughout),
    _bug(("E24",), "no discount", no_discount),
    _bug(("E25",), "the user as a friend", lucky_user),
    _bug(("E22",), "rewards cut", cut_rewards),
    _bug(("E27",), "the user's dice tilted", tilted_chance),
    _bug(("E26", "E27"), "values without a soft maximum", hard_values),
)

TWINS = (
    Twin("backwards", "values", "rewrite", "Bellman's equation", backwards),
    Twin("forwards", "values", "rewrite", "occupancies", forwards),
    Twin("soft_backwards", "soft_values", "rewrite", "soft Bellman", soft_backwards),
)
