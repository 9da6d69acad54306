"""The law of a reward and best-of-n from it, against the oracle, the tree and scipy's binomial."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bandit_rlhf import objective
from bandit_rlhf.automaton import capped_count, length, token_weights
from bandit_rlhf.exact import optimum, path_sum, reward_law
from bandit_rlhf.exact.lattice import Lattice
from bandit_rlhf.exact.reward_law import RewardLaw
from bandit_rlhf.language import Language
from bandit_rlhf.laws import oracle
from bandit_rlhf.ngram import MarkovPolicy
from tests.lattice_worlds import LatticeWorld, lattice_worlds, random_lattice_world

UNIT = 1 / 16
"""Weights are quarters, a random machine's payments quarters of those."""


def law_of(w: LatticeWorld) -> RewardLaw:
    lattice = w.lattice
    others = {"gold": lattice.payoffs["gold"], "proxy": lattice.payoffs["proxy"]}
    return reward_law.reward_law(lattice, lattice.payoffs["proxy"], UNIT, others)


def assert_judged(got: RewardLaw, w: LatticeWorld) -> None:
    """The oracle's pushforward of every prompt, and its means by level."""
    proxy, gold = w.payoff(w.proxy_terms), w.payoff(w.gold_terms)
    assert (np.diff(got.values) > 0).all()
    for x in range(len(w.prompts)):
        law = w.law(w.reference_rows, x)
        mass = oracle.pushforward(law, proxy)
        levels = {Fraction(float(v)): k for k, v in enumerate(got.values)}
        for value, chance in mass.items():
            here = [y for y in law if proxy[y] == value]
            expected = [chance, *(sum(law[y] * r[y] for y in here) for r in (gold, proxy))]
            rows = (got.mass, got.means["gold"], got.means["proxy"])
            found = [row[x, levels[value]] if value in levels else 0.0 for row in rows]
            difference = np.abs(np.array(found) - np.array(expected, dtype=float)).max()
            assert difference <= 1e-12, f"level {value} differs by {difference}"
        assert got.mass[x].sum() == pytest.approx(1.0, abs=1e-12)


@settings(max_examples=60)
@given(w=lattice_worlds(reference_zeros=True))
def test_law_and_means_are_the_oracle(w: LatticeWorld) -> None:
    assert_judged(law_of(w), w)


