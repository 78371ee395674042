"""Drawing: the same results as a rich table, JSON, JSON lines, CSV or Markdown, on stdout."""

from __future__ import annotations

import sys
from collections.abc import Callable
from textwrap import wrap
from typing import Any, NamedTuple

from llmcx.answers import shown
from llmcx.report import format
from llmcx.report.table import Column, Fact, Table

FORMATS = ("table", "json", "jsonl", "csv", "markdown")


class Item(NamedTuple):
    """One answer: the model it is about (None if it is about no model), the inputs, the result, and what to bear in mind."""

    model: dict[str, Any] | None
    inputs: dict[str, Any]
    result: Any
    notes: list[str]
    lines: Callable[[], list[Any]] | None = None  # its formulas, found when --explain asks
    more: Callable[[], Any] | None = None  # what its picture shows beyond the result; counted when it is drawn

    def explained(self) -> list[Any]:
        """The formulas behind the result."""
        return getattr(self.result, "lines", []) if self.lines is None else self.lines()


class Answer(NamedTuple):
    """What a command found: one item, or several side by side; ``view`` names the entry of views.VIEWS that draws them where it
    is not the command's own.
    """

    items: list[Item]
    view: str | None = None


def title(item: Item) -> str:
    """The model's name for a reader."""
    model = item.model or {}
    return str(model.get("title") or model.get("name") or "")


class View(NamedTuple):
    """How one command's results read: a summary of the key numbers, and the tables of a single result.

    ``data`` is the table of a CSV, where that is not the first one.
    """

    facts: Callable[[Item], list[Fact]]
    tables: Callable[[Item], list[Table]]
    data: Callable[[Item], Table] | None = None


def show(command: str, items: list[Item], view: str, fmt: str, explain: bool) -> None:
    """Write ``items`` to stdout in ``fmt``, one of FORMATS or "plain"; ``view`` names an entry of views.VIEWS."""
    if fmt in ("json", "jsonl"):
        {"json": _json, "jsonl": _jsonl}[fmt](command, items, explain)
        return
    from llmcx.report.views import VIEWS

    {"csv": _csv, "markdown": _markdown, "table": _rich, "plain": _plain}[fmt](items, VIEWS[view], explain)


# --- for machines ---------------------------------------------------------------------------------------------------


def plain(value: Any) -> Any:
    """A result as JSON's types; exact integers stay integers."""
    kind: Any = type(value)
    names = shown(kind)
    if names is not None:
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def as_rows(values: Any) -> list[dict[str, Any]]:
    """Records as rows of a table."""
    return [plain(value) for value in values]


def envelope(command: str, item: Item, explain: bool) -> dict[str, Any]:
    """The stable contract: schema, model, inputs, result, notes."""
    out: dict[str, Any] = {"schema": f"llmcx.{command}/1"}
    if item.model is not None:
        out["model"] = item.model
    out |= {"inputs": plain(item.inputs), "result": plain(item.result)}
    if explain:
        out["explain"] = plain(item.explained())
    return out | {"notes": item.notes}


def _dump(data: Any, indent: int | None = None) -> str:
    import json

    return json.dumps(data, indent=indent, ensure_ascii=False)


def _json(command: str, items: list[Item], explain: bool) -> None:
    made = [envelope(command, item, explain) for item in items]
    out = made[0] if len(made) == 1 else {"schema": f"llmcx.{command}/1", "results": made}
    sys.stdout.write(_dump(out, indent=2) + "\n")


def _jsonl(command: str, items: list[Item], explain: bool) -> None:
    for item in items:
        sys.stdout.write(_dump(envelope(command, item, explain)) + "\n")


def _csv(items: list[Item], view: View, explain: bool) -> None:
    import csv

    if len(items) == 1:
        table = view.data(items[0]) if view.data else view.tables(items[0])[0]
        rows = [*table.rows, *([table.total] if table.total else [])]
    else:
        table = _side_by_side(items, view)
        rows = table.rows
    titled = [column.key for column in table.columns if column.title]  # an untitled column repeats another one, rounded
    keys = titled or ["name", "value"]  # but a summary has no titles at all
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(keys)
    writer.writerows([row.get(key) for key in keys] for row in rows)


# --- for people -----------------------------------------------------------------------------------------------------


