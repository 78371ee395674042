"""How attention-compare reads: one row a variant and one column a length, then what decides at the longest."""

from __future__ import annotations

from typing import Any

from llmcx.errors import InputError, unknown_name
from llmcx.report import format
from llmcx.report.json import as_json
from llmcx.report.render import Item, View, title
from llmcx.report.table import Column, Fact, Table, columns_of, raw_table

MEASURES = {
    "time": ("core_seconds", "time", "one layer's attention core, roofline"),
    "flops": ("core_flops", "flops", "FLOPs of the attention cores"),
    "memory": ("memory_bytes", "bytes", "memory that one layer's core writes out"),
    "cache": ("kv_bytes", "bytes", "cache"),
    "traffic": ("traffic_bytes", "bytes", "bytes between memory and chip, one layer's core"),
}
"""What may be tabulated by length: the field, how it reads, what it is."""


def measured(name: str | None, timed: bool) -> str:
    """The measure asked for; by default the time where a machine is given, else FLOPs."""
    if name is None:
        return "time" if timed else "flops"
    if name not in MEASURES:
        raise unknown_name("measure", name, list(MEASURES), field="measure")
    if name == "time" and not timed:
        raise InputError("times need a machine: give --hardware", field="measure", value=name)
    return name


def _facts(item: Item) -> list[Fact]:
    """Side by side, models show each variant's FLOPs at the longest length."""
    last = max(row.seq for row in item.result.rows)
    return [Fact(r.variant, f"{r.variant}, n = {last:,}", r.forward_flops, "flops") for r in item.result.rows if r.seq == last]


def _data(item: Item) -> Table:
    """For a CSV: every figure of every row."""
    return raw_table(as_json(item.result.rows))


def _by_length(item: Item) -> Table:
    """A matrix of the measure."""
    field, kind, what = MEASURES[item.inputs["measure"]]
    rows: dict[str, dict[str, Any]] = {}
    for row in item.result.rows:
        rows.setdefault(row.variant, {"variant": row.variant})[str(row.seq)] = getattr(row, field)
    columns = [Column("variant", "variant")]
    columns += [
        Column(str(n), format.length(n), kind, _rank(i, len(item.inputs["seq"]))) for i, n in enumerate(item.inputs["seq"])
    ]
    return Table(f"{title(item)} · {what}, by length", columns, list(rows.values()))


def _rank(index: int, many: int) -> int:
    """A narrow terminal keeps the ends and drops every other length between, the later ones first."""
    return 0 if index in (0, many - 1) else index + (many if index % 2 else 0)


def _tables(item: Item) -> list[Table]:
    """At a glance: the measure by length; everything at the longest; where lines cross; what to take; the chapter's limits."""
    r = item.result
    last = max(item.inputs["seq"])
    timed = r.rows[0].core_seconds is not None
    masked = any(row.hops_causal is not None for row in r.rows)  # then hops are those that the mask allows
    rows = [row | {"reach": row["hops_causal" if masked else "hops"]} for row in as_json(r.rows) if row["seq"] == last]
    bounded = item.inputs.get("budget") is not None
    columns = columns_of(
        "variant: variant | core_flops: FLOPs (flops 4) | traffic_bytes: traffic (bytes 5) | "
        f"{'binds: binds (text 2) | ' * timed}memory_bytes: memory/layer (bytes 1) | kv_bytes: cache (bytes) | "
        f"decode_flops: decode (flops 3) | reach: hops (int){' | max_seq: max n (int)' * bounded}"
    )
    out = [_by_length(item)] if len(item.inputs["seq"]) > 1 else []
    out.append(Table(f"{'At' if out else title(item) + ' · at'} n = {last:,}", columns, rows))
    columns = columns_of("seq: n (int) | variant: by this model's costs | chapter_reason: chapter's rule | agrees: agree")
    out.insert(0, Table("Recommendation", columns, as_json(r.recommendation)))
    # Of the baselines, the one that people run; all of them are in the JSON.
    than = max((x.than for x in r.crossovers), key=lambda name: name == "causal_flash", default=None)
    measures = {"core_flops": "flops", "kept_bytes": "memory", "core_seconds": "time"}
    found: dict[str, dict[str, Any]] = {}
    for x in r.crossovers:
        if x.than == than:
            found.setdefault(x.cheaper, {"cheaper": x.cheaper})[measures[x.measure]] = x.seq
    if found:
        measured_by = [key for key in measures.values() if any(key in row for row in found.values())]
        columns = [Column("cheaper", "variant"), *(Column(key, f"{key} from n", "int") for key in measured_by)]
        out.append(Table(f"Smallest n from which a variant costs less than {than}", columns, list(found.values())))
    if r.limits:
        columns = columns_of(
            f"variant: variant | chapter_seq: chapter's limit (int) | {'own_seq: fits up to (int) | ' * bounded}"
            "memory_bytes: memory/layer there (bytes) | share: of FLOPs (share 1)"
        )
        out.append(Table("The chapter's practical limits beside this model's costs", columns, as_json(r.limits)))
    return out


VIEW = View(_tables, _facts, _data)
