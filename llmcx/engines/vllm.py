"""vLLM: pages of one size for layers of every kind; a pool that is what weights and one profiled step leave.

Cache: vllm/v1/core/kv_cache_utils.py, asked itself (tests/oracle/vllm_cache.py, vllm_lines.py). Pool: gpu_worker.py in
vllm/v1/worker, and worker/worker.py before it, and what starts logged (tests/oracle/vllm_starts.csv, vllm_v0_starts.csv), of
which half the models gave the constants. What differs between versions: :mod:`llmcx.engines.vllm_lines`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from math import floor
from typing import Any

from llmcx.engines import GPU, Engine, Kept
from llmcx.engines.pages import CHUNKS, CROSS, FULL, STATE, WINDOW, Layout, Page, lay_out
from llmcx.engines.vllm_graphs import captured, taken
from llmcx.engines.vllm_lines import CONTEXT, LINES, NEWEST, Line, line, read, release
from llmcx.engines.vllm_pictures import Pictures
from llmcx.errors import InputError
from llmcx.ops.op import ACTIVATIONS, STATES, Cache, Op
from llmcx.parallel.layout import cut

MIXERS = ("attention", "mla", "mamba", "mamba2", "gated_delta", "kimi_delta", "short_conv", "shared_block")
"""What vLLM has."""
EXPANDED = ("minicpm3",)
"""Families with latents that vLLM expands, and caches as keys and values: how is not known here."""
WIDE = ("nemotron_h", "qwen3_5", "qwen3_5_text", "qwen3_5_moe", "qwen3_5_moe_text")
"""Families whose released files ask for states in fp32 (mamba_ssm_cache_dtype, mamba_ssm_dtype). Kimi's are so in any case."""
STREAMS = 4
"""Tensors as wide as the model that are alive beside a feed-forward's."""
LONG = 32768
"""Tokens of a prompt up to which the first engine put it through whole, in a step of as many, or of :data:`STEP`."""
STEP = 2048
PADDED, BLOCK = (256, 128), 17 / 32
"""What Marlin's kernels for experts in MXFP4 take multiples of, the model's width and the experts' (fused_moe/oracle/mxfp4.py);
bytes of a number there, with its share of a scale.
"""
SPARSE = 64
"""Tokens of a block of FlashMLA's sparse attention (platforms/interface.py)."""
MANY, BY_NAME = 3, 4
"""The last 0.8 that runs 1,024 sequences on every accelerator, and the last that takes larger steps for H100 and H200 alone, by
their names (0.8.0 to 0.8.5, engine/arg_utils.py, _set_default_args_v1).
"""


def defaults(memory: int, name: str = "", version: str = NEWEST) -> dict[str, int | None]:
    """Tokens and sequences of a step on an accelerator with so many bytes (vllm/engine/arg_utils.py, for a server); None: as many
    as the prompts have.

    >>> defaults(24 * 2**30), defaults(24 * 2**30, version="0.8.1")["max_num_seqs"]
    ({'max_num_batched_tokens': 2048, 'max_num_seqs': 256}, 1024)
    """
    of = line(version)
    if of.by_length:
        return {"max_num_batched_tokens": None, "max_num_seqs": 256}
    if read(version) == (0, 8) and (last := release(version)) is not None and last <= BY_NAME:
        large = "h100" in name or "h200" in name
        return {"max_num_batched_tokens": 8192 if large else 2048, "max_num_seqs": 1024 if large or last <= MANY else 256}
    if memory >= 160 * 2**30 and of.large:
        return {"max_num_batched_tokens": 16384, "max_num_seqs": 1024}
    if memory >= 70 * 2**30 and ("a100" not in name or not of.grouped):
        return {"max_num_batched_tokens": 8192, "max_num_seqs": 1024}
    return {"max_num_batched_tokens": 2048, "max_num_seqs": 256}


