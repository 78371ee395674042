"""How each command's result reads: which numbers stand in the summary, which tables follow."""

from __future__ import annotations

from llmcx.report import attention_compare, chinchilla, compare, moe, pictures
from llmcx.report.estimates import ACCELERATOR, HARDWARE, SERVE, TRAIN
from llmcx.report.figure import Bars
from llmcx.report.json import as_rows
from llmcx.report.render import Item, View, title
from llmcx.report.table import Column, Fact, Table, facts_table

SHARE = Column("share", "share", "share")


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
    rows = [row | {"short": row["params"]} for row in as_rows(r.components)]
    total = {"component": "total", "params": r.total, "short": r.total, "share": 1.0}
    facts = [fact for fact in _params_facts(item) if fact.key != "total"]
    return [Table(title(item), columns, rows, total, ("component", "params", "share")), facts_table("", facts)]


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
    unit = {"flops": "FLOPs", "eager": "FLOPs", "macs": "MACs"}.get(
        item.inputs.get("convention", "flops"), "operations (leading order)"
    )
    columns = [
        Column("component", "component"),
        Column("flops", f"forward {unit}", "int"),
        Column("short", "", "flops", 1),
        SHARE,
    ]
    rows = [row | {"short": row["flops"]} for row in as_rows(r.forward.components)]
    total = {"component": "forward total", "flops": r.forward.total, "short": r.forward.total, "share": 1.0}
    shape = f"batch {item.inputs['batch']}, seq {item.inputs['seq']:,}"
    keys = ("component", "flops", "share")
    tables = [Table(f"{title(item)} · {shape}", columns, rows, total, keys), facts_table("", _flops_facts(item)[1:])]
    if len(r.groups) > 3:
        columns = [Column("component", "layer group"), Column("flops", unit, "int"), SHARE]
        tables.append(Table("By layer group", columns, as_rows(r.groups)))
    columns = [
        Column("rule", "rule of thumb"),
        Column("value", "gives", "flops"),
        Column("exact", "exact", "flops"),
        Column("error", "error", "share"),
    ]
    return [*tables, Table("Rules of thumb beside the exact count (FLOPs)", columns, as_rows(r.approximations))]


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


def _memory_tables(item: Item) -> list[Table | Bars]:
    r = item.result
    columns = [Column("part", "part"), Column("bytes", "bytes", "int"), Column("short", "", "size", 1)]
    columns += [SHARE, Column("formula", "formula", "text", 2)]
    total = max(r.total_bytes, 1)
    rows = [row | {"short": row["bytes"], "share": row["bytes"] / total} for row in as_rows(r.parts)]
    last = {"part": "total", "bytes": r.total_bytes, "short": r.total_bytes, "share": 1.0, "formula": ""}
    keys = ("part", "bytes", "share", "formula")
    tables: list[Table | Bars] = [Table(title(item), columns, rows, last, keys), facts_table("", _memory_facts(item)[1:])]
    tables.append(pictures.memory([item])[0]._replace(title=r.heaviest or ""))
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


MEMORY = View(_memory_facts, _memory_tables)


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
    keys = ("name", "family", "total", "active", "published", "context", "year", "title")
    return [Table("", columns, rows, keys=keys)]


PRESETS = View(lambda item: [], _presets_tables)


def _preset_tables(item: Item) -> list[Table]:
    rows = [{"key": key, "value": value} for key, value in item.result.items()]
    return [Table(title(item), [Column("key", "key"), Column("value", "value")], rows)]


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
    certified = [
        Column("kind", "certificate, with probability 1 - delta"),
        Column("complexity", "nats or bits", "power"),
        Column("gap", "gap", "float"),
        Column("vacuous", "vacuous", "text"),
    ]
    return [
        facts_table("Generalisation", facts),
        Table("Test error over training error, at most", certified, as_rows(item.result["certificates"])),
        Table("All pairs", pairs, as_rows(item.result["all_pairs"])),
        Table("Layers until every token can reach every other", hops, as_rows(item.result["hops"])),
    ]


BOUNDS = View(lambda item: [], _bounds_tables)


def _shapes_tables(item: Item) -> list[Table]:
    columns = [
        Column("n_layers", "layers", "int"),
        Column("d_model", "d_model", "int"),
        Column("aspect_ratio", "d/L", "float"),
        Column("params", "parameters", "count"),
        Column("relative", "off by", "share", 5),
        Column("train_flops", "train FLOPs", "flops", 4),
        Column("kv_bytes_per_token", "KV/token", "bytes", 1),
        Column("tensor_parallel", "TP", "int", 2),
        Column("tile", "tile", "int", 3),
        Column("depth", "depth"),
        Column("forward_flops", "forward", "flops", 6),
        Column("train_state_bytes", "train state", "bytes", 7),
        Column("activation_bytes", "activations", "bytes", 8),
    ]
    reference = [Column("name", "published"), *(column for column in columns if column.key != "relative")]
    equal = "FLOPs" if "flops" in item.inputs else "parameters"
    return [
        Table(f"Shapes of equal {equal}", columns, as_rows(item.result["shapes"])),
        Table("For reference", reference, as_rows(item.result["references"])),
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
    return [Table(title(item), columns, rows, total), facts_table("", facts)]


STORED = View(lambda item: [], _stored_tables)


VIEWS = {
    "params": PARAMS,
    "flops": FLOPS,
    "memory": MEMORY,
    "attention-compare": attention_compare.VIEW,
    "compare": compare.VIEW,
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
    "hardware": HARDWARE,
    "accelerator": ACCELERATOR,
}
"""By command, or by the name that a command asks for."""
