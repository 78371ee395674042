"""Depth against width: published shapes, hand counts and exhaustive search."""

from __future__ import annotations

from itertools import pairwise
from math import ceil
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcx.answers.shapes import DEPTHS, Shape, balanced, depth_advice, feed_forward, references, shapes
from tests.helpers import refuses

# sum(p.numel()) of the released configuration built by transformers 5.23.0 on the meta device (GPT-3: GPT2Config with Table 2.1's
# shape and 2048 positions); the same figures that the presets are held to.
GPT3, LLAMA_7B, LLAMA_65B = 174_604_259_328, 6_738_415_616, 65_285_660_672


def gpt_count(layers: int, d: int, vocab: int) -> int:
    """By hand: attention 4 d² + 4 d, feed-forward 8 d² + 5 d, two norms 4 d; final norm 2 d; one table V d."""
    return layers * (12 * d * d + 13 * d) + 2 * d + vocab * d


def llama_count(layers: int, d: int, vocab: int, kv: int, head_dim: int) -> int:
    """By hand: q and out 2 d², k and v 2 d kv d_h, feed-forward 3 d d_ff with d_ff = 8/3 d up to 256, norms 2 d, d; 2 tables."""
    d_ff = -(-8 * d // (3 * 256)) * 256
    return layers * (2 * d * d + 2 * d * kv * head_dim + 3 * d * d_ff + 2 * d) + d + 2 * vocab * d


def test_published_shapes_are_found_again() -> None:
    """Given a published count and its depth, the search has to come back to the published width exactly."""
    [gpt3] = shapes(GPT3, 50257, depths=[96], positions=2048)
    assert (gpt3.d_model, gpt3.n_heads, gpt3.d_ff, gpt3.deviation) == (12288, 96, 49152, 0)
    [small] = shapes(LLAMA_7B, 32000, depths=[32], gated=True)
    assert (small.d_model, small.n_heads, small.d_ff, small.deviation) == (4096, 32, 11008, 0)
    [large] = shapes(LLAMA_65B, 32000, depths=[80], gated=True)
    assert (large.d_model, large.n_heads, large.d_ff, large.deviation) == (8192, 64, 22016, 0)


def test_references() -> None:
    """Brown et al. 2020, Table 2.1; Touvron et al. 2023, Table 2. d / L: 12288 / 96 = 128, 4096 / 32 = 128, 8192 / 80 = 102.4."""
    rows = references()
    assert [(row.n_layers, row.d_model) for row in rows] == [(96, 12288), (32, 4096), (80, 8192)]
    assert [row.params for row in rows] == [GPT3, LLAMA_7B, LLAMA_65B]
    assert [row.aspect_ratio for row in rows] == [128, 128, 102.4]
    assert [row.sequential_steps for row in rows] == [96, 32, 80]
    assert all(row.deviation is None and row.name for row in rows)


def test_costs_by_hand() -> None:
    """LLaMA 7B, n = 2048: per layer 2 n (4 d² + 3 d d_ff) + 4 n² d, 32 of them, and the head 2 n d V.

    Weights 4 · 4096² + 3 · 4096 · 11008 = 67,108,864 + 135,266,304; times 2 · 2048: 828,928,688,128. Pairs 4 · 2048² · 4096 =
    68,719,476,736. Head: 2 · 2048 · 4096 · 32000 = 536,870,912,000. Cache: 2 · 32 · 4096 · 2 B = 524,288 B a token.
    """
    llama = references(2048)[1]
    assert llama.forward_flops == 32 * (828_928_688_128 + 68_719_476_736) + 536_870_912_000
    assert llama.kv_bytes_per_token == 524_288
    assert references(2048, "fp32")[1].kv_bytes_per_token == 1_048_576


def test_grouped_heads() -> None:
    """8 key-value heads of 128: width in steps of 1024, cache 2 · L · 8 · 128 · 2 B."""
    for row in shapes(8 * 10**9, 128_256, gated=True, kv_heads=8):
        assert row.d_model % 1024 == 0 and row.kv_heads == 8
        assert row.kv_bytes_per_token == 4096 * row.n_layers
        assert row.params == llama_count(row.n_layers, row.d_model, 128_256, 8, 128)


def test_feed_forward() -> None:
    """LLaMA 7B, 13B, 33B, 65B: 11008, 13824, 17920, 22016 (config.json of the releases)."""
    assert [feed_forward(d, gated=True) for d in (4096, 5120, 6656, 8192)] == [11008, 13824, 17920, 22016]
    assert feed_forward(1000, ffn_multiple=2.5) == 2500
    assert feed_forward(4096, gated=True, ffn_multiple=3.5) == 14336  # Llama 3 8B
    assert feed_forward(1000, ffn_multiple=8 / 3, ffn_round=1) == ceil(8000 / 3)
    assert feed_forward(768, ffn_multiple=8 / 3, ffn_round=1) == 2048  # no rounding error on the way up


def test_deeper_is_narrower() -> None:
    """At equal parameters depth takes from width, lengthens the critical path and enlarges the cache (L d grows as sqrt L)."""
    rows = shapes(7 * 10**9, 32000, gated=True)
    assert [row.n_layers for row in rows] == list(DEPTHS)
    for one, next_one in pairwise(rows):
        assert next_one.d_model < one.d_model
        assert next_one.aspect_ratio < one.aspect_ratio
        assert next_one.kv_bytes_per_token > one.kv_bytes_per_token
        assert next_one.activation_bytes > one.activation_bytes
        assert next_one.sequential_steps > one.sequential_steps


@settings(max_examples=60)
@given(st.integers(0, 60), st.floats(0, 1), st.integers(1, 200), st.integers(1, 100_000), st.sampled_from([32, 64, 128]))
def test_nearest_by_search(units: int, between: float, depth: int, vocab: int, head_dim: int) -> None:
    """All widths tried, up to the first that is too large; the narrower of two equally near. Targets lie between two widths."""
    low, high = (gpt_count(depth, n * head_dim, vocab) for n in (units, units + 1))
    target = max(1, low + int(between * (high - low)))
    [row] = shapes(target, vocab, depths=[depth], seq=16, head_dim=head_dim)
    width = 0
    candidates = []
    while True:
        width += head_dim
        candidates.append((abs(gpt_count(depth, width, vocab) - target), width))
        if gpt_count(depth, width, vocab) > target:
            break
    off, expected = min(candidates)
    assert row.d_model == expected
    assert row.params == gpt_count(depth, expected, vocab)
    assert row.deviation is not None and abs(row.deviation) == off
    assert row.relative == row.deviation / target


@given(st.integers(1, 10**15), st.integers(1, 10**6), st.booleans())
def test_always(target: int, depth: int, gated: bool) -> None:
    [row] = shapes(target, 32000, depths=[depth], seq=1, gated=gated)
    assert isinstance(row, Shape)
    assert row.n_layers == row.sequential_steps == depth
    assert row.n_heads * 128 == row.d_model
    assert row.deviation == row.params - target
    assert row.aspect_ratio == row.d_model / depth


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"params": 0}, "params"),
        ({"params": 10**16}, "params"),
        ({"vocab": 0}, "vocab"),
        ({"depths": []}, "depths"),
        ({"depths": [0]}, "depths"),
        ({"seq": 0}, "seq"),
        ({"seq": 4096, "positions": 2048}, "seq"),
        ({"head_dim": 0}, "head_dim"),
        ({"kv_heads": 0}, "kv_heads"),
        ({"ffn_multiple": 0}, "ffn_multiple"),
        ({"ffn_multiple": float("nan")}, "ffn_multiple"),
        ({"ffn_round": 0}, "ffn_round"),
        ({"kv_dtype": "bf17"}, "dtype"),
    ],
)
def test_refusals(change: dict[str, Any], field: str) -> None:
    arguments: dict[str, Any] = {"params": 10**9, "vocab": 32000} | change
    with refuses(field):
        shapes(**arguments)


