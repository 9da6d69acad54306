"""Reuse: whether tuning searches, or only picks from what the pretrained policy already writes.

Three questions to the same reference.

- `escape`: one string y* is right. On the prefix tree with a softmax at every prefix, exact policy
  gradient on pi(y*) moves the logits after every prefix of y* at the rate pi(y*) (e_{y*_t} - pi_t):
  it is maximum likelihood of y* on the clock dT = ds / pi(y*). How long until pi(y*) = 1/2, against
  1 / ref(y*)? Natural gradient, with exact advantages, is the learner that needs no luck: its log
  odds after the prefix of length t rise at the rate of success from there on.
- `pass`: many problems (a pair of adjacent words to be said), one policy that is not told which is
  posed, trained by exact natural gradient on its mean success. Is the reference ahead at pass@k for
  large k (Yue et al. 2025, arXiv:2504.13837)? Beside it a policy that is told the problem: tilting
  success p by 1 / beta gives p e^(1/beta) / (1 - p + p e^(1/beta)), never below p.
- `nucleus`: a proxy fitted to comparisons. How often does the tilted policy write a token outside
  the reference's nucleus, the smallest set of tokens with 95 % of the probability?

Support in the strict sense is no question of experiment: where ref(y) = 0, every policy of the form
ref exp(.) / Z has pi(y) = 0, as have all policy-gradient steps in its logits; a test shows it.

Tiers: `enumerable` and `words` are exact; the seed draws targets, problems and proxies. `neural`:
a network on an enumerable world of horizon 4, tuned by sampled policy gradient, its time the number
of strings drawn; a string that is not found in the steps allowed has none. It has no `nucleus`,
which asks of tokens what a table of strings does not say.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.integrate import solve_ivp
from scipy.special import expit, log_softmax, softmax

from bandit_rlhf.exact import path_sum
from bandit_rlhf.exact.lattice import Lattice, LatticePolicy, Payoff
from experiments import style
from experiments.experiment import Plan, grid
from experiments.lab.needs import (
    drawn_pairs,
    every_pair,
    holding,
    pass_at,
    success_direction,
    within_reach,
)
from experiments.lab.reading import over_seeds
from experiments.lab.tiers import exact_world, tiers_of
from experiments.lab.world import draw_world
from experiments.word_world import compare, deviation, fit_weights, mean

TRIES = tuple(4**k for k in range(13))
RATES = tuple(float(rate) for rate in np.geomspace(0.05, 20, 10).round(4))


@dataclass(frozen=True)
class Config:
    """One tier."""

    tier: str = "enumerable"  # enumerable, words or neural
    targets: int = 12  # strings y* to be found, half drawn from the reference, half flatter
    problems: int = 40  # pairs of words, at most
    steps: int = 60  # of natural gradient on the mean success
    largest_change: float = 0.5  # of a logit in one step, in nats
    told_rate: float = 5.0  # 1 / beta of the policy that is told the problem
    comparisons: int = 3000  # N, for the proxy
    prior_sd: float = 1.0  # of each word's weight in the proxy, in logits of a comparison
    nucleus: float = 0.95  # probability that the nucleus holds
    rates: tuple[float, ...] = RATES  # 1 / beta of tilting by the proxy, in 1 / sd of the proxy
    patience: int = 600  # policy-gradient steps until a target is given up, tier neural
    draws: int = 64  # strings of each step, tier neural


SWEEP = {
    "smoke": Plan((Config(targets=4, steps=5, comparisons=300, rates=(0.2, 5.0)),), seeds=2),
    "quick": Plan(
        (*grid(Config, tier=("enumerable", "words")), Config("neural", targets=3)), seeds=10
    ),
    "full": Plan(
        (
            *grid(Config, tier=("enumerable", "words"), targets=(40,), steps=(200,)),
            Config("neural", targets=8, patience=1200),
        ),
        seeds=20,
    ),
}


def run(config: Config, seed: int) -> list[dict[str, Any]]:
    """Put the three questions."""
    if config.tier == "neural":
        return [{"tier": "neural", **row} for row in networks(config, seed)]
    lattice, rng = exact_world(config.tier), np.random.default_rng((seed, config.targets))
    found = [{"row": "escape", **row} for row in escapes(config, lattice, rng)]
    found += [{"row": "pass", **row} for row in problems(config, lattice, rng)]
    found += [{"row": "nucleus", **row} for row in nuclei(config, lattice, rng)]
    return [{"tier": config.tier, **row} for row in found]


def escapes(
    config: Config, lattice: Lattice, rng: np.random.Generator
) -> Iterator[dict[str, float]]:
    """The time to find each of some strings."""
    flat = path_sum.softmax(lattice, 0.5 * lattice.reference.log_probs)
    half = config.targets // 2
    for policy, draws in ((lattice.reference, config.targets - half), (flat, half)):
        for prompt, count in enumerate(rng.multinomial(draws, lattice.prompt_law)):
            batch = policy.sample(rng, int(count), prompt)
            states, _ = lattice.read(batch, prompt)
            for tokens, seen, mask in zip(batch.tokens, states, batch.mask, strict=True):
                laws = lattice.log_reference[seen[mask]]
                target = tokens[mask]
                log_ref = float(laws[np.arange(len(target)), target].sum())
                yield {
                    "log_reference": log_ref,
                    "vanilla": float(np.log(vanilla_time(laws, target))),
                    "natural": float(np.log(natural_time(laws, target))),
                }


def vanilla_time(laws: np.ndarray, target: np.ndarray) -> float:
    """The time of gradient flow on pi(y*) from the reference until pi(y*) = 1/2; 0 if it is there.

    With ds = pi(y*) dt each softmax on the way climbs ln pi(y*_t) on its own: d theta_t / ds =
    e_{y*_t} - pi_t. The time is the integral of ds / pi(y*), scaled by ref(y*) until the end.

    Args:
        laws: ln of the next-token laws along y* [token, action].
        target: y* [token].

    >>> one = np.log([[0.01, 0.99]])                    # dp/dt = 2 p^2 (1 - p)^2, solved by parts:
    >>> p = np.array([0.01, 0.5])
    >>> low, high = (2 * np.log(p / (1 - p)) + (2 * p - 1) / (p * (1 - p))) / 2
    >>> bool(abs(vanilla_time(one, np.array([0])) / (high - low) - 1) < 1e-6)
    True
    """
    at, (tokens, actions) = np.arange(len(target)), laws.shape
    start = float(laws[at, target].sum())
    if start >= np.log(0.5):
        return 0.0

    def slope(_: float, state: np.ndarray) -> np.ndarray:
        logits = state[:-1].reshape(tokens, actions)
        climb = -softmax(logits, axis=1)
        climb[at, target] += 1
        reached = log_softmax(logits, axis=1)[at, target].sum()
        return np.append(climb.ravel(), np.exp(start - reached))

    def half(_: float, state: np.ndarray) -> float:
        logits = state[:-1].reshape(tokens, actions)
        return float(log_softmax(logits, axis=1)[at, target].sum() - np.log(0.5))

    half.terminal = True  # type: ignore[attr-defined]
    state = np.append(laws.ravel(), 0.0)
    found = solve_ivp(slope, (0, 1e6), state, events=half, rtol=1e-8, atol=1e-10)
    if found.status != 1:
        raise RuntimeError(f"the flow did not reach 1/2: {found.message} [vanilla_time]")
    return float(found.y[-1, -1] * np.exp(-start))


def natural_time(laws: np.ndarray, target: np.ndarray) -> float:
    """The same time along natural-gradient flow, exact advantages.

    The log odds of y*_t after its prefix rise at the rate prod_{k > t} pi_k(y*_k). With one token
    that is 1: the time is ln(1 / ref(y*) - 1).

    >>> bool(abs(natural_time(np.log([[0.01, 0.99]]), np.array([0])) - np.log(99)) < 1e-6)
    True
    """
    at = np.arange(len(target))
    log_probs = np.minimum(laws[at, target], -1e-12)
    odds = log_probs - np.log(-np.expm1(log_probs))
    if log_probs.sum() >= np.log(0.5):
        return 0.0

    def slope(_: float, odds: np.ndarray) -> np.ndarray:
        ahead = np.cumprod(expit(odds)[::-1])[::-1]
        return np.append(ahead[1:], 1.0)

    def half(_: float, odds: np.ndarray) -> float:
        return float(-np.logaddexp(0, -odds).sum() - np.log(0.5))

    half.terminal = True  # type: ignore[attr-defined]
    found = solve_ivp(slope, (0, 1e9), odds, events=half, rtol=1e-8, atol=1e-10)
    if found.status != 1:
        raise RuntimeError(f"the flow did not reach 1/2: {found.message} [natural_time]")
    return float(found.t[-1])


def problems(
    config: Config, lattice: Lattice, rng: np.random.Generator
) -> Iterator[dict[str, Any]]:
    """The pass@k of the reference, of the shared policy and of the one that is told the problem."""
    pairs = drawn_pairs(lattice, config.problems, rng)
    policy = lattice.reference
    for _ in range(config.steps):
        direction = success_direction(policy, pairs)
        direction *= config.largest_change / np.abs(direction).max()
        policy = path_sum.softmax(lattice, policy.log_probs + direction)
    before, after = (within_reach(one, pairs) for one in (lattice.reference, policy))
    yield from passes(config, lattice.prompt_law, before, after)


def passes(
    config: Config, prompt_law: np.ndarray, before: np.ndarray, after: np.ndarray
) -> Iterator[dict[str, Any]]:
    """The pass@k of reference and tuned policy, and of one tilted for each problem on its own.

    Args:
        config: how strongly the last one is tilted.
        prompt_law: probabilities of the prompts.
        before: P(a string of the reference solves the problem) [problem, prompt].
        after: the same of the tuned policy.
    """
    gain = np.exp(config.told_rate)
    told = before * gain / (1 - before + before * gain)
    for name, held in (("reference", before), ("shared", after), ("told", told)):
        for tries in TRIES:
            yield {"policy": name, "tries": tries, "pass": pass_at(prompt_law, held, tries)}


def networks(config: Config, seed: int) -> Iterator[dict[str, Any]]:
    """The tier of networks: escapes, and many problems posed to one policy."""
    from experiments.lab import neural  # torch is needed by these cells alone

    world, rng = draw_world(seed, horizon=4), np.random.default_rng((seed, config.targets))
    reference = neural.pretrained(world, seed)
    start = reference.string_law()
    chances = np.geomspace(0.1, 0.002, config.targets)

    def tuned(reward: np.ndarray, steps: int, marks: Any) -> Iterator[tuple[int, np.ndarray]]:
        return neural.tuned(
            reference, world, reward, steps=steps, draws=config.draws, seed=seed, marks=marks
        )

    for chance in chances:
        prompt = int(rng.integers(len(world.prompts)))
        target = int(np.abs(np.log(start[prompt]) - np.log(chance)).argmin())
        reward = np.zeros_like(start)
        reward[prompt, target] = 1.0
        share = world.prompt_law[prompt]
        looks = range(0, config.patience + 1, 5)
        for step, law in tuned(reward, config.patience, looks):
            if law[prompt, target] >= 0.5:
                yield {
                    "row": "escape",
                    "log_reference": float(np.log(start[prompt, target])),
                    "vanilla": float(np.log(max(step, 1) * config.draws * share)),
                }
                break
        else:
            yield {"row": "escape", "log_reference": float(np.log(start[prompt, target]))}
    held = holding(world.language, every_pair(len(world.language.vocabulary)))
    reward = np.tile(held.mean(axis=0), (len(start), 1))
    ((_, law),) = tuned(reward, 2 * config.steps, None)
    before, after = (start @ held.T).T, (law @ held.T).T
    for row in passes(config, world.prompt_law, before, after):
        yield {"row": "pass", **row}


def nuclei(config: Config, lattice: Lattice, rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    """How often a tilted policy writes a token outside the reference's nucleus."""
    weights = fit_weights(compare(lattice, config.comparisons, rng), config.prior_sd)
    edge = np.broadcast_to(weights, lattice.log_reference.shape)
    raw = Payoff(edge, np.zeros(lattice.state_count))
    proxy = raw * (1 / deviation(lattice, raw))
    outside = Payoff(1.0 - in_nucleus(lattice, config.nucleus), np.zeros(lattice.state_count))
    for rate in (0.0, *config.rates):
        policy = tilted(lattice, proxy, rate)
        yield {
            "rate": rate,
            "proxy": mean(policy, proxy) - mean(lattice.reference, proxy),
            "gold": mean(policy, lattice.payoffs["gold"])
            - mean(lattice.reference, lattice.payoffs["gold"]),
            "outside": mean(policy, outside) / mean(policy, lattice.payoffs["length"]),
        }


