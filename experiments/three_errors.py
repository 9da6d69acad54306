"""Three errors: regret telescopes into misspecification, estimation and optimisation.

Every policy is judged by the true objective J(pi) = E_pi gold - beta KL(pi || ref). Between the
best one and the one that training ends with stand two others:

    J* - J_T = (J* - J_m)          misspecification: the optimum of the reward that infinitely many
                                   comparisons teach the reward class
             + (J_m - J_N)         estimation: the optimum of the reward that N comparisons teach it
             + (J_N - J_T)         optimisation: T steps of natural gradient towards that optimum

A term may be negative, their sum may not: it is beta KL(pi_T || pi*), computed on its own, which
the sum has to meet to 1e-12.

On the tier of networks the reward is a network linear in counts of tokens and the policy a GRU: its
T steps are Adam's, on sampled policy gradient with the KL penalty, so that optimisation's term
counts what sampling and the policy's class cost as well. All four policies are still summed over.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bandit_rlhf import objective
from bandit_rlhf.exact import path_sum
from experiments import style
from experiments.experiment import Plan, grid
from experiments.judging import Judgement, at_least, undecided
from experiments.lab import words
from experiments.lab.dials import Dials, fit_proxy
from experiments.lab.reading import enough, over_seeds, said, set_to, where
from experiments.lab.tiers import holds_on, over_tiers
from experiments.lab.world import World, draw_world, numbers

TIERS = {"enumerable": 0.6, "words": 1.0, "neural": 0.6}
"""Tier -> the misspecification under which the claim is judged."""
TERMS = ("misspecification", "estimation", "optimisation")
COMPARISONS, STEPS = 20_000, 100
"""Data and training under which the claim is judged."""
TOLERANCE = 1e-12
HALF = 0.5


@dataclass(frozen=True)
class Config:
    """One gold reward, and what is spent on learning it."""

    tier: str = "enumerable"  # enumerable, words or neural
    misspecification: float = 0.6  # share m; m^2 of gold's variance is no linear function of counts
    comparisons: tuple[int, ...] = (100, 1000, COMPARISONS)  # N, pairs of strings
    steps: tuple[int, ...] = (10, 30, STEPS)  # T, steps of natural gradient
    step_size: float = 0.5  # of natural gradient, in 1 / sd of gold
    beta: float = 0.2  # weight of the KL term, in sd of gold
    horizon: int = 7  # tokens
    worlds: int = 6  # worlds a seed, or draws in the word world, whose mean is judged


def plans(horizon: int, worlds: int, length: int, **fields: Any) -> tuple[Config, ...]:
    """Both tiers, misspecification rising."""
    fixed = {name: (value,) for name, value in fields.items()}
    small = grid(
        Config, misspecification=(0.1, 0.3, 0.6), horizon=(horizon,), worlds=(worlds,), **fixed
    )
    kind = {"tier": ("words",), "horizon": (length,), "worlds": (3,)}
    return small + grid(Config, misspecification=(0.1, 0.3, 1.0), **kind, **fixed)


NEURAL = Config("neural", comparisons=(1000, COMPARISONS), horizon=5, worlds=1)

SWEEP = {
    "smoke": Plan(plans(4, 1, 6, comparisons=(100, COMPARISONS), steps=(10, STEPS))[2:], seeds=2),
    "quick": Plan((*plans(7, 4, 32), NEURAL), seeds=10),
    "full": Plan(
        (
            *plans(8, 2, 32, comparisons=(50, 200, 1000, 5000, COMPARISONS)),
            *(replace(NEURAL, misspecification=m, worlds=2) for m in (0.1, 0.3, 0.6)),
        ),
        seeds=20,
    ),
}


def run(config: Config, seed: int) -> list[dict[str, Any]]:
    """One row for every N and T: the three terms, and the total on its own."""
    rows = []
    for number in numbers(seed, config.worlds):
        if config.tier == "words":
            found = word_rows(config, number)
        elif config.tier == "neural":
            found = network_rows(config, number)
        else:
            found = enumerable_rows(config, draw_world(number, config.horizon), number)
        rows += [{"world": number, **row} for row in found]
    return rows


def stopped(config: Config, steps: int) -> float:
    """The beta whose Gibbs optimum T steps of natural gradient on the regularised proxy reach.

    ln pi' = (1 - eta beta) ln pi + eta beta ln ref + eta r, up to the normaliser, so that after T
    steps from the reference ln(pi / ref) is (1 - (1 - eta beta)^T) r / beta.

    Raises:
        ValueError: steps so long that they overshoot, eta beta of 1 or more.

    >>> round(stopped(Config(beta=0.5, step_size=1.0), 1), 12)   # one step: ref exp(eta r)
    1.0
    """
    if not 0 < config.step_size * config.beta < 1:
        raise ValueError(
            f"step_size x beta is {config.step_size * config.beta:g}, but should be above 0 and "
            "below 1 [three_errors.Config]. Lower one of them."
        )
    return config.beta / (1 - (1 - config.step_size * config.beta) ** steps)


def enumerable_rows(config: Config, world: World, seed: int) -> Iterator[dict[str, Any]]:
    """All stages over whole strings."""
    gold = world.on_strings(world.gold(config.misspecification))
    best, optimum, value, short_of_best = over_strings(config, world, world.law, gold)

    def learnt(comparisons: float) -> np.ndarray:
        return fit_proxy(world, Dials(config.misspecification, comparisons), seed).reward

    yield from stages(config, best, learnt, optimum, natural(config, optimum), value, short_of_best)


def network_rows(config: Config, seed: int) -> Iterator[dict[str, Any]]:
    """All stages with networks, over whole strings."""
    from experiments.lab import neural  # torch is needed by these cells alone

    world = draw_world(seed, config.horizon)
    reference = neural.pretrained(world, seed)
    law, gold = reference.string_law(), world.on_strings(world.gold(config.misspecification))
    best, optimum, value, short_of_best = over_strings(config, world, law, gold)

    def learnt(comparisons: float) -> np.ndarray:
        if math.isinf(comparisons):
            return neural.settled_counts(world, law, config.misspecification)
        pairs = neural.asked(world, law, gold, int(comparisons), seed)
        return neural.fit_reward(world, pairs, "counts", seed).reward_table()

    def walk(reward: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        steps = max(config.steps)
        yield from neural.tuned(
            reference, world, reward, steps=steps, seed=seed, beta=config.beta, marks=config.steps
        )

    yield from stages(config, best, learnt, optimum, walk, value, short_of_best)


def over_strings(
    config: Config, world: World, reference: np.ndarray, gold: np.ndarray
) -> tuple[float, Callable[..., np.ndarray], Callable[..., float], Callable[..., float]]:
    """J*, the optimum of a reward and a beta, J, and the regret of a law of strings on its own.

    Args:
        config: beta.
        world: the prompts' law.
        reference: [prompt, string].
        gold: [prompt, string].
    """

    def optimum(reward: np.ndarray, beta: float) -> np.ndarray:
        return objective.gibbs(reference, reward, beta)

    def value(law: np.ndarray) -> float:
        by_prompt = objective.regularised_value(law, reference, gold, config.beta)
        return objective.over_prompts(world.prompt_law, by_prompt)

    def short_of_best(law: np.ndarray) -> float:
        kl = objective.kl_divergence(law, optimum(gold, config.beta))
        return config.beta * objective.over_prompts(world.prompt_law, kl)

    soft = objective.soft_value(reference, gold, config.beta)
    best = objective.over_prompts(world.prompt_law, soft)
    return best, optimum, value, short_of_best


def word_rows(config: Config, seed: int) -> Iterator[dict[str, Any]]:
    """All stages on the lattice; `words.MANY` noiseless pairs stand for infinitely many."""
    dials = Dials(config.misspecification)
    settled = words.fit_words(dials, seed, horizon=config.horizon)
    lattice, gold = settled.lattice, settled.lattice.payoffs["gold"]
    best, soft = path_sum.gibbs_optimum(lattice, gold, config.beta)

    def value(policy: Any) -> float:
        kl = path_sum.kl(policy, lattice.reference).value
        return path_sum.expected_reward(policy, gold).value - config.beta * kl

    def learnt(comparisons: float) -> Any:
        if math.isinf(comparisons):
            return settled.reward
        turned = dials.turned("estimation", comparisons)
        return words.fit_words(turned, seed, horizon=config.horizon).reward

    def optimum(reward: Any, beta: float) -> Any:
        return path_sum.gibbs_optimum(lattice, reward, beta)[0]

    yield from stages(
        config,
        soft.value,
        learnt,
        optimum,
        natural(config, optimum),
        value,
        lambda policy: config.beta * path_sum.kl(policy, best).value,
    )


def natural(
    config: Config, optimum: Callable[[Any, float], Any]
) -> Callable[[Any], Iterator[tuple[int, Any]]]:
    """Natural gradient's policies at every T, given the Gibbs optimum of a reward and a beta."""

    def walk(reward: Any) -> Iterator[tuple[int, Any]]:
        for steps in config.steps:
            yield steps, optimum(reward, stopped(config, steps))

    return walk


