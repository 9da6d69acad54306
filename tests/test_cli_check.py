"""`bandit-rlhf check`, `laws` and `explain`: verdicts, exit codes, and every sort of bad input."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from bandit_rlhf.cli.main import main
from bandit_rlhf.laws import judging, suite
from bandit_rlhf.laws.shrink import shrunk

ROOT = Path(__file__).resolve().parents[1]
NUMBER = count()

MODULE = """
import time
import numpy as np
{imports}

def leave_one_out(rewards):
    n = rewards.shape[1]
    return rewards - (rewards.sum(axis=1, keepdims=True) - rewards) / max(n - 1, 1)

def own_sample_inside(rewards):
    return rewards - rewards.mean(axis=1, keepdims=True)

def raises(rewards):
    raise KeyError("reward_model")

def exits(rewards):
    raise SystemExit(0)

def wrong_shape(rewards):
    return leave_one_out(rewards)[:, 0]

def wrong_dtype(rewards):
    return leave_one_out(rewards).astype(np.float64)

def whole_numbers(rewards):
    return leave_one_out(rewards).astype(int)

def nothing(rewards):
    leave_one_out(rewards)

def nan(rewards):
    return leave_one_out(rewards) * np.nan

def mutates(rewards):
    answer = leave_one_out(rewards)
    rewards -= rewards.mean(axis=1, keepdims=True)
    return answer

def draws(rewards):
    noise = np.random.default_rng().normal(size=rewards.shape)
    return leave_one_out(rewards) + noise.astype(rewards.dtype)

def takes_torch(rewards):
    import torch
    n = rewards.shape[1]
    others = torch.sum(rewards, dim=1, keepdim=True) - rewards
    return rewards - others / max(n - 1, 1)

def slow(rewards):
    time.sleep(0.2)
    return leave_one_out(rewards)

def slow_and_biased(rewards):
    time.sleep(0.01)
    return own_sample_inside(rewards)

def prints(rewards):
    print("here I am")
    return leave_one_out(rewards)

