import numpy as np
import polars as pl
import pytest

from experiments import vibe_bound as experiment
from experiments.lab.world import draw_world
from tests.experiments.paths import joined, path


@pytest.mark.parametrize("error", experiment.ERRORS)
def test_the_proxy_has_the_correlation_asked_for_and_the_bound_holds(error):
    config = experiment.Config(error=error, correlation=0.7, horizon=4, worlds=1)
    for row in experiment.run(config, 1):
        assert row["correlation"] == pytest.approx(0.7, abs=1e-9)
        assert row["slack"] >= -1e-9 * (1 + np.sqrt(row["chi_squared"]))


@pytest.mark.parametrize("error", experiment.ERRORS[:3])
def test_so_has_the_proxy_of_words(error):
    config = experiment.Config("words", error, 0.7, horizon=5, betas=(2.0, 0.5))
    for row in experiment.run(config, 1):
        assert row["correlation"] == pytest.approx(0.7, abs=1e-9)
        assert row["slack"] >= 0


def test_so_has_the_proxy_of_networks():
    config = experiment.Config("neural", correlation=0.7, horizon=3, worlds=1, steps=20)
    rows = experiment.run(config, 1)
    for row in rows:
        assert row["correlation"] == pytest.approx(0.7, abs=1e-9)
        assert row["slack"] >= -1e-9 * (1 + np.sqrt(row["chi_squared"]))
    assert rows[-1]["proxy"] > rows[0]["proxy"] > 0  # it is climbed


def test_the_bound_is_tight_for_the_chi_squared_tilt_of_the_error_alone():
    """With rho near 0 the proxy is the error, and pi / ref - 1 in proportion to it meets it."""
    world = draw_world(0, 3)
    gold = world.on_strings(world.gold(0.0))
    raw = experiment.raw_error("repetition", world, gold, np.random.default_rng(0))[0]
    law = world.law[0]
    error = raw - law @ raw - (law @ (raw * gold[0])) * gold[0]
    error /= np.sqrt(law @ error**2)
    tilted = law * (1 + 0.1 * error)
    assert tilted @ error == pytest.approx(np.sqrt(((tilted - law) ** 2 / law).sum()))


def table(lost, slack=1.0, trusted=1.0):
    parts = []
    for tier in experiment.TIERS:
        config = {"tier": tier, "error": "repetition", "correlation": experiment.CORRELATION}
        rows = path(
            lambda d, seed: experiment.CORRELATION * d - lost * d / 6 + 0.001 * seed,
            config=config,
            correlation=experiment.CORRELATION,
            chi_squared=1.0,
            slack=slack,
        )
        parts.append(rows.with_columns(guaranteed=trusted - pl.col("distance")))
    return joined(parts)


def test_the_vibe_is_supported_refuted_or_undecided_by_the_rows():
    assert experiment.judge(table(3.0)).verdict == "supported"
    assert experiment.judge(table(0.2)).verdict == "refuted"
    assert experiment.judge(table(3.0, trusted=4.0)).verdict == "refuted"
    assert experiment.judge(table(3.0, slack=-0.1)).verdict == "undecided"


def test_an_unknown_error_is_refused():
    with pytest.raises(ValueError, match="should be one of random"):
        experiment.run(experiment.Config(error="none", horizon=3, worlds=1), 0)
    with pytest.raises(ValueError, match="should be one of random"):
        experiment.run(experiment.Config("words", "atom", horizon=4), 0)


def test_the_figure_draws():
    assert len(experiment.draw(table(3.0)).axes) == 9
