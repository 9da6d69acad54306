"""Crowd and machine: people and GPT-4 as annotators of the same pairs, and policies tilted by them.

A crowd of 124 people and GPT-4 judged the same 2,139 questions about answers of 59 language models
(llmfao). How often do they agree, and people with each other? Whom do they rank where, and what
becomes of it if ties are dropped instead of modelled (Davidson)? A policy chooses among the models,
uniformly at first, and is tilted by the machine's fitted reward: how much of the crowd's reward
does it earn, and how far does it move from the crowd's own policy?

What a policy is tilted by must not judge it: the crowd is split into two halves, one tilts, the
other judges, and the machine's policy is judged by the same people. Intervals resample people,
prompts, or both, by independent exponential weights (the Bayesian pigeonhole bootstrap: Owen and
Eckles 2012, Annals of Applied Statistics 6:895), under which every maximum stays finite.
"""

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bandit_rlhf.uncertainty import covariance
from experiments import llmfao, style
from experiments.experiment import Plan, grid
from experiments.llmfao import ABSENT, SameQuestions
from experiments.machine_feedback import BOTH, MODERATE, STRONG, is_absent, measured
from experiments.two_annotators import (
    Fits,
    Measure,
    Weights,
    agreement,
    by_beta,
    held_out,
    rewards,
)

RESAMPLED = ("nothing", "people", "prompts", BOTH)
BETAS = tuple(float(beta) for beta in np.geomspace(0.1, 10, 9).round(3))


@dataclass(frozen=True)
class Config:
    """One way to resample."""

    judgements: str = ABSENT  # digest of the files; "absent" where there are none
    resampled: str = "nothing"  # clusters that vary: nothing, people, prompts, people and prompts
    resamples: int = 1  # how often
    splits: int = 1  # random halves of the crowd to average over, in each resample
    ridge: float = 0.05  # precision of the prior on every reward, per squared nat
    kls: tuple[float, ...] = (0.1, 0.25, 0.5, MODERATE, 1.5, 2.0, 2.5, STRONG, 3.5)  # nats
    betas: tuple[float, ...] = BETAS  # weights of the KL term, nats


def sweep_of(digest: str, resamples: int, splits: int) -> Plan:
    """The estimates, and resamples of each kind; without data, one cell that says so."""
    if digest == ABSENT:
        return Plan((Config(),))
    varied = grid(Config, judgements=(digest,), resampled=RESAMPLED[1:], resamples=(resamples,))
    return Plan((Config(digest, splits=splits), *varied))


DIGEST = llmfao.digest()
SWEEP = {
    "smoke": sweep_of(DIGEST, resamples=5, splits=1),
    "quick": sweep_of(DIGEST, resamples=100, splits=20),
    "full": sweep_of(DIGEST, resamples=1000, splits=200),
}


def run(config: Config, seed: int) -> list[dict[str, Any]]:
    """One row a quantity and resample; with nothing resampled, the scores of every item too."""
    if config.judgements == ABSENT:
        return [{"quantity": "absent", "at": None, "value": None, "note": llmfao.WHY_ABSENT}]
    data = llmfao.load(config.judgements)
    people, prompts = len(data.crowd.annotators), len(data.crowd.prompts)
    varied = {
        name: count
        for name, count in (("people", people), ("prompts", prompts))
        if config.resampled in (name, BOTH)
    }
    rng = np.random.default_rng((seed, RESAMPLED.index(config.resampled)))
    rows = []
    for resample in range(config.resamples):
        weights = Weights(
            rng.standard_exponential(people) if "people" in varied else np.ones(people),
            rng.standard_exponential(prompts) if "prompts" in varied else np.ones(prompts),
        )
        halves = [random_half(people, rng) for _ in range(config.splits)]
        about = {"resample": resample, "clusters": min(varied.values(), default=None)}
        rows += [
            {"quantity": name, "at": at, "value": value, **about}
            for name, at, value in measures(config, Fits(data, weights, config.ridge), halves)
        ]
    return rows if varied else rows + list(scores(data, config.ridge))


