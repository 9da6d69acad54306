"""Comparisons -> RewardFit: maximum likelihood, Gaussian prior, Jeffreys' prior."""

import numpy as np
from numpy.typing import ArrayLike

from bandit_rlhf import _check
from bandit_rlhf._array import Float, Int
from bandit_rlhf.comparison_graph import (
    NoFiniteMaximum,
    components,
    is_strongly_connected,
    require_connected,
    require_finite_maximum,
)
from bandit_rlhf.comparisons import Comparisons, PairCounts, aggregate
from bandit_rlhf.comparisons.aggregation import count_matrices
from bandit_rlhf.comparisons.names import Names
from bandit_rlhf.reward.few_items import FewItems
from bandit_rlhf.reward.firth import FirthLikelihood
from bandit_rlhf.reward.identification import DOUBTFUL, require_identified, require_unseparated
from bandit_rlhf.reward.link import BRADLEY_TERRY, DAVIDSON, RAO_KUPPER, THURSTONE, Link
from bandit_rlhf.reward.newton import Solution, maximise
from bandit_rlhf.reward.pair_likelihood import PairLikelihood
from bandit_rlhf.reward.result import RewardFit

LINKS: dict[str, Link] = {
    "bradley-terry": BRADLEY_TERRY,
    "thurstone": THURSTONE,
    "rao-kupper": RAO_KUPPER,
    "davidson": DAVIDSON,
}

WITHOUT_TIES = {RAO_KUPPER.name: BRADLEY_TERRY, DAVIDSON.name: BRADLEY_TERRY}
"""Where nothing is tied the tie parameter is at its lower bound, and the rest is Bradley-Terry."""

TIE_RULES = ("refuse", "half", "drop")
"""What a model without ties may do with them."""

FEW_ITEMS = 300
"""Up to here Bradley-Terry is fitted on the n x n matrix of games."""


def fit(
    comparisons: Comparisons | PairCounts,
    model: str = "bradley-terry",
    *,
    ridge: float = 0.0,
    prior_mean: ArrayLike | None = None,
    firth: bool = False,
    ties: str = "refuse",
    by_prompt: bool = False,
    tolerance: float = 1e-8,
    max_iterations: int = 100,
) -> RewardFit:
    """Fit the rewards that make the comparisons most probable.

    maximise  sum_rows w log P(outcome | r_winner - r_loser + z . gamma, tie)
              - ridge / 2 |r - prior_mean|^2          (Gaussian prior)
              or + 1/2 log det I(r, gamma)            (firth)

    The models are those of `bandit_rlhf.preference`. Covariates of the comparisons, if any, are
    fitted along with the scores. Without a prior, scores have mean zero in each component.

    Args:
        comparisons: rows, or counts of pairs.
        model: "bradley-terry", "thurstone", "rao-kupper" or "davidson".
        ridge: the prior's precision, per squared nat, at least 0; it makes every fit finite.
        prior_mean: [item], nats; None: zeros. Only with ridge > 0.
        firth: add Jeffreys' prior, which removes the first-order bias and keeps scores finite
            (Firth 1993, Biometrika 80:27, section 3.3). Bradley-Terry without ridge only.
        ties: what Bradley-Terry and Thurstone-Mosteller, which know none, do with them: "refuse",
            count each as "half" a win for both, or "drop" them.
        by_prompt: give every prompt scores of its own, r(x, y); items are then (prompt, item).
        tolerance: on the residual of the score equations, a share of the item's comparisons.
        max_iterations: Newton steps before giving up, with `converged=False`.

    Returns:
        The fit.

    Raises:
        NoFiniteMaximum: without a prior, the maximum does not exist or is not unique; the message
            names the items and the comparisons that would mend it.
        ValueError: arguments out of range, ties where the model has none, a covariate that the
            items determine.

    References:
        Bradley and Terry 1952; Ford 1957 for existence; Hunter 2004, MM algorithms for generalized
        Bradley-Terry models.

    >>> rows = Comparisons.from_labels(["tea"] * 3 + ["mate"], ["mate"] * 3 + ["tea"])
    >>> found = fit(rows)
    >>> round(found.difference("tea", "mate"), 6), found.converged   # ln(3 / 1)
    (1.098612, True)
    """
    link = judged_link(model, ties, ridge, tolerance, max_iterations, "fit")
    if firth and (link is not BRADLEY_TERRY or ridge):
        got = f"firth is asked for with model {model!r} and ridge {ridge:g}"
        raise ValueError(_check.complaint(got, "asked for with Bradley-Terry and ridge 0", "fit"))
    won = None if firth or by_prompt else _win_matrix(comparisons, link)
    if won is not None and is_strongly_connected(won):
        mean = _prior_mean(prior_mean, ridge, len(won))
        few = FewItems(won, ridge, mean)
        solution = maximise(few, few.start(), tolerance, max_iterations)
        return _result(model, comparisons.items, (), few, solution, firth, ties)
    counts, group = _counts(comparisons, by_prompt)
    counts, link = settle_ties(counts, link, ties)
    mean = _prior_mean(prior_mean, ridge, counts.item_count)
    if ridge:
        component = components(counts)
    elif firth:
        component = require_connected(counts, link.name, group)
    else:
        component = require_finite_maximum(counts, link.name, group, link.has_tie)
    pairs = PairLikelihood(counts, link, component, ridge, mean)
    names = counts.covariate_names
    if names:
        own, alone = pairs.coefficient_information(pairs.start())
        require_identified(own, np.diag(alone), names)
    problem = FirthLikelihood(pairs) if firth else pairs
    solution = maximise(problem, pairs.start(), tolerance, max_iterations)
    if names and not firth:
        _require_unseparated(pairs, solution)
    return _result(model, counts.items, names, pairs, solution, firth, ties)


