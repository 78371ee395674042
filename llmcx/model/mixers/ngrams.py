"""Embeddings of the last few tokens together, added to the residual streams of a layer (Qwen4-Exp).

Source: transformers, models/qwen4_exp.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from llmcx.errors import check_sizes
from llmcx.model.mixers import Mixer
from llmcx.model.norm import Norm
from llmcx.model.run import LayerRun
from llmcx.ops.op import Cache, Dims, Op, Saved


@dataclass(frozen=True)
class NGrams(Mixer):
    """A table of ``rows`` hashed n-grams with ``width`` numbers each, of which a token looks up ``lookups``: a key for each of
    ``streams`` residual streams, that weighs one value for all, and a causal filter of ``d_conv`` tokens, ``dilation`` apart.
    """

    rows: int
    width: int
    lookups: int
    streams: int
    d_conv: int
    dilation: int
    type: Literal["ngrams"] = "ngrams"

    def __post_init__(self) -> None:
        check_sizes(self, "rows", "width", "lookups", "streams", "d_conv", "dilation")

    def ops(self, where: LayerRun, name: str = "ngrams") -> Iterator[Op]:
        """Look up, key and value, the gate, the filter."""
        d, n, norm = where.d_model, where.tokens, Norm("rmsnorm", fp32=True, offset=True)
        wide, found = self.streams * d, self.lookups * self.width
        ids = Saved("indices", n * self.lookups, "int64")
        table: Dims = {"tokens": n * self.lookups, "rows": self.rows, "width": self.width}
        yield where._replace(role="positions").op(f"{name}.table", "lookup", ids, **table)
        yield where.linear(f"{name}.key", found, wide)
        yield where.linear(f"{name}.value", found, d, saves=False)
        for leaf in ("key_norm", "query_norm", "filter_norm"):
            yield where.norm(f"{name}.{leaf}", norm, wide)
        yield where.op(f"{name}.gate", "sigmoid", Saved("both sides", 2 * n * wide), elements=n * wide)
        yield where.op(f"{name}.product", "product", elements=n * wide)
        filtered: Dims = {"batch": where.batch, "channels": wide, "length": where.q, "kernel": self.d_conv, "bias": 0}
        met = 1 if where.run.ideal else wide
        yield where.op(f"{name}.filter", "conv", Saved("input", n * wide), **filtered, met=met)
        yield where.op(f"{name}.activation", "silu", Saved("activation", n * wide), elements=n * wide)
        reach = (self.d_conv - 1) * self.dilation
        for leaf, tokens, width in (("filter", reach, wide), ("tokens", self.dilation - 1, 1)):
            if tokens:
                yield where.op(
                    f"{name}.{leaf}.state", "cache", batch=where.batch, tokens=tokens, width=width, cache=Cache("state")
                )