def random_half(people: int, rng: np.random.Generator) -> np.ndarray:
    """[annotator], 1 for a random half of them and 0 for the others."""
    return (rng.permutation(people) < people / 2).astype(float)


def measures(config: Config, fits: Fits, halves: list[np.ndarray]) -> Iterator[Measure]:
    """Everything that is estimated, for one set of weights."""
    yield from agreement(fits.data, fits.weights)
    yield from rewards(fits, halves)
    yield from held_out(fits, halves, np.array(config.kls))
    yield from by_beta(fits, np.array(config.betas))


def scores(data: SameQuestions, ridge: float) -> Iterator[dict[str, Any]]:
    """Each item's reward by either annotator, with clustered standard errors."""
    crowd, machine = data.crowd, data.machine
    everybody = Weights(np.ones(len(crowd.annotators)), np.ones(len(crowd.prompts)))
    fits = Fits(data, everybody, ridge)
    for name, fitted, rows, kind in (
        ("crowd", fits.crowd(), crowd, "annotator"),
        ("machine", fits.machine(), machine, "prompt"),
    ):
        plain = replace(rows, covariates=None, covariate_names=())
        stderr = covariance(fitted, plain, kind).stderr
        for item, score, error in zip(rows.items, fitted.scores, stderr, strict=True):
            value = {"value": float(score), "stderr": float(error)}
            yield {"quantity": f"score: {name}", "item": item, **value}


def draw(table: pl.DataFrame) -> Figure:
    """Agreement, ranks and ties above; what becomes of policies below."""
    if is_absent(table):
        figure = style.figure(height_to_width=0.3)
        axes = figure.subplots()
        axes.set_axis_off()
        note = "\n".join(
            textwrap.wrap(f"Not measured: {table['note'][0]}", 70, break_on_hyphens=False)
        )
        axes.text(0.5, 0.5, note, ha="center", va="center", transform=axes.transAxes)
        return figure
    figure = style.figure(rows=3, columns=2, height_to_width=0.82)
    axes = figure.subplots(3, 2)
    draw_estimates(axes[0, 0], table, AGREEMENT)
    axes[0, 0].set(title="Do they agree?", xlabel="share of pairs of judgements")
    draw_scores(axes[0, 1], table)
    draw_estimates(axes[1, 0], table, CORRELATIONS)
    axes[1, 0].set(title="Who ranks whom where?", xlabel="rank correlation")
    axes[1, 0].plot([], [], "-", color="0.4", lw=2.4, alpha=0.5, label="over people")
    axes[1, 0].plot([], [], "-", color="0.4", lw=0.8, label="over people and prompts")
    axes[1, 0].legend(
        title="95 % intervals", fontsize="x-small", title_fontsize="x-small", loc="lower left"
    )
    draw_curves(axes[1, 1], table, HELD_OUT)
    axes[1, 1].set(
        title="Judged by people who did not tilt",
        xlabel=r"$\mathrm{KL}(\pi\,\Vert\,\mathrm{uniform})$, nats",
        ylabel="crowd's reward gained, nats",
    )
    draw_curves(axes[2, 0], table, PER_BETA)
    axes[2, 0].set(title=r"At equal $\beta$", ylabel="crowd's reward gained, nats")
    draw_curves(axes[2, 1], table, DIVERGENCE)
    axes[2, 1].set(
        title="How far the policies part",
        ylabel=r"$\mathrm{KL}(\pi_{\mathrm{machine}}\,\Vert\,\pi_{\mathrm{crowd}})$, nats",
    )
    for panel in axes[2]:
        panel.set(xscale="log", xlabel=r"$\beta$, nats")
    axes[2, 1].set_ylim(bottom=0)
    return figure


