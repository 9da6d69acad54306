"""First light: a word model of real English is optimised, exactly, against a reward fitted to comparisons.

The reference is an n-gram model counted on the text that ships with CPython; prompts are its most frequent
sentence openings. The gold reward pays for informative words (Shannon: minus the log of a word's frequency) and
charges for saying a word twice in a row. The proxy is linear in the counts of all words, fitted by Bradley-Terry to
N comparisons of strings drawn from the reference. Tilting, best-of-n and policy-gradient steps are exact: only
the comparisons are drawn.
"""

import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.optimize import brentq
from bandit_rlhf import corpus
from bandit_rlhf.automaton import AutomatonReward, context_successors, length, repetition
from bandit_rlhf.exact import path_sum, reward_law, viterbi
from bandit_rlhf.exact.lattice import Lattice, LatticePolicy, Payoff
from bandit_rlhf.language import Language, TokenBatch
from experiments import gao, goodhart, style
from experiments.experiment import Plan, grid


@dataclass(frozen=True)
class Config:
    """One fit of the proxy and the paths that optimise it."""

    comparisons: int = 3000  # N, pairs of strings that the annotator compares
    vocabulary_size: int = 300  # words, the unknown word included
    horizon: int = 16  # tokens, the end of the sentence included
    prompts: int = 3  # the most frequent two-word openings that differ in their last word
    prior_sd: float = 1.0  # of each word's weight in the proxy, in logits of a comparison
    unit: float = 0.0625  # grid to which the proxy's weights are rounded, in logits
    betas: tuple[float, ...] = tuple(float(b) for b in np.round(np.geomspace(10, 0.02, 22), 4))  # KL weights, in logits
    draws: tuple[int, ...] = tuple(4**k for k in range(1, 11))  # n of best-of-n
    gradient_steps: int = 0  # policy-gradient steps; 0 leaves these paths out
    step_size: float = 0.25  # of natural gradient, so that step t stands for beta = 1 / (step_size t), in 1/logits


