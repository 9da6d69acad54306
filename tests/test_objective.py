"""Objectives and their optima against exact sums, scipy and conditions of optimality."""

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike
from scipy import optimize, stats
from scipy.special import rel_entr

from bandit_rlhf import objective
from bandit_rlhf.laws import oracle

Problem = tuple[list[int], list[int], list[int]]


@st.composite
def problems(draw: st.DrawFn, zeros: bool = True) -> Problem:
    """Weights of a law and of its reference, and rewards in quarters, of 1 to 6 atoms."""
    size = draw(st.integers(1, 6))
    weights = st.lists(st.integers(0 if zeros else 1, 9), min_size=size, max_size=size).filter(any)
    rewards = st.lists(st.integers(-8, 8), min_size=size, max_size=size)
    return draw(weights), draw(weights), draw(rewards)


def fractions(weights: list[int]) -> list[Fraction]:
    return [Fraction(w, sum(weights)) for w in weights]


def keyed(values: list) -> dict:
    """As the oracle wants it: by string, here of one token."""
    return {(i,): value for i, value in enumerate(values)}


def floats(values: list[Fraction]) -> np.ndarray:
    return np.array(values, dtype=float)


# Sums, against the oracle and scipy


@settings(max_examples=100)
@given(problem=problems())
def test_sums_are_the_oracle(problem: Problem) -> None:
    p, q, reward = fractions(problem[0]), fractions(problem[1]), problem[2]
    law, reference, rewards = floats(p), floats(q), np.array(reward) / 4
    for got, expected in (
        (objective.expected_reward(law, rewards), oracle.mean(keyed(p), keyed(reward)) / 4),
        (objective.kl_divergence(law, reference), oracle.kl(keyed(p), keyed(q))),
        (objective.chi_squared(law, reference), oracle.chi_squared(keyed(p), keyed(q))),
        (objective.entropy(law), oracle.entropy(keyed(p))),
    ):
        assert got == pytest.approx(float(expected), rel=1e-12, abs=1e-14)


@settings(max_examples=50)
@given(problem=problems(zeros=False))
def test_divergences_are_scipy_s(problem: Problem) -> None:
    law, reference = floats(fractions(problem[0])), floats(fractions(problem[1]))
    got = objective.kl_divergence(law, reference)
    assert got == pytest.approx(rel_entr(law, reference).sum(), abs=1e-14)
    assert objective.entropy(law) == pytest.approx(stats.entropy(law), abs=1e-14)
    pearson = stats.chisquare(1000 * law, 1000 * reference).statistic / 1000
    assert objective.chi_squared(law, reference) == pytest.approx(pearson, rel=1e-12, abs=1e-14)


def test_leading_axes_are_kept() -> None:
    rng = np.random.default_rng(0)
    law, reference = rng.dirichlet(np.ones(4), (3, 2)), rng.dirichlet(np.ones(4), (3, 2))
    reward = rng.normal(size=(3, 2, 4))
    for together, one in (
        (objective.expected_reward(law, reward), objective.expected_reward),
        (objective.gibbs(law, reward, 0.5), lambda p, r: objective.gibbs(p, r, 0.5)),
        (objective.soft_value(law, reward, 0.5), lambda p, r: objective.soft_value(p, r, 0.5)),
        (
            objective.chi_squared_optimum(law, reward, 0.5),
            lambda p, r: objective.chi_squared_optimum(p, r, 0.5),
        ),
    ):
        for x in np.ndindex(3, 2):
            np.testing.assert_allclose(np.asarray(together)[x], one(law[x], reward[x]), rtol=1e-14)
    for divergence in (objective.kl_divergence, objective.chi_squared):
        assert divergence(law, reference).shape == (3, 2)


def test_shared_reference_or_reward_is_broadcast() -> None:
    reference, rewards = np.array([0.5, 0.25, 0.25]), np.array([[0.0, 1.0, 2.0], [2.0, 0.0, 1.0]])
    for optimum in (objective.gibbs, objective.chi_squared_optimum):
        got = optimum(reference, rewards, 1.0)
        np.testing.assert_allclose(got[1], optimum(reference, rewards[1], 1.0))