AGREEMENT = {
    "machine and person": "agree: machine, person",
    "two people": "agree: two people",
    "machine and person, no ties": "agree, decided: machine, person",
    "two people, no ties": "agree, decided: two people",
    "machine ties": "ties: machine",
    "people tie": "ties: people",
}
CORRELATIONS = {
    "machine, crowd": "rank correlation: machine, crowd",
    "halves of the crowd": "rank correlation: halves of the crowd, Davidson",
    "same, ties dropped": "rank correlation: halves of the crowd, ties dropped",
    "crowd with and\nwithout ties": "dropping ties, rank correlation: crowd",
    "machine with and\nwithout ties": "dropping ties, rank correlation: machine",
}
HELD_OUT = {
    "half of the crowd tilts": "held-out gain: half of the crowd",
    "machine tilts": "held-out gain: machine",
}
PER_BETA = {"crowd tilts": "reward: crowd", "machine tilts": "reward: machine"}
DIVERGENCE = {"": "divergence"}
NAMED = 3
"""So many items, those that the two rank most differently, are named in the figure."""


def draw_estimates(axes: Axes, table: pl.DataFrame, quantities: dict[str, str]) -> None:
    """Estimates with 95 % intervals that resample people (thick) and both (thin)."""
    for place, quantity in enumerate(quantities.values()):
        thin, thick = (measured(table, quantity, resampled=by) for by in (BOTH, "people"))
        look = style.series(0 if "machine" in quantity else 1)
        axes.plot(thin.interval, (place, place), "-", color=look["color"], lw=0.8)
        axes.plot(thick.interval, (place, place), "-", color=look["color"], lw=2.4, alpha=0.5)
        axes.plot(thin.estimate, place, look["marker"], color=look["color"])
    axes.set_yticks(range(len(quantities)), list(quantities))
    axes.invert_yaxis()
    axes.set_xlim(0, 1.03)
    axes.grid(axis="x", color="0.9", lw=0.5)


def draw_scores(axes: Axes, table: pl.DataFrame) -> None:
    """The machine's score of each item against the crowd's; the furthest apart in rank by name."""
    crowd, machine = (
        table.filter(pl.col("quantity") == f"score: {name}").sort("item")
        for name in ("crowd", "machine")
    )
    reach = 1.96  # standard errors
    axes.errorbar(
        crowd["value"],
        machine["value"],
        xerr=reach * crowd["stderr"],
        yerr=reach * machine["stderr"],
        fmt="o",
        ms=2,
        color=style.COLOURS[0],
        ecolor="0.8",
        elinewidth=0.4,
    )
    apart = (crowd["value"].rank() - machine["value"].rank()).abs()
    outline = [patheffects.withStroke(linewidth=1.5, foreground="white")]
    for index in apart.arg_sort(descending=True)[:NAMED]:
        axes.annotate(
            crowd["item"][index],
            (crowd["value"][index], machine["value"][index]),
            xytext=(0, 5),
            textcoords="offset points",
            ha="center",
            fontsize="xx-small",
            path_effects=outline,
        )
    axes.margins(x=0.12)
    axes.axline((0, 0), slope=1, color="0.6", lw=0.5, zorder=0)
    axes.set(title="Scores", xlabel="crowd, nats", ylabel="machine, nats")


def draw_curves(axes: Axes, table: pl.DataFrame, quantities: dict[str, str]) -> None:
    """Quantities along their axis; bands are 95 %, people and prompts resampled."""
    for index, (label, quantity) in enumerate(quantities.items()):
        at = table.filter(pl.col("quantity") == quantity)["at"].unique().sort().to_list()
        points = [measured(table, quantity, where) for where in at]
        look = style.series(1 - index if len(quantities) > 1 else index)
        low, high = zip(*(point.interval for point in points), strict=True)
        axes.fill_between(at, low, high, color=look["color"], alpha=0.2, lw=0)
        axes.plot(at, [point.estimate for point in points], label=label or None, **look)
    axes.axhline(0, color="0.6", lw=0.5, zorder=0)
    if len(quantities) > 1:
        axes.legend(loc="best", fontsize="x-small")
