"""A table before anybody decided how to draw it, and its cells as text."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from llmcx.report import format


class Column(NamedTuple):
    """``key`` names it to a machine, ``title`` to a reader; ``kind`` says how its cells read (see format.cell, and text below).

    ``rank`` 0 is always shown; a narrow terminal drops the highest ranks first.
    """

    key: str
    title: str
    kind: str = "text"
    rank: int = 0

    @property
    def left(self) -> bool:
        """Whether its cells are lined up at the left."""
        return self.kind in ("text", "by-row", "drawing")

    def text(self, row: dict[str, Any]) -> str:
        """One cell. Kinds beyond those of format.cell: "cell" and "±cell" are read as each row's own "kind" says, "by-row" too,
        with the exact number beside a rounded one.
        """
        value, kind = row.get(self.key), self.kind
        if kind in ("by-row", "cell", "±cell"):
            kind = ("±" if kind == "±cell" else "") + row["kind"]
        short = format.cell(value, kind)
        if self.kind == "by-row" and is_long(value) and kind != "size":
            exact = f"{value:,} B" if kind == "bytes" else f"{value:,}"
            return short if short == exact else f"{short}  ({exact})"
        return short


def is_long(value: Any) -> bool:
    """Whether a value is a whole number that is rounded where it is shown."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1000


class Table(NamedTuple):
    """Rows of raw values under columns; ``total`` is a last row set apart. ``keys`` are what a CSV has of a row, where that is
    not one for each column.
    """

    title: str
    columns: list[Column]
    rows: list[dict[str, Any]]
    total: dict[str, Any] | None = None
    keys: tuple[str, ...] = ()

    def every_row(self) -> list[dict[str, Any]]:
        """The rows, and the total below them."""
        return [*self.rows, *([self.total] if self.total else [])]


class Fact(NamedTuple):
    """One number of a summary: a line of its own for one model, a column where several stand side by side."""

    key: str
    title: str
    value: Any
    kind: str = "text"


_ENTRY = re.compile(r"(\w+): *(.*?) *(?:\((±?[a-z-]+)(?: (\d))?\))?")


def _entries(text: str) -> list[tuple[str, str, str, int]]:
    """Key, title, kind and rank of each entry of "key: title (kind rank) | ..."; without a kind it is text.

    >>> _entries("n: layers (int 2) | flops: FLOPs (per token) (float) | note: but")
    [('n', 'layers', 'int', 2), ('flops', 'FLOPs (per token)', 'float', 0), ('note', 'but', 'text', 0)]
    """
    found = [_ENTRY.fullmatch(entry) for entry in text.split(" | ")]
    return [(key, title, kind or "text", int(rank or 0)) for key, title, kind, rank in (each.groups() for each in found if each)]


def columns_of(text: str) -> list[Column]:
    """Columns written as "key: title (kind rank) | ..."."""
    return [Column(*entry) for entry in _entries(text)]


def facts_of(result: Any, text: str, **values: Any) -> list[Fact]:
    """Fields of ``result`` as facts, written as "field: title (kind) | ..."; ``values`` are of facts that are no field."""
    return [
        Fact(key, title, values[key] if key in values else getattr(result, key), kind) for key, title, kind, _ in _entries(text)
    ]


def facts_table(title: str, facts: list[Fact]) -> Table:
    """A summary as a two-column table; counts show their exact value beside the rounded one. A machine gets names."""
    rows = [{"name": fact.key, "quantity": fact.title, "value": fact.value, "kind": fact.kind} for fact in facts]
    return Table(title, columns_of("quantity: | value: (by-row)"), rows, keys=("name", "value"))


def raw_table(rows: list[dict[str, Any]]) -> Table:
    """Rows for a machine: every key a column."""
    return Table("", [Column(key, key) for key in rows[0]], rows)
