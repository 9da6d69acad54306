"""Questions: every pair once, and draws by their stated law."""

import numpy as np
import pytest
from scipy import stats

from bandit_rlhf.annotator import every_question, random_questions

FALSE_ALARM = 1e-6
"""The chance that a test of sampled frequencies fails although the law is right."""


def test_every_ordered_pair_is_asked_once_under_each_prompt():
    questions = every_question(2, 4)
    asked = set(zip(questions.prompt, questions.first, questions.second, strict=True))
    assert asked == {(x, a, b) for x in range(2) for a in range(4) for b in range(4) if a != b}
    assert questions.row_count == len(asked)


PROMPTS = np.array([0.3, 0.0, 0.7])
ITEMS = np.array([[0.9, 0.08, 0.02, 0.0], [0.25] * 4, [0.0, 0.2, 0.3, 0.5]])


def stated_law(swap: bool = False) -> np.ndarray:
    """[prompt, first, second]; `swap`: the broken one, whose first is drawn by the law itself."""
    law = np.zeros((3, 4, 4))
    for x, first, second in np.ndindex(law.shape):
        if first != second:
            rest = 1 - ITEMS[x, first]
            law[x, first, second] = ITEMS[x, first] * ITEMS[x, second] / (rest if swap else 1)
    return PROMPTS[:, None, None] * law / law.sum(axis=(1, 2), keepdims=True)


@pytest.mark.parametrize("swap", [False, True])
def test_draws_follow_the_law_and_no_other(swap):
    questions = random_questions(np.random.default_rng(3), 20_000, PROMPTS, ITEMS)
    found = np.zeros((3, 4, 4))
    np.add.at(found, (questions.prompt, questions.first, questions.second), 1)
    law = stated_law(swap)
    assert (found[law == 0] == 0).all()
    fits = stats.chisquare(found[law > 0], 20_000 * law[law > 0]).pvalue > FALSE_ALARM
    assert fits == (not swap)


def test_a_law_of_one_item_is_refused():
    with pytest.raises(ValueError, match=r"item_law\[0\] has all its mass on one item"):
        random_questions(np.random.default_rng(0), 5, [1.0], [[1.0, 0.0]])


def test_control_a_prompt_that_never_occurs_may_have_one():
    laws = [[1.0, 0.0], [0.5, 0.5]]
    assert random_questions(np.random.default_rng(0), 5, [0.0, 1.0], laws).row_count == 5
