"""How each command's result reads: which numbers stand in the summary, which tables follow."""

from __future__ import annotations

from functools import partial
from typing import Any

from llmcx.report import (
    attention_compare,
    budget,
    chinchilla,
    compare,
    log,
    moe,
    pictures,
    plan_finetune,
    plan_lifetime,
    plan_local,
    plan_serve,
    plan_train,
)
from llmcx.report.estimates import ACCELERATOR, CHECK, HARDWARE, SERVE, TRAIN
from llmcx.report.figure import Bars
from llmcx.report.json import as_rows
from llmcx.report.render import Item, View, title
from llmcx.report.table import Fact, Table, columns_of, facts_of, facts_table


def _params_facts(item: Item) -> list[Fact]:
    r = item.result
    active = "active: active for a token (count) | " if r.active != r.total else ""
    beside = " | mtp: multi-token prediction, apart (count)" if r.mtp else ""
    textbook = " | chapter: textbook: 12 L d² + V d (count)" if item.inputs.get("textbook") else ""
    return facts_of(
        r,
        f"total: total (count) | {active}embedding: embedding (count) | non_embedding: non-embedding (count) | "
        f"bytes: weights in {r.dtype} (size){beside}{textbook}",
    )


def _params_rows(item: Item, rows: list[dict[str, Any]], said: tuple[str, ...] = ("total", "bytes")) -> list[Table]:
    r = item.result
    columns = columns_of("component: component | params: parameters (int) | short: (count 1) | share: share (share)")
    rows = [row | {"short": row["params"]} for row in rows]
    total = {"component": "total", "params": r.total, "short": r.total, "share": 1.0}
    facts = [fact for fact in _params_facts(item) if fact.key not in said]
    return [Table("", columns, rows, total, ("component", "params", "share")), facts_table("", facts)]


def _params_tables(item: Item) -> list[Table]:
    """Components summed up by what they are part of, where each would take more lines than a screen has."""
    from llmcx.explain.grouped import parts

    rows = [
        {"component": name, "params": sum(one.params for one in each), "share": sum(one.share for one in each)}
        for name, each in parts(item.result.components, item.result.stacks).items()
    ]
    return _params_rows(item, rows)


def _params_details(item: Item) -> list[Table]:
    tables = _params_rows(item, as_rows(item.result.components), said=("total",))
    apart = [Fact(one.component, one.component, one.params, "count") for one in item.result.stacks]
    return [*tables, facts_table("", apart)] if apart else tables


PARAMS = View(_params_tables, _params_facts, lambda item: _params_details(item)[0], _params_details)


def _flops_facts(item: Item) -> list[Fact]:
    r = item.result
    totals = {name: getattr(r, name).total for name in ("forward", "backward", "train", "decode", "elementwise")}
    return facts_of(
        r,
        "forward: forward (flops) | backward: backward (flops) | train: training step (flops) | "
        f"per_token: forward per token (flops) | decode: decode step, context {r.decode_context:,} (flops) | "
        "elementwise: elementwise, apart (flops) | crossover: attention = the layers' matrices at n (int) | "
        "crossover_with_head: attention = all matrices, head included, at n (int)",
        **totals,
        crossover=r.crossover.layers,
        crossover_with_head=r.crossover.with_head,
    )


def _flops_tables(item: Item, detail: bool = False) -> list[Table]:
    r = item.result
    units = {"flops": "FLOPs", "eager": "FLOPs", "macs": "MACs"}
    unit = units.get(item.inputs.get("convention", "flops"), "operations (leading order)")
    columns = columns_of(f"component: component | flops: forward {unit} (int) | short: (flops 1) | share: share (share)")
    rows = [row | {"short": row["flops"]} for row in as_rows(r.forward.components)]
    total = {"component": "forward total", "flops": r.forward.total, "short": r.forward.total, "share": 1.0}
    keys = ("component", "flops", "share")
    tables = [Table("", columns, rows, total, keys), facts_table("", _flops_facts(item)[1:])]
    if detail and len(r.groups) > 3:
        columns = columns_of(f"component: layer group | flops: {unit} (int) | share: share (share)")
        tables.append(Table("By layer group", columns, as_rows(r.groups)))
    if item.inputs.get("textbook"):
        columns = columns_of("rule: rule of thumb | value: gives (flops) | exact: exact (flops) | error: error (share)")
        tables.append(Table("Rules of thumb beside the exact count (FLOPs)", columns, as_rows(r.approximations)))
    return tables


