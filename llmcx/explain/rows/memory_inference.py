"""What inference holds on a GPU: each part by the engine's own rule, run once more on numbers that remember their names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

from llmcx.answers import Line
from llmcx.answers.memory import Memory, Part
from llmcx.costs.kv_cache import cache_fold
from llmcx.engines import Engine
from llmcx.engines.inference_memory import ACT, Held, cache_bytes, held, padded, per_token, roomy, workspace
from llmcx.engines.vllm import VLLM
from llmcx.explain.rows.params import weighed
from llmcx.explain.terms import summed
from llmcx.explain.written import Written, named, plain, told, written
from llmcx.formats import dtypes
from llmcx.model.spec import ModelSpec
from llmcx.parallel.layout import Layout

SHAZEER = "Shazeer 2019, arXiv:1911.02150, sec. 2.4"
STATES = "Choromanski et al. 2020, arXiv:2009.14794, sec. 2.5: a sum of outer products in place of a cache"
_OURS = "llmcx's estimate of the largest transient tensors of one layer"
WORKSPACES = {
    "vllm": "vllm/v1/worker/gpu_model_runner.py, profile_run",
    "sglang": "sglang/srt/arg_groups/memory_hook.py",
    "trtllm": "tensorrt_llm/_torch/pyexecutor/_util.py",
    "llama.cpp": "src/llama-context.cpp, sched_reserve: the peak of the allocator over the largest graph",
}
OVERHEADS = {
    "vllm": "constants of 52 starts of vLLM 0.19 on H100 (tests/oracle/vllm_starts.csv)",
    "sglang": "constants of start-up logs (tests/oracle/sglang_starts.csv)",
    "trtllm": "constants of start-up logs (tests/oracle/trtllm_starts.csv)",
}
_LOGS = "the rows and their errors stand in docs/engines.md; "
INTERVALS = {
    "vllm": _LOGS + "starts that gave no constant: tests/oracle/vllm_starts.csv",
    "sglang": _LOGS + "starts that gave no constant: tests/oracle/sglang_starts.csv",
    "trtllm": _LOGS + "starts that gave no constant: tests/oracle/trtllm_starts.csv",
}
_BOUND = "none: it is what one layer has alive at once, and no engine was asked; --engine names one"


def parts(spec: ModelSpec, asked: dict[str, Any], fixed: dict[str, Any], answer: Memory) -> list[Line]:
    """Each part of the fullest GPU, in order, with the terms that it sums up."""
    layout, dtype = asked["layout"], asked["dtype"]
    engine, kv_dtype = fixed["engine"].caching(fixed["kv_dtype"]), fixed["kv_dtype"]
    more = {"shown": fixed["shown"]} if "shown" in fixed else {}
    gpus = held(spec, asked["batch"], asked["seq"] + (fixed["shown"].tokens if more else 0), layout, engine, **more)
    sizes = {part.part: part.bytes for part in answer.parts}
    gpu = next((one for one in gpus if _is(one, sizes, kv_dtype)), None)
    found: list[Line] = []
    for part in answer.parts:
        if gpu is None:  # split between a GPU and the host's memory
            found.append(Line(part.part, "of what is on the GPU", "", part.bytes, "llmcx memory --fit offload", part.formula))
        elif part.part == "weights":
            mine = gpu.weights if layout.gpus > 1 else None
            found += weighed("weights", spec, dtype, gpu.params, part.bytes, mine, answer.stored if "files" in fixed else None)
        elif part.part in ("kv_cache", "state"):
            found += cache(spec, gpu, part, kv_dtype)
        elif part.part == "logits":
            value = written(asked["batch"], "batch") * written(gpu.gpu.vocab, "vocabulary") * 4
            where = "fp32 logits of the last position of each sequence"
            found.append(Line("logits", *told(value), part.bytes, "as engines sample: in fp32", where))
        elif part.part == "workspace":
            found.append(_workspace(gpu, engine, part))
        else:
            found.append(_overhead(gpu, engine, part, sizes))
    return found


def _is(gpu: Held, sizes: dict[str, int], kv_dtype: str) -> bool:
    """Whether this is the GPU of which the parts are told."""
    kept = {name: size for name, size in sizes.items() if name in ("kv_cache", "state")}
    return (gpu.workspace, gpu.logits, cache_bytes(gpu, kv_dtype)) == (sizes["workspace"], sizes.get("logits", 0), kept)


def cache(spec: ModelSpec, gpu: Held, part: Part, kv_dtype: str) -> Iterator[Line]:
    """What the tokens leave, layer by layer, or page by page."""
    of, kv_bytes = gpu.paged, dtypes.per_element(kv_dtype)
    source = SHAZEER if part.part == "kv_cache" else STATES
    if of.bytes(kv_bytes) is None:
        lines = []
        for name, op, left in roomy(spec, gpu.caches, of.context, of.engine):
            if name == part.part and cache_fold.of(op):
                size = kv_bytes if name == "kv_cache" else of.engine.state_bytes(left)
                value = cache_fold.of(named(op)) * written(int(size) if size == int(size) else size, "bytes")
                title = f"{part.part} of {op.component}" + (f" in {op.group}" if op.group else "")
                lines.append(Line(title, *told(value), plain(value), source, f"bytes: of a number in {kv_dtype}"))
        if len(lines) == 1:
            yield _rounded(lines[0]._replace(component=part.part), part.bytes)
            return
        yield from lines
        yield _rounded(summed(part.part, lines, source, part.formula), part.bytes)
        return
    if isinstance(of.engine, VLLM):
        yield _blocks(gpu, part, kv_bytes)
        return
    kept = tuple(one._replace(layers=written(one.layers, "layers"), ops=tuple(map(named, one.ops))) for one in of.kept)
    batch, context = written(of.batch, "batch"), written(of.context, "tokens")
    pools = of.engine.paged(kept, batch, context, kv_bytes, of.pp) or {}
    yield Line(part.part, *told(pools[part.part]), part.bytes, source, part.formula)


def _rounded(line: Line, size: int) -> Line:
    """A sum of which each term is a whole number of bytes, rounded up at the end where it is not."""
    return line if line.value == size else line._replace(numbers=f"ceil({line.numbers})", value=size)


def _blocks(gpu: Held, part: Part, kv_bytes: float) -> Line:
    """vLLM's pages: blocks of a request, times the bytes of a block, times the requests."""
    of = gpu.paged
    engine: Any = of.engine
    pages = engine.layout(of.kept, kv_bytes)
    ahead = written(engine.in_flight(of.pp), "in_flight")
    blocks = pages.blocks(written(of.context, "tokens"), ahead, written(engine.max_num_batched_tokens, "source"))
    widest = max(pages.groups, key=lambda group: group.size)
    block = sum(written(page.layers, "layers") * written(page.size, "page") for page in widest.pages)
    value = written(of.batch, "batch") * blocks * block
    where = f"page: bytes of a layer's block, in_flight: tokens of steps under way; {part.formula}"
    return Line(part.part, *told(value), part.bytes, "vllm/v1/core/kv_cache_utils.py", where, INTERVALS["vllm"])


