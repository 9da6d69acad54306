import numpy as np
import polars as pl
import pytest

from experiments import gao, goodhart

D = np.linspace(0.5, 8.0, 16)


def table(gold, method="tilt", seeds=10, comparisons=100, correlation=0.9, promised=10.0, **more):
    """Made-up curves: `gold(distance, seed)` at every distance."""
    rows = []
    for seed in range(seeds):
        for d in D:
            gain = float(gold(d, seed))
            rows.append(
                {
                    "method": method,
                    "setting": float(d),
                    "comparisons": comparisons,
                    "seed": seed,
                    "distance": float(d),
                    "kl": float(d**2),
                    "largest_kl": 80.0,
                    "gold": gain,
                    "proxy": promised * d / 8,
                    "correlation": correlation,
                    "guaranteed": gain - 1.0,
                    "repeats": 2.0,
                    "length": 4.0,
                }
                | more
            )
    return pl.DataFrame(rows)


def hacked(d, seed):
    return d * (2 - (0.35 + 0.005 * seed) * d)


def saturating(d, seed):
    return 3 * np.tanh(d) + 0.01 * seed


def test_turn_finds_peak_and_end():
    turn = goodhart.turn(goodhart.curve(table(hacked), "tilt", 100, 0))
    at = D[np.argmax(hacked(D, 0))]
    assert turn.peak_distance == at
    assert turn.peak == hacked(at, 0)
    assert turn.final == hacked(8.0, 0)
    assert turn.fall == turn.peak - turn.final


def test_the_reference_is_the_peak_of_a_curve_that_only_falls():
    turn = goodhart.turn(goodhart.curve(table(lambda d, _: -d), "tilt", 100, 3))
    assert (turn.peak, turn.peak_distance) == (0.0, 0.0)


def test_hacking_is_supported_refuted_or_undecided_by_the_rows():
    assert goodhart.judge_hacking(table(hacked)).verdict == "supported"
    assert goodhart.judge_hacking(table(saturating)).verdict == "refuted"
    either = table(lambda d, seed: d * (2 - 0.25 * d) + 3 * (-1) ** seed * (d > 4))
    assert goodhart.judge_hacking(either).verdict == "undecided"
    assert goodhart.judge_hacking(table(hacked, seeds=1)).verdict == "undecided"


def test_hacking_is_judged_on_the_largest_number_of_comparisons():
    both = pl.concat([table(hacked, comparisons=100), table(saturating, comparisons=1000)])
    assert goodhart.judge_hacking(both).verdict == "refuted"


def paths(natural, seeds=10):
    """A natural and a vanilla path beside Gibbs optima that follow `hacked`."""
    gibbs = pl.concat(
        [
            table(natural, method="natural-gradient", seeds=seeds),
            table(lambda d, seed: 0.5 * d, method="vanilla-gradient", seeds=seeds),
        ]
    )
    on_curve = [hacked(d, seed) for d, seed in gibbs.select("distance", "seed").iter_rows()]
    ladder = table(hacked, seeds=seeds).with_columns(gibbs_gold=pl.lit(None, pl.Float64))
    return pl.concat([ladder, gibbs.with_columns(gibbs_gold=pl.Series(on_curve))])


def test_early_stopping_needs_the_fall_and_the_curve_of_the_kl_penalty():
    assert goodhart.judge_early_stopping(paths(hacked)).verdict == "supported"
    off = goodhart.judge_early_stopping(paths(lambda d, seed: hacked(d, seed) + 0.5))
    assert off.verdict == "refuted"
    assert goodhart.judge_early_stopping(paths(saturating)).verdict == "refuted"
    assert goodhart.judge_early_stopping(table(hacked)).verdict == "undecided"


def test_gap_is_the_largest_difference_at_equal_kl():
    path = paths(lambda d, seed: hacked(d, seed) + 0.1 * (d > 7))
    natural = goodhart.curve(path, "natural-gradient", 100, 0)
    assert goodhart.gap(natural) == pytest.approx(0.1, abs=1e-12)
    unreached = natural.with_columns(
        gibbs_gold=pl.when(pl.col("distance") <= 7).then(pl.col("gibbs_gold"))
    )
    assert goodhart.gap(unreached) == pytest.approx(0.0, abs=1e-12)


def test_vibe_is_the_shortfall_from_what_the_correlation_promises():
    judged = goodhart.judge_vibe(table(hacked))
    expected = 0.9 * 10.0 - np.mean([hacked(8.0, seed) for seed in range(10)])
    assert judged.effect == pytest.approx(expected)
    assert judged.verdict == "supported"
    keeps_up = table(lambda d, _: 0.9 * 10.0 * d / 8)
    assert goodhart.judge_vibe(keeps_up).verdict == "refuted"
    assert goodhart.judge_vibe(table(hacked, correlation=0.2)).verdict == "refuted"


def test_a_violated_guarantee_is_an_error_of_arithmetic_not_a_verdict():
    impossible = table(hacked).with_columns(guaranteed=pl.col("gold") + 1e-6)
    judged = goodhart.judge_vibe(impossible)
    assert judged.verdict == "undecided"
    assert "arithmetic is wrong" in judged.measured


def test_fits_use_only_points_below_saturation():
    broken_beyond = table(lambda d, _: d * (2 - 0.2 * d) if d**2 <= 40 else -100.0)
    fits = goodhart.fits(broken_beyond, "tilt", 100)
    assert set(fits) == set(gao.FORMS)
    assert all(one.residual < 1e-12 for one in fits["square"])
    assert all(gain < 0 for gain in goodhart.criterion_gains(fits))
