"""KTO against its definition, its reference point, and what it refuses."""

import math

import numpy as np
import pytest
import torch

from bandit_rlhf.preference_loss import kto, mismatched, reference_point

LOG_PI, LOG_REF = np.array([-1.0, -2.0, -40.0, -0.5]), np.array([-1.5, -1.0, -1.0, -60.0])
GOOD = np.array([True, False, True, False])


def sigma(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > 0 else math.exp(x) / (1 + math.exp(x))


@pytest.mark.parametrize("weights", [(1.0, 1.0), (2.0, 0.5)])
@pytest.mark.parametrize(("beta", "point"), [(0.1, 0.0), (0.5, 0.75), (4.0, 0.25)])
def test_the_value_of_each_string(beta: float, point: float, weights: tuple[float, float]) -> None:
    up, down = weights
    got = kto(
        LOG_PI,
        LOG_REF,
        GOOD,
        np.array(point),
        beta=beta,
        desirable_weight=up,
        undesirable_weight=down,
    )
    expected = [
        up * sigma(-beta * (p - r - point)) if good else down * sigma(beta * (p - r - point))
        for p, r, good in zip(LOG_PI, LOG_REF, GOOD, strict=True)
    ]
    np.testing.assert_allclose(got, expected, rtol=1e-14)


def test_defaults_are_those_of_the_paper() -> None:
    expected = kto(
        LOG_PI,
        LOG_REF,
        GOOD,
        np.array(0.5),
        beta=0.1,
        desirable_weight=1.0,
        undesirable_weight=1.0,
    )
    np.testing.assert_array_equal(kto(LOG_PI, LOG_REF, GOOD, np.array(0.5)), expected)


def test_the_gradient_is_that_of_the_logistic_and_flows_into_the_policy_alone() -> None:
    log_pi, log_ref = (torch.tensor(x, requires_grad=True) for x in (LOG_PI, LOG_REF))
    point = torch.tensor(0.25, dtype=torch.float64, requires_grad=True)
    kto(log_pi, log_ref, torch.tensor(GOOD), point, beta=0.5).sum().backward()
    slopes = [
        0.5 * (-1 if good else 1) * sigma(h) * sigma(-h)
        for h, good in zip(0.5 * (LOG_PI - LOG_REF - 0.25), GOOD, strict=True)
    ]
    assert log_pi.grad is not None
    np.testing.assert_allclose(log_pi.grad.numpy(), slopes, rtol=1e-12)
    assert (log_ref.grad, point.grad) == (None, None)


def test_the_reference_point_is_the_mean_log_ratio_but_not_below_zero() -> None:
    assert float(reference_point(np.array([-1.0, -2.0]), np.array([-2.0, -3.5]))) == 1.25
    assert float(reference_point(np.array([-2.0, -3.5]), np.array([-1.0, -2.0]))) == 0.0
    tensors = [torch.tensor(x, requires_grad=True) for x in ([-1.0], [-2.0])]
    assert not reference_point(*tensors).requires_grad


@pytest.mark.parametrize("count", [2, 3, 4, 9])
def test_each_prompt_is_matched_with_another(count: int) -> None:
    got = mismatched(count)
    assert sorted(got) == list(range(count))
    assert [int(x) for x in got] == [(i + 1) % count for i in range(count)]


def test_bad_arguments_are_named() -> None:
    point = np.array(0.0)
    for wrong, message in (
        (lambda: kto(LOG_PI, LOG_REF[:2], GOOD, point), r"ref_log_prob has shape \(2,\)"),
        (lambda: kto(LOG_PI, LOG_REF, GOOD, point, beta=0.0), r"beta is 0"),
        (lambda: kto(LOG_PI, LOG_REF, GOOD, point, desirable_weight=0.0), r"desirable_weight is 0"),
        (lambda: mismatched(1), r"count is 1.*at least 2"),
        (lambda: reference_point(LOG_PI, LOG_REF[:2]), r"ref_log_prob has shape"),
    ):
        with pytest.raises(ValueError, match=message):
            wrong()
