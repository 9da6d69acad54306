"""Laws B: the best of n draws, judged by sums over all tuples, batches and subsets of draws.

>>> got, expected, _ = subsets_mean(lambda r, k: np.mean(r), np.array([0.0, 1.0]), 1)
>>> got, expected
(np.float64(0.5), np.float64(0.5))
"""

import itertools
import math

import numpy as np

from bandit_rlhf.laws.law import Case, Law
from bandit_rlhf.laws.source import Source


def winner_law(f, law, reward, n):
    """B1: a tuple of draws is won by its best, and by equal bests in equal shares."""
    expected = np.zeros(len(law))
    for draws in map(list, itertools.product(range(len(law)), repeat=n)):
        best = reward[draws] == reward[draws].max()
        for winner in np.array(draws)[best]:
            expected[winner] += law[draws].prod() / best.sum()
    return f(law, reward, n), expected, 1.0


def kl_bound(f, law, reward, n):
    """B3: the divergence from the law of one draw is at most ln n - (n - 1) / n."""
    won, bound = f(law, reward, n), math.log(n) - (n - 1) / n
    terms = np.where(won == 0, 0.0, won * np.log(won / law))
    return max(terms.sum(), bound), bound, 1 + np.abs(terms).sum()


def one_draw(f, law, reward):
    """B4: the best of one draw is the draw."""
    return f(law, reward, 1), law, 1.0


def monotone(f, law, reward, n):
    """B5: one more draw does not lower the expected reward."""
    gain = (f(law, reward, n + 1) - f(law, reward, n)) @ reward
    return min(gain, 0.0), 0.0, 2 * np.abs(reward).sum()


def any_correct(f, n, c, k):
    """B2: the share of subsets of k samples that hold a correct one, of c among n."""
    subsets = list(itertools.combinations(range(n), k))
    return f(n, c, k), sum(min(s) < c for s in subsets) / len(subsets), 1.0


def many_samples(f, n, c, k):
    """U6: with thousands of samples it is neither NaN nor far off."""
    return f(n, c, k), 1 - math.comb(n - c, k) / math.comb(n, k), 1.0


def subsets_mean(f, rewards, k):
    """B6: the mean over all subsets of k draws of their largest reward."""
    best = [rewards[list(s)].max() for s in itertools.combinations(range(len(rewards)), k)]
    return f(rewards, k), np.mean(best), np.abs(rewards).max()


def unbiased(f, law, reward, n, k):
    """B6: the mean estimate from n draws is the expected best of k draws."""
    got, expected = 0.0, 0.0
    for draws in map(list, itertools.product(range(len(law)), repeat=n)):
        got += law[draws].prod() * f(reward[draws], k)
    for draws in map(list, itertools.product(range(len(law)), repeat=k)):
        expected += law[draws].prod() * reward[draws].max()
    return got, expected, np.abs(reward).max()


def rewards_kept(f, rewards, k):
    """U7: the rewards are left in their order."""
    kept = rewards.copy()
    f(rewards, k)
    return rewards, kept, 1.0


def _best(source: Source) -> Case:
    """Probabilities in sixteenths, which add up to one in any dtype; equal bests, unseen atoms."""
    atoms = source.integer("atoms", 2, 3)
    shares = [source.integer("share", 1, 7) for _ in range(atoms - 1)]
    law, reward = np.array([*shares, 16 - sum(shares)]) / 16, source.numbers("r", atoms)
    if source.flag("equal"):
        reward[-1] = reward[0]
    if source.flag("unseen"):
        law[0], law[1] = law[0] + law[1], 0.0
    return {"law": law, "reward": reward, "n": source.integer("n", 1, 4)}


def _one(source: Source) -> Case:
    case = _best(source)
    return {"law": case["law"], "reward": case["reward"]}


def _counts(source: Source) -> Case:
    n = source.integer("n", 1, 6)
    return {"n": n, "c": source.integer("c", 0, n), "k": source.integer("k", 1, n)}


