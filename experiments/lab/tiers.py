"""The tiers on which a claim is tried, and the words in which a verdict names them.

- `enumerable`: four words and horizon 7, so that every string can be listed; exact;
- `words`: 150 words of English and horizon 32, summed on the lattice; exact;
- `neural`: small neural policies or rewards; sampled, over seeds.
"""

from collections.abc import Mapping
from typing import Literal, get_args

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from bandit_rlhf.exact.lattice import Lattice
from experiments.judging import Interval, Verdict, bootstrap_interval
from experiments.word_world import world

Tier = Literal["enumerable", "words", "neural"]
TIERS: tuple[Tier, ...] = get_args(Tier)

SIZES: dict[str, tuple[int, int, int]] = {"enumerable": (4, 7, 2), "words": (150, 32, 3)}
"""Vocabulary (unknown word included), horizon and prompts of the exact tiers."""


def exact_world(tier: str) -> Lattice:
    """The word world in the size of an exact tier.

    Raises:
        ValueError: the tier is not an exact one.
    """
    if tier not in SIZES:
        raise ValueError(f"tier is {tier!r}, but should be one of {', '.join(SIZES)} [exact_world]")
    return world(*SIZES[tier])


def last_word(lattice: Lattice) -> np.ndarray:
    """The word that leads into each state [state]; -1 where none does (no prompt, nothing written).

    Raises:
        ValueError: two words lead into one state, as the reference is of order 0.
    """
    size = lattice.language.vocabulary_size
    last = np.full(lattice.state_count, -1)
    last[lattice.start] = [lattice.language.token(prompt[-1]) for prompt in lattice.prompts]
    last[lattice.successor.ravel()] = np.tile(np.arange(size), lattice.state_count)
    if (last[lattice.successor] != np.arange(size)).any():
        raise ValueError("states forget the last word, but should remember it [last_word].")
    return last


def holds_on(verdicts: Mapping[str, Verdict]) -> str:
    """On which tiers a claim holds, in words.

    >>> holds_on({"enumerable": "supported", "words": "refuted", "neural": "supported"})
    'holds on enumerable, neural; refuted on words'
    """
    phrases = {"supported": "holds on", "refuted": "refuted on", "undecided": "undecided on"}
    parts = []
    for verdict, phrase in phrases.items():
        tiers = [tier for tier, found in verdicts.items() if found == verdict]
        if tiers:
            parts.append(f"{phrase} {', '.join(tiers)}")
    return "; ".join(parts)


def over_seeds(values: ArrayLike) -> Interval:
    """95 % over seeds, by a generator of its own so that a verdict is a function of the rows."""
    return bootstrap_interval(values, np.random.default_rng(0))


def tiers_of(table: pl.DataFrame) -> list[str]:
    """The tiers of a table of rows, in its order."""
    return table["tier"].unique(maintain_order=True).to_list()
