"""How consistent is each annotator with what all others think of the items?

On judgements that are no ties, the fit to *other* people's judgements predicts log-odds x of the
item that won against the one that lost. Annotator a scales them by a consistency of their own:

    P(a judges so) = 1 / (1 + e^(-beta_a x)),     beta_a ~ N(mean, spread^2)

beta_a is about 1 for the typical person, 0 for a coin, negative for one who mistakes worse for
better (or presses the wrong key); 1 / beta_a is a temperature. Nobody's own judgements enter the x
that judge them: annotators are dealt into folds. Ties are left out, as their frequency is a habit
of its own.
"""

from dataclasses import dataclass

import numpy as np

from bandit_rlhf import _check
from bandit_rlhf._array import Float, Int
from bandit_rlhf.comparisons import Comparisons
from bandit_rlhf.comparisons.names import Names
from bandit_rlhf.diagnosis.judgements import held_out, judgements
from bandit_rlhf.diagnosis.multiple_tests import benjamini_hochberg
from bandit_rlhf.diagnosis.outcome_law import log_probabilities, outcome_law
from bandit_rlhf.reward.result import RewardFit

VERDICTS = ("typical", "noisy", "random", "reversed", "untested")

SIMULATED = 300
"""Judgements of one annotator up to which the tests' null laws are simulated; beyond: Gaussian."""

ROUNDS = 500
"""Most steps of the empirical Bayes iteration."""

SETTLED = 1e-6
STEPS = 100


@dataclass(frozen=True, eq=False)
class AnnotatorConsistency:
    """The consistency of every annotator.

    Args:
        annotators: the names.
        judgements: [annotator], those that were no ties and on which the others had an opinion.
        beta: [annotator], the log-odds scale, shrunk towards the mean.
        stderr: [annotator], its posterior standard deviation.
        mean: of all annotators.
        spread: their standard deviation, noise taken off.
        reversed_q: [annotator], adjusted p-values of beta >= 0: small says worse than a coin.
        below_q: [annotator], of beta >= mean: small says less consistent than the average.
        informed_q: [annotator], of beta <= 0: small says better than a coin.
        verdict: [annotator], "reversed": worse than a coin; "random": less consistent than the
            average and not shown to be better than a coin; "noisy": less consistent, but better
            than a coin; "untested": no judgements; else "typical".
        false_discovery_rate: the expected share of false findings among those of a kind.
    """

    annotators: Names
    judgements: Int[np.ndarray, " annotator"]
    beta: Float[np.ndarray, " annotator"]
    stderr: Float[np.ndarray, " annotator"]
    mean: float
    spread: float
    reversed_q: Float[np.ndarray, " annotator"]
    below_q: Float[np.ndarray, " annotator"]
    informed_q: Float[np.ndarray, " annotator"]
    verdict: tuple[str, ...]
    false_discovery_rate: float

    def named(self, verdict: str) -> list[object]:
        """The annotators of one verdict."""
        if verdict not in VERDICTS:
            got = f"verdict is {verdict!r}"
            raise ValueError(_check.complaint(got, f"one of {', '.join(VERDICTS)}", "named"))
        pairs = zip(self.annotators, self.verdict, strict=True)
        return [name for name, found in pairs if found == verdict]


def annotator_consistency(
    fit: RewardFit,
    comparisons: Comparisons,
    rng: np.random.Generator,
    *,
    folds: int = 10,
    false_discovery_rate: float = 0.05,
    draws: int = 9999,
) -> AnnotatorConsistency:
    """Estimate every annotator's consistency, and name those who look random or reversed.

    The tests compare an annotator's sum of x with its law at beta = 0 and at beta = mean,
    simulated, so that they hold for a handful of judgements too; each kind of test is adjusted for
    the number of annotators (Benjamini and Hochberg).

    Args:
        fit: of `comparisons`; says which model, prior and treatment of ties to refit.
        comparisons: what was fitted, with annotators; weights, if any, are whole.
        rng: deals the folds and simulates.
        folds: of annotators, at most their number.
        false_discovery_rate: between 0 and 1.
        draws: of each null law; p-values are not below 1 / (draws + 1).

    Returns:
        Consistencies, q-values and verdicts.

    Raises:
        ValueError: fewer than two annotators, fractional weights, too few draws to name anyone.
        NoFiniteMaximum: without a fold of annotators the rewards are not determined.

    >>> from bandit_rlhf.reward import fit
    >>> rng = np.random.default_rng(0)
    >>> pairs = np.array([rng.choice(4, 2, replace=False) for _ in range(600)])
    >>> better, worse = pairs.max(axis=1), pairs.min(axis=1)
    >>> who = np.arange(600) % 12
    >>> upset = (rng.random(600) < 0.15) ^ (who == 5)              # number 5 turns all round
    >>> rows = Comparisons.from_ids(np.where(upset, worse, better), np.where(upset, better, worse),
    ...                             annotator=who)
    >>> annotator_consistency(fit(rows), rows, rng).named("reversed")
    [5]
    """
    where = "annotator_consistency"
    _check.integer_at_least("draws", draws, 1, where)
    if not 0 < _check.real("false_discovery_rate", false_discovery_rate, where) < 1:
        got = f"false_discovery_rate is {false_discovery_rate:g}"
        raise ValueError(_check.complaint(got, "between 0 and 1", where))
    if comparisons.annotator is None:
        raise ValueError(_check.complaint("there is no annotator column", "one", where))
    count = len(comparisons.annotators)
    needed = int(np.ceil(count / false_discovery_rate))
    if draws < needed:
        got = f"draws is {draws}"
        do = f"A q-value of {false_discovery_rate:g} among {count} annotators needs as many."
        raise ValueError(_check.complaint(got, f"at least {needed}", where, do))
    who, agreed = _log_odds(fit, comparisons, comparisons.annotator, rng, folds, where)
    beta, stderr, mean, spread = _shrunk(who, agreed, count)
    p = np.ones((3, count))
    tested = np.bincount(who, minlength=count)
    own = np.split(agreed[np.argsort(who, kind="stable")], np.cumsum(tested)[:-1])
    for one in np.flatnonzero(tested).tolist():
        p[:, one] = _p_values(own[one], mean, rng, draws)
    q = np.ones((3, count))
    if tested.any():
        q[:, tested > 0] = [benjamini_hochberg(row[tested > 0]) for row in p]
    reversed_q, below_q, informed_q = q
    found = q <= false_discovery_rate
    verdict = np.select(
        [tested == 0, found[0], found[1] & ~found[2], found[1]],
        ["untested", "reversed", "random", "noisy"],
        "typical",
    )
    return AnnotatorConsistency(
        annotators=comparisons.annotators,
        judgements=tested,
        beta=beta,
        stderr=stderr,
        mean=mean,
        spread=spread,
        reversed_q=reversed_q,
        below_q=below_q,
        informed_q=informed_q,
        verdict=tuple(verdict.tolist()),
        false_discovery_rate=false_discovery_rate,
    )


