"""The average human: hand-made worlds with known orders, identities, and judges that can lose."""

from functools import cache

import numpy as np
import polars as pl
import pytest
from scipy.optimize import minimize

from bandit_rlhf.annotator import Person, Population
from experiments import average_human, style
from experiments.average_human import Config, discordance, measure, run, slope
from experiments.preference_judges import judge_amplification, judge_borda

CONFIG = Config(answers=3, betas=(2.0, 1.0, 0.25))
EVEN = np.ones(3)
REFERENCE = np.array([0.5, 0.3, 0.2])


def measured(people: Population, config: Config = CONFIG, exposure=EVEN) -> list[dict]:
    return measure(people, exposure, REFERENCE, config)


def crowd(*types: tuple[float, list[float]]) -> Population:
    return Population(
        tuple(Person(np.array([utility])) for _, utility in types),
        np.array([share for share, _ in types]),
    )


def test_where_few_feel_strongly_the_fit_takes_the_side_of_the_many():
    """Nine in ten prefer the first answer mildly; for the tenth it is a catastrophe."""

    def s(x):
        return 1 / (1 + np.exp(-x))

    mild, hurt = [3.0, 0.0, -9.0], [-90.0, 0.0, -9.0]
    first_second, first_third = 0.9 * s(3) + 0.1 * s(-90), 0.9 * s(12) + 0.1 * s(-81)
    borda = [first_second + first_third, 1 - first_second + s(9), 1 - first_third + s(-9)]
    mean = 0.9 * np.array(mild) + 0.1 * np.array(hurt)
    assert np.argsort(borda).tolist() == [2, 1, 0]
    assert np.argsort(mean).tolist() == [2, 0, 1]
    row = measured(crowd((0.9, mild), (0.1, hurt)))[0]
    assert row["against_borda"] == 0
    assert row["against_mean"] == pytest.approx(1 / 3)
    assert not row["best_for_mean"]
    assert row["regret"] == pytest.approx((mean[1] - mean[0]) / (mean[1] - mean.mean()))


def test_one_type_has_one_order_and_an_exact_exponent():
    for row in measured(crowd((1.0, [1.0, 0.2, -0.7]))):
        assert row["against_borda"] == row["against_mean"] == row["regret"] == 0
        assert row["best_for_mean"]
        assert row["exponent"] == pytest.approx(1 / row["beta"], abs=1e-9)
        odds = np.exp(0.8 / row["beta"])  # the best two differ by 0.8 nats
        assert row["minority_kept"] == pytest.approx(1 / (1 + odds), abs=1e-9)
        assert row["minority"] == pytest.approx(1 / (1 + np.exp(0.8)), abs=1e-9)


def test_two_answers_are_always_realisable():
    """With two answers Bradley and Terry's model fits any population: odds^(1 / beta) is exact."""
    config = Config(answers=2, betas=(1.0, 0.25))
    people = crowd((0.7, [1.0, 0.0]), (0.3, [-5.0, 0.0]))
    for row in measure(people, np.ones(2), np.array([0.9, 0.1]), config):
        assert row["exponent"] == pytest.approx(1 / row["beta"], abs=1e-9)


def test_the_exponent_of_a_mixture_against_a_second_derivation():
    """The fit by a general optimiser, the regression by least squares on scaled rows."""
    utilities, shares = np.array([[1.0, 0.0, -1.5], [-2.0, 0.0, 1.0]]), np.array([0.7, 0.3])
    pairs = [(0, 1), (0, 2), (1, 2)]
    p = np.array([shares @ (1 / (1 + np.exp(utilities[:, b] - utilities[:, a]))) for a, b in pairs])

    def loss(free):
        gap = np.array([[0.0, *free][a] - [0.0, *free][b] for a, b in pairs])
        return float(p @ np.logaddexp(0, -gap) + (1 - p) @ np.logaddexp(0, gap))

    score = np.array([0.0, *minimize(loss, np.zeros(2), tol=1e-14).x])
    gap = np.array([score[a] - score[b] for a, b in pairs])
    root, odds = np.sqrt(p * (1 - p)), np.log(p / (1 - p))
    expected = np.linalg.lstsq((root * odds)[:, None], root * gap, rcond=None)[0][0]
    people = crowd(*((share, list(u)) for share, u in zip(shares, utilities, strict=True)))
    for row in measured(people):
        assert row["exponent"] == pytest.approx(expected / row["beta"], rel=1e-5)
        assert abs(row["beta"] * row["exponent"] - 1) > 1e-3  # a misfit there is


def test_uneven_coverage_can_turn_the_fit_against_borda():
    """The premise of the theorem, that all pairs are compared equally often, matters."""
    config = Config(coverage="uneven", worlds=40, betas=(1.0,))
    assert max(row["against_borda"] for row in run(config, 0)) > 0


