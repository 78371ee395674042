"""SGLang 0.5.23: a pool for weights and cache that is a share of the memory, cells for tokens in it, slots for states.

Shares and reserve: sglang/srt/arg_groups/memory_hook.py. Pool: srt/mem_cache/kv_cache_configurator.py, _profile_available_bytes;
what a token takes of it: srt/model_executor/pool_configurator.py, asked itself (tests/oracle/sglang_pools.py). Held to start-up
logs (tests/oracle/sglang_starts.csv).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor
from typing import Any, NamedTuple

from llmcx.engines import GPU, Engine, Kept
from llmcx.errors import InputError, check_sizes
from llmcx.ops.op import STATES, Op
from llmcx.parallel.layout import cut

MIB, GIB = 2**20, 2**30
MIXERS = ("attention", "mla", "mamba2", "gated_delta", "kimi_delta", "short_conv")
"""What SGLang has."""
SPLIT = ("gpt_oss", "gemma4", "gemma4_text", "llama4", "llama4_text")
"""Families whose windowed layers have a pool of their own; those of all others keep every token (configs/model_config.py)."""
WINDOWED, EVICTED = 0.8, 128
"""Tokens of the windows' pool for one of the full layers' (swa_full_tokens_ratio); decoded tokens between two evictions."""
STATES_SHARE = 0.9
"""Bytes of the states' pool for one of the cache's (mamba_full_memory_ratio)."""
BUFFERED = (
    *("falcon_h1", "granitemoehybrid", "kimi_linear", "nemotron_h", "qwen3_5", "qwen3_5_text", "qwen3_5_moe"),
    *("qwen3_5_moe_text", "qwen3_next"),
)
"""Families that track the states of running prompts in two slots more (arg_groups/overrides.py)."""
SLOTS, TRACKED = 3, 2
"""Slots that a request has: its own, two for the prefix cache; and those."""
FAST = 70 * GIB
"""Memory of an accelerator from which on GPUs are linked by a fast fabric, which has buffers of its own."""
ALONE, LINKED = 500 * MIB, 3_180 * MIB
"""Bytes, calibrated: that kernels and libraries take before the weights are loaded, on one GPU or without a fast fabric, and with
one.
"""


class Defaults(NamedTuple):
    """Tokens of a prefill's chunk, and sequences of the largest CUDA graph."""

    chunk: int
    graphs: int


def defaults(memory: int, tp: int = 1) -> Defaults:
    """By the memory of a GPU, as the driver says it, and the GPUs that share a layer (arg_groups/memory_hook.py).

    >>> defaults(81559 * MIB), defaults(24564 * MIB), defaults(143771 * MIB, tp=8)
    (Defaults(chunk=8192, graphs=256), Defaults(chunk=4096, graphs=48), Defaults(chunk=8192, graphs=512))
    """
    small, size = tp < 4, memory // MIB
    for limit, chunk, few, many in (
        (20, 2048, 8, 8),
        (35, 4096, 48, 160),
        (60, 4096, 32, 160),
        (160, 8192, 256, 512),
    ):
        if size < limit * 1024:
            return Defaults(chunk, few if small else many)
    return Defaults(16384, 512)


def graphs_of_prefill(chunk: int) -> int:
    """CUDA graphs of prefills up to ``chunk`` tokens: every 4, 16, 32, 64, 256 and 512 tokens from 4, 48, 288, 576, 1280 and
    4608 on, as SGLang lists them.

    >>> graphs_of_prefill(8192), graphs_of_prefill(4607), graphs_of_prefill(32)
    (58, 50, 8)
    """
    sizes = [
        *range(4, 33, 4),
        *range(48, 257, 16),
        *range(288, 513, 32),
        *range(576, 1025, 64),
        *range(1280, 4097, 256),
    ]
    listed = sum(1 for size in sizes if size <= chunk)
    return listed + max(0, chunk - 4096) // 512


