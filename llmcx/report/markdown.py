"""Answers as Markdown."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from llmcx.report.figure import Bars
from llmcx.report.render import Item, View, formulas, headline, notes


def write(items: list[Item], view: View, explain: bool, detail: bool = False) -> None:
    """The first lines, tables, bars as they are in a terminal, formulas, notes as a list."""
    out = []
    if (head := headline(items)) is not None:
        out += [head.asked, "", f"**{head.verdict}**", ""]
        out += [f"- `{change.options}`: {change.gives}" if change.options else f"- {change.gives}" for change in head.changes]
        out += [""] if head.changes else []
    for table in view.of(items, detail):
        if isinstance(table, Bars):
            from llmcx.report.plot import bars

            out += ["```text", *(line.plain.rstrip() for line in bars(table, 80)), "```", ""]
            continue
        cells = ([column.text(row) for column in table.columns] for row in table.every_row())
        out += [f"**{table.title}**\n"] if table.title else []
        out += rows([column.title for column in table.columns], cells, ["---" if c.left else "---:" for c in table.columns])
    if explain:
        out += formulas(items)
    out += [f"- {note}" for note in notes(items, detail)]
    sys.stdout.write("\n".join(out).rstrip() + "\n")


def rows(titles: Iterable[str], cells: Iterable[Iterable[Any]], rules: Iterable[str] | None = None) -> list[str]:
    """The lines of a table, and an empty one."""

    def line(texts: Iterable[Any]) -> str:
        return "| " + " | ".join(str(text).replace("|", "\\|").replace("\n", " ") for text in texts) + " |"

    titles = list(titles)
    return [line(titles), line(rules or ["---"] * len(titles)), *map(line, cells), ""]
