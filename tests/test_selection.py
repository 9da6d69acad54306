"""Best-of-n against all n-tuples on fractions, its bounds, and its limits."""

import itertools
import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bandit_rlhf import selection
from bandit_rlhf.laws import oracle

Atoms = tuple[list[int], list[int]]


@st.composite
def atoms(draw: st.DrawFn, largest: int = 5) -> Atoms:
    """Weights and rewards of 1 to `largest` atoms, ties and empty atoms among them."""
    size = draw(st.integers(1, largest))
    weights = st.lists(st.integers(0, 9), min_size=size, max_size=size).filter(any)
    return draw(weights), draw(st.lists(st.integers(-3, 3), min_size=size, max_size=size))


def as_law(weights: list[int]) -> dict[oracle.String, Fraction]:
    return {(i,): Fraction(w, sum(weights)) for i, w in enumerate(weights)}


def as_reward(rewards: list[int]) -> dict[oracle.String, int]:
    return {(i,): r for i, r in enumerate(rewards)}


def floats(law: dict[oracle.String, Fraction]) -> np.ndarray:
    return np.array(list(law.values()), dtype=float)


def assert_law(got: np.ndarray, expected: dict[oracle.String, Fraction]) -> None:
    assert np.abs(got - floats(expected)).max() <= 1e-13, "law differs"


@settings(max_examples=80)
@given(atom=atoms(largest=4), n=st.integers(1, 4))
def test_law_is_the_sum_over_all_tuples(atom: Atoms, n: int) -> None:
    law, reward = as_law(atom[0]), as_reward(atom[1])
    expected = oracle.best_of_n_by_tuples(law, reward, n)
    assert_law(selection.best_of_n_law(floats(law), atom[1], n), expected)


@settings(max_examples=80)
@given(atom=atoms(), n=st.sampled_from([1, 2, 17, 500]))
def test_divergences_are_the_oracle(atom: Atoms, n: int) -> None:
    law, reward = as_law(atom[0]), as_reward(atom[1])
    won = oracle.best_of_n(law, reward, n)
    assert_law(selection.best_of_n_law(floats(law), atom[1], n), won)
    chi_squared = selection.best_of_n_chi_squared(floats(law), atom[1], n)
    assert chi_squared == pytest.approx(float(oracle.chi_squared(won, law)), rel=1e-11, abs=1e-13)
    kl = oracle.kl(won, law, log=lambda f: math.log(f.numerator) - math.log(f.denominator))
    found = selection.best_of_n_kl(floats(law), atom[1], n)
    assert found == pytest.approx(float(kl), rel=1e-11, abs=1e-13)


@settings(max_examples=80)
@given(first=atoms(), second=st.lists(st.integers(0, 9), min_size=5, max_size=5).filter(any))
def test_win_rate_is_the_sum_over_all_pairs(first: Atoms, second: list[int]) -> None:
    weights, rewards = first
    other = second[: len(weights)]
    if not any(other):
        other[0] = 1
    p, q, reward = as_law(weights), as_law(other), as_reward(rewards)
    expected = sum(
        p[y] * q[z] * (Fraction(reward[y] > reward[z]) + Fraction(reward[y] == reward[z], 2))
        for y in p
        for z in q
    )
    got = selection.win_rate(floats(p), floats(q), rewards)
    assert got == pytest.approx(float(expected), abs=1e-14)


# Bounds and limits


@settings(max_examples=100)
@given(atom=atoms(largest=12), n=st.integers(1, 10_000))
def test_kl_and_win_rate_stay_within_their_bounds(atom: Atoms, n: int) -> None:
    """Theorem 36: KL <= ln n - (n-1)/n, win rate <= n/(n+1)."""
    law = floats(as_law(atom[0]))
    assert selection.best_of_n_kl(law, atom[1], n) <= math.log(n) - (n - 1) / n + 1e-12
    won = selection.best_of_n_law(law, atom[1], n)
    assert selection.win_rate(won, law, atom[1]) <= n / (n + 1) + 1e-12


