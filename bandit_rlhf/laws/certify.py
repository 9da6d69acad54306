"""Which objective does this loss follow?

The expected step of an estimator, summed exactly over all strings or batches of a few worlds, is
laid beside the gradients of known objectives, all worlds stacked into one vector. An objective is
followed if one factor maps its gradient to the step in every world; else the nearest ones are named
with their angles.

>>> from bandit_rlhf.laws.bugs.divergence import third_as_loss
>>> found = certify(third_as_loss)
>>> found.objective, round(found.slope, 6)
('sum_s pi(s) KL(ref_s || pi_s), prefixes fixed', 1.0)
"""

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from bandit_rlhf.contract import contract_of
from bandit_rlhf.laws.check import name_of
from bandit_rlhf.laws.divergence import kl_gradient, step_of_tokens
from bandit_rlhf.laws.gradient import FINER
from bandit_rlhf.laws.policy_loss import (
    ENDING,
    EQUAL,
    chosen,
    expected_step,
    objective_gradient,
)
from bandit_rlhf.laws.source import Source
from bandit_rlhf.laws.subject import Subject

EXACT = 1e-5
"""Relative error below which a gradient is followed: an epsilon beside a deviation makes 1e-6."""
WORLDS, DRAWS = 4, 4
"""Worlds, and draws of a prompt in each."""

Gradients = Mapping[str, np.ndarray | None]
"""From an objective to its gradient in one world; None where it is not defined there."""
World = tuple[np.ndarray, Gradients]


@dataclass(frozen=True)
class Candidate:
    """One objective beside the step.

    Attributes:
        objective: in words and symbols; the step is to be its gradient (descent for losses).
        slope: the factor that fits best.
        angle: between step and gradient over all worlds, in degrees.
        error: |step - slope gradient| / |step|.
        worlds: in how many worlds the objective is defined.
    """

    objective: str
    slope: float
    angle: float
    error: float
    worlds: int


@dataclass(frozen=True)
class Certificate:
    """What an estimator follows.

    Attributes:
        kind: of the estimator.
        subject: its name.
        objective: the one it follows exactly, "nothing: the mean step is 0", or "none".
        slope: the factor; 1 where it is that gradient itself, 0 for none.
        candidates: nearest first.
    """

    kind: str
    subject: str
    objective: str
    slope: float
    candidates: tuple[Candidate, ...]

    @property
    def follows(self) -> bool:
        """Whether an objective was found."""
        return self.objective != "none"

    def as_json(self) -> dict[str, Any]:
        """Fields as JSON's own types."""
        return asdict(self)


def certify(function: Callable[..., Any], kind: str | None = None, **terms: Any) -> Certificate:
    """Find the objective whose gradient the expected step is.

    Args:
        function: an estimator of kind advantage, policy_loss or kl.
        kind: its kind; None: the one it declares.
        **terms: of its contract, such as `settings` or `backend`.

    Returns:
        the certificate.

    Raises:
        ValueError: a kind without a table of objectives.
        CannotJudge: the estimator raised, or returned something else than its kind says.
    """
    contract = contract_of(function, kind, **terms)
    if contract.kind not in STEPS:
        raise ValueError(
            f"kind is {contract.kind!r}, but should be one of {', '.join(STEPS)} [certify]."
        )
    subject = Subject(function, contract, "float64", contract.backend or "numpy")
    found = _certificate(subject)
    if found.follows or subject.backend != "numpy":
        return found
    return _certificate(replace(subject, step=FINER[-1]))  # past the kinks of narrow clips


def _certificate(subject: Subject) -> Certificate:
    kind, name = subject.contract.kind, name_of(subject.function)
    with np.errstate(all="ignore"):
        worlds = [STEPS[kind](subject, Source(_bytes(k))) for k in range(WORLDS)]
    if max(np.abs(got).max() for got, _ in worlds) < EXACT:
        return Certificate(kind, name, "nothing: the mean step is 0", 0.0, ())
    candidates = sorted((_beside(worlds, name) for name in worlds[0][1]), key=lambda c: c.error)
    best = candidates[0]
    if best.error < EXACT:
        return Certificate(kind, name, best.objective, best.slope, tuple(candidates))
    return Certificate(kind, name, "none", 0.0, tuple(candidates))


def _bytes(world: int) -> bytes:
    """Choices of one world: any will do, if they are always the same."""
    return bytes((37 * world + 11 * place + place * place) % 251 for place in range(200))


