"""llama.cpp 0.5.0: cells in multiples of 256 for each sequence, states in fp32, a buffer for the largest graph.

Cache: src/llama-context.cpp, llama-kv-cache-iswa.cpp, llama-memory-recurrent.cpp. Buffer: :mod:`llmcx.engines.llama_graph`. Held
to what the library logs of real contexts (tests/oracle/llama_cpp.py), as llama-server makes them: one slot a sequence, each with
as many cells (-np, -c of them all), logits of one position a slot.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import floor
from typing import Any

from llmcx.engines import Engine, Kept
from llmcx.engines.llama_graph import HELD, Pass, family, reserved, window
from llmcx.errors import InputError, check_sizes, unknown_name
from llmcx.formats.dtypes import CACHE_BLOCKS
from llmcx.model.spec import ModelSpec
from llmcx.ops.op import STATES, Cache
from llmcx.parallel.layout import cut

CELLS = 256
CACHES = ("fp32", "fp16", "bf16", *CACHE_BLOCKS)
"""Formats of its cache."""
STATE = 4
"""Bytes of a number of a recurrent state, whatever the cache's format."""


@dataclass(frozen=True)
class LlamaCpp(Engine):
    """Prompts go through in pieces of ``ubatch`` tokens; windowed layers have room for the window and one piece, or with
    ``swa_full`` for all. ``outputs``: positions of a piece whose logits are made (None: one a sequence). ``attn``: "eager" writes
    scores out. ``quantised``: the cache is in blocks, into which keys and values go turned.
    """

    ubatch: int = 512
    swa_full: bool = False
    outputs: int | None = None
    attn: str = "flash"
    quantised: bool = False

    name = "llama.cpp"
    unit = "cells"
    rule = "cells in multiples of 256; windowed layers: the window and {ubatch} more (src/llama-kv-cache-iswa.cpp)"

    def __post_init__(self) -> None:
        if self.attn == "sdpa":
            object.__setattr__(self, "attn", "flash")

    def settings(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key != "quantised"}

    def piece(self, batch: int, context: int) -> int:
        """Tokens of a physical batch: no more than all sequences have."""
        return min(self.ubatch, batch * context)

    def room(self, batch: int, context: int, of_window: int | None) -> int:
        """Cells of a layer for one sequence.

        >>> LlamaCpp().room(1, 5000, None), LlamaCpp().room(1, 5000, 128), LlamaCpp(ubatch=2048).room(4, 2048, 4096)
        (5120, 768, 2048)
        """
        cells = cut(cut(batch * context, CELLS) * CELLS // batch, CELLS) * CELLS
        if of_window is None or self.swa_full:
            return cells
        return cut(min(cells, of_window + self.piece(batch, context)), CELLS) * CELLS

    def cells(self, needed: int, context: int, cache: Cache, mixed: bool) -> int:
        return self.room(1, context if cache.window is not None else needed, cache.window)

    def state_bytes(self, cache: Cache) -> int:
        return STATE

    def pass_tokens(self, batch: int, seq: int) -> int:
        return self.piece(batch, seq)

    def paged(self, kept: tuple[Kept, ...], batch: int, context: int, kv_bytes: float, pp: int) -> dict[str, int]:
        """Layers by their windows, and recurrent states: of a filter its last inputs, one fewer than it has weights. Values
        that no fused kernel reads have rows as wide as the widest layer's.
        """
        layers = sum(each.layers for each in kept) * pp
        found: dict[str, int] = {}
        wide = max((int(op.dims["width"]) for each in kept for op in each.ops if op.cache and op.cache.kind == "kv"), default=0)
        for each in kept:
            name = (each.family or "").removesuffix("_text")
            for op in each.ops:
                held = op.cache
                assert held is not None
                width: float = op.dims["width"]
                if held.kind in STATES:
                    tokens, kind, size = op.dims["tokens"] - (held.kind == "conv"), "state", float(STATE)
                else:
                    width = (width + wide) / 2 if self.attn == "eager" and held.kind == "kv" else width
                    tokens, kind, size = self.room(batch, context, window(name, layers, held.window)), "kv_cache", kv_bytes
                found[kind] = found.get(kind, 0) + each.layers * batch * floor(tokens * width * size)
        return found

    def caching(self, kv_dtype: str) -> LlamaCpp:
        if kv_dtype not in CACHES:
            problem = f"llama.cpp has no cache in {kv_dtype}, but in {', '.join(CACHES)}"
            raise InputError(problem, field="kv_dtype", value=kv_dtype, allowed=", ".join(CACHES))
        made = replace(self, quantised=kv_dtype in CACHE_BLOCKS)
        if made.quantised and self.attn == "eager":
            raise InputError(f"llama.cpp needs --attn flash for values in {kv_dtype}", field="kv_dtype", value=kv_dtype)
        return made

    def compute(self, spec: ModelSpec, batch: int, context: int) -> tuple[int, str] | None:
        """The buffer of a physical batch of all sequences alike (src/llama-context.cpp, sched_reserve)."""
        stated = [getattr(getattr(layer.mixer, "core", None), "window", None) for layer in spec.groups]
        windows = [one for one in (window(family(spec), spec.n_layers, each) for each in stated) if one is not None]
        tokens = cut(min(self.piece(batch, context), batch * self.room(batch, context, None)), batch) * batch
        outputs = min(self.outputs or batch, tokens)
        run = Pass(
            tokens,
            batch,
            outputs,
            self.room(batch, context, None),
            self.room(batch, context, max(windows) if windows else None),
            self.attn == "flash",
            self.quantised,
        )
        try:
            size, known = reserved(spec, run), family(spec) in HELD.split()
            return size, f"{'' if known else 'estimate: '}compute buffer of {tokens:,} tokens"
        except NotImplementedError:
            return None

    def check_weights(self, formats: tuple[str, ...]) -> None:
        """GGUF's types, and what its files have too: 16 and 32 bits, MXFP4 and NVFP4."""
        from llmcx.formats.schemes import SCHEMES

        for form in formats:
            name = form.lower().partition(":")[0]
            if name == "fp8" or (name in SCHEMES and name not in ("mxfp4", "nvfp4")):
                problem = f"llama.cpp loads GGUF files, which have no {name}; give --dtype q8_0, q4_k_m or another of its types"
                raise InputError(problem, field="dtype", value=form)

    def check(self, encoder_decoder: bool) -> None:
        check_sizes(self, "ubatch", "outputs")
        if self.attn not in ("flash", "eager"):
            raise unknown_name("attention of llama.cpp", self.attn, ["flash", "eager"], field="attn")
        if encoder_decoder:
            raise InputError("how llama.cpp lays out the cache of an encoder-decoder is not known", field="engine")