def _own(engine: Engine) -> Engine:
    """An engine whose sizes remember their names."""
    made: Any = engine
    values = {field.name: getattr(made, field.name) for field in fields(made) if field.init}
    sizes = {
        name: written(value, name)
        for name, value in values.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }
    return replace(made, **sizes)  # type: ignore[no-any-return]


def _workspace(gpu: Held, engine: Engine, part: Part) -> Line:
    """The activations of the fullest moment, by the engine's rule, or the widest tensors of a layer."""
    seen = gpu.gpu._replace(
        ops=[named(op) for op in gpu.gpu.ops],
        layers=written(gpu.gpu.layers, "layers"),
        d_model=written(gpu.gpu.d_model, "d_model"),
        vocab=written(gpu.gpu.vocab, "vocabulary"),
    )
    source, interval = WORKSPACES.get(engine.name, _OURS), INTERVALS.get(engine.name, _BOUND)
    value: Any = (_own(engine).peak(seen) or workspace(seen.ops, ACT))[0]
    if plain(value) != part.bytes:  # an allocator's peak, which is no formula
        return Line("workspace", "the allocator's peak over one pass", "", part.bytes, source, part.formula)
    return Line("workspace", *told(value), part.bytes, source, part.formula, interval)


def _overhead(gpu: Held, engine: Engine, part: Part, sizes: dict[str, int]) -> Line:
    """What kernels and libraries take, and what a share leaves free."""
    own = _own(engine)
    seen = gpu.gpu._replace(layers=written(gpu.gpu.layers, "layers"))
    outside: Any = own.overhead(seen)[0]
    if not isinstance(outside, Written):
        outside = written(outside, "outside")
    taken = sum(written(sizes[name], name) for name in ("weights", "logits", "workspace") if name in sizes)
    spare: Any = own.spare(taken + outside)
    more = padded(gpu, sizes["weights"])
    what = "whole blocks of experts" if gpu.padding else "kv_up in 16 bits"
    value = outside + spare + (written(more, what) if more else 0)
    source, interval = OVERHEADS.get(engine.name, _OURS), INTERVALS.get(engine.name, "")
    return Line("overhead", *told(value), part.bytes, source, part.formula, interval)


def one_more(spec: ModelSpec, seq: int, kv_dtype: str, layout: Layout, answer: Memory) -> Line:
    """The cache of one more token."""
    value = written(per_token(spec, seq, layout), "elements") * written(dtypes.per_element(kv_dtype), "bytes")
    numbers = f"ceil({value.numbers})" if value and plain(value) != answer.kv_bytes_per_token else told(value)[1]
    where = f"elements that one more token adds, in {kv_dtype}; layers whose window is full add none"
    return Line("kv_bytes_per_token", "elements·bytes", numbers, answer.kv_bytes_per_token, SHAZEER, where)