def stages(
    config: Config,
    best: float,
    learnt: Callable[[float], Any],
    optimum: Callable[[Any, float], Any],
    walk: Callable[[Any], Iterator[tuple[int, Any]]],
    value: Callable[[Any], float],
    short_of_best: Callable[[Any], float],
) -> Iterator[dict[str, Any]]:
    """The telescope, on any tier.

    Args:
        config: beta, and every N and T.
        best: J*, from the soft value of gold.
        learnt: N -> the reward that N comparisons teach.
        optimum: reward and beta -> the Gibbs optimum.
        walk: reward -> every T of the config, and the policy that T steps reach.
        value: J of a policy.
        short_of_best: beta KL(pi || pi*), which J* - J(pi) has to equal.
    """
    taught = value(optimum(learnt(math.inf), config.beta))
    for comparisons in config.comparisons:
        reward = learnt(comparisons)
        fitted = value(optimum(reward, config.beta))
        for steps, reached in walk(reward):
            trained = value(reached)
            terms = (best - taught, taught - fitted, fitted - trained)
            total = short_of_best(reached)
            yield {
                "comparisons": comparisons,
                "steps": steps,
                **dict(zip(TERMS, terms, strict=True)),
                "total": total,
                "residual": abs(math.fsum(terms) - total),
            }


