"""Attention: one new token on a cache (decode), many new tokens (prefill), both also latent (MLA), and an encoder's.

Heads are those of one GPU. Tiles and the packing of the heads that share keys: Dao, "FlashAttention-2" (arXiv:2307.08691) and
"FlashAttention-3" (arXiv:2407.08608); splits of the context over processors: "Flash-Decoding for long-context inference" (Dao,
Haziza, Massa, Sizov 2023); absorbed latent heads: DeepSeek-V2 (arXiv:2405.04434).
"""

from __future__ import annotations

from math import ceil, log2
from typing import Any, NamedTuple

from llmcx.machine.kernels import Peaks, where

TILE = 64
"""Tokens of the cache that a block reads at a time."""

SPLITS = 8
"""A context is read by 1, 2, 4 ... 128 blocks, whichever is the fastest."""

TRITON = {
    "Hopper": {(256, True), (512, False), (512, True)},
    "Blackwell": {(192, False), (192, True)},
    "Ada": {(64, False), (64, True), (192, False), (192, True)},
    "RTX Blackwell": {(head_dim, True) for head_dim in (64, 128, 192, 256)} | {(64, False), (192, False), (512, False)},
}
"""Widths of a head, and whether there is a window, for which SGLang 0.5.14 was measured to take its kernels in Triton."""


class Decode(NamedTuple):
    """``memory`` and ``flops`` shares of the peaks; ``launch_us`` of every call, ``narrow_us`` more where heads are narrower than
    128; ``tile_us`` that a block takes for :data:`TILE` tokens of 512 bytes, one after the other; ``block_us`` of a block with 8
    heads, which ``grows`` with their number, to that power, ``alone_us`` of those with a single head, and ``wide_us`` more for
    128 elements of a head's width; ``resident`` blocks that a processor holds at once; ``split_us`` each time that the splits
    double; ``l2`` how much faster than memory the cache on the chip is read; ``outside_us`` each time that the context doubles
    beyond a window; ``sharp`` how abruptly one bound gives way to another. ``packed`` heads that share keys form a block, but
    each is alone where more than ``most`` share them, or where there is a window and ``windowless`` is 1: then the context is
    not split, else at most ``splits`` times. ``stored`` bytes of an element of the cache.
    """

    launch_us: float
    narrow_us: float
    tile_us: float
    memory: float
    flops: float
    block_us: float
    grows: float
    alone_us: float
    wide_us: float
    resident: float
    outside_us: float
    l2: float
    sharp: float
    split_us: float
    packed: float
    most: float
    windowless: float
    splits: float
    stored: float


def decode(
    constants: Decode, peaks: Peaks, batch: int, heads: int, kv_heads: int, head_dim: int, window: int, past: int
) -> float:
    """Seconds for one new token each of ``batch`` sequences, with ``past`` tokens in the cache; ``window`` 0: all are read.

    >>> peaks = Peaks(1e15, 3e12, 132, 5e7, 0, 1)
    >>> constants = Decode(6, 1, 0.5, 0.9, 0.7, 2, 0.1, 2, 1, 2, 0, 2, 2, 0.5, 64, 64, 0, 128, 2)
    >>> round(decode(constants, peaks, 64, 32, 8, 128, 0, 8191) * 1e6)  # 2.1 GB of cache: 716 us at the peak
    802
    """
    return _decode(constants, peaks, batch, heads, kv_heads, head_dim, head_dim, 2 * head_dim, window, past)


def latent_decode(constants: Decode, peaks: Peaks, batch: int, heads: int, past: int, rank: int = 512, rotary: int = 64) -> float:
    """The same where all heads share one latent vector of ``rank`` elements and a rotated key, in absorbed form.

    >>> peaks = Peaks(1e15, 3e12, 132, 5e7, 0, 1)
    >>> constants = Decode(6, 1, 0.5, 0.9, 0.7, 2, 0.1, 2, 1, 2, 0, 2, 2, 0.5, 64, 1e9, 0, 128, 2)
    >>> round(latent_decode(constants, peaks, 64, 16, 8191) * 1e6)  # 0.6 GB of cache: 201 us at the peak
    238
    """
    return _decode(constants, peaks, batch, heads, 1, rank + rotary, rank, rank + rotary, 0, past)


