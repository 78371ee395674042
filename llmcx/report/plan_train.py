"""How a plan for training reads."""

from __future__ import annotations

from functools import partial
from typing import Any

from llmcx.report.json import as_rows
from llmcx.report.render import Item, View
from llmcx.report.table import Fact, Table, columns_of, facts_of, raw_table

COLUMNS = (
    "where: GPUs | how: engine | layout: layout | days: days (float) | range: 10-90% | cost: {cost} (float) | "
    "memory_bytes: memory (size 1) | mfu: MFU (share 2) | step_s: s/step (float 3)"
)
FEW = 6
"""Points of a frontier that are shown unless --detail asks for all."""


def _row(one: Any) -> dict[str, Any]:
    low, high = one.days_range
    return {
        **vars(one),
        "where": f"{one.gpus:,} {one.hardware}",
        "how": f"{one.engine} {one.compute_dtype}",
        "layout": _layout(one),
        "range": f"{low:.3g}-{high:.3g}",
        "cost": one.gpu_hours if one.dollars is None else one.dollars,
    }


def _layout(one: Any) -> str:
    """A layout in as few letters as can be: data parallelism is what the others leave."""
    ways = {"TP": one.tp, "PP": one.pp, "CP": one.cp, "EP": one.ep, "mb": one.micro_batch, "v": one.virtual}
    parts = [f"{name}{n}" for name, n in ways.items() if n > 1]
    return " ".join([*parts, f"Z{one.zero}", *([] if one.recompute == "none" else [one.recompute[:4]])])


def _tables(item: Item, detail: bool = False) -> list[Table]:
    plan = item.result
    priced = (plan.best or [miss.choice for miss in plan.near])[0].dollars is not None
    columns = columns_of(COLUMNS.format(cost="USD" if priced else "GPU-hours"))
    points = plan.frontier
    if not detail and len(points) > FEW:
        points = [points[round(k * (len(points) - 1) / (FEW - 1))] for k in range(FEW)]
    found = [Table("Best within the limits", columns, [_row(one) for one in plan.best])] if plan.best else []
    if plan.near:
        near = [_row(each.choice) | {"why": each.why} for each in plan.near]
        told = columns_of("where: GPUs | how: engine (text 1) | layout: layout | why: misses by")
        found.append(Table("Would be cheaper or faster, but", told, near))
    return [*found, Table("Frontier: days against cost", columns, [_row(one) for one in points])]


def _facts(item: Item) -> list[Fact]:
    best = item.result.best
    if not best:
        return []
    return facts_of(
        best[0],
        "hardware: on (text) | engine: engine (text) | compute_dtype: matmuls (text) | gpus: GPUs (int) | tp: TP (int) | "
        "pp: PP (int) | days: days (float) | dollars: USD (usd) | mfu: MFU (share)",
    )


def _data(item: Item) -> Table:
    """For a CSV: the best, then the frontier."""
    plan = item.result
    rows = [{"list": name, **row} for name in ("best", "frontier") for row in as_rows(getattr(plan, name))]
    return raw_table([flat_ranges(row) for row in rows])


def flat_ranges(row: dict[str, Any]) -> dict[str, Any]:
    """Ranges as two columns."""
    out: dict[str, Any] = {}
    for key, value in row.items():
        if key.endswith("_range"):
            low, high = value or (None, None)
            out |= {f"{key[:-6]}_low": low, f"{key[:-6]}_high": high}
        else:
            out[key] = value
    return out


VIEW = View(_tables, _facts, _data, partial(_tables, detail=True))
