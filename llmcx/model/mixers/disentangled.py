"""DeBERTa's attention, in which contents meet relative positions too, and the convolution beside its first layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from llmcx.errors import InputError, check_sizes
from llmcx.model import pairs
from llmcx.model.cores import Standard
from llmcx.model.mixers import Mixer
from llmcx.model.mixers.attention import Attention, meet
from llmcx.model.norm import Norm
from llmcx.model.run import LayerRun
from llmcx.ops.op import Cut, Dims, Op, Saved


@dataclass(frozen=True)
class Disentangled(Mixer):
    """Queries meet keys, and the projections of 2 ``span`` relative positions: contents as queries (``c2p``) and as keys
    (``p2c``), as in He et al. 2020, arXiv:2006.03654, sec. 3.1.

    The first layer holds the positions' ``table``, with a norm if ``normed``. ``shared`` projects them as it does the contents
    (version 3). Version 1 (``first_edition``) has biases on neither keys, and as many positions as the sequence needs.
    """

    n_heads: int
    span: int
    c2p: bool = True
    p2c: bool = True
    table: bool = False
    normed: bool = False
    shared: bool = False
    first_edition: bool = False
    type: Literal["disentangled"] = "disentangled"

    def __post_init__(self) -> None:
        check_sizes(self, "n_heads", "span")

    def ops(self, where: LayerRun, name: str = "attention") -> Iterator[Op]:
        """Projections of contents and positions; three kinds of scores; output."""
        d, dim, heads = where.d_model, Attention(self.n_heads).width(where.d_model), self.n_heads
        columns, by_heads = Cut("columns", heads), Cut("heads", heads)
        for leaf in ("q", "k", "v"):
            bias = not (self.first_edition and leaf == "k")
            yield where.linear(f"{name}.{leaf}", d, d, bias, saves=leaf == "q", reads="normed", cut=columns)
        rows = 2 * (min(where.q, self.span) if self.first_edition else self.span)
        if self.table:
            yield where.op(f"{name}.relative", "lookup", tokens=rows, rows=2 * self.span, width=d)
            if self.normed:
                yield where.norm(f"{name}.relative_norm", Norm("layernorm"), d, 2 * self.span)
        tensors, met = where.tokens * d, Saved("scores of positions", where.batch * heads * where.q * rows)
        shape: Dims = {"batch": where.batch, "heads": heads, "pairs": where.q * rows, "width": dim}
        for leaf, on, bias in (("relative_k", self.c2p, not self.first_edition), ("relative_q", self.p2c, True)):
            if on or self.shared:
                made = where.linear(f"{name}.{leaf}", d, d, bias and not self.shared, tied=self.shared, tokens=rows, cut=columns)
                yield made if on else made._replace(grad=False)
            if on:
                yield where.op(f"{name}.{leaf}_scores", "scores", met, **shape, cut=by_heads)
        queries, others = Saved("queries", tensors), Saved("keys and values", 2 * tensors)
        count = pairs.computed(Standard(), where.q, where.kv, False, False)
        for op in meet(where, name, heads, count, dim, dim, queries, others, keys=where.kv):
            kept = tuple(one for one in op.saved if one.stored != "upcast")  # taken in the activations' dtype
            yield op._replace(saved=kept)
        yield where.linear(f"{name}.out", d, d, True, cut=Cut("rows", heads))


@dataclass(frozen=True)
class LocalConv(Mixer):
    """A filter of ``kernel`` tokens from all channels to all, an activation, beside a layer (DeBERTa's version 2)."""

    kernel: int
    activation: Literal["tanh", "gelu"] = "tanh"
    type: Literal["local_conv"] = "local_conv"

    def __post_init__(self) -> None:
        check_sizes(self, "kernel")
        if self.kernel % 2 == 0:
            raise InputError(f"kernel is {self.kernel}, but must be odd", field="kernel", value=self.kernel)

    def ops(self, where: LayerRun, name: str = "local_conv") -> Iterator[Op]:
        """As a matrix over the tokens around each."""
        elements = where.tokens * where.d_model
        yield where.linear("local_conv", self.kernel * where.d_model, where.d_model, True, saves=False)
        kept = Saved("input and output", 2 * elements)
        yield where.op("local_conv.activation", self.activation, kept, elements=elements)
