"""Broken and correct advantages of whole strings.

>>> import numpy as np
>>> interleaved(np.array([[1.0, 0.0], [5.0, 4.0]])).tolist()
[[-2.0, -2.0], [2.0, 2.0]]
"""

import numpy as np

from bandit_rlhf.contract import Declared, estimator
from bandit_rlhf.laws.bugs.record import Bug, Twin

GROUPED = {"unbiased", "group_isolated", "finite"}
GROUP_Z = {"over": "group", "centre": "group", "epsilon": 0.5}
ITSELF = Declared("the mean includes the draw's own reward", slope="(n-1)/n")


@estimator("advantage", claims=GROUPED)
def own_sample_inside(rewards):
    """Minus the mean of all draws, claimed unbiased."""
    return rewards - rewards.mean(axis=1, keepdims=True)


@estimator("advantage", claims=GROUPED | {"shift_invariant"})
def others_over_n(rewards):
    """Minus the sum of the others over n: unbiased, and yet no longer shift invariant."""
    return rewards - (rewards.sum(axis=1, keepdims=True) - rewards) / rewards.shape[1]


@estimator("advantage", claims={"group_isolated", "finite"})
def interleaved(rewards):
    """Draws of several prompts, stored prompt by prompt, normalised as if stored draw by draw."""
    flat = rewards.ravel()
    prompts = len(rewards)
    groups = flat.reshape(rewards.shape[1], prompts)
    return (groups - groups.mean(axis=0)).ravel().reshape(rewards.shape)


