"""Laws E of caution: ensembles of reward models, and when to abstain.

>>> unanimous(lambda scores: scores.mean(axis=0), np.array([1.0, 2.0]), 3)[0].tolist()
[1.0, 2.0]
"""

import itertools

import numpy as np

from bandit_rlhf.laws.law import Case, Law
from bandit_rlhf.laws.source import Source


def unanimous(f, reward, members):
    """E28: members that agree are believed."""
    return f(np.tile(reward, (members, 1))), reward, 1 + np.abs(reward).sum()


def weight_average(f, weights, features):
    """E29: linear members' mean is the reward of their mean weights."""
    scores = weights @ features
    size = np.abs(weights).sum() * np.abs(features).sum()
    return f(scores), weights.mean(axis=0) @ features, 1 + size


def pessimistic(f, proxy, bound):
    """E30: acting on it never costs more than twice the bound at the true best string.

    Every gold reward within `bound` of the proxy is tried that lies on its edge.
    """
    chosen = int(np.argmax(f(np.array([proxy - bound, proxy + bound]))))
    worst = 0.0
    for signs in itertools.product((-1, 1), repeat=len(proxy)):
        gold = proxy + np.array(signs) * bound
        best = int(np.argmax(gold))
        worst = max(worst, float(gold[best] - gold[chosen] - 2 * bound[best]))
    return worst, 0.0, 1 + np.abs(proxy).sum() + bound.sum()


def threshold(f, probability, penalty):
    """E31: answering earns max(0, p - penalty (1 - p))."""
    gain = probability - penalty * (1 - probability)
    return f(probability, penalty) * gain, np.maximum(gain, 0), 1 + penalty


def _agreed(source: Source) -> Case:
    strings = source.integer("strings", 2, 4)
    return {"reward": source.numbers("r", strings), "members": source.integer("members", 1, 4)}


def _linear(source: Source) -> Case:
    members, features = source.integer("members", 2, 4), source.integer("features", 1, 3)
    return {
        "weights": source.numbers("w", members, features),
        "features": source.numbers("phi", features, source.integer("strings", 2, 4)),
    }


def _bounded(source: Source) -> Case:
    strings = source.integer("strings", 2, 4)
    return {
        "proxy": source.numbers("r", strings),
        "bound": np.abs(source.numbers("b", strings)) + np.arange(strings) / 8,
    }


def _questions(source: Source) -> Case:
    penalty = source.choice("penalty", (1.0, 3.0, 0.25, 9.0))
    return {"probability": source.law("p", 4), "penalty": penalty}


LAWS = (
    Law(
        id="E28",
        kind="ensemble",
        claim="unanimous",
        title="members that agree are believed",
        statement=r"r_1=\dots=r_M=r\ \Rightarrow\ f=r",
        oracle="the reward",
        why_no_theorem="a definition",
        draw=_agreed,
        body=unanimous,
    ),
    Law(
        id="E29",
        kind="ensemble",
        claim="weight_average",
        title="for linear members it is the reward of the mean weights",
        statement=r"f(W\phi)=\bar w^\top\phi",
        oracle="the mean weights",
        theorem=("21",),
        draw=_linear,
        body=weight_average,
    ),
    Law(
        id="E30",
        kind="ensemble",
        claim="pessimistic",
        title="its best string has a regret of at most twice the bound at the true best",
        statement=r"|\hat r-r^*|\le b\ \Rightarrow\ r^*(y^*)-r^*(\hat y)\le2\,b(y^*)",
        oracle="every gold reward on the edge of the bound",
        theorem=("38",),
        draw=_bounded,
        body=pessimistic,
        battery=({"strings": 2, "r": 0.0}, {"strings": 4, "r": 0.0}),
    ),
    Law(
        id="E31",
        kind="abstention",
        claim="threshold",
        title="answer where it pays, abstain where it does not",
        statement=r"a\,(p-\lambda(1-p))=\max(0,p-\lambda(1-p)),\quad p^*=\lambda/(1+\lambda)",
        oracle="the better of both",
        theorem=("24",),
        draw=_questions,
        body=threshold,
    ),
)