# The Gibbs optimum


@settings(max_examples=60)
@given(problem=problems(), beta=st.sampled_from([0.125, 0.5, 2.0]))
def test_gibbs_is_the_oracle(problem: Problem, beta: float) -> None:
    """With rewards in units of beta ln 2 the weights exp(r / beta) are powers of two."""
    q, reward = fractions(problem[1]), problem[2]
    weight = [Fraction(2) ** r for r in reward]
    rewards = beta * math.log(2) * np.array(reward)
    expected = oracle.gibbs(keyed(q), keyed(weight))
    got = objective.gibbs(floats(q), rewards, beta)
    np.testing.assert_allclose(got, floats(list(expected.values())), rtol=1e-12)
    soft = beta * math.log(oracle.mean(keyed(q), keyed(weight)))
    assert objective.soft_value(floats(q), rewards, beta) == pytest.approx(soft, abs=1e-12)


@settings(max_examples=60)
@given(
    problem=problems(zeros=False),
    beta=st.sampled_from([0.3, 1.0, 5.0]),
    tau=st.sampled_from([0.0, 0.7]),
)
def test_no_policy_beats_gibbs(problem: Problem, beta: float, tau: float) -> None:
    """J(optimum) is the soft value; another law falls short by (beta + tau) KL(law || optimum)."""
    law, reference = floats(fractions(problem[0])), floats(fractions(problem[1]))
    reward = np.array(problem[2]) / 4
    best = objective.gibbs(reference, reward, beta, tau)
    value = objective.soft_value(reference, reward, beta, tau)
    at_best = objective.regularised_value(best, reference, reward, beta, tau)
    assert at_best == pytest.approx(value, rel=1e-11, abs=1e-12)
    shortfall = value - objective.regularised_value(law, reference, reward, beta, tau)
    expected = (beta + tau) * objective.kl_divergence(law, best)
    assert shortfall == pytest.approx(expected, rel=1e-10, abs=1e-11)


def test_extreme_rewards_neither_overflow_nor_warn() -> None:
    got = objective.gibbs([0.5, 0.5], [1e6, -1e6], beta=1e-3)
    np.testing.assert_array_equal(got, [1.0, 0.0])
    assert objective.soft_value([0.5, 0.5], [1e6, -1e6], beta=1e-3) == pytest.approx(1e6)


def test_without_kl_the_regularised_value_may_leave_the_support() -> None:
    assert objective.regularised_value([0.0, 1.0], [1.0, 0.0], [2.0, 3.0], beta=0.0) == 3.0
    penalised = objective.regularised_value([0.0, 1.0], [1.0, 0.0], [2.0, 3.0], beta=0.1)
    assert penalised == -math.inf


# The chi-squared optimum


def chi_squared_value(law: np.ndarray, problem: Problem, beta: float) -> float:
    reference = floats(fractions(problem[1]))
    inside = reference > 0
    penalty = ((law - reference)[inside] ** 2 / reference[inside]).sum()
    return float(law @ (np.array(problem[2]) / 4) - beta / 2 * penalty)


@settings(max_examples=200)
@given(problem=problems(), beta=st.sampled_from([0.05, 0.3, 1.0, 10.0]))
def test_chi_squared_optimum_satisfies_the_kkt_conditions(problem: Problem, beta: float) -> None:
    """Marginal gains r - beta (pi/ref - 1) are equal where pi > 0, and not larger where pi = 0."""
    reference, reward = floats(fractions(problem[1])), np.array(problem[2]) / 4
    got = objective.chi_squared_optimum(reference, reward, beta)
    assert got.min() >= 0
    assert got.sum() == pytest.approx(1.0, abs=1e-12)
    assert (got[reference == 0] == 0).all()
    inside = reference > 0
    gain = (reward - beta * (got / np.where(inside, reference, 1.0) - 1))[inside]
    kept = got[inside] > 0
    multiplier = gain[kept].mean()
    assert np.abs(gain[kept] - multiplier).max() <= 1e-11 * max(1.0, beta)
    assert (gain[~kept] <= multiplier + 1e-11 * max(1.0, beta)).all()


