"""Laws R: rewards fitted to comparisons, and scores read from the values of a string's tokens.

A fit is asked for its scores on a matrix of wins of two or three items. It may stop short of the
optimum by the `accuracy` that it declares, in nats; what lies within is no deviation.

>>> def two_items(wins):
...     gap = np.log(wins[0, 1] / wins[1, 0])
...     return np.array([gap, -gap]) / 2
>>> score_equation(two_items, np.array([[0.0, 3.0], [1.0, 0.0]]), 0.0, 0.0)[0].round(12)
array([3., 1.])
"""

import numpy as np

from bandit_rlhf.laws.law import Case, Law
from bandit_rlhf.laws.source import Source


def centred(scores):
    """Scores in the gauge of mean zero."""
    return scores - scores.mean()


def settled(got, expected, allowed):
    """What was got, brought nearer to what was expected by an allowance."""
    gap = got - expected
    return expected + np.sign(gap) * np.maximum(np.abs(gap) - allowed, 0)


def score_equation(f, wins, accuracy, ridge):
    """R1: each item wins as often as expected, and what a declared prior takes."""
    scores, games = f(wins), wins + wins.T
    chance = 1 / (1 + np.exp(scores[None, :] - scores[:, None]))
    won, expected = wins.sum(axis=1), (games * chance).sum(axis=1) + ridge * scores
    allowed = accuracy * (games.sum(axis=1) + ridge)
    return settled(expected, won, allowed), won, games.sum() + ridge * np.abs(scores).sum()


def gauge_declared(f, wins, gauge, accuracy):
    """R2: the free constant is where it is said to be."""
    scores = f(wins)
    free = {"mean": scores.mean(), "first": scores[0], "last": scores[-1]}[gauge]
    return settled(free, 0.0, accuracy), 0.0, 1 + np.abs(scores).sum()


def flipped(f, wins, accuracy):
    """R3: if every comparison went the other way, the scores change their sign."""
    got, expected = centred(f(wins.T)), -centred(f(wins))
    return settled(got, expected, 2 * accuracy), expected, 1 + np.abs(expected).sum()


def repeated(f, wins, times, accuracy):
    """R4: every comparison made so many times says the same, more surely."""
    got, expected = centred(f(times * wins)), centred(f(wins))
    return settled(got, expected, 2 * accuracy), expected, 1 + np.abs(expected).sum()


def relabelled(f, wins, order, accuracy):
    """R5: other numbers for the items give the same scores under those numbers."""
    got, expected = centred(f(wins[order][:, order])), centred(f(wins))[order]
    return settled(got, expected, 2 * accuracy), expected, 1 + np.abs(expected).sum()


def population(f, strengths, games, accuracy):
    """R6: item i has strength s_i and beats j in s_i of s_i + s_j games; its reward is ln s_i."""
    got, expected = centred(f(games * strengths[:, None])), centred(np.log(strengths))
    return settled(got, expected, accuracy), expected, 1 + np.abs(expected).sum()


def existence(f, wins, item, case, without_maximum):
    """R7: comparisons without a finite optimum are refused with the item named, or regularised."""
    try:
        scores, said = f(wins), ""
    except Exception as error:
        scores, said = np.array([np.nan]), str(error)
    if without_maximum.get(case) == "regularised":
        return float(np.isfinite(scores).all()), 1.0, 1.0
    words = "".join(c if c.isalnum() else " " for c in said).split()
    return float(str(item) in words), 1.0, 1.0


def last_token(f, values, mask, offset):
    """R8: the value at the last participating token, or so many tokens further on."""
    last = [np.flatnonzero(real)[-1] for real in mask]
    where = np.minimum(np.array(last) + offset, mask.shape[1] - 1)
    expected = values[np.arange(len(mask)), where]
    return f(values, mask), expected, np.abs(values).max()


def end_is_pad(f, values, tokens, mask, offset):
    """R8: the same where pads are end tokens too, and where a string has one inside."""
    last = [np.flatnonzero(real)[-1] for real in mask]
    where = np.minimum(np.array(last) + offset, mask.shape[1] - 1)
    expected = values[np.arange(len(mask)), where]
    return f(values, mask, tokens), expected, np.abs(values).max()


