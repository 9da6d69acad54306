"""The fitted law of the outcomes: the choice models' own formulas, draws, refits, refusals."""

from dataclasses import replace

import numpy as np
import pytest

from bandit_rlhf import preference
from bandit_rlhf.comparison_graph import NoFiniteMaximum
from bandit_rlhf.comparisons import Comparisons, PairCounts, aggregate
from bandit_rlhf.diagnosis.outcome_law import (
    OutcomeLaw,
    bootstrap_p,
    draw,
    log_probabilities,
    observed,
    outcome_law,
    probabilities,
    refitted,
    require_sampling_model,
    resampled,
    unit_scores,
)
from bandit_rlhf.reward import fit, fit_linear
from bandit_rlhf.reward.fitting import LINKS
from tests.comparison_worlds import simulated

TRUTH = np.array([1.0, 0.3, 0.0, -0.5, -0.8])
TIE = 0.4
MODELS = ("bradley-terry", "thurstone", "rao-kupper", "davidson")


def reference(name: str, suffix: str, difference: np.ndarray) -> np.ndarray:
    """[outcome, row], from the package of choice models, which fits do not use."""
    law = getattr(preference, name.replace("-", "_") + suffix)
    parameters = [np.asarray(TIE)] if LINKS[name].has_tie else []
    return np.stack(law(difference, *parameters))


def rows_of(model: str, rng: np.random.Generator, rows: int = 800) -> Comparisons:
    def law(difference: np.ndarray) -> preference.Outcomes:
        return preference.Outcomes(*reference(model, "", difference))

    return simulated(TRUTH, rows, rng, law)


@pytest.mark.parametrize("model", MODELS)
def test_probabilities_and_scores_are_those_of_the_choice_models(model: str) -> None:
    difference = np.concatenate([np.linspace(-8, 8, 33), [-30.0, 30.0]])
    link = LINKS[model]
    log_prob = log_probabilities(link, difference, TIE)
    np.testing.assert_allclose(log_prob, reference(model, "", difference), rtol=1e-10, atol=1e-14)
    score = unit_scores(link, difference, TIE)
    np.testing.assert_allclose(score, reference(model, "_score", difference), rtol=1e-9, atol=1e-12)
    assert probabilities(link, difference, TIE).sum(axis=0) == pytest.approx(1.0)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("counted", [False, True])
def test_the_law_has_the_log_likelihood_of_the_fit(model: str, counted: bool) -> None:
    rows = rows_of(model, np.random.default_rng(0))
    found = fit(rows, model)
    law = outcome_law(found, aggregate(rows) if counted else rows, "test")
    log_prob = log_probabilities(law.link, law.cell_differences(), law.tie)
    seen = observed(law.counts)
    total = (seen[seen > 0] * log_prob[seen > 0]).sum()
    assert total == pytest.approx(found.log_likelihood, rel=1e-10)


@pytest.mark.parametrize("model", MODELS)
def test_draws_keep_the_games_and_have_the_expected_means(model: str) -> None:
    rows = rows_of(model, np.random.default_rng(1))
    law = outcome_law(fit(rows, model), rows, "test")
    rng = np.random.default_rng(2)
    tables = np.array([observed(draw(law, rng)) for _ in range(400)])
    games = observed(law.counts).sum(axis=0)
    assert (tables.sum(axis=1) == games).all()
    chance = probabilities(law.link, law.cell_differences(), law.tie)
    spread = np.sqrt(games * chance * (1 - chance) / 400) + 1e-12
    z = (tables.mean(axis=0) - games * chance) / spread
    assert np.abs(z).max() < 5.5  # 30 normal values: false alarm below 2e-6


CASES = {
    "plain": {},
    "ridge": {"ridge": 0.7, "prior_mean": np.arange(5.0)},
    "firth": {"firth": True},
}


@pytest.mark.parametrize("case", CASES)
def test_a_refit_is_a_fit(case: str) -> None:
    one, other = (simulated(TRUTH, 300, np.random.default_rng(seed)) for seed in (3, 4))
    law = refitted(outcome_law(fit(one, **CASES[case]), one, "test"), aggregate(other))
    expected = fit(other, **CASES[case]).scores
    gauge = 0.0 if case == "ridge" else law.scores.mean()
    np.testing.assert_allclose(law.scores - gauge, expected, atol=1e-5)