def judged(table: pl.DataFrame, tier: str, misspecification: float) -> pl.DataFrame:
    """The rows of one tier and misspecification under the data and training that are judged."""
    return table.filter(
        set_to(tier=tier, misspecification=misspecification)
        & where(comparisons=COMPARISONS, steps=STEPS)
    )


def shares(table: pl.DataFrame) -> np.ndarray:
    """Misspecification's share of the regret, both averaged over the worlds of a seed [seed]."""
    mean = table.group_by("seed").agg(pl.col("misspecification", "total").mean()).sort("seed")
    return (mean["misspecification"] / mean["total"]).to_numpy()


def judge(table: pl.DataFrame) -> Judgement:
    """Claim 1: three errors, and most of the regret is misspecification's."""
    worst = float(table["residual"].to_numpy().max())
    if not worst <= TOLERANCE:
        return undecided(f"the terms miss the regret by {worst:.1e}: the arithmetic is wrong")
    found, parts, verdicts = [], [], {}
    for tier, misspecification in TIERS.items():
        rows = judged(table, tier, misspecification)
        if not enough(rows):
            continue
        found.append(shares(rows))
        verdicts[tier] = at_least(over_seeds(found[-1]), HALF)
        means = ", ".join(f"{term} {rows[term].mean():.3f}" for term in TERMS)
        lesser = sorted(set(table.filter(set_to(tier=tier))["config.misspecification"]))[:-1]
        others = [f"{said(shares(judged(table, tier, m)))} at m = {m}" for m in lesser]
        share = ", ".join([f"{said(found[-1])} at m = {misspecification}", *others])
        parts.append(f"{tier}: share {share}; {means}")
    if not found:
        return undecided(f"no rows under N = {COMPARISONS:,}, T = {STEPS} and two seeds or more")
    least = min(found, key=lambda share: float(share.mean()))
    measured = f"sums exact to {worst:.0e}; {'; '.join(parts)}: {holds_on(verdicts)}"
    return Judgement(float(least.mean()), over_seeds(least), over_tiers(verdicts), measured)


def draw(table: pl.DataFrame) -> Figure:
    """A row a tier: the terms against misspecification, comparisons and steps."""
    tiers = [tier for tier in TIERS if not table.filter(set_to(tier=tier)).is_empty()]
    figure = style.figure(rows=len(tiers), columns=3, height_to_width=0.95)
    panels = figure.subplots(len(tiers), 3, squeeze=False)
    for row, tier in zip(panels, tiers, strict=True):
        here, most = table.filter(set_to(tier=tier)), TIERS[tier]
        much, long = (int(here[name].to_numpy().max()) for name in ("comparisons", "steps"))
        fixed = set_to(misspecification=most)
        stacked(row[0], here.filter(where(comparisons=much, steps=long)), "config.misspecification")
        stacked(row[1], here.filter(fixed & where(steps=long)), "comparisons")
        stacked(row[2], here.filter(fixed & where(comparisons=much)), "steps")
        row[0].set(xlabel="misspecification m", ylabel=f"{tier}\nregret, sd of gold")
        row[1].set(xlabel="comparisons N")
        row[2].set(xlabel="steps T")
        row[0].set_title(f"N = {much:,}, T = {long}")
        row[1].set_title(f"m = {most}, T = {long}")
        row[2].set_title(f"m = {most}, N = {much:,}")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, fontsize="small")
    return figure


def stacked(axes: Axes, table: pl.DataFrame, axis: str) -> None:
    """Bars of the terms, positive ones up and negative ones down; a dot is their sum."""
    mean = table.group_by(axis).agg(pl.col(*TERMS, "total").mean()).sort(axis)
    at = np.arange(mean.height)
    up, down = np.zeros(mean.height), np.zeros(mean.height)
    for index, term in enumerate(TERMS):
        height = mean[term].to_numpy()
        base = np.where(height >= 0, up, down)
        axes.bar(at, height, 0.6, base, color=style.COLOURS[index], label=term)
        up, down = up + np.maximum(height, 0), down + np.minimum(height, 0)
    axes.plot(at, mean["total"], "D", color=style.COLOURS[5], label="regret, on its own")
    axes.axhline(0, color="0.4", lw=0.5)
    axes.set_xlim(-0.75, mean.height - 0.25)
    axes.set_xticks(at, [f"{value:,}" for value in mean[axis].to_list()])
