"""Crowd and machine: measures against plain loops, a judge that can lose, and life without data."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from bandit_rlhf import objective
from bandit_rlhf.comparisons import Comparisons
from bandit_rlhf.preference import davidson, sample_outcome
from experiments import crowd_and_machine, llmfao, machine_feedback, style
from experiments.crowd_and_machine import Config, draw, measures, random_half, run, sweep_of
from experiments.llmfao import ABSENT, SameQuestions, digest, load, outcomes, same_questions
from experiments.machine_feedback import BOTH, judge, measured
from experiments.two_annotators import (
    Fits,
    Weights,
    agreement,
    by_beta,
    held_out,
    slope,
    tilted,
)
from tests.real_data import real

ROOT = Path(__file__).resolve().parents[2]
MODELS, PROMPTS, PEOPLE = 8, 10, 14


def world(seed: int, crowd: np.ndarray, machine: np.ndarray, asked: int = 3) -> dict[str, str]:
    """Both files, judged by Davidson's model: every pair on every prompt, by `asked` people."""
    rng = np.random.default_rng(seed)
    names = [f"model {k}" for k in range(MODELS)]
    crowd_lines = ["id,prompt,worker,winner,left,right"]
    machine_lines = ["id,prompt,winner,left,right"]
    questions = itertools.product(range(PROMPTS), itertools.combinations(range(MODELS), 2))
    for number, (prompt, pair) in enumerate(questions):
        left, right = rng.permutation(pair)

        def said(scores: np.ndarray, ties: float, a: int = left, b: int = right) -> str:
            law = davidson(np.asarray(scores[a] - scores[b]), np.asarray(ties))
            return ("tie", "left", "right")[int(sample_outcome(law, rng))]

        about = f"{number},p{prompt}"
        for worker in rng.choice(PEOPLE, asked, replace=False):
            shown = f"{names[left]},{names[right]}"
            crowd_lines.append(f"{about},w{worker},{said(crowd, 0.5)},{shown}")
        machine_lines.append(f"{about},{said(machine, -2.0)},{names[left]},{names[right]}")
    lines = (crowd_lines, machine_lines)
    return {name: "\n".join(text) + "\n" for name, text in zip(llmfao.FILES, lines, strict=True)}


