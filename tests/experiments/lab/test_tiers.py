"""Tiers: their worlds, the last word of a state, intervals over seeds."""

import numpy as np
import polars as pl
import pytest

from bandit_rlhf.exact.lattice import Lattice
from bandit_rlhf.language import Language
from bandit_rlhf.ngram import MarkovPolicy
from experiments.lab.tiers import SIZES, exact_world, holds_on, last_word, over_tiers, tiers_of


def test_exact_tiers_are_worlds_of_their_size():
    lattice = exact_world("enumerable")
    vocabulary, horizon, prompts = SIZES["enumerable"]
    assert lattice.language.string_count < 70_000  # can be listed
    assert (lattice.language.vocabulary_size, lattice.language.horizon) == (vocabulary, horizon)
    assert len(lattice.prompts) == prompts
    assert SIZES["words"][1] >= 32
    with pytest.raises(ValueError, match=r"tier is 'neural'.*\[exact_world\]"):
        exact_world("neural")


def test_states_remember_the_last_word():
    lattice = exact_world("enumerable")
    last = last_word(lattice)
    batch = lattice.reference.sample(np.random.default_rng(0), 50)
    states, _ = lattice.read(batch)
    inner = batch.mask[:, 1:]
    assert (last[states[:, 1:]] == batch.tokens[:, :-1])[inner].all()
    assert inner.any()
    assert last[lattice.start_of(0)] == lattice.language.token(lattice.prompts[0][-1])


def test_states_that_forget_are_refused():
    coin = Language(("heads", "tails"), 3)
    lattice = Lattice.build(MarkovPolicy.from_probs(coin, 0, [[0.5, 0.5]]), {}, [("heads",)])
    with pytest.raises(ValueError, match="remember it"):
        last_word(lattice)


def test_a_tier_that_was_not_run_leaves_a_claim_undecided():
    wanted = ("enumerable", "words")
    assert over_tiers({"enumerable": "supported", "words": "supported"}, wanted) == "supported"
    assert over_tiers({"enumerable": "supported"}, wanted) == "undecided"
    assert over_tiers({"enumerable": "refuted"}, wanted) == "refuted"
    assert "not run on words" in holds_on({"enumerable": "supported"}, wanted)
    assert tiers_of(pl.DataFrame({"tier": ["words", "words", "enumerable"]})) == [
        "words",
        "enumerable",
    ]