FLOPS = View(_flops_tables, _flops_facts, details=partial(_flops_tables, detail=True))


def _memory_facts(item: Item) -> list[Fact]:
    r = item.result
    total = "total" if r.gpus == 1 else f"per GPU (size) | all_gpus_bytes: all {r.gpus} GPUs"
    facts = facts_of(r, f"total_bytes: {total} (size)")
    if r.fit is not None:
        f = r.fit
        what = {"gpus": "fewest GPUs", "dtype": "most precise dtype"}.get(f.what, f"largest {f.what}")
        facts.append(Fact("fit", what, f.value))
        if f.next is not None:
            facts += facts_of(f, f"next_bytes: but {f.what} {f.next} would take (size)")
    if r.budget_bytes is not None:
        facts += facts_of(r, "fits: fits | headroom_bytes: to spare (bytes)")
    if item.inputs["train"] and r.host_bytes is not None:
        facts += facts_of(r, "host_bytes: in the host's memory, for each GPU (size)")
    if not item.inputs["train"]:
        each = "" if r.gpus == 1 else ", each GPU"
        facts += facts_of(r, f"kv_bytes_per_token: KV cache per token{each} (size)")
    if r.stored is not None:
        facts += facts_of(r.stored, "bits_per_weight: bits per weight (float)")
    return facts


def _memory_tables(item: Item, detail: bool = False) -> list[Table | Bars]:
    r = item.result
    formula = " | formula: formula (text)" if detail else ""
    columns = columns_of(f"part: part | bytes: bytes (int) | short: (size) | share: share (share){formula}")
    total = max(r.total_bytes, 1)
    rows = [row | {"short": row["bytes"], "share": row["bytes"] / total} for row in as_rows(r.parts)]
    last = {"part": "total", "bytes": r.total_bytes, "short": r.total_bytes, "share": 1.0, "formula": ""}
    keys = ("part", "bytes", "share", "formula")
    said = ("total_bytes", "fits", "headroom_bytes", "fit", "next_bytes")  # by the verdict
    facts = [fact for fact in _memory_facts(item) if fact.key not in said]
    tables: list[Table | Bars] = [
        Table("", columns, rows, last, keys),
        facts_table(r.heaviest or (f"at its fullest in {r.peak}" if r.peak else ""), facts),
    ]
    if r.phases:
        columns = columns_of("phase: phase | bytes: bytes (int) | short: (size)")
        tables.append(Table("", columns, [{"phase": name, "bytes": size, "short": size} for name, size in r.phases.items()]))
    if detail:
        tables.append(pictures.memory([item])[0]._replace(title=""))
        if r.stored is not None:
            columns = columns_of("dtype: weights as | elements: elements (int) | bytes: bytes (size)")
            tables.append(Table("", columns, [{"dtype": name, **row} for name, row in r.stored.by_dtype.items()]))
    if item.inputs.get("textbook"):
        chapter = facts_of(
            r.chapter, "activation_bytes: L·b·n·d (size) | score_bytes: L·b·H·n² (size) | total_bytes: together (size)"
        )
        tables.append(facts_table("Activations at the textbook's leading order", chapter))
    if r.checkpointing is not None:
        p = r.checkpointing
        facts = facts_of(
            p,
            f"checkpoints: checkpoints, one every {p.every} layers (int) | checkpoint_bytes: stored inputs (size) | "
            "segment_bytes: one segment, recomputed (size) | best_every: least memory with one every (int) | "
            "best_bytes: which takes (size) | train_factor: training FLOPs of the layers (factor)",
        )
        tables.append(facts_table("Gradient checkpointing", facts))
    return tables


def _memory_data(item: Item) -> Table:
    """For a CSV: the parts with their formulas."""
    first = _memory_tables(item, detail=True)[0]
    assert isinstance(first, Table)
    return first


MEMORY = View(_memory_tables, _memory_facts, _memory_data, partial(_memory_tables, detail=True))


