"""Laws E of policies over strings: their law, and the gradient of their expected reward.

>>> softmax(np.array([0.0, np.log(3.0)])).round(6).tolist()
[0.25, 0.75]
"""

import numpy as np

from bandit_rlhf.laws.law import Case, Law
from bandit_rlhf.laws.source import Source


def softmax(logits):
    """The law of the logits."""
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()


def autoregressive(f, first, second):
    """E17: products of next-token laws; marginal and conditionals give these back."""
    law = f(first, second)
    got = np.concatenate([law.ravel(), law.sum(axis=1), (law / law.sum(axis=1)[:, None]).ravel()])
    product = first[:, None] * second
    return got, np.concatenate([product.ravel(), first, second.ravel()]), 4.0


def zero_score(f, logits, reward, constant):
    """E18: the gradient sums to 0, a constant reward has none, and one added changes nothing."""
    got = f(logits, reward)
    shifted = f(logits, reward + constant)
    both = [got.sum(), *f(logits, np.full(len(reward), constant)), *(shifted - got)]
    return both, np.zeros(len(both)), 2 * np.abs(reward).sum() + 2 * np.abs(constant)


def exact_gradient(f, logits, reward):
    """E19: pi (r - E r), the same in strings and in tokens where strings are the tokens."""
    law = softmax(logits)
    return f(logits, reward), law * (reward - law @ reward), np.abs(reward).sum()


def bounded(f, logits, reward):
    """E20: its length is at most the standard deviation of the reward under the policy."""
    law, got = softmax(logits), f(logits, reward)
    variance = law @ (reward - law @ reward) ** 2
    return max(float((got**2).sum() - variance), 0.0), 0.0, 1 + (reward**2).sum()


def _tables(source: Source) -> Case:
    tokens = source.integer("tokens", 2, 3)
    return {"first": source.law("first", tokens), "second": source.law("second", tokens, tokens)}


def _problem(source: Source) -> Case:
    strings = source.integer("strings", 2, 4)
    return {"logits": source.numbers("logits", strings) / 2, "reward": source.numbers("r", strings)}


def _constant(source: Source) -> Case:
    return _problem(source) | {"constant": source.choice("constant", (1.0, -2.0, 8.0))}


def _law(name, claim, title, statement, oracle, theorem, draw, body, kind="policy_gradient"):
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
    )


LAWS = (
    _law(
        "E17",
        "autoregressive",
        "laws of strings and next-token laws are the same thing",
        r"p(y)=\prod_t\pi(y_t\mid y_{<t}),\quad\pi(y_t\mid y_{<t})=p(y_{\le t})/p(y_{<t})",
        "products, marginals and conditionals",
        ("4",),
        _tables,
        autoregressive,
        kind="string_law",
    ),
    _law(
        "E18",
        "score",
        "scores have mean zero: a constant reward teaches nothing",
        r"\mathbb E_\pi\nabla\ln\pi=0",
        "zero",
        ("1", "2"),
        _constant,
        zero_score,
    ),
    _law(
        "E19",
        "gradient",
        "it is the probability times the advantage",
        r"\partial J/\partial\theta_y=\pi(y)(r(y)-J)",
        "the closed form",
        ("1", "6"),
        _problem,
        exact_gradient,
    ),
    _law(
        "E20",
        "bounded",
        "its length is at most the deviation of the reward",
        r"|\nabla J|^2\le\mathrm{Var}_\pi\,r",
        "the variance, summed",
        ("39",),
        _problem,
        bounded,
    ),
)
