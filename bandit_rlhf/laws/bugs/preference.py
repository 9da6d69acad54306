"""Models of choices and losses of rewards: broken ones, and rewrites to leave alone.

>>> [bug.name for bug in BUGS if bug.source != "mutant"]
['overflowing_loss', 'margin_ignored', 'sum_before_the_logarithm']
"""

import numpy as np

from bandit_rlhf.contract import estimator
from bandit_rlhf.laws.bugs.record import Bug, Twin

MODEL = ("complement", "even", "transitive", "shift_invariant")


@estimator("preference_model", claims=MODEL)
def sigmoid(first, second):
    """Bradley-Terry by the logistic function."""
    return 1 / (1 + np.exp(second - first))


@estimator("preference_model", claims=(*MODEL, "margin", "finite"))
def half_tangent(first, second, margin=0.0):
    """Bradley-Terry by the hyperbolic tangent."""
    return (1 + np.tanh((first - second - margin) / 2)) / 2


@estimator("preference_model", claims=MODEL)
def share_of_strengths(first, second):
    """Bradley and Terry's own form, strengths over their sum."""
    return np.exp(first) / (np.exp(first) + np.exp(second))


@estimator("preference_model", claims=("complement", "even", "shift_invariant", "finite"))
def arc_tangent(first, second):
    """A symmetric choice model that is not Bradley-Terry, and does not claim to be."""
    return np.arctan(first - second) / np.pi + 1 / 2


@estimator("preference_model", claims=("complement", "even", "shift_invariant"))
def first_shown_favoured(first, second):
    """A bonus for the string that stands first."""
    return 1 / (1 + np.exp(second - first - 0.25))


@estimator("preference_model", claims=("complement",))
def slope_of_the_distance(first, second):
    """A half plus a slope that both orders share."""
    return np.full_like(first, 0.5) + np.abs(first - second) / 64


@estimator("preference_model", claims=("transitive",))
def arc_tangent_as_odds(first, second):
    """The arc tangent's model, sold as one with additive log odds."""
    return np.arctan(first - second) / np.pi + 1 / 2


@estimator("preference_model", claims=("complement", "even", "shift_invariant"))
def ratio_of_rewards(first, second):
    """A share of shifted rewards instead of their exponentials."""
    return (first + 8) / (first + second + 16)


@estimator("preference_model", claims=("margin",))
def margin_with_wrong_sign(first, second, margin=0.0):
    """The margin helps the winner."""
    return 1 / (1 + np.exp(second - first - margin))


@estimator("preference_model", claims=("finite",))
def overflowing_strengths(first, second):
    """Exponentials of the rewards themselves."""
    return np.exp(first) / (np.exp(first) + np.exp(second))


LOSS = ("gradient", "shift_invariant", "finite")


@estimator("reward_loss", claims=(*LOSS, "margin"), reduction="mean")
def softplus(winner, loser, margin=0.0):
    """ln(1 + e^(l - w)) in its stable form, the mean over pairs."""
    return np.mean(np.logaddexp(0 * winner, loser - winner + margin))


@estimator("reward_loss", claims=LOSS)
def maximum_and_rest(winner, loser):
    """The same by max(0, x) + ln(1 + e^-|x|), pair by pair."""
    gap = loser - winner
    return np.maximum(gap, 0) + np.log1p(np.exp(-np.abs(gap)))


@estimator("reward_loss", claims=("gradient",))
def constant_added(winner, loser):
    """A constant in the loss moves no gradient."""
    return np.logaddexp(0 * winner, loser - winner) + 1


@estimator("reward_loss", claims=("gradient", "margin", "finite"), reduction="mean")
def overflowing_loss(winner, loser, margin=0.0):
    """ln(1 + e^x) as it is written, and the margin forgotten."""
    return np.mean(np.log(1 + np.exp(loser - winner)))


@estimator("reward_loss", claims=("margin",), reduction="mean")
def margin_ignored(winner, loser, margin=0.0):
    """A margin is taken and not used."""
    return np.mean(np.logaddexp(0 * winner, loser - winner))


