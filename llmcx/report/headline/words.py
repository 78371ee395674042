"""The pieces of which first lines are made: names, sizes, times, and how they are fitted into a line."""

from __future__ import annotations

import re
from typing import Any

from llmcx.report import format

WIDTH = 80
"""Of the first line: one that is wider would push the verdict off the second."""


def line(*pieces: str) -> str:
    """Pieces in one line, in the order of their importance; closer together where it would be too wide, and at last without the
    words that a reader can do without.
    """
    whole = " · ".join(piece for piece in pieces if piece)
    for long, short in ((" × ", "×"), (" tokens", ""), (" micro-batch ", " mb "), (" · ", ", "), ("engine ", "")):
        if len(whole) > WIDTH:
            whole = whole.replace(long, short)
    return whole


def title(spec: Any) -> str:
    return str(spec.title or spec.name)


def stored(spec: Any, dtype: str) -> str:
    """The format of the weights, and whether it is that of the release."""
    stored = spec.stored
    if stored is not None and stored.unsized is not None and dtype == stored.plain:
        return f"{dtype} for {stored.unsized}"
    released = stored is not None and dtype == stored.name
    apart = ", MTP apart" if spec.mtp else ""  # of DeepSeek-V3's released bytes the layers for multi-token prediction are 2%
    apart += _index(spec) if released and stored.total is not None else ""
    return f"{dtype} as released{apart}" if released and stored.quantised else f"{dtype}{apart if released else ''}"


def _index(spec: Any) -> str:
    """What the index beside a config states, where that is another size by more than 2%."""
    from llmcx.formats.quant import index_beside

    return "" if index_beside(spec, 50) is None else f", index {size(spec.stored.total)}"


def tokens(n: int) -> str:
    return format.cell(n, "length")


def beside(inputs: dict[str, Any]) -> str:
    """What a sequence has beside its text."""
    seen = f" + {inputs['images'] * inputs['image_tokens']:,} image" if "image" in inputs else ""
    return seen + (f" + {inputs['audio_tokens']:,} sound" if "audio" in inputs else "")


def size(n: float) -> str:
    return format.short_size(round(n))


def both(n: int) -> str:
    return format.size(n)


def count(n: float) -> str:
    return format.count(round(n))


def short(n: int) -> str:
    """A round number without the digits that say nothing: 300 B."""
    return format.tick(n, "count")


def time(seconds: float) -> str:
    return re.sub(r"(?<=\d)(?=[nmµ]?s)", " ", format.time(seconds))


def money(usd: float) -> str:
    return f"${usd:,.0f}" if usd >= 100 else f"${usd:,.2f}"


def gpus(n: int, hardware: Any) -> str:
    name = hardware.name if hasattr(hardware, "name") else hardware
    return f"{n:,} × {name}" if n > 1 else str(name)


def duration(seconds: float) -> str:
    if seconds >= 86400:
        return f"{format.three(seconds / 86400)} days"
    return f"{seconds / 3600:.3g} hours" if seconds >= 7200 else f"{seconds / 60:.3g} minutes"
