"""Two items: the law of win, tie and loss given the difference of their rewards.

The difference d = r_item - r_other may carry anything that is to be learned: rewards of a network,
a linear reward phi . theta, an order effect, a length covariate; or a margin m that the winner must
exceed, as d - m. Summing `select(model(d), outcome)` gives the log-likelihood, its negative the
loss.
"""

import sys
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace, is_numpy_array, is_torch_array

from bandit_rlhf import _check

Array = Any
"""Any array of the Array API standard: NumPy, torch, JAX."""


class Outcomes(NamedTuple):
    """One array for each outcome, seen from the first item.

    Args:
        win: [...], the first item is preferred.
        tie: [...], neither; minus infinity (a zero slope) where the model knows no ties.
        loss: [...], the other item is preferred.
    """

    win: Array
    tie: Array
    loss: Array


def bradley_terry(difference: Array) -> Outcomes:
    """Log-probabilities of Bradley and Terry's model.

    P(win) = 1 / (1 + e^-d)

    Args:
        difference: [...], d = r_item - r_other, nats.

    Returns:
        Log-probabilities, each [...].

    References:
        Bradley and Terry 1952, Biometrika 39:324; as a reward model's loss, Ouyang et al. 2022
        (2203.02155), equation 1.

    >>> [round(float(x), 4) for x in bradley_terry(np.asarray(0.0))]
    [-0.6931, -inf, -0.6931]
    """
    xp = array_namespace(difference)
    return Outcomes(
        _log_sigmoid(xp, difference),
        xp.full_like(difference, -xp.inf),
        _log_sigmoid(xp, -difference),
    )


def bradley_terry_score(difference: Array) -> Outcomes:
    """Derivatives of `bradley_terry` in the difference: 1 - p for a win, -p for a loss.

    Args:
        difference: [...], nats.
    """
    xp = array_namespace(difference)
    return Outcomes(
        xp.exp(_log_sigmoid(xp, -difference)),
        xp.zeros_like(difference),
        -xp.exp(_log_sigmoid(xp, difference)),
    )


def thurstone(difference: Array) -> Outcomes:
    """Log-probabilities of Thurstone and Mosteller's model (case V).

    P(win) = Phi(d)

    Args:
        difference: [...], d = r_item - r_other, in standard deviations of the difference's noise.

    Returns:
        Log-probabilities, each [...], accurate in both tails.

    References:
        Thurstone 1927, Psychological Review 34:273; Mosteller 1951, Psychometrika 16:3.

    >>> round(float(thurstone(np.asarray(-40.0)).win), 3)   # Phi(-40) itself underflows
    -804.608
    """
    xp = array_namespace(difference)
    return Outcomes(
        _log_ndtr(difference), xp.full_like(difference, -xp.inf), _log_ndtr(-difference)
    )


def thurstone_score(difference: Array) -> Outcomes:
    """Derivatives of `thurstone` in the difference: phi(d) / Phi(d) for a win.

    Args:
        difference: [...], standard deviations.
    """
    xp = array_namespace(difference)
    log_density = -0.5 * difference**2 - 0.5 * float(np.log(2 * np.pi))
    return Outcomes(
        xp.exp(log_density - _log_ndtr(difference)),
        xp.zeros_like(difference),
        -xp.exp(log_density - _log_ndtr(-difference)),
    )


def rao_kupper(difference: Array, threshold: Array) -> Outcomes:
    """Log-probabilities of Rao and Kupper's model: differences below a threshold go unnoticed.

    P(win) = s(d - eta),  P(loss) = s(-d - eta),  P(tie) = (e^(2 eta) - 1) P(win) P(loss)

    with s the logistic function. eta = 0 is Bradley-Terry.

    Args:
        difference: [...], nats.
        threshold: eta, at least 0, nats; a scalar array or [...]. Differentiable above 0.

    Returns:
        Log-probabilities, each [...].

    References:
        Rao and Kupper 1967, J. Amer. Statist. Assoc. 62:194 (their theta is e^eta).

    >>> sum(np.exp(rao_kupper(np.asarray(0.7), np.asarray(0.4)))).round(12)
    np.float64(1.0)
    """
    xp = array_namespace(difference, threshold)
    win = _log_sigmoid(xp, difference - threshold)
    loss = _log_sigmoid(xp, -difference - threshold)
    with np.errstate(divide="ignore"):  # eta = 0 has no ties: ln 0 is meant
        tie = 2 * threshold + xp.log(-xp.expm1(-2 * threshold)) + win + loss
    return Outcomes(win, tie, loss)