@pytest.mark.parametrize("beta", [0.2, 1.0, 5.0])
@pytest.mark.parametrize("seed", range(4))
def test_chi_squared_optimum_is_scipy_s(beta: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    problem: Problem = (
        rng.integers(1, 9, 5).tolist(),
        rng.integers(1, 9, 5).tolist(),
        rng.integers(-8, 9, 5).tolist(),
    )
    found = optimize.minimize(
        lambda law: -chi_squared_value(law, problem, beta),
        np.full(5, 0.2),
        bounds=[(0, 1)] * 5,
        constraints={"type": "eq", "fun": lambda law: law.sum() - 1},
        options={"ftol": 1e-14, "maxiter": 500},
        method="SLSQP",
    )
    reference, reward = floats(fractions(problem[1])), np.array(problem[2]) / 4
    got = objective.chi_squared_optimum(reference, reward, beta)
    np.testing.assert_allclose(got, found.x, atol=2e-5)
    assert chi_squared_value(got, problem, beta) >= -found.fun - 1e-12


def test_chi_squared_optimum_is_linear_while_no_atom_is_cut() -> None:
    reference, reward = np.array([0.5, 0.3, 0.2]), np.array([0.0, 1.0, 2.0])
    mean = reference @ reward
    got = objective.chi_squared_optimum(reference, reward, beta=10.0)
    np.testing.assert_allclose(got, reference * (1 + (reward - mean) / 10.0), rtol=1e-14)
    cut = objective.chi_squared_optimum(reference, reward, beta=0.1)
    np.testing.assert_allclose(cut, [0.0, 0.0, 1.0], atol=1e-15)


# Broken twins, each of which the oracle comparison must catch


LAW, REFERENCE = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.2, 0.6])
REWARD = np.array([1.0, -0.5, 0.25])
TWINS: dict[str, tuple[Callable[[], ArrayLike], Callable[[], ArrayLike]]] = {
    "expected reward: under the reference": (
        lambda: objective.expected_reward(LAW, REWARD),
        lambda: REFERENCE @ REWARD,
    ),
    "kl: exchanged": (
        lambda: objective.kl_divergence(LAW, REFERENCE),
        lambda: objective.kl_divergence(REFERENCE, LAW),
    ),
    "kl: in bits": (
        lambda: objective.kl_divergence(LAW, REFERENCE),
        lambda: objective.kl_divergence(LAW, REFERENCE) / math.log(2),
    ),
    "chi-squared: divided by the law": (
        lambda: objective.chi_squared(LAW, REFERENCE),
        lambda: objective.chi_squared(REFERENCE, LAW),
    ),
    "chi-squared: forgets the 1": (
        lambda: objective.chi_squared(LAW, REFERENCE),
        lambda: (LAW**2 / REFERENCE).sum(),
    ),
    "entropy: sign": (lambda: objective.entropy(LAW), lambda: -objective.entropy(LAW)),
    "gibbs: beta multiplies the reward": (
        lambda: objective.gibbs(REFERENCE, REWARD, 0.5),
        lambda: objective.gibbs(REFERENCE, REWARD, 2.0),
    ),
    "gibbs: forgets the reference": (
        lambda: objective.gibbs(REFERENCE, REWARD, 0.5),
        lambda: objective.gibbs(np.full(3, 1 / 3), REWARD, 0.5),
    ),
    "soft value: ln Z without beta": (
        lambda: objective.soft_value(REFERENCE, REWARD, 0.5),
        lambda: objective.soft_value(REFERENCE, REWARD, 0.5) / 0.5,
    ),
    "regularised value: bonus for KL": (
        lambda: objective.regularised_value(LAW, REFERENCE, REWARD, 0.5),
        lambda: LAW @ REWARD + 0.5 * objective.kl_divergence(LAW, REFERENCE),
    ),
    "regularised value: tau forgotten": (
        lambda: objective.regularised_value(LAW, REFERENCE, REWARD, 0.5, 0.3),
        lambda: objective.regularised_value(LAW, REFERENCE, REWARD, 0.5),
    ),
    "chi-squared optimum: beta instead of beta / 2": (
        lambda: objective.chi_squared_optimum(REFERENCE, REWARD, 2.0),
        lambda: objective.chi_squared_optimum(REFERENCE, REWARD, 4.0),
    ),
    "chi-squared optimum: clipped and rescaled": (
        lambda: objective.chi_squared_optimum(REFERENCE, REWARD, 0.5),
        lambda: clipped_and_rescaled(0.5),
    ),
}


