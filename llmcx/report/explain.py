"""A topic of `llmcx explain` for reading: in a terminal, in words, as Markdown; and the list of topics."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import groupby
from textwrap import wrap
from typing import Any

from llmcx.report import format
from llmcx.report.console import columns, console
from llmcx.report.markdown import rows

WIDEST = 100
"""Columns of prose: longer lines are hard to read."""


def show(result: Any, fmt: str, model: str | None = None) -> None:
    """Write one topic, or the list of all, in ``fmt``: "table", "plain" or "markdown"; ``model`` is whose numbers it has."""
    listed = isinstance(result, list)
    if getattr(result, "name", None) == "chapter":
        from llmcx.report import tour

        lines = tour.markdown(result) if fmt == "markdown" else tour.lines(result)
    elif fmt == "markdown":
        lines = _markdown_list(result) if listed else _markdown(result, model)
    else:
        lines = _list(result) if listed else _manual(result, model) if result.lesson is None else _lesson(result, model)
    if fmt == "markdown":
        sys.stdout.write("\n".join(lines).rstrip() + "\n")
        return
    if fmt == "plain":
        from llmcx.report.plain import in_words

        sys.stdout.writelines(f"{in_words(line.strip())}\n" for line in lines if line.strip())
        return
    from rich.text import Text

    out = console()
    for line in lines:
        heading = bool(line) and not line.startswith(" ") and line.isupper()
        out.print(Text(line, style="bold" if heading else ""), soft_wrap=True)


def wrapped(text: str, indent: str = "  ", hanging: str | None = None) -> Iterator[str]:
    width = min(columns(), WIDEST)
    for number, paragraph in enumerate(text.split("\n\n")):
        if number:
            yield ""
        yield from wrap(
            paragraph,
            width,
            initial_indent=indent,
            subsequent_indent=indent if hanging is None else hanging,
            break_long_words=False,
            break_on_hyphens=False,
        )


def _manual(topic: Any, model: str | None) -> Iterator[str]:
    """For a terminal: headings in capitals, as in a manual."""
    yield topic.name.upper()
    yield from wrapped(topic.title)
    yield ""
    yield from wrapped(topic.text)
    yield from ("", "FORMULA")
    for source, formulas in groupby(topic.formulas, key=lambda formula: formula.source):
        for formula in formulas:
            yield f"  {formula.what}"
            yield f"      = {formula.formula}"
        yield from wrapped(f"source: {source}", "      ", "              ")
    if topic.symbols:
        yield from ("", "SYMBOLS")
        width = max(len(symbol.symbol) for symbol in topic.symbols)
        for symbol in topic.symbols:
            text = symbol.meaning if symbol.unit == "1" else f"{symbol.meaning} [{symbol.unit}]"
            yield from wrapped(text, f"  {symbol.symbol:<{width}}  ", " " * (width + 4))
    yield from ("", "EXAMPLE, COMPUTED JUST NOW")
    for example in topic.examples:
        yield f"  {example.asked}".replace("\n", "\n  ")
        yield f"      = {example.result}".replace("\n", "\n        ")
    yield from _with_numbers(topic, model)
    yield from _slips(topic)
    if topic.commands:
        yield from ("", "SEE FOR YOURSELF")
        yield from (f"  {command}" for command in topic.commands)
    if topic.synonyms:
        yield from ("", "ALSO CALLED", *wrapped(", ".join(topic.synonyms)))


def _lesson(topic: Any, model: str | None) -> Iterator[str]:
    """A topic that people meet first: what it is, the formula, its symbols with their values, the numbers put in, the limits."""
    lesson = topic.lesson
    yield topic.name.upper()
    yield from (*wrapped(topic.title), "", *wrapped(topic.text), "", "FORMULA")
    for formula in topic.formulas:
        yield from wrapped(formula.formula, "  ", "      ")
    yield from ("", "SYMBOLS, AND THEIR VALUES IN THE EXAMPLE")
    name, value = (max(len(str(each[column])) for each in topic.symbols) for column in (0, 3))
    for each in topic.symbols:
        text = each.meaning if each.unit in ("1", each.meaning) else f"{each.meaning} [{each.unit}]"
        yield from wrapped(text, f"  {each.symbol:<{name}}  {each.value:>{value}}  ", " " * (name + value + 6))
    yield from ("", "EXAMPLE", *wrapped(lesson.example))
    for example in topic.examples:
        left, _, right = example.asked.partition(" = ")
        whole = f"    {example.asked} = {example.result}"
        if len(whole) <= min(columns(), WIDEST):
            yield whole
        else:
            yield from wrapped(right, f"    {left} = ", " " * (7 + len(left)))
            yield f"    {'':<{len(left)}} = {example.result}"
    yield from _with_numbers(topic, model)
    yield from ("", "WHEN IT MISLEADS", *wrapped(lesson.misleads))
    yield from _slips(topic)
    yield from ("", "SEE FOR YOURSELF, AND IN ITS JSON")
    for command, answers in groupby(lesson.answers, key=lambda answer: answer.command):
        yield from wrapped(command, "  ", "      ")
        yield from (
            line
            for answer in answers
            for line in wrapped(f"{answer.symbol} = result.{answer.field.replace(' + ', ' + result.')}", "      ", "        ")
        )
    told = {answer.command for answer in lesson.answers}
    yield from (line for command in topic.commands if command not in told for line in wrapped(command, "  ", "      "))
    yield from ("", "SOURCE", *wrapped(topic.formulas[0].source))
    if lesson.see:
        yield from ("", "READ NEXT", *wrapped(", ".join(lesson.see)))
    if topic.synonyms:
        yield from ("", "ALSO CALLED", *wrapped(", ".join(topic.synonyms)))


def _with_numbers(topic: Any, model: str | None) -> Iterator[str]:
    if topic.numbers:
        yield from ("", f"WITH THE NUMBERS OF {model}".upper())
        for line in topic.numbers:
            yield f"  {line.component}"
            yield from (f"      = {step}" for step in format.steps(line))


def _slips(topic: Any) -> Iterator[str]:
    if topic.chapter:
        yield from ("", "WHERE THE TEXTBOOK DIFFERS")
        for slip in topic.chapter:
            yield from wrapped(f"text: {slip.chapter}", "  ", "    ")
            yield from wrapped(f"checked: {slip.checked}", "  ", "    ")


def _list(entries: list[Any]) -> Iterator[str]:
    """By group, the rules as one line each group of them: their names are enough."""
    for group, members in groupby(entries, key=lambda entry: entry.group):
        some = list(members)
        yield group.upper()
        if group == "rules":
            yield from wrapped(", ".join(entry.name for entry in some))
        else:
            width = max(len(entry.name) for entry in some)
            for entry in some:
                yield from wrapped(entry.title, f"  {entry.name:<{width}}  ", " " * (width + 4))
        yield ""
    yield "llmcx explain TOPIC explains one, with a model after it on that model's"
    yield "numbers; chapter goes through the textbook's; --list names all, down to the"
    yield "rules of each sum."


def _markdown(topic: Any, model: str | None) -> Iterator[str]:
    yield from (f"## {topic.name}", "", f"{topic.title}.", "", topic.text, "")
    yield from rows(("quantity", "formula", "source"), topic.formulas)
    if topic.lesson is None:
        yield from rows(("symbol", "meaning", "unit"), (each[:3] for each in topic.symbols))
    else:
        yield from rows(("symbol", "meaning", "unit", "in the example"), topic.symbols)
        yield from (f"{topic.lesson.example}:", "")
    yield from rows(("example", "result"), topic.examples)
    if topic.lesson is not None:
        yield from (f"When it misleads: {topic.lesson.misleads}", "")
    if topic.numbers:
        cells = ((line.component, line.formula, line.numbers, format.exact(line.value), line.source) for line in topic.numbers)
        yield from rows((str(model), "formula", "numbers", "value", "source"), cells)
    if topic.chapter:
        yield from rows(("the textbook says", "what is so"), topic.chapter)
    if topic.commands:
        yield from ("```console", *(f"$ {command}" for command in topic.commands), "```", "")


def _markdown_list(entries: list[Any]) -> Iterator[str]:
    yield from rows(("topic", "what", "group"), ((entry.name, entry.title, entry.group) for entry in entries))
