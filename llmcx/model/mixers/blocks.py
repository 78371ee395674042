"""Block-sparse attention of released encoders, as their eager code multiplies it: Longformer and BigBird."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from llmcx.errors import InputError, check_sizes
from llmcx.model import pairs
from llmcx.model.cores import Standard
from llmcx.model.mixers import Mixer
from llmcx.model.mixers.attention import Attention, meet
from llmcx.model.run import LayerRun
from llmcx.ops.op import Dims, Op, Saved


@dataclass(frozen=True)
class LongformerBlocks(Mixer):
    """Sliding chunks of ``window``, with projections of their own for global tokens (Beltagy et al. 2020, arXiv:2004.05150).

    The code cuts n tokens into chunks of w = window overlapping by half: scores over (2n/w - 1) w² pairs, values over
    (2n/w) · (w/2) · (3w/2). The global projections have weights, and run only where tokens of a sequence are made global, as
    many as ``globals``: these meet all tokens, and all tokens them.
    """

    n_heads: int
    window: int
    globals: int = 0
    type: Literal["longformer"] = "longformer"

    def __post_init__(self) -> None:
        check_sizes(self, "n_heads", "window")
        if self.window % 2:
            raise InputError(f"window is {self.window}, but must be even", field="window", value=self.window)

    def period(self) -> int:
        return self.window // 2

    def ops(self, where: LayerRun, name: str = "attention") -> Iterator[Op]:
        """Projections, chunked scores and values, output."""
        d, dim, half = where.d_model, Attention(self.n_heads).width(where.d_model), self.window // 2
        for leaf in ("q", "k", "v"):
            yield where.linear(f"{name}.{leaf}", d, d, True, saves=leaf == "q")
        marked = where.batch * self.globals
        for leaf, tokens in (("q_global", marked), ("k_global", where.tokens), ("v_global", where.tokens)):
            yield where.linear(f"{name}.{leaf}", d, d, True, saves=False, tokens=tokens if marked else 0)
        chunks = -(-where.q // half)
        tensors = where.tokens * d
        met: Dims = {"batch": where.batch, "heads": self.n_heads, "width": dim}
        both_ways = 2 * where.q * self.globals
        scored, weighed = max(chunks - 1, 1) * self.window**2 + both_ways, chunks * half * 3 * half + both_ways
        yield where.op(
            f"{name}.scores", "scores", Saved("queries", tensors), Saved("keys and values", 2 * tensors), pairs=scored, **met
        )
        probabilities = Saved("probabilities", where.batch * self.n_heads * where.q * (self.window + 1 + 2 * self.globals))
        yield where.op(f"{name}.softmax", "softmax", probabilities, elements=probabilities.elements)
        yield where.op(f"{name}.values", "values", pairs=weighed, **met)
        yield where.linear(f"{name}.out", d, d, True)


@dataclass(frozen=True)
class BigBird(Mixer):
    """Blocks of ``block``: a window of three, two global, ``random`` random (Zaheer et al. 2020, arXiv:2007.14062, sec. 2).

    Up to (5 + 2 random) blocks, the code runs full attention. Beyond, with n tokens in blocks of B and r random ones, scores and
    values together multiply 4 B n + 4 (4 + r) B² + 2 (n/B - 4) (3 + r) B² + 4 (n/B - 4) B² pairs.
    """

    n_heads: int
    block: int
    random: int
    bias: bool = True
    out_bias: bool = True
    type: Literal["big_bird"] = "big_bird"

    def __post_init__(self) -> None:
        check_sizes(self, "n_heads", "block", "random")

    def period(self) -> int:
        return self.block

    def ops(self, where: LayerRun, name: str = "attention") -> Iterator[Op]:
        """Projections, blocks, output."""
        d, dim = where.d_model, Attention(self.n_heads).width(where.d_model)
        for leaf in ("q", "k", "v"):
            yield where.linear(f"{name}.{leaf}", d, d, self.bias, saves=leaf == "q")
        queries, others = Saved("queries", where.tokens * d), Saved("keys and values", 2 * where.tokens * d)
        n, b, r = where.q, self.block, self.random
        if n <= self.full_up_to(b, r):
            count = pairs.computed(Standard(), n, where.kv, False, False)
            yield from meet(where, name, self.n_heads, count, dim, dim, queries, others, keys=where.kv)
        else:
            both = 4 * b * n + 4 * (4 + r) * b * b + 2 * (n // b - 4) * (3 + r) * b * b + 4 * (n // b - 4) * b * b
            met: Dims = {"batch": where.batch, "heads": self.n_heads, "width": dim}
            yield where.op(f"{name}.scores", "scores", queries, others, pairs=both // 2, **met)
            yield where.op(f"{name}.softmax", "softmax", elements=where.batch * self.n_heads * both // 2)
            yield where.op(f"{name}.values", "values", pairs=both - both // 2, **met)
        yield where.linear(f"{name}.out", d, d, self.out_bias)

    @staticmethod
    def full_up_to(block: int, random: int) -> int:
        """The longest sequence that is attended to in full."""
        return (5 + 2 * random) * block
