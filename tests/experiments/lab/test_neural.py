import math

import numpy as np
import pytest

from bandit_rlhf.neural.judge import SampledJudge
from bandit_rlhf.neural.learner import Optimiser, last, train
from bandit_rlhf.neural.policy_gradient import PolicyGradient
from bandit_rlhf.neural.strings import from_table
from experiments.lab import curves, neural
from experiments.lab.dials import Dials


@pytest.fixture(scope="module")
def proxy():
    return neural.fit_neural(Dials(0.6, 500), 1, "counts", horizon=3, pretraining_steps=60)


def test_the_reference_learns_the_law_of_the_world(proxy):
    apart = np.abs(proxy.law - proxy.world.law).sum(axis=1) / 2
    assert (apart < 0.1).all()
    start = neural.fit_neural(Dials(0.6, 500), 1, "counts", horizon=3, pretraining_steps=1)
    assert (np.abs(start.law - proxy.world.law).sum(axis=1) / 2 > apart).all()  # control


def test_the_reward_model_agrees_with_gold_where_it_was_asked(proxy):
    assert curves.Ruler.of(proxy.world, proxy.gold, proxy.reward, proxy.law).correlation > 0.5


def test_a_model_linear_in_counts_is_linear_in_counts(proxy):
    counts = proxy.world.counts[proxy.world.bag]
    ended = proxy.world.lengths < proxy.world.language.horizon
    columns = np.column_stack([np.ones(len(counts)), counts, ended])
    _, residual, *_ = np.linalg.lstsq(columns, proxy.reward[0], rcond=None)
    assert float(residual.sum()) < 1e-8


def test_exact_measures_lie_within_the_intervals_of_sampled_ones(proxy):
    ruler = curves.Ruler.of(proxy.world, proxy.gold, proxy.reward, proxy.law)
    (row,) = neural.sampled_gradient(proxy, 0, 10, 1e-2, (10,))
    gold = from_table(proxy.world.language, ruler.gold)
    judge = SampledJudge(proxy.reference, proxy.model, gold, proxy.world.prompt_law, draws=4000)
    learner = PolicyGradient(
        reference=proxy.reference,
        proxy=neural.scaled(proxy.model, ruler.proxy_sd),
        kl="none",
        prompt_law=proxy.world.prompt_law,
        groups=4,
        draws=16,
    )
    path = train(proxy.reference, learner, judge, steps=10, optimiser=Optimiser(1e-2), seed=0)
    sampled = last(path).measures
    assert sampled.gold is not None
    for name, exact in (("kl", row["kl"]), ("gold", row["gold"] * ruler.gold_sd)):
        estimate = getattr(sampled, name)
        assert abs(estimate.mean - exact) < 4 * estimate.stderr


def test_dials_that_a_network_does_not_have_are_refused():
    for dials in (Dials(0.6), Dials(0.6, 100, tail=2.0)):
        with pytest.raises(ValueError, match="neural tier"):
            neural.fit_neural(dials, 0, "counts", horizon=3)
    assert math.isinf(Dials().estimation)
