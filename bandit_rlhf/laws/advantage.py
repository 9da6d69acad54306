"""Laws A: advantages of whole strings, judged by the sum over all batches of draws.

A batch is an ordered tuple of n strings, so nothing is presumed about symmetry; there are K^n of
them, and each is weighed with its exact probability.

>>> half = np.array([0.5, 0.5])
>>> expected_update(lambda r: r, half, np.array([1.0, 0.0]), np.zeros((0, 1)), 1)[:2]
(array([ 0.25, -0.25]), array([ 0.25, -0.25]))
"""

import itertools
import math

import numpy as np

from bandit_rlhf.laws.law import Case, Law
from bandit_rlhf.laws.source import Source

BATTERY = (
    {"strings": 3, "n": 2, "others": 1},
    {"strings": 3, "n": 3, "others": 0},
    {"strings": 2, "n": 4, "others": 0},
)


def one_prompt(source: Source) -> Case:
    """Strings with probabilities and rewards; `others` are rewards of a second prompt's draws."""
    strings, n = source.integer("strings", 2, 3), source.integer("n", 2, 4)
    return {
        "p": source.law("p", strings),
        "r": source.numbers("r", strings),
        "others": source.numbers("rest", source.integer("others", 0, 1), n),
        "n": n,
    }


def table(source: Source) -> Case:
    """Rewards of a few prompts with a few draws each."""
    return {
        "rewards": source.numbers("r", source.integer("prompts", 1, 3), source.integer("n", 2, 4))
    }


def expected_update(f, p, r, others, n):
    """A1: E[1/n sum_i A_i grad ln pi(y_i)] against grad J, in the logits of the strings."""
    got, scale = np.zeros(len(p)), 0.0
    for y in map(list, itertools.product(range(len(p)), repeat=n)):
        weights = f(np.vstack([r[y], others]))[0]
        terms = p[y].prod() * weights[:, None] * (np.eye(len(p))[y] - p) / n
        got, scale = got + terms.sum(axis=0), scale + np.abs(terms).sum()
    return got, p * (r - p @ r), scale + np.abs(p * r).sum()


def centred(f, rewards):
    """A2: the advantages of each prompt sum to zero."""
    weights = f(rewards)
    return (
        weights.sum(axis=1),
        np.zeros(len(rewards)),
        np.abs(weights).sum() + np.abs(rewards).sum(),
    )


def shifted(f, rewards, shift):
    """A3: a constant added to the rewards of a prompt changes nothing."""
    more = rewards + shift[:, None]
    return f(more), f(rewards), 1 + np.abs(rewards).sum() + np.abs(more).sum()


def scaled(f, rewards, degree):
    """A4: four times the rewards give 4^degree times the advantages."""
    expected = 4.0**degree * f(rewards)
    return f(4 * rewards), expected, np.abs(expected).sum() + np.abs(rewards).sum()


def own_reward(f, rewards):
    """A5: a draw's own reward enters its own advantage with slope 1 and nothing else."""
    got = np.zeros(rewards.shape)
    for at in np.ndindex(rewards.shape):
        more = rewards.copy()
        more[at] += 1
        got[at] = (f(more) - f(rewards))[at]
    return got, np.ones(rewards.shape), 2 + 2 * np.abs(rewards).sum()


def isolated(f, rewards, order):
    """A6: each prompt gets what it gets alone, in any order of the prompts."""
    alone = np.vstack([f(row[None]) for row in rewards[order]])
    return f(rewards[order]), alone, 1 + np.abs(rewards).sum()


def degenerate(f, value, n):
    """A7: a group of one draw, and a group of equal rewards, have finite advantages."""
    alone, equal = f(np.full((2, 1), value)), f(np.full((2, n), value))
    got = np.isfinite(np.concatenate([alone.ravel(), equal.ravel()])).astype(float)
    return got, np.ones(got.shape), 1.0


def z_score(f, rewards, over, centre, ddof, epsilon):
    """A9: times (deviation + epsilon) they are the centred rewards, deviations as declared."""
    n, total = rewards.shape[1], rewards.sum(axis=1, keepdims=True)
    mean = {
        "group": total / n,
        "batch": np.full(total.shape, rewards.mean()),
        "others": (total - rewards) / (n - 1),
    }
    numbers = rewards - mean[centre]
    rows = numbers if over == "group" else numbers.reshape(1, -1)
    squares = (rows**2).sum(axis=1, keepdims=True) / (rows.shape[1] - ddof)
    scale = np.sqrt(squares) + epsilon
    return f(rewards) * scale, numbers, (np.abs(rewards).sum() + 1) * (1 + scale)


def binary_weight(f, p, n, ddof, epsilon):
    """A11: for rewards 0 and 1 the expected update is w(p) grad p, w a mean over Bin(n, p)."""
    r = np.array([1.0, 0.0, 0.0])
    got, _, size = expected_update(f, p, r, np.zeros((0, n)), n)
    success, weight = p[0], 0.0
    for k in range(1, n):
        chance = math.comb(n, k) * success**k * (1 - success) ** (n - k)
        spread = k * (n - k) / n
        weight = weight + chance * spread / n / (math.sqrt(spread / (n - ddof)) + epsilon)
    return got, weight / (success * (1 - success)) * p * (r - success), 8 * size


