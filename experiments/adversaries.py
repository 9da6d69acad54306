"""Adversaries: the strings that reward models score highest, found by search, and what gold says.

For each reward model the string with the largest score is sought: exactly over all strings, exactly
on the lattice of the word world, by beam and gradient for networks. Whether it is one word over and
over ("the the the") is the search's finding; the gallery shows what was found.
"""

import textwrap
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments import style
from experiments.experiment import Plan, grid
from experiments.judging import Judgement, all_of, at_least, at_most, undecided
from experiments.lab import gallery, words
from experiments.lab.dials import Dials, fit_proxy
from experiments.lab.reading import enough, over_seeds, said, where
from experiments.lab.tiers import holds_on, over_tiers
from experiments.lab.world import draw_world, numbers

MODELS = {
    "linear": "enumerable, linear",
    "cubic": "enumerable, 3rd degree",
    "words": "words, linear",
    "word pairs": "words, noisy pairs",
    "neural linear": "neural, linear",
    "neural gru": "neural, GRU",
}
"""Reward model -> tier and class as figures call them."""
JUDGED = {"linear": "enumerable", "words": "words", "neural linear": "neural"}
"""Models that cannot express gold, by which the claim is judged on a tier; the others stand by."""
MOST = 0.5


@dataclass(frozen=True)
class Config:
    """One reward model, whose best strings are sought."""

    model: str = "linear"  # a key of MODELS; those of the neural tier need torch
    comparisons: int = 2000  # N, pairs of strings that are compared
    misspecification: float = 0.6  # share m of gold that is inexpressible; words: of the charge
    horizon: int = 7  # tokens
    worlds: int = 4  # worlds a seed (of words: 1), whose mean is judged


def plans(
    horizon: int, worlds: int, length: int, short: int, networks: int = 1
) -> tuple[Config, ...]:
    """Every model at the horizon of its tier."""
    small = grid(Config, model=("linear", "cubic"), horizon=(horizon,), worlds=(worlds,))
    one: dict[str, Any] = {"worlds": (1,)}
    lattice = {"model": ("words", "word pairs"), "misspecification": (1.0,), "horizon": (length,)}
    network = {"model": ("neural linear", "neural gru"), "horizon": (short,)}
    return small + grid(Config, **lattice, **one) + grid(Config, **network, worlds=(networks,))


SWEEP = {
    "smoke": Plan(plans(4, 1, 6, 4)[:4], seeds=2),
    "quick": Plan(plans(7, 4, 32, 5, networks=3), seeds=10),
    "full": Plan(plans(8, 8, 32, 6), seeds=20),
}


def run(config: Config, seed: int) -> list[dict[str, Any]]:
    """Fit the model and search; one row a string."""
    dials = Dials(config.misspecification, config.comparisons)
    if config.model in ("words", "word pairs"):
        turned = dials.turned("tail", 3.0) if config.model == "word pairs" else dials
        proxy = words.fit_words(turned, seed, horizon=config.horizon)
        return [{"world": 0, **row} for row in gallery.in_words(proxy)]
    if config.model.startswith("neural"):
        from experiments.lab import neural  # torch is needed by these cells alone

        network: neural.Network = "gru" if config.model == "neural gru" else "counts"
        return [
            {"world": number, **row}
            for number in numbers(seed, config.worlds)
            for row in gallery.in_neural(neural.fit_neural(dials, number, network, config.horizon))
        ]
    rows = []
    degree = 3 if config.model == "cubic" else 1
    for number in numbers(seed, config.worlds):
        found = fit_proxy(draw_world(number, config.horizon), dials, number, degree)
        rows += [{"world": number, **row} for row in gallery.in_enumerable(found)]
    return rows


def adversaries(table: pl.DataFrame, model: str) -> pl.DataFrame:
    """The strings found by search against one model: exact where it can be."""
    rows = table.filter(pl.col("config.model") == model)
    return rows.filter(where(best_by="search" if model.startswith("neural") else "proxy"))


def per_seed(table: pl.DataFrame, column: str) -> np.ndarray:
    """A column's mean of each seed [seed]."""
    return (
        table.group_by("seed").agg(pl.col(column).cast(pl.Float64).mean()).sort("seed")[column]
    ).to_numpy()


def judge(table: pl.DataFrame) -> Judgement:
    """Claim 5: the string that a misspecified model likes best is one word over and over."""
    parts, verdicts, least = [], {}, []
    for model, name in MODELS.items():
        rows = adversaries(table, model)
        if not enough(rows):
            continue
        share, gold = per_seed(rows, "degenerate"), per_seed(rows, "gold")
        parts.append(f"{name} {said(share)} (gold {said(gold, 1)} sd)")
        if model in JUDGED:
            least.append(share)
            verdicts[JUDGED[model]] = all_of(
                [at_least(over_seeds(share), MOST), at_most(over_seeds(gold), 0.0)]
            )
    if not verdicts:
        return undecided("no string was sought against a misspecified model under two seeds")
    worst = min(least, key=lambda share: float(share.mean()))
    told = f"{', '.join(parts)}: {holds_on(verdicts)}"
    measured = f"share of the best strings that repeat one word: {told}"
    return Judgement(float(worst.mean()), over_seeds(worst), over_tiers(verdicts), measured)


def draw(table: pl.DataFrame) -> Figure:
    """Left: proxy and gold of every adversary. Right: the gallery, one string a model."""
    figure = style.figure(columns=2, height_to_width=1.05)
    left, right = figure.subplots(1, 2, width_ratios=(0.85, 1.15))
    for index, (model, name) in enumerate(MODELS.items()):
        rows = adversaries(table, model)
        if rows.is_empty():
            continue
        look = style.series(index)
        left.plot(
            rows["proxy"],
            rows["gold"],
            ls="none",
            marker=look["marker"],
            color=look["color"],
            ms=2.5,
            alpha=0.7,
            label=name,
        )
    left.axhline(0, color="0.6", lw=0.5, zorder=0)
    left.set(xlabel="proxy, sd above the mean", ylabel="gold, sd above the mean")
    left.set_title("Best strings by the proxy")
    left.legend(fontsize="xx-small", loc="best")
    draw_gallery(right, table)
    return figure


def draw_gallery(axes: Axes, table: pl.DataFrame) -> None:
    """The first seed's first string under each model."""
    axes.set_axis_off()
    axes.set_title("The gallery")
    top = 1.0
    for model, name in MODELS.items():
        rows = adversaries(table, model).sort("seed", "world")
        if rows.is_empty():
            continue
        row = rows.row(0, named=True)
        head = (
            f"{name}: proxy {row['proxy']:+.1f}, gold {row['gold']:+.1f}, "
            f"ln ref {row['log_prob']:.0f}"
        )
        body = textwrap.wrap(f"{row['prompt']} | {row['string']}", 58)
        if len(body) > 2:
            body = [body[0], body[1][:54] + " ..."]
        for number, line in enumerate((head, *body)):
            look: dict[str, Any] = {"weight": "bold"} if number == 0 else {"style": "italic"}
            axes.text(0, top, line, transform=axes.transAxes, va="top", fontsize="xx-small", **look)
            top -= 0.05
        top -= 0.025
