"""Which split of a model between a GPU and the host's memory fits both: llama.cpp's -ngl and --n-cpu-moe."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace
from typing import Any

from llmcx.answers.memory import Fit, Memory, Part, memory
from llmcx.engines.llama_cpp import LlamaCpp
from llmcx.engines.llama_offload import Place, Split, placed
from llmcx.errors import InputError
from llmcx.formats import dtypes, quant
from llmcx.model.spec import ModelSpec


def offloaded(
    spec: ModelSpec, budget: int, ram: int | None, asked: dict[str, Any], fixed: dict[str, Any]
) -> tuple[Memory, Split, Place]:
    """As much on the GPU as fits ``budget`` bytes: all; else all but the routed experts of as few layers as possible; else as
    many of the last layers as fit, without their experts. And the split, and what the host's memory holds.

    Raises InputError where the engine has no such split, the output alone does not fit, or the rest exceeds ``ram`` bytes.
    """
    engine = fixed["engine"]
    if not isinstance(engine, LlamaCpp) or asked["layout"].gpus > 1:
        raise InputError("--fit offload is for --engine llama.cpp on one GPU", field="fit", value="offload")
    base = memory(spec, **asked, **fixed, budget=budget)
    engine = engine.caching(fixed["kv_dtype"])
    n, dtype, per_kv = spec.n_layers, asked["dtype"], dtypes.per_element(fixed["kv_dtype"])

    def sized(ops: Any) -> int:
        from llmcx.costs.params import fold

        if dtype in dtypes.BITS:
            return dtypes.size(fold.total(ops), dtype)
        return quant.weights(spec, dtype, [*ops]).bytes

    def priced(split: Split) -> tuple[int, list[Part], Place]:
        gpu, host = placed(spec, split, asked["batch"], asked["seq"], engine, per_kv, sized)
        parts = []
        for part in base.parts:
            if part.part == "weights":
                part = replace(part, bytes=gpu.weights, formula=f"{dtype}, of what is on the GPU ({split.flags})")
            elif part.part in ("kv_cache", "state"):
                part = replace(part, bytes=gpu.kept.get(part.part, 0), formula=f"of layers on the GPU: {part.formula}")
            elif part.part == "workspace" and split != whole:
                copied = host.matrix
                part = replace(
                    part, bytes=part.bytes + copied, formula=f"estimate: {part.formula}, and the largest matrix copied to it"
                )
            parts.append(part)
        return sum(part.bytes for part in parts), parts, host

    whole = Split(n + 1)
    splits = [whole]
    if spec.mixtures:
        splits += [Split(n + 1, moe) for moe in range(1, n + 1)]
    splits += [Split(layers, n if spec.mixtures else 0) for layers in range(n, 0, -1)]
    fits = bisect_left(range(len(splits)), True, key=lambda at: priced(splits[at])[0] <= budget)
    if fits == len(splits):
        least = priced(splits[-1])[0]
        raise InputError(f"not even the output layer fits {budget:,} B: it takes {least:,} B", field="budget", value=budget)
    split = splits[fits]
    total, parts, host = priced(split)
    held = host.weights + sum(host.kept.values())
    if ram is not None and held > ram:
        problem = f"with {split.flags} the host's memory would hold {held:,} B, more than --ram {ram:,} B"
        raise InputError(problem, field="ram", value=ram)
    fit = Fit("offload", split.flags, splits[fits - 1].flags if fits else None, priced(splits[fits - 1])[0] if fits else None)
    made = replace(
        base,
        total_bytes=total,
        parts=parts,
        all_gpus_bytes=total,
        fits=True,
        headroom_bytes=budget - total,
        host_bytes=held,
        host_headroom_bytes=None if ram is None else ram - held,
        fit=fit,
    )
    return made, split, host
