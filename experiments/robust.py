"""Robust optimisation: what an ensemble of imperfect rewards buys, by whose error it is.

Members are fitted to comparisons each of its own. Their errors are *private* where the reward class
holds the gold reward and comparisons are few: each errs in its own way. They are *shared* where
comparisons abound and the class lacks part of the gold reward: all err alike. Aggregations
(`reward.ensemble`), every member with mean zero under the reference:

    one              the first member alone
    mean             the mean member;  `weight average`: the member with the mean parameters
    worst case       the least member, string by string
    less variance    mean - lambda variance over members
    lower bound      mean - k standard deviations over members
    chi-squared      the mean, under a chi-squared penalty in place of KL

Each is optimised along a ladder of beta; what counts is gold at equal KL and at the end.

Tiers. `enumerable` is exact for every draw of comparisons. `words` is exact too, but a least
member or a variance of whole strings is no reward of a lattice. There `worst case` is that of the
policy, max_pi min_k E_pi r_k - beta KL, by its dual (the least soft value over mixtures of
members), `lower bound` goes word by word, and `less variance` is left out. `neural`: members are
networks over an enumerable world of horizon 5, the policy is their exact tilt. Networks can express
the gold reward; their shared error is that of one and the same table of comparisons. In `words` the
5000 comparisons of the quick profile leave members some error of their own besides the shared one.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.optimize import minimize

from bandit_rlhf import objective
from bandit_rlhf.exact import path_sum, reward_law
from bandit_rlhf.exact.lattice import Lattice, LatticePolicy, Payoff
from bandit_rlhf.reward import ensemble
from experiments import style
from experiments.experiment import Plan
from experiments.judging import Judgement, Verdict, all_of, at_least, at_most, exact, undecided
from experiments.lab import curves, words
from experiments.lab.dials import Dials, fit_proxy
from experiments.lab.reading import over_seeds
from experiments.lab.tiers import holds_on, over_tiers, tiers_of
from experiments.lab.world import World, draw_world, monomials, numbers
from experiments.word_world import mean
from experiments.yardstick import Yardstick

ERRORS = ("private", "shared")
BETAS = tuple(float(beta) for beta in np.geomspace(3, 0.02, 10).round(4))


@dataclass(frozen=True)
class Config:
    """One tier."""

    tier: str = "enumerable"  # enumerable, words or neural
    members: int = 5  # of the ensemble
    few: int = 200  # comparisons of each member where errors are private
    many: int = 20_000  # comparisons of each member where errors are shared, exact tiers
    misspecification: float = 0.8  # m, where errors are shared
    variance_weight: float = 1.0  # lambda of `less variance`, per nat
    deviations: float = 1.0  # k of `lower bound`
    worlds: int = 4  # drawn under each seed, tiers enumerable and neural
    betas: tuple[float, ...] = BETAS  # weights of the penalty, in sd of gold
    width: int = 8  # of the networks, tier neural

    def __post_init__(self) -> None:
        if self.members < 1:
            raise ValueError(
                f"members is {self.members}, but should be at least 1 [robust.Config]."
            )


SWEEP = {
    "smoke": Plan((Config(members=2, many=400, worlds=1, betas=(1.0, 0.1)),), seeds=2),
    "quick": Plan(
        (
            Config(),
            Config("words", many=5000, misspecification=1.0, betas=BETAS[::3]),
            Config("neural", members=3, worlds=4),
        ),
        seeds=10,
    ),
    "full": Plan(
        (
            Config(worlds=16),
            Config("words", misspecification=1.0),
            Config("neural", worlds=2, width=16),
        ),
        seeds=20,
    ),
}


def run(config: Config, seed: int) -> list[dict[str, Any]]:
    """The frontiers of all aggregations under both errors."""
    follow = {"enumerable": enumerable, "words": word_world, "neural": neural}[config.tier]
    return [{"tier": config.tier, **row} for row in follow(config, seed)]


def enumerable(config: Config, seed: int) -> Iterator[dict[str, Any]]:
    """Linear members over all strings."""
    for number in numbers(seed, config.worlds):
        world = draw_world(number, horizon=6)
        features = monomials(world.counts, 1)[world.bag]
        for error, dials in (
            ("private", Dials(0.0, config.few)),
            ("shared", Dials(config.misspecification, config.many)),
        ):
            gold = world.on_strings(world.gold(dials.misspecification))
            seeds = range(number * config.members, (number + 1) * config.members)
            scores = np.stack([fit_proxy(world, dials, one).fitted for one in seeds])
            averaged = np.stack(
                [weights_averaged(scores[:, x], features) for x in range(len(world.prompts))]
            )
            for row in frontiers(config, world, gold, scores, averaged):
                yield {"error": error, "world": number, **row}


def weights_averaged(scores: np.ndarray, features: np.ndarray) -> np.ndarray:
    """The reward of the members' mean weights, their weights read off their scores.

    Args:
        scores: of members linear in the features up to a constant [member, string].
        features: [string, feature].
    """
    columns = np.column_stack([features, np.ones(len(features))])
    weights = np.linalg.lstsq(columns, scores.T, rcond=None)[0].T
    return ensemble.weight_average(weights, columns)


def frontiers(
    config: Config, world: World, gold: np.ndarray, scores: np.ndarray, averaged: np.ndarray
) -> Iterator[dict[str, Any]]:
    """Gold and KL along every aggregation's ladder.

    Args:
        config: the ladder, and how cautious.
        world: reference and prompts.
        gold: [prompt, string].
        scores: the members' [member, prompt, string].
        averaged: the reward of the member with the mean parameters [prompt, string].
    """
    members = ensemble.anchored(scores, world.law)
    middle = ensemble.mean(members)
    rewards = {
        "one": members[0],
        "mean": middle,
        "worst case": ensemble.worst_case(members),
        "less variance": ensemble.mean_minus_variance(members, config.variance_weight),
        "lower bound": ensemble.lower_confidence_bound(members, config.deviations),
        "weight average": averaged,
    }
    laws: dict[str, Callable[[float], np.ndarray]] = {
        name: tilt_by(world.law, reward) for name, reward in rewards.items()
    }
    laws["chi-squared"] = lambda beta: objective.chi_squared_optimum(world.law, middle, beta)
    ruler = curves.Ruler.of(world, gold, middle)
    centred = averaged - (averaged * world.law).sum(axis=1, keepdims=True)
    gap = float(np.abs(centred - middle).max())
    for name, law in laws.items():
        for beta in config.betas:
            found = ruler(law(beta))
            row = {key: found[key] for key in ("kl", "distance", "gold")}
            yield {"method": name, "beta": beta, "weight_gap": gap, **row}


def tilt_by(law: np.ndarray, reward: np.ndarray) -> Callable[[float], np.ndarray]:
    """The Gibbs optimum as a function of beta."""
    return lambda beta: objective.gibbs(law, reward, beta)


def word_world(config: Config, seed: int) -> Iterator[dict[str, Any]]:
    """Members linear in counts of words, on the lattice."""
    for error, dials in (
        ("private", Dials(0.0, config.few)),
        ("shared", Dials(config.misspecification, config.many)),
    ):
        seeds = range(seed * config.members, (seed + 1) * config.members)
        fits = [words.fit_words(dials, one) for one in seeds]
        lattice, weights = fits[0].lattice, np.stack([one.weights for one in fits])
        payoffs = [one.reward for one in fits]
        middle = Payoff(
            ensemble.mean(np.stack([payoff.edge for payoff in payoffs])),
            ensemble.mean(np.stack([payoff.truncated for payoff in payoffs])),
        )
        averaged = words.linear(lattice, weights.mean(axis=0))
        careful = ensemble.lower_confidence_bound(weights, config.deviations)
        tilts = {
            "one": payoffs[0],
            "mean": middle,
            "lower bound": words.linear(lattice, careful),
            "weight average": averaged,
        }
        ruler = Yardstick.of(lattice, middle)
        gap = float(np.abs(averaged.edge - middle.edge).max())
        about = {"error": error, "world": 0, "weight_gap": gap}
        for beta in config.betas:
            for name, payoff in tilts.items():
                policy = path_sum.gibbs_optimum(lattice, payoff, beta)[0]
                yield {**about, "method": name, "beta": beta, **measured(ruler, policy)}
            policy = worst_policy(lattice, payoffs, beta)
            yield {**about, "method": "worst case", "beta": beta, **measured(ruler, policy)}
        for row in chi_squared_frontier(config, lattice, ensemble.mean(weights), ruler):
            yield {**about, **row}


def measured(ruler: Yardstick, policy: LatticePolicy) -> dict[str, float]:
    """KL, its root and gold."""
    kl = path_sum.kl(policy, policy.lattice.reference).value
    return {"kl": kl, "distance": float(np.sqrt(max(kl, 0.0))), "gold": ruler.gold_gain(policy)}


def worst_policy(lattice: Lattice, members: list[Payoff], beta: float) -> LatticePolicy:
    """The maximiser of min_k (E_pi r_k - E_ref r_k) - beta KL(pi || ref).

    By the minimax theorem it is the Gibbs optimum of the mixture of members whose soft value is
    least; that is convex in the mixture, with slope E_pi r_k - E_ref r_k.
    """
    levels = np.array([mean(lattice.reference, member) for member in members])

    def mixed(weights: np.ndarray) -> tuple[LatticePolicy, float]:
        edge = np.tensordot(weights, [member.edge for member in members], axes=1)
        truncated = np.tensordot(weights, [member.truncated for member in members], axes=1)
        policy, value = path_sum.gibbs_optimum(lattice, Payoff(edge, truncated), beta)
        return policy, value.value - float(weights @ levels)

    def value_and_slope(weights: np.ndarray) -> tuple[float, np.ndarray]:
        policy, value = mixed(weights)
        return value, np.array([mean(policy, member) for member in members]) - levels

    count = len(members)
    found: Any = minimize(
        value_and_slope,
        np.full(count, 1 / count),
        jac=True,
        method="SLSQP",
        bounds=[(0, 1)] * count,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": lambda _: np.ones(count)},
        options={"maxiter": 100, "ftol": 1e-11},
    )
    weights = np.clip(found.x, 0, 1)
    return mixed(weights / weights.sum())[0]


def chi_squared_frontier(
    config: Config, lattice: Lattice, weights: np.ndarray, ruler: Yardstick
) -> Iterator[dict[str, Any]]:
    """The chi-squared tilt by a reward on a grid, from its law and gold's mean at every level.

    ref(y) max(0, 1 + (r - lambda)/beta) depends on y through its level alone, as best-of-n does.
    """
    unit = words.UNIT
    payoff = words.linear(lattice, np.rint(weights / unit) * unit)
    law = reward_law.reward_law(lattice, payoff, unit, {"gold": lattice.payoffs["gold"]})
    values = np.broadcast_to(law.values, law.mass.shape)
    # What the forward sums lose in rounding would not pass for a law.
    mass = law.mass / law.mass.sum(axis=1, keepdims=True)
    for beta in config.betas:
        chosen = objective.chi_squared_optimum(mass, values, beta)
        chosen = chosen / chosen.sum(axis=1, keepdims=True)
        kl = float(law.prompt_law @ objective.kl_divergence(chosen, mass))
        weight = np.divide(chosen, mass, out=np.zeros_like(chosen), where=mass > 0)
        gold = float(law.prompt_law @ (weight * law.means["gold"]).sum(axis=1)) - ruler.gold_mean
        yield {
            "method": "chi-squared",
            "beta": beta,
            "kl": kl,
            "distance": float(np.sqrt(max(kl, 0.0))),
            "gold": gold,
        }


def neural(config: Config, seed: int) -> Iterator[dict[str, Any]]:
    """Networks as members, their exact tilt as the policy."""
    from bandit_rlhf import neural as nn
    from experiments.lab import neural as networks

    for number, error in product(numbers(seed, config.worlds), ERRORS):
        world = draw_world(number, horizon=5)
        gold = world.on_strings(world.gold(config.misspecification))
        own = config.few * (config.members if error == "private" else 1)
        rows = networks.asked(world, world.law, gold, own, number)
        start = networks.untrained(world, "gru", number, config.width)
        fits = nn.fit_ensemble(
            start, rows, config.members, source=error, seed=number, steps=150, held_out=0.1
        )
        models = [one.model for one in fits]
        scores = np.stack([model.reward_table() for model in models])
        averaged = nn.weight_average(models).reward_table()
        for row in frontiers(config, world, gold, scores, averaged):
            yield {"error": error, "world": number, **row}


def ends_and_peaks(rows: pl.DataFrame, method: str) -> tuple[np.ndarray, np.ndarray]:
    """Gold at the strongest tilt, and at its best (0 at least), worlds averaged [seed]."""
    curve = rows.filter(pl.col("method") == method).sort("beta", descending=True)
    each = curve.group_by("seed", "world", maintain_order=True).agg(
        pl.col("gold").last().alias("end"), pl.col("gold").max().clip(0.0).alias("peak")
    )
    means = each.group_by("seed").agg(pl.col("end", "peak").mean()).sort("seed")
    return means["end"].to_numpy(), means["peak"].to_numpy()


def judge_error(table: pl.DataFrame, error: str) -> Judgement:
    """Claim 17: does the worst case beat the mean ensemble, under errors of one kind?"""
    verdicts, shown, least = {}, [], (np.inf, (0.0, 0.0))
    for tier in tiers_of(table):
        rows = table.filter((pl.col("tier") == tier) & (pl.col("error") == error))
        end, peak = ends_and_peaks(rows, "mean")
        if len(end) < 2:
            return undecided("one seed alone gives no interval")
        worst_end, worst_peak = ends_and_peaks(rows, "worst case")
        gain, interval = float((worst_end - end).mean()), over_seeds(worst_end - end)
        best = over_seeds(worst_peak - peak)
        verdicts[tier] = all_of([at_least(interval, 0.1), at_least(best, -0.05)])
        single = float(ends_and_peaks(rows, "one")[0].mean())
        shown.append(
            f"{tier}: at the end {gain:+.2f} sd over the mean's {end.mean():+.2f} (one member "
            f"{single:+.2f}), at the best {(worst_peak - peak).mean():+.3f} over {peak.mean():+.2f}"
        )
        least = min(least, (gain, interval))
    effect, interval = least
    measured = f"{'; '.join(shown)}: {holds_on(verdicts)}"
    return Judgement(effect, interval, over_tiers(verdicts), measured)


def judge_private(table: pl.DataFrame) -> Judgement:
    """Claim 17, errors that members do not share."""
    return judge_error(table, "private")


def judge_shared(table: pl.DataFrame) -> Judgement:
    """Claim 17, errors that all members share."""
    return judge_error(table, "shared")


def judge_weight_average(table: pl.DataFrame) -> Judgement:
    """Claim 17's null: for linear rewards averaging weights is averaging rewards."""
    known = table.filter(pl.col("weight_gap").is_not_null())
    gaps = known.group_by("tier", maintain_order=True).agg(pl.col("weight_gap").max())
    linear = gaps.filter(pl.col("tier") != "neural")["weight_gap"]
    if linear.is_empty():
        return undecided("no tier has linear rewards")
    largest = float(linear.max())  # type: ignore[arg-type]
    said = ", ".join(f"{gap:.0e} on {tier}" for tier, gap in gaps.iter_rows())
    measured = f"largest difference of any string or word: {said}"
    verdicts: dict[str, Verdict] = {
        tier: at_most((gap, gap), 1e-9) for tier, gap in gaps.iter_rows() if tier != "neural"
    }
    return exact(largest, over_tiers(verdicts, ("enumerable", "words")), measured)


