"""Comparisons in their exact proportions: DPO's optimum is the Gibbs law, chi-PO's its own."""

import numpy as np
import pytest
import torch
from scipy.optimize import root_scalar
from scipy.special import wrightomega

from bandit_rlhf import objective, preference_loss
from bandit_rlhf.neural import (
    ExactJudge,
    FixedPolicy,
    NeuralPolicy,
    Optimiser,
    PreferenceLearner,
    StringComparisons,
    from_table,
    last,
    train,
)
from bandit_rlhf.policy import TabularPolicy
from tests.neural_worlds import LETTERS, all_strings, gradient, policy, random_table, slope

BETA = 0.7
TABLE = random_table(LETTERS, 1, seed=1)


def population() -> StringComparisons:
    """Every ordered pair of different strings, as often as Bradley-Terry prefers its first."""
    first, second = np.nonzero(~np.eye(7, dtype=bool))
    weight = 1 / (1 + np.exp(TABLE[0, second] - TABLE[0, first]))
    every = all_strings(LETTERS)
    sides = [every.take(torch.as_tensor(ranks)) for ranks in (first, second)]
    return StringComparisons(sides[0], sides[1], torch.as_tensor(weight))


def chi_po_optimum(reference: np.ndarray) -> np.ndarray:
    """The law with beta (pi/ref + ln(pi/ref)) = r + c: pi = ref omega((r + c)/beta).

    Wright's omega solves w + ln w = z; c is what makes the law sum to one.
    """

    def law(c: float) -> np.ndarray:
        return reference * wrightomega((TABLE[0] + c) / BETA).real

    return law(root_scalar(lambda c: law(c).sum() - 1, bracket=(-20, 20)).root)


OPTIMA = {
    "dpo": (preference_loss.dpo, lambda ref: objective.gibbs(ref, TABLE[0], BETA)),
    "chi_po": (preference_loss.chi_po, chi_po_optimum),
}


@pytest.mark.parametrize("name", OPTIMA)
def test_the_optimum_is_reached(name: str) -> None:
    pair_loss, optimum_of = OPTIMA[name]
    ref = policy(seed=1, width=16, dtype="float32")
    optimum = optimum_of(ref.string_law()[0])
    learner = PreferenceLearner(ref, population(), beta=BETA, pair_loss=pair_loss)
    judge = ExactJudge.of(ref, ref, from_table(LETTERS, TABLE))
    end = last(train(ref, learner, judge, steps=200, optimiser=Optimiser(0.02), seed=0, marks=[]))
    start, reached = (
        float(objective.kl_divergence(one.string_law()[0], optimum)) for one in (ref, end.policy)
    )
    assert reached < start / 100
    other = OPTIMA["chi_po" if name == "dpo" else "dpo"][1](ref.string_law()[0])
    # control: the two optima are far enough apart to be told apart
    assert objective.kl_divergence(end.policy.string_law()[0], other) > 5 * reached


@pytest.mark.parametrize("name", OPTIMA)
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    pi, ref, rows = policy(seed=1), policy(seed=2), population()
    learner = PreferenceLearner(ref, rows, beta=BETA, pair_loss=OPTIMA[name][0])
    pairs = torch.arange(len(rows))
    found = gradient(pi, learner.loss(pi, pairs))

    def loss(one: NeuralPolicy) -> float:
        return learner.loss(one, pairs).item()

    for seed in range(3):
        difference, direction = slope(pi, loss, seed)
        assert difference == pytest.approx(found @ direction, rel=1e-6, abs=1e-8)


def test_the_loss_is_ln_2_at_the_reference() -> None:
    ref = policy(seed=1)
    learner = PreferenceLearner(ref, population(), beta=BETA)
    assert learner.loss(ref, torch.arange(42)).item() == pytest.approx(np.log(2), abs=1e-12)


def test_batches_are_of_different_pairs() -> None:
    ref = policy(seed=1)
    learner = PreferenceLearner(ref, population(), batch=10)
    generator = torch.Generator().manual_seed(0)
    first, second = (learner.collect(ref, generator) for _ in range(2))
    assert len(set(first.tolist())) == 10
    assert set(first.tolist()) != set(second.tolist())


def test_wrong_arguments_are_refused() -> None:
    ref, rows = policy(seed=1), population()
    for beta in (0.0, -0.5):
        with pytest.raises(ValueError, match=rf"beta is {beta:g}, .* \[PreferenceLearner\]"):
            PreferenceLearner(ref, rows, beta=beta)
    with pytest.raises(ValueError, match="there are no comparisons"):
        PreferenceLearner(ref, rows.take(torch.tensor([], dtype=torch.int64)))
    law = np.array([[0.5, 0.5, 0, 0, 0, 0, 0]])
    narrow = FixedPolicy(TabularPolicy.from_string_law(LETTERS, [()], law), prompts=[0])
    with pytest.raises(ValueError, match=r"ln ref of 'b \$' is -inf \(KL.* is infinite\)"):
        PreferenceLearner(narrow, rows)
