"""Where one variant becomes cheaper than another: lengths solved in integers, never read off a grid."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache

from llmcx.answers.search import lasting_below_zero


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
    """The smallest n from which on ``cheaper`` stays cheaper, or None."""

    def margin(n: int) -> int:
        return cheaper.costs(n)[measure] - than.costs(n)[measure]

    return lasting_below_zero(margin, (than.period, cheaper.period))
