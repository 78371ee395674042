"""Figures in the terminal: curves drawn by plotext (extra llmcx[plot]), named at their ends, bars as letters to scale.

Names and letters show what is what, never colour alone: without colours the same figure loses nothing. Colours are of the 256
that are the same in every theme, and of middling brightness: they stand out from dark and from light.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from llmcx.errors import InputError
from llmcx.report import format
from llmcx.report.console import columns, console, spelled, translated
from llmcx.report.figure import Bars, Curves, Figure, Mark
from llmcx.report.labels import apart

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
    """The title, the lines with their names at the right, what points say beside them, a line down at a place on the x axis that
    means something, and what that is.

    Raises InputError without plotext, or where there is nothing to draw.
    """
    names = [(number, text) for number, one in enumerate(figure.lines()) if one.named for text in _named(one.label, width)]
    margin = max((len(text) for _, text in names), default=-1) + 1
    canvas = _canvas(figure, width - margin, max(HEIGHT, len(names) + 5))
    field = Field(figure, canvas)
    field.ticks()
    for x, y, text in figure.dots():
        field.dot(x, y, text)
    ends = {number: max(one.points) for number, one in enumerate(figure.lines())}
    wishes = [field.row(ends[number][1]) for number, _ in names]
    for (number, text), row in zip(names, apart(wishes, 1, 0, field.rows - 1), strict=True):
        field.after(round(row), text, style(number))
    return [
        *(line for title in (figure.title, figure.y.title) for line in _wrapped(title, width)),
        *field.lines(),
        *_wrapped(f"{figure.x.title:>{width - margin}}", width),
        *(line for mark in _marks(figure) for line in _wrapped(f"│ {mark.label}", width)),
    ]


def _named(label: str, width: int) -> list[str]:
    """A line's name in rows of a third of the width at most."""
    return wrap(spelled(label), max(12, width // 3 - 2))


class Field:
    """The cells of a drawn plot: its lines, each character with its colour."""

    def __init__(self, figure: Curves, canvas: list[Text]) -> None:
        self.figure = figure
        self.cells = [_cells(line) for line in canvas]
        self.left = canvas[0].plain.index("┌") + 1
        self.columns = canvas[0].plain.index("┐") - self.left
        self.rows = next(at for at, line in enumerate(canvas) if "└" in line.plain) - 1
        points = [point for one in figure.drawable() for point in one.points]
        self.x = tuple(figure.x.at(end(x for x, _ in points)) for end in (min, max))
        self.y = tuple(figure.y.at(end(y for _, y in points)) for end in (min, max))

    def row(self, y: float) -> float:
        """Of the plot, from the top."""
        low, high = self.y
        return (high - self.figure.y.at(y)) / (high - low or 1) * (self.rows - 1)

    def column(self, x: float) -> int:
        low, high = self.x
        return round((self.figure.x.at(x) - low) / (high - low or 1) * (self.columns - 1))

    def ticks(self) -> None:
        """What the x axis says below it: from the left each number whose place, the middle below its tick, is free."""
        axis, text = self.figure.x, ""
        for tick in axis.ticks([x for one in self.figure.drawable() for x, _ in one.points]):
            told = format.tick(tick, axis.kind)
            last = self.left + self.columns - len(told)
            start = max(min(self.left + self.column(tick) - len(told) // 2, last), self.left - 1)
            if start <= last and (not text or start > len(text)):
                text = text.ljust(start) + told
        self.cells.append([(letter, "") for letter in text])

    def dot(self, x: float, y: float, text: str) -> None:
        """A point, and what it says where it strikes least."""
        row, column = round(self.row(y)), self.column(x)
        self._put(row, column, "●")
        if not text:
            return
        size = len(text)
        starts = (column + 2, column - size - 1, column - size // 2)
        places = [(row + down, at) for down in (0, 1, -1, 2, -2) for at in starts if down or at != starts[2]]
        inside = [(r, c) for r, c in places if 0 <= r < self.rows and c >= 0 and c + size <= self.columns]
        if inside:
            best = min(inside, key=lambda place: self._struck(place[0], place[1], size))
            for k, letter in enumerate(text):
                self._put(best[0], best[1] + k, letter)

    def _struck(self, row: int, column: int, size: int) -> int:
        """Characters that a text would stand upon, or close to which it would be taken for another's."""
        cells = self.cells[row + 1][self.left + max(column - 1, 0) : self.left + column + size + 1]
        return sum(10 if letter.isalnum() or letter == "●" else 1 for letter, _ in cells if letter != " ")

    def _put(self, row: int, column: int, letter: str) -> None:
        self.cells[row + 1][self.left + column] = (letter, "")

    def after(self, row: int, text: str, how: str) -> None:
        """A line's name, right of the plot."""
        self.cells[row + 1] += [(" ", ""), *((letter, how) for letter in text)]

    def lines(self) -> list[Text]:
        from rich.text import Text

        return [Text.assemble(*((letter, how) for letter, how in row)) for row in self.cells]


def _cells(line: Text) -> list[tuple[str, Any]]:
    """A line's characters, each with its style."""
    found: list[tuple[str, Any]] = [(letter, "") for letter in line.plain]
    for span in line.spans:
        for at in range(span.start, min(span.end, len(found))):
            found[at] = (found[at][0], span.style)
    return found


def _canvas(figure: Curves, width: int, height: int) -> list[Text]:
    """The lines of the plot itself, with its axes."""
    from rich.text import Text

    if find_spec("plotext") is None:
        raise InputError("curves in the terminal need plotext: pip install 'llmcx[plot]'", field="plot", value="-")
    import plotext as plot

    plot.clear_figure()
    plot.limit_size(False, False)  # the width is ours: COLUMNS may ask for another than the terminal's
    plot.plot_size(width, height)
    for paint in (plot.canvas_color, plot.axes_color, plot.ticks_color):
        paint("default")
    every = [(figure.x.at(x), figure.y.at(y)) for one in figure.drawable() for x, y in one.points]
    for reach, each in zip(
        (plot.xlim, plot.ylim), zip(*every, strict=True), strict=True
    ):  # over the points that stand alone, too
        if min(each) < max(each):
            reach(min(each), max(each))
    if not figure.lines():
        plot.scatter(*zip(*every, strict=True), marker=" ", color="default")
    for number, one in enumerate(figure.lines()):
        points = sorted((figure.x.at(x), figure.y.at(y)) for x, y in one.points)
        plot.plot(*zip(*points, strict=True), marker="braille", color=COLOURS[number % len(COLOURS)])
    for place, axis, label in ((0, figure.x, plot.xticks), (1, figure.y, plot.yticks)):
        ticks = axis.ticks([point[place] for one in figure.drawable() for point in one.points])
        texts = [format.tick(tick, axis.kind) for tick in ticks]
        if axis is figure.x:  # plotext writes those that have room in no certain order: :meth:`Field.ticks`
            texts = [" "] * len(ticks)
        label([axis.at(tick) for tick in ticks], texts)
    for mark in _marks(figure):
        plot.vertical_line(figure.x.at(mark.x), color="default")
    return [line for line in Text.from_ansi(plot.build()).split() if line.plain.strip()]


def _marks(figure: Curves) -> list[Mark]:
    """The marks that lie between the points."""
    xs = [x for one in figure.drawable() for x, _ in one.points]
    return [mark for mark in figure.marks if min(xs) <= mark.x <= max(xs)]


def _wrapped(text: str, width: int) -> list[Text]:
    from rich.text import Text

    return [Text(line) for line in wrap(spelled(text), width)]


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
    labels, sizes = [bar.label for bar in figure.bars], [bar.end(figure.kind) for bar in figure.bars]
    label_width, size_width = max(map(len, labels)), max(map(len, sizes))
    before = label_width + size_width + 4
    narrow = width - before < 24
    room = width - 1 - (0 if narrow else before)
    lines = _wrapped(figure.title, width)
    for bar, label, size in zip(figure.bars, labels, sizes, strict=True):
        drawn, filled = Text(), 0.0
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
