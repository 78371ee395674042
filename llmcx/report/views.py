"""How each command's result reads: which numbers stand in the summary, which tables follow."""

from __future__ import annotations

from typing import Any

from . import attention, laws
from .bars import bar, legend
from .estimates import ACCELERATOR, HARDWARE, SERVE, TRAIN
from .render import Item, View, plain
from .table import Column, Fact, Table, facts_table

SHARE = Column("share", "share", "share")


def _title(item: Item) -> str:
    model = item.model or {}
    return str(model.get("title") or model.get("name") or "")


def _rows(values: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = plain(values)
    return rows


# --- params ---------------------------------------------------------------------------------------------------------


def _params_facts(item: Item) -> list[Fact]:
    r = item.result
    facts = [Fact("total", "total", r.total, "count")]
    if r.active != r.total:
        facts.append(Fact("active", "active per token", r.active, "count"))
    return [
        *facts,
        Fact("embedding", "embedding", r.embedding, "count"),
        Fact("non_embedding", "non-embedding", r.non_embedding, "count"),
        Fact("bytes", f"weights in {r.dtype}", r.bytes, "size"),
        Fact("chapter", "12 L d² + V d", r.chapter, "count"),
    ]


def _params_tables(item: Item) -> list[Table]:
    r = item.result
    columns = [Column("component", "component"), Column("params", "parameters", "int"), Column("short", "", "count", 1), SHARE]
    rows = [row | {"short": row["params"]} for row in _rows(r.components)]
    total = {"component": "total", "params": r.total, "short": r.total, "share": 1.0}
    facts = [fact for fact in _params_facts(item) if fact.key != "total"]
    return [Table(_title(item), columns[:2] + columns[2:], rows, total), facts_table("", facts)]


PARAMS = View(_params_facts, _params_tables)


# --- flops ----------------------------------------------------------------------------------------------------------


def _flops_facts(item: Item) -> list[Fact]:
    r = item.result
    return [
        Fact("forward", "forward", r.forward.total, "flops"),
        Fact("backward", "backward", r.backward.total, "flops"),
        Fact("train", "training step", r.train.total, "flops"),
        Fact("per_token", "forward per token", r.per_token, "flops"),
        Fact("decode", f"decode step, context {r.decode_context:,}", r.decode.total, "flops"),
        Fact("elementwise", "elementwise, apart", r.elementwise.total, "flops"),
        Fact("crossover", "attention = linear at n", r.crossover.layers, "int"),
    ]


def _flops_tables(item: Item) -> list[Table]:
    r = item.result
    unit = {"flops": "FLOPs", "macs": "MACs"}.get(item.inputs.get("convention", "flops"), "operations (leading order)")
    columns = [
        Column("component", "component"),
        Column("flops", f"forward {unit}", "int"),
        Column("short", "", "flops", 1),
        SHARE,
    ]
    rows = [row | {"short": row["flops"]} for row in _rows(r.forward.components)]
    total = {"component": "forward total", "flops": r.forward.total, "short": r.forward.total, "share": 1.0}
    shape = f"batch {item.inputs['batch']}, seq {item.inputs['seq']:,}"
    tables = [Table(f"{_title(item)} · {shape}", columns, rows, total), facts_table("", _flops_facts(item)[1:])]
    if len(r.groups) > 3:
        columns = [Column("component", "layer group"), Column("flops", unit, "int"), SHARE]
        tables.append(Table("By layer group", columns, _rows(r.groups)))
    columns = [
        Column("rule", "rule of thumb"),
        Column("value", "says", "flops"),
        Column("exact", "exact", "flops"),
        Column("error", "error", "share"),
    ]
    return [*tables, Table("Rules of thumb beside the exact count (FLOPs)", columns, _rows(r.approximations))]


FLOPS = View(_flops_facts, _flops_tables)


# --- memory ---------------------------------------------------------------------------------------------------------


def _memory_facts(item: Item) -> list[Fact]:
    r = item.result
    facts = [Fact("total_bytes", "total" if r.gpus == 1 else "per GPU", r.total_bytes, "size")]
    if r.gpus > 1:
        facts.append(Fact("all_gpus_bytes", f"all {r.gpus} GPUs", r.all_gpus_bytes, "size"))
    facts.append(Fact("kv_bytes_per_token", "KV cache per token", r.kv_bytes_per_token, "size"))
    if r.stored is not None:
        facts.append(Fact("bits_per_weight", "bits per weight", r.stored.bits_per_weight, "float"))
    if r.fit is not None:
        f = r.fit
        facts.append(
            Fact("fit", {"gpus": "fewest GPUs", "dtype": "most precise dtype"}.get(f.what, f"largest {f.what}"), f.value)
        )
        if f.next is not None:
            facts.append(Fact("next_bytes", f"but {f.what} {f.next} would take", f.next_bytes, "size"))
    if r.budget_bytes is not None:
        over = "" if r.fits else " (over budget)"
        facts += [Fact("fits", "fits the budget", r.fits), Fact("headroom_bytes", f"headroom{over}", r.headroom_bytes, "size")]
    return facts


def _memory_tables(item: Item) -> list[Table]:
    r = item.result
    columns = [Column("part", "part"), Column("bytes", "bytes", "int"), Column("short", "", "size", 1)]
    columns += [Column("share", "share", "share"), Column("formula", "formula", "text", 2)]
    total = max(r.total_bytes, 1)
    rows = [row | {"short": row["bytes"], "share": row["bytes"] / total} for row in _rows(r.parts)]
    last = {"part": "total", "bytes": r.total_bytes, "short": r.total_bytes, "share": 1.0, "formula": ""}
    tables = [Table(_title(item), columns, rows, last), facts_table("", _memory_facts(item)[1:])]
    tables.append(_picture(r))
    if r.stored is not None:
        columns = [Column("dtype", "weights as"), Column("elements", "elements", "int"), Column("bytes", "bytes", "size")]
        tables.append(Table("", columns, [{"dtype": name, **row} for name, row in r.stored.by_dtype.items()]))
    if item.inputs.get("train"):
        c = r.chapter
        facts = [
            Fact("activation_bytes", "L·b·n·d", c.activation_bytes, "size"),
            Fact("score_bytes", "L·b·H·n²", c.score_bytes, "size"),
            Fact("total_bytes", "together", c.total_bytes, "size"),
        ]
        tables.append(facts_table("Activations at the chapter's leading order", facts))
    if r.checkpointing is not None:
        p = r.checkpointing
        facts = [
            Fact("checkpoints", f"checkpoints, one every {p.every} layers", p.checkpoints, "int"),
            Fact("checkpoint_bytes", "stored inputs", p.checkpoint_bytes, "size"),
            Fact("segment_bytes", "one segment, recomputed", p.segment_bytes, "size"),
            Fact("best_every", "least memory with one every", p.best_every, "int"),
            Fact("best_bytes", "which takes", p.best_bytes, "size"),
            Fact("train_factor", "training FLOPs of the layers", p.train_factor, "factor"),
        ]
        tables.append(facts_table("Gradient checkpointing", facts))
    return tables


def _picture(r: Any) -> Table:
    """One bar per GPU (of each pipeline stage) against the budget."""
    columns = [Column("stage", "stage", "int"), Column("layers", "layers", "int", 3), Column("in_flight", "in flight", "int", 4)]
    columns = [*columns, Column("total_bytes", "each GPU", "bytes")] if len(r.ranks) > 1 else []
    stages = r.ranks or [r]
    most = max(max(rank.total_bytes for rank in stages), r.budget_bytes or 0, 1)
    rows = []
    for rank in stages:
        held = {part.part: part.bytes for part in rank.parts}
        rows.append({**vars(rank), "bar": bar(held, most, r.budget_bytes)})
    title = legend({part.part: part.bytes for rank in stages for part in rank.parts})
    title += " · | is the budget" if r.budget_bytes else ""
    return Table(f"{r.heaviest}\n{title}" if r.heaviest else title, [*columns, Column("bar", "")], rows)


MEMORY = View(_memory_facts, _memory_tables)


# --- attention-compare ----------------------------------------------------------------------------------------------


def _compare_tables(item: Item) -> list[Table]:
    return attention.tables(item, _title(item))


COMPARE = View(attention.facts, _compare_tables, attention.every_row)


# --- moe ------------------------------------------------------------------------------------------------------------


def _moe_facts(item: Item) -> list[Fact]:
    r = item.result
    return [
        Fact("total", "total", r.total, "count"),
        Fact("active", "active per token", r.active, "count"),
        Fact("expert", "routed experts", r.expert, "count"),
        Fact("shared", "shared experts", r.shared, "count"),
        Fact("router", "routers", r.router, "count"),
        Fact("flops_per_token", "forward FLOPs per token", r.flops_per_token, "flops"),
        Fact("all_to_all_bytes", "all-to-all per forward pass", r.all_to_all_bytes, "size"),
    ]


def _moe_tables(item: Item) -> list[Table]:
    r = item.result
    experts = f"{r.n_experts} experts, top-{r.top_k}, in {r.moe_layers} layers"
    facts = [
        *_moe_facts(item),
        Fact("all_to_all_bytes_per_layer", "all-to-all per layer", r.all_to_all_bytes_per_layer, "size"),
        Fact("router_flops_per_token", "router FLOPs per token", r.router_flops_per_token, "flops"),
        Fact("expert_active_fraction", "share of the experts active", r.expert_active_fraction, "share"),
        Fact("sparsity", "sparsity, experts over top-k", r.sparsity, "float"),
        Fact("granularity", "granularity, 4 d over an expert's width", r.granularity, "float"),
        Fact("granularity_active", "granularity, active width over an expert's", r.granularity_active, "float"),
    ]
    tables = [facts_table(f"{_title(item)} · {experts}", facts)]
    if r.capacity is not None:
        c = r.capacity
        facts = [
            Fact("tokens", "tokens in the batch", c.tokens, "int"),
            Fact("per_expert", f"capacity of one expert (factor {c.factor:g})", c.per_expert, "int"),
            Fact("dropped_uniform", "expected dropped, uniform routing", c.dropped_uniform, "share"),
        ]
        if r.touched.imbalance != 1:
            facts.append(Fact("dropped", f"expected dropped, imbalance {r.touched.imbalance:g}", c.dropped, "share"))
        tables.append(facts_table("Capacity", facts))
    columns = [
        Column("what", "dense model with"),
        Column("d_ff", "d_ff", "int"),
        Column("params", "parameters", "count"),
        Column("flops_per_token", "FLOPs/token", "flops"),
        Column("moe_over_dense", "MoE FLOPs", "factor"),
    ]
    d = r.dense_equivalent
    rows = [
        {"what": "the same active parameters", **plain(d.same_active)},
        {"what": "the same total parameters", **plain(d.same_total)},
        {"what": "the same FLOPs", **plain(d.same_flops)},
    ]
    return [*tables, *_moe_routing(r), Table("Beside dense models of the same layers", columns, rows)]


def _moe_routing(r: Any) -> list[Table]:
    """Experts met, the simulation, and expert parallelism, where asked for."""
    t, s, p = r.touched, r.simulated, r.expert_parallel
    routing = "uniform routing" if t.imbalance == 1 else f"imbalance {t.imbalance:g}"
    facts = [
        Fact("distinct_experts", f"by {t.tokens:,} tokens", t.distinct_experts, "float"),
        Fact("decode_distinct_experts", f"by a decode step of batch {t.decode_tokens:,}", t.decode_distinct_experts, "float"),
        Fact("decode_expert_bytes", "expert weights that step reads", t.decode_expert_bytes, "size"),
    ]
    tables = [facts_table(f"Experts of a layer expected to be met, of {r.n_experts:,}, {routing}", facts)]
    if s is not None:
        facts = [
            Fact("distinct_experts", "experts met", s.distinct_experts, "float"),
            Fact("hottest", "hottest expert over the mean", s.hottest, "factor"),
            Fact("dropped", "dropped", s.dropped, "share"),
            Fact("dropped_error", "its standard error", s.dropped_error, "share"),
        ]
        tables.append(facts_table(f"Simulated, mean of {s.trials:,}, seed {s.seed}", facts))
    if p is not None:
        held = (
            f"{p.experts_per_rank:,}"
            if p.even
            else f"{p.experts_per_rank:,} on {p.full_ranks:,}, {p.fewest_experts:,} on the rest"
        )
        facts = [
            Fact("experts_per_rank", "experts of a layer per GPU", held),
            Fact("weight_bytes_per_rank", "weights per GPU", p.weight_bytes_per_rank, "size"),
            Fact("replicated_bytes", "of these on every GPU", p.replicated_bytes, "size"),
            Fact("all_to_all_layer_bytes", "all-to-all of a layer, forward", p.all_to_all_layer_bytes, "size"),
            Fact("all_to_all_forward_bytes", "all-to-all, forward", p.all_to_all_forward_bytes, "size"),
            Fact("all_to_all_unique_bytes", "… each token once per GPU", p.all_to_all_unique_bytes, "size"),
            Fact("all_to_all_step_bytes", "all-to-all, forward and backward", p.all_to_all_step_bytes, "size"),
            Fact("all_to_all_step_bytes_per_rank", "… per GPU", p.all_to_all_step_bytes_per_rank, "size"),
            Fact("hot_rank_load", "load of the hot GPU over the mean", p.hot_rank_load, "factor"),
        ]
        tables.append(facts_table(f"Expert parallelism over {p.ranks:,} GPUs", facts))
    return tables


MOE = View(_moe_facts, _moe_tables)


# --- presets --------------------------------------------------------------------------------------------------------


def _presets_tables(item: Item) -> list[Table]:
    """Fits 80 columns; the active size stands where it differs."""
    columns = [
        Column("name", "preset"),
        Column("family", "family", "text", 2),
        Column("short", "total", "count"),
        Column("sparse", "active", "count", 3),
        Column("context", "context", "length", 1),
        Column("year", "year", "text", 4),
        Column("total", "parameters", "int", 5),
        Column("title", "title", "text", 6),
    ]
    rows = [
        row | {"short": row["total"], "sparse": row["active"] if row["active"] != row["total"] else None} for row in item.result
    ]
    return [Table("", columns, rows)]


def _presets_data(item: Item) -> Table:
    keys = ("name", "family", "total", "active", "published", "context", "year", "title")
    return Table("", [Column(key, key) for key in keys], item.result)


PRESETS = View(lambda item: [], _presets_tables, _presets_data)


def _preset_tables(item: Item) -> list[Table]:
    rows = [{"key": key, "value": value} for key, value in item.result.items()]
    return [Table(_title(item), [Column("key", "key"), Column("value", "value")], rows)]


PRESET = View(lambda item: [], _preset_tables)


# --- bounds and shapes ----------------------------------------------------------------------------------------------


def _bounds_tables(item: Item) -> list[Table]:
    gap = item.result["generalization"]
    facts = [
        Fact("bound", f"sqrt(P log n / n), log to base {gap.base}", gap.bound, "float"),
        Fact("vacuous", "vacuous (at least 1)", gap.vacuous),
        Fact("enough", "examples that bring it below 1", gap.enough, "count"),
    ]
    pairs = [Column("seq", "n", "int"), Column("pairs", "pairs n²", "int"), Column("causal_pairs", "under a causal mask", "int")]
    hops = [
        Column("pattern", "pattern"),
        Column("seq", "n", "int"),
        Column("hops", "hops", "int"),
        Column("causal", "causal", "int"),
    ]
    return [
        facts_table("Generalisation", facts),
        Table("All pairs", pairs, _rows(item.result["all_pairs"])),
        Table("Layers until every token can reach every other", hops, _rows(item.result["hops"])),
    ]


BOUNDS = View(lambda item: [], _bounds_tables)


def _shapes_tables(item: Item) -> list[Table]:
    columns = [
        Column("n_layers", "layers", "int"),
        Column("d_model", "d_model", "int"),
        Column("n_heads", "heads", "int", 5),
        Column("d_ff", "d_ff", "int", 6),
        Column("aspect_ratio", "d/L", "float"),
        Column("params", "parameters", "count"),
        Column("relative", "off by", "share", 3),
        Column("forward_flops", "FLOPs", "flops", 1),
        Column("activation_bytes", "activations", "bytes", 4),
        Column("kv_bytes_per_token", "KV/token", "bytes", 2),
    ]
    reference = [Column("name", "published"), *columns[:6], *columns[7:]]
    return [
        Table("Shapes of equal parameters", columns, _rows(item.result["shapes"])),
        Table("For reference", reference, _rows(item.result["references"])),
    ]


SHAPES = View(lambda item: [], _shapes_tables)


# --- stored weights -------------------------------------------------------------------------------------------------


def _stored_tables(item: Item) -> list[Table]:
    stored = item.result["stored"]
    rows = [{"dtype": name, **row} for name, row in sorted(stored.by_dtype.items())]
    columns = [Column("dtype", "stored as"), Column("elements", "elements", "int"), Column("bytes", "bytes", "size")]
    total = {"dtype": "total", "elements": stored.elements, "bytes": stored.bytes}
    facts = [Fact("tensors", f"tensors in {stored.files} files", stored.tensors, "int")]
    if item.result["counted"] is not None:
        facts += [
            Fact("counted", "parameters of the model", item.result["counted"], "count"),
            Fact("difference", "stored beyond them", item.result["difference"], "int"),
        ]
    return [Table(_title(item), columns, rows, total), facts_table("", facts)]


STORED = View(lambda item: [], _stored_tables)


VIEWS = {
    "params": PARAMS,
    "flops": FLOPS,
    "memory": MEMORY,
    "attention-compare": COMPARE,
    "moe": MOE,
    "chinchilla": laws.VIEW,
    "bounds": BOUNDS,
    "shapes": SHAPES,
    "presets": PRESETS,
    "preset": PRESET,
    "stored": STORED,
    "train": TRAIN,
    "serve": SERVE,
    "hardware": HARDWARE,
    "accelerator": ACCELERATOR,
}
"""By command, or by the name that a command asks for."""
