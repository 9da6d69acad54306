"""Fits of rewards and readings of scores: broken ones, and rewrites to leave alone.

>>> newton(np.array([[0.0, 3.0], [1.0, 0.0]])).round(4)
array([ 0.5493, -0.5493])
"""

import math

import numpy as np

from bandit_rlhf.contract import estimator
from bandit_rlhf.laws.bugs.record import Bug, Twin

FIT = ("score_equation", "gauge", "flipped", "duplicates", "relabelled", "population")


def _climbed(wins, ridge=0.0, steps=20):
    """Newton steps from zero, in the gauge of mean zero."""
    scores, games = np.zeros_like(wins[0]), wins + wins.T
    for _ in range(steps):
        chance = 1 / (1 + np.exp(scores - scores[:, None]))
        slope = wins.sum(axis=1) - (games * chance).sum(axis=1) - ridge * scores
        weight = games * chance * (1 - chance)
        curvature = np.diag(weight.sum(axis=1) + ridge) - weight + 1 / len(wins)
        scores = scores + np.linalg.solve(curvature, slope)
    return scores


def _minorised(wins, steps):
    """Strengths by Zermelo's iteration, as scores of mean zero."""
    strength, games = np.ones_like(wins[0]), wins + wins.T
    for _ in range(steps):
        strength = wins.sum(axis=1) / (games / (strength + strength[:, None])).sum(axis=1)
    return np.log(strength) - np.log(strength).mean()


@estimator("reward_fit", claims=FIT, facts={"gauge": "mean"})
def newton(wins):
    """Newton's method."""
    return _climbed(wins)


@estimator("reward_fit", claims=(*FIT, "existence"), facts={"gauge": "first"})
def newton_from_the_first(wins):
    """Newton's method, the first item at zero, and a refusal that names an item."""
    for item in range(len(wins)):
        if not wins[item].any() or not wins[:, item].any():
            raise ValueError(f"item {item} has no win or no loss, but should have both.")
    scores = _climbed(wins)
    return scores - scores[0]


@estimator("reward_fit", claims=FIT, facts={"gauge": "mean", "accuracy": 1e-6})
def zermelo(wins):
    """Zermelo's iteration, which stops where it is near."""
    return _minorised(wins, 300)


@estimator(
    "reward_fit",
    claims=("score_equation", "gauge", "flipped", "relabelled", "existence"),
    facts={
        "gauge": "mean",
        "ridge": 0.5,
        "without_maximum": {"separable": "regularised", "disconnected": "regularised"},
    },
)
def with_a_prior(wins):
    """A Gaussian prior, declared: it neither repeats nor recovers, and says so."""
    return _climbed(wins, ridge=0.5)


@estimator("reward_fit", claims=("score_equation", "flipped", "population"))
def log_odds_of_wins(wins):
    """Each item's share of wins, whoever it met."""
    return np.log(wins.sum(axis=1) / wins.sum(axis=0))


@estimator("reward_fit", claims=("score_equation", "population"))
def stopped_early(wins):
    """Zermelo's iteration, three steps of it."""
    return _minorised(wins, 3)


@estimator("reward_fit", claims=FIT, facts={"gauge": "mean"})
def gauge_of_another(wins):
    """Said to have mean zero, while the first item is put at zero."""
    scores = _climbed(wins)
    return scores - scores[0]


@estimator("reward_fit", claims=("flipped", "relabelled"))
def half_a_win_above_the_diagonal(wins):
    """A pseudo-count for one order of each pair only."""
    return _climbed(wins + np.triu(np.ones_like(wins), 1) / 2)


@estimator("reward_fit", claims=("score_equation", "duplicates", "population"))
def hidden_prior(wins):
    """A prior that is not declared."""
    return _climbed(wins, ridge=0.0625)


@estimator("reward_fit", claims=("relabelled", "duplicates"))
def elo(wins):
    """One pass of Elo's updates in the order of the table."""
    scores = np.zeros_like(wins[0])
    for winner, loser in np.argwhere(wins > 0):
        step = wins[winner, loser] / (1 + np.exp(scores[winner] - scores[loser])) / 4
        scores[winner] += step
        scores[loser] -= step
    return scores


@estimator("reward_fit", claims=("score_equation", "population"))
def in_decades(wins):
    """Scores in powers of ten, sold as nats."""
    return _climbed(wins) / math.log(10)


@estimator("reward_fit", claims=("existence",))
def refused_without_a_name(wins):
    """A refusal that leaves the items to be searched for."""
    if not (wins.any(axis=1) & wins.any(axis=0)).all():
        raise ValueError("the maximum is not finite.")
    return _climbed(wins)


@estimator("reward_fit", claims=("existence",))
def last_step_returned(wins):
    """Strengths of zero or nothing at all, handed on."""
    return _minorised(wins, 20)


