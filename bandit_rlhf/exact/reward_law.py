"""The law of a reward under a Markov policy, and best-of-n from that law.

When every payment is a multiple of a unit, the reward of a string lies on a grid, and the number of
levels grows with the horizon alone. The mass of (state, reward so far) goes forward step by step;
the expectation of a second reward, at every level of the first, goes along.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from bandit_rlhf import _check, selection
from bandit_rlhf._array import Float, Int
from bandit_rlhf.exact.lattice import Lattice, Payoff
from bandit_rlhf.exact.path_sum import PathSum

GRID_TOLERANCE = 1e-9
"""How far a payment may lie from a multiple of the unit, in units."""

DENSE_SHARE = 0.05
"""Above this share of non-zero entries a dense matrix product is faster than a sparse one."""

Matrix = np.ndarray | sparse.csr_matrix


@dataclass(frozen=True, eq=False)
class RewardLaw:
    """The law of a reward for each prompt, with the means of other rewards given its level.

    Args:
        values: the reward's levels, rising [level].
        mass: P(reward = level) [prompt, level].
        means: E[other; reward = level], the mean times the mass, by name of the other reward
            [prompt, level].
        prompt_law: probabilities of the prompts [prompt].
    """

    values: Float[np.ndarray, " level"]
    mass: Float[np.ndarray, "prompt level"]
    means: dict[str, Float[np.ndarray, "prompt level"]]
    prompt_law: Float[np.ndarray, " prompt"]


@dataclass(frozen=True, eq=False)
class BestOfN:
    """What the best of n draws is worth, exactly.

    Args:
        n: number of draws.
        kl: KL(best of n || reference).
        chi_squared: chi^2(best of n || reference).
        reward: mean of the reward that selects.
        others: means of the other rewards, by name.
    """

    n: int
    kl: PathSum
    chi_squared: PathSum
    reward: PathSum
    others: dict[str, PathSum]


def reward_law(
    lattice: Lattice, payoff: Payoff, unit: float, others: dict[str, Payoff] | None = None
) -> RewardLaw:
    """The law of a reward under the lattice's reference policy.

    Args:
        lattice: the reference policy and its states.
        payoff: the reward; every payment must be a multiple of `unit`.
        unit: the grid's spacing, above 0.
        others: rewards whose mean at every level is wanted.

    Raises:
        ValueError: a payment off the grid (named); more states x levels than fit in memory.

    >>> from bandit_rlhf.automaton import capped_count
    >>> from bandit_rlhf.language import Language
    >>> from bandit_rlhf.ngram import MarkovPolicy
    >>> coin = Language(("heads", "tails"), 2)
    >>> reference = MarkovPolicy.from_probs(coin, 0, [[0.5, 0.5]])
    >>> lattice = Lattice.build(reference, {"heads": capped_count(coin, ["heads"], cap=2)})
    >>> reward_law(lattice, lattice.payoffs["heads"], unit=1.0).mass
    array([[0.25, 0.5 , 0.25]])
    """
    lattice.judge(payoff, *(others or {}).values())
    unit = _check.positive("unit", unit, "reward_law")
    edge = _on_grid("edge", payoff.edge, unit)
    truncated = _on_grid("truncated", payoff.truncated, unit)
    lowest, highest = _range(lattice, edge, truncated)
    levels = highest - lowest + 1
    others = others or {}
    what, tables = "state-level pairs", 2.0 + 2.0 * len(others)
    _check.fits_in_memory(
        what, lattice.state_count * levels, 8.0 * tables, "reward_law", "Choose a coarser unit."
    )
    step = _Step.build(lattice, edge, list(others.values()))
    mass = np.zeros((len(lattice.prompts), levels))
    means = {name: np.zeros_like(mass) for name in others}
    for x, start in enumerate(lattice.start):
        final = _run(lattice, step, int(start), truncated, list(others.values()), lowest, levels)
        mass[x] = final[0]
        for name, row in zip(others, final[1:], strict=True):
            means[name][x] = row
    possible = mass.sum(axis=0) > 0
    return RewardLaw(
        unit * (lowest + np.flatnonzero(possible)),
        mass[:, possible],
        {name: row[:, possible] for name, row in means.items()},
        lattice.prompt_law,
    )


def best_of_n(law: RewardLaw, n: int) -> BestOfN:
    """Reward, KL and the means of other rewards under the best of n draws from the reference.

    Given its level the winner is distributed as the reference is, so the law of the level is all
    that changes: P_n(level) = F^n - F_^n (theorem 20; see `selection.best_of_n_law`).
    """
    prompts = range(len(law.mass))
    won = np.stack([selection.best_of_n_law(law.mass[x], law.values, n) for x in prompts])
    weight = np.divide(won, law.mass, out=np.zeros_like(won), where=law.mass > 0)
    kl = [selection.best_of_n_kl(law.mass[x], law.values, n) for x in prompts]
    chi_squared = [selection.best_of_n_chi_squared(law.mass[x], law.values, n) for x in prompts]

    def over_prompts(by_prompt: np.ndarray) -> PathSum:
        return PathSum(float(law.prompt_law @ by_prompt), by_prompt)

    return BestOfN(
        n,
        over_prompts(np.array(kl)),
        over_prompts(np.array(chi_squared)),
        over_prompts(won @ law.values),
        {name: over_prompts((weight * row).sum(axis=1)) for name, row in law.means.items()},
    )


@dataclass(frozen=True, eq=False)
class _Step:
    """One step of all states at once: transitions grouped by (next state, payment).

    A group's inflow is a matrix product with the masses; it is then shifted by its payment. In the
    common case of an order-1 policy under token weights there is one group a token.
    """

    moves: list[tuple[int, np.ndarray, np.ndarray]]
    """Payment in units, its groups [group], and the state each of them leads to [group]."""
    inflow: Matrix
    extra_inflows: list[Matrix]
    ending: list[tuple[int, np.ndarray]]
    extra_endings: list[list[np.ndarray]]

    @classmethod
    def build(cls, lattice: Lattice, edge: np.ndarray, others: list[Payoff]) -> "_Step":
        size, states = lattice.language.vocabulary_size, lattice.state_count
        probs = np.exp(lattice.log_reference)
        source, token = np.nonzero(probs[:, :size])
        follows, pays = lattice.successor[source, token], edge[source, token]
        keys, group = np.unique(np.stack([pays, follows]), axis=1, return_inverse=True)
        group = group.ravel()

        def matrix(weights: np.ndarray) -> Matrix:
            table = sparse.csr_matrix((weights, (group, source)), shape=(keys.shape[1], states))
            dense = len(source) >= DENSE_SHARE * keys.shape[1] * states
            return table.toarray() if dense else table

        # Within one payment the next states are distinct, so plain indexed addition loses nothing.
        rows = {int(shift): np.flatnonzero(keys[0] == shift) for shift in np.unique(keys[0])}
        moves = [(shift, at, keys[1, at]) for shift, at in rows.items()]
        moving = probs[source, token]
        extra = [matrix(moving * other.edge[source, token]) for other in others]
        ending, extra_ending = [], []
        if lattice.language.end is not None:
            stop = probs[:, size]
            for shift in np.unique(edge[:, size]):
                here = np.where(edge[:, size] == shift, stop, 0.0)
                ending.append((int(shift), here))
                extra_ending.append([here * other.edge[:, size] for other in others])
        return cls(moves, matrix(moving), extra, ending, extra_ending)


def _run(
    lattice: Lattice,
    step: _Step,
    start: int,
    truncated: np.ndarray,
    others: list[Payoff],
    lowest: int,
    levels: int,
) -> np.ndarray:
    """Mass, and mean times mass of each other reward, at every level [1 + other, level]."""
    done = np.zeros((1 + len(others), levels))
    # Row 0 is the mass of (state, level so far); row k the k-th other reward so far times that.
    now = np.zeros((1 + len(others), lattice.state_count, levels))
    now[0, start, -lowest] = 1.0
    for _ in range(lattice.language.horizon):
        for (shift, stop), extra in zip(step.ending, step.extra_endings, strict=True):
            _add_shifted(done[0], stop @ now[0], shift)
            for k, weighted in enumerate(extra, start=1):
                _add_shifted(done[k], stop @ now[k] + weighted @ now[0], shift)
        following = np.zeros_like(now)
        _scatter(following[0], step, step.inflow @ now[0])
        for k, inflow in enumerate(step.extra_inflows, start=1):
            _scatter(following[k], step, step.inflow @ now[k] + inflow @ now[0])
        now = following
    for shift in np.unique(truncated):
        here = truncated == shift
        _add_shifted(done[0], now[0, here].sum(axis=0), int(shift))
        for k, other in enumerate(others, start=1):
            cut = now[k, here].sum(axis=0) + other.truncated[here] @ now[0, here]
            _add_shifted(done[k], cut, int(shift))
    return done


def _scatter(target: np.ndarray, step: _Step, inflow: np.ndarray) -> None:
    """Add each group's inflow [group, level], shifted by its payment, to its next state."""
    for shift, rows, states in step.moves:
        to, of = _shifted(shift, inflow.shape[1])
        target[states, to] += inflow[rows, of]


