"""How a plan for a lifetime reads."""

from __future__ import annotations

from typing import Any

from llmcx.report.json import as_rows
from llmcx.report.render import Item, View
from llmcx.report.table import Column, Fact, Table, columns_of, facts_of, raw_table

SIZES = (
    "law: law | size: of the optimum (share) | params: parameters (count) | tokens: tokens (count) | "
    "overhead: more training (share) | pays_from: pays from, tokens served (count)"
)


def _columns(dollars: bool) -> list[Column]:
    unit = "USD" if dollars else "FLOPs"
    where = "dtype: served in | hardware: on | train_hardware: trained on (text 6) | " if dollars else ""
    spread = "range: 10-90% (text 1) | " if dollars else ""
    return columns_of(
        f"law: law | {where}params: parameters (count) | tokens: tokens (count) | total: {unit} (float 1) | "
        f"{spread}saving: saves (share) | tokens_per_param: D/N (float 2) | training: of it training (float 3) | "
        "loss: loss (loss 4)"
    )


def _row(one: Any) -> dict[str, Any]:
    span = one.total_range
    whole = {name: round(getattr(one, name)) for name in ("params", "tokens")}
    return {**vars(one), **whole, "range": "" if span is None else f"{span[0]:.3g}-{span[1]:.3g}"}


def _tables(item: Item) -> list[Table]:
    plan = item.result
    found = [Table("Cheapest to train and serve", _columns(plan.unit == "USD"), [_row(one) for one in plan.choices])]
    first = plan.sizes[0]
    rows = [
        {**row, "law": first.law, **{name: round(row[name]) for name in ("params", "tokens", "pays_from")}}
        for row in as_rows(first.rows)
    ]
    return [*found, Table("Smaller models of the same loss", columns_of(SIZES), rows)]


def _facts(item: Item) -> list[Fact]:
    one = item.result.best
    return facts_of(
        None,
        "law: law (text) | params: parameters (count) | tokens: tokens (count) | total: in all (float) | saving: saves (share)",
        **_row(one),
    )


def _data(item: Item) -> Table:
    rows = as_rows(item.result.choices)
    return raw_table([{key: value for key, value in row.items() if key != "total_range"} for row in rows])


VIEW = View(_tables, _facts, _data)
