"""Broken and correct advantages of steps, whitenings and critic losses.

>>> import numpy as np
>>> steps(np.ones((1, 2)), np.zeros((1, 2)), np.ones((1, 2), dtype=bool))[0].tolist()
[[2.0, 1.0]]
"""

import numpy as np

from bandit_rlhf.contract import estimator
from bandit_rlhf.laws.bugs.record import Bug, Twin

ALL = {
    "monte_carlo",
    "td_error",
    "recursion",
    "unbiased_with_true_values",
    "episodes_separate",
    "masked_is_compressed",
}
RETURNS = ALL | {"return_is_sum", "zero_at_pads"}


def _final(rewards, final_value):
    return np.zeros(len(rewards), rewards.dtype) if final_value is None else final_value


@estimator("gae", claims=RETURNS)
def steps(rewards, values, mask, final_value=None, *, gamma=1.0, lam=1.0):
    """Real tokens of each row as one episode, step by step from its end."""
    advantages = np.zeros_like(rewards)
    for i, last in enumerate(_final(rewards, final_value)):
        ahead, later = last, rewards.dtype.type(0)
        for t in np.flatnonzero(mask[i])[::-1]:
            later = rewards[i, t] + gamma * ahead - values[i, t] + gamma * lam * later
            advantages[i, t], ahead = later, values[i, t]
    return advantages, np.where(mask, advantages + values, 0)


@estimator("gae", claims=ALL)
def by_definition(rewards, values, mask, final_value=None, *, gamma=1.0, lam=1.0):
    """The double sum of the definition; no returns."""
    advantages = np.zeros_like(rewards)
    for i, last in enumerate(_final(rewards, final_value)):
        places = np.flatnonzero(mask[i])
        known = np.append(values[i, places], last).astype(rewards.dtype)
        errors = rewards[i, places] + gamma * known[1:] - known[:-1]
        for k, t in enumerate(places):
            advantages[i, t] = sum((gamma * lam) ** m * e for m, e in enumerate(errors[k:]))
    return advantages


def _backwards(rewards, values, real, final_value, gamma, lam):
    """All columns are steps; `real` only zeroes what is returned."""
    advantages, later = np.zeros_like(rewards), np.zeros(len(rewards), rewards.dtype)
    ahead = _final(rewards, final_value)
    for t in reversed(range(rewards.shape[1])):
        later = rewards[:, t] + gamma * ahead - values[:, t] + gamma * lam * later
        advantages[:, t], ahead = later, values[:, t]
    return np.where(real, advantages, 0)


@estimator("gae", claims=ALL)
def values_at_pads(rewards, values, mask, final_value=None, *, gamma=1.0, lam=1.0):
    """What the critic says at pads enters the estimates before they are masked."""
    return _backwards(rewards, values, mask, final_value, gamma, lam)


@estimator("gae", claims=ALL)
def pads_as_steps(rewards, values, mask, final_value=None, *, gamma=1.0, lam=1.0):
    """Masked first, but the tokens of tools remain steps, with value 0."""
    zero = np.zeros_like(values)
    values, rewards = np.where(mask, values, zero), np.where(mask, rewards, zero)
    return _backwards(rewards, values, mask, final_value, gamma, lam)


@estimator("gae", claims=ALL)
def multiplied_mask(rewards, values, mask, final_value=None, *, gamma=1.0, lam=1.0):
    """Masked by multiplication: NaN * 0 is NaN."""
    real = mask.astype(rewards.dtype)
    return steps(rewards * real, values * real, mask, final_value, gamma=gamma, lam=lam)[0] + (
        0 * (values * (1 - real)).sum(axis=1, keepdims=True)
    )


@estimator("gae", claims=ALL)
def one_past_the_end(rewards, values, mask, final_value=None, *, gamma=1.0, lam=1.0):
    """The final value is added to the last step's return without its discount."""
    final = _final(rewards, final_value) / gamma
    return steps(rewards, values, mask, final, gamma=gamma, lam=lam)[0]


