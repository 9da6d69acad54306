"""Goodness of fit: published tables, generalised linear models, and its law under the null."""

from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import binom

from bandit_rlhf.comparisons import Comparisons, aggregate
from bandit_rlhf.diagnosis import goodness_of_fit
from bandit_rlhf.preference import davidson
from bandit_rlhf.reward import fit
from tests import published_tables as published
from tests.comparison_worlds import simulated

FALSE_ALARM = 1e-6
"""How often a test below that counts rejections fails though all is well."""


def most(tests: int, level: float = 0.05) -> int:
    """Rejections that a right test exceeds with probability FALSE_ALARM only."""
    return int(binom.isf(FALSE_ALARM, tests, level))


def round_robin(scores: np.ndarray, games: int, rng: np.random.Generator) -> Comparisons:
    """Every pair meets so often."""
    left, right = (np.repeat(side, games) for side in np.triu_indices(len(scores), 1))
    won = rng.random(len(left)) < 1 / (1 + np.exp(scores[right] - scores[left]))
    return Comparisons.from_ids(np.where(won, left, right), np.where(won, right, left))


def test_baseball() -> None:
    """Agresti 1990, section 10.6: G2 = 15.74 with 15 degrees of freedom, home games pooled."""
    rows = published.tabled(published.BASEBALL)
    found = goodness_of_fit(fit(rows), rows)
    assert found.deviance == pytest.approx(15.74, abs=0.005)
    assert (found.cells, found.df) == (21, 15)


def test_baseball_at_home() -> None:
    rows = published.tabled(published.BASEBALL, position=True)
    found = goodness_of_fit(fit(rows), rows)
    assert found.deviance == pytest.approx(published.BASEBALL_DEVIANCES[1], abs=0.005)
    assert (found.cells, found.df) == (42, 35)


@pytest.mark.parametrize("position", [False, True])
@pytest.mark.parametrize("link", ["bradley-terry", "thurstone"])
def test_equals_a_generalised_linear_model(position: bool, link: str) -> None:
    rows = published.tabled(published.BASEBALL, position)
    counts = aggregate(rows)
    cells = np.arange(counts.cell_count)
    design = np.zeros((counts.cell_count, counts.item_count))
    design[cells, counts.left], design[cells, counts.right] = 1.0, -1.0
    design = design[:, 1:]
    if counts.covariates is not None:
        design = np.column_stack([design, counts.covariates])
    outcomes = np.column_stack([counts.left_wins, counts.right_wins])
    families = {"bradley-terry": sm.families.links.Logit, "thurstone": sm.families.links.Probit}
    model = sm.GLM(outcomes, design, sm.families.Binomial(families[link]())).fit(tol=1e-12)
    found = goodness_of_fit(fit(rows, link), counts)
    assert found.pearson == pytest.approx(model.pearson_chi2, rel=1e-6)
    assert found.deviance == pytest.approx(model.deviance, rel=1e-6)
    assert found.df == model.df_resid
    assert found.dispersion == pytest.approx(model.pearson_chi2 / model.df_resid, rel=1e-6)


def test_davidson_is_a_loglinear_model_of_the_table() -> None:
    """Fienberg 1979: Poisson counts with a free mean for each pair."""
    rows = published.tabled(published.PUDDINGS)
    counts = aggregate(rows)
    assert counts.ties is not None
    pairs, n = counts.cell_count, counts.item_count
    half = np.zeros((pairs, n))
    half[range(pairs), counts.left], half[range(pairs), counts.right] = 0.5, -0.5
    per_pair, tied = np.eye(pairs), np.ones((pairs, 1))
    design = np.block(
        [
            [per_pair, half[:, 1:], 0 * tied],
            [per_pair, 0 * half[:, 1:], tied],
            [per_pair, -half[:, 1:], 0 * tied],
        ]
    )
    table = np.concatenate([counts.left_wins, counts.ties, counts.right_wins])
    model = sm.GLM(table, design, sm.families.Poisson()).fit(tol=1e-12)
    found = goodness_of_fit(fit(rows, "davidson"), rows)
    assert found.pearson == pytest.approx(model.pearson_chi2, rel=1e-6)
    assert found.deviance == pytest.approx(model.deviance, rel=1e-6)
    assert found.df == model.df_resid == 15 * 2 - 6


