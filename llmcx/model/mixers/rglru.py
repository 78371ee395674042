"""Griffin's recurrent block: a real-gated linear recurrent unit (De et al. 2024, arXiv:2402.19427, sec. 2.3 and 2.4)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from llmcx.errors import InputError, check_sizes
from llmcx.model.mixers import Mixer
from llmcx.model.run import LayerRun
from llmcx.ops.op import Cache, Op, Saved


@dataclass(frozen=True)
class RGLRU(Mixer):
    """Two branches of ``width``, one activated, the other filtered over ``d_conv`` tokens and then recurrent; their product.

    The recurrence's input and decay gates are block-diagonal, one block for each of ``n_heads``.
    """

    width: int
    n_heads: int
    d_conv: int
    type: Literal["rg_lru"] = "rg_lru"

    def __post_init__(self) -> None:
        check_sizes(self, "width", "n_heads", "d_conv")
        if self.width % self.n_heads:
            raise InputError(
                f"width {self.width} is not divisible by n_heads {self.n_heads}: the gates are a square block per head",
                field="width",
                value=self.width,
                allowed=f"a multiple of {self.n_heads}",
            )

    def ops(self, where: LayerRun, name: str = "recurrent") -> Iterator[Op]:
        """Two projections, filter, gates, the scan, product, output projection."""
        width, heads, elements = self.width, self.n_heads, where.tokens * self.width
        block = width // heads
        yield where.linear(f"{name}.y", where.d_model, width, True)
        yield where.op(f"{name}.activation", "gelu_tanh", Saved("activation", elements), elements=elements, joined=True)
        yield where.linear(f"{name}.x", where.d_model, width, True, saves=False)
        yield where.conv(f"{name}.conv", width, self.d_conv, True)
        for leaf, saves in (("input_gate", True), ("decay_gate", False)):
            gate = where.linear(
                f"{name}.{leaf}", block, block, True, saves=saves, tokens=where.tokens * heads, copies=heads, used=heads
            )
            yield gate
            yield where.op(f"{name}.{leaf}.activation", "sigmoid", Saved("gate", elements), elements=elements)
        yield where.op(f"{name}.decay", "vector", size=width)
        kept = Saved("decays, their squares, gated inputs and states", 6 * elements, "fp32")
        # exp of the decay and of its square, the root, three products with the input, and one multiply-add.
        yield where.op(f"{name}.scan", "scan", kept, elements=elements, operations=10)
        yield where.op(f"{name}.product", "product", Saved("both factors", 2 * elements), elements=elements)
        yield where.linear(f"{name}.out", width, where.d_model, True)
        yield where.op(f"{name}.conv.state", "cache", batch=where.batch, tokens=self.d_conv - 1, width=width, cache=Cache("conv"))
        yield where.op(f"{name}.state", "cache", batch=where.batch, tokens=1, width=width, cache=Cache("state", wide=True))
