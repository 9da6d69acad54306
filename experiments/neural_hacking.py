"""Neural hacking: a GRU policy under sampled policy gradient games a reward model, or does not.

The policy is pretrained on a reference whose strings can be summed over; a reward model is fitted
to 2,000 comparisons of its strings: linear in counts of tokens, which cannot express the gold
reward, or a GRU, which can. RLOO without a KL penalty raises its scores; KL, proxy and gold of the
policy are exact at every mark. Training is sampled: every number is judged over seeds.
"""

from dataclasses import dataclass
from typing import Any, get_args

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments import goodhart, style
from experiments.experiment import Plan, grid
from experiments.judging import Judgement, all_of, at_least, undecided
from experiments.lab.curves import marks
from experiments.lab.dials import Dials
from experiments.lab.drawing import DISTANCE
from experiments.lab.reading import by_seed, enough, falls, over_seeds, said, set_to

NETWORKS = {"counts": "linear in counts", "gru": "GRU"}
"""Reward model -> its name in figures."""
FALL = 0.5
"""A fall of gold from its peak that counts, in its standard deviations under the reference."""


@dataclass(frozen=True)
class Config:
    """One reward model, and the training against it."""

    network: str = "counts"  # reward model: counts (linear) or gru
    misspecification: float = 0.6  # share m; m^2 of gold's variance is no linear function of counts
    comparisons: int = 2000  # N, pairs of strings that are compared
    horizon: int = 5  # tokens
    steps: int = 150  # of Adam, each on 64 draws of the policy
    learning_rate: float = 5e-3  # of Adam


SWEEP = {
    "smoke": Plan(grid(Config, network=tuple(NETWORKS), horizon=(3,), steps=(5,)), seeds=2),
    "quick": Plan(grid(Config, network=tuple(NETWORKS)), seeds=10),
    "full": Plan(grid(Config, network=tuple(NETWORKS), comparisons=(500, 2000, 20_000)), seeds=20),
}


def run(config: Config, seed: int) -> list[dict[str, Any]]:
    """Fit the reward model and train the policy; one row a measured step."""
    from experiments.lab import neural  # torch is needed by cells alone

    if config.network not in get_args(neural.Network):
        known = ", ".join(get_args(neural.Network))
        raise ValueError(f"network is {config.network!r}, but should be one of {known} [Config].")
    dials = Dials(config.misspecification, config.comparisons)
    proxy = neural.fit_neural(dials, seed, config.network, config.horizon)  # type: ignore[arg-type]
    path = neural.hacked(proxy, seed, config.steps, config.learning_rate, marks(config.steps, 24))
    return [{"world": seed, **row} for row in path]


def of(table: pl.DataFrame, network: str) -> pl.DataFrame:
    """The paths against one kind of reward model, under most comparisons that were drawn."""
    chosen = table.filter(set_to(network=network))
    return chosen.filter(pl.col("config.comparisons") == pl.col("config.comparisons").max())


def judge(table: pl.DataFrame) -> Judgement:
    """Claim 5 on a neural policy: the linear reward model is gamed, the GRU less than half as."""
    linear, able = (of(table, network) for network in NETWORKS)
    if not (enough(linear) and enough(able)):
        return undecided("no paths against both reward models under two seeds or more")
    gamed, kept = falls(linear), falls(able)
    tops = [said(by_seed(rows, lambda p: goodhart.turn(p).peak)) for rows in (linear, able)]
    ends = [said(by_seed(rows, lambda p: goodhart.turn(p).final)) for rows in (linear, able)]
    verdict = all_of(
        [at_least(over_seeds(gamed), FALL), at_least(over_seeds(0.5 * gamed - kept), 0.0)]
    )
    measured = (
        f"gold peaks at {' and '.join(tops)} sd and ends at {' and '.join(ends)} under the linear "
        f"and the GRU reward model; falls {said(gamed)} and {said(kept)} sd"
    )
    return Judgement(float(gamed.mean()), over_seeds(gamed), verdict, measured)


def draw(table: pl.DataFrame) -> Figure:
    """Gold and proxy against distance under each reward model: every seed, and the mean by step."""
    figure = style.figure(columns=2, height_to_width=0.8)
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (network, name) in zip(panels, NETWORKS.items(), strict=True):
        draw_paths(axes, of(table, network))
        axes.set_title(f"reward model: {name}")
        axes.set_xlabel(DISTANCE)
    panels[0].set_ylabel("gain, sd under ref")
    panels[0].legend(fontsize="x-small", loc="upper left")
    return figure


def draw_paths(axes: Axes, table: pl.DataFrame) -> None:
    """Thin lines are seeds, thick ones means at equal steps."""
    axes.axhline(0, color="0.6", lw=0.5, zorder=0)
    for points in table.sort("setting").partition_by("seed"):
        axes.plot(
            points["distance"], points["gold"], "-", color=style.COLOURS[0], lw=0.4, alpha=0.6
        )
    mean = table.group_by("setting").agg(pl.col("distance", "gold", "proxy").mean())
    mean = mean.sort("setting")
    axes.plot(mean["distance"], mean["proxy"], "--", color=style.COLOURS[1], label="proxy, mean")
    axes.plot(mean["distance"], mean["gold"], "-", color=style.COLOURS[0], label="gold, mean")
    axes.plot([], [], "-", color=style.COLOURS[0], lw=0.4, alpha=0.6, label="gold, each seed")
