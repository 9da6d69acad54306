"""Losses of pairs against mpmath at many digits, gradients against autograd, what they refuse."""

import mpmath
import numpy as np
import pytest
import torch

from bandit_rlhf import preference_loss as losses

mpmath.mp.dps = 40

WON, LOST = (-3.0, -1.25, -700.0), (-2.0, -4.0, -1.0)
REF_WON, REF_LOST = (-2.5, -2.0, -650.0), (-2.5, -1.5, -2.0)
LENGTHS = (2.0, 5.0, 9.0), (3.0, 1.0, 4.0)
FOUR = np.array(WON), np.array(LOST), np.array(REF_WON), np.array(REF_LOST)
PLAIN = FOUR[0], FOUR[1], np.array(LENGTHS[0]), np.array(LENGTHS[1])


def softplus(x):
    """-ln sigma(-x), exactly."""
    return mpmath.log1p(mpmath.exp(x))


def exact(function) -> list[float]:
    """The function of each pair (chosen, rejected, their references, their lengths)."""
    rows = zip(WON, LOST, REF_WON, REF_LOST, *LENGTHS, strict=True)
    return [float(function(*map(mpmath.mpf, row))) for row in rows]


def of_margin(function) -> list[float]:
    return exact(lambda w, l, rw, rl, *_: function((w - rw) - (l - rl)))  # noqa: E741


def odds(m):
    return m - mpmath.log(-mpmath.expm1(m))


def link(z):
    return mpmath.exp(z) + z


def cut(z, bound):
    return max(min(z, bound), -bound)


