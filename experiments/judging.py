"""How a claim is judged: an effect, its interval, and a verdict computed from these.

A judge is a function `table -> Judgement`. The parts here are what judges are made of: an interval
over seeds, and the two questions "is it at most / at least this bound?", which are answered
`undecided` while the interval straddles the bound.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, stdtrit

Verdict = Literal["supported", "refuted", "undecided"]
Interval = tuple[float, float]


@dataclass(frozen=True)
class Judgement:
    """What was measured, and what it says about the claim.

    Args:
        effect: the measured effect, finite, in the unit that the claim's prediction names; None if
            nothing could be measured.
        interval: its lower and upper end; for an exact effect both are the effect; None with it.
        verdict: `supported`, `refuted` or `undecided`.
        measured: the effect in words, one line, for the table of the debate.

    Raises:
        ValueError: a number is not finite, the ends are in the wrong order, or no such verdict.

    >>> exact(3e-15, at_most((3e-15, 3e-15), 1e-12), "largest difference 3e-15").verdict
    'supported'
    """

    effect: float | None
    interval: Interval | None
    verdict: Verdict
    measured: str

    def __post_init__(self) -> None:
        if self.verdict not in get_args(Verdict):
            raise ValueError(
                f"verdict is {self.verdict!r}, but should be one of {', '.join(get_args(Verdict))}."
            )
        numbers = [] if self.effect is None else [self.effect]
        numbers += list(self.interval or ())
        if not all(math.isfinite(number) for number in numbers):
            raise ValueError(
                f"effect {self.effect} with interval {self.interval} should be finite. Say None "
                "and 'undecided' where nothing could be measured."
            )
        if self.interval is not None and not self.interval[0] <= self.interval[1]:
            raise ValueError(f"interval is {self.interval}, but should be (lower, upper). Swap it.")


def exact(effect: float, verdict: Verdict, measured: str) -> Judgement:
    """A judgement on an exact effect: its interval is the point itself."""
    return Judgement(float(effect), (float(effect), float(effect)), verdict, measured)


def undecided(measured: str) -> Judgement:
    """A judgement where nothing could be measured, and why."""
    return Judgement(None, None, "undecided", measured)


def at_most(interval: Interval, bound: float) -> Verdict:
    """Is the effect <= bound? Supported or refuted only if the whole interval says so.

    >>> at_most((0.1, 0.2), 0.3), at_most((0.4, 0.5), 0.3), at_most((0.1, 0.5), 0.3)
    ('supported', 'refuted', 'undecided')
    """
    lower, upper = interval
    return "supported" if upper <= bound else "refuted" if lower > bound else "undecided"


def at_least(interval: Interval, bound: float) -> Verdict:
    """Is the effect >= bound? Supported or refuted only if the whole interval says so.

    >>> at_least((0.4, 0.5), 0.3), at_least((0.1, 0.2), 0.3), at_least((0.1, 0.5), 0.3)
    ('supported', 'refuted', 'undecided')
    """
    lower, upper = interval
    return at_most((-upper, -lower), -bound)


def all_of(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict on a conjunction: refuted by one part, supported only by all.

    Raises:
        ValueError: there are no parts: a claim without evidence is not supported.

    >>> all_of(["supported", "undecided"]), all_of(["undecided", "refuted"])
    ('undecided', 'refuted')
    """
    parts = set(verdicts)
    if not parts:
        raise ValueError("all_of got 0 verdicts, but should get at least 1. Check the table.")
    order: tuple[Verdict, ...] = ("refuted", "undecided", "supported")
    return next(verdict for verdict in order if verdict in parts)


def bootstrap_interval(
    values: ArrayLike,
    rng: np.random.Generator,
    *,
    level: float = 0.95,
    resamples: int = 10_000,
) -> Interval:
    """An interval for the mean over seeds: the expanded percentile bootstrap.

    The quantiles of the resampled means at p and 1 - p, where
    p = Phi(sqrt(n / (n - 1)) t_{(1 - level) / 2, n - 1}) instead of (1 - level) / 2. The plain
    percentile interval is too short for the ten or twenty seeds of an experiment, by the factor
    sqrt((n - 1) / n) z / t; widening its levels mends that to first order.

    Args:
        values: [seed], one finite number a seed, at least 2.
        rng: a Generator; a judge passes a fixed one, so that the verdict is a function of the rows.
        level: the coverage aimed at, in (0, 1).
        resamples: how many bootstrap resamples.

    Returns:
        (lower, upper), in the unit of the values.

    Raises:
        ValueError: less than 2 values, a value that is not finite, or a level outside (0, 1).

    Tim Hesterberg, "What Teachers Should Know about the Bootstrap", arXiv 1411.5279, section 5.3.

    >>> low, high = bootstrap_interval([1.0, 2.0, 3.0, 4.0], np.random.default_rng(0))
    >>> low < 2.5 < high
    True
    """
    sample = np.asarray(values, dtype=float)
    n = sample.size
    if sample.ndim != 1 or n < 2:
        raise ValueError(f"values has shape {sample.shape}, but should be [seed] with >= 2 seeds.")
    if not np.isfinite(sample).all():
        raise ValueError(f"values {sample} should be finite. Judge such seeds by name.")
    if not 0 < level < 1:
        raise ValueError(f"level is {level}, but should be in (0, 1).")
    tail = float(ndtr(math.sqrt(n / (n - 1)) * stdtrit(n - 1, (1 - level) / 2)))
    means = rng.choice(sample, size=(resamples, n)).mean(axis=1)
    lower, upper = np.quantile(means, [tail, 1 - tail])
    return float(lower), float(upper)
