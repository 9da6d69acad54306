"""Limited attention: conditional means, against sums in fractions."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandit_rlhf.annotator import glimpsed_reward, prefix_part
from bandit_rlhf.language import Language
from tests.comparison_worlds import CHECKED_AT_RANDOM

pytestmark = CHECKED_AT_RANDOM

LANGUAGES = [Language(("a", "b"), 3, "$"), Language(("a", "b", "c"), 2)]


@given(
    st.lists(
        st.tuples(st.integers(-8, 8), st.integers(0, 5), st.integers(0, 2)), min_size=2, max_size=7
    ).filter(lambda rows: any(weight for _, weight, _ in rows))
)
def test_a_glimpse_is_the_conditional_mean(rows):
    reward, weight, part = (list(column) for column in zip(*rows, strict=True))
    law = np.array(weight) / sum(weight)
    found = glimpsed_reward([reward], [law], part)[0]
    for y in range(len(rows)):
        alike = [k for k in range(len(rows)) if part[k] == part[y]]
        mass = sum(weight[k] for k in alike)
        top = sum((weight[k] if mass else 1) * reward[k] for k in alike)
        assert found[y] == pytest.approx(float(Fraction(top, mass or len(alike))), abs=1e-12)
    assert law @ found == pytest.approx(law @ np.array(reward), abs=1e-12)  # the tower rule


@pytest.mark.parametrize("language", LANGUAGES, ids=["ends", "fixed length"])
@pytest.mark.parametrize("tokens", range(4))
def test_parts_are_equal_prefixes(language, tokens):
    strings = [language.unrank(k) for k in range(language.string_count)]
    part = prefix_part(language, tokens)
    for one, string in enumerate(strings):
        for two, other in enumerate(strings):
            assert (part[one] == part[two]) == (string[:tokens] == other[:tokens])


def test_reading_all_gives_the_reward_and_reading_nothing_its_mean():
    language = LANGUAGES[0]
    rng = np.random.default_rng(0)
    reward = rng.standard_normal((2, language.string_count))
    law = rng.dirichlet(np.ones(language.string_count), size=2)
    whole = glimpsed_reward(reward, law, prefix_part(language, 3))
    assert whole == pytest.approx(reward, abs=1e-12)
    nothing = glimpsed_reward(reward, law, prefix_part(language, 0))
    assert nothing == pytest.approx(
        np.broadcast_to((law * reward).sum(axis=1)[:, None], reward.shape), abs=1e-12
    )


def test_a_law_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"law has shape \(1, 2\)"):
        glimpsed_reward([[0.0, 1.0, 2.0]], [[0.5, 0.5]], [0, 0, 1])
