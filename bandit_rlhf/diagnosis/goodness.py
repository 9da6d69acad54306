"""Does the model fit? Pearson's X2 and the deviance over the cells, and the cells that fit worst.

Their chi-squared laws hold for many games a cell. Real tables are sparse: most pairs meet once or
twice, the deviance then hardly depends on the fit at all, and X2 spreads more widely than its
degrees of freedom say. The parametric bootstrap needs no such law; where `is_sparse`, believe it
alone.
"""

from dataclasses import dataclass

import numpy as np

from bandit_rlhf import _check
from bandit_rlhf.comparisons import Comparisons, PairCounts
from bandit_rlhf.comparisons.names import Names
from bandit_rlhf.diagnosis.outcome_law import (
    OutcomeLaw,
    bootstrap_p,
    observed,
    outcome_law,
    probabilities,
    require_sampling_model,
    resampled,
)
from bandit_rlhf.reward.result import RewardFit

WORST = 5
"""So many cells are named."""

SMALL = 5.0
"""Expected counts below this strain the chi-squared law."""

SPARSE = 0.2
"""If more than this share is small, do not trust it (Cochran 1954, Biometrics 10:417)."""


@dataclass(frozen=True)
class Residual:
    """How one cell differs from what the fit expects.

    Args:
        item: a name.
        other: its opponent.
        games: how often they met (with this value of the covariates).
        observed: wins of `item`, ties counting half.
        expected: what the fit expects of them.
        z: (observed - expected) / standard deviation, by the fit.
    """

    item: object
    other: object
    games: float
    observed: float
    expected: float
    z: float


@dataclass(frozen=True)
class GoodnessOfFit:
    """Tests of a fit against the model with a parameter for every cell.

    Args:
        model: the choice model.
        cells: pairs (times covariate values) with comparisons.
        df: free outcomes of the cells less free parameters.
        pearson: sum (observed - expected)^2 / expected.
        deviance: 2 sum observed ln(observed / expected).
        pearson_p: by the chi-squared law; None where that does not hold: a prior, df < 1.
        deviance_p: likewise.
        sparse_share: the share of expected counts below 5.
        bootstrap_pearson_p: by refits to draws from the fit; None without.
        bootstrap_deviance_p: likewise.
        resamples: how many draws.
        unfitted: draws without a finite maximum; p-values count them as more extreme.
        worst: the cells with the largest residuals.
    """

    model: str
    cells: int
    df: int
    pearson: float
    deviance: float
    pearson_p: float | None
    deviance_p: float | None
    sparse_share: float
    bootstrap_pearson_p: float | None
    bootstrap_deviance_p: float | None
    resamples: int
    unfitted: int
    worst: tuple[Residual, ...]

    @property
    def is_sparse(self) -> bool:
        """Whether the chi-squared p-values should not be trusted."""
        return self.sparse_share > SPARSE

    @property
    def dispersion(self) -> float:
        """X2 / df: 1 where the model fits and comparisons are independent; NaN if df < 1."""
        return self.pearson / self.df if self.df > 0 else float("nan")


