"""Where one variant becomes cheaper than another: lengths solved in integers, never read off a grid."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache

from llmcx.answers.candidate import Candidate
from llmcx.answers.search import lasting_below_zero
from llmcx.machine.roofline import Machine


@dataclass(frozen=True)
class Crossing:
    """From ``seq`` on, ``cheaper`` costs less than ``than`` in ``measure``; at ``seq`` - 1 it does not."""

    cheaper: str
    than: str
    measure: str
    seq: int


def crossings(candidates: Sequence[Candidate], baselines: Collection[str], machine: Machine | None) -> list[Crossing]:
    """For every variant and every other one in ``baselines``, the smallest n from which it is cheaper, in each measure.

    Pairs that keep their order at every length, or that end the other way round, are left out.
    """
    costs = cache(lambda candidate, seq: candidate.costs(seq, machine))
    measures = ("core_flops", "kept_bytes", "core_seconds") if machine else ("core_flops", "kept_bytes")

    def start(cheaper: Candidate, than: Candidate, measure: str) -> int:
        periods = (than.period, cheaper.period)
        return lasting_below_zero(lambda n: costs(cheaper, n)[measure] - costs(than, n)[measure], periods) or 0

    return [
        Crossing(cheaper.name, than.name, measure, seq)
        for than in candidates
        for cheaper in candidates
        for measure in measures
        if than.name in baselines and cheaper is not than and (seq := start(cheaper, than, measure)) > 1
    ]
