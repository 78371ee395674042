"""Softmax attention with one thing more, each of one family: Differential, Dynamic, Filtered, Convolved, Prefixed,
Mingled, Routed.

Sources: transformers, models/diffllama, models/doge, models/nystromformer, models/inkling, models/cpmant, models/zaya and
models/jetmoe.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from llmcx.errors import InputError, check_sizes
from llmcx.model import pairs
from llmcx.model.mixers import Mixer
from llmcx.model.mixers.attention import Attention, meet
from llmcx.model.norm import Norm
from llmcx.model.run import LayerRun
from llmcx.ops.op import TOKENS, Cache, Dims, Op, Saved


@dataclass(frozen=True)
class Differential(Attention):
    """The difference of two attentions: the first half of the heads less the second, over values twice as wide (Ye et al. 2024,
    arXiv:2410.05258). Eager code runs all heads once with each half of the values.
    """

    type: Literal["differential"] = "differential"  # type: ignore[assignment]

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kv_heads % 2:
            problem = f"n_kv_heads is {self.kv_heads}, but must be even: each half of the values is an attention's own"
            raise InputError(problem, field="n_kv_heads", value=self.kv_heads)

    def _core(self, where: LayerRun, name: str, kv: int, dim: int, cross: bool) -> Iterator[Op]:
        for op in super()._core(where, name, kv, dim, cross):
            yield op if op.cache else op._replace(times=2 * op.times)
        elements = where.tokens * self.n_heads * dim
        yield where.op(f"{name}.lambda", "vector", size=4 * dim)
        yield where.op(f"{name}.difference", "residual", elements=elements)
        yield where.norm(f"{name}.norm", Norm("rmsnorm", scale=False), 2 * dim, where.tokens * self.n_heads // 2)


@dataclass(frozen=True)
class Dynamic(Attention):
    """A mask that the values say: a number for each key and key-value head, added to its scores; and a learned scale for each
    channel of both residual sums (Doge).
    """

    type: Literal["dynamic"] = "dynamic"  # type: ignore[assignment]

    def ops(self, where: LayerRun, name: str = "attention", cross: bool = False) -> Iterator[Op]:
        """The attention's, and the mask's."""
        yield from super().ops(where, name, cross)
        kv_heads, rows = self.kv_heads, where.batch * where.kv
        yield where.linear(f"{name}.dt", kv_heads * self.width(where.d_model), kv_heads, self.bias, tokens=rows)
        yield where.op(f"{name}.a", "vector", size=kv_heads)
        pairs_of_heads = rows * where.q * self.n_heads
        yield where.op(f"{name}.mask", "residual", Saved("mask", pairs_of_heads), elements=pairs_of_heads)
        yield where.op("residual.scales", "vector", size=2 * where.d_model)


@dataclass(frozen=True)
class Filtered(Attention):
    """A filter over the tokens, ``kernel`` long, on each head's values, added to what is attended to (Xiong et al. 2021,
    arXiv:2102.03902, sec. 4.1).
    """

    kernel: int = 3
    type: Literal["filtered"] = "filtered"  # type: ignore[assignment]

    def __post_init__(self) -> None:
        super().__post_init__()
        check_sizes(self, "kernel")

    def _core(self, where: LayerRun, name: str, kv: int, dim: int, cross: bool) -> Iterator[Op]:
        yield from super()._core(where, name, kv, dim, cross)
        dims: Dims = {"batch": where.batch, "channels": self.n_heads, "length": where.q * dim, "kernel": self.kernel, "bias": 0}
        dims["met"] = 1 if where.run.ideal else self.n_heads
        yield where.op(f"{name}.filter", "conv", **dims)


@dataclass(frozen=True)
class Merged(Attention):
    """A decoder's attention to its own tokens and the encoder's at once, whose keys and values are made by the same matrices
    (T5Gemma 2).
    """

    type: Literal["merged"] = "merged"  # type: ignore[assignment]

    def ops(self, where: LayerRun, name: str = "attention", cross: bool = False) -> Iterator[Op]:
        """The attention's, and the encoder's keys and values, by weights that are counted already."""
        yield from super().ops(where, name, cross)
        d, dim = where.d_model, self.width(where.d_model)
        n = where.batch * where.source if where.run.encode else 0
        for leaf, width in (("k", dim), ("v", self.v_dim or dim)):
            made = where.linear(
                f"{name}.{leaf}", d, self.kv_heads * width, self.bias, saves=leaf == "k", tokens=n, copies=0, used=0
            )
            yield made._replace(component=f"{name}.cross.{leaf}")
        if self.qk_norm is not None:
            yield where.norm(f"{name}.cross.k_norm", self.qk_norm_type, dim, n * self.kv_heads)._replace(copies=0, used=0)

    def _core(self, where: LayerRun, name: str, kv: int, dim: int, cross: bool) -> Iterator[Op]:
        yield from super()._core(where, name, kv, dim, cross)
        if not where.source:
            return
        source, heads, v_dim = where.source, self.n_heads, self.v_dim or dim
        queries, held = Saved("queries", 0), Saved("keys and values", where.batch * source * heads * (dim + v_dim))
        fused = where.run.fused
        yield from meet(where, f"{name}.cross", heads, where.q * source, dim, v_dim, queries, held, keys=source, fused=fused)
        both, left = self.kv_heads * (dim + v_dim), Cache("cross")
        yield where.op(f"{name}.cross.cache", "cache", batch=where.batch, tokens=source, width=both, cache=left)


@dataclass(frozen=True)
class Convolved(Attention):
    """Keys, values and the outputs of both parts of a layer through causal filters of ``d_conv`` tokens; the scores have a bias
    by distance, up to ``rel_extent``, from ``rel_dim`` numbers of each query (Inkling).
    """

    rel_dim: int = 16
    rel_extent: int = 1024
    d_conv: int = 4
    type: Literal["convolved"] = "convolved"  # type: ignore[assignment]

    def __post_init__(self) -> None:
        super().__post_init__()
        check_sizes(self, "rel_dim", "rel_extent", "d_conv")

    def ops(self, where: LayerRun, name: str = "attention", cross: bool = False) -> Iterator[Op]:
        """The attention's, the bias, the filters, and a learned scale of the feed-forward."""
        yield from super().ops(where, name, cross)
        yield from self._bias(where, name)
        kv_width = self.kv_heads * self.width(where.d_model)
        yield from self._filters(where, (f"{name}.k", kv_width), (f"{name}.v", kv_width))
        yield from self._filters(where, (name, where.d_model), ("ffn", where.d_model))
        yield where.op("ffn.scale", "vector", size=1)

    def _bias(self, where: LayerRun, name: str) -> Iterator[Op]:
        """A query's numbers, each of which weighs a profile over distances."""
        heads, n = self.n_heads, where.tokens
        yield where.linear(f"{name}.r", where.d_model, heads * self.rel_dim, saves=False)
        yield where.linear(f"{name}.relative", self.rel_dim, self.rel_extent, tokens=n * heads)
        scores = where.batch * heads * where.q * where.kv
        yield where.op(f"{name}.relative.bias", "residual", elements=scores)

    def _filters(self, where: LayerRun, *over: tuple[str, int]) -> Iterator[Op]:
        for leaf, channels in over:
            yield where.conv(f"{leaf}.filter", channels, self.d_conv, False)
            yield self._left(where, leaf, channels)

    def _left(self, where: LayerRun, leaf: str, channels: int) -> Op:
        """The last tokens, which the filter reads again."""
        held = Cache("conv", wide=True)
        return where.op(f"{leaf}.filter.state", "cache", batch=where.batch, tokens=self.d_conv, width=channels, cache=held)


