"""The judge judged: cases worked by hand, and every quantity derived a second way."""

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import mpmath
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit_rlhf.laws import oracle
from tests.worlds import Weights, World, exact, random_world, worlds

HALF, THIRD, QUARTER = Fraction(1, 2), Fraction(1, 3), Fraction(1, 4)


def always(*probabilities: oracle.Number) -> oracle.Policy:
    """The policy that draws every token from the same law."""
    return lambda prefix: list(probabilities)


# Strings and their law


def test_strings_by_hand() -> None:
    cut, ended = (0,) * 2, (0, 2)
    assert oracle.strings(2, 2, end=True) == [cut, (0, 1), ended, (1, 0), (1, 1), (1, 2), (2,)]
    assert oracle.strings(2, 2, end=False) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert oracle.strings(2, 2, end=True, prefix=(1,)) == [(1, 0), (1, 1), (1, 2)]
    assert oracle.prefixes(oracle.strings(2, 2, end=True)) == [(), (0,), (1,)]


@pytest.mark.parametrize("end", [True, False])
@pytest.mark.parametrize(("size", "horizon"), list(itertools.product(range(1, 4), range(1, 5))))
def test_strings_are_those_words_that_qualify(size: int, horizon: int, end: bool) -> None:
    """Second derivation: filter all words over the alphabet, rather than grow a tree."""

    def qualifies(word: oracle.String) -> bool:
        stops = word.index(size) + 1 if size in word else horizon
        return len(word) == stops

    words = itertools.chain.from_iterable(
        itertools.product(range(size + end), repeat=t) for t in range(1, horizon + 1)
    )
    assert oracle.strings(size, horizon, end) == sorted(filter(qualifies, words))


@settings(max_examples=30)
@given(w=worlds(prompts=1))
def test_law_sums_to_one_exactly(w: World) -> None:
    assert sum(oracle.law(exact(w.policy_weights[0]), w.strings).values()) == 1


def test_law_by_hand() -> None:
    """One token, going on with probability 2/3: the truncated geometric law."""
    every = oracle.strings(1, 3, end=True)
    law = oracle.law(always(1 - THIRD, THIRD), every)
    assert law == {
        (1,): THIRD,
        (0, 1): Fraction(2, 9),
        (0, 0, 1): Fraction(4, 27),
        (0, 0, 0): Fraction(8, 27),
    }
    assert oracle.mean(law, {y: len(y) for y in every}) == Fraction(9 + 12 + 12 + 24, 27)


def test_pushforward_by_hand() -> None:
    law = oracle.law(always(HALF, HALF), oracle.strings(2, 2, end=False))
    assert oracle.pushforward(law, {y: sum(y) for y in law}) == {0: QUARTER, 1: HALF, 2: QUARTER}


@settings(max_examples=20)
@given(w=worlds(prompts=1))
def test_pushforward_keeps_the_mean(w: World) -> None:
    law = oracle.law(exact(w.policy_weights[0]), w.strings)
    payoff = {y: Fraction(r) for y, r in w.rewards[0].items()}
    levels = oracle.pushforward(law, payoff)
    assert sum(levels.values()) == 1
    assert sum(value * p for value, p in levels.items()) == oracle.mean(law, payoff)


# Gradients, by differences: a logit moved by ln(1 + h) is a weight multiplied by 1 + h


def central_difference(
    functional: Callable[[oracle.Policy], oracle.Number],
    weights: Weights,
    place: tuple[oracle.String, int],
    number: Callable[[int], oracle.Number],
    step: oracle.Number,
) -> oracle.Number:
    """dF / d logit up to a relative step^2, in whatever numbers `number` makes of the weights."""

    def value(factor: oracle.Number) -> oracle.Number:
        def policy(prefix: oracle.String) -> list[oracle.Number]:
            row = [number(w) for w in weights[prefix]]
            if prefix == place[0]:
                row[place[1]] *= factor
            return [w / sum(row) for w in row]

        return functional(policy)

    return (value(1 + step) - value(1 - step)) / (2 * step)


