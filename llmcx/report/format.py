"""Numbers as people read them. The exact value is always within reach; what is rounded shows its unit."""

from __future__ import annotations

import re
from typing import Any

_COUNT = ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "k"))
_SI = tuple((10 ** (3 * power), letter) for power, letter in zip(range(10, 0, -1), "QRYZEPTGMk", strict=True))
_GB = ((10**15, "PB"), (10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB"))
_GIB = ((2**50, "PiB"), (2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))


def _scaled(value: int, units: tuple[tuple[int, str], ...], least: str) -> str:
    """Four significant digits with a unit: integers are divided exactly before they are rounded."""
    for factor, unit in units:
        if abs(value) >= factor:
            scaled = value / factor if value < 10**300 else float(value // factor)
            if abs(scaled) >= 10**5:
                return f"{scaled:.3e} {unit}"
            digits = 3 if abs(scaled) < 10 else 2 if abs(scaled) < 100 else 1
            return f"{scaled:.{digits}f} {unit}"
    return f"{value} {least}".rstrip()


def count(value: int) -> str:
    """Parameters and tokens.

    >>> count(174604259328), count(12), count(1_571_000_000_000), count(-174604259328)
    ('174.6 B', '12', '1.571 T', '-174.6 B')
    """
    return _scaled(value, _COUNT, "")


def flops(value: int) -> str:
    """FLOPs or MACs, in SI prefixes.

    >>> flops(734804261732352)
    '734.8 T'
    """
    return _scaled(value, _SI, "")


def size(value: int) -> str:
    """Bytes in powers of 1000, with the power-of-1024 value beside them.

    >>> size(80_000_000_000), size(512)
    ('80.00 GB (74.51 GiB)', '512 B')
    """
    short = _scaled(value, _GB, "B")
    return f"{short} ({_scaled(value, _GIB, 'B')})" if abs(value) >= 1024 else short


def three(value: float) -> str:
    """Three significant digits, and whole numbers from a thousand on.

    >>> three(0.4913), three(57.23), three(1931.2), three(0.0)
    ('0.491', '57.2', '1,931', '0')
    """
    return f"{value:.3g}" if abs(value) < 999.5 else f"{value:,.0f}"


def short_size(value: int) -> str:
    """Bytes in powers of 1000 alone, for narrow columns.

    >>> short_size(80_000_000_000)
    '80.00 GB'
    """
    return _scaled(value, _GB, "B")


def gib(value: int) -> str:
    """Bytes as vLLM and SGLang log them.

    >>> gib(62_395_351_040), gib(2**20)
    ('58.11 GiB', '0.00 GiB')
    """
    return f"{value / 2**30:,.2f} GiB"


def mib(value: int) -> str:
    """Bytes as llama.cpp logs them.

    >>> mib(4352 * 2**20)
    '4,352.00 MiB'
    """
    return f"{value / 2**20:,.2f} MiB"


def exact(value: float) -> str:
    """An integer in full, an estimate in four digits.

    >>> exact(65536), exact(0.123456)
    ('65,536', '0.1235')
    """
    return f"{value:,}" if isinstance(value, int) else cell(value, "float")


def steps(line: Any) -> list[str]:
    """How a figure comes about: the formula, the numbers put in, the result; what there is of it."""
    result = exact(line.value)
    return [step for step in (line.formula, "" if line.numbers == result else line.numbers, result) if step]


def length(value: int) -> str:
    """Tokens of context, exactly, as --seq reads them: k is 1024, M is 1024².

    >>> length(131072), length(10_485_760), length(1000)
    ('128k', '10M', '1,000')
    """
    for factor, unit in ((2**20, "M"), (2**10, "k")):
        if value >= factor and value % factor == 0:
            return f"{value // factor:,}{unit}"
    return f"{value:,}"


def time(seconds: float) -> str:
    """Seconds, three digits.

    >>> time(0.00000123), time(0.5), time(4000)
    ('1.23µs', '500ms', '4,000s')
    """
    for factor, unit in ((1, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")):
        if seconds >= factor * 0.9995 or factor == 1e-9:
            scaled = seconds / factor
            return f"{scaled:,.0f}{unit}" if scaled >= 99.95 else f"{scaled:.3g}{unit}"
    raise AssertionError


def tick(value: float, kind: str) -> str:
    """A number beside an axis: short, without digits that mean nothing. Kinds: those of cell, number and loss.

    >>> tick(1e11, "flops"), tick(2.5e9, "count"), tick(8192, "length"), tick(0.001, "time"), tick(30.0, "number")
    ('100 G', '2.5 B', '8k', '1ms', '30')
    """
    if kind == "number":
        whole = abs(value) >= 1000 and abs(value - round(value)) < 1e-6 * abs(value)
        return f"{value:,.0f}" if whole and abs(value) < 1e6 else f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.4g}"
    if kind == "loss":
        return f"{value:.2f}"
    if kind == "time":
        return time(value)
    text = cell(round(value), kind)
    return re.sub(r"(\.\d*?)0+(?=\D|$)", lambda match: match[1].rstrip("."), text)


def cell(value: Any, kind: str) -> str:
    """One table cell. Kinds: text, int, count, length, flops, bytes, size (both units), gib, mib, share, float, factor, time,
    usd; each also after "±", with its sign.

    >>> cell(402653184, "±count"), cell(-0.5, "±share"), cell(0, "±int")
    ('+402.7 M', '-50.00%', '0')
    """
    if value is None:
        return "–"
    if kind.startswith("±"):
        return ("+" if value > 0 else "-" if value < 0 else "") + cell(abs(value), kind[1:])
    if isinstance(value, bool):
        return "yes" if value else "no"
    if kind == "share":
        return f"{100 * value:.2f}%"
    if kind == "factor":
        return f"{value:,.2f}×" if 0.1 <= value < 10**6 else f"{value:.3g}×"
    if kind == "time":
        return time(value)
    if kind == "usd":
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.2f}"
    if kind == "power":
        return f"{value:.3g}"
    if isinstance(value, float):
        if kind == "count":
            return count(round(value)) if abs(value) >= 1000 else three(value)
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}" if abs(value) < 10**15 else f"{value:.4e}"
    if isinstance(value, int) and kind != "text":
        forms = {"count": count, "flops": flops, "bytes": short_size, "size": size, "gib": gib, "mib": mib, "length": length}
        return forms.get(kind, "{:,}".format)(value)
    return str(value)
