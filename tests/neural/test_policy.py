"""Neural policies: one law said in four ways, sampled as it says, differentiated rightly."""

import numpy as np
import pytest
import torch

from bandit_rlhf.language import Language
from bandit_rlhf.neural import Architecture, NeuralPolicy, Strings
from tests.neural_worlds import all_strings, frequencies_fit, gradient, policy, slope

LANGUAGES = {
    "with end": Language(("a", "b", "c"), 4, "$"),
    "without end": Language(("a", "b"), 5),
    "one token long": Language(("a", "b"), 1, "$"),
}
PROMPTS = (("x",), ("y",), ("z",))
KINDS = ("gru", "transformer")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", LANGUAGES)
def test_the_law_is_one_however_it_is_said(kind: str, name: str) -> None:
    language = LANGUAGES[name]
    pi = policy(language, kind, prompts=PROMPTS)
    law = pi.string_law()
    assert law.shape == (3, language.string_count)
    np.testing.assert_allclose(law.sum(axis=1), 1.0, rtol=0, atol=1e-12)
    batch = pi.log_probs(all_strings(language, 3)).detach().numpy().reshape(3, -1)
    np.testing.assert_allclose(np.exp(batch), law, rtol=1e-10, atol=0)
    tree = pi.string_log_law().detach().numpy()
    np.testing.assert_allclose(tree, batch, rtol=0, atol=1e-10)
    by_token = pi.token_log_probs(all_strings(language, 3)).detach().numpy()
    tabular = [pi.tabular().token_log_prob(language.all_strings(), x) for x in range(3)]
    np.testing.assert_allclose(by_token, np.concatenate(tabular), rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_the_law_is_normalised_in_single_precision_too(kind: str) -> None:
    pi = policy(LANGUAGES["with end"], kind, prompts=PROMPTS, dtype="float32")
    np.testing.assert_allclose(pi.string_law().sum(axis=1), 1.0, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_prompts_have_laws_of_their_own(kind: str) -> None:
    law = policy(LANGUAGES["with end"], kind, prompts=PROMPTS).string_law()
    assert np.abs(law[0] - law[1]).max() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", LANGUAGES)
def test_draws_come_as_often_as_the_law_says(kind: str, name: str) -> None:
    language = LANGUAGES[name]
    pi = policy(language, kind, prompts=PROMPTS)
    strings = pi.sample(torch.Generator().manual_seed(1), torch.tensor([2, 0]), 20_000)
    for string in strings.take(torch.arange(50)).batch().strings():
        language.content(string)  # raises where the tokens are no string
    ranks, law = strings.ranks().numpy(), pi.string_law()
    assert (strings.prompt[:20_000] == 2).all()
    assert (strings.prompt[20_000:] == 0).all()
    assert frequencies_fit(ranks[:20_000], law[2])
    assert frequencies_fit(ranks[20_000:], law[0])
    assert not frequencies_fit(ranks[:20_000], law[1])  # control: the test has power


def test_draws_follow_from_the_generator_alone() -> None:
    pi = policy(LANGUAGES["with end"])
    draws = []
    for seed, noise in ((1, 7), (1, 8), (2, 8)):
        torch.manual_seed(noise)
        draws.append(pi.sample(torch.Generator().manual_seed(seed), 0, 64).ranks())
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[1], draws[2])


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_finite_differences(kind: str) -> None:
    pi = policy(LANGUAGES["with end"], kind, prompts=PROMPTS)
    strings = pi.sample(torch.Generator().manual_seed(0), torch.arange(3), 2)
    weights = torch.as_tensor(np.random.default_rng(0).normal(size=6))

    def of_batch(one: NeuralPolicy) -> torch.Tensor:
        return weights @ one.log_probs(strings)

    def of_law(one: NeuralPolicy) -> torch.Tensor:
        return (one.string_log_law().exp() * torch.sin(torch.arange(121.0))).sum()

    for value in (of_batch, of_law):
        found = gradient(pi, value(pi))
        assert np.abs(found).max() > 1e-4
        for seed in range(3):
            difference, direction = slope(pi, lambda one, v=value: float(v(one).detach()), seed)
            assert difference == pytest.approx(found @ direction, rel=1e-6, abs=1e-8)


def test_pads_mean_nothing() -> None:
    pi = policy(LANGUAGES["with end"])
    strings = pi.sample(torch.Generator().manual_seed(0), 0, 64)
    assert not strings.mask.all()
    tokens = torch.where(strings.mask, strings.tokens, 1)
    other = Strings(strings.language, strings.prompt, tokens, strings.mask)
    assert torch.equal(pi.log_probs(strings), pi.log_probs(other))


def test_a_copy_has_parameters_of_its_own() -> None:
    pi = policy()
    law, other = pi.string_law(), pi.copy()
    with torch.no_grad():
        other.network.prompt_embedding.add_(1.0)
    np.testing.assert_array_equal(pi.string_law(), law)
    assert np.abs(other.string_law() - law).max() > 1e-6


def test_wrong_arguments_are_refused() -> None:
    language, pi = LANGUAGES["with end"], policy()
    with pytest.raises(ValueError, match="'counts', but should be 'gru' or 'transformer'"):
        NeuralPolicy.initial(language, [()], Architecture("counts"), seed=0)
    with pytest.raises(ValueError, match="the strings' language differs"):
        pi.log_probs(all_strings(language))
    with pytest.raises(ValueError, match=r"prompt is 1, but should be within 0\.\.0"):
        pi.sample(torch.Generator(), 1, 2)
    with pytest.raises(ValueError, match="draws is 0, but should be at least 1"):
        pi.sample(torch.Generator(), 0, 0)
    with pytest.raises(ValueError, match="seed is -1, but should be at least 0"):
        NeuralPolicy.initial(language, [()], seed=-1)
    wide = policy(Language(tuple("abcdefghij"), 12, "$"))
    with pytest.raises(ValueError, match=r"100,000,000,000 prefixes need .* or sample"):
        wide.string_law()
