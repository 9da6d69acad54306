"""Learners that jump to a closed-form optimum at every step, rung by rung of a ladder.

Each rung starts from the reference: the policy of a step depends on its rung and on the reward of
that step alone. To keep one setting while rewards are refitted, repeat it: `Tilt((0.1,) * 5)`.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.optimize import brentq
from scipy.special import wrightomega

from bandit_rlhf import _check, objective
from bandit_rlhf._array import Float
from bandit_rlhf.loop.state import Evidence, State, as_tabular
from bandit_rlhf.loop.string_law import from_log_law
from bandit_rlhf.policy import TabularPolicy
from bandit_rlhf.selection import best_of_n_law

Penalty = Literal["kl", "chi-squared", "kl+chi-squared"]


@dataclass(frozen=True)
class Tilt:
    """The exact maximiser of E r - beta D(pi || ref) + tau H(pi), for each beta of a ladder.

    kl               pi = ref^(beta/(beta+tau)) exp(r/(beta+tau)) / Z           D = KL
    chi-squared      pi = ref max(0, 1 + (r - lambda)/beta)                     D = chi^2/2
    kl+chi-squared   pi = ref omega((r - lambda)/beta), omega + ln omega = id   D = KL + chi^2/2

    Args:
        betas: weights of the penalty, each above 0, in units of reward.
        tau: weight of the entropy of strings, at least 0; with the KL alone.
        penalty: D.

    Raises:
        ValueError: no betas, one of 0 or below; an entropy bonus beside another penalty.

    Source: theorems 10 and 15; Huang et al. 2024 (2407.13399), section 3, for the last.

    >>> Tilt((1.0, 0.0))
    Traceback (most recent call last):
    ...
    ValueError: betas[1] is 0, but should be above 0 [Tilt]. Without a penalty the optimum is ...
    """

    betas: tuple[float, ...]
    tau: float = 0.0
    penalty: Penalty = "kl"

    def __post_init__(self) -> None:
        do = "Without a penalty the optimum is greedy: use exact.optimum.greedy_optimum."
        _not_empty("betas", self.betas, "Tilt")
        for k, beta in enumerate(self.betas):
            _check.positive(f"betas[{k}]", beta, "Tilt", do)
        _check.non_negative("tau", self.tau, "Tilt")
        known = ("kl", "chi-squared", "kl+chi-squared")
        if self.penalty not in known:
            got = f"penalty is {self.penalty!r}"
            raise ValueError(_check.complaint(got, f"one of {', '.join(known)}", "Tilt"))
        if self.tau and self.penalty != "kl":
            got = f"tau is {self.tau:g} with penalty {self.penalty!r}"
            raise ValueError(_check.complaint(got, "0, where no closed form is known", "Tilt"))

    @property
    def steps(self) -> int:
        """The number of rungs."""
        return len(self.betas)

    def step(self, state: State, evidence: Evidence, rng: np.random.Generator) -> State:
        """The optimum at the next beta; nothing is random."""
        beta = self.betas[state.step]
        reference = as_tabular(state.reference)
        policy = tilted(reference, evidence.reward, beta, self.tau, self.penalty)
        return state.moved(policy, beta)


@dataclass(frozen=True)
class BestOfN:
    """The exact law of the best of n draws from the reference, for each n of a ladder.

    Args:
        counts: the ns, each at least 1.

    Raises:
        ValueError: no counts, or one below 1.

    Source: theorem 20; see `selection.best_of_n_law`.

    >>> from bandit_rlhf.language import Language
    >>> half = TabularPolicy.uniform(Language(("a", "b"), 1), [()])
    >>> start, seen = State(half, half, np.ones(1)), Evidence(np.array([[0.0, 1.0]]))
    >>> as_tabular(BestOfN((2,)).step(start, seen, np.random.default_rng(0)).policy).string_law()
    array([[0.25, 0.75]])
    """

    counts: tuple[int, ...]

    def __post_init__(self) -> None:
        _not_empty("counts", self.counts, "BestOfN")
        for k, n in enumerate(self.counts):
            _check.integer_at_least(f"counts[{k}]", n, 1, "BestOfN")

    @property
    def steps(self) -> int:
        """The number of rungs."""
        return len(self.counts)

    def step(self, state: State, evidence: Evidence, rng: np.random.Generator) -> State:
        """The best of the next n; nothing is random."""
        n = self.counts[state.step]
        return state.moved(best_of(as_tabular(state.reference), evidence.reward, n), float(n))


def tilted(
    reference: TabularPolicy,
    reward: Float[np.ndarray, "prompt string"],
    beta: float,
    tau: float = 0.0,
    penalty: Penalty = "kl",
) -> TabularPolicy:
    """The maximiser of E r - beta D(pi || ref) + tau H(pi); see `Tilt`.

    >>> from bandit_rlhf.language import Language
    >>> half = TabularPolicy.uniform(Language(("a", "b"), 1), [()])
    >>> tilted(half, np.array([[0.0, np.log(3.0)]]), beta=1.0).string_law()
    array([[0.25, 0.75]])
    """
    log_reference = reference.string_log_law()
    if penalty == "kl":
        log_law = (beta * log_reference + reward) / (beta + tau)
    elif penalty == "chi-squared":
        with np.errstate(divide="ignore"):
            log_law = np.log(objective.chi_squared_optimum(np.exp(log_reference), reward, beta))
    else:
        pairs = zip(np.exp(log_reference), reward, strict=True)
        log_ratio = np.stack([_mixed_log_ratio(law, r, beta) for law, r in pairs])
        log_law = log_reference + log_ratio
    return from_log_law(reference.language, reference.prompts, log_law)


def best_of(
    policy: TabularPolicy, reward: Float[np.ndarray, "prompt string"], n: int
) -> TabularPolicy:
    """The policy that draws n strings and keeps the best, ties broken by a fair draw.

    >>> from bandit_rlhf.language import Language
    >>> half = TabularPolicy.uniform(Language(("a", "b"), 1), [()])
    >>> best_of(half, np.array([[0.0, 1.0]]), n=2).string_law()
    array([[0.25, 0.75]])
    """
    pairs = zip(policy.string_law(), reward, strict=True)
    law = np.stack([best_of_n_law(of_x, r, n) for of_x, r in pairs])
    with np.errstate(divide="ignore"):
        return from_log_law(policy.language, policy.prompts, np.log(law))


def _mixed_log_ratio(
    reference: Float[np.ndarray, " string"], reward: Float[np.ndarray, " string"], beta: float
) -> Float[np.ndarray, " string"]:
    """The ln(pi/ref) with pi/ref + ln(pi/ref) = (r - lambda)/beta, lambda such that pi sums to 1.

    A ratio is at most 1 where its right-hand side is: so lambda lies between the least and the
    largest reward, both less beta. ln omega(z) = z - omega(z) is exact where omega is small.
    """
    kept = reference > 0
    values = reward[kept] / beta

    def excess(shift: float) -> float:
        return float(reference[kept] @ np.real(wrightomega(values - shift)) - 1.0)

    low, high = float(values.min()) - 1.0, float(values.max()) - 1.0
    if excess(low) <= 0:
        shift = low
    elif excess(high) >= 0:
        shift = high
    else:
        shift = float(brentq(excess, low, high))  # pyright: ignore[reportArgumentType]
    at = reward / beta - shift
    ratio = np.real(wrightomega(at))
    return np.where(ratio > 0.1, np.log(np.maximum(ratio, 0.1)), at - ratio)


def _not_empty(name: str, rungs: tuple[float, ...], where: str) -> None:
    if not rungs:
        raise ValueError(_check.complaint(f"{name} is empty", "one rung or more", where))