@pytest.mark.parametrize("n", [2, 8, 64])
def test_many_distinct_rewards_approach_both_bounds(n: int) -> None:
    gaps = []
    for size in (10_000, 100_000):
        law, reward = np.full(size, 1 / size), np.arange(float(size))
        kl = selection.best_of_n_kl(law, reward, n)
        rate = selection.win_rate(selection.best_of_n_law(law, reward, n), law, reward)
        gaps.append((math.log(n) - (n - 1) / n - kl, n / (n + 1) - rate))
    # Control: one atom of mass 1/2 keeps both well below.
    lumpy = selection.best_of_n_kl([0.5, 0.25, 0.25], [0.0, 1.0, 2.0], n)
    assert lumpy < math.log(n) - (n - 1) / n - 0.05
    for coarse, fine in zip(*gaps, strict=True):
        assert 0 < fine < coarse / 9  # the gap falls as 1/size or faster


def test_best_of_one_is_the_reference() -> None:
    law = np.array([0.2, 0.5, 0.3])
    np.testing.assert_allclose(selection.best_of_n_law(law, [1.0, 0.0, 1.0], 1), law, rtol=1e-15)
    assert selection.best_of_n_kl(law, [1.0, 0.0, 1.0], 1) == pytest.approx(0.0, abs=1e-15)
    assert selection.best_of_n_chi_squared(law, [1.0, 0.0, 1.0], 1) == pytest.approx(0, abs=1e-15)
    assert selection.win_rate(law, law, [1.0, 0.0, 1.0]) == pytest.approx(0.5)


def test_rare_best_strings_keep_their_digits() -> None:
    """P(win) = 1 - (1 - p)^n by log1p, where F^n - F_^n would cancel."""
    rare, n = 1e-18, 1000
    won = selection.best_of_n_law([1.0 - rare, rare], [0.0, 1.0], n)
    assert won[1] == pytest.approx(n * rare, rel=1e-12)
    assert 1.0**n - (1.0 - rare) ** n == 0.0  # control: the plain difference


def test_a_law_that_sums_to_one_within_the_tolerance_stays_a_law() -> None:
    law = np.array([0.5, 0.5 - 5e-10])
    won = selection.best_of_n_law(law, [0.0, 1.0], n=10**8)
    assert won.sum() == pytest.approx(1.0, abs=1e-9)


def test_the_winner_s_reward_is_an_order_statistic() -> None:
    """Rewards at quantiles of the normal law: the best of 10 is 1.53875 (Harter 1961)."""
    size = 200_000
    reward = stats.norm.ppf((np.arange(size) + 0.5) / size)
    won = selection.best_of_n_law(np.full(size, 1 / size), reward, 10)
    assert won @ reward == pytest.approx(1.5387527, abs=1e-5)


# Broken twins, each of which the sum over tuples must catch


def without_ties(law: np.ndarray, reward: np.ndarray, n: int) -> np.ndarray:
    """P(y) = F^n - (F - p(y))^n, right for distinct rewards only."""
    at_most = np.array([law[reward <= r].sum() for r in reward])
    return at_most**n - (at_most - law) ** n


def first_wins(law: np.ndarray, reward: np.ndarray, n: int) -> np.ndarray:
    """Ties go to the atom listed first."""
    order = np.lexsort((-np.arange(len(law)), reward))
    at_most = np.cumsum(law[order])
    result = np.empty_like(law)
    result[order] = np.diff(at_most**n, prepend=0.0)
    return result


def tilted(law: np.ndarray, reward: np.ndarray, n: int) -> np.ndarray:
    """The exponential tilt that best-of-n is often taken for."""
    weights = law * np.exp(n * reward)
    return weights / weights.sum()


