"""Out of distribution: where the reward model errs, and how much of its error a policy can collect.

Two questions. Per string: is |r^ - r*| larger where the reference makes a string less probable?
Per policy: the error that tilting collects, E_pi[r^ - r*] less its mean under the reference, beside
what bounds it:

    by chi-squared   sqrt(chi^2(pi || ref) Var_ref(error)), Cauchy and Schwarz
    by KL            min_t (KL + ln E_ref exp(t error)) / t, Donsker and Varadhan
    sub-Gaussian     sd_ref(error) sqrt(2 KL), which holds if errors are sub-Gaussian with that sd

A control needs no world: an atom of mass e under the reference, with error e^(-1/2), to which the
policy moves the mass e^(1/4). As e falls the KL vanishes and what is collected grows without bound.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter
from scipy.stats import rankdata

from bandit_rlhf import objective
from bandit_rlhf.exact import path_sum
from bandit_rlhf.exact.lattice import LatticePolicy
from experiments import style, word_world
from experiments.experiment import Plan, grid
from experiments.lab import curves, words
from experiments.lab.dials import Dials, Proxy, fit_proxy
from experiments.lab.drawing import DISTANCE, legend_above
from experiments.lab.reading import set_to, where
from experiments.lab.world import draw_world, numbers

BETAS = tuple(float(beta) for beta in np.geomspace(20.0, 0.05, 16).round(4))
TILTS = np.geomspace(1e-3, 1e3, 61)
"""The t of Donsker and Varadhan's bound; any t gives a bound, the best of them is reported."""
SETTINGS: dict[str, dict[str, float]] = {
    "misspecification": {"misspecification": 0.6},
    "estimation": {"estimation": 1000.0},
    "Gaussian errors": {"tail": math.inf},
    "heavy errors": {"tail": 1.0},
}
"""One source of error at a time."""
NETWORKS: dict[str, Literal["counts", "gru"]] = {"misspecification": "counts", "estimation": "gru"}
"""Source of error -> the network in which it shows: linear in counts, or able to express gold."""
TIERS = ("enumerable", "words", "neural")
SAMPLE = 400
"""Strings of the word world whose errors are looked at, drawn from the reference."""


@dataclass(frozen=True)
class Config:
    """One source of error, on one tier; or the control."""

    tier: str = "enumerable"  # enumerable, words, neural, or control: the atom alone
    source: str = "misspecification"  # which error: a key of SETTINGS
    horizon: int = 7  # tokens
    worlds: int = 2  # enumerable worlds, or draws in the word world, whose mean is judged
    betas: tuple[float, ...] = BETAS  # weights of the KL term, in sd of gold
    comparisons: int = 20_000  # under misspecification, tier neural


def plans(horizon: int, worlds: int, length: int, draws: int) -> tuple[Config, ...]:
    """Every source on both tiers, and the control."""
    small = tuple(Config("enumerable", source, horizon, worlds) for source in SETTINGS)
    # What is collected of heavy errors varies by the draw: it takes many to know the middle.
    many = {source: draws * (8 if source.endswith("errors") else 1) for source in SETTINGS}
    large = tuple(Config("words", source, length, many[source]) for source in SETTINGS)
    return (*small, *large, Config("control", "heavy errors", 0, 0, ()))


def networks(worlds: int) -> tuple[Config, ...]:
    """The sources of error that a network has: its class, and the number of comparisons."""
    return grid(Config, tier=("neural",), source=tuple(NETWORKS), horizon=(5,), worlds=(worlds,))


SWEEP = {
    "smoke": Plan(plans(4, 1, 8, 1), seeds=2),
    "quick": Plan((*plans(7, 2, 32, 1), *networks(1)), seeds=10),
    "full": Plan((*plans(8, 3, 32, 2), *networks(4)), seeds=20),
}


def run(config: Config, seed: int) -> list[dict[str, Any]]:
    """Rows of three kinds: `rank` correlations, `strings` by probability, `policy` along the tilt.

    The control's rows are of the kind `atom`.
    """
    if config.tier == "control":
        return [atom(exponent) for exponent in range(1, 17)]
    dials = Dials(**SETTINGS[config.source])
    if config.tier == "words" and dials.misspecification:
        dials = dials.turned("misspecification", 1.0)
    rows = []
    for number in numbers(seed, config.worlds):
        if config.tier == "words":
            lattice_proxy = words.fit_words(dials, number, horizon=config.horizon)
            found = word_rows(config, lattice_proxy, number)
        elif config.tier == "neural":
            found = network_rows(config, dials, number)
        else:
            found = enumerable_rows(
                config, fit_proxy(draw_world(number, config.horizon), dials, number)
            )
        rows += [{"world": number, **row} for row in found]
    return rows


