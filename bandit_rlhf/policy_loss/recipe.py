"""A policy loss is a recipe: ratio x surrogate x clip x aggregation x where the KL goes."""

from collections.abc import Callable
from dataclasses import dataclass

from array_api_compat import array_namespace

from bandit_rlhf import _check
from bandit_rlhf._masked import Array, detached, kept, tokens
from bandit_rlhf.policy_loss.clipping import Clip

Ratio = Callable[[Array, Array, Array], Array]
Surrogate = Callable[[Array, Array, Array, Clip | None], Array]
Aggregation = Callable[[Array, Array], Array]
KL = Callable[[Array, Array], Array]


@dataclass(frozen=True)
class Recipe:
    """The parts of a policy loss; calling it cooks.

    loss = aggregate(surrogate(ln pi, ratio(ln pi, ln mu), A, clip) + beta k(ln pi, ln ref))

    Attributes:
        ratio: of `bandit_rlhf.policy_loss.ratio`.
        surrogate: of `bandit_rlhf.policy_loss.surrogate`.
        aggregation: of `bandit_rlhf.policy_loss.aggregation`.
        clip: the band, or None.
        kl: an estimator k of `bandit_rlhf.divergence`, added to the loss of each token; None: the
            KL is in the reward, or nowhere.
        beta: its coefficient, at least 0.

    >>> import numpy as np
    >>> from bandit_rlhf.policy_loss import aggregation, ratio, surrogate
    >>> plain = Recipe(ratio.token, surrogate.weighted, aggregation.sequence_sum)
    >>> one, mask = np.zeros((1, 2)), np.ones((1, 2), dtype=bool)
    >>> float(plain(one, one, np.asarray([3.0]), mask))
    -6.0
    """

    ratio: Ratio
    surrogate: Surrogate
    aggregation: Aggregation
    clip: Clip | None = None
    kl: KL | None = None
    beta: float = 0.0

    def __call__(
        self,
        log_prob: Array,
        old_log_prob: Array,
        advantages: Array,
        mask: Array,
        ref_log_prob: Array | None = None,
    ) -> Array:
        """The loss of a batch.

        Args:
            log_prob: ln pi of each token, [string, token].
            old_log_prob: ln mu of the sampler, [string, token]; no gradient flows into it.
            advantages: [string] or [string, token].
            mask: [string, token], true where the token participates.
            ref_log_prob: ln ref, [string, token], where the recipe has a KL.

        Returns:
            a number to be minimised, as an array without axes.

        Raises:
            ValueError: wrong shapes; no participating token; a KL without reference.
        """
        if advantages.ndim == 1:
            advantages = advantages[:, None] + array_namespace(log_prob).zeros_like(log_prob)
        tokens(
            "policy loss",
            mask,
            log_prob=log_prob,
            old_log_prob=old_log_prob,
            advantages=advantages,
        )
        own, given = kept(log_prob, mask), detached(advantages)
        log_ratio = self.ratio(log_prob, detached(old_log_prob), mask)
        losses = self.surrogate(own, log_ratio, given, self.clip)
        if self.kl is not None:
            if ref_log_prob is None:
                raise ValueError(
                    _check.complaint("ref_log_prob is missing", "given: the recipe has a KL")
                )
            losses = losses + self.beta * self.kl(own, detached(ref_log_prob))
        return self.aggregation(losses, mask)
