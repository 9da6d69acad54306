"""A world of English words in which every expectation is exact.

The reference policy is counted on the text that ships with CPython, its prompts are the most
frequent sentence openings, its gold reward pays for information. Comparisons of strings are drawn
from it, and a proxy reward linear in the counts of words is fitted to them.
"""

from collections import Counter
from functools import lru_cache

import numpy as np
from scipy import sparse

from bandit_rlhf import corpus
from bandit_rlhf.automaton import AutomatonReward, context_successors, length, repetition
from bandit_rlhf.exact import path_sum
from bandit_rlhf.exact.lattice import Lattice, LatticePolicy, Payoff
from bandit_rlhf.language import Language


@lru_cache(maxsize=4)
def world(vocabulary_size: int, horizon: int, prompts: int) -> Lattice:
    """The reference counted on CPython's text, with the rewards that do not depend on comparisons.

    "gold" has standard deviation 1 under the reference; "repeats" and "length" count tokens.
    """
    text = corpus.english_text()
    reference = corpus.from_text(text, order=1, horizon=horizon, vocabulary_size=vocabulary_size)
    language, said = reference.language, list(corpus.sentences(text))
    openings, law = frequent_openings(said, language, prompts)
    raw = gold_reward(language, said)
    lattice = Lattice.build(reference, {"gold": raw}, openings, law)
    rewards = {
        "gold": raw * (1 / deviation(lattice, lattice.payoffs["gold"])),
        "repeats": repetition(language, 1),
        "length": length(language),
    }
    return Lattice.build(reference, rewards, openings, law)


def gradient_step(
    policy: LatticePolicy, payoff: Payoff, step_size: float, natural: bool = True
) -> LatticePolicy:
    """One step of exact policy gradient in the logits of every step and state.

    The natural direction is Q - V, the vanilla one visits x pi x (Q - V), scaled so that its
    largest change of a logit is the natural one's.
    """
    direction = path_sum.advantage(policy, payoff)  # from here on changed in place, for speed
    if not natural:
        largest = _largest(direction)
        direction *= policy.probs
        direction *= path_sum.visits(policy)[:, :, None]
        direction *= largest / _largest(direction)
    direction *= step_size
    direction += policy.log_probs
    return path_sum.softmax(policy.lattice, direction)


def _largest(values: np.ndarray) -> float:
    """The largest absolute value."""
    return float(max(values.max(), -values.min()))


def frequent_openings(
    said: list[list[str]], language: Language, count: int
) -> tuple[list[tuple[str, ...]], np.ndarray]:
    """The most frequent two-word sentence openings with distinct last words, and their shares."""
    known = set(language.vocabulary) - {corpus.UNKNOWN}
    frequency = Counter(
        tuple(words[:2]) for words in said if len(words) > 2 and known.issuperset(words[:2])
    )
    chosen: list[tuple[str, ...]] = []
    for opening in sorted(frequency, key=lambda pair: (-frequency[pair], pair)):
        if len(chosen) < count and opening[-1] not in {other[-1] for other in chosen}:
            chosen.append(opening)
    weights = np.array([frequency[opening] for opening in chosen], dtype=float)
    return chosen, weights / weights.sum()


def gold_reward(language: Language, said: list[list[str]]) -> AutomatonReward:
    """The gold reward: each word pays its information, -ln p(word), less the average.

    A word said twice in a row costs as much as the most informative word pays.
    """
    frequency = Counter(
        word if word in language.vocabulary else corpus.UNKNOWN for words in said for word in words
    )
    counts = np.array([frequency[word] for word in language.vocabulary], dtype=float)
    share = counts / counts.sum()
    information = -np.log(share)
    worth = information - share @ information
    successor = context_successors(language.vocabulary_size, 1)
    edge = np.zeros((len(successor), language.action_count))
    edge[:, : language.vocabulary_size] = worth
    words = np.arange(language.vocabulary_size)
    edge[1 + words, words] = -worth.max()
    return AutomatonReward(language, successor, edge, np.zeros(len(successor)))


def mean(policy: LatticePolicy, payoff: Payoff) -> float:
    """The exact expectation, prompts weighed by their law."""
    return path_sum.expected_reward(policy, payoff).value


def covariance(lattice: Lattice, first: Payoff, second: Payoff) -> float:
    """Cov(r_1, r_2) under the reference, exactly."""
    reference = lattice.reference
    moment = path_sum.second_moment(reference, first, second).value
    return moment - mean(reference, first) * mean(reference, second)


def deviation(lattice: Lattice, payoff: Payoff) -> float:
    """The standard deviation of a reward under the reference, exactly."""
    return float(np.sqrt(covariance(lattice, payoff, payoff)))


def compare(lattice: Lattice, comparisons: int, rng: np.random.Generator) -> np.ndarray:
    """Pairs of strings from the reference, judged by a Bradley-Terry annotator's gold reward.

    Returns:
        counts of every token in the winner less those in the loser [comparison, action].
    """
    gold, actions = lattice.payoffs["gold"], lattice.language.action_count
    asked = rng.multinomial(comparisons, lattice.prompt_law)
    differences = []
    for prompt, pairs in enumerate(asked):
        counts, scores = [], []
        for _ in range(2):
            batch = lattice.reference.sample(rng, int(pairs), prompt)
            ordinary = np.where(batch.mask, batch.tokens, actions)
            rows = np.arange(len(batch))[:, None] * (actions + 1) + ordinary
            table = np.bincount(rows.ravel(), minlength=len(batch) * (actions + 1))
            counts.append(table.reshape(len(batch), actions + 1)[:, :actions])
            scores.append(lattice.reward(gold, batch, prompt))
        first_wins = rng.random(pairs) < 1 / (1 + np.exp(scores[1] - scores[0]))
        differences.append(np.where(first_wins[:, None], 1, -1) * (counts[0] - counts[1]))
    return np.concatenate(differences).astype(float)


def fit_weights(differences: np.ndarray, prior_sd: float) -> np.ndarray:
    """Bradley-Terry with rewards linear in counts and a Gaussian prior, by Newton's method.

    Maximises sum_i ln sigma(w . difference_i) - |w|^2 / (2 prior_sd^2), which is strictly concave.

    Raises:
        RuntimeError: the gradient does not vanish within fifty steps.
    """
    weights, steepest = np.zeros(differences.shape[1]), np.inf
    prior = np.eye(len(weights)) / prior_sd**2
    rows = sparse.csr_matrix(differences)  # a string has few of the words
    for _ in range(50):
        losing = 1 / (1 + np.exp(rows @ weights))
        gradient = rows.T @ losing - weights / prior_sd**2
        steepest = float(np.abs(gradient).max())
        if steepest < 1e-8:
            return weights
        spread = sparse.diags_array(losing * (1 - losing))
        curvature = (rows.T @ (spread @ rows)).toarray()
        weights = weights + np.linalg.solve(curvature + prior, gradient)
    raise RuntimeError(f"Newton's method left a gradient of {steepest:.2g} after 50 steps.")
