"""Answers in a terminal: tables as wide as it is, none of whose numbers is cut or broken."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

from llmcx.report.console import console, translated
from llmcx.report.figure import Bars
from llmcx.report.render import Item, View, formulas, headline, notes
from llmcx.report.table import Column, Table

if TYPE_CHECKING:
    from rich.console import RenderableType


def write(items: list[Item], view: View, explain: bool, detail: bool = False) -> None:
    """The first lines, tables and bars, formulas, notes."""
    from rich.text import Text

    out = console()
    hidden: list[str] = []
    if (head := headline(items)) is not None:
        first, rest = _parted(head.asked, out.width)  # so that the verdict is the second line
        out.print(Text(first, style="dim"), soft_wrap=len(first) <= out.width)
        style = {True: "bold green", False: "bold red", None: "bold"}[head.good]
        out.print(Text(head.verdict, style=style))
        if rest:
            out.print(Text(f"({rest})", style="dim"))
        for change in head.changes:
            out.print(Text.assemble("  ", (change.options, "bold"), f"{'  ' if change.options else ''}{change.gives}"))
        out.print()
    for number, table in enumerate(view.of(items, detail)):
        if number:
            out.print()
        if isinstance(table, Bars):
            from llmcx.report.plot import bars

            for line in bars(table, min(out.width, 80)):
                out.print(translated(line), soft_wrap=True)
            continue
        if table.title:
            out.print(Text(table.title, style="bold"))
        drawn, left_out = _drawn(table, out.width)
        out.print(drawn, soft_wrap=True)
        hidden += left_out
    if explain:
        out.print()
        for text in formulas(items):
            dim = "" if not text.startswith("    ") or text.startswith("    =") else "dim"
            for part in wrap(text, out.width, subsequent_indent=" " * 6, break_long_words=False, break_on_hyphens=False) or [""]:
                out.print(Text(part, style=dim), soft_wrap=True)
    if hidden:
        names = ", ".join(dict.fromkeys(hidden))
        out.print(Text(f"· {out.width} columns have no room for: {names} (a wider terminal, or --format csv)", style="dim"))
    for note in notes(items, detail):
        out.print(Text(f"· {note}", style="dim"))


def _parted(text: str, width: int) -> tuple[str, str]:
    """As many of a line's pieces as are no wider, and the others."""
    if len(text) <= width:
        return text, ""
    between = " · " if " · " in text else ", "
    pieces = text.split(between)
    count = max((k for k in range(1, len(pieces)) if len(between.join(pieces[:k])) <= width), default=1)
    return between.join(pieces[:count]), between.join(pieces[count:])


def _drawn(table: Table, width: int) -> tuple[RenderableType, list[str]]:
    """The table as rich draws it, or a list where even its narrowest form is wider than ``width``; the columns left out."""
    from rich import box
    from rich.cells import cell_len
    from rich.table import Table as RichTable
    from rich.text import Text

    columns, cells = _fitting(table, width)
    left_out = [column.title for column in table.columns if column not in columns and column.title]
    squeezed = _squeezed(columns, cells, width)
    if squeezed is None:
        return Text("\n".join(_listed(columns, cells, width))), left_out
    heads, cells = squeezed
    drawn = RichTable(box=box.SIMPLE_HEAD, show_header=any(heads), header_style="bold", pad_edge=False, show_edge=False)
    for column, head, *texts in zip(columns, heads, *cells, strict=True):
        size = max(cell_len(line) for text in (head, *texts) for line in text.split("\n"))  # or rich would measure for longer
        drawn.add_column(Text(head), justify="left" if column.left else "right", no_wrap=True, overflow="fold", width=size)
    for index, row in enumerate(cells):
        last = table.total is not None and index == len(cells) - 1
        if last:
            drawn.add_section()
        drawn.add_row(*(Text(text) for text in row), style="bold" if last else None)
    return drawn, left_out


def _fitting(table: Table, width: int) -> tuple[list[Column], list[list[str]]]:
    """The columns that fit ``width``, least important dropped first, and their cells."""
    columns = list(table.columns)
    while True:
        cells = [[column.text(row) for column in columns] for row in table.every_row()]
        widths = [max([len(column.title), *(len(row[i]) for row in cells)]) for i, column in enumerate(columns)]
        least = max(columns, key=lambda column: column.rank)
        if sum(widths) + 3 * len(columns) <= width or least.rank == 0:
            return columns, cells
        columns.remove(least)


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
        if name:
            lines.append(name if first.kind == "text" else f"{first.title}  {name}")
        for column, text in zip(columns[1:], others, strict=True):
            gap = "  " if len(column.title) + len(text) + 4 <= width else "\n    "
            untitled = _broken(text, "text", max(width - 2, 1)).replace("\n", "\n  ")
            told = f"{column.title}{gap}{text}" if column.title else untitled
            lines.append(f"  {told}")
    return lines
