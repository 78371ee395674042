"""A short gated convolution in place of attention (Liquid AI's LFM2 2025, arXiv:2511.23404, sec. 2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from llmcx.errors import check_sizes
from llmcx.model.mixers import Mixer
from llmcx.model.run import LayerRun
from llmcx.ops.op import Cache, Cut, Op, Saved


@dataclass(frozen=True)
class ShortConv(Mixer):
    """B, C and x by one projection; a causal filter of ``d_conv`` tokens on B·x; C times it; an output projection."""

    d_conv: int
    bias: bool = False
    type: Literal["short_conv"] = "short_conv"

    def __post_init__(self) -> None:
        check_sizes(self, "d_conv")

    def ops(self, where: LayerRun, name: str = "conv") -> Iterator[Op]:
        """Projection, gate, filter, gate, projection."""
        d, elements = where.d_model, where.tokens * where.d_model
        factors = Saved("both factors", 2 * elements)
        by_channels = Cut("columns", d)
        yield where.linear(f"{name}.in", d, 3 * d, self.bias, reads="normed", cut=by_channels)
        yield where.op(f"{name}.product", "product", factors, elements=elements, cut=by_channels)
        yield where.conv(f"{name}.filter", d, self.d_conv, self.bias, by_channels)
        yield where.op(f"{name}.product", "product", factors, elements=elements, cut=by_channels)
        yield where.linear(f"{name}.out", d, d, self.bias, cut=Cut("rows", d))
        left = Cache("conv")
        yield where.op(f"{name}.state", "cache", batch=where.batch, tokens=self.d_conv, width=d, cut=by_channels, cache=left)
