"""Laws of attention, recurrent mixers and collectives: more work takes no less time, and nothing beats the datasheet."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import isfinite
from typing import Any

import pytest

from llmcx.catalog.data import load_hardware
from llmcx.catalog.kernels import Row, law, table
from llmcx.catalog.presets import load_preset
from llmcx.engines.kernel_time import Kernels
from llmcx.engines.launches import launches
from llmcx.formats.quant import stored_as
from llmcx.formats.storage import Names
from llmcx.machine.kernels import Peaks, attention, collectives, peaks, recurrent
from llmcx.model.lower import Run
from llmcx.parallel.layout import Layout
from llmcx.parallel.ranks import rank_ops
from tests.helpers import data

TOKENS = (1, 2, 17, 64, 500, 2048, 8193, 40000)
BATCHES = (1, 3, 16, 100, 700)


def laws(kind: str) -> Any:
    """One test for each row of a kind."""
    rows = table(kind).rows
    return pytest.mark.parametrize("row", rows, ids=[f"{row.hardware}-{row.engine}-{row.dtype}" for row in rows])


def of(row: Row, dtype: str = "bf16") -> Peaks:
    return peaks(load_hardware(row.hardware), dtype)


def rises(seconds: Callable[..., float], *sizes: tuple[int, ...]) -> None:
    """In every size, whatever the others."""
    shapes: list[tuple[int, ...]] = [()]
    for each in sizes:
        shapes = [(*shape, size) for shape in shapes for size in each]
    taken = {shape: seconds(*shape) for shape in shapes}
    assert all(isfinite(each) and each > 0 for each in taken.values())
    for place, each in enumerate(sizes):
        for small, large in pairwise(each):
            for shape, took in taken.items():
                if shape[place] == small:
                    more = (*shape[:place], large, *shape[place + 1 :])
                    assert taken[more] >= took * (1 - 1e-9), (shape, more)


@laws("decode_attention")
@pytest.mark.parametrize("window", (0, 1024))
def test_decode_rises_and_reads_the_cache(row: Row, window: int) -> None:
    peak = of(row)

    def seconds(batch: int, kv_heads: int, past: int) -> float:
        took = attention.decode(row.law.constants, peak, batch, 4 * kv_heads, kv_heads, 128, window, past)
        read = 2 * batch * kv_heads * min(past + 1, window or past + 1) * 128 * row.law.constants.stored
        assert took > (read - peak.l2_bytes) / peak.bytes_per_s
        return took

    rises(seconds, BATCHES, (1, 2, 8), TOKENS)


@laws("latent_decode")
def test_latent_decode_rises_and_reads_the_cache(row: Row) -> None:
    peak = of(row)

    def seconds(batch: int, heads: int, past: int) -> float:
        took = attention.latent_decode(row.law.constants, peak, batch, heads, past)
        assert took > (batch * (past + 1) * 576 * row.law.constants.stored - peak.l2_bytes) / peak.bytes_per_s
        assert took > 2 * batch * heads * (past + 1) * (576 + 512) / peak.flops
        return took

    rises(seconds, BATCHES, (2, 16, 128), TOKENS)


@laws("prefill_attention")
@pytest.mark.parametrize("window", (0, 1024))
def test_prefill_rises_and_multiplies(row: Row, window: int) -> None:
    peak = of(row, "fp8" if row.dtype == "fp8" else "bf16")

    def seconds(batch: int, kv_heads: int, new: int, past: int) -> float:
        took = attention.prefill(row.law.constants, peak, batch, 4 * kv_heads, kv_heads, 128, window, new, past)
        scores = sum(min(past + query + 1, window or past + query + 1) for query in range(new)) if new < 600 else 0
        assert took > 4 * batch * 4 * kv_heads * 128 * scores / peak.flops
        return took

    rises(seconds, BATCHES, (1, 8), TOKENS, (0, 100, 5000))


@laws("latent_prefill")
def test_latent_prefill_rises(row: Row) -> None:
    peak = of(row)
    rises(lambda *shape: attention.latent_prefill(row.law.constants, peak, *shape), BATCHES, (2, 16, 128), TOKENS, (0, 5000))


@laws("encoder_attention")
def test_an_encoder_rises_and_multiplies(row: Row) -> None:
    peak = of(row)

    def seconds(batch: int, heads: int, tokens: int) -> float:
        took = attention.encoder(row.law.constants, peak, batch, heads, 64, tokens)
        assert took > 4 * batch * heads * 64 * tokens**2 / peak.flops
        return took

    rises(seconds, BATCHES, (2, 16), TOKENS)


@pytest.mark.parametrize("kind", ("all_reduce", "all_gather", "reduce_scatter", "all_to_all"))
def test_messages_rise_and_go_over_the_link(kind: str) -> None:
    law = collectives.all_reduce if kind == "all_reduce" else collectives.scattered
    for row in table(kind).rows:
        peak = of(row)
        for gpus in (2, 4, 8):
            taken = [law(row.law.constants, peak, gpus, 2.0**size) for size in range(31)]
            assert all(small <= large for small, large in pairwise(taken))
            if kind != "all_reduce" or gpus < 8:  # a switch that adds spares the links half of an all-reduce
                assert taken[-1] > (gpus - 1) / gpus * 2**30 / peak.link


@pytest.mark.parametrize("kind", ("dispatch", "combine", "dispatch_low_latency", "combine_low_latency"))
def test_experts_rise(kind: str) -> None:
    for row in table(kind).rows:
        peak = of(row)
        rises(
            lambda *shape, row=row, peak=peak: collectives.exchanged(row.law.constants, peak, 8, *shape),
            TOKENS,
            (512, 7168),
            (1, 8),
        )


@laws("gated_delta_prefill")
def test_a_scan_rises(row: Row) -> None:
    peak = of(row)
    rises(
        lambda batch, heads, tokens: recurrent.scanned(row.law.constants, peak, batch, heads, 2 * heads, tokens),
        BATCHES,
        (1, 16),
        TOKENS,
    )


@laws("gated_delta_decode")
def test_a_step_rises_and_moves_the_states(row: Row) -> None:
    peak = of(row)

    def seconds(batch: int, heads: int) -> float:
        took = recurrent.stepped(row.law.constants, peak, batch, heads)
        assert took > (2 * 4 * batch * heads * 128 * 128 - peak.l2_bytes) / peak.bytes_per_s
        return took

    rises(seconds, BATCHES, (1, 4, 32))


@laws("mamba2_prefill")
def test_mamba_2_rises_and_multiplies(row: Row) -> None:
    peak = of(row)

    def seconds(batch: int, heads: int, tokens: int) -> float:
        took = recurrent.dual(row.law.constants._replace(host_us=0), peak, batch, heads, tokens)
        flops = 2 * batch * heads * tokens * 2 * 64 * 128  # into the states and out of them, whatever the chunks
        assert took > max(flops / peak.flops, batch * heads * tokens * 2 * 2 * 64 / peak.bytes_per_s)
        return took

    rises(seconds, BATCHES, (8, 128), TOKENS)


@laws("mamba2_decode")
def test_mamba_2s_step_rises_and_moves_the_states(row: Row) -> None:
    peak = of(row)

    def seconds(batch: int, heads: int) -> float:
        took = recurrent.updated(row.law.constants, peak, batch, heads)
        assert took > (2 * 4 * batch * heads * 64 * 128 - peak.l2_bytes) / peak.bytes_per_s
        return took

    rises(seconds, BATCHES, (8, 64, 128))


def test_mamba_2s_step_on_an_accelerator_that_gave_no_constant() -> None:
    """H200, states in 32 bits: vllm-project/vllm pull request 44251; its times above 8,192 heads fall as work grows, and are left
    out.
    """
    found = law("mamba2_decode", load_hardware("h200"), "vllm", "bf16")
    peak = peaks(load_hardware("h200"), "bf16")
    for heads, us in ((512, 8.15), (1024, 15.31), (4096, 73.64), (8192, 142.70)):
        predicted = recurrent.updated(found.constants, peak, heads // 64, 64) * 1e6
        assert found.low < us / predicted < found.high, (heads, predicted)


@pytest.mark.parametrize("engine", ("vllm", "sglang"))
@pytest.mark.parametrize(
    "model", ("nemotron-3-nano-30b", "falcon-h1-7b", "granite-4.0-h-tiny", "bamba-9b", "zamba2-7b", "mamba2-2.7b")
)
def test_hybrids_have_measured_kernels(model: str, engine: str) -> None:
    """Every launch of Mamba-2, alone or beside attention, has a fitted law: for a prompt and for a step."""
    spec, hardware = load_preset(model), load_hardware("h100")
    names = Names(spec, stored_as(spec, "bf16"))
    kernels = Kernels(hardware, engine, None, 16)
    for run in (Run(1, 2048, fused=True), Run(8, 1, past=2048, fused=True)):
        found = [each for each in launches(rank_ops(spec, run, Layout()), run, Layout(), names) if each.kind == "recurrent"]
        assert found and all(kernels.law_of(each) is not None and kernels.seconds(each) > 0 for each in found)


@pytest.mark.parametrize(("users", "rate"), ((64, 7089.46), (384, 18111.69)))
def test_nemotron_3_nano_on_a_b200(users: int, rate: float) -> None:
    """vllm-project/vllm pull request 32873: 1,024 tokens in and out, NVFP4, fp8 cache; tokens/s, in the printed range."""
    asked = "serve nemotron-3-nano-30b --hardware b200 --dtype nvfp4 --kv-dtype fp8 --engine vllm --prompt 1024 --output 1024"
    [point] = data(*asked.split(), "--batch", str(users))["result"]["estimate"]
    low, high = point["tpot_range_s"]
    assert low < users / rate < high


@pytest.mark.parametrize("kind", ("convolution_prefill", "convolution_decode"))
def test_a_convolution_rises(kind: str) -> None:
    for row in table(kind).rows:
        peak = of(row)
        tokens = (1,) if kind == "convolution_decode" else TOKENS
        rises(
            lambda *shape, row=row, peak=peak: recurrent.convolved(row.law.constants, peak, *shape),
            BATCHES,
            (512, 12288),
            tokens,
        )


def test_an_all_reduce_by_hand() -> None:
    """16 KiB among 8 at once: 3 + 7 x 0.1 + 7 x 16,384/(0.6 x 450e3) us; 1 GiB in parts: 30 + 2 x 7/8 x 2^30/450e3 more."""
    peak = Peaks(1e15, 3e12, 132, 5e7, 450e9, 8)
    of = collectives.Collective(3, 0.1, 0.6, 5, 0.6, 30, 0.7, 0.8, 1, 0)
    assert collectives.all_reduce(of, peak, 8, 16384) * 1e6 == pytest.approx(3.7 + 7 * 16384 / 270e3)
    assert collectives.all_reduce(of, peak, 8, 2**30) * 1e6 == pytest.approx(33.7 + 1.75 * 2**30 / 450e3)


def test_which_kernels_an_engine_takes() -> None:
    """As in the measurements: SGLang on Hopper takes FlashAttention 3, but Triton for heads of 256 under a window."""
    assert attention.kernels_of("sglang", "Hopper", 256, 1024) == "sglang_triton"
    assert attention.kernels_of("sglang", "Hopper", 256, 0) == "sglang"
    assert attention.kernels_of("trtllm", "Hopper", 256, 1024) == "trtllm"
    assert attention.kernels_of("sglang", None, 256, 1024) == "sglang"
