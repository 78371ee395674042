"""Attention of half the width beside a filter that each token makes for itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from llmcx.errors import InputError, check_sizes
from llmcx.model import pairs
from llmcx.model.cores import Standard
from llmcx.model.mixers import Mixer
from llmcx.model.mixers.attention import meet
from llmcx.model.run import LayerRun
from llmcx.ops.op import Op, Saved


@dataclass(frozen=True)
class ConvBert(Mixer):
    """``n_heads`` heads that attend, and as many that weigh the ``kernel`` tokens around with a softmax made from the token and a
    filter of its neighbours (Jiang et al. 2020, arXiv:2008.02496, sec. 3.2). Each half has half of the width.
    """

    n_heads: int
    kernel: int
    type: Literal["conv_bert"] = "conv_bert"

    def __post_init__(self) -> None:
        check_sizes(self, "n_heads", "kernel")
        if self.kernel % 2 == 0:
            raise InputError(f"kernel is {self.kernel}, but must be odd", field="kernel", value=self.kernel)

    def ops(self, where: LayerRun, name: str = "attention") -> Iterator[Op]:
        """Projections, the filter and its use, attention, output."""
        d, n, heads = where.d_model, where.tokens, self.n_heads
        dim = d // heads // 2
        width, met = heads * dim, 1 if where.run.ideal else d
        for leaf in ("q", "k", "v"):
            yield where.linear(f"{name}.{leaf}", d, width, True, saves=leaf == "q")
        shape: dict[str, Any] = {"batch": where.batch, "channels": d, "length": where.q, "kernel": self.kernel, "bias": 0}
        yield where.op(f"{name}.conv", "conv", Saved("input", n * d), **shape, met=met)
        yield where.linear(f"{name}.conv.pointwise", d, width, True)
        yield where.op(f"{name}.conv.product", "product", Saved("both factors", 2 * n * width), elements=n * width)
        yield where.linear(f"{name}.conv.weights", width, heads * self.kernel, True)
        weights = Saved("weights", n * heads * self.kernel)
        yield where.op(f"{name}.conv.softmax", "softmax", weights, elements=n * heads * self.kernel)
        yield where.linear(f"{name}.conv.values", d, width, True, saves=False)
        kept = Saved("values of the tokens around", n * width * self.kernel)
        yield where.op(f"{name}.conv.weigh", "matmul", kept, batch=n * heads, m=dim, k=self.kernel, n=1, weight=0)
        count = pairs.computed(Standard(), where.q, where.kv, False, False)
        queries, others = Saved("queries", n * width), Saved("keys and values", 2 * n * width)
        yield from meet(where, name, heads, count, dim, dim, queries, others, keys=where.kv)
        yield where.linear(f"{name}.out", 2 * width, d, True)
