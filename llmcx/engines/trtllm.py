"""TensorRT-LLM 1.2, PyTorch backend: blocks of tokens, a pool for each window, a share of what one profiled step leaves.

Pool: tensorrt_llm/_torch/pyexecutor/_util.py, KvCacheCreator. Windows: cpp/tensorrt_llm/batch_manager/kvCacheManager.cpp. Held to
start-up logs (tests/oracle/trtllm_starts.csv).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor
from typing import Any

from llmcx.engines import GPU, Engine, Kept
from llmcx.engines.vllm import forward
from llmcx.errors import InputError, check_sizes
from llmcx.ops.op import STATES, Cache
from llmcx.parallel.layout import cut

MIXERS = ("attention", "mla")
"""Whose cache is known here."""
ALONE, LINKED = 1_600 * 2**20, 3_900 * 2**20
"""Bytes, estimated: that driver, kernels, libraries and CUDA graphs take outside of torch, on one GPU and on one of several."""


@dataclass(frozen=True)
class TensorRTLLM(Engine):
    """Blocks of ``block`` tokens; one step of ``max_num_batched_tokens`` is profiled. ``memory`` of a GPU and the ``share`` for
    the cache of what is free then, where they are known.
    """

    block: int = 32
    max_num_batched_tokens: int = 8192
    memory: int | None = None
    share: float | None = None

    name = "trtllm"
    pipelined = True  # as many micro-batches as stages (_torch/pyexecutor/py_executor.py); layers: mapping.py, pp_layers
    formats = ("bf16", "fp16", "fp32", "fp8")
    rule = "TensorRT-LLM 1.2: blocks of {block} tokens, a pool for each window"

    def settings(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key not in ("memory", "share")}

    def check(self, encoder_decoder: bool) -> None:
        check_sizes(self, *self.settings())
        if encoder_decoder:
            raise InputError("how TensorRT-LLM caches an encoder-decoder is not known; give --engine ideal", field="engine")

    def cells(self, needed: int, context: int, cache: Cache, mixed: bool) -> int:
        return needed

    def pass_tokens(self, batch: int, seq: int) -> int:
        return self.max_num_batched_tokens

    def peak(self, gpu: GPU) -> tuple[int, str]:
        """Activations of the profiled step. Logits are of the last position of few prompts."""
        tokens = self.max_num_batched_tokens
        return forward(gpu, tokens), f"estimate: activation peak, a step of {tokens:,} tokens"

    def overhead(self, gpu: GPU) -> tuple[int, str]:
        size = LINKED if gpu.tp * gpu.pp > 1 else ALONE
        return size, "estimate: driver, kernels, libraries, CUDA graphs; and what its share leaves free"

    def spare(self, taken: int) -> int:
        if self.memory is None or self.share is None:
            return 0
        return round((1 - self.share) * max(0, self.memory - taken))

    def windows(self, kept: tuple[Kept, ...], context: int, kv_bytes: float) -> dict[int, int]:
        """Bytes of a token by window, of a model of ``context`` tokens. Raises InputError for a cache that is not known."""
        found: dict[int, int] = {}
        for layer in kept:
            kinds = {op.cache.kind for op in layer.ops if op.cache is not None}
            if layer.mixer not in MIXERS or kinds & {*STATES, "index", "cross"}:
                what = "its indexer" if "index" in kinds else layer.mixer
                raise InputError(
                    f"how TensorRT-LLM holds {what} is not known; give --engine ideal", field="engine", value="trtllm"
                )
            for op in layer.ops:
                held = op.cache
                assert held is not None
                window = context if held.window is None else min(held.window, context)
                found[window] = found.get(window, 0) + layer.layers * int(op.dims["width"] * kv_bytes)
        return found

    def paged(self, kept: tuple[Kept, ...], batch: int, context: int, kv_bytes: float, pp: int) -> dict[str, int]:
        """The pools that ``batch`` sequences need. A window has as much of the memory as its tokens have of a sequence's; a
        window shorter than the sequence needs one block more, for it does not begin with a block.
        """
        windows = self.windows(kept, context, kv_bytes)
        whole = sum(window * size for window, size in windows.items())
        need = max(
            (batch * (cut(window, self.block) + (window < context)) * self.block * whole / window for window in windows),
            default=0,
        )
        return {"kv_cache": floor(need)} if need else {}

    def tokens(self, kept: tuple[Kept, ...], free: int, context: int, kv_bytes: float, share: float = 0.9) -> int:
        """Tokens of the full layers' pool, in whole blocks, of so many ``free`` bytes."""
        windows = self.windows(kept, context, kv_bytes)
        whole = sum(window * size for window, size in windows.items())
        full = max(windows)
        return cut(int(share * free * full / whole), self.block) * self.block
