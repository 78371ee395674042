"""What --explain prints beside an answer: each figure's formula, the numbers put in, and the source.

One module a command, whose ``rows`` takes the answer, and what was asked where the answer does not say it.
"""

from __future__ import annotations

from collections.abc import Iterable

from llmcx.answers import Line

Figure = tuple[str, str, str, float | int | None, str]
"""What it is, its formula, the numbers put in, the value or None where there is none, the source."""


def lines(of: str, figures: Iterable[Figure]) -> list[Line]:
    """A line for each of the figures that there is, under the name of what it is ``of``."""
    return [
        Line(f"{of}: {what}", formula, numbers, value, source)
        for what, formula, numbers, value, source in figures
        if value is not None
    ]
