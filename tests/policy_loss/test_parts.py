"""The parts of policy losses against loops, their gradients against autograd's by hand."""

import math

import numpy as np
import pytest
import torch

from bandit_rlhf.policy_loss import Clip, ratio, surrogate

LOG_PI = np.array([[-1.0, -0.5, float("nan")], [-2.0, -0.25, -1.5]])
LOG_MU = np.array([[-1.5, -0.25, 7.0], [-1.0, -0.75, -1.0]])
MASK = np.array([[True, True, False], [True, True, True]])


def test_log_ratios_by_loops() -> None:
    first = [(-1.0 + 1.5), (-0.5 + 0.25)]
    second = [(-2.0 + 1.0), (-0.25 + 0.75), (-1.5 + 1.0)]
    token = [[*first, 0.0], second]
    whole = [[sum(first)] * 2 + [0.0], [sum(second)] * 3]
    mean = [[sum(first) / 2] * 2 + [0.0], [sum(second) / 3] * 3]
    for part, expected in (
        (ratio.token, token),
        (ratio.sequence, whole),
        (ratio.geometric, mean),
        (ratio.geometric_token, mean),
    ):
        np.testing.assert_allclose(part(LOG_PI, LOG_MU, MASK), expected, rtol=1e-15)


def test_strings_without_tokens_have_ratio_one() -> None:
    empty = np.array([[False] * 3, [True] * 3])
    np.testing.assert_array_equal(ratio.geometric(LOG_PI, LOG_MU, empty)[0], np.zeros(3))


def test_whose_token_moves_a_geometric_ratio() -> None:
    """The mean of a string moves with each of its tokens by 1/|y|, GSPO-token's own by 1."""
    log_pi = torch.tensor(np.where(MASK, LOG_PI, 0.0), requires_grad=True)
    rest = torch.tensor(LOG_MU), torch.tensor(MASK)
    for part, expected in (
        (ratio.geometric, [1 / 3, 1 / 3, 1 / 3]),
        (ratio.geometric_token, [0.0, 1.0, 0.0]),
        (ratio.token, [0.0, 1.0, 0.0]),
        (ratio.sequence, [1.0, 1.0, 1.0]),
    ):
        (slopes,) = torch.autograd.grad(part(log_pi, *rest)[1, 1], log_pi)
        np.testing.assert_allclose(slopes[1].numpy(), expected, rtol=1e-15)
        assert not slopes[0].numpy().any()


@pytest.mark.parametrize("dual", [None, 3.0])
@pytest.mark.parametrize("advantage", [1.5, -1.5])
@pytest.mark.parametrize("r", [0.25, 0.9, 1.0, 1.2, 2.0, 10.0])
def test_surrogates_at_one_token(r: float, advantage: float, dual: float | None) -> None:
    low, high = 0.2, 0.25
    cut = min(max(r, 1 - low), 1 + high)
    bound = max(-advantage * r, -advantage * cut)
    if dual is not None and advantage < 0:
        bound = min(bound, -advantage * dual)
    arrays = np.array([[-0.5]]), np.array([[math.log(r)]]), np.array([[advantage]])
    clip = Clip(low, high, dual)
    for part, band, expected in (
        (surrogate.score, clip, 0.5 * advantage),
        (surrogate.weighted, clip, -advantage * r),
        (surrogate.pessimistic, clip, bound),
        (surrogate.pessimistic, None, -advantage * r),
        (surrogate.truncated_weight, clip, 0.5 * advantage * cut),
        (surrogate.truncated_weight, None, 0.5 * advantage * r),
    ):
        np.testing.assert_allclose(part(*arrays, band), [[expected]], rtol=1e-14)


def test_an_advantage_of_zero_has_no_loss_under_a_dual_bound() -> None:
    zero = np.zeros((1, 1))
    got = surrogate.pessimistic(zero, zero + 1, zero, Clip(0.2, 0.2, 3.0))
    np.testing.assert_array_equal(got, zero)


def test_bands_that_are_none_are_refused() -> None:
    for wrong, message in (
        (lambda: Clip(-0.1, 0.2), r"low is -0\.1.*within 0 to 1"),
        (lambda: Clip(1.5, 0.2), r"low is 1\.5"),
        (lambda: Clip(0.2, 0.0), r"high is 0"),
        (lambda: Clip(0.2, 0.2, 1.1), r"dual is 1\.1.*above 1 \+ high = 1\.2"),
    ):
        with pytest.raises(ValueError, match=message):
            wrong()
    assert Clip(0.0, 0.1).cut(np.array([0.5, 2.0])).tolist() == [1.0, 1.1]
