"""Rankings -> RewardFit: Plackett and Luce's model, ties as blocks whose inner order is not known.

A ranking with ties is the sum over its orders. By Fisher's and Louis's identities its gradient is
the posterior mean of the orders' gradients, and its information the posterior mean of theirs less
the posterior covariance of their gradients; so a tie is a small group of full orders, and the fit
sees nothing else. Minus the Hessian has zero row sums: a Laplacian, as for pairs.
"""

import itertools
import math

import numpy as np

from bandit_rlhf import _check
from bandit_rlhf._array import Float
from bandit_rlhf.comparison_graph import components, require_finite_maximum
from bandit_rlhf.comparisons.rankings import ABSENT, Rankings
from bandit_rlhf.reward.curvature import IterativeCurvature
from bandit_rlhf.reward.fitting import component_means
from bandit_rlhf.reward.newton import Point, maximise
from bandit_rlhf.reward.result import RewardFit

MOST_ORDERS = 5040
"""A ranking may stand for so many orders, as a block of seven ties does."""


class PlackettLuceLikelihood:
    """Rankings prepared for Newton's method; parameters are the scores.

    Args:
        rankings: the table.
        ridge: the prior's precision, per squared nat; 0: no prior.
    """

    def __init__(self, rankings: Rankings, ridge: float) -> None:
        self.items = len(rankings.items)
        self.ridge = ridge
        orders = [_orders(rankings, row) for row in range(rankings.ranking_count)]
        self.slot = np.concatenate([slots for slots, _ in orders])  # [order, place] -> column
        sizes = np.array([len(slots) for slots, _ in orders])
        self.first = np.cumsum(sizes) - sizes
        self.ranking = np.repeat(np.arange(len(sizes)), sizes)
        self.listed = rankings.order  # [ranking, column]
        self.present = rankings.order != ABSENT
        self.order = np.take_along_axis(rankings.order[self.ranking], self.slot, axis=1)
        awarded = np.repeat([stages for _, stages in orders], sizes)
        self.awarded = np.arange(self.order.shape[1]) < awarded[:, None]
        weight = rankings.weight
        self.weight = np.ones(len(sizes)) if weight is None else weight
        appearances = np.bincount(
            self.listed[self.present],
            np.broadcast_to(self.weight[:, None], self.listed.shape)[self.present],
            minlength=self.items,
        )
        self.scale = np.where(appearances + ridge > 0, appearances + ridge, 1.0)

    def start(self) -> Float[np.ndarray, " item"]:
        """All equal."""
        return np.zeros(self.items)

    def longest_step(self, at: np.ndarray, direction: np.ndarray) -> float:
        """Scores are not bounded."""
        return np.inf

    def log_likelihood(self, at: np.ndarray) -> float:
        """The log-likelihood without the prior, in nats."""
        return float(self.weight @ self._posterior(self._chances(at)[1])[0])

    def ranking_scores(self, at: np.ndarray) -> np.ndarray:
        """[ranking, item], the gradient of each ranking's log-probability."""
        chance, log_prob = self._chances(at)
        posterior = self._posterior(log_prob)[1]
        mean = np.add.reduceat(posterior[:, None] * self._order_gradients(chance), self.first)
        scores = np.zeros((len(mean), self.items))
        row, column = np.nonzero(self.present)
        scores[row, self.listed[row, column]] = mean[row, column]
        return scores

    def evaluate(self, at: np.ndarray) -> Point:
        """Gradient, largest error and curvature."""
        from scipy.sparse import csr_array

        chance, log_prob = self._chances(at)
        posterior = self._posterior(log_prob)[1]
        each = self._order_gradients(chance)
        mean = np.add.reduceat(posterior[:, None] * each, self.first)
        in_place = np.einsum("okj,okl->ojl", chance, chance)  # Louis: sum_k p p' - diag p, and
        places = np.arange(chance.shape[2])
        in_place[:, places, places] -= chance.sum(axis=1)
        to_column = self.slot[:, :, None], self.slot[:, None, :]
        in_column = np.zeros_like(in_place)
        in_column[(np.arange(len(in_place))[:, None, None], *to_column)] = in_place
        in_column += each[:, :, None] * each[:, None, :]  # the covariance of the gradients
        hessian = np.add.reduceat(posterior[:, None, None] * in_column, self.first)
        hessian -= mean[:, :, None] * mean[:, None, :]
        row, column = np.nonzero(self.present)
        gradient = np.bincount(
            self.listed[row, column],
            (self.weight[:, None] * mean)[row, column],
            minlength=self.items,
        )
        gradient -= self.ridge * at
        ranking, one, two = np.nonzero(self.present[:, :, None] & self.present[:, None, :])
        entries = (self.weight[:, None, None] * hessian)[ranking, one, two]
        where = self.listed[ranking, one], self.listed[ranking, two]
        pairs = csr_array((entries, where), shape=(self.items, self.items))
        own = pairs.diagonal()
        nothing = np.empty((self.items, 0))
        curvature = IterativeCurvature(
            lambda vector: pairs @ vector - own * vector,
            self.ridge - own,
            nothing,
            nothing[:0],
        )
        return Point(at, gradient, float(np.max(np.abs(gradient) / self.scale)), curvature)

    def _chances(self, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """[order, stage, place] who is chosen at each stage, and [order] ln P(order)."""
        score = np.where(self.order == ABSENT, -np.inf, at[self.order])
        places = score.shape[1]
        left = np.triu(np.ones((places, places), bool))  # [stage, place]: not placed before
        staged = np.where(left, score[:, None, :], -np.inf)
        top = staged.max(axis=2, keepdims=True)
        staged = np.exp(staged - np.where(np.isfinite(top), top, 0.0))
        total = staged.sum(axis=2, keepdims=True)
        chance = np.where(self.awarded[:, :, None], staged / np.where(total > 0, total, 1.0), 0.0)
        log_chosen = np.zeros_like(score)
        log_total = np.log(total[:, :, 0][self.awarded]) + top[:, :, 0][self.awarded]
        log_chosen[self.awarded] = score[self.awarded] - log_total
        return chance, log_chosen.sum(axis=1)

    def _posterior(self, log_prob: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """[ranking] ln P(ranking), and [order] P(order | ranking)."""
        log_total = np.logaddexp.reduceat(log_prob, self.first)
        return log_total, np.exp(log_prob - log_total[self.ranking])

    def _order_gradients(self, chance: np.ndarray) -> np.ndarray:
        """[order, column], the gradient of ln P(order)."""
        gradient = np.zeros(self.slot.shape)
        np.put_along_axis(gradient, self.slot, self.awarded - chance.sum(axis=1), axis=1)
        return gradient


def fit_rankings(
    rankings: Rankings,
    *,
    ridge: float = 0.0,
    tolerance: float = 1e-8,
    max_iterations: int = 100,
) -> RewardFit:
    """Fit Plackett and Luce's model to rankings.

    maximise sum_rankings w ln P(ranking | r) - ridge / 2 |r|^2, with P as in
    `preference.plackett_luce_weak_order`; rankings of two items make it Bradley-Terry.

    Args:
        rankings: the table; ties are blocks whose inner order is not known.
        ridge: the prior's precision, per squared nat, at least 0.
        tolerance: on the residual of the score equations, a share of the item's appearances.
        max_iterations: Newton steps before giving up, with `converged=False`.

    Returns:
        The fit, with mean zero in each component without a prior.

    Raises:
        NoFiniteMaximum: some items were never ranked below the rest (Hunter 2004, section 5).
        ValueError: arguments out of range, ties that stand for more than 5040 orders.

    >>> rankings = Rankings.from_lists([["a", "b", "c"], ["b", "c", "a"], ["c", "a", "b"]])
    >>> fit_rankings(rankings).scores.round(6) + 0.0
    array([0., 0., 0.])
    """
    ridge = _check.non_negative("ridge", ridge, "fit_rankings")
    _check.positive("tolerance", tolerance, "fit_rankings")
    _check.integer_at_least("max_iterations", max_iterations, 1, "fit_rankings")
    wins = rankings.adjacent_wins()
    component = components(wins) if ridge else require_finite_maximum(wins, "Plackett-Luce")
    problem = PlackettLuceLikelihood(rankings, ridge)
    solution = maximise(problem, problem.start(), tolerance, max_iterations)
    scores = solution.point.at
    if not ridge:
        scores = scores - component_means(scores, component)[component]
    return RewardFit(
        model="plackett-luce",
        items=rankings.items,
        scores=scores,
        gauge="prior mean" if ridge else "mean zero in each component",
        component=component,
        tie=None,
        coefficients=np.empty(0),
        covariate_names=(),
        converged=solution.converged,
        gradient_norm=solution.point.error,
        iterations=solution.iterations,
        log_likelihood=problem.log_likelihood(scores),
        ridge=ridge,
        prior_mean=np.zeros(len(rankings.items)),
        firth=False,
        ties="refuse",
        comparisons=float(problem.weight.sum()),
    )


def _orders(rankings: Rankings, row: int) -> tuple[np.ndarray, int]:
    """[order, place] columns of the row in each order its ties allow, and the places awarded.

    The last block stays as it is: all its orders together have probability one.
    """
    listed = rankings.order[row] != ABSENT
    blocks = [
        np.flatnonzero(listed & (rankings.block[row] == number)).tolist()
        for number in range(int(rankings.block[row][listed].max()) + 1)
    ]
    ahead = blocks[:-1]
    count = math.prod(math.factorial(len(block)) for block in ahead)
    if count > MOST_ORDERS:
        got = f"the ties of ranking {row} stand for {count:,} orders"
        raise ValueError(_check.complaint(got, f"at most {MOST_ORDERS:,}", "fit_rankings"))
    padding = blocks[-1] + np.flatnonzero(~listed).tolist()
    orders = itertools.product(*(itertools.permutations(block) for block in ahead))
    slots = [[*itertools.chain.from_iterable(order), *padding] for order in orders]
    return np.array(slots, dtype=np.intp), sum(map(len, ahead))
