"""Small neural policies, rewards and every group of draws, for tests that sum, not sample."""

import itertools
from collections.abc import Callable, Iterator

import numpy as np
import torch
from scipy import stats

from bandit_rlhf.language import Language
from bandit_rlhf.neural import Architecture, NeuralPolicy, RewardModel, Strings
from bandit_rlhf.neural.strings import concatenate, every_string

LETTERS = Language(("a", "b"), 2, "$")
"""Seven strings: small enough to sum over all pairs of draws."""

FALSE_ALARM = 1e-6
"""How often a test of frequencies fails although the sampler is right, over its seeds."""


def policy(
    language: Language = LETTERS,
    kind: str = "gru",
    seed: int = 0,
    prompts: tuple[tuple[str, ...], ...] = ((),),
    width: int = 8,
    dtype: str = "float64",
) -> NeuralPolicy:
    architecture = Architecture(kind, width=width, dtype=dtype)  # pyright: ignore[reportArgumentType]
    return NeuralPolicy.initial(language, prompts, architecture, seed=seed)


def reward_model(
    language: Language = LETTERS,
    kind: str = "gru",
    seed: int = 0,
    prompts: tuple[tuple[str, ...], ...] = ((),),
    width: int = 8,
    dtype: str = "float64",
) -> RewardModel:
    architecture = Architecture(kind, width=width, dtype=dtype)  # pyright: ignore[reportArgumentType]
    return RewardModel.initial(language, prompts, architecture, seed=seed)


def random_table(language: Language, prompts: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(prompts, language.string_count))


def all_strings(language: Language, prompts: int = 1) -> Strings:
    """Every string, once for each prompt, prompt after prompt."""
    return concatenate(every_string(language, prompts))


def every_group(language: Language, draws: int) -> Iterator[tuple[tuple[int, ...], Strings]]:
    """Every ordered group of `draws` strings that answer prompt 0, with their ranks."""
    every = every_string(language, 1)[0]
    for ranks in itertools.product(range(len(every)), repeat=draws):
        yield ranks, every.take(torch.tensor(ranks))


def gradient(policy: NeuralPolicy, value: torch.Tensor) -> np.ndarray:
    """The gradient of a number in all parameters, as one vector."""
    parts = torch.autograd.grad(value, list(policy.network.parameters()), allow_unused=True)
    parameters = policy.network.parameters()
    return np.concatenate(
        [
            (torch.zeros_like(p) if g is None else g).flatten().numpy()
            for p, g in zip(parameters, parts, strict=True)
        ]
    )


def slope(
    policy: NeuralPolicy, value: Callable[[NeuralPolicy], float], direction_seed: int, step=1e-6
) -> tuple[float, np.ndarray]:
    """The central difference of a number along a random direction in the parameters."""
    rng = np.random.default_rng(direction_seed)
    vectors = [torch.as_tensor(rng.normal(size=p.shape)) for p in policy.network.parameters()]
    sides = []
    for sign in (1, -1):
        moved = policy.copy()
        with torch.no_grad():
            for parameter, vector in zip(moved.network.parameters(), vectors, strict=True):
                parameter += sign * step * vector
        sides.append(value(moved))
    flat = np.concatenate([vector.flatten().numpy() for vector in vectors])
    return (sides[0] - sides[1]) / (2 * step), flat


def frequencies_fit(ranks: np.ndarray, law: np.ndarray) -> bool:
    """Whether counts of strings agree with a law: Pearson's test at `FALSE_ALARM`.

    Strings that are expected fewer than ten times are counted together.
    """
    counts, expected = np.bincount(ranks, minlength=len(law)), law * len(ranks)
    rare = expected < 10
    seen = np.append(counts[~rare], counts[rare].sum())
    wanted = np.append(expected[~rare], expected[rare].sum())
    if wanted[-1] < 10:
        if seen[-1] > stats.poisson.ppf(1 - FALSE_ALARM, wanted[-1]):
            return False
        seen, wanted = seen[:-1], wanted[:-1] * (seen[:-1].sum() / wanted[:-1].sum())
    return bool(stats.chisquare(seen, wanted).pvalue > FALSE_ALARM)