def judged_link(
    model: str, ties: str, ridge: float, tolerance: float, max_iterations: int, where: str
) -> Link:
    """The model's link, after judging the arguments that all fits share."""
    for name, value, known in (("model", model, LINKS), ("ties", ties, TIE_RULES)):
        if value not in known:
            expected = f"one of {', '.join(known)}"
            raise ValueError(_check.complaint(f"{name} is {value!r}", expected, where))
    _check.non_negative("ridge", ridge, where)
    _check.positive("tolerance", tolerance, where)
    _check.integer_at_least("max_iterations", max_iterations, 1, where)
    return LINKS[model]


def _win_matrix(
    comparisons: Comparisons | PairCounts, link: Link
) -> Float[np.ndarray, "item item"] | None:
    """[winner, loser], where Bradley-Terry needs no more and items are few."""
    if (
        link is not BRADLEY_TERRY
        or comparisons.item_count > FEW_ITEMS
        or comparisons.covariate_names
    ):
        return None
    if isinstance(comparisons, PairCounts):
        return None if comparisons.ties is not None else comparisons.win_matrix()
    return None if comparisons.tie is not None else count_matrices(comparisons)[0].astype(float)


def _require_unseparated(problem: PairLikelihood, solution: Solution) -> None:
    """The scores' graph is sound; look for separation by covariates only where there is doubt."""
    if solution.converged and problem.widest_difference(solution.point.at) <= DOUBTFUL:
        return
    counts, link = problem.counts, problem.link
    features = np.zeros((counts.item_count, 0)) if problem.ridge else None
    require_unseparated(counts, features, link.has_tie, counts.covariate_names, link.name)


def refit(
    found: RewardFit, counts: PairCounts, tolerance: float = 1e-6
) -> Float[np.ndarray, " item"]:
    """The scores of the same fit to other counts of the same items, starting from its scores.

    Args:
        found: a fit by `fit`.
        counts: for instance a resample of what was fitted.
        tolerance: as in `fit`.

    Returns:
        [item], in the gauge of the fit.

    Raises:
        NoFiniteMaximum: the other counts have none, or not within the fit's components.
    """
    counts, link = settle_ties(counts, LINKS[found.model], found.ties)
    won = None if found.firth else _win_matrix(counts, link)
    if won is not None and is_strongly_connected(won):
        few = FewItems(won, found.ridge, found.prior_mean)
        solution = maximise(few, found.scores, tolerance, 100)
        return _gauged(solution.point.at, few)
    if found.firth:
        require_connected(counts, link.name, found.component)
    elif not found.ridge:
        require_finite_maximum(counts, link.name, found.component, link.has_tie)
    pairs = PairLikelihood(counts, link, found.component, found.ridge, found.prior_mean)
    start = pairs.start()
    start[: len(found.scores)] = found.scores
    problem = FirthLikelihood(pairs) if found.firth else pairs
    solution = maximise(problem, start, tolerance, 100)
    return _gauged(solution.point.at[: len(found.scores)], pairs)


