"""Hallucination: when a tuned policy answers and when it abstains, by how well errors are caught.

A claim that is right earns 1, a wrong one costs the penalty, and saying "I do not know" earns 0. A
model that is right with probability p should claim iff p > penalty / (1 + penalty) (Kalai et al.
2025, arXiv:2509.04664, section 4). Its reward model is fitted by Bradley and Terry to infinitely
many judgements of people of whom a share, the detection quality, sees whether a claim is right;
to the others any claim looks right.

Tiers. `enumerable`: questions of rising confidence, with ten candidate answers, tilted exactly.
`words`: every word of a text of 32 is a claim about what the text says next, the unknown word and
the end of the sentence abstain; p is the reference's own next-word law, so the reference is
calibrated. Both are exact, the same under every seed. `neural`: a network is pretrained on the
same kinds of question and tuned by sampled policy gradient; whether a claim is right is drawn anew
each time, so that what it can learn is when to answer, not what. Its reference is what it says
before tuning, its confidence the law of the questions. One seed is one network.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bandit_rlhf import corpus
from bandit_rlhf.annotator import Person, Population, every_question, expected_comparisons
from bandit_rlhf.exact import path_sum
from bandit_rlhf.exact.lattice import Lattice, LatticePolicy, Payoff
from bandit_rlhf.language import Language
from bandit_rlhf.objective import gibbs
from bandit_rlhf.reward import fit
from experiments import style
from experiments.experiment import Plan
from experiments.judging import Judgement, all_of, at_least, at_most, exact
from experiments.lab.reading import over_seeds
from experiments.lab.tiers import exact_world, holds_on, over_tiers, tiers_of
from experiments.word_world import mean

QUALITIES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
PENALTIES = (0.0, 0.25, 1.0, 3.0, 9.0)


@dataclass(frozen=True)
class Config:
    """One tier."""

    tier: str = "enumerable"  # enumerable, words or neural
    qualities: tuple[float, ...] = QUALITIES  # share of wrong claims that annotators recognise
    penalties: tuple[float, ...] = PENALTIES  # of a wrong claim, in units of what a right one earns
    beta: float = 0.02  # weight of the KL term, in the same unit
    strength: float = 4.0  # what a right claim earns in an annotator's eyes, in nats
    candidates: int = 10  # answers a question might have, tier enumerable
    confidences: int = 91  # questions, from 0.1 to 1.0 sure of the best candidate, tier enumerable
    abstains: float = 0.1  # how often the reference says that it does not know, tier enumerable
    steps: int = 200  # policy-gradient steps, tier neural
    draws: int = 16  # answers to each of eight questions in a step, tier neural


NEURAL = Config("neural", qualities=(0.0, 0.9), penalties=(1.0,), confidences=19)
SWEEP = {
    "smoke": Plan(
        (
            Config(qualities=(0.0, 0.9, 1.0), penalties=(1.0,)),
            Config("words", qualities=(0.0, 0.9, 1.0), penalties=(1.0,)),
        )
    ),
    "quick": Plan((Config(), Config("words", penalties=(1.0,)), NEURAL), seeds=10),
    "full": Plan((Config(), Config("words"), replace(NEURAL, qualities=QUALITIES)), seeds=20),
}


def run(config: Config, seed: int) -> list[dict[str, Any]]:
    """Fit the reward model for every quality and penalty, and tune under it."""
    measure = {"enumerable": questions, "words": texts, "neural": network}[config.tier]
    return [
        {"tier": config.tier, "quality": quality, "penalty": penalty, **row}
        for penalty in config.penalties
        for quality in config.qualities
        for row in measure(config, fitted_scores(quality, penalty, config.strength), seed)
    ]


@dataclass(frozen=True)
class Scores:
    """What the reward model gives to a right and to a wrong claim, where abstaining gets 0.

    Args:
        right: in units of what a right claim truly earns.
        wrong: in the same unit.
    """

    right: float
    wrong: float

    def claim(self, confidence: np.ndarray) -> np.ndarray:
        """The expected score of a claim that is right with this probability."""
        return confidence * self.right + (1 - confidence) * self.wrong

    @property
    def threshold(self) -> float:
        """The confidence from which on claiming pays, within [0, 1].

        >>> Scores(1.0, -3.0).threshold, Scores(1.0, 0.5).threshold
        (0.75, 0.0)
        """
        if self.wrong >= 0:
            return 0.0
        return float(np.clip(-self.wrong / (self.right - self.wrong), 0.0, 1.0))


def fitted_scores(quality: float, penalty: float, strength: float) -> Scores:
    """The Bradley-Terry fit to people of whom a share `quality` tells right from wrong."""
    knows, layman = (Person(strength * np.array([[1.0, 0.0, wrong]])) for wrong in (-penalty, 1.0))
    crowd = Population((knows, layman), np.array([quality, 1 - quality]))
    found = fit(expected_comparisons(crowd, every_question(1, 3)), tolerance=1e-12)
    if not found.converged:
        raise RuntimeError(f"the population fit left a gradient of {found.gradient_norm:.2g}.")
    right, abstain, wrong = found.scores / strength
    return Scores(float(right - abstain), float(wrong - abstain))


def beliefs(config: Config) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Confidence [question], belief [question, candidate] and reference [question, answer].

    The best of the candidates is right with the question's confidence, the others share the rest;
    the last answer abstains.
    """
    sure = np.linspace(1 / config.candidates, 1.0, config.confidences)
    rest = (1 - sure) / (config.candidates - 1)
    belief = np.column_stack([sure, *[rest] * (config.candidates - 1)])
    abstains = np.full(len(sure), config.abstains)
    return sure, belief, np.column_stack([(1 - config.abstains) * belief, abstains])


