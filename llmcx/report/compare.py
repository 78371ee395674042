"""How a comparison reads: what differs, the figures side by side, the components that make the difference and their terms."""

from __future__ import annotations

from textwrap import wrap
from typing import Any

from llmcx.report import format
from llmcx.report.render import Item, View
from llmcx.report.table import Column, Fact, Table, columns_of

TITLES = {
    ("params", "total"): ("parameters", "count"),
    ("params", "active"): ("active per token", "count"),
    ("params", "embedding"): ("embedding", "count"),
    ("params", "non_embedding"): ("non-embedding", "count"),
    ("params", "bytes"): ("weights", "bytes"),
    ("flops", "forward.total"): ("forward FLOPs", "flops"),
    ("flops", "backward.total"): ("backward FLOPs", "flops"),
    ("flops", "train.total"): ("training step FLOPs", "flops"),
    ("flops", "per_token"): ("forward FLOPs per token", "flops"),
    ("flops", "decode.total"): ("decode step FLOPs", "flops"),
    ("memory", "total_bytes"): ("memory", "bytes"),
    ("memory", "all_gpus_bytes"): ("memory of all GPUs", "bytes"),
    ("memory", "kv_bytes_per_token"): ("KV cache per token", "bytes"),
    ("serve", "largest_batch"): ("largest batch", "int"),
    ("serve", "first.ttft_s"): ("first token", "time"),
    ("serve", "first.tpot_s"): ("per token, one user", "time"),
    ("serve", "last.tokens_per_s_gpu"): ("tokens/s per GPU, largest batch", "float"),
    ("serve", "last.usd_per_million"): ("USD per million tokens, largest batch", "float"),
}
SPELLED_OUT = 3
"""Components, of those that change most, whose formulas stand under a table; --explain has every one's."""
_TERMS, _WIDTH = 2, 56


def _value(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return format.cell(value, "int")


def _facts(item: Item) -> list[Fact]:
    named = [(row, *TITLES[row.command, row.figure]) for row in item.result.figures]
    return [Fact(f"{row.command}.{row.figure}", title, row.change, f"±{kind}") for row, title, kind in named]


def _tables(item: Item) -> list[Table]:
    r = item.result
    a, b = (side.title or side.name for side in (r.a, r.b))
    if a == b:
        a, b = item.inputs["a"], item.inputs["b"]
    rows = [{"path": row.path, "a": _value(row.a), "b": _value(row.b)} for row in (*r.inputs, *r.spec)]
    columns = columns_of("path: what differs | a: A | b: B")
    tables = [Table(f"A  {a}\nB  {b}", columns, rows or [{"path": "nothing", "a": "", "b": ""}])]
    figures = [
        vars(row) | dict(zip(("figure", "kind"), TITLES[row.command, row.figure], strict=True))
        for row in r.figures
        if row.figure != "all_gpus_bytes" or (row.a, row.b) not in [(other.a, other.b) for other in r.figures if other is not row]
    ]
    columns = columns_of("figure: figure | a: A (cell) | b: B (cell) | change: change (±cell) | relative: relative (±share)")
    tables.append(Table("", columns, figures))
    for why in r.why:
        if why.causes:
            tables += _why(why)
    return tables


def _why(why: Any) -> list[Table]:
    """The components that change, and the terms of those that change most."""
    what, kind = TITLES[why.command, why.figure]
    columns = columns_of(f"component: why: {what} | a: A ({kind}) | b: B ({kind}) | change: change (±int)")
    a, b = sum(row.a for row in why.causes), sum(row.b for row in why.causes)
    total = {"component": "together", "a": a, "b": b, "change": why.change}
    tables = [Table("", columns, [vars(row) for row in why.causes], total)]
    terms: list[dict[str, Any]] = []

    def add(what: str, text: str) -> None:
        for index, line in enumerate(wrap(text, _WIDTH) or [""]):
            terms.append({"what": "" if index else what, "text": line})

    for cause in why.causes[:SPELLED_OUT]:
        formulas = dict.fromkeys(line.formula for line in (*cause.a_terms, *cause.b_terms) if line.numbers)
        add(cause.component, " or ".join(formulas))
        for label, lines in (("A", cause.a_terms), ("B", cause.b_terms)):
            for line in lines[:_TERMS]:
                add(f"  {label}", line.numbers or line.formula)
            if len(lines) > _TERMS:
                add("", f"and {len(lines) - _TERMS} more terms (--explain)")
    return [*tables, Table("", columns_of("what: | text:"), terms)]


def _data(item: Item) -> Table:
    """For CSV: every figure, and under it the components that change it."""
    r = item.result
    rows = [vars(row) | {"component": ""} for row in r.figures]
    for why in r.why:
        rows += [vars(cause) | {"command": why.command, "figure": why.figure} for cause in why.causes]
    names = ("command", "figure", "component", "a", "b", "change", "relative")
    return Table("", [Column(name, name) for name in names], rows)


VIEW = View(_tables, _facts, _data)
