"""Whether the comparisons determine the rewards: components of the graph of wins.

An edge leads from the winner to the loser; a tie leads both ways. Scores of two items are
comparable iff the items lie in one undirected component. A finite maximum of the likelihood exists
iff each component is *strongly* connected (Zermelo 1929; Ford 1957; Hunter 2004, Assumption 1):
otherwise some items never lost to the rest and their scores run off to infinity. With a tie
parameter it must also be impossible to explain everything by ever more frequent ties
(`tie_parameter_is_finite`).
"""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bandit_rlhf import _check
from bandit_rlhf._array import Float, Int
from bandit_rlhf.comparisons import PairCounts

NAMED = 5
"""A message names so many items, and counts the rest."""

BLOCK = 1 << 16
SWEEPS = 3


class NoFiniteMaximum(ValueError):
    """The likelihood has no unique finite maximum; the message says why and what would mend it."""


@dataclass(frozen=True, eq=False)
class Connectivity:
    """The components of a graph of comparisons.

    Args:
        component: [item], the undirected component, counted from 0.
        strong: [item], the strongly connected component, counted from 0.
        edges: [edge, 2], distinct edges between strong components, winner's component first.

    """

    component: Int[np.ndarray, " item"]
    strong: Int[np.ndarray, " item"]
    edges: Int[np.ndarray, "edge 2"]

    @property
    def component_count(self) -> int:
        """The number of undirected components; items never compared are components of their own."""
        return int(self.component.max()) + 1

    @property
    def strong_count(self) -> int:
        """The number of strongly connected components."""
        return int(self.strong.max()) + 1

    @property
    def is_connected(self) -> bool:
        """Whether all scores are comparable."""
        return self.component_count == 1

    @property
    def is_strongly_connected(self) -> bool:
        """Whether every item beat every other one, at least through intermediate ones."""
        return self.strong_count == 1


def connectivity(counts: PairCounts) -> Connectivity:
    """Find the undirected and the strongly connected components of the graph of wins.

    Args:
        counts: comparisons; a tie is an edge both ways.

    Returns:
        The components.

    >>> from bandit_rlhf.comparisons import Comparisons, aggregate
    >>> found = connectivity(aggregate(Comparisons.from_ids([0, 1, 2], [1, 0, 1], items=range(4))))
    >>> found.component.tolist(), found.strong_count
    ([0, 0, 0, 1], 3)
    """
    n = counts.item_count
    if _first_reaches_all(counts) and _first_reaches_all(counts, backward=True):
        zeros = np.zeros(n, np.int32)
        return Connectivity(zeros, zeros, np.empty((0, 2), np.int64))
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    winner, loser = _arrows(counts)
    graph = csr_array((np.ones(len(winner), np.int8), (winner, loser)), shape=(n, n))
    _, strong = connected_components(graph, directed=True, connection="strong")
    edges = np.stack([strong[winner], strong[loser]], axis=1)
    edges = edges[edges[:, 0] != edges[:, 1]]
    return Connectivity(components(counts), strong, np.unique(edges, axis=0).reshape(-1, 2))


def is_strongly_connected(arrows: Float[np.ndarray, "item item"]) -> bool:
    """Whether every item reaches every other one, for few items.

    Args:
        arrows: positive where an arrow leads from the row's item to the column's.

    >>> is_strongly_connected(np.array([[0.0, 3.0], [0.0, 0.0]]))
    False
    """
    for leads in (arrows, arrows.T):
        seen = leads[0] > 0
        seen[0] = True
        reached = 0
        while reached < (reached := int(np.count_nonzero(seen))) < len(seen):
            seen |= seen @ leads > 0
        if reached < len(seen):
            return False
    return True


def components(counts: PairCounts) -> Int[np.ndarray, " item"]:
    """[item], the undirected component, counted from 0.

    >>> from bandit_rlhf.comparisons import Comparisons, aggregate
    >>> components(aggregate(Comparisons.from_ids([0, 2], [1, 3]))).tolist()
    [0, 0, 1, 1]
    """
    n = counts.item_count
    if _first_reaches_all(counts, directed=False):
        return np.zeros(n, np.int32)
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    cells = (np.ones(counts.cell_count, np.int8), counts.right, counts.start)
    return connected_components(csr_array(cells, shape=(n, n)), directed=False)[1]


def missing_wins(found: Connectivity, items: Sequence[Hashable]) -> list[tuple[Hashable, Hashable]]:
    """The fewest further wins (winner, loser) that would make the graph strongly connected.

    Any item of the same strong component would do in each place. The number is the larger of the
    number of components that never lost and of those that never won (Eswaran and Tarjan 1976,
    "Augmentation problems", SIAM J. Comput. 5, Theorem 2).

    Args:
        found: the components.
        items: the names.

    Returns:
        Pairs of names; empty if the graph is strongly connected.

    >>> from bandit_rlhf.comparisons import Comparisons, aggregate
    >>> rows = Comparisons.from_labels(["ant", "bee"], ["bee", "cat"])
    >>> missing_wins(connectivity(aggregate(rows)), rows.items)
    [('cat', 'ant')]
    """
    if found.is_strongly_connected:
        return []
    first = np.unique(found.strong, return_index=True)[1]
    return [
        (items[first[a]], items[first[b]])
        for a, b in _augmentation(found.strong_count, found.edges)
    ]


