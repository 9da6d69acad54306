"""First light: a word model of real English, optimised exactly against a fitted reward.

The reference is an n-gram model counted on the text that ships with CPython; prompts are its most
frequent sentence openings. The gold reward pays for informative words (Shannon: minus the log of a
word's frequency) and charges for saying a word twice in a row. The proxy is linear in the counts of
all words, fitted by Bradley-Terry to N comparisons of strings drawn from the reference. Tilting,
best-of-n and policy-gradient steps are exact: only the comparisons are drawn.
"""

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.optimize import root_scalar

from bandit_rlhf.exact import path_sum, reward_law
from bandit_rlhf.exact.lattice import LatticePolicy, Payoff
from experiments import gao, goodhart, style
from experiments.experiment import Plan, grid
from experiments.word_world import compare, fit_weights, gradient_step, world
from experiments.yardstick import Yardstick

BETAS = tuple(float(beta) for beta in np.geomspace(10, 0.02, 22).round(4))


@dataclass(frozen=True)
class Config:
    """One fit of the proxy and the paths that optimise it."""

    comparisons: int = 3000  # N, pairs of strings that the annotator compares
    vocabulary_size: int = 300  # words, the unknown word included
    horizon: int = 16  # tokens, the end of the sentence included
    prompts: int = 3  # the most frequent two-word openings that differ in their last word
    prior_sd: float = 1.0  # of each word's weight in the proxy, in logits of a comparison
    unit: float = 0.0625  # grid to which the proxy's weights are rounded, in logits
    betas: tuple[float, ...] = BETAS  # weights of the KL term, in logits
    draws: tuple[int, ...] = tuple(4**k for k in range(1, 11))  # n of best-of-n
    gradient_steps: int = 0  # policy-gradient steps; 0 leaves these paths out
    step_size: float = 0.25  # of natural gradient, in 1/logits: step t is beta = 1 / (step_size t)


SWEEP = {
    "smoke": Plan(
        (Config(comparisons=300, vocabulary_size=40, horizon=8, prompts=2, gradient_steps=20),),
        seeds=2,
    ),
    "quick": Plan(
        (
            *grid(Config, comparisons=(300, 30_000)),
            Config(comparisons=3000, gradient_steps=200),
        ),
        seeds=10,
    ),
    "full": Plan(
        (
            *grid(Config, comparisons=(300, 1000, 10_000, 30_000, 100_000), horizon=(24,)),
            Config(comparisons=3000, horizon=24, gradient_steps=200),
        ),
        seeds=20,
    ),
}


def run(config: Config, seed: int) -> list[dict[str, Any]]:
    """Draw comparisons, fit the proxy, and follow every path of optimisation exactly."""
    lattice = world(config.vocabulary_size, config.horizon, config.prompts)
    rng = np.random.default_rng((seed, config.comparisons))
    differences = compare(lattice, config.comparisons, rng)
    weights = np.rint(fit_weights(differences, config.prior_sd) / config.unit) * config.unit
    proxy = Payoff(
        np.broadcast_to(weights, lattice.log_reference.shape), np.zeros(lattice.state_count)
    )
    judge = Yardstick.of(lattice, proxy)
    shared = {"comparisons": config.comparisons, **judge.about()}
    tilted = list(tilts(config, judge))
    ladder = {beta: measures["kl"] for _, beta, measures in tilted}
    paths = (tilted, best_of(config, judge), gradient_paths(config, judge, ladder))
    return [
        {"method": method, "setting": float(setting), **shared, **measures}
        for method, setting, measures in chain(*paths)
    ]


Point = tuple[str, float, dict[str, Any]]


def tilts(config: Config, judge: Yardstick) -> Iterator[Point]:
    """The Gibbs optimum at every beta of the ladder."""
    for beta in config.betas:
        policy, _ = path_sum.gibbs_optimum(judge.lattice, judge.proxy, beta)
        yield "tilt", beta, judge.of_policy(policy)


def best_of(config: Config, judge: Yardstick) -> Iterator[Point]:
    """Best-of-n by the proxy, from the exact law of the proxy under the reference."""
    law = reward_law.reward_law(
        judge.lattice, judge.proxy, config.unit, {"gold": judge.lattice.payoffs["gold"]}
    )
    for n in config.draws:
        best = reward_law.best_of_n(law, n)
        sums = (best.kl, best.chi_squared, best.reward, best.others["gold"])
        yield "best-of-n", n, judge.gains(*(one.value for one in sums))


