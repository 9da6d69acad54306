"""Laws P: models of choices between strings, of rankings and of ties, and losses of rewards.

>>> def bradley_terry(a, b):
...     return 1 / (1 + np.exp(b - a))
>>> got, expected, _ = cycle(bradley_terry, np.ones(1), np.zeros(1), -np.ones(1))
>>> np.allclose(got, expected, 1e-12)
True
"""

import itertools

import numpy as np

from bandit_rlhf.laws.gradient import grad
from bandit_rlhf.laws.law import Case, Law
from bandit_rlhf.laws.preference_loss import mean_of_pairs
from bandit_rlhf.laws.source import Source


def complement(f, first, second):
    """P1: one of the two is preferred."""
    return f(first, second) + f(second, first), np.ones(len(first)), 1.0


def even(f, first):
    """P2: between equals it is a coin."""
    return f(first, first), np.full(len(first), 0.5), 1.0


def cycle(f, a, b, c):
    """P3: a way round is as likely as the way back, which is ln odds that add up."""
    return f(a, b) * f(b, c) * f(c, a), f(b, a) * f(c, b) * f(a, c), 1.0


def shifted(f, first, second, shift):
    """P4: a constant added to both rewards changes nothing."""
    size = np.abs(first) + np.abs(second) + np.abs(shift)
    return f(first + shift, second + shift), f(first, second), 1 + size.sum()


def margin_shifts(f, first, second, margin):
    """P5: the first must exceed the second by the margin."""
    size = np.abs(first) + np.abs(second) + np.abs(margin)
    return f(first, second, margin), f(first - margin, second, 0 * margin), 1 + size.sum()


def loss_gradient(f, winner, loser):
    """P6: the winner is pulled up, and the loser pushed down, with weight 1 - p."""
    wrong = 1 / (1 + np.exp(winner - loser))
    got = np.array([grad(f, 0, winner, loser), grad(f, 1, winner, loser)])
    return got, np.array([-wrong, wrong]), 1 + np.abs(winner - loser)


def orders(rewards):
    """The rewards in every order, with the place of each in the first."""
    places = itertools.permutations(range(len(rewards)))
    return [(list(order), rewards[list(order)]) for order in places]


def rankings_sum(f, rewards):
    """P7: the probabilities of all rankings sum to one."""
    total = sum(np.exp(f(ordered)) for _, ordered in orders(rewards))
    return total, 1.0, 1 + np.abs(rewards).max()


def two_items(f, better, worse):
    """P7: two items are Bradley-Terry."""
    expected = -np.log1p(np.exp(worse - better))
    return f(np.array([better, worse])), expected, 1 + np.abs(better) + np.abs(worse)


def first_choice(f, rewards):
    """P7: the chance of coming first is the softmax of the rewards."""
    got = np.zeros(len(rewards))
    for places, ordered in orders(rewards):
        got[places[0]] += np.exp(f(ordered))
    expected = np.exp(rewards) / np.exp(rewards).sum()
    return got, expected, expected * (1 + np.abs(rewards).max())


def outcomes_sum(f, first, second):
    """P8: win, tie and loss exhaust the outcomes."""
    return sum(f(first, second)), np.ones(len(first)), 1.0


def mirrored(f, first, second):
    """P8: seen from the other side a win is a loss."""
    win, tie, loss = f(first, second)
    return np.array(f(second, first)), np.array([loss, tie, win]), 1.0


def untied(f, first, second, without_ties):
    """P8: without ties it is Bradley-Terry."""
    chance = 1 / (1 + np.exp(second - first))
    got = np.array(f(first, second, **without_ties))
    return got, np.array([chance, 0 * chance, 1 - chance]), 1.0


def finite(f, arrays):
    """U6: a finite value for rewards of 1000."""
    return np.isfinite(np.atleast_1d(f(*arrays))).all().astype(float), 1.0, 1.0


def finite_gradient(f, arrays):
    """U6: a finite gradient for rewards of 1000."""
    got = np.array([np.isfinite(grad(f, place, *arrays)).all() for place in (0, 1)])
    return got.astype(float), np.ones(2), 1.0


