"""Intransitivity: closed forms, the score equations, false alarms, a share known beforehand."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from bandit_rlhf.comparisons import Comparisons, aggregate
from bandit_rlhf.diagnosis import Intransitivity, goodness_of_fit, hodge, intransitivity
from bandit_rlhf.diagnosis.hodge import edge_complex, hodge_decomposition
from bandit_rlhf.diagnosis.intransitivity import residual_flow
from bandit_rlhf.diagnosis.outcome_law import outcome_law
from bandit_rlhf.preference import Outcomes, davidson, rao_kupper, thurstone
from bandit_rlhf.reward import fit
from tests.comparison_worlds import simulated

FALSE_ALARM = 1e-6
TRUTH = np.array([0.8, 0.4, 0.0, -0.4, -0.8])


def matches(log_odds: np.ndarray, games: int) -> Comparisons:
    """Every pair i < j meets so often, and wins as near to s(log_odds[i, j]) as whole games go."""
    left, right = np.triu_indices(len(log_odds), 1)
    wins = np.rint(games / (1 + np.exp(-log_odds[left, right])))
    return Comparisons.from_ids(
        np.r_[left, right], np.r_[right, left], weight=np.r_[wins, games - wins]
    )


def looked_at(rows: Comparisons, resamples: int = 19, **options) -> Intransitivity:
    return intransitivity(fit(rows, **options), rows, np.random.default_rng(0), resamples=resamples)


def test_rock_paper_scissors_in_closed_form() -> None:
    """Fitted 4 of 8 a pair: y = (6 - 4) / 2 = 1 with weight 2 on each edge."""
    rows = Comparisons.from_ids([0, 1, 2, 1, 2, 0], [1, 2, 0, 0, 1, 2], weight=[6] * 3 + [2] * 3)
    found = looked_at(rows)
    assert (found.edges, found.triangles, found.loops) == (3, 1, 1)
    assert found.residual.size == pytest.approx(6)
    assert found.curl is not None
    assert found.harmonic is not None
    assert found.curl.size == pytest.approx(6)
    assert (found.harmonic.size, found.harmonic.p_value) == (pytest.approx(0, abs=1e-12), 1.0)
    assert found.explained == pytest.approx(0, abs=1e-12)
    only = found.cycles[0]
    assert only.items == (0, 1, 2)
    assert only.circulation == pytest.approx(3)
    assert only.z == pytest.approx(3 / np.sqrt(3 / 2))


def test_flipping_every_label_turns_the_cycle_round() -> None:
    rows = Comparisons.from_ids([0, 1, 2, 1, 2, 0], [1, 2, 0, 0, 1, 2], weight=[6] * 3 + [2] * 3)
    found = looked_at(replace(rows, winner=rows.loser, loser=rows.winner))
    assert found.cycles[0].items == (0, 2, 1)
    assert found.residual.size == pytest.approx(6)


def test_a_ring_of_four_is_harmonic() -> None:
    ring = np.arange(4)
    rows = Comparisons.from_ids(
        np.r_[ring, np.roll(ring, -1)], np.r_[np.roll(ring, -1), ring], weight=[6] * 4 + [2] * 4
    )
    found = looked_at(rows)
    assert found.curl is not None
    assert found.harmonic is not None
    assert (found.curl.size, found.curl.p_value) == (pytest.approx(0, abs=1e-12), 1.0)
    assert found.harmonic.size == found.residual.size == pytest.approx(8)
    assert (found.triangles, found.loops, found.cycles) == (0, 1, ())


def test_the_residual_of_bradley_terry_is_pearsons() -> None:
    rows = simulated(TRUTH, 400, np.random.default_rng(1))
    assert looked_at(rows).residual.size == pytest.approx(
        goodness_of_fit(fit(rows), rows).pearson, rel=1e-9
    )


LAWS = {
    "bradley-terry": None,
    "thurstone": thurstone,
    "davidson": lambda d: davidson(d, np.asarray(0.0)),
    "rao-kupper": lambda d: rao_kupper(d, np.asarray(0.4)),
}


@pytest.mark.parametrize("model", LAWS)
@pytest.mark.parametrize("covariate", [False, True])
def test_at_the_maximum_the_residual_has_no_gradient(model: str, covariate: bool) -> None:
    rng = np.random.default_rng(2)
    rows = simulated(TRUTH, 600, rng, LAWS[model])
    if covariate:
        slopes = rng.choice([-1.0, 1.0], (600, 1))
        rows = replace(rows, covariates=slopes, covariate_names=("length",))
    found = fit(rows, model, tolerance=1e-12)

    def gradient(scores: np.ndarray) -> float:
        law = outcome_law(replace(found, scores=scores), rows, "test")
        counts = law.counts
        keys, of_cell = np.unique(counts.left * 5 + counts.right, return_inverse=True)
        flow, weight = residual_flow(law, of_cell, len(keys))
        graph = edge_complex(5, keys // 5, keys % 5)
        part = hodge_decomposition(graph, flow, weight).gradient
        return float(weight @ part**2)

    assert gradient(found.scores) < 1e-16
    assert gradient(found.scores + 0.1 * np.arange(5)) > 0.1  # control: elsewhere it has one


@pytest.mark.parametrize("model", LAWS)
def test_false_alarms_and_noise(model: str) -> None:
    """At 5 %, no more alarms than a binomial allows; noise is one for each loop."""
    rng = np.random.default_rng(3)
    found = []
    for _ in range(10):
        rows = simulated(TRUTH, 800, rng, LAWS[model])
        found.append(intransitivity(fit(rows, model), rows, rng, resamples=19))
    assert sum(one.p_value <= 0.05 for one in found) <= binom.isf(FALSE_ALARM, 10, 0.05)
    assert sum(one.cycles[0].adjusted_p <= 0.05 for one in found) <= binom.isf(
        FALSE_ALARM, 10, 0.05
    )
    noise = np.mean([one.residual.noise for one in found])
    assert noise == pytest.approx(6, abs=5.5 * np.sqrt(2 * 6 / 190) + 0.3)
    assert abs(np.mean([one.unexplained_share for one in found])) < 0.05


def test_the_share_is_the_one_put_in() -> None:
    """Small log-odds, many games: to first order the share is that of the squared flows."""
    rng = np.random.default_rng(4)
    scores = 0.1 * rng.normal(size=6)
    left, right = np.triu_indices(6, 1)
    graph = edge_complex(6, left, right)
    cyclic = hodge_decomposition(graph, 0.1 * rng.normal(size=15), np.ones(15)).curl
    scalar = scores[left] - scores[right]
    log_odds = np.zeros((6, 6))
    log_odds[left, right] = scalar + cyclic
    rows = matches(log_odds, 10_000_000)
    expected = (cyclic**2).sum() / (cyclic**2 + scalar**2).sum()
    found = looked_at(rows)
    assert found.unexplained_share == pytest.approx(expected, rel=0.02)
    assert found.p_value == 0.05
    biased = found.residual.size / (found.residual.size + found.explained)
    assert biased == pytest.approx(expected, rel=0.02)  # with so many games noise is nothing


def test_noise_is_taken_off_the_share() -> None:
    """No cycles, 20 games a pair: raw sizes are those of noise, 6 and 4, above the truth."""
    rng = np.random.default_rng(5)
    found = []
    for _ in range(24):
        rows = simulated(TRUTH, 200, rng)
        found.append(intransitivity(fit(rows), rows, rng, resamples=10))
    cyclic = np.array([one.residual.size - one.residual.noise for one in found])
    assert abs(cyclic.mean()) < 5 * cyclic.std() / np.sqrt(24)
    assert np.mean([one.residual.size for one in found]) > 4.0
    signal = [one.residual.size - one.residual.noise + one.explained - 4 for one in found]
    shares = [one.unexplained_share for one in found]
    np.testing.assert_allclose(shares, cyclic / signal)


def test_the_planted_cycle_is_named() -> None:
    log_odds = np.subtract.outer(np.linspace(1, -1, 6), np.linspace(1, -1, 6))
    log_odds[1, 2] += 1.0
    log_odds[2, 4] += 1.0
    log_odds[1, 4] -= 1.0
    found = looked_at(matches(log_odds, 400), resamples=39)
    assert set(found.cycles[0].items) == {1, 2, 4}
    order = found.cycles[0].items
    assert order[(order.index(1) + 1) % 3] == 2  # 1 over 2 over 4 over 1
    assert found.cycles[0].adjusted_p == 1 / 40


def test_counts_do_as_well_as_rows() -> None:
    rows = simulated(TRUTH, 200, np.random.default_rng(6))
    found = fit(rows)
    assert intransitivity(found, rows, np.random.default_rng(7), resamples=5) == intransitivity(
        found, aggregate(rows), np.random.default_rng(7), resamples=5
    )


def test_a_prior_shrinks_scores_but_makes_no_cycles() -> None:
    """The pull of the prior is a gradient; what is cyclic stays."""
    rows = simulated(TRUTH, 4000, np.random.default_rng(8))
    free, shrunk = looked_at(rows), looked_at(rows, ridge=50.0)
    assert shrunk.residual.size == pytest.approx(free.residual.size, rel=0.3)
    assert shrunk.explained == pytest.approx(free.explained, rel=0.1)


def test_prompts_stay_apart() -> None:
    """By prompt, two orders that contradict each other are no cycle; pooled they look like one."""
    first = matches(np.subtract.outer(np.array([1.0, 0, -1]), np.array([1.0, 0, -1])), 100)
    opposite = replace(first, winner=first.loser, loser=first.winner)
    rows = Comparisons.from_ids(
        np.r_[first.winner, opposite.winner],
        np.r_[first.loser, opposite.loser],
        weight=np.r_[first.weight, opposite.weight],
        prompt=np.repeat([0, 1], first.row_count),
    )
    apart = rows.by_prompt()
    found = intransitivity(fit(rows, by_prompt=True), apart, np.random.default_rng(9), resamples=9)
    assert (found.edges, found.loops, found.triangles) == (6, 2, 2)
    assert found.p_value > 0.05
    names = [cycle.items for cycle in found.cycles]
    assert len(names) == 2
    assert all(len({str(name)[:2] for name in triple}) == 1 for triple in names)  # '(0' or '(1'


def test_two_items_have_no_loops() -> None:
    found = looked_at(Comparisons.from_ids([0, 0, 1] * 9, [1, 1, 0] * 9))
    assert (found.loops, found.cycles, found.p_value) == (0, (), 1.0)


def test_without_triangles_the_test_still_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = simulated(TRUTH, 300, np.random.default_rng(10))
    whole = looked_at(rows)
    monkeypatch.setattr(hodge, "MOST_PATHS", 1)
    found = looked_at(rows)
    assert (found.triangles, found.curl, found.harmonic, found.cycles) == (None, None, None, ())
    assert found.residual.size == pytest.approx(whole.residual.size)
    assert found.p_value > 0.05


def test_halves_are_refused() -> None:
    rows = Comparisons.from_ids([0, 0, 1], [1, 1, 0], tie=[True, False, False])
    with pytest.raises(ValueError, match="1 ties as halves"):
        looked_at(rows, ties="half")


def test_control_outcomes_reach_the_laws() -> None:
    assert all(law is None or isinstance(law(np.zeros(1)), Outcomes) for law in LAWS.values())
