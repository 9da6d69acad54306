"""What two annotators make of the same questions: agreement, rewards, policies tilted by them.

Everything is a function of weights of people and of prompts, so that the same code measures the
data (all weights one) and its resamples.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import rankdata

from bandit_rlhf import objective
from bandit_rlhf.comparisons import Comparisons
from bandit_rlhf.reward import RewardFit, fit
from experiments.llmfao import SameQuestions, outcomes
from experiments.machine_feedback import MODERATE, STRONG

Measure = tuple[str, float | None, float]
"""Quantity, where on its axis (KL or beta, nats; None: it has none), value."""


@dataclass(frozen=True, eq=False)
class Weights:
    """How much each person and each prompt counts.

    Args:
        person: [annotator], at least 0.
        prompt: [prompt], at least 0.
    """

    person: np.ndarray
    prompt: np.ndarray


def agreement(data: SameQuestions, weights: Weights) -> Iterator[Measure]:
    """How often two judgements of a question agree: the machine's and a person's, two people's.

    With weights v of people and u of prompts, a judgement i of question q counts v_i u_q, a pair of
    judgements by different people v_i v_j u_q.
    """
    crowd, question = data.crowd, data.question
    assert crowd.annotator is not None
    assert crowd.prompt is not None
    machine, said = outcomes(data.machine), outcomes(crowd)
    asked = len(machine)
    person, prompt = weights.person[crowd.annotator], np.zeros(asked)
    prompt[question] = weights.prompt[crowd.prompt]
    votes, squares = (
        np.stack([np.bincount(question, part * (said == way), asked) for way in (1, 0, -1)])
        for part in (person, person**2)
    )
    total = votes.sum(axis=0)
    with_machine = np.stack([votes[k] * (machine == way) for k, way in enumerate((1, 0, -1))])
    same = votes**2 - squares  # two different people who both gave this answer
    both = total**2 - squares.sum(axis=0)
    settled = votes[0] + votes[2]
    both_settled = settled**2 - squares[0] - squares[2]

    def share(part: np.ndarray, whole: np.ndarray) -> float:
        return float((prompt @ part) / (prompt @ whole))

    yield "agree: machine, person", None, share(with_machine.sum(axis=0), total)
    yield "agree: two people", None, share(same.sum(axis=0), both)
    decided = with_machine[0] + with_machine[2]
    yield "agree, decided: machine, person", None, share(decided, settled * (machine != 0))
    yield "agree, decided: two people", None, share(same[0] + same[2], both_settled)
    yield "ties: machine", None, share((machine == 0) * total, total)
    yield "ties: people", None, share(votes[1], total)


@dataclass(frozen=True, eq=False)
class Fits:
    """Rewards fitted to weighted judgements, with one prior for all."""

    data: SameQuestions
    weights: Weights
    ridge: float

    def crowd(
        self,
        people: np.ndarray | None = None,
        *,
        drop_ties: bool = False,
        position: bool = False,
    ) -> RewardFit:
        """The crowd's rewards; `people` [annotator] counts some of them only."""
        rows = self.data.crowd
        assert rows.annotator is not None
        assert rows.prompt is not None
        person = self.weights.person if people is None else self.weights.person * people
        weight = person[rows.annotator] * self.weights.prompt[rows.prompt]
        return self._fit(rows, weight, drop_ties, position)

    def machine(self, *, drop_ties: bool = False, position: bool = False) -> RewardFit:
        """The machine's rewards."""
        rows = self.data.machine
        assert rows.prompt is not None
        return self._fit(rows, self.weights.prompt[rows.prompt], drop_ties, position)

    def _fit(
        self, rows: Comparisons, weight: np.ndarray, drop_ties: bool, position: bool
    ) -> RewardFit:
        """Davidson's model, or Bradley and Terry's without the ties."""
        rows = replace(rows, weight=weight).select(weight > 0)
        if not position:
            rows = replace(rows, covariates=None, covariate_names=())
        if drop_ties:
            return fit(rows, "bradley-terry", ties="drop", ridge=self.ridge)
        return fit(rows, "davidson", ridge=self.ridge)


def rank_correlation(one: np.ndarray, two: np.ndarray) -> float:
    """Spearman's."""
    return float(np.corrcoef(rankdata(one), rankdata(two))[0, 1])


def slope(one: np.ndarray, two: np.ndarray) -> float:
    """Of `two` on `one`, by least squares."""
    return float(np.cov(one, two)[0, 1] / np.var(one, ddof=1))


