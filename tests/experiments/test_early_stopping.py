import numpy as np
import pytest

from experiments import early_stopping as experiment
from experiments.lab.dials import Dials, fit_proxy
from experiments.lab.words import fit_words
from experiments.lab.world import draw_world
from tests.experiments.paths import joined, path, rising, turning

SMALL = experiment.Config(horizon=3, worlds=1, steps=40, control_steps=10)


@pytest.fixture(scope="module")
def small():
    proxy = fit_proxy(draw_world(0, 3), Dials(0.6, 200), 0)
    return list(experiment.enumerable_rows(SMALL, proxy))


@pytest.fixture(scope="module")
def word():
    proxy = fit_words(Dials(1.0, 200), 0, vocabulary_size=10, horizon=6)
    return list(experiment.word_rows(SMALL, proxy))


@pytest.mark.parametrize("tier", ["small", "word"])
def test_natural_gradient_is_the_gibbs_path_to_1e_8_and_vanilla_is_not(tier, request):
    rows = request.getfixturevalue(tier)
    natural = [row["off_gibbs"] for row in rows if row["method"] == "natural"]
    vanilla = [row["off_gibbs"] for row in rows if row["method"] == "vanilla"]
    assert len(natural) > 5
    assert max(natural) <= 1e-8
    assert max(vanilla) > 1e-3


def test_a_network_walks_off_the_gibbs_path():
    config = experiment.Config("neural", comparisons=200, horizon=3, worlds=1, steps=30)
    rows = experiment.run(config, 0)
    assert {row["method"] for row in rows} == {"sampled"}
    assert max(row["off_gibbs"] for row in rows) > 1e-3
    assert rows[-1]["proxy"] > rows[0]["proxy"]


def test_the_matching_tilt_has_the_kl_that_was_asked_for():
    beta = experiment.matching_beta(lambda beta: 1 / beta, 4.0)
    assert beta == pytest.approx(0.25, rel=1e-5)
    assert experiment.matching_beta(lambda beta: 1 / (1 + beta), 4.0) is None


def tables(natural, off=1e-12, control=0.5, tiers=experiment.TIERS):
    parts = []
    for tier in tiers:
        config = {"tier": tier, "comparisons": experiment.MANY}
        method = experiment.main_path(tier)
        parts.append(path(natural, config=config, method=method, off_gibbs=off))
        parts.append(path(rising, config=config, method="vanilla", off_gibbs=control))
    return joined(parts)


def test_the_penalty_is_supported_refuted_or_undecided_by_the_rows():
    assert experiment.judge_penalty(tables(turning(2.0))).verdict == "supported"
    assert experiment.judge_penalty(tables(rising)).verdict == "refuted"
    assert experiment.judge_penalty(tables(turning(2.0), off=1e-3)).verdict == "refuted"
    assert experiment.judge_penalty(tables(turning(2.0), control=1e-9)).verdict == "undecided"


def stops(few, many):
    return joined(
        path(
            turning(at),
            config={"tier": tier, "comparisons": n},
            method=experiment.main_path(tier),
            off_gibbs=0.0,
        )
        for tier in experiment.TIERS
        for at, n in ((few, experiment.FEW), (many, experiment.MANY))
    )


@pytest.mark.parametrize(
    ("few", "many", "verdict"),
    [(1.0, 4.0, "supported"), (2.0, 2.0, "refuted"), (4.0, 1.0, "refuted")],
)
def test_when_to_stop_is_read_off_the_rows(few, many, verdict):
    judgement = experiment.judge_stop(stops(few, many))
    assert judgement.verdict == verdict
    assert judgement.effect == pytest.approx(many / few, rel=0.3)


def test_the_figure_draws():
    drawn = experiment.draw(joined([tables(turning(2.0)), stops(1.0, 2.0)]))
    assert len(drawn.axes) == 9
    assert experiment.run(SMALL, 0) == experiment.run(SMALL, 0)
    assert np.isfinite([row["gold"] for row in experiment.run(SMALL, 1)]).all()
