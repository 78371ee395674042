"""Attention within blocks and to global tokens that every layer carries along."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from llmcx.errors import check_sizes
from llmcx.model.ffn import Activation, Plain
from llmcx.model.mixers import Mixer
from llmcx.model.mixers.attention import Attention
from llmcx.model.run import LayerRun
from llmcx.ops.op import Dims, Op, Saved


@dataclass(frozen=True)
class GlobalLocal(Mixer):
    """Tokens meet those of their block of ``block`` and all ``globals``; these meet everything (Phang et al. 2022,
    arXiv:2208.04347, sec. 3.3).

    The layer's weights, the feed-forward's of ``d_ff`` too, are those of the global tokens, but for a norm of theirs.
    ``staggered`` layers shift the blocks by half of one, which pads a block. After the ``last`` nobody reads the global tokens.
    """

    n_heads: int
    block: int
    globals: int
    d_ff: int
    activation: Activation = "gelu"
    staggered: bool = False
    last: bool = False
    type: Literal["global_local"] = "global_local"

    def __post_init__(self) -> None:
        check_sizes(self, "n_heads", "block", "globals", "d_ff")

    def period(self) -> int:
        return self.block

    def ops(self, where: LayerRun, name: str = "attention") -> Iterator[Op]:
        """The tokens' part, then what is done to the global tokens with the same weights."""
        d, dim, shared = where.d_model, Attention(self.n_heads).width(where.d_model), self.globals
        q = where.q + (self.block if self.staggered else 0)
        n, rows = where.batch * q, where.batch * shared
        blocks = -(-q // self.block)
        met: Dims = {"batch": where.batch, "heads": self.n_heads, "width": dim}

        def again(op: Op, trained: bool = False) -> Op:
            """An op on global tokens, whose weights are counted already."""
            return op._replace(copies=0, used=0, grad=trained or not self.last)

        yield where.norm("norm.global", where.spec.norm, d, rows, role="norm")
        for leaf in ("q", "k", "v"):
            yield where.linear(f"{name}.{leaf}", d, d, saves=leaf == "q", tokens=n)
            yield again(where.linear(f"{name}.{leaf}", d, d, saves=leaf == "q", tokens=rows), leaf != "q")
        local, every = blocks * self.block**2 + q * shared, shared * (shared + q)
        kept = (Saved("queries", n * d), Saved("keys and values", 2 * (n + rows) * d))
        for pairs, saved, done in ((local, kept, True), (every, (Saved("global queries", rows * d),), not self.last)):
            elements = where.batch * self.n_heads * pairs
            yield where.op(f"{name}.scores", "scores", *saved, pairs=pairs, **met)._replace(grad=done)
            softmax = where.op(f"{name}.softmax", "softmax", Saved("probabilities", elements), elements=elements)
            yield softmax._replace(grad=done)
            yield where.op(f"{name}.values", "values", pairs=pairs, **met)._replace(grad=done)
        yield where.linear(f"{name}.out", d, d, tokens=n)
        yield again(where.linear(f"{name}.out", d, d, tokens=rows))
        for op in Plain(self.d_ff, True, self.activation).ops(where._replace(q=shared), "ffn"):
            yield again(op)
