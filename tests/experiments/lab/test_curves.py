import numpy as np
import pytest

from bandit_rlhf.exact import optimum, tree
from experiments.lab import curves
from experiments.lab.dials import Dials, fit_proxy
from experiments.lab.world import draw_world


@pytest.fixture(scope="module")
def proxy():
    return fit_proxy(draw_world(seed=2, horizon=4), Dials(0.5, estimation=300), seed=0)


def test_tilting_is_the_soft_bellman_optimum(proxy):
    world = proxy.world
    for beta, law in curves.tilt(world.law, proxy.reward, (2.0, 0.1)):
        best = optimum.gibbs_optimum(world.bandit(proxy.reward), world.reference, beta).policy
        np.testing.assert_allclose(law, best.string_law(), atol=1e-12)


def test_natural_gradient_on_strings_is_the_gibbs_path(proxy):
    world, step_size = proxy.world, 0.25
    path = list(curves.natural_gradient(world.log_law, proxy.reward, step_size, (1, 7, 300)))
    assert [step for step, _ in path] == [1, 7, 300]
    for step, law in path:
        ((_, gibbs),) = curves.tilt(world.law, proxy.reward, [1 / (step_size * step)])
        np.testing.assert_allclose(law, gibbs, atol=1e-8)


def test_token_gradients_are_no_gibbs_path_in_finite_steps_but_in_small_ones(proxy):
    world = proxy.world

    def apart(step_size, natural=True):
        steps = round(4 / step_size)
        path = curves.token_gradient(world, proxy.reward, step_size, (steps,), natural)
        ((_, law),) = path
        ((_, gibbs),) = curves.tilt(world.law, proxy.reward, [1 / 4])
        return np.abs(law - gibbs).max()

    assert apart(0.5) > 1e-3
    assert apart(0.05) < apart(0.5) / 4
    assert apart(0.05, natural=False) > apart(0.05)


def test_a_vanilla_step_raises_the_proxy_and_moves_logits_as_far_as_a_natural_one(proxy):
    world = proxy.world
    before = (world.law * proxy.reward).sum()
    for natural in (True, False):
        ((_, law),) = curves.token_gradient(world, proxy.reward, 0.1, (1,), natural)
        assert (law * proxy.reward).sum() > before


def test_the_ruler_agrees_with_sums_over_the_tree(proxy):
    world, ruler = proxy.world, curves.Ruler.of_proxy(proxy)
    bandit = world.bandit(proxy.gold)
    best = optimum.gibbs_optimum(world.bandit(proxy.reward), world.reference, 0.3).policy
    row = ruler(best.string_law())
    assert row["kl"] == pytest.approx(tree.kl(bandit, best, world.reference).value, abs=1e-12)
    chi = tree.chi_squared(bandit, best, world.reference).value
    assert row["chi_squared"] == pytest.approx(chi, rel=1e-10)
    gain = tree.expected_reward(bandit, best).value
    gain -= tree.expected_reward(bandit, world.reference).value
    assert row["gold"] == pytest.approx(gain, abs=1e-12)  # gold has unit variance
    assert row["kl"] < row["largest_kl"]


def test_the_reference_gains_nothing(proxy):
    row = curves.Ruler.of_proxy(proxy)(proxy.world.law)
    for name in ("kl", "chi_squared", "gold", "proxy", "guaranteed"):
        assert row[name] == pytest.approx(0, abs=1e-9)


def test_best_of_n_agrees_with_drawing(proxy):
    world, rng, n = proxy.world, np.random.default_rng(0), 4
    ((_, law),) = curves.best_of_n(world.law, proxy.reward, (n,))
    drawn = rng.choice(law.shape[1], size=(20_000, n), p=world.law[0] / world.law[0].sum())
    gold = proxy.gold[0][np.take_along_axis(drawn, proxy.reward[0][drawn].argmax(1)[:, None], 1)]
    error = gold.std() / np.sqrt(len(gold))
    assert gold.mean() == pytest.approx(law[0] @ proxy.gold[0], abs=4 * error)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("size", [0.0, 1.0, 0.377, -1 / 3, 1e7 / 7, 1e-9 / 3])
def test_a_constant_proxy_is_refused(seed, size):
    """Zero, dyadic, and constants whose centring leaves rounding; also one for every prompt."""
    world = draw_world(seed=seed, horizon=4, prompts=3)
    gold, prompts = world.on_strings(world.gold(0.0)), np.arange(1, 4)[:, None]
    for constant in (np.full_like(gold, size), np.full_like(gold, size) / prompts):
        with pytest.raises(ValueError, match=r"constant over strings, but .* \[Ruler\.of\]"):
            curves.Ruler.of(world, gold, constant)
    # Control: a proxy that differs by little, for its size.
    little = 1e-6 * (abs(size) or 1.0)
    ruler = curves.Ruler.of(world, gold, size + little * gold)
    assert ruler.proxy_sd == pytest.approx(little, rel=1e-6)
    assert ruler.correlation == pytest.approx(1, abs=1e-6)
