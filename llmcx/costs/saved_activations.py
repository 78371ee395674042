"""What is kept for the backward pass: in bytes, by fused kernels, with parts of it recomputed."""

from __future__ import annotations

from collections.abc import Iterable

from llmcx.ops.op import VIEW, Op, Saved

KERNELS = ("eager", "fused")
"""eager: transformers' code, verified against autograd (docs/kept.md). fused: Megatron-LM's and Transformer Engine's kernels:
norms keep their input once, the softmax no fp32 copy, gated activations their gate and up (Korthikanti et al. 2022,
arXiv:2205.05198, sec. 4.1, counts these).
"""

RECOMPUTE = ("none", "selective", "elementwise", "full")
"""What is done again in the backward pass instead of kept, each more than the one before; memory and time mean the same by it.

selective: scores, softmax and dropout of an attention that writes them out (Korthikanti et al. 2022, sec. 5); a fused kernel
writes none, and there it is "none". elementwise: besides, norms and activation functions, whose outputs are made again from their
inputs (as DeepSeek-AI 2024, arXiv:2412.19437, sec. 3.2.3, does). full: whole layers, from their input (Chen et al. 2016,
arXiv:1604.06174).
"""


def kept_bytes(ops: Iterable[Op], act: int) -> int:
    """Bytes that autograd saves for backward when activations take ``act`` bytes each.

    Each op names the tensors it saves once (torch.autograd.graph.saved_tensors_hooks sees the same storages).
    """
    width = {"act": act, "fp32": 4, "int64": 8, "bool": 1, "upcast": 4 if act < 4 else 0, "uncast": 0 if act < 4 else 4}
    return sum(op.times * kept.elements * width[kept.stored] for op in ops for kept in op.saved)


def fused(op: Op) -> Op:
    """The op as Megatron-LM runs it: as :func:`lean`, and experts' outputs are weighted as they are activated, so that to combine
    them needs nothing (its token dispatcher of 2025; the older one kept them). Of a fused op, the op itself.
    """
    if op.kind == "product" and op.role == "router":
        return op._replace(saved=tuple(kept for kept in op.saved if kept.what == "weights"))
    if op.kind == "scores":
        return op._replace(saved=tuple(kept for kept in op.saved if kept.what != VIEW))
    return lean(op)


def lean(op: Op) -> Op:
    """The op as a fused kernel runs it: less is kept, the same computed."""
    if op.kind in ("rmsnorm", "layernorm") and op.saved:
        rename = {"input in fp32": "input", "input": "input"}
        saved = [Saved(rename[kept.what], kept.elements) for kept in op.saved if kept.what in rename]
        rows = op.dims["tokens"] * (2 if op.kind == "layernorm" else 1)
        return op._replace(saved=(*saved, Saved("statistics", rows * saved[0].elements // _whole(op), "fp32")))
    if op.kind == "softmax":
        return op._replace(saved=tuple(kept for kept in op.saved if kept.stored != "upcast"))
    for kind, what, renamed, by in (("gelu_new", "activation", "its input", 4), ("product", "both factors", "up", 2)):
        if op.kind == kind:
            less = (k._replace(what=renamed, elements=k.elements // by) if k.what == what else k for k in op.saved)
            return op._replace(saved=tuple(less))
    return op


def _whole(op: Op) -> int:
    return max(op.dims["tokens"] * op.dims["width"], 1)


def without(op: Op, recompute: str) -> Op:
    """The op with what remains kept where ``recompute`` (one of :data:`RECOMPUTE`) says what is done again, whole layers aside.

    Routed tokens stay: they came through an all-to-all.
    """
    if recompute in ("none", "full"):
        return op
    if op.kind == "softmax" and op.role != "router" and not op.dims.get("fused"):
        return op._replace(saved=())
    if recompute == "selective":
        return op
    if op.reads == "activated" or (op.reads == "normed" and op.role != "expert"):
        return op._replace(saved=tuple(kept for kept in op.saved if kept.what != "input"))
    return lean(op)
