"""The enumerable world: at most four words and eight tokens, so that every string is summed over.

The reference is an order-1 Markov law drawn at random; two prompts start it in different contexts.
Rewards are functions of a string's *bag*, the counts of its words. Each world has two parts of a
gold reward, orthogonal to each other under the reference and of standard deviation 1 there:

    expressible    sum_k w(x,k) count_k(y), standardised: what a reward linear in counts can say
    inexpressible  what is left of variety, sum_k min(count_k(y), 2), after its regression on counts

The second pays for the first two uses of a word and, against the linear trend, not for the third:
gold saturates in counts. `World.gold(m)` mixes them so that m^2 is the share of the gold reward's
variance that no reward linear in counts expresses.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import combinations_with_replacement

import numpy as np

from bandit_rlhf import _check
from bandit_rlhf._array import Float, Int
from bandit_rlhf.bandit import ContextualBandit, Prompt
from bandit_rlhf.language import Language
from bandit_rlhf.ngram import MarkovPolicy
from bandit_rlhf.policy import TabularPolicy

WORDS = ("the", "cat", "sat", "down")
END = "</s>"
ENDING = 0.2
"""The reference's probability of ending the string, after every prefix."""
CAP = 2
"""Uses of a word that variety pays for."""
WORLDS_A_SEED = 100
"""Numbers of worlds that are kept for one seed."""


@dataclass(frozen=True, eq=False)
class World:
    """Prompts, a reference, and the two parts of a gold reward.

    Args:
        language: at most four words, at most eight tokens.
        prompts: the contexts.
        prompt_law: their probabilities [prompt].
        markov: the reference as an order-1 law.
        counts: how often each bag holds each word [bag, word].
        bag: each string's bag [string].
        expressible: mean 0, variance 1 under the reference, for every prompt [prompt, bag].
        inexpressible: likewise, and uncorrelated with every count [prompt, bag].
    """

    language: Language
    prompts: tuple[Prompt, ...]
    prompt_law: Float[np.ndarray, " prompt"]
    markov: MarkovPolicy
    counts: Int[np.ndarray, "bag word"]
    bag: Int[np.ndarray, " string"]
    expressible: Float[np.ndarray, "prompt bag"]
    inexpressible: Float[np.ndarray, "prompt bag"]

    @cached_property
    def reference(self) -> TabularPolicy:
        """The reference on the prefix tree."""
        return self.markov.as_tabular(self.prompts)

    @cached_property
    def log_law(self) -> Float[np.ndarray, "prompt string"]:
        """ln ref(y | x)."""
        return self.reference.string_log_law()

    @cached_property
    def law(self) -> Float[np.ndarray, "prompt string"]:
        """ref(y | x)."""
        return np.exp(self.log_law)

    @cached_property
    def lengths(self) -> Float[np.ndarray, " string"]:
        """Ordinary tokens of every string."""
        return self.counts.sum(axis=1)[self.bag].astype(float)

    @cached_property
    def repeats(self) -> Float[np.ndarray, " string"]:
        """How often each string says a word again that it has said before."""
        return np.maximum(self.counts - 1, 0).sum(axis=1)[self.bag].astype(float)

    def on_bags(self, law: np.ndarray) -> Float[np.ndarray, "prompt bag"]:
        """The law of the bag under a law of the string [prompt, string]."""
        return np.stack([np.bincount(self.bag, row, len(self.counts)) for row in law])

    def on_strings(self, table: np.ndarray) -> Float[np.ndarray, "prompt string"]:
        """A table [prompt, bag] read off at every string."""
        return table[:, self.bag]

    def gold(self, misspecification: float) -> Float[np.ndarray, "prompt bag"]:
        """sqrt(1 - m^2) expressible + m inexpressible: mean 0 and variance 1 for every prompt.

        Raises:
            ValueError: m outside [0, 1].
        """
        m = _check.real("misspecification", misspecification, "World.gold")
        if not 0 <= m <= 1:
            got = f"misspecification is {m:g}"
            raise ValueError(_check.complaint(got, "within 0..1", "World.gold"))
        return np.sqrt(1 - m**2) * self.expressible + m * self.inexpressible

    def bandit(self, reward: np.ndarray) -> ContextualBandit:
        """The problem with a reward [prompt, string], for `exact.tree` and the learners."""
        return ContextualBandit(self.language, self.prompts, self.prompt_law, reward)

    def best_string(self, reward: np.ndarray, prompt: int) -> int:
        """The rank of the string with the largest reward [prompt, string]: an exact argmax.

        Among equals it is the one that the reference makes most probable.
        """
        row = reward[prompt]
        best = np.flatnonzero(row >= row.max() - 1e-12)
        return int(best[np.argmax(self.log_law[prompt, best])])

    def spell(self, rank: int) -> str:
        """The words of a string."""
        return " ".join(self.language.words(self.language.unrank(rank)))


