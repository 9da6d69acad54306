import numpy as np
import pytest

from experiments.lab.world import WORDS, bags, draw_world, monomials, unexplained


@pytest.fixture(scope="module")
def world():
    return draw_world(seed=3, horizon=5)


def test_bags_count_the_words_of_every_string(world):
    for rank in range(0, world.language.string_count, 7):
        words = world.language.words(world.language.unrank(rank))
        assert [words.count(word) for word in WORDS] == list(world.counts[world.bag[rank]])
    assert len(bags(world.language)[0]) == len(np.unique(world.counts, axis=0))


def test_both_parts_of_gold_have_mean_0_variance_1_and_do_not_correlate(world):
    law = world.on_bags(world.law)
    for x in range(2):
        parts = np.stack([world.expressible[x], world.inexpressible[x]])
        np.testing.assert_allclose(parts @ law[x], 0, atol=1e-12)
        np.testing.assert_allclose((law[x] * parts) @ parts.T, np.eye(2), atol=1e-12)
    for m in (0.0, 0.3, 1.0):
        np.testing.assert_allclose((law * world.gold(m) ** 2).sum(axis=1), 1, atol=1e-12)


def test_the_dial_is_the_share_of_variance_that_counts_do_not_express(world):
    law = world.on_bags(world.law)
    for m in (0.0, 0.4, 0.9):
        left = unexplained(world.gold(m)[0], world.counts, law[0])
        assert law[0] @ left**2 == pytest.approx(m**2, abs=1e-12)


def test_inexpressible_gold_falls_with_the_third_use_of_a_word(world):
    pure = [np.flatnonzero((world.counts == [k, 0, 0, 0]).all(axis=1))[0] for k in range(6)]
    slope = np.diff(world.inexpressible[0][pure])
    assert slope[0] == pytest.approx(slope[1])
    np.testing.assert_allclose(slope[2:], slope[2])
    assert slope[2] < slope[1]


def test_the_law_of_bags_is_that_of_strings(world):
    expected = np.zeros(len(world.counts))
    for rank in range(world.language.string_count):
        expected[world.bag[rank]] += world.law[1, rank]
    np.testing.assert_allclose(world.on_bags(world.law)[1], expected, atol=1e-14)


def test_the_best_string_is_the_argmax_and_among_equals_the_most_probable(world):
    reward = np.random.default_rng(0).standard_normal((2, world.language.string_count))
    assert world.best_string(reward, 1) == np.argmax(reward[1])
    flat = np.zeros_like(reward)
    assert world.best_string(flat, 0) == np.argmax(world.law[0])


def test_monomials_span_everything_at_full_degree():
    world = draw_world(seed=0, horizon=3, words=2, prompts=1)
    columns = np.column_stack([np.ones(len(world.counts)), monomials(world.counts, 3)])
    assert np.linalg.matrix_rank(columns) == len(world.counts)
    fewer = np.column_stack([np.ones(len(world.counts)), monomials(world.counts, 2)])
    assert np.linalg.matrix_rank(fewer) < len(world.counts)


def test_worlds_differ_by_seed_and_refuse_sizes_that_do_not_enumerate():
    assert not np.allclose(draw_world(0, 4).law, draw_world(1, 4).law)
    with pytest.raises(ValueError, match="horizon"):
        draw_world(0, 9)
    with pytest.raises(ValueError, match=r"misspecification is 1\.5"):
        draw_world(0, 4).gold(1.5)