@estimator("advantage", claims={"group_isolated"})
def fixed_stride(rewards):
    """Groups of two by stride, whatever the size of the group."""
    flat = np.append(rewards.ravel(), rewards.ravel()[-1:])
    pairs = flat[: len(flat) // 2 * 2].reshape(-1, 2)
    centred = (pairs - pairs.mean(axis=1, keepdims=True)).ravel()
    return np.resize(centred, rewards.shape)


@estimator("advantage", claims={"group_isolated", "finite"})
def one_global_group(rewards):
    """One group of all prompts where their sizes are uneven."""
    return rewards - rewards.mean()


@estimator(
    "advantage",
    claims={"unbiased", "shift_invariant", "finite", "scale_degree"},
    facts={"degree": 1},
)
def normalised_twice(rewards):
    """Centred by prompt, then divided by the deviation of the batch, claimed a plain baseline."""
    centred = rewards - rewards.mean(axis=1, keepdims=True)
    return centred / (centred.std() + 1e-6)


@estimator("advantage", claims={"unbiased", "finite"})
def others_without_care(rewards):
    """Minus the mean of the others, of which a group of one has none."""
    n = rewards.shape[1]
    return rewards - (rewards.sum(axis=1, keepdims=True) - rewards) / (n - 1)


@estimator("advantage", claims={"finite"})
def bare_deviation(rewards):
    """Divided by a deviation that is zero for equal rewards."""
    centred = rewards - rewards.mean(axis=1, keepdims=True)
    return centred / rewards.std(axis=1, keepdims=True)


@estimator("advantage", claims={"unbiased", "centred", "finite"})
def sign_of_mean(rewards):
    """The baseline added, not taken away."""
    return rewards + rewards.mean(axis=1, keepdims=True)


@estimator("advantage", claims={"own_reward_free"})
def baseline_of_all(rewards):
    """A baseline that sees the draw's own reward."""
    return rewards - rewards.mean(axis=1, keepdims=True)


@estimator("advantage", claims={"finite"})
def in_place(rewards):
    """The caller's rewards are overwritten."""
    rewards -= rewards.mean(axis=1, keepdims=True)
    return rewards


@estimator("advantage", claims={"unbiased", "finite"})
def best_of_group(rewards):
    """The reward minus the best of its group, the own one included: biased, not a scale."""
    return rewards - rewards.max(axis=1, keepdims=True)


@estimator("advantage", claims={"finite"})
def first_row_twice(rewards):
    """The first prompt takes part in every other's baseline, by its place."""
    return rewards - rewards[:1].mean()


@estimator(
    "advantage",
    claims=GROUPED | {"centred", "shift_invariant", "own_reward_free", "scale_degree"},
    facts={"degree": 1},
    declared={"A7": Declared("a group of one has no others")},
)
def by_loop(rewards):
    """Leave-one-out, draw by draw."""
    result = np.empty_like(rewards)
    for i, row in enumerate(rewards):
        for j in range(len(row)):
            result[i, j] = row[j] - np.delete(row, j).mean() if len(row) > 1 else np.nan
    return result


@estimator(
    "advantage",
    claims=GROUPED | {"centred", "shift_invariant", "own_reward_free"},
)
def rescaled_mean(rewards):
    """n/(n-1) times the centred reward: leave-one-out by algebra; a group of one gives 0."""
    n = rewards.shape[1]
    centred = rewards - rewards.mean(axis=1, keepdims=True)
    return centred * (n / max(n - 1, 1))


@estimator("advantage", claims=GROUPED)
def others_over_n_honest(rewards):
    """The sum of the others over n, as a baseline that claims no more than it holds."""
    return rewards - (rewards.sum(axis=1, keepdims=True) - rewards) / rewards.shape[1]


@estimator(
    "advantage",
    claims={"unbiased", "centred", "finite", "shift_invariant"},
    declared={"A1": ITSELF},
)
def declared_mean(rewards):
    """The self-inclusive mean that says so."""
    return rewards - rewards.mean(axis=1, keepdims=True)


@estimator("advantage", claims={"z_score", "binary_weight"}, facts={**GROUP_Z, "ddof": 1})
def population_deviation(rewards):
    """Divided by the population's deviation, declared as the sample's."""
    deviation = rewards.std(axis=1, keepdims=True) + np.asarray(0.5, rewards.dtype)
    return (rewards - rewards.mean(axis=1, keepdims=True)) / deviation


@estimator("advantage", claims={"z_score", "binary_weight"}, facts={**GROUP_Z, "ddof": 0})
def mean_of_squares(rewards):
    """The deviation as the root of a mean of squares."""
    centred = rewards - rewards.mean(axis=1, keepdims=True)
    square = (centred * centred).mean(axis=1, keepdims=True)
    return centred / (np.sqrt(square) + np.asarray(0.5, rewards.dtype))


@estimator("advantage", claims={"zero_at_baseline"}, facts={"baseline": 0.5})
def baseline_added(rewards):
    """Plus the baseline: unbiased, and with more variance than without."""
    return rewards + np.asarray(0.5, rewards.dtype)


@estimator("advantage", claims={"unbiased", "zero_at_baseline"}, facts={"baseline": 0.5})
def baseline_taken(rewards):
    """Minus the baseline."""
    return rewards - np.asarray(0.5, rewards.dtype)


@estimator("advantage", claims=GROUPED)
def second_draw_baseline(rewards):
    """Minus the next draw's reward: not symmetric, and unbiased all the same."""
    if rewards.shape[1] == 1:
        return rewards.copy()
    return rewards - np.roll(rewards, 1, axis=1)


BUGS = (
    Bug(
        "own_sample_inside",
        "advantage",
        ("A1",),
        "mutant",
        "a mean over the group that holds the own draw, (n-1)/n of the gradient",
        own_sample_inside,
    ),
    Bug(
        "others_over_n",
        "advantage",
        ("A3",),
        "mutant",
        "sum of the others over n: unbiased, but a shift of rewards shows",
        others_over_n,
    ),
    Bug(
        "interleaved",
        "advantage",
        ("A6",),
        "StarsfieldAI/R1-V issue 67",
        "interleaved prompts normalised as one group",
        interleaved,
    ),
    Bug(
        "fixed_stride",
        "advantage",
        ("A6",),
        "areal-project/AReaL issue 1419",
        "a fixed stride on partial groups",
        fixed_stride,
    ),
    Bug(
        "one_global_group",
        "advantage",
        ("A6",),
        "THUDM/slime PR 1918, issue 2230",
        "falls back to one global group",
        one_global_group,
    ),
    Bug(
        "normalised_twice",
        "advantage",
        ("A1", "A4"),
        "axon-rl/gem PR 113",
        "normalised twice at different levels",
        normalised_twice,
    ),
    Bug(
        "others_without_care",
        "advantage",
        ("A7",),
        "verl-project/verl PR 7581",
        "a group of one divides by zero",
        others_without_care,
    ),
    Bug("bare_deviation", "advantage", ("A7",), "mutant", "0/0 for equal rewards", bare_deviation),
    Bug("sign_of_mean", "advantage", ("A1", "A2"), "mutant", "the sign", sign_of_mean),
    Bug(
        "baseline_of_all",
        "advantage",
        ("A5",),
        "mutant",
        "the own reward enters the baseline",
        baseline_of_all,
    ),
    Bug("in_place", "advantage", ("U7",), "mutant", "overwrites its argument", in_place),
    Bug(
        "best_of_group",
        "advantage",
        ("A1",),
        "mutant",
        "a maximum that may be the own draw as baseline",
        best_of_group,
    ),
    Bug(
        "first_row_twice",
        "advantage",
        ("U3",),
        "mutant",
        "a baseline taken from a fixed row",
        first_row_twice,
    ),
    Bug(
        "population_deviation",
        "advantage",
        ("A9", "A11"),
        "mutant",
        "the population's deviation for the sample's",
        population_deviation,
    ),
    Bug("baseline_added", "advantage", ("A10",), "mutant", "the sign", baseline_added),
)

TWINS = (
    Twin("z_score", "advantage", "rewrite", "a mean of squares", mean_of_squares),
    Twin("baseline_taken", "advantage", "rewrite", "a constant taken off", baseline_taken),
    Twin("by_loop", "advantage", "rewrite", "leave-one-out in plain loops", by_loop),
    Twin("rescaled_mean", "advantage", "rewrite", "leave-one-out as n/(n-1)", rescaled_mean),
    Twin(
        "others_over_n_honest",
        "advantage",
        "rewrite",
        "unbiased but odd: claims no invariance",
        others_over_n_honest,
    ),
    Twin("declared_mean", "advantage", "rewrite", "a declared factor", declared_mean),
    Twin(
        "second_draw_baseline",
        "advantage",
        "rewrite",
        "an asymmetric baseline, valid",
        second_draw_baseline,
    ),
)
