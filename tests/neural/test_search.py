"""Searches: exhaustive when wide, gains by finite differences, scores that never fall."""

import numpy as np
import pytest
import torch

from bandit_rlhf.language import Language
from bandit_rlhf.neural import (
    FixedPolicy,
    NeuralEnsemble,
    Strings,
    compare,
    from_table,
    gallery,
    reward_model,
)
from bandit_rlhf.neural.search import beam, substitute, substitution_gains
from bandit_rlhf.policy import TabularPolicy
from bandit_rlhf.reward.ensemble import worst_case
from tests import neural_worlds as worlds
from tests.neural_worlds import all_strings

LANGUAGES = {
    "with end": Language(("a", "b", "c"), 4, "$"),
    "without end": Language(("a", "b", "c"), 4),
}
KINDS = ["gru", "transformer", "counts", "bigrams"]


def model_of(language: Language, kind: str, seed: int = 0):
    model = worlds.reward_model(language, kind, seed=seed, prompts=(("x",), ("y",)))
    noise = np.random.default_rng(seed)
    with torch.no_grad():
        for parameter in model.network.parameters():
            parameter.add_(torch.as_tensor(noise.normal(size=parameter.shape)))
    return model


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", LANGUAGES)
@pytest.mark.parametrize("seed", range(3))
def test_a_wide_beam_finds_the_best_strings_of_all(kind: str, name: str, seed: int) -> None:
    language = LANGUAGES[name]
    model = model_of(language, kind, seed)
    table = model.reward_table()
    for prompt in range(2):
        found = beam(model, prompt=prompt, width=27, keep=5)
        best = np.sort(table[prompt])[::-1][:5]
        np.testing.assert_allclose(model.scores(found).detach(), best, rtol=0, atol=1e-10)
        assert set(found.prompt.tolist()) == {prompt}
        assert len(set(found.ranks().tolist())) == 5


def test_a_beam_searches_an_ensemble_under_its_aggregation() -> None:
    language = LANGUAGES["with end"]
    members = tuple(model_of(language, "gru", seed) for seed in range(3))
    ensemble = NeuralEnsemble(members, worst_case)
    table = worst_case(ensemble.reward_tables())
    for prompt in range(2):
        found = beam(ensemble, prompt=prompt, width=27)
        assert float(ensemble(found)[0]) == pytest.approx(table[prompt].max(), abs=1e-10)
    assert table[0].max() < min(member.reward_table()[0].max() for member in members)


def test_control_a_beam_of_one_can_miss_the_best() -> None:
    """Otherwise the test above would not need its width."""
    language = LANGUAGES["with end"]
    missed = 0
    for seed in range(20):
        model = model_of(language, "gru", seed)
        found = float(model.scores(beam(model, width=1)).detach()[0])
        best = model.reward_table()[0].max()
        assert found <= best + 1e-10
        missed += found < best - 1e-6
    assert missed > 0


def test_a_wider_beam_finds_nothing_worse_at_the_ends() -> None:
    """Width 1 scores what greedy writing scores; what it finds, the widest finds or betters."""
    model = model_of(LANGUAGES["with end"], "transformer")
    scores = [float(model.scores(beam(model, width=w)).detach()[0]) for w in (1, 27)]
    assert scores[0] <= scores[1] + 1e-10


@pytest.mark.parametrize("kind", KINDS)
def test_gains_are_slopes_in_the_tokens(kind: str) -> None:
    """(1 - s) e_b + s e_a at one place: the score's slope at s = 0 is the gain, by differences."""
    language = LANGUAGES["with end"]
    model, strings = model_of(language, kind), all_strings(language).take(torch.tensor([60, 25, 7]))
    gains = substitution_gains(model, strings)
    checked = 0
    for row, string in enumerate(strings.batch().strings()):
        for place in range(language.horizon):
            for action in range(language.action_count):
                replaceable = (
                    place < len(string) and string[place] < 3 and action < 3 != action
                ) and action != string[place]
                if not replaceable:
                    assert gains[row, place, action] == -torch.inf
                    continue
                sides = []
                for s in (1e-5, -1e-5):
                    vectors = strings.one_hot(torch.float64)
                    vectors[row, place, string[place]] -= s
                    vectors[row, place, action] += s
                    sides.append(
                        float(model.scores_of_one_hot(strings, vectors)[row, len(string)].detach())
                    )
                slope = (sides[0] - sides[1]) / 2e-5
                assert float(gains[row, place, action]) == pytest.approx(slope, rel=1e-5, abs=1e-7)
                checked += 1
    assert checked > 10