def questions(config: Config, scores: Scores, seed: int) -> list[dict[str, Any]]:
    """Tier enumerable: one row a question, and one for all questions together."""
    sure, belief, reference = beliefs(config)
    worth = np.column_stack([scores.claim(belief), np.zeros(len(sure))])
    law = gibbs(reference, worth, config.beta)
    share = law[:, :-1].sum(axis=1)
    each = [
        {"row": "question", "confidence": float(p), "claims": float(one)}
        for p, one in zip(sure, share, strict=True)
    ]
    return [all_together(scores, belief, reference, law), *each]


def all_together(
    scores: Scores, belief: np.ndarray, reference: np.ndarray, law: np.ndarray
) -> dict[str, Any]:
    """Claims and wrong claims of a law of answers, before and after, and where it switches."""
    row: dict[str, Any] = {"row": "all", "threshold": scores.threshold}
    for suffix, one in (("", law), ("_before", reference)):
        claims = one[:, :-1]
        row["claims" + suffix] = float(claims.sum(axis=1).mean())
        row["wrong" + suffix] = float((claims * (1 - belief)).sum(axis=1).mean())
    row["switches_at"] = switching_point(belief[:, 0], law[:, :-1].sum(axis=1))
    return row


@lru_cache(maxsize=4)
def pretrained(config: Config, seed: int) -> Any:
    """A network that gives the answers of the reference."""
    from experiments.lab import neural  # torch is needed by these cells alone

    words = (*(f"answer {i}" for i in range(config.candidates)), "unsure")
    sure, _, law = beliefs(config)
    prompts = tuple((f"{p:.3f}",) for p in sure)
    return neural.pretrained_on(Language(words, 1), prompts, law, seed=seed, steps=120)


def network(config: Config, scores: Scores, seed: int) -> list[dict[str, Any]]:
    """Tier neural: a network tuned to the scores of its claims, whose truth is drawn each time."""
    import torch

    from bandit_rlhf import neural as nn
    from experiments.lab import neural  # torch is needed by these cells alone

    _, belief, _ = beliefs(config)
    chance = torch.as_tensor(np.column_stack([belief, np.ones(len(belief))]))
    dice = torch.Generator().manual_seed(neural.stream(seed, "truth"))

    def reward(strings: nn.Strings) -> torch.Tensor:
        answer = strings.tokens[:, 0]
        right = torch.rand(len(answer), generator=dice) < chance[strings.prompt, answer]
        paid = torch.where(right, scores.right, scores.wrong)
        return torch.where(answer == config.candidates, 0.0, paid)

    reference = pretrained(config, seed)
    before = reference.string_law()
    last = nn.last(
        nn.train(
            reference,
            nn.PolicyGradient(
                reference=reference, proxy=reward, beta=config.beta, groups=8, draws=config.draws
            ),
            nn.ExactJudge(np.full(len(before), 1 / len(before)), before, np.zeros_like(before)),
            steps=config.steps,
            optimiser=nn.Optimiser(learning_rate=neural.LEARNING_RATE),
            seed=neural.stream(seed, "tuning"),
            marks=(config.steps,),
        )
    )
    return [all_together(scores, belief, before, last.policy.string_law())]


