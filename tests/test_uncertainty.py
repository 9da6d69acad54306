"""Uncertainty: published errors, statsmodels, and the coverage of every kind of interval."""

import dataclasses

import numpy as np
import pytest
import statsmodels.api as sm

from bandit_rlhf.comparisons import Comparisons, aggregate
from bandit_rlhf.preference import davidson, rao_kupper
from bandit_rlhf.reward import fit, fit_linear, pair_likelihood
from bandit_rlhf.uncertainty import Z95, bootstrap, contrast_of, covariance
from tests import published_tables as published
from tests.comparison_worlds import simulated

ITEMS = 6
TRUTH = np.linspace(-1, 1, ITEMS)


def clustered_rows(rng: np.random.Generator, people: int, each: int) -> Comparisons:
    """People who each prefer some items of their own: their judgements hang together."""
    annotator = np.repeat(np.arange(people), each)
    taste = rng.normal(scale=1.5, size=(people, ITEMS))
    left = rng.integers(0, ITEMS, len(annotator))
    right = (left + rng.integers(1, ITEMS, len(annotator))) % ITEMS
    utility = TRUTH + taste
    gap = utility[annotator, left] - utility[annotator, right]
    won = rng.random(len(annotator)) < 1 / (1 + np.exp(-gap))
    return Comparisons.from_ids(
        np.where(won, left, right), np.where(won, right, left), annotator=annotator
    )


# Published


def test_baseball_errors() -> None:
    for position, table in (
        (False, published.BASEBALL_ALONE),
        (True, published.BASEBALL_AT_HOME),
    ):
        rows = published.tabled(published.BASEBALL, position)
        sure = covariance(fit(rows), rows)
        for team, (_, stderr) in table.items():
            assert abs(sure.contrast(team, "Baltimore").stderr - stderr) < 6e-5
    assert abs(sure.extra_stderr[0] - published.HOME_ADVANTAGE[1]) < 6e-5


def test_citation_errors() -> None:
    rows = published.tabled(published.CITATIONS)
    sure = covariance(fit(rows), rows)
    for journal, (_, stderr) in published.CITATION_SCORES.items():
        assert abs(sure.contrast(journal, "Biometrika").stderr - stderr) < 6e-6


def test_pudding_errors() -> None:
    rows = published.tabled(published.PUDDINGS)
    sure = covariance(fit(rows, "davidson"), rows)
    for brand, stderr in zip("23456", published.PUDDING_ERRORS, strict=True):
        assert abs(sure.contrast(brand, "1").stderr - stderr) < 6e-5
    assert abs(sure.extra_stderr[-1] - published.PUDDING_TIE_ERROR) < 6e-5


# Another library


@pytest.mark.parametrize("model", ["bradley-terry", "thurstone"])
@pytest.mark.parametrize("kind", ["fisher", "sandwich", "annotator"])
def test_errors_are_statsmodels(model: str, kind: str) -> None:
    rng = np.random.default_rng(0)
    rows = clustered_rows(rng, people=40, each=50)
    first = rng.random(rows.row_count) < 0.5
    side = np.where(first, 1.0, -1.0)
    rows = dataclasses.replace(rows, covariates=side[:, None], covariate_names=("position",))
    design = np.zeros((rows.row_count, ITEMS + 1))
    design[np.arange(rows.row_count), rows.winner] = side
    design[np.arange(rows.row_count), rows.loser] = -side
    design[:, ITEMS] = 1.0
    design = design[:, 1:]
    model_class = sm.Probit if model == "thurstone" else sm.Logit
    groups = {"groups": rows.annotator, "use_correction": False}
    options = {
        "fisher": {},
        "sandwich": {"cov_type": "HC0"},
        "annotator": {"cov_type": "cluster", "cov_kwds": groups},
    }[kind]
    theirs = model_class(first.astype(float), design).fit(disp=0, tol=1e-13, **options)
    sure = covariance(fit(rows, model, tolerance=1e-11), rows, kind)
    correction = np.sqrt(39 / 40) if kind == "annotator" else 1.0
    mine = [sure.contrast(item, 0).stderr * correction for item in range(1, ITEMS)]
    np.testing.assert_allclose(mine, theirs.bse[:-1], rtol=1e-7)
    np.testing.assert_allclose(sure.extra_stderr * correction, theirs.bse[-1:], rtol=1e-7)


# Consistency


@pytest.mark.parametrize("model", ["bradley-terry", "thurstone", "rao-kupper", "davidson"])
@pytest.mark.parametrize("kind", ["fisher", "sandwich"])
def test_one_contrast_without_a_matrix(model: str, kind: str, monkeypatch) -> None:
    law = {
        "rao-kupper": lambda d: rao_kupper(d, np.asarray(0.4)),
        "davidson": lambda d: davidson(d, np.asarray(0.0)),
    }.get(model)
    rng = np.random.default_rng(1)
    rows = simulated(TRUTH, 900, rng, law, covariates=rng.normal(size=(900, 1)))
    found = fit(rows, model)
    whole = covariance(found, rows, kind).contrast(4, 1)
    alone = contrast_of(found, rows, 4, 1, kind)
    assert alone.estimate == whole.estimate
    assert alone.stderr == pytest.approx(whole.stderr, rel=1e-8)
    monkeypatch.setattr(pair_likelihood, "DENSE_PARAMETERS", 0)
    assert contrast_of(found, rows, 4, 1, kind).stderr == pytest.approx(whole.stderr, rel=1e-4)


