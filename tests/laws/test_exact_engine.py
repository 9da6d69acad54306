"""The exact engine as a subject of the laws: optima, divergences, trees and decision processes."""

from typing import Any

import numpy as np
import pytest

from bandit_rlhf import objective
from bandit_rlhf.bandit import ContextualBandit
from bandit_rlhf.contract import estimator
from bandit_rlhf.exact import bellman, optimum, tree
from bandit_rlhf.language import Language
from bandit_rlhf.laws.check import check_estimator
from bandit_rlhf.mdp import FiniteMDP, finite
from bandit_rlhf.policy import TabularPolicy
from bandit_rlhf.reward import ensemble


def letters(count: int, horizon: int) -> Language:
    return Language(tuple("abcd"[:count]), horizon)


@estimator("string_law")
def law_of_the_tree(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Tables as logits of the tree, whose nodes of level 1 are the first tokens."""
    language = letters(len(first), 2)
    logits = np.log(np.concatenate([first, second.T.ravel()]))
    law = TabularPolicy(language, ((),), logits[None]).string_law()[0]
    ranks = [[language.rank((a, b)) for b in range(len(first))] for a in range(len(first))]
    return law[np.array(ranks)]


@estimator("string_law")
def law_recovered(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """From the law to a policy and back."""
    language = letters(len(first), 2)
    ranks = np.array(
        [[language.rank((a, b)) for b in range(len(first))] for a in range(len(first))]
    )
    law = np.zeros(language.string_count)
    law[ranks] = first[:, None] * second
    return TabularPolicy.from_string_law(language, [()], law[None]).string_law()[0][ranks]


@estimator("policy_gradient", claims={"gradient", "score", "bounded"})
def gradient_of_the_tree(logits: np.ndarray, reward: np.ndarray) -> np.ndarray:
    language = letters(len(logits), 1)
    bandit = ContextualBandit(language, [()], [1.0], reward[None].astype(float))
    policy = TabularPolicy(language, ((),), logits[None].astype(float))
    return tree.expected_reward(bandit, policy).gradient[0]


def process(transition: np.ndarray, reward: np.ndarray, horizon: int, gamma: float) -> FiniteMDP:
    states = len(transition)
    follows = np.broadcast_to(np.arange(states), transition.shape)
    law = transition.astype(float) / transition.sum(axis=2, keepdims=True)
    paid = np.broadcast_to(reward[:, :, None].astype(float), transition.shape)
    return FiniteMDP(np.eye(states)[0], follows, law, paid, horizon, gamma)


def logs(policy: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log(policy.astype(float) / policy.sum(axis=2, keepdims=True))


@estimator(
    "values",
    claims={"performance_difference", "shaping", "terminal", "discount", "closed_loop"},
)
def values_of_bellman(
    transition: np.ndarray, reward: np.ndarray, policy: np.ndarray, gamma: float
) -> np.ndarray:
    mdp = process(transition, reward, len(policy), gamma)
    return bellman.evaluate(mdp, logs(policy)).state_value[: len(policy)]


@estimator("soft_values")
def soft_values_of_bellman(
    transition: np.ndarray, reward: np.ndarray, reference: np.ndarray, beta: float
) -> Any:
    solution = bellman.soft_optimum(
        process(transition, reward, len(reference), 1.0), logs(reference), beta
    )
    return solution.state_value[: len(reference)], np.exp(solution.log_policy)


@estimator("optimum", claims={"gibbs", "log_ratio", "shift_invariant", "composes", "amplifies"})
def optimum_of_the_tree(reference: np.ndarray, reward: np.ndarray, beta: float) -> np.ndarray:
    language = letters(len(reference), 1)
    bandit = ContextualBandit(language, [()], [1.0], reward[None].astype(float))
    policy = TabularPolicy(language, ((),), np.log(reference.astype(float))[None])
    return optimum.gibbs_optimum(bandit, policy, beta).policy.string_law()[0]


@estimator("ensemble", claims={"unanimous", "weight_average"})
def mean_ensemble(scores: np.ndarray) -> np.ndarray:
    return ensemble.mean(scores.astype(float))


@estimator("ensemble", claims={"unanimous", "pessimistic"})
def worst_case(scores: np.ndarray) -> np.ndarray:
    return ensemble.worst_case(scores.astype(float))


SUBJECTS = (
    objective.gibbs,
    objective.kl_divergence,
    objective.chi_squared,
    objective.answers,
    law_of_the_tree,
    law_recovered,
    gradient_of_the_tree,
    values_of_bellman,
    soft_values_of_bellman,
    optimum_of_the_tree,
    mean_ensemble,
    worst_case,
)


@pytest.mark.parametrize("function", SUBJECTS, ids=lambda f: f.__name__)
def test_the_engine_keeps_the_laws(function: Any) -> None:
    report = check_estimator(None, function, dtype="float64", verify=False)
    assert report.holds, [v for v in report.verdicts if v.status in ("FAIL", "ERROR")]
    assert report.counts["PASS"] >= len(function.contract.claims or ("",))


def test_control_a_wrong_engine_does_not() -> None:
    @estimator("values", claims={"performance_difference", "discount"})
    def late(
        transition: np.ndarray, reward: np.ndarray, policy: np.ndarray, gamma: float
    ) -> np.ndarray:
        return gamma * values_of_bellman(transition, reward, policy, gamma)

    report = check_estimator(None, late, dtype="float64", verify=False)
    assert {v.law for v in report.verdicts if v.status == "FAIL"} == {"E21", "E24"}


def test_shaping_by_the_house_agrees_with_the_law() -> None:
    """`mdp.shaped` adds the same potentials that law E22 adds."""
    rng = np.random.default_rng(0)
    transition = rng.dirichlet(np.ones(3), (3, 2))
    mdp = process(transition, rng.normal(size=(3, 2)), 2, 0.5)
    potential = rng.normal(size=3)
    paid = finite.shaped(mdp, potential).expected_reward()
    expected = mdp.expected_reward() + 0.5 * transition @ potential - potential[:, None]
    np.testing.assert_allclose(paid, expected, rtol=1e-14, atol=1e-14)


def test_answers_refuse_what_is_no_probability() -> None:
    with pytest.raises(ValueError, match=r"within 0 to 1\.5, but should be within 0 to 1"):
        objective.answers([0.0, 1.5], 1.0)
    with pytest.raises(ValueError, match="penalty is -1"):
        objective.answers([0.5], -1.0)