def _beside(worlds: list[World], name: str) -> Candidate:
    both = [(got, gradients[name]) for got, gradients in worlds]
    both = [(got, wanted) for got, wanted in both if wanted is not None]
    step = np.concatenate([got.ravel() for got, _ in both])
    gradient = np.concatenate([wanted.ravel() for _, wanted in both])
    long, wide = float(step @ step), float(gradient @ gradient)
    if not long or not wide or not np.isfinite(long):
        return Candidate(name, 0.0, 90.0, 1.0, len(both))
    slope = float(step @ gradient) / wide
    error = float(np.linalg.norm(step - slope * gradient)) / np.sqrt(long)
    cosine = float(step @ gradient) / np.sqrt(long * wide)
    angle = float(np.degrees(np.arctan2(min(error, 1.0), cosine)))
    return Candidate(name, slope, angle, error, len(both))


def _advantage(f: Subject, source: Source) -> World:
    """Draws of three strings, of which one is a success: rewards are 0 and 1, p = E r."""
    law, r = source.law("p", 3), np.array([1.0, 0.0, 0.0])
    got = np.zeros(3)
    for y in map(list, itertools.product(range(3), repeat=DRAWS)):
        weights = f(r[y][None])[0]
        got += law[y].prod() * (weights[:, None] * (np.eye(3)[y] - law)).sum(axis=0) / DRAWS
    p = float(law @ r)
    slope = law * (r - p)
    spread = sum(
        math.comb(DRAWS, k) * p**k * (1 - p) ** (DRAWS - k) * math.sqrt(k * (DRAWS - k)) / DRAWS
        for k in range(DRAWS + 1)
    )
    return got, {
        "p": slope,
        f"F(p), F' = E sqrt(K/G (1 - K/G)) / (p (1-p)), K ~ Bin(G, p), G = {DRAWS}": (
            slope * spread / (p * (1 - p))
        ),
        "2 arcsin sqrt(p)": slope / np.sqrt(p * (1 - p)),
        "ln p": slope / p,
    }


def _policy_loss(f: Subject, source: Source) -> World:
    """On policy; strings of different lengths, and of one length."""
    log_pi = np.log(source.law("p", 2, 2))
    log_even = np.log(source.law("p", 3, 2))
    ending, equal = source.numbers("r", 3), source.numbers("r", 4)
    got = [
        expected_step(f, log_pi, log_pi, ENDING, ending)[0],
        expected_step(f, log_even, log_even, EQUAL, equal)[0],
    ]
    lengths = np.array([len(string) for string in ENDING])
    return -np.concatenate([x.ravel() for x in got]), {
        "E r": _both(log_pi, log_even, ending, equal),
        "E[r / |y|]": _both(log_pi, log_even, ending / lengths, equal / 2),
        "E[r |y|]": _both(log_pi, log_even, ending * lengths, equal * 2),
    }


def _both(log_pi: np.ndarray, log_even: np.ndarray, ending: Any, equal: Any) -> np.ndarray:
    one = objective_gradient(log_pi, ENDING, ending)
    return np.concatenate([one.ravel(), objective_gradient(log_even, EQUAL, equal).ravel()])


def _kl(f: Subject, source: Source) -> World:
    """As losses of tokens, on policy, over strings of two tokens."""
    log_pi, log_ref = (np.log(source.law(name, 3, 2)) for name in ("p", "ref"))
    got, _ = step_of_tokens(f, log_pi, log_ref, EQUAL)
    gaps = [float((chosen(log_pi, y) - chosen(log_ref, y)).sum()) for y in EQUAL]
    ratios = np.exp(-np.array(gaps))
    visited = np.append(1.0, np.exp(log_pi[0]))[:, None]
    pi, ref = np.exp(log_pi), np.exp(log_ref)
    partial = np.array([kl_gradient(p, q) for p, q in zip(pi, ref, strict=True)])
    return got, {
        "KL(pi || ref)": objective_gradient(log_pi, EQUAL, gaps),
        "KL(ref || pi)": objective_gradient(log_pi, EQUAL, -ratios),
        "sum_s pi(s) KL(pi_s || ref_s), prefixes fixed": visited * partial,
        "sum_s pi(s) KL(ref_s || pi_s), prefixes fixed": visited * (pi - ref),
    }


STEPS: dict[str, Callable[[Subject, Source], World]] = {
    "advantage": _advantage,
    "policy_loss": _policy_loss,
    "kl": _kl,
}
"""Kind -> its expected step in a world, and the gradients of objectives there."""
