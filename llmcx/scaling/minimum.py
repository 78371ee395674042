"""Where a function of one number crosses zero, and where it is least."""

from __future__ import annotations

from collections.abc import Callable
from math import exp, log


def rising(value: Callable[[float], float], low: float, high: float) -> float:
    """Where a growing function crosses zero between two positive numbers, by bisection in their logarithms."""
    if value(low) >= 0:
        return low
    a, b = log(low), log(high)
    for _ in range(100):
        middle = (a + b) / 2
        a, b = (a, middle) if value(exp(middle)) >= 0 else (middle, b)
    return exp(b)


def least(value: Callable[[float], float], low: float, high: float) -> float:
    """Where a function of one valley is least, by golden section."""
    step = (5**0.5 - 1) / 2
    a, b = high - step * (high - low), low + step * (high - low)
    at_a, at_b = value(a), value(b)
    for _ in range(80):
        if at_a <= at_b:
            high, b, at_b = b, a, at_a
            a = high - step * (high - low)
            at_a = value(a)
        else:
            low, a, at_a = a, b, at_b
            b = low + step * (high - low)
            at_b = value(b)
    return (low + high) / 2
