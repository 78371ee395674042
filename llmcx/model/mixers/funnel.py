"""Funnel-Transformer's layers, whose tokens become fewer on the way (Dai et al. 2020, arXiv:2006.03236)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from llmcx.errors import check_sizes
from llmcx.model.ffn import Activation, Plain
from llmcx.model.mixers import Mixer
from llmcx.model.mixers.attention import meet
from llmcx.model.run import LayerRun
from llmcx.ops.op import TOKENS, Dims, Op, Saved


class Places(NamedTuple):
    """Where the tokens of a block stand: the ``first`` apart, then every ``step`` from ``second`` on, ``length`` in all."""

    first: int
    second: int
    step: int
    length: int

    @property
    def last(self) -> int:
        """The place of the last one."""
        return self.first if self.length < 2 else self.second + (self.length - 2) * self.step

    def pooled(self, apart: bool, cut: bool) -> Places:
        """Half of them: of all (``apart``: but the first, which stays, and of an even number, ``cut``: the last).

        >>> Places(0, 1, 1, 9).pooled(True, True)
        Places(first=-1, second=1, step=2, length=5)
        """
        if not apart:
            return Places(self.first, self.first + 2 * self.step, 2 * self.step, -(-self.length // 2))
        left = max(0, self.length - 1 - cut)
        return Places(1 - 2 * self.step, self.second, 2 * self.step, 1 + -(-left // 2))


@dataclass(frozen=True)
class FunnelLayer(Mixer):
    """A whole layer of the block after ``block`` poolings: attention by distance, and a feed-forward. ``pools`` is the layer
    whose queries are means of two tokens; its keys are the tokens themselves, unless they are pooled too (``keys_too``).

    Distances are met in all at once and shifted (sec. A.2.1), or as four factors (``factorized``, sec. A.2.2). ``apart`` keeps
    the first token out of pooling, and ``cut`` drops the last one for it. Source: transformers, models/funnel.
    """

    n_heads: int
    head_dim: int
    d_ff: int
    block: int = 0
    pools: bool = False
    keys_too: bool = False
    factorized: bool = False
    apart: bool = True
    cut: bool = True
    activation: Activation = "gelu_new"
    type: Literal["funnel"] = "funnel"

    def __post_init__(self) -> None:
        check_sizes(self, "n_heads", "head_dim", "d_ff")

    def period(self) -> int:
        return 1 << self.block

    def ops(self, where: LayerRun, name: str = "attention") -> Iterator[Op]:
        """Attention of as many tokens as are left, feed-forward, a norm after each."""
        before = here = Places(0, 1, 1, where.q)
        for _ in range(self.block):
            if here.length > 1 + self.apart:  # fewer are not pooled
                before, here = here, here.pooled(self.apart, self.cut)
        keys = before if self.pools and not self.keys_too else here
        inside = where._replace(q=here.length, kv=keys.length)
        residual = inside.op("residual", "residual", elements=inside.tokens * inside.d_model, cut=TOKENS, role="residual")
        yield from self._attend(inside, name, before, here, keys)
        yield residual
        yield inside.norm("norm.attention", where.spec.norm, where.d_model, role="norm")
        yield from Plain(self.d_ff, True, self.activation).ops(inside._replace(role="ffn"), "ffn")
        yield residual
        yield inside.norm("norm.ffn", where.spec.norm, where.d_model, role="norm")

    def _attend(self, where: LayerRun, name: str, before: Places, here: Places, keys: Places) -> Iterator[Op]:
        """What tokens say, how far apart they are, and whether they are of one segment."""
        d, heads, dim, b, q, kv = where.d_model, self.n_heads, self.head_dim, where.batch, where.q, where.kv
        width, elements = heads * dim, where.tokens * heads * dim
        yield where.linear(f"{name}.q", d, width)
        for leaf in ("k", "v"):
            yield where.linear(f"{name}.{leaf}", d, width, True, tokens=b * kv, saves=leaf == "k" and kv != q)
        yield where.op(f"{name}.biases", "vector", size=3 * width)
        if self.factorized:
            kernel: Dims = {"batch": heads, "m": where.tokens, "k": dim, "n": d, "weight": width * d}
            yield where.op(f"{name}.relative", "matmul", Saved("queries", elements), **kernel)
            for leaf in ("sines", "cosines"):
                turned = Saved("queries, turned", where.tokens * heads * d)
                factor: Dims = {"batch": 1, "m": where.tokens * heads, "k": d, "n": kv, "weight": 0, "grads": 1}
                yield where.op(f"{name}.relative.{leaf}", "matmul", turned, **factor)
        else:
            far = self._distances(before, here, keys)
            table: Dims = {"batch": 1, "m": far, "k": d, "n": width, "weight": d * width, "grads": 1}
            yield where.op(f"{name}.relative", "matmul", Saved("sinusoids", far * d), **table)
            kept = Saved("queries and keys of the distances", elements + far * width)
            yield where.op(f"{name}.relative_scores", "scores", kept, batch=b, heads=heads, pairs=q * far, width=dim)
        segments: Dims = {"batch": heads, "m": where.tokens, "k": dim, "n": 2, "weight": 2 * width}
        yield where.op(f"{name}.segments", "matmul", Saved("queries", elements), **segments)
        queries, others = Saved("queries", elements), Saved("keys and values", 2 * b * kv * width)
        for op in meet(where, name, heads, q * kv, dim, dim, queries, others, keys=kv):
            if kv > 1 or op.kind != "values":  # a single key's are weighed without a matmul
                yield op._replace(saved=tuple(kept for kept in op.saved if kept.stored != "upcast"))
        yield where.linear(f"{name}.out", width, d, True)

    def _distances(self, before: Places, here: Places, keys: Places) -> int:
        """How many distances have a vector: from the queries' first to beyond the keys' last, in steps of the keys."""
        between = keys is before and here.length != keys.length
        source, shift = (before, 2) if between else (here, 1)
        most = here.first - source.first + shift * here.length * source.step
        return (most - (here.first - source.last)) // source.step + 1
