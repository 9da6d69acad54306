"""References: what a policy is regularised to, neural or one of the package's NumPy policies."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from bandit_rlhf import _check
from bandit_rlhf.neural.strings import Strings


@runtime_checkable
class Reference(Protocol):
    """Anything that says ln ref of every token, such as a `NeuralPolicy`."""

    def token_log_probs(self, strings: Strings) -> Tensor:
        """The ln ref(y_t | x, y_<t) of every token, zero at pads [string, token]."""
        ...


@dataclass(frozen=True, eq=False)
class FixedPolicy:
    """A NumPy policy as a reference: `TabularPolicy`, `MarkovPolicy` or `LatticePolicy`.

    Args:
        policy: it has `token_log_prob(batch, prompt)`.
        prompts: what `policy` knows each prompt by: indices for a `TabularPolicy` or a
            `LatticePolicy`, words for a `MarkovPolicy`.

    >>> from bandit_rlhf.language import Language
    >>> from bandit_rlhf.policy import TabularPolicy
    >>> letters = Language(("a", "b"), 2, "$")
    >>> fixed = FixedPolicy(TabularPolicy.uniform(letters, [()]), prompts=[0])
    >>> fixed.token_log_probs(Strings.of(letters.batch([(0, 2)]))).exp()
    tensor([[0.3333, 0.3333]], dtype=torch.float64)
    """

    policy: Any
    prompts: Sequence[Any]

    def token_log_probs(self, strings: Strings) -> Tensor:
        """The ln ref(y_t | x, y_<t) of every token, zero at pads [string, token]."""
        rows = strings.prompt.cpu().numpy()
        logs = np.zeros(strings.tokens.shape)
        for index in np.unique(rows):
            place = _check.place("prompt", int(index), len(self.prompts), "FixedPolicy")
            here = strings.take(torch.as_tensor(rows == index))
            logs[rows == index] = self.policy.token_log_prob(here.batch(), self.prompts[place])
        return torch.as_tensor(logs, device=strings.tokens.device)


def supported_log_probs(reference: Reference, strings: Strings, where: str) -> Tensor:
    """The reference's ln ref of every token, without a gradient, where it says every string.

    Raises:
        ValueError: a string that the reference never says, where KL(pi || ref) is infinite.
    """
    with torch.no_grad():
        logs = reference.token_log_probs(strings)
    bad = (~torch.isfinite(logs)).any(dim=1).nonzero().flatten().tolist()
    if bad:
        spelled = " ".join(strings.take(torch.tensor(bad[:1])).words()[0])
        value = float(logs[bad[0]].sum())
        got = f"ln ref of {spelled!r} is {value} (KL(pi || ref) is infinite)"
        at = f"{where}, row {bad[0]} of {len(strings)} in the batch"
        at += f", prompt {int(strings.prompt[bad[0]])}"
        do = "Start from a policy within the reference's support, or smooth the reference."
        raise ValueError(_check.complaint(got, "finite: a string the reference says", at, do))
    return logs