# --- advice ---------------------------------------------------------------------------------------------------------


def test_levines_advice() -> None:
    """Levine et al. 2020, arXiv:2006.12467, abstract: GPT-3 is too deep for its size; a trillion parameters want a width of
    30K.
    """
    assert depth_advice(96, 12288) == "deep"
    assert round(balanced(1e12)[1], -4) == 30_000


def test_divisibility_by_hand() -> None:
    """LLaMA 7B: 32 heads, d_ff 11008 = 256 · 43: 32 GPUs, tiles of 256. 33 heads of 128: nothing but 1."""
    llama = next(row for row in references() if row.name == "LLaMA 7B")
    assert (llama.tensor_parallel, llama.tile) == (32, 256)
    assert shapes(7 * 10**9, 32000, depths=[32], gated=True)[0].tensor_parallel == 1  # 4224 wide


def test_equal_flops() -> None:
    """LLaMA 7B's own forward FLOPs in 32 layers are its own width."""
    llama = next(row for row in references() if row.name == "LLaMA 7B")
    [row] = shapes(llama.forward_flops, 32000, depths=[32], gated=True, by="flops")
    assert (row.d_model, row.deviation) == (4096, 0)
    assert row.train_flops == 3 * row.forward_flops and row.train_state_bytes == 16 * row.params