def _thousands(source: Source) -> Case:
    n = source.choice("n", (1000, 4000))
    return {"n": n, "c": source.choice("c", (1, 3, 10)), "k": n // source.choice("part", (100, 2))}


def _rewards(source: Source) -> Case:
    n = source.integer("n", 1, 5)
    return {"rewards": source.numbers("r", n), "k": source.integer("k", 1, n)}


def _population(source: Source) -> Case:
    case, n = _best(source), source.integer("draws", 1, 3)
    k = source.integer("k", 1, n)
    return {"law": case["law"], "reward": case["reward"], "n": n, "k": k}


TUPLES = (
    {"atoms": 3, "n": 3, "equal": False, "unseen": False},
    {"atoms": 3, "n": 2, "equal": True, "unseen": False},
    {"atoms": 3, "n": 3, "equal": False, "unseen": True, "r": np.array([1.0, 3.0, 2.0])},
)
COUNTS = ({"n": 6, "c": 2, "k": 3}, {"n": 4, "c": 0}, {"n": 4, "c": 4}, {"n": 5, "c": 3, "k": 3})


def _law(name, kind, claim, title, statement, oracle, draw, body, **more):
    return Law(
        id=name,
        kind=kind,
        claim=claim,
        title=title,
        statement=statement,
        oracle=oracle,
        draw=draw,
        body=body,
        **more,
    )


LAWS = (
    _law(
        "B1",
        "best_of_n",
        "law",
        "the law of the best is the one summed over tuples",
        r"P(y)=\frac{F(r_y)^n-F_-(r_y)^n}{p(r=r_y)}\,p(y)",
        "sum over all n-tuples, equal bests sharing",
        _best,
        winner_law,
        theorem=("20",),
        battery=TUPLES,
    ),
    _law(
        "B3",
        "best_of_n",
        "kl_bound",
        "KL to the reference is at most ln n - (n - 1) / n",
        r"\mathrm{KL}(P\,\Vert\,p)\le\ln n-\tfrac{n-1}{n}",
        "the bound",
        _best,
        kl_bound,
        theorem=("36",),
        battery=TUPLES,
    ),
    _law(
        "B4",
        "best_of_n",
        "identity",
        "the best of one draw is the draw",
        r"n=1\Rightarrow P=p",
        "the reference",
        _one,
        one_draw,
        theorem=("20",),
        battery=TUPLES[1:],
    ),
    _law(
        "B5",
        "best_of_n",
        "monotone",
        "one more draw does not lower the expected reward",
        r"\mathbb{E}_{P_{n+1}}r\ge\mathbb{E}_{P_n}r",
        "the same function with one draw less",
        _best,
        monotone,
        why_no_theorem="an inequality that is not among those proved: F^n falls in n",
        battery=TUPLES,
    ),
    _law(
        "B2",
        "pass_at_k",
        "combinatorial",
        "the share of subsets of k that hold a correct sample",
        r"1-\tbinom{n-c}{k}/\tbinom nk",
        "enumeration of all subsets",
        _counts,
        any_correct,
        why_no_theorem="counting",
        battery=COUNTS,
    ),
    _law(
        "U6",
        "pass_at_k",
        "large",
        "thousands of samples do not overflow",
        r"|f-(1-\tbinom{n-c}{k}/\tbinom nk)|\le2^{-32}",
        "whole-number arithmetic",
        _thousands,
        many_samples,
        why_no_theorem="about floating point",
        rounding=2.0**20,
        tolerance="logarithms of factorials are of size 1e5, and so is their rounding",
    ),
    _law(
        "B6",
        "max_of_k",
        "unbiased",
        "its mean over batches is the expected best of k draws",
        r"\mathbb{E}\big[\hat m_k(r_1,\dots,r_n)\big]=\mathbb{E}\max(r_1,\dots,r_k)",
        "sum over all batches of n draws",
        _population,
        unbiased,
        why_no_theorem="every subset of k draws is distributed as k draws",
        battery=({"atoms": 3, "draws": 3, "k": 2}, {"atoms": 2, "draws": 3, "k": 3}),
    ),
    _law(
        "B6-subsets",
        "max_of_k",
        "subsets",
        "the mean over all subsets of k draws of their maximum",
        r"\hat m_k=\tbinom nk^{-1}\sum_{|S|=k}\max_{i\in S}r_i",
        "enumeration of all subsets",
        _rewards,
        subsets_mean,
        why_no_theorem="a definition",
        battery=({"n": 5, "k": 2}, {"n": 4, "k": 4}, {"n": 4, "k": 1}),
    ),
    _law(
        "U7",
        "max_of_k",
        "",
        "arguments are left alone",
        r"x\ \text{after}=x\ \text{before}",
        "a copy taken before the call",
        _rewards,
        rewards_kept,
        why_no_theorem="a property of programs, not of the mathematics they compute",
        battery=({"n": 5},),
    ),
)
