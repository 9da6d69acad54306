"""What a policy is measured with: KL, proxy, gold, and what a correlated proxy guarantees."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from bandit_rlhf import _check
from bandit_rlhf.exact import path_sum, viterbi
from bandit_rlhf.exact.lattice import Lattice, LatticePolicy, Payoff
from bandit_rlhf.loop.round import CONSTANT
from experiments.word_world import covariance, mean


@dataclass(frozen=True, eq=False)
class Yardstick:
    """Everything a policy is measured with; gains are in standard deviations under the reference.

    Args:
        lattice: the world.
        proxy: the fitted reward.
        proxy_mean: its mean under the reference, in logits.
        proxy_sd: its standard deviation there, in logits.
        gold_mean: the gold reward's mean under the reference.
        correlation: of proxy and gold under the reference.
    """

    lattice: Lattice
    proxy: Payoff
    proxy_mean: float
    proxy_sd: float
    gold_mean: float
    correlation: float

    @classmethod
    def of(cls, lattice: Lattice, proxy: Payoff) -> "Yardstick":
        """Measure the reference once.

        Raises:
            ValueError: a proxy that is constant over strings, up to rounding of what it pays:
                there is nothing to optimise.
        """
        gold, reference = lattice.payoffs["gold"], lattice.reference
        within, between = variances(lattice, proxy)
        largest = max(np.abs(proxy.edge).max(), np.abs(proxy.truncated).max())
        if not np.sqrt(within) > CONSTANT * largest:
            got, do = "the proxy is constant over strings", "Fit it to more comparisons."
            raise ValueError(_check.complaint(got, "different for some", "Yardstick.of", do))
        sd = float(np.sqrt(within + between))
        correlation = covariance(lattice, proxy, gold) / sd
        return cls(lattice, proxy, mean(reference, proxy), sd, mean(reference, gold), correlation)

    def about(self) -> dict[str, Any]:
        """What holds for the whole proxy: its correlation, and the KL where tilting saturates."""
        caps = []
        for prompt in range(len(self.lattice.prompts)):
            best = viterbi.best_string(self.lattice, self.proxy, 1, prompt)[0].string
            batch = self.lattice.language.batch([best])
            caps.append(-float(self.lattice.reference.log_prob(batch, prompt)[0]))
        return {
            "correlation": self.correlation,
            "largest_kl": float(self.lattice.prompt_law @ caps),
        }

    def gains(self, kl: float, chi_squared: float, proxy: float, gold: float) -> dict[str, Any]:
        """KL, distance, both gains, and the gold gain that the proxy guarantees.

        The guarantee is (proxy gain - sqrt((1 - correlation^2) chi^2)) / correlation, in standard
        deviations: Laidlaw, Singhal and Dragan 2024 (arXiv:2403.03185), theorem 5.1.
        """
        proxy_gain = (proxy - self.proxy_mean) / self.proxy_sd
        unexplained = np.sqrt((1 - self.correlation**2) * chi_squared)
        return {
            "kl": kl,
            "distance": float(np.sqrt(max(kl, 0.0))),
            "chi_squared": chi_squared,
            "proxy": proxy_gain,
            "gold": gold - self.gold_mean,
            "guaranteed": float((proxy_gain - unexplained) / self.correlation),
        }

    def gold_gain(self, policy: LatticePolicy) -> float:
        """The gain in gold alone."""
        return mean(policy, self.lattice.payoffs["gold"]) - self.gold_mean

    def of_policy(self, policy: LatticePolicy) -> dict[str, Any]:
        """Every measure of a policy, with its most probable string after the first prompt."""
        lattice, language = self.lattice, self.lattice.language
        kl = path_sum.kl(policy, lattice.reference).value
        chi_squared = path_sum.chi_squared(policy, lattice.reference).value
        top = viterbi.most_probable(policy)[0]
        return {
            **self.gains(
                kl, chi_squared, mean(policy, self.proxy), mean(policy, lattice.payoffs["gold"])
            ),
            "repeats": mean(policy, lattice.payoffs["repeats"]),
            "length": mean(policy, lattice.payoffs["length"]),
            "string": " ".join(language.words(top.string)),
            "string_log_prob": top.score,
        }


def variances(lattice: Lattice, payoff: Payoff) -> tuple[float, float]:
    """The variance of a reward under the reference, within prompts and between their means.

    The first is E sum_t A_t(s_t, a_t)^2: advantages are the steps of a martingale. As a sum of
    squares it does not cancel as E r^2 - (E r)^2 does, which leaves a constant the root of the
    rounding, or the root of a negative number.
    """
    reference, law = lattice.reference, lattice.prompt_law
    squares = path_sum.advantage(reference, payoff) ** 2
    steps = np.einsum("tsa,tsa->ts", reference.probs, squares)
    means = path_sum.expected_reward(reference, payoff).by_prompt
    within = float((path_sum.visits(reference) * steps).sum())
    return within, float(law @ (means - law @ means) ** 2)