def atom(exponent: int) -> dict[str, Any]:
    """The control at mass e = 10^-exponent: error of variance nearly 1, collected at little KL."""
    mass = 10.0**-exponent
    moved, error = mass**0.25, mass**-0.5
    reference, law = np.array([1 - mass, mass]), np.array([1 - moved, moved])
    return {
        "kind": "atom",
        "mass": mass,
        "kl": float(objective.kl_divergence(law, reference)),
        "collected": (moved - mass) * error,
        "by_chi": float(np.sqrt(objective.chi_squared(law, reference) * mass * (1 - mass)) * error),
    }


def enumerable_rows(config: Config, proxy: Proxy) -> Iterator[dict[str, Any]]:
    """All strings, and all policies of the tilt."""
    yield from measured(config, curves.Ruler.of_proxy(proxy))


def network_rows(config: Config, dials: Dials, seed: int) -> Iterator[dict[str, Any]]:
    """The same, where reference and reward model are networks."""
    from experiments.lab import neural  # torch is needed by these cells alone

    if not math.isfinite(dials.estimation):
        dials = dials.turned("estimation", config.comparisons)
    proxy = neural.fit_neural(dials, seed, NETWORKS[config.source], config.horizon)
    yield from measured(config, proxy.ruler)


def measured(config: Config, ruler: curves.Ruler) -> Iterator[dict[str, Any]]:
    """Errors of all strings, and what every policy of the tilt collects of them."""
    world, reference, error = ruler.world, ruler.law, ruler.proxy - ruler.gold
    weight = world.prompt_law[:, None] * reference
    sd = float(np.sqrt((weight * error**2).sum()))
    surprise, size = -np.log(reference).ravel(), np.abs(error).ravel() / sd
    yield {"kind": "rank", "correlation": spearman(surprise, size)}
    yield from binned(surprise, size, np.broadcast_to(weight, error.shape).ravel())
    flat, log_weight = error.ravel(), np.log(weight.ravel())
    with np.errstate(over="ignore"):
        moments = np.array([np.logaddexp.reduce(log_weight + t * flat) for t in TILTS / sd])
    for beta, law in curves.tilt(reference, ruler.proxy, config.betas):
        measures = ruler(law)
        collected = float((world.prompt_law[:, None] * law * error).sum())
        kl, chi = measures["kl"], measures["chi_squared"]
        yield {
            "kind": "policy",
            "setting": beta,
            "kl": kl,
            "distance": measures["distance"],
            "collected": collected / sd,
            **bounds(kl, chi, moments),
        }


def bounds(kl: float, chi_squared: float, moments: np.ndarray) -> dict[str, float]:
    """What a policy can collect at most, in standard deviations of the error.

    Args:
        kl: KL(pi || ref), nats.
        chi_squared: chi^2(pi || ref).
        moments: ln E_ref exp(t error / sd) at every t of TILTS [tilt].
    """
    possible = np.isfinite(moments)
    return {
        "by_chi": math.sqrt(max(chi_squared, 0.0)),
        "by_kl": float(((kl + moments[possible]) / TILTS[possible]).min()),
        "by_sd": math.sqrt(2 * max(kl, 0.0)),
    }


def word_rows(config: Config, proxy: words.WordProxy, seed: int) -> Iterator[dict[str, Any]]:
    """Strings drawn from the reference, and all policies of the tilt."""
    lattice, gold = proxy.lattice, proxy.lattice.payoffs["gold"]
    error = proxy.reward - gold
    mean, sd = word_world.mean(lattice.reference, error), word_world.deviation(lattice, error)
    rng = np.random.default_rng((seed, 0x57))
    surprises, sizes = [], []
    for prompt, count in enumerate(rng.multinomial(SAMPLE, lattice.prompt_law)):
        batch = lattice.reference.sample(rng, int(count), prompt)
        surprises.append(-lattice.reference.log_prob(batch, prompt))
        sizes.append(np.abs(lattice.reward(error, batch, prompt) - mean) / sd)
    surprise, size = np.concatenate(surprises), np.concatenate(sizes)
    yield {"kind": "rank", "correlation": spearman(surprise, size)}
    yield from binned(surprise, size, np.full(len(size), 1 / len(size)))
    moments = np.array([word_moment(proxy, t / sd, mean) for t in TILTS])
    for beta, policy in words.tilt(proxy, config.betas):
        kl = path_sum.kl(policy, lattice.reference).value
        chi = path_sum.chi_squared(policy, lattice.reference).value
        yield {
            "kind": "policy",
            "setting": beta,
            "kl": kl,
            "distance": math.sqrt(max(kl, 0.0)),
            "collected": (collected(policy, proxy) - mean) / sd,
            **bounds(kl, chi, moments),
        }


def collected(policy: LatticePolicy, proxy: words.WordProxy) -> float:
    """E_pi[r^ - r*] on the lattice."""
    return word_world.mean(policy, proxy.reward - proxy.lattice.payoffs["gold"])


