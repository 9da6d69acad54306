"""Judges: the tree's exact sums, and means of draws that agree with them."""

import numpy as np
import pytest
import torch

from bandit_rlhf.bandit import ContextualBandit
from bandit_rlhf.exact import tree
from bandit_rlhf.language import Language
from bandit_rlhf.neural import ExactJudge, FixedPolicy, SampledJudge, from_table
from bandit_rlhf.ngram import MarkovPolicy
from bandit_rlhf.policy import TabularPolicy
from tests.neural_worlds import policy, random_table

LANGUAGE = Language(("a", "b"), 3, "$")
PROMPTS = (("a",), ("b",))
LAW = np.array([0.2, 0.8])
PROXY, GOLD = (random_table(LANGUAGE, 2, seed=seed) for seed in (0, 1))


def rewards():
    return from_table(LANGUAGE, PROXY), from_table(LANGUAGE, GOLD)


def test_exact_measures_are_the_tree_s() -> None:
    pi, ref = (policy(LANGUAGE, seed=seed, prompts=PROMPTS) for seed in (0, 1))
    found = ExactJudge.of(pi, ref, *rewards(), LAW)(pi, torch.Generator())
    proxy, gold = (ContextualBandit(LANGUAGE, PROMPTS, LAW, one) for one in (PROXY, GOLD))
    tabular, reference = pi.tabular(), ref.tabular()
    assert found.gold is not None
    assert found.kl.mean == pytest.approx(tree.kl(proxy, tabular, reference).value, abs=1e-12)
    assert found.proxy.mean == pytest.approx(tree.expected_reward(proxy, tabular).value, abs=1e-12)
    assert found.gold.mean == pytest.approx(tree.expected_reward(gold, tabular).value, abs=1e-12)
    assert found.entropy.mean == pytest.approx(tree.entropy(proxy, tabular).value, abs=1e-12)
    assert {found.row()[f"{n}_stderr"] for n in ("kl", "proxy", "gold", "entropy")} == {0.0}


def test_sampled_measures_agree_with_exact_ones() -> None:
    """Over 100 seeds the z-scores have mean 0 and deviation 1, within four standard errors."""
    pi, ref = (policy(LANGUAGE, seed=seed, prompts=PROMPTS) for seed in (0, 1))
    proxy, gold = rewards()
    exact = ExactJudge.of(pi, ref, proxy, gold, LAW)(pi, torch.Generator()).row()
    judge = SampledJudge(ref, proxy, gold, LAW, draws=200)
    rows = [judge(pi, torch.Generator().manual_seed(seed)).row() for seed in range(100)]
    for name in ("kl", "proxy", "gold", "entropy"):
        scores = np.array([(row[name] - exact[name]) / row[f"{name}_stderr"] for row in rows])
        assert abs(scores.mean()) < 4 / np.sqrt(100)
        assert abs(scores.std() - 1) < 4 / np.sqrt(200)


@pytest.mark.parametrize("kind", ["tabular", "markov"])
def test_numpy_references_say_what_they_said(kind: str) -> None:
    pi = policy(LANGUAGE, prompts=PROMPTS)
    rng = np.random.default_rng(0)
    if kind == "tabular":
        tabular = TabularPolicy.normal(LANGUAGE, PROMPTS, rng)
        reference = FixedPolicy(tabular, prompts=[0, 1])
    else:
        markov = MarkovPolicy.from_probs(LANGUAGE, 1, rng.dirichlet(np.ones(3), size=3))
        tabular, reference = markov.as_tabular(PROMPTS), FixedPolicy(markov, prompts=PROMPTS)
    strings = pi.sample(torch.Generator().manual_seed(0), torch.tensor([1, 0]), 30)
    found = reference.token_log_probs(strings).sum(dim=1).exp().numpy()
    law = tabular.string_law()
    wanted = law[strings.prompt.numpy(), strings.ranks().numpy()]
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    judge = ExactJudge.of(pi, reference, *rewards(), LAW)
    np.testing.assert_allclose(judge.reference, law, rtol=1e-12)
    np.testing.assert_allclose(law[0].sum(), 1.0)
    assert np.abs(law[0] - law[1]).max() > 1e-3


def test_an_infinite_kl_names_a_string() -> None:
    pi = policy(LANGUAGE, prompts=PROMPTS)
    law = np.zeros((2, LANGUAGE.string_count))
    law[:, [0, 1]] = 0.5
    narrow = FixedPolicy(TabularPolicy.from_string_law(LANGUAGE, PROMPTS, law), prompts=[0, 1])
    exact = ExactJudge.of(pi, narrow, *rewards(), LAW)
    with pytest.raises(ValueError, match=r"KL.* is inf: .* never says 'b \$'.*prompt 0"):
        exact(pi, torch.Generator())
    sampled = SampledJudge(narrow, *rewards(), LAW)
    with pytest.raises(ValueError, match=r"ln ref of .* is -inf .* \[SampledJudge, row"):
        sampled(pi, torch.Generator().manual_seed(0))


def test_wrong_arguments_are_refused() -> None:
    pi = policy(LANGUAGE, prompts=PROMPTS)
    with pytest.raises(ValueError, match="draws is 1, but should be at least 2"):
        SampledJudge(pi, rewards()[0], draws=1)(pi, torch.Generator())
    with pytest.raises(ValueError, match=r"prompt_law sums to 0\.5"):
        ExactJudge.of(pi, pi, rewards()[0], prompt_law=[0.25, 0.25])
