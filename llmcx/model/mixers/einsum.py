"""Attention written in sums over indices (torch.einsum): XLNet's, with keys for what tokens say and for how far apart they are,
and ProphetNet's, whose decoder looks several tokens ahead.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from llmcx.errors import check_sizes
from llmcx.model import pairs
from llmcx.model.cores import Standard
from llmcx.model.ffn import Activation, Plain
from llmcx.model.mixers import Mixer
from llmcx.model.mixers.attention import Attention, idle, meet
from llmcx.model.run import LayerRun
from llmcx.ops.op import TOKENS, Cache, Cut, Dims, Op, Saved


@dataclass(frozen=True)
class Summed(Attention):
    """Attention whose sum over a single key is a product of numbers: torch.einsum weighs that key's values without a matmul."""

    type: Literal["summed"] = "summed"  # type: ignore[assignment]

    def _core(self, where: LayerRun, name: str, kv: int, dim: int, cross: bool) -> Iterator[Op]:
        yield from (op for op in super()._core(where, name, kv, dim, cross) if kv > 1 or op.kind != "values")


@dataclass(frozen=True)
class Distant(Summed):
    """Attention whose scores have a second product, with keys made of sinusoids of all 2 n distances between n tokens, and three
    learned vectors a head beside the queries, and two for segments (Yang et al. 2019, arXiv:1906.08237, sec. 2.4 and 2.5; Dai et
    al. 2019, arXiv:1901.02860, sec. 3.3). Source: transformers, models/xlnet, which makes these keys for each sequence again.
    """

    type: Literal["distant"] = "distant"  # type: ignore[assignment]

    def _core(self, where: LayerRun, name: str, kv: int, dim: int, cross: bool) -> Iterator[Op]:
        heads, batch, q, d = self.n_heads, where.batch, where.q, where.d_model
        width, by_heads = heads * dim, Cut("columns", heads)
        far = q + kv
        keys: Dims = {"batch": 1, "m": batch * far, "k": d, "n": width, "weight": d * width, "grads": 1}
        yield where.op(f"{name}.relative", "matmul", Saved("sinusoids", batch * far * d), cut=by_heads, **keys)
        yield where.op(f"{name}.biases", "vector", size=5 * width, cut=Cut("heads", heads))
        kept = Saved("keys of the distances, queries and their biases", batch * (far + q) * width)
        met: Dims = {"batch": batch, "heads": heads, "pairs": q * far, "width": dim}
        yield where.op(f"{name}.relative_scores", "scores", kept, cut=Cut("heads", heads), **met)
        yield from super()._core(where, name, kv, dim, cross)


@dataclass(frozen=True)
class Prophet(Mixer):
    """A decoder's whole layer in 1 + ``ahead`` streams of as many tokens: one that reads, and one for each of the next ``ahead``
    tokens, whose queries meet the keys of the first stream and of their own (Qi et al. 2020, arXiv:2001.04063, sec. 3.2). A bias
    for each of ``buckets`` distances comes from the token by a matrix. Source: transformers, models/prophetnet.
    """

    n_heads: int
    d_ff: int
    ahead: int
    buckets: int
    activation: Activation = "gelu"
    cross: bool = True
    type: Literal["prophet"] = "prophet"

    def __post_init__(self) -> None:
        check_sizes(self, "n_heads", "d_ff", "ahead", "buckets")

    def ops(self, where: LayerRun, name: str = "attention") -> Iterator[Op]:
        """Attention in streams, cross-attention where there is an encoder, a feed-forward; a norm after each."""
        inside = where._replace(q=(1 + self.ahead) * where.q)
        elements = inside.tokens * where.d_model
        residual = where.op("residual", "residual", elements=elements, cut=TOKENS, role="residual")
        yield from self._attend(where, inside, name)
        yield residual
        yield inside.norm("norm.attention", where.spec.norm, where.d_model, role="norm")
        if self.cross:
            heads = Summed(self.n_heads, bias=True, softmax_fp32=False)
            crossed = heads.ops(inside._replace(role="cross"), "cross_attention", cross=True)
            yield from crossed if where.source else idle(crossed)
            yield inside.norm("norm.cross_attention", where.spec.norm, where.d_model, None if where.source else 0, role="norm")
        yield from Plain(self.d_ff, True, self.activation).ops(inside._replace(role="ffn"), "ffn")
        yield residual
        yield inside.norm("norm.ffn", where.spec.norm, where.d_model, role="norm")

    def _attend(self, where: LayerRun, inside: LayerRun, name: str) -> Iterator[Op]:
        """Projections of all streams; the first stream meets itself, each other one the first and itself."""
        d, heads, q, kv = where.d_model, self.n_heads, where.q, where.kv
        dim, by_heads = Attention(heads).width(d), Cut("columns", heads)
        for leaf in ("q", "k", "v"):
            yield inside.linear(f"{name}.{leaf}", d, d, True, saves=leaf == "q", reads="normed", cut=by_heads)
        yield inside.linear(f"{name}.relative", d, self.buckets * heads, True, saves=False, cut=by_heads)
        first = pairs.computed(Standard(), q, kv, where.masked, where.run.ideal)
        own = q if where.run.ideal else q * q
        for leaf, times, count in (("main", 1, first), ("ahead", self.ahead, first + own)):
            stream = where._replace(times=where.times * times)
            queries, held = Saved("queries", where.tokens * d), Saved("keys and values", 2 * where.batch * (kv + q) * d)
            for op in meet(stream, f"{name}.{leaf}", heads, count, dim, dim, queries, held, keys=kv):
                if leaf == "ahead" or kv > 1 or op.kind != "values":
                    yield op._replace(saved=tuple(kept for kept in op.saved if kept.stored != "upcast"))
        left: Dims = {"batch": where.batch, "tokens": kv, "width": 2 * d}
        yield where.op(f"{name}.cache", "cache", cut=Cut("heads", heads), cache=Cache("kv"), **left)
        yield inside.linear(f"{name}.out", d, d, True, cut=Cut("rows", heads))
