"""Finite problems in exact numbers: one description, read by the package and by the oracle.

Probabilities are small whole-number weights: fractions for the oracle, logits ln(weight) for the
package. Arrays are filled by the documented layout, string by string and prefix by prefix, without
a function of the package.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import strategies as st

from bandit_rlhf.bandit import ContextualBandit
from bandit_rlhf.exact.tree import TreeSum
from bandit_rlhf.language import Language
from bandit_rlhf.laws import oracle
from bandit_rlhf.policy import TabularPolicy

Weights = dict[oracle.String, list[int]]
"""From each prefix to the next tokens' weights, the end token's last."""


@dataclass(frozen=True)
class World:
    """A bandit, a policy and a reference; one entry a prompt in every tuple."""

    size: int
    horizon: int
    end: bool
    prompt_law: tuple[float, ...]
    policy_weights: tuple[Weights, ...]
    reference_weights: tuple[Weights, ...]
    rewards: tuple[dict[oracle.String, float], ...]

    @property
    def strings(self) -> list[oracle.String]:
        return oracle.strings(self.size, self.horizon, self.end)

    @property
    def language(self) -> Language:
        words = tuple("abcdefgh"[: self.size])
        return Language(words, self.horizon, "$" if self.end else None)

    @property
    def prompts(self) -> tuple[tuple[str, ...], ...]:
        return tuple(("prompt", str(x)) for x in range(len(self.prompt_law)))

    @property
    def bandit(self) -> ContextualBandit:
        return ContextualBandit(
            self.language, self.prompts, list(self.prompt_law), self.string_table(self.rewards)
        )

    @property
    def policy(self) -> TabularPolicy:
        return self.tabular(self.policy_weights)

    @property
    def reference(self) -> TabularPolicy:
        return self.tabular(self.reference_weights)

    def tabular(self, weights: tuple[Weights, ...]) -> TabularPolicy:
        """The policy whose logits are ln(weight)."""
        logs = [
            {
                (s, a): math.log(w) if w else -math.inf
                for s, row in of_x.items()
                for a, w in enumerate(row)
            }
            for of_x in weights
        ]
        return TabularPolicy(self.language, self.prompts, self.logit_table(logs))

    def place(self, string: oracle.String) -> int:
        """Where a string stands in an array [string]: by level, then by sum_k a_k V^(k-1)."""
        content = [a for a in string if a < self.size]
        index = sum(a * self.size**k for k, a in enumerate(content))
        return index + (sum(self.size**t for t in range(len(content))) if self.end else 0)

    def entry(self, prefix: oracle.String, token: int) -> int:
        """Where a logit stands in an array [entry]: level offset + a V^t + node."""
        width, actions = self.size ** len(prefix), self.size + self.end
        offset = actions * sum(self.size**t for t in range(len(prefix)))
        return offset + token * width + sum(a * self.size**k for k, a in enumerate(prefix))

    def string_table(self, of_string: Any) -> np.ndarray:
        """Dicts, one a prompt, from strings as an array [prompt, string]."""
        table = np.full((len(of_string), len(self.strings)), np.nan)
        for x, values in enumerate(of_string):
            for y, value in values.items():
                table[x, self.place(y)] = value
        return table

    def logit_table(self, of_logit: Any) -> np.ndarray:
        """Dicts, one a prompt, from (prefix, token) as an array [prompt, entry]."""
        table = np.full((len(of_logit), len(of_logit[0])), np.nan)
        for x, values in enumerate(of_logit):
            for place, value in values.items():
                table[x, self.entry(*place)] = value
        return table

    def judged(self, quantity: Callable[[int], tuple[oracle.Number, oracle.Gradient]]) -> TreeSum:
        """What the oracle says of a quantity, given for every prompt, in the package's layout."""
        chances = [Fraction(p) for p in self.prompt_law]
        values, gradients = zip(*(quantity(x) for x in range(len(chances))), strict=True)
        weighted = [
            {place: p * slope for place, slope in gradient.items()}
            for p, gradient in zip(chances, gradients, strict=True)
        ]
        total = sum(p * value for p, value in zip(chances, values, strict=True) if p)
        return TreeSum(float(total), np.array(values, dtype=float), self.logit_table(weighted))


def exact(weights: Weights) -> oracle.Policy:
    """The policy of one prompt in fractions."""
    return lambda prefix: [Fraction(w, sum(weights[prefix])) for w in weights[prefix]]


# Listed beforehand: beartype, which checks the oracle's calls, may not draw random numbers inside a
# strategy.
SHAPES = {
    (size, horizon, end): oracle.strings(size, horizon, end)
    for size, longest in ((1, 4), (2, 4), (3, 3))
    for horizon in range(1, longest + 1)
    for end in (False, True)
}
PREFIXES = {shape: oracle.prefixes(every) for shape, every in SHAPES.items()}


@st.composite
def worlds(
    draw: st.DrawFn, zeros: bool = True, reference_zeros: bool = False, prompts: int = 3
) -> World:
    """Worlds of at most 27 full-length strings a prompt.

    Args:
        draw: Hypothesis's.
        zeros: whether the policy may give a token no probability.
        reference_zeros: whether the reference may.
        prompts: the largest number of prompts; some may have no probability.
    """
    size, horizon, end = shape = draw(st.sampled_from(list(SHAPES)))
    prompt_count = draw(st.integers(1, prompts))

    def rows(allow_zero: bool) -> st.SearchStrategy[list[int]]:
        row = st.lists(
            st.integers(0 if allow_zero else 1, 7), min_size=size + end, max_size=size + end
        )
        return row.filter(any)

    def weights(allow_zero: bool) -> tuple[Weights, ...]:
        of_x = st.fixed_dictionaries({s: rows(allow_zero) for s in PREFIXES[shape]})
        return draw(st.tuples(*[of_x] * prompt_count))

    parts = draw(st.tuples(*[st.integers(0, 5)] * prompt_count).filter(any))
    quarters = st.integers(-8, 8).map(lambda quarter: quarter / 4)
    return World(
        size,
        horizon,
        end,
        prompt_law=tuple(part / sum(parts) for part in parts),
        policy_weights=weights(zeros),
        reference_weights=weights(reference_zeros),
        rewards=draw(
            st.tuples(
                *[st.fixed_dictionaries(dict.fromkeys(SHAPES[shape], quarters))] * prompt_count
            )
        ),
    )


def random_world(
    seed: int,
    size: int = 2,
    horizon: int = 3,
    end: bool = True,
    prompt_law: tuple[float, ...] = (0.25, 0.75),
) -> World:
    """One world without special features, for tests that need only one."""
    rng = np.random.default_rng(seed)
    every = oracle.strings(size, horizon, end)

    def weights() -> tuple[Weights, ...]:
        return tuple(
            {s: rng.integers(1, 8, size + end).tolist() for s in oracle.prefixes(every)}
            for _ in prompt_law
        )

    rewards = tuple({y: int(rng.integers(-8, 9)) / 4 for y in every} for _ in prompt_law)
    return World(size, horizon, end, prompt_law, weights(), weights(), rewards)
