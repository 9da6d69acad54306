"""Reward models: the house's own fits on linear kinds, a teacher's scores on neural ones."""

import numpy as np
import pytest
import torch

from bandit_rlhf.comparisons import Comparisons
from bandit_rlhf.language import Language
from bandit_rlhf.neural import RewardModel, StringComparisons, Strings, compare, reward_model
from bandit_rlhf.neural.reward_model import bradley_terry_loss, mean_loss
from bandit_rlhf.neural.string_comparisons import from_table
from bandit_rlhf.reward.model import Linear
from tests import neural_worlds as worlds
from tests.neural_worlds import all_strings

LANGUAGE = Language(("a", "b", "c"), 3, "$")
PROMPTS = (("x",), ("y",))


def uniform_pairs(count: int, seed: int, prompts: int = 1) -> tuple[Strings, Strings]:
    """Pairs of strings, each drawn uniformly over the language, that answer one prompt."""
    rng = np.random.default_rng(seed)
    every, strings = all_strings(LANGUAGE, prompts), LANGUAGE.string_count
    first = rng.integers(prompts, size=count) * strings
    sides = [torch.as_tensor(first + rng.integers(strings, size=count)) for _ in range(2)]
    return every.take(sides[0]), every.take(sides[1])


def judged(gold, count: int, seed: int, prompts: int = 1) -> StringComparisons:
    return compare(*uniform_pairs(count, seed, prompts), gold, np.random.default_rng(seed))


def centred(table: np.ndarray) -> np.ndarray:
    return table - table.mean(axis=1, keepdims=True)


def test_the_loss_is_bradley_terry_s() -> None:
    model, rows = worlds.reward_model(LANGUAGE), judged(lambda s: s.lengths.double(), 20, seed=0)
    scores = [model.scores(side).detach().numpy() for side in (rows.chosen, rows.rejected)]
    by_hand = -np.log(np.exp(scores[0]) / (np.exp(scores[0]) + np.exp(scores[1])))
    assert bradley_terry_loss(model, rows).item() == pytest.approx(by_hand.mean(), abs=1e-12)
    assert mean_loss(model, rows) == pytest.approx(by_hand.mean(), abs=1e-12)
    weight = torch.arange(20.0)
    weighed = StringComparisons(rows.chosen, rows.rejected, weight)
    by_weight = (weight.numpy() * by_hand).sum() / weight.numpy().sum()
    assert mean_loss(model, weighed) == pytest.approx(by_weight, abs=1e-12)


def test_the_loss_stays_finite_at_huge_differences() -> None:
    model = worlds.reward_model(LANGUAGE, "counts")
    with torch.no_grad():
        model.network.weights[0, :, 0] = torch.tensor([1e4, 0.0, 0.0, 0.0])  # pyright: ignore
    strings = Strings.of(LANGUAGE.batch([(0, 0, 0), (1, 1, 1)]))
    pair = StringComparisons(strings.take(torch.tensor([1])), strings.take(torch.tensor([0])))
    loss = bradley_terry_loss(model, pair)
    loss.backward()
    assert loss.item() == pytest.approx(3e4)
    assert torch.isfinite(model.network.weights.grad).all()  # pyright: ignore


@pytest.mark.parametrize("kind", ["gru", "transformer", "counts", "bigrams"])
def test_the_table_holds_the_scores(kind: str) -> None:
    model = worlds.reward_model(LANGUAGE, kind, prompts=PROMPTS)
    with torch.no_grad():
        for index, parameter in enumerate(model.network.parameters()):
            noise = np.random.default_rng(index).normal(size=parameter.shape)
            parameter.add_(torch.as_tensor(noise))
    table = model.reward_table()
    scores = model.scores(all_strings(LANGUAGE, 2)).detach().numpy()
    np.testing.assert_allclose(table.ravel(), scores, rtol=0, atol=1e-12)
    for rank, string in enumerate(LANGUAGE.all_strings().strings()):
        # Read alone, without its pads: an independent way to the score.
        alone = Strings.of(LANGUAGE.batch([string]), prompt=1)
        short = alone.one_hot(torch.float64)[:, : len(string)]
        last = model.network(alone.prompt, short)[0, -1, 0]
        assert table[1, rank] == pytest.approx(float(last.detach()), abs=1e-10)
    if kind in ("counts", "bigrams"):
        np.testing.assert_array_equal(table[0], table[1])


