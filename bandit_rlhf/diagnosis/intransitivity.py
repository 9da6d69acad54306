"""Do people run in circles? The part of the comparisons that no scalar reward can explain.

At the fit, let u_ij be the score d ln P / dd of the judgements of a pair and w_ij its expected
information. The working residual y = u / w, nats, is a flow on the graph of comparisons. The score
equations say that it has no divergence: at a maximum likelihood its gradient part is zero, and all
of it is cyclic. Its squared norm sum w y^2 (for Bradley-Terry: Pearson's X2) splits into curl,
cycles of three, and harmonic, longer ones (`hodge`). Noise alone makes a residual too, about 1 for
each independent loop; a parametric bootstrap says how much and how it varies.
"""

from dataclasses import dataclass

import numpy as np

from bandit_rlhf import _check
from bandit_rlhf._array import Float
from bandit_rlhf.comparisons import Comparisons, PairCounts
from bandit_rlhf.diagnosis.hodge import (
    EXACT,
    EdgeComplex,
    edge_complex,
    has_harmonic_flows,
    hodge_decomposition,
    without_gradient,
)
from bandit_rlhf.diagnosis.outcome_law import (
    OutcomeLaw,
    bootstrap_p,
    observed,
    outcome_law,
    probabilities,
    require_sampling_model,
    resampled,
    unit_scores,
)
from bandit_rlhf.reward.result import RewardFit

NAMED = 5
"""So many cycles are named."""

ENOUGH = 1e-6
"""The tolerance of projections of draws, far below what one draw differs from the next."""


@dataclass(frozen=True)
class FlowPart:
    """One part of the residual flow.

    Args:
        size: its squared norm, sum w y^2.
        noise: the mean of that where the model is right.
        p_value: how often it is as large there.
    """

    size: float
    noise: float
    p_value: float


@dataclass(frozen=True)
class Cycle:
    """Three items that beat each other in a circle.

    Args:
        items: a, b, c: a over b over c over a.
        circulation: y_ab + y_bc + y_ca, nats.
        z: that by its standard error.
        adjusted_p: P(some triangle reaches |z|) where the model is right.
    """

    items: tuple[object, object, object]
    circulation: float
    z: float
    adjusted_p: float


@dataclass(frozen=True)
class Intransitivity:
    """A test for cycles, and their share.

    Args:
        edges: pairs that met.
        loops: independent cycles: edges - items + components.
        triangles: None: too many to list.
        explained: the squared norm of the gradient part of the comparisons' log-odds.
        residual: all that is cyclic.
        curl: its part on triangles; None where these are not listed.
        harmonic: its part on longer loops only; likewise.
        unexplained_share: of the log-odds' variance (weighted by information), the share that is
            cyclic, noise taken off both. Numerator and denominator are unbiased to first order, so
            that with little signal the share may fall below 0; NaN where no signal is left.
        resamples: draws of the parametric bootstrap.
        unfitted: draws without a finite maximum; p-values count them as more extreme.
        cycles: the most significant triangles.
    """

    edges: int
    loops: int
    triangles: int | None
    explained: float
    residual: FlowPart
    curl: FlowPart | None
    harmonic: FlowPart | None
    unexplained_share: float
    resamples: int
    unfitted: int
    cycles: tuple[Cycle, ...]

    @property
    def p_value(self) -> float:
        """How often the residual flow is as large where a scalar reward explains everything."""
        return self.residual.p_value


