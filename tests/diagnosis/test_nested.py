"""Likelihood-ratio tests: published differences, second fits, the law under the null, refusals."""

from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import binom, chi2

from bandit_rlhf.comparisons import Comparisons, Rankings
from bandit_rlhf.diagnosis import likelihood_ratio
from bandit_rlhf.preference import davidson
from bandit_rlhf.reward import fit, fit_linear, fit_rankings
from tests import published_tables as published
from tests.comparison_worlds import simulated

FALSE_ALARM = 1e-6


def test_home_advantage_in_baseball() -> None:
    """Deviances 44.05 and 38.64: the home advantage takes 5.41 with one degree of freedom."""
    alone = fit(published.tabled(published.BASEBALL))
    at_home = fit(published.tabled(published.BASEBALL, position=True))
    found = likelihood_ratio(alone, at_home)
    without, with_it = published.BASEBALL_DEVIANCES
    assert found.statistic == pytest.approx(without - with_it, abs=0.01)
    assert found.df == 1
    assert found.p_value == pytest.approx(chi2.sf(found.statistic, 1))
    assert (found.smaller, found.larger) == ("bradley-terry", "bradley-terry + position")
    assert found.comparisons_per_parameter == alone.comparisons / 7


def two_prompts(rng: np.random.Generator) -> Comparisons:
    parts = [simulated(np.array(r), 200, rng) for r in ([1.0, 0, -1, 0.5], [0.0, 1, 0.5, -1])]
    return Comparisons.from_ids(
        np.concatenate([part.winner for part in parts]),
        np.concatenate([part.loser for part in parts]),
        prompt=np.repeat([0, 1], 200),
    )


def test_pooled_inside_by_prompt_is_the_sum_over_prompts() -> None:
    rows = two_prompts(np.random.default_rng(0))
    assert rows.prompt is not None
    each = sum(fit(rows.select(rows.prompt == x)).log_likelihood for x in (0, 1))
    found = likelihood_ratio(fit(rows), fit(rows, by_prompt=True))
    assert found.statistic == pytest.approx(2 * (each - fit(rows).log_likelihood), rel=1e-9)
    assert found.df == 2 * 3 - 3
    assert found.p_value < 1e-6
    assert found.larger == "bradley-terry by prompt"


def test_prompts_that_share_one_item_restrict_nothing() -> None:
    """Prompt 0 compares {a, b}, prompt 1 {b, c}: as many free differences pooled as apart."""
    rows = Comparisons.from_labels(list("aabbbc"), list("bbaccb"), prompt=[0, 0, 0, 1, 1, 1])
    found = likelihood_ratio(fit(rows), fit(rows, by_prompt=True))
    assert (found.statistic, found.df, found.p_value) == (pytest.approx(0, abs=1e-9), 0, 1.0)


def test_linear_inside_free() -> None:
    rows = simulated(np.array([1.0, 0.2, 0.1, -1.5]), 500, np.random.default_rng(1))
    phi = np.array([[1.0], [0.5], [0.0], [-1.0]])
    found = likelihood_ratio(fit_linear(rows, phi), fit(rows))
    design = np.eye(4)[rows.winner] - np.eye(4)[rows.loser]
    lone = [
        sm.Logit(np.ones(500), x).loglike(
            sm.GLM(np.ones(500), x, sm.families.Binomial()).fit().params
        )
        for x in (design @ phi, design[:, 1:])
    ]
    assert found.statistic == pytest.approx(2 * (lone[1] - lone[0]), rel=1e-6)
    assert found.df == 3 - 1


def test_bradley_terry_at_the_edge_of_the_tie_models() -> None:
    rows = simulated(np.zeros(3), 60, np.random.default_rng(2))
    for model in ("davidson", "rao-kupper"):
        found = likelihood_ratio(fit(rows), fit(rows, model))
        assert (found.statistic, found.df, found.p_value) == (pytest.approx(0, abs=1e-9), 1, 1.0)