def test_counts_fitted_to_the_end_are_the_maximum_that_the_house_finds() -> None:
    """Adam's end point against Newton's, for a problem with one optimum."""
    gold = worlds.random_table(LANGUAGE, 1, seed=1)[0]
    first, second = (side.ranks().numpy() for side in uniform_pairs(300, seed=2))
    apart = first != second
    first, second = first[apart], second[apart]
    rng = np.random.default_rng(0)
    wins = rng.random(len(first)) < 1 / (1 + np.exp(gold[second] - gold[first]))
    winner, loser = np.where(wins, first, second), np.where(wins, second, first)
    rows = Comparisons.from_ids(winner, loser, items=range(LANGUAGE.string_count))
    pads = LANGUAGE.all_strings()
    features = np.stack([(pads.tokens == a).sum(axis=1) for a in range(4)], axis=1).astype(float)
    wanted = centred(Linear(features[None], ridge=1e-9)(rows, rng))
    fitted = reward_model.fit(
        worlds.reward_model(LANGUAGE, "counts"),
        from_table(rows, LANGUAGE),
        steps=800,
        learning_rate=0.05,
        batch=len(first),
        seed=0,
    )
    np.testing.assert_allclose(centred(fitted.model.reward_table()), wanted, rtol=0, atol=1e-4)
    assert fitted.best_step == 800
    assert not fitted.stopped_early


@pytest.mark.parametrize("kind", ["gru", "transformer"])
def test_a_realisable_reward_is_recovered(kind: str) -> None:
    """What a teacher's comparisons tell is most of its variance over strings, also per prompt."""
    teacher = worlds.reward_model(LANGUAGE, kind, seed=1, prompts=PROMPTS)
    with torch.no_grad():
        teacher.network.head.weight.mul_(4)  # pyright: ignore
    rows = judged(teacher, 4000, seed=0, prompts=2)
    held_out = judged(teacher, 2000, seed=1, prompts=2)
    start = worlds.reward_model(LANGUAGE, kind, seed=2, prompts=PROMPTS, width=16, dtype="float32")
    fitted = reward_model.fit(start, rows, held_out=held_out, steps=150, seed=0)
    wanted, found = (centred(one.reward_table()) for one in (teacher, fitted.model))
    assert wanted.std() > 0.3
    assert ((found - wanted) ** 2).mean() < 0.1 * wanted.var()
    # Nobody predicts better than the teacher, up to noise of four standard errors.
    entropy = mean_loss(teacher, held_out)
    assert -4 / np.sqrt(2000) < fitted.held_out_losses.min() - entropy < 0.02


def test_early_stopping_returns_the_best_look() -> None:
    """On coin flips there is nothing to learn: a large model overfits; the best look is early."""
    rows, held_out = (judged(lambda s: 0.0 * s.lengths, n, seed=n) for n in (60, 400))
    start = worlds.reward_model(LANGUAGE, "gru", width=32, dtype="float32")
    fitted = reward_model.fit(start, rows, held_out=held_out, steps=400, patience=5, seed=0)
    assert fitted.stopped_early
    assert len(fitted.train_losses) < 400
    assert fitted.best_step == 10 * (1 + int(fitted.held_out_losses.argmin()))
    best = mean_loss(fitted.model, held_out)
    assert best == pytest.approx(fitted.held_out_losses.min(), abs=1e-7)
    assert best < fitted.held_out_losses[-1]


def test_weight_decay_shrinks_the_parameters() -> None:
    rows = judged(lambda s: s.lengths.double(), 200, seed=0)
    norms = []
    for decay in (0.0, 5.0):
        start = worlds.reward_model(LANGUAGE, "counts")
        fitted = reward_model.fit(start, rows, steps=100, weight_decay=decay, seed=0)
        norms.append(float(sum((p**2).sum() for p in fitted.model.network.parameters()).detach()))  # pyright: ignore
    assert norms[1] < 0.5 * norms[0]


def test_a_fit_follows_from_its_seed_and_leaves_the_start_alone() -> None:
    rows = judged(lambda s: s.lengths.double(), 200, seed=0)
    start = worlds.reward_model(LANGUAGE, "gru")
    before = start.reward_table()
    first, second, third = (
        reward_model.fit(start, rows, steps=20, batch=16, seed=seed).model.reward_table()
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, second)
    assert np.abs(first - third).max() > 1e-6
    np.testing.assert_array_equal(start.reward_table(), before)


def test_broken_parameters_are_named() -> None:
    rows = judged(lambda s: s.lengths.double(), 50, seed=0)
    broken = worlds.reward_model(LANGUAGE)
    with torch.no_grad():
        broken.network.head.bias.fill_(float("nan"))  # pyright: ignore
    with pytest.raises(ValueError, match=r"batch of 50 pairs is nan.*\[reward_model.fit, step 1\]"):
        reward_model.fit(broken, rows, seed=0)
    with pytest.raises(ValueError, match=r"the reward of '\$' is nan, .* row 0 of 40 .* prompt 0"):
        broken.reward_table()


def test_wrong_arguments_are_refused() -> None:
    rows = judged(lambda s: s.lengths.double(), 50, seed=0)
    model = worlds.reward_model(LANGUAGE)
    none = rows.take(torch.tensor([], dtype=torch.int64))
    with pytest.raises(ValueError, match="there are no comparisons"):
        reward_model.fit(model, none, seed=0)
    with pytest.raises(ValueError, match="weight_decay is -1, but should be at least 0"):
        reward_model.fit(model, rows, weight_decay=-1.0, seed=0)
    with pytest.raises(ValueError, match="the strings' language differs"):
        RewardModel.initial(Language(("a",), 2), [()], seed=0).scores(rows.chosen)
