"""Zamba2's shared transformer block: attention and a feed-forward that several layers own together.

Glorioso et al. 2024, arXiv:2411.15242, sec. 2. It reads the layer's input beside the embeddings; low-rank adapters and
an output projection belong to each layer alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from llmcx.errors import check_sizes
from llmcx.model.ffn import Activation, Gated
from llmcx.model.mixers import Mixer
from llmcx.model.mixers.attention import Attention
from llmcx.model.norm import Norm
from llmcx.model.run import LayerRun
from llmcx.ops.op import Op


@dataclass(frozen=True)
class SharedBlock(Mixer):
    """``attention`` over twice d_model, whose output projection goes down to d_model; a gated feed-forward; a projection.

    ``reused`` where an earlier layer counts the weights. ``rank`` is that of the adapters beside the feed-forward's inputs
    and, with ``attention_adapters``, beside queries, keys and values; None: there are none (Zamba, the first).
    """

    n_heads: int
    n_kv_heads: int
    head_dim: int
    d_ff: int
    rank: int | None
    bias: bool = False
    activation: Activation = "gelu"
    rope: bool = False
    attention_adapters: bool = False
    reused: bool = False
    type: Literal["shared_block"] = "shared_block"

    def __post_init__(self) -> None:
        check_sizes(self, "n_heads", "n_kv_heads", "head_dim", "d_ff", "rank")

    def ops(self, where: LayerRun, name: str = "shared") -> Iterator[Op]:
        """The shared part, counted once or not at all; then what is the layer's own."""
        for op in self._shared(where, name):
            yield op._replace(copies=0, used=0) if self.reused else op
        d, wide = where.d_model, 2 * where.d_model
        for leaf in ("q", "k", "v") if self.attention_adapters and self.rank is not None else ():
            assert self.rank is not None
            yield where.linear(f"{name}.adapter.{leaf}_down", wide, self.rank, saves=False)
            yield where.linear(f"{name}.adapter.{leaf}_up", self.rank, wide)
        if self.rank is not None:
            yield where.linear(f"{name}.adapter.ffn_down", d, self.rank, saves=False)
            yield where.linear(f"{name}.adapter.ffn_up", self.rank, 2 * self.d_ff)
        yield where.linear(f"{name}.projection", d, d)

    def _shared(self, where: LayerRun, name: str) -> Iterator[Op]:
        wide = where._replace(width=2 * where.d_model)
        norm, attention = Norm("rmsnorm"), Attention(self.n_heads, self.n_kv_heads, self.head_dim, rope=self.rope)
        yield where.norm(f"{name}.norm.attention", norm, wide.d_model)
        for op in attention.ops(wide, f"{name}.attention"):
            # Reads twice d_model, writes d_model.
            yield op._replace(dims=op.dims | {"d_out": where.d_model}) if op.module == "out" else op
        yield where.norm(f"{name}.norm.ffn", norm, where.d_model)
        yield from Gated(self.d_ff, self.bias, self.activation).ops(where, f"{name}.ffn")