def intransitivity(
    fit: RewardFit,
    comparisons: Comparisons | PairCounts,
    rng: np.random.Generator,
    *,
    resamples: int = 200,
) -> Intransitivity:
    """Test whether a scalar reward explains the comparisons, and estimate the share it cannot.

    R = |y|^2 - E|y|^2,    G = |D r|^2 - (items - components),    share = R / (R + G)

    Sizes are to first order in the residual. Comparisons are taken as independent with one law a
    pair: people, or pooled prompts, that differ in their rewards enlarge the residual as cycles do.
    Fit by prompt to keep prompts apart.

    Args:
        fit: of `comparisons`, by any pair model.
        comparisons: what was fitted.
        rng: the source of randomness of the parametric bootstrap.
        resamples: its draws, at least 1; p-values are not below 1 / (resamples + 1).

    Returns:
        The parts with p-values, the share, the worst cycles. Without loops, no residual: p = 1.

    Raises:
        ValueError: ties counted as halves, fractional weights, other comparisons.

    References:
        Jiang, Lim, Yao and Ye 2011, Mathematical Programming 127:203.

    >>> from bandit_rlhf.reward import fit
    >>> rows = Comparisons.from_ids([0, 1, 2] * 40 + [1, 2, 0] * 5, [1, 2, 0] * 40 + [0, 1, 2] * 5)
    >>> found = intransitivity(fit(rows), rows, np.random.default_rng(0))
    >>> found.cycles[0].items, round(found.p_value, 3), round(found.unexplained_share, 1)
    ((0, 1, 2), 0.005, 1.0)
    """
    where = "intransitivity"
    _check.integer_at_least("resamples", resamples, 1, where)
    law = outcome_law(fit, comparisons, where)
    require_sampling_model(law, comparisons, where)
    pairs = _pairs(law, rng)
    graph = pairs.graph
    sizes, z, circulation = _measure(law, pairs, EXACT)

    def statistic(other: OutcomeLaw) -> np.ndarray:
        drawn_sizes, drawn_z, _ = _measure(other, pairs, ENOUGH)
        return np.append(drawn_sizes, np.abs(drawn_z).max(initial=0.0))

    drawn = resampled(law, statistic, rng, resamples)
    noise = drawn.mean(axis=0) if len(drawn) else np.full(5, np.nan)

    def part(which: int) -> FlowPart:
        size = float(sizes[which])
        p = bootstrap_p(size, drawn[:, which], resamples, scale=float(sizes[:2].sum()))
        return FlowPart(size, float(noise[which]), p)

    free = law.counts.item_count - law.fit.component_count
    cyclic, scalar = sizes[1] - noise[1], sizes[0] - free
    signal = cyclic + scalar
    listed = graph.triangles is not None
    order = np.argsort(-np.abs(z), kind="stable")[:NAMED].tolist()
    return Intransitivity(
        edges=len(graph.start),
        loops=len(graph.start) - free,
        triangles=len(graph.triangles) if graph.triangles is not None else None,
        explained=float(sizes[0]),
        residual=part(1),
        curl=part(2) if listed else None,
        harmonic=part(3) if listed else None,
        unexplained_share=float(cyclic / signal) if signal > 0 else float("nan"),
        resamples=resamples,
        unfitted=resamples - len(drawn),
        cycles=tuple(
            Cycle(
                _turned(law, graph.corners(triangle), float(circulation[triangle])),
                abs(float(circulation[triangle])),
                abs(float(z[triangle])),
                bootstrap_p(abs(float(z[triangle])), drawn[:, 4], resamples),
            )
            for triangle in order
        ),
    )


@dataclass(frozen=True, eq=False)
class _Pairs:
    """The graph of pairs, which pair each cell is about, whether there are harmonic flows."""

    graph: EdgeComplex
    of_cell: np.ndarray
    harmonic: bool


def _pairs(law: OutcomeLaw, rng: np.random.Generator) -> _Pairs:
    left, right = law.counts.left.astype(np.int64), law.counts.right
    n = law.counts.item_count
    keys, of_cell = np.unique(left * n + right, return_inverse=True)
    graph = edge_complex(n, keys // n, keys % n)
    return _Pairs(graph, of_cell, graph.triangles is not None and has_harmonic_flows(graph, rng))


def residual_flow(
    law: OutcomeLaw, of_cell: np.ndarray, edges: int
) -> tuple[Float[np.ndarray, " edge"], Float[np.ndarray, " edge"]]:
    """The working residual y = u / w and its weight w, the expected information, of each pair.

    >>> from bandit_rlhf.reward import fit
    >>> rows = Comparisons.from_ids([0, 0, 0, 1], [1, 1, 1, 0])
    >>> law = outcome_law(fit(rows), rows, "example")
    >>> [part.round(6).tolist() for part in residual_flow(law, np.array([0]), 1)]   # 4 x 3/4 x 1/4
    [[0.0], [0.75]]
    """
    seen, difference = observed(law.counts), law.cell_differences()
    score = unit_scores(law.link, difference, law.tie)
    chance = probabilities(law.link, difference, law.tie)
    information = seen.sum(axis=0) * (chance * score**2).sum(axis=0)
    weight = np.bincount(of_cell, information, minlength=edges)
    return np.bincount(of_cell, (seen * score).sum(axis=0), minlength=edges) / weight, weight


def _measure(
    law: OutcomeLaw, pairs: _Pairs, tolerance: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """[gradient, cyclic, curl, harmonic] squared norms; [triangle] z; [triangle] circulations."""
    graph = pairs.graph
    flow, weight = residual_flow(law, pairs.of_cell, len(graph.start))
    cyclic = without_gradient(graph, flow, weight, tolerance)
    gradient = law.scores[graph.start] - law.scores[graph.end] + flow - cyclic
    split = hodge_decomposition(graph, cyclic, weight, tolerance) if pairs.harmonic else None
    curl = cyclic if split is None else split.curl
    sizes = [float(weight @ part**2) for part in (gradient, cyclic, curl, cyclic - curl)]
    if graph.triangles is None:
        return np.array(sizes), np.empty(0), np.empty(0)
    circulation = graph.circulations(flow)
    variance = (1 / weight)[graph.triangles].sum(axis=1)
    return np.array(sizes), circulation / np.sqrt(variance), circulation


def _turned(
    law: OutcomeLaw, corners: tuple[int, int, int], circulation: float
) -> tuple[object, object, object]:
    """The names in the order in which each beats the next."""
    i, j, k = corners if circulation >= 0 else (corners[0], corners[2], corners[1])
    names = law.counts.items
    return names[i], names[j], names[k]