def _two(source: Source) -> Case:
    pairs = source.integer("pairs", 1, 2)
    return {name: source.numbers(name, pairs) for name in ("first", "second")}


def _one(source: Source) -> Case:
    return {"first": source.numbers("first", source.integer("pairs", 1, 2))}


def _three(source: Source) -> Case:
    return {name: source.numbers(name, 1) / 4 for name in ("a", "b", "c")}


def _shifted(source: Source) -> Case:
    case = _two(source)
    return {**case, "shift": 1 + np.abs(source.numbers("shift", len(case["first"])))}


def _margin(source: Source) -> Case:
    case = _two(source)
    return {**case, "margin": 0.25 + np.abs(source.numbers("margin", len(case["first"])))}


def _pair(source: Source) -> Case:
    size = source.choice("size", (1.0, 8.0))
    return {name: size * source.numbers(name, 1) for name in ("winner", "loser")}


def _items(source: Source) -> Case:
    return {"rewards": source.numbers("r", source.integer("items", 2, 4))}


def _ordered(source: Source) -> Case:
    better, worse = source.numbers("r", 2).tolist()
    return {"better": better, "worse": worse}


def _batch(source: Source) -> Case:
    pairs = source.integer("pairs", 2, 3)
    return {"arrays": (source.numbers("winner", pairs), source.numbers("loser", pairs))}


FAR = (1000.0, -1000.0)


def _far_pair(source: Source) -> Case:
    return {"arrays": tuple(np.array([source.choice(side, FAR)]) for side in ("one", "other"))}


def _far_items(source: Source) -> Case:
    return {"arrays": (np.array([source.choice(place, FAR) for place in ("one", "other", "")]),)}


APART = ({"one": 1000.0, "other": -1000.0}, {"one": -1000.0, "other": 1000.0})
LINE = {"a": 2.0, "b": 0.0, "c": -2.0}
PAIRS = ({"first": 1.0, "second": -1.0}, {"first": -4.0, "second": 4.0})
UPHILL = ({"winner": -4.0, "loser": 4.0, "size": 8.0}, {"winner": 4.0, "loser": -4.0, "size": 8.0})
DEFINITION = "a definition"


def _law(name, kind, claim, title, statement, oracle, draw, body, **more):
    return Law(
        id=name,
        kind=kind,
        claim=claim,
        title=title,
        statement=statement,
        oracle=oracle,
        draw=draw,
        body=body,
        **more,
    )


