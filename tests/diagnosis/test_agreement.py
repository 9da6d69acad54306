"""Agreement: Krippendorff's published example, plain loops, Fleiss' kappa, the llmfao crowd."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom
from statsmodels.stats.inter_rater import fleiss_kappa

from bandit_rlhf.comparisons import Comparisons
from bandit_rlhf.comparisons.reading import read
from bandit_rlhf.diagnosis import agreement_with_oneself, agreement_with_others, krippendorff_alpha
from bandit_rlhf.diagnosis.agreement import METRICS
from tests.real_data import real

# Krippendorff 2011, Computing Krippendorff's alpha-reliability, section D: four coders, twelve
# units, five values, and the alphas given there.
CODERS = (
    "1 2 3 3 2 1 4 1 2 . . .",
    "1 2 3 3 2 2 4 1 2 5 . 3",
    ". 3 3 3 2 3 4 2 2 5 1 .",
    "1 2 3 3 2 4 4 1 2 5 1 .",
)
ALPHAS = {"nominal": 0.743, "ordinal": 0.815, "interval": 0.849}


def plain_coincidence(units: list[list[int]], values: int) -> np.ndarray:
    """All ordered pairs of judgements of a unit, each weighing 1 / (m - 1)."""
    table = np.zeros((values, values))
    for unit in units:
        for one, other in itertools.permutations(range(len(unit)), 2):
            table[unit[one], unit[other]] += 1 / (len(unit) - 1)
    return table


def ordinal(shares: np.ndarray) -> np.ndarray:
    """Krippendorff's ordinal distance: judgements ranked between, squared."""
    ranks = np.cumsum(shares) - shares / 2
    return np.subtract.outer(ranks, ranks) ** 2


def test_krippendorffs_example() -> None:
    columns = zip(*(coder.split() for coder in CODERS), strict=True)
    units = [[int(value) - 1 for value in unit if value != "."] for unit in columns]
    coincidence = plain_coincidence([unit for unit in units if len(unit) > 1], 5)
    assert coincidence.sum() == pytest.approx(40)
    ladder = np.arange(5.0)
    distances = {
        "nominal": 1 - np.eye(5),
        "ordinal": ordinal(coincidence.sum(axis=0)),
        "interval": np.subtract.outer(ladder, ladder) ** 2,
    }
    for metric, expected in ALPHAS.items():
        assert krippendorff_alpha(coincidence, distances[metric]) == pytest.approx(
            expected, abs=0.0006
        )


def test_counted_both_ways_round_ordinal_is_interval() -> None:
    """The claim that leaves out an ordinal metric: the distances are proportional."""
    for wins, ties in ((10.0, 3.0), (1.0, 8.0)):
        distance = ordinal(np.array([wins, ties, wins]))
        np.testing.assert_allclose(distance / distance[0, 2], METRICS["interval"])


def random_rows(rng: np.random.Generator, rows: int = 120) -> Comparisons:
    """Few pairs, prompts and people: many repeats of all kinds."""
    left = rng.integers(0, 3, rows)
    right = (left + rng.integers(1, 3, rows)) % 3
    return Comparisons.from_ids(
        left,
        right,
        items=range(3),
        tie=rng.random(rows) < 0.3,
        prompt=rng.integers(0, 3, rows),
        annotator=rng.integers(0, 6, rows),
    )


