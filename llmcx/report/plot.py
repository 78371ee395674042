"""Figures in the terminal: curves drawn by plotext (extra llmcx[plot]), bars as letters to scale.

Letters show what is what, never colour alone: without colours the same figure loses nothing. Colours are of the 256 that are the
same in every theme, and of middling brightness: they stand out from dark and from light.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.util import find_spec
from textwrap import wrap
from typing import TYPE_CHECKING

from llmcx.errors import InputError
from llmcx.report import format
from llmcx.report.console import columns, console, translated
from llmcx.report.figure import MARKERS, Bars, Curves, Figure, Mark, Series

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
    """The title, a letter for each series, a line down at a place on the x axis that means something, and what is which.

    Raises InputError without plotext, or where there is nothing to draw.
    """
    series = [*zip(MARKERS, figure.drawable(), strict=False)]
    canvas = _canvas(figure, series, width)
    rows = "".join(re.split("[│┤]", line.plain, maxsplit=1)[-1] for line in canvas[:-2])  # without ticks
    hidden = [letter for letter, one in series if one.points and letter not in rows]
    return [
        *(line for title in (figure.title, figure.y.title) for line in _wrapped(title, width)),
        *canvas,
        *_wrapped(f"{figure.x.title:>{width}}", width),
        *legend([f"{letter} {one.label}" for letter, one in series], width),
        *(_wrapped(f"behind others: {', '.join(hidden)}", width) if hidden else []),
        *(line for mark in _marks(figure) for line in _wrapped(f"│ {mark.label}", width)),
    ]


def _canvas(figure: Curves, series: list[tuple[str, Series]], width: int) -> list[Text]:
    """The lines of the plot itself, with its axes."""
    from rich.text import Text

    if find_spec("plotext") is None:
        raise InputError("curves in the terminal need plotext: pip install 'llmcx[plot]'", field="plot", value="-")
    import plotext as plot

    plot.clear_figure()
    plot.limit_size(False, False)  # the width is ours: COLUMNS may ask for another than the terminal's
    plot.plot_size(width, HEIGHT)
    for paint in (plot.canvas_color, plot.axes_color, plot.ticks_color):
        paint("default")
    for number in sorted(range(len(series)), key=lambda n: (not series[n][1].joined, -n)):  # points in front of lines
        letter, one = series[number]
        points = sorted((figure.x.at(x), figure.y.at(y)) for x, y in one.points)
        draw = plot.plot if one.joined else plot.scatter
        if points:
            draw(*zip(*points, strict=True), marker=letter, color=COLOURS[number % len(COLOURS)])
    for place, axis, label in ((0, figure.x, plot.xticks), (1, figure.y, plot.yticks)):
        ticks = axis.ticks([point[place] for _, one in series for point in one.points])
        label([axis.at(tick) for tick in ticks], [format.tick(tick, axis.kind) for tick in ticks])
    for mark in _marks(figure):
        plot.vertical_line(figure.x.at(mark.x), color="default")
    return [line for line in Text.from_ansi(plot.build()).split() if line.plain.strip()]


def _marks(figure: Curves) -> list[Mark]:
    """The marks that lie between the points."""
    xs = [x for one in figure.drawable() for x, _ in one.points]
    return [mark for mark in figure.marks if min(xs) <= mark.x <= max(xs)]


def _wrapped(text: str, width: int) -> list[Text]:
    from rich.text import Text

    return [Text(line) for line in wrap(text, width)]


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
    lines = _wrapped(figure.title, width)
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
            lines += [*_wrapped(f"{label}  {size}", width), drawn]
        else:
            lines.append(Text.assemble(f"{label:<{label_width}}  {size:>{size_width}}  ", drawn))
    if not solid:
        lines += legend([f"{letter} {part}" for part, letter in letters.items()], width)
    if figure.limit is not None:
        lines.append(Text(f"| the budget, {format.cell(figure.limit, figure.kind)}"))
    return lines
