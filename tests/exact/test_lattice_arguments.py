"""What the lattice and its sums refuse, and that they say got, expected, where, what to do."""

from collections.abc import Callable

import numpy as np
import pytest

from bandit_rlhf.automaton import capped_count, length
from bandit_rlhf.exact import path_gradient, path_sum, reward_law, viterbi
from bandit_rlhf.exact.lattice import Lattice, LatticePolicy
from bandit_rlhf.language import Language
from bandit_rlhf.ngram import MarkovPolicy

LETTERS = Language(("a", "b"), 3, "$")
REFERENCE = MarkovPolicy.from_probs(LETTERS, 0, [[0.4, 0.3, 0.3]])
LATTICE = Lattice.build(REFERENCE, {"length": length(LETTERS)})
OTHER = Lattice.build(REFERENCE, {"count": capped_count(LETTERS, ["a"], 2)})
HERE, THERE = LATTICE.reference, OTHER.reference
FOREIGN = OTHER.payoffs["count"]
LONGER = Language(("a", "b"), 4, "$")

ELSEWHERE = r"a policy lives on another lattice, but should be on the same \[Lattice\]. Build one"
STATES = r"payoff.edge has shape \(3, 3\), but should be \(1, 3\) = \[state, action\] \[Lattice\]"
PROMPT = r"prompt is 1, but should be within 0..0 \[Lattice\]"

WRONG: list[tuple[Callable[[], object], str]] = [
    (lambda: path_sum.kl(HERE, THERE), ELSEWHERE),
    (lambda: path_sum.chi_squared(HERE, THERE), ELSEWHERE),
    (lambda: path_gradient.kl(HERE, THERE), ELSEWHERE),
    (lambda: path_gradient.kl_from(THERE, HERE), ELSEWHERE),
    (lambda: path_gradient.chi_squared(HERE, THERE), ELSEWHERE),
    (lambda: path_sum.gibbs_optimum(LATTICE, LATTICE.payoffs["length"], 1.0, THERE), ELSEWHERE),
    (lambda: path_sum.gibbs_optimum(LATTICE, FOREIGN, 1.0), STATES),
    (lambda: path_sum.expected_reward(HERE, FOREIGN), STATES),
    (lambda: path_sum.second_moment(HERE, FOREIGN, FOREIGN), STATES),
    (lambda: path_sum.advantage(HERE, FOREIGN), STATES),
    (lambda: path_gradient.expected_reward(HERE, FOREIGN), STATES),
    (lambda: viterbi.best_string(LATTICE, FOREIGN), STATES),
    (lambda: reward_law.reward_law(LATTICE, FOREIGN, 1.0), STATES),
    (lambda: LATTICE.reward(FOREIGN, LETTERS.batch([(2,)])), STATES),
    (lambda: viterbi.most_probable(HERE, 1, prompt=1), PROMPT),
    (lambda: HERE.sample(np.random.default_rng(0), 2, prompt=1), PROMPT),
    (lambda: HERE.next_token_law((), prompt=1), PROMPT),
    (
        lambda: HERE.next_token_law((0, 0, 0)),
        r"prefix is \(0, 0, 0\), but should be fewer than 3 tokens, each within 0..1",
    ),
    (
        lambda: HERE.sample(np.random.default_rng(0), -1),
        r"draws is -1, but should be at least 0 \[sample\]",
    ),
    (
        lambda: HERE.log_prob(LONGER.batch([(2,)])),
        r"the batch's language differs, but should be the lattice's \[Lattice\]",
    ),
    (
        lambda: path_sum.softmax(LATTICE, np.zeros((2, 1, 3))),
        r"log_probs has shape \(2, 1, 3\), but should be \(3, 1, 3\) = \[step, state, action\]",
    ),
    (
        lambda: path_sum.softmax(LATTICE, np.full((3, 1, 3), np.nan)),
        r"logits of step 0, state 0 is nan, but should be finite \[path_sum.softmax\]. Allow one",
    ),
    (
        lambda: path_sum.softmax(LATTICE, np.full((3, 1, 3), -np.inf)),
        r"logits of step 0, state 0 is -inf, but should be finite",
    ),
]


@pytest.mark.parametrize(("call", "says"), WRONG)
def test_wrong_arguments_say_what_and_where(call: Callable[[], object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        call()


def test_control_the_same_calls_on_one_lattice_are_answered() -> None:
    policy = LatticePolicy(LATTICE, HERE.log_probs)
    assert path_sum.kl(policy, HERE).value == 0.0
    assert path_sum.expected_reward(policy, LATTICE.payoffs["length"]).value > 1.0
