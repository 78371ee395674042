"""Where an integer function of a length changes its sign."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt


def below_zero(value: Callable[[int], int], low: int, high: int) -> int:
    """The smallest n with ``value(n)`` < 0, given value(low) >= 0 > value(high) and one change of sign between them.

    Costs are quadratics in n, in pieces: each step looks where the parabola through three values falls below 0, which for
    one piece is the answer (Muller's method, kept within the bracket); every third step halves the bracket.

    >>> below_zero(lambda n: 10**12 - n * n, 1, 2**40)
    1000001
    """
    left, right = (low, value(low)), (high, value(high))
    before, step = right, 0
    while right[0] - left[0] > 1:
        step += 1
        at = (left[0] + right[0]) // 2 if step % 3 == 0 else left[0] + int(_fall(left, right, before)) + 1
        at = min(max(at, left[0] + 1), right[0] - 1)
        found = value(at)
        if found < 0:
            before, right = right, (at, found)
        else:
            before, left = left, (at, found)
    return right[0]


def _fall(a: tuple[int, int], b: tuple[int, int], c: tuple[int, int]) -> float:
    """How far behind ``a`` the parabola through three points, or the line where ``c`` is one of the others, falls through 0."""
    slope = (b[1] - a[1]) / (b[0] - a[0])
    curve = 0.0
    if c not in (a, b):
        curve = ((c[1] - b[1]) / (c[0] - b[0]) - slope) / (c[0] - a[0])
        slope -= curve * (b[0] - a[0])
    under = slope * slope - 4 * curve * a[1]
    bottom = sqrt(max(under, 0.0)) - slope
    return 2 * a[1] / bottom if bottom > 0 else 0.0
