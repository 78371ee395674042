"""What is predicted of a start of an engine: terms with their intervals."""

from __future__ import annotations

from typing import NamedTuple

GIB = 2**30
ROUNDED = GIB // 200
"""Logs write two decimals of a GiB."""


class Said(NamedTuple):
    """What is predicted of a term: its value and interval; None where nothing is."""

    value: int | float | None = None
    low: int | float | None = None
    high: int | float | None = None


class Predicted(NamedTuple):
    """Terms by name, and what to know about them."""

    terms: dict[str, Said]
    notes: list[str]