def varying(items: list[Item]) -> list[str]:
    """The inputs that are not the same for all."""
    return [key for key in items[0].inputs if len({repr(item.inputs.get(key)) for item in items}) > 1]


def _side_by_side(items: list[Item], view: View) -> Table:
    """One row per item: the model, the inputs that vary, the key numbers."""
    unlike = varying(items)
    columns = []
    if len({item.model["name"] for item in items if item.model}) > 1:
        columns.append(Column("model", "model"))
    columns += [Column(key, key, "int") for key in unlike]
    told = [view.facts(item) for item in items]
    facts = {fact.key: fact for each in sorted(told, key=len, reverse=True) for fact in each}
    rows = []
    for item, each in zip(items, told, strict=True):
        row = {"model": item.model["name"] if item.model else "", **{key: item.inputs.get(key) for key in unlike}}
        row |= {key: getattr(item.result, key, None) for key in facts}  # not all tell all: a dense model no active count
        rows.append(row | {fact.key: fact.value for fact in each})
    columns += [Column(f.key, f.title, f.kind, rank) for rank, f in enumerate(facts.values())]
    return Table("", columns, rows)


def _tables(items: list[Item], view: View) -> list[Table]:
    return view.tables(items[0]) if len(items) == 1 else [_side_by_side(items, view)]


def _text(column: Column, row: dict[str, Any]) -> str:
    value = row.get(column.key)
    kind = column.kind
    if kind in ("by-row", "cell", "±cell"):  # each row's own
        kind = ("±" if kind == "±cell" else "") + row["kind"]
    if column.kind == "by-row" and isinstance(value, int) and not isinstance(value, bool) and value >= 1000:
        exact = f"{value:,} B" if kind in ("bytes", "size") else f"{value:,}"
        short = format.cell(value, kind)
        return short if short == exact else f"{short}  ({exact})" if kind != "size" else f"{short}"
    return format.cell(value, kind)


def _markdown(items: list[Item], view: View, explain: bool) -> None:
    out = []
    for table in _tables(items, view):
        if table.title:
            out.append(f"**{table.title}**\n")
        out.append("| " + " | ".join(column.title for column in table.columns) + " |")
        out.append("| " + " | ".join("---" if _left(column) else "---:" for column in table.columns) + " |")
        for row in (*table.rows, *([table.total] if table.total else [])):
            out.append("| " + " | ".join(_text(column, row).replace("|", "\\|") for column in table.columns) + " |")
        out.append("")
    if explain:
        out += _explained(items)
    out += [f"- {note}" for note in _notes(items)]
    sys.stdout.write("\n".join(out).rstrip() + "\n")


def _left(column: Column) -> bool:
    return column.kind in ("text", "by-row", "drawing")


def _notes(items: list[Item]) -> list[str]:
    return list(dict.fromkeys(note for item in items for note in item.notes))


def _explained(items: list[Item]) -> list[str]:
    """Each figure's formula, the numbers put in, the result and the source."""
    out = []
    for item in items:
        if len(items) > 1 and item.model:
            out += [item.model["name"], ""]
        for line in item.explained():
            steps = [f"    = {step}" for step in (line.formula, line.numbers, format.exact(line.value)) if step]
            out += [line.component, *steps, f"    source: {line.source}", ""]
    return out


def _plain(items: list[Item], view: View, explain: bool) -> None:
    from llmcx.report.spoken import say, table

    blocks = [table(each) for each in _tables(items, view)]
    if explain:
        blocks.append([say(line) for line in _explained(items) if line])
    blocks.append([f"Note: {say(note)}" for note in _notes(items)])
    sys.stdout.write("\n\n".join("\n".join(lines) for lines in blocks if lines) + "\n")


