"""Grouped-query attention behind an indexer that chooses blocks of tokens: MiniMax-M3, Qwen4-Exp.

Sources: transformers, models/minimax_m3_vl and models/qwen4_exp.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from llmcx.errors import check_sizes
from llmcx.model import pairs
from llmcx.model.cores import Standard
from llmcx.model.mixers.attention import Attention
from llmcx.model.mixers.compressed import upto
from llmcx.model.norm import Norm
from llmcx.model.run import LayerRun
from llmcx.ops.op import REPLICATED, Cache, Dims, Op


@dataclass(frozen=True)
class Indexed(Attention):
    """Attention, and ``index_heads`` heads of ``index_dim`` that score tokens with one key for all, without gradient; eager code
    multiplies every pair of the attention all the same.

    With ``pool``, they score the means of so many keys, those of blocks that are whole at the query (Qwen4-Exp).
    """

    index_heads: int = 1
    index_dim: int = 64
    index_norm: Norm = field(default_factory=lambda: Norm("rmsnorm"))
    pool: int | None = None
    type: Literal["indexed"] = "indexed"  # type: ignore[assignment]

    def __post_init__(self) -> None:
        super().__post_init__()
        check_sizes(self, "index_heads", "index_dim", "pool")

    def period(self) -> int:
        return self.pool or super().period()

    def ops(self, where: LayerRun, name: str = "attention", cross: bool = False) -> Iterator[Op]:
        """The attention's, and the indexer's."""
        yield from super().ops(where, name, cross)
        for op in self._indexer(where, f"{name}.indexer"):
            yield op._replace(grad=False)
        held: Dims = {"batch": where.batch, "tokens": where.kv, "width": self.index_dim}
        yield where.op(f"{name}.indexer.cache", "cache", **held, cut=REPLICATED, cache=Cache("index"))

    def _indexer(self, where: LayerRun, name: str) -> Iterator[Op]:
        heads, dim, batch = self.index_heads, self.index_dim, where.batch
        keys = where.kv if self.pool is None else where.kv // self.pool
        if self.pool is not None:
            count = upto(where, self.pool, None)
        else:
            count = pairs.computed(Standard(), where.q, where.kv, where.masked, where.run.ideal)
        yield where.linear(f"{name}.q", where.d_model, heads * dim, saves=False, cut=REPLICATED)
        yield where.linear(f"{name}.k", where.d_model, dim, saves=False, cut=REPLICATED)
        rows = where.tokens if self.pool is None else batch * count
        for leaf, n in (("q_norm", where.tokens * heads), ("k_norm", rows)):
            yield where.norm(f"{name}.{leaf}", self.index_norm, dim, n, cut=REPLICATED)._replace(saved=())
        met: Dims = {"batch": batch, "heads": heads, "pairs": count, "rows": where.q, "keys": keys}
        yield where.op(f"{name}.scores", "scores", **met, width=dim, cut=REPLICATED)
