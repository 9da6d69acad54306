"""Path sums where no enumeration is possible, against closed forms for independent tokens.

With the end token's probability q at every step, and horizon H, the length is geometric and cut at
H: E|y| = (1 - (1-q)^H) / q. Sums over steps are E|y| times one step's (Wald).
"""

import math

import numpy as np
import pytest

from bandit_rlhf.automaton import length, token_weights
from bandit_rlhf.exact import path_sum
from bandit_rlhf.exact.lattice import Lattice
from bandit_rlhf.language import Language
from bandit_rlhf.ngram import MarkovPolicy

HORIZON = 300
FIRST = np.array([0.5, 0.3, 0.18, 0.02])
SECOND = np.array([0.25, 0.4, 0.3, 0.05])
WEIGHTS = np.array([1.0, -0.5, 2.0, 0.25])


def lattice_of(probs: np.ndarray, horizon: int, end: bool) -> Lattice:
    words = tuple("abcd"[: len(probs) - end])
    language = Language(words, horizon, "$" if end else None)
    rewards = {
        "weights": token_weights(language, WEIGHTS[: language.action_count]),
        "length": length(language),
    }
    return Lattice.build(MarkovPolicy.from_probs(language, 0, [probs]), rewards)


def expected_length(stop: float) -> float:
    return (1 - (1 - stop) ** HORIZON) / stop


def divergence(p: np.ndarray, q: np.ndarray) -> float:
    return float(p @ np.log(p / q))


ENDED = lattice_of(FIRST, HORIZON, end=True)
CUT = lattice_of(FIRST, HORIZON, end=False)
OTHER = ENDED.policy_of(MarkovPolicy.from_probs(ENDED.language, 0, [SECOND]))


def test_length_is_geometric() -> None:
    got = path_sum.expected_reward(ENDED.reference, ENDED.payoffs["length"])
    assert got.value == pytest.approx(expected_length(FIRST[-1]), rel=1e-13)


def test_visits_decay_geometrically() -> None:
    np.testing.assert_allclose(
        path_sum.visits(ENDED.reference)[:, 0], (1 - FIRST[-1]) ** np.arange(HORIZON), rtol=1e-12
    )


def test_rewards_entropy_and_kl_are_one_step_s_times_the_expected_length() -> None:
    steps = expected_length(SECOND[-1])
    for got, one_step in (
        (path_sum.expected_reward(OTHER, ENDED.payoffs["weights"]), SECOND @ WEIGHTS),
        (path_sum.entropy(OTHER), -(SECOND @ np.log(SECOND))),
        (path_sum.kl(OTHER, ENDED.reference), divergence(SECOND, FIRST)),
    ):
        assert got.value == pytest.approx(steps * one_step, rel=1e-12)
    backward = expected_length(FIRST[-1]) * divergence(FIRST, SECOND)
    assert path_sum.kl(ENDED.reference, OTHER).value == pytest.approx(backward, rel=1e-12)


def test_token_entropy_is_one_step_s() -> None:
    got = path_sum.token_entropy(OTHER).value
    assert got == pytest.approx(-(SECOND @ np.log(SECOND)), rel=1e-12)


def test_chi_squared_multiplies_along_the_string() -> None:
    """1 + chi^2 of one step is m for going on and e for ending: the sum of m^t e, and m^H."""
    ratio = SECOND**2 / FIRST
    m, e = ratio[:-1].sum(), ratio[-1]
    expected = e * (1 - m**HORIZON) / (1 - m) + m**HORIZON - 1
    got = path_sum.chi_squared(OTHER, ENDED.reference).value
    assert got == pytest.approx(expected, rel=1e-11)


def test_chi_squared_beyond_the_floating_range_is_infinite() -> None:
    coin = lattice_of(np.array([0.01, 0.99]), HORIZON, end=False)
    heads = coin.policy_of(MarkovPolicy.from_probs(coin.language, 0, [[0.99, 0.01]]))
    assert path_sum.chi_squared(heads, coin.reference).value == math.inf
    assert path_sum.kl(heads, coin.reference).value == pytest.approx(
        HORIZON * 0.98 * math.log(99), rel=1e-12
    )


