"""What a choice model says of one pair: log-likelihood, score and information of its outcomes.

With d the difference of rewards and t the tie parameter, a link maps counts of outcomes to the
first derivatives of their log-likelihood in (d, t) and to minus the second ones. All five links are
log-concave in (d, t), so a fit has one maximum, and all of Newton's method stands outside of them.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

Counts = np.ndarray


class Terms(NamedTuple):
    """Derivatives of the log-likelihood of each cell.

    Args:
        score: [cell], d/dd.
        information: [cell], -d^2/dd^2.
        tie_score: [cell], d/dt; None without a tie parameter.
        cross: [cell], -d^2/dd dt.
        tie_information: [cell], -d^2/dt^2.
    """

    score: np.ndarray
    information: np.ndarray
    tie_score: np.ndarray | None = None
    cross: np.ndarray | None = None
    tie_information: np.ndarray | None = None


class Link(NamedTuple):
    """A choice model as the fit sees it.

    Args:
        name: for messages.
        terms: (d, t, left wins, right wins, ties) -> Terms.
        log_likelihood: (d, t, left wins, right wins, ties) -> [cell].
        has_tie: whether there is a tie parameter.
        tie_start: where its search starts.
        tie_above: the parameter is larger than this.

    >>> win, nothing = np.ones(1), np.zeros(1)
    >>> BRADLEY_TERRY.terms(np.zeros(1), 0.0, win, nothing, None).score   # 1 - p
    array([0.5])
    """

    name: str
    terms: Callable[..., Terms]
    log_likelihood: Callable[..., np.ndarray]
    has_tie: bool = False
    tie_start: float = 0.0
    tie_above: float = -np.inf


def _sigmoid(x: np.ndarray) -> np.ndarray:
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, small) / (1.0 + small)


def _log_sigmoid(x: np.ndarray) -> np.ndarray:
    return np.minimum(x, 0.0) - np.log1p(np.exp(-np.abs(x)))


def _bradley_terry(
    d: np.ndarray, _: float, left: Counts, right: Counts, __: Counts | None
) -> Terms:
    p, q = _sigmoid(d), _sigmoid(-d)
    return Terms(left * q - right * p, (left + right) * p * q)


def _bradley_terry_log_likelihood(
    d: np.ndarray, _: float, left: Counts, right: Counts, __: Counts | None
) -> np.ndarray:
    return left * _log_sigmoid(d) + right * _log_sigmoid(-d)


def _mills(x: np.ndarray) -> np.ndarray:
    """phi(x) / Phi(x), to full precision in the lower tail too."""
    from scipy.special import log_ndtr

    return np.exp(-0.5 * x * x - 0.5 * np.log(2 * np.pi) - log_ndtr(x))


def _thurstone(d: np.ndarray, _: float, left: Counts, right: Counts, __: Counts | None) -> Terms:
    up, down = _mills(d), _mills(-d)
    return Terms(left * up - right * down, left * up * (up + d) + right * down * (down - d))


def _thurstone_log_likelihood(
    d: np.ndarray, _: float, left: Counts, right: Counts, __: Counts | None
) -> np.ndarray:
    from scipy.special import log_ndtr

    return left * log_ndtr(d) + right * log_ndtr(-d)


def _rao_kupper(d: np.ndarray, t: float, left: Counts, right: Counts, ties: Counts) -> Terms:
    """P(left) = s(d - t), P(right) = s(-d - t), P(tie) = (e^2t - 1) s(d - t) s(-d - t)."""
    up, down = left + ties, right + ties
    p, q = _sigmoid(d - t), _sigmoid(-d - t)
    curve_up, curve_down = up * p * (1 - p), down * q * (1 - q)
    return Terms(
        up * (1 - p) - down * (1 - q),
        curve_up + curve_down,
        ties * (2 / -np.expm1(-2 * t)) - up * (1 - p) - down * (1 - q),
        curve_down - curve_up,
        curve_up + curve_down + ties / np.sinh(t) ** 2,
    )


def _rao_kupper_log_likelihood(
    d: np.ndarray, t: float, left: Counts, right: Counts, ties: Counts
) -> np.ndarray:
    tie_term = ties * (2 * t + np.log(-np.expm1(-2 * t))) if t > 0 else 0.0
    return (left + ties) * _log_sigmoid(d - t) + (right + ties) * _log_sigmoid(-d - t) + tie_term


def _davidson_probabilities(d: np.ndarray, t: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    top = np.maximum(np.abs(d) / 2, t)
    weights = np.exp(d / 2 - top), np.exp(-d / 2 - top), np.exp(t - top)
    total = weights[0] + weights[1] + weights[2]
    return weights[0] / total, weights[1] / total, weights[2] / total


def _davidson(d: np.ndarray, t: float, left: Counts, right: Counts, ties: Counts) -> Terms:
    """P(left), P(right), P(tie) proportional to e^(d/2), e^(-d/2), e^t."""
    win, loss, tie = _davidson_probabilities(d, t)
    games = left + right + ties
    return Terms(
        (left - right - games * (win - loss)) / 2,
        games * (win + loss - (win - loss) ** 2) / 4,
        ties - games * tie,
        -games * (win - loss) * tie / 2,
        games * tie * (1 - tie),
    )


def _davidson_log_likelihood(
    d: np.ndarray, t: float, left: Counts, right: Counts, ties: Counts
) -> np.ndarray:
    top = np.maximum(np.abs(d) / 2, t)
    log_total = top + np.log(np.exp(d / 2 - top) + np.exp(-d / 2 - top) + np.exp(t - top))
    tied = 0.0 if np.isneginf(t) else ties * t
    return (left - right) * d / 2 + tied - (left + right + ties) * log_total


BRADLEY_TERRY = Link("Bradley-Terry", _bradley_terry, _bradley_terry_log_likelihood)
THURSTONE = Link("Thurstone-Mosteller", _thurstone, _thurstone_log_likelihood)
RAO_KUPPER = Link("Rao-Kupper", _rao_kupper, _rao_kupper_log_likelihood, True, 0.5, 0.0)
DAVIDSON = Link("Davidson", _davidson, _davidson_log_likelihood, True)