@pytest.mark.parametrize("model", ["bradley-terry", "davidson"])
def test_clusters_of_one_row_are_the_sandwich(model: str) -> None:
    law = (lambda d: davidson(d, np.asarray(0.0))) if model == "davidson" else None
    rows = simulated(TRUTH, 500, np.random.default_rng(2), law)
    found = fit(rows, model)
    each = covariance(found, rows, cluster=np.arange(500))
    robust = covariance(found, rows, "sandwich")
    np.testing.assert_allclose(each.matrix * 499 / 500, robust.matrix, atol=1e-14)


def test_halved_ties_enter_clusters_as_they_enter_the_fit() -> None:
    """The scores of all clusters add up to the gradient, which is zero at the maximum."""
    from bandit_rlhf import uncertainty

    rng = np.random.default_rng(3)
    rows = simulated(TRUTH, 600, rng, lambda d: davidson(d, np.asarray(0.0)))
    for ties in ("half", "drop"):
        found = fit(rows, ties=ties, tolerance=1e-12)
        problem, at = uncertainty._problem(found, rows)
        ids = rng.integers(0, 20, 600)
        summed = uncertainty._cluster_scores(problem, at, ties, rows, ids, 20)
        np.testing.assert_allclose(summed.sum(axis=0), 0.0, atol=1e-8)
        assert np.abs(summed).max() > 0.5


def test_the_ridge_posterior_is_the_inverse_curvature() -> None:
    rows = Comparisons.from_ids([0, 1], [1, 0], weight=[30.0, 10.0])
    found = fit(rows, ridge=2.0, tolerance=1e-13)
    p = 1 / (1 + np.exp(-(found.scores[0] - found.scores[1])))
    information = 40 * p * (1 - p) * np.array([[1, -1], [-1, 1]]) + 2.0 * np.eye(2)
    expected = np.linalg.inv(information)
    np.testing.assert_allclose(covariance(found, rows).matrix, expected, rtol=1e-10)


# Coverage: 300 tables, 5 contrasts with item 0 each. The tables are independent, the contrasts not;
# the mean coverage then strays from 0.95 by at most 5 * sqrt(0.95 * 0.05 / 300) = 0.063, and by far
# less in truth. The independence kind on clustered rows is the control: it must fail.


def coverage(kind: str, people: int | None) -> float:
    rng = np.random.default_rng(4)
    truth = TRUTH
    if people:  # what an infinite crowd would say: Bradley-Terry's own best fit to it
        crowd = clustered_rows(np.random.default_rng(5), 30_000, 10)
        truth = fit(crowd).scores
    inside = []
    for _ in range(300):
        rows = clustered_rows(rng, people, 40) if people else simulated(TRUTH, 400, rng)
        sure = covariance(fit(rows), rows, kind)
        for item in range(1, ITEMS):
            low, high = sure.contrast(item, 0).interval(Z95)
            inside.append(low <= truth[item] - truth[0] <= high)
    return float(np.mean(inside))


@pytest.mark.parametrize(
    ("kind", "people"), [("fisher", None), ("sandwich", None), ("annotator", 50)]
)
def test_intervals_cover(kind: str, people: int | None) -> None:
    assert 0.92 < coverage(kind, people) < 0.98


def test_control_intervals_that_ignore_clusters_do_not_cover() -> None:
    assert coverage("sandwich", 50) < 0.85


def test_bootstrap_intervals_cover() -> None:
    rng = np.random.default_rng(6)
    inside = []
    for _ in range(60):
        rows = simulated(TRUTH, 400, rng)
        drawn = bootstrap(fit(rows), aggregate(rows), rng, resamples=80)
        low, high = drawn.interval(3, 1)
        inside.append(low <= TRUTH[3] - TRUTH[1] <= high)
    assert 0.85 < np.mean(inside) <= 1.0  # three standard errors below, and the quantiles' noise


@pytest.mark.parametrize("model", ["bradley-terry", "davidson", "rao-kupper", "thurstone"])
def test_bootstrap_spread_is_the_sandwich_s(model: str) -> None:
    """300 resamples estimate a standard error to 4 %; five of these are allowed."""
    law = (lambda d: davidson(d, np.asarray(0.0))) if model in ("davidson", "rao-kupper") else None
    rng = np.random.default_rng(7)
    rows = simulated(TRUTH, 4000, rng, law)
    found = fit(rows, model)
    drawn = bootstrap(found, rows, rng, resamples=300)
    assert drawn.unfitted == 0
    spread = drawn.scores.std(axis=0)
    np.testing.assert_allclose(spread, covariance(found, rows, "sandwich").stderr, rtol=0.2)