SWEEP = {
    "smoke": Plan(
        (Config(comparisons=300, vocabulary_size=40, horizon=8, prompts=2, gradient_steps=20),), seeds=2
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


@lru_cache(maxsize=4)
def world(vocabulary_size: int, horizon: int, prompts: int) -> Lattice:
    """The reference counted on CPython's text, with the rewards that do not depend on comparisons.

    "gold" has standard deviation 1 under the reference; "repeats" and "length" count tokens.
    """
    text = corpus.english_text()
    reference = corpus.from_text(text, order=1, horizon=horizon, vocabulary_size=vocabulary_size)
    language, said = reference.language, list(corpus.sentences(text))
    openings, law = frequent_openings(said, language, prompts)
    raw = gold_reward(language, said)
    lattice = Lattice.build(reference, {"gold": raw}, openings, law)
    rewards = {
        "gold": raw * (1 / deviation(lattice, lattice.payoffs["gold"])),
        "repeats": repetition(language, 1),
        "length": length(language),
    }
    return Lattice.build(reference, rewards, openings, law)


def frequent_openings(
    said: list[list[str]], language: Language, count: int
) -> tuple[list[tuple[str, ...]], np.ndarray]:
    """The most frequent two-word sentence openings with distinct last words, and their shares."""
    known = set(language.vocabulary) - {corpus.UNKNOWN}
    frequency = Counter(tuple(words[:2]) for words in said if len(words) > 2 and known.issuperset(words[:2]))
    chosen: list[tuple[str, ...]] = []
    for opening in sorted(frequency, key=lambda pair: (-frequency[pair], pair)):
        if len(chosen) < count and opening[-1] not in {other[-1] for other in chosen}:
            chosen.append(opening)
    weights = np.array([frequency[opening] for opening in chosen], dtype=float)
    return chosen, weights / weights.sum()


def gold_reward(language: Language, said: list[list[str]]) -> AutomatonReward:
    """Pays each word its information, -ln p(word), less the average; a word said twice in a row costs as much as
    the most informative word pays.
    """
    frequency = Counter(word if word in language.vocabulary else corpus.UNKNOWN for words in said for word in words)
    counts = np.array([frequency[word] for word in language.vocabulary], dtype=float)
    share = counts / counts.sum()
    information = -np.log(share)
    worth = information - share @ information
    successor = context_successors(language.vocabulary_size, 1)
    edge = np.zeros((len(successor), language.action_count))
    edge[:, : language.vocabulary_size] = worth
    words = np.arange(language.vocabulary_size)
    edge[1 + words, words] = -worth.max()
    return AutomatonReward(language, successor, edge, np.zeros(len(successor)))


def mean(policy: LatticePolicy, payoff: Payoff) -> float:
    """The exact expectation, prompts weighed by their law."""
    return path_sum.expected_reward(policy, payoff).value


def covariance(lattice: Lattice, first: Payoff, second: Payoff) -> float:
    """Cov(r_1, r_2) under the reference, exactly."""
    reference = lattice.reference
    moment = path_sum.second_moment(reference, first, second).value
    return moment - mean(reference, first) * mean(reference, second)


def deviation(lattice: Lattice, payoff: Payoff) -> float:
    """The standard deviation of a reward under the reference, exactly."""
    return float(np.sqrt(covariance(lattice, payoff, payoff)))


def run(config: Config, seed: int) -> list[dict[str, Any]]:
    """Draw comparisons, fit the proxy, and follow every path of optimisation exactly."""
    lattice = world(config.vocabulary_size, config.horizon, config.prompts)
    rng = np.random.default_rng((seed, config.comparisons))
    differences = compare(lattice, config.comparisons, rng)
    weights = np.rint(fit_weights(differences, config.prior_sd) / config.unit) * config.unit
    proxy = Payoff(np.broadcast_to(weights, lattice.log_reference.shape), np.zeros(lattice.state_count))
    judge = Yardstick.of(lattice, proxy)
    shared = {"comparisons": config.comparisons, **judge.about()}
    steps = list(gradient_paths(config, judge))
    stepped = [measures["kl"] for method, _, measures in steps if method == "natural-gradient"]
    betas = {*config.betas, *(beta_of(judge, kl, config.betas) for kl in stepped)}
    return [
        {"method": method, "setting": float(setting), **shared, **measures}
        for method, setting, measures in (*tilts(judge, betas), *best_of(config, judge), *steps)
    ]


def compare(lattice: Lattice, comparisons: int, rng: np.random.Generator) -> np.ndarray:
    """Pairs of strings from the reference, judged by a Bradley-Terry annotator with the gold reward.

    Returns:
        counts of every token in the winner less those in the loser [comparison, action].
    """
    gold, actions = lattice.payoffs["gold"], lattice.language.action_count
    asked = rng.multinomial(comparisons, lattice.prompt_law)
    differences = []
    for prompt, pairs in enumerate(asked):
        counts, scores = [], []
        for _ in range(2):
            batch = lattice.reference.sample(rng, int(pairs), prompt)
            ordinary = np.where(batch.mask, batch.tokens, actions)
            rows = np.arange(len(batch))[:, None] * (actions + 1) + ordinary
            table = np.bincount(rows.ravel(), minlength=len(batch) * (actions + 1))
            counts.append(table.reshape(len(batch), actions + 1)[:, :actions])
            scores.append(score(lattice, gold, batch, prompt))
        first_wins = rng.random(pairs) < 1 / (1 + np.exp(scores[1] - scores[0]))
        differences.append(np.where(first_wins[:, None], 1, -1) * (counts[0] - counts[1]))
    return np.concatenate(differences).astype(float)


def score(lattice: Lattice, payoff: Payoff, batch: TokenBatch, prompt: int) -> np.ndarray:
    """The reward of every string of a batch, read along its path."""
    state, total = np.full(len(batch), lattice.start[prompt]), np.zeros(len(batch))
    for column in range(batch.tokens.shape[1]):
        reading = batch.mask[:, column]
        token = np.where(reading, batch.tokens[:, column], 0)
        total += np.where(reading, payoff.edge[state, token], 0.0)
        going_on = reading & (token < lattice.language.vocabulary_size)
        state = np.where(going_on, lattice.successor[state, np.where(going_on, token, 0)], state)
    return total + np.where(batch.terminated, 0.0, payoff.truncated[state])


def fit_weights(differences: np.ndarray, prior_sd: float) -> np.ndarray:
    """Bradley-Terry with rewards linear in counts and a Gaussian prior, by Newton's method.

    Maximises sum_i ln sigma(w . difference_i) - |w|^2 / (2 prior_sd^2), which is strictly concave.

    Raises:
        RuntimeError: the gradient does not vanish within fifty steps.
    """
    weights = np.zeros(differences.shape[1])
    prior = np.eye(len(weights)) / prior_sd**2
    for _ in range(50):
        losing = 1 / (1 + np.exp(differences @ weights))
        gradient = differences.T @ losing - weights / prior_sd**2
        if np.abs(gradient).max() < 1e-8:
            return weights
        curvature = (differences * (losing * (1 - losing))[:, None]).T @ differences + prior
        weights = weights + np.linalg.solve(curvature, gradient)
    raise RuntimeError(f"Newton's method left a gradient of {np.abs(gradient).max():.2g} after 50 steps.")


@dataclass(frozen=True, eq=False)
class Yardstick:
    """Everything a policy is measured with; gains are in standard deviations under the reference.

    Args:
        lattice: the world.
        proxy: the fitted reward.
        proxy_mean: its mean under the reference, in logits.
        proxy_sd: its standard deviation there, in logits.
        gold_mean: the gold reward's mean under the reference.
        correlation: of proxy and gold under the reference.
    """

    lattice: Lattice
    proxy: Payoff
    proxy_mean: float
    proxy_sd: float
    gold_mean: float
    correlation: float

    @classmethod
    def of(cls, lattice: Lattice, proxy: Payoff) -> "Yardstick":
        gold, reference, sd = lattice.payoffs["gold"], lattice.reference, deviation(lattice, proxy)
        correlation = covariance(lattice, proxy, gold) / sd
        return cls(lattice, proxy, mean(reference, proxy), sd, mean(reference, gold), correlation)

    def about(self) -> dict[str, Any]:
        """What holds for the proxy as a whole: its correlation, and the KL at which tilting saturates."""
        caps = []
        for prompt in range(len(self.lattice.prompts)):
            best = viterbi.best_string(self.lattice, self.proxy, 1, prompt)[0].string
            batch = self.lattice.language.batch([best])
            caps.append(-float(self.lattice.reference.log_prob(batch, prompt)[0]))
        return {"correlation": self.correlation, "largest_kl": float(self.lattice.prompt_law @ caps)}

    def gains(self, kl: float, chi_squared: float, proxy: float, gold: float) -> dict[str, Any]:
        """KL, distance, both gains, and the gold gain that the proxy's guarantees (Laidlaw et al. 2024)."""
        proxy_gain = (proxy - self.proxy_mean) / self.proxy_sd
        unexplained = np.sqrt((1 - self.correlation**2) * chi_squared)
        return {
            "kl": kl,
            "distance": float(np.sqrt(max(kl, 0.0))),
            "chi_squared": chi_squared,
            "proxy": proxy_gain,
            "gold": gold - self.gold_mean,
            "guaranteed": float((proxy_gain - unexplained) / self.correlation),
        }

    def of_policy(self, policy: LatticePolicy) -> dict[str, Any]:
        """Every measure of a policy, with its most probable string after the first prompt."""
        lattice, language = self.lattice, self.lattice.language
        kl = path_sum.kl(policy, lattice.reference).value
        chi_squared = path_sum.chi_squared(policy, lattice.reference).value
        top = viterbi.most_probable(policy)[0]
        return {
            **self.gains(kl, chi_squared, mean(policy, self.proxy), mean(policy, lattice.payoffs["gold"])),
            "repeats": mean(policy, lattice.payoffs["repeats"]),
            "length": mean(policy, lattice.payoffs["length"]),
            "string": " ".join(language.words(top.string)),
            "string_log_prob": top.score,
        }


Point = tuple[str, float, dict[str, Any]]


def tilts(judge: Yardstick, betas: Iterable[float]) -> Iterator[Point]:
    """The Gibbs optimum at every beta, from the weakest tilt to the strongest."""
    for beta in sorted(betas, reverse=True):
        policy, _ = path_sum.gibbs_optimum(judge.lattice, judge.proxy, beta)
        yield "tilt", beta, judge.of_policy(policy)


def beta_of(judge: Yardstick, kl: float, betas: tuple[float, ...]) -> float:
    """The beta whose Gibbs optimum has a given KL, so that paths are compared at equal KL; KL falls with beta."""

    def excess(log_beta: float) -> float:
        policy, _ = path_sum.gibbs_optimum(judge.lattice, judge.proxy, float(np.exp(log_beta)))
        return path_sum.kl(policy, judge.lattice.reference).value - kl

    return float(np.exp(brentq(excess, np.log(min(betas) / 100), np.log(max(betas) * 100), xtol=1e-6)))


def best_of(config: Config, judge: Yardstick) -> Iterator[Point]:
    """Best-of-n by the proxy, from the exact law of the proxy under the reference."""
    law = reward_law.reward_law(
        judge.lattice, judge.proxy, config.unit, {"gold": judge.lattice.payoffs["gold"]}
    )
    for n in config.draws:
        best = reward_law.best_of_n(law, n)
        gold = best.others["gold"].value
        yield "best-of-n", n, judge.gains(best.kl.value, best.chi_squared.value, best.reward.value, gold)


def gradient_paths(config: Config, judge: Yardstick) -> Iterator[Point]:
    """Exact policy gradient in the logits of every state and step, natural and vanilla.

    A vanilla step is scaled so that its largest change of a logit is the natural step's.
    """
    marks = set(checkpoints(config.gradient_steps))
    for method in ("natural-gradient", "vanilla-gradient"):
        logits = judge.lattice.reference.log_probs.copy()
        for step in range(1, config.gradient_steps + 1):
            policy = path_sum.softmax(judge.lattice, logits)
            ascent = path_sum.policy_gradient(policy, judge.proxy)
            direction = ascent.advantage
            if method == "vanilla-gradient":
                scale = np.abs(ascent.advantage).max() / np.abs(ascent.gradient).max()
                direction = ascent.gradient * scale
            logits = policy.log_probs + config.step_size * direction
            if step in marks:
                yield method, step, judge.of_policy(path_sum.softmax(judge.lattice, logits))


def checkpoints(steps: int) -> list[int]:
    """The steps at which a path is measured, evenly spaced in their logarithm."""
    return sorted({round(t) for t in np.geomspace(1, steps, 15)}) if steps else []


def draw(table: pl.DataFrame) -> Figure:
    """Gold and proxy against sqrt(KL), gradient steps on the same axes, Gao's forms, and what is said on the way."""
    figure = style.figure(rows=2, columns=2, height_to_width=0.8)
    axes = figure.subplots(2, 2)
    draw_goodhart(axes[0, 0], table)
    draw_steps(axes[0, 1], table)
    draw_fits(axes[1, 0], table)
    draw_strings(axes[1, 1], table)
    for panel in (axes[0, 0], axes[0, 1], axes[1, 0]):
        panel.axhline(0, color="0.6", lw=0.5, zorder=0)
        panel.set_xlabel(r"distance $\sqrt{\mathrm{KL}(\pi\,\Vert\,\mathrm{ref})}$, in $\sqrt{\mathrm{nats}}$")
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
        axes.plot(tilt["distance"], tilt["gold"], color=look["color"], ls="-", label=f"N = {comparisons:,}")
        axes.plot(best["distance"], best["gold"], ls="none", marker=look["marker"], color=look["color"])
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
        axes.text(0.5, 0.5, "no gradient path in this profile", transform=axes.transAxes, ha="center")
        return
    comparisons = int(stepped["comparisons"][0])
    shown = {"tilt": r"Gibbs, $\beta$ falling", "natural-gradient": "natural", "vanilla-gradient": "vanilla"}
    for index, (method, label) in enumerate(shown.items()):
        path, look = averaged(table, method, comparisons), style.series(index)
        line = "none" if method == "natural-gradient" else look["linestyle"]
        marker = None if method == "tilt" else look["marker"]
        axes.plot(path["distance"], path["gold"], color=look["color"], ls=line, marker=marker, label=label)
        if method == "natural-gradient":
            last = path.row(-1, named=True)
            top = path.row(int(path["gold"].arg_max() or 0), named=True)
            for point, offset in ((top, (0, 6)), (last, (-10, 3))):
                axes.annotate(
                    f"step {point['setting']:.0f}", (point["distance"], point["gold"]), xytext=offset,
                    textcoords="offset points", fontsize="x-small", ha="center" if point is top else "right",
                )  # fmt: skip
    axes.margins(y=0.15)
    axes.legend(title=f"N = {comparisons:,}", fontsize="x-small", title_fontsize="x-small", loc="lower left")


def draw_fits(axes: Axes, table: pl.DataFrame) -> None:
    """Both of Gao's forms on both methods, below saturation, under the proxy from most comparisons."""
    comparisons = int(table["comparisons"].max())  # type: ignore[arg-type]
    for index, method in enumerate(("tilt", "best-of-n")):
        look, fits = style.series(index), goodhart.fits(table, method, comparisons)
        curves = [goodhart.curve(table, method, comparisons, seed) for seed in goodhart.seeds_of(table)]
        reach = float(np.mean([goodhart.below_saturation(points)["distance"].max() for points in curves]))
        path = averaged(table, method, comparisons).filter(pl.col("distance") <= reach)
        gained = goodhart.criterion_gains(fits)
        low, high = goodhart.interval(gained) if len(gained) > 1 else (gained[0], gained[0])
        label = rf"{method}: $\Delta$AIC = {np.mean(gained):.0f} [{low:.0f}, {high:.0f}]"
        axes.plot(path["distance"], path["gold"], ls="none", marker=look["marker"], color=look["color"], label=label)
        at = np.linspace(0, reach, 100)
        for form, line in (("square", "-"), ("logarithm", "--")):
            a, b = (np.mean([getattr(one, name) for one in fits[form]]) for name in "ab")
            axes.plot(at, gao.design(form, at) @ np.array([a, b]), ls=line, color=look["color"], lw=0.9)
    axes.plot([], [], ls="-", color="0.4", lw=0.9, label=r"$d\,(a-b\,d)$")
    axes.plot([], [], ls="--", color="0.4", lw=0.9, label=r"$d\,(a-b\,\ln d)$")
    axes.set_ylim(top=1.75 * axes.get_ylim()[1])
    axes.set_title(f"Gao's two forms, N = {comparisons:,}")
    axes.legend(fontsize="x-small", loc="upper left", title=r"$\Delta$AIC < 0: first form fits better", title_fontsize="x-small")


def draw_strings(axes: Axes, table: pl.DataFrame) -> None:
    """The most probable strings at five distances, under the first seed's proxy from most comparisons."""
    comparisons = int(table["comparisons"].max())  # type: ignore[arg-type]
    path = goodhart.curve(table, "tilt", comparisons, goodhart.seeds_of(table)[0])
    axes.set_axis_off()
    axes.set_title("Most probable strings")
    top = 1.0
    for target in np.linspace(0, path["distance"].max(), 5):  # type: ignore[arg-type]
        nearest = int((path["distance"] - target).abs().arg_min() or 0)
        point = path.row(nearest, named=True)
        head = f"d = {point['distance']:.1f}: gold {point['gold']:+.1f}, proxy {point['proxy']:+.1f}"
        body = textwrap.wrap(point["string"].replace(" </s>", "."), 50)
        axes.text(0, top, head, transform=axes.transAxes, va="top", fontsize="x-small", weight="bold")
        for line in body:
            top -= 0.065
            axes.text(0, top, line, transform=axes.transAxes, va="top", fontsize="x-small", style="italic")
        top -= 0.1