def draw(table: pl.DataFrame) -> Figure:
    """Gold against distance for every aggregation: errors by row, tiers by column."""
    tiers = tiers_of(table)
    figure = style.figure(rows=2, columns=2, height_to_width=0.75)
    panels = figure.subplots(2, len(tiers), squeeze=False)
    for row, error in enumerate(ERRORS):
        for column, tier in enumerate(tiers):
            rows = table.filter((pl.col("tier") == tier) & (pl.col("error") == error))
            draw_frontiers(panels[row, column], rows)
            panels[row, column].set_title(f"{tier}, {error} errors")
        panels[row, 0].set_ylabel("gold gain (sd under ref)")
    for axes in panels[1]:
        axes.set_xlabel(r"$\sqrt{\mathrm{KL}}$, in $\sqrt{\mathrm{nats}}$")
    low, high = panels[0, -1].get_ylim()
    panels[0, -1].set_ylim(low - 0.8 * (high - low), high)
    panels[0, -1].legend(fontsize="xx-small", ncols=2, loc="lower center")
    return figure


def draw_frontiers(axes: Axes, rows: pl.DataFrame) -> None:
    """Means over worlds and seeds; where linear, the weight average would hide the mean."""
    methods = rows["method"].unique().to_list()
    order = ("one", "mean", "worst case", "less variance", "lower bound", "chi-squared")
    looks = {method: style.series(index) for index, method in enumerate(order)}
    if rows["tier"][0] == "neural":
        looks["weight average"] = {"color": "0.5", "linestyle": ":", "marker": "x"}
    for method, look in looks.items():
        if method in methods:
            chosen = rows.filter(pl.col("method") == method)
            curve = chosen.group_by("beta").agg(pl.col("distance", "gold").mean()).sort("distance")
            axes.plot(curve["distance"], curve["gold"], label=method, ms=2.5, lw=0.9, **look)
    axes.axhline(0, color="0.6", lw=0.5, zorder=0)