def pads_unread(f, values, mask):
    """U1: values at pads may be anything, not numbers included."""
    clean, dirty = (np.where(mask, values, pad) for pad in (0.0, np.nan))
    return f(dirty, mask), f(clean, mask), 1 + np.abs(values).max()


def _wins(source: Source) -> Case:
    """A matrix with a finite maximum: every pair met with both outcomes, or a circle of wins."""
    items = source.integer("items", 2, 3)
    wins = np.zeros((items, items))
    for i, j in np.argwhere(wins + 1 - np.eye(items)):
        wins[i, j] = source.integer("wins", 1, 6)
    if items == 3 and source.flag("circle"):
        wins *= np.roll(np.eye(3), 1, axis=1)
    return {"wins": wins}


def _repeated(source: Source) -> Case:
    return {**_wins(source), "times": float(source.integer("times", 2, 4))}


def _relabelled(source: Source) -> Case:
    case = _wins(source)
    orders = ([1, 0],) if len(case["wins"]) == 2 else ([1, 2, 0], [2, 1, 0])
    return {**case, "order": np.array(source.choice("order", orders))}


def _population(source: Source) -> Case:
    items = source.integer("items", 2, 3)
    strengths = np.array([source.integer("strength", 1, 6) for _ in range(items)], dtype=float)
    games = np.zeros((items, items))
    for i, j in zip(*np.tril_indices(items, -1), strict=True):
        games[i, j] = games[j, i] = source.integer("games", 1, 3)
    return {"strengths": strengths, "games": games}


CASES = ("separable above", "separable below", "disconnected")


def _no_maximum(source: Source) -> Case:
    """An item that won all its games, or lost all, or has none."""
    wins, item = np.ones((3, 3)) - np.eye(3), source.integer("item", 0, 2)
    case = source.choice("case", CASES)
    if case != "separable above":
        wins[item] = 0
    if case != "separable below":
        wins[:, item] = 0
    return {"wins": wins, "item": item, "case": case.split()[0]}


def _read(pads: tuple[str, ...]):
    def draw(source: Source) -> Case:
        shape = source.integer("strings", 2, 3), source.integer("tokens", 2, 4)
        mask = source.mask("mask", *shape, pads=source.choice("pads", pads))
        return {"values": source.numbers("values", *shape), "mask": mask}

    return draw


def _ended(source: Source) -> Case:
    """Token 0 ends a turn; strings end with it, and pads are it."""
    case = _read(("right",))(source)
    tokens = np.zeros(case["mask"].shape, dtype=int)
    for row, real in zip(tokens, case["mask"], strict=True):
        row[: real.sum() - 1] = [source.integer("token", 0, 2) for _ in range(real.sum() - 1)]
    return {"values": case["values"], "tokens": tokens, "mask": case["mask"]}