@settings(max_examples=30)
@given(w=lattice_worlds(reference_zeros=True), n=st.sampled_from([1, 2, 3, 10, 1000]))
def test_best_of_n_is_the_one_on_strings(w: LatticeWorld, n: int) -> None:
    """The oracle's law over whole strings, and its divergences from the reference."""
    got = reward_law.best_of_n(law_of(w), n)
    proxy, gold = w.payoff(w.proxy_terms), w.payoff(w.gold_terms)
    for x in range(len(w.prompts)):
        law = w.law(w.reference_rows, x)
        won = oracle.best_of_n(law, proxy, n)
        for found, expected in (
            (got.reward, oracle.mean(won, proxy)),
            (got.others["proxy"], oracle.mean(won, proxy)),
            (got.others["gold"], oracle.mean(won, gold)),
            (got.chi_squared, oracle.chi_squared(won, law)),
            (got.kl, oracle.kl({y: float(p) for y, p in won.items()}, law)),
        ):
            assert found.by_prompt[x] == pytest.approx(float(expected), rel=1e-11, abs=1e-11)
    for found in (got.reward, got.kl, got.chi_squared, got.others["gold"]):
        mean = np.dot(w.prompt_law, found.by_prompt)
        assert found.value == pytest.approx(mean, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("end", [True, False], ids=["ended", "cut"])
@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_best_of_n_is_the_tree_s(end: bool, order: int) -> None:
    w = random_lattice_world(order, size=3, horizon=5, end=end, order=order)
    law = law_of(w)
    reference, bandit = w.reference.as_tabular(w.prompt_words), w.bandit(w.proxy)
    strings, gold = reference.string_law(), w.bandit(w.gold).reward_table()
    for n in (1, 4, 100):
        got, won = reward_law.best_of_n(law, n), optimum.best_of_n(bandit, reference, n)
        for found, expected in (
            (got.reward, (won * bandit.reward_table()).sum(axis=1)),
            (got.others["gold"], (won * gold).sum(axis=1)),
            (got.kl, objective.kl_divergence(won, strings)),
            (got.chi_squared, objective.chi_squared(won, strings)),
        ):
            np.testing.assert_allclose(found.by_prompt, expected, rtol=1e-11, atol=1e-12)


def test_payments_that_nobody_earns_take_no_level() -> None:
    """Ending is never possible, and would pay far more than there are levels."""
    letters = Language(("a", "b"), 3, "$")
    reference = MarkovPolicy.from_probs(letters, 0, [[0.5, 0.5, 0.0]])
    for jackpot in (5.0, -5.0, 100.0, -100.0):
        lattice = Lattice.build(reference, {"r": token_weights(letters, [1.0, 0.0, jackpot])})
        law = reward_law.reward_law(lattice, lattice.payoffs["r"], unit=1.0)
        np.testing.assert_array_equal(law.values, [0, 1, 2, 3])
        np.testing.assert_allclose(law.mass, [[0.125, 0.375, 0.375, 0.125]])


def test_a_reference_that_always_ends_has_one_level() -> None:
    letters = Language(("a", "b"), 3, "$")
    reference = MarkovPolicy.from_probs(letters, 0, [[0.0, 0.0, 1.0]])
    lattice = Lattice.build(reference, {"r": token_weights(letters, [1.0, 0.0, 2.0])})
    law = reward_law.reward_law(lattice, lattice.payoffs["r"], unit=1.0)
    assert (law.values.tolist(), law.mass.tolist()) == ([2.0], [[1.0]])


# Closed forms at long horizons


def counting(p: float, horizon: int, cap: int, weight: float = 1.0) -> tuple[Lattice, RewardLaw]:
    letters = Language(("a", "b"), horizon)
    reference = MarkovPolicy.from_probs(letters, 0, [[p, 1 - p]])
    count = capped_count(letters, ["a"], cap, weight)
    lattice = Lattice.build(reference, {"a": count, "b": token_weights(letters, {"b": 1.0})})
    others = {"b": lattice.payoffs["b"]}
    return lattice, reward_law.reward_law(lattice, lattice.payoffs["a"], abs(weight), others)


def test_a_count_is_binomial() -> None:
    horizon, p = 300, 0.3
    _, law = counting(p, horizon, cap=horizon)
    exact = stats.binom.pmf(np.arange(horizon + 1), horizon, p)
    possible = exact > 0  # scipy's smallest masses underflow where the recursion's do
    np.testing.assert_allclose(law.values[possible[: len(law.values)]], np.flatnonzero(possible))
    np.testing.assert_allclose(law.mass[0], exact[: len(law.values)], rtol=1e-10, atol=1e-300)
    others = (horizon - law.values) * law.mass[0]  # every token that is not a is b
    np.testing.assert_allclose(law.means["b"][0], others, rtol=1e-10, atol=1e-300)


def test_a_capped_count_is_a_censored_binomial() -> None:
    horizon, p, cap = 300, 0.02, 5
    _, law = counting(p, horizon, cap)
    exact = stats.binom.pmf(np.arange(cap), horizon, p)
    np.testing.assert_allclose(
        law.mass[0], [*exact, stats.binom.sf(cap - 1, horizon, p)], rtol=1e-11
    )


def test_payments_below_zero_mirror_the_law() -> None:
    _, up = counting(0.3, 80, cap=80, weight=0.5)
    _, down = counting(0.3, 80, cap=80, weight=-0.5)
    np.testing.assert_array_equal(down.values, -up.values[::-1])
    np.testing.assert_allclose(down.mass[0], up.mass[0, ::-1], rtol=1e-12)


def test_best_of_n_of_a_count_is_scipy_s_order_statistic() -> None:
    horizon, p, n = 300, 0.3, 50
    _, law = counting(p, horizon, cap=horizon)
    got = reward_law.best_of_n(law, n)
    count = np.arange(horizon + 1)
    cdf, pmf = stats.binom.cdf(count, horizon, p), stats.binom.pmf(count, horizon, p)
    won = np.diff(cdf**n, prepend=0.0)
    assert got.reward.value == pytest.approx(won @ count, rel=1e-12)
    assert got.others["b"].value == pytest.approx(horizon - won @ count, rel=1e-12)
    some = won > 0
    kl = (won[some] * np.log(won[some] / pmf[some])).sum()
    assert got.kl.value == pytest.approx(kl, rel=1e-10)


def test_lengths_are_geometric_and_cut_at_the_horizon() -> None:
    letters, stop = Language(("a", "b"), 400, "$"), 0.01
    reference = MarkovPolicy.from_probs(letters, 0, [[0.5, 0.5 - stop, stop]])
    lattice = Lattice.build(reference, {"length": length(letters)})
    law = reward_law.reward_law(lattice, lattice.payoffs["length"], unit=1.0)
    exact = stats.geom.pmf(np.arange(1, 400), stop)
    np.testing.assert_allclose(law.values, np.arange(1, 401))
    np.testing.assert_allclose(law.mass[0], [*exact, stats.geom.sf(399, stop)], rtol=1e-11)


def test_moments_of_the_law_are_the_path_sums() -> None:
    w = random_lattice_world(seed=1, horizon=60, order=1)
    law, lattice = law_of(w), w.lattice
    proxy, gold = lattice.payoffs["proxy"], lattice.payoffs["gold"]
    for found, expected in (
        (law.mass @ law.values, path_sum.expected_reward(lattice.reference, proxy)),
        (law.mass @ law.values**2, path_sum.second_moment(lattice.reference, proxy, proxy)),
        (law.means["gold"].sum(axis=1), path_sum.expected_reward(lattice.reference, gold)),
        (law.means["gold"] @ law.values, path_sum.second_moment(lattice.reference, proxy, gold)),
    ):
        np.testing.assert_allclose(found, expected.by_prompt, rtol=1e-11)


# Broken twins, each of which the comparison with the oracle must catch


WORLD = random_lattice_world(seed=5, order=1)
TWINS = {
    "means of the prompt beside": lambda law: replace(
        law, means={name: np.roll(row, 1, axis=0) for name, row in law.means.items()}
    ),
    "masses of the prompt beside": lambda law: replace(law, mass=np.roll(law.mass, 1, axis=0)),
    "levels one unit off": lambda law: replace(law, values=law.values + UNIT),
    "means not weighed by the mass": lambda law: replace(
        law, means={name: row / np.where(law.mass, law.mass, 1) for name, row in law.means.items()}
    ),
    "means exchanged": lambda law: replace(
        law, means={"gold": law.means["proxy"], "proxy": law.means["gold"]}
    ),
}


@pytest.mark.parametrize("twin", TWINS)
def test_control_a_broken_twin_is_caught(twin: str) -> None:
    law = law_of(WORLD)
    assert_judged(law, WORLD)
    with pytest.raises(AssertionError, match="differs by"):
        assert_judged(TWINS[twin](law), WORLD)


def test_control_best_of_n_that_redraws_the_other_reward_is_caught() -> None:
    """The winner's gold goes with its proxy: the reference's mean is another number."""
    law = law_of(WORLD)
    got = reward_law.best_of_n(law, n=8).others["gold"].by_prompt
    assert np.abs(got - law.means["gold"].sum(axis=1)).min() > 1e-2


# Bad input


def test_a_payment_off_the_grid_is_named() -> None:
    letters = Language(("a", "b"), 3)
    reference = MarkovPolicy.from_probs(letters, 0, [[0.5, 0.5]])
    lattice = Lattice.build(reference, {"r": token_weights(letters, [0.5, 0.3])})
    with pytest.raises(
        ValueError,
        match=r"^edge\[0, 1\] is 0\.3, but should be a multiple of the unit 0\.25 \[reward_law\]",
    ):
        reward_law.reward_law(lattice, lattice.payoffs["r"], unit=0.25)
    assert len(reward_law.reward_law(lattice, lattice.payoffs["r"], unit=0.1).values) == 4
    with pytest.raises(ValueError, match=r"^unit is 0, but should be above 0"):
        reward_law.reward_law(lattice, lattice.payoffs["r"], unit=0.0)


def test_size_guard_names_pairs_and_memory() -> None:
    letters = Language(("a", "b"), 300)
    reference = MarkovPolicy.from_probs(letters, 0, [[0.5, 0.5]])
    lattice = Lattice.build(reference, {"r": token_weights(letters, [1.0, 0.0])})
    with pytest.raises(ValueError, match=r"state-level pairs need .* GiB.*Choose a coarser unit"):
        reward_law.reward_law(lattice, lattice.payoffs["r"], unit=2.0**-40)


def test_best_of_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^n is 0, but should be at least 1"):
        reward_law.best_of_n(law_of(WORLD), 0)