@estimator("sequence_score", claims=("last_token",))
def turned_around(values, mask):
    """The first participating token from the end."""
    last = mask.shape[1] - 1 - np.argmax(mask[:, ::-1], axis=1)
    return values[np.arange(len(mask)), last]


@estimator("sequence_score", claims=("last_token",))
def last_place_that_counts(values, mask, tokens=None):
    """The largest place that participates; tokens are taken, for the call's sake, and not read."""
    places = np.max(np.where(mask, np.arange(mask.shape[1]), 0), axis=1)
    return np.take_along_axis(values, places[:, None], axis=1)[:, 0]


@estimator(
    "sequence_score",
    claims=("last_token",),
    facts={"offset": 1},
    preconditions=("pads are on the right", "pads are clean"),
)
def one_past_the_end(values, mask):
    """One past the last token where there is such a place, which is declared."""
    width = mask.shape[1]
    return values[np.arange(len(mask)), np.minimum(mask.sum(axis=1), width - 1)]


@estimator("sequence_score", claims=("last_token",))
def one_before_the_end(values, mask):
    """One token before the last."""
    return values[np.arange(len(mask)), mask.sum(axis=1) - 2]


@estimator("sequence_score", claims=("last_token",))
def first_end_token(values, mask, tokens=None):
    """One before the first pad token, which is the end token too."""
    ends = mask.sum(axis=1) if tokens is None else np.argmax(tokens == 0, axis=1)
    return values[np.arange(len(mask)), ends - 1]


@estimator("sequence_score", claims=("last_token",))
def one_past_undeclared(values, mask):
    """One past the last token, unsaid."""
    width = mask.shape[1]
    return values[np.arange(len(mask)), np.minimum(mask.sum(axis=1), width - 1)]


@estimator("sequence_score", claims=("last_token",))
def counted_from_the_left(values, mask):
    """As many tokens from the left as participate."""
    return values[np.arange(len(mask)), mask.sum(axis=1) - 1]


@estimator("sequence_score", claims=("last_token",))
def last_column(values, mask):
    """The last column, pad or not."""
    return values[:, -1] + 0 * mask[:, -1].astype(values.dtype)


@estimator("sequence_score", claims=("last_token",))
def product_with_a_mark(values, mask):
    """A product with zeros, which do not hide what is no number."""
    last = mask.shape[1] - 1 - np.argmax(mask[:, ::-1], axis=1)
    mark = np.arange(mask.shape[1]) == last[:, None]
    return np.sum(values * mark, axis=1)


def _mutant(law: tuple[str, ...], words: str, function) -> Bug:
    return Bug(function.__name__, function.contract.kind, law, "mutant", words, function)


def _met(law: tuple[str, ...], source: str, words: str, function) -> Bug:
    return Bug(function.__name__, function.contract.kind, law, source, words, function)


BUGS = (
    _mutant(("R1", "R6"), "win rates do not know who was met", log_odds_of_wins),
    _mutant(("R1", "R6"), "stopped before convergence", stopped_early),
    _mutant(("R2",), "another gauge than declared", gauge_of_another),
    _mutant(("R3", "R5"), "pseudo-counts on one side", half_a_win_above_the_diagonal),
    _mutant(("R1", "R4", "R6"), "a prior that is not declared", hidden_prior),
    _mutant(("R4", "R5"), "Elo's updates depend on the order", elo),
    _mutant(("R1", "R6"), "scores in decades, not nats", in_decades),
    _mutant(("R7",), "the refusal names no item", refused_without_a_name),
    _mutant(("R7",), "infinite scores are returned", last_step_returned),
    _met(
        ("R8", "R8-anywhere"),
        "EleutherAI/gpt-neox PR 1285",
        "the score is read one token off",
        one_before_the_end,
    ),
    _met(
        ("R8-end",),
        "huggingface/transformers issue 35352",
        "the first end token is taken for the first pad",
        first_end_token,
    ),
    _met(
        ("R8",),
        "deepspeedai/DeepSpeedExamples PR 672",
        "one past the end; contested there, here undeclared",
        one_past_undeclared,
    ),
    _mutant(("R8-anywhere",), "pads on the left", counted_from_the_left),
    _mutant(("R8",), "the last column", last_column),
    _mutant(("U1",), "NaN times zero", product_with_a_mark),
)


def _rewrite(words: str, function) -> Twin:
    return Twin(function.__name__, function.contract.kind, "rewrite", words, function)


TWINS = (
    _rewrite("Newton's method", newton),
    _rewrite("another gauge, declared", newton_from_the_first),
    _rewrite("a first-order method, its accuracy declared", zermelo),
    _rewrite("a prior, declared", with_a_prior),
    _rewrite("argmax from the end", turned_around),
    _rewrite("the largest place", last_place_that_counts),
    Twin(
        "one_past_the_end",
        "sequence_score",
        "huggingface/trl issues 1893, 3750",
        "a faithful port reads one past the end, and says so",
        one_past_the_end,
    ),
)