@dataclass(frozen=True)
class Clipped(Convolved):
    """Inkling's with queries, keys and biases clipped in length after a learned scale, and sinks by token (Inkling 2).
    ``by_token``: the filters over keys and values are a learned one and one that each token makes for each head.
    """

    by_token: bool = False
    type: Literal["clipped"] = "clipped"  # type: ignore[assignment]

    def ops(self, where: LayerRun, name: str = "attention", cross: bool = False) -> Iterator[Op]:
        """The attention's, the bias, sinks, scales, filters."""
        yield from Attention.ops(self, where, name, cross)
        yield from self._bias(where, name)
        d, heads, dim = where.d_model, self.n_heads, self.width(where.d_model)
        yield where.linear(f"{name}.sinks", d, heads, saves=False)
        yield where.op(f"{name}.scales", "vector", size=heads * (dim + self.rel_dim))
        clipped = where.tokens * ((heads + self.kv_heads) * dim + heads * self.rel_dim)
        yield where.op(f"{name}.clip", "product", Saved("what is clipped", clipped), elements=clipped)
        kv_width = self.kv_heads * dim
        over = ((f"{name}.k", kv_width), (f"{name}.v", kv_width))
        if not self.by_token:
            yield from self._filters(where, *over)
        for leaf, channels in over if self.by_token else ():
            yield where.op(f"{leaf}.filter", "vector", size=self.d_conv * channels)
            yield where.linear(f"{leaf}.filter.made", d, self.kv_heads * self.d_conv, saves=False)
            elements = where.tokens * channels * self.d_conv
            yield where.op(f"{leaf}.filter.product", "product", Saved("windows and weights", 2 * elements), elements=elements)
            yield self._left(where, leaf, channels)
        yield from self._filters(where, (name, d), ("ffn", d))


@dataclass(frozen=True)
class Prefixed(Attention):
    """No mask among the tokens of a pass: each meets those before it and those after it (CPM-Ant)."""

    type: Literal["prefixed"] = "prefixed"  # type: ignore[assignment]

    def _core(self, where: LayerRun, name: str, kv: int, dim: int, cross: bool) -> Iterator[Op]:
        yield from super()._core(where._replace(masked=False), name, kv, dim, cross)


