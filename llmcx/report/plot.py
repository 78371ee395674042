"""Plots: lines over two axes, as text for a terminal or as a picture in a file.

A series is told from the others by a letter, in a file by letter and dash, never by colour alone. A terminal gets no colours; a
file those of Okabe and Ito (2008), which colour-blind readers tell apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import ceil, floor, log10
from typing import NamedTuple

from llmcx.core.errors import InputError

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class Series(NamedTuple):
    """One line, or points that are not ``joined``: its name and (x, y) points, all above zero where an axis is logarithmic."""

    label: str
    points: Sequence[tuple[float, float]]
    joined: bool = True


class Axis(NamedTuple):
    """What an axis shows, how its ticks read, and whether it is logarithmic."""

    title: str = ""
    text: Callable[[float], str] = "{:g}".format
    log: bool = True

    def at(self, value: float) -> float:
        """Where a value stands."""
        return log10(value) if self.log else value


PLAIN = Axis()


def text_plot(
    series: Sequence[Series], *, x: Axis = PLAIN, y: Axis = PLAIN, title: str = "", width: int = 80, height: int = 20
) -> list[str]:
    """The plot as lines of text, at most ``width`` characters wide: letters for points, dots between them, a legend below.

    "*" marks a point of several series. Series without drawable points are named in the
    legend alone. Raises InputError when there is nothing to draw.
    """

    def shown(point: tuple[float, float]) -> bool:
        return not (x.log and point[0] <= 0) and not (y.log and point[1] <= 0)

    drawn = [s._replace(points=list(filter(shown, s.points))) for s in series]
    xs = [x.at(a) for s in drawn for a, _ in s.points]
    ys = [y.at(b) for s in drawn for _, b in s.points]
    if not xs:
        raise InputError("there is nothing to plot: no series has a point above zero", field="plot")
    if len(drawn) > len(MARKERS):
        raise InputError(f"{len(drawn)} lines are too many for one plot; it holds {len(MARKERS)}", field="plot")
    ticks = _ticks(min(ys), max(ys), y.log)
    low, high = min(ticks[0], min(ys)), max(ticks[-1], max(ys))
    names = {tick: y.text(10**tick if y.log else tick) for tick in ticks}
    margin = max(map(len, names.values()))
    columns, left, right = max(width - margin - 2, 10), min(xs), max(xs)

    def column(value: float) -> int:
        return round((value - left) / (right - left) * (columns - 1)) if right > left else (columns - 1) // 2

    def row(value: float) -> int:
        return round((high - value) / (high - low) * (height - 1)) if high > low else height // 2

    cells = [[" "] * columns for _ in range(height)]
    for tick in ticks:
        cells[row(tick)] = ["·" if c % 8 == 0 else " " for c in range(columns)]
    for s in drawn:
        placed = [(column(x.at(a)), x.at(a), y.at(b)) for a, b in sorted(s.points)] if s.joined else []
        for (c0, a0, b0), (c1, a1, b1) in pairwise(placed):
            for c in range(c0 + 1, c1):
                at = left + (right - left) * c / (columns - 1)
                spot = row(b0 + (b1 - b0) * (at - a0) / (a1 - a0))
                if cells[spot][c] in " ·":
                    cells[spot][c] = "."
    taken: set[tuple[int, int]] = set()
    for letter, s in zip(MARKERS, drawn, strict=False):
        for a, b in s.points:
            spot_at = (row(y.at(b)), column(x.at(a)))
            cells[spot_at[0]][spot_at[1]] = "*" if spot_at in taken else letter
            taken.add(spot_at)
    lines = [title] if title else []
    if y.title:
        lines.append(y.title)
    marks = {row(tick): name for tick, name in names.items()}
    lines += [f"{marks.get(r, ''):>{margin}} │{''.join(line).rstrip()}" for r, line in enumerate(cells)]
    lines.append(" " * margin + " └" + "─" * columns)
    lines.append(_x_labels(sorted({a for s in drawn for a, _ in s.points}), x, column, margin, columns))
    if x.title:
        lines.append(f"{x.title:>{width}}")
    names_below = legend([s.label for s in drawn], width)
    if any("*" in line for line in cells):
        names_below.append("* several of them")
    return [line.rstrip() for line in lines] + names_below


def _ticks(low: float, high: float, log: bool) -> list[float]:
    """Round values that span a range: powers of ten, or steps of 1, 2 or 5; at most six or so."""
    if log:
        step = max(1, ceil((ceil(high) - floor(low)) / 6))
        return [float(t) for t in range(floor(low), ceil(high) + step, step)]
    if high == low:
        return [low]
    rough = 10 ** floor(log10((high - low) / 5))
    size = next(rough * k for k in (1, 2, 5, 10) if (high - low) / (rough * k) <= 6)
    return [size * t for t in range(floor(low / size), ceil(high / size) + 1)]


def _x_labels(values: list[float], x: Axis, column: Callable[[float], int], margin: int, columns: int) -> str:
    """The points' own values under the axis, as many as find room."""
    line = [" "] * (columns + margin + 2)
    free = 0
    for value in values:
        name = x.text(value)
        at = min(max(margin + 2 + column(x.at(value)) - len(name) // 2, 0), len(line) - len(name))
        if at >= free:
            line[at : at + len(name)] = name
            free = at + len(name) + 1
    return "".join(line)


def legend(labels: Sequence[str], width: int) -> list[str]:
    """Letters and names, in as many columns as fit."""
    entries = [f"{letter} {label}" for letter, label in zip(MARKERS, labels, strict=False)]
    each = max(map(len, entries)) + 2
    across = max(1, width // each)
    down = -(-len(entries) // across)
    return ["".join(f"{entry:<{each}}" for entry in entries[r::down]).rstrip() for r in range(down)]


def file_plot(series: Sequence[Series], path: str, *, x: Axis = PLAIN, y: Axis = PLAIN, title: str = "") -> None:
    """The plot as a file: svg, png or pdf by its name, drawn by matplotlib (extra llmcx[plot]).

    Raises InputError for another ending, or where matplotlib is not installed.
    """
    if not path.lower().endswith((".svg", ".png", ".pdf")):
        problem = f"--plot is {path!r}, but must end in .svg, .png or .pdf, or be - for the terminal"
        raise InputError(problem, field="plot", value=path, allowed=".svg, .png, .pdf or -")
    try:
        import matplotlib
    except ImportError:
        raise InputError("a plot in a file needs matplotlib: pip install 'llmcx[plot]'", field="plot", value=path) from None
    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "llmcx"  # the same plot gives the same file
    from matplotlib import pyplot
    from matplotlib.ticker import FuncFormatter, NullLocator

    figure, axes = pyplot.subplots(figsize=(8, 5), layout="constrained")
    dashes = ("-", "--", "-.", ":")
    for number, s in enumerate(series):
        style = {"color": COLOURS[number % len(COLOURS)], "linestyle": dashes[number // len(COLOURS) % len(dashes)]}
        line = axes.plot(*zip(*s.points, strict=True), marker=f"${MARKERS[number]}$", label=s.label)[0]
        line.set(**style if s.joined else {**style, "linestyle": "none"})
    for axis, scale, each in ((axes.xaxis, axes.set_xscale, x), (axes.yaxis, axes.set_yscale, y)):
        if each.log:
            scale("log")
        axis.set_major_formatter(FuncFormatter(lambda value, _, each=each: each.text(value)))
    axes.set_xticks(sorted({a for s in series for a, _ in s.points})[:12])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(x.title)
    axes.set_ylabel(y.title)
    axes.set_title(title)
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    figure.savefig(path, metadata={"Date": None} if path.lower().endswith(".svg") else None)
    pyplot.close(figure)
