"""Annotators: nobody judges himself, exact null laws, shrinkage, false and true verdicts."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from bandit_rlhf.comparisons import Comparisons
from bandit_rlhf.comparisons.reading import read
from bandit_rlhf.diagnosis import AnnotatorConsistency, annotator_consistency, consistency
from bandit_rlhf.preference import davidson, sample_outcome, thurstone
from bandit_rlhf.reward import fit
from tests.real_data import real

FALSE_ALARM = 1e-6
TRUTH = np.array([1.5, 0.8, 0.0, -0.8, -1.5])


def crowd(
    beta: np.ndarray, each: int, rng: np.random.Generator, law=None, scores: np.ndarray = TRUTH
) -> Comparisons:
    """People with these consistencies judge random pairs."""
    who = np.repeat(np.arange(len(beta)), each)
    left = rng.integers(0, len(scores), len(who))
    right = (left + rng.integers(1, len(scores), len(who))) % len(scores)
    gap = beta[who] * (scores[left] - scores[right])
    if law is None:
        outcome = np.where(rng.random(len(who)) < 1 / (1 + np.exp(-gap)), 1, -1)
    else:
        outcome = sample_outcome(law(gap), rng)
    return Comparisons.from_ids(
        np.where(outcome < 0, right, left),
        np.where(outcome < 0, left, right),
        tie=(outcome == 0) if (outcome == 0).any() else None,
        annotator=who,
    )


def looked_at(rows: Comparisons, seed: int = 0, model: str = "bradley-terry", **options):
    options = {"draws": 999} | options
    return annotator_consistency(fit(rows, model), rows, np.random.default_rng(seed), **options)


def test_nobodys_own_judgements_enter_what_judges_them() -> None:
    """Turning one person's judgements round changes the sign of their x, and nothing else of it."""
    rng = np.random.default_rng(1)
    rows = crowd(np.ones(8), 40, rng)
    assert rows.annotator is not None
    one = rows.annotator == 3
    winner = np.where(one, rows.loser, rows.winner)
    turned = replace(rows, winner=winner, loser=np.where(one, rows.winner, rows.loser))

    def log_odds(table: Comparisons) -> np.ndarray:
        assert table.annotator is not None
        seed = np.random.default_rng(2)
        return consistency._log_odds(fit(table), table, table.annotator, seed, 4, "test")[1]

    np.testing.assert_allclose(log_odds(turned)[one], -log_odds(rows)[one], rtol=1e-5)
    gap = [
        fit(table).scores[table.winner] - fit(table).scores[table.loser] for table in (rows, turned)
    ]
    assert np.abs(gap[1] + gap[0])[one].max() > 0.05  # control: a fit to all rows does change


@pytest.mark.parametrize("mean", [0.0, 0.7])
def test_p_values_are_those_of_the_exact_law(mean: float) -> None:
    """All 2^7 outcomes of seven judgements, by enumeration."""
    rng = np.random.default_rng(3)
    agreed = rng.normal(size=7)
    size, total = np.abs(agreed), agreed.sum()

    def exact(beta: float, high: bool) -> float:
        chance, found = 1 / (1 + np.exp(-beta * size)), 0.0
        for signs in itertools.product([1.0, -1.0], repeat=7):
            value = float(np.array(signs) @ size)
            if (value >= total - 1e-12) if high else (value <= total + 1e-12):
                found += float(np.prod(np.where(np.array(signs) > 0, chance, 1 - chance)))
        return found

    found = consistency._p_values(agreed, mean, rng, 20_000)
    expected = exact(0.0, False), exact(mean, False), exact(0.0, True)
    assert found == pytest.approx(expected, abs=5.5 * np.sqrt(0.25 / 20_000))


