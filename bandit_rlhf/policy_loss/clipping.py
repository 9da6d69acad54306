"""The band of ratios in which a step may still be taken.

>>> import numpy as np
>>> Clip(0.2, 0.25).cut(np.asarray([0.5, 1.0, 2.0]))
array([0.8 , 1.  , 1.25])
"""

from dataclasses import dataclass

from array_api_compat import array_namespace

from bandit_rlhf import _check
from bandit_rlhf._masked import Array


@dataclass(frozen=True)
class Clip:
    """Ratios from 1 - low to 1 + high.

    Attributes:
        low: how far below 1, within 0 to 1.
        high: how far above 1, above 0.
        dual: for negative advantages, the ratio from which no further step is taken, above 1
            (Ye et al. 2020, 1912.09729, equation 5); None: no such bound.
    """

    low: float
    high: float
    dual: float | None = None

    def __post_init__(self) -> None:
        """Judge the band."""
        if not 0 <= _check.real("low", self.low, "Clip") <= 1:
            raise ValueError(_check.complaint(f"low is {self.low:g}", "within 0 to 1", "Clip"))
        _check.positive("high", self.high, "Clip")
        if self.dual is not None and not self.dual > 1 + self.high:
            got = f"dual is {self.dual:g}"
            raise ValueError(_check.complaint(got, f"above 1 + high = {1 + self.high:g}", "Clip"))

    def cut(self, ratio: Array) -> Array:
        """The ratio, cut to the band."""
        return array_namespace(ratio).clip(ratio, 1 - self.low, 1 + self.high)
