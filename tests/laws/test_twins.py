"""Law A8: twins that are equal by algebra agree, and each way to differ is found and shown."""

import re
import subprocess
import sys

import numpy as np
import pytest

from bandit_rlhf.contract import estimator
from bandit_rlhf.laws import bugs
from bandit_rlhf.laws.twins import assert_twins

EQUAL_BY_ALGEBRA = [
    ("gae", "steps", "by_definition"),
    ("vtrace", "right_to_left", "sum_of_errors"),
    ("preference_model", "sigmoid", "half_tangent"),
    ("sequence_score", "turned_around", "last_place_that_counts"),
    ("best_of_n", "powers_of_the_distribution", "geometric_sum"),
    ("pass_at_k", "product_of_misses", "ratio_of_binomials"),
    ("max_of_k", "order_statistics", "every_subset"),
]


@pytest.mark.parametrize(("kind", "first", "second"), EQUAL_BY_ALGEBRA)
def test_rewrites_agree(kind, first, second):
    known = {(twin.kind, twin.name): twin.function for twin in bugs.twins()}
    assert assert_twins(known[kind, first], known[kind, second]) >= 20


@pytest.mark.parametrize("twin", bugs.twins(), ids=lambda twin: f"{twin.kind}-{twin.name}")
def test_whatever_its_kind_an_estimator_agrees_with_itself(twin):
    assert assert_twins(twin.function, twin.function, points=1, dtype="float64") > 0


def leave_one_out(rewards):
    """Draw by draw; without others, the reward itself."""
    result = np.empty_like(rewards)
    for x, row in enumerate(rewards):
        for i, reward in enumerate(row):
            rest = np.delete(row, i)
            result[x, i] = reward - (rest.mean() if len(rest) else 0)
    return result


def vectorised(rewards):
    """The same at once."""
    n = rewards.shape[1]
    if n == 1:
        return rewards.copy()
    return (rewards - rewards.mean(axis=1, keepdims=True)) * rewards.dtype.type(n / (n - 1))


def zero_for_singletons(rewards):
    """The same but for groups of one, as in verl PR 7581."""
    return vectorised(rewards) * (rewards.shape[1] > 1)


def whitened(rewards):
    """Nought where all are equal."""
    gap = rewards - rewards.mean(axis=1, keepdims=True)
    std = rewards.std(axis=1, keepdims=True)
    return np.divide(gap, std, out=np.zeros_like(gap), where=std > 0)


def whitened_by_division(rewards):
    """NaN where all are equal."""
    return (rewards - rewards.mean(axis=1, keepdims=True)) / rewards.std(axis=1, keepdims=True)


def in_single_precision(rewards):
    """Right to float32 alone."""
    return vectorised(rewards.astype(np.float32)).astype(rewards.dtype) * rewards.dtype.type(1)


def slightly_off(rewards):
    """A relative 1e-5."""
    return vectorised(rewards) * rewards.dtype.type(1 + 1e-5)


def refuses_singletons(rewards):
    """Not for groups of one."""
    if rewards.shape[1] == 1:
        raise ValueError("a group of one")
    return vectorised(rewards)


def first_column(rewards):
    """No advantage at all."""
    return rewards[:, 0]


def difference(first, second, kind="advantage", **terms):
    """What assert_twins says of two that differ."""
    with pytest.raises(AssertionError) as caught:
        assert_twins(first, second, kind, **terms)
    return str(caught.value)


def test_a_loop_and_its_vectorised_form_agree():
    assert assert_twins(leave_one_out, vectorised, "advantage") > 100


def test_groups_of_one_are_compared():
    said = difference(leave_one_out, zero_for_singletons)
    assert re.search(r"rewards = \[\[1.0\](, \[1.0\])*\]\n", said)
    assert "test_twins:zero_for_singletons differ" in said
    assert "should be 0, is up to 1" in said


def test_zero_variance_is_compared():
    said = difference(whitened, whitened_by_division)
    assert "NaN" in said
    assert re.search(r"rewards = \[(\[0.0(, 0.0)*\](, )?)+\]\n", said)


@pytest.mark.parametrize("dtype", ["float32", "both"])
def test_a_small_relative_error_is_seen(dtype):
    assert "pure scale error x1.00001" in difference(slightly_off, vectorised, dtype=dtype)


def test_tolerance_follows_the_dtype_and_may_be_widened():
    # Dyadic rewards are exact in single precision, means of three are not.
    said = difference(in_single_precision, vectorised, dtype="float64")
    assert "float64, numpy" in said
    assert assert_twins(in_single_precision, vectorised, "advantage", dtype="float32") > 100
    wide = 4 * float(np.finfo(np.float32).eps / np.finfo(np.float64).eps)
    assert assert_twins(in_single_precision, vectorised, "advantage", rounding=wide) > 100


def test_refusing_alone_is_a_difference():
    said = difference(refuses_singletons, vectorised)
    assert "ValueError: a group of one" in said
    assert "one of them refuses" in said


def test_refusing_together_is_agreement():
    assert assert_twins(refuses_singletons, refuses_singletons, "advantage") > 100


def test_nothing_compared_is_an_error():
    with pytest.raises(ValueError, match=r"never compared.*returned shape"):
        assert_twins(first_column, first_column, "advantage")


def test_the_program_shows_the_difference(tmp_path):
    said = difference(leave_one_out, zero_for_singletons)
    text = said.partition("program, as it was run:")[2]
    program = "\n".join(line.removeprefix("    ") for line in text.splitlines())
    assert "bandit_rlhf" not in program
    space: dict = {}
    exec(program, space)
    assert np.array_equal(space["got"], np.ones_like(space["got"]))
    assert np.array_equal(space["expected"], np.zeros_like(space["got"]))


