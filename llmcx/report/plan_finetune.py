"""How a plan for fine-tuning reads."""

from __future__ import annotations

from functools import partial
from typing import Any

from llmcx.report.json import as_rows
from llmcx.report.plan_train import flat_ranges
from llmcx.report.render import Item, View
from llmcx.report.table import Fact, Table, columns_of, facts_of, raw_table

COLUMNS = (
    "method: method | gpus: GPUs (int) | how: run by | again: recompute | micro_batch: batch (int) | "
    "longest_seq: longest (int {timed}) | memory_bytes: memory (bytes)"
)
OFFLOADED = "offload: offload (text 2) | host_bytes: host (bytes 1)"
TIMED = "time: hours | cost: USD (text 1)"


def _row(one: Any) -> dict[str, Any]:
    hours, share = one.hours, one.rollout_utilization
    return {
        **vars(one),
        "how": _how(one),
        "again": "" if one.recompute == "none" else one.recompute,
        "offload": one.offload or "",
        "time": "" if hours is None else _span(one.hours_range),
        "cost": "" if one.dollars is None else _span(one.dollars_range),
        "rollout": "" if share is None else f"{share:.0%}" + (f" TP{one.rollout_tp}" if one.rollout_tp > 1 else ""),
    }


def _how(one: Any) -> str:
    """The program, and its level of ZeRO."""
    program = "" if one.engine == "transformers" else f"{one.engine} "
    return f"{program}Z{one.zero}" if one.zero else "copies" if one.gpus > 1 else "alone"


def _span(of: tuple[float, float]) -> str:
    return f"{of[0]:,.2g}-{of[1]:,.2g}"


def _tables(item: Item, detail: bool = False) -> list[Table]:
    plan = item.result
    ends = plan.fits if detail else _ends(plan.fits)
    offloaded, timed = any(one.offload for one in ends), any(one.hours for one in ends)
    parts = [COLUMNS.format(timed=int(timed)), *([OFFLOADED] if offloaded else []), *([TIMED] if timed else [])]
    parts += ["rollout: rollout (text 2)"] if any(one.rollout_tp for one in ends) else []
    parts += ["steps: steps (int 3)"] if any(one.steps for one in ends) else []
    columns = columns_of(" | ".join(parts))
    found = [Table("What fits", columns, [_row(one) for one in ends])] if ends else []
    if plan.does_not_fit:
        told = columns_of("method: method | gpus: GPUs (int) | misses: lacks on each GPU")
        found.append(Table("What does not: the nearest", told, [vars(one) for one in plan.does_not_fit]))
    if detail:
        rows = [{"method": f"{one.method} {one.gpus}", "options": one.options} for one in [*plan.fits, *plan.does_not_fit]]
        found.append(Table("llmcx memory is asked", columns_of("method: method | options: options"), rows))
    return found


def _ends(fits: list[Any]) -> list[Any]:
    """Of each method the fewest GPUs, and the most."""
    found: dict[str, list[Any]] = {}
    for one in fits:
        found.setdefault(one.method, []).append(one)
    return [one for each in found.values() for one in (each[:1] + each[-1:] if len(each) > 1 else each)]


def _facts(item: Item) -> list[Fact]:
    fits = item.result.fits
    if not fits:
        return []
    return facts_of(
        fits[0],
        "method: method (text) | gpus: GPUs (int) | micro_batch: micro-batch (int) | longest_seq: longest (int) | "
        "memory_bytes: memory (bytes)",
    )


def _data(item: Item) -> Table:
    """For a CSV: what fits; where nothing does, what each method lacks."""
    plan = item.result
    return raw_table([flat_ranges(row) for row in as_rows(plan.fits or plan.does_not_fit)])


VIEW = View(_tables, _facts, _data, partial(_tables, detail=True))
