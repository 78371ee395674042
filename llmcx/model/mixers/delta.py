"""Linear attention by the delta rule with forgetting: Gated DeltaNet and Kimi Delta Attention.

A state S of d_k x d_v per head takes S (I - β k kᵀ) + β v kᵀ at each token, after a decay (Yang et al. 2024,
arXiv:2412.06464, eq. 10); chunks of tokens are computed at once in the UT form (sec. 3.3).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from llmcx.errors import InputError, check_sizes
from llmcx.model import pairs
from llmcx.model.mixers import Mixer
from llmcx.model.mixers.chunks import carried
from llmcx.model.norm import Norm
from llmcx.model.run import LayerRun
from llmcx.ops.op import REPLICATED, Cache, Cut, Dims, Op, Saved

CHUNK = 64
"""Tokens in a chunk: transformers' default, which no configuration changes."""


@dataclass(frozen=True)
class GatedDelta(Mixer):
    """Gated DeltaNet: a decay per token, and an output gate as wide as the values.

    ``k_heads`` heads of queries and keys of ``k_dim`` each serve the same number of ``v_heads`` heads of values of
    ``v_dim``; a causal filter of ``d_conv`` tokens runs over all three.
    """

    k_heads: int
    v_heads: int
    k_dim: int
    v_dim: int
    d_conv: int
    type: Literal["gated_delta"] = "gated_delta"

    def __post_init__(self) -> None:
        check_sizes(self, "k_heads", "v_heads", "k_dim", "v_dim", "d_conv")
        if self.v_heads % self.k_heads:
            raise InputError(
                f"v_heads {self.v_heads} is not divisible by k_heads {self.k_heads}: each key head serves the same"
                " number of value heads",
                field="v_heads",
                value=self.v_heads,
                allowed=f"a multiple of {self.k_heads}",
            )

    def period(self) -> int:
        return CHUNK

    def ops(self, where: LayerRun, name: str = "linear_attention") -> Iterator[Op]:
        """Projections, filter, the delta rule, a gated norm per head, output projection."""
        heads, n = self.v_heads, where.tokens
        keys, values = self.k_heads * self.k_dim, heads * self.v_dim
        mixed, columns = 2 * keys + values, Cut("columns", self.k_heads, strict=True)
        yield where.linear(f"{name}.qkv", where.d_model, mixed, reads="normed", cut=columns)
        yield where.linear(f"{name}.gate", where.d_model, values, saves=False, reads="normed", cut=columns)
        yield where.linear(f"{name}.beta_decay", where.d_model, 2 * heads, saves=False, cut=columns)
        yield where.conv(f"{name}.conv", mixed, self.d_conv, False, columns)
        yield where.op(f"{name}.conv.activation", "silu", Saved("activation", n * mixed), elements=n * mixed, cut=columns)
        for leaf in ("dt", "a"):
            yield where.op(f"{name}.{leaf}", "vector", size=heads, cut=columns)
        yield from step(where, name, heads, self.k_dim, self.v_dim) if where.steps else self._chunks(where, name)
        yield from gated_norm(where, name, heads, self.v_dim)
        yield where.linear(f"{name}.out", values, where.d_model, cut=Cut("rows", heads))
        yield from state(where, name, mixed, self.d_conv, heads, self.k_dim, self.v_dim)

    def _chunks(self, where: LayerRun, name: str) -> Iterator[Op]:
        """A triangular system per chunk turns the delta rule into products of matrices."""
        heads, k, v = self.v_heads, self.k_dim, self.v_dim
        count, rows, met = pairs.chunked(where.q, CHUNK, where.run.ideal)
        all_heads: Dims = {"batch": where.batch, "heads": heads, "pairs": met, "rows": rows, "keys": rows}
        all_heads["cut"] = Cut("heads", heads)
        size = where.batch * heads * met
        inputs = Saved("queries, keys and values of every head", where.batch * heads * rows * (3 * k + v), "fp32")
        yield where.op(f"{name}.system", "scores", inputs, **all_heads, width=k)
        yield where.op(f"{name}.scores", "scores", **all_heads, width=k)
        decay = Saved("decays between positions and what they scale", 4 * size, "fp32")
        yield where.op(
            f"{name}.decay", "scan", decay, elements=size, operations=4, cut=Cut("heads", heads)
        )  # difference, exp, two products
        for leaf, width in (("solve_values", v), ("solve_keys", k)):
            kept = Saved("the solution", where.batch * heads * rows * width, "fp32")
            yield where.op(
                f"{name}.{leaf}", "solve", kept, batch=where.batch * heads * count, m=CHUNK, n=width, cut=Cut("heads", heads)
            )
        yield from carried(where, name, ("predict", "read"), heads, k, v, rows, CHUNK)
        yield where.op(f"{name}.values", "values", **all_heads, width=v)