def mean_of(w: World) -> Callable[[oracle.Policy], oracle.Number]:
    payoff = {y: Fraction(r) for y, r in w.rewards[0].items()}
    return lambda policy: oracle.mean(oracle.law(policy, w.strings), payoff)


def rational_gradients(w: World) -> dict[str, tuple[Callable, oracle.Gradient]]:
    """Each functional that needs no logarithm, with the gradient claimed for it."""
    policy, reference = exact(w.policy_weights[0]), exact(w.reference_weights[0])
    q = oracle.law(reference, w.strings)
    payoff = {y: Fraction(r) for y, r in w.rewards[0].items()}
    return {
        "mean": (mean_of(w), oracle.mean_gradient(policy, payoff)),
        "chi_squared": (
            lambda pi: oracle.chi_squared(oracle.law(pi, w.strings), q),
            oracle.chi_squared_gradient(policy, q),
        ),
    }


@pytest.mark.parametrize("end", [True, False], ids=["ended", "cut"])
def test_rational_gradients_are_exact_differences(end: bool) -> None:
    w, step = random_world(11, end=end, prompt_law=(1.0,)), Fraction(1, 10**15)
    for functional, gradient in rational_gradients(w).values():
        assert set(gradient) == {(s, a) for s in w.policy_weights[0] for a in range(2 + end)}
        for place, slope in gradient.items():
            difference = central_difference(functional, w.policy_weights[0], place, Fraction, step)
            assert abs(difference - slope) < Fraction(1, 10**25)


def test_control_an_exact_difference_sees_a_score_without_its_mean() -> None:
    """sum_y pi f sum_t 1[a_t = a, s_t = s], without the part -pi(a|s), is no gradient."""
    w, place = random_world(11, prompt_law=(1.0,)), ((0,), 1)
    policy = exact(w.policy_weights[0])
    law = oracle.law(policy, w.strings)
    no_mean = sum(law[y] * Fraction(w.rewards[0][y]) for y in w.strings if y[:2] == (0, 1))
    step = Fraction(1, 10**15)
    slope = central_difference(mean_of(w), w.policy_weights[0], place, Fraction, step)
    assert abs(slope - no_mean) > Fraction(1, 1000)


@pytest.mark.parametrize("end", [True, False], ids=["ended", "cut"])
def test_gradients_with_logarithms_are_differences_in_sixty_digits(end: bool) -> None:
    """The oracle on mpmath's numbers, which it was not written for."""
    w = random_world(12, end=end, prompt_law=(1.0,))
    weights, every = w.policy_weights[0], w.strings
    with mpmath.workdps(60):

        def policy(prefix: oracle.String) -> list[oracle.Number]:
            return [mpmath.mpf(a) / sum(weights[prefix]) for a in weights[prefix]]

        q = oracle.law(
            lambda s: [
                mpmath.mpf(a) / sum(w.reference_weights[0][s]) for a in w.reference_weights[0][s]
            ],
            every,
        )
        log = mpmath.log
        claims = {
            "kl": (
                lambda pi: oracle.kl(oracle.law(pi, every), q, log),
                oracle.kl_gradient(policy, q, log),
            ),
            "kl_from": (
                lambda pi: oracle.kl(q, oracle.law(pi, every), log),
                oracle.kl_from_gradient(policy, q),
            ),
            "entropy": (
                lambda pi: oracle.entropy(oracle.law(pi, every), log),
                oracle.entropy_gradient(policy, every, log),
            ),
            "token_entropy": (
                lambda pi: oracle.mean(
                    oracle.law(pi, every), oracle.token_entropies(pi, every, log)
                ),
                oracle.token_entropy_gradient(policy, every, log),
            ),
        }
        step = mpmath.mpf(10) ** -18
        for name, (functional, gradient) in claims.items():
            for place, slope in gradient.items():
                difference = central_difference(functional, weights, place, mpmath.mpf, step)
                assert abs(difference - slope) < mpmath.mpf(10) ** -30, (name, place)


