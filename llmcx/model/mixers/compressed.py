"""DeepSeek-V4's attention: one key-value head, a window of tokens as they are, and everything before it compressed.

Source: transformers, models/deepseek_v4.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from llmcx.errors import InputError, check_sizes
from llmcx.model import pairs
from llmcx.model.cores import Sliding
from llmcx.model.mixers import Mixer
from llmcx.model.mixers.attention import meet
from llmcx.model.norm import Norm
from llmcx.model.run import LayerRun
from llmcx.ops.op import REPLICATED, Cache, Cut, Dims, Op, Saved


@dataclass(frozen=True)
class Compressed(Mixer):
    """Queries from a latent of ``q_rank``; keys that are also the values, one head of ``head_dim``; an output projection of two
    steps, the first to ``out_rank`` in each of ``out_groups`` groups of heads.

    A query meets ``window`` tokens, and with ``rate`` an entry for every ``rate`` tokens before it: their weighted mean. With
    ``index_heads`` heads of ``index_dim``, an indexer has entries of its own, an entry is a mean over twice ``rate`` tokens, and
    a query meets the ``top_k`` that the indexer scores highest; eager code multiplies every entry all the same.
    """

    n_heads: int
    head_dim: int
    q_rank: int
    out_groups: int
    out_rank: int
    window: int
    rate: int | None = None
    index_heads: int = 0
    index_dim: int = 0
    top_k: int | None = None
    type: Literal["compressed"] = "compressed"

    def __post_init__(self) -> None:
        check_sizes(self, "n_heads", "head_dim", "q_rank", "out_groups", "out_rank", "window", "rate", "top_k")
        check_sizes(self, "index_heads", "index_dim", least=0)
        if self.n_heads * self.head_dim % self.out_groups:
            raise InputError(
                f"out_groups {self.out_groups} does not divide the heads' width, {self.n_heads * self.head_dim}",
                field="out_groups",
                value=self.out_groups,
            )

    def period(self) -> int:
        return self.rate or 1

    def ops(self, where: LayerRun, name: str = "attention") -> Iterator[Op]:
        """Projections, the compressor, the core over tokens and entries, two steps out."""
        d, n, heads, dim, norm = where.d_model, where.tokens, self.n_heads, self.head_dim, Norm("rmsnorm", fp32=True)
        columns, by_heads = Cut("columns", heads, gathered=True), Cut("heads", heads)
        yield where.linear(f"{name}.q_down", d, self.q_rank, reads="normed", cut=REPLICATED)
        yield where.norm(f"{name}.q_norm", norm, self.q_rank, cut=REPLICATED)
        yield where.linear(f"{name}.q_up", self.q_rank, heads * dim, reads="normed", cut=columns)
        yield where.norm(f"{name}.q_head_norm", Norm("rmsnorm", scale=False), dim, n * heads, cut=by_heads)
        yield where.linear(f"{name}.kv", d, dim, saves=False, reads="normed", cut=REPLICATED)
        yield where.norm(f"{name}.kv_norm", norm, dim, cut=REPLICATED)
        yield where.op(f"{name}.rotary", "rotary", elements=n * (2 * heads + 1) * dim, cut=by_heads)
        yield where.op(f"{name}.sinks", "vector", size=heads, cut=by_heads)
        count = pairs.computed(Sliding(self.window), where.q, where.kv, where.masked, where.run.ideal)
        entries = 0
        if self.rate is not None:
            entries = where.kv // self.rate
            yield from self._compressor(where, f"{name}.compressor", dim)
            if self.index_heads:
                for op in self._indexer(where, f"{name}.indexer", entries):
                    yield op._replace(grad=False)
            count += self._met(where, entries)
        queries, held = Saved("queries", n * heads * dim), Saved("keys and values", where.batch * (where.kv + entries) * dim)
        fused = where.run.fused
        keys = where.kv + entries
        yield from meet(where, name, heads, count, dim, dim, queries, held, keys=keys, shared=heads, fused=fused)
        group, rank = heads * dim // self.out_groups, self.out_groups * self.out_rank
        out = where.linear(f"{name}.out_groups", group, rank, cut=Cut("columns", self.out_groups, strict=True))
        yield out._replace(saved=(Saved("input", n * heads * dim),))
        yield where.linear(f"{name}.out", rank, d, cut=Cut("rows", self.out_groups, strict=True))
        cached: Dims = {"batch": where.batch, "cut": REPLICATED}
        tokens = min(where.kv, self.window)
        yield where.op(f"{name}.cache", "cache", tokens=tokens, width=dim, cache=Cache("kv", self.window), **cached)
        for leaf, width, kind in ((name, dim, "latent"), (f"{name}.indexer", self.index_dim, "index")):
            if self.rate is not None and width:
                yield where.op(f"{leaf}.entries", "cache", tokens=entries, width=width, cache=Cache(kind), **cached)
                # Keys and weights of tokens that are not a whole entry yet; where entries overlap, of the entry before too.
                rows, wide = (2 * self.rate, 2 * width) if self.index_heads else (self.rate, width)
                yield where.op(f"{leaf}.buffer", "cache", tokens=rows, width=2 * wide, cache=Cache("state"), **cached)

    def _met(self, where: LayerRun, entries: int) -> int:
        """Pairs with entries: all of them in eager code, else those of whole entries before the query, up to top_k."""
        return upto(where, self.rate or 1, self.top_k) if where.run.ideal else where.q * entries

    def _compressor(self, where: LayerRun, name: str, dim: int) -> Iterator[Op]:
        """Keys, and weights for a mean of them by channel, to which each place in an entry adds a number of its own."""
        rate, wide = self.rate or 1, (2 if self.index_heads else 1) * dim
        made = where.batch * (where.kv // rate - (where.kv - where.q) // rate)
        rows = made * rate * (2 if self.index_heads else 1)
        met = bool(where.kv // rate)  # else nothing goes backward
        for leaf in ("kv", "gate"):
            yield where.linear(f"{name}.{leaf}", where.d_model, wide, saves=False, cut=REPLICATED)._replace(grad=met)
        yield where.op(f"{name}.positions", "vector", size=rate * wide, cut=REPLICATED)
        kept = Saved("keys and weights", 2 * rows * dim)
        yield where.op(f"{name}.softmax", "softmax", kept, elements=rows * dim, cut=REPLICATED)
        yield where.op(f"{name}.product", "product", elements=rows * dim, cut=REPLICATED)
        yield where.norm(f"{name}.norm", Norm("rmsnorm", fp32=True), dim, made, cut=REPLICATED)

    def _indexer(self, where: LayerRun, name: str, entries: int) -> Iterator[Op]:
        """A compressor, queries and a weight per head; what they choose has no gradient. Every GPU has all of it."""
        heads, dim = self.index_heads, self.index_dim
        yield from self._compressor(where, name, dim)
        yield where.linear(f"{name}.q", self.q_rank, heads * dim, saves=False, cut=REPLICATED)
        yield where.linear(f"{name}.weights", where.d_model, heads, saves=False, cut=REPLICATED)
        count = upto(where, self.rate or 1, None) if where.run.ideal else where.q * entries
        met: Dims = {"batch": where.batch, "heads": heads, "pairs": count, "rows": where.q, "keys": entries}
        yield where.op(f"{name}.scores", "scores", **met, width=dim, cut=REPLICATED)
        yield where.op(f"{name}.weighted", "product", elements=where.batch * heads * count, cut=REPLICATED)


def upto(where: LayerRun, rate: int, top_k: int | None) -> int:
    """Pairs of this run's queries with whole entries of ``rate`` tokens before or at them, at most ``top_k`` a query."""

    def before(tokens: int) -> int:
        # Σ min(floor(i / rate), top_k) over i = 1 .. tokens
        most = tokens if top_k is None else min(tokens, top_k * rate)
        steps, rest = divmod(most, rate)
        return rate * steps * (steps - 1) // 2 + (rest + 1) * steps + (tokens - most) * (top_k or 0)

    return before(where.kv) - before(where.kv - where.q)
