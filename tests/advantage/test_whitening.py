"""Whitening against the statistics module, with every choice that it offers."""

from statistics import fmean, pvariance, variance

import numpy as np
import pytest
import torch

from bandit_rlhf.advantage import whiten

VALUES = np.array([[1.0, -2.5, float("nan")], [4.0, 0.5, 1e6]])
MASK = np.array([[True, True, False], [True, True, False]])
REAL = VALUES[MASK].tolist()


@pytest.mark.parametrize("epsilon", [0.0, 0.25])
@pytest.mark.parametrize(("correction", "spread"), [(0, pvariance), (1, variance)])
@pytest.mark.parametrize("shift_mean", [True, False])
def test_every_choice(shift_mean: bool, correction: int, spread, epsilon: float) -> None:
    got = whiten(VALUES, MASK, shift_mean=shift_mean, correction=correction, epsilon=epsilon)
    mean, root = fmean(REAL), (spread(REAL) + epsilon) ** 0.5
    expected = [(x - mean) / root + (0 if shift_mean else mean) for x in REAL]
    np.testing.assert_allclose(got[MASK], expected, rtol=1e-14)
    assert not got[~MASK].any()
    other = whiten(
        torch.tensor(VALUES),
        torch.tensor(MASK),
        shift_mean=shift_mean,
        correction=correction,
        epsilon=epsilon,
    )
    np.testing.assert_allclose(other.numpy(), got, rtol=1e-14)


def test_gradients_flow_without_a_warning() -> None:
    values = torch.tensor(VALUES, requires_grad=True)
    whiten(values, torch.tensor(MASK))[0, 0].backward()
    assert values.grad is not None
    assert float(values.grad[~torch.tensor(MASK)].abs().sum()) == 0.0
    assert abs(float(values.grad.sum())) < 1e-12  # a shift changes nothing


def test_what_cannot_be_whitened_is_refused() -> None:
    for wrong, message in (
        (lambda: whiten(np.ones((1, 3)), np.ones((1, 3))), r"all equal.*epsilon above 0"),
        (lambda: whiten(np.ones((1, 3)), np.eye(3)[:1], correction=1), r"leaves 1 tokens"),
        (lambda: whiten(np.ones((1, 3)), np.ones((1, 2))), r"values has shape \(1, 3\)"),
        (lambda: whiten(VALUES, MASK, epsilon=-1.0), r"epsilon is -1"),
    ):
        with pytest.raises(ValueError, match=message):
            wrong()
    np.testing.assert_array_equal(
        whiten(np.ones((1, 3)), np.ones((1, 3)), epsilon=1.0), [[0, 0, 0]]
    )
