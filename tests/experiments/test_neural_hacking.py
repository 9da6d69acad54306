import polars as pl
import pytest

from experiments import neural_hacking as experiment
from tests.experiments.paths import joined, path, rising, turning


def table(linear, able, seeds=10):
    return joined(
        path(gold, seeds=seeds, config={"network": network, "comparisons": 2000})
        for network, gold in (("counts", linear), ("gru", able))
    )


def test_the_verdict_is_a_function_of_the_rows():
    assert experiment.judge(table(turning(2.0), rising)).verdict == "supported"
    assert experiment.judge(table(rising, rising)).verdict == "refuted"
    assert experiment.judge(table(turning(2.0), turning(2.0))).verdict == "refuted"
    assert experiment.judge(table(turning(2.0), rising, seeds=1)).verdict == "undecided"


def test_a_cell_runs_is_a_pure_function_and_the_figure_draws():
    config = experiment.Config(horizon=2, steps=3, comparisons=50)
    rows = experiment.run(config, 0)
    assert rows == experiment.run(config, 0)
    assert [row["setting"] for row in rows] == [1, 2, 3]
    assert all(row["kl"] > 0 for row in rows)
    assert len(experiment.draw(table(turning(2.0), rising)).axes) == 2


def test_an_unknown_network_is_refused():
    with pytest.raises(ValueError, match="should be one of counts"):
        experiment.run(experiment.Config(network="mlp"), 0)


def test_the_most_comparisons_are_judged():
    few = table(turning(2.0), rising).with_columns(pl.col("config.comparisons") - 1500)
    assert experiment.judge(joined([few, table(rising, rising)])).verdict == "refuted"
