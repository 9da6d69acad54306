"""Calibration: score equations, statsmodels, no peeking at held-out rows, refusals."""

from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import binom
from statsmodels.stats.proportion import proportion_confint

from bandit_rlhf.comparison_graph import NoFiniteMaximum
from bandit_rlhf.comparisons import Comparisons, aggregate
from bandit_rlhf.diagnosis import Calibration, calibration, cross_validated_calibration
from bandit_rlhf.preference import davidson, rao_kupper, thurstone
from bandit_rlhf.reward import fit
from tests.comparison_worlds import simulated

TRUTH = np.array([1.2, 0.5, 0.0, -0.4, -1.3])
LAWS = {
    "bradley-terry": None,
    "thurstone": thurstone,
    "davidson": lambda d: davidson(d, np.asarray(0.0)),
    "rao-kupper": lambda d: rao_kupper(d, np.asarray(0.4)),
}


def rows_of(model: str, seed: int, rows: int = 500, covariate: bool = False) -> Comparisons:
    rng = np.random.default_rng(seed)
    table = simulated(TRUTH, rows, rng, LAWS[model])
    table = replace(table, annotator=rng.integers(0, 20, rows), annotators=range(20))
    if not covariate:
        return table
    slopes = rng.choice([-1.0, 1.0], (rows, 1))
    return replace(table, covariates=slopes, covariate_names=("length",))


@pytest.mark.parametrize("model", LAWS)
@pytest.mark.parametrize("covariate", [False, True])
def test_in_the_sample_the_score_equations_calibrate(model: str, covariate: bool) -> None:
    rows = rows_of(model, 0, covariate=covariate)
    fitted = fit(rows, model)
    found = calibration(fitted, rows)
    assert found.slope == pytest.approx(1, abs=1e-6)
    assert found.log_loss == pytest.approx(-fitted.log_likelihood / 500)
    assert sum(part.judgements for part in found.bins) == found.judgements == 500
    assert (found.folds, found.clusters) == (0, 0)


@pytest.mark.parametrize("factor", [0.5, 2.0, -1.0])
@pytest.mark.parametrize("model", LAWS)
def test_the_slope_undoes_a_wrong_scale(model: str, factor: float) -> None:
    """Rewards twice as large as fitted are overconfident: slope 1/2; turned round: -1."""
    rows = rows_of(model, 1)
    fitted = fit(rows, model)
    wrong = replace(fitted, scores=factor * fitted.scores)
    assert calibration(wrong, rows).slope == pytest.approx(1 / factor, rel=1e-6)
    assert calibration(wrong, rows).log_loss > calibration(fitted, rows).log_loss


def test_scores_by_hand() -> None:
    """Win 3 of 4: log loss is the entropy, Brier p q; the baseline is a coin."""
    rows = Comparisons.from_ids([0, 0, 0, 1], [1, 1, 1, 0])
    found = calibration(fit(rows), rows)
    assert found.log_loss == pytest.approx(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25)))
    assert found.brier == pytest.approx(0.75 * 0.25)
    assert found.baseline_log_loss == pytest.approx(np.log(2))
    assert found.skill == pytest.approx(1 - found.log_loss / np.log(2))


def test_scores_of_ties_by_hand() -> None:
    """Two equal items, half of the judgements ties: P = (1/4, 1/2, 1/4)."""
    rows = Comparisons.from_ids([0, 1, 0, 0], [1, 0, 1, 1], tie=[False, False, True, True])
    found = calibration(fit(rows, "davidson"), rows)
    assert found.log_loss == found.baseline_log_loss == pytest.approx(1.5 * np.log(2))
    loss = (0.75**2 + 0.5**2 + 0.25**2) / 2, (0.25**2 + 0.5**2 + 0.25**2) / 2
    assert found.brier == pytest.approx((loss[0] + loss[1]) / 2)
    assert (found.bins[0].predicted, found.bins[0].observed) == (pytest.approx(0.5), 0.5)


def test_the_slope_and_its_errors_are_those_of_a_logistic_regression() -> None:
    rows = rows_of("bradley-terry", 2)
    fitted = fit(rows, ridge=20.0)  # so that the slope is not 1
    assert rows.annotator is not None
    x = fitted.scores[rows.winner] - fitted.scores[rows.loser]
    y = np.ones(500)
    y[::2], x[::2] = 0.0, -x[::2]  # the same likelihood, seen from the loser
    model = sm.Logit(y, x)
    plain = model.fit(disp=0, tol=1e-12, cov_type="HC0")
    found = calibration(fitted, rows)
    assert found.slope == pytest.approx(plain.params[0], rel=1e-7)
    assert found.slope_stderr == pytest.approx(plain.bse[0], rel=1e-6)
    groups = {"groups": rows.annotator, "use_correction": False}
    clustered = model.fit(disp=0, tol=1e-12, cov_type="cluster", cov_kwds=groups)
    found = calibration(fitted, rows, cluster="annotator")
    assert found.clusters == 20
    assert found.slope_stderr == pytest.approx(clustered.bse[0] * np.sqrt(20 / 19), rel=1e-6)


