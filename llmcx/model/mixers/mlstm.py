"""mLSTM: a matrix for a memory, and gates of exponentials (Beck et al. 2024, arXiv:2405.04517, sec. 2.3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from llmcx.errors import check_sizes
from llmcx.model import pairs
from llmcx.model.mixers import Mixer
from llmcx.model.norm import Norm
from llmcx.model.run import LayerRun
from llmcx.ops.op import Cache, Cut, Dims, Op, Saved


@dataclass(frozen=True)
class MLSTM(Mixer):
    """C = f C + i v kᵀ and n = f n + i k, of which a query reads C q / max(|n q|, 1); a norm of each head, a sigmoid gate.

    ``d_qk`` and ``d_v`` are the widths of all heads' queries and values. Whole chunks of ``chunk`` tokens meet like attention and
    hand on their state; the tokens that are left over go one by one. Source: transformers, models/xlstm (its chunkwise code in
    PyTorch); Beck et al. 2025, arXiv:2503.14376, sec. 2.
    """

    n_heads: int
    d_qk: int
    d_v: int
    chunk: int
    bias: bool = False
    type: Literal["mlstm"] = "mlstm"

    def __post_init__(self) -> None:
        check_sizes(self, "n_heads", "d_qk", "d_v", "chunk")

    def period(self) -> int:
        return self.chunk

    def ops(self, where: LayerRun, name: str = "mlstm") -> Iterator[Op]:
        """Projections and gates, chunks and what is left over, norm, gate, output projection."""
        d, heads, n, b = where.d_model, self.n_heads, where.tokens, where.batch
        by_heads = Cut("columns", heads)
        wide = n * self.d_v
        for leaf, width in (("q", self.d_qk), ("k", self.d_qk), ("v", self.d_v), ("gate", self.d_v)):
            yield where.linear(f"{name}.{leaf}", d, width, self.bias, saves=leaf == "q", reads="normed", cut=by_heads)
        yield where.linear(f"{name}.gates", d, 2 * heads, True, saves=False, reads="normed", cut=by_heads)
        yield where.op(f"{name}.gates.activation", "tanh", Saved("gates", 2 * n * heads), elements=2 * n * heads, cut=by_heads)
        yield from self._met(where, name, by_heads)
        yield where.norm(f"{name}.norm", Norm("layernorm", bias=self.bias), self.d_v, cut=by_heads)
        yield where.op(f"{name}.gate.activation", "sigmoid", Saved("gate", wide), elements=wide, cut=by_heads)
        yield where.op(f"{name}.product", "product", Saved("both factors", 2 * wide), elements=wide, cut=by_heads)
        yield where.linear(f"{name}.out", self.d_v, d, self.bias, cut=Cut("rows", heads))
        width = self.d_qk * (self.d_v // heads + 1) + heads  # C, n, and the largest gate so far
        yield where.op(f"{name}.state", "cache", batch=b, tokens=1, width=width, cut=by_heads, cache=Cache("state"))

    def _met(self, where: LayerRun, name: str, by_heads: Cut) -> Iterator[Op]:
        """Queries, keys and values: whole chunks, then token by token."""
        heads, b, q = self.n_heads, where.batch, where.q
        qk, v, many = self.d_qk // heads, self.d_v // heads, b * heads
        chunks, left = divmod(q, self.chunk)
        if chunks:
            whole = chunks * self.chunk
            met = pairs.blocks(whole, self.chunk, where.run.ideal)
            shape: Dims = {"batch": b, "heads": heads, "pairs": met, "cut": by_heads}
            kept = Saved("queries, keys and values", b * whole * (2 * self.d_qk + self.d_v))
            yield where.op(f"{name}.scores", "scores", kept, width=qk, **shape)
            yield where.op(
                f"{name}.decay", "product", Saved("scores and decays", 3 * many * met), elements=many * met, cut=by_heads
            )
            yield where.op(f"{name}.values", "values", width=v, **shape)
            states = Saved("states", many * chunks * qk * (v + 1), "fp32")
            read: Dims = {"batch": many * chunks, "m": self.chunk, "k": qk, "weight": 0, "cut": by_heads}
            yield where.op(f"{name}.read", "matmul", states, n=v, **read)
            yield where.op(f"{name}.normaliser", "matmul", n=1, **read)
            write: Dims = {"batch": many * chunks, "m": qk, "k": self.chunk, "n": v, "weight": 0, "cut": by_heads}
            yield where.op(f"{name}.write", "matmul", **write)
            yield where.op(f"{name}.scan", "scan", elements=many * chunks * qk * (v + 1), operations=2, cut=by_heads)
        if left:
            rows, elements = many * left, many * left * qk * v
            kept = Saved("states of each step", 4 * elements, "fp32")
            yield where.op(f"{name}.step.write", "matmul", batch=rows, m=qk, k=1, n=v, weight=0, cut=by_heads)
            yield where.op(f"{name}.step.scan", "scan", kept, elements=elements + rows * qk, operations=3, cut=by_heads)
            yield where.op(f"{name}.step.read", "matmul", batch=rows, m=1, k=qk, n=v, weight=0, cut=by_heads)
            yield where.op(f"{name}.step.normaliser", "matmul", batch=rows, m=1, k=qk, n=1, weight=0, cut=by_heads)
