"""What a serving program really reserves for the cache, beside what the tokens need.

ideal: every key and value that a later token can meet. transformers: its DynamicCache, whose windowed layers keep a window less
one (the newest token's are at hand). vllm: whole blocks of ``block`` tokens; a model that mixes windowed and full layers reserves
full pages for both, because all layers share one page size. llama.cpp: cells in multiples of 256; windowed layers have the window
and one ``ubatch`` more, whatever the context.
"""

from __future__ import annotations

from typing import NamedTuple

from llmcx.costs.kv_cache import STATES, cache_fold
from llmcx.costs.work import Dependent, Work
from llmcx.errors import InputError, check_sizes, unknown_name
from llmcx.model.cores import Chunked, Sliding
from llmcx.model.place import Run, step_at
from llmcx.model.spec import Attention, ModelSpec
from llmcx.ops.op import Op
from llmcx.parallel.sharding import cut, share

RUNTIMES = {
    "ideal": "the tokens that later ones can meet",
    "transformers": "its DynamicCache: a window less one in windowed layers",
    "vllm": "blocks of {block} tokens; full pages for windowed layers beside full ones (hf-mem, pull request 70: vLLM's own log)",
    "llama.cpp": "cells in multiples of 256; windowed layers: the window and {ubatch} more (src/llama-kv-cache-iswa.cpp)",
}


class Serving(NamedTuple):
    """A runtime, and the sizes that it is run with."""

    runtime: str = "ideal"
    block: int = 16
    ubatch: int = 512

    def check(self) -> None:
        """Raises InputError for a runtime that is not known, or a size that is none."""
        if self.runtime not in RUNTIMES:
            raise unknown_name("runtime", self.runtime, list(RUNTIMES), field="runtime")
        check_sizes(self, "block", "ubatch")


def cached(spec: ModelSpec, batch: int, context: int, source: int | None, serving: Serving, tp: int = 1) -> dict[str, int]:
    """Elements reserved for ``batch`` sequences of ``context`` tokens: growing with tokens ("kv_cache") or fixed ("state").

    On one of ``tp`` GPUs: its key-value heads, at least one; latents whole.
    """
    serving.check()
    if serving.runtime == "llama.cpp" and spec.encoder and spec.decoder:
        raise InputError("how llama.cpp lays out the cache of an encoder-decoder is not known", field="runtime")
    found: dict[str, int] = Work(spec, step_at(context, batch, source)).of(_Cached(spec, serving, tp))
    return found


class _Cached(Dependent):
    """The elements reserved, over the ops of a decode step of ``spec``."""

    def __init__(self, spec: ModelSpec, serving: Serving, tp: int) -> None:
        self.spec, self.serving, self.tp = spec, serving, tp

    def __eq__(self, other: object) -> bool:  # among the sums over one spec's ops
        return isinstance(other, _Cached) and (self.serving, self.tp) == (other.serving, other.tp)

    def __hash__(self) -> int:
        return hash((self.serving, self.tp))

    def of(self, run: Run, ops: list[Op]) -> dict[str, int]:
        decoder = [kind for kind, g in self.spec.kinds.items() if kind.startswith("decoder.") and isinstance(g.mixer, Attention)]
        windows = {_window(self.spec, kind) for kind in decoder}
        mixed = len({window is None for window in windows}) > 1
        found = []
        for op in ops:
            if op.kind != "cache":
                continue
            op = share(op, self.spec, self.tp, 1, False)
            if not op.component.endswith(STATES) and op.component.endswith("attention.cache"):
                window = None if op.component.startswith("cross") else _window(self.spec, op.group)
                tokens = _tokens(self.serving, op.dims["tokens"], run.past + 1, window, mixed)
                op = op._replace(dims=op.dims | {"tokens": tokens})
            found.append(op)
        return cache_fold.by(found, kind)


def kv_elements(spec: ModelSpec, batch: int, context: int, source: int | None = None) -> dict[str, int]:
    """Elements in the cache after ``context`` tokens: growing with tokens ("kv_cache") or of fixed size ("state")."""
    return cached(spec, batch, context, source, Serving())


def kind(op: Op) -> str:
    """Which part of the budget a cache op belongs to."""
    return "state" if op.component.endswith(STATES) else "kv_cache"


def _window(spec: ModelSpec, group: str) -> int | None:
    mixer = spec.kinds[group].mixer
    core = mixer.core if isinstance(mixer, Attention) else None
    return core.window if isinstance(core, (Sliding, Chunked)) else None


def _tokens(serving: Serving, held: int, context: int, window: int | None, mixed: bool) -> int:
    """Tokens for which a layer has room; ``held`` those that it needs.

    >>> [_tokens(Serving(name), 128, 1000, 128, mixed=True) for name in ("transformers", "vllm", "llama.cpp")]
    [127, 1008, 768]
    """
    runtime, block, ubatch = serving
    if runtime == "transformers":
        return held if window is None else min(held, max(window - 1, 1))
    if runtime == "vllm":
        needed = context if window is not None and mixed else held
        return cut(needed, block) * block
    if runtime == "llama.cpp":
        cells = cut(held if window is None else context, 256) * 256
        return cells if window is None else cut(min(cells, window + ubatch), 256) * 256
    return held
