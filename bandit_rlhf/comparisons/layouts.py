"""Layouts: how tables out there write a judgement down, and what it means here.

Each layout knows its columns by name and turns a chunk of rows into a `Sheet`: who stood first, who
second, and who won. Adding a layout is adding an entry to `LAYOUTS`.
"""

import difflib
import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bandit_rlhf import _check
from bandit_rlhf.comparisons.bad_rows import Fault
from bandit_rlhf.comparisons.dialogues import split_dialogue, transcript

FIRST, TIE, SECOND = 1, 0, -1

PROMPT = ("prompt", "question_id", "instruction")
ANNOTATOR = ("annotator", "worker", "judge", "rater")
WEIGHT = ("weight",)
OPTIONAL = (*PROMPT, *ANNOTATOR, *WEIGHT, "tie")
"""Names of optional columns; where a table has several of a kind, the first one counts."""

Columns = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Sheet:
    """Judgements of a chunk, row by row, in one form for all layouts.

    Args:
        first: names of what was shown first, or won where a layout does not tell.
        second: names of what was shown second, or lost.
        outcome: FIRST, TIE or SECOND.
        origin: the row of the chunk that each judgement comes from.
        prompt: names; None: not told.
        annotator: names; None: not told.
        weight: numbers; None: one each.
        faults: rows of the chunk that cannot be used, and why.
    """

    first: Sequence[Hashable]
    second: Sequence[Hashable]
    outcome: Sequence[int]
    origin: Sequence[int]
    prompt: Sequence[Hashable] | None = None
    annotator: Sequence[Hashable] | None = None
    weight: Sequence[Any] | None = None
    faults: dict[int, Fault] = field(default_factory=dict)

    def select(self, kept: Sequence[int]) -> "Sheet":
        """The sheet of these rows."""

        def pick(column: Sequence[Any] | None) -> list[Any] | None:
            return None if column is None else [column[row] for row in kept]

        names = ("first", "second", "outcome", "origin", "prompt", "annotator", "weight")
        return replace(self, **{name: pick(getattr(self, name)) for name in names})


@dataclass(frozen=True)
class Layout:
    """A way to write judgements down.

    Args:
        name: how users ask for it.
        needs: columns it cannot do without.
        sheet: reads a chunk's columns.
        about: one line for messages and help.
        sided: whether it tells what was shown first.
        strings: whether items are strings that somebody wrote, which may be empty, or names.
        detected: whether the columns alone may choose it.
    """

    name: str
    needs: tuple[str, ...]
    sheet: Callable[[Columns], Sheet]
    about: str
    sided: bool = False
    strings: bool = False
    detected: bool = True


def decoded(
    values: Sequence[Any], codes: Mapping[Any, int], column: str
) -> tuple[list[int], dict[int, Fault]]:
    """Outcomes from their codes, and the rows whose code is unknown.

    >>> decoded(["left", "up"], {"left": FIRST}, "winner")
    ([1, 0], {1: Fault(got="winner is 'up'", expected="one of 'left'", do='')})
    """
    known = ", ".join(map(repr, codes))
    outcome, faults = [], {}
    for row, value in enumerate(values):
        code = codes.get(value) if isinstance(value, str | int) else None
        if code is None:
            faults[row] = Fault(f"{column} is {value!r}", f"one of {known}")
        outcome.append(code or 0)
    return outcome, faults


def optional(columns: Columns, names: Iterable[str]) -> Sequence[Any] | None:
    """The first of these columns that there is."""
    return next((columns[name] for name in names if name in columns), None)


def _sided(first: str, second: str, codes: Mapping[str, int]) -> Callable[[Columns], Sheet]:
    def sheet(columns: Columns) -> Sheet:
        outcome, faults = decoded(columns["winner"], codes, "winner")
        return Sheet(
            columns[first],
            columns[second],
            outcome,
            range(len(outcome)),
            optional(columns, PROMPT),
            optional(columns, ANNOTATOR),
            optional(columns, WEIGHT),
            faults,
        )

    return sheet


