"""Fit what was read, estimate errors, diagnose."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from bandit_rlhf import _check
from bandit_rlhf.cli.fit.diagnosis import Diagnosis, cluster_of, diagnose
from bandit_rlhf.cli.fit.options import MODELS, Options
from bandit_rlhf.cli.fit.reading import Reading
from bandit_rlhf.comparisons import Comparisons, PairCounts, Rankings, aggregate
from bandit_rlhf.comparisons.ranking_files import ranking_pairs
from bandit_rlhf.leaderboard import Leaderboard, leaderboard
from bandit_rlhf.ranking_uncertainty import ranking_covariance
from bandit_rlhf.reward import RewardFit, fit, fit_rankings
from bandit_rlhf.uncertainty import DENSE_PARAMETERS, Bootstrap, Covariance, bootstrap, covariance


@dataclass(frozen=True, eq=False)
class Assessment:
    """All that is reported.

    Args:
        fit: the fit.
        board: its leaderboard.
        counts: pairs that were fitted; of rankings, all their pairs.
        judges: what an annotator is here: "annotators" or "rankings".
        clusters: taken as independent in standard errors; 0: comparisons were.
        coefficient_stderr: of the fit's coefficients; None: not known.
        diagnosis: None: the fit did not converge.
        notes: what the reader should know besides.
    """

    fit: RewardFit
    board: Leaderboard
    counts: PairCounts
    judges: str
    clusters: int
    coefficient_stderr: np.ndarray | None
    diagnosis: Diagnosis | None
    notes: tuple[str, ...]


def assess(reading: Reading, options: Options) -> Assessment:
    """Fit what was read, with errors and diagnoses.

    Raises:
        NoFiniteMaximum: the fit does not exist.
        ValueError: options that the comparisons cannot serve.

    >>> from pathlib import Path
    >>> rows = Comparisons.from_labels(["tea", "tea", "mate"], ["mate", "mate", "tea"])
    >>> found = assess(Reading(rows), Options(Path("votes.csv"), resamples=0))
    >>> [line.item for line in found.board], found.fit.converged
    (['tea', 'mate'], True)
    """
    given = reading.comparisons
    rows = reading.rows
    if options.by == "prompt" and rows is not None:
        if rows.prompt is None:
            do = "Map it: --columns prompt=NAME."
            raise ValueError(_check.complaint("the file has no prompt column", "one", "--by", do))
        found, given = _fit(rows, options), rows.by_prompt()
    else:
        found = _fit(given, options)
    rng = np.random.default_rng(options.seed)
    for_errors, for_ranks, for_diagnosis = rng.spawn(3)
    sure, notes = _errors(found, given, reading.from_rankings, options, for_errors)
    board = leaderboard(found, given, sure, for_ranks, level=options.level)
    pairs = ranking_pairs(given) if isinstance(given, Rankings) else given
    counts = aggregate(pairs) if isinstance(pairs, Comparisons) else pairs
    diagnosis = None
    if found.converged:
        people = not reading.from_rankings
        diagnosis = diagnose(found, given, counts, options, for_diagnosis, people)
    return Assessment(
        fit=found,
        board=board,
        counts=counts,
        judges="rankings" if reading.from_rankings else "annotators",
        clusters=sure.clusters if isinstance(sure, Covariance) else 0,
        coefficient_stderr=sure.extra_stderr if isinstance(sure, Covariance) else None,
        diagnosis=diagnosis,
        notes=tuple(notes),
    )


def _fit(given: Comparisons | PairCounts | Rankings, options: Options) -> RewardFit:
    search: dict[str, Any] = {
        "ridge": options.ridge,
        "tolerance": options.tolerance,
        "max_iterations": options.max_iterations,
    }
    if isinstance(given, Rankings):
        return fit_rankings(given, **search)
    return fit(
        given,
        MODELS[options.model or _suitable(given, options)],  # type: ignore[arg-type]
        firth=options.firth,
        ties=options.ties,
        by_prompt=options.by == "prompt",
        **search,
    )


def _suitable(given: Comparisons | PairCounts, options: Options) -> str:
    """The model for comparisons of which nothing else is said."""
    tied = given.tie_count if isinstance(given, Comparisons) else given.totals()[1]
    plain = options.firth or options.ties != "refuse"  # these ask for bt
    return "davidson" if tied and not plain else "bt"


def _errors(
    found: RewardFit,
    given: Comparisons | PairCounts | Rankings,
    from_rankings: bool,
    options: Options,
    rng: np.random.Generator,
) -> tuple[Covariance | Bootstrap | None, list[str]]:
    """Errors as the options ask, or none and the reason."""
    if not found.converged:
        do = f"raise --max-iterations above {options.max_iterations} or set --ridge"
        return None, [f"the fit did not converge, so there are no intervals: {do}"]
    cluster: Any = "annotator" if from_rankings else cluster_of(options)
    if isinstance(given, Rankings):
        if options.bootstrap or cluster:
            got = "--bootstrap or --cluster is asked for with model pl"
            do = "Leave it out: every ranking is one observation already."
            raise ValueError(_check.complaint(got, "asked for with pairs", do=do))
        return ranking_covariance(found, given), []
    if options.bootstrap:
        drawn = bootstrap(found, given, rng, resamples=options.bootstrap, cluster=cluster)
        return drawn, []
    if len(found.items) > DENSE_PARAMETERS:
        many = f"{len(found.items):,} items are too many for a matrix of covariances"
        return None, [f"{many}, so there are no intervals: --bootstrap 100 makes them"]
    sure = covariance(found, given, cluster or "sandwich")
    known = isinstance(given, Comparisons) and given.annotator is not None
    if cluster is None and known:
        return sure, [
            "standard errors take all comparisons as independent; the file names annotators, whose "
            "judgements may go together: --cluster annotator"
        ]
    return sure, []