def test_results_of_several_arrays_are_compared_one_by_one():
    def with_returns(rewards, values, mask):
        """Monte Carlo, and returns that are off."""
        gains = np.where(mask, rewards, 0)[:, ::-1].cumsum(axis=1)[:, ::-1]
        return gains - values, gains + values

    def without(rewards, values, mask):
        """The same advantages alone, as the kind allows."""
        return with_returns(rewards, values, mask)[0]

    def right(rewards, values, mask):
        """The returns that belong to them."""
        advantages = without(rewards, values, mask)
        return advantages, advantages + values

    assert assert_twins(with_returns, without, "gae") > 10
    assert "gae" in difference(with_returns, right, "gae")


def test_functions_without_a_name_are_shown_without_a_program():
    assert "as it was run" not in difference(lambda r: r, lambda r: 2 * r)


# Masks, dialects, gradients.


def masked_mean(values, mask):
    """The mean of those that count."""
    return np.where(mask, values, 0).sum() / values.dtype.type(mask.sum())


def mean_of_means(values, mask):
    """Equal only where rows are of equal length."""
    return (np.where(mask, values, 0).sum(axis=1) / mask.sum(axis=1)).mean()


def test_pads_of_every_side_are_tried():
    said = difference(masked_mean, mean_of_means, "aggregation")
    assert re.search(r"mask = .*False", said)


@pytest.mark.parametrize("side", ["right", "left", "interior"])
def test_a_difference_at_pads_of_one_side_is_found(side):
    def blind(values, mask):
        """Wrong for one pattern of pads alone."""
        row = mask[0]
        there = {
            "right": row[0] and not row[-1],
            "left": row[-1] and not row[0],
            "interior": row[0] and row[-1] and not row.all(),
        }
        return masked_mean(values, mask) + values.dtype.type(there[side])

    assert "aggregation" in difference(blind, masked_mean, "aggregation")


def masked_whitening(values, mask):
    """Mean 0 and variance 1 where the mask is true, values kept elsewhere."""
    kept = values[mask]
    return np.where(mask, (values - kept.mean()) / (kept.std() + values.dtype.type(1e-8)), values)


def masked_whitening_with_zeros(values, mask):
    """The same, with zeros at pads."""
    return np.where(mask, masked_whitening(values, mask), 0)


def test_what_stands_at_pads_is_nobodys_business():
    assert assert_twins(masked_whitening, masked_whitening_with_zeros, "whitening") > 100


@estimator("aggregation", mask="pad", names={"values": "loss", "mask": "ignored"})
def in_another_dialect(ignored, loss):
    """A masked mean whose mask is true at pads, first, and named otherwise."""
    return masked_mean(loss, ~ignored)


def test_each_speaks_its_own_dialect():
    assert assert_twins(masked_mean, in_another_dialect, "aggregation") > 100


def test_a_program_in_another_dialect_runs():
    off = estimator("aggregation", mask="pad")(shifted_mean)
    said = difference(off, masked_mean, "aggregation", dtype="float32")
    program = said.partition("program, as it was run:\n")[2]
    assert "astype('float32')" in program


def shifted_mean(values, ignored):
    """One too much."""
    return masked_mean(values, ~ignored) + values.dtype.type(1)


def test_facts_of_both_are_given_once():
    known = {twin.name: twin.function for twin in bugs.twins() if twin.kind == "preference_loss"}
    few = assert_twins(known["logistic"], known["logistic"], claims=frozenset(), facts={})
    many = assert_twins(known["logistic"], known["logistic"])
    assert few < many


def loss_rows(log_prob, old_log_prob, advantages, mask):
    """Row by row."""
    import torch

    rows = zip(log_prob, old_log_prob, advantages, mask, strict=True)
    gains = [((new - old).exp() * gain)[kept].sum() for new, old, gain, kept in rows]
    return -torch.stack(gains).sum() / mask.sum()


def loss_at_once(log_prob, old_log_prob, advantages, mask):
    """The same at once; where keeps NaN at pads out of the gradient."""
    import torch

    gap = torch.where(mask, log_prob - old_log_prob, 0.0)
    kept = torch.where(mask, advantages, 0.0)
    return -(gap.exp() * kept).sum() / mask.sum()


def loss_without_gradient(log_prob, old_log_prob, advantages, mask):
    """The same value."""
    return loss_rows(log_prob.detach(), old_log_prob, advantages, mask)


def loss_in_numpy(log_prob, old_log_prob, advantages, mask):
    """The same in numpy."""
    gap = np.where(mask, log_prob - old_log_prob, 0)
    return -(np.exp(gap) * np.where(mask, advantages, 0)).sum() / log_prob.dtype.type(mask.sum())


def test_torch_twins_agree_in_values_and_gradients():
    assert assert_twins(loss_rows, loss_at_once, "policy_loss", backend="torch") > 30


def test_a_gradient_that_is_gone_is_found_though_values_agree():
    said = difference(loss_rows, loss_without_gradient, "policy_loss", backend="torch")
    assert "differ in their gradient in log_prob" in said
    program = "\n".join(
        line.removeprefix("    ") for line in said.partition("as it was run:")[2].splitlines()
    )
    space: dict = {}
    exec(program, space)
    assert space["got"].any()
    assert not space["expected"].any()


def test_numpy_and_torch_agree_in_values():
    assert assert_twins(loss_in_numpy, loss_rows, "policy_loss") > 100


def test_importing_twins_loads_no_torch():
    program = "import sys, bandit_rlhf.laws.twins; print('torch' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ran.stdout.strip() == "False"
