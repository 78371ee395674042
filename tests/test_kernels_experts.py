"""The law of experts: what it says of loads, and that no size makes it go wrong."""

from __future__ import annotations

from itertools import pairwise, product
from random import Random

import pytest

from llmcx.catalog.data import load_hardware
from llmcx.catalog.kernels import Row, law, table
from llmcx.machine.kernels import FORMATS, experts, peaks

TOKENS = (1, 2, 4, 6, 8, 12, 16, 17, 24, 32, 33, 48, 64, 96, 128, 256, 1024, 8192, 65536)
MODELS = ((2048, 768, 8, 128), (7168, 2048, 8, 256), (4096, 14336, 2, 8), (5120, 8192, 1, 128), (4096, 1024, 10, 512))
LAYOUTS = ((1, 1), (8, 1), (1, 8), (2, 4))


@pytest.mark.parametrize("row", table("experts").rows, ids=lambda row: f"{row.hardware}-{row.engine}-{row.dtype}")
def test_more_work_takes_no_less(row: Row) -> None:
    """Nor less than the datasheet allows for the rows and the weights of the busiest rank."""
    of, constants = peaks(load_hardware(row.hardware), row.dtype), row.law.constants
    stored = FORMATS[row.dtype].weight
    for (hidden, inter, top_k, total), (tp, ep), skew in product(MODELS, LAYOUTS, (0.0, 1.2)):
        taken = [experts.seconds(constants, of, each, hidden, inter, top_k, total, tp, ep, skew) for each in TOKENS]
        assert all(more >= less * 0.999 for less, more in pairwise(taken)), (hidden, inter, tp, ep, skew)
        for tokens, time in zip(TOKENS, taken, strict=True):
            load = experts.busiest(tokens, top_k, total, ep, skew)
            elements = 3 * hidden * inter / tp
            assert time > 2 * load.rows * elements / of.flops
            assert time > load.met * elements * stored / of.bytes_per_s
        for wider in (
            experts.seconds(constants, of, 256, hidden + 64, inter, top_k, total, tp, ep, skew),
            experts.seconds(constants, of, 256, hidden, inter + 64 * tp, top_k, total, tp, ep, skew),
            experts.seconds(constants, of, 256, hidden, inter, top_k + 1, total, tp, ep, skew),
        ):
            assert wider >= taken[TOKENS.index(256)] * 0.999


def test_all_alike_is_counted_by_hand() -> None:
    """DeepSeek-V3 over 32 ranks: 128 tokens x 8 of 256 experts are 4 tokens an expert, 8 experts and 32 rows a rank."""
    assert experts.busiest(128, 8, 256, 32)[:2] == (32, 8)
    assert experts.busiest(4, 8, 256, 32)[:2] == (1, 1)  # 32 slots, a rank each


@pytest.mark.parametrize(
    ("tokens", "top_k", "total", "ep"), [(4096, 8, 256, 1), (4096, 8, 256, 8), (1024, 4, 128, 32), (512, 8, 384, 4)]
)
def test_the_busiest_rank_is_that_of_draws(tokens: int, top_k: int, total: int, ep: int) -> None:
    """200 draws of loads from x^-1.2 between 1 and 0.8 tokens, scaled to all slots, and the rank with the most of them."""
    random, power, high = Random(7), -0.2, 0.8 * tokens
    most, met = [], []
    for _ in range(200):
        drawn = [(1 + (high**power - 1) * random.random()) ** (1 / power) for _ in range(total)]
        loads = [min(each * tokens * top_k / sum(drawn), tokens) for each in drawn]
        ranks = [loads[rank * total // ep : (rank + 1) * total // ep] for rank in range(ep)]
        busiest = max(ranks, key=sum)
        most.append(sum(busiest))
        met.append(sum(min(1.0, each) for each in busiest))
    load = experts.busiest(tokens, top_k, total, ep, 1.2)
    assert load.rows == pytest.approx(sum(most) / 200, rel=0.15)
    assert load.met == pytest.approx(sum(met) / 200, rel=0.15)


def test_a_second_kernel_has_a_law_or_is_the_engines_own() -> None:
    hopper, ampere = load_hardware("h100"), load_hardware("a100")
    assert law("experts", hopper, "vllm/marlin", "mxfp4").stated.startswith("fitted to vllm/marlin")
    assert law("experts", ampere, "sglang/cutlass", "bf16").constants == law("experts", ampere, "sglang", "bf16").constants
    assert "/" not in law("experts", hopper, "transformers", "mxfp4").stated.partition(": as ")[2].partition(" on ")[0]


def test_weights_that_stay_in_the_cache_are_read_faster() -> None:
    """An L40S keeps 96 MiB: one expert's 4 MB of a 30B mixture, not 128 of Mixtral's size."""
    hardware = load_hardware("l40s")
    of, constants = peaks(hardware, "bf16"), law("experts", hardware, "vllm", "bf16").constants
    small = [experts.seconds(constants, of, 1, 2048, 768, 8, 128, repeated=again) for again in (False, True)]
    large = [experts.seconds(constants, of, 64, 4096, 14336, 2, 8, repeated=again) for again in (False, True)]
    assert small[0] > 1.2 * small[1]
    assert large[0] == pytest.approx(large[1], rel=0.01)
