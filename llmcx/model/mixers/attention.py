"""Softmax attention: multi-head, grouped-query and multi-query, self and cross, with any core."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import isqrt
from typing import Literal

from llmcx.errors import InputError, check_sizes
from llmcx.model import pairs
from llmcx.model.cores import EAGER, STEPS, Chunked, Core, Linear, Linformer, Performer, Reformer, Sliding, Standard, check
from llmcx.model.mixers import Mixer
from llmcx.model.norm import Norm
from llmcx.model.run import LayerRun
from llmcx.ops.op import TOKENS, VIEW, Cache, Cut, Dims, Op, Saved


@dataclass(frozen=True)
class Attention(Mixer):
    """Projections to ``n_heads`` queries and ``n_kv_heads`` keys and values, a core, an output projection.

    ``n_kv_heads`` defaults to ``n_heads`` (MHA; 1 is MQA, between is GQA), ``head_dim`` to d_model / n_heads, ``v_dim`` (of a
    head's values) to ``head_dim``, ``out_bias`` and ``k_bias`` to ``bias``. ``relative_buckets`` is T5's learned relative
    position bias, which lives in a stack's first layer. ``relative_projection`` is Transformer-XL's: keys for the relative
    positions by a projection of their own, and two learned biases per head (Dai et al. 2019, arXiv:1901.02860, sec. 3.3).

    ``qk_norm`` normalises queries and keys: over each head with one vector for all heads ("head"), with a vector per head
    ("heads"), or over all heads together ("full"). ``sinks`` is one learned logit per head (gpt-oss), ``gate`` a sigmoid gate on
    the output, as wide as the queries (Qwen3-Next) or with one number per head (``gate_per_head``), whose ``gate_bias`` defaults
    to ``bias``. ``out_norm`` normalises all heads' output together (BitNet, Kosmos), ``head_norm`` each head's, without weights
    (Muse Spark). ``shares_kv`` reuses the keys and values of an earlier layer, ``k_is_v`` one projection for both (Gemma 4);
    ``v_norm`` normalises each head's values, without weights. ``scalars`` are learned numbers beside (the gates of Llama 3.2's
    cross-attention). ``softmax_fp32`` False is for eager code that takes the softmax in the activations' dtype (GPT-2, BERT).
    ``inputs``: how many states side by side it reads (EAGLE-3: a token and a state). ``kv_width``: how wide what a
    cross-attention meets is, where not as the model. ``places``: queries meet a learned vector, too, for each distance across and
    down a square of patches, which the tower has (SAM). ``joint``: transformers' code has one matrix for queries, keys and
    values, as an adapter meets it (GPT-2, Falcon). So has ``one_matrix``, where besides the values that a fused kernel keeps are
    a view of all three (Phi-3, GPT-NeoX).
    """

    n_heads: int
    n_kv_heads: int | None = None
    head_dim: int | None = None
    v_dim: int | None = None
    bias: bool = False
    out_bias: bool | None = None
    k_bias: bool | None = None
    rope: bool = False
    relative_buckets: int | None = None
    relative_projection: bool = False
    qk_norm: Literal["head", "heads", "full"] | None = None
    qk_norm_type: Norm = field(default_factory=lambda: Norm("rmsnorm"))
    sinks: bool = False
    gate: bool = False
    gate_per_head: bool = False
    gate_bias: bool | None = None
    out_norm: bool = False
    head_norm: bool = False
    shares_kv: bool = False
    k_is_v: bool = False
    v_norm: bool = False
    scalars: int = 0
    softmax_fp32: bool = True
    inputs: int = 1
    kv_width: int | None = None
    places: bool = False
    one_matrix: bool = False
    joint: bool = False
    core: Core = field(default_factory=Standard)
    type: Literal["attention"] = "attention"

    def __post_init__(self) -> None:
        check_sizes(self, "n_heads", "n_kv_heads", "head_dim", "v_dim", "relative_buckets", "inputs", "kv_width")
        check(self.core)
        if self.v_dim is not None and isinstance(self.core, (Linear, Linformer, Performer, Reformer)):
            problem = f"v_dim is {self.v_dim}, but the core {self.core.type} has values as wide as keys"
            raise InputError(problem, field="v_dim", value=self.v_dim)
        if self.n_heads % self.kv_heads:
            raise InputError(
                f"n_heads {self.n_heads} is not divisible by n_kv_heads {self.kv_heads}: each key-value head serves"
                " the same number of query heads",
                field="n_kv_heads",
                value=self.kv_heads,
                allowed=f"a divisor of {self.n_heads}",
            )

    @property
    def kv_heads(self) -> int:
        return self.n_heads if self.n_kv_heads is None else self.n_kv_heads

    def width(self, d_model: int) -> int:
        """The width of one head: the stated one, else d_model / n_heads, which must be whole."""
        if self.head_dim is not None:
            return self.head_dim
        if d_model % self.n_heads:
            raise InputError(
                f"d_model {d_model} is not divisible by n_heads {self.n_heads}; give head_dim if that is meant",
                field="d_model",
                value=d_model,
                allowed=f"a multiple of {self.n_heads}",
            )
        return d_model // self.n_heads

    def period(self) -> int:
        return getattr(self.core, STEPS[self.core.type]) if self.core.type in STEPS else 1

    def ops(self, where: LayerRun, name: str = "attention", cross: bool = False) -> Iterator[Op]:
        """Projections, the core, the output projection. ``cross`` attends to the encoder's output."""
        d, batch, kv_heads = where.d_model, where.batch, self.kv_heads
        read = self.inputs * d
        dim, kv = self.width(d), where.source if cross else where.kv
        # A decode step finds the encoder's keys and values in the cache.
        new_kv = (where.source if where.run.encode else 0) if cross else where.q
        by_heads, by_kv_heads = Cut("columns", self.n_heads), Cut("columns", kv_heads)
        yield where.linear(f"{name}.q", read, self.n_heads * dim, self.bias, reads="normed", cut=by_heads)
        # Keys and values read the same tensor as the queries, so it is kept once; in cross-attention, the encoder's output.
        v_dim = self.v_dim or dim
        for leaf in self._read_once(cross):
            n, width = batch * new_kv, kv_heads * (v_dim if leaf == "v" else dim)
            bias = self.k_bias if leaf == "k" and self.k_bias is not None else self.bias
            wide = self.kv_width if cross and self.kv_width is not None else read
            made = where.linear(f"{name}.{leaf}", wide, width, bias, saves=False, tokens=n, reads="normed", cut=by_kv_heads)
            yield made._replace(joint=(self.joint or self.one_matrix) and not cross)
        if self.gate:
            gate_bias = self.bias if self.gate_bias is None else self.gate_bias
            width = self.n_heads * (1 if self.gate_per_head else v_dim)
            yield where.linear(f"{name}.gate", read, width, gate_bias, saves=False, reads="normed", cut=by_heads)
        if self.qk_norm is not None:
            yield from self._qk_norm(where, name, dim, batch * new_kv)
        if self.v_norm and not self.shares_kv:
            rows = batch * new_kv * kv_heads
            yield where.norm(f"{name}.v_norm", Norm("rmsnorm", scale=False), v_dim, rows, cut=Cut("heads", kv_heads))
        if self.sinks:
            yield where.op(f"{name}.sinks", "vector", size=self.n_heads, cut=Cut("heads", self.n_heads))
        if self.scalars:
            yield where.op(f"{name}.scalars", "vector", size=self.scalars, cut=TOKENS)
        if self.rope and not cross:
            elements = where.tokens * (self.n_heads + kv_heads) * dim
            yield where.op(f"{name}.rotary", "rotary", elements=elements, cut=Cut("heads", self.n_heads))
        if self.relative_buckets is not None:
            rows = self.relative_buckets
            yield where.op(
                f"{name}.relative_bias",
                "lookup",
                tokens=where.q * kv,
                rows=rows,
                width=self.n_heads,
                cut=Cut("heads", self.n_heads),
            )
        if self.places:
            shape: Dims = {"batch": batch * self.n_heads, "m": where.q, "k": dim, "n": 2 * isqrt(where.q), "weight": 0}
            yield where.op(f"{name}.places", "matmul", cut=Cut("heads", self.n_heads), **shape)
        if self.relative_projection:
            positions: Dims = {"tokens": kv, "d_in": d, "d_out": self.n_heads * dim, "bias": 2, "tied": 0}
            yield where.op(f"{name}.relative", "linear", cut=by_heads, **positions)
            met: Dims = {"batch": batch, "heads": self.n_heads, "pairs": where.q * kv, "width": dim}
            yield where.op(f"{name}.relative_scores", "scores", cut=Cut("heads", self.n_heads), **met)
        yield from self._core(where, name, kv, dim, cross)
        if self.out_norm:
            yield where.norm(f"{name}.out_norm", where.spec.norm, self.n_heads * v_dim, cut=Cut("columns", self.n_heads))
        if self.head_norm:
            rows, bare = where.tokens * self.n_heads, Norm("rmsnorm", scale=False)
            yield where.norm(f"{name}.head_norm", bare, v_dim, rows, cut=Cut("heads", self.n_heads))
        out_bias = self.bias if self.out_bias is None else self.out_bias
        yield where.linear(f"{name}.out", self.n_heads * v_dim, d, out_bias, cut=Cut("rows", self.n_heads))

    def _read_once(self, cross: bool) -> tuple[str, ...]:
        """The projections beside the queries'. Reformer's queries are its keys."""
        if self.shares_kv:
            return ()
        if isinstance(self.core, Reformer) and not cross:
            return ("v",)
        return ("k",) if self.k_is_v else ("k", "v")

    def _qk_norm(self, where: LayerRun, name: str, dim: int, kv_tokens: int) -> Iterator[Op]:
        sides = (("q_norm", self.n_heads, where.tokens), ("k_norm", self.kv_heads, kv_tokens))
        for leaf, heads, tokens in sides[: 1 if self.shares_kv else 2]:
            if self.qk_norm == "full":
                yield where.norm(f"{name}.{leaf}", self.qk_norm_type, heads * dim, tokens, cut=Cut("columns", heads))
            else:
                vectors = heads if self.qk_norm == "heads" else 1
                yield where.norm(f"{name}.{leaf}", self.qk_norm_type, dim, tokens * heads, vectors, cut=Cut("heads", heads))

    def _core(self, where: LayerRun, name: str, kv: int, dim: int, cross: bool) -> Iterator[Op]:
        """Queries meet keys: the part in which the variants differ."""
        core, batch, q, heads, kv_heads = self.core, where.batch, where.q, self.n_heads, self.kv_heads
        v_dim = self.v_dim or dim
        kv_width = kv_heads * dim
        cached, both = kv, kv_heads * (dim + v_dim)
        new = kv if cross else q  # what came before is in the cache, summed up
        queries = Saved("queries", batch * q * heads * dim)
        if isinstance(core, Linformer):
            rows, cached = max(where.spec.context or kv, kv), min(core.rank, kv)
            before = Saved("keys or values before projection", batch * new * kv_width)
            for leaf in ("k_down", "v_down"):
                learned = core.rank * rows
                dims: Dims = {"batch": batch, "m": core.rank, "k": new, "n": kv_width, "weight": learned}
                yield where.op(f"{name}.{leaf}", "matmul", before, **dims, cut=Cut("heads", heads))
            kept = Saved("keys and values", 2 * batch * core.rank * heads * dim)
            yield from meet(where, name, heads, q * core.rank, dim, dim, queries, kept, keys=core.rank)
        elif isinstance(core, (Performer, Linear)):
            cached = 0
            yield from self._by_kernel(where, name, new, dim)
        else:
            count = pairs.computed(core, q, kv, where.masked and not cross, where.run.ideal)
            if isinstance(core, Reformer):
                both = (heads + kv_heads) * dim  # as many keys as queries
                hashed: Dims = {"m": q, "k": dim, "n": core.rounds * -(-kv // core.chunk)}
                hashes = where.op(f"{name}.hash", "matmul", batch=batch * heads, **hashed, weight=0, cut=Cut("heads", heads))
                yield hashes._replace(grad=False)
            # Fused kernels keep keys and values as they are; eager code copies them to every query head, but for a single
            # sequence of a single key-value head, which a view repeats.
            eager = core.type in EAGER and not where.run.fused
            copied = eager and not (kv_heads == 1 and batch == 1)
            # So does PyTorch's sdpa with a mask, which is how it learns of a window; the mask becomes numbers, and is kept.
            masked = where.run.fused and where.run.masks and not cross and isinstance(core, (Sliding, Chunked))
            mask = Saved("mask", batch * q * kv if masked and kv >= core.window else 0)  # type: ignore[union-attr]
            many = copied or mask.elements
            kept = Saved("keys and values", batch * kv * (heads * (dim + v_dim) if many else both), units=0 if many else kv_heads)
            shared = 1 if eager or isinstance(core, Reformer) else heads // kv_heads
            met = meet(where, name, heads, count, dim, v_dim, queries, kept, fused=not eager, keys=kv, shared=shared)
            if self.one_matrix and self.rope and where.run.fused and not mask.elements:
                met = (self._keeps_the_view(op, batch * kv * dim) for op in met)
            if self.softmax_fp32 and not mask.elements:
                yield from met
            else:
                for op in met:
                    yield op._replace(saved=self._softmax_keeps(op, mask)) if op.kind == "softmax" else op
        if cached and not self.shares_kv:
            window = core.window if isinstance(core, (Sliding, Chunked)) and not cross else None
            chunks, whole = isinstance(core, Chunked) and not cross, isinstance(core, Sliding) and core.kept
            held = Cache("cross" if cross else "kv", window, chunks, whole=whole)
            cached = cached if window is None else min(cached, window)
            yield where.op(
                f"{name}.cache", "cache", batch=batch, tokens=cached, width=both, cut=Cut("heads", kv_heads), cache=held
            )

    def _keeps_the_view(self, op: Op, numbers: int) -> Op:
        """Beside the values what they are a view with: rotated queries and keys are new tensors, values stay where the matrix put
        them; ``numbers`` of each head.
        """
        if op.kind != "scores":
            return op
        return op._replace(saved=(*op.saved, Saved(VIEW, numbers * (self.n_heads + self.kv_heads))))

    def _softmax_keeps(self, op: Op, mask: Saved) -> tuple[Saved, ...]:
        """What the softmax saves: no fp32 copy where it is taken in the activations' dtype; a mask, if it has one."""
        saved = op.saved if self.softmax_fp32 else tuple(kept for kept in op.saved if kept.stored != "upcast")
        return (*saved, mask) if mask.elements else saved

    def _by_kernel(self, where: LayerRun, name: str, new: int, dim: int) -> Iterator[Op]:
        """phi(Q) [phi(K)ᵀ V], over phi(Q) [phi(K)ᵀ 1]; ``new`` keys are added to what the state holds."""
        core, batch, q, heads, kv_heads = self.core, where.batch, where.q, self.n_heads, self.kv_heads
        r = core.features if isinstance(core, Performer) else dim
        by_heads: Dims = {"cut": Cut("heads", heads)}
        for leaf, tokens, n in (("q_features", q, heads), ("k_features", new, kv_heads)):
            kept = (Saved("input", batch * n * tokens * dim), Saved("features", batch * n * tokens * r))
            if isinstance(core, Performer):
                # The features are drawn, not learned: no gradient for them.
                dims: Dims = {"batch": batch * n, "m": tokens, "k": dim, "n": r, "weight": 0, "grads": 1}
                yield where.op(f"{name}.{leaf}", "matmul", *kept, **dims, cut=Cut("heads", n))
            else:
                yield where.op(f"{name}.{leaf}", "elu", *kept, elements=batch * n * tokens * r, cut=Cut("heads", n))
        values, state = Saved("values", batch * new * kv_heads * dim), Saved("state of every head", batch * heads * r * dim)
        yield where.op(f"{name}.state", "matmul", values, batch=batch * kv_heads, m=r, k=new, n=dim, weight=0, **by_heads)
        yield where.op(f"{name}.read", "matmul", state, batch=batch * heads, m=q, k=r, n=dim, weight=0, **by_heads)
        sums = (Saved("sums of keys", batch * heads * r), Saved("numerators and denominators", batch * heads * q * (dim + 1)))
        yield where.op(f"{name}.normaliser", "matmul", *sums, batch=batch * heads, m=q, k=r, n=1, weight=0, **by_heads)
        width = kv_heads * (dim + 1)
        yield where.op(
            f"{name}.recurrent", "cache", batch=batch, tokens=r, width=width, cut=Cut("heads", kv_heads), cache=Cache("state")
        )


def idle(ops: Iterable[Op]) -> Iterator[Op]:
    """The weights of ``ops``, which this run does not meet."""
    for op in ops:
        if op.kind in ("linear", "layernorm", "rmsnorm", "vector"):
            yield op._replace(dims=op.dims | ({"tokens": 0} if "tokens" in op.dims else {}), saved=())


def meet(
    where: LayerRun,
    name: str,
    heads: int,
    count: int,
    d_qk: int,
    d_v: int,
    queries: Saved,
    keys_values: Saved,
    *,
    keys: int,
    shared: int = 1,
    fused: bool = False,
) -> Iterator[Op]:
    """Scores, softmax, weighted values over ``count`` pairs per head of ``keys`` keys; ``shared`` heads read the same ones.

    A fused kernel keeps a log-sum-exp per row instead of the probabilities, and multiplies the scores again going backward.
    """
    elements = where.batch * heads * count
    probabilities: tuple[Saved, ...]
    if fused:
        probabilities = (Saved("log-sum-exp of each row", where.batch * heads * where.q, "fp32"),)
    else:
        probabilities = (Saved("probabilities", elements), Saved("their fp32 original", elements, "upcast"))
        if where.run.dropout:
            probabilities += (Saved("dropout mask", elements, "bool"), Saved("what dropout leaves", elements))
    by_heads = Cut("heads", heads)
    met: Dims = {"batch": where.batch, "heads": heads, "pairs": count}
    shape: Dims = {"rows": where.q, "keys": keys, "shared": shared, "fused": int(fused)}
    yield where.op(f"{name}.scores", "scores", queries, keys_values, **met, width=d_qk, **shape, cut=by_heads)
    yield where.op(f"{name}.softmax", "softmax", *probabilities, elements=elements, fused=int(fused), cut=by_heads)
    yield where.op(f"{name}.values", "values", **met, width=d_v, **shape, cut=by_heads)
    if fused:
        yield where.op(f"{name}.recompute", "recompute", **met, width=d_qk, cut=by_heads)
