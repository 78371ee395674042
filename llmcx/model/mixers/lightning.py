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
from llmcx.model.run import LayerRun
from llmcx.ops.op import Cache, Cut, Dims, Op, Saved


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

    def ops(self, where: LayerRun, name: str = "linear_attention") -> Iterator[Op]:
        """Projections, blocks and the state between them, norm, gate, output projection."""
        heads, dim, b, q = self.n_heads, self.head_dim, where.batch, where.q
        width, elements = heads * dim, where.tokens * heads * dim
        by_heads = Cut("columns", heads)
        yield where.linear(f"{name}.qkv", where.d_model, 3 * width, reads="normed", cut=by_heads)
        activation = Saved("activation", 3 * elements)
        yield where.op(f"{name}.activation", "silu", activation, elements=3 * elements, cut=by_heads)
        if where.steps:
            yield where.op(f"{name}.write", "matmul", batch=b * heads, m=dim, k=1, n=dim, weight=0, cut=by_heads)
            yield where.op(f"{name}.scan", "scan", elements=b * heads * dim * dim, operations=2, cut=by_heads)
            yield where.op(f"{name}.read", "matmul", batch=b * heads, m=1, k=dim, n=dim, weight=0, cut=by_heads)
        else:
            met = pairs.blocks(q, self.block, where.run.ideal)
            kept = Saved("queries, keys and values", 3 * elements)
            decayed = Saved("scores, decays and decayed scores", 2 * b * heads * met)
            shape: Dims = {"batch": b, "heads": heads, "pairs": met, "width": dim, "cut": by_heads}
            yield where.op(f"{name}.scores", "scores", kept, **shape)
            yield where.op(f"{name}.decay", "product", decayed, elements=b * heads * met, cut=by_heads)
            yield where.op(f"{name}.values", "values", **shape)
            yield from carried(where, name, ("read",), heads, dim, dim, q, self.block)
        yield where.norm(f"{name}.norm", Norm("rmsnorm"), width, cut=by_heads)
        yield where.linear(f"{name}.gate", where.d_model, width, saves=False, reads="normed", cut=by_heads)
        yield where.op(f"{name}.gate.activation", "sigmoid", Saved("gate", elements), elements=elements, cut=by_heads)
        yield where.op(f"{name}.product", "product", Saved("both factors", 2 * elements), elements=elements, cut=by_heads)
        yield where.linear(f"{name}.out", width, where.d_model, cut=Cut("rows", heads))
        yield where.op(f"{name}.state", "cache", batch=b, tokens=dim, width=width, cut=by_heads, cache=Cache("state"))
