"""The command line: answers on stdout, exit codes, and what each command touches."""

import errno
import json
import os
from pathlib import Path

import pytest

from experiments.claims import CLAIMS
from experiments.commands import claims_of
from experiments.judging import exact
from experiments.report import Finding

FIELDS = [
    "id",
    "who",
    "statement",
    "prediction",
    "null",
    "effect",
    "interval",
    "verdict",
    "experiment",
    "figure",
    "on_other_seeds",
]


def test_list_json(cli, capsys):
    assert cli("list", "--json") == 0
    assert json.loads(capsys.readouterr().out) == [
        {"name": "waves", "claims": ["1-gain"], "about": "Waves: gain that rises with the step."}
    ]
    assert cli("list") == 0
    shown = capsys.readouterr().out
    assert "waves" in shown
    assert "1-gain" in shown


def test_debate_json_is_alone_on_stdout(tiny):
    answer = tiny.call("debate", "--profile", "smoke", "--json", "--jobs", "2")
    assert answer.returncode == 0, answer.stderr
    (finding,) = json.loads(answer.stdout)
    assert list(finding) == FIELDS
    assert finding["verdict"] == "supported"
    assert finding["interval"][0] < finding["effect"] < finding["interval"][1]
    assert Path(tiny.root, finding["figure"]).is_file()
    assert "chatters on stdout" in answer.stderr  # the control: the experiment did print
    assert "\x1b" not in answer.stderr  # no control characters where there is no terminal


def test_debate_prints_the_table_and_the_figures(cli, tiny, capsys):
    assert cli("debate", "--profile", "smoke") == 0
    shown = capsys.readouterr().out
    for text in ("Ann [of Thames]", "at least 0.5 nats", "[nats]", "supported", "waves.pdf"):
        assert text in shown
    assert {path.name for path in Path("figures").iterdir()} == {
        "waves.pdf",
        "waves.svg",
        "waves.png",
    }
    assert len(tiny.logged("start")) == 4
    assert cli("debate", "--profile", "smoke", "--json") == 0  # reuses every cell
    assert len(tiny.logged("start")) == 4


def test_a_failed_cell_leaves_its_claims_undecided_and_the_rest_judged(cli, tiny, capsys):
    tiny.edit(
        '"full": Plan((Config(), Config(slope=2.0, trouble="raise"), Config(slope=3.0))',
        '"full": Plan((Config(), Config(slope=2.0), Config(slope=3.0))',
        name="calm",
    )
    claims = (tiny.root / tiny.package / "claims.py").read_text()
    tiny.write(
        "claims",
        claims + "\nfrom dataclasses import replace\n"
        "CLAIMS += (replace(CLAIMS[0], id='2-calm', experiment='calm'),)\n",
    )
    assert cli("debate", "--profile", "full", "--json") == 1
    captured = capsys.readouterr()
    gain, calm = json.loads(captured.out)
    assert (gain["verdict"], gain["effect"], gain["figure"]) == ("undecided", None, None)
    assert calm["verdict"] != "undecided" or calm["effect"] is not None
    assert calm["figure"] == "figures/calm.pdf"
    assert "ZeroDivisionError: trouble was asked for" in captured.err


@pytest.mark.parametrize(
    ("module", "old", "new", "message"),
    [
        ("claims", "mean = float(gain.mean())", "mean = gain.no_such()", "judge failed"),
        ("claims", "return Judgement(mean,", "return (mean,", "judge returned a tuple"),
        ("waves", "left, right = figure", "left, right = no_such", "draw failed: NameError"),
        ("waves", "import numpy as np", "import no_such_module", "no_such_module"),
    ],
)
def test_a_broken_judge_figure_or_import_is_told(cli, tiny, capsys, module, old, new, message):
    path = tiny.root / tiny.package / f"{module}.py"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    assert cli("debate", "--profile", "smoke", "--json") == 1
    captured = capsys.readouterr()
    (finding,) = json.loads(captured.out)
    assert (finding["verdict"] == "undecided") == ("draw" not in message)
    assert message in captured.err


def test_a_failing_recomputation_shows_though_old_rows_stand(cli, tiny, capsys):
    assert cli("debate", "--profile", "smoke", "--json") == 0
    tiny.edit('if config.trouble == "raise"', "if True")
    import sys

    del sys.modules[f"{tiny.package}.waves"]
    assert cli("debate", "--profile", "smoke", "--json", "--fresh") == 1
    _, found = capsys.readouterr().out.split("\n]\n", 1)
    assert json.loads(found)[0]["verdict"] == "undecided"


def test_run_says_what_it_did_and_exits_by_it(cli, tiny, capsys):
    assert cli("run", "waves", "--profile", "smoke") == 0
    assert "4 cells: 4 computed, 0 reused, 0 failed" in capsys.readouterr().out
    assert cli("run", "waves", "--profile", "smoke") == 0
    assert "4 cells: 0 computed, 4 reused, 0 failed" in capsys.readouterr().out
    assert cli("run", "waves", "--profile", "full") == 1
    captured = capsys.readouterr()
    assert "1 computed, 1 reused, 1 failed" in captured.out
    assert "failed: waves(slope=2.0, pause=0.0, trouble=raise) seed 0: Zero" in captured.err