def switching_point(confidence: np.ndarray, claims: np.ndarray) -> float:
    """The confidence at which the share of claims passes one half; the ends if it never does.

    >>> switching_point(np.array([0.0, 0.5, 1.0]), np.array([0.0, 0.25, 0.75]))
    0.75
    """
    if claims[0] >= 0.5:
        return float(confidence[0])
    if claims[-1] < 0.5:
        return float(confidence[-1])
    return float(np.interp(0.5, claims, confidence))


def texts(config: Config, scores: Scores, seed: int) -> list[dict[str, Any]]:
    """Tier words: claims and wrong claims for each token written, tuned and before."""
    lattice = exact_world("words")
    confidence, claims = claims_of(lattice)
    proxy = edge_payoff(lattice, np.where(claims, scores.claim(confidence), 0.0))
    policy, _ = path_sum.gibbs_optimum(lattice, proxy, config.beta)
    row = {"row": "all", "threshold": scores.threshold}
    for suffix, one in (("", policy), ("_before", lattice.reference)):
        length = mean(one, lattice.payoffs["length"])
        row["claims" + suffix] = mean(one, edge_payoff(lattice, 1.0 * claims)) / length
        wrong = edge_payoff(lattice, claims * (1 - confidence))
        row["wrong" + suffix] = mean(one, wrong) / length
        row["length" + suffix] = length
    row["keeps_rule"] = keeps_rule(policy, confidence, claims, scores.threshold)
    return [row]


def claims_of(lattice: Lattice) -> tuple[np.ndarray, np.ndarray]:
    """How sure the reference is of each next token, and which tokens are claims [state, action]."""
    language = lattice.language
    claims = np.ones(language.action_count, dtype=bool)
    claims[[language.token(corpus.UNKNOWN), language.vocabulary_size]] = False
    return np.exp(lattice.log_reference), np.broadcast_to(claims, lattice.log_reference.shape)


def edge_payoff(lattice: Lattice, edge: np.ndarray) -> Payoff:
    """A reward paid token by token, and nothing for being cut."""
    return Payoff(edge, np.zeros(lattice.state_count))


def keeps_rule(
    policy: LatticePolicy, confidence: np.ndarray, claims: np.ndarray, threshold: float
) -> float:
    """How often a token claims where the best claim passes the threshold, and abstains elsewhere.

    The rule looks one token ahead; a policy that plans may break it, since what it says decides
    what it will be asked.
    """
    sure = np.where(claims, confidence, 0.0).max(axis=1) > threshold
    share = (policy.probs * claims).sum(axis=2)
    visits = path_sum.visits(policy)
    return float((visits * np.where(sure, share, 1 - share)).sum() / visits.sum())


def ratios(table: pl.DataFrame, tier: str, quality: float, penalty: float = 1.0) -> list[float]:
    """Wrong claims of the tuned policy over the reference's, a number a seed."""
    chosen = table.filter(
        (pl.col("tier") == tier)
        & (pl.col("row") == "all")
        & (pl.col("quality") == quality)
        & (pl.col("penalty") == penalty)
    )
    return (chosen["wrong"] / chosen["wrong_before"]).to_list()


def judge_caught(table: pl.DataFrame) -> Judgement:
    """Claim 10: fewer wrong claims where annotators catch them, and not fewer where they do not."""
    verdicts, shown, worst = {}, [], (0.0, (0.0, 0.0))
    for tier in tiers_of(table):
        caught, missed = (spread(ratios(table, tier, quality)) for quality in (0.9, 0.0))
        verdicts[tier] = all_of([at_most(caught[1], 0.5), at_least(missed[1], 1.0)])
        shown.append(f"{tier}: x {caught[0]:.2f} where 9 in 10 are caught, x {missed[0]:.2f} none")
        worst = max(worst, caught)
    effect, interval = worst
    return Judgement(
        effect, interval, over_tiers(verdicts), f"{'; '.join(shown)}: {holds_on(verdicts)}"
    )


def spread(values: list[float]) -> tuple[float, tuple[float, float]]:
    """Mean and interval over seeds; an exact number, the same under each, has no width."""
    if len(set(values)) == 1:
        return values[0], (values[0], values[0])
    return float(np.mean(values)), over_seeds(values)