def zero_at_baseline(f, baseline, n):
    """A10: rewards that all equal the baseline have no advantage."""
    return f(np.full((2, n), baseline)), np.zeros((2, n)), np.abs(baseline) + 1e-300


def _shifted(source: Source) -> Case:
    rewards = table(source)["rewards"]
    return {"rewards": rewards, "shift": 1 + source.numbers("shift", len(rewards))}


def _isolated(source: Source) -> Case:
    rewards = source.numbers("r", 3, source.integer("n", 2, 4))
    return {"rewards": rewards, "order": np.array(source.choice("order", ([1, 2, 0], [2, 1, 0])))}


def _degenerate(source: Source) -> Case:
    return {"value": float(source.numbers("r", 1)[0]), "n": source.integer("n", 2, 4)}


def _binary(source: Source) -> Case:
    return {"p": source.law("p", 3), "n": source.integer("n", 2, 3)}


def _count(source: Source) -> Case:
    return {"n": source.integer("n", 2, 4)}


TABLES = ({"prompts": 2, "n": 2}, {"prompts": 3, "n": 4})

LAWS = (
    Law(
        id="A1",
        kind="advantage",
        claim="unbiased",
        title="the expected update is the policy gradient",
        statement=r"\mathbb{E}\Big[\tfrac1G\sum_i A_i\,\nabla\ln\pi(y_i)\Big]=\nabla J(\pi)",
        oracle="sum over all ordered batches of G strings",
        theorem=("2", "3"),
        draw=one_prompt,
        body=expected_update,
        battery=BATTERY,
        rounding=4.0,
        tolerance="the sum is taken in float64: the estimator's own roundings average out",
    ),
    Law(
        id="A2",
        kind="advantage",
        claim="centred",
        title="the advantages of a prompt sum to zero",
        statement=r"\sum_i A_i=0",
        oracle="zero",
        why_no_theorem="a declared normalisation, true by definition where it is claimed",
        draw=table,
        body=centred,
        battery=TABLES,
    ),
    Law(
        id="A3",
        kind="advantage",
        claim="shift_invariant",
        title="a constant added to the rewards changes nothing",
        statement=r"A(r+b)=A(r)",
        oracle="the same estimator, unshifted; shifts are dyadic, hence exact",
        theorem=("13",),
        draw=_shifted,
        body=shifted,
        battery=TABLES,
    ),
    Law(
        id="A4",
        kind="advantage",
        claim="scale_degree",
        title="rewards times c give advantages times c^degree",
        statement=r"A(c\,r)=c^{k}A(r)",
        oracle="the same estimator, unscaled; c = 4 is exact",
        why_no_theorem="a declared normalisation, not an identity of all estimators",
        draw=table,
        body=scaled,
        battery=TABLES,
        facts=("degree",),
    ),
    Law(
        id="A5",
        kind="advantage",
        claim="own_reward_free",
        title="a baseline does not look at its own reward",
        statement=r"\partial A_i/\partial r_i=1",
        oracle="one",
        theorem=("2",),
        draw=table,
        body=own_reward,
        battery=TABLES,
    ),
    Law(
        id="A6",
        kind="advantage",
        claim="group_isolated",
        title="prompts do not mix, in any order",
        statement=r"A(r_{\sigma(x)})=A(r)_{\sigma(x)},\quad A(r)_x=A(r_x)",
        oracle="the same estimator on each prompt alone",
        why_no_theorem="a property of a program's indexing, not of the mathematics",
        draw=_isolated,
        body=isolated,
        battery=({"n": 3}, {"n": 2}),
    ),
    Law(
        id="A7",
        kind="advantage",
        claim="finite",
        title="finite for groups of one draw and for equal rewards",
        statement=r"|A_i|<\infty",
        oracle="finiteness",
        why_no_theorem="about floating point: real division by zero has no value to state",
        draw=_degenerate,
        body=degenerate,
    ),
    Law(
        id="A9",
        kind="advantage",
        claim="z_score",
        title="times the declared deviation they are the centred rewards",
        statement=r"A_i\,(\mathrm{std}+\epsilon)=r_i-\mathrm{mean}",
        oracle="mean and deviation by their definitions",
        why_no_theorem="a definition",
        draw=table,
        body=z_score,
        battery=TABLES,
        facts=("over", "centre", "ddof", "epsilon"),
        tolerance="rounding of the rewards, of which small differences are left",
        rounding=64.0,
    ),
    Law(
        id="A11",
        kind="advantage",
        claim="binary_weight",
        title="for binary rewards it follows w(p) grad p",
        statement=r"\mathbb E[\tfrac1G\sum_iA_i\nabla\ln\pi(y_i)]=w(p)\nabla p,\ "
        r"w=\mathbb E\tfrac{K(G-K)/G^2}{\sigma_K+\epsilon}/(p(1-p))",
        oracle="the binomial law of the number of successes",
        theorem=("19",),
        draw=_binary,
        body=binary_weight,
        battery=({"n": 2}, {"n": 3}),
        facts=("ddof", "epsilon"),
    ),
    Law(
        id="A10",
        kind="advantage",
        claim="zero_at_baseline",
        title="rewards that equal the baseline have no advantage",
        statement=r"A(b,\dots,b)=0",
        oracle="zero",
        why_no_theorem="a definition",
        draw=_count,
        body=zero_at_baseline,
        facts=("baseline",),
    ),
)