def gradient_paths(config: Config, judge: Yardstick, ladder: dict[float, float]) -> Iterator[Point]:
    """Exact policy gradient in the logits of every state and step, natural and vanilla.

    A vanilla step is scaled so that its largest change of a logit is the natural step's. Beside the
    gold gain stands that of the Gibbs optimum with the same KL.
    """
    marks = set(checkpoints(config.gradient_steps))
    for method in ("natural-gradient", "vanilla-gradient"):
        policy, natural = judge.lattice.reference, method == "natural-gradient"
        for step in range(1, config.gradient_steps + 1):
            policy = gradient_step(policy, judge.proxy, config.step_size, natural)
            if step in marks:
                measures = judge.of_policy(policy)
                gibbs = gibbs_of(judge, measures["kl"], ladder)
                gain = None if gibbs is None else judge.gold_gain(gibbs)
                yield method, step, {**measures, "gibbs_gold": gain}


def gibbs_of(judge: Yardstick, kl: float, ladder: dict[float, float]) -> LatticePolicy | None:
    """The Gibbs optimum with a given KL, found by its beta between two of the ladder's.

    None where tilting never gets so far: a path may settle on a string that is rarer under the
    reference than the best one.

    Args:
        judge: the problem.
        kl: the KL wanted.
        ladder: KL by beta; it falls as beta grows.
    """

    def optimum(log_beta: float) -> LatticePolicy:
        return path_sum.gibbs_optimum(judge.lattice, judge.proxy, float(np.exp(log_beta)))[0]

    def excess(log_beta: float) -> float:
        return path_sum.kl(optimum(log_beta), judge.lattice.reference).value - kl

    low = max((beta for beta, reached in ladder.items() if reached > kl), default=min(ladder) / 100)
    high = min(
        (beta for beta, reached in ladder.items() if reached <= kl), default=max(ladder) * 100
    )
    if excess(np.log(low)) < 0:
        return None
    return optimum(root_scalar(excess, bracket=(np.log(low), np.log(high)), xtol=1e-4).root)


def checkpoints(steps: int) -> list[int]:
    """The steps at which a path is measured, evenly spaced in their logarithm."""
    return sorted({round(t) for t in np.geomspace(1, steps, 15)}) if steps else []


def draw(table: pl.DataFrame) -> Figure:
    """Gold and proxy against distance, gradient steps, Gao's forms, and what is said on the way."""
    figure = style.figure(rows=2, columns=2, height_to_width=0.8)
    axes = figure.subplots(2, 2)
    draw_goodhart(axes[0, 0], table)
    draw_steps(axes[0, 1], table)
    draw_fits(axes[1, 0], table)
    draw_strings(axes[1, 1], table)
    for panel in (axes[0, 0], axes[0, 1], axes[1, 0]):
        panel.axhline(0, color="0.6", lw=0.5, zorder=0)
        panel.set_xlabel(
            r"distance $\sqrt{\mathrm{KL}(\pi\,\Vert\,\mathrm{ref})}$, in $\sqrt{\mathrm{nats}}$"
        )
        panel.set_ylabel("gain (sd under ref)")
    return figure


def averaged(table: pl.DataFrame, method: str, comparisons: int) -> pl.DataFrame:
    """Mean over seeds, and the 95 % interval of the gold gain, at every setting of one path."""
    path = table.filter((pl.col("method") == method) & (pl.col("comparisons") == comparisons))
    rows = []
    for (setting,), points in path.group_by("setting", maintain_order=True):
        gold = points.sort("seed")["gold"].to_list()
        low, high = goodhart.interval(gold) if len(gold) > 1 else (gold[0], gold[0])
        centre = {name: points[name].mean() for name in ("distance", "gold", "proxy")}
        rows.append({"setting": setting, **centre, "low": low, "high": high})
    return pl.DataFrame(rows).sort("distance")


def draw_goodhart(axes: Axes, table: pl.DataFrame) -> None:
    """Gold (bands: 95 % over seeds) and proxy against distance, tilting and best-of-n."""
    sizes = table["comparisons"].unique().sort().to_list()
    for index, comparisons in enumerate(sizes):
        look = style.series(index)
        tilt, best = (averaged(table, method, comparisons) for method in ("tilt", "best-of-n"))
        band = {"color": look["color"], "alpha": 0.2, "lw": 0}
        axes.fill_between(tilt["distance"], tilt["low"], tilt["high"], **band)
        axes.plot(
            tilt["distance"],
            tilt["gold"],
            color=look["color"],
            ls="-",
            label=f"N = {comparisons:,}",
        )
        axes.plot(
            best["distance"], best["gold"], ls="none", marker=look["marker"], color=look["color"]
        )
        axes.plot(tilt["distance"], tilt["proxy"], color=look["color"], ls=":")
    axes.plot([], [], color="0.4", ls=":", label="proxy, tilted")
    axes.plot([], [], color="0.4", ls="-", label="gold, tilted")
    axes.plot([], [], color="0.4", marker="o", ls="none", label="gold, best of n")
    axes.set_ylim(top=1.45 * axes.get_ylim()[1])
    axes.set_title("Gold and proxy")
    axes.legend(fontsize="x-small", ncols=2, loc="upper left", columnspacing=1)


