"""The Goodhart lab: ask people, fit a reward, optimise a policy against it, measure; again.

`rounds` runs the loop and yields a frozen `Round` for each step, measured exactly against the true
reward. A learner is a frozen value with a pure `step`:

    Tilt, BestOfN             closed-form optima on a ladder of beta or n
    ExactGradient             vanilla and natural policy gradient, summed over all strings
    SampledGradient           the same from draws, with an advantage of `bandit_rlhf.advantage`
    ClippedSurrogate          PPO: several steps on the same draws, ratios kept within a band
    PreferenceDescent         DPO and chi-PO on all comparisons at once
    ExpertIteration           imitate the best of n, exactly (or SampledExpertIteration)

A `Regulariser` adds a KL penalty and bonuses for entropy, of strings or of tokens, to the gradient
learners. `stopping` cuts a path short: `within_kl`, `until_falling`, with a `validation` score.

What is fitted to comparisons is a reward model: `reward.model` has `Tabular`, `Linear` and `Given`,
`reward.ensemble` has `EnsembleReward` with its aggregations.

>>> import numpy as np
>>> from bandit_rlhf.annotator import Person
>>> from bandit_rlhf.bandit import ContextualBandit
>>> from bandit_rlhf.language import Language
>>> from bandit_rlhf.policy import TabularPolicy
>>> from bandit_rlhf.reward.model import Linear
>>> letters = Language(("a", "the"), 4, "$")
>>> def gold(prompt, words):                     # one "the" is good, more are not
...     return 1.0 - abs(words.count("the") - 1)
>>> bandit = ContextualBandit(letters, [()], [1.0], gold)
>>> reference = TabularPolicy.uniform(letters, [()])
>>> texts = [letters.words(string) for string in letters.all_strings().strings()]
>>> counts = np.array([[[words.count(w) for w in ("a", "the")] for words in texts]], float)
>>> crowd = Survey(Person(bandit.reward_table()), pairs=300)
>>> path = rounds(bandit, reference, Tilt((10.0, 1.0, 0.1, 0.01)), Linear(counts),
...               np.random.default_rng(0), survey=crowd)
>>> table = [one.row() for one in path]          # kl, proxy, gold, entropy, ... of every step
>>> proxies, golds = ([row[name] for row in table] for name in ("proxy", "gold"))
>>> proxies == sorted(proxies), golds == sorted(golds)   # the proxy rises; the gold need not
(True, False)
"""

from bandit_rlhf.loop.clipped import ClippedSurrogate
from bandit_rlhf.loop.expert_iteration import ExpertIteration, SampledExpertIteration
from bandit_rlhf.loop.gradient import ExactGradient
from bandit_rlhf.loop.ladder import BestOfN, Tilt, best_of, tilted
from bandit_rlhf.loop.preference_descent import PreferenceDescent
from bandit_rlhf.loop.regulariser import Regulariser
from bandit_rlhf.loop.round import Round, measured
from bandit_rlhf.loop.running import RewardModel, rounds
from bandit_rlhf.loop.sampled import SampledGradient
from bandit_rlhf.loop.state import Evidence, Learner, Policy, State, as_tabular
from bandit_rlhf.loop.stopping import best_round, until_falling, validation, within_kl
from bandit_rlhf.loop.survey import Survey, joined

__all__ = [
    "BestOfN",
    "ClippedSurrogate",
    "Evidence",
    "ExactGradient",
    "ExpertIteration",
    "Learner",
    "Policy",
    "PreferenceDescent",
    "Regulariser",
    "RewardModel",
    "Round",
    "SampledExpertIteration",
    "SampledGradient",
    "State",
    "Survey",
    "Tilt",
    "as_tabular",
    "best_of",
    "best_round",
    "joined",
    "measured",
    "rounds",
    "tilted",
    "until_falling",
    "validation",
    "within_kl",
]