@estimator("gae", claims=ALL)
def truncation_terminates(rewards, values, mask, final_value=None, *, gamma=1.0, lam=1.0):
    """Cut strings are worth nothing after the cut."""
    return steps(rewards, values, mask, None, gamma=gamma, lam=lam)[0]


@estimator("gae", claims=ALL)
def next_row_leaks(rewards, values, mask, final_value=None, *, gamma=1.0, lam=1.0):
    """A cut row goes on with the first value of the row below it."""
    final = np.array(_final(rewards, final_value))
    below = np.roll(np.where(mask, values, 0)[:, 0], -1)
    final = np.where(final != 0, below, final).astype(rewards.dtype)
    return steps(rewards, values, mask, final, gamma=gamma, lam=lam)[0]


@estimator("gae", claims=ALL)
def lambda_squared(rewards, values, mask, final_value=None, *, gamma=1.0, lam=1.0):
    """Lambda enters twice: right at 0 and 1."""
    return steps(rewards, values, mask, final_value, gamma=gamma, lam=lam * lam)[0]


@estimator("gae", claims=ALL)
def value_of_this_step(rewards, values, mask, final_value=None, *, gamma=1.0, lam=1.0):
    """The error of a step with its own value for the next one's."""
    right = steps(rewards, values, mask, final_value, gamma=gamma, lam=0.0)[0]
    shift = np.where(mask, gamma * values, 0)
    return np.where(mask, right + shift - gamma * np.roll(shift, -1, axis=1), 0)


@estimator("gae", claims=ALL)
def discount_forgotten(rewards, values, mask, final_value=None, *, gamma=1.0, lam=1.0):
    """The recursion without gamma."""
    return steps(rewards, values, mask, final_value, gamma=1.0, lam=lam)[0]


@estimator("gae", claims=RETURNS)
def returns_without_values(rewards, values, mask, final_value=None, *, gamma=1.0, lam=1.0):
    """Advantages returned as returns."""
    advantages = steps(rewards, values, mask, final_value, gamma=gamma, lam=lam)[0]
    return advantages, advantages


@estimator("whitening", claims={"standardised"})
def inverted_flag(values, mask):
    """The mean is added again where it was to be left out."""
    real = values[mask]
    white = (values - real.mean()) / np.sqrt(real.var())
    return np.where(mask, white + real.mean(), 0)


@estimator("whitening", claims={"standardised"})
def pads_counted(values, mask):
    """Mean and deviation over the padded table."""
    clean = np.where(mask, values, 0)
    return np.where(mask, (clean - clean.mean()) / clean.std(), 0)


@estimator("gae", claims={"zero_at_pads"})
def rows_filled(rewards, values, mask, final_value=None, *, gamma=1.0, lam=1.0):
    """Right where tokens participate, and left over from the next step where none does."""
    advantages, returns = steps(rewards, values, mask, final_value, gamma=gamma, lam=lam)
    return np.where(mask, advantages, 1), returns


@estimator("whitening", claims={"zero_at_pads"})
def pads_whitened(values, mask):
    """Mean and deviation of what participates, applied to everything."""
    real = values[mask]
    return (values - real.mean()) / real.std()


@estimator("whitening", claims={"standardised", "zero_at_pads"})
def two_passes(values, mask):
    """Mean, then mean square."""
    real = np.where(mask, values, 0)
    count = values.dtype.type(mask.sum())
    centred = np.where(mask, values - real.sum() / count, 0)
    return np.where(mask, centred / np.sqrt((centred * centred).sum() / count), 0)


def _mean(losses, mask):
    return np.where(mask, losses, 0).sum() / losses.dtype.type(mask.sum())


def _squares(values, old_values, returns, mask):
    values, old, target = (np.where(mask, x, 0) for x in (values, old_values, returns))
    near = old + np.clip(values - old, -0.2, 0.2)
    return (values - target) ** 2, (near.astype(values.dtype) - target) ** 2


@estimator(
    "value_loss",
    claims={"pessimistic", "clipped", "token_weights"},
    facts={"clip": 0.2, "weights": "token_mean"},
)
def larger_of_both(values, old_values, returns, mask):
    """The maximum, as it should be."""
    return _mean(np.maximum(*_squares(values, old_values, returns, mask)) / 2, mask)


