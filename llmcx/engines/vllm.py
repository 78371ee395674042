"""vLLM: blocks of tokens."""

from __future__ import annotations

from dataclasses import dataclass

from llmcx.engines import Engine
from llmcx.engines.ideal import CHUNK
from llmcx.ops.op import Cache
from llmcx.parallel.layout import cut


@dataclass(frozen=True)
class VLLM(Engine):
    """Whole blocks of ``block`` tokens. A model that mixes windowed and full layers reserves full pages for both, because all
    layers share one page size. Prompts are prefilled in chunks of max_num_batched_tokens.

    Source: vLLM's own log in hf-mem, issue 60 and pull request 70: what it did before its hybrid cache manager.
    """

    block: int = 16

    name = "vllm"
    rule = "blocks of {block} tokens; full pages for windowed layers beside full ones (hf-mem, pull request 70: vLLM's own log)"

    def cells(self, needed: int, context: int, cache: Cache, mixed: bool) -> int:
        tokens = context if cache.window is not None and mixed else needed
        return cut(tokens, self.block) * self.block

    def pass_tokens(self, batch: int, seq: int) -> int:
        return min(batch * seq, CHUNK)
