"""Expert iteration keeps draws of the best-of-n law, and imitates them."""

import numpy as np
import pytest
import torch

from bandit_rlhf.neural import ExactJudge, ExpertIteration, Optimiser, from_table, train
from tests.neural_worlds import LETTERS, frequencies_fit, policy, random_table

TABLE = random_table(LETTERS, 2, seed=0)
PROMPTS = (("x",), ("y",))


def best_of(law: np.ndarray, reward: np.ndarray, n: int) -> np.ndarray:
    """P(y) = F(y)^n - F_(y)^n, with F the law of the reward and no ties."""
    at_most = np.array([law[reward <= r].sum() for r in reward])
    return at_most**n - (at_most - law) ** n


def test_what_is_kept_follows_the_best_of_n_law() -> None:
    pi = policy(seed=3, prompts=PROMPTS)
    learner = ExpertIteration(
        from_table(LETTERS, TABLE), prompt_law=[0.25, 0.75], groups=20_000, draws=3, kept=1
    )
    kept = learner.collect(pi, torch.Generator().manual_seed(0))
    prompts, ranks = kept.prompt.numpy(), kept.ranks().numpy()
    assert frequencies_fit(prompts, np.array([0.25, 0.75]))
    for prompt in range(2):
        law = best_of(pi.string_law()[prompt], TABLE[prompt], 3)
        assert frequencies_fit(ranks[prompts == prompt], law)
        assert not frequencies_fit(ranks[prompts == prompt], pi.string_law()[prompt])


def test_the_kept_are_the_best_of_each_group() -> None:
    pi, proxy = policy(seed=3, prompts=PROMPTS), from_table(LETTERS, TABLE)
    every, some = (
        ExpertIteration(proxy, groups=50, draws=6, kept=kept).collect(
            pi, torch.Generator().manual_seed(0)
        )
        for kept in (6, 2)
    )
    groups, best = proxy(every).reshape(50, 6), proxy(some).reshape(50, 2)
    assert torch.equal(groups.sort(dim=1, descending=True).values[:, :2], best)


def test_imitation_raises_the_proxy() -> None:
    pi, proxy = policy(seed=3, prompts=PROMPTS, dtype="float32"), from_table(LETTERS, TABLE)
    learner = ExpertIteration(proxy, groups=8, draws=16, kept=2)
    judge = ExactJudge.of(pi, pi, proxy)
    rounds = list(train(pi, learner, judge, steps=30, optimiser=Optimiser(0.02), seed=0, marks=[0]))
    best = float(TABLE.max(axis=1).mean())
    assert rounds[-1].proxy - rounds[0].proxy > 0.8 * (best - rounds[0].proxy)


def test_more_kept_than_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match="kept is 3, but should be at most draws = 2"):
        ExpertIteration(from_table(LETTERS, TABLE), draws=2, kept=3)
