"""How a plan for training reads."""

from __future__ import annotations

from functools import partial
from typing import Any

from llmcx.report.headline import _above, _count, _line, _money, _short, _title, _tokens
from llmcx.report.json import as_rows
from llmcx.report.render import Change, Headline, Item, View
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
        told = columns_of(
            "where: GPUs | engine: engine (text 2) | compute_dtype: matmuls (text 2) | layout: layout | why: misses by"
        )
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
    return raw_table([_flat(row) for row in rows])


def _flat(row: dict[str, Any]) -> dict[str, Any]:
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


def plan_train(spec: Any, inputs: dict[str, Any], result: Any) -> Headline:
    """``llmcx plan train``."""
    from llmcx.answers.plan_train import named

    limits = [f"{inputs['days']:g} days" if inputs["days"] else "", _money(inputs["dollars"]) if inputs["dollars"] else ""]
    sure = f" in {inputs['confidence']:.0%}" if inputs["confidence"] else ""
    within = " and ".join(filter(None, limits))
    asked = _line(
        _title(spec),
        f"{_short(inputs['tokens'])} tokens",
        f"within {within}{sure}" if within else "no limit",
        f"{inputs['gpus']} × {'/'.join(inputs['hardware'])}",
        f"{inputs['global_batch']:,} × {_tokens(inputs['seq'])}",
    )
    if not result.best:
        near = result.near[0]
        change = _looser(inputs, near.choice)
        return Headline(asked, f"nothing keeps that; nearest: {named(near.choice)}: {near.why}", False, change)
    one, quick = result.best[0], result.fastest
    verdict = f"{named(one)}: {_run(one)}"
    if named(quick) != named(one):
        verdict += f"; fastest {_run(quick)} on {quick.gpus:,} x {quick.hardware}"
    return Headline(asked, verdict, True if within else None)


def _run(one: Any) -> str:
    low, high = one.days_range
    cost = f"{_count(one.gpu_hours)} GPU-hours" if one.dollars is None else _money(one.dollars)
    return f"{one.days:.3g} ({low:.3g}-{high:.3g}) days, {cost}"


def _looser(inputs: dict[str, Any], near: Any) -> list[Change]:
    """The limits that the nearest would keep."""
    sure = bool(inputs["confidence"])
    days = near.days_range[1] if sure else near.days
    options = [f"--days {_above(days):g}"] if inputs["days"] and days > inputs["days"] else []
    if inputs["dollars"] and near.dollars is not None:
        dollars = near.dollars_range[1] if sure else near.dollars
        options += [f"--dollars {_above(dollars):.9g}"] if dollars > inputs["dollars"] else []
    return [Change(" ".join(options), f"{near.gpus:,} x {near.hardware} {near.engine}: {_run(near)}")] if options else []