CASES = {
    "dpo": (losses.dpo(*FOUR), of_margin(lambda h: softplus(-h / 10))),
    "dpo, beta 0.5": (losses.dpo(*FOUR, beta=0.5), of_margin(lambda h: softplus(-h / 2))),
    "cdpo": (
        losses.cdpo(*FOUR, beta=0.5, label_smoothing=0.25),
        of_margin(lambda h: softplus(-h / 2) * 3 / 4 + softplus(h / 2) / 4),
    ),
    "cdpo, even": (
        losses.cdpo(*FOUR, beta=0.5, label_smoothing=0.5),
        of_margin(lambda h: (softplus(-h / 2) + softplus(h / 2)) / 2),
    ),
    "robust": (
        losses.robust_dpo(*FOUR, beta=0.5, label_smoothing=0.25),
        of_margin(lambda h: (softplus(-h / 2) * 3 / 4 - softplus(h / 2) / 4) * 2),
    ),
    "ipo": (losses.ipo(*FOUR, beta=0.5), of_margin(lambda h: (h - 1) ** 2)),
    "hinge": (losses.hinge(*FOUR, beta=0.5), of_margin(lambda h: max(0, 1 - h / 2))),
    "rpo, by length": (
        losses.rpo(*FOUR, np.array(LENGTHS[0]), beta=0.5, alpha=0.75),
        exact(
            lambda w, l, rw, rl, n, _: softplus(-(w - rw - l + rl) / 2) - w * 3 / (4 * n)  # noqa: E741
        ),
    ),
    "rpo": (
        losses.rpo(*FOUR),
        exact(lambda w, l, rw, rl, *_: softplus(-(w - rw - l + rl) / 10) - w),  # noqa: E741
    ),
    "sppo": (
        losses.sppo_hard(*FOUR, beta=0.25),
        exact(lambda w, l, rw, rl, *_: (w - rw - 2) ** 2 + (l - rl + 2) ** 2),  # noqa: E741
    ),
    "chi_po": (
        losses.chi_po(*FOUR, beta=0.5, bound=3.0),
        exact(
            lambda w, l, rw, rl, *_: softplus(-cut((link(w - rw) - link(l - rl)) / 2, 3))  # noqa: E741
        ),
    ),
    "chi_po, bound 20": (
        losses.chi_po(*FOUR),
        exact(
            lambda w, l, rw, rl, *_: softplus(-cut((link(w - rw) - link(l - rl)) / 10, 20))  # noqa: E741
        ),
    ),
    "simpo": (
        losses.simpo(*PLAIN),
        exact(lambda w, l, _, __, n, m: softplus(1 - 2 * (w / n - l / m))),  # noqa: E741
    ),
    "simpo, no margin": (
        losses.simpo(*PLAIN, beta=0.5, gamma=0.0),
        exact(lambda w, l, _, __, n, m: softplus(-(w / n - l / m) / 2)),  # noqa: E741
    ),
    "orpo": (
        losses.orpo(*PLAIN),
        exact(lambda w, l, _, __, n, m: -w / n + softplus(odds(l / m) - odds(w / n)) / 10),  # noqa: E741
    ),
    "orpo, beta 2": (
        losses.orpo(*PLAIN, beta=2.0),
        exact(lambda w, l, _, __, n, m: -w / n + 2 * softplus(odds(l / m) - odds(w / n))),  # noqa: E741
    ),
    "cpo": (
        losses.cpo(*FOUR[:2]),
        exact(lambda w, l, *_: softplus(-(w - l) / 10) - w),  # noqa: E741
    ),
    "cpo, by length": (
        losses.cpo(*FOUR[:2], np.array(LENGTHS[0]), beta=0.5, alpha=0.75),
        exact(lambda w, l, _, __, n, ___: softplus(-(w - l) / 2) - w * 3 / (4 * n)),  # noqa: E741
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_each_loss_to_the_last_digits(name: str) -> None:
    got, expected = CASES[name]
    np.testing.assert_allclose(got, expected, rtol=4e-15)


def test_far_log_ratios_stay_finite_in_single_precision() -> None:
    far = [np.array([x], dtype=np.float32) for x in (-1.0, -2.0, -900.0, -2.0)]
    for name in ("dpo", "cdpo", "robust_dpo", "hinge", "chi_po", "sppo_hard"):
        assert np.isfinite(getattr(losses, name)(*far)).all(), name


def test_a_bounded_link_has_no_gradient_beyond_its_bound() -> None:
    tensors = [torch.tensor(x, requires_grad=True) for x in FOUR]
    loss = losses.chi_po(*tensors, beta=0.5, bound=3.0)
    (slopes,) = torch.autograd.grad(loss.sum(), tensors[0])
    inside = (
        np.abs(
            0.5
            * (
                np.exp(FOUR[0] - FOUR[2])
                + FOUR[0]
                - FOUR[2]
                - np.exp(FOUR[1] - FOUR[3])
                - FOUR[1]
                + FOUR[3]
            )
        )
        < 3
    )
    np.testing.assert_array_equal(slopes.numpy() != 0, inside)
    assert inside.any()
    assert not inside.all()


def test_defaults_are_those_that_are_told() -> None:
    zero, far = np.zeros(1), np.array([6.0])
    np.testing.assert_allclose(losses.hinge(far, zero, zero, zero), [0.4], rtol=1e-15)
    end = np.array([10.0])
    np.testing.assert_array_equal(losses.hinge(end, zero, zero, zero), zero)
    np.testing.assert_allclose(losses.chi_po(far, zero, zero, zero), [np.log1p(np.exp(-20.0))])


def test_the_hinge_ends_without_a_slope() -> None:
    chosen = torch.tensor([30.0], dtype=torch.float64, requires_grad=True)
    zero = torch.zeros(1, dtype=torch.float64)
    losses.hinge(chosen, zero, zero, zero).sum().backward()
    assert chosen.grad is not None
    assert float(chosen.grad) == 0.0


def test_optimism_is_the_mean_over_the_references_draws() -> None:
    draws = np.array([-1.0, -2.0, -6.0])
    np.testing.assert_allclose(losses.optimism(draws, alpha=0.5), -1.5)
    expected = float(mpmath.fsum(CASES["dpo, beta 0.5"][1])) / 3 - 1.5
    np.testing.assert_allclose(losses.xpo(*FOUR, draws, beta=0.5, alpha=0.5), expected, rtol=1e-14)
    default = float(mpmath.fsum(CASES["dpo"][1])) / 3 - 0.003
    np.testing.assert_allclose(losses.xpo(*FOUR, draws), default, rtol=1e-14)


def test_bad_arguments_are_named() -> None:
    short = np.zeros(2)
    for wrong, message in (
        (lambda: losses.dpo(*FOUR, beta=0.0), r"beta is 0"),
        (lambda: losses.dpo(FOUR[0], short, *FOUR[2:]), r"rejected_log_prob has shape \(2,\)"),
        (lambda: losses.cdpo(*FOUR, label_smoothing=0.6), r"label_smoothing is 0\.6.*0 to 0\.5"),
        (lambda: losses.robust_dpo(*FOUR, label_smoothing=0.5), r"label_smoothing is 0\.5"),
        (lambda: losses.rpo(*FOUR, alpha=-1.0), r"alpha is -1"),
        (lambda: losses.chi_po(*FOUR, bound=0.0), r"bound is 0"),
        (lambda: losses.simpo(*PLAIN, gamma=-1.0), r"gamma is -1"),
        (lambda: losses.optimism(short, alpha=-1.0), r"alpha is -1"),
    ):
        with pytest.raises(ValueError, match=message):
            wrong()
