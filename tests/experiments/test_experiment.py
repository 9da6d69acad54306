"""Declaring and finding experiments."""

from dataclasses import dataclass, make_dataclass

import pytest

from experiments.experiment import PROFILES, CannotRun, Plan, catalogue, grid, load
from experiments.overrides import field_comments


@dataclass(frozen=True)
class Config:
    beta: float = 0.1  # price of KL, nats a nat
    # the number of tokens,
    # at least 1
    horizon: int = 4
    names: tuple[str, ...] = ("a",)
    wide: tuple[float, ...] = (
        0.1,
        0.2,
    )  # a ladder


def test_grid_is_the_product_in_order():
    configs = grid(Config, beta=(1.0, 2.0, 3.0), horizon=(5, 6))
    assert [(c.beta, c.horizon) for c in configs] == [(b, h) for b in (1, 2, 3) for h in (5, 6)]
    assert grid(Config) == (Config(),)


@pytest.mark.parametrize(
    ("configs", "seeds", "error", "message"),
    [
        ((), 1, ValueError, "0 configs"),
        ((1,), 0, ValueError, "seeds=0"),
        ((1, 2, 1), 1, ValueError, "repeats 1"),
        (([],), 1, TypeError, "unhashable type: 'list'.*frozen dataclass"),
    ],
)
def test_a_plan_without_sense_is_refused(configs, seeds, error, message):
    with pytest.raises(error, match=message):
        Plan(configs, seeds)


def test_comments_of_fields_are_read_from_the_source():
    assert field_comments(Config) == {
        "beta": "price of KL, nats a nat",
        "horizon": "the number of tokens, at least 1",
        "names": "",
        "wide": "a ladder",
    }
    assert field_comments(make_dataclass("Made", [("x", int)])) == {"x": ""}


def test_defining_the_four_names_registers_an_experiment(tiny):
    assert catalogue(tiny.package) == {"waves": "Waves: gain that rises with the step."}
    tiny.edit("Waves:", "Ripples:", name="ripples")
    assert list(catalogue(tiny.package)) == ["ripples", "waves"]  # a new file is seen at once


def test_half_an_experiment_is_named_and_not_skipped(tiny):
    tiny.write("helper", "def run():\n    pass\n")  # the control: one name alone is no experiment
    assert "helper" not in catalogue(tiny.package)
    tiny.write("half", "SWEEP = {}\n")
    with pytest.raises(CannotRun, match=r"half\.py defines SWEEP, but not Config, run, draw"):
        catalogue(tiny.package)


def test_a_broken_import_does_not_hide_the_others(tiny):
    tiny.edit("import os", "import no_such_module", name="broken")
    assert list(catalogue(tiny.package)) == ["broken", "waves"]
    assert load(tiny.package, "waves").name == "waves"
    with pytest.raises(CannotRun, match="no_such_module"):
        load(tiny.package, "broken")


def test_an_unknown_name_gets_the_nearest_one(tiny):
    with pytest.raises(CannotRun, match="Did you mean 'waves'"):
        load(tiny.package, "wavs")
    with pytest.raises(CannotRun, match="There are: waves"):
        load(tiny.package, "zzz")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("@dataclass(frozen=True)", "@dataclass(unsafe_hash=True)", "not a frozen dataclass"),
        ('"full": Plan', '"fool": Plan', "'fool'"),
        ('"quick": Plan(grid(Config, slope=(1.0, 2.0, 3.0)), seeds=4)', '"quick": 3', "to a Plan"),
    ],
)
def test_four_names_of_the_wrong_kind_are_refused(tiny, old, new, message):
    tiny.edit(old, new, name="odd")
    with pytest.raises(CannotRun, match=message):
        load(tiny.package, "odd")


def test_cells_are_configs_times_seeds_in_order(tiny):
    waves = load(tiny.package, "waves")
    cells = waves.cells("quick")
    assert [(c.config.slope, c.seed) for c in cells] == [
        (slope, seed) for slope in (1, 2, 3) for seed in range(4)
    ]
    assert len({cell.key for cell in cells}) == len(cells)
    assert [c.seed for c in waves.cells("smoke", seeds=1)] == [0, 0]


def test_an_override_reaches_every_config_and_equal_configs_merge(tiny):
    waves = load(tiny.package, "waves")
    assert {c.config.pause for c in waves.cells("quick", overrides={"pause": 0.5})} == {0.5}
    assert len(waves.cells("quick", overrides={"slope": 7.0})) == 4  # seeds of one config


def test_profiles_and_seeds_that_do_not_exist_are_refused(tiny):
    waves = load(tiny.package, "waves")
    with pytest.raises(CannotRun, match="has no profile 'huge'"):
        waves.cells("huge")
    with pytest.raises(CannotRun, match="seeds is 0"):
        waves.cells("smoke", seeds=0)


def test_the_experiments_of_this_project_keep_the_rules():
    for name in catalogue("experiments"):
        experiment = load("experiments", name)
        assert experiment.about, f"{name} has no docstring"
        comments = field_comments(experiment.config)
        assert all(comments.values()), f"{name}.Config has fields without unit: {comments}"
        for profile in PROFILES:
            cells = experiment.cells(profile)
            assert len({cell.key for cell in cells}) == len(cells) > 0