def draw_steps(axes: Axes, table: pl.DataFrame) -> None:
    """Policy-gradient steps beside the curve of the KL penalty, under one size of comparisons."""
    axes.set_title("Gold along policy-gradient steps")
    stepped = table.filter(pl.col("method") == "natural-gradient")
    if stepped.is_empty():
        axes.text(
            0.5, 0.5, "no gradient path in this profile", transform=axes.transAxes, ha="center"
        )
        return
    comparisons = int(stepped["comparisons"][0])
    shown = {
        "tilt": r"Gibbs, $\beta$ falling",
        "natural-gradient": "natural",
        "vanilla-gradient": "vanilla",
    }
    for index, (method, label) in enumerate(shown.items()):
        path, look = averaged(table, method, comparisons), style.series(index)
        line = "none" if method == "natural-gradient" else look["linestyle"]
        marker = None if method == "tilt" else look["marker"]
        axes.plot(
            path["distance"], path["gold"], color=look["color"], ls=line, marker=marker, label=label
        )
        if method == "natural-gradient":
            last = path.row(-1, named=True)
            top = path.row(int(path["gold"].arg_max() or 0), named=True)
            for point, offset in ((top, (0, 6)), (last, (-10, 3))):
                axes.annotate(
                    f"step {point['setting']:.0f}",
                    (point["distance"], point["gold"]),
                    xytext=offset,
                    textcoords="offset points",
                    fontsize="x-small",
                    ha="center" if point is top else "right",
                )
    axes.margins(y=0.15)
    axes.legend(
        title=f"N = {comparisons:,}", fontsize="x-small", title_fontsize="x-small", loc="lower left"
    )


def draw_fits(axes: Axes, table: pl.DataFrame) -> None:
    """Both of Gao's forms on both methods, below saturation, for the largest N; 95 % over seeds."""
    comparisons = int(table["comparisons"].max())  # type: ignore[arg-type]
    formulas = {"square": r"$d(a-bd)$", "logarithm": r"$d(a-b\ln d)$"}
    for index, method in enumerate(("tilt", "best-of-n")):
        look, fits = style.series(index), goodhart.fits(table, method, comparisons)
        curves = [
            goodhart.curve(table, method, comparisons, seed) for seed in goodhart.seeds_of(table)
        ]
        fitted = [goodhart.below_saturation(one)["distance"].to_numpy() for one in curves]
        reach = float(np.mean([distances.max() for distances in fitted]))
        path = averaged(table, method, comparisons).filter(pl.col("distance") <= reach)
        shown = spread(goodhart.criterion_gains(fits), 0)
        points = {"ls": "none", "marker": look["marker"], "color": look["color"]}
        label = rf"{method}: $\Delta$AIC {shown}"
        axes.plot(path["distance"], path["gold"], label=label, **points)
        at = np.linspace(0, reach, 100)
        for form, line in zip(gao.FORMS, ("-", "--"), strict=True):
            a, b = ([getattr(one, name) for one in fits[form]] for name in "ab")
            mean = gao.design(form, at) @ np.array([np.mean(a), np.mean(b)])
            label = rf"{formulas[form]}: $a$ {spread(a, 2)}, $b$ {spread(b, 2)}"
            axes.plot(at, mean, ls=line, color=look["color"], lw=0.9, label=label)
    axes.set_ylim(top=2.1 * axes.get_ylim()[1])
    axes.set_title(f"Gao's two forms, N = {comparisons:,}")
    note = r"$\Delta$AIC < 0: $d(a-bd)$ fits better"
    axes.legend(fontsize="xx-small", loc="upper left", title=note, title_fontsize="xx-small")


def spread(values: list[float], digits: int) -> str:
    """A mean over seeds with its interval, as text."""
    low, high = goodhart.interval(values) if len(values) > 1 else (values[0], values[0])
    return f"{np.mean(values):.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def draw_strings(axes: Axes, table: pl.DataFrame) -> None:
    """The most probable strings at five distances, for the largest N and the first seed."""
    comparisons = int(table["comparisons"].max())  # type: ignore[arg-type]
    path = goodhart.curve(table, "tilt", comparisons, goodhart.seeds_of(table)[0])
    axes.set_axis_off()
    axes.set_title("Most probable strings")
    top = 1.0
    for target in np.linspace(0, path["distance"].max(), 5):  # type: ignore[arg-type]
        nearest = int((path["distance"] - target).abs().arg_min() or 0)
        point = path.row(nearest, named=True)
        head = (
            f"d = {point['distance']:.1f}: gold {point['gold']:+.1f}, proxy {point['proxy']:+.1f}"
        )
        body = textwrap.wrap(point["string"].replace(" </s>", "."), 50)
        axes.text(
            0, top, head, transform=axes.transAxes, va="top", fontsize="x-small", weight="bold"
        )
        for line in body:
            top -= 0.065
            axes.text(
                0, top, line, transform=axes.transAxes, va="top", fontsize="x-small", style="italic"
            )
        top -= 0.1
