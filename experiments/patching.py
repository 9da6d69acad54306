"""Patching: sample the optimised policy, label, refit, optimise again; does the hunt end?

Round after round people compare strings of the present policy with each other and with those of
the reference, the reward is refitted to all that was ever said, and the policy optimised anew. In
every round the strings that the reward likes best are searched for; one of them is a *hack* if
its gold reward is below the reference's mean, and *new* if nobody was ever shown it. The reward
class either holds the gold reward (realisable) or does not (misspecified); policy and annotators
are the same.

Tiers. `enumerable`: `loop.rounds`, exact tilt, rewards linear in counts of words, which miss gold's
variety, or in counts and variety; the best strings are the exact argmax. `words`: the same at 32
tokens; rewards linear in counts miss the charge for a word said twice in a row; the best strings
are found by best-first search over the lattice, exactly. `neural`: `loop.rounds` with a network
tuned by sampled policy gradient and a network as reward, linear in counts or a GRU, at horizon 5.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bandit_rlhf.annotator import Person
from bandit_rlhf.exact import path_sum, viterbi
from bandit_rlhf.exact.lattice import Lattice, LatticePolicy, Payoff
from bandit_rlhf.language import TokenBatch
from bandit_rlhf.loop import Round, Survey, Tilt, rounds
from bandit_rlhf.reward.model import Linear
from experiments import style
from experiments.experiment import Plan
from experiments.judging import Judgement, at_least, at_most, undecided
from experiments.lab.reading import over_seeds
from experiments.lab.tiers import holds_on, over_tiers, tiers_of
from experiments.lab.words import words
from experiments.lab.world import World, draw_world, numbers
from experiments.word_world import fit_weights, mean

CLASSES = ("misspecified", "realisable")


@dataclass(frozen=True)
class Config:
    """One tier."""

    tier: str = "enumerable"  # enumerable, words or neural
    rounds: int = 12  # of asking, fitting and optimising
    pairs: int = 300  # comparisons that are asked in each round
    on_policy: float = 0.5  # share of the present policy in the law of strings compared
    beta: float = 0.1  # weight of the KL term, in sd of gold
    best: int = 10  # strings of each prompt that the reward likes best
    misspecification: float = 0.8  # m of the enumerable world
    prior_sd: float = 3.0  # of a weight of the reward, in nats
    inner: int = 15  # gradient steps in each round, tier neural
    fitting: int = 100  # steps of each fit, tier neural
    width: int = 8  # of the networks, tier neural
    worlds: int = 1  # worlds a seed (words: draws of comparisons), whose mean is judged


SWEEP = {
    "smoke": Plan((Config(rounds=3, pairs=50), Config("neural", rounds=2, pairs=50, inner=3)), 2),
    "quick": Plan((Config(), Config("words"), Config("neural", rounds=6, worlds=3)), seeds=10),
    "full": Plan(
        (
            Config(rounds=30),
            Config("words", rounds=30),
            Config("neural", rounds=10, inner=40, worlds=2),
        ),
        seeds=20,
    ),
}


def run(config: Config, seed: int) -> list[dict[str, Any]]:
    """Patch under both reward classes."""
    follow = word_world if config.tier == "words" else enumerable
    return [
        {"tier": config.tier, "world": number, "class": kind, **row}
        for number in numbers(seed, config.worlds)
        for kind in CLASSES
        for row in follow(config, kind, number)
    ]


def enumerable(config: Config, kind: str, seed: int) -> Iterator[dict[str, Any]]:
    """The loop over all strings: exact, or with networks."""
    neural = config.tier == "neural"
    world = draw_world(seed, horizon=5 if neural else 7)
    gold = world.on_strings(world.gold(config.misspecification))
    crowd = Survey(Person(gold), config.pairs, on_policy=config.on_policy, every=1)
    rng = np.random.default_rng((seed, config.rounds))
    if neural:
        reference, learner, model = networks(config, kind, world, seed)
    else:
        reference, learner = world.reference, Tilt((config.beta,) * config.rounds)
        model = Linear(features_of(world, kind), ridge=config.prior_sd**-2)
    bandit, law = world.bandit(gold), reference.string_law()
    for one in rounds(bandit, reference, learner, model, rng, survey=crowd, steps=config.rounds):
        if one.step:
            yield {"round": one.step, "kl": one.kl} | hunt(config, world, law, gold, one)


def features_of(world: World, kind: str) -> np.ndarray:
    """Counts of words, apart for each prompt, and variety where the class holds the gold reward.

    Returns:
        [prompt, string, feature]; variety is sum_k min(count_k, 2).
    """
    own = world.counts.astype(float)
    if kind == "realisable":
        own = np.column_stack([own, np.minimum(own, 2).sum(axis=1)])
    prompts, width = len(world.prompts), own.shape[1]
    result = np.zeros((prompts, len(world.bag), prompts * width))
    for x in range(prompts):
        result[x, :, x * width : (x + 1) * width] = own[world.bag]
    return result


def networks(config: Config, kind: str, world: World, seed: int) -> tuple[Any, Any, Any]:
    """Reference, learner and reward model of the neural tier."""
    from bandit_rlhf import neural as nn
    from experiments.lab import neural  # torch is needed by these cells alone

    def learner(state: Any, evidence: Any) -> nn.PolicyGradient:
        return nn.PolicyGradient(
            reference=state.reference,
            proxy=nn.from_table(world.language, evidence.reward),
            beta=config.beta,
            prompt_law=world.prompt_law,
            groups=neural.GROUPS,
        )

    reference = neural.pretrained(world, seed, config.width)
    network: neural.Network = "counts" if kind == "misspecified" else "gru"
    start = neural.untrained(world, network, seed, config.width)
    optimiser = nn.Optimiser(learning_rate=neural.LEARNING_RATE)
    fitting = {"steps": config.fitting, "learning_rate": 0.02}
    return (
        reference,
        nn.NeuralSteps(learner, inner=config.inner, optimiser=optimiser),
        nn.NeuralReward(start, options=fitting),
    )


def hunt(
    config: Config, world: World, law: np.ndarray, gold: np.ndarray, one: Round
) -> dict[str, Any]:
    """Gold's gain, the strings that this round's reward likes best, and how many are new hacks.

    Args:
        config: how many strings.
        world: to spell them.
        law: the reference's [prompt, string].
        gold: [prompt, string].
        one: the round.
    """
    level = (law * gold).sum(axis=1)
    rows = one.comparisons
    assert rows is not None
    assert rows.prompt is not None
    shown = {
        (int(x), int(string))
        for side in (rows.winner, rows.loser)
        for x, string in zip(rows.prompt, side, strict=True)
    }
    found, slots = set[tuple[int, int]](), len(world.prompts) * config.best
    for x in range(len(world.prompts)):
        best = np.argsort(-one.reward[x], kind="stable")[: config.best]
        found |= {(x, int(string)) for string in best if gold[x, string] < level[x]}
    top = world.best_string(one.reward, 0)
    return {
        "gold": one.gold - float(world.prompt_law @ level),
        "hacks": len(found) / slots,
        "new": len(found - shown) / slots,
        "string": world.spell(top),
        "string_gold": float(gold[0, top] - level[0]),
        "string_proxy": float(one.reward[0, top] - law[0] @ one.reward[0]),
        "string_log_reference": float(np.log(law[0, top])),
    }


def word_world(config: Config, kind: str, seed: int) -> Iterator[dict[str, Any]]:
    """The loop on the lattice: the tilt, 32 tokens, best-first search for the best strings."""
    lattice = words(1.0, 100, 32, 2)
    rng = np.random.default_rng((seed, config.rounds))
    policy, differences = lattice.reference, []
    shown: set[tuple[int, tuple[int, ...]]] = set()
    gold, level = lattice.payoffs["gold"], mean(lattice.reference, lattice.payoffs["gold"])
    for number in range(1, config.rounds + 1):
        differences.append(ask(config, kind, lattice, policy, shown, rng))
        weights = fit_weights(np.concatenate(differences), config.prior_sd)
        proxy = payoff_of(lattice, kind, weights)
        policy, _ = path_sum.gibbs_optimum(lattice, proxy, config.beta)
        found: set[tuple[int, tuple[int, ...]]] = set()
        for x in range(len(lattice.prompts)):
            best = viterbi.best_string(lattice, proxy, config.best, x)
            batch = lattice.language.batch([one.string for one in best])
            golds = lattice.reward(gold, batch, x) - level
            found |= {(x, one.string) for one, g in zip(best, golds, strict=True) if g < 0}
        slots = len(lattice.prompts) * config.best
        top = viterbi.best_string(lattice, proxy, 1, 0)[0]
        batch = lattice.language.batch([top.string])
        yield {
            "round": number,
            "gold": mean(policy, gold) - level,
            "kl": path_sum.kl(policy, lattice.reference).value,
            "hacks": len(found) / slots,
            "new": len(found - shown) / slots,
            "string": " ".join(lattice.language.words(top.string)),
            "string_gold": float(lattice.reward(gold, batch)[0] - level),
            "string_proxy": top.score - mean(lattice.reference, proxy),
            "string_log_reference": float(lattice.reference.log_prob(batch)[0]),
        }


def ask(
    config: Config,
    kind: str,
    lattice: Lattice,
    policy: LatticePolicy,
    shown: set[tuple[int, tuple[int, ...]]],
    rng: np.random.Generator,
) -> np.ndarray:
    """Features of the winner less those of the loser [pair, feature]; `shown` grows."""
    rows = []
    for x, pairs in enumerate(rng.multinomial(config.pairs, lattice.prompt_law)):
        sides = [drawn(config, lattice, policy, x, int(pairs), rng) for _ in range(2)]
        for batch in sides:
            shown |= {(x, string) for string in batch.strings()}
        lead = np.subtract(*(lattice.reward(lattice.payoffs["gold"], b, x) for b in sides))
        wins = rng.random(pairs) < 1 / (1 + np.exp(-lead))
        first, second = (features_in(lattice, kind, batch, x) for batch in sides)
        rows.append(np.where(wins[:, None], 1, -1) * (first - second))
    return np.concatenate(rows).astype(float)


def drawn(
    config: Config,
    lattice: Lattice,
    policy: LatticePolicy,
    prompt: int,
    count: int,
    rng: np.random.Generator,
) -> TokenBatch:
    """Strings of which each comes from the policy or from the reference, by a coin."""
    own = int(rng.binomial(count, config.on_policy))
    parts = [policy.sample(rng, own, prompt), lattice.reference.sample(rng, count - own, prompt)]
    order = rng.permutation(count)
    tokens, mask = (
        np.concatenate([getattr(part, name) for part in parts])[order]
        for name in ("tokens", "mask")
    )
    return TokenBatch(lattice.language, tokens, mask)


def features_in(lattice: Lattice, kind: str, batch: TokenBatch, prompt: int) -> np.ndarray:
    """Counts of tokens [string, action]; realisable: without repeats, whose number stands last."""
    states, _ = lattice.read(batch, prompt)
    actions = lattice.language.action_count
    feature = np.where(batch.mask, batch.tokens, actions + 1)
    if kind == "realisable":
        again = lattice.payoffs["repeats"].edge[states, np.minimum(batch.tokens, actions - 1)] > 0
        feature = np.where(batch.mask & again, actions, feature)
    rows = np.arange(len(batch))[:, None] * (actions + 2) + feature
    table = np.bincount(rows.ravel(), minlength=len(batch) * (actions + 2))
    table = table.reshape(len(batch), actions + 2)
    return table[:, : actions + (kind == "realisable")]


def payoff_of(lattice: Lattice, kind: str, weights: np.ndarray) -> Payoff:
    """The reward with these weights, paid token by token."""
    actions = lattice.language.action_count
    edge = np.tile(weights[:actions], (lattice.state_count, 1))
    if kind == "realisable":
        edge[lattice.payoffs["repeats"].edge > 0] = weights[actions]
    return Payoff(edge, np.zeros(lattice.state_count))


def late(table: pl.DataFrame, tier: str, kind: str, column: str) -> list[float]:
    """The mean of a column over the last quarter of the rounds, a number a seed."""
    chosen = table.filter((pl.col("tier") == tier) & (pl.col("class") == kind))
    last = int(chosen["round"].max())  # type: ignore[arg-type]
    end = chosen.filter(pl.col("round") > last - max(1, last // 4))
    return end.group_by("seed").agg(pl.col(column).mean()).sort("seed")[column].to_list()


def judge(
    table: pl.DataFrame, kind: str, decide: Callable[[tuple[float, float]], Any]
) -> Judgement:
    """New hacks in the last quarter of the rounds under one class, on every tier."""
    verdicts, shown, extreme = {}, [], []
    for tier in tiers_of(table):
        new = late(table, tier, kind, "new")
        if len(new) < 2:
            return undecided("one seed alone gives no interval")
        interval = over_seeds(new)
        verdicts[tier] = decide(interval)
        first = table.filter(
            (pl.col("tier") == tier) & (pl.col("class") == kind) & (pl.col("round") == 1)
        )
        gold = np.mean(late(table, tier, kind, "gold"))
        shown.append(
            f"{tier}: new hacks {first['new'].mean():.0%} of the best strings in round 1, "
            f"{np.mean(new):.0%} late; gold {first['gold'].mean():+.2f} sd, then {gold:+.2f}"
        )
        extreme.append((float(np.mean(new)), interval))
    effect, interval = (min if kind == "misspecified" else max)(extreme)
    measured = f"{'; '.join(shown)}: {holds_on(verdicts)}"
    return Judgement(effect, interval, over_tiers(verdicts), measured)


def judge_misspecified(table: pl.DataFrame) -> Judgement:
    """Claim 7: the hunt never ends."""
    return judge(table, "misspecified", lambda interval: at_least(interval, 0.1))


def judge_realisable(table: pl.DataFrame) -> Judgement:
    """Claim 7, the other side: where the class holds the gold reward it does."""
    return judge(table, "realisable", lambda interval: at_most(interval, 0.05))


def draw(table: pl.DataFrame) -> Figure:
    """Gold by round above, new hacks by round below, one column a tier."""
    tiers = tiers_of(table)
    figure = style.figure(rows=2, columns=2, height_to_width=0.7)
    panels = figure.subplots(2, len(tiers), squeeze=False, sharex="col")
    for column, tier in enumerate(tiers):
        rows = table.filter(pl.col("tier") == tier)
        draw_rounds(panels[0, column], rows, "gold")
        draw_rounds(panels[1, column], rows, "new")
        panels[0, column].set_title(tier)
        panels[0, column].axhline(0, color="0.6", lw=0.5, zorder=0)
        panels[1, column].set_xlabel("round")
        panels[1, column].set_ylim(-0.03, 1.03)
    panels[0, 0].set_ylabel("gold gain (sd under ref)")
    panels[1, 0].set_ylabel("new hacks among the best")
    panels[1, 0].legend(title="reward class", fontsize="x-small", title_fontsize="x-small")
    return figure


def draw_rounds(axes: Axes, rows: pl.DataFrame, column: str) -> None:
    """Means by round and their 95 % over seeds."""
    for index, kind in enumerate(CLASSES):
        points = []
        for (number,), one in rows.filter(pl.col("class") == kind).group_by("round"):
            values = one.group_by("seed").agg(pl.col(column).mean()).sort("seed")[column].to_list()
            low, high = over_seeds(values) if len(values) > 1 else (values[0], values[0])
            points.append((float(str(number)), float(np.mean(values)), low, high))
        x, y, low, high = np.array(sorted(points)).T
        look = style.series(index)
        axes.plot(x, y, label=kind, **look)
        axes.fill_between(x, low, high, color=look["color"], alpha=0.2, lw=0)