def goodness_of_fit(
    fit: RewardFit,
    comparisons: Comparisons | PairCounts,
    rng: np.random.Generator | None = None,
    *,
    resamples: int = 200,
) -> GoodnessOfFit:
    """Compare the outcomes of every cell with what the fit expects.

    X2 = sum (O - E)^2 / E,    G2 = 2 sum O ln(O / E),    df = cells (outcomes - 1) - parameters

    over cells and outcomes (win, loss and, where the model has them, tie).

    Args:
        fit: of `comparisons`.
        comparisons: what was fitted; independent, one game each (with annotators who repeat their
            own taste, expect a dispersion above 1).
        rng: the source of randomness for the parametric bootstrap; None: chi-squared only.
        resamples: how many draws, at least 1.

    Returns:
        Statistics, p-values and the worst cells.

    Raises:
        ValueError: ties counted as halves, fractional weights, other comparisons.

    References:
        McCullagh and Nelder 1989, Generalized Linear Models, section 4.4.5 on sparseness.

    >>> from bandit_rlhf.reward import fit
    >>> wins = [6, 6, 6, 2, 2, 2]      # rock, paper, scissors
    >>> rows = Comparisons.from_ids([0, 1, 2, 1, 2, 0], [1, 2, 0, 0, 1, 2], weight=wins)
    >>> found = goodness_of_fit(fit(rows), rows)      # 6 (6 - 4)^2 / 4
    >>> round(found.pearson, 9), found.df
    (6.0, 1)
    """
    where = "goodness_of_fit"
    _check.integer_at_least("resamples", resamples, 1, where)
    law = outcome_law(fit, comparisons, where)
    require_sampling_model(law, comparisons, where)
    expected = _expected(law)
    pearson, deviance = _statistics(law).tolist()
    df = law.counts.cell_count * (1 + law.link.has_tie) - _parameters(law)
    lawful = df > 0 and not fit.ridge and not fit.firth
    kinds = expected if law.link.has_tie else expected[[0, 2]]
    drawn = np.empty((0, 2)) if rng is None else resampled(law, _statistics, rng, resamples)
    return GoodnessOfFit(
        model=fit.model,
        cells=law.counts.cell_count,
        df=df,
        pearson=pearson,
        deviance=deviance,
        pearson_p=chi_squared_p(pearson, df) if lawful else None,
        deviance_p=chi_squared_p(deviance, df) if lawful else None,
        sparse_share=float((kinds < SMALL).mean()),
        bootstrap_pearson_p=None if rng is None else bootstrap_p(pearson, drawn[:, 0], resamples),
        bootstrap_deviance_p=None if rng is None else bootstrap_p(deviance, drawn[:, 1], resamples),
        resamples=0 if rng is None else resamples,
        unfitted=0 if rng is None else resamples - len(drawn),
        worst=_worst(law.counts.items, law, expected),
    )


def chi_squared_p(value: float, df: int) -> float:
    """P(chi-squared with df degrees of freedom >= value).

    >>> round(chi_squared_p(3.841459, 1), 6)
    0.05
    """
    from scipy.special import chdtrc

    return float(chdtrc(df, value))


def _parameters(law: OutcomeLaw) -> int:
    scores = law.counts.item_count - law.fit.component_count
    return scores + len(law.fit.coefficients) + law.link.has_tie


def _expected(law: OutcomeLaw) -> np.ndarray:
    """[outcome, cell]."""
    games = observed(law.counts).sum(axis=0)
    return games * probabilities(law.link, law.cell_differences(), law.tie)


def _statistics(law: OutcomeLaw) -> np.ndarray:
    """[X2, G2]."""
    seen, expected = observed(law.counts), _expected(law)
    possible = expected > 0
    pearson = ((seen - expected)[possible] ** 2 / expected[possible]).sum()
    happened = seen > 0
    deviance = 2 * (seen[happened] * np.log(seen[happened] / expected[happened])).sum()
    return np.array([pearson, deviance])


def _worst(items: Names, law: OutcomeLaw, expected: np.ndarray) -> tuple[Residual, ...]:
    seen = observed(law.counts)
    games = seen.sum(axis=0)
    points, due = (table[0] + table[1] / 2 for table in (seen, expected))
    variance = expected[0] + expected[1] / 4 - due**2 / games
    z = (points - due) / np.sqrt(np.where(variance > 0, variance, np.inf))
    left, right = law.counts.left, law.counts.right
    return tuple(
        Residual(
            item=items[int(left[cell])],
            other=items[int(right[cell])],
            games=float(games[cell]),
            observed=float(points[cell]),
            expected=float(due[cell]),
            z=float(z[cell]),
        )
        for cell in np.argsort(-np.abs(z), kind="stable")[:WORST].tolist()
    )
