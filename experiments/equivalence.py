"""Bandit = MDP: the null suite computed both ways, and three counterexamples where they must part.

Every item of the null suite is computed in two independent ways in random worlds, over whole
strings and by dynamic programming over states; what is left should be rounding. Three
counterexamples, each with a dial, prove that the comparison sees a difference where there is one: a
discount, a user who throws dice, a length-normalised loss.

One thing stands beside the suite, as it is easily misread: token-level natural policy gradient in
*finite* steps is not the Gibbs path. The tangents agree, and so do KL-proximal steps of any size;
plain steps of size eta end O(eta) away, which is measured here and is no part of the claim.

All numbers are exact up to rounding; none carries an error bar.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments import counterexamples, style
from experiments.experiment import Plan
from experiments.judging import Judgement, at_most, exact, undecided
from experiments.null_suite import ITEMS, compare, draw_world, token_steps_apart

TOLERANCE = 1e-12
SEEN = 0.1
"""The least effect that each counterexample must have at the end of its dial."""

CONTROLS = {
    "discount": r"discount $1 - \gamma$",
    "stochastic user": r"user entropy / $\ln 2$",
    "length-normalised loss": r"exponent of $1/|y|$",
}
"""Name -> its dial, as the figure calls it."""
FINITE_STEPS = "token natural gradient, finite steps"
WITH_BASELINE = "length-normalised loss, with a baseline"


@dataclass(frozen=True)
class Config:
    """One batch of random worlds, and the counterexamples."""

    worlds: int = 25  # random worlds a seed
    vocabulary: int = 4  # largest number of ordinary tokens
    horizon: int = 5  # largest number of tokens of a string
    prompts: int = 3  # largest number of prompts
    dials: int = 41  # points on each counterexample's dial, both ends included
    finest: int = 6  # finite-step paths take 1, 2, 4, ..., 2^finest steps


SWEEP = {
    "smoke": Plan((Config(worlds=4, vocabulary=3, horizon=3, dials=5, finest=3),)),
    "quick": Plan((Config(),), seeds=2),
    "full": Plan((Config(worlds=250),), seeds=4),
}


def run(config: Config, seed: int) -> list[dict[str, Any]]:
    """Rows of three kinds: `null` items, `control` effects, and what stands `beside` the claim.

    `difference` is absolute; `scale` is the largest absolute size of the quantity compared. `dial`
    is the control's, or the size of the finite steps in units of 1 / beta.
    """
    return [*null_rows(config, seed), *control_rows(config)]


def null_rows(config: Config, seed: int) -> Iterator[dict[str, Any]]:
    """The suite, and the finite steps beside it, in the seed's random worlds."""
    rng = np.random.default_rng(seed)
    for number in range(config.worlds):
        w = draw_world(rng, config.vocabulary, config.horizon, config.prompts)
        about = {
            "world": number,
            "tokens": w.language.vocabulary_size,
            "horizon": w.language.horizon,
            "end": w.language.end is not None,
            "prompts": len(w.bandit.prompts),
            "beta": w.beta,
        }
        for item, (difference, scale) in compare(w).items():
            yield row("null", item, difference, scale=scale) | about
        for steps in 2 ** np.arange(config.finest + 1):
            apart = token_steps_apart(w, int(steps))
            yield row("beside", FINITE_STEPS, apart, dial=1.0 / float(steps)) | about


def control_rows(config: Config) -> Iterator[dict[str, Any]]:
    """The counterexamples along their dials: the same rows under every seed."""
    for dial in np.linspace(0.0, 1.0, config.dials).tolist():
        entropy, gap = counterexamples.stochastic_user(1.0 - dial / 2.0)
        normalised = counterexamples.length_normalisation(dial)
        yield row("control", "discount", counterexamples.discount(dial), dial=dial)
        yield row("control", "stochastic user", gap, dial=entropy)
        yield row("control", "length-normalised loss", normalised, dial=dial)
        with_baseline = counterexamples.length_normalisation(dial, baseline=True)
        yield row("beside", WITH_BASELINE, with_baseline, dial=dial)


def row(
    kind: str, item: str, difference: float, scale: float = 1.0, dial: float | None = None
) -> dict[str, Any]:
    """One measurement."""
    return {"kind": kind, "item": item, "difference": difference, "scale": scale, "dial": dial}


