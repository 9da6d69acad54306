import polars as pl
import pytest

from experiments import adversaries as experiment


def table(share, gold, seeds=10):
    rows = []
    for model in experiment.MODELS:
        for seed in range(seeds):
            for place in range(10):
                rows.append(
                    {
                        "seed": seed,
                        "world": 0,
                        "config.model": model,
                        "best_by": "search" if model.startswith("neural") else "proxy",
                        "degenerate": place < 10 * share,
                        "gold": gold + 0.01 * seed,
                        "proxy": 5.0,
                        "log_prob": -20.0,
                        "prompt": "so",
                        "string": "the " * 40,
                    }
                )
    return pl.DataFrame(rows)


@pytest.mark.parametrize(
    ("share", "gold", "verdict"),
    [(0.9, -3.0, "supported"), (0.2, -3.0, "refuted"), (0.9, 3.0, "refuted")],
)
def test_the_verdict_is_a_function_of_the_rows(share, gold, verdict):
    assert experiment.judge(table(share, gold)).verdict == verdict


def test_one_seed_decides_nothing():
    assert experiment.judge(table(0.9, -3.0, seeds=1)).verdict == "undecided"


@pytest.mark.parametrize("model", experiment.MODELS)
def test_every_model_gives_strings(model):
    misspecification = 1.0 if model.startswith("word") else 0.6
    config = experiment.Config(model, 60, misspecification, horizon=3, worlds=1)
    rows = experiment.run(config, 0)
    assert {"proxy", "gold", "log_prob", "string", "degenerate"} <= set(rows[0])
    assert all(row["log_prob"] < 0 for row in rows)


def test_the_figure_draws():
    assert len(experiment.draw(table(0.9, -3.0)).axes) == 2
