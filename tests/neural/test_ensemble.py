"""Ensembles: aggregations of the house, anchors, parts of the data, averages of weights."""

from functools import partial

import numpy as np
import pytest
import torch

from bandit_rlhf.language import Language
from bandit_rlhf.neural import (
    NeuralEnsemble,
    RewardModel,
    anchored,
    compare,
    ensemble,
    fit_ensemble,
    from_table,
    weight_average,
)
from bandit_rlhf.reward import ensemble as aggregations
from tests import neural_worlds as worlds
from tests.neural_worlds import all_strings

LANGUAGE = Language(("a", "b"), 3, "$")
PROMPTS = (("x",), ("y",))


def models(kind: str = "gru", count: int = 3) -> tuple[RewardModel, ...]:
    made = [worlds.reward_model(LANGUAGE, kind, seed=s, prompts=PROMPTS) for s in range(count)]
    for index, one in enumerate(made):
        noise = np.random.default_rng(index)
        with torch.no_grad():
            for parameter in one.network.parameters():
                parameter.add_(torch.as_tensor(0.3 * noise.normal(size=parameter.shape)))
    return tuple(made)


AGGREGATIONS = {
    "mean": (aggregations.mean, lambda r: sum(r) / 3),
    "worst case": (aggregations.worst_case, lambda r: np.minimum(np.minimum(*r[:2]), r[2])),
    "variance": (
        partial(aggregations.mean_minus_variance, lam=0.5),
        lambda r: sum(r) / 3 - 0.5 * (sum(x**2 for x in r) / 3 - (sum(r) / 3) ** 2),
    ),
}


@pytest.mark.parametrize("name", AGGREGATIONS)
def test_scores_are_aggregated_string_by_string(name: str) -> None:
    aggregation, by_hand = AGGREGATIONS[name]
    members = models()
    strings = all_strings(LANGUAGE, 2)
    tables = [one.reward_table().ravel() for one in members]
    found = NeuralEnsemble(members, aggregation)(strings).numpy()
    np.testing.assert_allclose(found, by_hand(tables), rtol=0, atol=1e-12)


def test_anchors_take_off_each_member_s_mean() -> None:
    bare = NeuralEnsemble(models(), aggregations.worst_case)
    law = worlds.policy(LANGUAGE, prompts=PROMPTS).string_law()
    exact = anchored(bare, law)
    np.testing.assert_allclose((exact.reward_tables() * law).sum(axis=2), 0.0, atol=1e-12)
    strings = all_strings(LANGUAGE, 2)
    on_strings = anchored(bare, strings=strings).member_scores(strings).reshape(3, 2, -1)
    np.testing.assert_allclose(on_strings.mean(axis=2), 0.0, atol=1e-12)
    # A constant a member and prompt, which no comparison sees, changes the bare minimum alone.
    shifted = list(bare.members)
    shifted[0] = shifted[0].copy()
    with torch.no_grad():
        shifted[0].network.head.bias.add_(-5.0)  # pyright: ignore
    moved = NeuralEnsemble(tuple(shifted), aggregations.worst_case)
    assert np.abs((moved(strings) - bare(strings)).numpy()).max() > 1
    np.testing.assert_allclose(anchored(moved, law)(strings), exact(strings), atol=1e-12)


@pytest.mark.parametrize("kind", ["counts", "bigrams"])
def test_averaged_weights_are_the_mean_ensemble_of_linear_members(kind: str) -> None:
    members = models(kind)
    mean = NeuralEnsemble(members).reward_tables().mean(axis=0)
    np.testing.assert_allclose(weight_average(members).reward_table(), mean, atol=1e-12)


def test_averaged_weights_are_the_mean_to_first_order_for_neighbours() -> None:
    """Halving the members' distance divides the difference by four: it is of second order."""
    start, direction = worlds.reward_model(LANGUAGE), np.random.default_rng(0)
    vectors = [torch.as_tensor(direction.normal(size=p.shape)) for p in start.network.parameters()]

    def error(distance: float) -> float:
        members = []
        for sign in (1, -1):
            one = start.copy()
            with torch.no_grad():
                for parameter, vector in zip(one.network.parameters(), vectors, strict=True):
                    parameter.add_(sign * distance * vector)
            members.append(one)
        mean = NeuralEnsemble(tuple(members)).reward_tables().mean(axis=0)
        return float(np.abs(weight_average(members).reward_table() - mean).max())

    assert error(0.01) > 1e-8
    assert error(0.01) / error(0.005) == pytest.approx(4.0, rel=0.05)