def require_connected(
    counts: PairCounts, model: str, group: Int[np.ndarray, " item"] | None = None
) -> Int[np.ndarray, " item"]:
    """Return the components [item], or raise naming those that are not comparable.

    Args:
        counts: comparisons.
        model: the model's name, for messages.
        group: [item], items that are to be comparable bear one number; None: all of them.

    Raises:
        NoFiniteMaximum: a group falls into several components.
    """
    component = components(counts)
    if component.any():
        group = np.zeros(counts.item_count, np.int64) if group is None else group
        _refuse_split(counts, component, group, model)
    return component


def require_finite_maximum(
    counts: PairCounts,
    model: str,
    group: Int[np.ndarray, " item"] | None = None,
    tie_parameter: bool = False,
) -> Int[np.ndarray, " item"]:
    """Return the components [item], or raise naming the items for which no finite maximum exists.

    Args:
        counts: comparisons.
        model: the model's name, for messages.
        group: [item], items that are to be comparable bear one number; None: all of them.
        tie_parameter: whether the model has one.

    Raises:
        NoFiniteMaximum: a group is split, or one of its components is not strongly connected, or
            ties explain everything.
    """
    found = connectivity(counts)
    if not found.is_connected:
        require_connected(counts, model, group)
    if found.strong_count > found.component_count:
        wins = missing_wins(found, counts.items)
        named = " and ".join(filter(None, (_extremes(counts, found, side) for side in (0, 1))))
        wanted = _join(f"a win of {winner!r} over {loser!r}" for winner, loser in wins)
        raise NoFiniteMaximum(
            _check.complaint(
                f"{model}: {named}",
                "linked by wins both ways, as the maximum is at infinity",
                do=f"It would exist after {wanted}. Compare more, or set ridge > 0.",
            )
        )
    if tie_parameter and not tie_parameter_is_finite(counts):
        raise NoFiniteMaximum(
            _check.complaint(
                f"{model}: ties are so many that the tie parameter's maximum is at infinity",
                "fewer than wins on some cycle of comparisons",
                do="Compare more, or count ties as halves (Bradley-Terry).",
            )
        )
    return found.component


def tie_parameter_is_finite(counts: PairCounts) -> bool:
    """Whether some cycle of comparisons holds more wins than ties.

    If not, there are scores v with v_i - v_j >= 1 for every win of i over j and |v_i - v_j| <= 1
    for every tie, and the likelihood of Davidson's and of Rao and Kupper's model grows along v
    together with the tie parameter, without end. (Own derivation: the recession cone of the
    log-likelihood; the difference constraints are feasible iff no cycle is positive.)

    >>> from bandit_rlhf.comparisons import Comparisons, aggregate
    >>> tie_parameter_is_finite(aggregate(Comparisons.from_ids([0, 0], [1, 1], tie=[True, False])))
    False
    """
    winner, loser = _arrows(replace(counts, ties=None))
    if _has_cycle(counts.item_count, winner, loser):
        return True
    tied = np.zeros(counts.cell_count, bool) if counts.ties is None else counts.ties > 0
    one, two = counts.left[tied], counts.right[tied]
    upper = np.concatenate([winner, one, two])
    lower = np.concatenate([loser, two, one])
    gap = np.concatenate([np.ones(len(winner)), -np.ones(2 * len(one))])
    height = np.zeros(counts.item_count)  # longest paths, after Bellman and Ford
    for _ in range(counts.item_count):
        before = height.copy()
        np.maximum.at(height, upper, height[lower] + gap)
        if np.array_equal(before, height):
            return False
    return True


def _has_cycle(n: int, winner: np.ndarray, loser: np.ndarray) -> bool:
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    graph = csr_array((np.ones(len(winner), np.int8), (winner, loser)), shape=(n, n))
    return connected_components(graph, directed=True, connection="strong")[0] < n


def _directions(counts: PairCounts, cells: slice) -> tuple[np.ndarray, np.ndarray]:
    """Masks of the cells with an edge left to right, and right to left."""
    forth, back = counts.left_wins[cells] > 0, counts.right_wins[cells] > 0
    if counts.ties is None:
        return forth, back
    tied = counts.ties[cells] > 0
    return forth | tied, back | tied


def _first_reaches_all(counts: PairCounts, directed: bool = True, backward: bool = False) -> bool:
    """Whether arrows lead from item 0 to all others; False: no, or not in a few sweeps.

    A sweep in the order of the cells reaches far in well connected comparisons, and a block or two
    end it, where a search by depth would have to sort all arrows first.
    """
    seen = np.zeros(counts.item_count, bool)
    seen[0] = True
    for _ in range(SWEEPS):
        for left, right, cells in _edges(counts):
            if directed:
                forth, back = _directions(counts, cells)
                if backward:
                    forth, back = back, forth
                seen[right[forth & seen[left]]] = True
                seen[left[back & seen[right]]] = True
            else:
                seen[right[seen[left]]] = True
                seen[left[seen[right]]] = True
            if seen.all():
                return True
    return False


