"""MLX and exllamav2: how their caches grow. Rules of their code; no run of theirs has been measured for memory."""

from __future__ import annotations

from dataclasses import dataclass

from llmcx.engines import Engine
from llmcx.ops.op import Cache

CHUNK = 2048
"""Prompt tokens that both put through the model at once: mlx-lm's prefill_step_size, exllamav2's max_input_len."""
STEP = 256
"""Tokens by which mlx-lm's KVCache grows (models/cache.py), and of exllamav2's pages."""


@dataclass(frozen=True)
class MLX(Engine):
    """Caches grow by 256 tokens; windowed layers keep their window."""

    name = "mlx"
    rule = "room grows by 256 tokens, windowed layers keep a window; by its code, not held to a run"

    def cells(self, needed: int, context: int, cache: Cache, mixed: bool) -> int:
        return needed if cache.window is not None else _rounded(context)

    def pass_tokens(self, batch: int, seq: int) -> int:
        return min(batch * seq, CHUNK)


@dataclass(frozen=True)
class ExLlamaV2(Engine):
    """Every layer has room for the whole context, in pages of 256 tokens."""

    name = "exllamav2"
    rule = "pages of 256 tokens for the whole context, in windowed layers too; by its code, not held to a run"

    def cells(self, needed: int, context: int, cache: Cache, mixed: bool) -> int:
        return _rounded(context)

    def pass_tokens(self, batch: int, seq: int) -> int:
        return min(batch * seq, CHUNK)


def _rounded(tokens: int) -> int:
    """
    >>> _rounded(257)
    512
    """
    return -(-tokens // STEP) * STEP