not_a_function = 3
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """A module of estimators in the folder one is in: its name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def write(imports: str = "") -> str:
        name = f"estimators_{next(NUMBER)}"
        (tmp_path / f"{name}.py").write_text(MODULE.format(imports=imports))
        return name

    return write


@pytest.fixture
def ask(module, capsys) -> Callable[..., tuple[int, dict]]:
    """`check` one of them as an advantage, as JSON: the exit code, and the report."""

    def call(function: str, *words: str) -> tuple[int, dict]:
        code = main(["check", f"{module()}:{function}", "--kind", "advantage", "--json", *words])
        return code, json.loads(capsys.readouterr().out, parse_constant=pytest.fail)

    return call


def statuses(report: dict) -> dict[str, str]:
    return {verdict["law"]: verdict["status"] for verdict in report["verdicts"]}


CLAIMED = ("U3", "U7", "A1", "A6", "A7")
"""The laws of an advantage that claims what its kind implies."""


# Verdicts.


def test_what_holds(ask):
    code, report = ask("leave_one_out")
    assert code == 0
    assert {law for law, status in statuses(report).items() if status == "PASS"} == {*CLAIMED}
    assert report["counts"]["PASS"] == len(CLAIMED)
    assert sum(report["counts"].values()) == len(report["verdicts"])


def test_what_does_not(ask):
    code, report = ask("own_sample_inside")
    assert code == 1
    (failed,) = (v for v in report["verdicts"] if v["status"] == "FAIL")
    assert failed["law"] == "A1"
    # n = 2: the own sample inside the mean halves the gradient (theorem 3)
    assert np.allclose(failed["got"], np.array(failed["expected"]) / 2, rtol=1e-12, atol=0)
    assert "= (n-1)/n: own sample inside a mean?" in failed["reading"]


def test_the_keys_of_the_json(ask):
    report = ask("own_sample_inside")[1]
    assert set(report) == {"kind", "subject", "counts", "verdicts"}
    assert report["kind"] == "advantage"
    assert report["subject"].endswith(":own_sample_inside")
    for verdict in report["verdicts"]:
        assert list(verdict) == ["law", "status", "got", "expected", "reading", "repro"]


def test_the_program_runs_on_its_own(ask, tmp_path):
    (failed,) = (v for v in ask("own_sample_inside")[1]["verdicts"] if v["repro"])
    assert "bandit_rlhf" not in failed["repro"]
    ran = subprocess.run(
        [sys.executable, "-c", failed["repro"]],
        cwd=tmp_path,
        env={name: x for name, x in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=True,
    )
    got, expected = ran.stdout.splitlines()
    assert [got.split()[0], expected.split()[0]] == ["got", "expected"]
    assert got.split()[1:] == str(np.array(failed["got"])).split()
    assert expected.split()[1:] == str(np.array(failed["expected"])).split()


@pytest.mark.parametrize(("degree", "status"), [("1", "PASS"), ("2", "FAIL")])
def test_claims_and_facts_come_from_the_command_line(ask, degree, status):
    words = ("--claim", "scale_degree", "--claim", "own_reward_free", "--fact", f"degree={degree}")
    code, report = ask("leave_one_out", *words)
    assert code == (status == "FAIL")
    assert statuses(report)["A4"] == status
    assert statuses(report)["A5"] == "PASS"
    assert statuses(report)["A1"] == "NOT APPLICABLE"


def test_one_law_alone(ask):
    code, report = ask("own_sample_inside", "--law", "A6")
    assert (code, statuses(report)) == (0, {"A6": "PASS"})


def test_the_text(module, capsys):
    assert main(["check", f"{module()}:own_sample_inside", "--kind", "advantage"]) == 1
    printed = capsys.readouterr().out
    assert "FAIL A1: the expected update is the policy gradient" in printed
    assert "ran 5: 4 passed, 1 failed" in printed.splitlines()[-1]


def test_hypothesis_looks_further(ask):
    assert ask("leave_one_out", "--profile", "ci", "--law", "A6")[0] == 0


# Estimators that cannot be asked, or that do what they should not.


@pytest.mark.parametrize(
    ("function", "words", "laws"),
    [
        ("raises", "raised KeyError: 'reward_model'", CLAIMED),
        ("exits", "raised SystemExit: 0", CLAIMED),
        ("wrong_shape", "but should be (2, 2), as rewards has", {"A1"}),
        ("wrong_dtype", "returned dtype float64, but should be float32", CLAIMED),
        ("whole_numbers", "returned dtype int64, but should be float64", CLAIMED),
        ("nothing", "returned NoneType, but should return an array", CLAIMED),
        ("draws", "two calls on the same arguments differ", {"U3", "A1", "A6", "A7"}),
    ],
)
def test_what_cannot_be_judged_is_an_error(module, capsys, function, words, laws):
    estimator = f"{module()}:{function}"
    assert main(["check", estimator, "--kind", "advantage", "--json"]) == 2
    said = capsys.readouterr()
    report = json.loads(said.out)
    errors = {v["law"]: v["reading"] for v in report["verdicts"] if v["status"] == "ERROR"}
    assert {*laws} <= {*errors}
    assert all(words in errors[law] for law in laws)
    assert report["counts"]["FAIL"] == 0
    assert "hint: estimators of kind advantage are called as f(rewards)" in said.err


def test_a_function_of_tensors_is_told_how_to_get_them(module):
    code, printed = fresh(f"{module()}:takes_torch")
    assert code == 2
    assert "ERROR           U3 U7 A1 A6 A7: raised TypeError" in printed
    assert "one that takes torch tensors needs --backend torch" in printed


def test_torch_is_tried_when_asked_for(ask):
    assert ask("takes_torch", "--backend", "torch")[0] == 0


def test_torch_is_tried_when_the_module_loads_it(module, capsys):
    assert main(["check", f"{module('import torch')}:takes_torch", "--kind", "advantage"]) == 0


def test_nan_fails_and_the_json_stays_json(ask):
    code, report = ask("nan")
    assert code == 1
    failed = [law for law, status in statuses(report).items() if status == "FAIL"]
    assert failed == ["U3", "A1", "A6", "A7"]
    (bias,) = (v for v in report["verdicts"] if v["law"] == "A1")
    assert set(bias["got"]) == {"nan"}
    assert "entries are NaN" in bias["reading"]


def test_a_changed_argument_fails(ask):
    code, report = ask("mutates")
    assert code == 1
    assert [law for law, status in statuses(report).items() if status == "FAIL"] == ["U7"]


def test_a_slow_failure_is_shrunk_for_a_while_and_told(ask, monkeypatch):
    """However slow each trial, shrinking ends, and what failed has failed."""
    monkeypatch.setattr(judging, "shrunk", partial(shrunk, seconds=0.2))
    dev = replace(judging.PROFILES["dev"], seconds=200.0)
    monkeypatch.setitem(judging.PROFILES, "dev", dev)
    code, report = ask("slow_and_biased", "--law", "A1", "--dtype", "float64")
    assert code == 1
    assert report["verdicts"][0]["status"] == "FAIL"
    assert "= (n-1)/n" in report["verdicts"][0]["reading"]


def test_a_slow_estimator_meets_the_time_limit(ask, monkeypatch):
    dev = replace(judging.PROFILES["dev"], seconds=0.5)
    monkeypatch.setitem(judging.PROFILES, "dev", dev)
    code, report = ask("slow", "--law", "A1")
    assert code == 2
    assert report["verdicts"][0]["status"] == "ERROR"
    assert "took more than 0.5 s" in report["verdicts"][0]["reading"]


def test_what_it_prints_is_no_part_of_the_report(ask):
    assert ask("prints")[0] == 0


# Words that cannot be understood.


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("{m}:leave_one_in", "--kind", "advantage"), "Did you mean 'leave_one_out'?"),
        (("{m}x:leave_one_out", "--kind", "advantage"), "Did you mean '{m}'?"),
        (("{m}.py:leave_one_out", "--kind", "advantage"), "Did you mean '{m}'?"),
        (("{m}:not_a_function", "--kind", "advantage"), "should be a function of arrays"),
        (("{m}", "--kind", "advantage"), "should be MODULE:FUNCTION"),
        (("no_such_thing:f", "--kind", "advantage"), "No module named 'no_such_thing'"),
        (("{m}:leave_one_out",), "declares no kind, but should. Give one (--kind)"),
        (("{m}:leave_one_out", "--kind", "advantages"), "Did you mean 'advantage'?"),
        (("{m}:leave_one_out", "--kind", "advantage", "--law", "AA1"), "Did you mean 'A1'?"),
        (("{m}:leave_one_out", "--kind", "advantage", "--law", "K1"), "law of kind advantage"),
        (("{m}:leave_one_out", "--kind", "advantage", "--claim", "centered"), "centred"),
        (("{m}:leave_one_out", "--kind", "advantage", "--fact", "degree"), "NAME=VALUE"),
        (("{m}:leave_one_out", "--kind", "advantage", "--law", "A2"), "none of 1 laws"),
        (("{m}:leave_one_out", "--kind", "advantage", "--backend", "jax"), "invalid choice"),
    ],
)
def test_a_wrong_word_is_answered_with_the_right_one(module, capsys, words, said):
    name = module()
    assert main(["check", *(word.format(m=name) for word in words)]) == 2
    told = capsys.readouterr()
    assert said.format(m=name) in told.err
    assert told.out == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("def f(:", "SyntaxError"),
        ("import no_such_thing", "No module named 'no_such_thing'"),
    ],
)
def test_a_module_that_does_not_load(module, tmp_path, capsys, text, said):
    name = module()
    (tmp_path / f"{name}.py").write_text(text)
    assert main(["check", f"{name}:f", "--kind", "advantage"]) == 2
    told = capsys.readouterr().err
    assert f"module {name} cannot be imported" in told
    assert said in told


# What is loaded.


HEAVY = {"torch", "hypothesis", "matplotlib", "polars", "rich", "scipy.stats", "pytest"}


def fresh(estimator: str, *words: str) -> tuple[int, str]:
    """The exit code of `check` in an interpreter of its own; what it printed, and its modules."""
    program = (
        "import sys; from bandit_rlhf.cli.main import main; code = main(sys.argv[1:]); "
        "print(*sys.modules, file=sys.stderr); raise SystemExit(code)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, "check", estimator, "--kind", "advantage", *words],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    return ran.returncode, ran.stdout + ran.stderr


def loaded(estimator: str, *words: str) -> tuple[int, set[str]]:
    """The exit code, and which heavy modules the run loads."""
    code, printed = fresh(estimator, *words)
    return code, HEAVY & set(printed.split())


def test_a_check_loads_nothing_heavy(module):
    name = module()
    assert loaded(f"{name}:leave_one_out") == (0, set())
    assert loaded(f"{name}:own_sample_inside") == (1, set())


def test_control_what_is_loaded_is_seen(module):
    assert loaded(f"{module()}:leave_one_out", "--profile", "ci")[1] == {"hypothesis"}


# `laws` and `explain`.


def test_laws_are_listed(capsys):
    assert main(["laws"]) == 0
    printed = capsys.readouterr().out
    assert all(f"\n  {law.id} " in printed for law in suite.laws())
    assert f"{len(suite.laws())} laws" in printed
    assert "the expected update is the policy gradient [2, 3]" in printed


def test_laws_as_rows(capsys):
    assert main(["laws", "--kind", "advantage", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["id"] for row in rows] == [law.id for law in suite.of_kind("advantage")]
    wanted = {"id", "kind", "claim", "title", "statement", "theorem", "oracle", "kills"}
    assert all(wanted | {"must_pass"} <= set(row) for row in rows)
    (bias,) = (row for row in rows if row["id"] == "A1")
    assert bias["theorem"] == ["2", "3"]
    assert "own_sample_inside" in bias["kills"]


def test_explaining_computes_an_example(capsys):
    assert main(["explain", "A1", "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    example = told["example"]
    assert example["name"] == told["kills"][0]
    assert not np.allclose(example["got"], example["expected"])
    space: dict = {}
    exec(example["repro"], space)
    assert np.allclose(space["got"], example["got"])
    assert np.allclose(space["expected"], example["expected"])


def test_explaining_one_kind_of_several(capsys):
    assert main(["explain", "U1", "--json"]) == 0
    everywhere = json.loads(capsys.readouterr().out)
    assert main(["explain", "U1", "--kind", "gae", "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)
    assert one["kind"] == "gae"
    assert one["kind"] in {told["kind"] for told in everywhere}
    assert len(everywhere) > 1


def test_explaining_in_words(capsys):
    assert main(["explain", "A7"]) == 0
    printed = capsys.readouterr().out
    for told in ("A7 (advantage)", "tolerance", "kills", "must pass", "for example", "FAIL A7"):
        assert told in printed


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("explain", "AA1"), "Did you mean 'A1'?"),
        (("explain", "A1", "--kind", "gae"), "law of kind gae"),
        (("explain", "A1", "--kind", "advantages"), "Did you mean 'advantage'?"),
        (("laws", "--kind", "advantages"), "Did you mean 'advantage'?"),
    ],
)
def test_an_unknown_law_or_kind_is_answered_with_the_nearest(capsys, words, said):
    assert main(list(words)) == 2
    assert said in capsys.readouterr().err