def _edges(counts: PairCounts) -> Iterator[tuple[np.ndarray, np.ndarray, slice]]:
    """Blocks of cells: left items, right items, where."""
    for block in counts.blocks(BLOCK):
        yield np.repeat(block.items, block.sizes), counts.right[block.cells], block.cells


def _arrows(counts: PairCounts) -> tuple[np.ndarray, np.ndarray]:
    """Winners and losers, once for each pair and direction; a tie is an arrow both ways."""
    left = counts.left
    forth, back = _directions(counts, slice(None))
    return (
        np.concatenate([left[forth], counts.right[back]]),
        np.concatenate([counts.right[forth], left[back]]),
    )


def _augmentation(count: int, edges: np.ndarray) -> list[tuple[int, int]]:
    """Fewest edges that make an acyclic graph of `count` >= 2 nodes strongly connected."""
    lost, won = np.zeros(count, bool), np.zeros(count, bool)
    won[edges[:, 0]] = True
    lost[edges[:, 1]] = True
    if (~lost & won).sum() > (lost & ~won).sum():  # more sources than sinks: turn all arrows round
        return [(b, a) for a, b in _augmentation(count, edges[:, ::-1])]
    order = np.argsort(edges[:, 0], kind="stable")
    start = np.searchsorted(edges[order, 0], np.arange(count + 1))
    below = edges[order, 1]
    marked = np.zeros(count, bool)
    ends: list[tuple[int, int]] = []  # a source and a sink it reaches, all distinct
    for source in np.flatnonzero(~lost & won).tolist():
        stack = [source]
        while stack:
            node = stack.pop()
            if marked[node]:
                continue
            marked[node] = True
            if not won[node]:
                ends.append((source, node))
                break
            stack.extend(below[start[node] : start[node + 1]].tolist())
    paired_sources, paired_sinks = {a for a, _ in ends}, {b for _, b in ends}
    other_sources = [a for a in np.flatnonzero(~lost & won).tolist() if a not in paired_sources]
    other_sinks = [b for b in np.flatnonzero(lost & ~won).tolist() if b not in paired_sinks]
    isolated = np.flatnonzero(~lost & ~won).tolist()
    wins = list(zip(other_sinks, other_sources, strict=False))
    ring = [
        *ends,
        *((b, b) for b in other_sinks[len(other_sources) :]),
        *((x, x) for x in isolated),
    ]
    wins += [(ring[k][1], ring[(k + 1) % len(ring)][0]) for k in range(len(ring))]
    return wins


def _refuse_split(counts: PairCounts, component: np.ndarray, group: np.ndarray, model: str) -> None:
    """Raise if a group has items of several components."""
    for number in np.unique(group):
        members = np.flatnonzero(group == number)
        labels, first, sizes = np.unique(component[members], return_index=True, return_counts=True)
        if len(labels) == 1:
            continue
        order = np.argsort(-sizes, kind="stable")
        sets = (_braces(counts, members[component[members] == labels[k]]) for k in order[:NAMED])
        more = f" and {len(labels) - NAMED} more" if len(labels) > NAMED else ""
        ends = [counts.items[int(members[first[k]])] for k in order[:2].tolist()]
        raise NoFiniteMaximum(
            _check.complaint(
                f"{model}: the comparisons fall into {len(labels)} components that never meet, "
                f"{', '.join(sets)}{more}",
                "connected, as scores of different components are not comparable",
                do=f"Compare across them, for instance {ends[0]!r} with {ends[1]!r} "
                f"({len(labels) - 1} such links are needed), or set ridge > 0.",
            )
        )


def _extremes(counts: PairCounts, found: Connectivity, side: int) -> str:
    """In words: the strong components which never lost to the rest (side 0) or never won (1)."""
    inner = np.zeros(found.strong_count, bool)
    inner[found.edges[:, 1 - side]] = True
    outer = np.zeros(found.strong_count, bool)
    outer[found.edges[:, side]] = True
    extreme = np.flatnonzero(outer & ~inner)
    verb = ("never lost to the rest", "never won against the rest")[side]
    sets = [_braces(counts, np.flatnonzero(found.strong == label)) for label in extreme[:NAMED]]
    more = f" and {len(extreme) - NAMED} more sets" if len(extreme) > NAMED else ""
    return f"items {', '.join(sets)}{more} {verb}" if sets else ""


def _braces(counts: PairCounts, ids: np.ndarray) -> str:
    named = ", ".join(repr(counts.items[i]) for i in ids[:NAMED].tolist())
    return "{" + named + (f", ... {len(ids) - NAMED} more" if len(ids) > NAMED else "") + "}"


def _join(texts: Iterable[str]) -> str:
    phrases = list(texts)
    shown = ", ".join(phrases[:NAMED])
    return shown + (f" and {len(phrases) - NAMED} more" if len(phrases) > NAMED else "")
