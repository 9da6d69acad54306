"""The average human: people of hidden types, one Bradley-Terry reward for all, and who gets lost.

Everybody judges by Bradley and Terry's model with a reward of their own; the table of comparisons
does not tell types apart. All laws are exact: the fit sees every question with every outcome,
weighted by its probability, which is what infinitely many judgements would tell. Only the worlds
are drawn. The fitted order of the answers is set beside Borda's (how often an answer wins) and the
order by mean utility; the policy tilted by the fitted reward is set beside people's preferences.

In the regression of the policy's ln odds on people's, a pair weighs p (1 - p), the information in
one judgement of it: of odds of 1e17 a fit in double precision knows only rounding. (The first run
gave all pairs the same weight, and its control with one type showed just that; the weights were put
in then, the prediction stands as it was.)
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bandit_rlhf.annotator import Person, Population, every_question, expected_comparisons
from bandit_rlhf.objective import gibbs
from bandit_rlhf.reward import fit
from experiments import style
from experiments.experiment import Plan, grid


@dataclass(frozen=True)
class Config:
    """Worlds of one kind."""

    types: int = 3  # hidden types of people; their shares are uniform on the simplex
    coverage: str = "even"  # of the pairs: "even", or "uneven", with log-normal exposure of answers
    answers: int = 6  # to one prompt
    intensity_sd: float = 1.0  # of ln how strongly a type feels: the sd of its utilities, in nats
    worlds: int = 20  # drawn under each seed
    betas: tuple[float, ...] = (2.0, 1.0, 0.5, 0.25, 0.1)  # weights of the KL term


SWEEP = {
    "smoke": Plan(grid(Config, types=(1, 3), worlds=(4,), betas=((1.0, 0.25),)), seeds=2),
    "quick": Plan(
        (*grid(Config, types=(1, 2, 3, 5)), Config(coverage="uneven")),
        seeds=10,
    ),
    "full": Plan(
        grid(Config, types=(1, 2, 3, 5, 10), coverage=("even", "uneven"), worlds=(100,)), seeds=20
    ),
}


def run(config: Config, seed: int) -> list[dict[str, Any]]:
    """Draw worlds and fit each one's population exactly."""
    rng = np.random.default_rng((seed, config.types))
    rows = []
    for world in range(config.worlds):
        people = draw_population(rng, config)
        exposure = np.exp(rng.standard_normal(config.answers))
        reference = rng.dirichlet(np.ones(config.answers))
        rows += [
            {"world": world, **measures}
            for measures in measure(people, exposure, reference, config)
        ]
    return rows


def draw_population(rng: np.random.Generator, config: Config) -> Population:
    """Types with normal utilities, each at an intensity of its own."""
    intensity = np.exp(config.intensity_sd * rng.standard_normal(config.types))
    utilities = intensity[:, None] * rng.standard_normal((config.types, config.answers))
    people = tuple(Person(utility[None]) for utility in utilities)
    return Population(people, rng.dirichlet(np.ones(config.types)))


