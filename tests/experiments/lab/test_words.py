import math

import numpy as np
import pytest

from bandit_rlhf.exact import path_sum
from experiments import word_world
from experiments.lab import words
from experiments.lab.dials import ERROR_SD, Dials
from experiments.yardstick import Yardstick

HORIZON = 8


@pytest.fixture(scope="module")
def proxy():
    return words.fit_words(Dials(1.0, 300), 0, vocabulary_size=12, horizon=HORIZON)


def test_infinitely_many_comparisons_find_a_gold_reward_that_is_linear():
    fitted = words.fit_words(Dials(), 0, vocabulary_size=12, horizon=HORIZON)
    ruler = Yardstick.of(fitted.lattice, fitted.reward)
    assert ruler.correlation == pytest.approx(1, abs=1e-6)
    assert ruler.proxy_sd == pytest.approx(1, abs=1e-3)
    bent = words.fit_words(Dials(1.0), 0, vocabulary_size=12, horizon=HORIZON)
    assert Yardstick.of(bent.lattice, bent.reward).correlation < 0.99  # control


def test_misspecification_mixes_the_charge_for_repeats_into_gold():
    language = words.words(0.0, 12, HORIZON, 2).language
    twice = language.tokens([*(language.vocabulary[0],) * 2, "</s>"])
    batch = language.batch([twice])

    def charge(m):
        lattice = words.words(m, 12, HORIZON, 2)
        edge = lattice.payoffs["gold"].edge
        states, _ = lattice.read(batch)
        return edge[states[0, 1], twice[1]] - edge[states[0, 0], twice[0]]

    assert charge(0.0) == pytest.approx(0, abs=1e-12)
    assert charge(1.0) < charge(0.5) < -0.1


def test_gold_has_variance_one(proxy):
    gold = proxy.lattice.payoffs["gold"]
    assert word_world.deviation(proxy.lattice, gold) == pytest.approx(1)


def test_natural_gradient_on_strings_is_the_gibbs_path(proxy):
    for step, policy in words.natural_gradient(proxy, 0.3, (1, 5, 60)):
        gibbs, _ = path_sum.gibbs_optimum(proxy.lattice, proxy.reward, 1 / (0.3 * step))
        np.testing.assert_allclose(policy.probs, gibbs.probs, atol=1e-8)
    ((_, vanilla),) = words.token_gradient(proxy, 0.3, (5,), natural=False)
    gibbs, _ = path_sum.gibbs_optimum(proxy.lattice, proxy.reward, 1 / 1.5)
    assert np.abs(vanilla.probs - gibbs.probs).max() > 1e-3  # control


def test_best_of_n_agrees_with_drawing(proxy):
    rng, n, draws = np.random.default_rng(0), 4, 4000
    ((_, row),) = words.best_of_n(proxy, (n,))
    lattice, gold = proxy.lattice, proxy.lattice.payoffs["gold"]
    means, errors = [], []
    for prompt in range(2):
        batch = lattice.reference.sample(rng, n * draws, prompt)
        score = lattice.reward(proxy.reward, batch, prompt).reshape(draws, n)
        true = lattice.reward(gold, batch, prompt).reshape(draws, n)
        won = true[np.arange(draws), score.argmax(axis=1)]
        means.append(won.mean())
        errors.append(won.var() / draws)
    law = lattice.prompt_law
    expected = law @ means - word_world.mean(lattice.reference, gold)
    # The exact law is that of the proxy rounded to its grid, which moves the mean by less.
    assert row["gold"] == pytest.approx(expected, abs=4 * np.sqrt(law**2 @ errors) + 0.03)


def test_own_errors_and_narrowed_laws(proxy):
    errors = words.own_errors(proxy.lattice, 2.0, np.random.default_rng(0))
    assert word_world.deviation(proxy.lattice, errors) == pytest.approx(ERROR_SD)
    narrow = words.narrowed(proxy.lattice, 2.0)
    np.testing.assert_allclose(np.exp(narrow.log_reference).sum(axis=1), 1)
    squared = np.exp(2 * proxy.lattice.log_reference)
    expected = squared / squared.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(np.exp(narrow.log_reference), expected, atol=1e-12)


def test_pairs_are_differences_of_counts_and_of_gold(proxy):
    differences, leads = words.pairs(proxy.lattice, 1.0, 200, np.random.default_rng(1))
    assert differences.shape == (200, proxy.lattice.language.action_count)
    linear = words.words(0.0, 12, HORIZON, 2)
    differences, leads = words.pairs(linear, 1.0, 200, np.random.default_rng(1))
    np.testing.assert_allclose(leads, differences @ linear.payoffs["gold"].edge[0], atol=1e-12)
    assert math.isclose(np.abs(differences).max() % 1, 0)


@pytest.mark.parametrize("path", ["tilt", "natural", "vanilla"])
def test_exact_measures_lie_within_the_intervals_of_sampled_ones(proxy, path):
    """Sums over the lattice against the mean of 4,000 drawn strings: KL, proxy and gold."""
    lattice, ruler = proxy.lattice, Yardstick.of(proxy.lattice, proxy.reward)
    paths = {
        "tilt": words.tilt(proxy, (0.5,)),
        "natural": words.natural_gradient(proxy, 0.5, (4,)),
        "vanilla": words.token_gradient(proxy, 0.5, (4,), natural=False),
    }
    ((_, policy),) = paths[path]
    exact, rng, drawn = ruler.of_policy(policy), np.random.default_rng(0), []
    for prompt, count in enumerate(rng.multinomial(4000, lattice.prompt_law)):
        batch = policy.sample(rng, int(count), prompt)
        log_ratio = policy.log_prob(batch, prompt) - lattice.reference.log_prob(batch, prompt)
        gains = [
            lattice.reward(pay, batch, prompt) for pay in (proxy.reward, lattice.payoffs["gold"])
        ]
        drawn.append(np.stack([log_ratio, *gains]))
    sampled = np.concatenate(drawn, axis=1)
    wanted = (
        exact["kl"],
        exact["proxy"] * ruler.proxy_sd + ruler.proxy_mean,
        exact["gold"] + ruler.gold_mean,
    )
    for values, known in zip(sampled, wanted, strict=True):
        assert values.std() > 0
        assert abs(values.mean() - known) < 4 * values.std() / np.sqrt(values.size)
    assert exact["kl"] > 0.05