@estimator("reward_loss", claims=("gradient",))
def floored_logarithm(winner, loser):
    """-ln(p + 1e-8) has no gradient left where the pair is most wrong."""
    return -np.log(1 / (1 + np.exp(loser - winner)) + 1e-8)


@estimator("reward_loss", claims=("gradient",))
def pair_reversed(winner, loser):
    """The loser is taught to win."""
    return np.logaddexp(0 * winner, winner - loser)


@estimator("reward_loss", claims=("shift_invariant",))
def centred_rewards(winner, loser):
    """A penalty on the sum of rewards, which is not a function of their difference."""
    return np.logaddexp(0 * winner, loser - winner) + (winner + loser) ** 2 / 64


@estimator("reward_loss", claims=("gradient",), reduction="mean")
def sum_before_the_logarithm(winner, loser):
    """The differences of all pairs are summed before the one logarithm."""
    return np.logaddexp(np.zeros_like(winner[0]), np.sum(loser - winner))


@estimator("ranking_model", claims=("normalised", "pair", "choice"))
def places_in_turn(rewards):
    """Plackett-Luce, place by place among those left."""
    return sum(rewards[k] - np.log(np.exp(rewards[k:]).sum()) for k in range(len(rewards)))


@estimator("ranking_model", claims=("normalised", "pair", "choice", "finite"))
def accumulated_from_the_end(rewards):
    """The same by one pass from the last place."""
    left = np.logaddexp.accumulate(rewards[::-1])[::-1]
    return np.sum(rewards - left)


@estimator("ranking_model", claims=("normalised", "pair"))
def worst_picked_first(rewards):
    """The worst is chosen first: another law of rankings, which only claims what it holds."""
    left = np.logaddexp.accumulate(-rewards)
    return np.sum(-rewards - left)


@estimator("ranking_model", claims=("choice",))
def worst_picked_as_best(rewards):
    """The worst is chosen first, and taken for Plackett-Luce."""
    left = np.logaddexp.accumulate(-rewards)
    return np.sum(-rewards - left)


@estimator("ranking_model", claims=("normalised",))
def all_pairs(rewards):
    """Every pair counted as an independent choice."""
    over = [
        -np.logaddexp(0 * r, worse - r) for k, r in enumerate(rewards) for worse in rewards[k + 1 :]
    ]
    return sum(over)


@estimator("ranking_model", claims=("normalised", "pair"))
def placed_items_stay(rewards):
    """Items that were placed stand for choice again."""
    return np.sum(rewards - np.log(np.exp(rewards).sum()))


@estimator("ranking_model", claims=("pair",))
def last_place_first(rewards):
    """The order is read from the worst."""
    return np.sum(rewards - np.logaddexp.accumulate(rewards))


@estimator("ranking_model", claims=("finite",))
def overflowing_sums(rewards):
    """Sums of exponentials of the rewards themselves."""
    return sum(rewards[k] - np.log(np.exp(rewards[k:]).sum()) for k in range(len(rewards)))


TIES = ("normalised", "mirror", "no_ties")


@estimator("tie_model", claims=TIES, facts={"without_ties": {"threshold": 0.0}})
def threshold_of_notice(first, second, threshold=0.5):
    """Rao and Kupper's model: differences below a threshold go unnoticed."""
    win = 1 / (1 + np.exp(second - first + threshold))
    loss = 1 / (1 + np.exp(first - second + threshold))
    return win, 1 - win - loss, loss


@estimator("tie_model", claims=TIES, facts={"without_ties": {"prevalence": 0.0}})
def geometric_mean(first, second, prevalence=0.5):
    """Davidson's model: a tie has the geometric mean of both strengths, times a constant."""
    strengths = np.exp(first), prevalence * np.exp((first + second) / 2), np.exp(second)
    return tuple(strength / sum(strengths) for strength in strengths)


@estimator("tie_model", claims=("normalised",))
def ties_uncounted(first, second):
    """A tie's share is added without taking it from the others."""
    win = 1 / (1 + np.exp(second - first))
    return win, win * (1 - win), 1 - win