TWINS: dict[str, Callable[[np.ndarray, np.ndarray, int], np.ndarray]] = {
    "ties not shared": without_ties,
    "the first of equals wins": first_wins,
    "one draw too many": lambda law, r, n: selection.best_of_n_law(law, r, n + 1),
    "the worst of n": lambda law, r, n: selection.best_of_n_law(law, -r, n),
    "an exponential tilt": tilted,
    "the reference": lambda law, r, n: law,
}


@pytest.mark.parametrize("twin", TWINS)
def test_control_a_broken_twin_is_caught(twin: str) -> None:
    weights, rewards = [3, 1, 2, 2], [0, 1, 1, -1]
    law, reward = as_law(weights), as_reward(rewards)
    expected = oracle.best_of_n_by_tuples(law, reward, 3)
    assert_law(selection.best_of_n_law(floats(law), rewards, 3), expected)
    with pytest.raises(AssertionError, match="law differs"):
        assert_law(TWINS[twin](floats(law), np.array(rewards, dtype=float), 3), expected)


def test_control_the_kl_formula_is_not_the_kl_with_ties() -> None:
    """ln n - (n-1)/n, often quoted as the KL itself, is far off on few atoms."""
    n = 16
    exact = selection.best_of_n_kl([0.5, 0.5], [0.0, 1.0], n)
    assert exact == pytest.approx(math.log(2), abs=1e-3)
    assert math.log(n) - (n - 1) / n > 2 * exact


def test_control_a_win_rate_without_half_ties_is_caught() -> None:
    law = np.array([0.5, 0.5])
    assert selection.win_rate(law, law, [1.0, 1.0]) == 0.5
    strict = sum(p * q * (r > s) for p, r in ((0.5, 1.0),) * 2 for q, s in ((0.5, 1.0),) * 2)
    assert strict == 0.0


@pytest.mark.parametrize("n", [2, 7])
def test_laws_that_sum_to_one_up_to_tolerance_are_brought_to_one(n: int) -> None:
    law, reward = np.array([0.25, 0.5, 0.25 - 2**-34]), [0.0, 2.0, 1.0]
    total = sum(map(Fraction, law))
    levels = [Fraction(law[i]) / total for i in (0, 2, 1)]
    sums = [sum(levels[: i + 1]) for i in range(3)]
    rising = [sums[0] ** n, sums[1] ** n - sums[0] ** n, 1 - sums[1] ** n]
    # Atoms share a level by their own law, which is not brought to one.
    expected = [
        float(x / y * Fraction(z)) for x, y, z in zip(rising, levels, law[[0, 2, 1]], strict=True)
    ]
    got = selection.best_of_n_law(law, reward, n)[[0, 2, 1]]
    np.testing.assert_allclose(got, expected, rtol=1e-13)


# Pass@k and max@k


@given(n=st.integers(1, 40), data=st.data())
def test_pass_at_k_is_the_ratio_of_binomials(n: int, data: st.DataObject) -> None:
    c, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    exact = 1 - Fraction(math.comb(n - c, k), math.comb(n, k))
    assert selection.pass_at_k(n, c, k) == pytest.approx(float(exact), abs=1e-14)


@pytest.mark.parametrize("k", [1, 2, 5])
def test_pass_at_k_is_unbiased_where_the_plug_in_is_not(k: int) -> None:
    """Sum over the binomial law of c: 1 - (1-p)^k, which 1 - (1 - c/n)^k stays below."""
    n, p = 6, Fraction(3, 10)
    chances = [math.comb(n, c) * p**c * (1 - p) ** (n - c) for c in range(n + 1)]
    mean = sum(float(x) * selection.pass_at_k(n, c, k) for c, x in enumerate(chances))
    assert mean == pytest.approx(float(1 - (1 - p) ** k), abs=1e-14)
    plug_in = sum(x * (1 - (1 - Fraction(c, n)) ** k) for c, x in enumerate(chances))
    assert (plug_in < 1 - (1 - p) ** k) == (k > 1)


