"""Mamba: a selective state space with a state per channel (Gu and Dao 2023, arXiv:2312.00752, sec. 3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from llmcx.errors import check_sizes
from llmcx.model.mixers import Mixer
from llmcx.model.norm import Norm
from llmcx.model.run import LayerRun
from llmcx.ops.op import REPLICATED, Cache, Cut, Dims, Op, Saved


@dataclass(frozen=True)
class Mamba(Mixer):
    """x and a gate by one projection, a causal filter on x, then h = exp(Δ A) h + Δ B x, y = C h + D x, gated.

    ``d_inner`` channels (the paper's E·D) with ``d_state`` (N) numbers each; Δ comes from ``dt_rank`` (R) numbers per token.
    ``inner_norms`` puts an RMS norm on Δ's numbers, B and C: "plain" without weights (Falcon Mamba), "learned" with (Jamba).
    ``n_heads`` cuts the channels into as many scans, each with its own Δ, B and C (Zamba).
    """

    d_inner: int
    d_state: int
    dt_rank: int
    d_conv: int
    bias: bool = False
    conv_bias: bool = True
    inner_norms: Literal["plain", "learned"] | None = None
    n_heads: int = 1
    type: Literal["mamba"] = "mamba"

    def __post_init__(self) -> None:
        check_sizes(self, "d_inner", "d_state", "dt_rank", "d_conv", "n_heads")

    def ops(self, where: LayerRun, name: str = "ssm") -> Iterator[Op]:
        """Projections, filter, the scan step by step, gate, output projection."""
        inner, state, n, heads = self.d_inner, self.d_state, where.tokens, self.n_heads
        each, channels = where._replace(times=where.times * heads), self.d_inner // self.n_heads
        by_channels = Cut("columns", inner)
        yield where.linear(f"{name}.in", where.d_model, 2 * inner, self.bias, reads="normed", cut=by_channels)
        yield where.conv(f"{name}.conv", inner, self.d_conv, self.conv_bias, by_channels)
        yield where.op(f"{name}.conv.activation", "silu", Saved("activation", n * inner), elements=n * inner, cut=by_channels)
        yield each.linear(f"{name}.x", channels, self.dt_rank + 2 * state, cut=Cut("rows", inner))
        if self.inner_norms is not None:
            norm = Norm("rmsnorm", scale=self.inner_norms == "learned")
            for leaf, width in (("dt", self.dt_rank), ("b", state), ("c", state)):
                yield where.norm(f"{name}.{leaf}_norm", norm, width, cut=REPLICATED)
        yield each.linear(f"{name}.dt", self.dt_rank, channels, True, cut=Cut("columns", inner, gathered=True))
        yield where.op(f"{name}.a", "vector", size=inner * state, cut=by_channels)
        yield where.op(f"{name}.d", "vector", size=inner, cut=by_channels)
        states = n * inner * state
        # softplus keeps its input; exp its output; the products Δ B, (Δ B) x and A h both factors.
        kept = (Saved("Δ", 2 * n * inner, "fp32"), Saved("exp(Δ A), Δ A, Δ B, states", 4 * states, "fp32"))
        yield where.op(f"{name}.scan", "scan", *kept, elements=states, operations=6, cut=by_channels)  # Δ A, exp, Δ B, ·x, ·h, +
        # One product per token: (inner, state) with C's (state, 1).
        yield where.op(f"{name}.read", "matmul", batch=n, m=inner, k=state, n=1, weight=0, cut=by_channels)
        yield where.op(f"{name}.gate", "silu", Saved("gate", n * inner), elements=n * inner, cut=by_channels)
        yield where.op(f"{name}.product", "product", Saved("both factors", 2 * n * inner), elements=n * inner, cut=by_channels)
        yield where.linear(f"{name}.out", inner, where.d_model, self.bias, cut=Cut("rows", inner))
        left: Dims = {"batch": where.batch, "width": inner, "cut": by_channels}
        yield where.op(f"{name}.conv.state", "cache", cache=Cache("conv"), tokens=self.d_conv, **left)
        yield where.op(f"{name}.state", "cache", cache=Cache("state", wide=True), tokens=state, **left)