LAWS = (
    _law(
        "P1",
        "preference_model",
        "complement",
        "one of the two is preferred",
        r"p(a\succ b)+p(b\succ a)=1",
        "one",
        _two,
        complement,
        why_no_theorem=DEFINITION,
        battery=PAIRS,
    ),
    _law(
        "P2",
        "preference_model",
        "even",
        "between equals it is a coin",
        r"p(a\succ a)=\tfrac12",
        "one half",
        _one,
        even,
        why_no_theorem="P1 with b = a",
    ),
    _law(
        "P3",
        "preference_model",
        "transitive",
        "log odds add along a > b > c",
        r"p_{ab}\,p_{bc}\,p_{ca}=p_{ba}\,p_{cb}\,p_{ac}",
        "the cycle the other way round, as probabilities, since odds near 0 lose digits",
        _three,
        cycle,
        theorem=("22",),
        battery=(LINE,),
    ),
    *(
        _law(
            "P4",
            kind,
            "shift_invariant",
            "a constant added to both rewards changes nothing",
            r"f(r+c)=f(r)",
            "the same function, unshifted; shifts are dyadic, hence exact",
            _shifted,
            shifted,
            theorem=("13",),
            battery=PAIRS,
        )
        for kind in ("preference_model", "reward_loss")
    ),
    *(
        _law(
            "P5",
            kind,
            "margin",
            "a margin shifts the difference",
            r"f(r_a,r_b;m)=f(r_a-m,r_b;0)",
            "the same function without a margin",
            _margin,
            margin_shifts,
            why_no_theorem=DEFINITION,
            battery=PAIRS,
            takes=("margin",),
        )
        for kind in ("preference_model", "reward_loss")
    ),
    _law(
        "P6",
        "reward_loss",
        "gradient",
        "the gradient is 1 - p, up for the winner and down for the loser",
        r"\mathrm{d}\ell=-(1-p)(\mathrm{d}r_w-\mathrm{d}r_l)",
        "Bradley-Terry's probability of the other outcome",
        _pair,
        loss_gradient,
        why_no_theorem="the derivative of ln(1 + exp(-x))",
        battery=UPHILL,
        differentiates=True,
        rounding=512.0,
        tolerance="rounding of the terms, and of differences of order eight",
    ),
    _law(
        "P7",
        "ranking_model",
        "normalised",
        "the rankings exhaust the outcomes",
        r"\sum_\sigma P(\sigma)=1",
        "the sum over all orders",
        _items,
        rankings_sum,
        theorem=("22",),
        battery=({"items": 3}, {"items": 4}),
    ),
    _law(
        "P7-pair",
        "ranking_model",
        "pair",
        "two items are Bradley-Terry",
        r"P(a\succ b)=\sigma(r_a-r_b)",
        "Bradley-Terry",
        _ordered,
        two_items,
        theorem=("22",),
    ),
    _law(
        "P7-choice",
        "ranking_model",
        "choice",
        "the chance of coming first is the softmax of the rewards",
        r"\sum_{\sigma:\sigma_1=i}P(\sigma)=e^{r_i}/\textstyle\sum_j e^{r_j}",
        "the sum over all orders with that item in front",
        _items,
        first_choice,
        theorem=("22",),
        battery=({"items": 3}, {"items": 4}),
    ),
    _law(
        "P8",
        "tie_model",
        "normalised",
        "win, tie and loss exhaust the outcomes",
        r"P(\mathrm{win})+P(\mathrm{tie})+P(\mathrm{loss})=1",
        "one",
        _two,
        outcomes_sum,
        why_no_theorem=DEFINITION,
        battery=PAIRS,
    ),
    _law(
        "P8-mirror",
        "tie_model",
        "mirror",
        "seen from the other side a win is a loss",
        r"P_{ba}(\mathrm{win},\mathrm{tie},\mathrm{loss})"
        r"=P_{ab}(\mathrm{loss},\mathrm{tie},\mathrm{win})",
        "the same model, the other way round",
        _two,
        mirrored,
        why_no_theorem=DEFINITION,
        battery=PAIRS,
    ),
    _law(
        "P8-untied",
        "tie_model",
        "no_ties",
        "without ties it is Bradley-Terry",
        r"P(\mathrm{tie})=0,\quad P(\mathrm{win})=\sigma(r_a-r_b)",
        "Bradley-Terry",
        _two,
        untied,
        why_no_theorem="the limit of a declared family",
        battery=PAIRS,
        facts=("without_ties",),
    ),
    _law(
        "U5",
        "reward_loss",
        "",
        "the loss of a batch is the mean (or the sum) of the losses of its pairs",
        r"L=\tfrac1n\sum_i\ell_i",
        "the losses of single pairs",
        _batch,
        mean_of_pairs,
        why_no_theorem=DEFINITION,
        facts=("reduction",),
    ),
    *(
        _law(
            "U6",
            kind,
            "finite",
            "a finite value for rewards of 1000",
            r"|f|<\infty",
            "finiteness",
            _far_items if kind == "ranking_model" else _far_pair,
            finite,
            why_no_theorem="about floating point: the real function is finite",
            battery=APART,
        )
        for kind in ("preference_model", "reward_loss", "ranking_model")
    ),
    _law(
        "U6-gradient",
        "reward_loss",
        "finite",
        "a finite gradient for rewards of 1000",
        r"|\nabla\ell|<\infty",
        "finiteness",
        _far_pair,
        finite_gradient,
        why_no_theorem="about floating point: the real function is finite",
        battery=APART,
        differentiates=True,
    ),
)