def judge(table: pl.DataFrame) -> Judgement:
    """The suite's largest difference, if the controls prove that a difference would be seen."""
    null = table.filter(pl.col("kind") == "null")
    if missing := [item for item in ITEMS if item not in set(null["item"])]:
        return undecided(f"not measured: {', '.join(missing)}")
    if blind := [name for name in CONTROLS if not is_seen(table, name)]:
        return undecided(f"the comparison proves nothing: no effect of {', '.join(blind)}")
    relative = (null["difference"] / null["scale"].clip(1.0)).to_numpy()
    worst = int(np.argmax(np.where(np.isnan(relative), np.inf, relative)))
    item, largest = null["item"][worst], float(relative[worst])
    if not np.isfinite(largest):
        return Judgement(None, None, "refuted", f"{item} differs by {largest}")
    effects = ", ".join(f"{name} {at_end(table, name):.2f}" for name in CONTROLS)
    measured = (
        f"largest of {null.height} differences {largest:.1e} ({item}); controls at the end of "
        f"their dials: {effects}"
    )
    return exact(largest, at_most((largest, largest), TOLERANCE), measured)


def is_seen(table: pl.DataFrame, name: str) -> bool:
    """Whether a control is 0 at dial 0 and clear at the end of its dial."""
    effects = control(table, name)
    if effects.height < 2 or effects["dial"][0] != 0:
        return False
    return abs(effects["difference"][0]) <= TOLERANCE and effects["difference"][-1] >= SEEN


def at_end(table: pl.DataFrame, name: str) -> float:
    """A control's effect at the end of its dial."""
    return float(control(table, name)["difference"][-1])


def control(table: pl.DataFrame, name: str) -> pl.DataFrame:
    """A counterexample's effects in the order of its dial, once however many seeds repeat it."""
    return table.filter(pl.col("item") == name).unique(["dial"], keep="first").sort("dial")


def draw(table: pl.DataFrame) -> Figure:
    """Left: every item's differences against the line at 1e-12. Right: the counterexamples.

    The effects: reward lost out of 1 (discount), value of looking (user), and how much of the
    gradient's effect on expected reward is lost, relative to it (length).
    """
    figure = style.figure(columns=2, height_to_width=0.75)
    left, right = figure.subplots(1, 2)
    draw_items(left, table)
    draw_controls(right, table)
    return figure


def draw_items(axes: Axes, table: pl.DataFrame) -> None:
    """One line an item: a stroke a world, a dot the largest; below, what is beside the claim."""
    names = [*ITEMS, FINITE_STEPS]
    smallest = -18.0  # where a difference of exactly 0 is drawn
    for place, name in enumerate(names):
        rows = table.filter(pl.col("item") == name)
        if name == FINITE_STEPS:
            rows = rows.filter(pl.col("horizon") > 1)
        size = (rows["difference"] / rows["scale"].clip(1.0)).to_numpy()
        with np.errstate(divide="ignore"):
            exponent = np.maximum(np.log10(size), smallest)
        colour = style.COLOURS[1 if name == FINITE_STEPS else 0]
        height = np.full(len(exponent), place)
        axes.plot(exponent, height, "|", color=colour, alpha=0.35, markersize=4)
        axes.plot(exponent.max(initial=smallest), place, "o", color=colour)
    axes.axvline(np.log10(TOLERANCE), color=style.COLOURS[5], linestyle="--", linewidth=0.8)
    axes.axhline(len(ITEMS) - 0.5, color="0.6", linestyle="-", linewidth=0.5)
    axes.set_yticks(range(len(names)), [label(name) for name in names])
    axes.invert_yaxis()
    axes.set_xticks([smallest, -12, -6, 0], ["0", "$10^{-12}$", "$10^{-6}$", "1"])
    axes.set_xlim(smallest - 0.7, 0.7)
    axes.set_xlabel(r"$|$bandit $-$ MDP$|$")


def label(name: str) -> str:
    """An item's name as it stands in the figure."""
    short = {"V(s0) = beta ln Z": r"$V(s_0) = \beta \ln Z$", FINITE_STEPS: "(finite token steps)"}
    return short.get(name, name)


def draw_controls(axes: Axes, table: pl.DataFrame) -> None:
    """The three effects against their dials."""
    for index, name in enumerate(CONTROLS):
        effects = control(table, name)
        spacing = max(1, effects.height // 8)
        axes.plot(
            *(effects["dial"], effects["difference"]),
            **style.series(index),
            label=CONTROLS[name],
            markevery=spacing,
        )
    axes.axhline(1.0, color="0.6", linestyle="-", linewidth=0.5)
    axes.annotate("gradient reversed", (0.98, 1.03), ha="right", color="0.4", fontsize="small")
    axes.set(xlabel="dial (0: the null)", ylabel="effect", xlim=(0, 1.02), ylim=(-0.05, None))
    axes.legend(loc="upper left", fontsize="small")
