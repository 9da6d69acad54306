"""`bandit-rlhf fit`: published estimates through the command line, exit codes, broken inputs."""

import csv
import importlib
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from bandit_rlhf.cli import main as cli
from bandit_rlhf.cli.fit import command, diagnosis, reading
from bandit_rlhf.cli.main import COMMANDS, main
from bandit_rlhf.reward import fit
from tests.published_tables import (
    BASEBALL,
    BASEBALL_ALONE,
    BASEBALL_AT_HOME,
    CITATION_SCORES,
    CITATIONS,
    HOME_ADVANTAGE,
    PUDDING_TIE,
    PUDDING_WORTHS,
    PUDDINGS,
    entries,
)
from tests.real_data import real

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def as_csv(table: str) -> str:
    """A published table as a file of sides: one line an outcome, with its count."""
    lines = ["left,right,winner,weight"]
    for first, second, *counts in entries(table):
        for winner, count in zip(("left", "right", "tie"), counts, strict=False):
            lines.append(f"{first},{second},{winner},{count}")
    return "\n".join(lines) + "\n"


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., str]:
    """A file of some text: its path."""

    def write(text: str, name: str = "votes.csv") -> str:
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


@pytest.fixture
def answer(capsys: pytest.CaptureFixture[str]) -> Callable[..., dict]:
    """What `fit ... --json` prints, read back; without tests of the model unless asked for."""

    def call(*words: str) -> dict:
        quick = () if "--resamples" in words else ("--resamples", "0")
        assert main(["fit", *words, *quick, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return call


def fresh(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The command in an interpreter of its own."""
    program = "from bandit_rlhf.cli.main import main; raise SystemExit(main())"
    return subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=ROOT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
    )


def relative(found: dict, to: str) -> dict[str, float]:
    scores = dict(zip(found["items"], found["scores"], strict=True))
    return {item: score - scores[to] for item, score in scores.items() if item != to}


# The numbers.


def test_baseball_as_published(file, answer):
    found = answer(file(as_csv(BASEBALL)))
    published = {team: score for team, (score, _) in BASEBALL_ALONE.items()}
    assert relative(found, "Baltimore") == pytest.approx(published, abs=6e-5)
    assert found["model"] == "bradley-terry"
    assert found["scores"] == sorted(found["scores"], reverse=True)
    assert found["converged"] is True
    assert found["gradient_norm"] <= 1e-8
    assert found["components"] == [found["items"]]
    assert sum(found["games"]) == 2 * found["comparisons"]


def test_baseball_at_home_as_published(file, answer):
    found = answer(file(as_csv(BASEBALL)), "--position")
    published = {team: score for team, (score, _) in BASEBALL_AT_HOME.items()}
    assert relative(found, "Baltimore") == pytest.approx(published, abs=6e-5)
    effect = found["coefficients"]["position"]
    assert effect["estimate"] == pytest.approx(HOME_ADVANTAGE[0], abs=6e-5)
    assert effect["stderr"] == pytest.approx(HOME_ADVANTAGE[1], rel=0.1)  # theirs is Fisher's


def test_citations_as_published(file, answer):
    found = relative(answer(file(as_csv(CITATIONS))), "Biometrika")
    assert found == pytest.approx({j: s for j, (s, _) in CITATION_SCORES.items()}, abs=6e-6)


def test_ties_are_modelled_where_there_are_any(file, answer):
    found = answer(file(as_csv(PUDDINGS)))
    worth = {str(1 + k): w for k, w in enumerate(PUDDING_WORTHS)}
    shares = np.exp(found["scores"]) / np.exp(found["scores"]).sum()
    assert dict(zip(found["items"], shares, strict=True)) == pytest.approx(worth, abs=1e-4)
    assert found["model"] == "davidson"
    assert np.exp(found["tie_parameter"]) == pytest.approx(PUDDING_TIE, abs=1e-4)


def test_the_standard_error_of_two_items(file, answer):
    """In the mean-zero gauge a score is half the log-odds: stderr 1/2 (n p (1 - p))^(-1/2)."""
    found = answer(file("winner,loser\n" + "tea,mate\n" * 30 + "mate,tea\n" * 10))
    assert found["scores"] == pytest.approx([np.log(3) / 2, -np.log(3) / 2])
    assert found["stderr"] == pytest.approx([0.5 / np.sqrt(40 * 0.75 * 0.25)] * 2)
    assert [found["rank_low"], found["rank_high"]] == [[1, 2], [1, 2]]


def test_clusters_of_like_judgements_count_once(file, answer):
    """Each annotator says the same ten times: with one vote a cluster, sqrt(10) times the error."""
    lines = [f"{w},{10 * k}\n" * 10 for k, w in enumerate(["tea,mate"] * 30 + ["mate,tea"] * 10)]
    path = file("winner,loser,worker\n" + "".join(lines))
    alone, together = answer(path), answer(path, "--cluster", "worker")
    ratio = np.array(together["stderr"]) / np.array(alone["stderr"])
    assert ratio == pytest.approx(np.sqrt(10) * np.sqrt(40 / 39))  # C / (C - 1), 40 clusters
    assert (together["uncertainty"], together["clusters"]) == ("annotator", 40)
    assert "--cluster annotator" in alone["notes"][0]
    assert together["notes"] == []


def test_ridge_firth_thurstone_and_ties_reach_the_fit(file, answer):
    path = file(as_csv(PUDDINGS))
    rows = reading.read_file(command.Options(Path(path))).comparisons
    for words, how in (
        (("--ridge", "2"), {"model": "davidson", "ridge": 2.0}),
        (("--firth", "--ties", "half"), {"firth": True, "ties": "half"}),
        (("--model", "thurstone", "--ties", "drop"), {"model": "thurstone", "ties": "drop"}),
        (("--model", "rao-kupper"), {"model": "rao-kupper"}),
    ):
        expected = fit(rows, **how)  # type: ignore[arg-type]
        found = answer(path, *words)
        scores = dict(zip(found["items"], found["scores"], strict=True))
        assert [scores[i] for i in expected.items] == pytest.approx(expected.scores.tolist())


def test_rankings_of_pairs_are_bradley_terry(file, answer):
    pairs = file("winner,loser\nb,a\na,b\na,b\nb,c\nc,a\n")
    twice = '{"ranking": "a > b"}\n' * 2
    others = "".join(f'{{"ranking": ["{x}", "{y}"]}}\n' for x, y in ("ba", "bc", "ca"))
    ranked = file(twice + others, "ranks.jsonl")
    one, two, three = answer(pairs), answer(ranked), answer(ranked, "--model", "bt")
    assert two["model"] == "plackett-luce"
    for other in (two, three):
        assert other["items"] == one["items"]
        assert other["scores"] == pytest.approx(one["scores"], abs=1e-6)
    assert two["stderr"] == pytest.approx(one["stderr"], abs=1e-6)
    assert three["clusters"] == 5


def test_streaming_gives_the_same_scores(file, answer):
    path = file(as_csv(BASEBALL))
    whole, streamed = answer(path), answer(path, "--stream")
    assert streamed["scores"] == pytest.approx(whole["scores"], abs=1e-9)
    assert streamed["diagnosis"]["calibration"] == {"reason": "needs rows, not counts"}


def test_by_prompt_is_a_fit_for_each(file, answer):
    one, two = "x,tea,mate\n" * 3 + "x,mate,tea\n", "y,tea,mate\n" + "y,mate,tea\n" * 3
    found = answer(file("prompt,winner,loser\n" + one + two), "--by", "prompt")
    scores = {
        tuple(item): score for item, score in zip(found["items"], found["scores"], strict=True)
    }
    half = np.log(3) / 2
    assert scores == pytest.approx(
        {("x", "tea"): half, ("x", "mate"): -half, ("y", "mate"): half, ("y", "tea"): -half}
    )
    assert sorted(map(len, found["components"])) == [2, 2]
    assert found["rank"] == [1, 2, 1, 2]


def test_the_seed_decides_all_that_is_random(file, answer):
    path = file(as_csv(BASEBALL))
    words = (path, "--bootstrap", "40", "--resamples", "10")
    assert answer(*words) == answer(*words, "--seed", "0")
    assert answer(*words)["stderr"] != answer(*words, "--seed", "1")["stderr"]


def test_the_level_widens_intervals(file, answer):
    path = file(as_csv(BASEBALL))
    widths = [
        np.subtract(found["high"], found["low"])
        for found in (answer(path, "--level", level) for level in ("0.5", "0.95"))
    ]
    assert widths[1] / widths[0] == pytest.approx(1.959964 / 0.674490, rel=1e-5)


def test_the_crowd(answer):
    found = answer(str(real("llmfao/crowd-comparisons.csv")), "--resamples", "5")
    assert len(found["items"]) == 59
    assert found["comparisons"] == 8931
    said = found["diagnosis"]
    assert said["tied"] == 3471
    assert said["agreement"]["observed"] == pytest.approx(0.53, abs=0.005)
    assert len(said["consistency"]["annotators"]) == 124
    assert said["strong_components"] == 1


# The report.


def printed(capsys, *words: str) -> str:
    assert main(["fit", *words]) == 0
    return capsys.readouterr().out


def test_the_report_says_it_all(file, capsys):
    text = printed(capsys, file(as_csv(BASEBALL)), "--position")
    lines = text.splitlines()
    assert lines[0] == "Bradley-Terry: 7 items, 273 comparisons, sandwich errors"
    assert lines[1].split() == ["rank", "ranks,", "95", "%", "item", "score", "95", "%",
                                "interval", "stderr", "games"]  # fmt: skip
    assert lines[2].split()[0] == "1"
    assert "Milwaukee" in lines[2]
    for label in ("fit", "graph", "ties", "position", "goodness of fit", "transitivity"):
        assert any(line.startswith(f"{label} ") for line in lines), label
    assert "being shown first is worth +0.302 nats" in text
    assert max(map(len, lines)) <= 100
    assert text.count("the file names no annotators") == 1  # agreement and annotators together


def test_the_readme_shows_what_is_printed(capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("COLUMNS", raising=False)  # of a terminal, or of pytest-xdist
    block = re.search(r"^```console\n\$ bandit-rlhf (fit .*)\n([\s\S]*?)^```", README, re.MULTILINE)
    assert block
    words, shown = block.groups()
    assert shown.count("\n") > 20
    residual = r"\d\.\de-\d\d"  # rounding, which differs between machines
    actual = printed(capsys, *words.split()[1:])
    assert re.sub(residual, "", actual).splitlines() == re.sub(residual, "", shown).splitlines()


def test_the_example_is_the_published_table():
    assert (ROOT / "docs/baseball.csv").read_text() == as_csv(BASEBALL)


def test_weights_are_judgements_when_some_are_left_out(file, answer):
    games = (("x,y", 9), ("y,x", 6), ("y,z", 8), ("z,y", 7))
    counted = "".join(f"{pair},{times}\n" for pair, times in games)
    weighted = answer(file("winner,loser,weight\n" + counted))
    single = answer(file("winner,loser\n" + "".join(f"{p}\n" * times for p, times in games)))
    assert weighted["diagnosis"]["calibration"] == single["diagnosis"]["calibration"]
    halves = answer(file("winner,loser,weight\nx,y,0.5\ny,x,0.5\n"))
    assert "weights are fractions" in halves["diagnosis"]["calibration"]["reason"]


def test_long_tests_wait_to_be_asked_for(file, capsys, monkeypatch):
    monkeypatch.setattr(diagnosis, "MANY_LOOPS", 20)  # there are 21 pairs
    path = file(as_csv(BASEBALL))
    assert "transitivity: 21 pairs take long; say --resamples 100 to wait" in printed(capsys, path)
    assert "runs in circles" in printed(capsys, path, "--resamples", "5")


def test_top_shortens_what_is_shown_and_nothing_else(file, capsys, answer):
    path = file(as_csv(BASEBALL))
    text = printed(capsys, path, "--top", "2", "--resamples", "0")
    assert "Detroit" in text
    assert "Baltimore" not in text
    assert "... 5 more" in text
    assert len(answer(path, "--top", "2")["items"]) == 7


def test_names_are_not_markup(file, capsys):
    text = printed(capsys, file("winner,loser\n[red]tea,[/]\n[/],[red]tea\n"), "--resamples", "0")
    assert "[red]tea" in text


def test_the_leaderboard_as_a_file(file, tmp_path, answer):
    path = file(as_csv(BASEBALL))
    found = answer(path, "--output", str(tmp_path / "board.csv"))
    with open(tmp_path / "board.csv", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["item"] for row in rows] == found["items"]
    assert [float(row["stderr"]) for row in rows] == found["stderr"]
    answer(path, "--output", str(tmp_path / "board.parquet"))
    table = pl.read_parquet(tmp_path / "board.parquet")
    assert table["score"].to_list() == found["scores"]
    assert table["rank_high"].to_list() == found["rank_high"]


@pytest.mark.parametrize("figure", ["forest", "wins", "calibration", "network"])
@pytest.mark.parametrize("ending", ["pdf", "svg", "png"])
def test_figures_are_written(file, tmp_path, answer, figure, ending):
    signature = {"pdf": b"%PDF", "svg": b"<?xml", "png": b"\x89PNG"}
    drawn = tmp_path / f"out.{ending}"
    answer(file(as_csv(CITATIONS)), "--plot", str(drawn), "--figure", figure)
    assert drawn.read_bytes().startswith(signature[ending])


def test_progress_on_long_files_is_on_stderr(file, monkeypatch, capsys):
    monkeypatch.setattr(reading, "LONG", 0)
    assert main(["fit", file(as_csv(BASEBALL)), "--json", "--resamples", "0"]) == 0
    out, err = capsys.readouterr()
    assert "votes.csv: 100 %, 84 rows" in err
    assert json.loads(out)["converged"]


def test_dropped_rows_are_counted_on_stderr(file, capsys):
    path = file("winner,loser\na,b\nb,a\na,a\n")
    assert main(["fit", path, "--bad-rows", "drop", "--json"]) == 0
    out, err = capsys.readouterr()
    assert err.startswith("warning: votes.csv: dropped 1 of 3 rows")
    assert len(json.loads(out)["items"]) == 2


def test_columns_are_mapped(file, answer):
    path = file("better,worse,who\na,b,1\nb,a,2\n")
    found = answer(path, "--columns", "winner=better", "loser=worse", "annotator=who")
    assert found["items"] == ["a", "b"]
    assert "annotators" in found["notes"][0]


# Exit codes, in an interpreter of their own.


def test_exit_0_and_pure_json(file):
    ran = fresh("fit", file(as_csv(BASEBALL)), "--json")
    assert (ran.returncode, ran.stderr) == (0, "")
    wanted = {"items", "scores", "stderr", "converged", "gradient_norm", "components"}
    assert wanted <= set(json.loads(ran.stdout))


SEPARABLE = "winner,loser\nant,bee\nant,cat\nbee,cat\ncat,bee\n"


def test_exit_1_where_no_fit_exists(file):
    ran = fresh("fit", file(SEPARABLE), "--json")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "{'ant'} never lost to the rest" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_exit_1_where_it_did_not_converge(file, tmp_path):
    board = tmp_path / "board.csv"
    words = ("--ridge", "1", "--max-iterations", "1", "--json", "--output", str(board))
    ran = fresh("fit", file(SEPARABLE), *words)
    found = json.loads(ran.stdout)
    assert ran.returncode == 1
    assert found["converged"] is False
    assert found["gradient_norm"] > 1e-8
    assert found["stderr"] == [None] * 3
    assert found["diagnosis"] is None
    assert "did not converge" in found["notes"][0]
    assert board.exists()


def test_exit_2_where_it_could_not_run(tmp_path):
    ran = fresh("fit", str(tmp_path / "nowhere.csv"))
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.strip().endswith("nowhere.csv: No such file or directory. Check the path.")
    assert fresh("fit", "a.csv", "--modle", "bt").returncode == 2
    ran = fresh("fti")
    assert (ran.returncode, "Did you mean 'fit'?" in ran.stderr) == (2, True)
    assert fresh().returncode == 2


def test_exit_130_when_interrupted(monkeypatch, capsys):
    def interrupt(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "read_file", interrupt)
    assert main(["fit", "votes.csv"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_a_reader_that_goes_away_is_no_error(file):
    program = "from bandit_rlhf.cli.main import main; raise SystemExit(main())"
    for words in (("--help",), (file(as_csv(BASEBALL)), "--json")):
        read, write = os.pipe()
        os.close(read)
        ran = subprocess.run(
            [sys.executable, "-c", program, "fit", *words],
            cwd=ROOT,
            stdout=write,
            stderr=subprocess.PIPE,
            text=True,
        )
        os.close(write)
        assert (ran.returncode, ran.stderr) == (0, "")


# Broken inputs: got, expected, where, what to do.

BROKEN = {
    "empty": ("", "the file is empty, but should be one comparison or more [votes.csv]"),
    "header only": ("left,right,winner\n", "there are 0 rows, but should be one or more"),
    "unknown column": ("left,right,winer\na,b,left\n", "did you mean 'winner' by 'winer'?"),
    "unknown outcome": ("left,right,winner\na,b,up\n", "winner is 'up', but should be one of"),
    "one item": ("winner,loser\na,a\n", "compares 'a' with itself, but should be a comparison of"),
    "negative weight": ("winner,loser,weight\na,b,-1\n", "the weight is '-1', but should be a"),
    "no number": ("winner,loser,weight\na,b,nan\n", "the weight is 'nan', but should be a finite"),
    "truncated": ("winner,loser\na,b\nb", "[votes.csv, line 3]. Is the line truncated"),
    "wrong ending": ('{"winner": "a"}', "which is JSON, but should be csv [votes.csv]"),
    "no model for ties": ("winner,loser,tie\na,b,1\na,b,0\nb,a,0\n", "Choose model 'davidson'"),
}
ENDLESS = {
    "everything tied": ("left,right,winner\na,b,tie\nb,c,tie\n", "all 2 comparisons are ties"),
    "disconnected": (
        "winner,loser\na,b\nb,a\nc,d\nd,c\n",
        "2 components that never meet, {'a', 'b'}, {'c', 'd'}, but should be connected",
    ),
    "separable": (SEPARABLE, "It would exist after a win of 'bee' over 'ant'"),
    "separable by position": (
        "left,right,winner\na,b,left\nb,a,left\n",
        "'position' can separate wins from losses",
    ),
}


@pytest.mark.parametrize("name", [*BROKEN, *ENDLESS])
def test_broken_input_is_explained(file, capsys, name):
    text, message = (BROKEN | ENDLESS)[name]
    words = {"no model for ties": ("--model", "bt"), "separable by position": ("--position",)}
    code = main(["fit", file(text), *words.get(name, ()), "--json"])
    out, err = capsys.readouterr()
    assert code == (1 if name in ENDLESS else 2)
    assert out == ""
    assert err.startswith("error: ")
    assert message in err
    assert "Traceback" not in err


WRONG = {
    ("--level", "1.5"): "--level is 1.5, but should be between 0 and 1",
    ("--plot", "a.jpg"): "ends in '.jpg', but should be in .pdf, .svg or .png",
    ("--output", "a.txt"): "ends in '.txt', but should be in .csv or .parquet",
    ("--top", "0"): "--top is 0, but should be at least 1",
    ("--ridge", "-1"): "ridge is -1, but should be at least 0",
    ("--bootstrap", "-3"): "--bootstrap is -3, but should be at least 0",
    ("--model", "pl"): "holds comparisons of two, but should be rankings. For two items pl is bt",
    ("--by", "prompt"): "no prompt column, but should be one [--by]. Map it: --columns",
    ("--cluster", "worker"): "the rows have no annotator column, but should be one",
    ("--columns", "winner"): "--columns has 'winner', but should be WANTED=NAME",
    ("--columns", "annotator=wo"): "columns maps 'annotator' to 'wo', but should be a column",
    ("--stream", "--by", "prompt"): "--stream is given with --by or --cluster, but should be",
    ("--layout", "sidse"): "layout is 'sidse', but should be one of",
    ("--position",): "position is asked of layout 'pairs', which knows no sides, but should",
    ("--firth", "--ridge", "1"): "firth is asked for with model 'bradley-terry' and ridge 1",
}


@pytest.mark.parametrize("words", WRONG, ids=" ".join)
def test_a_wrong_option_is_explained_before_anything_is_written(
    file, capsys, tmp_path, monkeypatch, words
):
    monkeypatch.chdir(tmp_path)
    assert main(["fit", file("winner,loser\na,b\nb,a\n"), *words]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert WRONG[words] in err
    assert [path.name for path in tmp_path.iterdir()] == ["votes.csv"]


@pytest.mark.parametrize("words", [("--by", "prompt"), ("--position",), ("--stream",)])
def test_what_rankings_do_not_have(file, capsys, words):
    path = file('{"ranking": ["a", "b"]}\n{"ranking": ["b", "a"]}\n', "ranks.jsonl")
    assert main(["fit", path, *words]) == 2
    assert f"{words[0]} is asked for, but ranks.jsonl holds rankings" in capsys.readouterr().err


def test_a_calibration_that_cannot_be_drawn(file, capsys, tmp_path):
    words = ("--stream", "--figure", "calibration", "--plot", str(tmp_path / "a.pdf"))
    assert main(["fit", file("winner,loser\na,b\nb,a\n"), *words]) == 2
    assert "cannot be drawn: needs rows, not counts" in capsys.readouterr().err


# Help, start-up, and the list of commands.


def test_help_teaches(capsys):
    assert main(["fit", "--help"]) == 0
    text = capsys.readouterr().out
    assert text.count("bandit-rlhf fit ") >= 6
    for word in (
        "--cluster",
        "--ridge",
        "--plot",
        "Exit codes: 0 fine; 1 the fit did not converge",
    ):
        assert word in text
    assert main(["--help"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in COMMANDS)


def test_every_command_has_its_three_names():
    assert COMMANDS
    for name in COMMANDS:
        module = importlib.import_module(f"bandit_rlhf.cli.{name}")
        assert {"ABOUT", "Options", "run"} <= set(vars(module))


def test_the_script_is_this_function():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    module, _, function = settings["project"]["scripts"]["bandit-rlhf"].partition(":")
    assert getattr(importlib.import_module(module), function) is cli.main


HEAVY = {"torch", "matplotlib", "hypothesis", "polars", "joblib", "gymnasium", "pandas"}


def loaded(*words: str) -> set[str]:
    """Which heavy modules a run of the command loads."""
    program = (
        "import sys; from bandit_rlhf.cli.main import main; main(sys.argv[1:]); "
        "print(*sys.modules, file=sys.stderr)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, *words], cwd=ROOT, capture_output=True, text=True
    )
    return HEAVY & set(ran.stderr.split())


def test_start_up_is_light(file, tmp_path):
    path = file(as_csv(CITATIONS))
    assert loaded("fit", "--help") == set()
    assert loaded("fit", path) == set()
    drawn = str(tmp_path / "a.png")
    assert "matplotlib" in loaded("fit", path, "--plot", drawn)  # the control
