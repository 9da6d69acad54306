import numpy as np
import polars as pl
import pytest

from experiments import out_of_distribution as experiment
from experiments import out_of_distribution_judges as judges
from experiments.lab.dials import Dials, fit_proxy
from experiments.lab.words import fit_words
from experiments.lab.world import draw_world

SMALL = experiment.Config(horizon=4, worlds=1, betas=(5.0, 1.0, 0.1))


@pytest.fixture(scope="module")
def both():
    small = fit_proxy(draw_world(0, 4), Dials(0.6), 0)
    word = fit_words(Dials(1.0, 300), 0, vocabulary_size=10, horizon=5)
    network = experiment.Config("neural", horizon=3, comparisons=500, betas=SMALL.betas)
    return (
        list(experiment.enumerable_rows(SMALL, small)),
        list(experiment.word_rows(SMALL, word, 0)),
        list(experiment.network_rows(network, Dials(0.6), 0)),
    )


def test_what_is_collected_lies_below_both_theorems(both):
    for rows in both:
        policies = [row for row in rows if row["kind"] == "policy"]
        assert len(policies) == 3
        for row in policies:
            assert row["collected"] <= min(row["by_chi"], row["by_kl"]) + 1e-9
            assert row["by_sd"] == pytest.approx(np.sqrt(2 * row["kl"]))


def test_for_a_gaussian_error_both_bounds_of_the_kl_agree():
    moments = experiment.TILTS**2 / 2
    found = experiment.bounds(2.0, 1.0, moments)
    assert found["by_kl"] == pytest.approx(2.0, rel=2e-3)  # sqrt(2 KL), on the grid of t
    assert found["by_kl"] >= found["by_sd"]


def test_the_tilt_of_the_error_meets_donsker_and_varadhan():
    """E_pi e = (KL + ln E exp(t e)) / t for the Gibbs law of t e: the bound is tight there."""
    law, error, t = np.array([0.7, 0.2, 0.1]), np.array([-0.5, 0.5, 2.5]), 1.0
    tilted = law * np.exp(t * error)
    tilted /= tilted.sum()
    kl = float((tilted * np.log(tilted / law)).sum())
    moments = np.logaddexp.reduce(np.outer(experiment.TILTS, error) + np.log(law), axis=1)
    assert experiment.bounds(kl, 1.0, moments)["by_kl"] == pytest.approx(tilted @ error)


def test_strings_come_in_tenths_from_the_most_probable_on(both):
    for rows in both:
        strings = [row for row in rows if row["kind"] == "strings"]
        surprise = [row["surprise"] for row in strings]
        assert len(strings) == 10
        assert surprise == sorted(surprise)
        assert sum(row["mass"] for row in strings) == pytest.approx(1)


def test_rank_correlation_agrees_with_its_definition():
    one, two = np.array([1.0, 2.0, 3.0, 4.0]), np.array([10.0, 30.0, 20.0, 40.0])
    assert experiment.spearman(one, two) == pytest.approx(1 - 6 * 2 / (4 * 15))


def test_the_atom_gains_without_bound_while_kl_vanishes():
    atoms = [experiment.atom(exponent) for exponent in (4, 8, 16)]
    assert [row["collected"] for row in atoms] == pytest.approx([10, 100, 10_000], rel=2e-3)
    kl = [row["kl"] for row in atoms]
    assert kl == sorted(kl, reverse=True)
    assert kl[-1] < 0.01
    for row in atoms:
        assert row["collected"] <= row["by_chi"] * (1 + 1e-9)


def ranks(correlation, seeds=10):
    return pl.DataFrame(
        [
            {
                "kind": "rank",
                "seed": seed,
                "world": 0,
                "config.tier": tier,
                "config.source": source,
                "correlation": correlation + 0.001 * seed,
            }
            for tier in experiment.TIERS
            for source in ("misspecification", "estimation")
            for seed in range(seeds)
        ]
    )


def test_where_it_errs_is_read_off_the_rows():
    assert judges.judge_where(ranks(0.5)).verdict == "supported"
    assert judges.judge_where(ranks(0.0)).verdict == "refuted"
    assert judges.judge_where(ranks(0.5, seeds=1)).verdict == "undecided"


def tails(ratio, by_kl=100.0, control=True):
    rows = [
        {
            "kind": "policy",
            "seed": seed,
            "world": 0,
            "config.tier": tier,
            "config.source": source,
            "kl": 0.1,
            "distance": 0.1**0.5,
            "collected": collected + 0.001 * seed,
            "by_chi": 100.0,
            "by_kl": by_kl,
        }
        for tier in ("enumerable", "words")
        for source, collected in (("Gaussian errors", 0.5), ("heavy errors", 0.5 * ratio))
        for seed in range(10)
    ]
    atoms = [{"seed": 0, **row} for row in experiment.run(control_config(), 0)] if control else []
    return pl.DataFrame(rows + atoms, infer_schema_length=None)


def control_config():
    return experiment.Config("control", "heavy errors", 0, 0, ())


def test_heavy_tails_are_judged_with_the_control_and_the_theorems():
    assert judges.judge_heavy(tails(5.0)).verdict == "supported"
    assert judges.judge_heavy(tails(1.0)).verdict == "refuted"
    assert judges.judge_heavy(tails(5.0, by_kl=0.1)).verdict == "undecided"
    assert judges.judge_heavy(tails(5.0).filter(pl.col("kind") != "atom")).verdict == "undecided"
