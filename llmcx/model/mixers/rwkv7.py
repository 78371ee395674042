"""RWKV-7: time mixing by a generalised delta rule, and channel mixing (Peng et al. 2025, arXiv:2503.14456, sec. 4)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from llmcx.errors import InputError, check_sizes
from llmcx.model.mixers import Mixer
from llmcx.model.norm import Norm
from llmcx.model.run import LayerRun
from llmcx.ops.op import Cache, Op, Saved


@dataclass(frozen=True)
class RWKV7(Mixer):
    """Time mixing in ``n_heads`` heads: a state of head x head numbers decays per channel, forgets what a key said and learns a
    value. Decay, rate, value and gate go through bottlenecks of ``decay``, ``rate``, ``value`` (0 in the first layer, whose
    values the later ones mix in) and ``gate``. Then channel mixing: a squared-ReLU feed-forward of ``d_ff``. Each input is a
    learned mean of a token and the one before.
    """

    n_heads: int
    decay: int
    rate: int
    value: int
    gate: int
    d_ff: int
    type: Literal["rwkv7"] = "rwkv7"

    def __post_init__(self) -> None:
        check_sizes(self, "n_heads", "decay", "rate", "gate", "d_ff")
        check_sizes(self, "value", least=0)

    def ops(self, where: LayerRun, name: str = "attention") -> Iterator[Op]:
        """Time mixing, its residual sum, channel mixing."""
        d, n, heads = where.d_model, where.tokens, self.n_heads
        if d % heads:
            problem = f"d_model {d} is not divisible by n_heads {heads}"
            raise InputError(problem, field="d_model", value=d, allowed=f"a multiple of {heads}")
        elements = n * d
        for leaf in ("r", "k", "v"):
            yield from self._mix(where, f"{name}.{leaf}")
            yield where.linear(f"{name}.{leaf}", d, d)
        yield from self._mix(where, f"{name}.decay")
        yield from self._bottleneck(where, f"{name}.decay", self.decay, "tanh")
        yield from self._mix(where, f"{name}.rate")
        yield from self._bottleneck(where, f"{name}.rate", self.rate)
        if self.value:
            yield from self._bottleneck(where, f"{name}.value", self.value)
            yield where.op(f"{name}.value.product", "product", Saved("both values", 2 * elements), elements=3 * elements)
        yield from self._mix(where, f"{name}.gate")
        yield from self._bottleneck(where, f"{name}.gate", self.gate, "sigmoid", bias=False)
        for leaf in ("removed", "replaced", "bonus"):  # how a key is removed, how it is written, what its own token adds
            yield where.op(f"{name}.{leaf}", "vector", size=d)
            yield where.op(f"{name}.{leaf}", "product", Saved("both factors", 2 * elements), elements=2 * elements)
        kept = Saved("every step's decay, keys, values and rates", 6 * elements, "fp32")
        # Decay; what the state holds for a key (2), taken away (2); a value written (2); the read (2).
        yield where.op(f"{name}.scan", "scan", kept, elements=elements * (d // heads), operations=9)
        yield where.norm(f"{name}.norm", Norm("layernorm"), d // heads, n * heads, heads)
        yield where.op(f"{name}.product", "product", Saved("both factors", 2 * elements), elements=elements)
        yield where.linear(f"{name}.out", d, d)
        yield where.op("residual", "residual", elements=elements)
        yield from self._mix(where, "ffn.k")
        yield where.linear("ffn.k", d, self.d_ff)
        yield where.op("ffn.activation", "relu2", Saved("activation", n * self.d_ff), elements=n * self.d_ff)
        yield where.linear("ffn.v", self.d_ff, d)
        held = Cache("state")
        yield where.op(f"{name}.state", "cache", batch=where.batch, tokens=d // heads, width=d, cache=held)
        yield where.op(f"{name}.before", "cache", batch=where.batch, tokens=1, width=d, cache=held)
        yield where.op("ffn.state", "cache", batch=where.batch, tokens=1, width=d, cache=held)

    def _mix(self, where: LayerRun, name: str) -> Iterator[Op]:
        """A mean of each token and the one before, weighted per channel."""
        elements = where.tokens * where.d_model
        yield where.op(f"{name}.mix", "vector", size=where.d_model)
        yield where.op(f"{name}.mix", "scan", Saved("both tokens", 2 * elements), elements=elements, operations=3)

    def _bottleneck(self, where: LayerRun, name: str, rank: int, between: str = "", bias: bool = True) -> Iterator[Op]:
        """Down to ``rank``, an activation between, up; then a sigmoid, but for the gate, which has none after it and no bias."""
        d, inner = where.d_model, where.tokens * rank
        yield where.linear(f"{name}.down", d, rank)
        if between:
            yield where.op(f"{name}.activation", between, Saved("activation", inner), elements=inner)
        yield where.linear(f"{name}.up", rank, d, bias)
        if bias:
            elements = where.tokens * d
            yield where.op(f"{name}.sigmoid", "sigmoid", Saved("output", elements), elements=elements)
