"""What llama.cpp logs when it loads a model, predicted: the file's tensors, the model's shape, the cache."""

from __future__ import annotations

import re
from dataclasses import dataclass

from llmcx.answers.log_formats import PLAIN
from llmcx.answers.log_said import Predicted, Said
from llmcx.engines.inference_memory import cache_bytes, held
from llmcx.engines.llama_cpp import LlamaCpp
from llmcx.engines.logs import Log
from llmcx.errors import InputError
from llmcx.formats import dtypes, gguf, quant
from llmcx.model.spec import ModelSpec
from llmcx.ops.op import Cache
from llmcx.parallel.layout import Layout


def file_format(text: str | None) -> str | None:
    """llama.cpp's name of a file's type as --dtype has it; None for one that is not known.

    >>> file_format("Q4_K - Medium"), file_format("Q8_0"), file_format("BF16"), file_format("all F32"), file_format("unknown")
    ('q4_k_m', 'q8_0', 'bf16', 'fp32', None)
    """
    name = (text or "").lower().removeprefix("all ").removeprefix("mostly ").split(" (")[0].strip()
    name = re.sub(r"\s*-\s*(small|medium|large)$", lambda end: f"_{end[1][0]}", name)
    name = re.sub(r" - [\d.]+ bpw$", "", name)
    name = PLAIN.get(name, name).replace(" ", "_")
    name = gguf.ALIASES.get(name, name)
    return name if name in gguf.MIXES or name in dtypes.BITS else None


@dataclass(frozen=True)
class Unwindowed(LlamaCpp):
    """llama.cpp where a file states no window (n_swa = 0), whatever the model's own configuration has: every layer keeps all."""

    def cells(self, needed: int, context: int, cache: Cache, mixed: bool) -> int:
        return super().cells(context, context, cache._replace(window=None), mixed)


def predicted(log: Log, spec: ModelSpec, dtype: str | None, memory: int | None) -> Predicted:
    """The file's tensors, and the cache of the context that it was started with. Compute buffers are not predicted."""
    terms: dict[str, Said] = {name: Said(value) for name, value in shape_of(spec).items() if value is not None}
    notes = []
    asked = dtype or file_format(log.get("file_type"))
    if asked is None:
        said = (
            f"the file's type {log.get('file_type')} is not known"
            if log.get("file_type")
            else "the log does not say the file's type"
        )
        notes.append(f"{said}: --dtype says the format of the weights")
    else:
        try:
            terms["weights"] = Said(quant.weights(spec, asked).bytes if asked not in dtypes.BITS else _plain_file(spec, asked))
        except InputError as error:
            notes.append(f"weights are not predicted: {error.message}")
    cells, sequences = log.get("n_ctx"), log.get("n_seq_max", 1)
    if cells is None:
        return Predicted(terms, [*notes, "the log does not say n_ctx, so the cache is not predicted"])
    kinds = [PLAIN.get(log.get(name, "f16").lower(), log.get(name, "f16").lower()) for name in ("k_type", "v_type")]
    if not all(kind in dtypes.BITS or kind in dtypes.CACHE_BLOCKS for kind in kinds):
        return Predicted(terms, [*notes, f"the cache is not predicted: its types {' and '.join(kinds)} are not known"])
    windows = any(getattr(getattr(layer.mixer, "core", None), "window", None) for layer in spec.kinds.values())
    kind = Unwindowed if log.get("n_swa") == 0 else LlamaCpp
    windows = windows and kind is LlamaCpp
    if windows and any(kind in dtypes.CACHE_BLOCKS for kind in kinds):
        return Predicted(terms, [*notes, "the cache is not predicted: which of the windows' caches are quantised is not known"])
    if windows and sequences > 1:
        return Predicted(
            terms, [*notes, f"the cache is not predicted: how windows are shared by {sequences} sequences is not known"]
        )
    try:
        [gpu] = held(spec, 1, cells, Layout(), kind(log.get("n_ubatch", 512)))
    except InputError as error:
        return Predicted(terms, [*notes, f"the cache is not predicted: {error.message}"])
    parts = [cache_bytes(gpu, kind) for kind in kinds]
    terms["kv_cache"] = Said(sum(part.get("kv_cache", 0) for part in parts) // 2)
    if parts[0].get("state"):
        terms["state"] = Said(cache_bytes(gpu, "fp32")["state"] * sequences)
    return Predicted(terms, notes)


def _plain_file(spec: ModelSpec, dtype: str) -> int:
    [gpu] = held(spec, 1, 1)
    return dtypes.size(gpu.params, dtype)


def shape_of(spec: ModelSpec) -> dict[str, int | None]:
    """The sizes that llama.cpp prints of a model, where each layer has the same."""
    mixers = [layer.mixer for layer in spec.kinds.values()]
    heads = {getattr(mixer, "n_heads", None) for mixer in mixers}
    kv_heads = {getattr(mixer, "n_kv_heads", None) or getattr(mixer, "n_heads", None) for mixer in mixers}
    latent = any(getattr(mixer, "type", "") == "mla" for mixer in mixers)
    return {
        "layers": spec.n_layers,
        "d_model": spec.d_model,
        "heads": heads.pop() if len(heads) == 1 else None,
        "kv_heads": kv_heads.pop() if len(kv_heads) == 1 and not latent else None,
        "vocab": spec.embedding.vocab,
    }