def test_clustered_bootstrap_spread_is_the_clustered_covariance_s() -> None:
    rng = np.random.default_rng(8)
    rows = clustered_rows(rng, people=150, each=20)
    found = fit(rows)
    spread = bootstrap(found, rows, rng, resamples=400, cluster="annotator").scores.std(axis=0)
    stderr = covariance(found, rows, "annotator").stderr
    np.testing.assert_allclose(spread, stderr, rtol=0.2)
    assert (stderr > 1.3 * covariance(found, rows, "sandwich").stderr).all()  # the control


def test_resamples_without_a_maximum_are_counted_and_spoil_intervals() -> None:
    rows = Comparisons.from_ids([0, 1, 0, 1], [1, 0, 1, 0])
    drawn = bootstrap(fit(rows), rows, np.random.default_rng(9), resamples=200)
    # both win at least once with chance (1 - e^-2)^2 = 0.748
    assert len(drawn.scores) + drawn.unfitted == 200
    assert 20 < drawn.unfitted < 85
    with pytest.raises(ValueError, match=r"of 200 resamples have no maximum"):
        drawn.interval(0, 1)
    bound = bootstrap(fit(rows, ridge=1.0), rows, np.random.default_rng(9), resamples=200)
    assert bound.unfitted == 0
    assert bound.interval(0, 1)[0] < 0 < bound.interval(0, 1)[1]


def test_firth_and_priors_are_kept_by_resamples() -> None:
    rows = Comparisons.from_ids([0, 1], [1, 0], weight=[40.0, 10.0])
    far = fit(rows, ridge=1e6, prior_mean=[3.0, -3.0])
    drawn = bootstrap(far, rows, np.random.default_rng(10), resamples=5)
    np.testing.assert_allclose(drawn.scores, [[3.0, -3.0]] * 5, atol=1e-3)
    firth = fit(Comparisons.from_ids([0] * 5, [1] * 5), firth=True)
    always = Comparisons.from_ids([0] * 5, [1] * 5)
    refitted = bootstrap(firth, always, np.random.default_rng(11), resamples=5)
    assert refitted.unfitted == 0


# Refusals


def test_contrasts_across_components_are_refused() -> None:
    rows = Comparisons.from_ids([0, 1, 0, 1], [1, 0, 1, 0], prompt=[0, 0, 1, 1])
    found = fit(rows, by_prompt=True)
    sure = covariance(found, rows.by_prompt())
    assert sure.contrast((0, 0), (0, 1)).stderr > 0
    with pytest.raises(ValueError, match="components that never meet"):
        sure.contrast((0, 0), (1, 0))
    with pytest.raises(ValueError, match="components that never meet"):
        contrast_of(found, rows.by_prompt(), (0, 0), (1, 0))
    drawn = bootstrap(
        fit(rows, by_prompt=True, ridge=1.0), rows.by_prompt(), np.random.default_rng(0)
    )
    with pytest.raises(ValueError, match="components that never meet"):
        drawn.interval((0, 0), (1, 0))


def test_other_comparisons_than_the_fit_s_are_refused() -> None:
    rows = Comparisons.from_ids([0, 1], [1, 0], prompt=[0, 0])
    with pytest.raises(ValueError, match=r"after by_prompt=True, its by_prompt\(\)"):
        covariance(fit(rows, by_prompt=True), rows)
    with pytest.raises(ValueError, match="a fit of scores to pairs"):
        covariance(fit_linear(rows, [[1.0], [0.0]]), rows)


def test_unknown_kinds_missing_columns_and_single_clusters_are_named() -> None:
    rows = Comparisons.from_ids([0, 1], [1, 0], annotator=[0, 0])
    found = fit(rows)
    with pytest.raises(ValueError, match="kind is 'exact'"):
        covariance(found, rows, "exact")
    with pytest.raises(ValueError, match="kind is 'exact'"):
        contrast_of(found, rows, 0, 1, "exact")
    with pytest.raises(ValueError, match="no prompt column"):
        covariance(found, rows, "prompt")
    with pytest.raises(ValueError, match="there is 1 cluster"):
        covariance(found, rows, "annotator")
    with pytest.raises(TypeError, match="counts have no clusters"):
        covariance(found, aggregate(rows), "annotator")
    with pytest.raises(TypeError, match="counts have no clusters"):
        bootstrap(found, aggregate(rows), np.random.default_rng(0), cluster="annotator")
    with pytest.raises(ValueError, match=r"cluster has shape \(3,\)"):
        covariance(found, rows, cluster=[0, 1, 2])


def test_too_many_items_for_a_matrix_are_referred_to_contrasts() -> None:
    n = 4001
    ring = np.arange(n, dtype=np.int32)
    rows = Comparisons.from_ids(
        np.concatenate([ring, np.roll(ring, -1)]), np.concatenate([np.roll(ring, -1), ring])
    )
    found = fit(rows)
    with pytest.raises(ValueError, match=r"4001 parameters.*contrast_of"):
        covariance(found, rows)
    # on a ring of n resistors of 1 / (2 p q) = 2 ohm, neighbours are 2 (n - 1) / n apart
    assert contrast_of(found, rows, 0, 1).stderr ** 2 == pytest.approx(2 * (n - 1) / n, rel=1e-3)