def test_many_judgements_are_gaussian(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Gaussian law takes over from the simulated one without a jump."""
    rng = np.random.default_rng(4)
    size = np.abs(rng.normal(size=consistency.SIMULATED + 1))
    agreed = np.where(rng.random(len(size)) < 0.54, size, -size)
    gaussian = consistency._p_values(agreed, 0.1, rng, 1)
    monkeypatch.setattr(consistency, "SIMULATED", len(size))
    simulated = consistency._p_values(agreed, 0.1, rng, 10_000)
    assert simulated == pytest.approx(gaussian, abs=0.03)
    assert 0.001 < gaussian[2] < 0.3


def test_shrinkage_is_the_mode_of_the_posterior() -> None:
    rng = np.random.default_rng(5)
    who = np.repeat(np.arange(6), [0, 3, 10, 40, 200, 5])
    agreed = rng.normal(loc=0.5, size=len(who))
    beta, deviation, mean, spread = consistency._shrunk(who, agreed, 6)
    for one in range(6):
        x = agreed[who == one]

        def loss(b: float, x: np.ndarray = x) -> float:
            return float(np.logaddexp(0, -b * x).sum() + (b - mean) ** 2 / (2 * spread**2))

        low, best, high = loss(beta[one] - 1e-3), loss(beta[one]), loss(beta[one] + 1e-3)
        assert low > best < high  # a convex function: the minimum lies in between
        curvature = (low - 2 * best + high) / 1e-6
        assert deviation[one] == pytest.approx(curvature**-0.5, rel=0.02)
    seen = np.arange(1, 6)
    assert mean == pytest.approx(beta[seen].mean(), abs=1e-4)
    second = (deviation[seen] ** 2 + (beta[seen] - mean) ** 2).mean()
    assert spread**2 == pytest.approx(second, abs=1e-4)  # the fixed point of the iteration


def test_a_mixed_crowd_is_measured() -> None:
    """60 people, 150 judgements each: mean and spread of the consistencies come out."""
    rng = np.random.default_rng(6)
    beta = rng.normal(1.0, 0.4, 60)
    found = looked_at(crowd(beta, 150, rng), draws=1200)
    scale = beta.mean() / found.mean  # scores are in units of the crowd's own consistency
    assert scale * found.spread == pytest.approx(beta.std(), rel=0.35)
    assert np.corrcoef(found.beta, beta)[0, 1] > 0.85
    raw_error = np.abs(found.beta * scale - beta) / (found.stderr * scale)
    assert (raw_error < 2).mean() > 0.8


def test_an_even_crowd_has_little_spread() -> None:
    found = looked_at(crowd(np.ones(40), 100, np.random.default_rng(7)))
    assert found.mean == pytest.approx(1, abs=0.1)
    assert found.spread < 0.2


def test_false_verdicts() -> None:
    """Equal people: a crowd in which anyone is called noisy, random or reversed is rare."""
    rng = np.random.default_rng(8)
    runs, accused, informed = 25, 0, 0
    for _ in range(runs):
        rows = crowd(np.ones(15), 30, rng)
        found = annotator_consistency(fit(rows), rows, rng, draws=399, folds=5)
        accused += any(verdict != "typical" for verdict in found.verdict)
        informed += int((found.informed_q <= 0.05).sum())
    assert accused <= binom.isf(FALSE_ALARM, runs, 0.05 + 0.03)  # 0.03: folds know scores by half
    assert informed > 0.9 * 15 * runs  # control: the data could have told


def test_coins_are_not_called_reversed() -> None:
    """Everybody guesses: with q <= 0.05, hardly ever anyone is worse, or better, than a coin."""
    rng = np.random.default_rng(9)
    runs, found_any = 25, np.zeros(2)
    for _ in range(runs):
        rows = crowd(np.zeros(15), 30, rng)
        found = annotator_consistency(fit(rows), rows, rng, draws=399, folds=5)
        found_any += [(found.reversed_q <= 0.05).any(), (found.informed_q <= 0.05).any()]
    assert (found_any <= binom.isf(FALSE_ALARM, runs, 0.05)).all()


LAWS = {
    "bradley-terry": None,
    "thurstone": thurstone,
    "davidson": lambda d: davidson(d, np.asarray(-0.5)),
}


@pytest.mark.parametrize("model", LAWS)
def test_random_and_reversed_people_are_named(model: str) -> None:
    rng = np.random.default_rng(10)
    beta = np.ones(20)
    beta[[4, 11]], beta[7], beta[15] = 0.0, -1.0, 0.35
    rows = crowd(beta, 150, rng, LAWS[model])
    found = looked_at(rows, model=model)
    assert found.named("reversed") == [7]
    assert found.named("random") == [4, 11]
    assert found.named("noisy") == [15]
    assert len(found.named("typical")) == 16
    assert found.beta[7] < -0.5 < 0.5 < found.beta[[0, 1, 2]].min()


def test_habits_of_tying_do_not_matter() -> None:
    """Ties where others see a difference make nobody random: they say nothing of who is better."""
    rng = np.random.default_rng(11)
    rows = crowd(np.ones(12), 120, rng, LAWS["davidson"])
    assert rows.tie is not None
    assert rows.annotator is not None
    lazy = (rows.annotator == 5) & (rng.random(rows.row_count) < 0.5)
    found = looked_at(replace(rows, tie=rows.tie | lazy), model="davidson")
    assert found.verdict[5] == "typical"
    assert found.judgements[5] < 0.7 * found.judgements.mean()


def test_few_judgements_accuse_nobody() -> None:
    """Three judgements against the crowd cannot be told from bad luck."""
    rng = np.random.default_rng(12)
    rows = crowd(np.ones(10), 60, rng)
    more = Comparisons.from_ids(
        np.r_[rows.winner, 4, 4, 4],
        np.r_[rows.loser, 3, 3, 3],
        annotator=np.r_[rows.annotator, 10, 10, 10],
    )
    found = looked_at(more)
    assert (found.judgements[10], found.verdict[10]) == (3, "typical")
    assert 0 < found.beta[10] < found.mean


def test_untested_annotators_are_said_to_be() -> None:
    rng = np.random.default_rng(13)
    rows = crowd(np.ones(10), 60, rng, LAWS["davidson"])
    assert rows.tie is not None
    assert rows.annotator is not None
    found = looked_at(replace(rows, tie=rows.tie | (rows.annotator == 2)), model="davidson")
    assert found.named("untested") == [2]
    assert (found.judgements[2], found.beta[2]) == (0, pytest.approx(found.mean, abs=1e-3))
    absent = replace(rows, annotators=(*"abcdefghij", "nobody"))
    assert looked_at(absent, model="davidson").named("untested") == ["nobody"]


def test_the_llmfao_crowd_has_workers_who_look_random() -> None:
    """With hundreds of judgements each, workers 15 and 20 do not follow the others at all."""
    rows = read(real("llmfao/crowd-comparisons.csv"))
    found = looked_at(rows, model="davidson", draws=4999)
    named = found.named("random")
    assert {"15", "20"} <= set(named)
    assert len(named) < 20
    assert found.named("reversed") == []
    assert all(found.beta[rows.annotators.index(name)] < 0.5 for name in named)


ROWS = crowd(np.ones(6), 30, np.random.default_rng(14))

REFUSED = {
    "no annotators": (replace(ROWS, annotator=None), {}, "no annotator column"),
    "half a judgement": (replace(ROWS, weight=np.full(180, 0.5)), {}, r"weight\[0\] is 0.5"),
    "too few draws": (ROWS, {"draws": 100}, "draws is 100, but should be at least 120"),
    "a rate of 5": (ROWS, {"false_discovery_rate": 5.0}, "false_discovery_rate is 5"),
    "one annotator": (ROWS.select(np.arange(30)), {}, "there is 1 annotator"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    rows, options, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        looked_at(rows, **options)


def test_an_unknown_verdict_is_refused() -> None:
    found: AnnotatorConsistency = looked_at(ROWS)
    with pytest.raises(ValueError, match="verdict is 'lazy', but should be one of typical"):
        found.named("lazy")
