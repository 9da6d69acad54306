"""The lattice: its policies and rewards against the oracle, its samples against the exact law."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from scipy import stats

from bandit_rlhf.automaton import capped_count, length
from bandit_rlhf.exact import path_sum
from bandit_rlhf.exact.lattice import Lattice, LatticePolicy, Payoff
from bandit_rlhf.language import Language
from bandit_rlhf.laws import oracle
from bandit_rlhf.ngram import MarkovPolicy
from tests.lattice_worlds import LatticeWorld, lattice_worlds, random_lattice_world

FALSE_ALARM = 1e-9
"""Probability that a goodness-of-fit test fails although all is well; seeds are fixed as well."""

WORLD = random_lattice_world(seed=3, order=2)


def earned(lattice: Lattice, payoff: Payoff, string: oracle.String, prompt: int) -> float:
    """What a string is paid on its way through the lattice."""
    state, size = int(lattice.start[prompt]), lattice.language.vocabulary_size
    result = 0.0
    for action in string:
        result += payoff.edge[state, action]
        if action == size:
            return result
        state = int(lattice.successor[state, action])
    return result + payoff.truncated[state]


def assert_same_law(got: np.ndarray, w: LatticeWorld, rows: dict) -> None:
    for x in range(len(w.prompts)):
        expected = w.table(w.law(rows, x)).astype(float)
        assert np.abs(got[x] - expected).max() <= 1e-12


def law_of(policy: LatticePolicy) -> np.ndarray:
    return policy.as_tabular().string_law()


# States, rewards and policies


@settings(max_examples=60)
@given(w=lattice_worlds(reference_zeros=True))
def test_every_string_is_paid_what_its_terms_say(w: LatticeWorld) -> None:
    lattice = w.lattice
    batch = w.language.all_strings()
    for name, terms in (("gold", w.gold_terms), ("proxy", w.proxy_terms)):
        payoff, pays = lattice.payoffs[name], w.payoff(terms)
        for x in range(len(w.prompts)):
            assert (lattice.reward(payoff, batch, x) == w.table(pays)).all()
            for string, pay in pays.items():
                assert earned(lattice, payoff, string, x) == pay


@settings(max_examples=60)
@given(w=lattice_worlds(reference_zeros=True))
def test_policies_on_the_lattice_are_the_oracle(w: LatticeWorld) -> None:
    lattice = w.lattice
    assert_same_law(law_of(lattice.reference), w, w.reference_rows)
    assert_same_law(law_of(w.other(lattice)), w, w.other_rows)


@settings(max_examples=30)
@given(w=lattice_worlds())
def test_log_probs_of_tokens_and_strings_are_the_oracle(w: LatticeWorld) -> None:
    lattice = w.lattice
    policy, batch = w.other(lattice), w.language.all_strings()
    for x in range(len(w.prompts)):
        exact = w.exact(w.other_rows, x)
        tokens = np.exp(policy.token_log_prob(batch, x))
        for row, string in zip(tokens, batch.strings(), strict=True):
            chances = [float(exact(string[:t])[a]) for t, a in enumerate(string)]
            np.testing.assert_allclose(row[: len(string)], chances, rtol=1e-12)
            assert (row[len(string) :] == 1).all()
        law = w.table(w.law(w.other_rows, x)).astype(float)
        np.testing.assert_allclose(np.exp(policy.log_prob(batch, x)), law, rtol=1e-12)


def test_next_token_law_follows_the_prefix_and_the_step() -> None:
    w = WORLD
    lattice = w.lattice
    policy, _ = path_sum.gibbs_optimum(lattice, lattice.payoffs["proxy"], beta=0.5)
    tabular = policy.as_tabular()
    for x in range(len(w.prompts)):
        for prefix in ((), (1,), (2, 0)):
            expected = tabular.next_token_law(x, prefix)
            np.testing.assert_allclose(policy.next_token_law(prefix, x), expected, rtol=1e-13)
    # Control: the optimum's law depends on the steps that are left, not on the state alone.
    end_later, end_now = policy.log_probs[0], policy.log_probs[w.horizon - 1]
    assert np.abs(end_later - end_now).max() > 0.01


def test_prompts_that_end_alike_share_their_states() -> None:
    letters = Language(("a", "b"), 30)
    reference = MarkovPolicy.from_probs(letters, 1, [[0.5, 0.5], [0.9, 0.1], [0.2, 0.8]])
    prompts = [("a", "b"), ("b", "b", "b"), ("b",), ()]
    lattice = Lattice.build(reference, {"a": capped_count(letters, ["a"], 3)}, prompts)
    assert lattice.start[0] == lattice.start[1] == lattice.start[2] != lattice.start[3]
    # Three contexts by four counts, without those not reachable: none, and "a" before any "a".
    assert lattice.state_count == 3 * 4 - 3 - 1
    assert (lattice.prompt_law == 0.25).all()


def test_without_rewards_the_states_are_the_contexts() -> None:
    w = WORLD
    lattice = Lattice.build(w.reference, {}, w.prompt_words, list(w.prompt_law))
    assert lattice.state_count == 1 + 3 + 9
    assert_same_law(law_of(lattice.reference), w, w.reference_rows)


def test_payoffs_add_like_the_rewards_they_are() -> None:
    lattice = WORLD.lattice
    gold, proxy = lattice.payoffs["gold"], lattice.payoffs["proxy"]
    mixed = 2.0 * gold - proxy * 0.5 + proxy
    for string in WORLD.strings:
        expected = 2 * earned(lattice, gold, string, 1) + 0.5 * earned(lattice, proxy, string, 1)
        assert earned(lattice, mixed, string, 1) == pytest.approx(expected, abs=1e-13)


def test_a_policy_of_lower_order_lives_on_the_lattice() -> None:
    w = WORLD
    unigram = MarkovPolicy.from_probs(w.language, 0, [[0.4, 0.3, 0.2, 0.1]])
    got = law_of(w.lattice.policy_of(unigram))
    expected = unigram.as_tabular(w.prompt_words).string_law()
    np.testing.assert_allclose(got, expected, rtol=1e-13)


# Samples


def fits(policy: LatticePolicy, law: np.ndarray, prompt: int, draws: int) -> bool:
    """Pearson's test that draws of the policy have the given law [string]."""
    ranks = policy.sample(np.random.default_rng(11), draws, prompt).ranks()
    counts = np.bincount(ranks, minlength=len(law)).astype(float)
    if counts[law == 0].any():
        return False
    rare = law * draws < 10  # pooled, since Pearson's law holds for cells of some size
    observed = np.append(counts[~rare], counts[rare].sum())
    expected = np.append(law[~rare], law[rare].sum()) * draws
    some = expected > 0
    assert some.sum() > 5
    statistic = ((observed[some] - expected[some]) ** 2 / expected[some]).sum()
    return bool(statistic < stats.chi2.isf(FALSE_ALARM, some.sum() - 1))


