"""What a fit says of every cell of the comparisons, draws from it, and refits to the draws.

The parametric bootstrap draws the outcomes anew from the fitted law, the games as they were,
refits, and looks at a statistic: how large is it where the model is right? A resample without a
finite maximum counts as one that exceeds what was observed: p-values err on the safe side.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from bandit_rlhf import _check
from bandit_rlhf._array import Float
from bandit_rlhf.comparison_graph import (
    NoFiniteMaximum,
    require_connected,
    require_finite_maximum,
)
from bandit_rlhf.comparisons import Comparisons, PairCounts, aggregate
from bandit_rlhf.reward.firth import FirthLikelihood
from bandit_rlhf.reward.fitting import LINKS, settle_ties
from bandit_rlhf.reward.link import Link
from bandit_rlhf.reward.newton import maximise
from bandit_rlhf.reward.pair_likelihood import PairLikelihood
from bandit_rlhf.reward.result import RewardFit

REFIT_TOLERANCE = 1e-6
ITERATIONS = 100
TIES_BROKEN = 1e-9
"""Statistics that are equal up to this share are equal, whatever the rounding."""


@dataclass(frozen=True, eq=False)
class OutcomeLaw:
    """A choice model at fitted parameters, over the cells of the comparisons.

    Args:
        fit: the fit whose model, prior and components this is.
        link: the choice model; without ties, if there were none to fit.
        counts: the cells, ties settled as in the fit.
        at: [parameter]: scores, coefficients and, if the link has one, the tie parameter.
    """

    fit: RewardFit
    link: Link
    counts: PairCounts
    at: Float[np.ndarray, " parameter"]

    @property
    def scores(self) -> Float[np.ndarray, " item"]:
        """[item], the rewards."""
        return self.at[: self.counts.item_count]

    @property
    def tie(self) -> float:
        """The tie parameter; 0 where the link has none."""
        return float(self.at[-1]) if self.link.has_tie else 0.0

    def differences(
        self, first: np.ndarray, second: np.ndarray, covariates: np.ndarray | None
    ) -> Float[np.ndarray, " row"]:
        """[row], r_first - r_second + z . gamma."""
        difference = self.scores[first] - self.scores[second]
        if covariates is None:
            return difference
        return difference + covariates @ self.at[len(self.scores) :][: covariates.shape[1]]

    def cell_differences(self) -> Float[np.ndarray, " cell"]:
        """[cell], the left item's reward less the right one's, covariates included."""
        return self.differences(self.counts.left, self.counts.right, self.counts.covariates)


def outcome_law(fit: RewardFit, comparisons: Comparisons | PairCounts, where: str) -> OutcomeLaw:
    """The fitted law over the comparisons that were fitted.

    Args:
        fit: of scores to pairs.
        comparisons: what was fitted; after `by_prompt=True` its `by_prompt()`.
        where: who asks, for messages.

    Raises:
        ValueError: a fit of another kind, one that did not converge, other comparisons.

    >>> from bandit_rlhf.reward import fit
    >>> rows = Comparisons.from_ids([0, 0, 0, 1], [1, 1, 1, 0])
    >>> law = outcome_law(fit(rows), rows, "example")
    >>> probabilities(law.link, law.cell_differences(), law.tie).round(6).ravel().tolist()
    [0.75, 0.0, 0.25]
    """
    if fit.model not in LINKS or fit.gauge.startswith("features"):
        got = f"the fit is of {fit.model} with gauge {fit.gauge!r}"
        raise ValueError(_check.complaint(got, "a fit of scores to pairs", where))
    if not fit.converged:
        got = f"the fit has not converged (residual {fit.gradient_norm:.1e})"
        raise ValueError(_check.complaint(got, "converged", where, "Raise max_iterations."))
    counts = aggregate(comparisons) if isinstance(comparisons, Comparisons) else comparisons
    same = len(counts.items) == len(fit.items) and counts.items == fit.items
    if not same or counts.covariate_names != fit.covariate_names:
        got = f"there are {len(counts.items)} items and covariates {counts.covariate_names}"
        expected = f"the fit's {len(fit.items)} items and {fit.covariate_names}"
        do = "Pass the table that was fitted; after by_prompt=True, its by_prompt()."
        raise ValueError(_check.complaint(got, expected, where, do))
    counts, link = settle_ties(counts, LINKS[fit.model], fit.ties)
    total = sum(counts.totals())
    if not np.isclose(total, fit.comparisons, rtol=1e-9):
        got = f"the comparisons weigh {total:g}"
        raise ValueError(_check.complaint(got, f"the fit's {fit.comparisons:g}", where))
    tie = [fit.tie] if link.has_tie and fit.tie is not None else []
    return OutcomeLaw(fit, link, counts, np.concatenate([fit.scores, fit.coefficients, tie]))


def probabilities(
    link: Link, difference: np.ndarray, tie: float
) -> Float[np.ndarray, "outcome row"]:
    """[outcome, row], the probabilities of win, tie and loss at differences [row]."""
    return np.exp(log_probabilities(link, difference, tie))


def log_probabilities(
    link: Link, difference: np.ndarray, tie: float
) -> Float[np.ndarray, "outcome row"]:
    """[outcome, row], their logarithms; minus infinity for a tie where the model has none.

    >>> from bandit_rlhf.reward.link import DAVIDSON
    >>> np.exp(log_probabilities(DAVIDSON, np.zeros(1), 0.0)).round(6).ravel().tolist()
    [0.333333, 0.333333, 0.333333]
    """
    one, none = np.ones_like(difference), np.zeros_like(difference)
    win = link.log_likelihood(difference, tie, one, none, none)
    loss = link.log_likelihood(difference, tie, none, one, none)
    if not link.has_tie:
        return np.stack([win, np.full_like(win, -np.inf), loss])
    return np.stack([win, link.log_likelihood(difference, tie, none, none, one), loss])


def unit_scores(link: Link, difference: np.ndarray, tie: float) -> Float[np.ndarray, "outcome row"]:
    """[outcome, row], d/dd of the log-probabilities of win, tie and loss."""
    one, none = np.ones_like(difference), np.zeros_like(difference)
    win = link.terms(difference, tie, one, none, none).score
    loss = link.terms(difference, tie, none, one, none).score
    tied = link.terms(difference, tie, none, none, one).score if link.has_tie else none
    return np.stack([win, tied, loss])


def observed(counts: PairCounts) -> Float[np.ndarray, "outcome cell"]:
    """[outcome, cell], how often the left item won, tied and lost."""
    left, right, ties = counts.outcomes(slice(None))
    return np.stack([left, np.zeros_like(left) if ties is None else ties, right])


def require_sampling_model(
    law: OutcomeLaw, comparisons: Comparisons | PairCounts, where: str
) -> None:
    """Raise unless outcomes are whole counts of what the model speaks of.

    Raises:
        ValueError: ties counted as halves, fractional weights.
    """
    if not law.link.has_tie and law.fit.ties == "half":
        tied = comparisons.tie_count if isinstance(comparisons, Comparisons) else 0
        if isinstance(comparisons, PairCounts):
            tied = comparisons.totals()[1]
        if tied:
            got = f"the fit counts {tied:g} ties as halves, which no law of outcomes produces"
            do = "Use model 'davidson' or 'rao-kupper', or ties='drop'."
            raise ValueError(_check.complaint(got, "a law of all outcomes", where, do))
    counted = observed(law.counts)
    if (counted != np.floor(counted)).any():
        at = np.argwhere(counted != np.floor(counted))[0]
        ids = int(law.counts.left[at[1]]), int(law.counts.right[at[1]])
        names = " and ".join(repr(law.counts.items[i]) for i in ids)
        got = f"{names} have the count {counted[tuple(at)]:g}"
        raise ValueError(_check.complaint(got, "whole", where, "Leave the weights out."))


def draw(law: OutcomeLaw, rng: np.random.Generator) -> PairCounts:
    """Outcomes drawn from the law, each cell with as many games as it has.

    >>> from bandit_rlhf.reward import fit
    >>> rows = Comparisons.from_ids([0, 0, 0, 1], [1, 1, 1, 0])
    >>> drawn = draw(outcome_law(fit(rows), rows, "example"), np.random.default_rng(0))
    >>> sum(drawn.totals())
    4.0
    """
    games = observed(law.counts).sum(axis=0).astype(np.int64)
    chance = probabilities(law.link, law.cell_differences(), law.tie)
    if not law.link.has_tie:
        wins = rng.binomial(games, np.minimum(chance[0], 1.0))
        return replace(law.counts, left_wins=wins, right_wins=games - wins)
    wins, ties, losses = rng.multinomial(games, (chance / chance.sum(axis=0)).T).T
    return replace(law.counts, left_wins=wins, right_wins=losses, ties=ties)


def refitted(law: OutcomeLaw, counts: PairCounts) -> OutcomeLaw:
    """The same model, prior and components fitted to other counts of the same items.

    Raises:
        NoFiniteMaximum: there is none, or Newton's method did not reach it.
    """
    fit = law.fit
    counts, link = settle_ties(counts, LINKS[fit.model], fit.ties)
    if not fit.ridge:
        if fit.firth:
            require_connected(counts, link.name, fit.component)
        else:
            require_finite_maximum(counts, link.name, fit.component, link.has_tie)
    problem = PairLikelihood(counts, link, fit.component, fit.ridge, fit.prior_mean)
    start = problem.start()
    start[: len(fit.scores) + len(fit.coefficients)] = np.append(fit.scores, fit.coefficients)
    climbed = FirthLikelihood(problem) if fit.firth else problem
    solution = maximise(climbed, start, REFIT_TOLERANCE, ITERATIONS)
    if not solution.converged:
        got = f"the refit's residual is {solution.point.error:.1e}"
        expected = f"at most {REFIT_TOLERANCE:g}"
        raise NoFiniteMaximum(_check.complaint(got, expected, link.name, "Set ridge > 0."))
    return OutcomeLaw(fit, link, counts, solution.point.at)


def resampled(
    law: OutcomeLaw,
    statistic: Callable[[OutcomeLaw], np.ndarray],
    rng: np.random.Generator,
    resamples: int,
) -> Float[np.ndarray, "resample value"]:
    """[resample, value], a statistic of refits to draws from the law; without those unfitted."""
    found = []
    for _ in range(resamples):
        try:
            found.append(statistic(refitted(law, draw(law, rng))))
        except NoFiniteMaximum:
            continue
    return np.array(found, np.float64).reshape(len(found), len(statistic(law)))


def bootstrap_p(value: float, drawn: np.ndarray, resamples: int, scale: float = 0.0) -> float:
    """(1 + resamples that reach `value` or could not be fitted) / (1 + resamples).

    Args:
        value: the statistic.
        drawn: [fitted resample], the same of draws.
        resamples: how many draws there were.
        scale: the size of what was subtracted from one another to get values, for rounding.

    >>> bootstrap_p(2.0, np.array([1.0, 2.0, 3.0]), resamples=4)
    0.8
    """
    reached = int((drawn >= value - TIES_BROKEN * max(abs(value), scale)).sum())
    return (1 + reached + resamples - len(drawn)) / (1 + resamples)
