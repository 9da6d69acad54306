"""Policy gradient on strings: sampled with the advantages and losses of the package, or exact.

    E r - beta KL(pi || ref) + tau H(pi)

Sampled: some prompts from their law, several draws each; the KL stands in the reward or in the loss
(`divergence.placement`), sequence entropy in the reward, token entropy in the loss.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from bandit_rlhf import _check, advantage, divergence, policy_loss
from bandit_rlhf._array import Float
from bandit_rlhf.neural.judge import ExactJudge
from bandit_rlhf.neural.policy import NeuralPolicy, chosen
from bandit_rlhf.neural.pretraining import prompt_weights
from bandit_rlhf.neural.reference import Reference, supported_log_probs
from bandit_rlhf.neural.strings import Reward, Strings, finite
from bandit_rlhf.policy_loss import sequence_sum, token_mean

Advantage = Callable[[Tensor], Tensor]
PolicyLoss = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


class Drawn(NamedTuple):
    """One collection of strings.

    Args:
        strings: prompt after prompt [prompt * draw].
        log_prob: the sampler's own ln pi [string, token].
        ref_log_prob: the reference's [string, token].
        advantages: [string].
        rewards: of the proxy, without KL and entropy [string].
    """

    strings: Strings
    log_prob: Tensor
    ref_log_prob: Tensor
    advantages: Tensor
    rewards: Tensor


@dataclass(frozen=True, eq=False)
class PolicyGradient:
    """REINFORCE and kin: rewards -> advantages -> a policy loss.

    PPO is `surrogate=policy_loss.ppo, updates=4`; GRPO is `advantage=advantage.grpo,
    surrogate=policy_loss.grpo, kl="token loss", kl_estimate=divergence.k3`.

    Args:
        reference: what the KL is to.
        proxy: the reward that is optimised.
        beta: weight of the KL, above 0 unless `kl` is "none".
        kl: where the KL stands: in the "reward" of whole strings; in the "string loss" or "token
            loss", through `kl_estimate` of whole strings or of tokens; or "none".
        kl_estimate: of `divergence`, for the losses; only `k2` has the KL's gradient on draws of
            the policy, and of tokens only up to the prefixes, which it holds fixed.
        sequence_entropy: tau, weight of H(pi) of whole strings, in the reward, at least 0.
        token_entropy: weight of the mean entropy of next tokens, in the loss, at least 0; the law
            of the prefixes is held fixed, as trainers do.
        advantage: of `bandit_rlhf.advantage`, from [prompt, draw] to [prompt, draw].
        surrogate: of `bandit_rlhf.policy_loss`.
        prompt_law: weights of the prompts [prompt]; None: all alike.
        groups: prompts drawn in a step.
        draws: strings for each of them.
        updates: steps on the same draws; above 1 with a clipped surrogate alone.

    Raises:
        ValueError: a beta of 0 or below with a KL; negative weights of entropies.

    Source: Ahmadian et al. 2024 (2402.14740); Schulman et al. 2017 (1707.06347).

    >>> from bandit_rlhf.language import Language
    >>> policy = NeuralPolicy.initial(Language(("a", "b"), 1), [()], seed=0)
    >>> PolicyGradient(reference=policy, proxy=policy.log_probs, beta=0.0)
    Traceback (most recent call last):
    ...
    ValueError: beta is 0, but should be above 0 [PolicyGradient]. Without a KL penalty, say
    kl='none'.
    """

    reference: Reference
    proxy: Reward
    beta: float = 0.1
    kl: Literal["reward", "string loss", "token loss", "none"] = "reward"
    kl_estimate: Callable[..., Tensor] = divergence.k2
    sequence_entropy: float = 0.0
    token_entropy: float = 0.0
    advantage: Advantage = advantage.rloo
    surrogate: PolicyLoss = policy_loss.reinforce
    prompt_law: ArrayLike | None = None
    groups: int = 8
    draws: int = 16
    updates: int = 1

    def __post_init__(self) -> None:
        where = "PolicyGradient"
        places = ("reward", "string loss", "token loss", "none")
        if self.kl not in places:
            got = f"kl is {self.kl!r}"
            raise ValueError(_check.complaint(got, f"one of {', '.join(places)}", where))
        if self.kl != "none":
            do = "Without a KL penalty, say kl='none'."
            _check.positive("beta", self.beta, where, do)
        _check.non_negative("sequence_entropy", self.sequence_entropy, where)
        _check.non_negative("token_entropy", self.token_entropy, where)
        for name in ("groups", "draws", "updates"):
            _check.integer_at_least(name, getattr(self, name), 1, where)

    def collect(self, policy: NeuralPolicy, generator: torch.Generator) -> Drawn:
        """Draw prompts and strings, and weigh them."""
        weights = prompt_weights(policy, self.prompt_law, "PolicyGradient")
        law = torch.as_tensor(weights, device=policy.device)
        prompts = torch.multinomial(law, self.groups, replacement=True, generator=generator)
        strings = policy.sample(generator, prompts, self.draws)
        return self.weigh(policy, strings)

    def weigh(self, policy: NeuralPolicy, strings: Strings) -> Drawn:
        """The advantages of given strings, `draws` rows for each prompt in turn."""
        rewards = finite(self.proxy, strings, "PolicyGradient").detach()
        log_prob = policy.token_log_probs(strings).detach()
        ref = supported_log_probs(self.reference, strings, "PolicyGradient").to(log_prob.dtype)
        shaped = rewards.to(log_prob.dtype)
        if self.kl == "reward":
            none = torch.zeros_like(log_prob)
            kl = divergence.kl_in_reward(none, log_prob, ref, strings.mask, beta=self.beta)
            shaped = shaped + kl.sum(dim=1)
        if self.sequence_entropy:
            surprisal = divergence.surprisal(log_prob.sum(dim=1))
            shaped = shaped + self.sequence_entropy * surprisal
        advantages = self.advantage(shaped.reshape(-1, self.draws)).reshape(-1)
        return Drawn(strings, log_prob, ref, advantages, rewards)

    def loss(self, policy: NeuralPolicy, collected: Drawn) -> Tensor:
        """The policy loss of the draws, with the terms that belong in a loss."""
        strings, mask = collected.strings, collected.strings.mask
        logits = policy.logits(strings)
        log_prob = chosen(logits, strings)
        loss = self.surrogate(log_prob, collected.log_prob, collected.advantages, mask)
        if self.kl == "token loss":
            loss = loss + sequence_sum(self._kl(log_prob, collected.ref_log_prob, mask), mask)
        elif self.kl == "string loss":
            own = log_prob.sum(dim=1, keepdim=True)
            ref = collected.ref_log_prob.sum(dim=1, keepdim=True)
            every = torch.ones_like(own, dtype=torch.bool)
            loss = loss + sequence_sum(self._kl(own, ref, every), every)
        if self.token_entropy:
            spread = token_mean(divergence.entropy(logits), mask)
            loss = loss - self.token_entropy * spread
        return loss

    def _kl(self, log_prob: Tensor, ref: Tensor, mask: Tensor) -> Tensor:
        none = torch.zeros_like(log_prob)
        return divergence.kl_in_loss(
            none, log_prob, ref, mask, beta=self.beta, estimate=self.kl_estimate
        )


@dataclass(frozen=True, eq=False)
class ExactGradient:
    """The gradient of E r - beta KL + tau H summed over every string: no sampling noise.

    Args:
        judge: reference, proxy and prompt law of every string.
        beta: weight of the KL, at least 0; 0 leaves it out.
        sequence_entropy: tau, at least 0.

    Raises:
        ValueError: a negative weight; a string the reference never says, unless beta is 0.
    """

    judge: ExactJudge
    beta: float = 0.1
    sequence_entropy: float = 0.0
    updates: int = 1

    def __post_init__(self) -> None:
        beta = _check.non_negative("beta", self.beta, "ExactGradient")
        unsaid = (self.judge.reference == 0) & (self.judge.prompt_law > 0)[:, None]
        if beta and unsaid.any():
            prompt, string = (int(i) for i in np.argwhere(unsaid)[0])
            got = f"the reference never says string {string} of prompt {prompt}"
            do = "A network says every string, so KL(pi || ref) is infinite: smooth the reference."
            raise ValueError(_check.complaint(got, "above 0 everywhere", "ExactGradient", do))
        _check.non_negative("sequence_entropy", self.sequence_entropy, "ExactGradient")

    def collect(self, policy: NeuralPolicy, generator: torch.Generator) -> None:
        """Nothing: every string is summed over."""

    def loss(self, policy: NeuralPolicy, collected: None) -> Float[Tensor, ""]:
        """-(E r - beta KL + tau H), with its gradient."""
        logs = policy.string_log_law().double()
        law = logs.exp()
        payoff = torch.as_tensor(self.judge.proxy, device=logs.device)
        inside = payoff - self.sequence_entropy * logs
        if self.beta:
            with np.errstate(divide="ignore"):
                ref = torch.as_tensor(np.log(self.judge.reference), device=logs.device)
            inside = inside - self.beta * (logs - ref)
        weights = torch.as_tensor(self.judge.prompt_law, device=logs.device)
        return -(weights @ (law * inside).sum(dim=1))