SCORES = np.linspace(-1.5, 1.5, MODELS)


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Write the files of a world where BANDIT_RLHF_DATA leads, and read them."""

    def write(*world_arguments) -> SameQuestions:
        folder = tmp_path / "llmfao"
        folder.mkdir(exist_ok=True)
        for name, text in world(*world_arguments).items():
            (folder / name).write_text(text)
        monkeypatch.setenv(llmfao.VARIABLE, str(tmp_path))
        return load(digest())

    return write


def even(data: SameQuestions) -> Weights:
    return Weights(np.ones(len(data.crowd.annotators)), np.ones(len(data.crowd.prompts)))


def unequal(data: SameQuestions, seed: int = 0) -> Weights:
    rng = np.random.default_rng(seed)
    sizes = len(data.crowd.annotators), len(data.crowd.prompts)
    return Weights(*(rng.standard_exponential(size) for size in sizes))


def values(found) -> dict:
    return {(name, at): value for name, at, value in found}


# The questions.


def test_questions_are_lined_up(files):
    data = files(0, SCORES, SCORES)
    crowd, machine = data.crowd, data.machine
    assert machine.row_count == PROMPTS * MODELS * (MODELS - 1) // 2
    assert crowd.row_count == 3 * machine.row_count
    assert crowd.prompt is not None
    assert machine.prompt is not None
    for row, other in enumerate(data.question):
        mine, theirs = (
            {int(t.winner[r]), int(t.loser[r])} for t, r in ((crowd, row), (machine, other))
        )
        assert mine == theirs
        assert crowd.prompt[row] == machine.prompt[other]


def test_outcomes_are_seen_from_the_lower_id():
    rows = Comparisons.from_labels(["a", "b", "b"], ["b", "a", "a"], tie=[False, False, True])
    assert outcomes(rows).tolist() == [1, -1, 0]


def test_tables_that_do_not_fit_are_refused():
    crowd = Comparisons.from_labels(["a", "b"], ["b", "a"], prompt=["x", "y"])
    twice = Comparisons.from_labels(["a", "b", "a"], ["b", "a", "b"], prompt=["x", "y", "y"])
    with pytest.raises(ValueError, match="judged a question twice"):
        same_questions(crowd, twice)
    with pytest.raises(ValueError, match="other items or prompts"):
        same_questions(crowd, Comparisons.from_labels(["a"], ["b"], prompt=["x"]))
    three = Comparisons.from_labels(["a", "b", "c"], ["b", "c", "a"], prompt=["x", "x", "x"])
    fewer = Comparisons.from_labels(["a", "b"], ["b", "c"], prompt=["x", "x"])
    with pytest.raises(ValueError, match="left out a question"):
        same_questions(three, fewer)


# Agreement, by plain loops.


@pytest.mark.parametrize("weigh", [even, unequal])
def test_agreement_is_what_loops_count(files, weigh):
    data = files(1, SCORES, -SCORES)
    weights = weigh(data)
    said, machine = outcomes(data.crowd), outcomes(data.machine)
    people, prompts = data.crowd.annotator, data.crowd.prompt
    assert people is not None
    assert prompts is not None
    sums = {name: [0.0, 0.0] for name in ("mp", "pp", "mp decided", "pp decided", "tie")}

    def count(name: str, weight: float, agreed: bool) -> None:
        sums[name][0] += weight * agreed
        sums[name][1] += weight

    for i, q in enumerate(data.question):
        weight = weights.person[people[i]] * weights.prompt[prompts[i]]
        count("mp", weight, said[i] == machine[q])
        count("tie", weight, said[i] == 0)
        if said[i] and machine[q]:
            count("mp decided", weight, said[i] == machine[q])
        for j in np.flatnonzero(data.question == q):
            if i != j:
                count("pp", weight * weights.person[people[j]], said[i] == said[j])
                if said[i] and said[j]:
                    count("pp decided", weight * weights.person[people[j]], said[i] == said[j])
    expected = {name: agreed / total for name, (agreed, total) in sums.items()}
    found = {name: value for name, _, value in agreement(data, weights)}
    assert found["agree: machine, person"] == pytest.approx(expected["mp"])
    assert found["agree: two people"] == pytest.approx(expected["pp"])
    assert found["agree, decided: machine, person"] == pytest.approx(expected["mp decided"])
    assert found["agree, decided: two people"] == pytest.approx(expected["pp decided"])
    assert found["ties: people"] == pytest.approx(expected["tie"])


# Policies.


def test_tilted_laws_are_gibbs_laws_of_the_kl_asked_for():
    reward = np.random.default_rng(3).standard_normal(20)
    kls = np.array([0.01, 0.5, 1.0, 2.9])
    uniform = np.full(20, 1 / 20)
    laws = tilted(reward, kls)
    np.testing.assert_allclose(objective.kl_divergence(laws, uniform), kls, rtol=1e-9)
    for law in laws:
        t = slope(reward, np.log(law))
        np.testing.assert_allclose(law, objective.gibbs(uniform, reward, 1 / t), rtol=1e-8)
    with pytest.raises(ValueError, match=r"between 0 and 2\.996 nats"):
        tilted(reward, np.array([3.0]))


def test_a_machine_that_is_the_crowd_loses_nothing(files):
    """At equal beta: the same rewards, the same policies."""
    data = files(2, SCORES, SCORES)
    twin = SameQuestions(data.machine, data.machine, np.arange(data.machine.row_count))
    people = np.zeros(twin.crowd.row_count, np.int32)  # one person said it all
    table = Comparisons(
        twin.crowd.winner, twin.crowd.loser, twin.crowd.items, twin.crowd.tie,
        prompt=twin.crowd.prompt, annotator=people, prompts=twin.crowd.prompts, annotators=("w",),
    )  # fmt: skip
    twin = SameQuestions(table, table, twin.question)
    found = values(by_beta(Fits(twin, even(twin), 0.05), np.array([0.5, 2.0])))
    for beta in (0.5, 2.0):
        assert found["divergence", beta] == pytest.approx(0, abs=1e-12)
        assert found["reward: machine", beta] == pytest.approx(found["reward: crowd", beta])


def test_held_out_gains_by_the_two_halves(files):
    """Two people, one split: the one's policy judged by the other, and the reverse."""
    data = files(4, SCORES, SCORES)
    assert data.crowd.annotator is not None
    half = (np.arange(PEOPLE) % 2).astype(float)
    kls = np.array(KLS)
    fits = Fits(data, even(data), 0.05)
    uniform = np.full(MODELS, 1 / MODELS)
    one, two = fits.crowd(half).scores, fits.crowd(1 - half).scores
    gain = [
        tilted(own, kls) @ judging - uniform @ judging for own, judging in ((one, two), (two, one))
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("experiments.two_annotators.STRONG", 1.3)
        found = values(held_out(fits, [half], kls))
    for k, kl in enumerate(kls):
        crowd = found["held-out gain: half of the crowd", kl]
        assert crowd == pytest.approx((gain[0][k] + gain[1][k]) / 2)
        assert found["share", kl] == pytest.approx(found["held-out gain: machine", kl] / crowd)
    machine = [found["held-out gain: machine", kl] for kl in kls]
    assert found["held-out gain further on: machine", None] == pytest.approx(
        machine[2] - machine[1]
    )


def test_halves_are_halves():
    half = random_half(7, np.random.default_rng(0))
    assert sorted(half) == [0] * 3 + [1] * 4


# The judge, on whole tables.

KLS = (0.5, 1.0, 1.3)


def table_of(monkeypatch, resamples: int = 6, **how) -> pl.DataFrame:
    """The rows of a sweep of small resamples, as the engine hands them to the judge."""
    monkeypatch.setattr(machine_feedback, "STRONG", 1.3)
    monkeypatch.setattr("experiments.two_annotators.STRONG", 1.3)
    frames = []
    for kind in crowd_and_machine.RESAMPLED:
        config = Config(
            judgements=digest(), resampled=kind, kls=KLS, betas=(0.5, 2.0), splits=2,
            resamples=1 if kind == "nothing" else resamples, **how,
        )  # fmt: skip
        rows = run(config, 0)
        frames.append(
            pl.DataFrame(rows, infer_schema_length=None).with_columns(
                pl.lit(kind).alias("config.resampled"), pl.lit(0).alias("seed")
            )
        )
    return pl.concat(frames, how="diagonal_relaxed")


def test_a_machine_of_the_crowds_mind_is_supported(files, monkeypatch):
    files(5, SCORES, 2 * SCORES, 10)
    found = judge(table_of(monkeypatch))
    assert found.verdict == "supported"
    assert found.effect == pytest.approx(1, abs=0.25)


def test_a_machine_of_the_opposite_mind_is_refuted(files, monkeypatch):
    files(6, SCORES, -2 * SCORES, 10)
    found = judge(table_of(monkeypatch))
    assert found.verdict == "refuted"
    assert found.effect is not None
    assert found.effect < 0


def test_a_machine_that_knows_nothing_is_not_supported(files, monkeypatch):
    files(7, SCORES, 0 * SCORES, 10)
    assert judge(table_of(monkeypatch)).verdict in ("refuted", "undecided")


def test_the_figure_shows_the_estimates(files, monkeypatch):
    files(8, SCORES, SCORES)
    table = table_of(monkeypatch, resamples=3)
    with style.venue("neurips"):
        figure = draw(table)
    assert len(figure.axes) == 6
    drawn = {float(x) for line in figure.axes[0].lines for x in np.atleast_1d(line.get_xdata())}
    for name in ("agree: machine, person", "agree: two people"):
        assert measured(table, name).estimate in drawn
    curve = np.asarray(figure.axes[3].lines[1].get_ydata())
    expected = [measured(table, "held-out gain: machine", kl).estimate for kl in KLS]
    np.testing.assert_allclose(curve, expected)


def test_intervals_are_students_around_the_estimate():
    rows = [{"config.resampled": "nothing", "value": 1.0, "clusters": None}]
    rows += [{"config.resampled": BOTH, "value": v, "clusters": 3} for v in (0.0, 1.0, 2.0)]
    table = pl.DataFrame(rows).with_columns(quantity=pl.lit("x"), at=pl.lit(None, pl.Float64))
    found = measured(table, "x")
    assert (found.estimate, found.stderr) == (1.0, 1.0)
    assert found.interval == pytest.approx((1 - 4.302653, 1 + 4.302653))  # t, 2 degrees of freedom
    with pytest.raises(ValueError, match="has 0 estimates and 0 resamples"):
        measured(table, "y")


# Rows.


def test_rows_are_a_function_of_config_seed_and_files(files):
    files(9, SCORES, SCORES)
    config = Config(digest(), "people and prompts", 2, kls=(1.0, 1.9), betas=(1.0,))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("experiments.two_annotators.STRONG", 1.9)
        rows = run(config, 0)
        assert rows == run(config, 0)
        assert rows != run(config, 1)
    files(10, SCORES, SCORES)
    with pytest.raises(ValueError, match=r"the judgements have digest \w+, but should have"):
        run(config, 0)


# Without the files.


def test_without_data_the_claim_is_undecided_and_says_why(monkeypatch):
    monkeypatch.delenv(llmfao.VARIABLE, raising=False)
    assert digest() == ABSENT
    plan = sweep_of(digest(), resamples=10, splits=1)
    assert plan.configs == (Config(),)
    table = pl.DataFrame(run(Config(), 0))
    found = judge(table)
    assert found.verdict == "undecided"
    assert "BANDIT_RLHF_DATA should name a folder that holds llmfao/" in found.measured
    with style.venue("icml"):
        assert "Not measured" in draw(table).axes[0].texts[0].get_text()
    with pytest.raises(ValueError, match="digest absent, but should have abc"):
        run(Config(judgements="abc"), 0)


def test_the_engine_goes_on_without_data(tmp_path):
    environment = {k: v for k, v in os.environ.items() if k != llmfao.VARIABLE}
    folders = ("--results", str(tmp_path / "results"))
    for words in (("run",), ("draw", "--figures", str(tmp_path / "figures"))):
        ran = subprocess.run(
            [
                sys.executable,
                "-m",
                "experiments",
                words[0],
                "crowd_and_machine",
                *folders,
                *words[1:],
            ],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "figures/crowd_and_machine.pdf").exists()


# The real files.


def test_the_real_crowd_and_gpt4(monkeypatch):
    folder = real("llmfao").parent
    monkeypatch.setenv(llmfao.VARIABLE, str(folder))
    data = load(digest())
    assert (data.items, data.crowd.row_count, data.machine.row_count) == (59, 8931, 2139)
    fits = Fits(data, even(data), 0.05)
    halves = [random_half(len(data.crowd.annotators), np.random.default_rng(0))]
    found = values(measures(Config(digest(), betas=(1.0,)), fits, halves))
    assert found["ties: people", None] == pytest.approx(3471 / 8931)
    assert found["agree: two people", None] == pytest.approx(0.53, abs=0.005)
    assert found["ties: machine", None] == pytest.approx(0.03, abs=0.005)
    assert -1 < found["rank correlation: machine, crowd", None] < 1
