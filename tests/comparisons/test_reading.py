"""Readers: every layout, every format, the real files, and what they say of bad input."""

import csv
import io
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas
import polars
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit_rlhf.comparisons import Comparisons, PairCounts, aggregate, files, layouts
from bandit_rlhf.comparisons.bad_rows import BadRowCounter, DroppedRows
from bandit_rlhf.comparisons.reading import aggregate_files, from_frame, read, read_tables
from tests.comparison_worlds import CHECKED_AT_RANDOM
from tests.real_data import real

pytestmark = CHECKED_AT_RANDOM

CROWD = """left,right,winner,prompt,worker
tea,mate,left,morning,Ann
mate,tea,tie,evening,Bob
maize,tea,right,morning,Ann
"""


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def judgements(rows: Comparisons) -> list[tuple]:
    """Every row in names: winner, loser, tie, weight, prompt, annotator, covariates."""
    weight = np.ones(rows.row_count) if rows.weight is None else rows.weight
    tie = np.zeros(rows.row_count, bool) if rows.tie is None else rows.tie
    return [
        (
            rows.items[rows.winner[k]],
            rows.items[rows.loser[k]],
            bool(tie[k]),
            float(weight[k]),
            None if rows.prompt is None else rows.prompts[rows.prompt[k]],
            None if rows.annotator is None else rows.annotators[rows.annotator[k]],
            () if rows.covariates is None else tuple(rows.covariates[k].tolist()),
        )
        for k in range(rows.row_count)
    ]


def cells(counts: PairCounts) -> dict[tuple, tuple[float, ...]]:
    ties = np.zeros(counts.cell_count) if counts.ties is None else counts.ties
    columns = zip(counts.left, counts.right, counts.left_wins, counts.right_wins, ties, strict=True)
    return {
        (counts.items[i], counts.items[j]): (float(a), float(b), float(t))
        for i, j, a, b, t in columns
    }


# ---- layouts


def chosen(prompt: str, better: str, worse: str) -> dict[str, str]:
    talk = f"\n\nHuman: {prompt}\n\nAssistant:"
    return {"chosen": talk + better, "rejected": talk + worse}


LAYOUTS = {
    "sides": (
        {
            "left": ["a", "a", "b"],
            "right": ["b", "b", "c"],
            "winner": ["left", "right", "tie"],
            "worker": ["Ann", "Bob", "Ann"],
            "prompt": ["p", "q", "p"],
        },
        [
            ("a", "b", False, 1.0, "p", "Ann", (1.0,)),
            ("b", "a", False, 1.0, "q", "Bob", (-1.0,)),
            ("b", "c", True, 1.0, "p", "Ann", (1.0,)),
        ],
    ),
    "arena": (
        {
            "model_a": ["a", "b", "a", "a"],
            "model_b": ["b", "c", "b", "c"],
            "winner": ["model_b", "model_a", "tie", "tie (bothbad)"],
            "question_id": [81, 82, 81, 83],
            "judge": ["gpt", "gpt", "Ann", "Ann"],
        },
        [
            ("b", "a", False, 1.0, 81, "gpt", (-1.0,)),
            ("b", "c", False, 1.0, 82, "gpt", (1.0,)),
            ("a", "b", True, 1.0, 81, "Ann", (1.0,)),
            ("a", "c", True, 1.0, 83, "Ann", (1.0,)),
        ],
    ),
    "pairs": (
        {
            "winner": ["a", "b"],
            "loser": ["b", "c"],
            "tie": [False, True],
            "weight": [2.5, 0.0],
            "annotator": [7, 9],
        },
        [("a", "b", False, 2.5, None, 7, ()), ("b", "c", True, 0.0, None, 9, ())],
    ),
    "pandalm": (
        {
            "cmp_key": ["opt-7b_llama-7b", "llama-7b_opt-7b"],
            "instruction": ["Say hi.", "Shorten."],
            "input": ["", "A long text."],
            "response1": ["Hi.", True],
            "response2": ["Hello.", "Text."],
            "annotator1": [1, 0],
            "annotator2": [2, 2],
        },
        [
            ("opt-7b", "llama-7b", False, 1.0, "Say hi.", "annotator1", (1.0,)),
            ("llama-7b", "opt-7b", False, 1.0, "Say hi.", "annotator2", (-1.0,)),
            ("llama-7b", "opt-7b", True, 1.0, "Shorten.\n\nA long text.", "annotator1", (1.0,)),
            ("opt-7b", "llama-7b", False, 1.0, "Shorten.\n\nA long text.", "annotator2", (-1.0,)),
        ],
    ),
    "chosen": (
        {
            key: [chosen("hi", " hello", " what?")[key], chosen("bye", "", " no")[key]]
            for key in ("chosen", "rejected")
        },
        [
            (" hello", " what?", False, 1.0, "\n\nHuman: hi\n\nAssistant:", None, ()),
            ("", " no", False, 1.0, "\n\nHuman: bye\n\nAssistant:", None, ()),
        ],
    ),
}


