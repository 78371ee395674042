"""Figures in files: svg, png and pdf drawn by matplotlib (extra llmcx[plot]); html is a page of them, see html.

Lines are named at their ends and points beside them, clear of each other; lines have a dash of their own, parts of bars a
hatch, so that nothing rests on colour alone. Colours are those of Okabe and Ito (2008), which colour-blind readers distinguish. A
file named NAME.dark.png (or .svg, .pdf) has a dark ground. The same figure gives the same bytes.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from io import BytesIO
from itertools import pairwise
from math import ceil, hypot
from textwrap import wrap
from typing import Any, NamedTuple

from llmcx.errors import InputError, shown
from llmcx.report import format
from llmcx.report.figure import Bars, Curves, Figure, Mark, Series
from llmcx.report.labels import Box, apart, beside

ENDINGS = (".svg", ".png", ".pdf", ".html")
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
        data = drawn(figures, kind, dark=path.lower().endswith(f".dark.{kind}"))
    try:
        with open(path, "wb") as file:
            file.write(data)
    except OSError as error:
        problem = f"--plot: {shown(path)} cannot be written: {error.strerror}"
        raise InputError(problem, field="plot", value=path) from None


class Look(NamedTuple):
    """Ink, ground and the colours of lines and parts."""

    ink: str
    ground: str
    colours: tuple[str, ...]


LIGHT = Look(INK, "#ffffff", ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", INK))
DARK = Look("#e8e8e8", "#16181c", ("#4FA8E0", "#F28E4B", "#2FBF94", "#DE9CC2", "#F0B63D", "#9AD3F5", "#e8e8e8"))


def drawn(figures: Sequence[Figure], kind: str, dark: bool = False) -> bytes:
    """The figures one below the other, as the bytes of an svg, png or pdf."""
    os.environ.setdefault("MPLBACKEND", "agg")
    import matplotlib

    look = DARK if dark else LIGHT
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # a user's own settings would give another file
        matplotlib.rcParams.update({"svg.hashsalt": "llmcx", "axes.unicode_minus": False, "hatch.linewidth": 0.6})
        for key in ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"):
            matplotlib.rcParams[key] = look.ink
        for key in ("figure.facecolor", "axes.facecolor", "savefig.facecolor"):
            matplotlib.rcParams[key] = look.ground  # type: ignore[index]
        out = BytesIO()
        dates = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
        canvas(figures, look).savefig(out, format=kind, metadata=dates, dpi=DPI)
    return out.getvalue()


DPI = 150


def canvas(figures: Sequence[Figure], look: Look = LIGHT) -> Any:
    """matplotlib's figure: high enough for every label and bar, wide enough for every name."""
    from matplotlib.figure import Figure as Canvas
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    heights, widths = zip(*map(_size, figures), strict=True)
    padding = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12)
    whole = Canvas(figsize=(max(widths), sum(heights)), layout=padding, dpi=DPI)
    rows = whole.subplots(len(figures), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    for figure, axes in zip(figures, rows, strict=True):
        (_curves if isinstance(figure, Curves) else _bars)(figure, axes, look)  # type: ignore[arg-type]
    whole.draw_without_rendering()
    whole.set_layout_engine("none")  # what follows stands inside the axes, and moves them no more
    for figure, axes in zip(figures, rows, strict=True):
        if isinstance(figure, Curves):
            _dots(figure, axes, look)
    return whole


def _size(figure: Figure) -> tuple[float, float]:
    """Height and width in inches: a line of labels takes 0.175, a letter about 0.08."""
    title = 0.2 * _title(figure).count("\n")
    if isinstance(figure, Curves):
        ends = [s.label for s in figure.lines() if s.named] or [""]
        longest = max(map(len, (line for label in ends for line in _end(label).split("\n"))))
        many = sum(_end(label).count("\n") + 1 for label in ends)
        return max(5.0, 1.2 + 0.19 * many) + title, 8.2 + 0.08 * longest
    legend = [*figure.parts(), "budget, 100.00 GB"]
    names = max(len(bar.label) + len(bar.note) for bar in figure.bars)
    wide = 9.5 + 0.08 * max(0, names - 40)
    return 1.6 + 0.34 * len(figure.bars) + 0.2 * ceil(len(legend) / _abreast(figure)) + title, wide


def _abreast(figure: Bars) -> int:
    """Entries of a legend that stand side by side in the narrowest picture."""
    longest = max(len(part) for part in [*figure.parts(), "budget, 100.00 GB"]) + len(", too thin to see")
    return max(1, min(5, 100 // (longest + 6)))


def _title(figure: Figure) -> str:
    return "\n".join(wrap(figure.title, 64))


def _end(label: str) -> str:
    """A line's name, as it stands at its end."""
    return "\n".join(wrap(label, 64))


def _curves(figure: Curves, axes: Any, look: Look) -> None:
    """Lines with their names at the right, on axes with units."""
    from matplotlib.ticker import FuncFormatter, NullLocator

    series, lines = figure.drawable(), figure.lines()
    for number, s in enumerate(lines):
        colour = look.colours[number % len(look.colours)]
        dash = DASHES[(number + number // len(look.colours)) % len(DASHES)]
        points = sorted(s.points)
        small = {"marker": "o", "markersize": 3} if len(points) <= FEW else {}
        axes.plot(*zip(*points, strict=True), linestyle=dash, linewidth=1.6, color=colour, label=s.label, **small)
    for place, axis, scale, each in ((0, axes.xaxis, axes.set_xscale, figure.x), (1, axes.yaxis, axes.set_yscale, figure.y)):
        if each.log:
            scale("log")
        axis.set_ticks(each.ticks([point[place] for s in series for point in s.points]))
        axis.set_major_formatter(FuncFormatter(lambda value, _, each=each: format.tick(value, each.kind)))
        axis.set_minor_locator(NullLocator())
    dots = figure.dots()
    if dots:
        axes.scatter([x for x, _, _ in dots], [y for _, y, _ in dots], s=26, color=look.ink, zorder=3)
    inside = [mark for mark in figure.marks if _within(mark, series)]
    for mark in inside:
        axes.axvline(mark.x, color=look.ink, linestyle=":", linewidth=1)
    texts = [text for mark in inside for text in wrap(mark.label, 90)]
    axes.set_title("\n".join([_title(figure), *texts]), fontsize="medium")
    axes.set_xlabel(figure.x.title)
    axes.set_ylabel(figure.y.title)
    axes.grid(visible=True, alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    _ends(figure, axes, look)


FEW = 16
"""Points of a line up to which each is shown."""


def _within(mark: Mark, series: Sequence[Series]) -> bool:
    xs = [x for s in series for x, _ in s.points]
    return min(xs) <= mark.x <= max(xs)


def _ends(figure: Curves, axes: Any, look: Look) -> None:
    """Each line's name at its right end, apart from the others', with a stroke to it."""
    every = figure.lines()
    named = [(number, s) for number, s in enumerate(every) if s.named]
    if not named:
        return
    axes.margins(x=0.02)
    low, high = (figure.y.at(value) for value in axes.get_ylim())
    inches = _size(figure)[0] - 1.2
    ends = [max(s.points) for _, s in named]
    heights = [(figure.y.at(y) - low) / (high - low) for _, y in ends]
    rows = [_end(s.label).count("\n") + 1 for _, s in named]
    line = 0.19 * max(rows) / inches
    for (number, s), (x, y), at in zip(named, ends, apart(heights, line, 0.0, 1.0), strict=True):
        colour = look.colours[number % len(look.colours)]
        stroke = {"arrowstyle": "-", "color": colour, "linewidth": 0.9, "shrinkA": 0, "shrinkB": 1, "relpos": (0, 0.5)}
        axes.annotate(
            _end(s.label), (x, y), (1.03, at), textcoords="axes fraction", va="center", fontsize=SMALL, arrowprops=stroke
        )


SMALL = 8.5


def _dots(figure: Curves, axes: Any, look: Look) -> None:
    """What points say, beside them, clear of the lines and of one another."""
    whole = axes.figure
    place = axes.transData.transform
    paths = [place(sorted(s.points)) for s in figure.lines()]
    path = [point for each in paths for point in _sampled(each)]
    marks = [(place((mark.x, axes.get_ylim()[0]))[0], axes.bbox.y0, axes.bbox.y1) for mark in figure.marks]
    path += [place for x, low, high in marks for place in _sampled([(x, low), (x, high)])]
    dots = figure.dots()
    taken = [Box(x - 4, y - 4, x + 4, y + 4) for x, y in (place((x, y)) for x, y, _ in dots)]
    room = Box(*axes.bbox.extents)
    for x, y, text in dots:
        if not text:
            continue
        drawn = axes.text(0, 0, text, fontsize=SMALL, transform=None)
        size = drawn.get_window_extent()
        at = place((x, y))
        own = Box(at[0] - 4, at[1] - 4, at[0] + 4, at[1] + 4)
        box = beside((at[0], at[1]), (size.width, size.height), [each for each in taken if each != own], path, room)
        drawn.set_position((box.x0, box.y0 - (size.y0 if size.y0 < 0 else 0)))
        drawn.set_zorder(4)
        taken.append(box)
        end = (min(max(at[0], box.x0), box.x1), min(max(at[1], box.y0), box.y1))
        if hypot(end[0] - at[0], end[1] - at[1]) > FAR:
            axes.plot([at[0], end[0]], [at[1], end[1]], transform=None, color=look.ink, linewidth=0.6, zorder=2.5)
    whole.stale = True


FAR = 14
"""Pixels from a point beyond which a stroke leads to what it says."""


def _sampled(points: Any) -> list[tuple[float, float]]:
    """Places along a line, some pixels apart."""
    found = []
    for (a, b), (c, d) in pairwise(points):
        steps = max(1, int(max(abs(c - a), abs(d - b)) / 4))
        found += [(a + (c - a) * k / steps, b + (d - b) * k / steps) for k in range(steps + 1)]
    return found


def _bars(figure: Bars, axes: Any, look: Look) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    parts, names = figure.parts(), [bar.label for bar in figure.bars]
    starts = [0.0] * len(names)
    for number, part in enumerate(parts):
        sizes = [float(bar.parts.get(part, 0)) for bar in figure.bars]  # matplotlib's integers end at 2^63
        thin = "" if max(sizes) >= THIN * figure.most else ", too thin to see"
        style = {
            "color": look.colours[number % len(look.colours)],
            "hatch": HATCHES[number % len(HATCHES)],
            "edgecolor": look.ground,
        }
        axes.barh(range(len(names)), sizes, left=starts, height=0.7, linewidth=0.5, label=part + thin, **style)
        starts = [start + size for start, size in zip(starts, sizes, strict=True)]
    for at, bar in enumerate(figure.bars):
        end = (float(bar.total), at)
        ground = {"facecolor": look.ground, "edgecolor": "none", "pad": 1.0}  # over the line of a limit
        text = bar.end(figure.kind)
        axes.annotate(text, end, (6, 0), textcoords="offset points", va="center", bbox=ground, annotation_clip=False)
    if figure.limit is not None:
        label = f"budget, {format.cell(figure.limit, figure.kind)}"
        axes.axvline(float(figure.limit), color=look.ink, linestyle="--", linewidth=1.2, label=label)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.02 * figure.most)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format.tick(value, figure.kind)))
    axes.set_xlabel(figure.unit)
    axes.set_title(_title(figure), fontsize="medium")
    axes.spines[["top", "right"]].set_visible(False)
    if len(parts) > 1 or figure.limit is not None:
        axes.legend(
            fontsize="small",
            loc="upper center",
            bbox_to_anchor=(0.5, -0.9 / _size(figure)[0]),
            frameon=False,
            ncols=_abreast(figure),
        )


THIN = 0.003
"""Share of the scale below which nobody sees a part."""
