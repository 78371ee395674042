"""What vLLM logs of its memory when it starts, predicted: as the line of versions that the log is of holds it."""

from __future__ import annotations

from typing import Any

from llmcx.answers.log_formats import cache_format, stored_format, unknown, weights_of
from llmcx.answers.log_said import GIB, OTHERS, ROUNDED, SPREAD, Predicted, Said, off, spread_of, tp_of
from llmcx.engines.inference_memory import held, padded
from llmcx.engines.logs import Log
from llmcx.engines.vllm import VLLM, defaults
from llmcx.engines.vllm_lines import LINES, NEWEST
from llmcx.engines.vllm_lines import read as version_in
from llmcx.errors import InputError
from llmcx.formats import dtypes
from llmcx.model.spec import ModelSpec
from llmcx.parallel.layout import Layout, check

HOSTED = 40 * GIB
"""Memory of an accelerator up to which it is taken to have no links of its own, where the log does not say."""


def version_of(log: Log) -> tuple[str, list[str]]:
    """The version of vLLM as which a start is predicted, and what is to be said of that.

    >>> version_of(Log("vllm", {"version": "0.10.2.dev378+g4d7fe40fc"}))
    ('0.10', [])
    >>> version_of(Log("vllm", {"version": "0.8.5", "first_engine": True}))
    ('0.7', ['the log is of vLLM 0.8.5 with its first engine (V0), predicted as that of 0.7'])
    """
    said = log.get("version")
    number = version_in(said or "")
    oldest, newest = LINES[0], LINES[-1]
    first = ".".join(map(str, oldest.first))
    if log.get("first_engine") and (number is None or number > oldest.last):
        of = f"the log is of vLLM{f' {said}' if said else ''} with its first engine (V0)"
        return first, [f"{of}, predicted as that of {first}"]
    if number is None:
        return NEWEST, [f"the log does not say its version of vLLM; predicted as {NEWEST}"]
    if number < oldest.first:
        return first, [f"predicted as vLLM {first} holds it; the log is of {said}, which measured in another way"]
    if number > newest.last:
        return NEWEST, [f"predicted as vLLM {NEWEST} holds it; the log is of {said}, which is newer"]
    return f"{number[0]}.{number[1]}", []


def aside(log: Log) -> bool:
    """Whether CUDA graphs are set aside before the cache is sized."""
    return bool(log.get("graphs_aside")) or VLLM(version=version_of(log)[0]).line.aside


def predicted(log: Log, spec: ModelSpec, dtype: str | None, memory: int | None) -> Predicted:
    """Weights, activation peak, what is outside of torch and CUDA graphs are those of the GPU that has most of them; the cache is
    what they leave of the share of the memory on the GPU that has least left, in blocks as vLLM lays them out.
    """
    layout = Layout(tp=tp_of(log), pp=log.get("pp", 1))
    check(spec, layout)
    notes = []
    memory = log.get("memory") or memory
    version, about = version_of(log)
    usual = defaults(memory or 80 * GIB, version=version)
    steps: dict[str, Any] = {name: log.get(name, usual[name]) for name in usual}
    hosted = bool(log.get("hosted")) or (memory or 80 * GIB) <= HOSTED
    engine = VLLM(log.get("block", 16), **steps, version=version, hosted=hosted)
    notes += about
    if not about and version != NEWEST:
        notes += engine.notes()
    spread = SPREAD if engine.line.buffers and not hosted else OTHERS
    seq = log.get("seq") or log.get("at_length") or spec.context or 8192
    stages = held(spec, 1, seq, layout, engine)
    asked = dtype or stored_format(log, spec)
    weights: list[int | None] = [None] * len(stages)
    if asked is None:
        notes.append(unknown(log))
    else:
        try:
            sizes = [weights_of(spec, gpu, asked, layout.gpus > 1) for gpu in stages]
            weights = [size + padded(gpu, size) for gpu, size in zip(stages, sizes, strict=True)]
        except InputError as error:
            notes.append(f"weights are not predicted: {error.message}")
    terms: dict[str, Said] = {}
    known = [size for size in weights if size is not None]
    if known:
        terms["weights"] = spread_of("weights", max(known))
    outside = engine.outside(layout.tp, layout.pp)
    graphs = [0 if log.get("eager") else engine.graphs(gpu.gpu) for gpu in stages]
    terms["workspace"] = spread_of("workspace", max(gpu.workspace for gpu in stages), spread)
    terms["outside"] = spread_of("outside", outside, spread)
    terms["graphs"] = spread_of("graphs", max(graphs))
    kv = cache_format(log)
    each = [gpu.paged.engine for gpu in stages]
    assert all(one is engine for one in each)
    pages = [engine.layout(gpu.paged.kept, dtypes.per_element(kv)) for gpu in stages]

    def tokens(pools: list[int]) -> tuple[int, int, float] | None:
        """Blocks, tokens and requests of the longest length, on the GPU that has the fewest blocks."""
        blocks = min((pool // page.block_bytes for pool, page in zip(pools, pages, strict=True) if page.block_bytes), default=0)
        return capacity(blocks) if blocks > 0 else None

    def capacity(blocks: int) -> tuple[int, int, float]:
        """And of so many blocks."""
        each = [engine.capacity(page, blocks, seq, layout.pp) for page in pages]
        return blocks, min(tokens for tokens, _ in each), round(min(requests for _, requests in each), 2)

    pool = log.get("kv_cache")
    if pool is not None and pool > 0 and (found := tokens([pool] * len(stages))) is not None:
        by = max(1, round(found[1] * ROUNDED / pool))
        terms["kv_tokens_of_pool"] = Said(found[1], found[1] - by, found[1] + by)
    share = log.get("utilization", engine.utilization)
    if memory is None:
        notes.append("the log does not say how much memory a GPU has, so the pool is not predicted: --hardware says it")
        if (blocks := log.get("blocks")) is not None:
            _, count, requests = capacity(blocks)
            terms |= {"kv_tokens": Said(count), "concurrency": Said(requests)}
        return Predicted(terms, notes)
    set_aside = aside(log)
    used = log.get("requested") or int(share * memory)
    if not known and log.get("weights") is None:
        return Predicted(terms, notes)
    if not known:
        notes.append("the pool is predicted with the weights that were logged")
    pools = [
        used - (log.get("weights") if size is None else size) - gpu.workspace - outside - (graph if set_aside else 0)
        for size, gpu, graph in zip(weights, stages, graphs, strict=True)
    ]
    by = sum(
        off(terms[name]) for name in ("weights", "workspace", "outside", *(("graphs",) if set_aside else ())) if name in terms
    )
    best = min(pools)
    terms["kv_cache"] = Said(best, best - by, best + by)
    ends = [tokens([max(0, pool + more) for pool in pools]) for more in (0, -by, by)]
    for i, name in enumerate(("blocks", "kv_tokens", "concurrency")):
        if ends[0] is not None:
            terms[name] = Said(*(0 if end is None else end[i] for end in ends))
    if log.get("utilization") is None and log.get("requested") is None:
        notes.append(f"the log does not say the share of the memory; vLLM's usual {share:.2f} is taken")
    return Predicted(terms, notes)
