"""Reward models against the fits of the house, stationarity, and the posterior's covariance."""

import numpy as np
import pytest
from jaxtyping import TypeCheckError
from scipy.special import expit

from bandit_rlhf.annotator import Person, compare, random_questions
from bandit_rlhf.comparison_graph import NoFiniteMaximum
from bandit_rlhf.comparisons import Comparisons
from bandit_rlhf.reward.model import Given, Linear, Tabular, compared

RNG = np.random.default_rng(0)
GOLD = RNG.normal(size=(2, 6))
FEATURES = RNG.normal(size=(2, 6, 3))


def asked(rows: int, strings: int = 6, seed: int = 1) -> Comparisons:
    """Drawn judgements of the first strings; the others stay unseen."""
    law = np.zeros((2, 6))
    law[:, :strings] = 1 / strings
    rng = np.random.default_rng(seed)
    return compare(Person(GOLD), random_questions(rng, rows, [0.3, 0.7], law), rng)


def slope_of_scores(table: np.ndarray, rows: Comparisons) -> np.ndarray:
    """The gradient of the log-likelihood in every score, row by row: wins less expected wins."""
    gradient = np.zeros_like(table)
    assert rows.prompt is not None
    for x, won, lost in zip(rows.prompt, rows.winner, rows.loser, strict=True):
        surprise = expit(table[x, lost] - table[x, won])
        gradient[x, won] += surprise
        gradient[x, lost] -= surprise
    return gradient


def test_a_tabular_fit_solves_the_score_equations() -> None:
    rows, prior = asked(300, strings=4), RNG.normal(size=(2, 6))
    table = Tabular(ridge=0.7, prior_mean=prior)(rows, RNG)
    residual = slope_of_scores(table, rows) - 0.7 * (table - prior)
    np.testing.assert_allclose(residual, 0.0, atol=1e-6)
    np.testing.assert_array_equal(table[:, 4:], prior[:, 4:])  # never compared
    assert np.abs(table[:, :4] - prior[:, :4]).max() > 0.1


def test_a_tabular_fit_without_prior_is_centred() -> None:
    rows = asked(2000)
    table = Tabular(ridge=0.0)(rows, RNG)
    np.testing.assert_allclose(slope_of_scores(table, rows), 0.0, atol=1e-5)
    np.testing.assert_allclose(table.mean(axis=1), 0.0, atol=1e-12)
    with pytest.raises(ValueError, match=r"the first of them string 4 of prompt 0.*ridge > 0"):
        Tabular(ridge=0.0)(asked(300, strings=4), RNG)


@pytest.mark.parametrize("mean", [None, np.array([2.0, -1.0, 0.5])])
def test_a_linear_fit_solves_the_score_equations(mean: np.ndarray | None) -> None:
    rows = asked(400)
    model = Linear(FEATURES, ridge=0.3, prior_mean=mean)
    theta, table = model.coefficients(rows), model(rows, RNG)
    np.testing.assert_allclose(table, FEATURES @ theta, rtol=0, atol=1e-12)
    slope = np.einsum("xy,xyf->f", slope_of_scores(table, rows), FEATURES)
    start = np.zeros(3) if mean is None else mean
    np.testing.assert_allclose(slope - 0.3 * (theta - start), 0.0, atol=1e-6)


def test_a_prior_mean_of_zero_is_none() -> None:
    rows = asked(100)
    one, other = (
        Linear(FEATURES, ridge=0.3, prior_mean=mean).coefficients(rows)
        for mean in (None, np.zeros(3))
    )
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-9)


def test_the_covariance_inverts_the_hessian() -> None:
    """H = sum p (1-p) (phi_w - phi_l)(phi_w - phi_l)' + ridge, row by row."""
    rows, model = asked(200), Linear(FEATURES, ridge=0.3)
    theta = model.coefficients(rows)
    gaps = FEATURES[rows.prompt, rows.winner] - FEATURES[rows.prompt, rows.loser]
    p = expit(gaps @ theta)
    hessian = (gaps.T * (p * (1 - p))) @ gaps + 0.3 * np.eye(3)
    np.testing.assert_allclose(model.covariance(rows, theta), np.linalg.inv(hessian), rtol=1e-9)


def test_the_covariance_is_calibrated() -> None:
    """Over fresh surveys, standardised errors of theta have variance one (chi-squared, 3 x 20)."""
    truth = np.array([1.0, -0.5, 0.3])
    crowd, squares = Person(FEATURES @ truth), []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        questions = random_questions(rng, 600, [0.5, 0.5], np.full((2, 6), 1 / 6))
        rows, model = compare(crowd, questions, rng), Linear(FEATURES, ridge=1e-9)
        theta = model.coefficients(rows)
        precision = np.linalg.inv(model.covariance(rows, theta))
        squares.append(float((theta - truth) @ precision @ (theta - truth)))
    total, freedom = sum(squares), 60
    assert abs(total - freedom) < 4 * np.sqrt(2 * freedom)


def test_fits_that_do_not_converge(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, rng = asked(500), np.random.default_rng(0)
    models = (Tabular(), Tabular(ridge=0.0), Linear(FEATURES), Linear(FEATURES, 1.0, np.ones(3)))
    monkeypatch.setattr("bandit_rlhf.reward.model.TOLERANCE", 1e-300)
    for reward_model in models:
        with pytest.raises(ValueError, match=r"residual of .* score equations, .* at most 1e-300"):
            reward_model(rows, rng)


def test_given_rewards_look_at_nothing() -> None:
    assert Given(GOLD)(None, RNG) is GOLD


def test_compared_cells_are_the_items_of_by_prompt() -> None:
    rows = asked(5)
    cells = [x * 6 + y for x, y in rows.by_prompt().items]  # pyright: ignore
    assert compared(rows).tolist() == cells


def test_bad_input() -> None:
    rows = asked(50)
    with pytest.raises(ValueError, match=r"prior_mean has shape \(2, 3\)"):
        Tabular(prior_mean=GOLD[:, :3])(rows, RNG)
    with pytest.raises(ValueError, match="with 2 prompts and 6 strings"):
        Linear(FEATURES[:, :4])(rows, RNG)
    with pytest.raises((ValueError, TypeCheckError), match="prior_mean"):
        Linear(FEATURES, 1.0, np.zeros(2)).coefficients(rows)
    twice = np.concatenate([FEATURES, FEATURES[:, :, :1]], axis=2)
    with pytest.raises(ValueError, match="rank 3, but should be 4"):
        Linear(twice, ridge=0.0).covariance(rows, np.zeros(4))
    sure = np.zeros((1, 2, 1))
    sure[0, 0] = 1.0
    with pytest.raises(NoFiniteMaximum):
        Linear(sure, ridge=0.0)(Comparisons.from_ids([0], [1]), RNG)
    tied = Comparisons.from_ids([0, 1], [1, 0], tie=[True, False])
    with pytest.raises(ValueError, match="ties"):
        Tabular()(tied, RNG)
    assert Tabular(ties="drop")(tied, RNG)[0, 1] > 0
