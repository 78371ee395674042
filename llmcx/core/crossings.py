"""Where one variant becomes cheaper than another: lengths solved in integers, never read off a grid."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from math import lcm

from .record import dataclass
from .search import below_zero

LIMIT = 2**40
"""Lengths beyond this are not looked at."""

LARGE = 2**24
"""Lengths beyond this are looked at in larger steps: padding and windows are far behind."""


@dataclass(frozen=True)
class Crossing:
    """From ``seq`` on, ``cheaper`` costs less than ``than`` in ``measure``; at ``seq`` - 1 it does not."""

    cheaper: str
    than: str
    measure: str
    seq: int


class Priced:
    """A variant as crossings see it: its costs by measure at a length, and the ``period`` in tokens with which they step."""

    def __init__(self, costs: Callable[[int], Mapping[str, int]], period: int) -> None:
        self.costs = lru_cache(maxsize=None)(costs)
        self.period = period


def crossings(priced: Mapping[str, Priced], baselines: Collection[str], measures: Collection[str]) -> list[Crossing]:
    """For every variant and every other one in ``baselines``, the smallest n from which it is cheaper, in each of ``measures``.

    Pairs that keep their order at every length, or that end the other way round, are left out.
    """
    found = []
    for than in (name for name in priced if name in baselines):
        for cheaper in (name for name in priced if name != than):
            for measure in measures:
                seq = _from(priced[than], priced[cheaper], measure)
                if seq is not None and seq > 1:
                    found.append(Crossing(cheaper, than, measure, seq))
    return found


def _from(than: Priced, cheaper: Priced, measure: str) -> int | None:
    """The smallest n from which on ``cheaper`` stays cheaper, or None.

    Costs are quadratics in n plus what a chunk that is padded, or a block that is begun, adds: a step with a period. So along n
    = φ, φ + period, ... the difference changes its sign for the last time once, which a bisection finds; the last length at which
    the order is still the other way lies just behind a step (φ = 1) or just before one (φ = 0), for one of the two.
    """

    def margin(n: int) -> int:
        return cheaper.costs(n)[measure] - than.costs(n)[measure]

    if margin(LIMIT) >= 0:
        return None
    period = lcm(than.period, cheaper.period)
    steps = {p for p in (than.period, cheaper.period) if p > 1}
    phases = {(k * p + e) % period for p in steps for k in range(period // p) for e in (0, 1)} or {0}
    lost = 0  # the last length found at which ``than`` is no dearer
    for phase in phases:
        offset = phase or period

        def along(m: int, offset: int = offset) -> int:
            return margin((m - 1) * period + offset)

        first = _lasting(along, LIMIT // period)
        if first is None:
            return None
        if first > 1:
            lost = max(lost, (first - 2) * period + offset)
    if period == 1 or lost == 0:
        return lost + 1
    # Between two neighbouring phases nothing steps: the order changes once.
    low, high = lost, min(n for p in phases if (n := lost - lost % period + p + (period if p <= lost % period else 0)) > lost)
    return below_zero(margin, low, high)


def _lasting(margin: Callable[[int], int], limit: int) -> int | None:
    """The smallest n >= 1 from which on ``margin`` stays below 0 up to ``limit``, though it may be there for a while before.

    Looked for from above: at small n, a chunk of a recurrence is mostly padding.
    """
    if margin(limit) >= 0:
        return None
    high, by = limit, 16
    while high > 1:
        by = by if high > LARGE else 2
        if margin(high // by) >= 0:
            return below_zero(margin, high // by, high)
        high //= by
    return 1
