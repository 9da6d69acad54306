import numpy as np
import pytest

from experiments.lab import arena, curves
from experiments.lab.dials import Dials, fit_proxy
from experiments.lab.world import draw_world, numbers

EVERY = ("tilt", "best-of-n", "natural-gradient", "token-gradient", "vanilla-gradient")
COURSE = arena.Course(EVERY, betas=(1.0, 0.2), draws=(2, 8), steps=4, marks=3)
SHARED = {"world", "method", "setting", "kl", "distance", "proxy", "gold", "guaranteed"}


@pytest.mark.parametrize("tier", ["enumerable", "words"])
def test_every_method_gives_the_same_columns_on_every_tier(tier):
    if tier == "words":
        rows = list(arena.word_world(Dials(1.0, 100), 0, COURSE, horizon=6))
    else:
        rows = list(arena.enumerable(Dials(0.6, 100), 0, COURSE, horizon=4, worlds=2))
    assert {row["method"] for row in rows} == set(EVERY)
    assert all(set(row) >= SHARED for row in rows)
    for row in rows:
        assert row["guaranteed"] <= row["gold"] + 1e-9  # a theorem, whatever the method
        assert row["distance"] ** 2 == pytest.approx(max(row["kl"], 0))


def test_the_rows_are_those_of_the_tilted_law():
    (first, *_) = arena.enumerable(Dials(0.6, 100), 3, COURSE, horizon=4, worlds=1)
    (number,) = numbers(3)
    proxy = fit_proxy(draw_world(number, 4), Dials(0.6, 100), number)
    ((_, law),) = curves.tilt(proxy.world.law, proxy.reward, (1.0,))
    assert first["gold"] == pytest.approx((law * proxy.gold).sum() / 2, abs=1e-12)
    assert first["world"] == number


def test_seeds_have_worlds_of_their_own():
    worlds = [
        {row["world"] for row in arena.enumerable(Dials(), seed, COURSE, 4, worlds=2)}
        for seed in (0, 1)
    ]
    assert [len(own) for own in worlds] == [2, 2]
    assert not worlds[0] & worlds[1]
    assert np.allclose(COURSE.marked, (1, 2, 4))
