"""vLLM 0.32: pages of one size for layers of every kind; a pool that is what weights and one profiled step leave.

Cache: vllm/v1/core/kv_cache_utils.py, asked itself (tests/oracle/vllm_cache.py). Pool: vllm/v1/worker/gpu_worker.py, and what 52
starts of 0.19 on H100 logged (tests/oracle/vllm_starts.csv), of which half the models gave the constants here.
"""

from __future__ import annotations

from dataclasses import dataclass

from llmcx.engines import GPU, Engine, Kept
from llmcx.engines.pages import CHUNKS, CROSS, FULL, STATE, WINDOW, Layout, Page, lay_out
from llmcx.errors import InputError
from llmcx.ops.op import ACTIVATIONS, STATES, Cache, Op
from llmcx.parallel.layout import cut

MIXERS = ("attention", "mla", "mamba", "mamba2", "gated_delta", "kimi_delta", "short_conv", "shared_block")
"""What vLLM has."""
EXPANDED = ("minicpm3",)
"""Families with latents that vLLM expands, and caches as keys and values: how is not known here."""
WIDE = ("nemotron_h", "qwen3_5", "qwen3_5_text", "qwen3_5_moe", "qwen3_5_moe_text")
"""Families whose released files ask for states in fp32 (mamba_ssm_cache_dtype, mamba_ssm_dtype). Kimi's are so in any case."""
LOGIT, STREAMS = 14.5, 4
"""Bytes of a number of the logits while it is sampled from (bf16, three in fp32, a mask), calibrated; tensors as wide as the
model that are alive beside a feed-forward's.
"""
BUFFERS, FIRST, MORE, GRAPHS = 48 * 2**20, 2**28, 2_255_000_000, 24 * 2**20
"""Bytes, calibrated: of a runner's own buffers; that kernels and libraries take outside of torch on one GPU, and on one of
several, with NCCL's; of CUDA graphs a layer.
"""
CAPTURED = 2
"""How much more the graphs of a layer take with latents, and with gpt-oss' experts: two models of the one and one of the other
logged 45 to 55 MiB a layer where others did 20 to 35.
"""
PADDED, BLOCK = (256, 128), 17 / 32
"""What Marlin's kernels for experts in MXFP4 take multiples of, the model's width and the experts' (fused_moe/oracle/mxfp4.py);
bytes of a number there, with its share of a scale.
"""
SPARSE, MLA_HYBRID = 64, 128
"""Tokens of a block: of FlashMLA's sparse attention, and beside recurrent states (platforms/interface.py)."""


def defaults(memory: int, name: str = "") -> dict[str, int]:
    """Tokens and sequences of a step on an accelerator with so many bytes (vllm/engine/arg_utils.py, for a server).

    >>> defaults(24 * 2**30)
    {'max_num_batched_tokens': 2048, 'max_num_seqs': 256}
    """
    if memory >= 160 * 2**30:
        return {"max_num_batched_tokens": 16384, "max_num_seqs": 1024}
    if memory >= 70 * 2**30 and "a100" not in name:
        return {"max_num_batched_tokens": 8192, "max_num_seqs": 1024}
    return {"max_num_batched_tokens": 2048, "max_num_seqs": 256}


