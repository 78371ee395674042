"""Mamba-2: a state space dual to attention, computed in chunks (Dao and Gu 2024, arXiv:2405.21060, sec. 6)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from llmcx.errors import InputError, check_sizes
from llmcx.model import pairs
from llmcx.model.mixers import Mixer
from llmcx.model.norm import Norm
from llmcx.model.run import LayerRun
from llmcx.ops.op import Cache, Cut, Dims, Op, Saved


@dataclass(frozen=True)
class Mamba2(Mixer):
    """Gate, x, B, C and a step per head by one projection; a causal filter on x, B and C; h = exp(Δ A) h + Δ B x, y = C h + D x.

    ``n_heads`` heads of ``head_dim`` (P) channels, each with a state of P x ``d_state`` (N); ``n_groups`` of heads share
    B and C. ``chunk`` tokens at a time are computed like attention, and a state is carried from chunk to chunk. ``gated_norm``
    is the gated RMS norm before the output projection; without it the gate is a plain product.
    """

    n_heads: int
    head_dim: int
    d_state: int
    n_groups: int
    d_conv: int
    chunk: int
    bias: bool = False
    out_bias: bool | None = None
    conv_bias: bool = True
    gated_norm: bool = True
    type: Literal["mamba2"] = "mamba2"

    def __post_init__(self) -> None:
        check_sizes(self, "n_heads", "head_dim", "d_state", "n_groups", "d_conv", "chunk")
        if self.n_heads % self.n_groups:
            raise InputError(
                f"n_heads {self.n_heads} is not divisible by n_groups {self.n_groups}: each group of B and C serves"
                " the same number of heads",
                field="n_groups",
                value=self.n_groups,
                allowed=f"a divisor of {self.n_heads}",
            )

    def period(self) -> int:
        return self.chunk

    def ops(self, where: LayerRun, name: str = "ssm") -> Iterator[Op]:
        """Projection, filter, the chunked scan, norm and gate, output projection."""
        inner, n = self.n_heads * self.head_dim, where.tokens
        mixed = inner + 2 * self.n_groups * self.d_state
        # Each GPU has whole groups, with their B and C.
        columns = Cut("columns", self.n_groups, strict=True)
        yield where.linear(f"{name}.in", where.d_model, inner + mixed + self.n_heads, self.bias, reads="normed", cut=columns)
        yield where.conv(f"{name}.conv", mixed, self.d_conv, self.conv_bias, columns)
        yield where.op(f"{name}.conv.activation", "silu", Saved("activation", n * mixed), elements=n * mixed, cut=columns)
        for leaf in ("dt", "a", "d"):
            yield where.op(f"{name}.{leaf}", "vector", size=self.n_heads, cut=columns)
        yield from self._step(where, name) if where.steps else self._chunks(where, name)
        yield where.op(f"{name}.gate", "silu", Saved("gate", n * inner, "fp32"), elements=n * inner, cut=columns)
        factors = Saved("both factors", 2 * n * inner, "fp32")
        yield where.op(f"{name}.product", "product", factors, elements=n * inner, cut=columns)
        if self.gated_norm:
            yield where.norm(f"{name}.norm", Norm("rmsnorm"), inner, cut=columns)
        out_bias = self.bias if self.out_bias is None else self.out_bias
        yield where.linear(f"{name}.out", inner, where.d_model, out_bias, cut=Cut("rows", self.n_heads))
        left: Dims = {"batch": where.batch, "cut": columns}
        yield where.op(f"{name}.conv.state", "cache", cache=Cache("conv"), tokens=self.d_conv, width=mixed, **left)
        yield where.op(f"{name}.state", "cache", cache=Cache("state", wide=True), tokens=self.d_state, width=inner, **left)

    def _step(self, where: LayerRun, name: str) -> Iterator[Op]:
        """One token: the state is updated elementwise and read by C."""
        heads, dim, state = self.n_heads, self.head_dim, self.d_state
        elements, by_heads = where.batch * heads * dim * state, Cut("heads", heads)
        yield where.op(f"{name}.scan", "scan", elements=elements, operations=5, cut=by_heads)  # Δ A, exp, ·h, ·x, +
        yield where.op(f"{name}.read", "matmul", batch=where.batch * heads, m=dim, k=state, n=1, weight=0, cut=by_heads)

    def _chunks(self, where: LayerRun, name: str) -> Iterator[Op]:
        """Arrow by arrow the paper's figure 5: within chunks, into states, from state to state, out of states."""
        b, heads, dim, state = where.batch, self.n_heads, self.head_dim, self.d_state
        chunks, rows, met = pairs.chunked(where.q, self.chunk, where.run.ideal)
        # The state before the first chunk and the one after the last are carried too.
        carried = pairs.causal(chunks + 1, chunks + 1) if where.run.ideal else (chunks + 1) ** 2
        inputs = Saved("x, B and C of every head", b * heads * rows * (dim + 2 * state), "fp32")
        decay = (
            Saved("decays between positions", b * heads * met, "fp32"),
            Saved("their products with C B", 2 * b * heads * met, "fp32"),
        )
        by_heads = Cut("heads", heads)
        shape: Dims = {"rows": rows, "keys": rows, "cut": by_heads}
        yield where.op(f"{name}.scores", "scores", inputs, batch=b, heads=heads, pairs=met, width=state, **shape)
        yield where.op(
            f"{name}.decay", "scan", *decay, elements=b * heads * met, operations=3, cut=by_heads
        )  # sums, exp, product
        yield where.op(f"{name}.values", "values", batch=b, heads=heads, pairs=met, width=dim, **shape)
        into = Saved("B decayed", b * heads * rows * state, "fp32")
        yield where.op(f"{name}.write", "matmul", into, batch=b * heads, m=dim, k=rows, n=state, weight=0, cut=by_heads)
        states = Saved("states of the chunks", 2 * b * heads * (chunks + 1) * dim * state, "fp32")
        shape = {"rows": chunks + 1, "keys": chunks + 1, "cut": by_heads}
        yield where.op(f"{name}.carry", "values", states, batch=b, heads=heads, pairs=carried, width=dim * state, **shape)
        out = Saved("what the states say", b * heads * rows * dim, "fp32")
        yield where.op(f"{name}.read", "matmul", out, batch=b * heads, m=rows, k=state, n=dim, weight=0, cut=by_heads)
