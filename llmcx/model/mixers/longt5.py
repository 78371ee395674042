"""LongT5's attention in blocks, as its eager code multiplies it, with or without a summary of the whole (Guo et al. 2021,
arXiv:2112.07916, sec. 3).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from llmcx.errors import check_sizes
from llmcx.model.mixers import Mixer
from llmcx.model.mixers.attention import meet
from llmcx.model.run import LayerRun
from llmcx.ops.op import Cut, Op, Saved


@dataclass(frozen=True)
class LongT5Blocks(Mixer):
    """Queries of a block of ``radius`` + 1 tokens meet the keys of three.

    With ``summary``, all of them meet one key more for every so many tokens: their sum, normalised and projected as the tokens
    are. ``buckets`` is T5's table of relative positions, of a stack's first layer; a summary has another such table.
    """

    n_heads: int
    head_dim: int
    radius: int
    summary: int | None = None
    buckets: int | None = None
    type: Literal["longt5"] = "longt5"

    def __post_init__(self) -> None:
        check_sizes(self, "n_heads", "head_dim", "radius", "summary", "buckets")

    def period(self) -> int:
        return self.radius + 1

    def ops(self, where: LayerRun, name: str = "attention") -> Iterator[Op]:
        """Projections, summaries, blocks, output."""
        d, width, heads, block = where.d_model, self.n_heads * self.head_dim, self.n_heads, self.radius + 1
        columns = Cut("columns", heads)
        for leaf in ("q", "k", "v"):
            yield where.linear(f"{name}.{leaf}", d, width, saves=leaf == "q", reads="normed", cut=columns)
        if self.buckets is not None:
            table = where.op(f"{name}.relative_bias", "lookup", tokens=3 * block**2, rows=self.buckets, width=heads)
            yield table
            if self.summary:
                yield table
        sums = where.q // self.summary if self.summary else 0
        if self.summary:
            yield where.op(f"{name}.sums", "matmul", batch=where.batch, m=sums, k=where.q, n=d, weight=0, grads=1)
            yield where.norm(f"{name}.sums_norm", where.spec.norm, d, where.batch * sums)
            for leaf in ("k", "v"):
                yield where.linear(f"{name}.sums_{leaf}", d, width, tied=True, tokens=where.batch * sums, cut=columns)
        blocks = -(-where.q // block)
        kept = Saved("keys and values", 2 * where.batch * blocks * (3 * block + sums) * width)
        queries, pairs = Saved("queries", where.tokens * width), blocks * block * (3 * block + sums)
        yield from meet(where, name, heads, pairs, self.head_dim, self.head_dim, queries, kept, keys=3 * block + sums)
        yield where.linear(f"{name}.out", width, d, cut=Cut("rows", heads))
