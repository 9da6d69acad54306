"""Goodhart's page: gold against proxy and KL, and which of four dials makes the curve turn.

A proxy is fitted with four dials on or off (`lab.dials`): misspecification, estimation, coverage,
tail. It is then optimised by exact tilting, in a world whose strings are summed over and in a world
of real English words over 32 tokens. With every dial off, proxy and gold agree; each panel turns
dials alone or together.
"""

import math
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments import style
from experiments.experiment import Plan
from experiments.judging import Judgement, all_of, at_least, undecided
from experiments.lab import arena
from experiments.lab.dials import Dials
from experiments.lab.drawing import DISTANCE
from experiments.lab.reading import (
    DIALS,
    OFF,
    alone,
    enough,
    falls,
    over_seeds,
    said,
    set_to,
)
from experiments.lab.tiers import holds_on, over_tiers

BETAS = tuple(float(beta) for beta in np.geomspace(8.0, 0.02, 18).round(4))
ON = {
    "enumerable": {"misspecification": 0.6, "estimation": 300.0, "coverage": 3.0, "tail": 2.0},
    "words": {"misspecification": 1.0, "estimation": 3000.0, "coverage": 2.0, "tail": 2.0},
}
"""Where each dial stands when it is on."""
REPORTED_FALL = 1.0
"""A fall of gold from its peak that counts, in its standard deviations under the reference."""


@dataclass(frozen=True)
class Config:
    """One tier and one setting of the four dials."""

    tier: str = "enumerable"  # enumerable or words
    misspecification: float = 0.0  # share m; m^2 of gold's variance is inexpressible; 0: off
    estimation: float = math.inf  # comparisons; inf: off
    coverage: float = 1.0  # exponent of the reference that comparisons are drawn from; 1: off
    tail: float = 0.0  # degrees of freedom of the strings' own errors; 0: off
    horizon: int = 7  # tokens
    worlds: int = 4  # enumerable worlds a seed, whose mean is judged
    betas: tuple[float, ...] = BETAS  # weights of the KL term, in sd of gold


def settings(tier: str, horizon: int, every: bool) -> tuple[Config, ...]:
    """Dials off, each alone, all together; with `every`, all sixteen combinations."""
    combinations = product(*((OFF[dial], ON[tier][dial]) for dial in DIALS))
    configs = [Config(tier, m, n, c, t, horizon) for m, n, c, t in combinations]
    few = (0, 1, len(DIALS))
    return tuple(c for c in configs if every or switches(c) in few)


def switches(config: Config) -> int:
    """How many dials are on."""
    return sum(getattr(config, dial) != OFF[dial] for dial in DIALS)


SWEEP = {
    "smoke": Plan(settings("enumerable", 4, False)[:3] + settings("words", 8, False)[1:3], seeds=2),
    "quick": Plan(settings("enumerable", 7, False) + settings("words", 32, False), seeds=10),
    "full": Plan(settings("enumerable", 8, True) + settings("words", 32, True), seeds=20),
}


def run(config: Config, seed: int) -> list[dict[str, Any]]:
    """Fit the proxy and follow the tilt; one row a beta."""
    dials = Dials(**{dial: getattr(config, dial) for dial in DIALS})
    course = arena.Course(betas=config.betas)
    if config.tier == "words":
        return list(arena.word_world(dials, seed, course, horizon=config.horizon))
    return list(arena.enumerable(dials, seed, course, config.horizon, worlds=config.worlds))


