"""The loop itself, the only place where the arrow returns.

prompt -> policy -> strings -> annotator -> Comparisons -> reward model -> learner -> Round
   ^                                                                         |
   +-------------------------------------------------------------------------+
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike

from bandit_rlhf import _check
from bandit_rlhf.bandit import ContextualBandit
from bandit_rlhf.comparisons import Comparisons
from bandit_rlhf.loop.round import Round, judged_reward, measured
from bandit_rlhf.loop.state import Evidence, Learner, Policy, State, as_tabular
from bandit_rlhf.loop.survey import Survey, joined
from bandit_rlhf.reward.model import Given

RewardModel = Callable[[Comparisons, np.random.Generator], ArrayLike]
"""From comparisons to a reward of every string, [prompt, string]: `Tabular`, `Linear`, ..."""


def rounds(
    bandit: ContextualBandit,
    reference: Policy,
    learner: Learner,
    reward_model: RewardModel,
    rng: np.random.Generator,
    *,
    survey: Survey | None = None,
    comparisons: Comparisons | None = None,
    steps: int | None = None,
) -> Iterator[Round]:
    """Ask, fit, step, measure; again.

    The first round is the reference itself (step 0). Rewards are fitted anew whenever people were
    asked, and only then. What has been yielded stays with the caller, whatever happens later.

    Args:
        bandit: prompt law and true reward; the latter is used to measure alone.
        reference: ref, where every learner starts.
        learner: what moves the policy.
        reward_model: from comparisons to a reward of every string.
        rng: the source of all randomness.
        survey: who is asked about which strings, and when; None: nobody.
        comparisons: what was said beforehand; None: nothing.
        steps: how many; None: as many as the learner's ladder has rungs.

    Yields:
        frozen rounds, steps + 1 of them.

    Raises:
        ValueError: at once, arguments that do not fit together; at a step, a fitted reward that is
            not finite, or an infinite KL: the message names step, prompt, string and value.

    >>> from bandit_rlhf.language import Language
    >>> from bandit_rlhf.policy import TabularPolicy
    >>> from bandit_rlhf.loop.ladder import Tilt
    >>> letters = Language(("a", "b"), 1)
    >>> bandit = ContextualBandit(letters, [()], [1.0], [[0.0, 1.0]])
    >>> reference = TabularPolicy.uniform(letters, [()])
    >>> path = rounds(bandit, reference, Tilt((1.0, 0.1)), Given(np.array([[0.0, 1.0]])),
    ...               np.random.default_rng(0))
    >>> [round(one.gold, 4) for one in path]
    [0.5, 0.7311, 1.0]
    """
    where = "rounds"
    count = getattr(learner, "steps", None) if steps is None else steps
    if count is None:
        got = f"steps is None for {type(learner).__name__}, which has no ladder"
        raise ValueError(_check.complaint(got, "a number of steps", where))
    count = _check.integer_at_least("steps", count, 0, where)
    rungs = getattr(learner, "steps", count)
    if count > rungs:
        got = f"steps is {count}"
        raise ValueError(_check.complaint(got, f"at most the ladder's {rungs} rungs", where))
    start = as_tabular(reference)
    if start.language != bandit.language or start.prompts != bandit.prompts:
        got = "the reference has another language or other prompts"
        raise ValueError(_check.complaint(got, "the bandit's", where))
    if survey is None and comparisons is None and not isinstance(reward_model, Given):
        got = f"there is neither a survey nor a comparison for {type(reward_model).__name__}"
        do = "Pass survey=..., comparisons=..., or a reward that is Given."
        raise ValueError(_check.complaint(got, "one of them", where, do))
    state = State(reference, reference, bandit.prompt_law)
    table = bandit.reward_table()  # once: a reward function would be called string by string
    tabled = ContextualBandit(bandit.language, bandit.prompts, bandit.prompt_law, table)
    return _turns(tabled, state, learner, reward_model, rng, survey, comparisons, count)


def _turns(
    bandit: ContextualBandit,
    state: State,
    learner: Learner,
    reward_model: RewardModel,
    rng: np.random.Generator,
    survey: Survey | None,
    seen: Comparisons | None,
    steps: int,
) -> Iterator[Round]:
    reward = None
    for step in range(steps + 1):
        asked = 0
        if survey is not None and survey.due(step):
            fresh = survey.ask(state, rng)
            asked, seen = fresh.row_count, joined(seen if survey.keep else None, fresh)
        if reward is None or asked:
            reward = judged_reward(bandit, reward_model(seen, rng), step)  # pyright: ignore
        if step:
            try:
                state = learner.step(state, Evidence(reward, seen), rng)
            except ValueError as error:
                error.add_note(f"The learner failed at step {step}; rounds before it are sound.")
                raise
        yield measured(bandit, state, reward, seen, asked)
