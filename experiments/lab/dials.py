"""Four dials that spoil a proxy reward, each alone or together, and the proxy fitted under them.

    misspecification   m: m^2 of the gold's variance lies outside rewards linear in counts; 0: none
    estimation         N comparisons, Bradley-Terry and noisy; infinity: the population's fit
    coverage           c: strings to compare are drawn from ref^c, normalised; 1: the reference,
                       above 1 narrower, below 1 wider
    tail               nu: every string has an error of its own on top of the fit, Student's t with
                       nu degrees, standard deviation 1/2 under the reference; infinity: Gaussian;
                       0: no such error

Comparisons know words and winners, never the gold reward: fitting sees `Comparisons` alone.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from bandit_rlhf import _check
from bandit_rlhf._array import Float
from bandit_rlhf.annotator import (
    Person,
    Questions,
    compare,
    expected_comparisons,
    random_questions,
)
from bandit_rlhf.comparisons import Comparisons
from bandit_rlhf.reward import fit_linear
from experiments.lab.world import World, monomials, standardised

ERROR_SD = 0.5
"""Of the strings' own errors under the reference, in standard deviations of gold."""
RIDGE = 1.0
"""Precision of the prior on each feature's weight, features whitened under the reference."""
FAINT = 1e-12
"""Share of comparisons below which a bag of the population is left out."""


@dataclass(frozen=True)
class Dials:
    """Where each dial stands; the default is a proxy that is right.

    Raises:
        ValueError: a dial out of its range.

    >>> Dials().turned("misspecification", 0.5)
    Dials(misspecification=0.5, estimation=inf, coverage=1.0, tail=0.0)
    """

    misspecification: float = 0.0
    estimation: float = math.inf
    coverage: float = 1.0
    tail: float = 0.0

    def __post_init__(self) -> None:
        allowed = (
            ("misspecification", 0 <= self.misspecification <= 1, "within 0..1"),
            ("estimation", self.estimation >= 1, "comparisons, 1 or more, or inf"),
            ("coverage", 0 <= self.coverage < math.inf, "an exponent, at least 0"),
            ("tail", self.tail >= 0, "degrees of freedom, 0 for no error, inf for a Gaussian"),
        )
        for name, right, expected in allowed:
            if not right:
                got = f"{name} is {getattr(self, name)}"
                raise ValueError(_check.complaint(got, expected, "Dials"))

    def turned(self, dial: str, to: float) -> "Dials":
        """These dials with one of them turned."""
        return replace(self, **{dial: to})


@dataclass(frozen=True, eq=False)
class Proxy:
    """A fitted reward, and what it was fitted on.

    Args:
        world: where it lives.
        dials: how it came about.
        degree: of the monomials in counts that it is made of; 1: linear.
        gold: the true reward [prompt, string].
        fitted: the reward that Bradley and Terry's model gave [prompt, string].
        reward: the proxy that is optimised: `fitted`, and each string's own error on top
            [prompt, string].
        comparisons: what it was fitted on, one table a prompt; items are bags.
        asked: the law that strings to compare were drawn from [prompt, string].
    """

    world: World
    dials: Dials
    degree: int
    gold: Float[np.ndarray, "prompt string"]
    fitted: Float[np.ndarray, "prompt string"]
    reward: Float[np.ndarray, "prompt string"]
    comparisons: tuple[Comparisons, ...]
    asked: Float[np.ndarray, "prompt string"]

    @property
    def error(self) -> Float[np.ndarray, "prompt string"]:
        """The r^ - r*, with mean 0 under the reference for every prompt."""
        difference = self.reward - self.gold
        return difference - (self.world.law * difference).sum(axis=1, keepdims=True)


