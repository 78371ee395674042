"""Answers for a screen reader (--plain): one fact a line, every unit as a word, figures in words, no drawing characters."""

from __future__ import annotations

import re
import sys
import unicodedata
from itertools import pairwise
from typing import Any

from llmcx.report import format
from llmcx.report.figure import Bars, Curves, Figure, Series
from llmcx.report.render import Item, View, formulas, headline, notes
from llmcx.report.table import Column, Table, is_long

_UNITS = {
    "B": "bytes",
    **{"PB": "petabytes", "TB": "terabytes", "GB": "gigabytes", "MB": "megabytes", "kB": "kilobytes"},
    **{"PiB": "pebibytes", "TiB": "tebibytes", "GiB": "gibibytes", "MiB": "mebibytes", "KiB": "kibibytes"},
    **{"s": "seconds", "ms": "milliseconds", "µs": "microseconds", "ns": "nanoseconds"},
}
_INSIDE = _UNITS | {
    **{f"{letter}FLOP/s": f"{word}flops per second" for letter, word in (("G", "giga"), ("T", "tera"), ("P", "peta"))},
    **{f"{unit}/s": f"{_UNITS[unit]} per second" for unit in ("MB", "GB", "TB")},
    **{"tokens/s": "tokens per second", "W": "watts", "USD": "US dollars", "USD/h": "US dollars per hour"},
}
"""Units within a text."""
_COUNTS = {"T": "trillion", "B": "billion", "M": "million", "k": "thousand"}
_SI = {"k": "thousand", "M": "million", "G": "billion", "T": "trillion", "P": "quadrillion"} | {
    letter: f"times 10 to the {power}" for letter, power in (("E", 18), ("Z", 21), ("Y", 24), ("R", 27), ("Q", 30))
}
_SYMBOLS = {
    **{" · ": ", ", "·": " ", "×": " times ", "÷": " over ", "²": " squared", "³": " cubed", "√": "square root of "},
    **{"≥": "at least ", "≤": "at most ", "≈": "about ", "→": "to", "∞": "infinity", "Σ": "sum of ", "ᵀ": " transposed"},
    **{"α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "µ": "micro"},
    **{"−": "-", "–": "-", "—": "-", "…": "...", "“": '"', "”": '"', "’": "'", "‘": "'", "†": "", "●": ""},
}
HEADINGS = {
    **{"parameters": "{} parameters", "share": "{}", "bytes": "{} bytes", "value": "{}", "d/L": "d_model over layers {}"},
    **{"D/N": "{} tokens per parameter", "D/N ÷ best": "{} the best ratio of tokens to parameters"},
    **{"TFLOP/s": "{} teraflops per second", "fp8": "in fp8 {} teraflops per second", "GB": "{} gigabytes"},
    **{"GB/s": "memory {} gigabytes per second", "scale-up": "scale-up link {} gigabytes per second"},
    **{"scale-out": "scale-out link {} gigabytes per second", "of": "among {} accelerators", "W": "{} watts"},
    **{"USD/h": "{} US dollars per hour", "USD/M": "{} US dollars per million tokens", "USD": "{} US dollars"},
    **{"kWh": "{} kilowatt hours", "kg CO2": "{} kilograms of carbon dioxide", "users": "{} users"},
    **{"first, ms": "first token after {} milliseconds", "ms/token": "{} milliseconds per token"},
    **{"tok/s user": "{} tokens per second for a user", "tok/s GPU": "{} tokens per second for a GPU"},
    **{"s/step": "{} seconds per step", "FLOPs": "{} FLOPs", "train FLOPs": "{} FLOPs of training"},
    **{"KV/token": "{} of keys and values per token", "TP": "tensor parallel over at most {}"},
    **{"memory/layer": "{} of memory per layer", "memory/layer there": "there {} of memory per layer"},
    **{"max n": "at most {} tokens", "n": "{} tokens", "of FLOPs": "{} of the FLOPs", "FLOPs/token": "{} FLOPs per token"},
    **{"layers": "{} layers"},
}
"""How a heading reads with its number; any other stands before it."""


def write(items: list[Item], view: View, explain: bool, detail: bool = False) -> None:
    """The first lines, tables, formulas and notes in words."""
    blocks = []
    if (head := headline(items)) is not None:
        changes = [f"{change.options}{': ' if change.options else ''}{in_words(change.gives)}" for change in head.changes]
        blocks.append([in_words(head.asked), f"Answer: {in_words(head.verdict)}", *changes])
    blocks += [table(each) for each in view.of(items, detail)]
    if explain:
        blocks.append([in_words(line) for line in formulas(items) if line])
    blocks.append([f"Note: {in_words(note)}" for note in notes(items, detail)])
    sys.stdout.write("\n\n".join("\n".join(lines) for lines in blocks if lines) + "\n")


def in_words(text: str) -> str:
    """Text without symbols that a screen reader spells out or skips.

    >>> in_words("b·V × 4 B"), in_words("= elements · bytes")
    ('b times V times 4 bytes', '= elements times bytes')
    >>> in_words("2 × 3² · café"), in_words("989.4 TFLOP/s at 700 W"), in_words("1.951 B at 2 B each"), in_words("-9.8%")
    ('2 times 3 squared, café', '989.4 teraflops per second at 700 watts', '1.951 billion at 2 bytes each', 'minus 9.8 percent')
    """
    product = " ?· ?" if text.lstrip().startswith("= ") else r"(?<=\S)·(?=\S)"  # elsewhere a dot among blanks parts two facts
    text = re.sub(product, " times ", text)
    for symbol, words in _SYMBOLS.items():
        text = text.replace(symbol, words)
    text = re.sub(r"(?<![\w.])(\d[\d,]*\.\d+) ([TBMk])\b", lambda m: f"{m[1]} {_COUNTS[m[2]]}", text)  # counts have decimals
    text = re.sub(rf"(?<=\d) ({'|'.join(_INSIDE)})(?![\w/])", lambda m: f" {_INSIDE[m[1]]}", text)
    text = re.sub(r"(?<![\w.)])[-−](?=\d)", "minus ", text.replace("<=", "at most").replace(">=", "at least"))
    text = re.sub(r"(?<=[A-Za-z])/s\b", " per second", re.sub(r"(?<=\d) ?%", " percent", text))
    text = "".join(c for c in unicodedata.normalize("NFC", text) if c < "\x80" or c.isalpha())
    return re.sub(r"  +", " ", _power(text)).strip()


def number(value: Any, kind: str) -> str:
    """One value with its unit, in words. Kinds are those of format.cell.

    >>> number(617558016, "int"), number(0.0035, "share"), number(16_060_522_496, "size"), number(734804261732352, "flops")
    ('617,558,016', '0.35 percent', '16.06 gigabytes, 14.96 gibibytes', '734.8 trillion')
    >>> number(5.76e23, "power"), number(1.5, "factor"), number(0.002, "time"), number(8192, "length"), number(None, "int")
    ('5.76 times 10 to the 23', '1.50 times', '2 milliseconds', '8,192 tokens', 'none')
    """
    if value is None:
        return "none"
    if kind.startswith("±"):
        return f"{'more' if value > 0 else 'less'} by {number(abs(value), kind[1:])}" if value else "none"
    if kind == "length" and isinstance(value, int):
        return f"{value:,} tokens"
    text = format.cell(value, kind)
    if isinstance(value, (bool, str)):
        return in_words(text)
    if kind == "share":
        return text.replace("%", " percent")
    if kind == "factor":
        return _power(text.replace("×", " times"))
    units = {"size": _UNITS, "bytes": _UNITS, "gib": _UNITS, "mib": _UNITS, "time": _UNITS, "flops": _SI, "count": _COUNTS}.get(
        kind
    )
    if units is None:
        return _power(text)
    text = re.sub(r" \((.*)\)", r", \1", text)  # of a size, the other unit
    return _power(re.sub(rf"(?<=\d) ?({'|'.join(units)})\b", lambda m: f" {units[m[1]]}", text))


def _power(text: str) -> str:
    """1.2e+08 as a voice reads it.

    >>> _power("4.269e+04"), _power("1.6e+12"), _power("5.76e+23"), _power("1e-05")
    ('42,690', '1.600 trillion', '5.76 times 10 to the 23', '1 times 10 to the minus 5')
    """

    def spelled(match: re.Match[str]) -> str:
        digits, sign, power = match[1], match[2], int(match[3])
        if sign != "-" and power < 15:
            value = round(float(f"{digits}e{power}"))
            return f"{value:,}" if value < 10**6 else number(value, "count")
        return f"{digits} times 10 to the {'minus ' * (sign == '-')}{power}"

    return re.sub(r"(?<![\w.])(\d+(?:\.\d+)?)e([+-]?)0*(\d+)\b", spelled, text)


def _cell(column: Column, row: dict[str, Any]) -> str:
    value = row.get(column.key)
    if column.kind in ("cell", "±cell"):
        return number(value, column.kind.replace("cell", row["kind"]))
    if column.kind != "by-row":
        return number(value, column.kind)
    text = number(value, row["kind"])
    if not is_long(value) or row["kind"] in ("int", "length"):
        return text
    return f"{text}, exactly {value:,}" + (" bytes" if row["kind"] in ("size", "bytes") else "")


def table(one: Table | Bars) -> list[str]:
    """A line for each row: its name, a colon, and every other cell with its heading."""
    if isinstance(one, Bars):
        return described(one)
    lines = [in_words(one.title.replace("\n", ". ")) + ":"] if one.title else []
    first, *others = one.columns
    others = [c for c in others if c.kind != "drawing" and (c.title or c.kind == "by-row" or len(one.columns) == 2)]
    for row in one.every_row():
        name = _cell(first, row) if first.kind == "text" else _fact(first, row)
        facts = [_fact(column, row) for column in others if row.get(column.key, "") != "" or column.kind == "by-row"]
        lines.append(f"{name}: {', '.join(facts)}" if facts else name)
    return lines


def _fact(column: Column, row: dict[str, Any]) -> str:
    text = _cell(column, row)
    if row.get(column.key) is None and column.kind != "by-row":
        return f"{in_words(column.title)} none" if column.title else "none"
    form = HEADINGS.get(column.title)
    if column.kind == "length" or (column.title == "bytes" and column.kind != "int"):  # the unit is in it
        form = "{}" if column.title == "bytes" else None
    if form is None:
        form = f"{in_words(column.title)} {{}}" if column.title else "{}"
        if re.fullmatch(r"\d[\d,]*[kM%]?", column.title):  # a length, or the number would follow another
            form = f"at {in_words(column.title)}: {{}}"
    return form.format(text)


# --- pictures -------------------------------------------------------------------------------------------------------


def described(figure: Figure) -> list[str]:
    """A picture in words: of bars their parts, of curves their ends, trend and extremes."""
    return _curves(figure) if isinstance(figure, Curves) else _bars(figure)


def _bars(figure: Bars) -> list[str]:
    parts = figure.parts()
    lines = [in_words(figure.title) + "."] if figure.title else []
    if figure.limit is not None:
        lines.append(f"The budget is {_value(figure.limit, figure)}.")
    if len(parts) == 1 and len(figure.bars) > 1:
        most, least = max(figure.bars, key=lambda bar: bar.total), min(figure.bars, key=lambda bar: bar.total)
        for word, bar in (("Largest", most), ("smallest", least)):
            lines.append(f"{word.capitalize()} is {in_words(bar.label)}, {_value(bar.total, figure)}.")
    for bar in figure.bars:
        each = [f"{in_words(part)} {_value(size, figure)}" for part, size in bar.parts.items() if size] if len(parts) > 1 else []
        over = ""
        if figure.limit is not None:
            over = ", over the budget" if bar.total > figure.limit else ", within the budget"
        facts = "; ".join([f"{'in all ' if each else ''}{_value(bar.total, figure)}{over}", *each])
        lines.append(f"{in_words(bar.label)}: {facts}")
    return lines


def _value(value: float, figure: Bars) -> str:
    text = number(value, figure.kind)
    return text if figure.kind == "bytes" else f"{text} {figure.unit}"


def _curves(figure: Curves) -> list[str]:
    across, up = in_words(figure.x.title), in_words(figure.y.title)
    lines = [f"{in_words(figure.title)}."] if figure.title else []
    lines.append(f"{up[:1].upper()}{up[1:]}, against {across}{', both on logarithmic scales' * (figure.x.log and figure.y.log)}.")
    lines += [f"{in_words(s.label)}: {_course(s, figure)}" for s in figure.drawable()]
    return lines + [f"Marked: {in_words(mark.label)}." for mark in figure.marks]


def _course(s: Series, figure: Curves) -> str:
    """How a series runs, read from left to right."""
    if not s.points:
        return "nothing to show"
    points = sorted(s.points)

    def at(point: tuple[float, float]) -> str:
        return f"{_axis(point[1], figure.y.kind)} at {_axis(point[0], figure.x.kind)}"

    low, high = min(points, key=lambda p: p[1]), max(points, key=lambda p: p[1])
    if len(points) == 1:
        return at(points[0])
    if not s.joined:
        return f"{len(points)} points, lowest {at(low)}, highest {at(high)}"
    first, last = points[0], points[-1]
    steps = {(b[1] > a[1]) - (b[1] < a[1]) for a, b in pairwise(points)}
    if steps == {0}:
        return f"level, {at(first)} and up to {_axis(last[0], figure.x.kind)}"
    if steps <= {0, 1}:
        return f"rises from {at(first)} to {at(last)}"
    if steps <= {0, -1}:
        return f"falls from {at(first)} to {at(last)}"
    if low not in (first, last):
        return f"falls from {at(first)} to its lowest, {at(low)}, then rises to {at(last)}"
    return f"from {at(first)} to {at(last)}, lowest {at(low)}, highest {at(high)}"


def _axis(value: float, kind: str) -> str:
    if kind in ("number", "loss"):
        return _power(format.tick(value, kind))
    return number(value if kind == "time" else round(value), kind)