def clipped_and_rescaled(beta: float) -> np.ndarray:
    law = np.maximum(0, REFERENCE * (1 + (REWARD - REFERENCE @ REWARD) / beta))
    return law / law.sum()


def by_definition(twin: str) -> ArrayLike:
    """Each twin's quantity once more, in plain loops or by a search over the simplex."""
    p, q, r = keyed(LAW.tolist()), keyed(REFERENCE.tolist()), keyed(REWARD.tolist())
    tilted = {y: math.exp(reward / 0.5) for y, reward in r.items()}
    regularised = oracle.mean(p, r) - 0.5 * oracle.kl(p, q)
    match twin.partition(":")[0], "tau" in twin:
        case "expected reward", _:
            return oracle.mean(p, r)
        case "kl", _:
            return oracle.kl(p, q)
        case "chi-squared", _:
            return oracle.chi_squared(p, q)
        case "entropy", _:
            return oracle.entropy(p)
        case "gibbs", _:
            return list(oracle.gibbs(q, tilted).values())
        case "soft value", _:
            return 0.5 * math.log(oracle.mean(q, tilted))
        case "regularised value", with_tau:
            return regularised + (0.3 * oracle.entropy(p) if with_tau else 0)
    beta = 2.0 if "beta" in twin else 0.5
    steps = np.arange(401) / 400
    simplex = [np.array([a, b, 1 - a - b]) for a in steps for b in steps if a + b <= 1]
    values = [
        law @ REWARD - beta / 2 * oracle.chi_squared(keyed(law.tolist()), q) for law in simplex
    ]
    return simplex[int(np.argmax(values))]


@pytest.mark.parametrize("twin", TWINS)
def test_control_a_broken_twin_is_caught(twin: str) -> None:
    right, broken = TWINS[twin]
    expected = by_definition(twin)
    tolerance = 4e-3 if "optimum" in twin else 1e-12  # the search has steps of 1/400
    np.testing.assert_allclose(np.asarray(right()), np.asarray(expected), atol=tolerance)
    assert np.abs(np.asarray(broken()) - np.asarray(expected)).max() > 5 * tolerance


# Bad input


def test_errors_name_what_is_wrong() -> None:
    law, reward = [0.5, 0.5], [0.0, 1.0]
    cases: list[tuple[str, Callable[[], object]]] = [
        (r"^law sums to 0\.9, but should be 1", lambda: objective.entropy([0.5, 0.4])),
        (r"^reference sums to 0\.9", lambda: objective.kl_divergence(law, [0.5, 0.4])),
        (r"^reference\[1\] is -0\.5", lambda: objective.chi_squared(law, [1.5, -0.5])),
        (r"^reward\[1\] is nan", lambda: objective.expected_reward(law, [0.0, math.nan])),
        (r"^reward\[0\] is inf", lambda: objective.gibbs(law, [math.inf, 0.0], 1.0)),
        (r"^beta is 0, but should be above 0 \[gibbs\]", lambda: objective.gibbs(law, reward, 0)),
        (r"^beta is -1", lambda: objective.soft_value(law, reward, -1.0)),
        (r"^tau is -1, but should be at least 0", lambda: objective.gibbs(law, reward, 1.0, -1.0)),
        (r"^beta is -1", lambda: objective.regularised_value(law, law, reward, -1.0)),
        (r"^beta is 0", lambda: objective.chi_squared_optimum(law, reward, 0.0)),
    ]
    for message, wrong in cases:
        with pytest.raises(ValueError, match=message):
            wrong()