def word_moment(proxy: words.WordProxy, t: float, mean: float) -> float:
    """ln E_ref exp(t (error - mean)), prompts weighed by their law."""
    lattice = proxy.lattice
    error = proxy.reward - lattice.payoffs["gold"]
    _, value = path_sum.gibbs_optimum(lattice, error, 1 / t)
    scores = value.by_prompt * t + np.log(lattice.prompt_law)
    return float(np.logaddexp.reduce(scores)) - t * mean


def spearman(one: np.ndarray, two: np.ndarray) -> float:
    """Rank correlation, ties sharing their ranks."""
    return float(np.corrcoef(rankdata(one), rankdata(two))[0, 1])


def binned(
    surprise: np.ndarray, size: np.ndarray, weight: np.ndarray, bins: int = 10
) -> Iterator[dict[str, Any]]:
    """Root mean square error of strings in tenths, from the most to the least probable."""
    order = np.argsort(surprise, kind="stable")
    for part in np.array_split(order, bins):
        yield {
            "kind": "strings",
            "surprise": float(surprise[part].mean()),
            "rms": float(np.sqrt((size[part] ** 2).mean())),
            "largest": float(size[part].max()),
            "mass": float(weight[part].sum()),
        }


def chosen(table: pl.DataFrame, kind: str, tier: str, source: str) -> pl.DataFrame:
    """Rows of one kind, tier and source of error."""
    return table.filter(where(kind=kind) & set_to(tier=tier, source=source))


def draw(table: pl.DataFrame) -> Figure:
    """Errors by probability, what is collected beside its bounds, and the control."""
    figure = style.figure(rows=3, columns=3, height_to_width=0.95)
    panels = figure.subplots(3, 3)
    for row, tier in zip(panels, TIERS, strict=True):
        draw_strings(row[0], table, tier)
        misspecified = chosen(table, "policy", tier, "misspecification")
        draw_bounds(row[1], misspecified, f"{tier}: misspecified")
    for axes, tier in zip(panels[:2, 2], TIERS[:2], strict=True):
        draw_bounds(axes, chosen(table, "policy", tier, "heavy errors"), f"{tier}: heavy errors")
    draw_control(panels[2, 2], table)
    return figure


def draw_strings(axes: Axes, table: pl.DataFrame, tier: str) -> None:
    """Root mean square error of each tenth of the strings against their surprise."""
    for index, source in enumerate(SETTINGS):
        rows = chosen(table, "strings", tier, source)
        if rows.is_empty():
            continue
        rows = rows.sort("seed", "world", "surprise")
        tenth = rows.with_columns(tenth=pl.int_range(pl.len()).over("seed", "world"))
        mean = tenth.group_by("tenth").agg(pl.col("surprise", "rms").mean()).sort("tenth")
        axes.plot(mean["surprise"], mean["rms"], **style.series(index), label=source)
    axes.set_yscale("log")
    axes.set(xlabel=r"$-\ln\,\mathrm{ref}(y)$, nats", ylabel="rms error, sd under ref")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FormatStrFormatter("%g"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_title(f"{tier}: by string")
    legend_above(axes, 0.6)


def draw_bounds(axes: Axes, table: pl.DataFrame, title: str) -> None:
    """Error collected along the tilt, mean over seeds, under its three bounds as far as seen."""
    names = {
        "collected": "collected",
        "by_kl": r"$\min_t\,(\mathrm{KL}+\Lambda(t))/t$",
        "by_sd": r"$\sigma\sqrt{2\,\mathrm{KL}}$",
        "by_chi": r"$\sqrt{\chi^2\,\mathrm{Var}}$",
    }
    axes.set_title(title)
    if table.is_empty():
        return
    mean = table.group_by("setting").agg(pl.col("distance", *names).mean()).sort("distance")
    top = 1.2 * mean["by_kl"].to_numpy().max()
    for index, (column, label) in enumerate(names.items()):
        look = {**style.series(index), "marker": None}
        shown = mean.filter(pl.col(column) <= top)
        axes.plot(shown["distance"], shown[column], label=label, **look)
    axes.set_ylim(0, top)
    axes.set(xlabel=DISTANCE, ylabel="error collected, sd")
    legend_above(axes, 0.6)


def draw_control(axes: Axes, table: pl.DataFrame) -> None:
    """The atom: what is collected against KL, as its mass falls."""
    control = table.filter(where(kind="atom")).unique("mass").sort("mass")
    axes.plot(control["kl"], control["collected"], **style.series(0))
    for exponent in (2, 8, 16):
        row = control.filter((pl.col("mass") / 10.0**-exponent - 1).abs() < 1e-6)
        for point in row.iter_rows(named=True):
            axes.annotate(
                rf"$10^{{-{exponent}}}$",
                (point["kl"], point["collected"]),
                xytext=(4, 2),
                textcoords="offset points",
                fontsize="x-small",
            )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set(xlabel="KL, nats", ylabel="error collected, sd")
    axes.set_title("control: falling atom")
