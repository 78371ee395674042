"""Attention at two resolutions (Zeng et al. 2022, arXiv:2207.10284, sec. 4)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from llmcx.errors import check_sizes
from llmcx.model.mixers import Mixer
from llmcx.model.mixers.attention import Attention
from llmcx.model.run import LayerRun
from llmcx.ops.op import Cut, Dims, Op, Saved

BLOCK = 32
"""Tokens of a block, which the kernel fixes, and the least width of a head."""


@dataclass(frozen=True)
class Resolutions(Mixer):
    """The means of all blocks of 32 tokens meet; of those pairs of blocks the ``blocks`` most alike meet token by token, and the
    others stand by their means, unless they are left out (``sparse``). Source: transformers, models/mra, whose matmuls are a
    kernel for GPUs; on a CPU nothing is multiplied there.
    """

    n_heads: int
    blocks: int
    sparse: bool = False
    type: Literal["resolutions"] = "resolutions"

    def __post_init__(self) -> None:
        check_sizes(self, "n_heads", "blocks")

    def period(self) -> int:
        return BLOCK

    def ops(self, where: LayerRun, name: str = "attention") -> Iterator[Op]:
        """Projections, both resolutions, output. A sequence is padded to whole blocks."""
        d, heads, b = where.d_model, self.n_heads, where.batch
        width = max(BLOCK, Attention(heads).width(d))
        by_heads = Cut("columns", heads)
        for leaf in ("q", "k", "v"):
            yield where.linear(f"{name}.{leaf}", d, d, True, saves=leaf == "q", reads="normed", cut=by_heads)
        rows = -(-where.q // BLOCK)
        fine = min(self.blocks, rows * rows) * BLOCK * BLOCK
        elements = b * heads * rows * BLOCK * width
        coarse: Dims = {"batch": b * heads, "m": rows, "weight": 0}
        means, kept = Saved("means", 3 * elements // BLOCK), Saved("queries, keys and values", 3 * elements)
        low = where.op(f"{name}.coarse.scores", "matmul", means, k=width, n=rows, cut=by_heads, **coarse)
        yield low._replace(grad=not self.sparse)
        met: Dims = {"batch": b, "heads": heads, "pairs": fine, "width": width}
        yield where.op(f"{name}.scores", "scores", kept, cut=Cut("heads", heads), **met)
        probabilities = Saved("probabilities", b * heads * fine)
        yield where.op(f"{name}.softmax", "softmax", probabilities, elements=b * heads * fine, cut=Cut("heads", heads))
        yield where.op(f"{name}.values", "values", cut=Cut("heads", heads), **met)
        if not self.sparse:
            yield where.op(f"{name}.coarse.values", "matmul", k=rows, n=width, cut=by_heads, **coarse)
        yield where.linear(f"{name}.out", d, d, True, cut=Cut("rows", heads))