def test_chi_squared_p_values_hold_for_many_games() -> None:
    rng = np.random.default_rng(0)
    tables = (round_robin(rng.normal(size=5), 60, rng) for _ in range(120))
    found = [goodness_of_fit(fit(rows), rows) for rows in tables]
    for values in ([f.pearson_p for f in found], [f.deviance_p for f in found]):
        rejected = sum(p <= 0.05 for p in values if p is not None)
        assert 0 < rejected <= most(120)
    assert not any(f.is_sparse for f in found)


def test_a_sparse_table_needs_the_bootstrap() -> None:
    """With two games a pair the deviance's chi-squared law is off; the bootstrap's is not."""
    rng = np.random.default_rng(1)
    tables = [round_robin(np.linspace(-0.3, 0.3, 12), 2, rng) for _ in range(20)]
    found = [goodness_of_fit(fit(rows), rows, rng, resamples=19) for rows in tables]
    assert all(f.is_sparse for f in found)
    bound = most(len(found))
    rejected = [f.deviance_p is not None and f.deviance_p <= 0.05 for f in found]
    assert sum(rejected) > bound  # control: what goes wrong without
    assert sum(f.bootstrap_deviance_p == 0.05 for f in found) <= bound
    assert sum(f.bootstrap_pearson_p == 0.05 for f in found) <= bound


def test_rock_paper_scissors_does_not_fit() -> None:
    rows = Comparisons.from_ids([0, 1, 2, 1, 2, 0], [1, 2, 0, 0, 1, 2], weight=[60] * 3 + [20] * 3)
    found = goodness_of_fit(fit(rows), rows, np.random.default_rng(2), resamples=99)
    assert found.pearson == pytest.approx(60)  # 6 (60 - 40)^2 / 40
    assert found.bootstrap_pearson_p == 0.01
    assert found.pearson_p is not None
    assert found.pearson_p < 1e-10


def test_the_odd_pair_is_named() -> None:
    rng = np.random.default_rng(3)
    rows = round_robin(np.linspace(-1, 1, 5), 50, rng)
    odd = (np.minimum(rows.winner, rows.loser) == 1) & (np.maximum(rows.winner, rows.loser) == 3)
    winner = np.where(odd, 1, rows.winner)
    rows = replace(rows, winner=winner, loser=np.where(odd, 3, rows.loser))
    worst = goodness_of_fit(fit(rows), rows).worst[0]
    assert (worst.item, worst.other, worst.games, worst.observed) == (1, 3, 50, 50)
    assert worst.z == pytest.approx(
        (50 - worst.expected) / np.sqrt(worst.expected * (1 - worst.expected / 50))
    )


def test_residuals_of_ties_count_half() -> None:
    rng = np.random.default_rng(4)
    rows = simulated(np.zeros(3), 300, rng, lambda d: davidson(d, np.asarray(0.0)))
    found = goodness_of_fit(fit(rows, "davidson"), rows)
    for one in found.worst:
        met = (np.minimum(rows.winner, rows.loser) == one.item) & (
            np.maximum(rows.winner, rows.loser) == one.other
        )
        assert rows.tie is not None
        points = (met & ~rows.tie & (rows.winner == one.item)).sum() + (met & rows.tie).sum() / 2
        assert (one.games, one.observed) == (met.sum(), points)


def test_a_prior_leaves_no_degrees_of_freedom_to_name() -> None:
    rows = published.tabled(published.BASEBALL)
    for found in (fit(rows, ridge=1.0), fit(rows, firth=True)):
        assert goodness_of_fit(found, rows).pearson_p is None


def test_two_items_leave_nothing_to_test() -> None:
    rows = Comparisons.from_ids([0, 0, 1], [1, 1, 0])
    found = goodness_of_fit(fit(rows), rows)
    assert (found.df, found.pearson_p) == (0, None)
    assert np.isnan(found.dispersion)
    assert found.deviance == pytest.approx(0, abs=1e-9)


def test_halves_are_refused() -> None:
    rows = Comparisons.from_ids([0, 0, 1], [1, 1, 0], tie=[True, False, False])
    with pytest.raises(ValueError, match="1 ties as halves"):
        goodness_of_fit(fit(rows, ties="half"), rows)