def test_variance_of_a_sum_of_independent_tokens() -> None:
    lattice = lattice_of(FIRST, HORIZON, end=False)
    weights = lattice.payoffs["weights"]
    mean = path_sum.expected_reward(lattice.reference, weights).value
    moment = path_sum.second_moment(lattice.reference, weights, weights).value
    one_step = FIRST @ WEIGHTS**2 - (FIRST @ WEIGHTS) ** 2
    assert mean == pytest.approx(HORIZON * (FIRST @ WEIGHTS), rel=1e-13)
    assert moment - mean**2 == pytest.approx(HORIZON * one_step, rel=1e-9)


@pytest.mark.parametrize("beta", [0.05, 1.0, 20.0])
def test_the_tilt_of_independent_tokens_factorises(beta: float) -> None:
    """pi_t(a) = p(a) exp(w(a) / beta) / z at every step, and V = H beta ln z."""
    got, value = path_sum.gibbs_optimum(CUT, CUT.payoffs["weights"], beta)
    tilted = FIRST * np.exp(WEIGHTS / beta)
    expected = np.broadcast_to(np.log(tilted / tilted.sum()), got.log_probs[:, 0].shape)
    np.testing.assert_allclose(got.log_probs[:, 0], expected, rtol=0, atol=1e-10)
    assert value.value == pytest.approx(HORIZON * beta * math.log(tilted.sum()), rel=1e-12)


@pytest.mark.parametrize("beta", [1.0, 3.0, 20.0])
def test_the_tilt_with_an_end_token_is_a_geometric_series(beta: float) -> None:
    """With n steps left Z_n = e (1 + m + ... + m^(n-1)) + m^n; ending has probability e / Z_n."""
    got, value = path_sum.gibbs_optimum(ENDED, ENDED.payoffs["weights"], beta)
    tilted = FIRST * np.exp(WEIGHTS / beta)
    m, e = tilted[:-1].sum(), tilted[-1]
    z = [1.0]
    for _ in range(HORIZON):
        z.append(e + m * z[-1])
    assert z[-1] == pytest.approx(e * (1 - m**HORIZON) / (1 - m) + m**HORIZON)
    assert value.value == pytest.approx(beta * math.log(z[-1]), rel=1e-12)
    ending = got.log_probs[:, 0, -1]
    np.testing.assert_allclose(ending, np.log(e / np.array(z[:0:-1])), rtol=0, atol=1e-10)


def test_a_markov_chain_of_two_tokens_forgets_its_prompt_geometrically() -> None:
    """E[count of b] by the chain's spectrum: stationary share, plus (1 - p - q)^t of the rest."""
    p, q = 0.02, 0.05  # from a to b and back
    letters = Language(("a", "b"), HORIZON)
    reference = MarkovPolicy.from_probs(letters, 1, [[0.5, 0.5], [1 - p, p], [q, 1 - q]])
    weights = {"b": token_weights(letters, {"b": 1.0})}
    lattice = Lattice.build(reference, weights, [("a",), ("b",)])
    share, decay = p / (p + q), (1 - p - q) ** np.arange(1, HORIZON + 1)
    got = path_sum.expected_reward(lattice.reference, lattice.payoffs["b"]).by_prompt
    expected = [HORIZON * share + (start - share) * decay.sum() for start in (0, 1)]
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_control_the_closed_forms_tell_neighbouring_horizons_apart() -> None:
    shorter = lattice_of(FIRST, HORIZON - 1, end=True)
    got = path_sum.expected_reward(shorter.reference, shorter.payoffs["length"]).value
    assert got != pytest.approx(expected_length(FIRST[-1]), rel=1e-13)
    _, value = path_sum.gibbs_optimum(shorter, shorter.payoffs["weights"], 1.0)
    _, longer = path_sum.gibbs_optimum(ENDED, ENDED.payoffs["weights"], 1.0)
    assert value.value != pytest.approx(longer.value, rel=1e-12)
