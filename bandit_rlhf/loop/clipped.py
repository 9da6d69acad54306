"""The clipped surrogate: several steps on the same draws, while ratios stay within a band.

    loss = sum_x p(x) 1/G sum_i sum_t max(-A_i rho_t, -A_i cut(rho_t)),   rho_t = pi/mu (y_t | y_<t)

with mu the policy that drew. It is `policy_loss` with token ratios, the pessimistic surrogate and
the policy gradient's own weights of tokens (`sequence_sum`), differentiated by hand: a token's
slope in its ln pi is A rho where the band still lets it move, else 0.
"""

from dataclasses import dataclass, field

import numpy as np

from bandit_rlhf import _check
from bandit_rlhf._array import Float, Int
from bandit_rlhf.advantage import rloo
from bandit_rlhf.language import TokenBatch
from bandit_rlhf.loop.regulariser import Regulariser
from bandit_rlhf.loop.sampled import Advantage, drawn, judged_advantages
from bandit_rlhf.loop.state import Evidence, State, as_tabular
from bandit_rlhf.loop.string_law import score_gradient, token_entries
from bandit_rlhf.policy import TabularPolicy
from bandit_rlhf.policy_loss import Clip


@dataclass(frozen=True)
class ClippedSurrogate:
    """PPO on whole-string advantages: draw once, then climb the surrogate for some epochs.

    Args:
        step_size: of each epoch's gradient step in the logits, above 0.
        draws: G, strings a prompt, at least 1.
        epochs: gradient steps on the same draws, at least 1; 1 is the plain policy gradient.
        clip: the band of ratios.
        advantage: from rewards [prompt, draw] to advantages.
        regulariser: the terms of J beside the reward, as rewards of the draws.

    Raises:
        ValueError: a number out of its range.

    Source: Schulman et al. 2017 (1707.06347), equation 7 and algorithm 1, without a critic.

    >>> from bandit_rlhf.language import Language
    >>> half = TabularPolicy.uniform(Language(("a", "b"), 1), [()])
    >>> start, seen = State(half, half, np.ones(1)), Evidence(np.array([[0.0, 1.0]]))
    >>> learner = ClippedSurrogate(1.0, draws=100, epochs=50)
    >>> moved = learner.step(start, seen, np.random.default_rng(0))
    >>> bool(as_tabular(moved.policy).string_law()[0, 1] > 0.6)   # ratio 1.2, and then no further
    True
    """

    step_size: float
    draws: int
    epochs: int = 4
    clip: Clip = field(default_factory=lambda: Clip(0.2, 0.2))
    advantage: Advantage = rloo
    regulariser: Regulariser = field(default_factory=Regulariser)

    def __post_init__(self) -> None:
        _check.positive("step_size", self.step_size, "ClippedSurrogate")
        _check.integer_at_least("draws", self.draws, 1, "ClippedSurrogate")
        _check.integer_at_least("epochs", self.epochs, 1, "ClippedSurrogate")

    def step(self, state: State, evidence: Evidence, rng: np.random.Generator) -> State:
        """Fresh draws, then `epochs` steps on them."""
        old = policy = as_tabular(state.policy)
        payoff = self.regulariser.payoff(old, as_tabular(state.reference), evidence.reward)
        batches = drawn(old, self.draws, rng)
        ranks = np.stack([batch.ranks() for batch in batches])
        advantages = judged_advantages(self.advantage, payoff, ranks)
        for _ in range(self.epochs):
            gradient = surrogate_gradient(
                policy, old, batches, advantages, state.prompt_law, self.clip
            )
            logits = policy.log_probs() + self.step_size * gradient
            policy = TabularPolicy(old.language, old.prompts, logits)
        return state.moved(policy)


def surrogate_gradient(
    policy: TabularPolicy,
    old: TabularPolicy,
    batches: list[TokenBatch],
    advantages: Float[np.ndarray, "prompt draw"],
    prompt_law: Float[np.ndarray, " prompt"],
    clip: Clip,
) -> Float[np.ndarray, "prompt entry"]:
    """Minus the gradient of the clipped loss in the logits of the policy.

    Args:
        policy: pi.
        old: mu, the policy that drew.
        batches: the draws of each prompt.
        advantages: [prompt, draw].
        prompt_law: p, [prompt].
        clip: the band.

    >>> from bandit_rlhf.language import Language
    >>> letters = Language(("a", "b"), 1)
    >>> half, batch = TabularPolicy.uniform(letters, [()]), letters.batch([(0,), (1,)])
    >>> surrogate_gradient(half, half, [batch], np.array([[-1.0, 1.0]]), np.ones(1), Clip(0.2, 0.2))
    array([[-0.5,  0.5]])
    """
    weights = np.zeros_like(policy.logits)
    for x, batch in enumerate(batches):
        log_ratio = policy.token_log_prob(batch, x) - old.token_log_prob(batch, x)
        slopes = token_slopes(log_ratio, advantages[x][:, None], clip) * batch.mask
        entries: Int[np.ndarray, "string token"] = token_entries(batch)
        np.add.at(weights[x], entries[batch.mask], slopes[batch.mask] / len(batch))
    return score_gradient(policy, weights) * prompt_law[:, None]


def token_slopes(
    log_ratio: Float[np.ndarray, "string token"],
    advantages: Float[np.ndarray, "string one"],
    clip: Clip,
) -> Float[np.ndarray, "string token"]:
    """Minus the derivative of each token's loss in its ln pi: A rho inside the band, else 0.

    A ratio is stopped where it already is further along than the band allows: above it with a
    positive advantage, below it (or beyond the dual bound above) with a negative one.

    >>> ratio = np.log(np.array([[1.0, 1.5, 0.5]]))
    >>> token_slopes(ratio, np.array([[2.0]]), Clip(0.2, 0.2)).round(6)
    array([[2., 0., 1.]])
    """
    ratio = np.exp(log_ratio)
    up, down = advantages > 0, advantages < 0
    stopped = (up & (ratio > 1 + clip.high)) | (down & (ratio < 1 - clip.low))
    if clip.dual is not None:
        stopped |= down & (ratio > clip.dual)
    return np.where(stopped, 0.0, advantages * ratio)
