"""What SGLang logs of its memory when it starts, predicted: the weights, and the pools that they leave."""

from __future__ import annotations

from llmcx.answers.log_formats import cache_format, stored_format, unknown, weights_of
from llmcx.answers.log_said import ROUNDED, Predicted, Said, off, spread_of, tp_of
from llmcx.engines.inference_memory import held
from llmcx.engines.logs import Log
from llmcx.engines.sglang import SGLang
from llmcx.formats import dtypes
from llmcx.model.spec import ModelSpec
from llmcx.parallel.layout import Layout


def predicted(log: Log, spec: ModelSpec, dtype: str | None, memory: int | None) -> Predicted:
    """The weights; the pools that they leave of the share of what was free before them; else the cache of as many tokens as were
    logged.
    """
    layout = Layout(tp=tp_of(log), pp=log.get("pp", 1))
    apart = bool(log.get("dp_attention"))
    engine = SGLang(block=log.get("block", 1), memory=memory)
    terms: dict[str, Said] = {}
    notes = []
    asked, kv = dtype or stored_format(log, spec), dtypes.per_element(cache_format(log))
    if asked is None:
        notes.append(unknown(log))
    elif apart:
        notes.append("weights are not predicted: those of attention are on every GPU of a group that attends for itself")
    else:
        stages = held(spec, 1, 1, layout, engine)
        terms["weights"] = spread_of("weights", max(weights_of(spec, gpu, asked, layout.gpus > 1) for gpu in stages))
    shared = Layout(tp=max(1, layout.tp // log.get("dp", layout.tp)), pp=layout.pp) if apart else layout
    kept = [gpu.paged.kept for gpu in held(spec, 1, 1, shared, engine)]
    cells = [engine.cell(each, kv) for each in kept]
    before, share, pool, count = log.get("before"), log.get("utilization"), pool_of(log), log.get("kv_tokens")
    if before is None and memory is not None:
        before = memory - engine.outside(layout.gpus)
    loaded = terms.get("weights") or (Said(*[log.get("weights")] * 3) if log.get("weights") is not None else None)
    if None not in (before, share, loaded) and log.get("most_tokens") is None:
        assert loaded is not None and loaded.value is not None
        best, by = int(share * before - loaded.value), off(loaded) + ROUNDED
        rooms = [min(engine.room(each, max(0, best + more), kv) for each in kept) for more in (0, -by, by)]
        terms["kv_tokens"] = Said(*(room.tokens for room in rooms))
        terms["state"] = Said(*(max(cell.state for cell in cells) * (room.slots + bool(room.slots)) for room in rooms))
        sizes = [best + more - (terms["state"].value or 0) for more in (0, -by, by)]
        terms["kv_cache"] = Said(*map(int, sizes))
    elif count is not None:
        terms["kv_cache"] = Said(int(max(cell.bytes for cell in cells) * count))
    if pool and count is not None:
        found = min(int(pool / cell.bytes) for cell in cells if cell.bytes)
        by = max(1, round(found * 2 * ROUNDED / pool))
        terms["kv_tokens_of_pool"] = Said(found, found - by, found + by)
    return Predicted(terms, notes)


def pool_of(log: Log) -> int | None:
    """Bytes of the cache that were logged."""
    parts = [log.get(name) for name in ("k_cache", "v_cache", "latent_cache") if log.get(name) is not None]
    size: int | None = log.get("window_pool") or (sum(parts) if parts else log.get("kv_cache"))
    return size
