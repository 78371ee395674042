"""Figures in files: svg, png and pdf drawn by matplotlib (extra llmcx[plot]); html is a page of them, see html.

A series has a letter and a dash of its own, a part of a bar a hatch, so that nothing rests on colour alone; colours are those of
Okabe and Ito (2008), which colour-blind readers distinguish. The same figure gives the same bytes.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from io import BytesIO
from textwrap import wrap
from typing import Any

from llmcx.errors import InputError, shown
from llmcx.report import format
from llmcx.report.figure import MARKERS, Bars, Curves, Figure

ENDINGS = (".svg", ".png", ".pdf", ".html")
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", "--", "-.", ":")
HATCHES = ("", "///", "...", "\\\\\\", "xxx", "---", "|||", "+++", "ooo")
INK = "#000001"
"""Text, axes and the last colour: in a page, whatever colour its text has."""


def check(path: str) -> None:
    """Refuse another ending, or matplotlib that is not there, before anything is computed."""
    from importlib.util import find_spec

    if path == "-":
        return
    if not path.lower().endswith(ENDINGS):
        problem = f"--plot is {shown(path)}, but must end in .svg, .png, .pdf or .html, or be - for the terminal"
        raise InputError(problem, field="plot", value=path, allowed=".svg, .png, .pdf, .html or -")
    if find_spec("matplotlib") is None:
        raise InputError("a picture in a file needs matplotlib: pip install 'llmcx[plot]'", field="plot", value=path)


def write(figures: Sequence[Figure], path: str) -> None:
    """All ``figures`` in one file. Raises InputError: an unknown ending, no matplotlib, or a file that cannot be written."""
    check(path)
    kind = path.lower().rpartition(".")[2]
    if kind == "html":
        from llmcx.report.html import page

        data = page(figures).encode()
    else:
        data = drawn(figures, kind)
    try:
        with open(path, "wb") as file:
            file.write(data)
    except OSError as error:
        problem = f"--plot: {shown(path)} cannot be written: {error.strerror}"
        raise InputError(problem, field="plot", value=path) from None


def drawn(figures: Sequence[Figure], kind: str) -> bytes:
    """The figures one below the other, as the bytes of an svg, png or pdf."""
    os.environ.setdefault("MPLBACKEND", "agg")
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # a user's own settings would give another file
        matplotlib.rcParams.update({"svg.hashsalt": "llmcx", "axes.unicode_minus": False, "hatch.linewidth": 0.6})
        for key in ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"):
            matplotlib.rcParams[key] = INK
        out = BytesIO()
        dates = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
        canvas(figures).savefig(out, format=kind, metadata=dates, dpi=150)
    return out.getvalue()


def canvas(figures: Sequence[Figure]) -> Any:
    """matplotlib's figure: high enough for every legend and bar, wide enough for every name."""
    from matplotlib.figure import Figure as Canvas
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    heights, widths = zip(*map(_size, figures), strict=True)
    whole = Canvas(figsize=(max(widths), sum(heights)), layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12))
    rows = whole.subplots(len(figures), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    for figure, axes in zip(figures, rows, strict=True):
        if isinstance(figure, Curves):
            _curves(figure, axes)
        else:
            _bars(figure, axes)
    return whole


def _size(figure: Figure) -> tuple[float, float]:
    """Height and width in inches: a line of a legend takes 0.175, a letter about 0.08."""
    if isinstance(figure, Curves):
        legend = [*(s.label for s in figure.series), *(mark.label for mark in figure.marks)]
        height, names = 5.0, 0
    else:
        legend = [*figure.parts(), "budget, 100.00 GB"]
        height, names = 1.6 + 0.34 * len(figure.bars), max(len(bar.label) for bar in figure.bars)
    height += 0.2 * _title(figure).count("\n")
    return max(height, 0.6 + 0.175 * len(legend)), 9.5 + 0.08 * max(0, max(map(len, legend)) + names - 40)


def _title(figure: Figure) -> str:
    return "\n".join(wrap(figure.title, 64))


def _colour(number: int) -> str:
    colour = COLOURS[number % len(COLOURS)]
    return INK if colour == "#000000" else colour


def _curves(figure: Curves, axes: Any) -> None:
    from matplotlib.ticker import FuncFormatter, NullLocator

    series = figure.drawable()
    for number, s in enumerate(series):
        if not s.points:
            continue
        style = {"color": _colour(number), "marker": f"${MARKERS[number]}$", "markersize": 7, "label": s.label}
        dash = DASHES[(number + number // len(COLOURS)) % len(DASHES)]
        axes.plot(*zip(*sorted(s.points), strict=True), linestyle=dash if s.joined else "none", linewidth=1.4, **style)
    for place, axis, scale, each in ((0, axes.xaxis, axes.set_xscale, figure.x), (1, axes.yaxis, axes.set_yscale, figure.y)):
        if each.log:
            scale("log")
        axis.set_ticks(each.ticks([point[place] for s in series for point in s.points]))
        axis.set_major_formatter(FuncFormatter(lambda value, _, each=each: format.tick(value, each.kind)))
        axis.set_minor_locator(NullLocator())
    for mark in figure.marks:
        axes.axvline(mark.x, color=INK, linestyle=":", linewidth=1, label=mark.label)
    axes.set_xlabel(figure.x.title)
    axes.set_ylabel(figure.y.title)
    axes.set_title(_title(figure), fontsize="medium")
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)


def _bars(figure: Bars, axes: Any) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    parts, names = figure.parts(), [bar.label for bar in figure.bars]
    starts = [0.0] * len(names)
    for number, part in enumerate(parts):
        sizes = [float(bar.parts.get(part, 0)) for bar in figure.bars]  # matplotlib's integers end at 2^63
        look = {"color": _colour(number), "hatch": HATCHES[number % len(HATCHES)], "edgecolor": "white", "label": part}
        axes.barh(range(len(names)), sizes, left=starts, height=0.7, linewidth=0.5, **look)
        starts = [start + size for start, size in zip(starts, sizes, strict=True)]
    for at, bar in enumerate(figure.bars):
        end = (float(bar.total), at)
        axes.annotate(format.cell(bar.total, figure.kind), end, (4, 0), textcoords="offset points", va="center")
    if figure.limit is not None:
        label = f"budget, {format.cell(figure.limit, figure.kind)}"
        axes.axvline(float(figure.limit), color=INK, linestyle="--", linewidth=1.2, label=label)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.15 * figure.most)  # room for the numbers at the ends
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format.tick(value, figure.kind)))
    axes.set_xlabel(figure.unit)
    axes.set_title(_title(figure), fontsize="medium")
    axes.spines[["top", "right"]].set_visible(False)
    if len(parts) > 1 or figure.limit is not None:
        axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