@pytest.mark.parametrize("model", ["bradley-terry", "davidson"])
def test_names_and_sides_do_not_matter(model: str) -> None:
    rows = rows_of(model, 3, covariate=True)
    turned = replace(rows, winner=4 - rows.winner, loser=4 - rows.loser)
    one = calibration(fit(rows, model), rows)
    other = calibration(fit(turned, model), turned)
    assert other.log_loss == pytest.approx(one.log_loss)
    assert other.brier == pytest.approx(one.brier)
    for mine, theirs in zip(one.bins, other.bins, strict=True):
        assert theirs.predicted == pytest.approx(mine.predicted)
        assert theirs.observed == pytest.approx(mine.observed)


def test_counts_do_as_well_as_rows() -> None:
    rows = rows_of("davidson", 4)
    fitted = fit(rows, "davidson")
    one, other = calibration(fitted, rows), calibration(fitted, aggregate(rows))
    assert one.log_loss == pytest.approx(other.log_loss)
    assert one.slope_stderr == pytest.approx(other.slope_stderr)
    assert [part.observed for part in one.bins] == pytest.approx([p.observed for p in other.bins])


def test_bins_and_wilson_intervals() -> None:
    """Three pairs of items that are 1, 2 and 3 nats apart, met 40, 40 and 80 times."""
    wins = {(0, 1): (30, 10), (2, 3): (35, 5), (4, 5): (60, 20)}
    cells = [(pair, *count) for pair, count in wins.items()]
    rows = Comparisons.from_ids(
        [i for (i, _), _, _ in cells] + [j for (_, j), _, _ in cells],
        [j for (_, j), _, _ in cells] + [i for (i, _), _, _ in cells],
        weight=[won for _, won, _ in cells] + [lost for _, _, lost in cells],
        prompt=[0, 1, 2] * 2,
    )
    found = calibration(fit(rows, by_prompt=True), rows.by_prompt(), bins=4)
    assert [part.judgements for part in found.bins] == [120, 40]  # 3/4 is one prediction, uncut
    for part, won in zip(found.bins, (90, 35), strict=True):
        low, high = proportion_confint(won, part.judgements, method="wilson")
        assert (part.low, part.high) == (pytest.approx(low), pytest.approx(high))
        assert part.predicted == pytest.approx(part.observed)


GAMES = {(0, 1): 9, (1, 0): 6, (1, 2): 8, (2, 1): 7, (2, 0): 5, (0, 2): 8}


def test_held_out_a_weight_is_so_many_judgements() -> None:
    winners, losers = ([pair[side] for pair in GAMES] for side in (0, 1))
    times = list(GAMES.values())
    weighted = Comparisons.from_ids(winners, losers, weight=times)
    single = Comparisons.from_ids(np.repeat(winners, times), np.repeat(losers, times))
    one, other = (
        cross_validated_calibration(fit(rows), rows, np.random.default_rng(0), folds=5)
        for rows in (weighted, single)
    )
    assert one == other
    # Control: whole rows held out, as clusters, lose a pair's wins at once and mislead.
    whole = cross_validated_calibration(
        fit(weighted, ridge=0.1), weighted, np.random.default_rng(0), folds=3, cluster=np.arange(6)
    )
    assert whole.slope < one.slope - 0.5


def test_fractions_of_judgements_cannot_be_held_out_one_by_one() -> None:
    rows = Comparisons.from_ids([0, 1], [1, 0], weight=[1.5, 2.0])
    with pytest.raises(ValueError, match="weights are fractions, but should be counts"):
        cross_validated_calibration(fit(rows), rows, np.random.default_rng(0), folds=2)


def test_too_many_judgements_are_not_held_out_one_by_one() -> None:
    rows = Comparisons.from_ids([0, 1], [1, 0], weight=[6e6, 6e6])
    with pytest.raises(ValueError, match="12,000,000 judgements, but should be at most 10,000,000"):
        cross_validated_calibration(fit(rows), rows, np.random.default_rng(0), folds=2)


def test_repeated_judgements_of_a_cluster_count_once() -> None:
    """Everybody says everything five times: clustered intervals are as wide as for one time."""
    once = rows_of("bradley-terry", 5, 60)
    five = once.select(np.repeat(np.arange(60), 5))
    fitted = fit(once)
    people = np.arange(60)
    honest = calibration(fitted, once, cluster=people, bins=3)
    told = calibration(fit(five), five, cluster=np.repeat(people, 5), bins=3)
    naive = calibration(fit(five), five, bins=3)
    for one, same, narrow in zip(honest.bins, told.bins, naive.bins, strict=True):
        assert (same.low, same.high) == (pytest.approx(one.low), pytest.approx(one.high))
        assert narrow.high - narrow.low < 0.6 * (one.high - one.low)  # control