def judge(table: pl.DataFrame) -> Judgement:
    """Claim 5, which dial: misspecification alone turns the curve, no other dial alone does so."""
    parts, worst, verdicts = [], [], {}
    for tier in ON:
        here = table.filter(set_to(tier=tier))
        single = {dial: alone(here, dial) for dial in DIALS}
        if not all(enough(rows) for rows in single.values()):
            continue
        by_dial = {dial: falls(rows) for dial, rows in single.items()}
        others = {dial: by_dial[dial].mean() for dial in DIALS if dial != "misspecification"}
        rival = max(others, key=lambda dial: others[dial])
        lead = by_dial["misspecification"] - by_dial[rival]
        verdicts[tier] = all_of(
            [
                at_least(over_seeds(by_dial["misspecification"]), REPORTED_FALL),
                at_least(over_seeds(lead), 0.0),
            ]
        )
        worst.append(lead)
        reach = single["misspecification"]["distance"].to_numpy().max()
        shown = ", ".join(f"{dial} {said(values)}" for dial, values in by_dial.items())
        parts.append(f"{tier}, up to d = {reach:.1f}: {shown}")
    if not verdicts:
        return undecided("no tier has each dial alone under two seeds or more")
    least = min(worst, key=lambda lead: lead.mean())
    told = f"{'; '.join(parts)}: {holds_on(verdicts, ON)}"
    measured = f"falls of gold in sd, each dial alone: {told}"
    return Judgement(float(least.mean()), over_seeds(least), over_tiers(verdicts, ON), measured)


PANELS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("no dial", ()),
    ("misspecification", ("misspecification",)),
    ("estimation", ("estimation",)),
    ("coverage", ("coverage",)),
    ("tail", ("tail",)),
    ("all four", DIALS),
)


def draw(table: pl.DataFrame) -> Figure:
    """Small multiples: a row a tier, a column a setting of the dials.

    A proxy that runs away from gold leaves its panel at the top.
    """
    tiers = [tier for tier in ON if not table.filter(set_to(tier=tier)).is_empty()]
    figure = style.figure(rows=len(tiers), columns=len(PANELS), height_to_width=1.5)
    grid = figure.subplots(len(tiers), len(PANELS), squeeze=False, sharex="row", sharey="row")
    for row, tier in enumerate(tiers):
        here = table.filter(set_to(tier=tier))
        for column, (title, dials) in enumerate(PANELS):
            axes = grid[row, column]
            draw_panel(axes, alone(here, *dials))
            if row == 0:
                axes.set_title(title, fontsize="small")
        grid[row, 0].set_ylabel(f"{tier}\ngain, sd")
        show_gold(grid[row], here)
    figure.supxlabel(DISTANCE, fontsize="medium")
    lines = [
        Line2D([], [], color=style.COLOURS[1], ls="--", label="proxy, mean over seeds"),
        Line2D([], [], color=style.COLOURS[0], label="gold, mean over seeds"),
        Line2D([], [], color=style.COLOURS[0], lw=0.4, alpha=0.5, label="gold, mean of one seed"),
    ]
    figure.legend(handles=lines, loc="outside upper center", ncols=3, fontsize="small")
    return figure


def show_gold(panels: np.ndarray, table: pl.DataFrame) -> None:
    """Scale the row by gold and by the proxy where it agrees; runaway proxies leave the panel."""
    gold = table["gold"].to_numpy()
    right = alone(table)["proxy"].to_numpy()
    top = max(gold.max(), right.max(initial=0.0))
    panels[0].set_ylim(min(gold.min(), 0) - 0.1 * top, 1.25 * top)


def draw_panel(axes: Axes, table: pl.DataFrame) -> None:
    """One setting of the dials."""
    axes.axhline(0, color="0.6", lw=0.5, zorder=0)
    if table.is_empty():
        return
    thin = {"color": style.COLOURS[0], "lw": 0.4, "alpha": 0.5}
    for seed in table.partition_by("seed"):
        points = seed.group_by("setting").agg(pl.col("distance", "gold").mean()).sort("distance")
        axes.plot(points["distance"], points["gold"], "-", **thin)
    mean = table.group_by("setting").agg(pl.col("distance", "gold", "proxy").mean())
    mean = mean.sort("setting", descending=True)
    axes.plot(mean["distance"], mean["proxy"], "--", color=style.COLOURS[1])
    axes.plot(mean["distance"], mean["gold"], "-", color=style.COLOURS[0])
