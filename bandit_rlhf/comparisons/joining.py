"""Several tables as one: their rows one after the other, their names united."""

from collections.abc import Iterable, Sequence

import numpy as np

from bandit_rlhf import _check
from bandit_rlhf.comparisons.names import Names, unite
from bandit_rlhf.comparisons.table import Comparisons


def join(tables: Iterable[Comparisons]) -> Comparisons:
    """Append tables, for instance those of `reading.read_tables`; the same as reading all at once.

    A table without ties or weights joins those that have them; prompts, annotators and covariates
    are known of all tables or of none.

    Args:
        tables: one or more.

    Raises:
        ValueError: no table, columns that some have and some have not.

    >>> one = Comparisons.from_labels(["tea"], ["mate"])
    >>> two = Comparisons.from_labels(["maize"], ["tea"], tie=[True])
    >>> both = join([one, two])
    >>> both.items, both.winner.tolist(), both.tie.tolist()
    (('maize', 'mate', 'tea'), [2, 0], [False, True])
    """
    parts = list(tables)
    if not parts:
        raise ValueError(_check.complaint("there are 0 tables", "one or more", "join"))
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    for part in parts:
        _refuse_other_columns(first, part)
    items, item_ids = _united([part.items for part in parts])
    prompts, prompt_ids = _united([part.prompts for part in parts])
    annotators, annotator_ids = _united([part.annotators for part in parts])
    has_ties = any(part.tie is not None for part in parts)
    has_weights = any(part.weight is not None for part in parts)
    covariates = [part.covariates for part in parts if part.covariates is not None]
    return Comparisons(
        winner=np.concatenate(_renamed(item_ids, [part.winner for part in parts])),
        loser=np.concatenate(_renamed(item_ids, [part.loser for part in parts])),
        items=items,
        tie=_filled([part.tie for part in parts], parts, False) if has_ties else None,
        weight=_filled([part.weight for part in parts], parts, 1.0) if has_weights else None,
        prompt=_appended(_renamed(prompt_ids, [part.prompt for part in parts])),
        annotator=_appended(_renamed(annotator_ids, [part.annotator for part in parts])),
        covariates=_appended(covariates),
        prompts=prompts,
        annotators=annotators,
        covariate_names=first.covariate_names,
    )


def _refuse_other_columns(first: Comparisons, other: Comparisons) -> None:
    for column in ("prompt", "annotator"):
        if (getattr(first, column) is None) != (getattr(other, column) is None):
            got = f"some tables have {column}s and some have none"
            raise ValueError(_check.complaint(got, "alike", "join"))
    if first.covariate_names != other.covariate_names:
        got = f"covariates are {first.covariate_names} and {other.covariate_names}"
        raise ValueError(_check.complaint(got, "the same in all tables", "join"))


def _united(lists: Sequence[Names]) -> tuple[Names, list[np.ndarray]]:
    """The union of name lists, and the id map of each into it."""
    names = lists[0]
    for other in lists[1:]:
        names, _, _ = unite(names, other)
    return names, [unite(names, one)[2] for one in lists]


def _renamed(maps: list[np.ndarray], columns: Sequence[np.ndarray | None]) -> list[np.ndarray]:
    """Id columns in the ids of the union, of the tables that have them."""
    return [ids[one] for ids, one in zip(maps, columns, strict=True) if one is not None]


def _appended(columns: list[np.ndarray]) -> np.ndarray | None:
    """The columns as one; None: there are none."""
    return np.concatenate(columns) if columns else None


def _filled(
    columns: Sequence[np.ndarray | None], parts: Sequence[Comparisons], absent: bool | float
) -> np.ndarray:
    """Columns in which tables that have none hold a constant."""
    return np.concatenate(
        [
            np.full(part.row_count, absent) if one is None else one
            for one, part in zip(columns, parts, strict=True)
        ]
    )
