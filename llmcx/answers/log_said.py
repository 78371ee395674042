"""What is predicted of a start of an engine: terms with their intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from llmcx.engines.logs import Log

GIB = 2**30
ROUNDED = GIB // 200
"""Logs write two decimals of a GiB."""
SPREAD = {"weights": (0.005, 0.03), "workspace": (0.06, 0.03), "outside": (0.05, 0.01), "graphs": (0.3, 0.1)}
"""How far llmcx is from what vLLM logged: a share of the term, and GiB besides. Of 58 starts of 0.19 on H100 (docs/engines.md)
these hold 50, 51, 53 and 54; weights outside of it are those of towers that no preset has.
"""
OTHERS = SPREAD | {"workspace": (0.06, 0.06), "outside": (0.4, 0.15)}
"""And of other versions, and of GPUs that meet in the host (tests/oracle/vllm_v0_starts.csv)."""


class Said(NamedTuple):
    """What is predicted of a term: its value and interval; None where nothing is."""

    value: int | float | None = None
    low: int | float | None = None
    high: int | float | None = None


class Predicted(NamedTuple):
    """Terms by name, and what to know about them."""

    terms: dict[str, Said]
    notes: list[str]


def spread_of(name: str, value: int, spread: Mapping[str, tuple[float, float]] = SPREAD) -> Said:
    share, besides = spread[name]
    by = round(share * value + besides * GIB) + ROUNDED
    return Said(value, max(0, value - by), value + by)


def off(said: Said) -> int:
    """How far the upper end of its interval is."""
    assert said.value is not None and said.high is not None
    return int(said.high - said.value)


def tp_of(log: Log) -> int:
    """GPUs that share each layer: as the log says, or by the ranks that write in it."""
    return int(log.get("tp") or log.get("rank", 0) + 1)