@pytest.mark.parametrize("seed", range(2))
def test_even_coverage_never_does(seed):
    rows = run(Config(worlds=40, betas=(1.0,)), seed)
    assert max(row["against_borda"] for row in rows) == 0
    assert max(row["against_mean"] for row in rows) > 0


def test_discordance_counts_opposite_pairs():
    assert discordance(np.array([3.0, 2, 1]), np.array([1.0, 2, 3])) == 1
    assert discordance(np.array([3.0, 2, 1]), np.array([3.0, 2, 2])) == 0


def test_the_slope_is_the_weighted_one():
    x, y, weight = np.array([1.0, 2.0, -1.0]), np.array([2.0, 1.0, 0.0]), np.array([1.0, 2.0, 3.0])
    root = np.sqrt(weight)
    assert slope(x, y, weight) == pytest.approx(
        np.linalg.lstsq((root * x)[:, None], root * y, rcond=None)[0][0]
    )


@cache
def table() -> pl.DataFrame:
    frames = []
    for config in average_human.SWEEP["smoke"].configs:
        for seed in (0, 1):
            about = {"seed": seed, "config.types": config.types, "config.coverage": "even"}
            frames.append(pl.DataFrame([about | row for row in run(config, seed)]))
    return pl.concat(frames)


def test_running_is_a_pure_function():
    config = average_human.SWEEP["smoke"].configs[1]
    assert run(config, 0) == run(config, 0)
    assert run(config, 0) != run(config, 1)


def test_the_figure_is_drawn_from_the_rows_alone():
    with style.venue("neurips"):
        figure = average_human.draw(table())
    left, right = figure.axes
    assert [np.asarray(line.get_xdata()).tolist() for line in left.lines] == [[1, 3], [1, 3]]
    assert len(right.lines) == 4  # a curve and a dotted line for each number of types


# ---- judges


def judged(**columns) -> pl.DataFrame:
    """Two seeds, one and three types, beta 1 and 0.25; each column: (one type, three types)."""
    usual = {
        "against_borda": (0.0, 0.0),
        "against_mean": (0.0, 0.2),
        "best_for_mean": (True, False),
        "minority": (0.4, 0.4),
        "minority_kept": (0.1, 0.1),
        "slope": (1.0, 0.97),
    } | columns
    rows = []
    for seed in (0, 1):
        for k, types in enumerate((1, 3)):
            for beta in (1.0, 0.25):
                row = {name: values[k] for name, values in usual.items()}
                row["exponent"] = row.pop("slope") / beta
                about = {
                    "seed": seed,
                    "beta": beta,
                    "config.types": types,
                    "config.coverage": "even",
                }
                rows.append(about | row)
    return pl.DataFrame(rows)


@pytest.mark.parametrize(
    ("columns", "verdict"),
    [
        ({}, "supported"),
        ({"against_borda": (0.0, 0.1)}, "refuted"),
        ({"against_mean": (0.0, 0.01)}, "refuted"),
        ({"against_mean": (0.1, 0.2)}, "undecided"),
        ({"against_borda": (0.1, 0.0)}, "undecided"),
    ],
)
def test_the_judge_of_borda(columns, verdict):
    assert judge_borda(judged(**columns)).verdict == verdict


@pytest.mark.parametrize(
    ("slopes", "verdict"),
    [
        ((1.0, 0.97), "supported"),
        ((1.0, 0.85), "refuted"),
        ((1.0, 1.2), "refuted"),
        ((1.0, 0.25), "refuted"),  # the null: the policy keeps the people's odds
        ((1.001, 1.0), "undecided"),
    ],
)
def test_the_judge_of_amplification(slopes, verdict):
    assert judge_amplification(judged(slope=slopes)).verdict == verdict


def test_judges_need_the_control_and_two_seeds():
    for judge in (judge_borda, judge_amplification):
        assert judge(judged().filter(pl.col("config.types") > 1)).verdict == "undecided"
        assert judge(judged().filter(pl.col("seed") == 0)).verdict == "undecided"
        assert judge(table()).verdict in ("supported", "refuted", "undecided")


def test_control_a_fit_that_ranks_by_mean_utility_loses(monkeypatch):
    """The broken twin: a population of one average person instead of the people."""

    class Average(Population):
        def outcome_probs(self, questions):
            return Person(self.mean_reward()).outcome_probs(questions)

    def draw(rng, config):
        people = honest(rng, config)
        return Average(people.people, people.shares)

    honest = average_human.draw_population
    monkeypatch.setattr(average_human, "draw_population", draw)
    table.cache_clear()
    twin = judge_borda(table())
    table.cache_clear()
    assert twin.verdict == "refuted"
    assert twin.effect == 0
