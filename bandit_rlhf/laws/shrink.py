"""Make a failing case smaller: fewer and simpler choices, failing in the same way."""

import time
from collections.abc import Callable

Fails = Callable[[bytes], bool]


def shrunk(content: bytes, fails: Fails, calls: int = 400, seconds: float = 5.0) -> bytes:
    r"""The simplest bytes found, within so many trials and seconds, that still fail.

    Blocks of choices are set to the simplest (0), large blocks first, then taken out, then each
    choice is lowered by bisection; again until nothing helps.

    >>> shrunk(bytes([9, 200, 3, 77]), lambda content: max(content, default=0) >= 64)
    b'\x00\x00\x00@'
    """
    left, end = calls, time.monotonic() + seconds
    seen: dict[bytes, bool] = {}

    def still(candidate: bytes) -> bool:
        nonlocal left
        candidate = candidate.rstrip(b"\0")
        if candidate not in seen:
            if left <= 0 or time.monotonic() > end:
                return False
            left -= 1
            seen[candidate] = fails(candidate)
        return seen[candidate]

    best, before = content.rstrip(b"\0"), None
    while best != before and left > 0:
        before = best
        for change in (_zeroed, _lowered):
            best = change(best, still).rstrip(b"\0")
    return best


def _zeroed(best: bytes, still: Fails) -> bytes:
    size = len(best)
    while size:
        for start in range(0, len(best), size):
            candidate = best[:start] + bytes(len(best[start : start + size])) + best[start + size :]
            if candidate != best and still(candidate):
                best = candidate
        size //= 2
    return best


def _lowered(best: bytes, still: Fails) -> bytes:
    for at in range(len(best)):
        low, high = 0, best[at]
        while low < high:
            middle = (low + high) // 2
            candidate = best[:at] + bytes([middle]) + best[at + 1 :]
            if still(candidate):
                best, high = candidate, middle
            else:
                low = middle + 1
    return best
