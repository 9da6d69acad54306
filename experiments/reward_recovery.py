"""Reward recovery: how far a fitted reward is from the true one, by comparisons and dimensions.

True scores of d + 1 items are normal. Pairs are drawn evenly and judged by Bradley and Terry's
model; maximum likelihood answers. The error is the root mean square, over the questions asked, of
the fitted less the true difference of rewards: |theta^ - theta*| in the norm of the lemma's Sigma.
Zhu, Jordan and Jiao (2023, arXiv:2301.11270, lemma 3.1) bound it, with probability 1 - delta, by

    C sqrt((d + ln(1 / delta)) / (g^2 N)),    g = 1 / (2 + e^m + e^-m),   m the largest difference,

for some C. The theory of maximum likelihood gives the constant for large N: with p the chance that
the first item wins and x = e_first - e_second,

    E error^2 = k^2 d / N,    k^2 = tr(E[x x'] E[p (1 - p) x x']^+) / d,    2 <= k <= g^(-1/2).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from bandit_rlhf.annotator import Person, compare, every_question, random_questions
from bandit_rlhf.comparison_graph import NoFiniteMaximum
from bandit_rlhf.reward import fit
from experiments import style
from experiments.experiment import Plan, grid


@dataclass(frozen=True)
class Config:
    """One number of comparisons of one number of items."""

    comparisons: int = 16_000  # N
    dimension: int = 20  # d, items less one
    score_sd: float = 1.0  # of the true rewards, in nats
    repeats: int = 6  # data sets drawn from one world; each seed is a world


SWEEP = {
    "smoke": Plan(grid(Config, comparisons=(1000, 4000), dimension=(4, 8), repeats=(2,)), seeds=2),
    "quick": Plan(
        grid(Config, comparisons=(4000, 16_000, 64_000), dimension=(5, 20, 80)), seeds=10
    ),
    "full": Plan(
        grid(
            Config,
            comparisons=(16_000, 64_000, 256_000, 1_024_000),
            dimension=(5, 20, 80, 320),
            repeats=(10,),
        ),
        seeds=20,
    ),
}


def run(config: Config, seed: int) -> list[dict[str, Any]]:
    """Draw a world, and from it data sets to be fitted."""
    items = config.dimension + 1
    world = np.random.default_rng((seed, config.dimension))
    person = Person(config.score_sd * world.standard_normal((1, items)))
    true_reward = person.true_reward[0]
    gap = float(np.ptp(true_reward))
    about = {
        "curvature": 1 / (2 + np.exp(gap) + np.exp(-gap)),
        "constant": asymptotic_constant(person),
    }
    rng = np.random.default_rng((seed, config.dimension, config.comparisons))
    evenly = np.full((1, items), 1 / items)
    rows = []
    for repeat in range(config.repeats):
        asked = random_questions(rng, config.comparisons, [1.0], evenly)
        try:
            fitted = fit(compare(person, asked, rng, items=range(items)))
        except NoFiniteMaximum:
            rows.append({"repeat": repeat, "converged": False, "error": None, **about})
            continue
        off = fitted.scores - true_reward
        error = float(np.sqrt(np.mean((off[asked.first] - off[asked.second]) ** 2)))
        rows.append({"repeat": repeat, "converged": fitted.converged, "error": error, **about})
    return rows


def asymptotic_constant(person: Person) -> float:
    """The k of the module's docstring, questions drawn evenly."""
    questions = every_question(*person.shape)
    identity = np.eye(person.shape[1])
    differences = identity[questions.first] - identity[questions.second]
    law = person.outcome_probs(questions)
    variance = law[:, 0] * law[:, 2]
    moment = differences.T @ differences / len(differences)
    information = (differences * variance[:, None]).T @ differences / len(differences)
    trace = np.trace(moment @ np.linalg.pinv(information, hermitian=True))
    return float(np.sqrt(trace / (person.shape[1] - 1)))


def draw(table: pl.DataFrame) -> Figure:
    """Error against N, and error as a multiple of what the theory says, against N / d."""
    figure = style.figure(columns=2, height_to_width=0.8)
    left, right = figure.subplots(1, 2)
    table = table.drop_nulls("error")
    draw_errors(left, table)
    draw_ratio(right, table)
    return figure


def draw_errors(axes: Axes, table: pl.DataFrame) -> None:
    """Root mean square error for each dimension, with the law k sqrt(d / N)."""
    for index, ((dimension,), rows) in enumerate(
        table.sort("config.dimension").group_by("config.dimension", maintain_order=True)
    ):
        found = rows.group_by("config.comparisons").agg(
            (pl.col("error") ** 2).mean().sqrt(), (pl.col("constant") ** 2).mean().sqrt()
        )
        found = found.sort("config.comparisons")
        look: dict[str, Any] = {**style.series(index), "linestyle": "none"}
        axes.plot(found["config.comparisons"], found["error"], label=f"d = {dimension}", **look)
        law = found["constant"] * (dimension / found["config.comparisons"]).sqrt()
        axes.plot(found["config.comparisons"], law, "-", color=look["color"], lw=0.8)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set(xlabel="comparisons N", ylabel="error, nats", title=r"Lines: $k\sqrt{d/N}$")
    axes.legend(fontsize="x-small")


def draw_ratio(axes: Axes, table: pl.DataFrame) -> None:
    """Each data set's error over k sqrt(d / N)."""
    for index, ((dimension,), rows) in enumerate(
        table.sort("config.dimension").group_by("config.dimension", maintain_order=True)
    ):
        per_dimension = rows["config.comparisons"] / dimension
        ratio = rows["error"] / rows["constant"] * per_dimension.sqrt()
        look: dict[str, Any] = {**style.series(index), "linestyle": "none"}
        axes.plot(per_dimension, ratio, label=f"d = {dimension}", alpha=0.5, **look)
    axes.axhline(1.0, color="0.4", lw=0.8)
    axes.set_xscale("log")
    axes.set(xlabel="comparisons a dimension, N / d", ylabel=r"error / ($k\sqrt{d/N}$)")
    axes.set_title("The constant")
