"""Perceiver IO: a few latents read the tokens, meet one another, and are read by a query for each place of the output (Jaegle et
al. 2021, arXiv:2107.14795, sec. 3).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from llmcx.errors import InputError, check_sizes
from llmcx.model.ffn import Activation, Plain
from llmcx.model.mixers import Mixer
from llmcx.model.mixers.attention import meet
from llmcx.model.norm import Norm
from llmcx.model.run import LayerRun
from llmcx.ops.op import TOKENS, Cut, Op, Saved

LAYER = Norm("layernorm")


@dataclass(frozen=True)
class LatentLayer(Mixer):
    """A whole layer: ``rows`` queries of ``width`` numbers meet ``source_rows`` others of ``source`` numbers (None: as many as
    there are tokens), or one another where ``source`` is None; a feed-forward at their width. Queries and keys have ``d_qk``
    numbers of all heads, values ``d_v``. The queries are ``learned`` where nothing came before.

    Source: transformers, models/perceiver.
    """

    n_heads: int
    rows: int
    width: int
    d_qk: int
    d_v: int
    d_ff: int
    source: int | None = None
    source_rows: int | None = None
    learned: bool = False
    activation: Activation = "gelu"
    type: Literal["latent_layer"] = "latent_layer"

    def __post_init__(self) -> None:
        check_sizes(self, "n_heads", "rows", "width", "d_qk", "d_v", "d_ff", "source", "source_rows")
        for value in (self.d_qk, self.d_v):
            if value % self.n_heads:
                problem = f"n_heads is {self.n_heads}, but must divide the {value} numbers of all heads"
                raise InputError(problem, field="n_heads", value=self.n_heads, allowed=f"a divisor of {value}")

    def ops(self, where: LayerRun, name: str = "latents") -> Iterator[Op]:
        """A norm of both sides, attention, feed-forward."""
        b, heads = where.batch, self.n_heads
        many, wide = self.rows, self.source or self.width
        met = self.rows if self.source is None else where.q if self.source_rows is None else self.source_rows
        inside = where._replace(q=many, width=self.width)
        if self.learned:
            yield inside.op(f"{name}.queries", "vector", size=many * self.width, cut=TOKENS)
        yield inside.norm(f"{name}.norm", LAYER, self.width)
        if self.source is not None:
            yield inside.norm(f"{name}.source_norm", LAYER, wide, b * met)
        by_heads = Cut("columns", heads)
        yield inside.linear(f"{name}.q", self.width, self.d_qk, True, reads="normed", cut=by_heads)
        for leaf, out in (("k", self.d_qk), ("v", self.d_v)):
            saves = leaf == "k" and self.source is not None
            yield inside.linear(f"{name}.{leaf}", wide, out, True, tokens=b * met, saves=saves, reads="normed", cut=by_heads)
        queries, others = Saved("queries", b * many * self.d_qk), Saved("keys and values", b * met * (self.d_qk + self.d_v))
        for op in meet(inside, name, heads, many * met, self.d_qk // heads, self.d_v // heads, queries, others, keys=met):
            yield op._replace(saved=tuple(kept for kept in op.saved if kept.stored != "upcast"))
        yield inside.linear(f"{name}.out", self.d_v, self.width, True, cut=Cut("rows", heads))
        residual = inside.op("residual", "residual", elements=b * many * self.width, cut=TOKENS, role="residual")
        yield residual
        yield inside.norm("norm.ffn", LAYER, self.width, role="norm")
        yield from Plain(self.d_ff, True, self.activation).ops(inside._replace(role="ffn"), "ffn")
        yield residual