def test_members_differ_by_their_data_or_their_start() -> None:
    gold = worlds.random_table(LANGUAGE, 2, seed=0)
    rng = np.random.default_rng(0)
    ranks = [torch.as_tensor(rng.integers(LANGUAGE.string_count, size=90)) for _ in range(2)]
    every = all_strings(LANGUAGE, 2)
    rows = compare(every.take(ranks[0]), every.take(ranks[1]), from_table(LANGUAGE, gold), rng)

    def fitted(source, start, **options):
        fits = fit_ensemble(start, rows, 3, source=source, steps=10, seed=0, **options)
        return np.stack([one.model.reward_table() for one in fits])

    def fresh(seed: int) -> RewardModel:
        return worlds.reward_model(LANGUAGE, "gru", seed=seed, prompts=PROMPTS)

    for source in ("shared", "private", "bootstrap"):
        tables = fitted(source, fresh)
        assert np.abs(tables[0] - tables[1]).max() > 1e-3
        np.testing.assert_array_equal(tables, fitted(source, fresh))
    # One start and all the data in one batch: nothing is left to differ by.
    one = fresh(0)
    same = fitted("shared", one, batch=90)
    np.testing.assert_allclose(same[0], same[1], atol=1e-9)
    assert np.abs(np.diff(fitted("private", one, batch=90), axis=0)).max() > 1e-3
    held_out = fit_ensemble(one, rows, 2, source="private", held_out=0.2, steps=20, seed=0)
    assert all(len(fit.held_out_losses) == 2 for fit in held_out)


def test_private_parts_share_no_pair() -> None:
    every = all_strings(LANGUAGE, 1)
    pairs = compare(every, every, lambda s: s.lengths.double(), np.random.default_rng(0))
    parts = ensemble.samples(pairs, 4, "private", seed=0)
    ranks = torch.cat([part.chosen.ranks() for part in parts])
    assert sorted(ranks.tolist()) == list(range(LANGUAGE.string_count))
    resampled = ensemble.samples(pairs, 2, "bootstrap", seed=0)
    assert all(len(one) == len(pairs) for one in resampled)
    assert all(len(set(one.chosen.ranks().tolist())) < len(pairs) for one in resampled)


def test_wrong_arguments_are_refused() -> None:
    members = models()
    with pytest.raises(ValueError, match="members is empty"):
        NeuralEnsemble(())
    with pytest.raises(ValueError, match="members is empty"):
        weight_average([])
    other = worlds.reward_model(Language(("a",), 2), prompts=PROMPTS)
    with pytest.raises(ValueError, match="member 1 has another language"):
        NeuralEnsemble((members[0], other))
    with pytest.raises(ValueError, match="the architecture of member 1 is"):
        weight_average([members[0], worlds.reward_model(LANGUAGE, width=4, prompts=PROMPTS)])
    with pytest.raises(ValueError, match="neither or both of law and strings"):
        anchored(NeuralEnsemble(members))
    with pytest.raises(ValueError, match="prompt 1 has no strings"):
        anchored(NeuralEnsemble(members), strings=all_strings(LANGUAGE, 1))
    every = all_strings(LANGUAGE, 1)
    pairs = compare(every, every, lambda s: s.lengths.double(), np.random.default_rng(0))
    with pytest.raises(ValueError, match="members is 0, but should be at least 1"):
        fit_ensemble(members[0], pairs, 0, seed=0)
    with pytest.raises(ValueError, match="source is 'borrowed'"):
        ensemble.samples(pairs, 2, "borrowed", seed=0)
    with pytest.raises(ValueError, match="count is 16 for 15 pairs"):
        ensemble.samples(pairs, 16, "private", seed=0)
