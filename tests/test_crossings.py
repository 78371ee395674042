"""Crossovers against every length, one after the other: the smallest n from which on a variant stays cheaper."""

from __future__ import annotations

import pytest

from llmcx.core.candidate import Candidate
from llmcx.core.compare import all_variants, compare
from llmcx.core.cores import Fixed
from llmcx.core.traffic import Machine
from llmcx.spec.load import load_preset

SMALL = load_preset("gpt2")
SLOW = Machine("a slow machine", 10**12, 10**11, 2**20)
UP_TO = 3000


@pytest.mark.parametrize("baseline", ["standard", "causal_flash"])
def test_by_looking_at_every_length(baseline: str) -> None:
    variants = [*all_variants(), Fixed(128, 8)]
    priced = {c.name: c.priced(SLOW) for c in (Candidate(SMALL, v, 1, 2, False) for v in variants)}
    said = {
        (x.cheaper, x.measure): x.seq
        for x in compare(SMALL, [64], variants=variants, machine=SLOW).crossovers
        if x.than == baseline
    }
    for name, one in priced.items():
        for measure in ("core_flops", "kept_bytes", "core_seconds"):
            dearer = [n for n in range(1, UP_TO) if one.costs(n)[measure] >= priced[baseline].costs(n)[measure]]
            seq = said.get((name, measure))
            if seq is not None and seq < UP_TO:
                assert dearer[-1] == seq - 1, (name, measure)
            else:
                assert not dearer or dearer[-1] == UP_TO - 1, (name, measure)
