"""What to trust: every diagnosis that the comparisons allow, and why the others are missing."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bandit_rlhf import diagnosis
from bandit_rlhf.cli.fit.options import Options
from bandit_rlhf.comparison_graph import connectivity
from bandit_rlhf.comparisons import Comparisons, PairCounts, Rankings
from bandit_rlhf.reward.result import RewardFit

MANY_PAIRS = 100_000
"""More are not tested unless asked for; a draw takes a fit."""

MANY_LOOPS = 10_000
"""The same for pairs in which circles are sought; a draw takes a Hodge decomposition."""

DRAWS = 100
FOLDS = 10


@dataclass(frozen=True)
class Missing:
    """A diagnosis that was not made.

    Args:
        reason: in words.
    """

    reason: str


@dataclass(frozen=True)
class Diagnosis:
    """Findings about a fit and its comparisons.

    Args:
        strong_components: strongly connected components of the win graph.
        decided: the weight of comparisons that were decided.
        tied: of those that were ties.
        goodness_of_fit: does the model fit?
        intransitivity: do people run in circles?
        calibration: do predictions come true, on rows left out?
        agreement: do annotators agree with each other?
        consistency: is any of them random or reversed?
    """

    strong_components: int
    decided: float
    tied: float
    goodness_of_fit: diagnosis.GoodnessOfFit | Missing
    intransitivity: diagnosis.Intransitivity | Missing
    calibration: diagnosis.Calibration | Missing
    agreement: diagnosis.Agreement | Missing
    consistency: diagnosis.AnnotatorConsistency | Missing


def diagnose(
    fit: RewardFit,
    comparisons: Comparisons | PairCounts | Rankings,
    counts: PairCounts,
    options: Options,
    rng: np.random.Generator,
    has_people: bool = True,
) -> Diagnosis:
    """Make every diagnosis that is possible.

    Args:
        fit: a fit that converged.
        comparisons: what was fitted.
        counts: its pairs; of rankings, all their pairs.
        options: `resamples` and `cluster` count here.
        rng: the source of randomness; each diagnosis has a stream of its own.
        has_people: whether annotators, if there are any, are people, not rankings.
    """
    streams = rng.spawn(5)
    decided, tied = counts.totals()
    pairwise: Comparisons | PairCounts | Missing = (
        Missing("made for comparisons of two items only")
        if isinstance(comparisons, Rankings)
        else comparisons
    )
    rows = pairwise if not isinstance(pairwise, PairCounts) else Missing("needs rows, not counts")
    people = rows
    if isinstance(rows, Comparisons) and not (rows.annotator is not None and has_people):
        people = Missing("the file names no annotators")
    draws = DRAWS if options.resamples is None else options.resamples
    return Diagnosis(
        strong_components=connectivity(counts).strong_count,
        decided=decided,
        tied=tied,
        goodness_of_fit=_tried(
            _tested(pairwise, counts, options.resamples, MANY_PAIRS),
            lambda it: diagnosis.goodness_of_fit(fit, it, streams[0], resamples=draws),
        ),
        intransitivity=_tried(
            _tested(pairwise, counts, options.resamples, MANY_LOOPS),
            lambda it: diagnosis.intransitivity(fit, it, streams[1], resamples=draws),
        ),
        calibration=_tried(
            rows,
            lambda it: diagnosis.cross_validated_calibration(
                fit, it, streams[2], folds=FOLDS, cluster=cluster_of(options)
            ),
        ),
        agreement=_tried(people, lambda it: diagnosis.agreement_with_others(it, streams[3])),
        consistency=_tried(
            people,
            lambda it: diagnosis.annotator_consistency(
                fit, it, streams[4], folds=min(FOLDS, len(it.annotators))
            ),
        ),
    )


def cluster_of(options: Options) -> str | None:
    """The kind of cluster, by its name in the library."""
    return "annotator" if options.cluster == "worker" else options.cluster


def _tested(pairwise: Any, counts: PairCounts, resamples: int | None, most: int) -> Any:
    """What tests by parametric bootstrap get, or why there are none."""
    if resamples == 0:
        return Missing("--resamples is 0")
    if resamples is None and counts.cell_count > most:
        return Missing(f"{counts.cell_count:,} pairs take long; say --resamples 100 to wait")
    return pairwise


def _tried(given: Any, make: Callable[[Any], Any]) -> Any:
    """The result, or why there is none: the house says what a diagnosis needs by ValueError.

    >>> _tried("judgements", len), _tried("judgements", int)
    (10, Missing(reason="invalid literal for int() with base 10: 'judgements'"))
    """
    if isinstance(given, Missing):
        return given
    try:
        return make(given)
    except ValueError as error:
        return Missing(str(error))
