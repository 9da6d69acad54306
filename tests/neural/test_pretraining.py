"""Maximum likelihood: what is left is the law's own entropy."""

import numpy as np
import pytest
import torch

from bandit_rlhf import objective
from bandit_rlhf.language import Language
from bandit_rlhf.neural import Strings, fit_to_law, fit_to_strings
from bandit_rlhf.policy import TabularPolicy
from tests.neural_worlds import policy

LANGUAGE = Language(("a", "b", "c"), 4, "$")
PROMPTS = (("x",), ("y",))


@pytest.mark.parametrize("kind", ["gru", "transformer"])
def test_a_realisable_law_is_recovered(kind: str) -> None:
    teacher = policy(LANGUAGE, kind, seed=1, prompts=PROMPTS, width=8).string_law()
    start = policy(LANGUAGE, kind, seed=2, prompts=PROMPTS, width=16, dtype="float32")
    before = start.string_law()
    fitted = fit_to_law(start, teacher, [0.25, 0.75], steps=150)
    kl = objective.kl_divergence(teacher, fitted.policy.string_law()) @ np.array([0.25, 0.75])
    assert fitted.kl == pytest.approx(kl, abs=1e-12)
    start_kl = objective.kl_divergence(teacher, before) @ np.array([0.25, 0.75])
    assert kl < start_kl / 50
    # What a step reports is the cross-entropy: the law's entropy plus the KL that is left.
    entropy = objective.entropy(teacher) @ np.array([0.25, 0.75])
    assert fitted.losses[-1] == pytest.approx(entropy + kl, abs=1e-4)
    np.testing.assert_array_equal(start.string_law(), before)


def test_a_law_without_mass_on_some_strings_can_be_fitted() -> None:
    law = np.zeros((1, LANGUAGE.string_count))
    law[0, :3] = [0.5, 0.25, 0.25]
    fitted = fit_to_law(policy(LANGUAGE, dtype="float32"), law, steps=200, learning_rate=0.02)
    assert fitted.kl is not None
    assert fitted.kl < 0.01
    assert fitted.losses[-1] == pytest.approx(1.5 * np.log(2), abs=0.02)


def test_strings_of_a_law_bring_the_policy_near_it() -> None:
    rng = np.random.default_rng(0)
    teacher = TabularPolicy.normal(LANGUAGE, [()], rng)
    strings = Strings.of(teacher.sample(rng, 4000))
    start = policy(LANGUAGE, width=16, dtype="float32")
    fitted = fit_to_strings(start, strings, steps=150, seed=0)
    kls = [
        float(objective.kl_divergence(teacher.string_law(), one.string_law())[0])
        for one in (start, fitted.policy)
    ]
    assert kls[1] < kls[0] / 10
    again = fit_to_strings(start, strings, steps=150, seed=0)
    np.testing.assert_array_equal(fitted.losses, again.losses)


def test_wrong_arguments_are_refused() -> None:
    start = policy(LANGUAGE)
    uniform = np.full((1, LANGUAGE.string_count), 1 / LANGUAGE.string_count)
    with pytest.raises(ValueError, match=r"law\[0\] sums to 2"):
        fit_to_law(start, 2 * uniform)
    with pytest.raises(ValueError, match="learning_rate is 0, but should be above 0"):
        fit_to_law(start, uniform, learning_rate=0.0)
    none = Strings.of(LANGUAGE.all_strings()).take(torch.tensor([], dtype=torch.int64))
    with pytest.raises(ValueError, match="strings is empty"):
        fit_to_strings(start, none, seed=0)
