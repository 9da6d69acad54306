"""Judgements one by one, seen from the item with the smaller id, and their held-out predictions.

The table of comparisons puts the winner first; a prediction must not know who won.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from bandit_rlhf import _check
from bandit_rlhf._array import Float, Int
from bandit_rlhf.comparison_graph import NoFiniteMaximum
from bandit_rlhf.comparisons import Comparisons, PairCounts, aggregate
from bandit_rlhf.diagnosis.outcome_law import OutcomeLaw, observed, refitted


@dataclass(frozen=True, eq=False)
class Judgements:
    """What was judged and how.

    Args:
        first: [row], the smaller id.
        second: [row], the larger id.
        outcome: [outcome, row], the weight of wins of the first, of ties, of losses.
        covariates: [row, covariate], the first item's value less the second's; None: none.
    """

    first: Int[np.ndarray, " row"]
    second: Int[np.ndarray, " row"]
    outcome: Float[np.ndarray, "outcome row"]
    covariates: Float[np.ndarray, "row covariate"] | None

    def differences(self, law: OutcomeLaw) -> Float[np.ndarray, " row"]:
        """[row], what a law says of r_first - r_second, covariates included."""
        return law.differences(self.first, self.second, self.covariates)


def judgements(comparisons: Comparisons | PairCounts, has_tie: bool, ties: str) -> Judgements:
    """The judgements of a table, its ties treated as the fit treats them.

    Args:
        comparisons: rows, each a judgement; or counts, each cell several.
        has_tie: whether the model has a law of ties; then they stay.
        ties: otherwise, "half" splits them and "drop" gives them no weight.

    >>> rows = Comparisons.from_ids([1, 0], [0, 1], tie=[False, True])
    >>> judgements(rows, False, "half").outcome.tolist()
    [[0.0, 0.5], [0.0, 0.0], [1.0, 0.5]]
    """
    if isinstance(comparisons, PairCounts):
        first, second = comparisons.left, comparisons.right
        outcome, covariates = observed(comparisons), comparisons.covariates
    else:
        rows = comparisons
        swap = rows.winner > rows.loser
        first, second = np.minimum(rows.winner, rows.loser), np.maximum(rows.winner, rows.loser)
        weight = np.ones(rows.row_count) if rows.weight is None else rows.weight
        tied = np.zeros(rows.row_count, bool) if rows.tie is None else rows.tie
        outcome = weight * np.stack([~tied & ~swap, tied, ~tied & swap])
        covariates = rows.covariates
        if covariates is not None:
            covariates = np.where(swap[:, None], -covariates, covariates)
    if not has_tie:
        win, tie, loss = outcome
        half = tie / 2 if ties == "half" else np.zeros_like(tie)
        outcome = np.stack([win + half, np.zeros_like(tie), loss + half])
    return Judgements(first, second, outcome, covariates)


def cluster_ids(
    comparisons: Comparisons | PairCounts, cluster: str | ArrayLike, where: str
) -> Int[np.ndarray, " row"]:
    """[row], the clusters counted from 0: annotators, prompts or any ids given.

    Raises:
        TypeError: counts, which have no rows.
        ValueError: no such column, ids of another length, a single cluster.

    >>> rows = Comparisons.from_ids([0, 1, 0], [1, 0, 1], annotator=[3, 5, 3])
    >>> cluster_ids(rows, "annotator", "example").tolist()
    [0, 1, 0]
    """
    if not isinstance(comparisons, Comparisons):
        raise TypeError(_check.complaint("counts have no rows to cluster", "rows", where))
    if isinstance(cluster, str):
        if cluster not in ("annotator", "prompt"):
            got = f"cluster is {cluster!r}"
            raise ValueError(_check.complaint(got, "'annotator', 'prompt' or [row] ids", where))
        column = comparisons.annotator if cluster == "annotator" else comparisons.prompt
        if column is None:
            raise ValueError(_check.complaint(f"there is no {cluster} column", "one", where))
    else:
        column = np.asarray(cluster)
    _check.shaped("cluster", column, (comparisons.row_count,), "row", where)
    names, ids = np.unique(column, return_inverse=True)
    if len(names) < 2:
        raise ValueError(_check.complaint("there is 1 cluster", "two or more", where))
    return ids


def held_out(
    law: OutcomeLaw,
    comparisons: Comparisons,
    group: Int[np.ndarray, " row"],
    folds: int,
    rng: np.random.Generator,
    where: str,
) -> Iterator[tuple[Int[np.ndarray, " row"], OutcomeLaw]]:
    """Fold by fold: the rows of some groups, and the law refitted to all other rows.

    Args:
        law: what to refit.
        comparisons: the rows.
        group: [row], ids from 0; a group is held out as a whole.
        folds: into how many parts the groups are dealt, at random.
        rng: the source of randomness.
        where: who asks, for messages.

    Raises:
        ValueError: fewer groups than folds.
        NoFiniteMaximum: the other rows do not determine the rewards.

    >>> from bandit_rlhf.diagnosis.outcome_law import outcome_law
    >>> from bandit_rlhf.reward import fit
    >>> rows = Comparisons.from_ids([0, 1] * 20, [1, 0] * 20)
    >>> law = outcome_law(fit(rows), rows, "example")
    >>> parts = held_out(law, rows, np.arange(40), 4, np.random.default_rng(0), "example")
    >>> [len(part) for part, _ in parts]
    [10, 10, 10, 10]
    """
    _check.integer_at_least("folds", folds, 2, where)
    groups = int(group.max()) + 1
    if groups < folds:
        got = f"there are {groups} groups of rows for {folds} folds"
        raise ValueError(_check.complaint(got, "at least as many", where, "Ask for fewer folds."))
    fold = (rng.permutation(groups) % folds)[group]
    for number in range(folds):
        try:
            others = refitted(law, aggregate(comparisons.select(fold != number)))
        except NoFiniteMaximum as error:
            do = "Use more folds, or fit with ridge > 0."
            raise NoFiniteMaximum(f"without fold {number} of {folds}: {error} {do}") from error
        yield np.flatnonzero(fold == number), others
