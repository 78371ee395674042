"""llama.cpp: cells in multiples of 256."""

from __future__ import annotations

from dataclasses import dataclass

from llmcx.engines import Engine
from llmcx.errors import InputError
from llmcx.ops.op import Cache
from llmcx.parallel.layout import cut

CELLS = 256


@dataclass(frozen=True)
class LlamaCpp(Engine):
    """Windowed layers have the window and one ``ubatch`` more, whatever the context; prompts go through in pieces of a ubatch.

    Source: src/llama-kv-cache-iswa.cpp of ggml-org/llama.cpp.
    """

    ubatch: int = 512

    name = "llama.cpp"
    rule = "cells in multiples of 256; windowed layers: the window and {ubatch} more (src/llama-kv-cache-iswa.cpp)"

    def cells(self, needed: int, context: int, cache: Cache, mixed: bool) -> int:
        if cache.window is None:
            return cut(needed, CELLS) * CELLS
        return cut(min(cut(context, CELLS) * CELLS, cache.window + self.ubatch), CELLS) * CELLS

    def state_bytes(self, cache: Cache) -> int:
        return 4  # src/llama-memory-recurrent.cpp

    def pass_tokens(self, batch: int, seq: int) -> int:
        return min(batch * seq, self.ubatch)

    def check(self, encoder_decoder: bool) -> None:
        super().check(encoder_decoder)
        if encoder_decoder:
            raise InputError("how llama.cpp lays out the cache of an encoder-decoder is not known", field="runtime")