def test_an_unbeaten_favourite_has_an_infinite_slope() -> None:
    rows = Comparisons.from_ids([0, 0, 1], [1, 1, 2])
    found = calibration(fit(rows, ridge=1.0), rows)
    assert found.slope == np.inf
    assert np.isnan(found.slope_stderr)
    turned = fit(rows, ridge=1.0)
    turned = replace(turned, scores=-turned.scores)
    assert calibration(turned, rows).slope == -np.inf
    assert np.isnan(calibration(replace(turned, scores=np.zeros(3)), rows).slope)


# Held-out rows


def test_held_out_predictions_are_those_of_refits_without_them() -> None:
    rows = rows_of("davidson", 6)
    fitted = fit(rows, "davidson")
    assert rows.annotator is not None
    assert rows.tie is not None
    found = cross_validated_calibration(
        fitted, rows, np.random.default_rng(7), folds=4, cluster="annotator"
    )
    fold = (np.random.default_rng(7).permutation(20) % 4)[rows.annotator]
    total = 0.0
    for number in range(4):
        other = fit(rows.select(fold != number), "davidson")
        part = rows.select(fold == number)
        assert part.tie is not None
        assert other.tie is not None
        law = davidson(other.scores[part.winner] - other.scores[part.loser], np.asarray(other.tie))
        total -= float(np.where(part.tie, law.tie, law.win).sum())
    assert found.log_loss == pytest.approx(total / 500, rel=1e-6)
    assert (found.folds, found.clusters) == (4, 20)


def test_noise_fits_the_sample_and_nothing_else() -> None:
    """20 items, all equal, 30 games each: skilled in the sample, held out worse than a coin."""
    rng = np.random.default_rng(8)
    rows = simulated(np.zeros(20), 300, rng)
    fitted = fit(rows, ridge=0.01)
    flattered = calibration(fitted, rows)
    honest = cross_validated_calibration(fitted, rows, rng)
    assert flattered.skill > 0.02
    assert honest.skill < 0
    assert flattered.slope > 0.95
    assert honest.slope + 3 * honest.slope_stderr < 0.9


def test_calibrated_predictions_are_found_calibrated() -> None:
    """Slopes of held-out predictions from many rows lie within 2 errors of 1 about 95 %."""
    rng = np.random.default_rng(9)
    missed = 0
    for _ in range(40):
        rows = simulated(TRUTH, 3000, rng)
        found = cross_validated_calibration(fit(rows), rows, rng, folds=2)
        missed += abs(found.slope - 1) > 2.3 * found.slope_stderr  # 2.1 %, widened for the fit's
    assert missed <= binom.isf(1e-6, 40, 0.05)


def test_a_fold_without_ties_makes_a_tie_impossible() -> None:
    """The only tie is held out by a law that has seen none."""
    winner, loser = np.r_[np.tile([0, 1], 10), 0], np.r_[np.tile([1, 0], 10), 1]
    rows = Comparisons.from_ids(winner, loser, tie=np.r_[np.zeros(20, bool), True])
    for model in ("davidson", "rao-kupper"):
        found = cross_validated_calibration(
            fit(rows, model), rows, np.random.default_rng(10), folds=3
        )
        assert found.log_loss == np.inf


def test_a_fold_that_leaves_an_item_out_is_named() -> None:
    rows = Comparisons.from_ids(
        [0, 1, 0, 1, 2, 0], [1, 0, 1, 0, 0, 2], annotator=[0, 0, 1, 1, 2, 2]
    )
    with pytest.raises(NoFiniteMaximum, match=r"without fold \d of 3.*ridge > 0"):
        cross_validated_calibration(
            fit(rows), rows, np.random.default_rng(0), folds=3, cluster="annotator"
        )


ROWS = rows_of("bradley-terry", 11, 60)
LONE = replace(ROWS, annotator=None, annotators=range(0))


def validated(rows: Comparisons, **options) -> Calibration:
    return cross_validated_calibration(fit(rows), rows, np.random.default_rng(0), **options)


REFUSED = {
    "no bins": (lambda: calibration(fit(ROWS), ROWS, bins=0), "bins is 0"),
    "one fold": (lambda: validated(ROWS, folds=1), "folds is 1"),
    "too many folds": (lambda: validated(ROWS, folds=61), "60 groups of rows for 61 folds"),
    "no annotators": (lambda: validated(LONE, cluster="annotator"), "no annotator column"),
    "one prompt": (
        lambda: validated(replace(ROWS, prompt=np.zeros(60, np.int32)), cluster="prompt"),
        "1 cluster, but should be two or more",
    ),
    "another word": (lambda: validated(ROWS, cluster="worker"), "cluster is 'worker'"),
    "short ids": (lambda: validated(ROWS, cluster=np.arange(3)), r"cluster has shape \(3,\)"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    act, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        act()


def test_counts_have_no_clusters() -> None:
    with pytest.raises(TypeError, match="no rows to cluster"):
        calibration(fit(ROWS), aggregate(ROWS), cluster="annotator")
