"""A small world of words against sums over its strings, and the fit against its equations."""

from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import minimize

from bandit_rlhf import corpus, objective, selection
from bandit_rlhf.exact import path_gradient, path_sum
from bandit_rlhf.exact.lattice import Payoff
from experiments import first_light, word_world
from experiments.yardstick import Yardstick


@cache
def small():
    """A world of 8 words and 4 tokens: 4,681 strings, few enough to sum one by one."""
    return word_world.world(vocabulary_size=8, horizon=4, prompts=2)


@cache
def law_and_rewards():
    """The reference's law [prompt, string] and every reward [string], string by string."""
    lattice = small()
    batch = lattice.language.all_strings()
    law = lattice.reference.as_tabular().string_law()
    return batch, law, {name: lattice.reward(p, batch) for name, p in lattice.payoffs.items()}


def joint(law):
    return small().prompt_law @ law


def test_gold_has_unit_deviation_under_the_reference():
    _, law, rewards = law_and_rewards()
    weights, gold = joint(law), rewards["gold"]
    assert weights @ gold**2 - (weights @ gold) ** 2 == pytest.approx(1.0, abs=1e-12)


def test_rewards_are_what_their_names_say():
    lattice = small()
    batch, _, rewards = law_and_rewards()
    worth = {}
    for row, string in enumerate(batch.strings()):
        content = lattice.language.content(string)
        repeats = sum(a == b for a, b in pairwise(content))
        assert rewards["repeats"][row] == repeats
        assert rewards["length"][row] == len(string)
        if len(content) == 1:
            worth[content[0]] = rewards["gold"][row]
    most = max(worth.values())
    for row, string in enumerate(batch.strings()):
        content = lattice.language.content(string)
        expected = sum(
            -most if t and content[t - 1] == a else worth[a] for t, a in enumerate(content)
        )
        assert rewards["gold"][row] == pytest.approx(expected, abs=1e-12)


def test_a_word_is_worth_its_information():
    """Differences of worth are differences of log frequency, counted again here."""
    lattice = small()
    words = [w for said in corpus.sentences(corpus.english_text()) for w in said]
    known = set(lattice.language.vocabulary)
    counted = [w if w in known else corpus.UNKNOWN for w in words]
    worth = lattice.payoffs["gold"].edge[0, : lattice.language.vocabulary_size]
    first, second = (counted.count(lattice.language.vocabulary[i]) for i in (0, 5))
    third = counted.count(lattice.language.vocabulary[6])
    ratio = (worth[0] - worth[5]) / (worth[5] - worth[6])
    assert ratio == pytest.approx(np.log(second / first) / np.log(third / second), rel=1e-9)


def test_prompts_are_real_openings_with_distinct_last_words():
    lattice = small()
    said = [tuple(words) for words in corpus.sentences(corpus.english_text())]
    assert len({prompt[-1] for prompt in lattice.prompts}) == 2
    for prompt in lattice.prompts:
        assert any(words[:2] == prompt for words in said)


def test_moments_are_sums_over_strings():
    lattice = small()
    _, law, rewards = law_and_rewards()
    weights = joint(law)
    expected = weights @ (rewards["gold"] * rewards["length"])
    expected -= (weights @ rewards["gold"]) * (weights @ rewards["length"])
    got = word_world.covariance(lattice, lattice.payoffs["gold"], lattice.payoffs["length"])
    assert got == pytest.approx(expected, abs=1e-12)


def test_comparisons_follow_bradley_terry_on_gold():
    """Mean winner-less-loser counts against the exact expectation; 5 standard errors, 1 in 10^6."""
    lattice = small()
    batch, law, rewards = law_and_rewards()
    differences = word_world.compare(lattice, 40_000, np.random.default_rng(5))
    size = lattice.language.action_count
    counts = np.stack(
        [(np.where(batch.mask, batch.tokens, -1) == a).sum(1) for a in range(size)], 1
    )
    gold = rewards["gold"]
    expected = np.zeros(size)
    for weight, one in zip(lattice.prompt_law, law, strict=True):
        # E[(2 sigma(g - g') - 1)(c - c')] = 2 E[(2 sigma(g - g') - 1) c], by symmetry.
        preferred = np.array([one @ np.tanh((g - gold) / 2) for g in gold])
        expected += weight * 2 * (one * preferred) @ counts
    error = differences.std(axis=0) / np.sqrt(len(differences))
    assert (np.abs(differences.mean(axis=0) - expected) < 5 * error).all()
    # Control: labels by the toss of a coin would be seen.
    assert (np.abs(0 - expected) > 5 * error).any()