def fit_proxy(
    world: World,
    dials: Dials,
    seed: int,
    degree: int = 1,
    asked: np.ndarray | None = None,
) -> Proxy:
    """Draw comparisons as the dials say, and fit a reward to them.

    Args:
        world: prompts, reference, gold.
        dials: see the module.
        seed: of the comparisons and of the strings' own errors.
        degree: size of the reward class, monomials of 1..degree counts of words.
        asked: the law that strings to compare are drawn from [prompt, string], instead of ref^c.

    >>> from experiments.lab.world import draw_world
    >>> right = fit_proxy(draw_world(seed=0, horizon=4), Dials(), seed=0)
    >>> bool(np.abs(right.error).max() < 1e-6)
    True
    """
    gold = world.gold(dials.misspecification)
    asked = covered(world.log_law, dials.coverage) if asked is None else asked
    law, reference = world.on_bags(asked), world.on_bags(world.law)
    rng = np.random.default_rng((seed, 0xDA7A))
    features = monomials(world.counts, degree)
    fitted, tables = np.empty_like(gold), []
    finite = math.isfinite(dials.estimation)
    sizes = rng.multinomial(int(dials.estimation), world.prompt_law) if finite else None
    for x in range(len(world.prompts)):
        person = Person(gold[x : x + 1])
        if sizes is None:
            rows, ridge = population(person, law[x]), 0.0
        else:
            rows, ridge = sampled(person, law[x], int(sizes[x]), rng), RIDGE
        fitted[x] = fit_linear(rows, whitened(features, reference[x]), ridge=ridge).scores
        tables.append(rows)
    on_strings = world.on_strings(fitted)
    own = own_errors(world, dials.tail, np.random.default_rng((seed, 0x7A11)))
    return Proxy(
        world,
        dials,
        degree,
        world.on_strings(gold),
        on_strings,
        on_strings + own,
        tuple(tables),
        asked,
    )


def covered(log_law: np.ndarray, exponent: float) -> Float[np.ndarray, "prompt string"]:
    """Laws proportional to ref^exponent."""
    scores = exponent * log_law
    weight = np.exp(scores - scores.max(axis=1, keepdims=True))
    return weight / weight.sum(axis=1, keepdims=True)


def sampled(
    person: Person, law: np.ndarray, comparisons: int, rng: np.random.Generator
) -> Comparisons:
    """So many judgements of pairs of different bags drawn from a law [bag]."""
    questions = random_questions(rng, max(comparisons, 1), [1.0], law[None])
    return compare(person, questions, rng, items=range(len(law)))


def population(person: Person, law: np.ndarray) -> Comparisons:
    """Every judgement of every pair with its probability: infinitely many comparisons."""
    kept = np.flatnonzero(law > FAINT)
    left, right = np.triu_indices(len(kept), k=1)
    first, second = kept[left], kept[right]
    questions = Questions(np.zeros(len(first), np.int64), first, second, 1, len(law))
    weight = law[first] * law[second]
    return expected_comparisons(
        person, questions, weight=weight / weight.sum(), items=range(len(law))
    )


def whitened(features: np.ndarray, law: np.ndarray) -> Float[np.ndarray, "bag feature"]:
    """The features' span with mean 0 and identity covariance under a law [bag]."""
    centred = features - law @ features
    # Columns are scaled first: powers of counts differ by orders of magnitude.
    centred = centred / np.sqrt(law @ centred**2)
    root = np.sqrt(law)[:, None]
    _, triangle = np.linalg.qr(root * centred)
    return np.linalg.solve(triangle.T, centred.T).T


def own_errors(
    world: World, degrees: float, rng: np.random.Generator
) -> Float[np.ndarray, "prompt string"]:
    """Independent Student errors, scaled to `ERROR_SD` under the reference; 0 degrees: none."""
    if not degrees:
        return np.zeros(world.law.shape)
    shape = world.law.shape
    raw = rng.standard_normal(shape) if math.isinf(degrees) else rng.standard_t(degrees, shape)
    rows = zip(raw, world.law, strict=True)
    return ERROR_SD * np.stack([standardised(errors, law) for errors, law in rows])