def rao_kupper_score(difference: Array, threshold: Array) -> Outcomes:
    """Derivatives of `rao_kupper` in the difference.

    Args:
        difference: [...], nats.
        threshold: at least 0, nats.
    """
    xp = array_namespace(difference, threshold)
    win = xp.exp(_log_sigmoid(xp, threshold - difference))
    loss = -xp.exp(_log_sigmoid(xp, threshold + difference))
    return Outcomes(win, win + loss, loss)


def davidson(difference: Array, log_prevalence: Array) -> Outcomes:
    """Log-probabilities of Davidson's model: ties are likeliest among equals.

    P(win) : P(tie) : P(loss) = e^(d/2) : nu : e^(-d/2)

    Whatever nu, P(win) / P(loss) = e^d: ties do not bend the scores. nu = 0 is Bradley-Terry.

    Args:
        difference: [...], nats.
        log_prevalence: ln nu; a scalar array or [...].

    Returns:
        Log-probabilities, each [...].

    References:
        Davidson 1970, J. Amer. Statist. Assoc. 65:317.

    >>> np.exp(davidson(np.asarray(0.0), np.asarray(0.0))).round(6).tolist()
    [0.333333, 0.333333, 0.333333]
    """
    xp = array_namespace(difference, log_prevalence)
    half = difference / 2

    def log_share(one: Array, other: Array) -> Array:
        """Minus ln(1 + odds of both other outcomes): exact near probability one."""
        return -xp.logaddexp(xp.zeros_like(half), xp.logaddexp(one, other))

    return Outcomes(
        log_share(log_prevalence - half, -difference),
        log_share(half - log_prevalence, -half - log_prevalence),
        log_share(log_prevalence + half, difference),
    )


def davidson_score(difference: Array, log_prevalence: Array) -> Outcomes:
    """Derivatives of `davidson` in the difference.

    Args:
        difference: [...], nats.
        log_prevalence: ln nu.
    """
    xp = array_namespace(difference, log_prevalence)
    win, _, loss = davidson(difference, log_prevalence)
    mean = (xp.exp(win) - xp.exp(loss)) / 2
    return Outcomes(0.5 - mean, -mean, -0.5 - mean)


def select(outcomes: Outcomes, outcome: Array) -> Array:
    """The entries of the outcomes that happened: with log-probabilities, the log-likelihood [...].

    Args:
        outcomes: log-probabilities or scores.
        outcome: [...], +1 win, 0 tie, -1 loss.

    >>> select(bradley_terry(np.zeros(2)), np.asarray([1, -1])).round(4)
    array([-0.6931, -0.6931])
    """
    xp = array_namespace(outcomes.win, outcome)
    return xp.where(outcome > 0, outcomes.win, xp.where(outcome < 0, outcomes.loss, outcomes.tie))


def sample_outcome(outcomes: Outcomes, rng: np.random.Generator) -> np.ndarray:
    """Draw a judgement from each law: int8 [...], +1 win, 0 tie, -1 loss.

    Args:
        outcomes: log-probabilities, NumPy.
        rng: the source of randomness.

    >>> sample_outcome(davidson(np.zeros(4), np.asarray(-40.0)), np.random.default_rng(0))
    array([-1,  1,  1,  1], dtype=int8)
    """
    uniform = rng.random(np.shape(outcomes.win))
    win, tie = np.exp(outcomes.win), np.exp(outcomes.tie)
    return np.where(uniform < win, 1, np.where(uniform < win + tie, 0, -1)).astype(np.int8)


def _log_sigmoid(xp: Any, x: Array) -> Array:
    return -xp.logaddexp(xp.zeros_like(x), -x)


def _log_ndtr(x: Array) -> Array:
    """The logarithm of Phi(x); the standard has no such function, so each library gives its own."""
    if is_numpy_array(x) or isinstance(x, np.generic):
        from scipy.special import log_ndtr

        return log_ndtr(x)
    if is_torch_array(x):
        return sys.modules["torch"].special.log_ndtr(x)
    jax = sys.modules.get("jax")
    if jax is not None and isinstance(x, jax.Array):
        from jax.scipy.special import log_ndtr  # pyright: ignore[reportMissingImports]

        return log_ndtr(x)
    raise TypeError(
        _check.complaint(f"x is a {type(x).__name__}", "a NumPy, torch or JAX array", "thurstone")
    )
