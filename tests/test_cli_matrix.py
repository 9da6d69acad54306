"""`bandit-rlhf matrix`: what is printed, exit codes, figures, and every sort of bad input."""

import json
from pathlib import Path
from typing import Any

import pytest

from bandit_rlhf.cli import matrix as command
from bandit_rlhf.cli.main import main
from bandit_rlhf.laws import matrix
from bandit_rlhf.laws.matrix import Judged, Matrix, Row

NAN = float("nan")


def verdict(law: str, status: str, **more: Any) -> dict[str, Any]:
    empty = {"got": None, "expected": None, "reading": "", "repro": ""}
    return {"law": law, "status": status} | empty | more


def judged(name: str, kind: str, *verdicts: dict[str, Any]) -> Judged:
    counts = {s: sum(v["status"] == s for v in verdicts) for s in matrix.LETTERS}
    report = {"kind": kind, "subject": f"m:{name}", "counts": counts, "verdicts": list(verdicts)}
    return Judged(name, kind, report)


RLOO = judged("rloo", "advantage", verdict("A1", "PASS"), verdict("A2", "DECLARED"))
WORSE = judged(
    "grpo",
    "advantage",
    verdict("A1", "FAIL", got=[NAN], expected=[1.0], reading="off by\n  much"),
    verdict("A2", "NOT APPLICABLE"),
)
ASKS = judged("k1", "kl", verdict("U1", "PRECONDITION"), verdict("K1", "ERROR", reading="slow"))
GOOD = Matrix((Row("somelib", "1.2", "", (RLOO,)),))
BAD = Matrix((Row("somelib", "1.2", "", (RLOO, WORSE)), Row("other", "0.1", "", (ASKS,))))
GONE = Matrix((*GOOD.rows, Row("lost", "", "not installed: pip install lost==1.0")))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What `matrix_of` is asked; it answers with the first table of `tables`."""
    calls: list[dict[str, Any]] = []
    monkeypatch.setattr(
        matrix, "matrix_of", lambda *names, **how: calls.append({"names": names, **how}) or BAD
    )
    return calls


def answers(monkeypatch: pytest.MonkeyPatch, table: Matrix) -> None:
    monkeypatch.setattr(matrix, "matrix_of", lambda *_, **__: table)


@pytest.mark.parametrize(("table", "code"), [(GOOD, 0), (BAD, 1), (GONE, 2)])
def test_exit_codes(monkeypatch: pytest.MonkeyPatch, table: Matrix, code: int) -> None:
    answers(monkeypatch, table)
    assert main(["matrix"]) == code
    assert main(["matrix", "--json"]) == code


def test_the_table_has_a_letter_for_each_verdict(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers(monkeypatch, BAD)
    main(["matrix"])
    words = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["A1", "A2"] in words
    assert ["rloo", "P", "D"] in words
    assert ["grpo", "F", "."] in words
    assert ["k1", "C", "E"] in words
    assert ["FAIL", "A1", "somelib", "grpo:", "off", "by", "much"] in words
    assert ["ERROR", "K1", "other", "k1:", "slow"] in words
    assert ["somelib", "1.2", "2", "1", "1", "1", "0", "1", "0"] in words
    assert ["all", "3", "1", "1", "1", "1", "1", "1"] in words


def test_a_library_that_was_not_judged_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers(monkeypatch, GONE)
    assert main(["matrix"]) == 2
    assert "lost: not installed: pip install lost==1.0" in capsys.readouterr().out


def test_names_are_not_cut_in_a_narrow_window(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "an_estimator_with_quite_a_name_" * 4
    many = [verdict(f"L{k}-direction", "PASS") for k in range(12)]
    answers(monkeypatch, Matrix((Row("x", "1", "", (judged(name, "kl", *many),)),)))
    monkeypatch.setenv("COLUMNS", "40")
    main(["matrix"])
    assert [name, *["P"] * 12] in [x.split() for x in capsys.readouterr().out.splitlines()]


def test_json_is_the_table_with_nan_as_a_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers(monkeypatch, BAD)
    assert main(["matrix", "--json"]) == 1
    table = json.loads(capsys.readouterr().out)
    estimators = table["libraries"][0]["estimators"]
    assert [e["estimator"] for e in estimators] == ["rloo", "grpo"]
    assert estimators[1]["verdicts"][0]["got"] == ["nan"]
    assert table["counts"]["FAIL"] == 1


def test_options_reach_the_collection(asked: list[dict[str, Any]]) -> None:
    words = "--library trl --library verl --python py --profile ci --seconds 30"
    main(["matrix", *words.split()])
    (call,) = asked
    expected = {"names": (("trl", "verl"),), "python": "py", "profile": "ci", "seconds": 30.0}
    assert call == expected


def test_a_figure_is_drawn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    answers(monkeypatch, BAD)
    main(["matrix", "--plot", str(tmp_path / "m.pdf")])
    assert (tmp_path / "m.pdf").read_bytes().startswith(b"%PDF")


def test_nothing_judged_draws_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers(monkeypatch, Matrix(GONE.rows[1:]))
    assert main(["matrix", "--plot", str(tmp_path / "m.pdf")]) == 2
    assert "nothing was judged" in capsys.readouterr().err
    assert not (tmp_path / "m.pdf").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--plot", "m.jpeg"], "the path ends in '.jpeg'"),
        (["--library", "torchtun"], "Did you mean 'torchtune'?"),
        (["--library", "trl", "--python", "no/such/python"], "should be an interpreter"),
    ],
)
def test_bad_input(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["matrix", *words]) == 2
    assert message in capsys.readouterr().err


def test_the_whole_way_once(capsys: pytest.CaptureFixture[str]) -> None:
    """A process, what it says, the table, the code: of a library that is not here."""
    assert main(["matrix", "--library", "polgrad"]) == 2
    assert "polgrad: not installed: pip install polgrad==0.2.1" in capsys.readouterr().out


def test_help_teaches_with_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["matrix", "--help"]) == 0
    assert "--library" in capsys.readouterr().out
    assert command.ABOUT.count("bandit-rlhf matrix") >= 3
