"""The word world with dials: real English, 32 tokens, a lattice in place of enumeration.

The reference and the gold reward are those of `word_world`; the dials mean what they mean in the
enumerable world, as far as a lattice can tell:

    misspecification   how much of gold's charge for saying a word twice in a row is switched on;
                       at 0 gold is linear in counts of words, which the proxy's class holds
    estimation         N comparisons; infinity: 50,000 pairs with the probabilities of their outcome
    coverage           every next-word law is raised to this power and normalised
    tail               each pair of adjacent words has an error of its own, Student's t

A policy is exact in the product class of `exact.lattice`; nothing is sampled but comparisons.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import sparse
from scipy.special import expit

from bandit_rlhf import corpus
from bandit_rlhf._array import Float
from bandit_rlhf.automaton import length, repetition, token_weights
from bandit_rlhf.exact import path_sum, reward_law
from bandit_rlhf.exact.lattice import Lattice, LatticePolicy, Payoff
from bandit_rlhf.language import TokenBatch
from experiments import word_world
from experiments.lab.dials import ERROR_SD, Dials
from experiments.yardstick import Yardstick

VOCABULARY = 60
"""Words, the unknown one included."""
MANY = 50_000
"""Pairs that stand for infinitely many."""
UNIT = 0.0625
"""Grid to which payments are rounded for best-of-n, in logits."""
PRIOR_SD = 1.0
"""Of each word's weight, in logits, where comparisons are finitely many."""
FAINT_PRIOR = 1e-3
"""Precision of the prior where they stand for infinitely many: it decides what no pair tells."""


@lru_cache(maxsize=8)
def words(misspecification: float, vocabulary_size: int, horizon: int, prompts: int) -> Lattice:
    """The reference with a gold reward of standard deviation 1, and counts of repeats and tokens.

    gold = (1 - m) linear + m (linear, but the charge for a word said twice in a row), m the dial.
    """
    text = corpus.english_text()
    reference = corpus.from_text(text, order=1, horizon=horizon, vocabulary_size=vocabulary_size)
    language, said = reference.language, list(corpus.sentences(text))
    openings, law = word_world.frequent_openings(said, language, prompts)
    charged = word_world.gold_reward(language, said)
    # Before the first word nothing can be said twice: that state's row is the linear part.
    linear = token_weights(language, charged.edge[0])
    raw = misspecification * charged + (1 - misspecification) * linear
    lattice = Lattice.build(reference, {"gold": raw}, openings, law)
    scale = 1 / word_world.deviation(lattice, lattice.payoffs["gold"])
    rewards = {"gold": raw * scale, "repeats": repetition(language, 1), "length": length(language)}
    return Lattice.build(reference, rewards, openings, law)


@dataclass(frozen=True, eq=False)
class WordProxy:
    """A proxy on the lattice.

    Args:
        lattice: the world, gold among its payoffs.
        weights: of the words [action].
        reward: the proxy that is optimised: the weights' and the errors' sum.
    """

    lattice: Lattice
    weights: Float[np.ndarray, " action"]
    reward: Payoff


def fit_words(
    dials: Dials, seed: int, vocabulary_size: int = VOCABULARY, horizon: int = 32, prompts: int = 2
) -> WordProxy:
    """Draw comparisons as the dials say, and fit a reward linear in counts of words."""
    lattice = words(dials.misspecification, vocabulary_size, horizon, prompts)
    if math.isfinite(dials.estimation):
        weights = drawn_weights(lattice, dials.coverage, int(dials.estimation), seed)
    else:
        weights = settled_weights(lattice, dials.coverage)
    reward = linear(lattice, weights)
    if dials.tail:
        reward = reward + own_errors(lattice, dials.tail, np.random.default_rng((seed, 0x7A11)))
    return WordProxy(lattice, weights, reward)


def drawn_weights(
    lattice: Lattice, coverage: float, comparisons: int, seed: int
) -> Float[np.ndarray, " action"]:
    """Weights fitted to so many comparisons of strings from ref^coverage."""
    rng = np.random.default_rng((seed, comparisons, 0xDA7A))
    differences, leads = pairs(lattice, coverage, comparisons, rng)
    first_wins = rng.random(comparisons) < expit(leads)
    return word_world.fit_weights(np.where(first_wins[:, None], 1, -1) * differences, PRIOR_SD)


@lru_cache(maxsize=16)
def settled_weights(lattice: Lattice, coverage: float) -> Float[np.ndarray, " action"]:
    """Weights fitted to the probabilities of `MANY` judgements: no noise of people is left.

    Maximises sum_i p_i ln sigma(w . d_i) + (1 - p_i) ln sigma(-w . d_i) by Newton's method. The
    pairs are the same whatever the seed; where gold is linear in counts its weights come out.

    Raises:
        RuntimeError: the gradient does not vanish within fifty steps.
    """
    differences, leads = pairs(lattice, coverage, MANY, np.random.default_rng(0xDA7A))
    rows, wanted = sparse.csr_matrix(differences), expit(leads)
    weights, steepest = np.zeros(differences.shape[1]), np.inf
    for _ in range(50):
        said = expit(rows @ weights)
        gradient = rows.T @ (wanted - said) - FAINT_PRIOR * weights
        steepest = float(np.abs(gradient).max())
        if steepest < 1e-7:
            return weights
        spread = sparse.diags_array(said * (1 - said))
        curvature = (rows.T @ (spread @ rows)).toarray()
        weights = weights + np.linalg.solve(
            curvature + FAINT_PRIOR * np.eye(len(weights)), gradient
        )
    raise RuntimeError(f"Newton's method left a gradient of {steepest:.2g} after 50 steps.")