def test_config_and_seeds_on_the_command_line(cli, tiny, capsys):
    words = ("waves", "--config.slope", "7", "--seeds", "2")
    assert cli("run", *words) == 0
    assert tiny.logged("start") == ["7.0 0", "7.0 1"]
    assert cli("draw", *words) == 0
    assert cli("draw", "waves") == 2  # the cells of the plan are others
    assert cli("run", "waves", "--config.slop", "7") == 2
    assert cli("run", "waves", "--config.slope", "steep") == 2
    assert "FLOAT" in capsys.readouterr().err


def test_another_set_of_seeds_is_another_set_of_cells(cli, tiny, capsys):
    assert cli("debate", "--profile", "smoke", "--json") == 0
    assert cli("debate", "--profile", "smoke", "--json", "--first-seed", "7") == 0
    seeds = {line.split()[1] for line in tiny.logged("start")}
    assert seeds == {"0", "1", "7", "8"}
    assert cli("run", "waves", "--seeds", "1", "--first-seed", "40") == 0
    assert any(line.endswith(" 40") for line in tiny.logged("start"))
    assert cli("run", "waves", "--first-seed", "-1") == 2
    assert "first seed is -1" in capsys.readouterr().err


def test_every_claim_is_judged_on_each_set_of_seeds(cli, tiny, capsys):
    assert cli("debate", "--profile", "smoke", "--json", "--seed-sets", "3") == 0
    seeds = {line.split()[1] for line in tiny.logged("start")}
    assert seeds == {"0", "1", "2", "3", "4", "5"}
    (finding,) = json.loads(capsys.readouterr().out)
    assert len(finding["on_other_seeds"]) == 2
    for first, other in enumerate(finding["on_other_seeds"], start=1):
        words = ("--profile", "smoke", "--json", "--first-seed", str(2 * first))
        assert cli("debate", *words) == 0  # each set is judged as if it were alone
        (alone,) = json.loads(capsys.readouterr().out)
        assert other == {name: alone[name] for name in ("effect", "interval", "verdict")}
    assert cli("debate", "--profile", "smoke", "--seed-sets", "3") == 0
    assert "Verdicts on 3 disjoint sets of seeds" in capsys.readouterr().out
    assert cli("debate", "--profile", "smoke", "--seed-sets", "0") == 2


def test_a_verdict_that_changes_with_the_seeds_does_not_stand():
    supported, refuted = (exact(1.0, verdict, "") for verdict in ("supported", "refuted"))
    claim = claims_of("experiments")[0]
    assert Finding(claim, supported, None, (supported, supported)).stands
    assert not Finding(claim, supported, None, (supported, refuted)).stands


def test_an_exact_plan_keeps_its_seed(tiny):
    from experiments.experiment import load

    (cell,) = load(tiny.package, "waves").cells("full", first_seed=5)[:1]
    assert cell.seed == 0  # the plan has one seed


def test_headline_runs_what_its_claims_need_and_nothing_else(cli, tiny, capsys):
    tiny.edit('    log("start", config, seed)', "    raise AssertionError", name="calm")
    claims = (tiny.root / tiny.package / "claims.py").read_text()
    tiny.write(
        "claims",
        claims + "\nfrom dataclasses import replace\n"
        "CLAIMS = (replace(CLAIMS[0], headline=True), "
        "replace(CLAIMS[0], id='2-calm', experiment='calm'))\n",
    )
    assert cli("debate", "--profile", "smoke", "--json", "--headline") == 0
    (finding,) = json.loads(capsys.readouterr().out)
    assert finding["id"] == "1-gain"
    assert cli("debate", "--profile", "smoke", "--json") == 1  # the control: calm fails


def test_help_teaches(cli, capsys):
    assert cli("--help") == 0
    assert "Exit codes" in capsys.readouterr().out
    assert cli("run", "waves", "--help") == 0
    shown = capsys.readouterr().out
    assert "gain a step, in nats" in shown  # the comment of the field
    assert "python -m experiments run NAME --profile smoke" in shown
    assert cli("run", "--help") == 0


def test_usage_errors_exit_with_2(cli, capsys):
    assert cli("run", "wave") == 2
    assert "Did you mean 'waves'?" in capsys.readouterr().err
    assert cli("draw", "wavs", "--config.x", "1") == 2
    assert "Did you mean 'waves'?" in capsys.readouterr().err
    assert cli("run", "waves", "--jobs", "0") == 2
    assert "--jobs is 0" in capsys.readouterr().err
    assert cli("run", "waves", "--seeds", "0") == 2
    assert cli("run", "waves", "--profile", "huge") == 2
    assert cli("fly") == 2