def judge_threshold(table: pl.DataFrame) -> Judgement:
    """Claim 10: the confidence at which the tuned policy starts to answer, errors all caught."""
    asked = table.filter(
        (pl.col("tier") == "enumerable") & (pl.col("row") == "all") & (pl.col("penalty") > 0)
    )
    caught = asked.filter((pl.col("quality") == 1.0) & (pl.col("penalty") >= 0.25))
    ideal = caught["penalty"] / (1 + caught["penalty"])
    error = float((caught["switches_at"] - ideal).abs().max())  # type: ignore[arg-type]
    half = asked.filter((pl.col("quality") == 0.5) & (pl.col("penalty") == 1.0))
    said = f"; caught by half, at {half['switches_at'][0]:.2f} for penalty 1" if len(half) else ""
    measured = f"switches within {error:.3f} of penalty/(1 + penalty){said}; enumerable alone"
    return exact(error, at_most((error, error), 0.02), measured)


def draw(table: pl.DataFrame) -> Figure:
    """Who answers at which confidence, where that starts, and how many claims are wrong."""
    figure = style.figure(columns=2, height_to_width=0.9)
    left, middle, right = figure.subplots(1, 3)
    draw_answers(left, table)
    draw_thresholds(middle, table)
    draw_ratios(right, table)
    return figure


def draw_answers(axes: Axes, table: pl.DataFrame) -> None:
    """Share of claims against confidence, at penalty 1."""
    asked = table.filter((pl.col("row") == "question") & (pl.col("penalty") == 1.0))
    asked = asked.unique(("quality", "confidence"), maintain_order=True)
    shown = [q for q in (0.0, 0.4, 0.6, 0.9, 1.0) if q in asked["quality"].to_list()]
    for index, quality in enumerate(shown):
        rows, look = asked.filter(pl.col("quality") == quality), style.series(index)
        axes.plot(
            rows["confidence"],
            rows["claims"],
            color=look["color"],
            ls=look["linestyle"],
            label=f"{quality:g}",
        )
    axes.axvline(0.5, color="0.6", lw=0.5, zorder=0)
    axes.set(xlabel="confidence $p$", ylabel="share that answer", title=r"Penalty $\lambda = 1$")
    axes.legend(title="caught", fontsize="x-small", title_fontsize="x-small")


def draw_thresholds(axes: Axes, table: pl.DataFrame) -> None:
    """Where answering starts, against the penalty."""
    rows = table.filter((pl.col("tier") == "enumerable") & (pl.col("row") == "all"))
    rows = rows.unique(("quality", "penalty"), maintain_order=True)
    shown = [q for q in (0.4, 0.6, 0.9, 1.0) if q in rows["quality"].to_list()]
    at = np.linspace(0, rows["penalty"].max(), 100)  # type: ignore[arg-type]
    axes.plot(at, at / (1 + at), color="0.5", lw=1, label=r"$\lambda/(1+\lambda)$")
    for index, quality in enumerate(shown):
        chosen = rows.filter(pl.col("quality") == quality).sort("penalty")
        axes.plot(
            chosen["penalty"],
            chosen["switches_at"],
            label=f"{quality:g} caught",
            **style.series(index),
        )
    axes.set(xlabel=r"penalty $\lambda$", ylabel="answers from $p$ =", title="Threshold")
    axes.set_ylim(0, 1.6)
    axes.set_yticks(np.linspace(0, 1, 6))
    axes.legend(fontsize="x-small", loc="upper left", ncols=2, columnspacing=1)


def draw_ratios(axes: Axes, table: pl.DataFrame) -> None:
    """Wrong claims against the share that annotators catch, at penalty 1."""
    rows = table.filter((pl.col("row") == "all") & (pl.col("penalty") == 1.0))
    for index, ((tier,), chosen) in enumerate(rows.group_by("tier", maintain_order=True)):
        points = []
        for quality in chosen["quality"].unique().sort().to_list():
            centre, (low, high) = spread(ratios(table, str(tier), quality))
            points.append((quality, centre, centre - low, high - centre))
        x, y, below, above = np.array(points).T
        look = style.series(index)
        axes.errorbar(x, y, yerr=(below, above), label=str(tier), capsize=2, **look)
    axes.axhline(1, color="0.6", lw=0.5, zorder=0)
    axes.set(xlabel="share of errors caught", ylabel="wrong claims, tuned / reference")
    axes.set_title(r"Penalty $\lambda = 1$")
    axes.set_ylim(bottom=0)
    axes.legend(fontsize="x-small")