TRUTH = {"true": 1, "false": 0, "True": 1, "False": 0, "1": 1, "0": 0, True: 1, False: 0}


def _pairs(columns: Columns) -> Sheet:
    rows = len(columns["winner"])
    tie, faults = decoded(columns["tie"], TRUTH, "tie") if "tie" in columns else ([0] * rows, {})
    return Sheet(
        columns["winner"],
        columns["loser"],
        [TIE if tied else FIRST for tied in tie],
        range(rows),
        optional(columns, PROMPT),
        optional(columns, ANNOTATOR),
        optional(columns, WEIGHT),
        faults,
    )


PANDALM_ANNOTATOR = re.compile(r"annotator\d+")
PANDALM_CODES = {0: TIE, 1: FIRST, 2: SECOND, "0": TIE, "1": FIRST, "2": SECOND}


def _pandalm(columns: Columns, strings: bool) -> Sheet:
    """A record holds a judgement of each annotator; `cmp_key` is "first system_second system"."""
    people = [name for name in columns if PANDALM_ANNOTATOR.fullmatch(name)]
    records = len(columns["response1"])
    faults: dict[int, Fault] = {}
    if strings:
        first, second = columns["response1"], columns["response2"]
    else:
        first, second = [], []
        for record, key in enumerate(columns["cmp_key"]):
            systems = key.split("_") if isinstance(key, str) else []
            if len(systems) != 2:
                faults[record] = Fault(f"cmp_key is {key!r}", "two names joined by one '_'")
                systems = ["", ""]
            first.append(systems[0])
            second.append(systems[1])
    asked = columns["instruction"]
    given = columns.get("input", [""] * records)
    prompt = [f"{a}\n\n{b}" if b else a for a, b in zip(asked, given, strict=True)]
    outcomes: list[list[int]] = []
    for person in people:
        outcome, wrong = decoded(columns[person], PANDALM_CODES, person)
        outcomes.append(outcome)
        faults = wrong | faults
    origin = [record for record in range(records) for _ in people]
    return Sheet(
        [first[record] for record in origin],
        [second[record] for record in origin],
        [column[record] for record in range(records) for column in outcomes],
        origin,
        [prompt[record] for record in origin],
        people * records,
        faults=faults,
    )


def _chosen(columns: Columns) -> Sheet:
    better, worse = ([transcript(v) for v in columns[name]] for name in ("chosen", "rejected"))
    prompt = optional(columns, PROMPT)
    if prompt is None:
        parts = [
            split_dialogue(a, b) if isinstance(a, str) and isinstance(b, str) else ("", a, b)
            for a, b in zip(better, worse, strict=True)
        ]
        prompt, better, worse = (list(column) for column in zip(*parts, strict=True))
    else:
        prompt = [transcript(value) for value in prompt]
    rows = len(better)
    return Sheet(
        better,
        worse,
        [FIRST] * rows,
        range(rows),
        prompt,
        optional(columns, ANNOTATOR),
        optional(columns, WEIGHT),
    )


LEFT_RIGHT = {"left": FIRST, "right": SECOND, "tie": TIE}
ARENA = {
    "model_a": FIRST,
    "model_b": SECOND,
    "tie": TIE,
    "tie (bothbad)": TIE,
    "both_bad": TIE,
}
"""'Both bad' counts as a tie: what it says of the level of both, no pairwise model can use."""

