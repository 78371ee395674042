"""A launch line: each part of the memory, what the rest holds, how many users, and the times of those that are shown."""

from __future__ import annotations

from dataclasses import replace

from llmcx.answers import Line
from llmcx.answers.check import Check
from llmcx.answers.launched import Asked, holding, served
from llmcx.answers.load import Load
from llmcx.engines.serving_time import Server
from llmcx.explain.rows import memory_inference
from llmcx.explain.rows.serve import point
from llmcx.model.spec import ModelSpec

MORE = {
    "draft": "sglang/srt/models/glm4_moe_nextn.py, vllm/model_executor/models/deepseek_mtp.py",
    "adapters": "vllm/lora/layers, create_lora_weights",
    "host": "vllm/model_executor/offloader/uva.py",
    "beside": "vllm/v1/worker/gpu_worker.py, determine_available_memory, compile_or_warm_up_model",
}
"""What a line may hold beside the model, and where that is said."""


def rows(
    spec: ModelSpec, asked: Asked, server: Server | None, load: Load, usd_per_hour: float | None, answer: Check
) -> list[Line]:
    """The formulas of an answer to a line that asked for so much."""
    inputs, fixed = asked.inputs()
    found = holding(spec, asked, answer.budget_bytes)
    own = replace(found, parts=[part for part in found.parts if part.part not in MORE])
    lines = memory_inference.parts(served(spec, asked), inputs, fixed, own)
    sizes = {part.part: part.bytes for part in answer.parts}
    if len(sizes) == 1:  # nothing but what is loaded
        numbers = f"2·{sizes['weights'] // 2:,}"
        lines = [Line("weights", "bytes·parameters of the fullest GPU", numbers, sizes["weights"], answer.parts[0].formula)]
    if "beside" in sizes:
        rest = found.total_bytes - next(part.bytes for part in own.parts if part.part == "kv_cache")
        numbers = f"{answer.total_bytes - sizes['beside']:,} - {rest:,}"
        lines = [line for line in lines if line.component != "kv_cache"]
        lines.append(Line("kv_cache", "share of the memory - the rest", numbers, sizes["kv_cache"], "all that is left"))
    for part in answer.parts:
        if part.part in MORE:
            lines.append(Line(part.part, part.formula, f"{part.bytes:,}", part.bytes, MORE[part.part]))
    total, budget, kept = (
        answer.total_bytes,
        answer.budget_bytes,
        sum(part.bytes for part in answer.parts if part.part in ("kv_cache", "state")),
    )
    each = " + ".join(f"{part.bytes:,}" for part in answer.parts)
    names = " + ".join(part.part for part in answer.parts)
    pool = f"{budget:,} - {total:,} + {kept:,}" if answer.cache_bytes != kept else f"{kept:,}"
    lines += [
        Line("total_bytes", names, each, total, "the fullest GPU"),
        Line("budget_bytes", "memory of the accelerator · utilization", f"{budget:,}", budget, "the engine's share of it"),
        Line("headroom_bytes", "budget - total", f"{budget:,} - {total:,}", answer.headroom_bytes, "fits where it is 0 or more"),
        Line("cache_bytes", "budget - total + the cache in it", pool, answer.cache_bytes, "what the engine has for cache"),
    ]
    if kept:
        asks = sum(part.bytes for part in own.parts if part.part in ("kv_cache", "state"))
        numbers = f"floor({answer.cache_bytes:,}·{asked.seq:,}·{asked.batch:,} / {asks:,})"
        formula = "floor(cache·tokens of the sequences in it / their bytes)"
        lines.append(Line("cache_tokens", formula, numbers, answer.cache_tokens, "as many as fit what the engine has"))
    if answer.users and answer.cache_bytes != kept:
        fits, over = (holding(spec, replace(asked, batch=n)).total_bytes for n in (answer.users, answer.users + 1))
        numbers = f"{answer.users:,}: {fits:,} <= {budget:,}" + (f"; {over:,} > {budget:,}" if over > budget else "")
        formula = "most sequences with total <= budget"
        lines.append(Line("users", formula, numbers, answer.users, "llmcx memory --fit batch", f"of {answer.seq:,} tokens each"))
    elif not answer.fits:
        lines.append(Line("users", "none, where total > budget", f"0: {total:,} > {budget:,}", 0, "llmcx memory --fit batch"))
    elif answer.users:
        lines.append(Line("users", "sequences of the cache", f"{answer.users:,}", answer.users, "the line's own, -np"))
    if server is not None:
        for one in answer.estimate:
            lines += point("estimate", server, load, one, usd_per_hour, answer.places)
    return lines
