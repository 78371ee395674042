"""A table before anybody decided how to draw it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from llmcx.report.figure import Figure


class Column(NamedTuple):
    """``key`` names it to a machine, ``title`` to a reader; ``kind`` says how its cells read (see format.cell).

    ``rank`` 0 is always shown; a narrow terminal drops the highest ranks first.
    """

    key: str
    title: str
    kind: str = "text"
    rank: int = 0


class Table(NamedTuple):
    """Rows of raw values under columns; ``total`` is a last row set apart.

    A table that draws bars carries what they show as ``figure``, which is put into words where nothing is drawn, under
    ``heading``.
    """

    title: str
    columns: list[Column]
    rows: list[dict[str, Any]]
    total: dict[str, Any] | None = None
    figure: Figure | None = None
    heading: str = ""


class Fact(NamedTuple):
    """One number of a summary: a line of its own for one model, a column where several stand side by side."""

    key: str
    title: str
    value: Any
    kind: str = "text"


def facts_table(title: str, facts: list[Fact]) -> Table:
    """A summary as a two-column table; counts show their exact value beside the rounded one. A machine gets names."""
    rows = [{"name": fact.key, "quantity": fact.title, "value": fact.value, "kind": fact.kind} for fact in facts]
    return Table(title, [Column("quantity", ""), Column("value", "", "by-row")], rows)
