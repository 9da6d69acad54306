"""When to stop: rules that cut a path of rounds short.

Each takes an iterable of rounds and yields the first of them, lazily: what is cut off is never
computed. The step budget needs no rule, it is the argument `steps` of `rounds`.
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import ArrayLike

from bandit_rlhf import _check
from bandit_rlhf._array import Int
from bandit_rlhf.annotator import Annotator, Questions
from bandit_rlhf.loop.round import Round
from bandit_rlhf.loop.state import as_tabular
from bandit_rlhf.policy import TabularPolicy


def within_kl(path: Iterable[Round], budget: float) -> Iterator[Round]:
    """The rounds before the first whose KL exceeds a budget.

    Args:
        path: the rounds.
        budget: nats, at least 0.

    Raises:
        ValueError: a negative budget.

    >>> from bandit_rlhf.bandit import ContextualBandit
    >>> from bandit_rlhf.language import Language
    >>> from bandit_rlhf.loop import Tilt, rounds
    >>> from bandit_rlhf.reward.model import Given
    >>> letters, reward = Language(("a", "b"), 1), np.array([[0.0, 1.0]])
    >>> bandit = ContextualBandit(letters, [()], [1.0], reward)
    >>> half = TabularPolicy.uniform(letters, [()])
    >>> path = rounds(bandit, half, Tilt((1.0, 0.1)), Given(reward), np.random.default_rng(0))
    >>> [one.step for one in within_kl(path, 0.5)]
    [0, 1]
    """
    budget = _check.non_negative("budget", budget, "within_kl")
    return _while(path, lambda one: one.kl <= budget)


def until_falling(
    path: Iterable[Round], score: Callable[[Round], float], patience: int
) -> Iterator[Round]:
    """The rounds until a score has not risen above its best for `patience` rounds on end.

    Args:
        path: the rounds.
        score: of a round, higher is better: `validation`, or `lambda one: one.gold` for the stop
            that only one who knows the truth could make.
        patience: at least 1.

    Raises:
        ValueError: a patience below 1; a score that is not finite.

    >>> from bandit_rlhf.bandit import ContextualBandit
    >>> from bandit_rlhf.language import Language
    >>> from bandit_rlhf.loop import Tilt, rounds
    >>> from bandit_rlhf.reward.model import Given
    >>> letters = Language(("a", "b"), 1)
    >>> bandit = ContextualBandit(letters, [()], [1.0], [[0.0, 1.0]])
    >>> half, wrong = TabularPolicy.uniform(letters, [()]), Given(np.array([[1.0, 0.0]]))
    >>> path = rounds(bandit, half, Tilt((9.0, 3.0, 1.0)), wrong, np.random.default_rng(0))
    >>> [one.step for one in until_falling(path, lambda one: one.gold, patience=2)]
    [0, 1, 2]
    """
    patience = _check.integer_at_least("patience", patience, 1, "until_falling")
    return _until_falling(path, score, patience)


def best_round(path: Iterable[Round], score: Callable[[Round], float]) -> Round:
    """The round with the highest score, the first of several.

    Raises:
        ValueError: no rounds.

    >>> from bandit_rlhf.bandit import ContextualBandit
    >>> from bandit_rlhf.language import Language
    >>> from bandit_rlhf.loop import Tilt, rounds
    >>> from bandit_rlhf.reward.model import Given
    >>> letters, reward = Language(("a", "b"), 1), np.array([[0.0, 1.0]])
    >>> bandit = ContextualBandit(letters, [()], [1.0], reward)
    >>> half = TabularPolicy.uniform(letters, [()])
    >>> path = rounds(bandit, half, Tilt((1.0, 0.1)), Given(reward), np.random.default_rng(0))
    >>> best_round(path, lambda one: one.gold).setting
    0.1
    """
    kept, best = None, -np.inf
    for one in path:
        value = score(one)
        if kept is None or value > best:
            kept, best = one, value
    if kept is None:
        raise ValueError(_check.complaint("the path has 0 rounds", "one or more", "best_round"))
    return kept


def validation(
    annotator: Annotator,
    reference: TabularPolicy,
    prompt_law: ArrayLike,
    pairs: int,
    rng: np.random.Generator,
) -> Callable[[Round], float]:
    """A score from fresh judgements: how often people prefer the policy's string to another's.

    What one who lacks the true reward can do: draw pairs of a string of pi and one of ref, ask,
    count ties as a half. Equal strings need no asking; they tie.

    Args:
        annotator: who judges.
        reference: ref, the opponent.
        prompt_law: p, [prompt].
        pairs: judgements a round, at least 1.
        rng: the source of randomness.

    Returns:
        From a round to a win rate within 0 to 1; its standard error is at most 1 / (2 sqrt(pairs)).

    >>> from bandit_rlhf.annotator import Person
    >>> from bandit_rlhf.bandit import ContextualBandit
    >>> from bandit_rlhf.language import Language
    >>> from bandit_rlhf.loop import Tilt, rounds
    >>> from bandit_rlhf.reward.model import Given
    >>> letters, reward = Language(("a", "b"), 1), np.array([[0.0, 1.0]])
    >>> bandit = ContextualBandit(letters, [()], [1.0], reward)
    >>> half = TabularPolicy.uniform(letters, [()])
    >>> path = rounds(bandit, half, Tilt((1.0, 0.1)), Given(reward), np.random.default_rng(0))
    >>> crowd = Person(40.0 * reward)              # always prefers "b"
    >>> score = validation(crowd, half, [1.0], 1000, np.random.default_rng(0))
    >>> [abs(score(one) - (1 / 4 + one.gold / 2)) < 0.06 for one in path]
    [True, True, True]
    """
    pairs = _check.integer_at_least("pairs", pairs, 1, "validation")
    law_of_prompts = _check.distribution("prompt_law", prompt_law, "validation")

    def score(one: Round) -> float:
        policy = as_tabular(one.policy)
        prompts, strings = len(policy.prompts), policy.language.string_count
        prompt = rng.choice(prompts, size=pairs, p=law_of_prompts)
        own, other = (_strings(law, prompt, rng) for law in (policy, reference))
        apart = own != other
        won = np.full(pairs, 0.5)
        if apart.any():
            asked = Questions(prompt[apart], own[apart], other[apart], prompts, strings)
            law = annotator.outcome_probs(asked).cumsum(axis=1)
            outcome = (law[:, :-1] <= rng.random((len(law), 1))).sum(axis=1)
            won[apart] = 1.0 - outcome / 2
        return float(won.mean())

    return score


def _strings(
    policy: TabularPolicy, prompt: np.ndarray, rng: np.random.Generator
) -> Int[np.ndarray, " row"]:
    """[row], the rank of one string drawn for each prompt named."""
    ranks = np.empty(len(prompt), np.int64)
    for x in np.unique(prompt):
        rows = np.flatnonzero(prompt == x)
        ranks[rows] = policy.sample(rng, len(rows), int(x)).ranks()
    return ranks


def _while(path: Iterable[Round], fine: Callable[[Round], bool]) -> Iterator[Round]:
    for one in path:
        if not fine(one):
            return
        yield one


def _until_falling(
    path: Iterable[Round], score: Callable[[Round], float], patience: int
) -> Iterator[Round]:
    best, waited = -np.inf, 0
    for one in path:
        value = _check.real("score", float(score(one)), "until_falling")
        best, waited = (value, 0) if value > best else (best, waited + 1)
        yield one
        if waited >= patience:
            return
