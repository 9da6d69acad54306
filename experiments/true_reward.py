"""True reward: the same optimisers on the true reward and on a reward fitted to comparisons.

If the reward is the goal, more optimisation is never worse: the gold gain rises along every path,
however far it leads from the reference (for the tilt d E r / d(1/beta) = Var r >= 0). Under a
fitted reward it peaks and falls. Both rewards see the same world, the same paths and the same
number of steps; the fitted one is made from noisy comparisons, on the exact tiers in a class that
cannot express all of the gold reward.

Tiers: `enumerable` (lists of counts of four words, `lab.world`) and `words` (`lab.words`) are exact
for every draw of comparisons. `neural`: a small network is pretrained on the enumerable world's
reference at horizon 5 and tuned by REINFORCE with leave-one-out baselines, without a KL penalty,
against the gold reward and against a network fitted to comparisons; what it says is then summed
over every string. Best-of-n is left out of `words`: the gold reward there lies on no grid.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments import style
from experiments.experiment import Plan
from experiments.judging import Judgement, all_of, at_least, at_most, undecided
from experiments.lab import curves, words
from experiments.lab.dials import Dials, fit_proxy
from experiments.lab.reading import over_seeds
from experiments.lab.tiers import holds_on, over_tiers, tiers_of
from experiments.lab.world import draw_world, numbers
from experiments.yardstick import Yardstick

BETAS = tuple(float(beta) for beta in np.geomspace(10, 0.02, 16).round(4))


@dataclass(frozen=True)
class Config:
    """One tier."""

    tier: str = "enumerable"  # enumerable, words or neural
    misspecification: float = 0.8  # m: m^2 of gold's variance is beyond the reward class
    comparisons: int = 1000  # N, pairs of strings that annotators compare
    betas: tuple[float, ...] = BETAS  # of the tilt, in sd of gold
    steps: int = 60  # of the gradient learners
    step_size: float = 0.1  # of natural gradient, in 1 / sd; vanilla's largest change is as large
    draws: int = 128  # strings of each step, tier neural
    width: int = 16  # of the networks, tier neural
    worlds: int = 1  # worlds a seed (words: draws of comparisons), whose mean is judged


SWEEP = {
    "smoke": Plan(
        (Config(comparisons=200, steps=5), Config("neural", comparisons=200, steps=10)), seeds=2
    ),
    "quick": Plan(
        (
            Config(),
            Config("words", misspecification=1.0, steps=20),
            Config("neural", steps=150, worlds=4),
        ),
        seeds=10,
    ),
    "full": Plan(
        (
            Config(steps=200),
            Config("words", misspecification=1.0, steps=100),
            Config("neural", steps=400, worlds=2),
        ),
        seeds=20,
    ),
}

Point = tuple[str, str, float, dict[str, Any]]


def run(config: Config, seed: int) -> list[dict[str, Any]]:
    """Follow every path under both rewards."""
    follow = {"enumerable": enumerable, "words": word_world, "neural": neural}[config.tier]
    return [
        {
            "tier": config.tier,
            "world": number,
            "reward": reward,
            "method": method,
            "setting": float(setting),
            **{name: measures[name] for name in ("kl", "distance", "proxy", "gold")},
        }
        for number in numbers(seed, config.worlds)
        for reward, method, setting, measures in follow(config, number)
    ]


def enumerable(config: Config, seed: int) -> Iterator[Point]:
    """Tilt, best-of-n and vanilla gradient over all strings."""
    world = draw_world(seed)
    proxy = fit_proxy(world, Dials(config.misspecification, config.comparisons), seed)
    marks = curves.marks(config.steps)
    for name, reward in (("true", proxy.gold), ("fitted", proxy.reward)):
        ruler = curves.Ruler.of(world, proxy.gold, reward)
        paths = {
            "tilt": curves.tilt(world.law, reward, config.betas),
            "best-of-n": curves.best_of_n(world.law, reward),
            "vanilla gradient": curves.token_gradient(
                world, reward, config.step_size, marks, natural=False
            ),
        }
        for method, path in paths.items():
            for setting, law in path:
                yield name, method, setting, ruler(law)


def word_world(config: Config, seed: int) -> Iterator[Point]:
    """Tilt and vanilla gradient on the lattice."""
    fitted = words.fit_words(Dials(config.misspecification, config.comparisons), seed)
    gold = words.WordProxy(fitted.lattice, fitted.weights, fitted.lattice.payoffs["gold"])
    marks = curves.marks(config.steps)
    for name, proxy in (("true", gold), ("fitted", fitted)):
        ruler = Yardstick.of(proxy.lattice, proxy.reward)
        paths = {
            "tilt": words.tilt(proxy, config.betas),
            "vanilla gradient": words.token_gradient(proxy, config.step_size, marks, natural=False),
        }
        for method, path in paths.items():
            for setting, policy in path:
                yield name, method, setting, ruler.of_policy(policy)


def neural(config: Config, seed: int) -> Iterator[Point]:
    """Sampled policy gradient on a network, against gold and against a fitted network."""
    from experiments.lab import neural as networks

    dials = Dials(config.misspecification, config.comparisons)
    proxy = networks.fit_neural(dials, seed, "gru", width=config.width)
    world, marks = proxy.world, curves.marks(config.steps, 12)
    for name, reward in (("true", proxy.gold), ("fitted", proxy.reward)):
        ruler = curves.Ruler.of(world, proxy.gold, reward, proxy.law)
        for step, law in networks.tuned(
            proxy.reference,
            world,
            reward,
            steps=config.steps,
            draws=config.draws,
            seed=seed,
            marks=marks,
        ):
            yield name, "sampled gradient", step, ruler(law)


def one_per_seed(table: pl.DataFrame, column: str) -> list[float]:
    """A column averaged over the worlds of every seed."""
    means = table.group_by("seed").agg(pl.col(column).mean()).sort("seed")
    return means[column].to_list()


def largest_fall(gold: np.ndarray) -> float:
    """How far a path falls below what it had reached; the reference, at 0, belongs to it.

    >>> largest_fall(np.array([1.0, 3.0, 2.5, 2.75]))
    0.5
    """
    walked = np.append(0.0, gold)
    return float((np.maximum.accumulate(walked) - walked).max())


def worst_falls(table: pl.DataFrame, tier: str, reward: str) -> list[float]:
    """The largest fall of any path of a world, a number a seed; paths are read as walked."""
    chosen = table.filter((pl.col("tier") == tier) & (pl.col("reward") == reward))
    walked = chosen.group_by("seed", "world", "method", maintain_order=True)
    falls = pl.DataFrame(
        [
            {"seed": seed, "world": world, "fall": largest_fall(path["gold"].to_numpy())}
            for (seed, world, _), path in walked
        ]
    )
    return one_per_seed(falls.group_by("seed", "world").agg(pl.col("fall").max()), "fall")


def unlocked(table: pl.DataFrame, tier: str) -> list[float]:
    """Best gold under the true reward less best gold under the fitted one, a number a seed."""
    chosen = table.filter(pl.col("tier") == tier)
    best = chosen.group_by("seed", "world", "reward").agg(pl.col("gold").max())
    true, fitted = (
        one_per_seed(best.filter(pl.col("reward") == name), "gold") for name in ("true", "fitted")
    )
    return [one - other for one, other in zip(true, fitted, strict=True)]


def judge(table: pl.DataFrame) -> Judgement:
    """Claim 11: gold only rises under the true reward, and falls under the fitted one."""
    verdicts, shown, worst = {}, [], (-np.inf, (0.0, 0.0))
    for tier in tiers_of(table):
        true, fitted = (worst_falls(table, tier, reward) for reward in ("true", "fitted"))
        if len(true) < 2:
            return undecided("one seed alone gives no interval")
        allowed = 0.1 if tier == "neural" else 0.01
        interval = over_seeds(true)
        verdicts[tier] = all_of([at_most(interval, allowed), at_least(over_seeds(fitted), 0.5)])
        shown.append(
            f"{tier}: falls by {np.mean(true):.1e} sd under r*, {np.mean(fitted):.2f} under r^; "
            f"r* unlocks {np.mean(unlocked(table, tier)):+.2f} sd"
        )
        worst = max(worst, (float(np.mean(true)), interval))
    effect, interval = worst
    measured = f"{'; '.join(shown)}: {holds_on(verdicts)}"
    return Judgement(effect, interval, over_tiers(verdicts), measured)


def draw(table: pl.DataFrame) -> Figure:
    """Gold against distance under both rewards, one panel a tier."""
    tiers = tiers_of(table)
    figure = style.figure(columns=2, height_to_width=0.95)
    panels = np.atleast_1d(figure.subplots(1, len(tiers)))
    for axes, tier in zip(panels, tiers, strict=True):
        draw_tier(axes, table, tier)
    panels[0].set_ylabel("gold gain (sd under ref)")
    panels[0].legend(fontsize="xx-small")
    return figure


def draw_tier(axes: Axes, table: pl.DataFrame, tier: str) -> None:
    """Means over seeds at every setting; bands 95 %."""
    of_tier = table.filter(pl.col("tier") == tier)
    methods = of_tier["method"].unique(maintain_order=True).to_list()
    for row, reward in enumerate(("true", "fitted")):
        for column, method in enumerate(methods):
            rows = table.filter(
                (pl.col("tier") == tier)
                & (pl.col("reward") == reward)
                & (pl.col("method") == method)
            )
            points = []
            for _, one in rows.group_by("setting", maintain_order=True):
                gold = one_per_seed(one, "gold")
                low, high = over_seeds(gold) if len(gold) > 1 else (gold[0], gold[0])
                points.append((one["distance"].mean(), one["gold"].mean(), low, high))
            x, y, low, high = np.array(points).T
            look = style.series(column)
            colour = style.series(row)["color"]
            name = "$r^*$" if reward == "true" else r"$\hat r$"
            axes.plot(x, y, color=colour, ls=look["linestyle"], lw=1, label=f"{name}, {method}")
            axes.fill_between(x, low, high, color=colour, alpha=0.15, lw=0)
    axes.axhline(0, color="0.6", lw=0.5, zorder=0)
    axes.set(xlabel=r"$\sqrt{\mathrm{KL}}$, in $\sqrt{\mathrm{nats}}$", title=tier)
