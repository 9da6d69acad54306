"""Over-optimisation: where gold turns, and which of Gao's two forms its curve has.

A misspecified proxy is optimised in four ways: exact tilting, exact best-of-n, natural and vanilla
policy gradient on token logits. Both forms of Gao, Schulman and Hilton (2022) are fitted to every
curve below saturation, and the peak is located against the number of comparisons and the size of
the reward model (monomials of 1, 2 or 3 counts of words).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments import gao, goodhart, style
from experiments.experiment import Plan, grid
from experiments.judging import Judgement, all_of, at_least, at_most, undecided
from experiments.lab import arena, curves
from experiments.lab.dials import Dials
from experiments.lab.drawing import DISTANCE, legend_below
from experiments.lab.reading import (
    by_seed,
    enough,
    falls,
    over_seeds,
    said,
    set_to,
    where,
)
from experiments.lab.tiers import holds_on, over_tiers

TIERS = ("enumerable", "words")
METHODS: dict[curves.Method, str] = {
    "tilt": "tilt",
    "best-of-n": "best of n",
    "token-gradient": "natural gradient",
    "vanilla-gradient": "vanilla gradient",
}
"""Path -> its name in figures and verdicts."""
FEW, MANY = 50, 20_000
"""Numbers of comparisons that are set beside each other."""
EVEN = 24
"""Places, evenly spaced in distance, at which a curve is read before a form is fitted: no method's
own spacing of points weighs in."""
DECISIVE = 2.0
"""A difference in Akaike's criterion that counts."""
FURTHER_OUT = 1.5
"""How much further out a peak has to lie to count as moved."""


@dataclass(frozen=True)
class Config:
    """One reward model and the paths that optimise it."""

    tier: str = "enumerable"  # enumerable or words
    comparisons: int = MANY  # N, pairs of strings that are compared
    degree: int = 1  # largest number of counts multiplied in a feature; words: 1
    misspecification: float = 0.6  # share m; m^2 of gold's variance is no linear function of counts
    every_method: bool = True  # policy gradients too, beside tilt and best-of-n
    horizon: int = 6  # tokens
    worlds: int = 4  # enumerable worlds a seed, whose mean is judged
    steps: int = 60  # gradient steps
    step_size: float = 0.5  # of natural gradient, in 1 / sd of gold


def plans(
    horizon: int, worlds: int, sizes: tuple[int, ...], larger_at: tuple[int, ...]
) -> tuple[Config, ...]:
    """Every method for linear rewards (of words: under most comparisons), else two; both tiers."""
    one = grid(Config, comparisons=sizes, horizon=(horizon,), worlds=(worlds,))
    wide: dict[str, Any] = {"horizon": (horizon,), "worlds": (worlds,), "every_method": (False,)}
    larger = grid(Config, comparisons=larger_at, degree=(2, 3), **wide)
    words: dict[str, Any] = {"tier": ("words",), "misspecification": (1.0,), "horizon": (32,)}
    few = grid(Config, comparisons=sizes[:-1], worlds=(1,), every_method=(False,), **words)
    return one + larger + few + grid(Config, comparisons=sizes[-1:], worlds=(1,), **words)


SWEEP = {
    "smoke": Plan(
        (
            Config(horizon=4, worlds=1, steps=10),
            Config(comparisons=FEW, horizon=4, worlds=1, steps=10),
            Config(tier="words", comparisons=300, misspecification=1.0, horizon=8, steps=5),
        ),
        seeds=2,
    ),
    "quick": Plan(plans(6, 8, (FEW, 1000, MANY), (MANY,)), seeds=10),
    "full": Plan(plans(7, 3, (FEW, 200, 1000, 5000, MANY), (FEW, 1000, MANY)), seeds=20),
}


def run(config: Config, seed: int) -> list[dict[str, Any]]:
    """Fit the proxy and follow the paths; one row a point."""
    dials = Dials(config.misspecification, config.comparisons)
    methods = tuple(METHODS) if config.every_method else tuple(METHODS)[:2]
    course = arena.Course(methods, steps=config.steps, step_size=config.step_size, marks=16)
    if config.tier == "words":
        return list(arena.word_world(dials, seed, course, horizon=config.horizon))
    chosen = config.horizon, config.degree, config.worlds
    return list(arena.enumerable(dials, seed, course, *chosen))