def _rich(items: list[Item], view: View, explain: bool) -> None:
    from rich import box
    from rich.cells import cell_len
    from rich.table import Table as RichTable
    from rich.text import Text

    from llmcx.report.console import console as make_console

    console = make_console()
    width = console.width
    for number, table in enumerate(_tables(items, view)):
        if number:
            console.print()
        rows = [*table.rows, *([table.total] if table.total else [])]
        columns, cells = _fitting(table, rows, width)
        squeezed = _squeezed(columns, cells, width)
        if squeezed is None and table.figure is not None:
            from llmcx.report.plot import show as draw

            draw([table.figure])
            continue
        if table.title:
            console.print(Text(table.title, style="bold"))
        if squeezed is None:
            console.print(Text("\n".join(_listed(columns, cells, width))), soft_wrap=True)
            continue
        heads, cells = squeezed
        drawn = RichTable(box=box.SIMPLE_HEAD, show_header=any(heads), header_style="bold", pad_edge=False, show_edge=False)
        for column, head, *texts in zip(columns, heads, *cells, strict=True):
            size = max(cell_len(line) for text in (head, *texts) for line in text.split("\n"))  # or rich would measure for longer
            justify: Any = "left" if _left(column) else "right"
            drawn.add_column(Text(head), justify=justify, no_wrap=True, overflow="fold", width=size)
        for index, row in enumerate(cells):
            last = table.total is not None and index == len(cells) - 1
            if last:
                drawn.add_section()
            drawn.add_row(*(Text(text) for text in row), style="bold" if last else None)
        console.print(drawn)
    if explain:
        console.print()
        for text in _explained(items):
            console.print(Text(text, style="dim" if text.startswith("    source") else ""), soft_wrap=True)
    for note in _notes(items):
        console.print(Text(f"· {note}", style="dim"))


def _width(columns: list[Column], cells: list[list[str]]) -> int:
    widths = [max([len(c.title), *(len(row[i]) for row in cells)]) for i, c in enumerate(columns)]
    return sum(widths) + 3 * len(columns)


def _fitting(table: Table, rows: list[dict[str, Any]], width: int) -> tuple[list[Column], list[list[str]]]:
    """The columns that fit ``width``, least important dropped first, and their cells."""
    columns = list(table.columns)
    while True:
        cells = [[_text(column, row) for column in columns] for row in rows]
        droppable = [column for column in columns if column.rank > 0]
        if _width(columns, cells) <= width or not droppable:
            return columns, cells
        columns.remove(max(droppable, key=lambda column: column.rank))


def _squeezed(columns: list[Column], cells: list[list[str]], width: int) -> tuple[list[str], list[list[str]]] | None:
    """Headings and cells that fit ``width``, broken between words where they have to be; None if even so they do not, for a
    number is neither cut nor broken.
    """
    downward = [[column.title, *(row[i] for row in cells)] for i, column in enumerate(columns)]
    kinds = [column.kind for column in columns]
    widths = [max(map(len, texts)) for texts in downward]
    least = [
        max(_least(texts[0], "text"), *(_least(text, kind) for text in texts[1:] or [""]))
        for texts, kind in zip(downward, kinds, strict=True)
    ]
    while sum(widths) + 3 * (len(columns) - 1) > width:
        loose = [i for i, size in enumerate(widths) if size > least[i]]
        if not loose:
            return None
        widths[max(loose, key=lambda i: widths[i])] -= 1
    heads = [_broken(column.title, "text", size) for column, size in zip(columns, widths, strict=True)]
    return heads, [[_broken(*each) for each in zip(row, kinds, widths, strict=True)] for row in cells]


def _least(text: str, kind: str) -> int:
    """The width below which a cell cannot be broken: words, and a number and the exact one after it, stand whole."""
    pieces = text.split() if kind == "text" else text.split("  ") if kind == "by-row" else [text]
    return max(map(len, pieces), default=0)


def _broken(text: str, kind: str, width: int) -> str:
    if len(text) <= width:
        return text
    if kind != "text":
        return text.replace("  ", "\n")
    return "\n".join(wrap(text, width, break_long_words=False, break_on_hyphens=False))


def _listed(columns: list[Column], cells: list[list[str]], width: int) -> list[str]:
    """A table that fits no terminal so narrow, as a list: each row's name, and below it a line or two for each heading."""
    first, lines = columns[0], []
    for name, *others in cells:
        lines.append(name if first.kind == "text" else f"{first.title}  {name}")
        for column, text in zip(columns[1:], others, strict=True):
            gap = "  " if len(column.title) + len(text) + 4 <= width else "\n    "
            lines += [f"  {column.title}{gap}{text}" if column.title else f"  {text}"]
    return "\n".join(lines).split("\n")
