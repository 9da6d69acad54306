"""Judges of the claims about people and fitted rewards: `average_human` and `reward_recovery`."""

import numpy as np
import polars as pl

from experiments.judging import (
    Interval,
    Judgement,
    all_of,
    at_least,
    at_most,
    bootstrap_interval,
    undecided,
)

CONTRADICTED = 0.05
"""A share of pairs ordered against mean utility that counts."""

EXPONENT_TOLERANCE = 0.1
"""How far the exponent may lie from 1 / beta, as a share of it."""

EXACT = 1e-9
"""How far off an identity may be: rounding, and a population fit to 1e-12."""

SLOPE_TOLERANCE = 0.05
"""How far the exponents of N and d may lie from -1/2 and 1/2."""

CONSTANT_TOLERANCE = 0.05
"""How far the error may lie from its asymptotic value at most comparisons a dimension."""


def interval(values: list[float]) -> Interval:
    """95 % over seeds, with a generator of its own so that a verdict is a function of the rows."""
    return bootstrap_interval(values, np.random.default_rng(0))


def seed_means(table: pl.DataFrame, column: str) -> list[float]:
    """The mean of a column under each seed, in the order of the seeds."""
    return table.group_by("seed").agg(pl.col(column).mean()).sort("seed")[column].to_list()


def judge_borda(table: pl.DataFrame) -> Judgement:
    """Claim 16: the fitted order is Borda's in every world, and not that of mean utility."""
    once = table.filter(pl.col("beta") == pl.col("beta").max())
    even = once.filter(pl.col("config.coverage") == "even")
    alone, mixed = even.filter(pl.col("config.types") == 1), even.filter(pl.col("config.types") > 1)
    if alone.is_empty() or mixed["seed"].n_unique() < 2:
        return undecided("no control with one type, or fewer than two seeds")
    if alone["against_mean"].max() != 0 or alone["against_borda"].max() != 0:
        return undecided("with one type all orders are one, but differ: the arithmetic is wrong")
    shares = seed_means(mixed, "against_mean")
    worst = float(even["against_borda"].max())  # type: ignore[arg-type]
    uneven = once.filter((pl.col("config.coverage") == "uneven") & (pl.col("config.types") > 1))
    note = "" if uneven.is_empty() else f" (uneven coverage: {uneven['against_borda'].mean():.1%})"
    measured = (
        f"against Borda on at most {worst:.0%} of pairs{note}, against mean utility on "
        f"{np.mean(shares):.1%}; the best answer is not the mean's best in "
        f"{1 - mixed['best_for_mean'].mean():.0%} of worlds"  # type: ignore[operator]
    )
    verdict = all_of([at_most((worst, worst), 0.0), at_least(interval(shares), CONTRADICTED)])
    return Judgement(float(np.mean(shares)), interval(shares), verdict, measured)


def judge_amplification(table: pl.DataFrame) -> Judgement:
    """Claim 16: the tilted policy raises preference odds to the power 1 / beta."""
    even = table.filter(pl.col("config.coverage") == "even")
    beta = float(even["beta"].min())  # type: ignore[arg-type]
    alone, mixed = even.filter(pl.col("config.types") == 1), even.filter(pl.col("config.types") > 1)
    if alone.is_empty() or mixed["seed"].n_unique() < 2 or beta >= 1:
        return undecided("no control with one type, fewer than two seeds, or no beta below 1")
    worst = float((alone["beta"] * alone["exponent"] - 1).abs().max())  # type: ignore[arg-type]
    if worst > EXACT:
        return undecided(f"with one type the slope is off by {worst:.2g}: the arithmetic is wrong")
    strongest = mixed.filter(pl.col("beta") == beta)
    exponents = seed_means(strongest, "exponent")
    low, high = ((1 + sign * EXPONENT_TOLERANCE) / beta for sign in (-1, 1))
    measured = (
        f"odds to the power {np.mean(exponents):.2f} at beta = {beta:g}; between the best two "
        f"answers a minority of {strongest['minority'].mean():.0%} keeps "
        f"{strongest['minority_kept'].mean():.1%}"
    )
    found = interval(exponents)
    verdict = all_of([at_least(found, low), at_most(found, high)])
    return Judgement(float(np.mean(exponents)), found, verdict, measured)


def judge_recovery(table: pl.DataFrame) -> Judgement:
    """Claim 1, the estimation stage: the error is k sqrt(d / N), exponents and constant."""
    missing = table.filter(~pl.col("converged"))
    if not missing.is_empty():
        return undecided(f"{len(missing)} of {len(table)} data sets have no maximum: raise N")
    if table["seed"].n_unique() < 2:
        return undecided("one seed alone gives no interval")
    dimension, comparisons = pl.col("config.dimension"), pl.col("config.comparisons")
    table = table.with_columns(
        (pl.col("error") / pl.col("constant") * (comparisons / dimension).sqrt()).alias("ratio")
    )
    cell = ["seed", "config.dimension", "config.comparisons"]
    errors = table.group_by(cell).agg((pl.col("error") ** 2).mean().sqrt()).sort(cell)
    slopes = np.array([exponents(rows) for _, rows in errors.group_by("seed", maintain_order=True)])
    in_n, in_d = interval(slopes[:, 0].tolist()), interval(slopes[:, 1].tolist())
    most = table.filter(comparisons / dimension == (comparisons / dimension).max())
    squares = most.group_by("seed").agg((pl.col("ratio") ** 2).mean()).sort("seed")["ratio"]
    constant = interval(squares.to_list())
    verdict = all_of(
        [
            *within(in_n, -0.5, SLOPE_TOLERANCE),
            *within(in_d, 0.5, SLOPE_TOLERANCE),
            *within(constant, 1.0, 2 * CONSTANT_TOLERANCE),  # of a square
        ]
    )
    measured = (
        f"error ~ N^{slopes[:, 0].mean():.3f} d^{slopes[:, 1].mean():.3f}; over k sqrt(d / N) "
        f"{float(np.sqrt(squares.mean())):.3f}, k = {most['constant'].mean():.2f}; the lemma "  # type: ignore[arg-type]
        f"holds with C = {lemma_constant(table):.2f}"
    )
    return Judgement(float(slopes[:, 0].mean()), in_n, verdict, measured)


def exponents(errors: pl.DataFrame) -> np.ndarray:
    """(a, b) of ln error = c + a ln N + b ln d, by least squares."""
    columns = ("config.comparisons", "config.dimension")
    design = np.stack([np.log(errors[name].to_numpy()) for name in columns], axis=1)
    design = np.column_stack([design, np.ones(len(design))])
    return np.linalg.lstsq(design, np.log(errors["error"].to_numpy()), rcond=None)[0][:2]


def within(found: Interval, centre: float, tolerance: float) -> list:
    """The two verdicts on whether an interval lies within a tolerance of a number."""
    return [at_least(found, centre - tolerance), at_most(found, centre + tolerance)]


def lemma_constant(table: pl.DataFrame, delta: float = 0.05) -> float:
    """The least C for which the lemma's bound holds in 1 - delta of all data sets."""
    dimension, comparisons = pl.col("config.dimension"), pl.col("config.comparisons")
    bound = ((dimension + np.log(1 / delta)) / comparisons).sqrt() / pl.col("curvature")
    return float(table.select((pl.col("error") / bound).quantile(1 - delta, "higher")).item())
