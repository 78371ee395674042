"""A parallel layout, what it may be, and the memory that its fullest GPU needs.

The estimate of memory is narrow on purpose: what decides whether a layout fits. It counts what fused kernels keep (Megatron-LM,
Transformer Engine), which is less than the op-by-op autograd of `llmcx memory`.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil
from typing import NamedTuple

from . import params as params_fold
from .errors import InputError
from .flops import in_layers
from .lower import Run, lower
from .ops import Op
from .parts import ModelSpec, MoE

RECOMPUTE = ("none", "selective", "full")
"""none: fused kernels keep what backward needs. selective: norms, activations and unfused attention are done again (Korthikanti
et al. 2022, arXiv:2205.05198, sec. 5). full: only each layer's input is kept (Chen et al. 2016, arXiv:1604.06174).
"""

WEIGHT, GRADIENT, STATES = 2, 4, 12
"""Bytes per parameter: bf16 weights, fp32 gradients, fp32 master copy and two Adam moments (Megatron-LM's mixed precision)."""


class Layout(NamedTuple):
    """Ways of parallelism, innermost first: tensor, context, data (of which ``ep`` share out the experts), pipeline.

    ``virtual`` chunks of layers per stage (interleaved 1F1B), ``micro_batch`` sequences at a time, ``zero`` what the
    data-parallel ranks share out (1 optimizer states, 2 gradients, 3 weights). ``sequence`` splits norms and residuals with
    ``tp``.
    """

    tp: int = 1
    pp: int = 1
    cp: int = 1
    ep: int = 1
    dp: int = 1
    micro_batch: int = 1
    virtual: int = 1
    recompute: str = "none"
    zero: int = 1
    sequence: bool = True

    @property
    def gpus(self) -> int:
        return self.tp * self.pp * self.cp * self.dp


class Sizes(NamedTuple):
    """What one sequence and the parameters come to: elements and bytes, before any division."""

    n_layers: int
    layer: float  # parameters per layer outside the experts
    experts: float  # parameters of a layer's experts
    embedding: int
    head: int  # 0 when tied
    boundary: int  # bytes of one layer's input
    kept: dict[str, float]  # bytes that one layer keeps, by recomputation
    logits: int


class Memory(NamedTuple):
    """Bytes on the fullest GPU."""

    weights: float
    gradients: float
    optimizer: float
    activations: float
    logits: float

    @property
    def total(self) -> float:
        return sum(self)


def sizes(spec: ModelSpec, seq: int, fused: bool = True) -> Sizes:
    """One lowering of ``spec``, for any number of layouts."""
    ops = lower(spec, Run(1, seq, fused=fused, ideal=fused))
    inside = [op for op in ops if in_layers(op)]
    n = spec.n_layers
    experts = params_fold.fold.total(op for op in inside if op.component.startswith("moe.expert"))
    layer = params_fold.fold.total(inside) - experts
    head = params_fold.fold.total(op for op in ops if op.component == "head")
    embedding = params_fold.fold.total(ops) - layer - experts - head
    boundary = 2 * seq * spec.d_model
    kept = {
        "none": _kept(inside, False) / n,
        "selective": _kept(inside, True) / n,
        "full": float(boundary),
    }
    vocab = spec.embedding.vocab if spec.head is not None else 0
    return Sizes(n, layer / n, experts / n, embedding, head, boundary, kept, 6 * seq * vocab)


def _kept(ops: Iterable[Op], selective: bool) -> int:
    """Bytes that fused kernels keep for backward.

    A norm keeps its input once, in 16 bits; a gated activation its two inputs, not their images. ``selective`` also drops what
    elementwise work brings back: outputs of norms and activations, and the probabilities of an unfused attention.
    """
    total = 0
    ops = list(ops)
    gated = {op.component.removesuffix("product") + "activation" for op in ops if op.kind == "product"}
    for op in ops:
        if op.component in gated:
            continue
        for kept in op.keeps:
            if kept.what in ("normalised input", "their fp32 original") or (kept.what == "probabilities" and selective):
                continue
            if kept.what == "input" and selective and op.kind == "linear" and not op.component.endswith(".out"):
                continue
            width = 4 if kept.stored == "fp32" and kept.what != "input in fp32" else 2
            total += op.times * kept.elements * width
    return total


def memory(of: Sizes, layout: Layout, micro_batches: int) -> Memory:
    """Bytes on the fullest GPU of a 1F1B pipeline: the first stage (most micro-batches in flight) or the last (the logits).

    In flight on the first stage: min(m, p) micro-batches, interleaved p + (p - 1)/v (Narayanan et al. 2021, arXiv:2104.04473,
    sec. 2.2; Korthikanti et al. 2022, sec. 4.2.3: 1 + (p - 1)/(p v) times more).
    """
    tp, pp, shards = layout.tp, layout.pp, layout.dp * layout.cp
    layers = ceil(of.n_layers / pp)
    dense, expert = layers * of.layer / tp, layers * of.experts / (tp * layout.ep)
    ends = (of.embedding + of.head) / tp if pp == 1 else max(of.embedding, of.head or of.embedding) / tp
    dense += ends
    by = [shards if layout.zero >= stage else 1 for stage in (1, 2, 3)]
    expert_by = [max(1, count // layout.ep) for count in by]

    def share(stage: int) -> float:
        return dense / by[stage - 1] + expert / expert_by[stage - 1]

    in_flight = min(micro_batches * layers, layers * pp * (1 + (pp - 1) / (pp * layout.virtual) if layout.virtual > 1 else 1))
    per = layout.micro_batch / (tp if layout.sequence else 1) / layout.cp
    kept = of.kept[layout.recompute] * (layout.micro_batch / (tp * layout.cp) if layout.recompute != "full" else per)
    alive = in_flight * kept
    if layout.recompute == "full":  # one layer at a time is brought back
        alive += of.kept["none"] * layout.micro_batch / (tp * layout.cp)
    logits = of.logits * layout.micro_batch / (tp * layout.cp)
    if pp > 1:  # the last stage holds the logits, but only one micro-batch
        logits = max(0.0, logits - (in_flight - layers) * kept)
    return Memory(WEIGHT * share(3), GRADIENT * share(2), STATES * share(1), alive, logits)


def fits(spec: ModelSpec, layout: Layout, *, seq: int, global_batch: int, capacity: int, fused: bool = True) -> bool:
    """Whether the fullest GPU of ``layout`` needs at most ``capacity`` bytes."""
    check(spec, layout, global_batch)
    return memory(sizes(spec, seq, fused), layout, micro_batches(layout, global_batch)).total <= capacity


def micro_batches(layout: Layout, global_batch: int) -> int:
    """Micro-batches that each pipeline runs per step."""
    return global_batch // (layout.dp * layout.micro_batch)


def head_counts(spec: ModelSpec) -> set[int]:
    """Heads of each mixer that has heads, which tensor parallelism divides."""
    counts = (getattr(g.mixer, "n_heads", None) for g in spec.groups)
    return {count for count in counts if isinstance(count, int)}


def check(spec: ModelSpec, layout: Layout, global_batch: int) -> None:
    """Refuse a layout that cannot be run: what does not divide."""
    heads = max(head_counts(spec), default=None)
    experts = max((g.ffn.n_experts for g in spec.groups if isinstance(g.ffn, MoE)), default=1)
    for name in ("tp", "pp", "cp", "ep", "dp", "micro_batch", "virtual"):
        if getattr(layout, name) < 1:
            raise InputError(f"{name} is {getattr(layout, name)}, but must be at least 1", field=name, allowed="1 or more")
    if layout.recompute not in RECOMPUTE:
        raise InputError(f"recompute is {layout.recompute!r}; it is {', '.join(RECOMPUTE)}", field="recompute")
    if layout.zero not in (0, 1, 2, 3):
        raise InputError(f"zero is {layout.zero}, but must be 0, 1, 2 or 3", field="zero", allowed="0, 1, 2 or 3")
    if heads is not None and any(count % layout.tp for count in head_counts(spec)):
        raise InputError(
            f"tp is {layout.tp}, which does not divide the {heads} heads", field="tp", allowed=f"a divisor of {heads}"
        )
    if layout.pp * layout.virtual > spec.n_layers + 2:  # the embedding and the head may fill a chunk of their own
        chunks, most = layout.pp * layout.virtual, spec.n_layers + 2
        raise InputError(
            f"pp x virtual is {chunks}, but {spec.name} has {spec.n_layers} layers, and its embedding and head, to fill chunks",
            field="pp",
            value=chunks,
            allowed=f"at most {most}",
        )
    if experts % layout.ep or (layout.dp * layout.cp) % layout.ep:
        raise InputError(
            f"ep is {layout.ep}, but must divide the {experts} experts and dp x cp = {layout.dp * layout.cp}", field="ep"
        )
    at_once = layout.dp * layout.micro_batch
    if global_batch % at_once:
        raise InputError(
            f"a global batch of {global_batch} sequences is not a multiple of dp x micro-batch = {at_once}",
            field="global_batch",
            value=global_batch,
            allowed=f"a multiple of {at_once}",
        )
    if layout.virtual > 1 and micro_batches(layout, global_batch) % layout.pp:
        raise InputError(
            f"the interleaved schedule needs micro-batches in multiples of pp = {layout.pp} (Narayanan et al. 2021, sec. 2.2.2)",
            field="virtual",
        )
