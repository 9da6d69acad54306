"""The judge of a round: KL to the reference, proxy, gold and entropy of a policy.

Summed over every string where the language can be enumerated, else sampled, with standard errors.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike

from bandit_rlhf import _check, objective
from bandit_rlhf._array import Float
from bandit_rlhf.evaluation import Estimate
from bandit_rlhf.neural.policy import NeuralPolicy
from bandit_rlhf.neural.pretraining import prompt_weights
from bandit_rlhf.neural.reference import FixedPolicy, Reference, supported_log_probs
from bandit_rlhf.neural.strings import Reward, every_string, finite, reward_table


@dataclass(frozen=True)
class Measures:
    """What a policy is worth, prompts weighed by their law.

    Args:
        kl: KL(pi || ref), nats.
        proxy: E_pi of the fitted reward.
        gold: E_pi of the true reward; None where it is not known.
        entropy: H(pi) of whole strings, nats.
    """

    kl: Estimate
    proxy: Estimate
    gold: Estimate | None
    entropy: Estimate

    def row(self) -> dict[str, float]:
        """A flat row of a results table: means, and standard errors under `<name>_stderr`."""
        parts = {"kl": self.kl, "proxy": self.proxy, "gold": self.gold, "entropy": self.entropy}
        known = {name: part for name, part in parts.items() if part is not None}
        means = {name: part.mean for name, part in known.items()}
        return means | {f"{name}_stderr": part.stderr for name, part in known.items()}


@dataclass(frozen=True, eq=False)
class ExactJudge:
    """Sums over every string.

    Args:
        prompt_law: weights of the prompts [prompt].
        reference: the reference's law [prompt, string].
        proxy: the fitted reward [prompt, string].
        gold: the true reward [prompt, string], or None.
    """

    prompt_law: Float[np.ndarray, " prompt"]
    reference: Float[np.ndarray, "prompt string"]
    proxy: Float[np.ndarray, "prompt string"]
    gold: Float[np.ndarray, "prompt string"] | None = None

    @classmethod
    def of(
        cls,
        policy: NeuralPolicy,
        reference: NeuralPolicy | FixedPolicy,
        proxy: Reward,
        gold: Reward | None = None,
        prompt_law: ArrayLike | None = None,
    ) -> "ExactJudge":
        """Read reference and rewards once, at every string of the policy's language.

        Raises:
            ValueError: more strings than fit in memory; a reward that is NaN or infinite.
        """
        rewards = [
            None
            if one is None
            else reward_table(one, policy.language, policy.prompts, policy.device)
            for one in (proxy, gold)
        ]
        assert rewards[0] is not None
        weights = prompt_weights(policy, prompt_law, "ExactJudge")
        return cls(weights, _law(reference, policy), rewards[0], rewards[1])

    def __call__(self, policy: NeuralPolicy, generator: torch.Generator) -> Measures:
        """The measures of a policy; nothing is random.

        Raises:
            ValueError: an infinite KL.
        """
        law = policy.string_law()
        by_prompt = {
            "kl": objective.kl_divergence(law, self.reference),
            "proxy": objective.expected_reward(law, self.proxy),
            "entropy": objective.entropy(law),
        }
        if self.gold is not None:
            by_prompt["gold"] = objective.expected_reward(law, self.gold)
        totals = {name: objective.over_prompts(self.prompt_law, v) for name, v in by_prompt.items()}
        if not np.isfinite(totals["kl"]):
            lost = np.argwhere((law > 0) & (self.reference == 0) & (self.prompt_law[:, None] > 0))
            prompt, string = (int(i) for i in lost[0])
            words = " ".join(policy.language.words(policy.language.unrank(string)))
            got = f"KL(pi || ref) is {totals['kl']}: the reference never says {words!r}"
            do = "Start from a policy within the reference's support, or smooth the reference."
            raise ValueError(_check.complaint(got, "finite", f"ExactJudge, prompt {prompt}", do))
        exact = {name: Estimate.exact(value) for name, value in totals.items()}
        return Measures(exact["kl"], exact["proxy"], exact.get("gold"), exact["entropy"])


@dataclass(frozen=True, eq=False)
class SampledJudge:
    """Means over draws, the same number for each prompt.

    Args:
        reference: what the KL is measured to.
        proxy: the fitted reward.
        gold: the true reward, or None.
        prompt_law: weights of the prompts [prompt]; None: all alike.
        draws: strings for each prompt, at least 2.
    """

    reference: Reference
    proxy: Reward
    gold: Reward | None = None
    prompt_law: ArrayLike | None = None
    draws: int = 1000

    def __call__(self, policy: NeuralPolicy, generator: torch.Generator) -> Measures:
        """The measures of a policy, with standard errors.

        Raises:
            ValueError: a reward that is NaN or infinite; an infinite KL.
        """
        where = "SampledJudge"
        draws = _check.integer_at_least("draws", self.draws, 2, where)
        weights = prompt_weights(policy, self.prompt_law, where)
        prompts = torch.arange(len(weights), device=policy.device)
        strings = policy.sample(generator, prompts, draws)
        with torch.no_grad():
            log_prob = policy.log_probs(strings).double()
            log_ref = supported_log_probs(self.reference, strings, where).double().sum(dim=1)
            proxy = finite(self.proxy, strings, where)
            gold = None if self.gold is None else finite(self.gold, strings, where)

        def mean(values: torch.Tensor) -> Estimate:
            return stratified(values.double().cpu().numpy().reshape(-1, draws), weights)

        return Measures(
            mean(log_prob - log_ref),
            mean(proxy),
            None if gold is None else mean(gold),
            mean(-log_prob),
        )


Judge = ExactJudge | SampledJudge


def stratified(outcomes: Float[np.ndarray, "prompt draw"], weights: np.ndarray) -> Estimate:
    """sum_x p(x) mean_x with standard error sqrt(sum_x p(x)^2 s_x^2 / n).

    >>> stratified(np.array([[1.0, 3.0], [0.0, 0.0]]), np.array([0.5, 0.5]))
    Estimate(mean=1.0, stderr=0.5, n=2)
    """
    spread = outcomes.var(axis=1, ddof=1) / outcomes.shape[1]
    error = float(np.sqrt((weights**2 * spread).sum()))
    return Estimate(float(weights @ outcomes.mean(axis=1)), error, outcomes.shape[1])


def _law(reference: NeuralPolicy | FixedPolicy, policy: NeuralPolicy) -> np.ndarray:
    """The reference's law [prompt, string], normalised in float64."""
    if isinstance(reference, NeuralPolicy):
        return reference.string_law()
    rows: Sequence = every_string(policy.language, len(policy.prompts))
    logs = torch.stack([reference.token_log_probs(strings).sum(dim=1) for strings in rows])
    return logs.exp().cpu().numpy()