def test_softmax_gradient_by_hand() -> None:
    """One token: d E r / d logit_a = p_a (r_a - E r), here with E r = 1."""
    gradient = oracle.mean_gradient(always(HALF, HALF), {(0,): 0, (1,): 2})
    assert gradient == {((), 0): -HALF, ((), 1): HALF}


def test_a_lost_token_has_no_slope() -> None:
    gradient = oracle.mean_gradient(always(HALF, HALF, 0), {(0,): 1, (1,): 0, (2,): 100})
    assert gradient == {((), 0): QUARTER, ((), 1): -QUARTER, ((), 2): 0}


# Divergences and entropies


def test_divergences_by_hand() -> None:
    p, q = {(0,): HALF, (1,): HALF}, {(0,): QUARTER, (1,): 3 * QUARTER}
    assert oracle.kl(p, q) == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(2 / 3), rel=1e-15)
    assert oracle.kl(q, p) == pytest.approx(0.25 * math.log(1 / 2) + 0.75 * math.log(1.5))
    assert oracle.chi_squared(p, q) == THIRD
    assert oracle.chi_squared(q, p) == QUARTER
    assert oracle.entropy(p) == pytest.approx(math.log(2), rel=1e-15)


def test_lost_support_is_infinite_one_way_only() -> None:
    p, q = {(0,): HALF, (1,): HALF}, {(0,): Fraction(1), (1,): Fraction(0)}
    assert oracle.kl(p, q) == oracle.chi_squared(p, q) == math.inf
    assert oracle.kl(q, p) == pytest.approx(math.log(2))
    assert oracle.chi_squared(q, p) == 1
    assert oracle.entropy(q) == 0


def test_entropies_by_hand() -> None:
    """A fair coin decides whether to end: token entropy ln 2, sequence entropy 3/2 ln 2."""
    policy, every = always(HALF, HALF), oracle.strings(1, 2, end=True)
    law = oracle.law(policy, every)
    assert oracle.entropy(law) == pytest.approx(1.5 * math.log(2))
    assert oracle.mean(law, oracle.token_entropies(policy, every)) == pytest.approx(math.log(2))


@settings(max_examples=20)
@given(w=worlds(prompts=1))
def test_chain_rules(w: World) -> None:
    """Whole strings against sums over visited prefixes, for KL and entropy."""
    policy, reference = exact(w.policy_weights[0]), exact(w.reference_weights[0])
    p, q = oracle.law(policy, w.strings), oracle.law(reference, w.strings)
    entropy = divergence = 0.0
    for s in oracle.prefixes(w.strings):
        visits = float(oracle.probability(policy, s))
        entropy += visits * oracle.next_token_entropy(policy, s)
        tokens = range(len(policy(s)))
        divergence += visits * oracle.kl(
            {(a,): policy(s)[a] for a in tokens}, {(a,): reference(s)[a] for a in tokens}
        )
    assert oracle.entropy(p) == pytest.approx(entropy, abs=1e-13)
    assert oracle.kl(p, q) == pytest.approx(divergence, abs=1e-13)


# Optima


def whole_weights(w: World) -> dict[oracle.String, int]:
    """Positive weights w(y) = exp(r / beta) of a world's strings: whole numbers from 1 to 17."""
    return {y: int(4 * r) + 9 for y, r in w.rewards[0].items()}


def test_gibbs_by_hand() -> None:
    reference = {(0,): HALF, (1,): HALF}
    assert oracle.gibbs(reference, {(0,): 1, (1,): 3}) == {(0,): QUARTER, (1,): 3 * QUARTER}


@settings(max_examples=20)
@given(w=worlds(prompts=1))
def test_gibbs_law_is_the_policy_of_soft_values(w: World) -> None:
    """Exactly: Z(s) = sum_a ref(a|s) Z(sa), and pi(a|s) = ref(a|s) Z(sa) / Z(s) writes the law."""
    reference, weight = exact(w.reference_weights[0]), whole_weights(w)

    def partition(prefix: oracle.String) -> Fraction:
        return oracle.partition(reference, weight, prefix)

    def soft_policy(s: oracle.String) -> list[Fraction]:
        return [q * partition((*s, a)) / partition(s) for a, q in enumerate(reference(s))]

    prior = oracle.law(reference, w.strings)
    for s in oracle.prefixes(w.strings):
        assert sum(soft_policy(s)) == 1
    assert partition(()) == oracle.mean(prior, weight)
    assert oracle.law(soft_policy, w.strings) == oracle.gibbs(prior, weight)