def test_false_alarms() -> None:
    """A covariate without effect is found significant at 5 % that often."""
    rng = np.random.default_rng(3)
    found = []
    for _ in range(150):
        rows = simulated(np.array([0.5, 0.0, -0.5]), 200, rng)
        slopes = rng.normal(size=(200, 1))
        larger = replace(rows, covariates=slopes, covariate_names=("length",))
        found.append(likelihood_ratio(fit(rows), fit(larger)).p_value)
    rejected = sum(p <= 0.05 for p in found)
    assert 0 < rejected <= binom.isf(FALSE_ALARM, 150, 0.05)


def test_power() -> None:
    rng = np.random.default_rng(4)
    left, right = rng.integers(0, 3, 400), rng.integers(1, 3, 400)
    outcome = np.where(rng.random(400) < 0.65, 1, -1)
    rows = Comparisons.from_sides(left, (left + right) % 3, outcome, position=True)
    alone = replace(rows, covariates=None, covariate_names=())
    assert likelihood_ratio(fit(alone), fit(rows)).p_value < 1e-4


ROWS = simulated(np.array([0.5, 0.0, -0.5]), 90, np.random.default_rng(5))
TIED = simulated(
    np.array([0.5, 0.0, -0.5]), 90, np.random.default_rng(6), lambda d: davidson(d, np.asarray(0.0))
)
LONG = replace(ROWS, covariates=np.linspace(-1, 1, 90)[:, None], covariate_names=("length",))
PHI = np.array([[1.0], [0.0], [-1.0]])

REFUSED = {
    "two links": (lambda: (fit(ROWS), fit(ROWS, "thurstone")), "no special case of thurstone"),
    "two tie models": (lambda: (fit(TIED, "davidson"), fit(TIED, "rao-kupper")), "no special case"),
    "ties dropped": (lambda: (fit(TIED, ties="drop"), fit(TIED, "davidson")), "ignores"),
    "ties as halves": (lambda: (fit(TIED, ties="half"), fit(TIED, "davidson")), "as halves"),
    "a prior": (lambda: (fit(ROWS, ridge=1.0), fit(LONG)), "smaller is a fit with ridge 1"),
    "a penalty": (lambda: (fit(ROWS), fit(LONG, firth=True)), "larger is a fit with Jeffreys"),
    "the wrong way round": (lambda: (fit(LONG), fit(ROWS)), r"smaller model only.*Swap them"),
    "the same": (lambda: (fit(ROWS), fit(ROWS)), "one model"),
    "other rows": (
        lambda: (fit(ROWS), fit(LONG.select(np.arange(80)))),
        "of 90 and 80 comparisons",
    ),
    "other items": (
        lambda: (fit(ROWS), fit(replace(LONG, items=("a", "b", "c")))),
        "the items are not the same",
    ),
    "not converged": (
        lambda: (fit(ROWS, max_iterations=1), fit(LONG)),
        "smaller has not converged",
    ),
    "free inside linear": (lambda: (fit(ROWS), fit_linear(ROWS, PHI)), r"free.*Swap them"),
    "linear inside linear": (
        lambda: (fit_linear(ROWS, PHI), fit_linear(ROWS, np.c_[PHI, PHI**2])),
        "not kept",
    ),
    "rankings": (
        lambda: (fit_rankings(Rankings.from_lists(["abc", "cba", "bac"])), fit(ROWS)),
        "no special case",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    make, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        likelihood_ratio(*make())


def test_another_table_of_the_same_size_is_noticed_where_it_shows() -> None:
    """A larger model cannot fit worse; if it does, the data were others."""
    rng = np.random.default_rng(7)
    clear = simulated(np.array([2.0, 0.0, -2.0]), 90, rng)
    with pytest.raises(ValueError, match="log-likelihood is lower by"):
        likelihood_ratio(fit(clear), fit(LONG))