def test_every_detected_layout_has_an_example():
    assert set(LAYOUTS) == {name for name, each in layouts.LAYOUTS.items() if each.detected}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_is_detected_and_read(name):
    columns, expected = LAYOUTS[name]
    sided = layouts.LAYOUTS[name].sided
    assert judgements(from_frame(columns, position=sided)) == expected
    assert judgements(from_frame(columns, layout=name, position=sided)) == expected


@pytest.mark.parametrize("name", LAYOUTS)
def test_frames_of_both_libraries_say_the_same(name):
    columns, expected = LAYOUTS[name]
    sided = layouts.LAYOUTS[name].sided
    for frame in (
        polars.DataFrame(columns, strict=False),
        pandas.DataFrame(columns),
        {key: np.array(values, dtype=object) for key, values in columns.items()},
    ):
        assert judgements(from_frame(frame, position=sided)) == expected


def test_messages_are_read_as_dialogues():
    def messages(answer):
        return [{"role": "user", "content": "hi"}, {"role": "assistant", "content": answer}]

    rows = from_frame({"chosen": [messages("hello")], "rejected": [messages("what?")]})
    talk = "\n\nHuman: hi\n\nAssistant:"
    assert judgements(rows) == [(" hello", " what?", False, 1.0, talk, None, ())]


@given(st.text("ab\n:"), st.text("ab\n:"), st.booleans())
def test_a_split_dialogue_recomposes(better, worse, shared):
    talk = "\n\nHuman: hi\n\nAssistant:" if shared else ""
    prompt, one, two = layouts.split_dialogue(talk + better, talk + worse)
    assert (prompt + one, prompt + two) == (talk + better, talk + worse)
    assert prompt == talk


def test_columns_of_other_names_are_mapped():
    frame = {"x": ["a"], "y": ["b"], "winner": ["right"], "rater_id": ["Ann"], "worker": ["-"]}
    rows = from_frame(frame, columns={"left": "x", "right": "y", "annotator": "rater_id"})
    assert judgements(rows) == [("b", "a", False, 1.0, None, "Ann", ())]


# ---- formats


def formatted(columns: dict[str, list], folder: Path) -> Iterable[Path]:
    """The same table in every format."""
    frame = polars.DataFrame(columns)
    records = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    yield write(folder, "t.csv", frame.write_csv())
    yield write(folder, "t.tsv", frame.write_csv(separator="\t"))
    yield write(
        folder, "bom.csv", b"\xef\xbb\xbf" + frame.write_csv(line_terminator="\r\n").encode()
    )
    yield write(folder, "t.json", json.dumps(records, indent=1))
    yield write(folder, "t.jsonl", "\n".join(map(json.dumps, records)) + "\n\n")
    frame.write_parquet(folder / "t.parquet")
    yield folder / "t.parquet"


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=5)
ROWS = st.lists(
    st.tuples(TEXT, TEXT, st.sampled_from(["left", "right", "tie"])).filter(lambda r: r[0] != r[1]),
    min_size=1,
    max_size=8,
)


