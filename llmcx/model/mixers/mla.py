"""Multi-head latent attention: keys and values from a shared low-rank latent, which is all that is cached."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from llmcx.errors import check_sizes
from llmcx.model import pairs
from llmcx.model.cores import EAGER, Core, Sliding, Standard, check
from llmcx.model.mixers import Mixer
from llmcx.model.mixers.attention import meet
from llmcx.model.mixers.compressed import upto
from llmcx.model.norm import Norm
from llmcx.model.run import LayerRun
from llmcx.ops.op import REPLICATED, Cache, Cut, Dims, Op, Saved


@dataclass(frozen=True)
class MLA(Mixer):
    """DeepSeek-V2's attention (arXiv:2405.04434, sec. 2.1).

    Queries from a latent of ``q_rank`` (None: straight from d_model), each ``nope_dim`` + ``rope_dim`` wide; keys and values
    (``v_dim``) from a latent of ``kv_rank``, with one rotary key of ``rope_dim`` for all heads. ``bias`` is on the projections
    down and out. The cache holds kv_rank + rope_dim numbers per token.

    ``form``: "naive" expands every latent and caches keys and values as they are; "absorbed" multiplies queries and outputs by
    the expansion instead, so that all heads meet one key of kv_rank + rope_dim and one value of kv_rank (sec. 2.1.2); "mixed", as
    servers do, expands in a pass and absorbs in a decode step. Parameters are the same.

    ``gate`` is a sigmoid gate of so many numbers on each head's output (v_dim in Hy 4 and Kimi K3, 1 in Ling 2.5), ``sinks`` one
    learned logit per head; ``rope_norm`` normalises the rotary key too (dots3). ``joint_gate``: one matrix makes queries and gate
    from the queries' latent, before and after its norm (A.X-K2).

    ``index_heads`` > 0 adds DeepSeek-V3.2's indexer of that many heads, ``index_dim`` wide, which scores every pair without
    gradient; eager code then multiplies every pair all the same.

    ``scaled`` multiplies each query head by a learned line of the logarithm of its position, and the indexer's too, whose queries
    come from d_model through a norm; ``shares_kv`` reads the latents of an earlier layer (Mistral Large 4). ``index_pool``: the
    indexer scores means of so many keys, weighed by a gate and a table of places, those of pools that are whole (GLM 5.3).
    """

    n_heads: int
    kv_rank: int
    nope_dim: int
    rope_dim: int
    v_dim: int
    q_rank: int | None = None
    bias: bool = False
    gate: int = 0
    sinks: bool = False
    rope_norm: bool = False
    joint_gate: bool = False
    index_heads: int = 0
    index_dim: int = 0
    index_pool: int | None = None
    scaled: bool = False
    shares_kv: bool = False
    form: Literal["mixed", "naive", "absorbed"] = "mixed"
    core: Core = field(default_factory=Standard)
    type: Literal["mla"] = "mla"

    def __post_init__(self) -> None:
        check_sizes(self, "n_heads", "kv_rank", "nope_dim", "v_dim", "q_rank", "index_pool")
        check_sizes(self, "rope_dim", "gate", "index_heads", "index_dim", least=0)
        check(self.core)

    def ops(self, where: LayerRun, name: str = "attention") -> Iterator[Op]:
        """Down, up or absorbed, the core, out; and the indexer."""
        d, heads, norm = where.d_model, self.n_heads, Norm("rmsnorm")
        d_qk = self.nope_dim + self.rope_dim
        by_heads, expands = Cut("columns", heads), Cut("columns", heads, gathered=True)
        latent: Dims = {"reads": "normed", "cut": REPLICATED}
        if self.q_rank is None:
            yield where.linear(f"{name}.q", d, heads * d_qk, reads="normed", cut=by_heads)
        else:
            yield where.linear(f"{name}.q_down", d, self.q_rank, self.bias, **latent)
            yield where.norm(f"{name}.q_norm", norm, self.q_rank, cut=REPLICATED)
            rank, made = (2 * self.q_rank, d_qk + self.gate) if self.joint_gate else (self.q_rank, d_qk)
            yield where.linear(f"{name}.q_up", rank, heads * made, reads="normed", cut=expands)
        if not self.shares_kv:
            yield where.linear(f"{name}.kv_down", d, self.kv_rank + self.rope_dim, self.bias, saves=False, **latent)
            yield where.norm(f"{name}.kv_norm", norm, self.kv_rank, cut=REPLICATED)
        if self.scaled:
            yield where.op(f"{name}.scale", "vector", size=2 * heads, cut=Cut("heads", heads))
            scaled = where.tokens * heads * d_qk
            yield where.op(f"{name}.scaling", "product", Saved("queries", scaled), elements=scaled, cut=Cut("heads", heads))
        if self.rope_norm:
            yield where.norm(f"{name}.k_rope_norm", norm, self.rope_dim, cut=REPLICATED)
        # A step of a few tokens meets the latents as they are cached; also where it verifies several drafted ones.
        absorbs = self.form == "absorbed" or (self.form == "mixed" and (where.steps or not where.run.encode))
        expanded, tokens = heads * (self.nope_dim + self.v_dim), 0 if absorbs else None
        yield where.linear(f"{name}.kv_up", self.kv_rank, expanded, saves=not absorbs, tokens=tokens, reads="normed", cut=expands)
        if self.gate and not self.joint_gate:
            yield where.linear(f"{name}.gate", d, heads * self.gate, saves=False, reads="normed", cut=by_heads)
        if self.sinks:
            yield where.op(f"{name}.sinks", "vector", size=heads, cut=Cut("heads", heads))
        rotated = where.tokens * (heads + 1) * self.rope_dim
        yield where.op(f"{name}.rotary", "rotary", elements=rotated, cut=Cut("heads", heads))
        if self.index_heads:
            yield from self._indexer(where, name)
        yield from self._absorbed(where, name) if absorbs else self._expanded(where, name)
        width = heads * (d_qk + self.v_dim) if self.form == "naive" else self.kv_rank + self.rope_dim
        naive = self.form == "naive"
        window = self.core.window if isinstance(self.core, Sliding) else None
        cut, held = Cut("heads", heads) if naive else REPLICATED, Cache("kv" if naive else "latent", window)
        tokens = where.kv if window is None else min(where.kv, window)
        if not self.shares_kv:
            yield where.op(f"{name}.cache", "cache", batch=where.batch, tokens=tokens, width=width, cut=cut, cache=held)
        if self.gate:
            elements = where.tokens * heads * self.v_dim
            n = where.tokens * heads * self.gate
            kept = Saved("gate and output", n + elements)
            yield where.op(f"{name}.gate.activation", "sigmoid", kept, elements=n, cut=Cut("heads", heads))
            yield where.op(f"{name}.product", "product", elements=elements, cut=Cut("heads", heads))
        yield where.linear(f"{name}.out", heads * self.v_dim, d, self.bias, cut=Cut("rows", heads))

    def _expanded(self, where: LayerRun, name: str) -> Iterator[Op]:
        """Every head meets keys and values of its own."""
        d_qk, heads = self.nope_dim + self.rope_dim, self.n_heads
        count = pairs.computed(self.core, where.q, where.kv, where.masked, where.run.ideal)
        queries = Saved("queries", where.tokens * heads * d_qk)
        expanded = Saved("keys and values", where.batch * where.kv * heads * (d_qk + self.v_dim))
        fused = where.run.fused or self.core.type not in EAGER
        yield from meet(where, name, heads, count, d_qk, self.v_dim, queries, expanded, fused=fused, keys=where.kv)

    def _absorbed(self, where: LayerRun, name: str) -> Iterator[Op]:
        """Every head meets the latents; the expansion's weights multiply queries and outputs instead."""
        heads, rank, d_qk = self.n_heads, self.kv_rank, self.kv_rank + self.rope_dim
        rows = where.tokens * heads
        met: Dims = {"tokens": rows, "bias": 0, "tied": 1}
        kept = Saved("queries before absorption", rows * self.nope_dim)
        yield where.op(f"{name}.q_absorb", "linear", kept, **met, d_in=self.nope_dim, d_out=rank, cut=Cut("heads", heads))
        count = pairs.computed(self.core, where.q, where.kv, where.masked, where.run.ideal)
        queries, latents = Saved("queries", rows * d_qk), Saved("latents", where.batch * where.kv * d_qk)
        fused = where.run.fused or self.core.type not in EAGER
        yield from meet(where, name, heads, count, d_qk, rank, queries, latents, fused=fused, keys=where.kv, shared=heads)
        weighted = Saved("weighted latents", rows * rank)
        yield where.op(f"{name}.v_absorb", "linear", weighted, **met, d_in=rank, d_out=self.v_dim, cut=Cut("heads", heads))

    def _indexer(self, where: LayerRun, name: str) -> Iterator[Op]:
        """DeepSeek-V3.2's: its own queries and one key, a weight per head and token; no gradient flows into it. Every GPU has all
        of it (vLLM's ReplicatedLinear).
        """
        heads, dim, keys = self.index_heads, self.index_dim, where.kv
        count = pairs.computed(Standard(), where.q, keys, where.masked, where.run.ideal)
        if self.index_pool is not None:
            keys //= self.index_pool
            count = upto(where, self.index_pool, None) if where.run.ideal else where.q * keys
            pooled = where.linear(f"{name}.indexer.gate", where.d_model, dim, saves=False, cut=REPLICATED)
            yield pooled._replace(grad=False)
            yield where.op(f"{name}.indexer.places", "vector", size=self.index_pool * dim, cut=REPLICATED)._replace(grad=False)
        met: Dims = {"batch": where.batch, "heads": 1, "pairs": count, "rows": where.q, "keys": keys}
        if self.scaled:
            yield where.norm(f"{name}.indexer.q_norm", Norm("layernorm"), where.d_model, cut=REPLICATED)._replace(
                grad=False, saved=()
            )
            yield where.op(f"{name}.indexer.scale", "vector", size=2 * heads, cut=REPLICATED)._replace(grad=False)
        for op in (
            where.linear(f"{name}.indexer.q", self.q_rank or where.d_model, heads * dim, saves=False, cut=REPLICATED),
            where.linear(f"{name}.indexer.k", where.d_model, dim, saves=False, cut=REPLICATED),
            where.norm(f"{name}.indexer.k_norm", Norm("layernorm"), dim, cut=REPLICATED)._replace(saved=()),
            where.linear(f"{name}.indexer.weights", where.d_model, heads, saves=False, cut=REPLICATED),
            where.op(f"{name}.indexer.scores", "scores", **met, width=heads * dim, cut=REPLICATED),
            where.op(f"{name}.indexer.weighted", "scores", **met, width=heads, cut=REPLICATED),
        ):
            yield op._replace(grad=False)
        held = Cache("index")
        width = dim if self.index_pool is None else 2 * dim + 1  # of each token the key, the gate and whether it is one
        yield where.op(
            f"{name}.indexer.cache", "cache", batch=where.batch, tokens=where.kv, width=width, cut=REPLICATED, cache=held
        )
