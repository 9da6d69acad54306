"""Early stopping: natural policy gradient follows the path of the KL penalty, and when to stop.

Natural gradient on the logits of whole strings, taken step by step, is compared with the Gibbs
optimum of the KL penalty beta = 1 / (step size x step); vanilla gradient on token logits, the
control, with the Gibbs optimum of equal KL. The gold reward along the way says which step was best,
and what running on costs. On the tier of networks the path is that of a GRU under sampled policy
gradient (Adam, no KL penalty) against a reward network linear in counts; it too is compared with
the Gibbs optimum of equal KL.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.optimize import brentq

from bandit_rlhf import objective
from bandit_rlhf.exact import path_sum
from bandit_rlhf.exact.lattice import LatticePolicy
from experiments import style
from experiments.experiment import Plan, grid
from experiments.judging import Judgement, all_of, at_least, at_most, undecided
from experiments.lab import curves, words
from experiments.lab.dials import Dials, Proxy, fit_proxy
from experiments.lab.drawing import legend_below
from experiments.lab.reading import by_seed, enough, falls, over_seeds, said, set_to, where
from experiments.lab.tiers import holds_on, over_tiers
from experiments.lab.world import draw_world, numbers
from experiments.yardstick import Yardstick

TIERS = ("enumerable", "words", "neural")
FEW, MANY = 50, 20_000
SAME = 1e-8
"""Probabilities this close are the same path."""
APART = 1e-3
"""How far the control must come off the path: else the comparison sees nothing."""
COST = 1.0
"""A loss of gold by running on that counts, in its standard deviations under the reference."""
EARLIER = 2.0
"""By which factor a stop is earlier."""


@dataclass(frozen=True)
class Config:
    """One fitted proxy and two gradient paths."""

    tier: str = "enumerable"  # enumerable, words or neural
    comparisons: int = MANY  # N, pairs of strings that are compared
    misspecification: float = 0.6  # share m; m^2 of gold's variance is no linear function of counts
    horizon: int = 6  # tokens
    worlds: int = 4  # enumerable worlds a seed, whose mean is judged
    steps: int = 200  # gradient steps
    step_size: float = 0.2  # of natural gradient, in 1 / sd of gold
    control_steps: int = 0  # steps of vanilla gradient, the control; 0: none


def networks(worlds: int, sizes: tuple[int, ...]) -> tuple[Config, ...]:
    """The tier of networks under every number of comparisons."""
    return grid(Config, tier=("neural",), comparisons=sizes, horizon=(5,), worlds=(worlds,))


def plans(horizon: int, worlds: int, sizes: tuple[int, ...]) -> tuple[Config, ...]:
    """Both tiers under every number of comparisons."""
    small = grid(Config, comparisons=sizes, horizon=(horizon,), worlds=(worlds,))
    words: dict[str, Any] = {"tier": ("words",), "misspecification": (1.0,), "horizon": (32,)}
    both = (*small, *grid(Config, comparisons=sizes, worlds=(1,), **words))
    return tuple(replace(c, control_steps=60 * (c.comparisons == MANY)) for c in both)


SWEEP = {
    "smoke": Plan(
        (
            Config(horizon=4, worlds=1, steps=20, control_steps=10),
            Config(comparisons=FEW, horizon=4, worlds=1, steps=20),
            Config(tier="words", comparisons=300, misspecification=1.0, horizon=8, steps=5),
        ),
        seeds=2,
    ),
    "quick": Plan((*plans(6, 4, (FEW, 1000, MANY)), *networks(2, (FEW, MANY))), seeds=10),
    "full": Plan(
        (*plans(7, 4, (FEW, 200, 1000, 5000, MANY)), *networks(2, (FEW, 1000, MANY))), seeds=20
    ),
}


def run(config: Config, seed: int) -> list[dict[str, Any]]:
    """Fit the proxy and take the steps; one row a measured step.

    `off_gibbs` is the largest difference of any string's probability (in the word world: of any
    next word's, where the path comes by at all) from the Gibbs optimum.
    """
    dials = Dials(config.misspecification, config.comparisons)
    if config.tier == "words":
        return list(word_rows(config, words.fit_words(dials, seed, horizon=config.horizon)))
    rows = []
    for number in numbers(seed, config.worlds):
        if config.tier == "neural":
            found = network_rows(config, dials, number)
        else:
            proxy = fit_proxy(draw_world(number, config.horizon), dials, number)
            found = enumerable_rows(config, proxy)
        rows += [{"world": number, **row} for row in found]
    return rows


def enumerable_rows(config: Config, proxy: Proxy) -> Iterator[dict[str, Any]]:
    """Both paths over whole strings."""
    world, ruler = proxy.world, curves.Ruler.of_proxy(proxy)
    marks = curves.marks(config.steps)
    natural = curves.natural_gradient(world.log_law, proxy.reward, config.step_size, marks)
    for step, law in natural:
        gibbs = objective.gibbs(world.law, proxy.reward, 1 / (config.step_size * step))
        off = float(np.abs(law - gibbs).max())
        yield {"method": "natural", "setting": step, "off_gibbs": off, **ruler(law)}
    few = curves.marks(config.control_steps, 6)
    vanilla = curves.token_gradient(world, proxy.reward, config.step_size, few, natural=False)
    for step, law in vanilla:
        off = off_path(ruler, law)
        yield {"method": "vanilla", "setting": step, "off_gibbs": off, **ruler(law)}


def network_rows(config: Config, dials: Dials, seed: int) -> Iterator[dict[str, Any]]:
    """A GRU's path, measured over whole strings."""
    from experiments.lab import neural  # torch is needed by these cells alone

    proxy = neural.fit_neural(dials, seed, "counts", config.horizon)
    ruler, marks = proxy.ruler, curves.marks(config.steps, 24)
    path = neural.tuned(
        proxy.reference,
        proxy.world,
        proxy.reward / ruler.proxy_sd,
        steps=config.steps,
        seed=seed,
        marks=marks,
    )
    for step, law in path:
        off = off_path(ruler, law)
        yield {"method": "sampled", "setting": step, "off_gibbs": off, **ruler(law)}


