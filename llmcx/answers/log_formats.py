"""In which formats a log says that weights and cache are held, as --dtype and --kv-dtype name them."""

from __future__ import annotations

import re

from llmcx.engines.inference_memory import Held
from llmcx.engines.logs import Log
from llmcx.formats import dtypes, quant
from llmcx.model.spec import ModelSpec

PLAIN = {"bfloat16": "bf16", "float16": "fp16", "half": "fp16", "float32": "fp32", "float": "fp32", "f16": "fp16", "f32": "fp32"}
"""Number formats as logs write them."""
QUANTISED = {
    **{"fp8": "fp8_tensor", "awq": "awq", "awq_marlin": "awq", "bitsandbytes": "nf4", "mxfp8": "mxfp8"},
    **{"gptq": "gptq", "gptq_marlin": "gptq"},
}
"""What vLLM's and SGLang's `quantization` is as --dtype names it, where the model's own files do not say."""
BY_NAME = (
    (r"w8a8|fp8-?dynamic|w8a8_int8", "fp8_channel"),  # 8 bits and an fp32 scale per output, of whole numbers too
    (r"gptq-?int8|w8a16", "gptq:bits=8"),
    (r"w4a16|gptq", "gptq"),
    (r"awq", "awq"),
    (r"nvfp4|fp4", "nvfp4"),
    (r"fp8", "fp8_block"),
)
"""And where that is the name of a library: what the model's own name says."""


def stored_format(log: Log, spec: ModelSpec) -> str | None:
    """The format of the weights, as --dtype names it, by what the log says; None where that is not enough.

    SGLang says no quantization of a model whose own files have it.
    """
    quantization, plain = log.get("quantization"), PLAIN.get(log.get("dtype"), log.get("dtype"))
    own = spec.stored is not None and spec.stored.quantised and spec.stored.unsized is None
    named = by_name(str(log.get("model") or ""))
    if quantization is None:
        if log.engine == "sglang":
            return named or (dtypes.RELEASED if own else plain if plain in dtypes.BITS else dtypes.default(spec))
        return plain if plain in dtypes.BITS else dtypes.default(spec)
    form = QUANTISED.get(quantization)
    if own and spec.stored is not None and (form is None or form[:3] == spec.stored.name[:3]):
        return dtypes.RELEASED
    return form if quantization in ("fp8", "awq", "awq_marlin", "bitsandbytes") else named or form


def by_name(name: str) -> str | None:
    """The format that a model's name says.

    >>> by_name("RedHatAI/Qwen2.5-7B-Instruct-quantized.w8a8"), by_name("Qwen/Qwen3-8B-FP8"), by_name("Qwen/Qwen3-8B")
    ('fp8_channel', 'fp8_block', None)
    """
    return next((form for pattern, form in BY_NAME if re.search(pattern, name.lower())), None)


def cache_format(log: Log) -> str:
    """The format of the cache: that of the arithmetic unless the log says another."""
    said = log.get("kv_dtype") or "auto"
    if said.startswith(("fp8", "float8")):
        return "fp8"
    found = PLAIN.get(said, said) if said != "auto" else PLAIN.get(log.get("dtype"), log.get("dtype") or "bf16")
    return found if found in dtypes.BITS else "bf16"


def weights_of(spec: ModelSpec, gpu: Held, dtype: str, divided: bool) -> int:
    """Bytes of the weights on a GPU."""
    if dtype in dtypes.BITS:
        return dtypes.size(gpu.params, dtype)
    return quant.weights(spec, dtype, gpu.weights if divided else None).bytes


def unknown(log: Log) -> str:
    """What is said of weights whose format is not known."""
    return f"how quantization {log.get('quantization')} stores this model is not known: --dtype says the format"
