"""What a command found, and the module that writes each form of it: table, JSON, JSON lines, CSV, Markdown, words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from llmcx.report.figure import Bars
    from llmcx.report.table import Fact, Table

FORMATS = ("table", "json", "jsonl", "csv", "markdown")


class Change(NamedTuple):
    """Options that would turn a no into a yes, and what then comes out; "" where there are none, and a sentence says so."""

    options: str
    gives: str


class Headline(NamedTuple):
    """The first lines of an answer: what was ``asked``, with every assumption that moves the number; the ``verdict``; whether
    that is a yes (None: it was no question of yes or no); on a no, the smallest ``changes`` that make it one.
    """

    asked: str
    verdict: str
    good: bool | None = None
    changes: Sequence[Change] = ()


class Item(NamedTuple):
    """One answer: the model it is about (None if it is about no model), the inputs, the result, and what to bear in mind."""

    model: dict[str, Any] | None
    inputs: dict[str, Any]
    result: Any
    notes: list[str]
    lines: Callable[[], list[Any]] | None = None  # its formulas, found when --explain asks
    more: Callable[[], Any] | None = None  # what its figure shows beyond the result; counted when it is drawn
    head: Callable[[], Headline] | None = None  # its first lines, found when they are printed
    text: str | None = None  # what is printed in place of all that

    def explained(self) -> list[Any]:
        """The formulas behind the result."""
        return [] if self.lines is None else self.lines()


class Answer(NamedTuple):
    """What a command found: one item, or several side by side; ``view`` names the entry of views.VIEWS that shows them where it
    is not the command's own.
    """

    items: list[Item]
    view: str | None = None


def title(item: Item) -> str:
    """The model's name for a reader."""
    model = item.model or {}
    return str(model.get("title") or model.get("name") or "")


class View(NamedTuple):
    """How one command's results read: the tables (and bars) of a single result, those that --detail shows, and a summary of its
    key numbers. ``data`` is the table of a CSV, where that is not the first one.
    """

    tables: Callable[[Item], Sequence[Table | Bars]]
    facts: Callable[[Item], list[Fact]] = lambda item: []
    data: Callable[[Item], Table] | None = None
    details: Callable[[Item], Sequence[Table | Bars]] | None = None

    def of(self, items: list[Item], detail: bool = False) -> Sequence[Table | Bars]:
        """What a reader is shown: the tables of one item, or several items side by side."""
        if len(items) > 1:
            return [side_by_side(items, self)]
        return self.details(items[0]) if detail and self.details is not None else self.tables(items[0])


def show(command: str, items: list[Item], view: str, fmt: str, explain: bool = False, detail: bool = False) -> None:
    """Write ``items`` to stdout in ``fmt``, one of FORMATS or "plain"; ``view`` names an entry of views.VIEWS."""
    if fmt in ("json", "jsonl"):
        from llmcx.report import json

        (json.write if fmt == "json" else json.write_lines)(command, items, explain)
        return
    from llmcx.report.views import VIEWS

    module = import_module(f"llmcx.report.{'terminal' if fmt == 'table' else fmt}")
    module.write(items, VIEWS[view], explain, detail)


def headline(items: list[Item]) -> Headline | None:
    """The first lines of the answer; None where several stand side by side, or nobody wrote any."""
    return items[0].head() if len(items) == 1 and items[0].head is not None else None


def varying(items: list[Item]) -> list[str]:
    """The inputs that are not the same for all."""
    return [key for key in items[0].inputs if len({repr(item.inputs.get(key)) for item in items}) > 1]


def side_by_side(items: list[Item], view: View) -> Table:
    """One row per item: the model, the inputs that vary, the key numbers."""
    from llmcx.report.table import Column, Table

    unlike, summaries = varying(items), [view.facts(item) for item in items]
    facts = {fact.key: fact for each in sorted(summaries, key=len, reverse=True) for fact in each}
    rows = []
    for item, each in zip(items, summaries, strict=True):
        row = {"model": item.model["name"] if item.model else "", **{key: item.inputs.get(key) for key in unlike}}
        row |= {key: getattr(item.result, key, None) for key in facts}  # a dense model's summary has no active count
        rows.append(row | {fact.key: fact.value for fact in each})
    columns = [Column("model", "model")] if len({item.model["name"] for item in items if item.model}) > 1 else []
    columns += [Column(key, key, "int") for key in unlike]
    columns += [Column(f.key, f.title, f.kind, rank) for rank, f in enumerate(facts.values())]
    return Table("", columns, rows)


BRIEF = 2
"""Notes that are shown unless --detail asks for all."""


def notes(items: list[Item], detail: bool = True) -> list[str]:
    """The notes of all items, each once; without ``detail`` the first few, and how many more there are."""
    found = list(dict.fromkeys(note for item in items for note in item.notes))
    if detail or len(found) <= BRIEF + 1:
        return found
    return [*found[:BRIEF], f"{len(found) - BRIEF} more notes: --detail"]


def formulas(items: list[Item]) -> list[str]:
    """Each figure's formula, the numbers put in, the result and the source, as lines."""
    from llmcx.report import format

    out = []
    for item in items:
        if len(items) > 1 and item.model:
            out += [item.model["name"], ""]
        for line in item.explained():
            out += [line.component, *(f"    = {step}" for step in format.steps(line))]
            told = (("", line.where), ("source: ", line.source), ("interval: ", line.interval))
            out += [*(f"    {what}{text}" for what, text in told if text), ""]
    return out
