"""Crossovers against every length, one after the other: the smallest n from which on a variant stays cheaper."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcx.answers.attention_compare import all_variants, compare
from llmcx.answers.candidate import Candidate
from llmcx.answers.flops import flops
from llmcx.answers.search import below_zero
from llmcx.catalog.load import load_preset
from llmcx.costs.flops import fold
from llmcx.machine.hardware import hardware
from llmcx.machine.roofline import machine
from llmcx.model.cores import Fixed
from llmcx.model.lower import Run, lower
from llmcx.ops.op import in_layers, is_core

SMALL = load_preset("gpt2")
_DATA = {"name": "slow", "title": "a slow machine", "vendor": "me", "year": 2024, "source": "me", "memory_gb": 1}
SLOW = machine(hardware(_DATA | {"dense_tflops": {"bf16": 1}, "memory_gb_per_s": 100}), on_chip=2**20)
UP_TO = 3000


VARIANTS = [*all_variants(), Fixed(128, 8)]


@pytest.fixture(scope="module")
def costs() -> dict[str, list[dict[str, int]]]:
    """Of each variant, at every length."""
    candidates = [Candidate(SMALL, v, 1, 2, False) for v in VARIANTS]
    return {c.name: [c.costs(n, SLOW) for n in range(1, UP_TO)] for c in candidates}


@pytest.mark.parametrize("baseline", ["standard", "causal_flash"])
def test_by_looking_at_every_length(baseline: str, costs: dict[str, list[dict[str, int]]]) -> None:
    said = {
        (x.cheaper, x.measure): x.seq
        for x in compare(SMALL, [64], variants=VARIANTS, machine=SLOW).crossovers
        if x.than == baseline
    }
    for name, one in costs.items():
        for measure in ("core_flops", "kept_bytes", "core_seconds"):
            both = enumerate(zip(one, costs[baseline], strict=True), start=1)
            dearer = [n for n, (ours, theirs) in both if ours[measure] >= theirs[measure]]
            seq = said.get((name, measure))
            if seq is not None and seq < UP_TO:
                assert dearer[-1] == seq - 1, (name, measure)
            else:
                assert not dearer or dearer[-1] == UP_TO - 1, (name, measure)


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 2**40))
def test_sign_changes_of_powers(offset: int, root: int, power: int, above: int) -> None:
    """root^power - n^power + offset falls below 0 at the first n whose power exceeds what is given."""
    looked: list[int] = []

    def value(n: int) -> int:
        looked.append(n)
        return root**power + offset - n**power

    high = root + offset + 1 + above
    found = below_zero(value, 0, high)
    assert found**power > root**power + offset >= (found - 1) ** power
    assert len(looked) <= 2 + 2 * high.bit_length()


def test_a_sign_change_takes_few_looks() -> None:
    """Where halving needs 40 (2^40 lengths), a quadratic as attention's takes fewer than half as many."""
    looked: list[int] = []

    def value(n: int) -> int:
        looked.append(n)
        return 8 * 10**20 - 4 * 4096 * n * n - 10**9 * n

    found = below_zero(value, 1, 2**40)
    assert value(found) < 0 <= value(found - 1)
    assert len(looked) - 2 < 20


@pytest.mark.parametrize(
    ("name", "period"), [("mamba2-2.7b", 256), ("minimax-text-01", 256), ("qwen3-next-80b-a3b", 64), ("gpt2-xl", 1)]
)
def test_attention_overtakes_for_good(name: str, period: int) -> None:
    """Length by length around the crossover, over two chunks to either side of it: below before, and never again after."""
    spec = load_preset(name)
    found = flops(spec, seq=1).crossover.layers
    assert found is not None

    def overtaken(n: int) -> bool:
        inside = [op for op in lower(spec, Run(seq=n)) if in_layers(op)]
        return 2 * fold.total(op for op in inside if is_core(op)) >= fold.total(inside)

    assert not overtaken(found - 1)
    assert all(overtaken(n) for n in range(found, found + 2 * period + 1))
