"""Exact curves: a reward optimised by tilting, best-of-n or policy gradient, every point measured.

A path yields (setting, law) from weak to strong optimisation; a `Ruler` turns a law into one row.
All laws are tables [prompt, string]; nothing is sampled.

    tilt               the Gibbs optimum at each beta
    best-of-n          the best of n draws by the proxy
    natural-gradient   natural policy gradient on whole strings: logits += eta r, step by step
    token-gradient     the same on token logits, one step of Q - V at every prefix
    vanilla-gradient   plain policy gradient on token logits, its largest logit step as large
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from bandit_rlhf import _check, objective, selection
from bandit_rlhf._array import Float
from bandit_rlhf.exact import tree
from bandit_rlhf.loop.round import CONSTANT
from bandit_rlhf.policy import TabularPolicy
from experiments.lab.dials import Proxy
from experiments.lab.world import World

Path = Iterator[tuple[float, np.ndarray]]
"""Setting (beta, n or step) and law [prompt, string]."""

BETAS = tuple(float(beta) for beta in np.geomspace(10.0, 0.02, 28).round(4))
DRAWS = tuple(2**k for k in range(1, 21))
Method = Literal["tilt", "best-of-n", "natural-gradient", "token-gradient", "vanilla-gradient"]


@dataclass(frozen=True, eq=False)
class Ruler:
    """What any law of a world is measured with; gains in standard deviations under the reference.

    Args:
        world: the strings and the prompts.
        law: the reference; another than the world's where a network stands for it
            [prompt, string].
        gold: the true reward [prompt, string].
        proxy: the reward that is optimised [prompt, string].
        proxy_sd, gold_sd: within prompts, under the reference.
        correlation: of proxy and gold, within prompts, under the reference.
        largest_kl: KL of the law that puts all mass on each prompt's best string by the proxy.
    """

    world: World
    law: Float[np.ndarray, "prompt string"]
    gold: Float[np.ndarray, "prompt string"]
    proxy: Float[np.ndarray, "prompt string"]
    gold_sd: float
    proxy_sd: float
    correlation: float
    largest_kl: float

    @classmethod
    def of(
        cls, world: World, gold: np.ndarray, proxy: np.ndarray, law: np.ndarray | None = None
    ) -> "Ruler":
        """Measure the reference once; None is the world's.

        Raises:
            ValueError: a proxy that is constant over strings, up to rounding of its size: there
                is nothing to optimise.
        """
        law = world.law if law is None else law
        weight = world.prompt_law[:, None] * law
        size = root_mean_square(proxy, weight)
        gold, proxy = (centred(reward, law) for reward in (gold, proxy))
        gold_sd, proxy_sd = (root_mean_square(reward, weight) for reward in (gold, proxy))
        if not proxy_sd > CONSTANT * size:  # centring leaves rounding where all are equal
            got, do = "the proxy is constant over strings", "Fit it to more comparisons."
            raise ValueError(_check.complaint(got, "different for some", "Ruler.of", do))
        correlation = float((weight * gold * proxy).sum()) / (gold_sd * proxy_sd)
        caps = [-np.log(law[x, world.best_string(proxy, x)]) for x in range(len(proxy))]
        largest = float(world.prompt_law @ np.array(caps))
        return cls(world, law, gold, proxy, gold_sd, proxy_sd, correlation, largest)

    @classmethod
    def of_proxy(cls, proxy: Proxy) -> "Ruler":
        """For a fitted proxy."""
        return cls.of(proxy.world, proxy.gold, proxy.reward)

    def __call__(self, law: Float[np.ndarray, "prompt string"]) -> dict[str, Any]:
        """One row: KL, distance = sqrt(KL), chi-squared, both gains, the guaranteed gold gain.

        The guarantee is (proxy gain - sqrt((1 - correlation^2) chi^2)) / correlation: Laidlaw,
        Singhal and Dragan 2024 (arXiv:2403.03185), theorem 5.1.
        """
        world = self.world
        kl = objective.over_prompts(world.prompt_law, objective.kl_divergence(law, self.law))
        chi = objective.over_prompts(world.prompt_law, objective.chi_squared(law, self.law))
        weight = world.prompt_law[:, None] * law
        proxy = float((weight * self.proxy).sum()) / self.proxy_sd
        gold = float((weight * self.gold).sum()) / self.gold_sd
        unexplained = np.sqrt(max(1 - self.correlation**2, 0.0) * chi)
        return {
            "kl": kl,
            "distance": float(np.sqrt(max(kl, 0.0))),
            "chi_squared": chi,
            "proxy": proxy,
            "gold": gold,
            "guaranteed": float((proxy - unexplained) / self.correlation),
            "repeats": float(weight.sum(axis=0) @ world.repeats),
            "length": float(weight.sum(axis=0) @ world.lengths),
            "correlation": self.correlation,
            "largest_kl": self.largest_kl,
        }


def centred(reward: np.ndarray, law: np.ndarray) -> Float[np.ndarray, "prompt string"]:
    """A reward less its mean under a law, for every prompt."""
    return reward - (law * reward).sum(axis=1, keepdims=True)


def root_mean_square(reward: np.ndarray, weight: np.ndarray) -> float:
    """sqrt(sum_x,y weight r^2): of a centred reward the standard deviation within prompts."""
    return float(np.sqrt((weight * reward**2).sum()))


def rows(ruler: Ruler, paths: Iterable[tuple[Method, Path]]) -> Iterator[dict[str, Any]]:
    """Every point of every path, measured: `method`, `setting` and the ruler's columns."""
    for method, path in paths:
        for setting, law in path:
            yield {"method": method, "setting": float(setting), **ruler(law)}