def tilted(lattice: Lattice, proxy: Payoff, rate: float) -> LatticePolicy:
    """The Gibbs optimum at beta = 1 / rate; the reference at rate 0."""
    if rate == 0:
        return lattice.reference
    return path_sum.gibbs_optimum(lattice, proxy, 1 / rate)[0]


def in_nucleus(lattice: Lattice, share: float) -> np.ndarray:
    """Whether a token is in the smallest set of most probable ones with this share of the mass.

    Returns:
        [state, action], of bools.
    """
    probs = np.exp(lattice.log_reference)
    order = np.argsort(-probs, axis=1, kind="stable")
    falling = np.take_along_axis(probs, order, axis=1)
    inside = np.cumsum(falling, axis=1) - falling < share
    result = np.empty_like(inside)
    np.put_along_axis(result, order, inside, axis=1)
    return result


def draw(table: pl.DataFrame) -> Figure:
    """Escape times, pass@k, and tokens outside the nucleus."""
    figure = style.figure(columns=2, height_to_width=0.9)
    left, middle, right = figure.subplots(1, 3)
    draw_escapes(left, table.filter(pl.col("row") == "escape"))
    draw_passes(middle, table.filter(pl.col("row") == "pass"))
    draw_nuclei(right, table.filter(pl.col("row") == "nucleus"))
    return figure