def reserve(memory: int, chunk: int, graphs: int, gpus: int, latent: bool = False) -> int:
    """Bytes that are kept for activations and CUDA graphs, in MiB: 512 and 1.5 a token of a chunk, 128 a GPU, 2 a sequence of the
    largest graph, 8 a graph of a prefill (with latents 1,536 for all), of large accelerators at least 10 GiB.

    >>> reserve(81559 * MIB, 8192, 256, 1) // MIB
    13904
    """
    tokens = max(chunk, 2048)
    mib = 512 + 1.5 * tokens + gpus / 8 * 1024 + 2 * graphs + (1536 if latent else 8 * graphs_of_prefill(chunk))
    return floor((max(mib, 10 * 1024) if memory > 60 * GIB else mib) * MIB)


def fraction(memory: int, chunk: int, graphs: int, gpus: int, latent: bool = False) -> float:
    """mem_fraction_static where it is not given: what :func:`reserve` leaves, to three digits.

    >>> fraction(81559 * MIB, 8192, 256, 1)
    0.83
    """
    return round(1 - reserve(memory, chunk, graphs, gpus, latent) / memory, 3)


class Cell(NamedTuple):
    """Bytes that a token takes in all full layers and in all windowed ones of a GPU, with the ``window``; bytes of a slot of
    states, and slots of a request.
    """

    full: int
    windowed: int
    window: int
    state: int
    slots: int

    @property
    def bytes(self) -> float:
        """Of a token of the pool: where there are full layers, windows have :data:`WINDOWED` of their tokens."""
        return self.full + WINDOWED * self.windowed if self.full else self.windowed


class Room(NamedTuple):
    """Tokens and slots that a pool has room for."""

    tokens: int
    windowed: int
    slots: int