@settings(max_examples=20)
@given(w=worlds(prompts=1))
def test_gibbs_law_is_the_maximiser(w: World) -> None:
    """E_p ln w - KL(p || ref) = ln Z - KL(p || Gibbs) for every p (theorem 10)."""
    reference = oracle.law(exact(w.reference_weights[0]), w.strings)
    weight, p = whole_weights(w), oracle.law(exact(w.policy_weights[0]), w.strings)
    value = oracle.mean(p, {y: math.log(weight[y]) for y in p}) - oracle.kl(p, reference)
    shortfall = oracle.kl(p, oracle.gibbs(reference, weight))
    best = math.log(oracle.mean(reference, weight))
    assert value == pytest.approx(best - shortfall, abs=1e-12)


def test_best_of_two_by_hand() -> None:
    reference = {(0,): HALF, (1,): QUARTER, (2,): QUARTER}
    tied = {(0,): 0, (1,): 1, (2,): 1}
    assert oracle.best_of_n(reference, tied, 2) == {
        (0,): QUARTER,
        (1,): Fraction(3, 8),
        (2,): Fraction(3, 8),
    }


LEVELS = st.lists(st.tuples(st.integers(0, 5), st.integers(-1, 1)), min_size=1, max_size=5)


@given(atoms=LEVELS.filter(lambda atoms: any(w for w, _ in atoms)), n=st.integers(1, 3))
def test_best_of_n_is_the_sum_over_tuples(atoms: list[tuple[int, int]], n: int) -> None:
    """Three levels for up to five strings: ties are the rule."""
    total = sum(weight for weight, _ in atoms)
    reference = {(y,): Fraction(weight, total) for y, (weight, _) in enumerate(atoms)}
    reward = {(y,): r for y, (_, r) in enumerate(atoms)}
    law = oracle.best_of_n(reference, reward, n)
    assert sum(law.values()) == 1
    assert law == oracle.best_of_n_by_tuples(reference, reward, n)
    assert n > 1 or law == reference


# Finite decision processes


def string_process(w: World, x: int = 0) -> oracle.Model:
    """Writing a string token by token, paid at the end."""
    rewards = w.rewards[x]

    def model(state: oracle.String) -> list[list[tuple[int, Fraction, oracle.String]]]:
        if state in rewards:
            return []
        following = [(*state, a) for a in range(w.size + w.end)]
        return [[(1, Fraction(rewards.get(s, 0)), s)] for s in following]

    return model


@settings(max_examples=20)
@given(w=worlds(prompts=1))
def test_writing_a_string_is_a_process(w: World) -> None:
    policy, model = exact(w.policy_weights[0]), string_process(w)
    payoff = {y: Fraction(r) for y, r in w.rewards[0].items()}
    value = oracle.process_value(model, lambda history: policy(history[-1]), ((),), w.horizon)
    assert value == oracle.mean(oracle.law(policy, w.strings), payoff)
    assert oracle.optimal_value(model, (), w.horizon) == max(payoff.values())


GAMBLE: dict[str, list[list[tuple[Fraction, Fraction, str]]]] = {
    # To call or not; a caller learns whether the coin fell well, and may still decline.
    "start": [[(HALF, Fraction(0), "good"), (HALF, Fraction(0), "bad")]],
    "good": [[(Fraction(1), Fraction(1), "over")], [(Fraction(1), Fraction(0), "over")]],
    "bad": [[(Fraction(1), Fraction(-1), "over")], [(Fraction(1), Fraction(0), "over")]],
    "over": [],
}


