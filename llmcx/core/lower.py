"""Parts -> ops: what each part does, stated once, as shapes.

``lower(spec, run)`` is the only place that knows what a model is made of; every cost is a fold over its result. What an
op keeps for backward follows PyTorch autograd on the eager code of transformers (checked by tests/oracle).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from . import pairs
from .ops import Kept, Op
from .parts import (
    Activation,
    Attention,
    Gated,
    Layers,
    Linformer,
    ModelSpec,
    MoE,
    Norm,
    Performer,
    Plain,
    Sliding,
)


class Run(NamedTuple):
    """What is run: ``batch`` sequences, ``seq`` new tokens each, after ``past`` tokens already in the cache.

    ``source`` is the encoder's length in an encoder-decoder (None: the same as ``seq``); ``encode`` False leaves the
    encoder out, as a decode step does. ``ideal`` multiplies only the pairs a mask or window leaves. ``fused`` runs the
    softmax attentions in kernels that never write the scores out (PyTorch's sdpa, flash): the same FLOPs, less kept.
    """

    batch: int = 1
    seq: int = 1
    past: int = 0
    source: int | None = None
    encode: bool = True
    ideal: bool = False
    fused: bool = False


_MakeOp = Callable[..., Op]


class _Place(NamedTuple):
    """Where in the model a layer is lowered: shapes that all of its parts share."""

    spec: ModelSpec
    run: Run
    batch: int
    q: int  # new tokens per sequence
    kv: int  # tokens attended to, cached ones included
    masked: bool
    group: str
    times: int

    @property
    def tokens(self) -> int:
        return self.batch * self.q


def lower(spec: ModelSpec, run: Run) -> list[Op]:
    """Every op of one forward pass of ``run``. Parameters do not depend on ``run``."""
    ops: list[Op] = []
    both = bool(spec.encoder and spec.decoder)
    source = run.seq if run.source is None else run.source
    encoded = (source if both else run.seq) if run.encode else 0
    out = run.seq if spec.decoder else encoded  # tokens that reach the head

    lookups = run.batch * (out + (encoded if both else 0))
    ops.append(_lookup("embedding.tokens", lookups, spec.embedding.vocab, spec.d_model, ids=lookups))
    if spec.embedding.positions is not None:
        rows = spec.embedding.positions
        ops.append(_lookup("embedding.positions", lookups, rows, spec.d_model, ids=out))
    if any(layers.mixer.rope for layers in (*spec.encoder, *spec.decoder)):
        dim = spec.head_dim((*spec.encoder, *spec.decoder)[0].mixer)
        tables = (Kept("cos and sin of the positions", 2 * out * dim),)
        ops.append(Op("embedding.rotary", "rotary", {"elements": 2 * out * dim}, group="embedding", keeps=tables))

    for stack, groups in (("encoder", spec.encoder), ("decoder", spec.decoder)):
        if not groups:
            continue
        decoding = stack == "decoder"
        q = run.seq if decoding else encoded
        kv = q + (run.past if decoding else 0)
        for index, layers in enumerate(groups):
            where = _Place(spec, run, run.batch, q, kv, decoding, f"{stack}.{index}", layers.repeat)
            ops.extend(_layer(layers, where, source if both else 0))
        if spec.final_norm:
            ops.append(_norm("final_norm", spec.norm, run.batch * q, spec.d_model, f"{stack}.norm"))
    if spec.head is not None:
        dims = {"tokens": run.batch * out, "d_in": spec.d_model, "d_out": spec.embedding.vocab}
        dims |= {"bias": int(spec.head.bias), "tied": int(spec.head.tied)}
        keeps = (Kept("input", run.batch * out * spec.d_model),)
        ops.append(Op("head", "linear", dims, group="head", keeps=keeps))
    return ops


# --- one layer ------------------------------------------------------------------------------------------------------


def _layer(layers: Layers, where: _Place, source: int) -> Iterator[Op]:
    spec, tokens = where.spec, where.tokens
    size = {"elements": tokens * spec.d_model}
    yield _norm("norm.attention", spec.norm, tokens, spec.d_model, where.group, where.times)
    yield from _attention(layers.mixer, where, "attention")
    yield Op("residual", "residual", size, where.times, group=where.group)
    if layers.cross is not None:
        yield _norm("norm.cross_attention", spec.norm, tokens, spec.d_model, where.group, where.times)
        yield from _attention(layers.cross, where, "cross_attention", source)
        yield Op("residual", "residual", size, where.times, group=where.group)
    if layers.ffn is not None:
        yield _norm("norm.ffn", spec.norm, tokens, spec.d_model, where.group, where.times)
        yield from _ffn(layers.ffn, where)
        yield Op("residual", "residual", size, where.times, group=where.group)


def _attention(part: Attention, where: _Place, name: str, source: int | None = None) -> Iterator[Op]:
    """Projections, the core, the output projection. ``source`` is the encoder length for cross-attention."""
    spec, batch, times = where.spec, where.batch, where.times
    heads, kv_heads, dim = part.n_heads, part.kv_heads, spec.head_dim(part)
    cross = source is not None
    kv = source if source is not None else where.kv
    # A decode step finds the encoder's keys and values in the cache.
    new_kv = (source if where.run.encode else 0) if source is not None else where.q
    bias = int(part.bias)
    out_bias = bias if part.out_bias is None else int(part.out_bias)

    def linear(leaf: str, tokens: int, d_in: int, d_out: int, bias: int, saves: bool) -> Op:
        dims = {"tokens": tokens, "d_in": d_in, "d_out": d_out, "bias": bias, "tied": 0}
        keeps = (Kept("input", tokens * d_in),) if saves else ()
        return Op(f"{name}.{leaf}", "linear", dims, times, keeps=keeps, group=where.group)

    yield linear("q", where.tokens, spec.d_model, heads * dim, bias, True)
    # Keys and values read the same tensor as the queries, so it is kept once; in cross-attention, the encoder's output.
    yield linear("k", batch * new_kv, spec.d_model, kv_heads * dim, bias, False)
    yield linear("v", batch * new_kv, spec.d_model, kv_heads * dim, bias, False)
    if part.rope and not cross:
        rotated = {"elements": where.tokens * (heads + kv_heads) * dim}
        yield Op(f"{name}.rotary", "rotary", rotated, times, group=where.group)
    if part.relative_buckets is not None:
        table = {"tokens": where.q * kv, "rows": part.relative_buckets, "width": heads}
        yield Op(f"{name}.relative_bias", "lookup", table, times, group=where.group)
    if part.relative_projection:
        positions = {"tokens": kv, "d_in": spec.d_model, "d_out": heads * dim, "bias": 2, "tied": 0}
        yield Op(f"{name}.relative", "linear", positions, times, group=where.group)
        met = {"batch": batch, "heads": heads, "pairs": where.q * kv, "width": dim}
        yield Op(f"{name}.relative_scores", "scores", met, times, group=where.group)
    yield from _core(part, where, name, kv, cross)
    yield linear("out", where.tokens, heads * dim, spec.d_model, out_bias, True)


def _core(part: Attention, where: _Place, name: str, kv: int, cross: bool) -> Iterator[Op]:
    """Queries meet keys: the part in which the variants differ."""
    core, batch, heads, dim = part.core, where.batch, part.n_heads, where.spec.head_dim(part)
    group, times, q = where.group, where.times, where.q
    kv_width = part.kv_heads * dim
    cached = kv

    def op(leaf: str, kind: str, dims: dict[str, int], *keeps: Kept) -> Op:
        return Op(f"{name}.{leaf}", kind, dims, times, keeps=keeps, group=group)

    q_kept = Kept("queries", batch * q * heads * dim)
    if isinstance(core, Linformer):
        rows, cached = where.spec.context or kv, min(core.rank, kv)
        for leaf in ("k_down", "v_down"):
            down = {"batch": batch, "m": core.rank, "k": kv, "n": kv_width, "weight": core.rank * rows}
            yield op(leaf, "matmul", down, Kept("keys or values before projection", batch * kv * kv_width))
        yield from _meet(op, batch, heads, q * core.rank, dim, q_kept, 2 * batch * core.rank * heads * dim)
    elif isinstance(core, Performer):
        r = core.features
        cached = 0
        for leaf, tokens, n_heads in (("q_features", q, heads), ("k_features", kv, part.kv_heads)):
            features = Kept("features", batch * n_heads * tokens * r)
            yield op(leaf, "matmul", {"batch": batch * n_heads, "m": tokens, "k": dim, "n": r, "weight": 0}, features)
        kept_v = Kept("values", batch * kv * kv_width)
        yield op("state", "matmul", {"batch": batch * part.kv_heads, "m": r, "k": kv, "n": dim, "weight": 0}, kept_v)
        yield op("read", "matmul", {"batch": batch * heads, "m": q, "k": r, "n": dim, "weight": 0})
        yield op("normaliser", "matmul", {"batch": batch * heads, "m": q, "k": r, "n": 1, "weight": 0})
        yield op("recurrent", "cache", {"batch": batch, "tokens": r, "width": part.kv_heads * (dim + 1)})
    else:
        masked = where.masked and not cross
        count = pairs.computed(core, q, kv, masked, where.run.ideal)
        # Fused kernels keep keys and values as they are; eager code copies them to every query head.
        eager = core.type in ("standard", "sliding") and not where.run.fused
        kv_kept = 2 * batch * kv * (heads * dim if eager else kv_width)
        yield from _meet(op, batch, heads, count, dim, q_kept, kv_kept, fused_rows=0 if eager else batch * heads * q)
    if cached:
        if isinstance(core, Sliding) and not cross:
            cached = min(cached, core.window)
        yield op("cache", "cache", {"batch": batch, "tokens": cached, "width": 2 * kv_width})


def _meet(
    op: _MakeOp, batch: int, heads: int, count: int, dim: int, q_kept: Kept, kv_kept: int, fused_rows: int = 0
) -> Iterator[Op]:
    """Scores, softmax, weighted values over ``count`` pairs per head. A fused kernel keeps a log-sum-exp per row instead of the probabilities."""
    met = {"batch": batch, "heads": heads, "pairs": count, "width": dim}
    elements = batch * heads * count
    probabilities: tuple[Kept, ...]
    if fused_rows:
        probabilities = (Kept("log-sum-exp of each row", fused_rows, "fp32"),)
    else:
        probabilities = (Kept("probabilities", elements), Kept("their fp32 original", elements, "upcast"))
    yield op("scores", "scores", met, q_kept, Kept("keys and values", kv_kept))
    yield op("softmax", "softmax", {"elements": elements}, *probabilities)
    yield op("values", "values", met)


def _ffn(part: Plain | Gated | MoE, where: _Place) -> Iterator[Op]:
    if not isinstance(part, MoE):
        yield from _expert(part, where, "ffn", where.tokens)
        return
    d_model, tokens = where.spec.d_model, where.tokens
    router = {"tokens": tokens, "d_in": d_model, "d_out": part.n_experts, "bias": int(part.router_bias), "tied": 0}
    probabilities = Kept("router probabilities", tokens * part.n_experts, "fp32")
    yield Op("moe.router", "linear", router, where.times, group=where.group, keeps=(probabilities,))
    yield Op("moe.softmax", "softmax", {"elements": tokens * part.n_experts}, where.times, group=where.group)
    yield from _expert(part.expert, where, "moe.expert", tokens * part.top_k, part.n_experts, part.top_k)
    if part.shared is not None:
        yield from _expert(part.shared, where, "moe.shared", tokens)


def _expert(
    part: Plain | Gated, where: _Place, name: str, tokens: int, copies: int = 1, used: int = 1
) -> Iterator[Op]:
    """A feed-forward block of two matrices, or three if gated, run on ``tokens`` tokens."""
    d_model, d_ff, bias = where.spec.d_model, part.d_ff, int(part.bias)

    def linear(leaf: str, d_in: int, d_out: int, saves: bool) -> Op:
        dims = {"tokens": tokens, "d_in": d_in, "d_out": d_out, "bias": bias, "tied": 0}
        keeps = (Kept("input", tokens * d_in),) if saves else ()
        return Op(f"{name}.{leaf}", "linear", dims, where.times, copies, used, keeps, where.group)

    def elementwise(leaf: str, kind: str, *keeps: Kept) -> Op:
        return Op(f"{name}.{leaf}", kind, {"elements": tokens * d_ff}, where.times, keeps=keeps, group=where.group)

    if isinstance(part, Gated):
        yield linear("gate", d_model, d_ff, True)
        yield linear("up", d_model, d_ff, False)
        yield elementwise("activation", part.activation, *_activation_keeps(part.activation, tokens * d_ff))
        yield elementwise("product", "product", Kept("both factors", 2 * tokens * d_ff))
    else:
        yield linear("up", d_model, d_ff, True)
        yield elementwise("activation", part.activation, *_activation_keeps(part.activation, tokens * d_ff))
    yield linear("down", d_ff, d_model, True)


def _activation_keeps(activation: Activation, elements: int) -> tuple[Kept, ...]:
    """ReLU's output is the next matmul's kept input; fused ones keep their input; gelu_new is written out in Python and keeps four tensors."""
    tensors = {"relu": 0, "gelu_new": 4}.get(activation, 1)
    return (Kept("activation", tensors * elements),) if tensors else ()


def _lookup(component: str, tokens: int, rows: int, width: int, ids: int) -> Op:
    dims = {"tokens": tokens, "rows": rows, "width": width}
    return Op(component, "lookup", dims, group="embedding", keeps=(Kept("indices", ids, "int64"),))


def _norm(component: str, norm: Norm, tokens: int, width: int, group: str, times: int = 1) -> Op:
    """Layer norm keeps its input and two statistics per row; transformers' RMS norm, written in Python, an fp32 input and the normalised one."""
    keeps: tuple[Kept, ...]
    if norm.type == "layernorm":
        keeps = (Kept("input", tokens * width), Kept("mean and deviation", 2 * tokens, "fp32"))
    else:
        keeps = (
            Kept("input in fp32", tokens * width, "fp32"),
            Kept("normalised input", tokens * width),
            Kept("reciprocal root", tokens, "fp32"),
        )
    dims = {"tokens": tokens, "width": width, "bias": int(norm.shift)}
    return Op(component, norm.type, dims, times, keeps=keeps, group=group)