LAYOUTS: dict[str, Layout] = {
    layout.name: layout
    for layout in (
        Layout(
            "sides",
            ("left", "right", "winner"),
            _sided("left", "right", LEFT_RIGHT),
            "winner is left, right or tie (llmfao)",
            sided=True,
        ),
        Layout(
            "arena",
            ("model_a", "model_b", "winner"),
            _sided("model_a", "model_b", ARENA),
            "winner is model_a, model_b, tie or tie (bothbad) (Chatbot Arena)",
            sided=True,
        ),
        Layout(
            "pairs", ("winner", "loser"), _pairs, "names of winner and loser; tie is true or false"
        ),
        Layout(
            "pandalm",
            ("cmp_key", "instruction", "response1", "response2", "annotator1"),
            lambda columns: _pandalm(columns, strings=False),
            "annotators say 1, 2 or 0 (tie); items are the systems in cmp_key (PandaLM)",
            sided=True,
        ),
        Layout(
            "pandalm-strings",
            ("instruction", "response1", "response2", "annotator1"),
            lambda columns: _pandalm(columns, strings=True),
            "the same with the responses as items",
            sided=True,
            strings=True,
            detected=False,
        ),
        Layout(
            "chosen",
            ("chosen", "rejected"),
            _chosen,
            "dialogues, the better one first (HH)",
            strings=True,
        ),
    )
}

RANKING = "ranking"
"""The column of rankings, which `ranking_files.read_rankings` reads."""


def detect(columns: Iterable[str], source: str) -> Layout:
    """The one layout whose columns a table has.

    Raises:
        ValueError: none fits (the nearest names are suggested), or several do.

    >>> detect(["id", "left", "right", "winner"], "crowd.csv").name
    'sides'
    """
    have = set(columns)
    fitting = [
        layout for layout in LAYOUTS.values() if layout.detected and have.issuperset(layout.needs)
    ]
    if len(fitting) == 1:
        return fitting[0]
    if len(fitting) > 1:
        got = f"the columns fit the layouts {', '.join(layout.name for layout in fitting)}"
        raise ValueError(_check.complaint(got, "those of one", source, "Name the layout."))
    if RANKING in have:
        got, do = "the table holds rankings", "Use read_rankings, and ranking_pairs on its result."
        raise ValueError(_check.complaint(got, "comparisons of two", source, do))
    wanted = {name for layout in LAYOUTS.values() for name in layout.needs} - have
    near = (
        (name, close[0])
        for name in sorted(have)
        if (close := difflib.get_close_matches(name, wanted, n=1, cutoff=0.75))
    )
    meant = "; ".join(f"did you mean {right!r} by {wrong!r}?" for wrong, right in near)
    known = "; ".join(
        f"{layout.name}: {', '.join(layout.needs)}"
        for layout in LAYOUTS.values()
        if layout.detected
    )
    do = f"Rename them or map them by `columns`{'; ' + meant if meant else '.'}"
    got = f"the columns are {', '.join(sorted(have)) or 'none'}"
    raise ValueError(_check.complaint(got, f"those of a layout ({known})", source, do))


def named(layout: str, columns: Iterable[str], source: str) -> Layout:
    """The layout of that name, if the table has its columns.

    Raises:
        ValueError: no such layout, or a column is missing.
    """
    if layout not in LAYOUTS:
        got = f"layout is {layout!r}"
        raise ValueError(_check.complaint(got, f"one of {', '.join(LAYOUTS)}", source))
    have = set(columns)
    missing = [name for name in LAYOUTS[layout].needs if name not in have]
    if missing:
        got = f"column {', '.join(map(repr, missing))} is missing from {', '.join(sorted(have))}"
        raise ValueError(
            _check.complaint(got, f"there in layout {layout!r}", source, "Map it by `columns`.")
        )
    return LAYOUTS[layout]


def renamed(columns: Columns, names: Mapping[str, str], source: str) -> Columns:
    """The columns, those that `names` maps (wanted name -> name in the table) under both names.

    Raises:
        ValueError: the table has no such column.

    >>> sorted(renamed({"rater": ["Ann"]}, {"annotator": "rater"}, "crowd.csv"))
    ['annotator', 'rater']
    """
    for wanted, name in names.items():
        if name not in columns:
            near = difflib.get_close_matches(name, columns, n=1)
            do = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(columns)}."
            got = f"columns maps {wanted!r} to {name!r}"
            raise ValueError(_check.complaint(got, "a column of the table", source, do))
    return {**columns, **{wanted: columns[name] for wanted, name in names.items()}}
