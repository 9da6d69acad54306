"""Reading and writing strings along states, against plain loops over tuples."""

from typing import Any

import numpy as np
import pytest

from bandit_rlhf import walk
from bandit_rlhf.automaton import context_successors, context_tokens
from bandit_rlhf.language import Language

LETTERS = Language(("a", "b", "c"), 4, "$")
SUCCESSOR = context_successors(3, 2)


def test_read_gives_the_state_before_every_token_and_the_last_one() -> None:
    batch = LETTERS.all_strings()
    states, last = walk.read(batch, walk.along(SUCCESSOR), start=0)
    assert len(batch) == 121
    for row, string in enumerate(batch.strings()):
        content = LETTERS.content(string)
        for step in range(len(string)):
            assert context_tokens(3, 2, int(states[row, step])) == content[:step][-2:]
        assert context_tokens(3, 2, int(last[row])) == content[-2:]


@pytest.mark.parametrize("pad", [None, 3, 0])
def test_reading_does_not_depend_on_what_stands_behind_the_end(pad: int | None) -> None:
    plain, padded = LETTERS.all_strings(), LETTERS.all_strings(pad)
    follow = walk.along(SUCCESSOR)
    assert (walk.read(plain, follow, 0)[1] == walk.read(padded, follow, 0)[1]).all()
    table = np.random.default_rng(0).standard_normal((len(SUCCESSOR), 4))
    entries = [walk.pick(table, walk.read(b, follow, 0)[0], b) for b in (plain, padded)]
    assert (entries[0] == entries[1]).all()


def test_pick_reads_a_table_of_steps_at_each_tokens_own_step() -> None:
    batch = LETTERS.batch([(0, 1, 3), (2, 2, 2, 2)])
    states, _ = walk.read(batch, walk.along(SUCCESSOR), start=0)
    table = np.arange(4 * len(SUCCESSOR) * 4, dtype=float).reshape(4, len(SUCCESSOR), 4)
    expected = [[table[t, states[0, t], a] for t, a in enumerate((0, 1, 3))] + [0.0]]
    expected += [[table[t, states[1, t], 2] for t in range(4)]]
    assert (walk.pick(table, states, batch) == expected).all()


def test_unfold_numbers_nodes_as_the_language_does() -> None:
    levels = walk.unfold(LETTERS, SUCCESSOR, np.array([0, 2]))
    assert [level.shape for level in levels] == [(2, 1), (2, 3), (2, 9), (2, 27)]
    for level, states in enumerate(levels):
        for node in range(3**level):
            rank = LETTERS.node_count(level) + node
            prefix = LETTERS.content(LETTERS.unrank(rank))
            assert context_tokens(3, 2, int(states[0, node])) == prefix[-2:]
            assert context_tokens(3, 2, int(states[1, node])) == (1, *prefix)[-2:]


def test_write_follows_the_law_of_the_step_and_state() -> None:
    def law(step: int, state: np.ndarray) -> np.ndarray:
        """The token after context c at step t is (t + last token of c) mod 3, for certain."""
        last = [(context_tokens(3, 2, int(s)) or (0,))[-1] for s in state]
        return np.eye(4)[[(step + token) % 3 for token in last]]

    batch = walk.write(np.random.default_rng(1), LETTERS, walk.along(SUCCESSOR), 0, 5, law)
    assert batch.strings() == [(0, 1, 0, 0)] * 5
    assert not batch.terminated.any()


def test_write_stops_at_the_end_token() -> None:
    ending = walk.write(
        np.random.default_rng(1),
        LETTERS,
        walk.along(SUCCESSOR),
        0,
        3,
        lambda step, state: np.eye(4)[np.full(len(state), 3 if step == 1 else 0)],
    )
    assert ending.strings() == [(0, 3)] * 3
    assert (ending.tokens[:, 2:] == LETTERS.pad_token).all()


class Constant(np.random.Generator):
    """A generator whose uniform draws are all one number."""

    def __init__(self, value: float) -> None:
        super().__init__(np.random.PCG64(0))
        self.value = value

    def random(self, *shape: Any, **_: Any) -> Any:
        return np.full(shape, self.value)


@pytest.mark.parametrize(
    ("uniform", "drawn"), [(0.0, [1, 0, 2]), (np.nextafter(1.0, 0.0), [3, 0, 2])]
)
def test_the_ends_of_the_unit_interval_draw_possible_tokens(uniform: float, drawn: list) -> None:
    weights = np.array([[0, 1, 0], [3, 0, 0], [0, 0, 0.1], [0.1, 0, 0], [0, 0, 0]], dtype=float)
    assert walk.draw(Constant(uniform), weights.T).tolist() == drawn
