"""Reformer's layers, which keep nothing for the backward pass and run again in it (Kitaev et al. 2020, arXiv:2001.04451)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from llmcx.errors import check_sizes
from llmcx.model.ffn import Activation, Plain
from llmcx.model.mixers import Mixer
from llmcx.model.mixers.attention import meet
from llmcx.model.norm import Norm
from llmcx.model.run import LayerRun
from llmcx.ops.op import TOKENS, Cut, Dims, Op, Saved


@dataclass(frozen=True)
class ReversibleLayer(Mixer):
    """A whole layer: attention within chunks of ``chunk`` tokens and ``around`` chunks beside each, of the sequence as it stands,
    or with ``rounds`` sorted by a hash of what are queries and keys at once, and a feed-forward. Two streams go through, so that
    a layer's input is found again from its output (sec. 3): going backward costs another forward pass, but for the hashes.

    ``buckets`` are as many as the hash has, a product of the factors given; none: by the length, of a model that is made for
    ``longest`` tokens. ``last`` has a norm of both streams after it. Source: transformers, models/reformer.
    """

    n_heads: int
    head_dim: int
    d_ff: int
    chunk: int
    around: int = 1
    rounds: int | None = None
    buckets: tuple[int, ...] = ()
    longest: int = 4096
    last: bool = False
    activation: Activation = "relu"
    type: Literal["reversible"] = "reversible"

    def __post_init__(self) -> None:
        check_sizes(self, "n_heads", "head_dim", "d_ff", "chunk", "rounds", "longest")
        object.__setattr__(self, "buckets", tuple(self.buckets))  # a list, in a file

    def period(self) -> int:
        return self.chunk

    def ops(self, where: LayerRun, name: str = "attention") -> Iterator[Op]:
        """Norm, attention, norm, feed-forward; the matmuls again for the backward pass."""
        again = 0
        for op in self._parts(where, name):
            again += _products(op)
            yield op._replace(saved=())
        yield where.op(f"{name}.again", "recompute", batch=1, heads=1, pairs=again, width=1, cut=TOKENS)
        if self.last:
            yield where.norm("final_norm", Norm("layernorm"), 2 * where.d_model, role="final_norm")

    def _parts(self, where: LayerRun, name: str) -> Iterator[Op]:
        d, heads, dim, q, b = where.d_model, self.n_heads, self.head_dim, where.q, where.batch
        width, by_heads = heads * dim, Cut("columns", heads)
        residual = where.op("residual", "residual", elements=where.tokens * d, cut=TOKENS, role="residual")
        yield where.norm("norm.attention", where.spec.norm, d, role="norm")
        for leaf in ("q", "k", "v") if self.rounds is None else ("q", "v"):
            yield where.linear(f"{name}.{leaf}", d, width, saves=leaf == "q", reads="normed", cut=by_heads)
        rows, met = q, q
        if q > self.chunk:
            rows, met = q * (self.rounds or 1), self.chunk * (1 + self.around)
            if self.rounds is not None:
                turns: Dims = {"m": q, "k": dim, "n": self.rounds * (self._rotation(q) // 2), "weight": 0}
                hashes = where.op(f"{name}.hash", "matmul", batch=b * heads, cut=by_heads, **turns)
                yield hashes._replace(grad=False)
        yield from meet(where, name, heads, rows * met, dim, dim, Saved("queries", 0), Saved("keys and values", 0), keys=q)
        yield where.linear(f"{name}.out", width, d, cut=Cut("rows", heads))
        yield residual
        yield where.norm("norm.ffn", where.spec.norm, d, role="norm")
        yield from Plain(self.d_ff, True, self.activation).ops(where._replace(role="ffn"), "ffn")
        yield residual

    def _rotation(self, tokens: int) -> int:
        """The sum of the factors of the number of buckets: twice as many buckets as chunks, of which a power of two."""
        if self.buckets:
            return sum(self.buckets)
        power = (2 * (tokens // self.chunk)).bit_length() - 1
        if 1 << power > 2 * max(int((self.longest // self.chunk) ** 0.5), self.chunk):
            return int((1 << power // 2) + (1 << power - power // 2))
        return int(1 << power)


def _products(op: Op) -> int:
    """Multiplications of a matmul that the backward pass does once more; hashes are remembered."""
    dims = op.dims
    if op.kind == "linear":
        return dims["tokens"] * dims["d_in"] * dims["d_out"]
    return dims["batch"] * dims["heads"] * dims["pairs"] * dims["width"] if op.kind in ("scores", "values") else 0