@dataclass(frozen=True)
class VLLM(Engine):
    """Blocks of ``block`` tokens, more where a recurrent state would not fit a page; steps of ``max_num_batched_tokens``; logits
    of ``max_num_seqs`` sequences; as ``version`` has it. ``hosted``: GPUs meet in the host, for they have no links of their own;
    ``eager``: without CUDA graphs; ``old``: with a driver before CUDA 12.4's, of which they take more. ``pictures`` that it looks
    at when it starts.
    """

    block: int = 16
    max_num_batched_tokens: int | None = 8192
    max_num_seqs: int = 1024
    version: str = NEWEST
    hosted: bool = False
    eager: bool = False
    old: bool = False
    pictures: Pictures | None = None
    utilization: float = field(default=0.92, init=False)
    wide: bool = field(default=False, init=False)

    name = "vllm"
    growing = True
    versioned = True
    pipelined = True  # as many steps under way as stages (vllm/config/vllm.py, max_concurrent_batches)
    more_layers = "middle"  # vllm/distributed/utils.py, get_pp_indices

    def __post_init__(self) -> None:
        object.__setattr__(self, "utilization", self.line.utilization)
        object.__setattr__(self, "wide", self.line.wide)

    @cached_property
    def line(self) -> Line:
        """What its version has."""
        return line(self.version)

    def settings(self) -> dict[str, Any]:
        names = ("block", "max_num_batched_tokens", "max_num_seqs")
        return {name: getattr(self, name) for name in names}

    def said(self) -> str:
        pages = f"vLLM {self.version}: blocks of {self.block} tokens"
        if not self.line.grouped:
            return f"{pages}, and every layer keeps every token"
        return f"{pages} or more, pages of one size, windows with {self.max_num_batched_tokens} tokens a step"

    def notes(self) -> list[str]:
        if self.version == NEWEST:
            return [f"as vLLM {NEWEST} plans; of another version: --engine vllm@{LINES[2].last[0]}.{LINES[2].last[1]}"]
        asked = self.line.asked
        return [f"as vLLM {self.version} plans" + ("" if asked.startswith(self.version) else f", by the planner of {asked}")]

    def cells(self, needed: int, context: int, cache: Cache, mixed: bool) -> int:
        return needed

    def pass_tokens(self, batch: int, seq: int) -> int:
        if self.max_num_batched_tokens is not None:
            return self.max_num_batched_tokens
        return max(seq, STEP) if seq <= LONG else STEP  # chunked where prompts may be longer (vllm/engine/arg_utils.py)

    def peak(self, gpu: GPU) -> tuple[int, str]:
        """The larger of a feed-forward and the sampler: one step of as many tokens as there may be is profiled, with logits of as
        many sequences, on the GPU that samples (vllm/v1/worker/gpu_model_runner.py, profile_run). Fused experts keep their
        workspaces from the version on that has the sampler's kernel.
        """
        of, tokens = self.line, gpu.tokens
        stream = 2 * tokens * gpu.d_model
        experts = fused_experts(gpu) if of.buffers else 0
        layers = forward(gpu, tokens) - experts
        sampler = floor(self.max_num_seqs * gpu.vocab * of.logit) + stream if gpu.last else 0
        what = f"sampling {self.max_num_seqs:,} sequences" if sampler >= layers else f"a step of {tokens:,} tokens"
        size = max(layers, sampler) + experts
        if self.pictures is not None:
            among = gpu.tp // gpu.attention_dp
            size += self.pictures.stays(among)
            if (seen := self.pictures.peak(among)) > size:
                size, what = seen, f"looking at {self.pictures.patches:,} patches"
        return size + of.buffers, f"estimate: activation peak, {what}"

    def overhead(self, gpu: GPU) -> tuple[int, str]:
        outside = self.outside(gpu.tp, gpu.pp)
        if self.eager:
            return outside, "estimate: kernels and libraries outside of torch"
        if not self.line.aside:
            return outside, "estimate: kernels and libraries outside of torch; CUDA graphs come on top of the share"
        return outside + self.graphs(gpu), "estimate: kernels and libraries outside of torch, CUDA graphs"

    def beside(self, gpu: GPU) -> tuple[int, str]:
        """The cache takes what is left of the share, so what comes later is taken of the rest of the memory: CUDA graphs where
        they are not set aside (gpu_worker.py, compile_or_warm_up_model), and the driver's context where it is not counted.
        """
        context = CONTEXT - self.line.context
        if self.line.aside or self.eager:
            return context, "estimate: the driver's context"
        what = "estimate: CUDA graphs" + (", the driver's context" if context else "")
        return self.graphs(gpu) + context, f"{what}, which come on top of the share"

    def padding(self, gpu: GPU) -> int:
        more = 0
        for op in gpu.ops:
            if op.role == "expert" and op.kind == "linear":
                inner, outer = (op.dims[name] for name in (("d_in", "d_out") if op.module == "down" else ("d_out", "d_in")))
                whole = cut(outer, PADDED[0]) * PADDED[0] * cut(inner, PADDED[1]) * PADDED[1]
                more += (whole - outer * inner) * op.copies * op.times
        return int(more * BLOCK)

    def copies(self, gpu: GPU) -> int:
        """Both halves of what expands latents, by which queries and outputs are multiplied as 16-bit numbers
        (model_executor/layers/attention/mla_attention.py, process_weights_after_loading).
        """
        up = [op for op in gpu.ops if op.module == "kv_up" and op.kind == "linear"]
        return 2 * sum(op.dims["d_in"] * op.dims["d_out"] * op.times for op in up)

    def graphs(self, gpu: GPU) -> int:
        """Bytes of CUDA graphs."""
        number = read(self.version) or self.line.first
        latent = any(op.cache is not None and op.cache.kind == "latent" for op in gpu.ops)
        many = captured(number, self.max_num_seqs, self.max_num_batched_tokens)
        nccl, deep = self.hosted and gpu.tp > 1, latent or gpu.family == "gpt_oss"
        return taken(many, gpu.layers, hosted=nccl, deep=deep, old=self.old)

    def outside(self, tp: int, pp: int) -> int:
        """Bytes that kernels and libraries take outside of torch."""
        if tp == 1:
            return self.line.alone
        return self.line.hosted if self.hosted else self.line.linked

    def layout(self, kept: tuple[Kept, ...], kv_bytes: float) -> Layout:
        """Groups and pages of a GPU's layers."""
        of = self.line
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
        if states and not of.grouped:
            problem = f"how vLLM {self.version} held recurrent states is not known; give --engine vllm@0.11, or ideal"
            raise InputError(problem, field="engine", value=f"vllm@{self.version}")
        block = self.block
        if any(op.cache is not None and op.cache.kind == "index" for _, op in tokens):
            block = cut(block, SPARSE) * SPARSE
        sizes = [_state(layer) for layer in states]
        padded = 0
        if tokens and states:  # blocks of as many tokens as make a page that a state fits
            [(_, first), *_] = tokens
            one = _width(first, kv_bytes)
            align = max(block, of.latent_block) if first.cache is not None and first.cache.kind == "latent" else block
            block = max(block, align * cut(max(sizes), align * one))
            padded = block * one
        pages = [_page(op, layers, block, kv_bytes, of) for layers, op in tokens]
        for layer, size in zip(states, sizes, strict=True):
            # With prefix caching, which models that attend too have by default: the last state, the one being made, and of a
            # Mamba-2 the one at the end of the prompt.
            many = (3 if layer.mixer == "mamba2" else 2) if tokens and of.prefixed else 1
            pages.append(Page(STATE, layer.layers, max(size, padded), span=many))
        return lay_out(pages, equalised=of.equalised, widest=of.widest)

    def paged(self, kept: tuple[Kept, ...], batch: int, context: int, kv_bytes: float, pp: int) -> dict[str, int]:
        layout = self.layout(kept, kv_bytes)
        if self.line.divided:
            batch = cut(batch, pp) * pp
        size = batch * self.blocks(layout, context, pp) * layout.block_bytes
        return {"kv_cache": size} if size else {}

    def blocks(self, layout: Layout, context: int, pp: int = 1) -> int:
        """Blocks that a request of ``context`` tokens has; its encoder may have as many as a step."""
        return layout.blocks(context, self.in_flight(pp), self.pass_tokens(1, context))

    def in_flight(self, pp: int) -> int:
        """Tokens of the steps under way: one a stage, and the next where it is scheduled meanwhile; before that, of one."""
        return (pp + 1 if self.line.ahead else 1) * (self.max_num_batched_tokens or 0)

    def capacity(self, layout: Layout, blocks: int, length: int, pp: int = 1) -> tuple[int, float]:
        """The tokens and the requests of ``length`` tokens that vLLM logs for so many blocks (GPU KV cache size, Maximum
        concurrency).
        """
        size = min((page.block for group in layout.groups for page in group.pages if page.block), default=length)
        if self.line.counted == "blocks":
            return blocks * size, blocks * size / length
        requests = blocks / self.blocks(layout, length, pp)
        return (blocks // len(layout.groups) * size if self.line.counted == "group" else floor(requests * length)), requests


def _width(op: Op, kv_bytes: float) -> int:
    """Bytes of a token; an indexer's keys are fp8 with an fp32 scale for 128 of them."""
    width = int(op.dims["width"])
    if op.cache is not None and op.cache.kind == "index":
        return width + cut(width, 128) * 4
    return int(width * kv_bytes)


def _page(op: Op, layers: int, block: int, kv_bytes: float, of: Line) -> Page:
    """A layer's page of attention; where a line does not know of windows or chunks, every layer keeps every token."""
    held = op.cache
    assert held is not None
    size = block * _width(op, kv_bytes)
    if held.kind == "cross":
        return Page(CROSS, layers, size, block)
    if held.window is None or not of.grouped or (held.chunks and not of.chunked):
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
        return 3 * 2 * op.dims["elements"]
    return 2 * 2 * op.dims["elements"] if op.kind in ACTIVATIONS and not op.joined else 0


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
    routed, inner = op.dims["tokens"] * gpu.ep * gpu.attention_dp, op.dims["d_in"]
    return 2 * routed * (max(2 * inner, gpu.d_model) + max(inner, gpu.d_model))
