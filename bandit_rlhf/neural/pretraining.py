"""Pretraining: maximum likelihood on an exact law or on strings.

    minimise sum_x p(x) sum_y law(y | x) ln(1 / pi(y | x))

With an exact law nothing is sampled: what is left above the law's entropy is KL(law || pi), which
is reported.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike

from bandit_rlhf import _check
from bandit_rlhf._array import Float
from bandit_rlhf.neural.policy import NeuralPolicy
from bandit_rlhf.neural.strings import Strings


class Pretrained(NamedTuple):
    """A policy that was fitted by maximum likelihood.

    Args:
        policy: the fitted policy.
        losses: cross-entropy of every step, in nats a string [step].
        kl: KL(law || pi) at the end, prompts weighed by their law; None where the law is unknown.
    """

    policy: NeuralPolicy
    losses: Float[np.ndarray, " step"]
    kl: float | None


def fit_to_law(
    policy: NeuralPolicy,
    law: ArrayLike,
    prompt_law: ArrayLike | None = None,
    *,
    steps: int = 300,
    learning_rate: float = 1e-2,
) -> Pretrained:
    """Fit to an exact law over all strings, by Adam with a step size that falls to zero.

    Args:
        policy: where to start; it stays as it is.
        law: probabilities [prompt, string] in the language's order.
        prompt_law: weights of the prompts [prompt]; None: all alike.
        steps: of Adam, each over all strings.
        learning_rate: of the first step.

    >>> from bandit_rlhf.language import Language
    >>> from bandit_rlhf.neural.network import Architecture
    >>> start = NeuralPolicy.initial(Language(("a", "b"), 1), [()], Architecture(width=8), seed=0)
    >>> fit_to_law(start, [[0.9, 0.1]], steps=100).policy.string_law().round(2)
    array([[0.9, 0.1]])
    """
    where = "fit_to_law"
    law = _check.distribution("law", law, where)
    shape = (len(policy.prompts), policy.language.string_count)
    _check.shaped("law", law, shape, "prompt, string", where)
    weights = prompt_weights(policy, prompt_law, where)
    policy = policy.copy()
    joint = torch.as_tensor(weights[:, None] * law, device=policy.device)

    def loss(step: int) -> torch.Tensor:
        logs = policy.string_log_law().double()
        # A string of no mass may have any log-probability, also minus infinity.
        return -torch.where(joint > 0, joint * logs, 0.0).sum()

    losses = descend(policy, loss, steps, learning_rate)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = law * (np.log(law) - np.log(policy.string_law()))
    kl = float(weights @ np.where(law > 0, terms, 0.0).sum(axis=1))
    return Pretrained(policy, losses, kl)


def fit_to_strings(
    policy: NeuralPolicy,
    strings: Strings,
    *,
    steps: int = 300,
    learning_rate: float = 1e-2,
    batch: int = 256,
    seed: int,
) -> Pretrained:
    """Fit to strings, by Adam on random batches with a step size that falls to zero.

    Args:
        policy: where to start; it stays as it is.
        strings: what was written, one row a string; rows weigh alike.
        steps: of Adam.
        learning_rate: of the first step.
        batch: rows of each step.
        seed: of the order of the rows.

    Raises:
        ValueError: no strings.
    """
    where = "fit_to_strings"
    if len(strings) == 0:
        raise ValueError(_check.complaint("strings is empty", "one string or more", where))
    batch = min(_check.integer_at_least("batch", batch, 1, where), len(strings))
    policy, generator = policy.copy(), torch.Generator().manual_seed(seed)

    def loss(step: int) -> torch.Tensor:
        rows = torch.randperm(len(strings), generator=generator)[:batch]
        return -policy.log_probs(strings.take(rows)).mean()

    return Pretrained(policy, descend(policy, loss, steps, learning_rate), None)


def descend(policy: NeuralPolicy, loss, steps: int, learning_rate: float) -> np.ndarray:
    """Adam on a loss of the step's number; the step size falls linearly to zero."""
    steps = _check.integer_at_least("steps", steps, 1, "pretraining")
    rate = _check.positive("learning_rate", learning_rate, "pretraining")
    optimiser = torch.optim.Adam(policy.network.parameters(), lr=rate)
    losses = np.empty(steps)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = rate * (1 - step / steps)
        optimiser.zero_grad()
        value = loss(step)
        value.backward()
        optimiser.step()
        losses[step] = value.item()
    return _check.finite("losses", losses, "pretraining", "Lower the learning rate.")


def prompt_weights(policy: NeuralPolicy, prompt_law: ArrayLike | None, where: str) -> np.ndarray:
    """The law of the prompts [prompt], uniform where it is None."""
    count = len(policy.prompts)
    if prompt_law is None:
        return np.full(count, 1 / count)
    weights = _check.distribution("prompt_law", prompt_law, where)
    return _check.shaped("prompt_law", weights, (count,), "prompt", where)