def _counts(
    comparisons: Comparisons | PairCounts, by_prompt: bool
) -> tuple[PairCounts, Int[np.ndarray, " item"] | None]:
    """The counts, and [item] which items must be comparable."""
    if not by_prompt:
        return aggregate(comparisons) if isinstance(comparisons, Comparisons) else comparisons, None
    if not isinstance(comparisons, Comparisons):
        raise TypeError(_check.complaint("counts have no prompts", "rows", "fit(by_prompt=True)"))
    table = comparisons.by_prompt()
    prompt = np.zeros(table.item_count, np.int64)
    if table.prompt is not None:
        prompt[table.winner] = table.prompt
        prompt[table.loser] = table.prompt
    return aggregate(table), prompt


def settle_ties(counts: PairCounts, link: Link, ties: str) -> tuple[PairCounts, Link]:
    """Counts and link that agree on whether there are ties."""
    if counts.ties is None and not link.has_tie:
        return counts, link
    decided, tied = counts.totals()
    if link.has_tie:
        if decided == 0:
            got = f"all {tied:g} comparisons are ties"
            raise NoFiniteMaximum(_check.complaint(got, "decided at least in part", link.name))
        return counts, link if tied else WITHOUT_TIES[link.name]
    if tied == 0:
        return counts, link
    if ties == "half":
        return counts.ties_as_halves(), link
    if ties == "drop":
        if decided == 0:
            got = f"all {tied:g} comparisons are ties, which ties='drop' would drop"
            raise ValueError(_check.complaint(got, "decided at least in part", link.name))
        return counts.ties_dropped(), link
    got = f"{tied:g} of {tied + decided:g} comparisons are ties"
    do = "Choose model 'davidson' or 'rao-kupper', or say ties='half' or 'drop'."
    raise ValueError(_check.complaint(got, "decided, as the model knows no ties", link.name, do))


def _prior_mean(
    prior_mean: ArrayLike | None, ridge: float, items: int
) -> Float[np.ndarray, " item"]:
    if prior_mean is None:
        return np.zeros(items)
    if not ridge:
        raise ValueError(_check.complaint("prior_mean is given", "absent where ridge is 0", "fit"))
    mean = _check.finite("prior_mean", prior_mean, "fit")
    return _check.shaped("prior_mean", mean, (items,), "item", "fit")


def _result(
    model: str,
    items: Names,
    covariate_names: Names,
    problem: FewItems | PairLikelihood,
    solution: Solution,
    firth: bool,
    ties: str,
) -> RewardFit:
    n, at = len(items), solution.point.at.copy()
    at[:n] = _gauged(at[:n], problem)
    tie = None
    if LINKS[model].has_tie:
        tie = float(at[-1]) if len(at) > n + len(covariate_names) else LINKS[model].tie_above
    return RewardFit(
        model=model,
        items=items,
        scores=at[:n],
        gauge="prior mean" if problem.ridge else "mean zero in each component",
        component=problem.component,
        tie=tie,
        coefficients=at[n:][: len(covariate_names)],
        covariate_names=covariate_names,
        converged=solution.converged,
        gradient_norm=solution.point.error,
        iterations=solution.iterations,
        log_likelihood=problem.log_likelihood(at),
        ridge=problem.ridge,
        prior_mean=problem.prior_mean,
        firth=firth,
        ties=ties,
        comparisons=problem.comparisons,
    )


def _gauged(scores: np.ndarray, problem: FewItems | PairLikelihood) -> Float[np.ndarray, " item"]:
    """With a prior as they are, otherwise with mean zero in each component."""
    if problem.ridge:
        return scores
    if isinstance(problem, FewItems):
        return scores - scores.mean()
    return scores - component_means(scores, problem.component)[problem.component]


def component_means(scores: np.ndarray, component: np.ndarray) -> Float[np.ndarray, " component"]:
    """[component], the mean score of each component."""
    return np.bincount(component, scores) / np.bincount(component)
