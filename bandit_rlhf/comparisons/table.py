"""The table of comparisons: one row a judgement, int32 ids, names interned once.

The winner comes first. A tie keeps its two items in the order in which they were shown. A covariate
is a *difference*, the winner's value minus the loser's; the effect of being shown first (at home,
on the left) is the covariate +1 where the winner was first, -1 where the loser was, 0 where
neither. Nothing else is needed for order, length or style effects.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from bandit_rlhf import _check
from bandit_rlhf.comparisons.names import Names, id_column, integers, intern, largest

POSITION = "position"
"""The name of the covariate that says who was shown first."""


@dataclass(frozen=True, eq=False)
class Comparisons:
    """A frozen table of pairwise judgements.

    Build it with `from_ids`, `from_labels` or `from_sides`. Columns that were int32 (float64, bool)
    arrays already are viewed read-only, not copied: do not write to them afterwards.

    Args:
        winner: [row], item ids.
        loser: [row], item ids; nowhere equal to the winner.
        items: the names, `items[id]`; a range where ids are names enough.
        tie: [row], true where neither was preferred; None: no ties.
        weight: [row], at least 0: how many times the judgement was made; None: once each.
        prompt: [row], prompt ids; None: one prompt.
        annotator: [row], annotator ids; None: not known.
        covariates: [row, covariate], the winner's value minus the loser's; None: none.
        prompts: the prompts' names.
        annotators: the annotators' names.
        covariate_names: one name a covariate.

    Raises:
        TypeError: ids that are not integers, a tie column that is not boolean.
        ValueError: no rows, fewer than two items, ids out of range, an item compared with itself,
            a negative or non-finite weight, columns of unequal length.

    >>> rows = Comparisons.from_ids([0, 2, 1], [1, 1, 0], items=("ant", "bee", "cat"))
    >>> rows.row_count, rows.item_count
    (3, 3)
    >>> Comparisons.from_ids([0, 1], [1, 1])
    Traceback (most recent call last):
    ...
    ValueError: row 1 compares item 1 with itself, but should be a comparison of two items ...
    """

    winner: np.ndarray
    loser: np.ndarray
    items: Names
    tie: np.ndarray | None = None
    weight: np.ndarray | None = None
    prompt: np.ndarray | None = None
    annotator: np.ndarray | None = None
    covariates: np.ndarray | None = None
    prompts: Names = range(1)
    annotators: Names = range(0)
    covariate_names: Names = ()

    def __post_init__(self) -> None:
        rows = len(self.winner)
        if rows == 0:
            raise ValueError(
                _check.complaint("the table has 0 rows", "one comparison or more", "Comparisons")
            )
        if len(self.items) < 2:
            got = f"there are {len(self.items)} items"
            raise ValueError(_check.complaint(got, "two or more", "Comparisons"))
        for name in ("winner", "loser"):
            self._freeze(
                name, id_column(name, getattr(self, name), len(self.items), rows, "Comparisons")
            )
        self._refuse_self_comparisons()
        for name, names in (("prompt", self.prompts), ("annotator", self.annotators)):
            if getattr(self, name) is not None:
                self._freeze(
                    name, id_column(name, getattr(self, name), len(names), rows, "Comparisons")
                )
        if self.tie is not None:
            if self.tie.dtype != np.bool_:
                raise TypeError(
                    _check.complaint(f"tie has dtype {self.tie.dtype}", "bool", "Comparisons")
                )
            self._freeze("tie", _check.shaped("tie", self.tie, (rows,), "row", "Comparisons"))
        if self.weight is not None:
            self._freeze("weight", judged_weights(self.weight, rows))
        width = len(self.covariate_names)
        if (self.covariates is None) != (width == 0):
            got = f"covariates {'are absent' if self.covariates is None else 'have no names'}"
            raise ValueError(
                _check.complaint(got, f"[row, {width}], one column a name", "Comparisons")
            )
        if self.covariates is not None:
            values = _check.finite("covariates", self.covariates, "Comparisons")
            shape = (rows, width)
            self._freeze("covariates", _check.shaped("covariates", values, shape, "row, covariate"))

    def _freeze(self, name: str, column: np.ndarray) -> None:
        view = column.view()
        view.flags.writeable = False
        object.__setattr__(self, name, view)

    def _refuse_self_comparisons(self) -> None:
        same = self.winner == self.loser
        if same.any():
            row = int(same.argmax())
            more = int(same.sum()) - 1
            got = f"row {row} compares item {self.items[self.winner[row]]!r} with itself"
            got += f" (and {more} rows more)" if more else ""
            raise ValueError(
                _check.complaint(got, "a comparison of two items", "Comparisons", "Drop it.")
            )

    @property
    def row_count(self) -> int:
        """The number of rows, whatever their weights."""
        return len(self.winner)

    @property
    def item_count(self) -> int:
        """The number of items, compared or not."""
        return len(self.items)

    @property
    def tie_count(self) -> int:
        """The number of rows that are ties."""
        return 0 if self.tie is None else int(self.tie.sum())

    def select(self, rows: ArrayLike | slice) -> "Comparisons":
        """The rows that a mask, an array of row numbers or a slice picks; all names are kept."""
        rows = rows if isinstance(rows, slice) else np.asarray(rows)
        columns = ("winner", "loser", "tie", "weight", "prompt", "annotator", "covariates")
        present = {name: getattr(self, name) for name in columns}
        picked = {name: column[rows] for name, column in present.items() if column is not None}
        return replace(self, **picked)

    def by_prompt(self) -> "Comparisons":
        """The same judgements with an item for each (prompt, string) that occurs.

        Fitting this table gives a reward r(x, y) of its own for each prompt x: the prompts' graphs
        of comparisons do not touch.

        >>> rows = Comparisons.from_ids([0, 1], [1, 0], prompt=[0, 1])
        >>> list(rows.by_prompt().items)
        [(0, 0), (0, 1), (1, 0), (1, 1)]
        """
        prompt = np.zeros(self.row_count, np.int32) if self.prompt is None else self.prompt
        base = prompt.astype(np.int64) * self.item_count
        cells, ids = np.unique(
            np.concatenate([base + self.winner, base + self.loser]), return_inverse=True
        )
        ids = ids.astype(np.int32)
        names = tuple(
            (self.prompts[cell // self.item_count], self.items[cell % self.item_count])
            for cell in cells.tolist()
        )
        return replace(self, winner=ids[: self.row_count], loser=ids[self.row_count :], items=names)

    @classmethod
    def from_ids(
        cls,
        winner: ArrayLike,
        loser: ArrayLike,
        *,
        items: Names | None = None,
        tie: ArrayLike | None = None,
        weight: ArrayLike | None = None,
        prompt: ArrayLike | None = None,
        annotator: ArrayLike | None = None,
        covariates: ArrayLike | None = None,
        covariate_names: Sequence[str] = (),
    ) -> "Comparisons":
        """A table from ids that count from 0; without `items`, up to the largest id.

        Prompts and annotators are named by their ids.

        >>> Comparisons.from_ids([0, 1], [2, 2], weight=[3, 1]).items
        range(0, 3)
        """
        winner, loser = integers("winner", winner), integers("loser", loser)
        if items is None:
            items = range(max(largest(winner), largest(loser)) + 1)
        return cls(
            winner,
            loser,
            items,
            None if tie is None else np.asarray(tie),
            None if weight is None else np.asarray(weight, dtype=np.float64),
            None if prompt is None else integers("prompt", prompt),
            None if annotator is None else integers("annotator", annotator),
            None if covariates is None else np.asarray(covariates, dtype=np.float64),
            range(1 if prompt is None else largest(np.asarray(prompt)) + 1),
            range(0 if annotator is None else largest(np.asarray(annotator)) + 1),
            tuple(covariate_names),
        )

    @classmethod
    def from_labels(
        cls,
        winner: Sequence[Hashable] | np.ndarray,
        loser: Sequence[Hashable] | np.ndarray,
        *,
        tie: ArrayLike | None = None,
        weight: ArrayLike | None = None,
        prompt: Sequence[Hashable] | np.ndarray | None = None,
        annotator: Sequence[Hashable] | np.ndarray | None = None,
        covariates: ArrayLike | None = None,
        covariate_names: Sequence[str] = (),
    ) -> "Comparisons":
        """A table from names, each interned to an id in sorted order.

        Sorted order makes the ids independent of the order of the rows, so that tables merge.

        >>> rows = Comparisons.from_labels(["bee", "ant"], ["ant", "cat"])
        >>> rows.items, rows.winner.tolist()
        (('ant', 'bee', 'cat'), [1, 0])
        """
        items, (winner_id, loser_id) = intern("item", winner, loser)
        prompts, (prompt_id,) = (range(1), (None,)) if prompt is None else intern("prompt", prompt)
        annotators, (annotator_id,) = (
            (range(0), (None,)) if annotator is None else intern("annotator", annotator)
        )
        return cls(
            winner_id,
            loser_id,
            items,
            None if tie is None else np.asarray(tie),
            None if weight is None else np.asarray(weight, dtype=np.float64),
            prompt_id,
            annotator_id,
            None if covariates is None else np.asarray(covariates, dtype=np.float64),
            prompts,
            annotators,
            tuple(covariate_names),
        )

    @classmethod
    def from_sides(
        cls,
        left: Sequence[Hashable] | np.ndarray,
        right: Sequence[Hashable] | np.ndarray,
        outcome: ArrayLike,
        *,
        weight: ArrayLike | None = None,
        prompt: Sequence[Hashable] | np.ndarray | None = None,
        annotator: Sequence[Hashable] | np.ndarray | None = None,
        position: bool = False,
    ) -> "Comparisons":
        """A table from what stood left and right and who won: +1 left, -1 right, 0 tie.

        Args:
            left: [row], names shown first.
            right: [row], names shown second.
            outcome: [row], in {+1, 0, -1}.
            weight: [row], at least 0.
            prompt: [row], names.
            annotator: [row], names.
            position: record who was shown first, as a covariate to be fitted.

        >>> rows = Comparisons.from_sides(["a", "a"], ["b", "b"], [1, -1], position=True)
        >>> rows.winner.tolist(), rows.covariates.ravel().tolist()
        ([0, 1], [1.0, -1.0])
        """
        outcome = np.asarray(outcome)
        wrong = ~np.isin(outcome, (-1, 0, 1))
        if wrong.any():
            row = int(wrong.argmax())
            got = f"outcome[{row}] is {outcome[row]!r}"
            raise ValueError(
                _check.complaint(got, "+1 (left), 0 (tie) or -1 (right)", "from_sides")
            )
        table = cls.from_labels(
            left,
            right,
            tie=(outcome == 0) if (outcome == 0).any() else None,
            weight=weight,
            prompt=prompt,
            annotator=annotator,
        )
        if outcome.shape != table.winner.shape:
            got = f"outcome has shape {outcome.shape}"
            raise ValueError(_check.complaint(got, f"{table.winner.shape} = [row]", "from_sides"))
        right_won = outcome == -1
        return replace(
            table,
            winner=np.where(right_won, table.loser, table.winner),
            loser=np.where(right_won, table.winner, table.loser),
            covariates=np.where(right_won, -1.0, 1.0)[:, None] if position else None,
            covariate_names=(POSITION,) if position else (),
        )


def judged_weights(weight: np.ndarray, rows: int) -> np.ndarray:
    """Return `weight` as float64, or name the first that is negative, NaN or infinite."""
    weight = _check.finite("weight", weight, "Comparisons", "Drop the row or mend its weight.")
    _check.shaped("weight", weight, (rows,), "row", "Comparisons")
    if weight.min() < 0:
        row = int((weight < 0).argmax())
        got = f"weight[{row}] is {weight[row]:g}"
        raise ValueError(
            _check.complaint(got, "at least 0", "Comparisons", "To undo a win, swap it.")
        )
    if not weight.any():
        raise ValueError(_check.complaint("every weight is 0", "somewhere positive", "Comparisons"))
    return weight