@dataclass(frozen=True)
class VLLM(Engine):
    """Blocks of ``block`` tokens, more where a recurrent state would not fit a page; steps of
    ``max_num_batched_tokens``, two under way at a time; logits of ``max_num_seqs`` sequences.
    """

    block: int = 16
    max_num_batched_tokens: int = 8192
    max_num_seqs: int = 1024

    name = "vllm"
    utilization = 0.92
    rule = "vLLM 0.32: blocks of {block} tokens or more, pages of one size, windows with {max_num_batched_tokens} tokens a step"

    def cells(self, needed: int, context: int, cache: Cache, mixed: bool) -> int:
        return needed

    def pass_tokens(self, batch: int, seq: int) -> int:
        return self.max_num_batched_tokens

    def peak(self, gpu: GPU) -> tuple[int, str]:
        """The larger of a feed-forward and the sampler, over what fused experts keep: one step of as many tokens as there
        may be is profiled, with logits of as many sequences (vllm/v1/worker/gpu_model_runner.py, profile_run).
        """
        tokens = self.max_num_batched_tokens
        experts, stream = fused_experts(gpu), 2 * tokens * gpu.d_model
        layers = forward(gpu, tokens) - experts
        sampler = int(LOGIT * self.max_num_seqs * gpu.vocab) + stream if gpu.last else 0
        what = f"sampling {self.max_num_seqs:,} sequences" if sampler >= layers else f"a step of {tokens:,} tokens"
        return max(layers, sampler) + experts + BUFFERS, f"estimate: activation peak, {what}"

    def overhead(self, gpu: GPU) -> tuple[int, str]:
        latent = any(op.cache is not None and op.cache.kind == "latent" for op in gpu.ops)
        graphs = GRAPHS * gpu.layers * (CAPTURED if latent or gpu.family == "gpt_oss" else 1)
        return self.outside(gpu) + graphs, "estimate: kernels and libraries outside of torch, CUDA graphs"

    def padding(self, gpu: GPU) -> int:
        more = 0
        for op in gpu.ops:
            if op.role == "expert" and op.kind == "linear":
                inner, outer = (op.dims[name] for name in (("d_in", "d_out") if op.module == "down" else ("d_out", "d_in")))
                whole = cut(outer, PADDED[0]) * PADDED[0] * cut(inner, PADDED[1]) * PADDED[1]
                more += (whole - outer * inner) * op.copies * op.times
        return int(more * BLOCK)

    def outside(self, gpu: GPU) -> int:
        """Bytes that kernels and libraries take outside of torch."""
        return MORE if gpu.tp > 1 else FIRST

    def layout(self, kept: tuple[Kept, ...], kv_bytes: float) -> Layout:
        """Groups and pages of a GPU's layers."""
        tokens, states = [], []
        for layer in kept:
            if layer.mixer not in MIXERS:
                raise InputError(f"vLLM does not run {layer.mixer}; give --engine ideal", field="engine", value="vllm")
            if layer.family in EXPANDED:
                raise InputError(
                    f"how vLLM caches {layer.family} is not known; give --engine ideal", field="engine", value="vllm"
                )
            if any(op.cache is not None and op.cache.kind in STATES for op in layer.ops):
                states.append(layer)
            else:
                tokens += [(layer.layers, op) for op in layer.ops]
        block = self.block
        if any(op.cache is not None and op.cache.kind == "index" for _, op in tokens):
            block = cut(block, SPARSE) * SPARSE
        sizes = [_state(layer) for layer in states]
        padded = 0
        if tokens and states:  # blocks of as many tokens as make a page that a state fits
            [(_, first), *_] = tokens
            one = _width(first, kv_bytes)
            align = max(block, MLA_HYBRID) if first.cache is not None and first.cache.kind == "latent" else block
            block = max(block, align * cut(max(sizes), align * one))
            padded = block * one
        pages = [_page(op, layers, block, kv_bytes) for layers, op in tokens]
        for layer, size in zip(states, sizes, strict=True):
            # With prefix caching, which models that attend too have by default: the last state, the one being made, and of a
            # Mamba-2 the one at the end of the prompt.
            many = (3 if layer.mixer == "mamba2" else 2) if tokens else 1
            pages.append(Page(STATE, layer.layers, max(size, padded), span=many))
        return lay_out(pages)

    def paged(self, kept: tuple[Kept, ...], batch: int, context: int, kv_bytes: float, pp: int) -> dict[str, int]:
        layout = self.layout(kept, kv_bytes)
        size = batch * self.blocks(layout, context, pp) * layout.block_bytes
        return {"kv_cache": size} if size else {}

    def blocks(self, layout: Layout, context: int, pp: int = 1) -> int:
        """Blocks that a request of ``context`` tokens has; its encoder may have as many as a step."""
        return layout.blocks(context, self.in_flight(pp), self.max_num_batched_tokens)

    def in_flight(self, pp: int) -> int:
        """Tokens of the steps under way: one a stage, and the next, which is scheduled meanwhile."""
        return (pp + 1) * self.max_num_batched_tokens


def _width(op: Op, kv_bytes: float) -> int:
    """Bytes of a token; an indexer's keys are fp8 with an fp32 scale for 128 of them."""
    width = int(op.dims["width"])
    if op.cache is not None and op.cache.kind == "index":
        return width + cut(width, 128) * 4
    return int(width * kv_bytes)


def _page(op: Op, layers: int, block: int, kv_bytes: float) -> Page:
    """A layer's page of attention."""
    held = op.cache
    assert held is not None
    size = block * _width(op, kv_bytes)
    if held.kind == "cross":
        return Page(CROSS, layers, size, block)
    if held.window is None:
        return Page(FULL, layers, size, block, latent=held.kind != "kv")
    return Page(CHUNKS if held.chunks else WINDOW, layers, size, block, held.window)


def _state(layer: Kept) -> int:
    """Bytes of a state: a filter's last inputs, one fewer than it has weights, in bf16; a matrix per head in bf16 or fp32."""
    wide = layer.mixer == "kimi_delta" or layer.family in WIDE
    total = 0
    for op in layer.ops:
        assert op.cache is not None
        conv = op.cache.kind == "conv"
        total += (op.dims["tokens"] - conv) * op.dims["width"] * (4 if wide and not conv else 2)
    return total


def _alive(op: Op) -> int:
    """Bytes of a feed-forward's widest tensors, gate, up and product, or before and after the activation."""
    if op.kind == "product":
        return 3 * 2 * int(op.dims["elements"])
    return 2 * 2 * int(op.dims["elements"]) if op.kind in ACTIVATIONS and not op.joined else 0


def forward(gpu: GPU, tokens: int) -> int:
    """Bytes of activations of a step of ``tokens``: a feed-forward's, the streams beside it, and what fused experts keep."""
    dense = max((_alive(op) for op in gpu.ops if op.role in ("ffn", "shared_expert")), default=0)
    streams = STREAMS + 2 * (gpu.pp > 1)
    if gpu.attention_dp > 1 and any(op.role == "expert" for op in gpu.ops):
        streams += gpu.attention_dp  # what the experts are fed is gathered from all groups
    return dense + streams * 2 * tokens * gpu.d_model + fused_experts(gpu)


def fused_experts(gpu: GPU) -> int:
    """Bytes of the workspaces of fused experts."""
    return max((_experts(op, gpu) for op in gpu.ops if op.role == "expert"), default=0)


def _experts(op: Op, gpu: GPU) -> int:
    """Bytes of the two workspaces of fused experts, as wide as their first product, and as what is left of it or the model: for
    all that is routed, to experts elsewhere too, of all groups that attend apart (vllm/model_executor/layers/fused_moe,
    workspace_shapes; all2all_backend allgather_reducescatter).
    """
    if op.kind != "linear" or op.module != "down":
        return 0
    routed, inner = int(op.dims["tokens"]) * gpu.ep * gpu.attention_dp, int(op.dims["d_in"])
    return 2 * routed * (max(2 * inner, gpu.d_model) + max(inner, gpu.d_model))
