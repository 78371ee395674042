"""What is kept for the backward pass: in bytes, by fused kernels, with parts of it recomputed."""

from __future__ import annotations

from collections.abc import Iterable

from .ops import Kept, Op

KERNELS = ("eager", "fused")
"""eager: transformers' code, verified against autograd (docs/kept.md). fused: Megatron-LM's and Transformer Engine's kernels:
norms keep their input once, the softmax no fp32 copy, gated activations their gate and up (Korthikanti et al. 2022,
arXiv:2205.05198, sec. 4.1, counts these).
"""

RECOMPUTE = ("none", "selective", "full")
"""selective: scores, softmax and dropout of the attention are done again (Korthikanti et al. 2022, sec. 5); full: whole layers,
from their input (Chen et al. 2016, arXiv:1604.06174).
"""


def kept_bytes(ops: Iterable[Op], act: int) -> int:
    """Bytes that autograd keeps for backward when activations take ``act`` bytes each.

    Each op names the tensors it saves once (torch.autograd.graph.saved_tensors_hooks sees the same storages).
    """
    width = {"act": act, "fp32": 4, "int64": 8, "bool": 1, "upcast": 4 if act < 4 else 0, "uncast": 0 if act < 4 else 4}
    return sum(op.times * kept.elements * width[kept.stored] for op in ops for kept in op.keeps)


def fused(op: Op) -> Op:
    """The op as a fused kernel runs it: less is kept, the same computed."""
    if op.kind in ("rmsnorm", "layernorm"):
        rename = {"input in fp32": "input", "input": "input"}
        keeps = [Kept(rename[kept.what], kept.elements) for kept in op.keeps if kept.what in rename]
        rows = op.dims["tokens"] * (2 if op.kind == "layernorm" else 1)
        return op._replace(keeps=(*keeps, Kept("statistics", rows * keeps[0].elements // _whole(op), "fp32")))
    if op.kind == "softmax":
        return op._replace(keeps=tuple(kept for kept in op.keeps if kept.stored != "upcast"))
    if op.kind == "gelu_new":
        return op._replace(keeps=tuple(kept._replace(elements=kept.elements // 4) for kept in op.keeps))
    if op.kind == "product" and any(kept.what == "both factors" for kept in op.keeps):
        return op._replace(keeps=tuple(kept._replace(elements=kept.elements // 2) for kept in op.keeps))
    return op


def _whole(op: Op) -> int:
    return max(op.dims["tokens"] * op.dims["width"], 1)


def without_core(op: Op) -> Op:
    """Selective recomputation: the softmax's tensors are made again from queries, keys and values."""
    return op._replace(keeps=()) if op.kind == "softmax" and "attention" in op.component else op
