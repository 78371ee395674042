"""Pictures in the terminal: curves of letters, bars of letters.

What stands where is told by letters, never by colour alone: without colours the same picture loses nothing. Colours are of the
256 that are the same in every theme, and of middling brightness: they stand out from dark and from light.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from math import ceil, floor, log10
from textwrap import wrap
from typing import NamedTuple

from llmcx.errors import InputError
from llmcx.report import format
from llmcx.report.bars import letters
from llmcx.report.console import columns, console, speaks
from llmcx.report.figure import Axis, Bars, Curves, Figure, Series

STYLES = ("color(32)", "color(166)", "color(29)", "color(169)", "color(100)", "color(99)", "color(244)")
"""By number of the series. Which of them are told apart by whom does not matter: letters say it all."""
MARKERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
WIDEST = 160
"""Columns beyond which a picture does not become clearer."""


class Line(NamedTuple):
    """A line of the picture: its text, and the number of the series that coloured characters belong to."""

    text: str
    colours: dict[int, int] = {}  # noqa: RUF012 - a NamedTuple's default, never changed


def style(number: int) -> str:
    """The colour of a series."""
    return STYLES[number % len(STYLES)]


def show(figures: Iterable[Figure]) -> None:
    """Draw on stdout, as wide as the terminal is, in colour where it takes colours."""
    from rich.text import Text

    out, width = console(), min(columns(), WIDEST)
    simpler = {} if speaks("│└─·█▏") else str.maketrans("│└─·█▏", "|+-'#.")
    for number, figure in enumerate(figures):
        lines = curves(figure, width) if isinstance(figure, Curves) else bars(figure, width)
        for line in [*([Line("")] if number else []), *lines]:
            text = Text(line.text.translate(simpler))
            for at, series in line.colours.items():
                text.stylize(style(series), at, at + 1)
            out.print(text, soft_wrap=True)


# --- curves ---------------------------------------------------------------------------------------------------------


def drawable(figure: Curves) -> list[Series]:
    """The series with the points that the axes can show. Raises InputError where no point is left, or too many series."""
    x, y = figure.x, figure.y

    def shown(point: tuple[float, float]) -> bool:
        return not (x.log and point[0] <= 0) and not (y.log and point[1] <= 0)

    drawn = [s._replace(points=[p for p in s.points if None not in p and shown(p)]) for s in figure.series]
    if not any(s.points for s in drawn):
        raise InputError("there is nothing to plot: no series has a point above zero", field="plot")
    if len(drawn) > len(MARKERS):
        raise InputError(f"{len(drawn)} lines are too many for one plot; it holds {len(MARKERS)}", field="plot")
    return drawn


def curves(figure: Curves, width: int = 80, height: int | None = None) -> list[Line]:
    """Letters for points, dots between them, a legend below; at most ``width`` characters wide, where ticks leave room for that.

    "*" marks a point of several series, ":" a place on the x axis that means something. Series without drawable points are
    named in the legend alone. Raises InputError when there is nothing to draw.
    """
    x, y, drawn = figure.x, figure.y, drawable(figure)
    height = height or max(12, min(20 + (width - 80) // 20, 24))
    xs = [x.at(a) for s in drawn for a, _ in s.points]
    ys = [y.at(b) for s in drawn for _, b in s.points]
    levels = ticks(min(ys), max(ys), y.log)
    low, high = min(*levels, *ys), max(*levels, *ys)
    names = {tick: format.tick(10**tick if y.log else tick, y.kind) for tick in levels}
    margin = max(map(len, names.values()))
    across, left, right = max(width - margin - 2, 10), min(xs), max(xs)

    def column(value: float) -> int:
        return round((value - left) / (right - left) * (across - 1)) if right > left else (across - 1) // 2

    def row(value: float) -> int:
        return round((high - value) / (high - low) * (height - 1)) if high > low else height // 2

    cells = [[" "] * across for _ in range(height)]
    colours: list[dict[int, int]] = [{} for _ in range(height)]
    for tick in levels:
        cells[row(tick)] = ["·" if c % 8 == 0 else " " for c in range(across)]
    marks = [mark for mark in figure.marks if left <= x.at(mark.x) <= right]
    for mark in marks:
        for line in cells:
            line[column(x.at(mark.x))] = ":"
    for number, s in enumerate(drawn):
        placed = [(column(x.at(a)), x.at(a), y.at(b)) for a, b in sorted(s.points)] if s.joined else []
        for (c0, a0, b0), (c1, a1, b1) in pairwise(placed):
            for c in range(c0 + 1, c1):
                at = left + (right - left) * c / (across - 1)
                spot = row(b0 + (b1 - b0) * (at - a0) / (a1 - a0))
                if cells[spot][c] in " ·":
                    cells[spot][c] = "."
                    colours[spot][c] = number
    standing: dict[tuple[int, int], dict[str, float]] = {}
    for number, (letter, s) in enumerate(zip(MARKERS, drawn, strict=False)):
        for a, b in s.points:
            r, c = row(y.at(b)), column(x.at(a))
            there = standing.setdefault((c, r), {})
            there[letter] = b
            cells[r][c] = letter if len(there) == 1 else "*"
            if len(there) == 1:
                colours[r][c] = number
            else:
                colours[r].pop(c, None)
    lines = [Line(text) for long in (figure.title, y.title) for text in wrap(long, width)]
    marked = {row(tick): name for tick, name in names.items()}
    for r, line in enumerate(cells):
        start = f"{marked.get(r, ''):>{margin}} │"
        lines.append(Line((start + "".join(line)).rstrip(), {len(start) + c: n for c, n in colours[r].items()}))
    lines.append(Line(" " * margin + " └" + "─" * across))
    values = sorted({a for s in drawn for a, _ in s.points})
    if (len(values) > 2 and any(value != int(value) or value > 2**40 for value in values)) or x.kind == "count":
        values = [10**tick if x.log else tick for tick in ticks(left, right, x.log) if left <= tick <= right]
    lines.append(Line(_x_labels(values, x, column, margin, across).rstrip()))
    if x.title:
        lines.append(Line(f"{x.title:>{width}}"))
    lines += legend([s.label for s in drawn], width)
    if any("*" in line for line in cells):
        end = max(standing)[0]
        shared = [
            sorted(there, key=lambda m: -there[m]) for (c, _), there in sorted(standing.items()) if c == end and len(there) > 1
        ]
        told = f"; at the right, from the top: {', '.join(map(''.join, shared))}" if shared else ""
        lines += map(Line, wrap(f"* several of them{told}", width, subsequent_indent="  "))
    return [*lines, *(Line(text) for mark in marks for text in wrap(f": {mark.label}", width, subsequent_indent="  "))]


def ticks(low: float, high: float, log: bool) -> list[float]:
    """Round values that span a range, or on a logarithmic axis lie in it: powers of ten, or steps of 1, 2 or 5; at most eight or
    so.
    """
    if log and high - low < 3:
        within = [
            log10(k) + p
            for p in range(floor(low), ceil(high) + 1)
            for k in ((1, 2, 5) if high - low > 0.8 else (1, 1.5, 2, 3, 5, 7))
        ]
        within = [t for t in within if low - 1e-9 <= t <= high + 1e-9]
        return within if len(within) > 1 else [low, high]
    if log:
        step = max(1, ceil((ceil(high) - floor(low)) / 6))
        return [float(t) for t in range(ceil(low - 1e-9), floor(high + 1e-9) + 1, step)]
    if high == low:
        return [low]
    rough = 10 ** floor(log10((high - low) / 5))
    size = next(rough * k for k in (1, 2, 5, 10) if (high - low) / (rough * k) <= 6)
    return [size * t for t in range(floor(low / size), ceil(high / size) + 1)]


def _x_labels(values: list[float], x: Axis, column: Callable[[float], int], margin: int, across: int) -> str:
    """The points' own values under the axis, as many as find room."""
    line = [" "] * (across + margin + 2)
    free = 0
    for value in values:
        name = format.tick(value, x.kind)
        at = min(max(margin + 2 + column(x.at(value)) - len(name) // 2, 0), len(line) - len(name))
        if at >= free:
            line[at : at + len(name)] = name
            free = at + len(name) + 1
    return "".join(line)


def legend(labels: Sequence[str], width: int, marks: Sequence[str] = MARKERS) -> list[Line]:
    """Letters and names, in as many columns as fit; a name that is wider still goes on in the next line."""
    entries = [f"{letter} {label}" for letter, label in zip(marks, labels, strict=False)]
    each = max(map(len, entries)) + 2
    if each - 2 > width:
        broken = [wrap(entry, width, subsequent_indent="  ") for entry in entries]
        return [Line(text, {} if at else {0: n}) for n, texts in enumerate(broken) for at, text in enumerate(texts)]
    across = max(1, (width + 2) // each)
    down = -(-len(entries) // across)
    lines = []
    for r in range(down):
        row = range(r, len(entries), down)
        lines.append(
            Line("".join(f"{entries[n]:<{each}}" for n in row).rstrip(), {each * place: n for place, n in enumerate(row)})
        )
    return lines


# --- bars -----------------------------------------------------------------------------------------------------------


def bars(figure: Bars, width: int = 80) -> list[Line]:
    """A line each: its name, its number, and as many letters of every part as it has of the whole; "|" is the limit.

    One part alone is drawn solid. At 40 columns the bar stands under its name.
    """
    parts = figure.parts()
    marks = letters(parts)
    solid = len(parts) == 1
    if solid:
        marks = {parts[0]: "█"}
    sizes = [format.cell(bar.total, figure.kind) for bar in figure.bars]
    name_width, size_width = max(len(bar.label) for bar in figure.bars), max(map(len, sizes))
    beside = width - name_width - size_width - 4
    narrow = beside < 20
    room = (width if narrow else beside) - 1
    seen: set[str] = set()
    lines = [Line(text) for text in wrap(figure.title, width)]
    for bar, size in zip(figure.bars, sizes, strict=True):
        start = f"{bar.label:<{name_width}}  {size:>{size_width}}  "
        if narrow:
            beneath = [start.rstrip()] if len(start.rstrip()) <= width else [*wrap(bar.label, width), size]
            lines += map(Line, beneath)
            start = ""
        text, filled = "", 0
        colours: dict[int, int] = {}
        for number, part in enumerate(parts):
            filled += bar.parts.get(part, 0)
            more = round(room * filled / figure.most) - len(text)
            if marks[part] != "·":
                colours |= {len(start) + len(text) + i: number for i in range(more)}
            text += marks[part] * more
        seen |= set(text)
        if solid and not text and bar.total:
            text, colours = "▏", {len(start): 0}
        if figure.limit is not None:
            line = round(room * figure.limit / figure.most)
            colours = {at + (at - len(start) >= line): n for at, n in colours.items()}
            text = f"{text[:line]}{'·' * (line - len(text))}|{text[line:]}"
        lines.append(Line(start + text, colours))
    if not solid:
        lines += legend(parts, width, [marks[part] for part in parts])
        thin = [part for part in parts if marks[part] not in seen]
        lines += map(Line, wrap(f"too thin to be seen: {', '.join(thin)}", width) if thin else [])
    if figure.limit is not None:
        lines.append(Line(f"| the budget, {format.cell(figure.limit, figure.kind)}"))
    return lines
