"""Figures in the terminal: curves drawn by plotext (extra llmcx[plot]), bars as letters to scale.

What is what is told by letters, never by colour alone: without colours the same figure loses nothing. Colours are of the 256
that are the same in every theme, and of middling brightness: they stand out from dark and from light.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.util import find_spec
from math import log10
from textwrap import wrap
from typing import TYPE_CHECKING

from llmcx.errors import InputError
from llmcx.report import format
from llmcx.report.console import columns, console, translated
from llmcx.report.figure import MARKERS, Axis, Bars, Curves, Figure

if TYPE_CHECKING:
    from rich.text import Text

COLOURS = (32, 166, 29, 169, 100, 99, 244)
WIDEST = 160
"""Columns beyond which a figure does not become clearer."""
HEIGHT = 22


def show(figures: Iterable[Figure]) -> None:
    """Draw on stdout, as wide as the terminal is, in colour where it takes colours."""
    out, width = console(), min(columns(), WIDEST)
    for number, figure in enumerate(figures):
        if number:
            out.print()
        for line in curves(figure, width) if isinstance(figure, Curves) else bars(figure, width):
            out.print(translated(line), soft_wrap=True)


def style(number: int) -> str:
    """The colour of a series or of a part."""
    return f"color({COLOURS[number % len(COLOURS)]})"


def curves(figure: Curves, width: int) -> list[Text]:
    """A letter for each series, ":" for a place on the x axis that means something; which is which stands below.

    Raises InputError without plotext, or where there is nothing to draw.
    """
    from rich.text import Text

    if find_spec("plotext") is None:
        raise InputError("curves in the terminal need plotext: pip install 'llmcx[plot]'", field="plot", value="-")
    import plotext as plot

    series = figure.drawable()
    across, up = ([point[place] for s in series for point in s.points] for place in (0, 1))
    plot.clear_figure()
    plot.limit_size(False, False)  # the width is ours: COLUMNS may ask for another than the terminal's
    plot.plot_size(width, HEIGHT)
    for paint in (plot.canvas_color, plot.axes_color, plot.ticks_color):
        paint("default")

    def place(axis: Axis, value: float) -> float:
        return log10(value) if axis.log else value

    for number, one in sorted(enumerate(series), key=lambda each: (not each[1].joined, -each[0])):  # points in front of lines
        if one.points:
            xs, ys = zip(*((place(figure.x, x), place(figure.y, y)) for x, y in sorted(one.points)), strict=True)
            draw = plot.plot if one.joined else plot.scatter
            draw(xs, ys, marker=MARKERS[number], color=COLOURS[number % len(COLOURS)])
    for axis, values, label in ((figure.x, across, plot.xticks), (figure.y, up, plot.yticks)):
        ticks = axis.ticks(values)
        label([place(axis, tick) for tick in ticks], [format.tick(tick, axis.kind) for tick in ticks])
    marks = [mark for mark in figure.marks if min(across) <= mark.x <= max(across)]
    for mark in marks:
        plot.vertical_line(place(figure.x, mark.x), color="default")
    lines = [Text(text) for title in (figure.title, figure.y.title) for text in wrap(title, width)]
    drawn = [line for line in Text.from_ansi(plot.build()).split() if line.plain.strip()]
    lines += drawn
    lines += [Text(f"{figure.x.title:>{width}}")] if figure.x.title else []
    lines += legend([f"{letter} {one.label}" for letter, one in zip(MARKERS, series, strict=False)], width)
    inside = "".join(re.split("[│┤]", line.plain, maxsplit=1)[-1] for line in drawn[:-2])
    hidden = [letter for letter, one in zip(MARKERS, series, strict=False) if one.points and letter not in inside]
    lines += [Text(f"behind others: {', '.join(hidden)}")] if hidden else []
    return lines + [Text(text) for mark in marks for text in wrap(f"│ {mark.label}", width, subsequent_indent="  ")]


def legend(entries: Iterable[str], width: int) -> list[Text]:
    """Letters and names, as many on a line as it holds whole."""
    from rich.text import Text

    lines = wrap("  ".join(entry.replace(" ", "\xa0") for entry in entries), width)  # a line is not broken there
    return [Text(line.replace("\xa0", " ")) for line in lines]


def bars(figure: Bars, width: int) -> list[Text]:
    """A line each: its name, its number, and as many letters of every part as it has of the whole; "|" is the limit.

    One part alone is drawn solid. In a narrow terminal the bar stands under its name.
    """
    from rich.text import Text

    letters = figure.letters()
    solid = len(letters) == 1
    labels, sizes = [bar.label for bar in figure.bars], [format.cell(bar.total, figure.kind) for bar in figure.bars]
    label_width, size_width = max(map(len, labels)), max(map(len, sizes))
    before = label_width + size_width + 4
    narrow = width - before < 24
    room = width - 1 - (0 if narrow else before)
    lines = [Text(text) for text in wrap(figure.title, width)]
    for bar, label, size in zip(figure.bars, labels, sizes, strict=True):
        drawn, filled = Text(), 0
        for number, (part, letter) in enumerate(letters.items()):
            filled += bar.parts.get(part, 0)
            length = round(room * filled / figure.most) - len(drawn)
            drawn.append(("█" if solid else letter) * length, style=None if letter == "·" else style(number))
        if figure.limit is not None:
            at = round(room * figure.limit / figure.most)
            drawn = Text.assemble(drawn[:at], "·" * (at - len(drawn)), "|", drawn[at:])
        if narrow:
            lines += [*(Text(text) for text in wrap(f"{label}  {size}", width)), drawn]
        else:
            lines.append(Text.assemble(f"{label:<{label_width}}  {size:>{size_width}}  ", drawn))
    if not solid:
        lines += legend([f"{letter} {part}" for part, letter in letters.items()], width)
    if figure.limit is not None:
        lines.append(Text(f"| the budget, {format.cell(figure.limit, figure.kind)}"))
    return lines
