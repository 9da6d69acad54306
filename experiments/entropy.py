"""Entropy: what a bonus for it changes, in closed form, and whether it keeps answers in reach.

The maximiser of E r - beta KL(pi || ref) + tau H(pi) is proportional to
ref^(beta/(beta+tau)) exp(r/(beta+tau)). Since H = -KL - E ln ref, a bonus for the entropy of whole
strings is the reward r - tau ln ref under a KL weight of beta + tau: one Gibbs recursion serves.
The token bonus is what training code does: every token's law is pulled towards the uniform one
where it stands, and nobody looks ahead to the entropy of later tokens; its fixed point is a
recursion of its own (`token_bonus_optimum`).

Along natural gradient of whole strings dH/d eta = -Cov(ln pi, A), along vanilla -Cov(ln pi, pi A)
(Cui et al. 2025, arXiv:2505.22617, theorem 1 and its corollary); both are set beside the gradients
of the exact engine. The reward is a proxy fitted to comparisons (`word_world`). What tuning should
not lose are needs that the proxy knows nothing of: pairs of adjacent words, of which one is wanted
and k strings may be tried: pass@k = E_need [1 - (1 - P(string holds it))^k], exactly. Bonuses are
compared at equal proxy reward.

Tiers: `enumerable` and `words` are exact for every proxy; proxies are drawn, one a seed. `neural`:
a network is tuned by sampled policy gradient on an enumerable world of horizon 4, once
without a regulariser for the exchange of entropy for reward, and once under each bonus, at the beta
with which the exact optimum earns the wanted reward; what it says is summed over all strings. The
claim on the closed form makes no sense for a network, which reaches no optimum.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.optimize import brentq

from bandit_rlhf import objective
from bandit_rlhf.bandit import ContextualBandit
from bandit_rlhf.exact import path_gradient, path_sum, tree, viterbi
from bandit_rlhf.exact.lattice import Lattice, LatticePolicy, Payoff
from bandit_rlhf.language import Language
from bandit_rlhf.policy import TabularPolicy
from experiments import style
from experiments.experiment import Plan, grid
from experiments.lab import curves
from experiments.lab.dials import Dials, fit_proxy
from experiments.lab.needs import every_pair, frequent_pairs, holding, pass_at, within_reach
from experiments.lab.reading import over_seeds
from experiments.lab.tiers import exact_world, tiers_of
from experiments.lab.world import draw_world
from experiments.word_world import compare, deviation, fit_weights, mean

RATES = tuple(float(rate) for rate in np.geomspace(0.05, 20, 10).round(4))
TRIES = (1, 4, 16, 64, 256, 1024, 4096)


@dataclass(frozen=True)
class Config:
    """One tier and the ladders of bonuses on it."""

    tier: str = "enumerable"  # enumerable, words or neural
    comparisons: int = 3000  # N, pairs of strings that the annotator compares
    prior_sd: float = 1.0  # of each word's weight in the proxy, in logits of a comparison
    ratios: tuple[float, ...] = (1.0, 4.0)  # entropy weight over KL weight, of both bonuses
    level: float = 0.5  # proxy gain at which bonuses are compared, as a share of the largest
    needs: int = 40  # pairs of words, at most
    rates: tuple[float, ...] = RATES  # 1 / beta, in 1 / sd of the proxy
    steps: int = 120  # policy-gradient steps, tier neural
    draws: int = 128  # strings of each step, tier neural


SWEEP = {
    "smoke": Plan((Config(comparisons=300, rates=(0.2, 1.0, 5.0)),), seeds=2),
    "quick": Plan(
        (*grid(Config, tier=("enumerable", "words")), Config("neural", ratios=(1.0,))), seeds=10
    ),
    "full": Plan(
        (*grid(Config, tier=("enumerable", "words")), Config("neural", steps=500)), seeds=20
    ),
}


def run(config: Config, seed: int) -> list[dict[str, Any]]:
    """Fit a proxy, check the identities, and follow every bonus."""
    if config.tier == "neural":
        return [{"tier": "neural", **row} for row in networks(config, seed)]
    lattice = exact_world(config.tier)
    rng = np.random.default_rng((seed, config.comparisons))
    weights = fit_weights(compare(lattice, config.comparisons, rng), config.prior_sd)
    edge = np.broadcast_to(weights, lattice.log_reference.shape)
    raw = Payoff(edge, np.zeros(lattice.state_count))
    proxy = raw * (1 / deviation(lattice, raw))
    found = [{"row": "identity", **identities(lattice, proxy)}]
    found += [{"row": "path", **row} for row in paths(config, lattice, proxy)]
    found += [{"row": "matched", **row} for row in matched(config, lattice, proxy)]
    return [{"tier": config.tier, **row} for row in found]


def sequence_bonus_optimum(
    lattice: Lattice, payoff: Payoff, beta: float, tau: float
) -> LatticePolicy:
    """The maximiser of E r - beta KL(pi || ref) + tau H(pi): Gibbs, for r - tau ln ref."""
    surprise = Payoff(-tau * lattice.log_reference, np.zeros(lattice.state_count))
    return path_sum.gibbs_optimum(lattice, payoff + surprise, beta + tau)[0]


def token_bonus_optimum(lattice: Lattice, payoff: Payoff, beta: float, tau: float) -> LatticePolicy:
    """Where every token's law is best for itself, with a bonus for its own entropy alone.

    pi_t(a|s) prop. to ref(a|s)^(beta/(beta+tau)) exp(Q_t(s,a)/(beta+tau)), where Q_t counts reward
    and KL penalty to come, but no entropy to come.
    """
    size, value = lattice.language.vocabulary_size, payoff.truncated
    log_ref = lattice.log_reference
    log_probs = np.empty(lattice.reference.log_probs.shape)
    for step in reversed(range(lattice.language.horizon)):
        worth = payoff.edge.copy()
        worth[:, :size] += value[lattice.successor]
        scores = (beta * log_ref + worth) / (beta + tau)
        scores -= scores.max(axis=1, keepdims=True)
        scores -= np.log(np.exp(scores).sum(axis=1, keepdims=True))
        log_probs[step] = scores
        value = (np.exp(scores) * (worth - beta * (scores - log_ref))).sum(axis=1)
    return LatticePolicy(lattice, log_probs)


def identities(lattice: Lattice, proxy: Payoff) -> dict[str, float]:
    """How far the closed form and the entropy laws are from the engine's gradients.

    - `slope`: the largest slope of the objective at the closed form, beta = tau = 1/2;
    - `natural`: dH/d eta of the natural gradient from the gradient of H, less -Cov(ln pi, r);
    - `vanilla`: the same of the vanilla gradient on single strings, less -Cov(ln pi, pi A);
    - `token_gap`: what the sum of the tokens' own covariances misses, as a share.
    """
    both = 0.5
    best = sequence_bonus_optimum(lattice, proxy, both, both)
    slope = path_gradient.expected_reward(best, proxy).gradient
    slope = slope - both * path_gradient.kl(best, lattice.reference).gradient
    slope = slope + both * path_gradient.entropy(best).gradient
    # The natural-gradient path of whole strings: pi_eta prop. to ref exp(eta r), here at eta = 1.
    policy, _ = path_sum.gibbs_optimum(lattice, proxy, 1.0)
    direction = path_sum.advantage(policy, proxy)
    along = float((path_gradient.entropy(policy).gradient * direction).sum())
    surprise = Payoff(lattice.log_reference, np.zeros(lattice.state_count))
    law = -covariance_by_prompt(policy, surprise + proxy, proxy)
    own = policy.log_probs - (policy.probs * policy.log_probs).sum(axis=2, keepdims=True)
    by_token = (policy.probs * own * direction).sum(axis=2)
    tokens = -float((path_sum.visits(policy) * by_token).sum())
    return {
        "slope": float(np.abs(slope).max()),
        "natural": abs(along - law) / max(1.0, abs(law)),
        "vanilla": vanilla_deviation(lattice, proxy),
        "token_gap": (tokens - law) / abs(law),
    }


def covariance_by_prompt(policy: LatticePolicy, first: Payoff, second: Payoff) -> float:
    """E_x Cov_{y ~ pi(. | x)}(r_1, r_2): within prompts, unlike `word_world.covariance`."""
    moment = path_sum.second_moment(policy, first, second).by_prompt
    means = [path_sum.expected_reward(policy, one).by_prompt for one in (first, second)]
    return float(policy.lattice.prompt_law @ (moment - means[0] * means[1]))


def vanilla_deviation(lattice: Lattice, proxy: Payoff, strings: int = 200) -> float:
    """dH/d eta along vanilla gradient, one logit a string, for the most probable strings.

    <grad H, grad J> by the gradients of `exact.tree`, less -Cov(ln pi, pi A) in so many words.
    """
    top = viterbi.most_probable(lattice.reference, strings)
    law = np.exp([one.score for one in top])
    law = law / law.sum()
    reward = lattice.reward(proxy, lattice.language.batch([one.string for one in top]))
    alone = Language(tuple(str(i) for i in range(len(law))), 1)
    bandit = ContextualBandit(alone, [()], [1.0], reward[None])
    policy = TabularPolicy(alone, ((),), np.log(law)[None])
    climb = tree.expected_reward(bandit, policy).gradient
    along = float((tree.entropy(bandit, policy).gradient * climb).sum())
    advantage, logs = reward - law @ reward, np.log(law)
    product = law * advantage
    expected = -float(law @ (logs * product) - (law @ logs) * (law @ product))
    return abs(along - expected) / max(1.0, abs(expected))


def bonuses(ratio: float) -> dict[str, Any]:
    """Optima as functions of (lattice, proxy, beta), by the name of the bonus."""

    def tied(optimum: Any, lattice: Lattice, proxy: Payoff, beta: float) -> LatticePolicy:
        return optimum(lattice, proxy, beta, ratio * beta)

    return {
        "sequence": partial(tied, sequence_bonus_optimum),
        "token": partial(tied, token_bonus_optimum),
    }


def without_bonus(lattice: Lattice, proxy: Payoff, beta: float) -> LatticePolicy:
    """The Gibbs optimum."""
    return path_sum.gibbs_optimum(lattice, proxy, beta)[0]


def paths(config: Config, lattice: Lattice, proxy: Payoff) -> Iterator[dict[str, Any]]:
    """Reward and entropies as KL is allowed to grow, for every bonus at the first ratio.

    Without a bonus this is the natural-gradient path from the reference, without any regulariser.
    """
    ratio = config.ratios[0]
    pairs = frequent_pairs(lattice, config.needs)
    yield {"bonus": "reference", "rate": 0.0, **measures(lattice, lattice.reference, proxy, pairs)}
    for bonus, optimum in ({"none": without_bonus} | bonuses(ratio)).items():
        for rate in config.rates:
            policy = optimum(lattice, proxy, 1 / rate)
            yield {"bonus": bonus, "rate": rate, **measures(lattice, policy, proxy, pairs)}


def matched(config: Config, lattice: Lattice, proxy: Payoff) -> Iterator[dict[str, Any]]:
    """Every bonus at the one proxy reward, found by its beta."""
    pairs, start = frequent_pairs(lattice, config.needs), mean(lattice.reference, proxy)
    most = float(
        lattice.prompt_law
        @ [viterbi.best_string(lattice, proxy, 1, x)[0].score for x in range(len(lattice.prompts))]
    )
    wanted = start + config.level * (most - start)
    named = [("none", 0.0, without_bonus)]
    named += [(name, ratio, f) for ratio in config.ratios for name, f in bonuses(ratio).items()]
    for bonus, ratio, optimum in named:

        def excess(log_beta: float, optimum: Any = optimum) -> float:
            return mean(optimum(lattice, proxy, float(np.exp(log_beta))), proxy) - wanted

        log_beta = float(brentq(excess, np.log(1e-3), np.log(1e3), xtol=1e-6))  # type: ignore[arg-type]
        policy = optimum(lattice, proxy, float(np.exp(log_beta)))
        found = measures(lattice, policy, proxy, pairs)
        yield {"bonus": bonus, "ratio": ratio, "rate": float(np.exp(-log_beta)), **found}


def networks(config: Config, seed: int) -> Iterator[dict[str, Any]]:
    """The tier of networks: the path without a regulariser, and every bonus at its own beta."""
    from experiments.lab import neural  # torch is needed by these cells alone

    world = draw_world(seed, horizon=4)
    reference = neural.pretrained(world, seed)
    start = reference.string_law()
    fitted = fit_proxy(world, Dials(0.8, config.comparisons), seed)
    ruler = curves.Ruler.of(world, fitted.gold, fitted.reward, start)
    proxy, gold = ruler.proxy / ruler.proxy_sd, ruler.gold
    held = holding(world.language, every_pair(len(world.language.vocabulary)))

    def measured(law: np.ndarray) -> dict[str, float]:
        policy = TabularPolicy.from_string_law(world.language, world.prompts, law)
        bandit = world.bandit(proxy)
        within = (law @ held.T).T
        return {
            "proxy": float(world.prompt_law @ (law * proxy).sum(axis=1)),
            "gold": float(world.prompt_law @ (law * gold).sum(axis=1)),
            "entropy": tree.entropy(bandit, policy).value,
            "token_entropy": tree.token_entropy(bandit, policy).value,
            **{f"pass@{k}": pass_at(world.prompt_law, within, k) for k in TRIES},
        }

    def tuned(**options: Any) -> Iterator[tuple[int, np.ndarray]]:
        return neural.tuned(
            reference, world, proxy, steps=config.steps, draws=config.draws, seed=seed, **options
        )

    yield {"row": "path", "bonus": "reference", "rate": 0.0, **measured(start)}
    for step, law in tuned(marks=curves.marks(config.steps, 12)):
        yield {"row": "path", "bonus": "none", "rate": float(step), **measured(law)}
    for ratio in (0.0, *config.ratios):
        beta = beta_at(config, world.prompt_law, start, proxy, ratio)
        kinds = ("sequence", "token") if ratio else ("none",)
        for bonus in kinds:
            length = float(world.prompt_law @ (start @ world.lengths) + 1)
            weight = {"sequence": ratio * beta, "token": ratio * beta * length}.get(bonus, 0.0)
            name = {f"{bonus}_entropy": weight} if ratio else {}
            ((_, law),) = tuned(beta=beta, **name)
            row = {"row": "matched", "bonus": bonus, "ratio": ratio, "rate": 1 / beta}
            yield {**row, **measured(law)}


def beta_at(
    config: Config, prompt_law: np.ndarray, reference: np.ndarray, proxy: np.ndarray, ratio: float
) -> float:
    """The beta with which the exact optimum, tau = ratio beta, earns the wanted reward.

    Args:
        config: the level that is wanted.
        prompt_law: [prompt].
        reference: law of strings [prompt, string].
        proxy: with mean 0 under the reference [prompt, string].
        ratio: of the bonus's weight to beta.
    """
    wanted = config.level * float(prompt_law @ proxy.max(axis=1))

    def excess(log_beta: float) -> float:
        beta = float(np.exp(log_beta))
        law = objective.gibbs(reference, proxy, beta, ratio * beta)
        return float(prompt_law @ (law * proxy).sum(axis=1) - wanted)

    return float(np.exp(brentq(excess, np.log(1e-3), np.log(1e3))))  # type: ignore[arg-type]


def measures(
    lattice: Lattice, policy: LatticePolicy, proxy: Payoff, pairs: np.ndarray
) -> dict[str, Any]:
    """Gains in sd under the reference, KL, entropies in nats, pass@k of the needs."""
    held = within_reach(policy, pairs)
    gold = lattice.payoffs["gold"]
    return {
        "proxy": mean(policy, proxy) - mean(lattice.reference, proxy),
        "gold": mean(policy, gold) - mean(lattice.reference, gold),
        "kl": path_sum.kl(policy, lattice.reference).value,
        "entropy": path_sum.entropy(policy).value,
        "token_entropy": path_sum.token_entropy(policy).value,
        **{f"pass@{k}": pass_at(lattice.prompt_law, held, k) for k in TRIES},
    }


def draw(table: pl.DataFrame) -> Figure:
    """Entropy as reward rises, the exchange of one for the other, and the needs within reach."""
    tiers = tiers_of(table)
    tier = "words" if "words" in tiers else tiers[0]
    rows, last = (table.filter(pl.col("tier") == one) for one in (tier, tiers[-1]))
    figure = style.figure(columns=2, height_to_width=0.9)
    left, middle, right = figure.subplots(1, 3)
    draw_paths(left, rows.filter(pl.col("row") == "path"))
    draw_exchange(middle, last.filter(pl.col("row") == "path"))
    draw_needs(right, rows.filter(pl.col("row") == "matched"))
    left.set_title(f"Tilts, {tier}")
    middle.set_title(f"No regulariser, {tiers[-1]}")
    right.set_title(f"Equal proxy reward, {tier}")
    return figure


def averaged(rows: pl.DataFrame, bonus: str) -> pl.DataFrame:
    """Means over seeds along the path of one bonus."""
    chosen = rows.filter(pl.col("bonus") == bonus)
    columns = ["proxy", "entropy", "token_entropy"]
    return chosen.group_by("rate").agg(pl.col(columns).mean()).sort("rate")


def draw_paths(axes: Axes, rows: pl.DataFrame) -> None:
    """Sequence entropy against the proxy gain."""
    for index, bonus in enumerate(("none", "sequence", "token")):
        path = averaged(rows, bonus)
        axes.plot(path["proxy"], path["entropy"], label=bonus, **style.series(index))
    start = averaged(rows, "reference")
    axes.plot(start["proxy"], start["entropy"], marker="*", ls="none", color="0.3", label="ref")
    axes.set(xlabel="proxy gain (sd under ref)", ylabel="entropy of strings (nats)")
    axes.legend(title="bonus", fontsize="x-small", title_fontsize="x-small")


def draw_exchange(axes: Axes, rows: pl.DataFrame) -> None:
    """Reward against exp(token entropy) without a regulariser, and Cui's line."""
    path = pl.concat([averaged(rows, "reference"), averaged(rows, "none")])
    at = np.exp(path["token_entropy"].to_numpy())
    slope, level = np.polyfit(at, path["proxy"].to_numpy(), 1)
    look = style.series(0)
    axes.plot(at, path["proxy"], marker=look["marker"], ls="none", color=look["color"])
    ends = np.array([at.min(), at.max()])
    label = rf"${slope:.2g}\,e^H {level:+.2g}$"
    axes.plot(ends, slope * ends + level, color="0.4", lw=0.9, label=label)
    axes.set(xlabel="exp(mean token entropy)", ylabel="proxy gain (sd under ref)")
    axes.legend(fontsize="x-small")


def draw_needs(axes: Axes, rows: pl.DataFrame) -> None:
    """The pass@k at equal proxy reward; 95 % over seeds."""
    kinds = rows.select("bonus", "ratio").unique(maintain_order=True).iter_rows()
    for index, (bonus, ratio) in enumerate(kinds):
        chosen = rows.filter((pl.col("bonus") == bonus) & (pl.col("ratio") == ratio))
        values = np.array([chosen[f"pass@{k}"].to_list() for k in TRIES])
        look = style.series(index)
        label = "none" if bonus == "none" else rf"{bonus}, $\tau = {ratio:g}\beta$"
        axes.plot(TRIES, values.mean(axis=1), label=label, **look)
        if values.shape[1] > 1:
            low, high = np.array([over_seeds(list(one)) for one in values]).T
            axes.fill_between(TRIES, low, high, color=look["color"], alpha=0.2, lw=0)
    axes.set_xscale("log")
    axes.set(xlabel="strings tried, $k$", ylabel="pass@k of needs")
    axes.legend(fontsize="xx-small")