def judged(rows: Comparisons) -> list[tuple[tuple[int, int, int], int, int]]:
    """(prompt, pair), annotator and value 0 win, 1 tie, 2 loss of the smaller id, row by row."""
    assert rows.prompt is not None
    assert rows.annotator is not None
    assert rows.tie is not None
    table = []
    for row in range(rows.row_count):
        winner, loser = int(rows.winner[row]), int(rows.loser[row])
        value = 1 if rows.tie[row] else 0 if winner < loser else 2
        unit = (int(rows.prompt[row]), min(winner, loser), max(winner, loser))
        table.append((unit, int(rows.annotator[row]), value))
    return table


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("seed", range(3))
def test_oneself_equals_plain_loops(metric: str, seed: int) -> None:
    rows = random_rows(np.random.default_rng(seed))
    units: dict[tuple, list[int]] = {}
    for unit, annotator, value in judged(rows):
        units.setdefault((annotator, unit), []).append(value)
    repeated = {key: values for key, values in units.items() if len(values) > 1}
    both_ways = [
        side for values in repeated.values() for side in (values, [2 - value for value in values])
    ]
    found = agreement_with_oneself(rows, metric=metric)
    table = plain_coincidence(both_ways, 3) / 2
    assert found.alpha == pytest.approx(krippendorff_alpha(table, METRICS[metric]))
    assert found.units == len(repeated)
    assert found.judgements == sum(map(len, repeated.values()))
    assert found.alpha == pytest.approx((found.observed - found.chance) / (1 - found.chance))
    for annotator in range(6):
        apart = [
            METRICS[metric][one, other]
            for (who, _), values in repeated.items()
            if who == annotator
            for one, other in itertools.permutations(values, 2)
        ]
        assert found.pairs[annotator] == len(apart)
        assert found.by_annotator[annotator] == pytest.approx(1 - np.mean(apart))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("seed", range(3))
def test_others_equals_plain_loops(metric: str, seed: int) -> None:
    rows = random_rows(np.random.default_rng(seed))
    units: dict[tuple, list[tuple[int, int]]] = {}
    for unit, annotator, value in judged(rows):
        units.setdefault(unit, []).append((annotator, value))
    table, apart = np.zeros((3, 3)), [[] for _ in range(6)]
    for judgements in units.values():
        pairs = [
            (one, other)
            for one, other in itertools.permutations(judgements, 2)
            if one[0] != other[0]
        ]
        for (who, one), (_, other) in pairs:
            table[one, other] += len(judgements) / len(pairs) / 2
            table[2 - one, 2 - other] += len(judgements) / len(pairs) / 2
            apart[who].append(METRICS[metric][one, other])
    found = agreement_with_others(rows, metric=metric)
    assert found.alpha == pytest.approx(krippendorff_alpha(table, METRICS[metric]))
    for who in range(6):
        assert found.pairs[who] == len(apart[who])
        assert found.by_annotator[who] == pytest.approx(1 - np.mean(apart[who]))


def test_fleiss_kappa() -> None:
    """With the same number of judgements a unit, 1 - alpha = (1 - kappa) (n - 1) / n."""
    rng = np.random.default_rng(4)
    units, people = 40, 5
    better = rng.random((units, people)) < rng.beta(0.7, 0.7, (units, 1))
    tie = rng.random((units, people)) < 0.2
    item = np.repeat(np.arange(units), people)
    won = better.ravel()
    rows = Comparisons.from_ids(
        np.where(won, 2 * item, 2 * item + 1),
        np.where(won, 2 * item + 1, 2 * item),
        tie=tie.ravel(),
        annotator=np.tile(np.arange(people), units),
    )
    counts = np.stack([(better & ~tie).sum(1), tie.sum(1), (~better & ~tie).sum(1)], axis=1)
    kappa = fleiss_kappa(np.concatenate([counts, counts[:, ::-1]]))
    n = units * people
    found = agreement_with_others(rows)
    assert 1 - found.alpha == pytest.approx((1 - kappa) * (n - 1) / n)
    assert (found.units, found.judgements) == (units, n)


def test_names_of_items_do_not_matter() -> None:
    rows = random_rows(np.random.default_rng(5))
    turned = replace(rows, winner=2 - rows.winner, loser=2 - rows.loser)
    for measure in (agreement_with_others, agreement_with_oneself):
        assert measure(turned).alpha == pytest.approx(measure(rows).alpha)