def _presets_tables(item: Item) -> list[Table]:
    """Fits 80 columns; the active size stands where it differs."""
    columns = columns_of(
        "name: preset | family: family (text 2) | short: total (count) | sparse: active (count 3) | "
        "context: context (length 1) | year: year (text 4) | total: parameters (int 5) | title: title (text 6)"
    )
    rows = [
        row | {"short": row["total"], "sparse": row["active"] if row["active"] != row["total"] else None} for row in item.result
    ]
    keys = ("name", "family", "total", "active", "published", "context", "year", "title")
    return [Table("", columns, rows, keys=keys)]


PRESETS = View(_presets_tables)


def _preset_tables(item: Item) -> list[Table]:
    rows = [{"key": key, "value": value} for key, value in item.result.items()]
    return [Table(title(item), columns_of("key: key | value: value"), rows)]


PRESET = View(_preset_tables)


def _bounds_tables(item: Item) -> list[Table]:
    gap = item.result.generalization
    facts = facts_of(
        gap,
        f"bound: sqrt(P log n / n), log to base {gap.base} (float) | vacuous: vacuous (at least 1) | "
        "enough: examples that bring it below 1 (count)",
    )
    pairs = columns_of("seq: n (int) | pairs: pairs n² (int) | causal_pairs: under a causal mask (int)")
    hops = columns_of("pattern: pattern | seq: n (int) | hops: hops (int) | causal: causal (int)")
    certified = columns_of(
        "kind: certificate, with probability 1 - delta | complexity: nats or bits (power) | gap: gap (float) | vacuous: vacuous"
    )
    return [
        facts_table("Generalisation", facts),
        Table("Test error over training error, at most", certified, as_rows(item.result.certificates)),
        Table("All pairs", pairs, as_rows(item.result.all_pairs)),
        Table("Layers until every token can reach every other", hops, as_rows(item.result.hops)),
    ]


BOUNDS = View(_bounds_tables)


def _shapes_tables(item: Item) -> list[Table]:
    columns = columns_of(
        "n_layers: layers (int) | d_model: d_model (int) | aspect_ratio: d/L (float) | params: parameters (count) | "
        "relative: off by (share 5) | train_flops: train FLOPs (flops 4) | kv_bytes_per_token: KV/token (bytes 1) | "
        "tensor_parallel: TP (int 2) | tile: tile (int 3) | depth: depth | forward_flops: forward (flops 6) | "
        "train_state_bytes: train state (bytes 7) | activation_bytes: activations (bytes 8)"
    )
    reference = [*columns_of("name: published"), *(column for column in columns if column.key != "relative")]
    equal = "FLOPs" if "flops" in item.inputs else "parameters"
    return [
        Table(f"Shapes of equal {equal}", columns, as_rows(item.result.shapes)),
        Table("For reference", reference, as_rows(item.result.references)),
    ]


SHAPES = View(_shapes_tables)


def _stored_tables(item: Item) -> list[Table]:
    stored = item.result["stored"]
    rows = [{"dtype": name, **row} for name, row in sorted(stored.by_dtype.items())]
    columns = columns_of("dtype: stored as | elements: elements (int) | bytes: bytes (size)")
    total = {"dtype": "total", "elements": stored.elements, "bytes": stored.bytes}
    facts = facts_of(stored, f"tensors: tensors in {stored.files} files (int)")
    if item.result["counted"] is not None:
        facts += facts_of(None, "counted: parameters of the model (count) | difference: stored beyond them (int)", **item.result)
    return [Table(title(item), columns, rows, total), facts_table("", facts)]


STORED = View(_stored_tables)


VIEWS = {
    "params": PARAMS,
    "flops": FLOPS,
    "memory": MEMORY,
    "attention-compare": attention_compare.VIEW,
    "compare": compare.VIEW,
    "explain-log": log.VIEW,
    "check": CHECK,
    "budget": budget.VIEW,
    "moe": moe.VIEW,
    "chinchilla": chinchilla.VIEW,
    "chinchilla-fit": chinchilla.FIT,
    "bounds": BOUNDS,
    "shapes": SHAPES,
    "presets": PRESETS,
    "preset": PRESET,
    "stored": STORED,
    "train": TRAIN,
    "serve": SERVE,
    "plan": plan_serve.VIEW,
    "plan-local": plan_local.VIEW,
    "plan-lifetime": plan_lifetime.VIEW,
    "plan-train": plan_train.VIEW,
    "plan-finetune": plan_finetune.VIEW,
    "hardware": HARDWARE,
    "accelerator": ACCELERATOR,
}
"""By command, or by the name that a command asks for."""