def test_fit_maximises_the_penalised_likelihood():
    rng = np.random.default_rng(6)
    differences = rng.integers(-2, 3, (200, 5)).astype(float)

    def loss(weights):
        margins = differences @ weights
        return np.logaddexp(0, -margins).sum() + weights @ weights / (2 * 0.7**2)

    fitted = word_world.fit_weights(differences, prior_sd=0.7)
    found = minimize(loss, np.zeros(5), tol=1e-12)
    assert fitted == pytest.approx(found.x, abs=1e-5)
    assert loss(fitted) <= found.fun + 1e-12


def test_yardstick_is_sums_over_strings():
    lattice = small()
    _, law, rewards = law_and_rewards()
    weights = np.random.default_rng(7).integers(-8, 9, lattice.language.action_count) / 8
    proxy = Payoff(
        np.broadcast_to(weights, lattice.log_reference.shape), np.zeros(lattice.state_count)
    )
    judge = Yardstick.of(lattice, proxy)
    batch = lattice.language.all_strings()
    scores = lattice.reward(proxy, batch)
    reference, gold = joint(law), rewards["gold"]
    centred = [v - reference @ v for v in (scores, gold)]
    sd = np.sqrt(reference @ centred[0] ** 2)
    assert judge.correlation == pytest.approx(reference @ (centred[0] * centred[1]) / sd, abs=1e-12)

    policy, _ = path_sum.gibbs_optimum(lattice, proxy, beta=0.3)
    tilted = objective.gibbs(law, scores, beta=0.3)
    measured = judge.of_policy(policy)
    p = lattice.prompt_law
    assert measured["kl"] == pytest.approx(p @ objective.kl_divergence(tilted, law), abs=1e-12)
    assert measured["gold"] == pytest.approx(joint(tilted) @ gold - reference @ gold, abs=1e-12)
    assert measured["proxy"] == pytest.approx(joint(tilted) @ centred[0] / sd, abs=1e-12)
    chi = p @ objective.chi_squared(tilted, law)
    rho = judge.correlation
    bound = (measured["proxy"] - np.sqrt((1 - rho**2) * chi)) / rho
    assert measured["guaranteed"] == pytest.approx(bound, abs=1e-9)
    top = batch.strings()[int(tilted[0].argmax())]
    assert measured["string"] == " ".join(lattice.language.words(top))


def paid_at_the_end(lattice, size):
    """A reward of `size` for every string: for its end, or where the horizon cuts it."""
    edge = np.zeros(lattice.log_reference.shape)
    edge[:, lattice.language.end_token] = size
    return Payoff(edge, np.full(lattice.state_count, size))


@pytest.mark.parametrize("size", [0.0, 1.0, 0.377, -1 / 3, 1e7 / 7, 1e-9 / 3])
def test_a_yardstick_of_a_proxy_that_is_constant_over_strings_is_refused(size):
    """Zero weights, and constants that lose all digits in E r^2 - (E r)^2."""
    for lattice in (small(), word_world.world(vocabulary_size=30, horizon=12, prompts=2)):
        constant = paid_at_the_end(lattice, size)
        # The same for every string in another way: what a word earns is charged at the end.
        state = np.random.default_rng(9).standard_normal(lattice.state_count) * (size or 1.0)
        state[lattice.start] = 0.0
        turned = Payoff(constant.edge - state[:, None], constant.truncated - state)
        turned.edge[:, : lattice.language.vocabulary_size] += state[lattice.successor]
        for proxy in (constant, turned):
            with pytest.raises(ValueError, match=r"constant over strings, but .*\[Yardstick\.of\]"):
                Yardstick.of(lattice, proxy)
        # Control: a proxy that differs by little, for its size.
        little = 1e-6 * (abs(size) or 1.0)
        judge = Yardstick.of(lattice, constant + little * lattice.payoffs["gold"])
        assert judge.proxy_sd == pytest.approx(little, rel=1e-6)
        assert judge.correlation == pytest.approx(1, abs=1e-6)


