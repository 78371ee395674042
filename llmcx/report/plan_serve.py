"""How a plan for serving reads."""

from __future__ import annotations

from functools import partial
from typing import Any

from llmcx.report.json import as_rows
from llmcx.report.render import Item, View
from llmcx.report.table import Fact, Table, columns_of, facts_of, raw_table

COLUMNS = (
    "where: GPUs | engine: engine | dtype: weights (text 4) | layout: layout | batch: users (int) | "
    "ttft_ms: first, ms (float 3) | tpot_ms: ms/token (float) | range: 10-90% (text 1) | "
    "tokens_per_s_user: tok/s user (float 5) | tokens_per_s_gpu: tok/s GPU (float) | usd: {usd} (float 2)"
)


def _row(one: Any, hourly: bool) -> dict[str, Any]:
    ways = {
        "TP": one.tp,
        "PP": one.pp,
        "EP": one.ep,
        "ADP": one.attention_dp,
        "×": max(one.replicas, one.workers),
        "draft ": one.draft,
        "chunk ": one.chunk or 0,
    }
    layout = " ".join(f"{name}{n}" for name, n in ways.items() if n > 1 or (n and name == "draft ")) or "whole"
    if one.prefill_workers:
        copies = f" ×{one.prefill_workers}" if one.prefill_workers > 1 else ""
        layout = f"TP{one.prefill_tp}{copies} → {layout}"
    span = one.tpot_range_s
    return {
        **vars(one),
        "where": f"{one.gpus} {one.hardware}",
        "layout": layout,
        "ttft_ms": 1e3 * one.ttft_s,
        "tpot_ms": 1e3 * one.tpot_s,
        "range": "" if span is None else f"{1e3 * span[0]:.3g}-{1e3 * span[1]:.3g}",
        "usd": one.usd_per_hour if hourly else one.usd_per_million,
    }


def _tables(item: Item, detail: bool = False) -> list[Table]:
    from llmcx.answers.serve import few  # there already

    plan, hourly = item.result, bool(item.inputs["users"] or item.inputs["rate"])
    columns = columns_of(COLUMNS.format(usd="USD/h" if hourly else "USD/M"))
    points = plan.frontier
    if not detail:
        points = few(points)
    tables = [("Best that meet the objective", plan.best), ("Frontier: fast for a user, or many tokens a GPU", points)]
    found = [Table(title, columns, [_row(one, hourly) for one in rows]) for title, rows in tables if rows]
    if plan.near:
        near = [_row(each.choice, hourly) | {"why": each.why} for each in plan.near]
        columns = columns_of("where: GPUs | engine: engine (text 2) | layout: layout | batch: users (int) | why: misses by")
        found.insert(1 if plan.best else 0, Table("Would be better, but", columns, near))
    return found


def _facts(item: Item) -> list[Fact]:
    best = item.result.best
    if not best:
        return []
    return facts_of(
        best[0],
        "hardware: on (text) | engine: engine (text) | dtype: weights (text) | gpus: GPUs (int) | tp: TP (int) | "
        "users: users (int) | tpot_ms: per token, ms (float) | tokens_per_s_gpu: tokens/s per GPU (float) | "
        "usd_per_million: USD per million tokens (float)",
        tpot_ms=1e3 * best[0].tpot_s,
    )


def _data(item: Item) -> Table:
    """For a CSV: the best, then the frontier."""
    plan = item.result
    rows = [{"list": name, **row} for name in ("best", "frontier") for row in as_rows(getattr(plan, name))]
    return raw_table([{key: value for key, value in row.items() if not key.endswith("range_s")} for row in rows])


VIEW = View(_tables, _facts, _data, partial(_tables, detail=True))
