"""How the launch lines of a repository read, beside what they must do and what they were."""

from __future__ import annotations

from typing import Any

from llmcx.report import format
from llmcx.report.json import as_rows
from llmcx.report.render import Item, View
from llmcx.report.table import Table, columns_of

TITLES = {
    "total_bytes": ("memory", "bytes"),
    "users": ("users", "int"),
    "cache_tokens": ("tokens of cache", "int"),
    "ttft_s": ("first token", "time"),
    "tpot_s": ("per token", "time"),
    "usd_per_million": ("USD per million tokens", "float"),
}
"""Figures whose change is told; the others follow from them."""


def _tables(item: Item) -> list[Table]:
    rows = [row | {"said": "yes" if row["met"] else "no"} for row in as_rows(item.result.entries)]
    columns = columns_of(
        "name: line | said: meets | require: what is required | total_bytes: memory (bytes) | budget_bytes: of (bytes) | "
        "users: users (int 1) | tpot_s: per token (time 2) | ttft_s: first token (time 3)"
    )
    tables = [Table("", columns, rows, keys=("name", "met", "require", *_DATA))]
    remedies = [{"name": row.name, "flags": each.flags} for row in item.result.entries if not row.met for each in row.changes]
    if remedies:
        tables.append(Table("What would make it fit", columns_of("name: line | flags: with"), remedies))
    if item.result.changed:
        tables += _changes(item.result.changed)
    return tables


_DATA = ("fits", "total_bytes", "budget_bytes", "headroom_bytes", "users", "cache_tokens", "ttft_s", "tpot_s")


def _changes(changed: list[Any]) -> list[Table]:
    """What changed, figure by figure, and why: what was asked otherwise, and the parts of the memory that are not the same."""
    rows, reasons = [], []
    for each in changed:
        if each.what != "changed":
            rows.append({"name": each.name, "figure": f"{each.what}: {_met(each)}", "kind": "int"})
            continue
        if each.met_before != each.met:
            rows.append({"name": each.name, "figure": _met(each), "kind": "int"})
        for figure in (figure for figure in each.figures if figure.figure in TITLES):
            title, kind = TITLES[figure.figure]
            rows.append({"name": each.name, "figure": title, "kind": kind, "a": figure.a, "b": figure.b, "change": figure.change})
        for one in each.inputs:
            kind = "bytes" if one.path == "budget" else "int"
            reasons.append({"name": each.name, "what": one.path, "a": _value(one.a, kind), "b": _value(one.b, kind)})
        if not each.inputs:
            reasons.append({"name": each.name, "what": "nothing asked otherwise: another llmcx, or another file it reads"})
        for cause in each.why.causes if each.why else ():
            change = format.cell(cause.change, "±bytes")
            sizes = [format.cell(size, "bytes") for size in (cause.a, cause.b)]
            reasons.append({"name": each.name, "what": cause.component, "a": sizes[0], "b": sizes[1], "change": change})
    figures = columns_of("name: line | figure: figure | a: before (cell) | b: now (cell) | change: change (±cell)")
    causes = columns_of("name: line | what: why | a: before | b: now | change: change")
    return [Table("What changed", figures, rows), *([Table("Why", causes, reasons)] if reasons else [])]


def _met(each: Any) -> str:
    """Whether it met what is required, or does."""
    does = each.met_before if each.met is None else each.met
    verb = "met" if each.met is None and does else "did not meet" if each.met is None else "meets" if does else "does not meet"
    return f"{'now ' if each.what == 'changed' else ''}{verb} what is required"


def _value(value: Any, kind: str) -> str:
    return "" if value is None else format.cell(value, kind)


VIEW = View(_tables)
