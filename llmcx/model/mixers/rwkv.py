"""RWKV-4: a block of time mixing and channel mixing, both recurrent (Peng et al. 2023, arXiv:2305.13048, sec. 3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from llmcx.errors import check_sizes
from llmcx.model.mixers import Mixer
from llmcx.model.run import LayerRun
from llmcx.ops.op import Cache, Op, Saved


@dataclass(frozen=True)
class RWKV(Mixer):
    """Time mixing of width ``d_attention``: a decaying mean of values under keys' weights, gated by a receptance. Then channel
    mixing: a squared-ReLU feed-forward of ``d_ff``, gated too. Each input is a learned mean of a token and the one before.
    """

    d_attention: int
    d_ff: int
    type: Literal["rwkv"] = "rwkv"

    def __post_init__(self) -> None:
        check_sizes(self, "d_attention", "d_ff")

    def ops(self, where: LayerRun, name: str = "attention") -> Iterator[Op]:
        """Time mixing, its residual sum, channel mixing."""
        d, n, inner = where.d_model, where.tokens, self.d_attention
        elements = n * inner
        for leaf in ("k", "v", "r"):
            yield from self._mixed(where, f"{name}.{leaf}", inner)
        for leaf in ("decay", "first"):
            yield where.op(f"{name}.{leaf}", "vector", size=inner)
        kept = Saved("weights, numerator and denominator of every step", 10 * elements, "fp32")
        # Two maxima; four differences, exps and sums of decays; two weighted sums each for output and state; a division.
        yield where.op(f"{name}.scan", "scan", kept, elements=elements, operations=23)
        yield where.op(f"{name}.r.activation", "sigmoid", Saved("gate", elements), elements=elements)
        yield where.op(f"{name}.product", "product", Saved("both factors", 2 * elements), elements=elements)
        yield where.linear(f"{name}.out", inner, d)
        yield where.op("residual", "residual", elements=n * d)
        yield from self._mixed(where, "ffn.k", self.d_ff)
        yield where.op("ffn.activation", "relu2", Saved("activation", n * self.d_ff), elements=n * self.d_ff)
        yield where.linear("ffn.v", self.d_ff, d)
        yield from self._mixed(where, "ffn.r", d)
        yield where.op("ffn.r.activation", "sigmoid", Saved("gate", n * d), elements=n * d)
        yield where.op("ffn.product", "product", Saved("both factors", 2 * n * d), elements=n * d)
        # Each half keeps its last input; time mixing a numerator, a denominator and their largest exponent.
        yield where.op(f"{name}.before", "cache", batch=where.batch, tokens=1, width=d, cache=Cache("state"))
        yield where.op(f"{name}.state", "cache", batch=where.batch, tokens=1, width=3 * inner, cache=Cache("state", wide=True))
        yield where.op("ffn.state", "cache", batch=where.batch, tokens=1, width=d, cache=Cache("state"))

    def _mixed(self, where: LayerRun, name: str, width: int) -> Iterator[Op]:
        """A projection of a mean of each token and the one before, weighted per channel."""
        elements = where.tokens * where.d_model
        yield where.op(f"{name}.mix", "vector", size=where.d_model)
        yield where.op(f"{name}.mix", "scan", Saved("both tokens", 2 * elements), elements=elements, operations=4)
        yield where.linear(name, where.d_model, width)