def rewards(fits: Fits, halves: list[np.ndarray]) -> Iterator[Measure]:
    """Who ranks what: correlations of rewards, with and without the ties, and the order effect.

    Args:
        fits: the rewards.
        halves: [annotator] indicators of one half of the people each.
    """
    crowd, machine = fits.crowd().scores, fits.machine().scores
    yield "rank correlation: machine, crowd", None, rank_correlation(machine, crowd)
    for name, fitted, kept in (("crowd", fits.crowd, crowd), ("machine", fits.machine, machine)):
        dropped = fitted(drop_ties=True).scores
        yield f"dropping ties, slope: {name}", None, slope(kept, dropped)
        yield f"dropping ties, rank correlation: {name}", None, rank_correlation(kept, dropped)
        yield f"shown first: {name}", None, float(fitted(position=True).coefficients[0])
    for drop_ties, name in ((False, "Davidson"), (True, "ties dropped")):
        both = [
            rank_correlation(*(fits.crowd(h, drop_ties=drop_ties).scores for h in (half, 1 - half)))
            for half in halves
        ]
        yield f"rank correlation: halves of the crowd, {name}", None, float(np.mean(both))


def tilted(reward: np.ndarray, kls: np.ndarray) -> np.ndarray:
    """[level, item], the Gibbs laws of a reward over a uniform reference, at given KLs.

    KL(pi || uniform) = t E_pi r - ln mean e^(t r) rises with t = 1 / beta: bisection on ln t.

    Args:
        reward: [item], nats.
        kls: [level], nats, below that of the best items alone.

    Raises:
        ValueError: a KL that no tilt reaches.
    """
    centred = reward - reward.max()
    reach = np.log(len(reward) / np.count_nonzero(centred == 0))
    if not (kls.min() > 0 and kls.max() < reach):
        raise ValueError(f"kls are {kls}, but should lie between 0 and {reach:.3f} nats.")
    low, high = np.full(len(kls), -20.0), np.full(len(kls), 20.0) - np.log(np.ptp(reward))
    for _ in range(60):
        middle = (low + high) / 2
        kl = _gibbs(centred, middle)[1]
        low, high = np.where(kl < kls, middle, low), np.where(kl < kls, high, middle)
    return _gibbs(centred, high)[0]


def _gibbs(centred: np.ndarray, log_t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[level, item] laws proportional to e^(t r), and [level] their KL from uniform; max r is 0."""
    scores = np.exp(log_t)[:, None] * centred
    weight = np.exp(scores)
    total = weight.sum(axis=1, keepdims=True)
    law = weight / total
    return law, (law * scores).sum(axis=1) - np.log(total[:, 0] / len(centred))


def held_out(fits: Fits, halves: list[np.ndarray], kls: np.ndarray) -> Iterator[Measure]:
    """Policies at equal KL, tilted by the machine and by half of the crowd; the others judge.

    The gain is the judging half's reward, less that of the uniform reference. Both halves of a
    split serve both ways. `kls` rises, and holds MODERATE and STRONG.
    """
    machine = tilted(fits.machine().scores, kls)
    gains = np.zeros((2, len(kls)))
    for half in halves:
        scores = [fits.crowd(people).scores for people in (half, 1 - half)]
        for own, judge in (scores, scores[::-1]):
            judged = judge - judge.mean()
            gains += np.stack([machine @ judged, tilted(own, kls) @ judged]) / (2 * len(halves))
    moderate, strong = gains[0, np.searchsorted(kls, (MODERATE, STRONG))]
    yield "held-out gain further on: machine", None, float(strong - moderate)
    for at, by_machine, by_crowd in zip(kls.tolist(), *gains.tolist(), strict=True):
        yield "held-out gain: machine", at, by_machine
        yield "held-out gain: half of the crowd", at, by_crowd
        yield "share", at, by_machine / by_crowd


def by_beta(fits: Fits, betas: np.ndarray) -> Iterator[Measure]:
    """Both Gibbs policies at equal beta: the crowd's reward under each, and how far they part."""
    crowd, machine = fits.crowd().scores, fits.machine().scores
    judged = crowd - crowd.mean()
    uniform = np.full(len(crowd), 1 / len(crowd))
    for beta in betas.tolist():
        own, other = (objective.gibbs(uniform, reward, beta) for reward in (crowd, machine))
        yield "reward: crowd", beta, float(own @ judged)
        yield "reward: machine", beta, float(other @ judged)
        yield "divergence", beta, float(objective.kl_divergence(other, own))