@pytest.mark.parametrize("end", [True, False], ids=["ended", "cut"])
def test_samples_of_the_gibbs_optimum_have_its_law(end: bool) -> None:
    w = random_lattice_world(seed=5, end=end, order=1)
    lattice = w.lattice
    optimum, _ = path_sum.gibbs_optimum(lattice, lattice.payoffs["gold"], beta=1.0)
    for x in range(len(w.prompts)):
        law, weights = w.law(w.reference_rows, x), w.payoff(w.gold_terms)
        gibbs = oracle.gibbs(law, {y: np.exp(float(r)) for y, r in weights.items()})
        assert fits(optimum, w.table(gibbs).astype(float), x, draws=20_000)
        # Controls: the reference's draws, and those after another prompt, have another law.
        assert not fits(lattice.reference, w.table(gibbs).astype(float), x, draws=20_000)
        assert not fits(optimum, w.table(gibbs).astype(float), (x + 1) % 3, draws=20_000)


def test_samples_never_leave_the_support() -> None:
    rows = WORLD.reference_rows | {(): [0, 3, 1, 0], (1,): [0, 0, 5, 2]}
    w = replace(WORLD, reference_rows=rows)
    law = w.table(w.law(rows, 0)).astype(float)
    batch = w.lattice.reference.sample(np.random.default_rng(0), 2000, prompt=0)
    assert (law[batch.ranks()] > 0).all()
    assert (law == 0).any()
    assert (batch.tokens[~batch.mask] == w.language.pad_token).all()