def test_process_values_by_hand() -> None:
    model = GAMBLE.__getitem__
    committed = oracle.process_value(model, lambda h: [1, 0][: len(model(h[-1]))], ("start",), 2)
    assert committed == 0
    assert oracle.optimal_value(model, "start", 2) == HALF
    assert oracle.optimal_value(model, "start", 2, gamma=THIRD) == HALF * THIRD
    assert oracle.optimal_value(model, "start", 1) == 0
    assert oracle.histories(model, ("start",), 2) == [
        ("start",),
        ("start", 0, "good"),
        ("start", 0, "bad"),
    ]


@st.composite
def processes(draw: st.DrawFn) -> tuple[dict, Callable[[oracle.History], list[Fraction]]]:
    """A process on two states, with at most two actions and outcomes, and a policy for it."""
    numbers = st.integers(-4, 4).map(lambda k: Fraction(k, 2))
    chances = st.sampled_from([(Fraction(1),), (HALF, HALF), (THIRD, 1 - THIRD)])

    def outcomes() -> list[tuple[Fraction, Fraction, int]]:
        return [(p, draw(numbers), draw(st.integers(0, 1))) for p in draw(chances)]

    model = {state: [outcomes() for _ in range(draw(st.integers(1, 2)))] for state in (0, 1)}
    tilt = draw(st.integers(0, 4))

    def policy(history: oracle.History) -> list[Fraction]:
        width = len(model[history[-1]])
        first = Fraction((tilt + len(history) + sum(history)) % 5, 4)  # looks at all of the past
        return [first, 1 - first][:width] if width == 2 else [Fraction(1)]

    return model, policy


@settings(max_examples=40)
@given(process=processes(), gamma=st.sampled_from([Fraction(1), HALF]), steps=st.integers(0, 3))
def test_process_value_is_the_sum_over_paths(process, gamma: Fraction, steps: int) -> None:
    """Second derivation: list every path with its probability and its return."""
    model, policy = process
    paths = [(Fraction(1), Fraction(0), (0,))]
    for t in range(steps):
        paths = [
            (chance * policy(history)[a] * p, gained + gamma**t * r, (*history, a, s))
            for chance, gained, history in paths
            for a, outcomes in enumerate(model[history[-1]])
            for p, r, s in outcomes
        ]
    assert sum(chance for chance, _, _ in paths) == 1
    expected = sum(chance * gained for chance, gained, _ in paths)
    assert oracle.process_value(model.__getitem__, policy, (0,), steps, gamma) == expected


@settings(max_examples=40)
@given(process=processes(), gamma=st.sampled_from([Fraction(1), HALF]))
def test_optimal_value_is_the_best_deterministic_policy(process, gamma: Fraction) -> None:
    model, policy = process
    best = oracle.optimal_value(model.__getitem__, 0, 2, gamma)
    assert best == oracle.optimal_value_by_enumeration(model.__getitem__, 0, 2, gamma)
    assert best >= oracle.process_value(model.__getitem__, policy, (0,), 2, gamma)


def test_control_a_committed_plan_is_not_the_optimum() -> None:
    """Enumeration over histories must see what the coin showed: one action a step is worth less."""
    model = GAMBLE.__getitem__
    plans = [
        oracle.process_value(
            model,
            lambda h, plan=plan: [int(a == plan[len(h) // 2]) for a in range(len(model(h[-1])))],
            ("start",),
            2,
        )
        for plan in itertools.product([0], [0, 1])
    ]
    assert max(plans) == 0
    assert oracle.optimal_value_by_enumeration(model, "start", 2) == HALF


def test_floats_serve_as_well() -> None:
    w = random_world(13, prompt_law=(1.0,))
    halved = replace(w, rewards=({y: r / 2 for y, r in w.rewards[0].items()},))
    policy = exact(w.policy_weights[0])
    law = oracle.law(lambda s: [float(p) for p in policy(s)], w.strings)
    exact_mean = oracle.mean(oracle.law(policy, w.strings), w.rewards[0])
    assert oracle.mean(law, halved.rewards[0]) == pytest.approx(float(exact_mean) / 2, rel=1e-14)