@pytest.mark.parametrize("model", MODELS)
def test_a_refit_with_covariates_is_a_fit(model: str) -> None:
    def rows(seed: int) -> Comparisons:
        rng = np.random.default_rng(seed)
        table = rows_of(model, rng)
        slopes = rng.choice([-1.0, 1.0], (table.row_count, 1))
        return replace(table, covariates=slopes, covariate_names=("length",))

    one, other = rows(5), rows(6)
    law = refitted(outcome_law(fit(one, model), one, "test"), aggregate(other))
    expected = fit(other, model)
    np.testing.assert_allclose(law.scores - law.scores.mean(), expected.scores, atol=1e-5)
    assert law.at[5] == pytest.approx(expected.coefficients[0], abs=1e-5)
    if expected.tie is not None:
        assert law.tie == pytest.approx(expected.tie, abs=1e-5)


def test_a_refit_keeps_components_apart() -> None:
    rows = Comparisons.from_ids([0, 1, 0, 0, 1, 0], [1, 0, 1, 1, 0, 1], prompt=[0, 0, 0, 1, 1, 1])
    law = outcome_law(fit(rows, by_prompt=True), rows.by_prompt(), "test")
    again = refitted(law, law.counts)
    np.testing.assert_allclose(again.cell_differences(), np.log(2), atol=1e-5)


def test_resamples_without_a_maximum_are_left_out_and_count_as_extreme() -> None:
    rows = Comparisons.from_ids([0, 1], [1, 0])  # half of all draws: one item wins both
    law = outcome_law(fit(rows), rows, "test")
    drawn = resampled(law, lambda other: other.scores, np.random.default_rng(7), 200)
    assert drawn.shape[1] == 2
    assert 60 < len(drawn) < 140  # binomial(200, 1/2): false alarm below 1e-8
    assert bootstrap_p(np.inf, drawn[:, 0], 200) == (1 + 200 - len(drawn)) / 201


def test_no_resample_with_a_maximum_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = Comparisons.from_ids([0, 1], [1, 0])
    law = outcome_law(fit(rows), rows, "test")
    one_sided = aggregate(Comparisons.from_ids([0, 0], [1, 1]))
    monkeypatch.setattr("bandit_rlhf.diagnosis.outcome_law.draw", lambda *_: one_sided)
    drawn = resampled(law, lambda other: other.scores, np.random.default_rng(0), 3)
    assert drawn.shape == (0, 2)


def test_bootstrap_p_sees_equal_values_as_equal() -> None:
    drawn = np.array([0.1 + 0.2, 1.0])
    assert bootstrap_p(0.3, drawn, 2) == bootstrap_p(0.1 + 0.2, drawn, 2) == 1.0
    assert bootstrap_p(1e-20, np.zeros(9), 9) == 0.1
    assert bootstrap_p(1e-20, np.zeros(9), 9, scale=1.0) == 1.0


ROWS = Comparisons.from_ids([0, 0, 1, 2, 0], [1, 1, 0, 0, 2])
TIED = replace(ROWS, tie=np.array([True, False, False, False, False]))


def linear() -> tuple:
    return fit_linear(ROWS, [[1.0], [0.0], [0.0]]), ROWS


REFUSED = {
    "a linear fit": (linear, "a fit of scores to pairs"),
    "not converged": (lambda: (fit(ROWS, max_iterations=1, tolerance=1e-15), ROWS), "converged"),
    "other items": (lambda: (fit(ROWS), Comparisons.from_ids([0], [1])), "the fit's 3 items"),
    "other rows": (lambda: (fit(ROWS), ROWS.select([0, 1])), "weigh 2, but should be the fit's 5"),
    "undecided ties": (lambda: (fit(ROWS), TIED), "1 of 5 comparisons are ties"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    make, message = REFUSED[case]
    found, rows = make()
    with pytest.raises(ValueError, match=message):
        outcome_law(found, rows, "test")


@pytest.mark.parametrize("as_counts", [False, True])
def test_ties_as_halves_are_no_law(as_counts: bool) -> None:
    table: Comparisons | PairCounts = aggregate(TIED) if as_counts else TIED
    law = outcome_law(fit(TIED, ties="half"), table, "test")
    with pytest.raises(ValueError, match="1 ties as halves"):
        require_sampling_model(law, table, "test")
    dropped = outcome_law(fit(TIED, ties="drop"), table, "test")
    require_sampling_model(dropped, table, "test")


def test_fractional_weights_are_no_counts() -> None:
    rows = replace(ROWS, weight=np.array([1.0, 1.0, 1.0, 1.0, 0.5]))
    law = outcome_law(fit(rows), rows, "test")
    with pytest.raises(ValueError, match=r"0 and 2 have the count 0\.5, but should be whole"):
        require_sampling_model(law, rows, "test")


def test_a_refit_that_has_no_maximum_says_so() -> None:
    law: OutcomeLaw = outcome_law(fit(ROWS), ROWS, "test")
    with pytest.raises(NoFiniteMaximum):
        refitted(law, aggregate(Comparisons.from_ids([0, 0], [1, 2])))