def _log_odds(
    fit: RewardFit,
    rows: Comparisons,
    annotator: np.ndarray,
    rng: np.random.Generator,
    folds: int,
    where: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Each decided judgement's annotator, and the others' log-odds of the item that won."""
    law = outcome_law(fit, rows, where)
    weight = np.ones(rows.row_count) if rows.weight is None else rows.weight
    if (weight != np.floor(weight)).any():
        row = int((weight != np.floor(weight)).argmax())
        got = f"weight[{row}] is {weight[row]:g}"
        raise ValueError(_check.complaint(got, "whole: repeated judgements", where))
    seen = judgements(rows, True, fit.ties)
    names, group = np.unique(annotator, return_inverse=True)
    if len(names) < 2:
        raise ValueError(_check.complaint("there is 1 annotator", "two or more", where))
    log_odds = np.empty(rows.row_count)
    for part, others in held_out(law, rows, group, min(folds, len(names)), rng, where):
        difference = seen.differences(others)[part]
        win, _, loss = log_probabilities(others.link, difference, others.tie)
        log_odds[part] = win - loss
    log_odds = np.where(seen.outcome[0] > 0, log_odds, -log_odds)
    decided = (seen.outcome[1] == 0) & (weight > 0) & (log_odds != 0)
    times = weight[decided].astype(np.int64)
    return np.repeat(names[group[decided]], times), np.repeat(log_odds[decided], times)


def _shrunk(
    who: np.ndarray, agreed: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Empirical Bayes: posterior modes and deviations (Laplace), mean and spread (EM)."""
    present = np.bincount(who, minlength=count) > 0
    mean, variance = 1.0, 1.0
    beta, posterior = np.full(count, mean), np.full(count, variance)
    for _ in range(ROUNDS):
        beta, posterior = _modes(who, agreed, beta, mean, variance)
        before = mean, variance
        mean = float(beta[present].mean()) if present.any() else mean
        variance = float((posterior + (beta - mean) ** 2)[present].mean()) if present.any() else 1.0
        if max(abs(mean - before[0]), abs(variance - before[1])) < SETTLED:
            break
    return beta, np.sqrt(posterior), mean, float(np.sqrt(variance))


def _modes(
    who: np.ndarray, agreed: np.ndarray, start: np.ndarray, mean: float, variance: float
) -> tuple[np.ndarray, np.ndarray]:
    """[annotator], the modes of the posteriors by Newton's method, and their inverse curvatures."""
    beta, curvature = start, np.full(len(start), 1 / variance)
    for _ in range(STEPS):
        doubt = 0.5 - 0.5 * np.tanh(beta[who] * agreed / 2)  # 1 - P(a judges so)
        score = np.bincount(who, agreed * doubt, len(beta)) - (beta - mean) / variance
        curvature = np.bincount(who, agreed**2 * doubt * (1 - doubt), len(beta)) + 1 / variance
        step = score / curvature
        beta = beta + np.sign(step) * np.minimum(np.abs(step), 1.0)
        if np.abs(step).max() < SETTLED:
            break
    return beta, 1 / curvature


def _p_values(
    agreed: np.ndarray, mean: float, rng: np.random.Generator, draws: int
) -> tuple[float, float, float]:
    """P(sum as low | beta = 0), P(sum as low | beta = mean), P(sum as high | beta = 0)."""
    size, total = np.abs(agreed), float(agreed.sum())
    chance = 0.5 + 0.5 * np.tanh(mean * size / 2)
    if len(size) > SIMULATED:
        from scipy.special import ndtr

        coin = total / np.sqrt(float(size @ size))
        typical = total - float(size @ (2 * chance - 1))
        typical /= np.sqrt(float(4 * size**2 @ (chance * (1 - chance))))
        return float(ndtr(coin)), float(ndtr(typical)), float(ndtr(-coin))
    uniform = rng.random((draws, len(size)))
    coin, typical = ((2.0 * (uniform < p) - 1) @ size for p in (0.5, chance))
    rounding = 1e-9 * float(size.sum())
    low, below, high = (
        (1 + int(count.sum())) / (1 + draws)
        for count in (
            coin <= total + rounding,
            typical <= total + rounding,
            coin >= total - rounding,
        )
    )
    return low, below, high
