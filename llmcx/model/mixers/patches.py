"""Byte Latent Transformer: a large model on patches of bytes between two small ones on bytes (Pagnoni et al. 2024,
arXiv:2412.09871, sec. 3). How many bytes a patch has depends on the text: ``per`` is an average.

Source: transformers, models/blt.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from llmcx.errors import check_sizes
from llmcx.model.ffn import Activation, Gated
from llmcx.model.mixers import Mixer
from llmcx.model.mixers.attention import Attention, meet
from llmcx.model.norm import Norm
from llmcx.model.run import LayerRun
from llmcx.ops.op import TOKENS, WHOLE, Cut, Op, Saved

RMS = Norm("rmsnorm")


def patches(tokens: int, per: int, spare: int) -> int:
    """Patches of ``tokens`` bytes, the last one smaller, and ``spare`` empty ones.

    >>> patches(9, 4, 0), patches(9, 1, 1)
    (3, 10)
    """
    return -(-tokens // per) + spare


@dataclass(frozen=True)
class PatchLayer(Mixer):
    """A whole layer of another ``width`` than the model's, on patches of ``per`` bytes: grouped-query attention and a gated
    feed-forward, a norm before each. A decode step counts as if it began a patch.
    """

    width: int
    n_heads: int
    d_ff: int
    n_kv_heads: int | None = None
    per: int = 1
    spare: int = 0
    activation: Activation = "silu"
    type: Literal["patch_layer"] = "patch_layer"

    def __post_init__(self) -> None:
        check_sizes(self, "width", "n_heads", "d_ff", "n_kv_heads", "per")

    def period(self) -> int:
        return self.per

    def ops(self, where: LayerRun, name: str = "attention") -> Iterator[Op]:
        """Both parts on as many tokens as there are patches."""
        q, kv = (patches(tokens, self.per, self.spare) for tokens in (where.q, where.kv))
        inside = where._replace(width=self.width, q=q, kv=max(q, kv))
        residual = inside.op("residual", "residual", elements=inside.tokens * self.width, cut=TOKENS, role="residual")
        yield inside.norm("norm.attention", RMS, self.width, role="norm")
        yield from Attention(self.n_heads, self.n_kv_heads, rope=True).ops(inside, name)
        yield residual
        yield inside.norm("norm.ffn", RMS, self.width, role="norm")
        yield from Gated(self.d_ff, activation=self.activation).ops(inside._replace(role="ffn"), "ffn")
        yield residual


@dataclass(frozen=True)
class PatchCross(Mixer):
    """Attention between bytes and patches, of which each has ``many`` states as wide as a byte's: of patches to bytes
    (``gathers``) or of bytes to patches, with a norm of queries and one of keys. Before it stands a matrix that makes those
    states of ``source`` numbers a patch (None: an earlier layer has made them; ``tied``: with its matrix), after it one to
    ``out`` numbers.
    """

    n_heads: int
    many: int
    gathers: bool
    n_kv_heads: int | None = None
    source: int | None = None
    tied: bool = False
    out: int | None = None
    per: int = 1
    spare: int = 0
    type: Literal["patch_cross"] = "patch_cross"

    def __post_init__(self) -> None:
        check_sizes(self, "n_heads", "many", "n_kv_heads", "source", "out", "per")

    def period(self) -> int:
        return self.per

    def ops(self, where: LayerRun, name: str = "patches") -> Iterator[Op]:
        """Every query meets every key, of which a mask leaves those of its patch."""
        d, b, heads = where.d_model, where.batch, self.n_heads
        attention = Attention(heads, self.n_kv_heads)
        dim, kv_heads = attention.width(d), attention.kv_heads
        few = patches(where.q, self.per, self.spare)
        rows, columns = (few * self.many, where.q) if self.gathers else (where.q, few * self.many)
        if self.source is not None:
            yield where.linear(f"{name}.in", self.source, d * self.many, tokens=b * few, tied=self.tied, cut=WHOLE)
        yield where.norm(f"{name}.q_norm", RMS, d, b * rows)
        yield where.norm(f"{name}.k_norm", RMS, d, b * columns)
        yield where.linear(f"{name}.q", d, heads * dim, tokens=b * rows, reads="normed", cut=Cut("columns", heads))
        for leaf in ("k", "v"):
            wide, by_kv_heads = kv_heads * dim, Cut("columns", kv_heads)
            yield where.linear(f"{name}.{leaf}", d, wide, tokens=b * columns, saves=leaf == "k", reads="normed", cut=by_kv_heads)
        queries, others = Saved("queries", b * rows * heads * dim), Saved("keys and values", 2 * b * columns * heads * dim)
        count = where.q * self.many if where.run.ideal else rows * columns
        yield from meet(where, name, heads, count, dim, dim, queries, others, keys=columns)
        yield where.linear(f"{name}.out", heads * dim, d, tokens=b * rows, cut=Cut("rows", heads))
        yield where.op("residual", "residual", elements=2 * b * rows * d, cut=TOKENS, role="residual")
        if self.out is not None:
            yield where.linear(f"{name}.up", d * self.many, self.out, tokens=b * few, cut=WHOLE)
