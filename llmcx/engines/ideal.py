"""An engine without waste: what the tokens need."""

from __future__ import annotations

from dataclasses import dataclass

from llmcx.engines import Engine
from llmcx.ops.op import Cache

CHUNK = 8192
"""Prompt tokens that go through the model at once: the default of TensorRT-LLM's and of vLLM's scheduler on large GPUs."""


@dataclass(frozen=True)
class Ideal(Engine):
    """Every key and value that a later token can meet, and no more."""

    name = "ideal"
    pipelined = True
    rule = "the tokens that later ones can meet"

    def cells(self, needed: int, context: int, cache: Cache, mixed: bool) -> int:
        return needed

    def pass_tokens(self, batch: int, seq: int) -> int:
        return min(batch * seq, CHUNK)