def off_path(ruler: curves.Ruler, law: np.ndarray) -> float | None:
    """The largest difference in a string's probability from the Gibbs optimum of equal KL."""

    def gibbs(beta: float) -> np.ndarray:
        return objective.gibbs(ruler.law, ruler.proxy, beta)

    def kl(one: np.ndarray) -> float:
        by_prompt = objective.kl_divergence(one, ruler.law)
        return objective.over_prompts(ruler.world.prompt_law, by_prompt)

    beta = matching_beta(lambda beta: kl(gibbs(beta)), kl(law))
    return None if beta is None else float(np.abs(law - gibbs(beta)).max())


def word_rows(config: Config, proxy: words.WordProxy) -> Iterator[dict[str, Any]]:
    """Both paths on the lattice."""
    lattice, ruler = proxy.lattice, Yardstick.of(proxy.lattice, proxy.reward)
    about, marks = {"world": 0, **ruler.about()}, curves.marks(config.steps)

    def gibbs(beta: float) -> LatticePolicy:
        return path_sum.gibbs_optimum(lattice, proxy.reward, beta)[0]

    def kl(policy: LatticePolicy) -> float:
        return path_sum.kl(policy, lattice.reference).value

    for step, policy in words.natural_gradient(proxy, config.step_size, marks):
        off = apart(policy, gibbs(1 / (config.step_size * step)))
        measures = ruler.of_policy(policy)
        yield {"method": "natural", "setting": step, "off_gibbs": off, **measures, **about}
    few = curves.marks(config.control_steps, 6)
    for step, policy in words.token_gradient(proxy, config.step_size, few, natural=False):
        beta = matching_beta(lambda beta: kl(gibbs(beta)), kl(policy))
        off = None if beta is None else apart(policy, gibbs(beta))
        measures = ruler.of_policy(policy)
        yield {"method": "vanilla", "setting": step, "off_gibbs": off, **measures, **about}


def apart(policy: LatticePolicy, other: LatticePolicy) -> float:
    """The largest difference in a next word's probability, in states that `policy` visits."""
    visited = path_sum.visits(policy) > 1e-12
    return float(np.abs(policy.probs - other.probs)[visited].max())


def matching_beta(kl_of: Any, kl: float) -> float | None:
    """The beta whose Gibbs optimum has this KL; None where no tilt reaches it."""
    low, high = math.log(1e-3), math.log(1e4)
    if not kl_of(math.exp(high)) < kl < kl_of(math.exp(low)):
        return None
    root: Any = brentq(lambda log_beta: kl_of(math.exp(log_beta)) - kl, low, high, xtol=1e-6)
    return math.exp(root)


def best_step(points: pl.DataFrame) -> float:
    """The measured step at which gold is highest."""
    return float(points["setting"][int(points["gold"].arg_max() or 0)])


def main_path(tier: str) -> str:
    """The path along which one stops."""
    return "sampled" if tier == "neural" else "natural"


def path(table: pl.DataFrame, tier: str, method: str, comparisons: int) -> pl.DataFrame:
    """One kind of path on one tier."""
    return table.filter(set_to(tier=tier, comparisons=comparisons) & where(method=method))


def judge_penalty(table: pl.DataFrame) -> Judgement:
    """Claim 8: stopping early is a KL penalty, and not stopping costs."""
    verdicts, parts, costs = {}, [], []
    for tier in TIERS:
        walked = path(table, tier, main_path(tier), MANY)
        if not enough(walked):
            continue
        checks, off = [], float(walked["off_gibbs"].max() or 0.0)  # type: ignore[arg-type]
        aside = f"off the Gibbs path by {off:.0e}"
        if tier != "neural":  # no network is said to be on the path
            vanilla = path(table, tier, "vanilla", MANY)["off_gibbs"].drop_nulls()
            if vanilla.is_empty():
                return undecided(f"{tier}: no step of the control has a tilt of equal KL")
            control = float(vanilla.to_numpy().max())
            if control < APART:
                return undecided(f"{tier}: the control too is on the path, off by {control:.1e}")
            checks.append(at_most((off, off), SAME))
            aside += f" (vanilla {control:.2f})"
        cost = falls(walked)
        stops = by_seed(walked, best_step)
        verdicts[tier] = all_of([*checks, at_least(over_seeds(cost), COST)])
        costs.append(cost)
        parts.append(
            f"{tier}: {aside}, best stop at step {said(stops, 0)} of "
            f"{walked['setting'].max():.0f}, running on costs {said(cost)} sd"
        )
    if not verdicts:
        return undecided(f"no natural path under N = {MANY:,} and two seeds or more")
    least = min(costs, key=lambda cost: float(cost.mean()))
    measured = f"{'; '.join(parts)}: {holds_on(verdicts)}"
    return Judgement(float(least.mean()), over_seeds(least), over_tiers(verdicts), measured)