def test_for_counts_gains_are_exact_and_the_optimum_is_a_repetition() -> None:
    """Of a given length, a linear score is highest for its best word, again and again."""
    language = LANGUAGES["with end"]
    model = model_of(language, "counts")
    best = int(model.network.weights[0, :3, 0].argmax())  # pyright: ignore
    found = substitute(model, all_strings(language), candidates=1)
    for before, after in zip(
        language.all_strings().strings(), found.batch().strings(), strict=True
    ):
        assert len(before) == len(after)
        assert set(after) <= {best, 3}


@pytest.mark.parametrize("kind", ["gru", "transformer", "bigrams"])
def test_substitution_ends_where_no_single_token_helps(kind: str) -> None:
    language = LANGUAGES["with end"]
    model, starts = model_of(language, kind), all_strings(language, 2)
    table = model.reward_table()
    found = substitute(model, starts, candidates=language.horizon * 3)
    before, after = (model.scores(one).detach().numpy() for one in (starts, found))
    assert (after >= before).all()
    assert (after > before + 1e-6).any()
    for prompt, string, score in zip(
        found.prompt.tolist(), found.batch().strings(), after, strict=True
    ):
        for place, token in enumerate(string):
            for action in range(3):
                if token < 3:
                    other = (*string[:place], action, *string[place + 1 :])
                    assert table[prompt, language.rank(other)] <= score + 1e-9


def test_one_candidate_and_one_round_change_one_token_at_most() -> None:
    language = LANGUAGES["without end"]
    model, starts = model_of(language, "gru"), all_strings(language)
    found = substitute(model, starts, candidates=1, rounds=1)
    changed = (found.tokens != starts.tokens).sum(dim=1)
    assert set(changed.tolist()) == {0, 1}


def test_the_gallery_says_what_each_judge_says() -> None:
    language = LANGUAGES["with end"]
    rng = np.random.default_rng(0)
    reference = TabularPolicy.normal(language, [()], rng)
    proxy, gold = (worlds.random_table(language, 1, seed=seed) for seed in (0, 1))
    ranks = [5, 60, 5, 0]
    strings = all_strings(language).take(torch.tensor(ranks))
    rows = gallery(
        from_table(language, proxy),
        strings,
        gold=from_table(language, gold),
        reference=FixedPolicy(reference, prompts=[0]),
    )
    assert len(rows) == 3
    assert [one.proxy for one in rows] == sorted((one.proxy for one in rows), reverse=True)
    for one in rows:
        rank = language.rank(one.string)
        assert one.words == language.words(one.string)
        assert (one.proxy, one.gold) == (proxy[0, rank], gold[0, rank])
        wanted = reference.string_log_law()[0, rank]
        assert one.ref_log_prob == pytest.approx(wanted, abs=1e-12)
    bare = gallery(from_table(language, proxy), strings)[0]
    assert (bare.gold, bare.ref_log_prob) == (None, None)


def test_the_repetition_is_found_where_the_gold_saturates() -> None:
    """A proxy linear in counts, fitted where one "a" is good: its argmax says "a" to the end."""
    language = Language(("a", "b", "c"), 5, "$")
    gold = np.array(
        [[2.0 * min(string.count(0), 1) for string in language.all_strings().strings()]]
    )
    rng = np.random.default_rng(0)
    uniform = TabularPolicy.uniform(language, [()])
    first, second = (Strings.of(uniform.sample(rng, 2000)) for _ in range(2))
    rows = compare(first, second, from_table(language, gold), rng)
    start = worlds.reward_model(language, "counts")
    fitted = reward_model.fit(start, rows, steps=200, seed=0).model
    best = gallery(fitted, beam(fitted, width=81), gold=from_table(language, gold))[0]
    assert best.proxy == pytest.approx(fitted.reward_table().max(), abs=1e-10)
    assert best.words == ("a",) * 5
    assert best.gold == 2.0
    one = Strings.of(language.batch([(0, 3)]))
    assert float(fitted.scores(one).detach()) < best.proxy - 1  # the gold is the same


def test_wrong_arguments_are_refused() -> None:
    model = model_of(LANGUAGES["with end"], "gru")
    strings = all_strings(LANGUAGES["with end"])
    with pytest.raises(ValueError, match="width is 0, but should be at least 1"):
        beam(model, width=0)
    with pytest.raises(ValueError, match=r"prompt is 2, but should be within 0\.\.1"):
        beam(model, prompt=2)
    with pytest.raises(ValueError, match="candidates is 0, but should be at least 1"):
        substitute(model, strings, candidates=0)
    with pytest.raises(ValueError, match="the strings' language differs"):
        substitute(model, all_strings(LANGUAGES["without end"]))