@settings(max_examples=25)
@given(ROWS)
def test_every_format_gives_the_same_table(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("formats")
    columns = {
        name: list(values)
        for name, values in zip(("left", "right", "winner"), zip(*rows, strict=True), strict=True)
    }
    expected = [
        (b, a, False) if winner == "right" else (a, b, winner == "tie") for a, b, winner in rows
    ]
    for path in formatted(columns, folder):
        assert [row[:3] for row in judgements(read(path))] == expected, path.name


def test_a_file_without_a_telling_ending_is_read_by_format(tmp_path):
    path = write(tmp_path, "crowd.txt", CROWD)
    assert read(path, format="csv").row_count == 3


def test_reading_text_needs_no_extra(tmp_path):
    """Polars and pandas stay unloaded; the control: Parquet loads polars."""
    text = write(tmp_path, "crowd.csv", CROWD)
    polars.read_csv(text).write_parquet(tmp_path / "crowd.parquet")
    program = (
        "import sys; from bandit_rlhf.comparisons.reading import read; read(sys.argv[1]);"
        "print(*sorted({'polars', 'pandas'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[2]
    loaded = {
        name: subprocess.run(
            [sys.executable, "-c", program, tmp_path / name],
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for name in ("crowd.csv", "crowd.parquet")
    }
    assert loaded == {"crowd.csv": [], "crowd.parquet": ["polars"]}


def test_parquet_without_polars_names_the_extra(tmp_path, monkeypatch):
    polars.read_csv(io.StringIO(CROWD)).write_parquet(tmp_path / "crowd.parquet")
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(ImportError, match=r"bandit-rlhf\[experiments\]"):
        read(tmp_path / "crowd.parquet")


# ---- streams


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(files, "CHUNK_ROWS", 3)
    monkeypatch.setattr(files, "BLOCK_ROWS", 1)


@settings(max_examples=25)
@given(ROWS, st.integers(1, 3))
@pytest.mark.usefixtures("small_chunks")
def test_a_stream_of_files_counts_as_one_table_would(tmp_path_factory, rows, parts):
    folder = tmp_path_factory.mktemp("stream")
    expected = cells(aggregate(Comparisons.from_sides(*_sides(rows))))
    for ending in ("csv", "jsonl", "parquet"):
        paths = []
        for part in range(parts):
            if own := rows[part::parts]:
                frame = polars.DataFrame(own, schema=["left", "right", "winner"], orient="row")
                paths.append(folder / f"{part}.{ending}")
                writer = {"csv": frame.write_csv, "jsonl": frame.write_ndjson}
                writer.get(ending, frame.write_parquet)(paths[-1])
        assert cells(aggregate_files(paths)) == expected


def _sides(rows):
    code = {"left": 1, "right": -1, "tie": 0}
    first, second, winner = zip(*rows, strict=True)
    return list(first), list(second), [code[w] for w in winner]


@pytest.mark.usefixtures("small_chunks")
def test_tables_come_before_the_file_is_read_to_its_end(tmp_path):
    """The first table is there although the last line is bad; reading it all raises (control)."""
    path = write(tmp_path, "crowd.csv", CROWD + "tea\n")
    stream = read_tables(path)
    assert next(stream).row_count == 3
    with pytest.raises(ValueError, match=r"1 fields.*crowd\.csv, line 5"):
        next(stream)
    with pytest.raises(ValueError, match="line 5"):
        read(path)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "json"])
def test_progress_tells_bytes_and_rows(tmp_path, ending):
    frame = polars.read_csv(io.StringIO(CROWD * 1))
    frame = polars.concat([frame] * 4)
    path = tmp_path / f"crowd.{ending}"
    write_frame = {
        "csv": frame.write_csv,
        "jsonl": frame.write_ndjson,
        "json": lambda p: p.write_text(json.dumps(frame.to_dicts())),
        "parquet": frame.write_parquet,
    }
    write_frame[ending](path)
    told: list[tuple[int, int, int]] = []
    aggregate_files([path, path], progress=lambda *state: told.append(state))
    size = 2 * path.stat().st_size
    assert told == sorted(told)
    assert {total for _, total, _ in told} == {size}
    assert told[-1][2] == 24
    if ending != "json":  # an array is one chunk
        assert len(told) == 8
        assert told[-1][0] == size


@pytest.mark.usefixtures("small_chunks")
def test_keys_may_not_come_and_go_between_chunks(tmp_path):
    whole = {"winner": "a", "loser": "b"}
    records = [whole] * 3 + [whole | {"weight": 2}] * 3
    path = write(tmp_path, "t.jsonl", "\n".join(map(json.dumps, records)))
    with pytest.raises(ValueError, match=r"'weight' appears from here on.*t\.jsonl, line 4"):
        read(path)


def test_a_long_field_is_read_and_the_limit_of_csv_restored(tmp_path):
    before = csv.field_size_limit()
    long = "x" * (2 * before)
    path = write(tmp_path, "long.csv", f"winner,loser\n{long},b\n")
    assert read(path).items[1] == long
    assert csv.field_size_limit() == before


# ---- bad input

BAD = {
    "empty": ("t.csv", "", r"empty.*\[t\.csv\]"),
    "header alone": ("t.csv", "winner,loser\n", r"0 rows.*\[t\.csv\]"),
    "empty header": ("t.csv", "\n\n", r"first line is empty.*line 1"),
    "empty array": ("t.json", "[]", "0 rows"),
    "unknown columns": (
        "t.csv",
        "left,rihgt,winner\na,b,left\n",
        "did you mean 'right' by 'rihgt'",
    ),
    "column twice": ("t.csv", "winner,loser,loser\na,b,c\n", r"'loser' twice.*line 1"),
    "two layouts": (
        "t.csv",
        "left,right,winner,loser\na,b,left,b\n",
        "fit the layouts sides, pairs.*Name the layout",
    ),
    "one item": ("t.csv", "winner,loser\na,a\n", r"'a' with itself.*\[t\.csv, line 2\]"),
    "self-comparison": ("t.csv", "winner,loser\na,b\nb,b\n", r"'b' with itself.*line 3"),
    "missing name": ("t.csv", "winner,loser\na,b\n,b\n", r"item is missing.*line 3"),
    "missing worker": ("t.csv", "winner,loser,worker\na,b,\n", r"annotator is missing.*line 2"),
    "negative weight": ("t.csv", "winner,loser,weight\na,b,-1\n", r"weight is '-1'.*line 2"),
    "NaN weight": ("t.csv", "winner,loser,weight\na,b,1\nb,a,nan\n", r"weight is 'nan'.*line 3"),
    "no weight": ("t.jsonl", '{"winner": "a", "loser": "b", "weight": null}', "weight is None"),
    "unknown outcome": (
        "t.csv",
        "left,right,winner\na,b,lef\n",
        r"winner is 'lef'.*'left'.*line 2",
    ),
    "mixed types": (
        "t.jsonl",
        '{"winner": "a", "loser": "b"}\n{"winner": "a", "loser": 7}\n',
        r"item 7 is of type int.*t\.jsonl, line 2",
    ),
    "truth as a name": ("t.jsonl", '{"winner": "a", "loser": true}', "True is of type bool"),
    "key missing": (
        "t.jsonl",
        '{"winner": "a", "loser": "b"}\n{"winner": "a"}\n',
        r"item is missing.*line 2",
    ),
    "truncated row": ("t.csv", "winner,loser\na,b\nb", r"1 fields, but should be 2.*line 3"),
    "row too long": ("t.csv", "winner,loser\na,b,c\n", r"3 fields, but should be 2.*line 2"),
    "row after a field of two lines": ("t.csv", 'winner,loser\n"a\nb",c\nb\n', "line 4"),
    "open quotation": ("t.csv", 'winner,loser\na,b\n"b,a\n', r"does not parse.*line 3"),
    "truncated JSON line": (
        "t.jsonl",
        '{"winner": "a", "loser": "b"}\n{"winner": "a", "lo',
        r"not JSON.*line 2\]. Is it truncated",
    ),
    "truncated array": ("t.json", '[{"winner": "a",\n"loser": "b"}', r"not JSON.*t\.json, line 2"),
    "JSON of another shape": ("t.jsonl", '{"winner": "a", "loser": "b"}\n[1]\n', r"list.*line 2"),
    "wrong encoding": (
        "t.csv",
        "winner,loser\na,b\ncafé,b\n".encode("latin1"),
        r"byte 0xe9.*UTF-8.*line 3.*iconv",
    ),
    "UTF-16": ("t.csv", "winner,loser\na,b\n".encode("utf-16"), "UTF-16"),
    "JSON as CSV": ("t.csv", '{"winner": "a", "loser": "b"}', "which is JSON, but should be csv"),
    "array as lines": ("t.jsonl", "[1]", "one JSON array, but should be jsonl"),
    "lines as array": ("t.json", '{"winner": "a"}', "JSON lines, but should be json"),
    "CSV as JSON lines": ("t.jsonl", CROWD, "something else, but should be jsonl"),
    "CSV as Parquet": ("t.parquet", CROWD, "something else, but should be parquet"),
    "truncated Parquet": ("t.parquet", b"PAR1" + bytes(20), "polars cannot read"),
    "compressed": ("t.csv", b"\x1f\x8b\x08\x00", "gzip, but should be csv"),
    "unknown ending": ("t.xlsx", "x", "'.xlsx', but should be one of .csv"),
    "rankings": ("t.csv", "ranking\na > b\n", "Use read_rankings"),
    "cmp_key": (
        "t.json",
        json.dumps([{k: v[0] for k, v in LAYOUTS["pandalm"][0].items()} | {"cmp_key": "opt"}]),
        r"cmp_key is 'opt'.*record 1",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named_with_its_place(tmp_path, case):
    name, content, message = BAD[case]
    with pytest.raises(ValueError, match=f"(?s){message}"):
        read(write(tmp_path, name, content))


def test_bad_input_is_named_in_a_stream_too(tmp_path):
    path = write(tmp_path, "t.csv", "winner,loser\na,b\nb,b\n")
    with pytest.raises(ValueError, match=r"'b' with itself.*line 3"):
        aggregate_files(path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layout": "side"}, "one of sides, arena"),
        ({"layout": "arena"}, "'model_a', 'model_b' is missing"),
        ({"columns": {"annotator": "workr"}}, "Did you mean 'worker'"),
        ({"format": "excel"}, "format is 'excel'"),
    ],
)
def test_wrong_options_are_named(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        read(write(tmp_path, "crowd.csv", CROWD), **options)


def test_no_position_without_sides():
    with pytest.raises(ValueError, match="'pairs', which knows no sides"):
        from_frame({"winner": ["a"], "loser": ["b"]}, position=True)


def test_no_files_are_refused():
    with pytest.raises(ValueError, match="0 files"):
        aggregate_files([])


@pytest.mark.parametrize("frame", [polars.LazyFrame({"winner": ["a"]}), [("a", "b")], None])
def test_what_is_no_frame_is_refused(frame):
    with pytest.raises(TypeError, match="DataFrame"):
        from_frame(frame)


def test_pandas_marks_of_nothing_are_missing_names():
    frame = pandas.DataFrame({"winner": ["a", None], "loser": ["b", "a"]})
    with pytest.raises(ValueError, match=r"item is missing.*DataFrame, row 2"):
        from_frame(frame)


def test_columns_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="equally long"):
        from_frame({"winner": ["a", "b"], "loser": ["b"]})


def test_bad_rows_are_dropped_when_asked_and_counted(tmp_path):
    path = write(tmp_path, "t.csv", "left,right,winner\na,b,left\nb,b,left\na,b,up\na,b,tie\n")
    with pytest.warns(DroppedRows, match=r"dropped 2 of 4 rows.*line 3"):
        rows = read(path, bad_rows="drop")
    assert [row[:3] for row in judgements(rows)] == [("a", "b", False), ("a", "b", True)]
    with pytest.warns(DroppedRows, match="2 of 4"):
        assert cells(aggregate_files(path, bad_rows="drop")) == {("a", "b"): (1.0, 0.0, 1.0)}


def test_another_policy_for_bad_rows_is_refused():
    with pytest.raises(ValueError, match="bad_rows is 'ignore', but should be 'raise' or 'drop'"):
        BadRowCounter("ignore")


def test_dropping_everything_is_refused(tmp_path):
    path = write(tmp_path, "t.csv", "winner,loser\na,a\n")
    with pytest.raises(ValueError, match="all 1 rows are dropped"):
        read(path, bad_rows="drop")


def test_control_nothing_is_warned_of_where_nothing_is_dropped(tmp_path):
    assert read(write(tmp_path, "crowd.csv", CROWD), bad_rows="drop").row_count == 3


# ---- the real files


def tally(path: Path) -> Counter:
    """(prompt, left, right, winner) counted by the csv module alone."""
    with path.open(newline="", encoding="utf-8") as file:
        names = ("prompt", "left", "right", "winner")
        return Counter(tuple(row[n] for n in names) for row in csv.DictReader(file))


def retold(rows: Comparisons) -> Counter:
    """The same from a table with the covariate of position."""
    told = Counter()
    for winner, loser, tie, _, prompt, _, (ahead,) in judgements(rows):
        first, second = (winner, loser) if ahead > 0 else (loser, winner)
        told[prompt, first, second, "tie" if tie else "left" if ahead > 0 else "right"] += 1
    return told


@pytest.mark.parametrize(
    ("name", "outcomes"),
    [
        ("crowd-comparisons.csv", {"left": 2911, "right": 2549, "tie": 3471}),
        ("gpt4-crowd-comparisons.csv", {"left": 943, "right": 1130, "tie": 66}),
    ],
)
def test_llmfao(name, outcomes):
    path = real(f"llmfao/{name}")
    rows = read(path, position=True)
    assert retold(rows) == tally(path)
    found = Counter()
    for (*_, outcome), count in retold(rows).items():
        found[outcome] += count
    assert found == outcomes
    assert (rows.item_count, len(rows.prompts)) == (59, 13)
    assert len(rows.annotators) == (124 if name.startswith("crowd") else 0)
    assert cells(aggregate_files(path)) == cells(aggregate(read(path)))


def test_control_a_reader_that_mistakes_sides_is_caught(monkeypatch):
    twin = layouts.Layout(
        "sides",
        ("left", "right", "winner"),
        layouts._sided("left", "right", {"left": -1, "right": 1, "tie": 0}),
        "broken",
        sided=True,
    )
    monkeypatch.setitem(layouts.LAYOUTS, "sides", twin)
    path = real("llmfao/crowd-comparisons.csv")
    assert retold(read(path, position=True)) != tally(path)


def test_pandalm():
    path = real("pandalm/testset-v1.json")
    records = json.loads(path.read_text(encoding="utf-8"))
    rows = read(path)
    assert (rows.row_count, rows.item_count, len(rows.prompts)) == (3 * 999, 5, 170)
    votes = Counter(record[f"annotator{k}"] for record in records for k in (1, 2, 3))
    assert rows.tie_count == votes[0]
    wins = Counter(
        record["cmp_key"].split("_")[record[f"annotator{k}"] - 1]
        for record in records
        for k in (1, 2, 3)
        if record[f"annotator{k}"]
    )
    counts = aggregate(rows)
    assert dict(zip(counts.items, counts.wins(), strict=True)) == wins


def test_pandalm_by_strings_meets_six_that_are_none():
    path = real("pandalm/testset-v1.json")
    with pytest.raises(ValueError, match=r"True is of type bool.*testset-v1\.json, record 158"):
        read(path, layout="pandalm-strings")
    with pytest.warns(DroppedRows, match="dropped 6 of 999 rows"):
        rows = read(path, layout="pandalm-strings", bad_rows="drop")
    assert rows.row_count == 3 * 993


def test_what_holds_no_comparisons_is_refused():
    with pytest.raises(ValueError, match=r"prompts\.jsonl.*Rename them or map them"):
        read(real("llmfao/prompts.jsonl"))
