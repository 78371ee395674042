"""Pictures in files: svg, png and pdf drawn by matplotlib (extra llmcx[plot]), html a page around its svg and the numbers.

A series is told from the others by a letter and a dash, a part of a bar by a hatch, never by colour alone; colours are those of
Okabe and Ito (2008), which colour-blind readers tell apart. The same picture gives the same bytes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from html import escape
from io import BytesIO
from math import ceil
from textwrap import wrap
from typing import Any

from llmcx.errors import InputError, shown
from llmcx.report import format
from llmcx.report.figure import Bars, Curves, Figure
from llmcx.report.plot import MARKERS, drawable, ticks
from llmcx.report.spoken import described

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
    data = page(figures).encode() if kind == "html" else drawn(figures, kind)
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
    made = Canvas(figsize=(max(widths), sum(heights)), layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12))
    rows = made.subplots(len(figures), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    for figure, axes in zip(figures, rows, strict=True):
        if isinstance(figure, Curves):
            _curves(figure, axes)
        else:
            _bars(figure, axes)
    return made


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

    series = drawable(figure)
    for number, s in enumerate(series):
        if not s.points:
            continue
        style = {"color": _colour(number), "marker": f"${MARKERS[number]}$", "markersize": 7, "label": s.label}
        dash = DASHES[(number + number // len(COLOURS)) % len(DASHES)]
        axes.plot(*zip(*sorted(s.points), strict=True), linestyle=dash if s.joined else "none", linewidth=1.4, **style)
    for place, axis, scale, each in ((0, axes.xaxis, axes.set_xscale, figure.x), (1, axes.yaxis, axes.set_yscale, figure.y)):
        if each.log:
            scale("log")
            ends = [each.at(point[place]) for s in series for point in s.points]
            axis.set_ticks([10**tick for tick in ticks(min(ends), max(ends), True)])
        axis.set_major_formatter(FuncFormatter(lambda value, _, each=each: format.tick(value, each.kind)))
        axis.set_minor_locator(NullLocator())
    values = sorted({a for s in series for a, _ in s.points})
    if figure.x.kind == "length":  # of a power of two, not of ten
        axes.set_xticks(values[:: ceil(len(values) / 9)])
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
        axes.annotate(
            format.cell(bar.total, figure.kind), (float(bar.total), at), (4, 0), textcoords="offset points", va="center"
        )
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


# --- a page ---------------------------------------------------------------------------------------------------------

STYLE = """\
:root { color-scheme: light dark; --blue: #0072b2; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
body { background: #fff; color: #111; }
svg { max-width: 100%; height: auto; }
table { border-collapse: collapse; margin: 1rem 0 3rem; font-size: .875rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: bold; padding: .3rem 0; }
th, td { padding: .2rem .6rem; border-bottom: 1px solid #8888; text-align: right; }
th[scope=row] { text-align: left; font-weight: normal; white-space: nowrap; }
th:first-child { text-align: left; }
.wide { overflow-x: auto; }
@media (prefers-color-scheme: dark) { :root { --blue: #3d9bd6; } body { background: #16181c; color: #eee; } }
"""


def page(figures: Sequence[Figure]) -> str:
    """One self-contained page: each picture as inline svg with a title and a description, and its numbers as a table."""
    heading = next((figure.title for figure in figures if figure.title), "llmcx")
    parts = []
    for number, figure in enumerate(figures, 1):
        parts += [_inline(figure, f"f{number}"), _table(figure)]
    body = "\n".join(parts)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(heading)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{escape(heading)}</h1>\n{body}\n</body>\n</html>\n"
    )


def _inline(figure: Figure, prefix: str) -> str:
    """The svg without its prolog; ids of its own, ink in the page's colour, no background, described for a screen reader."""
    text = drawn([figure], "svg").decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.S)
    text = re.sub(r'\bid="', f'id="{prefix}-', text)
    text = re.sub(r'href="#', f'href="#{prefix}-', text).replace("url(#", f"url(#{prefix}-")
    text = re.sub(r'(<g id="[^"]*patch_1">\s*<path[^>]*?)fill: #ffffff', r"\1fill: none", text)
    text = re.sub(r'(<g id="[^"]*patch_2">\s*<path[^>]*?)fill: #ffffff', r"\1fill: none", text)
    text = text.replace(INK, "currentColor").replace("#0072b2", "var(--blue)")  # a dark page needs a lighter one
    said = escape(" ".join(described(figure)))
    labels = f'role="img" aria-labelledby="{prefix}-title {prefix}-desc"'
    title = f'<title id="{prefix}-title">{escape(figure.title)}</title>\n<desc id="{prefix}-desc">{said}</desc>'
    start, _, rest = text.partition(">")
    return f"{start} {labels}>\n{title}{rest.rstrip()}"


def _table(figure: Figure) -> str:
    head, rows = _numbers(figure)
    name = escape(f"{figure.title}: the numbers" if figure.title else "The numbers")
    lines = [
        f'<div class="wide" role="region" aria-label="{name}" tabindex="0"><table>',
        f"<caption>{name}</caption>",
        "<thead><tr>",
    ]
    lines += [f'<th scope="col">{escape(text)}</th>' for text in head]
    lines.append("</tr></thead>\n<tbody>")
    for first, *others in rows:
        cells = "".join(f"<td>{escape(text)}</td>" for text in others)
        lines.append(f'<tr><th scope="row">{escape(first)}</th>{cells}</tr>')
    return "\n".join([*lines, "</tbody>\n</table></div>"])


def _numbers(figure: Figure) -> tuple[list[str], list[list[str]]]:
    """A figure's data: a row for each bar, or for each point of each series."""
    if isinstance(figure, Bars):
        parts = figure.parts()
        several = len(parts) > 1
        head = ["", *(f"{part}, {figure.unit}" if several else figure.unit for part in parts)]
        head += [f"total, {figure.unit}"] if several else []
        rows = []
        for bar in figure.bars:
            cells = [f"{bar.parts.get(part, 0):,}" for part in parts]
            rows.append([bar.label, *cells, *([f"{bar.total:,}"] if several else [])])
        if figure.limit is not None:
            rows.append(["budget", *[""] * (len(head) - 2), f"{figure.limit:,}"])
        return head, rows
    points = [(s.label, point) for s in drawable(figure) for point in s.points]
    rows = [[label, *(f"{n:,}" if isinstance(n, int) else f"{n:.6g}" for n in point)] for label, point in points]
    y = "seconds" if figure.y.kind == "time" else figure.y.kind if figure.y.kind in ("bytes",) else ""
    return ["series", figure.x.title, f"{figure.y.title}, {y}" if y and y not in figure.y.title else figure.y.title], rows
