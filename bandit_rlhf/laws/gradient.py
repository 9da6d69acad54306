"""Derivatives of a subject: by autograd for torch, by central differences of order eight for numpy.

With step h = 1/32 the differences are off by h^8 / 630 times the ninth derivative, 1e-15 for gentle
functions, and by some forty roundings of the values: 1e-13 of them. Steep functions, and those with
a kink within 4 h such as the bound of a narrow clip, are looked at again with `FINER` steps.

>>> numpy_grad(lambda x: x**2, 0, np.array([1.0, 3.0])).round(9)
array([2., 6.])
"""

import numpy as np

FINER = tuple(2.0**-k for k in (7, 9, 11, 13, 15))
"""Steps down to below every clip in use; each rounds four times as much as the one before."""


def numpy_slope(f, place, direction, *arrays, h=1 / 32):
    """d/dt of the sum of f(..., arrays[place] + t direction, ...) at t = 0."""
    total = 0.0
    for k, weight in enumerate((4 / 5, -1 / 5, 4 / 105, -1 / 280), start=1):
        up, down = list(arrays), list(arrays)
        up[place], down[place] = (
            arrays[place] + k * h * direction,
            arrays[place] - k * h * direction,
        )
        total = total + weight * np.sum(f(*up) - f(*down)) / h
    return total


def numpy_grad(f, place, *arrays, h=1 / 32):
    """The gradient of the sum of f in arrays[place]."""
    result = np.zeros(arrays[place].shape)
    for at in np.ndindex(result.shape):
        direction = np.zeros(result.shape)
        direction[at] = 1.0
        result[at] = numpy_slope(f, place, direction, *arrays, h=h)
    return result


def grad(f, place, *arrays):
    """The gradient of the sum of f in arrays[place], by what suits the subject."""
    return f.grad(place, *arrays)


def slope(f, place, direction, *arrays):
    """The derivative of the sum of f along a direction of arrays[place], by what suits it."""
    return f.slope(place, direction, *arrays)