@estimator("tie_model", claims=("mirror", "normalised"))
def threshold_on_one_side(first, second):
    """Only the first string must exceed the threshold."""
    win = 1 / (1 + np.exp(second - first + 0.5))
    loss = 1 / (1 + np.exp(first - second))
    return win, 1 - win - loss, loss


@estimator("tie_model", claims=TIES, facts={"without_ties": {"prevalence": 0.0}})
def full_difference_on_both_sides(first, second, prevalence=0.5):
    """Davidson's model with e^d : nu : e^-d, which has the odds e^(2 d)."""
    strengths = (
        np.exp(first - second),
        prevalence * np.ones_like(first),
        np.exp(second - first),
    )
    return tuple(strength / sum(strengths) for strength in strengths)


def _mutant(law: str | tuple[str, ...], words: str, function) -> Bug:
    ids = law if isinstance(law, tuple) else (law,)
    return Bug(function.__name__, function.contract.kind, ids, "mutant", words, function)


BUGS = (
    Bug(
        "overflowing_loss",
        "reward_loss",
        ("P5", "U6", "U6-gradient"),
        "openrlhf 0.11.2 LogExpLoss",
        "ln(1 + exp(x)) overflows, and the margin is not used",
        overflowing_loss,
    ),
    Bug(
        "margin_ignored",
        "reward_loss",
        ("P5",),
        "openrlhf 0.11.2 LogExpLoss",
        "a margin is taken and not used",
        margin_ignored,
    ),
    Bug(
        "sum_before_the_logarithm",
        "reward_loss",
        ("U5",),
        "trinity-rft 0.6.0 DPOLossFn",
        "the whole batch is summed before the log-sigmoid",
        sum_before_the_logarithm,
    ),
    _mutant(("P1", "P2"), "a bonus for standing first", first_shown_favoured),
    _mutant("P1", "both orders share a slope", slope_of_the_distance),
    _mutant("P3", "an arc tangent for the logistic function", arc_tangent_as_odds),
    _mutant("P4", "a share of rewards, not of their exponentials", ratio_of_rewards),
    _mutant("P5", "the margin's sign", margin_with_wrong_sign),
    _mutant("U6", "exponentials of rewards overflow", overflowing_strengths),
    _mutant("P6", "the logarithm is floored", floored_logarithm),
    _mutant("P6", "winner and loser exchanged", pair_reversed),
    _mutant("P4", "a penalty on the sum of rewards", centred_rewards),
    _mutant("P7-choice", "the worst is chosen first", worst_picked_as_best),
    _mutant("P7", "pairs are no independent choices", all_pairs),
    _mutant(("P7", "P7-pair"), "placed items stay", placed_items_stay),
    _mutant("P7-pair", "the order is read from its end", last_place_first),
    _mutant("U6", "sums of exponentials overflow", overflowing_sums),
    _mutant("P8", "ties are added on top", ties_uncounted),
    _mutant("P8-mirror", "a threshold on one side", threshold_on_one_side),
    _mutant("P8-untied", "twice the difference", full_difference_on_both_sides),
)


def _rewrite(words: str, function) -> Twin:
    return Twin(function.__name__, function.contract.kind, "rewrite", words, function)


TWINS = (
    _rewrite("the definition", sigmoid),
    _rewrite("tanh(x / 2) = 2 sigma(x) - 1", half_tangent),
    _rewrite("strengths over their sum", share_of_strengths),
    _rewrite("another choice model, which does not claim additive odds", arc_tangent),
    _rewrite("stable, with a margin and a mean", softplus),
    _rewrite("max(x, 0) + ln(1 + e^-|x|)", maximum_and_rest),
    _rewrite("constants move no gradient", constant_added),
    _rewrite("the definition", places_in_turn),
    _rewrite("one pass from the end", accumulated_from_the_end),
    _rewrite("another law of rankings, which does not claim the choice axiom", worst_picked_first),
    _rewrite("Rao and Kupper", threshold_of_notice),
    _rewrite("Davidson", geometric_mean),
)