def test_draw_reads_the_table_and_nothing_else(cli, tiny, capsys):
    assert cli("run", "waves", "--profile", "smoke") == 0
    executed = tiny.log.read_text()
    tiny.edit('    log("start", config, seed)', '    raise AssertionError("draw must not run")')
    answer = tiny.call("draw", "waves", "--profile", "smoke", "--style", "talk")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.split() == [f"figures/waves.{form}" for form in ("pdf", "svg", "png")]
    assert tiny.log.read_text() == executed
    # The control: a run in that place would be noticed.
    assert tiny.call("run", "waves", "--profile", "smoke", "--fresh").returncode == 1


def test_cells_of_other_profiles_do_not_leak_into_a_figure(cli, tiny):
    assert cli("run", "waves", "--profile", "smoke") == 0
    assert cli("draw", "waves", "--profile", "smoke") == 0
    alone = Path("figures/waves.svg").read_bytes()
    assert cli("run", "waves", "--profile", "quick") == 0
    assert cli("draw", "waves", "--profile", "smoke") == 0
    assert Path("figures/waves.svg").read_bytes() == alone
    assert cli("draw", "waves", "--profile", "quick") == 0
    assert Path("figures/waves.svg").read_bytes() != alone  # the control


def test_a_damaged_cell_is_named_refused_by_draw_and_recomputed_by_run(cli, tiny, capsys):
    assert cli("run", "waves", "--profile", "smoke") == 0
    damaged = next(Path("results/waves").glob("*.parquet"))
    damaged.write_bytes(damaged.read_bytes()[:-20])
    assert cli("draw", "waves", "--profile", "smoke") == 2
    assert damaged.name in capsys.readouterr().err
    assert cli("run", "waves", "--profile", "smoke") == 0
    captured = capsys.readouterr()
    assert f"{damaged.name} has" in captured.err
    assert "1 computed, 3 reused" in captured.out
    assert cli("draw", "waves", "--profile", "smoke") == 0


def test_cells_of_other_source_are_reused_by_name(cli, tiny, capsys):
    assert cli("run", "waves", "--profile", "smoke") == 0
    assert "warning" not in capsys.readouterr().err
    tiny.edit("# gain a step", "# the gain a step")
    assert cli("run", "waves", "--profile", "smoke") == 0
    captured = capsys.readouterr()
    assert "warning: 4 recorded cells of waves were computed by other source" in captured.err
    assert "4 reused" in captured.out
    assert cli("run", "waves", "--profile", "smoke", "--fresh") == 0
    assert cli("run", "waves", "--profile", "smoke") == 0
    assert "warning" not in capsys.readouterr().err


# As root no mode makes a folder read-only: a folder below a file stands for one.
def test_folders_that_cannot_be_written_to(cli, tiny, capsys):
    Path("file").touch()
    assert cli("run", "waves", "--profile", "smoke", "--results", "file/below") == 2
    assert "--results" in capsys.readouterr().err
    assert cli("debate", "--profile", "smoke", "--figures", "file/below") == 2
    assert "--figures" in capsys.readouterr().err
    assert tiny.logged("start") == []  # told before anything was computed


def test_a_disk_that_fills_up_on_the_way_loses_nothing(cli, tiny, capsys, monkeypatch):
    from experiments import record

    writes = []
    write = record.write_atomically

    def filling(path: Path, content: bytes) -> None:
        writes.append(path)
        if len(writes) > 5:  # two files a cell: the third cell's rows fit, its provenance does not
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(record, "write_atomically", filling)
        assert cli("run", "waves", "--profile", "smoke") == 2
    assert "No space left on device" in capsys.readouterr().err
    assert cli("run", "waves", "--profile", "smoke") == 0
    assert "2 computed, 2 reused" in capsys.readouterr().out


def test_an_interrupt_has_its_own_code(cli, tiny, capsys):
    tiny.edit('    log("start", config, seed)', "    raise KeyboardInterrupt")
    assert cli("run", "waves", "--profile", "smoke") == 130
    assert "the same command goes on" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("CLAIMS += CLAIMS", "Two claims have the id '1-gain'"),
        ("X", "names the experiment 'wives'"),
    ],
)
def test_claims_that_do_not_fit_are_refused(cli, tiny, capsys, change, message):
    claims = (tiny.root / tiny.package / "claims.py").read_text()
    claims = claims.replace('"waves"', '"wives"') if change == "X" else f"{claims}\n{change}\n"
    tiny.write("claims", claims)
    assert cli("list") == 2
    assert message in capsys.readouterr().err


def test_the_claims_of_this_project_are_whole():
    assert claims_of("experiments") == CLAIMS  # ids differ, experiments exist
    for claim in CLAIMS:
        texts = (claim.id, claim.who, claim.statement, claim.prediction, claim.null)
        assert all(text.strip() for text in texts)
        assert claim.prediction != claim.null