def test_ones_own_echo_is_no_agreement_with_others() -> None:
    """Two people who never agree, each of whom says everything three times."""
    rows = Comparisons.from_ids([0] * 3 + [1] * 3, [1] * 3 + [0] * 3, annotator=[0] * 3 + [1] * 3)
    assert agreement_with_others(rows).observed == 0.0
    assert agreement_with_oneself(rows).observed == 1.0


def test_weights_are_repeats() -> None:
    once = random_rows(np.random.default_rng(6))
    weight = np.random.default_rng(7).integers(0, 4, once.row_count)
    weighted = replace(once, weight=weight.astype(float))
    spelled_out = once.select(np.repeat(np.arange(once.row_count), weight))
    for measure in (agreement_with_others, agreement_with_oneself):
        assert measure(weighted).alpha == pytest.approx(measure(spelled_out).alpha)
        np.testing.assert_allclose(
            measure(weighted).by_annotator, measure(spelled_out).by_annotator
        )


def crowd(rng: np.random.Generator, units: int, clear: float) -> Comparisons:
    """Four people judge every unit; they see who is better with probability `clear`."""
    item, who = np.repeat(np.arange(units), 4), np.tile(np.arange(4), units)
    truth = np.repeat(rng.random(units) < 0.5, 4)
    says = np.where(rng.random(4 * units) < clear, truth, rng.random(4 * units) < 0.5)
    return Comparisons.from_ids(
        np.where(says, 2 * item, 2 * item + 1),
        np.where(says, 2 * item + 1, 2 * item),
        annotator=who,
    )


@pytest.mark.parametrize("clear", [0.0, 0.7])
def test_intervals_cover(clear: float) -> None:
    """Two people agree on a clear unit: alpha is clear^2. 95 % intervals miss it rarely enough."""
    rng = np.random.default_rng(8)
    runs, missed = 60, 0
    for _ in range(runs):
        found = agreement_with_others(crowd(rng, 80, clear), rng, resamples=200)
        assert found.low is not None
        assert found.high is not None
        assert found.high - found.low < 0.5
        missed += not found.low <= clear**2 <= found.high
    assert missed <= binom.isf(1e-6, runs, 0.07)


def test_all_ties_leave_alpha_undefined() -> None:
    rows = Comparisons.from_ids([0, 0], [1, 1], tie=[True, True], annotator=[0, 1])
    found = agreement_with_others(rows)
    assert (found.observed, found.chance) == (1.0, 1.0)
    assert np.isnan(found.alpha)


def test_an_annotator_without_pairs_has_no_agreement() -> None:
    rows = Comparisons.from_ids([0, 0, 2], [1, 1, 3], annotator=[0, 1, 2])
    found = agreement_with_others(rows)
    assert found.pairs.tolist() == [1, 1, 0]
    assert np.isnan(found.by_annotator[2])
    assert np.isnan(found.alpha_by_annotator[2])


def test_the_llmfao_crowd() -> None:
    """Win, tie or loss: two workers agree on 0.53 of the pairs that both judged."""
    found = agreement_with_others(read(real("llmfao/crowd-comparisons.csv")))
    assert found.observed == pytest.approx(0.53, abs=0.005)


ROWS = random_rows(np.random.default_rng(9))

REFUSED = {
    "no annotators": (replace(ROWS, annotator=None), {}, "no annotator column"),
    "half a judgement": (replace(ROWS, weight=np.full(120, 0.5)), {}, r"weight\[0\] is 0.5"),
    "another metric": (ROWS, {"metric": "ratio"}, "metric is 'ratio'"),
    "a level of 2": (ROWS, {"level": 2.0}, "level is 2"),
    "no resamples": (ROWS, {"resamples": 0}, "resamples is 0"),
    "one annotator": (ROWS.select([0]), {}, "no pair was judged"),
}


@pytest.mark.parametrize("measure", [agreement_with_others, agreement_with_oneself])
@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str, measure) -> None:
    rows, options, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        measure(rows, **options)
