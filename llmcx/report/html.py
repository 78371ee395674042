"""Figures as one self-contained web page: inline svg, described for a screen reader, and the numbers as tables."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from llmcx.report.figure import Bars, Figure
from llmcx.report.image import INK, drawn
from llmcx.report.plain import described

STYLE = """\
:root { color-scheme: light dark; --blue: #0072b2; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; }
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
    body = "\n".join(f"{_inline(figure, f'f{number}')}\n{_table(figure)}" for number, figure in enumerate(figures, 1))
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
    text = re.sub(r'(<g id="[^"]*patch_[12]">\s*<path[^>]*?)fill: #ffffff', r"\1fill: none", text)
    text = text.replace(INK, "currentColor").replace("#0072b2", "var(--blue)")  # a dark page needs a lighter one
    description = escape(" ".join(described(figure)))
    labels = f'role="img" aria-labelledby="{prefix}-title {prefix}-desc"'
    title = f'<title id="{prefix}-title">{escape(figure.title)}</title>\n<desc id="{prefix}-desc">{description}</desc>'
    start, _, rest = text.partition(">")
    return f"{start} {labels}>\n{title}{rest.rstrip()}"


def _table(figure: Figure) -> str:
    head, rows = _numbers(figure)
    name = escape(f"{figure.title}: the numbers" if figure.title else "The numbers")
    lines = [f'<div class="wide" role="region" aria-label="{name}" tabindex="0"><table>', f"<caption>{name}</caption>"]
    lines += ["<thead><tr>", *(f'<th scope="col">{escape(text)}</th>' for text in head), "</tr></thead>\n<tbody>"]
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
        sizes = [(bar, [*(bar.parts.get(part, 0) for part in parts), *([bar.total] if several else [])]) for bar in figure.bars]
        rows = [[bar.label, *map(_number, each)] for bar, each in sizes]
        if figure.limit is not None:
            rows.append(["budget", *[""] * (len(head) - 2), f"{figure.limit:,}"])
        return head, rows
    points = [(s.label, point) for s in figure.drawable() for point in s.points]
    rows = [[label, *map(_number, point)] for label, point in points]
    y = "seconds" if figure.y.kind == "time" else "bytes" if figure.y.kind == "bytes" else ""
    return ["series", figure.x.title, f"{figure.y.title}, {y}" if y and y not in figure.y.title else figure.y.title], rows


def _number(n: float) -> str:
    """Whole numbers in full, others to six digits."""
    return f"{n:,}" if isinstance(n, int) else f"{n:,.6g}"
