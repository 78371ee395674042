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

    def start(cheaper: Priced, than: Priced, measure: str) -> int:
        periods = (than.period, cheaper.period)
        return lasting_below_zero(lambda n: cheaper.costs(n)[measure] - than.costs(n)[measure], periods) or 0

    return [
        Crossing(cheaper, than, measure, seq)
        for than in priced
        for cheaper in priced
        for measure in measures
        if than in baselines and cheaper != than and (seq := start(priced[cheaper], priced[than], measure)) > 1
    ]
