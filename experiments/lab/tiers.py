"""The tiers on which a claim is tried, and the words in which a verdict names them.

- `enumerable`: four words and horizon 8 at most, so that every string can be listed; exact. Most
  experiments draw such a world for each seed (`lab.world`), those on entropy and reuse take the
  commonest words of a text (`exact_world`);
- `words`: 150 words of English and horizon 32, summed on the lattice; exact;
- `neural`: small neural policies or rewards; sampled, over seeds.
"""

from collections.abc import Collection, Mapping
from typing import Literal, get_args

import numpy as np
import polars as pl

from bandit_rlhf.exact.lattice import Lattice
from experiments.judging import Verdict, all_of
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


def over_tiers(verdicts: Mapping[str, Verdict], wanted: Collection[str] = TIERS) -> Verdict:
    """The verdict on all tiers that a prediction names: one that was not run leaves it undecided.

    >>> over_tiers({"enumerable": "supported", "words": "supported"}, ("enumerable", "words"))
    'supported'
    >>> over_tiers({"enumerable": "supported"}), over_tiers({"enumerable": "refuted"})
    ('undecided', 'refuted')
    """
    absent: list[Verdict] = ["undecided" for tier in wanted if tier not in verdicts]
    return all_of([*verdicts.values(), *absent])


def holds_on(verdicts: Mapping[str, Verdict], wanted: Collection[str] = TIERS) -> str:
    """On which tiers a claim holds, in words.

    >>> holds_on({"enumerable": "supported", "words": "refuted", "neural": "supported"})
    'holds on enumerable, neural; refuted on words'
    >>> holds_on({"enumerable": "undecided"}, ("enumerable", "words"))
    'undecided on enumerable; not run on words'
    """
    phrases = {"supported": "holds on", "refuted": "refuted on", "undecided": "undecided on"}
    parts = []
    for verdict, phrase in phrases.items():
        tiers = [tier for tier, found in verdicts.items() if found == verdict]
        if tiers:
            parts.append(f"{phrase} {', '.join(tiers)}")
    absent = [tier for tier in wanted if tier not in verdicts]
    if absent:
        parts.append(f"not run on {', '.join(absent)}")
    return "; ".join(parts)


def tiers_of(table: pl.DataFrame) -> list[str]:
    """The tiers of a table of rows, in its order."""
    return table["tier"].unique(maintain_order=True).to_list()
