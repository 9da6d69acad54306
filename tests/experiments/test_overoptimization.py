import numpy as np
import pytest

from experiments import overoptimization as experiment
from tests.experiments.paths import D, joined, path, rising, turning


def square(d, seed):
    return d * (2 - (0.3 + 0.001 * seed) * d)


def logarithm(d, seed):
    return d * (1.5 - (0.6 + 0.001 * seed) * np.log(d))


def forms(best, others):
    parts = []
    for tier in experiment.TIERS:
        config = {"tier": tier, "degree": 1, "comparisons": experiment.MANY}
        for method in experiment.METHODS:
            gold = best if method == "best-of-n" else others
            parts.append(path(gold, config=config, method=method))
    return joined(parts)


def test_a_curve_of_either_form_is_told_from_the_other():
    rows = path(square, seeds=1)
    assert experiment.form_gain(rows) < -20
    assert experiment.form_gain(path(logarithm, seeds=1)) > 20


def test_gao_is_supported_refuted_or_undecided_by_the_rows():
    assert experiment.judge_forms(forms(square, logarithm)).verdict == "supported"
    assert experiment.judge_forms(forms(square, square)).verdict == "refuted"
    assert experiment.judge_forms(forms(logarithm, logarithm)).verdict == "refuted"
    assert experiment.judge_forms(forms(square, square).head(0)).verdict == "undecided"


def test_curves_are_read_evenly_below_saturation():
    rows = path(rising, seeds=1)
    at, gold = experiment.evenly(rows)
    np.testing.assert_allclose(np.diff(at), at[0])
    assert at[-1] == D[D**2 <= 36][-1]  # half of the largest KL
    np.testing.assert_allclose(gold[at >= D[0]], at[at >= D[0]])
    assert experiment.evenly(rows.filter(rows["distance"] > 6))[0].size == 0


def peaks(few, many):
    shared = {"degree": 1}
    return joined(
        path(turning(at), config={"tier": tier, "comparisons": n, **shared}, method="tilt")
        for tier in experiment.TIERS
        for at, n in ((few, experiment.FEW), (many, experiment.MANY))
    )


@pytest.mark.parametrize(
    ("few", "many", "verdict"),
    [(1.0, 3.0, "supported"), (2.0, 2.0, "refuted"), (3.0, 1.0, "refuted")],
)
def test_the_peak_moves_or_not(few, many, verdict):
    assert experiment.judge_peak(peaks(few, many)).verdict == verdict


def test_a_curve_without_a_peak_has_none_to_be_moved():
    falling = path(
        lambda d, seed: -d,
        config={"tier": "words", "comparisons": experiment.FEW, "degree": 1},
        method="tilt",
    )
    many = peaks(1.0, 2.0).filter(
        (peaks(1.0, 2.0)["config.tier"] == "words")
        & (peaks(1.0, 2.0)["config.comparisons"] == experiment.MANY)
    )
    assert experiment.judge_peak(joined([falling, many])).verdict == "undecided"


def sizes(small, large):
    config = {"tier": "enumerable", "comparisons": experiment.MANY}
    return joined(
        path(gold, config={**config, "degree": degree}, method="tilt")
        for degree, gold in ((1, small), (3, large))
    )


def test_larger_models_fall_less_or_not():
    assert experiment.judge_size(sizes(turning(2.0), rising)).verdict == "supported"
    assert experiment.judge_size(sizes(turning(2.0), turning(2.0))).verdict == "refuted"
    assert experiment.judge_size(sizes(turning(2.0), rising).head(24)).verdict == "undecided"


def test_cells_run_and_the_figure_draws():
    config = experiment.Config(horizon=3, worlds=1, steps=3)
    rows = experiment.run(config, 0)
    assert {row["method"] for row in rows} == set(experiment.METHODS)
    assert len(experiment.draw(joined([forms(square, logarithm), peaks(1.0, 2.0)])).axes) == 6
