"""How a plan for a machine of one's own reads."""

from __future__ import annotations

from functools import partial
from typing import Any

from llmcx.report.json import as_rows
from llmcx.report.render import Item, View
from llmcx.report.table import Fact, Table, columns_of, facts_of, raw_table

COLUMNS = (
    "model: model | dtype: format | size: parameters (text 2) | tokens_per_s: tok/s (float) | range: 10-90% | "
    "prompt: prompt tok/s (float 4) | context: context (int 3) | gb: GB (float 2) | host: GB host (float 2) | "
    "flags: llama.cpp (text 1) | license: licence (text 5) | year: year (text 6)"
)


def _row(one: Any) -> dict[str, Any]:
    span = one.tokens_per_s_range
    size = f"{one.total / 1e9:.3g}B"
    return {
        **vars(one),
        "size": size if one.active == one.total else f"{size}, {one.active / 1e9:.2g}B active",
        "range": "" if span is None else f"{span[0]:.3g}-{span[1]:.3g}",
        "prompt": one.prompt_tokens_per_s,
        "gb": one.gpu_bytes / 1e9,
        "host": one.host_bytes / 1e9 if one.host_bytes else None,
        "flags": (one.flags or "").partition(" -c ")[0],
    }


def _tables(item: Item, detail: bool = False) -> list[Table]:
    plan = item.result
    columns = columns_of(COLUMNS)
    if all(one.flags is None for one in plan.models):
        columns = [column for column in columns if column.key != "flags"]
    if not any(one.host_bytes for one in plan.models):
        columns = [column for column in columns if column.key != "host"]
    found = [Table("", columns, [_row(one) for one in plan.models])] if plan.models else []
    if plan.near:
        found.append(
            Table("Would rank higher, but" if plan.models else "Nearest", columns_of("model: model | dtype: format | why: why"),
                  [vars(each) for each in plan.near])
        )  # fmt: skip
    return found


def _facts(item: Item) -> list[Fact]:
    if not item.result.models:
        return []
    return facts_of(
        item.result.models[0],
        "model: first (text) | dtype: format (text) | tokens_per_s: tokens/s (float) | context: context (int)",
    )


def _data(item: Item) -> Table:
    rows = as_rows(item.result.models)
    return raw_table([{key: value for key, value in row.items() if not key.endswith("_range")} for row in rows])


VIEW = View(_tables, _facts, _data, partial(_tables, detail=True))