@dataclass(frozen=True)
class Mingled(Attention):
    """Queries and keys through two causal filters together, one of ``first`` tokens for each channel and one of ``second`` tokens
    within each head, around which goes the mean of both; half of each value is of the token before; queries and keys of one
    length, and a learned number for each key-value head (ZAYA).
    """

    first: int = 2
    second: int = 2
    type: Literal["mingled"] = "mingled"  # type: ignore[assignment]

    def __post_init__(self) -> None:
        super().__post_init__()
        check_sizes(self, "first", "second")

    def _read_once(self, cross: bool) -> tuple[str, ...]:
        return ("k",)

    def _core(self, where: LayerRun, name: str, kv: int, dim: int, cross: bool) -> Iterator[Op]:
        heads, kv_heads, d = self.n_heads, self.kv_heads, where.d_model
        half, channels, spare = kv_heads * dim // 2, (heads + kv_heads) * dim, self.first + self.second - 2
        yield where.linear(f"{name}.v", d, half, self.bias, saves=False, reads="normed")
        yield where.linear(f"{name}.v_before", d, half, self.bias, saves=False, reads="normed")
        if not where.run.past:  # before the first token stands a zero, multiplied all the same
            zero: Dims = {"batch": 1, "m": where.batch, "k": d, "n": half, "weight": 0, "grads": 1}
            yield where.op(f"{name}.v_before", "matmul", **zero)
        longer = 0 if where.run.ideal else self.second - 1
        for leaf, length, kernel, met in (
            ("filter", where.q + longer, self.first, channels),
            ("filter.heads", where.q, self.second * dim, heads + kv_heads),
        ):
            dims: Dims = {"batch": where.batch, "channels": channels, "length": length, "kernel": kernel, "bias": 1}
            kept = Saved("input", where.batch * (length + kernel - 1) * channels)
            yield where.op(f"{name}.{leaf}", "conv", kept, **dims, met=1 if where.run.ideal else met)
        yield where.op(f"{name}.mean", "residual", elements=where.tokens * channels)
        for leaf, many in (("q_norm", heads), ("k_norm", kv_heads)):
            yield where.norm(f"{name}.{leaf}", Norm("rmsnorm", scale=False), dim, where.tokens * many)
        yield where.op(f"{name}.scale", "vector", size=kv_heads)
        yield from super()._core(where, name, kv, dim, cross)
        left: Dims = {"batch": where.batch, "cut": TOKENS}
        if spare:
            yield where.op(f"{name}.filter.state", "cache", cache=Cache("conv"), tokens=spare, width=channels, **left)
        yield where.op(f"{name}.v_before.state", "cache", cache=Cache("state"), tokens=1, width=half, **left)


@dataclass(frozen=True)
class Routed(Mixer):
    """Attention whose query and output projections are ``n_experts`` experts: a token's ``top_k`` have ``n_kv_heads`` heads each,
    and all meet the same keys and values (Shen et al. 2024, arXiv:2404.07413).
    """

    n_kv_heads: int
    head_dim: int
    n_experts: int
    top_k: int
    type: Literal["routed"] = "routed"

    def __post_init__(self) -> None:
        check_sizes(self, "n_kv_heads", "head_dim", "n_experts", "top_k")
        if self.top_k > self.n_experts:
            problem = f"top_k is {self.top_k}, but there are only {self.n_experts} experts"
            raise InputError(problem, field="top_k", value=self.top_k)

    @property
    def n_heads(self) -> int:
        return self.n_kv_heads * self.top_k

    def ops(self, where: LayerRun, name: str = "attention") -> Iterator[Op]:
        """Router, the experts' queries, keys and values, the core, the experts' outputs."""
        d, dim, heads, n = where.d_model, self.head_dim, self.n_heads, where.tokens
        width, chosen = self.n_kv_heads * dim, where.tokens * self.top_k
        yield where.linear(f"{name}.router", d, self.n_experts, reads="normed", cut=TOKENS)
        yield where.op(f"{name}.router.softmax", "softmax", Saved("weights", chosen), elements=chosen, cut=TOKENS)
        routed = where._replace(role="expert")
        shares: Dims = {"tokens": chosen, "copies": self.n_experts, "used": self.top_k}
        yield routed.linear(f"{name}.q", d, width, **shares)
        yield where.linear(f"{name}.kv", d, 2 * width, saves=False, reads="normed")
        yield where.op(f"{name}.rotary", "rotary", elements=n * (heads + self.n_kv_heads) * dim)
        count = pairs.computed(Attention(1).core, where.q, where.kv, where.masked, where.run.ideal)
        queries, held = Saved("queries", n * heads * dim), Saved("keys and values", 2 * where.batch * where.kv * heads * dim)
        fused = where.run.fused
        yield from meet(
            where, name, heads, count, dim, dim, queries, held, keys=where.kv, shared=self.top_k if fused else 1, fused=fused
        )
        left = Cache("kv")
        yield where.op(f"{name}.cache", "cache", batch=where.batch, tokens=where.kv, width=2 * width, cache=left)
        yield routed.linear(f"{name}.out", width, d, **shares)
        yield where.op(f"{name}.combine", "product", Saved("experts' outputs", chosen * d), elements=chosen * d)
        yield where.op(f"{name}.bias", "vector", size=d, cut=TOKENS)
