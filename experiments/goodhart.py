"""Goodhart curves read from a table of rows, and the judges of the claims about them.

A row is one point of one path of optimisation: `method`, `setting`, `comparisons`, `seed`,
`distance` = sqrt(KL), and the gains `proxy` and `gold` in standard deviations under the reference.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from experiments import gao
from experiments.judging import Judgement, all_of, at_least, at_most, bootstrap_interval, undecided

SATURATION = 0.5
"""Curves are fitted below this share of the largest KL a policy can reach: beyond, a finite set of
strings caps it."""

REPORTED_FALL = 1.0
"""A fall of the gold reward that counts, in its standard deviations under the reference."""

ON_THE_CURVE = 0.1
"""How far a path's gold may lie from another's at equal KL to count as the same, in the same
unit."""


@dataclass(frozen=True)
class Turn:
    """Where one curve peaks and where it ends.

    Args:
        peak: the largest gold gain on the curve.
        peak_distance: sqrt(KL) there.
        final: the gold gain where optimisation is strongest.
        fall: peak - final.
    """

    peak: float
    peak_distance: float
    final: float

    @property
    def fall(self) -> float:
        return self.peak - self.final


def curve(table: pl.DataFrame, method: str, comparisons: int, seed: int) -> pl.DataFrame:
    """The points of one path, from the reference outwards."""
    chosen = (
        (pl.col("method") == method)
        & (pl.col("comparisons") == comparisons)
        & (pl.col("seed") == seed)
    )
    return table.filter(chosen).sort("distance")


def turn(points: pl.DataFrame) -> Turn:
    """Peak and end of a curve; the reference itself, with gain 0, belongs to it."""
    gold, distance = np.append(0.0, points["gold"]), np.append(0.0, points["distance"])
    top = int(gold.argmax())
    return Turn(float(gold[top]), float(distance[top]), float(gold[-1]))


def seeds_of(table: pl.DataFrame) -> list[int]:
    """The seeds of a table, in order."""
    return table["seed"].unique().sort().to_list()


def interval(values: list[float]) -> tuple[float, float]:
    """95 % over seeds, with a generator of its own so that a verdict is a function of the rows."""
    return bootstrap_interval(values, np.random.default_rng(0))


def below_saturation(points: pl.DataFrame) -> pl.DataFrame:
    """The points that a form may be fitted to."""
    return points.filter(
        (pl.col("kl") <= SATURATION * pl.col("largest_kl")) & (pl.col("distance") > 0)
    )


def fits(table: pl.DataFrame, method: str, comparisons: int) -> dict[gao.Form, list[gao.GaoFit]]:
    """Both of Gao's forms fitted to every seed's curve below saturation."""
    curves = [below_saturation(curve(table, method, comparisons, seed)) for seed in seeds_of(table)]
    return {form: [gao.fit(form, c["distance"], c["gold"]) for c in curves] for form in gao.FORMS}


def criterion_gains(fits: dict[gao.Form, list[gao.GaoFit]]) -> list[float]:
    """Akaike's criterion of the square form less the logarithm's, a number a seed: below 0, the
    square fits better.
    """
    pairs = zip(fits["square"], fits["logarithm"], strict=True)
    return [square.criterion - logarithm.criterion for square, logarithm in pairs]


def judge_hacking(table: pl.DataFrame) -> Judgement:
    """Claim 5: under the proxy from most comparisons, gold peaks and ends below the reference."""
    most = int(table["comparisons"].max())  # type: ignore[arg-type]
    curves = [curve(table, "tilt", most, seed) for seed in seeds_of(table)]
    if len(curves) < 2:
        return undecided("one seed alone gives no interval")
    turns = [turn(points) for points in curves]
    ends, falls = [t.final for t in turns], [t.fall for t in turns]
    repeated = float(np.mean([points["repeats"][-1] / points["length"][-1] for points in curves]))
    measured = (
        f"N = {most:,}: gold +{np.mean([t.peak for t in turns]):.2f} sd at d = "
        f"{np.mean([t.peak_distance for t in turns]):.1f}, then {np.mean(ends):.2f} sd at d = "
        f"{np.mean([points['distance'][-1] for points in curves]):.1f}; "
        f"there {repeated:.0%} of tokens repeat"
    )
    verdict = all_of([at_most(interval(ends), 0.0), at_least(interval(falls), REPORTED_FALL)])
    return Judgement(float(np.mean(ends)), interval(ends), verdict, measured)


def judge_early_stopping(table: pl.DataFrame) -> Judgement:
    """Claim 8: natural gradient peaks before its last step, on the curve of the KL penalty."""
    stepped = table.filter(pl.col("method") == "natural-gradient")
    if stepped.is_empty() or len(seeds_of(stepped)) < 2:
        return undecided("no gradient path of two seeds or more")
    comparisons = int(stepped["comparisons"][0])
    falls, gaps, stops, control = [], [], [], []
    for seed in seeds_of(stepped):
        natural = curve(table, "natural-gradient", comparisons, seed)
        falls.append(turn(natural).fall)
        stops.append(float(natural["setting"][int(natural["gold"].arg_max() or 0)]))
        gaps.append(gap(natural))
        control.append(gap(curve(table, "vanilla-gradient", comparisons, seed)))
    measured = (
        f"best stop at step {np.median(stops):.0f} of {stepped['setting'].max():.0f}; running on "
        f"costs {np.mean(falls):.2f} sd; off the KL-penalty curve by {np.mean(gaps):.3f} sd "
        f"(vanilla gradient {np.mean(control):.3f})"
    )
    verdict = all_of(
        [at_least(interval(falls), REPORTED_FALL), at_most(interval(gaps), ON_THE_CURVE)]
    )
    return Judgement(float(np.mean(falls)), interval(falls), verdict, measured)


def gap(path: pl.DataFrame) -> float:
    """The largest difference in gold between a path and the Gibbs optima with the same KL.

    Points whose KL no Gibbs optimum reaches have none to be compared with.
    """
    reached = path.drop_nulls("gibbs_gold")
    return float(np.abs(reached["gold"].to_numpy() - reached["gibbs_gold"].to_numpy()).max())


def judge_vibe(table: pl.DataFrame) -> Judgement:
    """Claim 4: the gold gain falls short of what the proxy's correlation promises."""
    most = int(table["comparisons"].max())  # type: ignore[arg-type]
    ends = table.filter((pl.col("method") == "tilt") & (pl.col("comparisons") == most))
    violated = table.filter(pl.col("guaranteed") > pl.col("gold") + 1e-9)
    if not violated.is_empty():
        return undecided(
            f"the guarantee, a theorem, fails at {len(violated)} points: the arithmetic is wrong"
        )
    ends = ends.sort("distance").group_by("seed", maintain_order=True).last().sort("seed")
    if len(ends) < 2:
        return undecided("one seed alone gives no interval")
    promised = ends["correlation"] * ends["proxy"]
    shortfall = (promised - ends["gold"]).to_list()
    correlation = ends["correlation"].to_list()
    trusted = table.filter((pl.col("comparisons") == most) & (pl.col("guaranteed") > 0))[
        "distance"
    ].max()
    measured = (
        f"correlation {np.mean(correlation):.2f}; promised {promised.mean():.1f} sd, "
        f"got {ends['gold'].mean():.1f}; the guarantee is above zero up to d = {trusted or 0.0:.2f}"
    )
    verdict = all_of(
        [at_least(interval(shortfall), REPORTED_FALL), at_least(interval(correlation), 0.5)]
    )
    return Judgement(float(np.mean(shortfall)), interval(shortfall), verdict, measured)