def pairs(
    lattice: Lattice, coverage: float, comparisons: int, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "comparison action"], Float[np.ndarray, " comparison"]]:
    """Pairs of strings from ref^coverage: the first's counts and gold, less the second's."""
    asked, gold = narrowed(lattice, coverage), lattice.payoffs["gold"]
    differences, leads = [], []
    for prompt, count in enumerate(rng.multinomial(comparisons, lattice.prompt_law)):
        first, second = (asked.reference.sample(rng, int(count), prompt) for _ in range(2))
        differences.append(token_counts(first) - token_counts(second))
        leads.append(lattice.reward(gold, first, prompt) - lattice.reward(gold, second, prompt))
    return np.concatenate(differences), np.concatenate(leads)


def token_counts(batch: TokenBatch) -> Float[np.ndarray, "string action"]:
    """How often each string holds each token, the end among them."""
    actions = batch.language.action_count
    rows = np.broadcast_to(np.arange(len(batch))[:, None], batch.mask.shape)
    at = rows[batch.mask] * actions + batch.tokens[batch.mask]
    return np.bincount(at, minlength=len(batch) * actions).reshape(-1, actions).astype(float)


def narrowed(lattice: Lattice, exponent: float) -> Lattice:
    """The lattice with every next-word law raised to a power and normalised."""
    scores = exponent * lattice.log_reference
    scores = scores - scores.max(axis=1, keepdims=True)
    return replace(
        lattice, log_reference=scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    )


def linear(lattice: Lattice, weights: np.ndarray) -> Payoff:
    """A payment for every word, whatever stands before it."""
    edge = np.broadcast_to(weights, lattice.log_reference.shape)
    return Payoff(edge, np.zeros(lattice.state_count))


def own_errors(lattice: Lattice, degrees: float, rng: np.random.Generator) -> Payoff:
    """A Student error for each word after each state; of a string, sd `ERROR_SD` under ref."""
    shape = lattice.log_reference.shape
    raw = rng.standard_normal(shape) if math.isinf(degrees) else rng.standard_t(degrees, shape)
    payoff = Payoff(raw, np.zeros(lattice.state_count))
    return payoff * (ERROR_SD / word_world.deviation(lattice, payoff))


def tilt(proxy: WordProxy, betas: Iterable[float]) -> Iterator[tuple[float, LatticePolicy]]:
    """The Gibbs optimum at every beta."""
    for beta in betas:
        yield beta, path_sum.gibbs_optimum(proxy.lattice, proxy.reward, beta)[0]


def natural_gradient(
    proxy: WordProxy, step_size: float, marks: Iterable[int]
) -> Iterator[tuple[int, LatticePolicy]]:
    """Natural gradient on whole strings: each step tilts the last policy by step_size r.

    ln pi' = ln pi + step_size (r - E r) up to the normaliser: in the product class of the lattice
    this is one soft-Bellman sweep from the last policy.
    """
    wanted, policy = set(marks), proxy.lattice.reference
    for step in range(1, max(wanted, default=0) + 1):
        policy, _ = path_sum.gibbs_optimum(proxy.lattice, proxy.reward, 1 / step_size, policy)
        if step in wanted:
            yield step, policy


def token_gradient(
    proxy: WordProxy, step_size: float, marks: Iterable[int], natural: bool = True
) -> Iterator[tuple[int, LatticePolicy]]:
    """Policy gradient in the logits of every step and state, natural (Q - V) or vanilla.

    A vanilla step is scaled so that its largest change of a logit is the natural one's.
    """
    wanted, policy = set(marks), proxy.lattice.reference
    for step in range(1, max(wanted, default=0) + 1):
        policy = word_world.gradient_step(policy, proxy.reward, step_size, natural)
        if step in wanted:
            yield step, policy


def best_of_n(proxy: WordProxy, draws: Iterable[int]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Best-of-n by the proxy rounded to a grid, measured from the exact law of its value."""
    lattice = proxy.lattice
    raw = proxy.reward
    rounded = Payoff(np.rint(raw.edge / UNIT) * UNIT, np.rint(raw.truncated / UNIT) * UNIT)
    ruler = Yardstick.of(lattice, rounded)
    law = reward_law.reward_law(lattice, rounded, UNIT, {"gold": lattice.payoffs["gold"]})
    about = ruler.about()
    for n in draws:
        best = reward_law.best_of_n(law, n)
        sums = (best.kl, best.chi_squared, best.reward, best.others["gold"])
        yield n, {**ruler.gains(*(one.value for one in sums)), **about}
