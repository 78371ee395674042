"""The textbook chapter as a tour: in a terminal, and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from math import log10
from typing import Any

from llmcx.report.markdown import rows

BAR = 20
"""Columns of a bar that is whole."""


def lines(tour: Any) -> Iterator[str]:
    """For a terminal of 80 columns: symbols, then section by section, the growth of attention, the exercises."""
    from llmcx.report.explain import wrapped

    yield from ("CHAPTER", *wrapped(tour.title), "", "SYMBOLS")
    yield _row("", *tour.models)
    for each in tour.symbols:
        unit = "" if each.unit in ("1", each.meaning) else f" [{each.unit}]"
        yield _row(f"  {each.symbol}  {each.meaning}{unit}", *each.values)
    for number, section in enumerate(tour.sections, 1):
        yield from ("", f"{number} {section.title}".upper(), *wrapped(section.text), _row("", *tour.models))
        for what, figures in groupby(section.figures, key=lambda figure: figure.what):
            yield f"  {what}"
            yield from (_row(f"    {figure.order:<8} {figure.formula}", *figure.values) for figure in figures)
        if number == 1:
            yield from picture(tour)
            yield from _growth(tour)
        for slip in section.slips:
            yield ""
            yield from wrapped(f"it says: {slip.chapter}", "  ", "    ")
            yield from wrapped(f"checked: {slip.checked}", "  ", "    ")
        yield ""
        commands = dict.fromkeys(figure.command.replace("MODEL", "gpt3") for figure in section.figures if figure.command)
        own = {"PARAMS": tour.symbols[-2].values[0], "TOKENS": tour.symbols[-1].values[0]}
        for command in commands:
            for word, value in own.items():
                command = command.replace(word, value.replace(",", ""))
            yield from wrapped(command, "  ", "      ")
        yield from wrapped(f"read next: {', '.join(section.see)}", "  ", "    ")
    yield from ("", "EXERCISES")
    for number, exercise in enumerate(tour.exercises, 1):
        yield from wrapped(f"{number}. {exercise.asked}", "  ", "     ")
        yield from (f"     {step} = {value}" for step, value in exercise.steps)
        yield from wrapped(exercise.note, "     ")
        yield from wrapped(exercise.command, "     ", "         ")
        yield ""


def _row(left: str, first: str, second: str) -> str:
    return f"{left:<55} {first:>12}{second:>11}" if len(first) <= 11 else f"{left:<50} {first:>15} {second:>13}"


COLUMNS, ROWS = 40, 12
"""Of the picture of growth."""
LEAST, MOST = 128, 2**20
"""Tokens at its ends."""


def picture(tour: Any) -> Iterator[str]:
    """A layer's two terms at leading order over the length, both axes logarithmic: "." n d², "*" n² d, "+" where they are equal.
    Under it the length at which they are, and where they would be with constants.
    """
    d = next(float(each.values[0].replace(",", "")) for each in tour.symbols if each.symbol == "d")
    exact = next(f.values[0] for f in tour.sections[0].figures if f.what.startswith("length from") and f.order == "exact")
    low, high = log10(LEAST**2 * d), log10(MOST**2 * d)
    cells = [[" "] * COLUMNS for _ in range(ROWS)]
    for column in range(COLUMNS):
        n = LEAST * (MOST / LEAST) ** (column / (COLUMNS - 1))
        for letter, cost in ((".", n * d * d), ("*", n * n * d)):
            row = round((high - log10(cost)) / (high - low) * (ROWS - 1))
            cells[max(0, min(ROWS - 1, row))][column] = letter
    across = round(log10(d / LEAST) / log10(MOST / LEAST) * (COLUMNS - 1))
    cells[round((high - log10(d**3)) / (high - low) * (ROWS - 1))][across] = "+"
    names = {
        0: "  * attention, n² d",
        3: "  . matrices, n d²",
        5: f"  + equal at n = d = {d:,.0f}",
        6: f"    (counted exactly: {exact})",
    }
    yield from ("", f"  a layer of {tour.models[0]} at leading order, multiply-adds by tokens n (log scales)")
    for at, letters in enumerate(cells):
        edge = f"{10 ** (high if at == 0 else low):.0e}" if at in (0, ROWS - 1) else ""
        yield f"  {edge:>6} |{''.join(letters)}{names.get(at, '')}".rstrip()
    yield f"         +{'-' * COLUMNS}"
    yield f"          {'128':<{across}}{f'n = {d:,.0f}':<{COLUMNS - across - 2}}1M"


def _growth(tour: Any) -> Iterator[str]:
    yield from ("", "  attention in the layers' FLOPs at n tokens; half of them is at the bar |")
    for each in tour.growth:
        cells = []
        for share in each.shares:
            bar = "#" * round(share * BAR)
            cells.append(f"{bar:<{BAR}}"[: BAR // 2] + "|" + f"{bar:<{BAR}}"[BAR // 2 :] + f" {share:>4.0%}")
        yield f"  {each.seq:>9,}  {cells[0]}   {cells[1]}"


def markdown(tour: Any) -> Iterator[str]:
    """The same in tables."""
    yield from ("## chapter", "", f"{tour.title}.", "")
    yield from rows(("symbol", "meaning", "unit", *tour.models), ((*each[:3], *each.values) for each in tour.symbols))
    for number, section in enumerate(tour.sections, 1):
        yield from (f"### {number} {section.title}", "", section.text, "")
        figures = ((each.what, each.order, each.formula, *each.values) for each in section.figures)
        yield from rows(("quantity", "order", "formula", *tour.models), figures)
        if section.slips:
            yield from rows(("the textbook says", "what is so"), section.slips)
    yield from ("### Exercises", "")
    for number, exercise in enumerate(tour.exercises, 1):
        yield from (f"{number}. {exercise.asked}", "")
        yield from rows(("step", "result"), exercise.steps)
        yield from (f"{exercise.note}: `{exercise.command}`", "")