def judge_stop(table: pl.DataFrame) -> Judgement:
    """Claim 8: with fewer comparisons the best stop comes earlier."""
    ratios, parts, verdicts = [], [], {}
    for tier in TIERS:
        few, many = (path(table, tier, main_path(tier), n) for n in (FEW, MANY))
        if not (enough(few) and enough(many)):
            continue
        early, late = by_seed(few, best_step), by_seed(many, best_step)
        ratios.append(late / early)
        verdicts[tier] = at_least(over_seeds(ratios[-1]), EARLIER)
        parts.append(
            f"{tier}: step {said(early, 0)} under N = {FEW}, {said(late, 0)} under {MANY:,}"
        )
    if not ratios:
        return undecided(f"no natural paths under N = {FEW} and {MANY:,} and two seeds or more")
    least = min(ratios, key=lambda ratio: float(ratio.mean()))
    measured = f"best stop at {'; '.join(parts)}: {holds_on(verdicts)}"
    return Judgement(float(least.mean()), over_seeds(least), over_tiers(verdicts), measured)


def draw(table: pl.DataFrame) -> Figure:
    """A row a tier: gold along the steps, best stop against comparisons, distance off the path."""
    tiers = [tier for tier in TIERS if not table.filter(set_to(tier=tier)).is_empty()]
    figure = style.figure(rows=len(tiers), columns=3, height_to_width=0.95)
    panels = figure.subplots(len(tiers), 3, squeeze=False)
    for row, tier in zip(panels, tiers, strict=True):
        here = table.filter(set_to(tier=tier))
        walked = here.filter(where(method=main_path(tier)))
        draw_gold(row[0], walked)
        draw_stops(row[1], walked)
        draw_off(row[2], here)
        row[0].set_title("gold along steps")
        row[1].set_title("best stop")
        row[2].set_title("off the Gibbs path")
        row[0].set_ylabel(f"{tier}\ngold gain, sd")
    return figure


def draw_gold(axes: Axes, table: pl.DataFrame) -> None:
    """Gold by step, mean over seeds, for each number of comparisons; a ring marks the top."""
    for index, ((comparisons,), rows) in enumerate(
        table.sort("config.comparisons").group_by("config.comparisons", maintain_order=True)
    ):
        look = {**style.series(index), "marker": None}
        mean = rows.group_by("setting").agg(pl.col("gold").mean()).sort("setting")
        axes.plot(mean["setting"], mean["gold"], label=f"N = {comparisons:,}", **look)
        top = int(mean["gold"].arg_max() or 0)
        axes.plot(mean["setting"][top], mean["gold"][top], "o", mfc="none", color=look["color"])
    axes.axhline(0, color="0.6", lw=0.5, zorder=0)
    axes.set_xscale("log")
    axes.set(xlabel="step")
    legend_below(axes, 0.5)


def draw_stops(axes: Axes, table: pl.DataFrame) -> None:
    """The best step against the number of comparisons, 95 % over seeds."""
    for (comparisons,), rows in table.sort("config.comparisons").group_by(
        "config.comparisons", maintain_order=True
    ):
        stops = by_seed(rows, best_step)
        low, high = over_seeds(stops)
        axes.plot([comparisons, comparisons], [low, high], "-", color=style.COLOURS[0])
        axes.plot(comparisons, stops.mean(), "o", color=style.COLOURS[0])
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set(xlabel="comparisons N", ylabel="best step")


def draw_off(axes: Axes, table: pl.DataFrame) -> None:
    """How far each path lies off the Gibbs optima, the largest over seeds."""
    for index, method in enumerate(("natural", "vanilla", "sampled")):
        rows = table.filter(where(method=method)).drop_nulls("off_gibbs")
        if rows.is_empty():
            continue
        worst = rows.group_by("setting").agg(pl.col("off_gibbs").max()).sort("setting")
        off = worst["off_gibbs"].clip(1e-17)
        axes.plot(worst["setting"], off, **style.series(index), label=f"{method} gradient")
    axes.axhline(SAME, color="0.5", lw=0.6, ls="--")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(1e-17, 10)
    axes.set(xlabel="step", ylabel=r"largest $|\Delta$ probability$|$")
    axes.legend(fontsize="xx-small", loc="upper right", bbox_to_anchor=(1, 0.8))
