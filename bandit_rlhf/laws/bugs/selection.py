"""Best of n draws, pass@k and max@k: broken ones, and rewrites to leave alone.

>>> product_of_misses(4, 1, 2)
0.5
"""

import itertools
import math

import numpy as np

from bandit_rlhf.contract import estimator
from bandit_rlhf.laws.bugs.record import Bug, Twin

BEST = ("law", "identity", "monotone", "kl_bound")


def _at_most(law, reward):
    """The mass of rewards at most, below and equal to that of each atom."""
    below = (reward[:, None] > reward) @ law
    level = (reward[:, None] == reward) @ law
    return below + level, below, level


@estimator("best_of_n", claims=BEST)
def powers_of_the_distribution(law, reward, n):
    """(F^n - F_^n) p / p(level)."""
    at_most, below, level = _at_most(law, reward)
    return (at_most**n - below**n) * law / np.where(level > 0, level, 1)


@estimator("best_of_n", claims=BEST)
def geometric_sum(law, reward, n):
    """The difference of powers divided out: the sum over who is the first best draw."""
    at_most, below, _ = _at_most(law, reward)
    return law * sum(at_most**i * below ** (n - 1 - i) for i in range(n))


@estimator("best_of_n", claims=("law", "identity"))
def first_atom_wins(law, reward, n):
    """Among equal rewards the atom with the smallest number wins every time."""
    order = np.lexsort((-np.arange(len(law)), reward))
    at_most = np.cumsum(law[order])
    won = np.empty_like(law)
    won[order] = at_most**n - (at_most - law[order]) ** n
    return won


@estimator("best_of_n", claims=BEST)
def one_draw_too_many(law, reward, n):
    """The power n + 1."""
    return powers_of_the_distribution(law, reward, n + 1)


@estimator("best_of_n", claims=("kl_bound",))
def always_the_best(law, reward, n):
    """All the mass on the best of all, as of infinitely many draws."""
    best = (reward == reward[law > 0].max()) * law
    return best / best.sum()


@estimator("best_of_n", claims=("monotone", "identity"))
def worst_of_n(law, reward, n):
    """The worst draw is kept."""
    return powers_of_the_distribution(law, -reward, n)


@estimator("pass_at_k", claims=("combinatorial", "large"))
def product_of_misses(n, c, k):
    """One minus the product of the chances to miss again (Chen et al. 2021, 2107.03374).

    It needs no case of its own for n - c < k: one factor is 0.
    """
    return 1.0 - math.prod(1.0 - k / i for i in range(n - c + 1, n + 1))


@estimator("pass_at_k", claims=("combinatorial", "large"))
def ratio_of_binomials(n, c, k):
    """One minus a ratio of whole numbers."""
    return 1 - math.comb(n - c, k) / math.comb(n, k)


@estimator("pass_at_k", claims=("large",))
def logarithms_of_factorials(n, c, k):
    """The same by the logarithm of the gamma function, good to eleven digits."""
    if n - c < k:
        return 1.0
    logs = [math.lgamma(x + 1) for x in (n - c, n - k, n - c - k, n)]
    return -math.expm1(logs[0] + logs[1] - logs[2] - logs[3])


@estimator("pass_at_k", claims=("combinatorial",))
def drawn_with_replacement(n, c, k):
    """1 - (1 - c/n)^k, biased low."""
    return 1 - (1 - c / n) ** k


@estimator("pass_at_k", claims=("combinatorial",))
def one_factor_off(n, c, k):
    """The product starts at the number of misses, not above it."""
    return 1.0 - math.prod(1.0 - k / max(i, k) for i in range(n - c, n))


@estimator("pass_at_k", claims=("large",))
def factorials_as_floats(n, c, k):
    """Quotients of factorials as floats, which overflow."""
    terms = np.arange(1, n + 1, dtype=float)
    return 1 - np.prod(terms[: n - c]) * np.prod(terms[: n - k]) / np.prod(terms) / np.prod(
        terms[: n - c - k]
    )


MAX = ("unbiased", "subsets")


@estimator("max_of_k", claims=MAX)
def order_statistics(rewards, k):
    """The i-th smallest is the largest of C(i - 1, k - 1) of C(n, k) subsets."""
    n = len(rewards)
    share = [math.comb(i, k - 1) / math.comb(n, k) for i in range(n)]
    return np.sort(rewards) @ np.array(share, dtype=rewards.dtype)


@estimator("max_of_k", claims=MAX)
def every_subset(rewards, k):
    """The definition."""
    best = [max(some) for some in itertools.combinations(rewards, k)]
    return np.mean(best)


@estimator("max_of_k", claims=("unbiased",))
def first_k(rewards, k):
    """The largest of the first k draws: noisy, unbiased, and no mean over subsets."""
    return np.max(rewards[:k])


@estimator("max_of_k", claims=MAX)
def max_with_replacement(rewards, k):
    """Subsets drawn with replacement, by their exact mean: biased low."""
    n = len(rewards)
    share = [((i + 1) / n) ** k - (i / n) ** k for i in range(n)]
    return np.sort(rewards) @ np.array(share, dtype=rewards.dtype)


@estimator("max_of_k", claims=MAX)
def largest_of_all(rewards, k):
    """The largest of all n, whatever k."""
    return np.max(rewards)


@estimator("max_of_k", claims=MAX)
def sorted_in_place(rewards, k):
    """Right, but it sorts the caller's rewards."""
    n = len(rewards)
    rewards.sort()
    share = [math.comb(i, k - 1) / math.comb(n, k) for i in range(n)]
    return rewards @ np.array(share, dtype=rewards.dtype)


def _bug(law: tuple[str, ...], words: str, function, source: str = "mutant") -> Bug:
    return Bug(function.__name__, function.contract.kind, law, source, words, function)


BUGS = (
    _bug(("B1",), "ties go to the first atom", first_atom_wins),
    _bug(("B1", "B4"), "one draw too many", one_draw_too_many),
    _bug(("B3",), "all the mass on the best of all", always_the_best),
    _bug(("B5",), "the worst is kept", worst_of_n),
    _bug(
        ("B2",),
        "subsets drawn with replacement, biased low",
        drawn_with_replacement,
        "marin-community/marin PR 2493",
    ),
    _bug(("B2",), "the product is one factor off", one_factor_off),
    _bug(("U6",), "factorials overflow", factorials_as_floats),
    _bug(
        ("B6", "B6-subsets"),
        "best@k from draws with replacement, biased low",
        max_with_replacement,
        "verl-project/verl PR 7240",
    ),
    _bug(("B6", "B6-subsets"), "the largest of all n", largest_of_all),
    _bug(("U7",), "the caller's rewards are sorted", sorted_in_place),
)


def _rewrite(words: str, function) -> Twin:
    return Twin(function.__name__, function.contract.kind, "rewrite", words, function)


TWINS = (
    _rewrite("the definition", powers_of_the_distribution),
    _rewrite("the powers' difference divided out", geometric_sum),
    _rewrite("a product that does not overflow", product_of_misses),
    _rewrite("whole-number arithmetic", ratio_of_binomials),
    _rewrite("logarithms, which lose digits and claim no more", logarithms_of_factorials),
    _rewrite("order statistics", order_statistics),
    _rewrite("the definition", every_subset),
    _rewrite("noisy but unbiased", first_k),
)
