"""First light: what must hold of every row, whatever was drawn, and the figure."""

from dataclasses import replace
from functools import cache

import numpy as np
import polars as pl
import pytest

from bandit_rlhf.exact import path_sum
from bandit_rlhf.exact.lattice import Payoff
from experiments import first_light, goodhart, style, word_world
from experiments.yardstick import Yardstick

CONFIG = first_light.SWEEP["smoke"].configs[0]


@cache
def table() -> pl.DataFrame:
    frames = [
        pl.DataFrame(first_light.run(CONFIG, seed)).with_columns(seed=pl.lit(seed))
        for seed in (0, 1)
    ]
    return pl.concat(frames)


def path(method, seed=0):
    return goodhart.curve(table(), method, CONFIG.comparisons, seed)


def test_every_path_is_there():
    assert path("tilt").height == len(CONFIG.betas)
    assert path("best-of-n").height == len(CONFIG.draws)
    steps = first_light.checkpoints(CONFIG.gradient_steps)
    for method in ("natural-gradient", "vanilla-gradient"):
        assert sorted(path(method)["setting"]) == steps


@pytest.mark.parametrize("seed", [0, 1])
def test_tilting_raises_proxy_and_kl_together(seed):
    tilt = path("tilt", seed).sort("setting", descending=True)
    assert (tilt["kl"].diff().drop_nulls() > 0).all()
    assert (tilt["proxy"].diff().drop_nulls() > 0).all()
    assert (tilt["kl"] <= tilt["largest_kl"]).all()


def test_no_policy_beats_tilting_at_equal_kl():
    """Of all laws with its KL the Gibbs law has the largest proxy: its curve is an upper hull."""
    tilt = path("tilt")
    for method in ("best-of-n", "natural-gradient", "vanilla-gradient"):
        inside = path(method).filter(pl.col("kl") <= tilt["kl"].max())
        assert inside.height > 3
        # Proxy is concave in KL along the tilt, so straight lines between its points lie below it.
        hull = np.interp(inside["kl"], np.append(0, tilt["kl"]), np.append(0, tilt["proxy"]))
        slack = np.diff(np.append(0, tilt["proxy"])).max()
        assert (inside["proxy"].to_numpy() <= hull + slack).all()


def test_the_guarantee_holds_at_every_point():
    assert (table()["guaranteed"] <= table()["gold"] + 1e-9).all()
    # Control: the proxy's gain itself is no guarantee.
    assert (table()["proxy"] > table()["gold"]).any()


def test_gibbs_gold_is_that_of_the_optimum_with_the_same_kl():
    """A Gibbs optimum is its own match."""
    lattice = word_world.world(CONFIG.vocabulary_size, CONFIG.horizon, CONFIG.prompts)
    weights = np.random.default_rng(1).integers(-8, 9, lattice.language.action_count) / 8
    edge = np.broadcast_to(weights, lattice.log_reference.shape)
    judge = Yardstick.of(lattice, Payoff(edge, np.zeros(lattice.state_count)))
    ladder = {beta: m["kl"] for _, beta, m in first_light.tilts(CONFIG, judge)}
    policy, _ = path_sum.gibbs_optimum(lattice, judge.proxy, beta=0.31)
    measured = judge.of_policy(policy)
    match = first_light.gibbs_of(judge, measured["kl"], ladder)
    assert match is not None
    found = judge.of_policy(match)
    assert found["kl"] == pytest.approx(measured["kl"], rel=1e-4)
    assert found["gold"] == pytest.approx(measured["gold"], abs=1e-3)
    largest = judge.about()["largest_kl"]
    assert first_light.gibbs_of(judge, 1.01 * largest, ladder) is None
    assert first_light.gibbs_of(judge, 0.5 * largest, ladder) is not None


def test_smaller_natural_steps_follow_the_kl_penalty_more_closely():
    """The flow of natural gradient is the Gibbs path; a finite step leaves it, in first order."""
    gaps = []
    for divide in (1, 4):
        config = replace(
            CONFIG, step_size=CONFIG.step_size / divide, gradient_steps=10 * divide, draws=(4,)
        )
        rows = pl.DataFrame(first_light.run(config, 0)).with_columns(seed=pl.lit(0))
        path = goodhart.curve(rows, "natural-gradient", CONFIG.comparisons, 0)
        gaps.append(goodhart.gap(path))
    assert 0 < gaps[1] < gaps[0] / 2


def test_same_seed_same_rows_and_another_seed_others():
    again = first_light.run(CONFIG, 0)
    assert again == first_light.run(CONFIG, 0)
    assert again != first_light.run(CONFIG, 1)


def test_every_claim_is_judged_on_the_smoke_profile():
    for judge in (goodhart.judge_hacking, goodhart.judge_early_stopping, goodhart.judge_vibe):
        judged = judge(table())
        assert judged.verdict in ("supported", "refuted", "undecided")
        assert judged.effect is not None


def test_figure_shows_what_is_in_the_table():
    with style.venue("neurips"):
        figure = first_light.draw(table())
    goodhart_panel, steps, fits, said = figure.axes
    assert [panel.get_title() for panel in figure.axes] == [
        "Gold and proxy",
        "Gold along policy-gradient steps",
        f"Gao's two forms, N = {CONFIG.comparisons:,}",
        "Most probable strings",
    ]
    drawn = goodhart_panel.lines[0].get_ydata()
    assert drawn == pytest.approx(first_light.averaged(table(), "tilt", 300)["gold"].to_numpy())
    assert "ref" in steps.get_xlabel()
    assert len(fits.lines) >= 6
    spoken = " ".join(text.get_text() for text in said.texts)
    assert path("tilt")["string"][-1].split()[0] in spoken