# Broken twins, each of which the comparisons above must catch


def test_control_a_lattice_that_forgets_the_prompts_is_caught() -> None:
    lattice = WORLD.lattice
    blind = replace(lattice, start=np.full_like(lattice.start, lattice.start[0]))
    assert_same_law(law_of(lattice.reference), WORLD, WORLD.reference_rows)
    with pytest.raises(AssertionError):
        assert_same_law(law_of(blind.reference), WORLD, WORLD.reference_rows)


def test_control_a_lattice_with_two_tokens_exchanged_is_caught() -> None:
    lattice = WORLD.lattice
    exchanged = replace(lattice, successor=lattice.successor[:, [1, 0, 2]])
    with pytest.raises(AssertionError):
        assert_same_law(law_of(exchanged.reference), WORLD, WORLD.reference_rows)
    gold = WORLD.payoff(WORLD.gold_terms)
    assert any(earned(exchanged, lattice.payoffs["gold"], y, 0) != r for y, r in gold.items())


def test_control_a_reference_taken_for_the_other_policy_is_caught() -> None:
    with pytest.raises(AssertionError):
        assert_same_law(law_of(WORLD.lattice.reference), WORLD, WORLD.other_rows)


# Bad input


def test_errors_name_what_is_wrong() -> None:
    w = WORLD
    longer = Language(w.language.vocabulary, 9, "$")
    with pytest.raises(ValueError, match=r"^prompts is empty, but should be one prompt or more"):
        Lattice.build(w.reference, {}, [])
    with pytest.raises(ValueError, match=r"^reward 'gold' reads another language"):
        Lattice.build(w.reference, {"gold": length(longer)})
    with pytest.raises(ValueError, match=r"^word 'zebra' is unknown"):
        Lattice.build(w.reference, {}, [("zebra",)])
    with pytest.raises(ValueError, match=r"^prompt_law sums to 0.9.*Normalise it\.$"):
        Lattice.build(w.reference, {}, [("a",), ("b",)], [0.4, 0.5])
    with pytest.raises(ValueError, match=r"^prompt_law has shape \(1,\), but should be \(2,\)"):
        Lattice.build(w.reference, {}, [("a",), ("b",)], [1.0])


def test_size_guard_names_entries_and_memory() -> None:
    w = WORLD
    message = (
        "156 step-state-action entries need 2.3e-06 GiB, but should be within the memory limit of "
        "1.9e-06 GiB [Lattice.build]. Lower the horizon, the order or the automata's sizes."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Lattice.build(w.reference, {}, memory_limit=2000)
    assert Lattice.build(w.reference, {}, memory_limit=3000).state_count == 13


def test_a_policy_finer_than_the_lattice_is_refused() -> None:
    w = WORLD
    coarse = MarkovPolicy.from_probs(w.language, 0, [[0.4, 0.3, 0.2, 0.1]])
    lattice = Lattice.build(coarse, {"length": length(w.language)})
    with pytest.raises(ValueError, match=r"^the policy of order 2 is finer than the lattice"):
        lattice.policy_of(w.reference)
    longer = Language((*w.language.vocabulary, "z"), w.horizon, "$")
    stranger = MarkovPolicy.from_probs(longer, 0, [[0.2] * 5])
    with pytest.raises(ValueError, match=r"^the policy's language differs"):
        lattice.policy_of(stranger)
