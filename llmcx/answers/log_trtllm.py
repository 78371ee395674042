"""What TensorRT-LLM logs of its cache when it starts, predicted: the share of what was free, in blocks of tokens."""

from __future__ import annotations

from llmcx.answers.log_said import GIB, ROUNDED, Predicted, Said
from llmcx.engines.inference_memory import held
from llmcx.engines.logs import Log
from llmcx.engines.trtllm import TensorRTLLM
from llmcx.formats import dtypes
from llmcx.model.spec import ModelSpec
from llmcx.parallel.layout import Layout, check

USUAL = 0.9
"""The share of what is free where the log does not say it."""
FORMATS = ("bf16", "fp8")
"""Of the cache, where the log does not say which: the one whose tokens have as many bytes."""


def predicted(log: Log, spec: ModelSpec, dtype: str | None, memory: int | None) -> Predicted:
    """The weights in ``dtype``; the cache, of what the log says was free; its tokens, by what a token takes in all layers."""
    layout = Layout(tp=log.get("tp", 1))
    check(spec, layout)
    block = log.get("block", 32)
    engine = TensorRTLLM(block=block, max_num_batched_tokens=log.get("max_num_batched_tokens", 8192))
    seq = log.get("seq") or spec.context or 8192
    [gpu] = held(spec, 1, seq, layout, engine)
    terms: dict[str, Said] = {}
    notes: list[str] = []
    if dtype is not None:
        size = dtypes.size(gpu.params, dtype) if dtype in dtypes.BITS else None
        if size is None:
            notes.append(f"weights in {dtype} are not predicted of TensorRT-LLM")
        else:
            terms["weights"] = Said(size, int(0.97 * size), int(1.03 * size))
    else:
        notes.append("the log does not say the format of the weights: --dtype says it")
    tokens, pool = log.get("kv_tokens"), log.get("kv_pool")
    each = {form: sum(engine.windows(gpu.paged.kept, 2**40, dtypes.per_element(form)).values()) for form in FORMATS}
    logged = log.get("token_bytes") or (pool / tokens if pool and tokens else None)
    form = "fp8" if str(log.get("kv_dtype") or "").lower().startswith("fp8") else "bf16"
    if log.get("kv_dtype") is None and logged:
        form = min(FORMATS, key=lambda name: abs(each[name] - logged))
        notes.append(f"the log does not say the format of the cache: by the bytes of a token it is {form}")
    token = each[form]
    share = log.get("utilization", USUAL)
    free = log.get("available")
    if free is None and log.get("taken") is not None and log.get("memory") is not None:
        free = log.get("memory") - log.get("taken") + log.get("temporary", 0)
    if free is not None:
        by = round(share * 3 * ROUNDED)
        best = round(share * free)
        terms["kv_cache"] = Said(best, best - by, best + by)
        terms["kv_tokens"] = Said(*(max(0, (best + more) // token) for more in (0, -by, by)))
        terms["blocks"] = Said(*(max(0, (best + more) // token // block) for more in (0, -by, by)))
        if log.get("utilization") is None:
            notes.append(f"the log does not say the share of what was free; the usual {USUAL:g} is taken")
    if pool and tokens:
        found = pool // token
        by = max(1, round(found * ROUNDED / max(pool, GIB // 100)))
        terms["kv_tokens_of_pool"] = Said(found, found - by, found + by)
    return Predicted(terms, notes)