@dataclass(frozen=True)
class SGLang(Engine):
    """Pages of ``block`` tokens; prompts go through in chunks of ``max_num_batched_tokens``; CUDA graphs of up to
    ``max_num_seqs`` sequences. ``memory`` of a GPU and the ``share`` of it for weights and cache, where they are known.
    """

    block: int = 1
    max_num_batched_tokens: int = 8192
    max_num_seqs: int = 256
    memory: int | None = None
    share: float | None = None

    name = "sglang"
    wide = True  # layers/quantization/fp8.py, create_weights
    growing = True
    pipelined = True  # a loop over as many micro-batches as stages (srt/managers/scheduler_pp_mixin.py)
    more_layers = "last"  # srt/distributed/utils.py, get_pp_indices
    formats = ("bf16", "fp16", "fp32", "fp8")
    rule = "SGLang 0.5.23: pages of {block} tokens; windows and states in pools that are a fixed share"

    def settings(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key not in ("memory", "share")}

    def check(self, encoder_decoder: bool) -> None:
        check_sizes(self, *self.settings())
        if encoder_decoder:
            raise InputError("how SGLang caches an encoder-decoder is not known; give --engine ideal", field="engine")

    def cells(self, needed: int, context: int, cache: Any, mixed: bool) -> int:
        return needed

    def pass_tokens(self, batch: int, seq: int) -> int:
        return self.max_num_batched_tokens

    def outside(self, gpus: int) -> int:
        """Bytes that kernels and libraries take before the weights are loaded."""
        return LINKED if gpus > 1 and (self.memory or FAST) >= FAST else ALONE

    def overhead(self, gpu: GPU) -> tuple[int, str]:
        return self.outside(gpu.tp * gpu.pp), "estimate: kernels and libraries, before the weights are loaded"

    def peak(self, gpu: GPU) -> tuple[int, str]:
        """Activations and CUDA graphs have what the share leaves of the memory that is free before the weights are loaded."""
        if self.memory is not None and self.share is not None:
            left = round((1 - self.share) * (self.memory - self.outside(gpu.tp * gpu.pp)))
            return left, f"kept for activations and CUDA graphs: {1 - self.share:.1%} of what is free at first"
        size = reserve(self.memory or FAST, self.max_num_batched_tokens, self.max_num_seqs, gpu.tp * gpu.pp)
        return size, f"kept for activations and CUDA graphs, with chunks of {self.max_num_batched_tokens:,} tokens"

    def cell(self, kept: tuple[Kept, ...], kv_bytes: float) -> Cell:
        """What a token and a request's state take on a GPU. Raises InputError for layers that SGLang does not run."""
        full = windowed = window = state = 0
        for layer in kept:
            if layer.mixer not in MIXERS:
                raise InputError(f"SGLang does not run {layer.mixer}; give --engine ideal", field="engine", value="sglang")
            sparse = any(op.cache is not None and op.cache.kind == "index" for op in layer.ops)
            for op in layer.ops:
                held = op.cache
                assert held is not None
                if held.kind in STATES:
                    state += layer.layers * _state(op)
                elif held.window is not None and layer.family in SPLIT:
                    windowed += layer.layers * _token(op, kv_bytes, sparse)
                    window = max(window, held.window)
                else:
                    full += layer.layers * _token(op, kv_bytes, sparse)
        buffered = any(layer.family in BUFFERED for layer in kept)
        return Cell(full, windowed, window, state, SLOTS + TRACKED * buffered)

    def paged(self, kept: tuple[Kept, ...], batch: int, context: int, kv_bytes: float, pp: int) -> dict[str, int]:
        """The pools that ``batch`` sequences need: as windows and states have a fixed share, whichever is short decides."""
        cell = self.cell(kept, kv_bytes)
        tokens = cut(context, self.block) * self.block
        live = min(tokens, cell.window + EVICTED + 2 * self.block)
        if cell.windowed:
            tokens = max(tokens, cut(int(live * 1000), int(WINDOWED * 1000))) if cell.full else live
        cache = batch * tokens * cell.bytes
        if not cell.state:
            return {"kv_cache": floor(cache)} if cache else {}
        if not cell.bytes:
            return {"state": (cell.slots * batch + 1) * cell.state}
        cache = max(cache, (cell.slots * batch + 1) * cell.state / STATES_SHARE)
        return {"kv_cache": floor(cache), "state": floor(cache * STATES_SHARE)}

    def room(self, kept: tuple[Kept, ...], pool: int, kv_bytes: float) -> Room:
        """Tokens (max_total_num_tokens) and slots of a pool of so many bytes."""
        cell = self.cell(kept, kv_bytes)
        slots = 0
        if cell.state:
            slots = int(pool * STATES_SHARE / (1 + STATES_SHARE) - cell.state) // cell.state
            pool -= (slots + 1) * cell.state
        tokens = int(pool / cell.bytes) // self.block * self.block if cell.bytes else 0
        windowed = int(tokens * WINDOWED) if cell.full else tokens
        return Room(tokens, windowed // self.block * self.block if cell.windowed else 0, slots)


def _token(op: Op, kv_bytes: float, sparse: bool) -> int:
    """Bytes of a token in a layer. Of sparse attention in fp8: latents with an fp32 scale for 128 of them, and their 64 positions
    in bf16; an indexer's keys are fp8 with an fp32 scale for 128 of them.
    """
    width = int(op.dims["width"])
    kind = op.cache.kind if op.cache is not None else ""
    if kind == "index":
        return width + cut(width, 128) * 4
    if kind == "latent" and sparse and kv_bytes == 1:
        latent = width - 64
        return latent + cut(latent, 128) * 4 + 64 * 2
    return int(width * kv_bytes)


def _state(op: Op) -> int:
    """Bytes of a state: a filter's last inputs, one fewer than it has weights, in bf16; a matrix per head in fp32."""
    assert op.cache is not None
    conv = op.cache.kind == "conv"
    return (int(op.dims["tokens"]) - conv) * int(op.dims["width"]) * (2 if conv else 4)
