"""Hardware presets as machines of the roofline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmcx.core.errors import InputError
from llmcx.core.traffic import WHOLE_CHIP, Machine

from .catalog import load

ARITHMETIC = {"fp32": ("tf32", "fp32"), "tf32": ("tf32",), "bf16": ("bf16", "fp16"), "fp16": ("fp16", "bf16")}
"""Matmul rates that serve numbers stored in a dtype, the first one that a machine has."""


def load_machine(name: str, dtype: str, on_chip: int | None = None) -> tuple[Machine, int]:
    """A machine for matmuls in ``dtype``, and its memory in bytes.

    ``on_chip`` bytes override the preset's: the memory of all its processors together, since they work on the same keys at about
    the same time; else its shared cache. Raises InputError for an unknown name, or a dtype that it does not multiply.
    """
    data = load("hardware", name)
    rates: Mapping[str, float] = data.get("dense_tflops") or {"bf16": data["bf16_flops"] / 10**12}
    served = next((kind for kind in ARITHMETIC.get(dtype, (dtype,)) if kind in rates), None)
    if served is None:
        known = ", ".join(rates)
        raise InputError(f"{name} does not multiply {dtype}; it has {known}", field="dtype", value=dtype, allowed=known)
    link = (data.get("scale_up") or {}).get("gb_per_s")
    return Machine(
        name=str(data["title"]),
        flops=round(rates[served] * 10**12),
        bandwidth=round(data["memory_gb_per_s"] * 10**9),
        on_chip=on_chip or _on_chip(data.get("on_chip") or {}),
        link=None if link is None else round(link * 10**9),
    ), round(data["memory_gb"] * 10**9)


def _on_chip(stated: Mapping[str, Any]) -> int:
    if stated.get("shared_kib"):
        return int(stated["units"] * stated["shared_kib"] * 2**10)
    return int(stated["l2_mib"] * 2**20) if stated.get("l2_mib") else WHOLE_CHIP