def _add_shifted(target: np.ndarray, row: np.ndarray, shift: int) -> None:
    to, of = _shifted(shift, len(row))
    target[to] += row[of]


def _shifted(shift: int, levels: int) -> tuple[slice, slice]:
    """Where a row of levels goes when moved up by `shift`, and which part of it.

    The rest carries no mass: no string earns more or less than `_range` says.
    """
    low = slice(0, max(levels - abs(shift), 0))
    high = slice(levels - low.stop, levels)
    return (high, low) if shift >= 0 else (low, high)


def _on_grid(name: str, payments: np.ndarray, unit: float) -> Int[np.ndarray, "..."]:
    scaled = payments / unit
    multiples = np.rint(scaled)
    off = np.abs(scaled - multiples)
    if off.size and off.max() > GRID_TOLERANCE:
        at = np.unravel_index(int(off.argmax()), off.shape)
        got = f"{name}[{', '.join(str(int(i)) for i in at)}] is {payments[at]:g}"
        do = "Round the payments to the grid, or choose the unit they share."
        expected = f"a multiple of the unit {unit:g}"
        raise ValueError(_check.complaint(got, expected, "reward_law", do))
    return multiples.astype(np.int64)


def _range(lattice: Lattice, edge: np.ndarray, truncated: np.ndarray) -> tuple[int, int]:
    """Lowest and highest sum, in units, that any prefix or string reaches; zero is among them."""
    size, far = lattice.language.vocabulary_size, np.iinfo(np.int64).max // 4
    possible = ~np.isneginf(lattice.log_reference)
    lowest = highest = 0
    low, high = np.full(lattice.state_count, far), np.full(lattice.state_count, -far)
    low[lattice.start] = high[lattice.start] = 0
    for _ in range(lattice.language.horizon):
        reached = (high > -far)[:, None] & possible
        lows = np.where(reached, low[:, None] + edge, far)
        highs = np.where(reached, high[:, None] + edge, -far)
        lowest, highest = min(lowest, int(lows.min())), max(highest, int(highs.max()))
        low, high = np.full_like(low, far), np.full_like(high, -far)
        np.minimum.at(low, lattice.successor, lows[:, :size])
        np.maximum.at(high, lattice.successor, highs[:, :size])
    cut = high > -far
    if cut.any():
        lowest = min(lowest, int((low + truncated)[cut].min()))
        highest = max(highest, int((high + truncated)[cut].max()))
    return lowest, highest