ITEMS = ({"items": 2}, {"items": 3, "circle": True}, {"items": 3, "circle": False})
ACCURACY = {"accuracy": 1e-8}
FITTED = {
    "rounding": 1024.0,
    "tolerance": "rounding of a fit: that of its equations over their least curvature",
}
PROGRAM = "a property of a program's indexing"


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
        "R1",
        "reward_fit",
        "score_equation",
        "each item wins as often as expected",
        r"\sum_j w_{ij}=\sum_j n_{ij}\,\sigma(r_i-r_j)+\lambda r_i",
        "Bradley-Terry's score equations; two items have r_1 - r_2 = logit(w/n)",
        _wins,
        score_equation,
        theorem=("40",),
        battery=ITEMS,
        known_facts={**ACCURACY, "ridge": 0.0},
        **FITTED,
    ),
    _law(
        "R2",
        "reward_fit",
        "gauge",
        "the free constant is where it is declared to be",
        r"\overline r=0\ \text{or}\ r_1=0\ \text{or}\ r_K=0",
        "zero",
        _wins,
        gauge_declared,
        theorem=("13",),
        battery=ITEMS,
        facts=("gauge",),
        known_facts=ACCURACY,
        **FITTED,
    ),
    _law(
        "R3",
        "reward_fit",
        "flipped",
        "flipping every comparison negates the scores",
        r"r(w^\top)=-r(w)+c",
        "the same fit of the comparisons as they were",
        _wins,
        flipped,
        theorem=("40",),
        battery=ITEMS,
        known_facts=ACCURACY,
        **FITTED,
    ),
    _law(
        "R4",
        "reward_fit",
        "duplicates",
        "duplicates are weights",
        r"r(k\,w)=r(w)+c",
        "the same fit of the comparisons made once",
        _repeated,
        repeated,
        theorem=("40",),
        battery=ITEMS,
        known_facts=ACCURACY,
        **FITTED,
    ),
    _law(
        "R5",
        "reward_fit",
        "relabelled",
        "renaming items renames scores",
        r"r(w_{\sigma\sigma})=r(w)_\sigma+c",
        "the same fit under the first names",
        _relabelled,
        relabelled,
        why_no_theorem=PROGRAM,
        battery=ITEMS,
        known_facts=ACCURACY,
        **FITTED,
    ),
    _law(
        "R6",
        "reward_fit",
        "population",
        "population comparisons recover the true rewards",
        r"w_{ij}=n_{ij}\,\sigma(r^*_i-r^*_j)\Rightarrow r=r^*+c",
        "logarithms of whole strengths, so that the wins are whole numbers",
        _population,
        population,
        theorem=("40",),
        battery=({"items": 2}, {"items": 3}),
        known_facts=ACCURACY,
        **FITTED,
    ),
    _law(
        "R7",
        "reward_fit",
        "existence",
        "a set without a finite maximum is refused, naming an item, or regularised",
        r"\text{finite maximum}\iff\text{strongly connected}",
        "one item won all, lost all, or met nobody; items are named by their numbers from 0",
        _no_maximum,
        existence,
        theorem=("40",),
        battery=tuple({"case": case} for case in CASES),
        known_facts={"without_maximum": {}},
    ),
    _law(
        "R8",
        "sequence_score",
        "last_token",
        "the value at the last participating token, however many pads follow",
        r"s(y)=v_{|y|}",
        "the definition",
        _read(("right", "none")),
        last_token,
        why_no_theorem=PROGRAM,
        battery=({"pads": "right", "tokens": 4, "mask": 2}, {"pads": "none"}),
        known_facts={"offset": 0},
    ),
    _law(
        "R8-anywhere",
        "sequence_score",
        "last_token",
        "the value at the last participating token, with pads before it too",
        r"s(y)=v_{\max\{t:m_t\}}",
        "the definition",
        _read(("left", "interior")),
        last_token,
        why_no_theorem=PROGRAM,
        battery=({"pads": "left", "mask": 1}, {"pads": "interior", "tokens": 3, "mask": 1}),
        known_facts={"offset": 0},
        precondition="pads are on the right",
    ),
    _law(
        "R8-end",
        "sequence_score",
        "last_token",
        "the value at the last participating token, when pads are end tokens too",
        r"s(y)=v_{|y|}\ \text{where}\ \mathrm{pad}=\mathrm{end}",
        "the definition",
        _ended,
        end_is_pad,
        why_no_theorem=PROGRAM,
        battery=({"tokens": 4, "mask": 1, "token": 0}, {"tokens": 3, "mask": 1, "token": 1}),
        takes=("tokens",),
        known_facts={"offset": 0},
    ),
    _law(
        "U1",
        "sequence_score",
        "",
        "pads do not matter",
        r"f(v)=f(v')\ \text{where}\ v=v'\ \text{at participating tokens}",
        "the same reading with zeros at pads",
        _read(("right",)),
        pads_unread,
        why_no_theorem="a property of programs, not of the mathematics they compute",
        battery=({"mask": 1},),
        precondition="pads are clean",
    ),
)