def test_a_proxy_that_differs_between_prompts_alone_is_refused():
    """One token to write: two states of different worth, and nothing to choose in either."""
    lattice = word_world.world(vocabulary_size=8, horizon=1, prompts=2)
    worth = np.arange(lattice.state_count, dtype=float)[:, None]
    edge = np.broadcast_to(worth, lattice.log_reference.shape)
    assert len(set(lattice.start)) == 2
    with pytest.raises(ValueError, match="constant over strings"):
        Yardstick.of(lattice, Payoff(edge, np.zeros(lattice.state_count)))


def test_the_deviation_has_its_share_between_prompts():
    """Prompts are worth different sums here: the total variance, string by string."""
    lattice = small()
    _, law, _ = law_and_rewards()
    rng = np.random.default_rng(10)
    edge = rng.standard_normal(lattice.log_reference.shape)
    proxy = Payoff(edge, rng.standard_normal(lattice.state_count))
    batch = lattice.language.all_strings()
    scores = np.stack([lattice.reward(proxy, batch, x) for x in range(2)])
    total = lattice.prompt_law[:, None] * law
    variance = (total * (scores - (total * scores).sum()) ** 2).sum()
    assert Yardstick.of(lattice, proxy).proxy_sd == pytest.approx(np.sqrt(variance), rel=1e-12)
    means = (law * scores).sum(axis=1)
    assert abs(means[0] - means[1]) > 0.01  # control: there is a share between them


def test_best_of_n_is_the_law_over_strings():
    lattice = small()
    _, law, rewards = law_and_rewards()
    config = first_light.Config(unit=0.125, draws=(1, 3, 50))
    weights = np.random.default_rng(8).integers(-8, 9, lattice.language.action_count) / 8
    proxy = Payoff(
        np.broadcast_to(weights, lattice.log_reference.shape), np.zeros(lattice.state_count)
    )
    scores = lattice.reward(proxy, lattice.language.all_strings())
    points = list(first_light.best_of(config, Yardstick.of(lattice, proxy)))
    assert [n for _, n, _ in points] == [1, 3, 50]
    for _, n, measured in points:
        best = np.stack([selection.best_of_n_law(one, scores, int(n)) for one in law])
        gain = (joint(best) - joint(law)) @ rewards["gold"]
        assert measured["gold"] == pytest.approx(gain, abs=1e-11)
        kl = lattice.prompt_law @ objective.kl_divergence(best, law)
        assert measured["kl"] == pytest.approx(kl, abs=1e-11)


@pytest.mark.parametrize("natural", [True, False])
def test_a_gradient_step_follows_the_gradients_of_the_engine(natural):
    """Vanilla: along the gradient; natural: the gradient over visits and probability."""
    lattice = small()
    proxy, step = lattice.payoffs["repeats"], 0.3
    gradient = path_gradient.expected_reward(lattice.reference, proxy).gradient
    mass = path_sum.visits(lattice.reference)[:, :, None] * lattice.reference.probs
    advantage = path_sum.advantage(lattice.reference, proxy)
    np.testing.assert_allclose(gradient, mass * advantage, atol=1e-12)
    size = np.abs(advantage).max()
    direction = advantage if natural else gradient * (size / np.abs(gradient).max())
    wanted = path_sum.softmax(lattice, lattice.reference.log_probs + step * direction)
    before = lattice.reference.log_probs.copy()
    moved = word_world.gradient_step(lattice.reference, proxy, step, natural)
    np.testing.assert_allclose(moved.log_probs, wanted.log_probs, atol=1e-12)
    np.testing.assert_array_equal(lattice.reference.log_probs, before)  # it stays as it was