def draw_escapes(axes: Axes, rows: pl.DataFrame) -> None:
    """Both learners' times, in powers of ten."""
    ten = np.log(10)
    for index, tier in enumerate(tiers_of(rows)):
        chosen = rows.filter((pl.col("tier") == tier) & pl.col("vanilla").is_finite())
        for shift, learner in enumerate(("vanilla", "natural")):
            if chosen[learner].null_count() == len(chosen):
                continue
            look = style.series(2 * index + shift)
            axes.plot(
                -chosen["log_reference"] / ten,
                chosen[learner] / ten,
                ls="none",
                marker=look["marker"],
                color=look["color"],
                ms=2,
                label=f"{learner}, {tier}",
            )
    far = -float(rows["log_reference"].min()) / ten  # type: ignore[arg-type]
    axes.plot([0, far], [0, far], color="0.5", lw=0.7, label=r"$1/\mathrm{ref}(y^*)$")
    axes.set(xlabel=r"$\log_{10}\,1/\mathrm{ref}(y^*)$", ylabel=r"$\log_{10}$ time to 1/2")
    axes.set_title("Finding one string")
    axes.legend(fontsize="xx-small")


def draw_passes(axes: Axes, rows: pl.DataFrame) -> None:
    """The pass@k of the reference and of the tuned policy, on every tier."""
    for index, tier in enumerate(tiers_of(rows)):
        look = style.series(index)
        for policy, line in (("reference", ":"), ("shared", "-")):
            chosen = rows.filter((pl.col("tier") == tier) & (pl.col("policy") == policy))
            means = chosen.group_by("tries").agg(pl.col("pass").mean()).sort("tries")
            label = tier if policy == "shared" else None
            axes.plot(means["tries"], means["pass"], color=look["color"], ls=line, label=label)
    axes.set_xscale("log")
    axes.set(xlabel="strings tried, $k$", ylabel="pass@k", title="Many problems")
    axes.set_ylim(top=1.55)
    axes.set_yticks(np.linspace(0, 1, 6))
    title = "tuned (dotted: reference)"
    axes.legend(title=title, loc="upper left", fontsize="x-small", title_fontsize="x-small")


def draw_nuclei(axes: Axes, rows: pl.DataFrame) -> None:
    """Share of tokens outside the nucleus as the proxy rises; bands 95 % over seeds."""
    for index, tier in enumerate(tiers_of(rows)):
        points = []
        for _, one in rows.filter(pl.col("tier") == tier).sort("rate").group_by("rate"):
            shares = one["outside"].to_list()
            low, high = over_seeds(shares) if len(shares) > 1 else (shares[0], shares[0])
            points.append((one["proxy"].mean(), one["outside"].mean(), low, high))
        x, y, low, high = np.array(sorted(points)).T
        look = style.series(index)
        axes.plot(x, y, label=tier, **look)
        axes.fill_between(x, low, high, color=look["color"], alpha=0.2, lw=0)
    axes.set(xlabel="proxy gain (sd under ref)", ylabel="tokens outside the nucleus")
    axes.set_title("Leaving the usual")
    axes.set_ylim(bottom=0)
    axes.legend(fontsize="x-small")
