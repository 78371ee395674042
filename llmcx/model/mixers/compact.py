"""Whole layers of encoders made for telephones: MobileBERT's, in a bottleneck, and SqueezeBERT's, of grouped matrices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from llmcx.errors import check_sizes
from llmcx.model import pairs
from llmcx.model.cores import Standard
from llmcx.model.ffn import Activation, Plain
from llmcx.model.mixers import Mixer
from llmcx.model.mixers.attention import meet
from llmcx.model.norm import Norm
from llmcx.model.run import LayerRun
from llmcx.ops.op import Op, Saved

NORM = Norm("layernorm")  # MobileBERT's is a scale and a shift alone


@dataclass(frozen=True)
class MobileLayer(Mixer):
    """Attention and ``ffns`` feed-forwards at ``width``, between a matrix down to it and one up (Sun et al. 2020,
    arXiv:2004.02984, sec. 3.1); at the model's own width where that is None.

    ``shared`` gives queries and keys another matrix down; then values are made from the full width, unless ``narrow`` has all
    three from the first matrix, which leaves the other idle.
    """

    n_heads: int
    d_ff: int
    width: int | None = None
    ffns: int = 4
    shared: bool = True
    narrow: bool = False
    activation: Activation = "relu"
    type: Literal["mobile"] = "mobile"

    def __post_init__(self) -> None:
        check_sizes(self, "n_heads", "d_ff", "width", "ffns")

    def ops(self, where: LayerRun, name: str = "attention") -> Iterator[Op]:
        """Down, attention, feed-forwards, up; a norm after each."""
        d, n = where.d_model, where.tokens
        t, dim = self.width or d, (self.width or d) // self.n_heads
        inside = where._replace(width=t)
        if self.width is not None:
            yield where.linear("bottleneck.down", d, t, True)
            yield where.norm("norm.down", NORM, t)
            if self.shared:
                rows = 0 if self.narrow else n
                yield where.linear("bottleneck.queries_keys", d, t, True, saves=False, tokens=rows)
                yield where.norm("norm.queries_keys", NORM, t, rows)
        source = d if self.width is not None and not self.narrow else t
        for leaf, d_in in (("q", t), ("k", t), ("v", source)):
            yield inside.linear(f"{name}.{leaf}", d_in, t, True, saves=leaf == "q")
        yield from _meet(inside, name, self.n_heads, dim)
        yield inside.linear(f"{name}.out", t, t, True)
        yield inside.norm("norm.attention", NORM, t)
        for _ in range(self.ffns):
            yield from Plain(self.d_ff, True, self.activation).ops(inside._replace(role="ffn"), "ffn")
            yield inside.norm("norm.ffn", NORM, t)
        if self.width is not None:
            yield where.linear("bottleneck.up", t, d, True)
            yield where.norm("norm.up", NORM, d)


@dataclass(frozen=True)
class SqueezeLayer(Mixer):
    """Attention and a feed-forward whose matrices are block diagonal, of so many ``blocks`` (queries, keys, values,
    output, up, down), as convolutions do them (Iandola et al. 2020, arXiv:2006.11316, sec. 3).
    """

    n_heads: int
    d_ff: int
    blocks: tuple[int, ...] = (4, 4, 4, 1, 4, 4)
    activation: Activation = "gelu"
    type: Literal["squeeze"] = "squeeze"

    def __post_init__(self) -> None:
        check_sizes(self, "n_heads", "d_ff")

    def ops(self, where: LayerRun, name: str = "attention") -> Iterator[Op]:
        """Projections, attention, output, feed-forward, two norms."""
        d, n, ff = where.d_model, where.tokens, self.d_ff
        q, k, v, out, up, down = self.blocks
        for leaf, groups in (("q", q), ("k", k), ("v", v)):
            yield _grouped(where, f"{name}.{leaf}", d, d, groups)
        yield from _meet(where, name, self.n_heads, d // self.n_heads)
        yield _grouped(where, f"{name}.out", d, d, out)
        yield where.norm("norm.attention", NORM, d)
        yield _grouped(where, "ffn.up", d, ff, up)
        yield where.op("ffn.activation", self.activation, Saved("activation", n * ff), elements=n * ff)
        yield _grouped(where, "ffn.down", ff, d, down)
        yield where.norm("norm.ffn", NORM, d)


def _meet(where: LayerRun, name: str, heads: int, dim: int) -> Iterator[Op]:
    """Full attention, its softmax in the activations' dtype."""
    count, width = pairs.computed(Standard(), where.q, where.kv, False, False), where.tokens * heads * dim
    queries, others = Saved("queries", width), Saved("keys and values", 2 * width)
    for op in meet(where, name, heads, count, dim, dim, queries, others, keys=where.kv):
        yield op._replace(saved=tuple(kept for kept in op.saved if kept.stored != "upcast"))


def _grouped(where: LayerRun, component: str, d_in: int, d_out: int, groups: int) -> Op:
    """A convolution one token wide: FlopCounterMode lets each filter meet every group in the backward pass."""
    met = 1 if where.run.ideal else groups
    saved = Saved("input", where.tokens * d_in)
    shape: dict[str, Any] = {
        "batch": where.batch,
        "channels": d_out,
        "length": where.q,
        "kernel": d_in // groups,
        "bias": 1,
        "met": met,
    }
    return where.op(component, "conv", saved, **shape)
