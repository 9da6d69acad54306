"""The two forms of Gao, Schulman and Hilton (2022, arXiv:2210.10760, section 3.1) for gold against
d = sqrt(KL).

    square       R(d) = d (a - b d)       peak at d = a / (2 b)
    logarithm    R(d) = d (a - b ln d)    peak at d = exp(a / b - 1)

They fitted the first to best-of-n and the second to RL. Which belongs where is measured here, never
assumed: both are linear in (a, b), so least squares is exact, and Akaike's criterion compares them.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

Form = Literal["square", "logarithm"]
FORMS: tuple[Form, ...] = ("square", "logarithm")


@dataclass(frozen=True)
class GaoFit:
    """One form fitted to one curve.

    Args:
        form: which of the two.
        a: slope at the reference (for `logarithm`, at d = 1).
        b: how fast the slope falls.
        residual: root of the mean squared residual, in units of the gold reward.
        criterion: Akaike's, n ln(mean squared residual) + 4 (two parameters); lower is better.
    """

    form: Form
    a: float
    b: float
    residual: float
    criterion: float

    @property
    def peak(self) -> float:
        """Where the fitted curve turns, infinite where it never does (b <= 0)."""
        if self.b <= 0:
            return float("inf")
        return (
            self.a / (2 * self.b) if self.form == "square" else float(np.exp(self.a / self.b - 1))
        )

    def __call__(self, d: ArrayLike) -> np.ndarray:
        """R(d), zero at d = 0."""
        d = np.asarray(d, dtype=float)
        return design(self.form, d) @ np.array([self.a, self.b])


def design(form: Form, d: np.ndarray) -> np.ndarray:
    """The columns that a and b multiply [point, 2]."""
    bend = d**2 if form == "square" else d * np.log(np.where(d > 0, d, 1.0))
    return np.stack([d, -bend], axis=-1)


def fit(form: Form, d: ArrayLike, gold: ArrayLike) -> GaoFit:
    """Least squares of one form.

    Args:
        form: which of the two.
        d: sqrt(KL) [point], above 0; three points or more.
        gold: gain in gold reward [point].

    Raises:
        ValueError: fewer than three points, or d that is not above 0.

    >>> d = np.array([0.5, 1.0, 2.0, 3.0])
    >>> round(fit("square", d, d * (2.0 - 0.5 * d)).peak, 9)
    2.0
    """
    d, gold = np.asarray(d, dtype=float), np.asarray(gold, dtype=float)
    if d.size < 3 or d.min() <= 0:
        raise ValueError(
            f"d has {d.size} points, the least {d.min() if d.size else 'none'}, but should have 3 "
            "or more, all above 0 [gao.fit]. Leave the reference itself out."
        )
    columns = design(form, d)
    (a, b), *_ = np.linalg.lstsq(columns, gold, rcond=None)
    squared = float(np.mean((gold - columns @ np.array([a, b])) ** 2))
    # An exact fit would have a criterion of minus infinity; rounding is the floor.
    floor = np.finfo(float).tiny
    return GaoFit(
        form, float(a), float(b), squared**0.5, d.size * float(np.log(squared + floor)) + 4
    )