def _decode(
    constants: Decode,
    peaks: Peaks,
    batch: Any,
    heads: Any,
    kv_heads: Any,
    key: Any,
    value: Any,
    cached: Any,
    window: Any,
    past: Any,
) -> float:
    """Over the splits s of the context, the least of launch + (reading^p + chain^p)^(1/p) + split log2 s.

    chain: one block reads its share of the context tile by tile. reading: blocks in turns over the processors, then the cache
    from memory (as much of it as does not fit the cache on the chip, and the rest from there; again for every block that reads
    the same keys), queries, results and the partial results of the splits, or the arithmetic of 16 rows a block.
    """
    shared = heads / kv_heads
    alone = (shared > constants.most) | ((window > 0) & (constants.windowless > 0))
    rows = where(alone, 1, min(shared, constants.packed))
    times = ceil(shared / rows)
    blocks = batch * kv_heads * times
    context = past + 1
    read = where(window > 0, min(context, window), context)
    tiles = ceil(read / TILE)
    size = batch * kv_heads * read * cached * constants.stored
    queries = batch * heads * (key + value) * 2
    cold = max(0, 1 - peaks.l2_bytes / size)
    p = constants.sharp
    moved = size * (cold + (times - cold) / constants.l2) + queries
    bandwidth = constants.memory * peaks.bytes_per_s * 1e-6
    arithmetic = 2 * blocks * ceil(rows / 16) * 16 * read * (key + value) / (constants.flops * peaks.flops * 1e-6)
    each = (
        where(rows == 1, constants.alone_us, constants.block_us * (rows / 8) ** constants.grows)
        + constants.wide_us * (key + value) / 256
    )
    most = where((window > 0) & (constants.windowless > 0), 1, constants.splits)
    best: Any = 0
    for doubled in range(SPLITS):
        splits = 2**doubled
        memory = (moved + 2 * (splits - 1) * queries) / bandwidth
        turns = max(1, blocks * splits / (constants.resident * peaks.sms))
        reading = turns * each + (memory**p + arithmetic**p) ** (1 / p)
        chain = ceil(tiles / splits) * constants.tile_us * cached * constants.stored / 512
        time = (reading**p + chain**p) ** (1 / p) + constants.split_us * doubled
        best = where(splits > most, best, min(best, time)) if doubled else time
    outside = constants.outside_us * log2(context / read) * (1 + blocks / 64) ** 0.5
    launch = constants.launch_us + where(key + value < 256, constants.narrow_us, 0)
    took: float = (launch + best + outside) * 1e-6
    return took


class Prefill(NamedTuple):
    """``flops`` and ``memory`` shares of the peaks; ``launch_us`` of every call; ``softmax`` what the exponential of a score
    costs, in elements of a head's width; ``block_us`` of every block, and ``wide_us`` more for 128 elements of a head's width;
    ``tile_us`` that a block takes for 128 keys, one tile after the other; ``sharp`` how abruptly one bound gives way to
    another; ``skipped`` the share of its cost that a tile outside the window still has; ``windowed`` what a tile costs under a
    window, and ``wide`` that of a head wider than 128, in multiples of others. A block has ``rows`` queries, of all heads that
    share keys together where ``packed`` is 1. ``stored`` bytes of an element of the cache.
    """

    launch_us: float
    flops: float
    softmax: float
    block_us: float
    wide_us: float
    tile_us: float
    memory: float
    sharp: float
    skipped: float
    windowed: float
    wide: float
    rows: float
    packed: float
    stored: float


def prefill(
    constants: Prefill,
    peaks: Peaks,
    batch: int,
    heads: int,
    kv_heads: int,
    head_dim: int,
    window: int,
    new: int,
    past: int = 0,
) -> float:
    """Seconds for ``new`` tokens each of ``batch`` sequences, causal, after ``past`` tokens; ``window`` 0: none.

    A past was not among the measurements: its keys are counted as those of the new tokens are.

    >>> peaks = Peaks(1e15, 3e12, 132, 5e7, 0, 1)
    >>> constants = Prefill(8, 0.7, 20, 1, 1, 1, 0.8, 2, 0, 1, 1, 128, 0, 2)
    >>> round(prefill(constants, peaks, 1, 32, 8, 128, 0, 8192) * 1e6)  # 0.55 TFLOP: 550 us at the peak
    968
    """
    return _prefill(constants, peaks, batch, heads, kv_heads, head_dim, head_dim, window, new, past, 1)


