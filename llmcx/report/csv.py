"""Rows as CSV: an answer's table with raw numbers, and a sweep's rows one by one."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from typing import Any

from llmcx.report.figure import Bars
from llmcx.report.render import Item, View, side_by_side


def write(items: list[Item], view: View, explain: bool, detail: bool = False) -> None:
    """The first table of one item, or the items side by side."""
    if len(items) > 1:
        table = side_by_side(items, view)
    else:
        table = view.data(items[0]) if view.data else next(t for t in view.tables(items[0]) if not isinstance(t, Bars))
    keys = table.keys or tuple(column.key for column in table.columns)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(keys)
    writer.writerows([row.get(key) for key in keys] for row in table.every_row())


def cell(value: Any) -> Any:
    """A value of a sweep's row: true and false as JSON has them, a list or an object as JSON."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (bool, dict, list)) else value


class _Line:
    """A file that hands back what is written to it."""

    def write(self, text: str) -> str:
        return text


class Lines:
    """Rows as lines of CSV."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self._writer: Any = csv.writer(_Line(), lineterminator="\n")

    def head(self) -> str:
        line: str = self._writer.writerow(self.names)
        return line

    def line(self, row: dict[str, Any]) -> str:
        line: str = self._writer.writerow([cell(value) for value in row.values()])
        return line
