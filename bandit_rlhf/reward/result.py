"""What a fit found, and how far it can be trusted."""

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np

from bandit_rlhf import _check
from bandit_rlhf._array import Float, Int
from bandit_rlhf.comparisons.names import Names

LINEAR_GAUGE = "features . coefficients"
"""The gauge of scores that are a linear function of features: none is left to choose."""


@dataclass(frozen=True, eq=False)
class RewardFit:
    """Rewards fitted to comparisons.

    Non-convergence is data: look at `converged`; `gradient_norm` says how far off the score
    equations are, for the worst item, as a share of its comparisons: |observed - expected wins| /
    games.

    Args:
        model: "bradley-terry", "thurstone", "rao-kupper", "davidson" or "plackett-luce".
        items: the names.
        scores: [item], the rewards; nats (in units of the noise for Thurstone-Mosteller).
        gauge: which of the equivalent score vectors this is.
        component: [item]; scores are comparable within one component only.
        tie: the tie parameter: Rao and Kupper's threshold eta >= 0, Davidson's ln nu; None: no
            such.
        coefficients: [covariate].
        covariate_names: their names.
        converged: whether `gradient_norm` is within the tolerance.
        gradient_norm: the largest relative residual of the score equations.
        iterations: Newton steps taken.
        log_likelihood: at the scores, without any prior or penalty, in nats.
        ridge: the precision of the Gaussian prior; 0: none.
        prior_mean: [item], its mean.
        firth: whether Jeffreys' prior was added.
        ties: what was done with ties where the model knows none: "refuse", "half" or "drop".
        comparisons: the total weight of the comparisons used.
    """

    model: str
    items: Names
    scores: Float[np.ndarray, " item"]
    gauge: str
    component: Int[np.ndarray, " item"]
    tie: float | None
    coefficients: Float[np.ndarray, " covariate"]
    covariate_names: Names
    converged: bool
    gradient_norm: float
    iterations: int
    log_likelihood: float
    ridge: float
    prior_mean: Float[np.ndarray, " item"]
    firth: bool
    ties: str
    comparisons: float

    @property
    def component_count(self) -> int:
        """The number of components."""
        return int(self.component.max()) + 1

    @property
    def parameter_count(self) -> int:
        """Free parameters: scores less one a component, coefficients, tie parameter.

        Scores that are features . coefficients are not free.
        """
        scores = 0 if self.gauge == LINEAR_GAUGE else len(self.items) - self.component_count
        return scores + len(self.coefficients) + (self.tie is not None)

    def difference(self, item: Hashable, other: Hashable) -> float:
        """The reward of `item` less that of `other`, in nats.

        Raises:
            ValueError: an unknown name, or items of different components.
        """
        first, second = (self.index(name) for name in (item, other))
        if self.component[first] != self.component[second]:
            got = f"{item!r} and {other!r} lie in components that never meet"
            raise ValueError(_check.complaint(got, "in one component", "RewardFit.difference"))
        return float(self.scores[first] - self.scores[second])

    def index(self, item: Hashable) -> int:
        """The position of a name."""
        try:
            return self.items.index(item)
        except ValueError:
            got = f"{item!r} is not an item"
            raise ValueError(_check.complaint(got, f"one of the {len(self.items)} items")) from None

    def ranking(self) -> list[Hashable]:
        """The names from the highest score to the lowest, ties in the order of the items.

        >>> from bandit_rlhf.comparisons import Comparisons
        >>> from bandit_rlhf.reward import fit
        >>> fit(Comparisons.from_labels(["a", "b", "b"], ["b", "a", "a"])).ranking()
        ['b', 'a']
        """
        return [self.items[i] for i in np.argsort(-self.scores, kind="stable").tolist()]