def numbers(seed: int, count: int = 1) -> range:
    """The numbers of a seed's worlds (or draws); those of different seeds never meet.

    Raises:
        ValueError: more than a seed has.

    >>> numbers(2, 3)
    range(200, 203)
    """
    if not 1 <= count <= WORLDS_A_SEED:
        got = f"worlds is {count}"
        raise ValueError(_check.complaint(got, f"within 1..{WORLDS_A_SEED}", "numbers"))
    return range(seed * WORLDS_A_SEED, seed * WORLDS_A_SEED + count)


@lru_cache(maxsize=8)
def draw_world(seed: int, horizon: int = 7, words: int = 4, prompts: int = 2) -> World:
    """Draw a world: Dirichlet(1) next-word laws, standard normal worths w(x, k) of the words.

    Args:
        seed: of the world; data drawn from it have generators of their own.
        horizon: tokens, the end included; at most 8.
        words: at most 4, at least as many as prompts.
        prompts: each is one word, in the order of `WORDS`.

    >>> world = draw_world(seed=0, horizon=4)
    >>> world.language.string_count, world.counts.shape
    (341, (70, 4))
    """
    if not (1 <= prompts <= words <= len(WORDS) and 2 <= horizon <= 8):
        got = f"prompts, words, horizon = {prompts}, {words}, {horizon}"
        raise ValueError(_check.complaint(got, "prompts <= words <= 4, 2 <= horizon <= 8", "world"))
    rng = np.random.default_rng((seed, 0x90D))
    language = Language(WORDS[:words], horizon, END)
    following = rng.dirichlet(np.ones(words), size=1 + words)
    probs = np.concatenate([(1 - ENDING) * following, np.full((1 + words, 1), ENDING)], axis=1)
    markov = MarkovPolicy.from_probs(language, 1, probs)
    named = tuple((word,) for word in WORDS[:prompts])
    counts, bag = bags(language)
    law = np.exp(markov.as_tabular(named).string_log_law())
    mass = np.stack([np.bincount(bag, row, len(counts)) for row in law])
    worth = rng.standard_normal((prompts, words))
    variety = np.minimum(counts, CAP).sum(axis=1).astype(float)
    return World(
        language,
        named,
        np.full(prompts, 1 / prompts),
        markov,
        counts,
        bag,
        np.stack([standardised(counts @ w, p) for w, p in zip(worth, mass, strict=True)]),
        np.stack([standardised(unexplained(variety, counts, p), p) for p in mass]),
    )


def bags(language: Language) -> tuple[Int[np.ndarray, "bag word"], Int[np.ndarray, " string"]]:
    """Every bag of words that fits the horizon, and each string's place among them."""
    batch = language.all_strings()
    size = language.vocabulary_size
    ordinary = np.where(batch.mask, batch.tokens, size)
    held = np.stack([(ordinary == word).sum(axis=1) for word in range(size)], axis=1)
    counts, bag = np.unique(held, axis=0, return_inverse=True)
    return counts, bag.ravel()


def standardised(values: np.ndarray, law: np.ndarray) -> np.ndarray:
    """Values [atom] less their mean, over their standard deviation, under a law [atom]."""
    centred = values - law @ values
    return centred / np.sqrt(law @ centred**2)


def unexplained(values: np.ndarray, regressors: np.ndarray, law: np.ndarray) -> np.ndarray:
    """What least squares on a constant and the regressors [atom, regressor] leaves, under a law."""
    columns = np.column_stack([np.ones(len(values)), regressors])
    root = np.sqrt(law)[:, None]
    fitted, *_ = np.linalg.lstsq(root * columns, root[:, 0] * values, rcond=None)
    return values - columns @ fitted


def monomials(counts: Int[np.ndarray, "bag word"], degree: int) -> Float[np.ndarray, "bag feature"]:
    """All products of 1..degree counts: reward classes that grow until they express everything.

    >>> monomials(np.array([[2, 3]]), 2)
    array([[2., 3., 4., 6., 9.]])
    """
    places = range(counts.shape[1])
    columns = [
        counts[:, list(chosen)].prod(axis=1)
        for size in range(1, degree + 1)
        for chosen in combinations_with_replacement(places, size)
    ]
    return np.stack(columns, axis=1).astype(float)
