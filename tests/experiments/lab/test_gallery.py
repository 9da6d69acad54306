import numpy as np
import pytest

from experiments.lab import gallery, neural, words
from experiments.lab.dials import Dials, fit_proxy
from experiments.lab.world import draw_world


@pytest.mark.parametrize(
    ("words_", "share", "degenerate"),
    [
        (("the",) * 6, 1.0, True),
        (("the", "the", "the", "cat", "</s>"), 0.75, True),
        (("the", "the", "cat", "cat"), 0.5, False),
        (("the", "the", "the"), 1.0, False),
        (("</s>",), 0.0, False),
    ],
)
def test_what_a_repetition_is(words_, share, degenerate):
    found = gallery.described(words_, "</s>")
    assert (found["share"], found["degenerate"]) == (share, degenerate)


def test_the_enumerable_argmax_beats_every_string():
    proxy = fit_proxy(draw_world(0, 4), Dials(0.6, 200), 0)
    rows = list(gallery.in_enumerable(proxy))
    assert [row["best_by"] for row in rows[:3]] == ["proxy", "gold", "reference"]
    for x, row in enumerate(rows[::3]):
        rank = proxy.world.language.rank(spelled(proxy.world.language, row))
        assert proxy.reward[x, rank] >= proxy.reward[x].max() - 1e-12
    assert rows[2]["log_prob"] == pytest.approx(proxy.world.log_law[0].max())


def spelled(language, row):
    said = row["string"].split()
    return language.tokens(said if len(said) == language.horizon else [*said, language.end])


def test_the_lattice_argmax_beats_draws():
    proxy = words.fit_words(Dials(1.0, 300), 0, vocabulary_size=10, horizon=6)
    rows = [row for row in gallery.in_words(proxy) if row["best_by"] == "proxy"]
    lattice, rng = proxy.lattice, np.random.default_rng(0)
    for prompt, row in enumerate(rows):
        batch = lattice.reference.sample(rng, 500, prompt)
        drawn = lattice.reward(proxy.reward, batch, prompt)
        best = lattice.language.batch([spelled(lattice.language, row)])
        assert lattice.reward(proxy.reward, best, prompt)[0] >= drawn.max()


def test_a_wide_beam_finds_the_exact_argmax_of_a_network():
    proxy = neural.fit_neural(Dials(0.6, 300), 0, "gru", horizon=2, pretraining=2)
    rows = list(gallery.in_neural(proxy, beam_width=4**2))
    assert [row["best_by"] for row in rows] == ["search", "proxy"] * 2
    for found, exact in zip(rows[::2], rows[1::2], strict=True):
        assert found["proxy"] == pytest.approx(exact["proxy"], abs=1e-5)