def latent_prefill(
    constants: Prefill, peaks: Peaks, batch: int, heads: int, new: int, past: int = 0, key: int = 192, value: int = 128
) -> float:
    """The same for latent attention, whose keys and values are expanded before: products alone, not the expansion.

    >>> peaks = Peaks(1e15, 3e12, 132, 5e7, 0, 1)
    >>> constants = Prefill(8, 0.7, 20, 1, 1, 1, 0.8, 2, 0, 1, 1, 128, 0, 2)
    >>> round(latent_prefill(constants, peaks, 1, 16, 8192) * 1e6)
    603
    """
    return _prefill(constants, peaks, batch, heads, heads, key, value, 0, new, past, 1)


def encoder(constants: Prefill, peaks: Peaks, batch: int, heads: int, head_dim: int, tokens: int) -> float:
    """Seconds for ``tokens`` of each of ``batch`` sequences that all see each other.

    >>> peaks = Peaks(1e15, 3e12, 132, 5e7, 0, 1)
    >>> constants = Prefill(8, 0.7, 20, 1, 1, 1, 0.8, 2, 0, 1, 1, 128, 0, 2)
    >>> round(encoder(constants, peaks, 1, 16, 64, 4096) * 1e6)
    146
    """
    return _prefill(constants, peaks, batch, heads, heads, head_dim, head_dim, 0, tokens, 0, 0)


def _prefill(
    constants: Prefill,
    peaks: Peaks,
    batch: Any,
    heads: Any,
    kv_heads: Any,
    key: Any,
    value: Any,
    window: Any,
    new: Any,
    past: Any,
    causal: int,
) -> float:
    """launch + (work^p + chain^p)^(1/p).

    work: arithmetic and exponentials of all tiles of scores, whole tiles on the diagonal and at the window's edge, or the reading
    and writing of queries, keys, values and results; and the blocks in turns over the processors. chain: the last block, which
    sees the most keys, one tile after the other.
    """
    shared = heads / kv_heads
    together = where(constants.packed > 0, shared, 1)
    step = constants.rows / together  # tokens of a block
    blocks = batch * heads / together * ceil(new / step)
    context = past + new
    seen = where(window > 0, min(context, window), context)
    rising = max(0, min(new, seen - past))  # queries that see everything before them
    everything = past + where(causal, (new + step) / 2, new)
    inside = (rising * (past + (rising + step) / 2) + (new - rising) * (seen + step)) / new
    inside = ceil(where(causal, inside, new) / 16) * 16 * where(seen < context, constants.windowed, 1)
    keys = inside + constants.skipped * max(everything - inside, 0)
    wide = where(key + value > 256, constants.wide, 1)
    scores = blocks * constants.rows * keys * wide
    p = constants.sharp
    arithmetic = scores * (2 * (key + value) + 4 * constants.softmax) / (constants.flops * peaks.flops * 1e-6)
    moved = batch * (key + value) * (2 * new * heads + kv_heads * (2 * new + constants.stored * context))
    memory = moved / (constants.memory * peaks.bytes_per_s * 1e-6)
    turns = max(1, blocks / peaks.sms)
    work = (arithmetic**p + memory**p) ** (1 / p) + turns * (constants.block_us + constants.wide_us * (key + value) / 256)
    last = min(seen + step, context)
    last = ceil((last + constants.skipped * (context - last)) / 128)
    chain = constants.tile_us * wide * last * ((key + value) / 2 + constants.softmax) / 128
    took: float = (constants.launch_us + (work**p + chain**p) ** (1 / p)) * 1e-6
    return took


def kernels_of(engine: str, generation: str | None, head_dim: int, window: int, dtype: str = "bf16") -> str:
    """The engine by whose rows of "decode_attention" and "prefill_attention" a shape goes: SGLang has two sets of kernels.

    >>> kernels_of("sglang", "Hopper", 256, 1024), kernels_of("sglang", "Hopper", 128, 0), kernels_of("vllm", "Hopper", 256, 1024)
    ('sglang_triton', 'sglang', 'vllm')
    """
    if engine != "sglang" or generation is None:
        return engine
    triton = (head_dim, window > 0) in TRITON.get(generation, ()) or (generation == "Hopper" and dtype == "bf16_kv_fp8")
    return "sglang_triton" if triton else engine
