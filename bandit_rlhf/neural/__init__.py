"""Neural policies and reward models over the package's languages: the only rooms that need torch.

Install the extra `[neural]`. One value, `Strings` (token ids, mask, prompt ids, as tensors), goes
from place to place; a *reward* is any function from `Strings` to one number a row. Values are
frozen: whatever trains returns something new. Everything random takes a seed or a
`torch.Generator`, every constructor a `device`; `Architecture(dtype="float64")` is exact enough for
tests.

    strings             Strings, from_table and from_batches (rewards from NumPy), reward_table
    network             Architecture("gru" | "transformer" | "counts" | "bigrams", width, layers)
    policy              NeuralPolicy: log_probs, sample, string_law, tabular (-> all exact sums)
    pretraining         fit_to_law, fit_to_strings
    string_comparisons  StringComparisons, compare (a Bradley-Terry annotator), from_table
    reward_model        RewardModel: scores, reward_table; fit (held-out early stopping)
    ensemble            fit_ensemble, NeuralEnsemble, anchored, weight_average
    reference           FixedPolicy: a NumPy policy as the reference
    judge               ExactJudge (sums), SampledJudge (means with standard errors)
    learner             train -> Rounds (step, policy, KL, proxy, gold, entropy); Checkpoints
    policy_gradient     PolicyGradient (RLOO, GRPO, PPO ...), ExactGradient
    preference_learner  PreferenceLearner (DPO, chi-PO ...);  expert_iteration  ExpertIteration
    search              beam, substitute, gallery
    in_the_loop         NeuralReward, NeuralSteps: both in `bandit_rlhf.loop.rounds`
    checkpoint          save, load, restore: safetensors

A world of three words, a gold reward, a reward model fitted to comparisons, and RLOO against it:

>>> import numpy as np, torch
>>> from bandit_rlhf.language import Language
>>> from bandit_rlhf.neural import *
>>> language = Language(("the", "cat", "sat"), horizon=3, end=".")
>>> gold = from_batches(lambda batch: (batch.tokens == 1).sum(axis=1) * 1.0)  # pays for "cat"
>>> policy = NeuralPolicy.initial(language, [()], Architecture("gru", width=16), seed=0)
>>> generator = torch.Generator().manual_seed(0)
>>> pairs = [policy.sample(generator, prompt=0, draws=500) for _ in range(2)]
>>> comparisons = compare(*pairs, gold, np.random.default_rng(0))
>>> start = RewardModel.initial(language, [()], Architecture("gru", width=16), seed=1)
>>> proxy = reward_model.fit(start, comparisons, steps=60, seed=0).model
>>> learner = PolicyGradient(reference=policy, proxy=proxy, beta=0.2, groups=1, draws=64)
>>> judge = ExactJudge.of(policy, policy, proxy, gold)
>>> rounds = list(train(policy, learner, judge, steps=40, seed=0))
>>> first, last_round = rounds[0].measures, rounds[-1].measures
>>> last_round.gold.mean > first.gold.mean, last_round.proxy.mean > first.proxy.mean
(True, True)
>>> gallery(proxy, search.beam(proxy, width=9), gold=gold, reference=policy)[0].words
('cat', 'cat', 'cat')
"""

from bandit_rlhf.neural import checkpoint, reward_model, search, string_comparisons
from bandit_rlhf.neural.ensemble import NeuralEnsemble, anchored, fit_ensemble, weight_average
from bandit_rlhf.neural.expert_iteration import ExpertIteration
from bandit_rlhf.neural.in_the_loop import NeuralReward, NeuralSteps
from bandit_rlhf.neural.judge import ExactJudge, Measures, SampledJudge
from bandit_rlhf.neural.learner import Checkpoints, Interrupted, Optimiser, Round, last, train
from bandit_rlhf.neural.network import Architecture
from bandit_rlhf.neural.policy import NeuralPolicy
from bandit_rlhf.neural.policy_gradient import ExactGradient, PolicyGradient
from bandit_rlhf.neural.preference_learner import PreferenceLearner
from bandit_rlhf.neural.pretraining import Pretrained, fit_to_law, fit_to_strings
from bandit_rlhf.neural.reference import FixedPolicy
from bandit_rlhf.neural.reward_model import RewardModel, RewardModelFit
from bandit_rlhf.neural.search import Adversary, gallery
from bandit_rlhf.neural.string_comparisons import StringComparisons, compare
from bandit_rlhf.neural.strings import Strings, from_batches, from_table, reward_table

__all__ = [
    "Adversary",
    "Architecture",
    "Checkpoints",
    "ExactGradient",
    "ExactJudge",
    "ExpertIteration",
    "FixedPolicy",
    "Interrupted",
    "Measures",
    "NeuralEnsemble",
    "NeuralPolicy",
    "NeuralReward",
    "NeuralSteps",
    "Optimiser",
    "PolicyGradient",
    "PreferenceLearner",
    "Pretrained",
    "RewardModel",
    "RewardModelFit",
    "Round",
    "SampledJudge",
    "StringComparisons",
    "Strings",
    "anchored",
    "checkpoint",
    "compare",
    "fit_ensemble",
    "fit_to_law",
    "fit_to_strings",
    "from_batches",
    "from_table",
    "gallery",
    "last",
    "reward_model",
    "reward_table",
    "search",
    "string_comparisons",
    "train",
    "weight_average",
]
