"""Where an integer function of a length changes its sign."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from math import lcm, sqrt

LIMIT = 2**40
"""Lengths beyond this are not looked at."""

LARGE = 2**16
"""Lengths beyond this are looked at in larger steps: what is padded is small beside them."""


def first_below_zero(value: Callable[[int], float], limit: int = LIMIT, start: int = 1) -> int | None:
    """The smallest n >= 1 with ``value(n)`` < 0, given that it stays below from there on; None where it is not by ``limit``.
    Looked for from ``start``.

    >>> first_below_zero(lambda n: 1000 - n * n), first_below_zero(lambda n: 1, limit=100)
    (32, None)
    """
    value = cache(value)
    low, high = 0, start
    while value(high) >= 0:
        if high >= limit:
            return None
        low, high = high, 16 * high
    if low == 0 and value(1) < 0:
        return 1
    return below_zero(value, max(low, 1), high)


def lasting_below_zero(value: Callable[[int], int], steps: Iterable[int] = ()) -> int | None:
    """The smallest n >= 1 from which on ``value`` stays below 0 up to LIMIT; None where it does not.

    ``value`` is quadratic in n, in pieces, plus what a chunk that is padded, or a block that is begun, adds: ``steps`` are their
    sizes. So along n = φ, φ + period, ... it changes its sign for the last time once; the last n at which it is not below 0 lies
    just behind a step (φ = 1) or just before one (φ = 0), for one of the steps.

    >>> lasting_below_zero(lambda n: -1 if n < 5 else 1000 - n * n)
    32
    >>> lasting_below_zero(lambda n: 1000 - 8 * (n + -n % 8), steps=[8])
    121
    """
    if value(LIMIT) >= 0:
        return None
    wide = {step for step in steps if step > 1}
    period = lcm(*wide)
    phases = {(k * step + e) % period for step in wide for k in range(period // step) for e in (0, 1)} or {0}
    over = 0  # the last length found at which the value is not below 0
    for phase in phases:
        offset = phase or period

        def along(m: int, offset: int = offset) -> int:
            return value((m - 1) * period + offset)

        first = _from_above(along, LIMIT // period)
        if first is None:
            return None
        if first > 1:
            over = max(over, (first - 2) * period + offset)
    if period == 1 or over == 0:
        return over + 1
    # Between two neighbouring phases nothing steps: the sign changes once.
    high = min(n for p in phases if (n := over - over % period + p + (period if p <= over % period else 0)) > over)
    return below_zero(value, over, high)


def _from_above(value: Callable[[int], int], limit: int) -> int | None:
    """The same where it may be below 0 for a while before: at small n, a chunk of a recurrence is mostly padding."""
    if value(limit) >= 0:
        return None
    high, by = limit, 256
    while high > 1:
        by = by if high > LARGE else 2
        if value(high // by) >= 0:
            return below_zero(value, high // by, high)
        high //= by
    return 1


def below_zero(value: Callable[[int], float], low: int, high: int) -> int:
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


def _fall(a: tuple[int, float], b: tuple[int, float], c: tuple[int, float]) -> float:
    """How far behind ``a`` the parabola through three points, or the line where ``c`` is one of the others, falls through 0."""
    slope = (b[1] - a[1]) / (b[0] - a[0])
    curve = 0.0
    if c not in (a, b):
        curve = ((c[1] - b[1]) / (c[0] - b[0]) - slope) / (c[0] - a[0])
        slope -= curve * (b[0] - a[0])
    under = slope * slope - 4 * curve * a[1]
    bottom = sqrt(max(under, 0.0)) - slope
    return 2 * a[1] / bottom if bottom > 0 else 0.0
