"""The cache fold: what a layer leaves for the next token."""

from __future__ import annotations

from llmcx.ops.fold import Fold
from llmcx.ops.op import KINDS

cache_fold = Fold("cached elements", weight_text="layers")


@cache_fold.rule(
    "cache", text="batch·tokens·width", source="Shazeer 2019, arXiv:1911.02150, sec. 2.4: keys and values of every past token"
)
def cache(batch: int, tokens: int, width: int) -> int:
    """Elements a layer leaves for the next step; ``width`` is 2 · n_kv_heads · head_dim for keys and values.

    >>> cache(batch=1, tokens=4096, width=2 * 8 * 128)
    8388608
    """
    return batch * tokens * width


cache_fold.costs_nothing(*(kind for kind in KINDS if kind != "cache"))