@dataclass(frozen=True)
class KimiDelta(Mixer):
    """Kimi Delta Attention: a decay per channel, and a gate, both through a bottleneck as wide as a head unless ``direct``.

    Kimi Team 2025, arXiv:2510.26692, sec. 3. ``n_heads`` heads of ``head_dim`` for queries, keys and values alike. ``full_gate``:
    the gate is one matrix, without the bottleneck (Kimi K3).
    """

    n_heads: int
    head_dim: int
    d_conv: int
    direct: bool = False
    full_gate: bool = False
    type: Literal["kimi_delta"] = "kimi_delta"

    def __post_init__(self) -> None:
        check_sizes(self, "n_heads", "head_dim", "d_conv")

    def period(self) -> int:
        return CHUNK

    def ops(self, where: LayerRun, name: str = "linear_attention") -> Iterator[Op]:
        """Projections, filter, the delta rule, a gated norm per head, output projection."""
        heads, dim, n = self.n_heads, self.head_dim, where.tokens
        width = heads * dim
        by_heads, expands = Cut("columns", heads), Cut("columns", heads, gathered=True)
        yield where.linear(f"{name}.qkv", where.d_model, 3 * width, reads="normed", cut=by_heads)
        yield where.conv(f"{name}.conv", 3 * width, self.d_conv, False, by_heads)
        activation = Saved("activation", 3 * n * width)
        yield where.op(f"{name}.conv.activation", "silu", activation, elements=3 * n * width, cut=by_heads)
        yield where.linear(f"{name}.beta", where.d_model, heads, saves=False, cut=by_heads)
        if self.full_gate:
            yield where.linear(f"{name}.gate", where.d_model, width, saves=False, reads="normed", cut=by_heads)
        for leaf in ("decay",) if self.full_gate else ("decay", "gate"):
            if self.direct:
                yield where.linear(f"{name}.{leaf}", where.d_model, width, saves=False, cut=by_heads)
                continue
            yield where.linear(f"{name}.{leaf}_down", where.d_model, dim, saves=False, cut=REPLICATED)
            yield where.linear(f"{name}.{leaf}_up", dim, width, cut=expands)
        yield where.op(f"{name}.dt", "vector", size=width, cut=by_heads)
        yield where.op(f"{name}.a", "vector", size=heads, cut=by_heads)
        yield from step(where, name, heads, dim, dim) if where.steps else self._chunks(where, name)
        yield from gated_norm(where, name, heads, dim)
        yield where.linear(f"{name}.out", width, where.d_model, cut=Cut("rows", heads))
        yield from state(where, name, 3 * width, self.d_conv, heads, dim, dim)

    def _chunks(self, where: LayerRun, name: str) -> Iterator[Op]:
        """With a decay per channel, keys meet keys and queries elementwise, and the system is inverted by substitution."""
        heads, dim = self.n_heads, self.head_dim
        _, rows, met = pairs.chunked(where.q, CHUNK, where.run.ideal)
        size = where.batch * heads * met
        inputs = Saved("queries, keys, values and decays", where.batch * heads * rows * 6 * dim, "fp32")
        decay = Saved("decays between positions, and their products with keys and queries", 3 * size * dim, "fp32")
        by_heads = Cut("heads", heads)
        # Difference and exp; two products and sums twice. Then a multiply-add per triple i > j > k.
        yield where.op(f"{name}.decay", "scan", inputs, decay, elements=size * dim, operations=7, cut=by_heads)
        yield where.op(f"{name}.inverse", "scan", elements=size * CHUNK, operations=1, cut=by_heads)
        all_heads: Dims = {"batch": where.batch, "heads": heads, "pairs": met, "rows": rows, "keys": rows, "cut": by_heads}
        for leaf in ("solve_values", "solve_keys"):
            yield where.op(f"{name}.{leaf}", "values", **all_heads, width=dim)
        yield from carried(where, name, ("predict", "read"), heads, dim, dim, rows, CHUNK)
        yield where.op(f"{name}.values", "values", **all_heads, width=dim)


def step(where: LayerRun, name: str, heads: int, k_dim: int, v_dim: int) -> Iterator[Op]:
    """One token: decay, what the state holds for the key, the correction, the read, all elementwise."""
    elements = where.batch * heads * k_dim * v_dim
    yield where.op(f"{name}.scan", "scan", elements=elements, operations=7, cut=Cut("heads", heads))


def gated_norm(where: LayerRun, name: str, heads: int, dim: int) -> Iterator[Op]:
    """An RMS norm over each head with one vector for all, times the gate."""
    elements, by_heads = where.tokens * heads * dim, Cut("heads", heads)
    yield where.norm(f"{name}.norm", Norm("rmsnorm"), dim, where.tokens * heads, cut=by_heads)
    yield where.op(f"{name}.gate.activation", "silu", Saved("gate", elements, "fp32"), elements=elements, cut=by_heads)
    yield where.op(f"{name}.product", "product", Saved("both factors", 2 * elements, "fp32"), elements=elements, cut=by_heads)


def state(where: LayerRun, name: str, mixed: int, d_conv: int, heads: int, k_dim: int, v_dim: int) -> Iterator[Op]:
    """What a decode step finds: the filter's last inputs, and a matrix per head."""
    left: Dims = {"batch": where.batch, "cut": Cut("heads", heads)}
    yield where.op(f"{name}.conv.state", "cache", cache=Cache("conv"), tokens=d_conv, width=mixed, **left)
    yield where.op(f"{name}.state", "cache", cache=Cache("state", wide=True), tokens=k_dim, width=heads * v_dim, **left)
