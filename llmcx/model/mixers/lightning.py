"""Lightning attention: linear attention with a fixed decay per head (MiniMax-01 2025, arXiv:2501.08313, sec. 2.2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from llmcx.errors import check_sizes
from llmcx.model import pairs
from llmcx.model.mixers import Mixer
from llmcx.model.mixers.chunks import carried
from llmcx.model.norm import Norm
from llmcx.model.place import Place
from llmcx.ops.op import Kept, Op


@dataclass(frozen=True)
class Lightning(Mixer):
    """Activated queries, keys and values; blocks of ``block`` tokens met like attention without a softmax, and a state of
    head_dim x head_dim per head for what came before; an RMS norm over all heads; a sigmoid gate.
    """

    n_heads: int
    head_dim: int
    block: int
    type: Literal["lightning"] = "lightning"

    def __post_init__(self) -> None:
        check_sizes(self, "n_heads", "head_dim", "block")

    def period(self) -> int:
        return self.block

    def ops(self, where: Place, name: str = "linear_attention") -> Iterator[Op]:
        """Projections, blocks and the state between them, norm, gate, output projection."""
        heads, dim, b, q = self.n_heads, self.head_dim, where.batch, where.q
        width, elements = heads * dim, where.tokens * heads * dim
        yield where.linear(f"{name}.qkv", where.d_model, 3 * width)
        yield where.op(f"{name}.activation", "silu", Kept("activation", 3 * elements), elements=3 * elements)
        if where.steps:
            yield where.op(f"{name}.write", "matmul", batch=b * heads, m=dim, k=1, n=dim, weight=0)
            yield where.op(f"{name}.scan", "scan", elements=b * heads * dim * dim, operations=2)
            yield where.op(f"{name}.read", "matmul", batch=b * heads, m=1, k=dim, n=dim, weight=0)
        else:
            met = pairs.blocks(q, self.block, where.run.ideal)
            kept = Kept("queries, keys and values", 3 * elements)
            decayed = Kept("scores, decays and decayed scores", 2 * b * heads * met)
            yield where.op(f"{name}.scores", "scores", kept, batch=b, heads=heads, pairs=met, width=dim)
            yield where.op(f"{name}.decay", "product", decayed, elements=b * heads * met)
            yield where.op(f"{name}.values", "values", batch=b, heads=heads, pairs=met, width=dim)
            yield from carried(where, name, ("read",), heads, dim, dim, q, self.block)
        yield where.norm(f"{name}.norm", Norm("rmsnorm"), width)
        yield where.linear(f"{name}.gate", where.d_model, width, saves=False)
        yield where.op(f"{name}.gate.activation", "sigmoid", Kept("gate", elements), elements=elements)
        yield where.op(f"{name}.product", "product", Kept("both factors", 2 * elements), elements=elements)
        yield where.linear(f"{name}.out", width, where.d_model)
        yield where.op(f"{name}.state", "cache", batch=b, tokens=dim, width=width)