def tilt(reference: np.ndarray, reward: np.ndarray, betas: Iterable[float] = BETAS) -> Path:
    """The Gibbs optimum ref exp(r / beta) / Z at every beta, in the order given."""
    for beta in betas:
        yield beta, objective.gibbs(reference, reward, beta)


def best_of_n(reference: np.ndarray, reward: np.ndarray, draws: Iterable[int] = DRAWS) -> Path:
    """The best of n draws, ties broken by a fair draw."""
    for n in draws:
        pairs = zip(reference, reward, strict=True)
        yield n, np.stack([selection.best_of_n_law(law, r, n) for law, r in pairs])


def natural_gradient(
    log_reference: np.ndarray, reward: np.ndarray, step_size: float, marks: Iterable[int]
) -> Path:
    """Natural policy gradient on the logits of whole strings, measured at the marked steps.

    The natural gradient of E_pi r is the advantage r - E_pi r (Kakade 2001); in exact arithmetic
    step t is the Gibbs law with beta = 1 / (step_size t). Each step is taken from the last law.
    """
    wanted, log_law = set(marks), log_reference.copy()
    for step in range(1, max(wanted, default=0) + 1):
        law = np.exp(log_law)
        log_law = log_law + step_size * centred(reward, law)
        log_law -= log_sum_exp(log_law)
        if step in wanted:
            yield step, np.exp(log_law)


def token_gradient(
    world: World,
    reward: np.ndarray,
    step_size: float,
    marks: Iterable[int],
    natural: bool = True,
) -> Path:
    """Exact policy gradient in the token logits of the prefix tree, natural or vanilla.

    The natural direction is Q(s,a) - V(s); the vanilla one is the gradient itself, scaled so that
    its largest change of a logit is the natural one's.
    """
    wanted, policy = set(marks), world.reference
    for step in range(1, max(wanted, default=0) + 1):
        gradient = tree.policy_gradient(world.prompt_law, policy, reward).gradient
        log_probs = policy.log_probs()
        weight = world.prompt_law[:, None] * tree.visits(policy) * np.exp(log_probs)
        direction = np.divide(gradient, weight, out=np.zeros_like(gradient), where=weight > 1e-290)
        if not natural:
            direction = gradient * (np.abs(direction).max() / np.abs(gradient).max())
        policy = TabularPolicy(world.language, world.prompts, log_probs + step_size * direction)
        if step in wanted:
            yield step, policy.string_law()


def log_sum_exp(scores: np.ndarray) -> Float[np.ndarray, "prompt 1"]:
    """ln sum exp over strings."""
    largest = scores.max(axis=1, keepdims=True)
    return largest + np.log(np.exp(scores - largest).sum(axis=1, keepdims=True))


def marks(steps: int, count: int = 20) -> tuple[int, ...]:
    """Steps at which a path is measured, evenly spaced in their logarithm.

    >>> marks(8, 4)
    (1, 2, 4, 8)
    """
    return tuple(sorted({round(t) for t in np.geomspace(1, steps, count)})) if steps else ()