@estimator("value_loss", claims={"pessimistic"})
def smaller_of_both(values, old_values, returns, mask):
    """The minimum of both squares."""
    return _mean(np.minimum(*_squares(values, old_values, returns, mask)) / 2, mask)


@estimator("value_loss", claims={"clipped"}, facts={"clip": 0.2})
def never_cut(values, old_values, returns, mask):
    """No clip at all, where one is claimed."""
    return _mean(_squares(values, old_values, returns, mask)[0] / 2, mask)


@estimator("value_loss", claims={"token_weights"}, facts={"weights": "token_mean"})
def mean_over_pads(values, old_values, returns, mask):
    """Pads are counted in the mean."""
    loss = np.maximum(*_squares(values, old_values, returns, mask)) / 2
    return np.where(mask, loss, 0).mean()


BUGS = (
    Bug(
        "values_at_pads",
        "gae",
        ("U1", "G7"),
        "verl-project/verl PR 50; alibaba/ROLL PR 447",
        "critic values at pads bootstrap real tokens",
        values_at_pads,
    ),
    Bug(
        "pads_as_steps",
        "gae",
        ("G7",),
        "radixark/miles PR 1827",
        "tool tokens are steps of the process",
        pads_as_steps,
    ),
    Bug(
        "multiplied_mask",
        "gae",
        ("U1",),
        "verl-project/verl PR 6361",
        "NaN * 0 = NaN",
        multiplied_mask,
    ),
    Bug(
        "one_past_the_end",
        "gae",
        ("G1", "G2"),
        "deepspeedai/DeepSpeedExamples PR 672",
        "the value after the end counted one step early",
        one_past_the_end,
    ),
    Bug(
        "truncation_terminates",
        "gae",
        ("G6",),
        "ray-project/ray issue 2233",
        "truncation treated as termination",
        truncation_terminates,
    ),
    Bug(
        "next_row_leaks",
        "gae",
        ("G6",),
        "pytorch/rl PR 4210",
        "the next episode leaks in at truncation",
        next_row_leaks,
    ),
    Bug("rows_filled", "gae", ("U1-zero",), "mutant", "numbers at pads", rows_filled),
    Bug("pads_whitened", "whitening", ("U1-zero",), "mutant", "pads whitened", pads_whitened),
    Bug("lambda_squared", "gae", ("G3", "G10"), "mutant", "lambda enters twice", lambda_squared),
    Bug(
        "value_of_this_step",
        "gae",
        ("G2", "G4"),
        "mutant",
        "values off by one step",
        value_of_this_step,
    ),
    Bug("discount_forgotten", "gae", ("G1",), "mutant", "no discount", discount_forgotten),
    Bug(
        "returns_without_values",
        "gae",
        ("G5",),
        "mutant",
        "advantages as returns",
        returns_without_values,
    ),
    Bug(
        "inverted_flag",
        "whitening",
        ("G8",),
        "torchtune 0.3.0 to 0.6.1",
        "adds the mean back when told to shift it",
        inverted_flag,
    ),
    Bug("pads_counted", "whitening", ("G8",), "mutant", "moments of pads", pads_counted),
    Bug(
        "smaller_of_both",
        "value_loss",
        ("G9",),
        "ray-project/ray issue 2233",
        "the minimum of both squares",
        smaller_of_both,
    ),
    Bug("never_cut", "value_loss", ("G9-square",), "mutant", "no clip", never_cut),
    Bug("mean_over_pads", "value_loss", ("L5",), "mutant", "pads counted", mean_over_pads),
)

TWINS = (
    Twin("steps", "gae", "rewrite", "plain loops", steps),
    Twin("by_definition", "gae", "rewrite", "the double sum", by_definition),
    Twin("two_passes", "whitening", "rewrite", "mean, then mean square", two_passes),
    Twin(
        "larger_of_both",
        "value_loss",
        "openai/baselines issue 91",
        "the maximum is right: clipping may only raise the loss",
        larger_of_both,
    ),
)
