"""presets/kernels/*.yaml: the constants of a law of :mod:`llmcx.machine.kernels`, for an accelerator, an engine and a format.

One row holds one fit. Where nobody measured what is asked for, the nearest row stands in for it, scaled by the datasheets, and
the band is the wider of the row's own and of the one that such a substitution was measured to need.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from typing import NamedTuple

from llmcx.catalog.index import ROOT, data_of, names
from llmcx.errors import unknown_name
from llmcx.machine.hardware import Hardware
from llmcx.machine.kernels import FORMATS, Fitted

GENERATIONS = {
    "Volta": ("v100",),
    "Turing": ("t4",),
    "Ampere": ("a100", "a100-40gb", "a100-pcie", "a800"),
    "Hopper": ("h100", "h200", "h800", "h100-pcie", "gh200", "h100-nvl", "h200-nvl", "h20"),
    "Blackwell": ("b200", "gb200", "b300", "gb300"),
    "RTX Ampere": (
        *("rtx-3090", "rtx-3090-ti", "rtx-3080-ti", "rtx-3080", "rtx-3060"),
        *("rtx-a6000", "a40", "a10", "a10g", "jetson-agx-orin"),
    ),
    "Ada": (
        *("l40s", "rtx-6000-ada", "l4", "rtx-4090", "l40", "rtx-4080-super", "rtx-4080"),
        *("rtx-4070-ti-super", "rtx-4070-ti", "rtx-4070-super", "rtx-4070", "rtx-4060-ti"),
    ),
    "RTX Blackwell": (
        *("rtx-pro-6000", "rtx-5090", "rtx-pro-6000-ws", "rtx-pro-6000-max-q", "rtx-pro-5000", "rtx-pro-4000"),
        *("rtx-5080", "rtx-5070-ti", "rtx-5070", "rtx-5060-ti", "dgx-spark"),
    ),
}
"""Accelerators whose kernels are much alike: the same instructions for matmuls, the same kind of memory."""

TWINS = (
    ("a100", "a100-40gb", "a100-pcie", "a800"),
    ("h100", "h200", "h800", "gh200", "h100-nvl", "h200-nvl"),
    ("b200", "gb200", "b300", "gb300"),
    ("rtx-pro-6000", "rtx-pro-6000-ws", "rtx-pro-6000-max-q"),
)
"""Of those, the same chip with other memory or another limit of power."""

NEAREST = {
    "Volta": ("Ampere", "Hopper", "Ada", "RTX Blackwell", "Blackwell"),
    "Turing": ("Ampere", "Ada", "RTX Blackwell", "Hopper", "Blackwell"),
    "Ampere": ("Hopper", "Ada", "RTX Blackwell", "Blackwell"),
    "Hopper": ("Blackwell", "Ampere", "RTX Blackwell", "Ada"),
    "Blackwell": ("Hopper", "RTX Blackwell", "Ampere", "Ada"),
    "RTX Ampere": ("Ada", "RTX Blackwell", "Ampere", "Hopper", "Blackwell"),
    "Ada": ("RTX Blackwell", "Ampere", "Hopper", "Blackwell"),
    "RTX Blackwell": ("Ada", "Blackwell", "Hopper", "Ampere"),
}
ELSEWHERE = ("Hopper", "Ampere", "Ada", "Blackwell", "RTX Blackwell")
"""Which measured generation stands in for another, and for accelerators of other makers."""


class Row(NamedTuple):
    """A fit: of which accelerator, engine and format; and the law that it gives."""

    hardware: str
    engine: str
    dtype: str
    law: Fitted


class Table(NamedTuple):
    """A file: its rows, and for each kind of substitution the band that it was measured to need."""

    rows: tuple[Row, ...]
    bands: dict[str, tuple[float, float]]


def kinds() -> list[str]:
    """The kinds of op that have a law."""
    return names("kernels")


@lru_cache(maxsize=32)
def table(kind: str) -> Table:
    """The file of a kind of op. Raises InputError with the kinds that there are."""
    if kind not in kinds():
        raise unknown_name("kind of kernel", kind, kinds(), field="kind")
    data = data_of(ROOT / "kernels" / f"{kind}.yaml")
    module, _, name = data["law"].partition(".")
    made = getattr(import_module(f"llmcx.machine.kernels.{module}"), name)
    rows = tuple(
        Row(
            one["hardware"],
            one["engine"],
            one["dtype"],
            Fitted(made(*one["constants"]), one["low"], one["high"], one["rows"], one["error"], ""),
        )
        for one in data["rows"]
    )
    return Table(rows, {step: (low, high) for step, (low, high) in data["bands"].items()})


_LAWS: dict[tuple[str, str, str, str], Fitted] = {}


def law(kind: str, hardware: Hardware, engine: str, dtype: str) -> Fitted:
    """The constants for kernels of a kind, on an accelerator, in an engine ("vllm"), in a format ("bf16").

    This engine's ("sglang/triton": by its second kernel, where it has two), else another's on the same accelerator; else those
    of the nearest generation in the same format; else of the nearest format. Every accelerator has one. Raises InputError for a
    kind without a law.
    """
    key = kind, hardware.name, engine, dtype
    if key not in _LAWS:
        _LAWS[key] = nearest(table(kind), hardware.name, engine, dtype)
    return _LAWS[key]


def nearest(of: Table, hardware: str, engine: str, dtype: str) -> Fitted:
    """The row of a table that stands in for what is asked, with the band that it then has; with the bytes of the format asked."""
    own, alike = generation(hardware), (engine, engine.partition("/")[0])
    order = (own, *NEAREST[own]) if own else ELSEWHERE

    def distance(row: Row) -> tuple[float, int, int, int]:
        theirs = generation(row.hardware) or ELSEWHERE[-1]
        among = GENERATIONS[theirs].index(row.hardware) + 1
        other = alike.index(row.engine) if row.engine in alike else 2 + ("/" in row.engine)
        return _unlike(dtype, row.dtype), order.index(theirs), 0 if row.hardware == hardware else among, other

    best = min(of.rows, key=distance)
    steps = []
    if best.dtype != dtype:
        steps.append("format")
    if own is None:
        steps.append("maker")
    elif best.hardware != hardware:
        steps.append("accelerator" if any({hardware, best.hardware} <= set(chip) for chip in TWINS) else "generation")
    if best.engine not in alike:
        steps.append("engine")
    bands = [of.bands[step] for step in steps]
    low, high = min([best.law.low, *(band[0] for band in bands)]), max([best.law.high, *(band[1] for band in bands)])
    where = f"{best.engine} on {best.hardware} in {best.dtype}, {best.law.rows} kernels"
    stated = f"fitted to {where}" if not steps else f"no measurement of {engine} on {hardware} in {dtype}: as {where}"
    constants = best.law.constants
    if best.dtype != dtype and dtype in FORMATS:
        stored = FORMATS[dtype]._asdict()
        constants = constants._replace(**{name: stored[name] for name in ("weight", "activation") if name in constants._fields})
    return best.law._replace(constants=constants, low=low, high=high, stated=stated)


def generation(hardware: str) -> str | None:
    """The generation of an accelerator; None for those of other makers."""
    return next((name for name, members in GENERATIONS.items() if hardware in members), None)


def _unlike(wanted: str, other: str) -> float:
    """How far two formats are from each other: 0 equal, below 1 multiplied alike, 1 the 16-bit one, 2 another."""
    if wanted == other:
        return 0
    one, two = FORMATS.get(wanted), FORMATS.get(other)
    if one and two and one.multiplied == two.multiplied:
        return 1 - 0.9 * min(one.weight, two.weight) / max(one.weight, two.weight)
    return 1 if other == "bf16" else 2
