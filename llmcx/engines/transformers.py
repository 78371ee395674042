"""Hugging Face transformers: ``generate`` with its DynamicCache."""

from __future__ import annotations

from dataclasses import dataclass

from llmcx.engines import Engine
from llmcx.ops.op import Cache


@dataclass(frozen=True)
class Transformers(Engine):
    """Windowed layers keep a window less one, for the newest token's are at hand; all prompts are prefilled at once. Recurrent
    states are fp32 where their code makes them so.

    Source: transformers/cache_utils.py, DynamicSlidingWindowLayer, held to the caches of 163 families (tests/oracle/caches.py).
    """

    name = "transformers"
    rule = "its DynamicCache: a window less one in windowed layers"

    def cells(self, needed: int, context: int, cache: Cache, mixed: bool) -> int:
        if cache.window is None:
            return needed
        return context if cache.whole else min(needed, max(cache.window - 1, 1))

    def state_bytes(self, cache: Cache) -> int:
        return 4 if cache.wide else 2

    def pass_tokens(self, batch: int, seq: int) -> int:
        return batch * seq