def measure(
    people: Population, exposure: np.ndarray, reference: np.ndarray, config: Config
) -> list[dict[str, Any]]:
    """One row for each beta: how the fitted reward orders the answers, and what its tilt does."""
    questions = every_question(1, config.answers)
    weight = exposure[questions.first] * exposure[questions.second]
    if config.coverage == "even":
        weight = np.ones_like(weight)
    fitted = fit(expected_comparisons(people, questions, weight=weight), tolerance=1e-12)
    if not fitted.converged:
        raise RuntimeError(f"the population fit left a gradient of {fitted.gradient_norm:.2g}.")
    law = people.outcome_probs(questions)
    wins = np.full((config.answers, config.answers), 0.5)  # [first, second]
    wins[questions.first, questions.second] = law[:, 0]
    borda = (wins.sum(axis=1) - 0.5) / (config.answers - 1)
    mean = people.mean_reward()[0]
    best = int(fitted.scores.argmax())
    orders = {
        "against_borda": discordance(fitted.scores, borda),
        "against_mean": discordance(fitted.scores, mean),
        "best_for_mean": bool(mean[best] == mean.max()),
        "regret": float((mean.max() - mean[best]) / (mean.max() - mean.mean())),
    }
    above, below = np.triu_indices(config.answers, 1)
    chance, other = wins[above, below], wins[below, above]
    preferred, information = np.log(chance) - np.log(other), chance * other
    first, second = np.argsort(-fitted.scores)[:2]
    rows = []
    for beta in config.betas:
        gain = np.log(gibbs(reference, fitted.scores, beta)) - np.log(reference)
        tilted = gain[above] - gain[below]
        rows.append(
            {
                "beta": beta,
                **orders,
                "exponent": slope(preferred, tilted, information),
                "minority": float(wins[second, first]),
                "minority_kept": float(1 / (1 + np.exp(gain[first] - gain[second]))),
            }
        )
    return rows


def slope(x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> float:
    """The weighted least-squares slope of y on x through the origin.

    >>> slope(np.array([1.0, 2.0]), np.array([3.0, 6.0]), np.array([0.25, 0.1]))
    3.0
    """
    return float((weight * x) @ y / ((weight * x) @ x))


def discordance(scores: np.ndarray, others: np.ndarray) -> float:
    """The share of pairs that two score vectors order in opposite ways (Kendall's distance).

    >>> discordance(np.array([3.0, 2.0, 1.0]), np.array([3.0, 1.0, 2.0])) * 3
    1.0
    """
    above, below = np.triu_indices(len(scores), 1)
    opposite = (scores[above] - scores[below]) * (others[above] - others[below]) < 0
    return float(opposite.mean())


def draw(table: pl.DataFrame) -> Figure:
    """Whose order the fit takes, by the number of types; and what is left of a minority."""
    figure = style.figure(columns=2, height_to_width=0.8)
    left, right = figure.subplots(1, 2)
    draw_orders(left, table)
    draw_minority(right, table)
    return figure


def draw_orders(axes: Axes, table: pl.DataFrame) -> None:
    """Share of pairs on which the fit contradicts Borda and mean utility."""
    names = {"against_mean": "mean utility", "against_borda": "Borda count"}
    once = table.filter(pl.col("beta") == pl.col("beta").max())
    index = 0
    for coverage in ("even", "uneven"):
        chosen = once.filter(pl.col("config.coverage") == coverage)
        if chosen.is_empty():
            continue
        means = chosen.group_by("config.types").agg(pl.col(list(names)).mean()).sort("config.types")
        for column, name in names.items():
            label = f"{name}, {coverage} coverage"
            axes.plot(means["config.types"], means[column], label=label, **style.series(index))
            index += 1
    axes.set(xlabel="hidden types", ylabel="share of pairs", title="Fit orders pairs against ...")
    axes.set_ylim(bottom=-0.01)
    axes.legend(fontsize="x-small")


def draw_minority(axes: Axes, table: pl.DataFrame) -> None:
    """The less preferred of the best two answers: its share among people, and under the policy."""
    even = table.filter(pl.col("config.coverage") == "even")
    for index, ((types,), rows) in enumerate(
        even.sort("config.types").group_by("config.types", maintain_order=True)
    ):
        look = style.series(index)
        kept = rows.group_by("beta").agg(pl.col("minority_kept").mean()).sort("beta")
        label = "1 type" if types == 1 else f"{types} types"
        axes.plot(kept["beta"], kept["minority_kept"], label=label, **look)
        minority = float(rows["minority"].mean())  # type: ignore[arg-type]
        axes.axhline(minority, color=look["color"], lw=0.5, ls=":")
    axes.set_xscale("log")
    axes.set(xlabel=r"$\beta$", ylabel="mean share", title="Second answer against the best")
    axes.legend(fontsize="x-small", title="policy (dotted: people)", title_fontsize="x-small")