def evenly(points: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Distances evenly spaced from the reference to saturation, and gold read off between points.

    Beyond half of the largest KL that any policy reaches, a finite set of strings caps the curve.
    """
    kept = goodhart.below_saturation(points)
    if kept.height < 2:
        return np.empty(0), np.empty(0)
    distance, gold = np.append(0.0, kept["distance"]), np.append(0.0, kept["gold"])
    at = np.linspace(0, distance[-1], EVEN + 1)[1:]
    return at, np.interp(at, distance, gold)


def form_gain(points: pl.DataFrame) -> float:
    """Akaike's criterion of the square form less the logarithm's; below 0 the square fits better.

    Raises:
        ValueError: a curve with fewer than two points below saturation.
    """
    square, logarithm = (gao.fit(form, *evenly(points)) for form in gao.FORMS)
    return square.criterion - logarithm.criterion


def peak_distance(points: pl.DataFrame) -> float:
    """Where one curve peaks; 0 where it only falls."""
    return goodhart.turn(points).peak_distance


def linear(table: pl.DataFrame, tier: str, method: str, comparisons: int) -> pl.DataFrame:
    """The curves of one method on the linear reward model."""
    return table.filter(set_to(tier=tier, degree=1, comparisons=comparisons) & where(method=method))


def judge_forms(table: pl.DataFrame) -> Judgement:
    """Claim 5, Gao's assignment: the square form for best-of-n, the logarithm for the others."""
    verdicts, parts, best = {}, [], []
    for tier in TIERS:
        fitting = []
        for method, name in METHODS.items():
            rows = linear(table, tier, method, MANY)
            if not enough(rows):
                continue
            gains = by_seed(rows, form_gain)
            as_said = at_most if method == "best-of-n" else at_least
            sign = -1 if method == "best-of-n" else 1
            fitting.append(as_said(over_seeds(gains), sign * DECISIVE))
            parts.append(f"{tier} {name} {said(gains, 1)}")
            if method == "best-of-n":
                best.append(gains)
        if fitting:
            verdicts[tier] = all_of(fitting)
    if not best:
        return undecided(f"no best-of-n curve under N = {MANY:,} and two seeds or more")
    worst = max(best, key=lambda gains: float(gains.mean()))
    told = f"{', '.join(parts)}: {holds_on(verdicts, TIERS)}"
    measured = f"criterion of d(a - bd) less that of d(a - b ln d): {told}"
    return Judgement(float(worst.mean()), over_seeds(worst), over_tiers(verdicts, TIERS), measured)


def judge_peak(table: pl.DataFrame) -> Judgement:
    """Claim 5, amount of data: the peak of a misspecified proxy moves out with comparisons."""
    ratios, parts, verdicts = [], [], {}
    for tier in TIERS:
        few, many = (linear(table, tier, "tilt", n) for n in (FEW, MANY))
        if not (enough(few) and enough(many)):
            continue
        near, far = by_seed(few, peak_distance), by_seed(many, peak_distance)
        if (near <= 0).any():
            return undecided(f"{tier}: under N = {FEW} a curve has no peak to be moved")
        ratios.append(far / near)
        verdicts[tier] = at_least(over_seeds(ratios[-1]), FURTHER_OUT)
        tops = [said(by_seed(rows, lambda p: goodhart.turn(p).peak)) for rows in (few, many)]
        ends = [said(falls(rows)) for rows in (few, many)]
        parts.append(
            f"{tier}: peak at d = {said(near)} and {said(far)}, gold there {' and '.join(tops)} "
            f"sd, fall from it {' and '.join(ends)} sd"
        )
    if not ratios:
        return undecided(f"no curves under N = {FEW} and N = {MANY:,} and two seeds or more")
    least = min(ratios, key=lambda ratio: float(ratio.mean()))
    measured = f"N = {FEW} and N = {MANY:,}; {'; '.join(parts)}: {holds_on(verdicts, TIERS)}"
    return Judgement(float(least.mean()), over_seeds(least), over_tiers(verdicts, TIERS), measured)


def judge_size(table: pl.DataFrame) -> Judgement:
    """Claim 5, size of the reward model: a larger class falls less than half as far."""
    tilted = table.filter(set_to(tier="enumerable", comparisons=MANY) & where(method="tilt"))
    small, large = (tilted.filter(set_to(degree=degree)) for degree in (1, 3))
    if not (enough(small) and enough(large)):
        return undecided(f"no curves of degrees 1 and 3 under N = {MANY:,} and two seeds or more")
    kept = falls(large) - 0.5 * falls(small)
    parts = [
        f"degree {degree}: fall {said(falls(rows))} sd"
        for (degree,), rows in tilted.sort("config.degree").group_by(
            "config.degree", maintain_order=True
        )
    ]
    verdict = at_most(over_seeds(kept), 0.0)
    return Judgement(float(kept.mean()), over_seeds(kept), verdict, ", ".join(parts))


def draw(table: pl.DataFrame) -> Figure:
    """Rows: the tiers. Left: methods with both forms; middle: comparisons; right: reward models."""
    figure = style.figure(rows=2, columns=3, height_to_width=0.95)
    panels = figure.subplots(2, 3)
    for row, tier in zip(panels, TIERS, strict=True):
        here = table.filter(set_to(tier=tier))
        if here.is_empty():
            continue
        most = int(here["config.comparisons"].max())  # type: ignore[arg-type]
        draw_methods(row[0], here.filter(set_to(comparisons=most, degree=1)))
        tilted = here.filter(where(method="tilt"))
        draw_ladder(row[1], tilted.filter(set_to(degree=1)), "comparisons", "N = {:,}")
        row[0].set_title(f"methods, N = {most:,}")
        row[1].set_title("comparisons")
        if tier == "enumerable":
            draw_ladder(row[2], tilted.filter(set_to(comparisons=most)), "degree", "degree {}")
            row[2].set_title("size of the RM")
        else:
            draw_criteria(row[2], table)
        for axes in row[: 3 if tier == "enumerable" else 2]:
            axes.axhline(0, color="0.6", lw=0.5, zorder=0)
            axes.set_xlabel(DISTANCE)
        row[0].set_ylabel(f"{tier}\ngold gain, sd")
    return figure


def averaged(table: pl.DataFrame) -> pl.DataFrame:
    """Mean over seeds and worlds at every setting, from the reference outwards."""
    mean = table.group_by("setting").agg(pl.col("distance", "gold", "kl", "largest_kl").mean())
    return mean.sort("distance")


def draw_methods(axes: Axes, table: pl.DataFrame) -> None:
    """Gold under each method, mean over seeds, with both forms fitted to the mean curve."""
    lines = {"square": "-", "logarithm": (0, (2, 1))}
    for index, (method, name) in enumerate(METHODS.items()):
        path, look = averaged(table.filter(where(method=method))), style.series(index)
        if path.height < 3:
            continue
        axes.plot(
            path["distance"],
            path["gold"],
            ls="none",
            marker=look["marker"],
            color=look["color"],
            label=name,
        )
        at, gold = evenly(path)
        if index < 2 and at.size:
            for form in gao.FORMS:
                fitted = gao.fit(form, at, gold)
                axes.plot(at, fitted(at), color=look["color"], ls=lines[form], lw=0.8)
    for form, formula in (("square", "$d(a-bd)$"), ("logarithm", r"$d(a-b\,\ln\,d)$")):
        axes.plot([], [], color="0.4", ls=lines[form], lw=0.8, label=formula)
    legend_below(axes, 0.8, columns=2)


def draw_ladder(axes: Axes, table: pl.DataFrame, field: str, label: str) -> None:
    """Tilted gold for each value of one field of the config; a ring marks the peak of the mean."""
    for index, ((value,), rows) in enumerate(
        table.sort(f"config.{field}").group_by(f"config.{field}", maintain_order=True)
    ):
        path, look = averaged(rows), style.series(index)
        look["marker"] = None
        axes.plot(path["distance"], path["gold"], label=label.format(value), **look)
        turn = goodhart.turn(path)
        axes.plot(turn.peak_distance, turn.peak, "o", mfc="none", ms=5, color=look["color"])
    legend_below(axes, 0.5)


def draw_criteria(axes: Axes, table: pl.DataFrame) -> None:
    """Which form fits better, method by method, 95 % over seeds, on each tier."""
    axes.axvline(0, color="0.6", lw=0.5)
    for index, tier in enumerate(TIERS):
        most = int(table["config.comparisons"].max())  # type: ignore[arg-type]
        for place, method in enumerate(METHODS):
            rows = linear(table, tier, method, most)
            if not enough(rows):
                continue
            gains, look = by_seed(rows, form_gain), style.series(index)
            low, high = over_seeds(gains)
            height = place + 0.2 * (index - 0.5)
            axes.plot([low, high], [height, height], "-", color=look["color"])
            named = tier if method == "tilt" else None
            axes.plot(gains.mean(), height, look["marker"], color=look["color"], label=named)
    axes.set_yticks(range(len(METHODS)), list(METHODS.values()), fontsize="x-small")
    axes.set_ylim(len(METHODS) + 0.4, -0.6)
    axes.set_xlabel("AIC, square less log")
    axes.set_title("which form fits")
    axes.legend(fontsize="xx-small", loc="lower left", ncols=2, handletextpad=0.1)