@given(rewards=st.lists(st.integers(-5, 5), min_size=1, max_size=7), data=st.data())
def test_max_of_k_is_the_mean_over_subsets(rewards: list[int], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(rewards)))
    best = [max(subset) for subset in itertools.combinations(rewards, k)]
    exact = Fraction(sum(best), len(best))
    assert selection.max_of_k(rewards, k) == pytest.approx(float(exact), abs=1e-13)


def test_max_of_k_joins_the_mean_the_maximum_and_pass_at_k() -> None:
    rewards = np.array([0.5, -1.0, 2.0, 0.25])
    before = rewards.copy()
    assert selection.max_of_k(rewards, 1) == pytest.approx(rewards.mean(), rel=1e-15)
    assert selection.max_of_k(rewards, 4) == 2.0
    np.testing.assert_array_equal(rewards, before)
    correct = [1.0] * 3 + [0.0] * 5
    for k in range(1, 9):
        expected = selection.pass_at_k(8, 3, k)
        assert selection.max_of_k(correct, k) == pytest.approx(expected, abs=1e-15)


def test_max_of_k_estimates_the_mean_under_the_best_of_k() -> None:
    """Its mean over all triples of draws is the reward under `best_of_n_law`."""
    law, reward, k = np.array([0.2, 0.5, 0.3]), np.array([1.0, 0.0, 3.0]), 2
    mean = sum(
        law[list(y)].prod() * selection.max_of_k(reward[list(y)], k)
        for y in itertools.product(range(3), repeat=3)
    )
    assert mean == pytest.approx(selection.best_of_n_law(law, reward, k) @ reward, abs=1e-14)


def test_counts_in_the_thousands_do_not_overflow() -> None:
    exact = 1 - Fraction(math.comb(9000, 5000), math.comb(10_000, 5000))
    assert selection.pass_at_k(10_000, 1000, 5000) == pytest.approx(float(exact), abs=1e-14)
    ranks = np.arange(1.0, 3001.0)  # E max of k of 1..n is k (n+1)/(k+1)
    assert selection.max_of_k(ranks, 1000) == pytest.approx(1000 * 3001 / 1001, rel=1e-12)


# Bad input


def test_errors_name_what_is_wrong() -> None:
    cases: list[tuple[str, Callable[[], object]]] = [
        (r"^n is 0, but should be at least 1", lambda: selection.best_of_n_law([1.0], [0.0], 0)),
        (r"^n is -2", lambda: selection.best_of_n_kl([1.0], [0.0], -2)),
        (r"^n is 0", lambda: selection.best_of_n_chi_squared([1.0], [0.0], 0)),
        (r"^law sums to 0\.9", lambda: selection.best_of_n_law([0.9], [0.0], 2)),
        (r"^reward\[0\] is nan", lambda: selection.best_of_n_law([1.0], [math.nan], 2)),
        (
            r"^reward has shape \(2,\), but should be \(1,\) = \[atom\]",
            lambda: selection.best_of_n_law([1.0], [0.0, 1.0], 2),
        ),
        (r"^n, c, k = 2, 3, 1, but should be c <= n", lambda: selection.pass_at_k(2, 3, 1)),
        (r"^n, c, k = 2, 1, 3", lambda: selection.pass_at_k(2, 1, 3)),
        (r"^k is 0", lambda: selection.pass_at_k(2, 1, 0)),
        (r"^c is -1", lambda: selection.pass_at_k(2, -1, 1)),
        (r"^k is 3 for rewards of shape \(2,\)", lambda: selection.max_of_k([0.0, 1.0], 3)),
        (r"^rewards\[1\] is nan", lambda: selection.max_of_k([0.0, math.nan], 1)),
        (r"^other sums to 0\.9", lambda: selection.win_rate([1.0], [0.9], [0.0])),
    ]
    for message, wrong in cases:
        with pytest.raises(ValueError, match=message):
            wrong()
