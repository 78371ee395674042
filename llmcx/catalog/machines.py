"""Accelerators as machines of the roofline."""

from __future__ import annotations

from llmcx.catalog.data import load_hardware
from llmcx.costs.traffic import WHOLE_CHIP, Machine
from llmcx.machine.hardware import OnChip

ARITHMETIC = {"fp32": ("tf32", "fp32"), "tf32": ("tf32",), "bf16": ("bf16", "fp16"), "fp16": ("fp16", "bf16")}
"""Matmul rates that serve numbers stored in a dtype, the first one that a machine has."""


def load_machine(name: str, dtype: str, on_chip: int | None = None) -> tuple[Machine, int]:
    """A machine for matmuls in ``dtype``, and its memory in bytes.

    ``on_chip`` bytes override the preset's: the memory of all its processors together, since they work on the same keys at about
    the same time; else its shared cache. Raises InputError for an unknown name, or a dtype that it does not multiply.
    """
    one = load_hardware(name)
    kinds = ARITHMETIC.get(dtype, (dtype,))
    served = next((kind for kind in kinds if kind in one.dense_tflops), dtype)
    return Machine(
        name=one.title,
        flops=round(one.flops(served)),
        bandwidth=round(one.bytes_per_s),
        on_chip=on_chip or _on_chip(one.on_chip),
        link=None if one.scale_up is None else round(one.scale_up.gb_per_s * 10**9),
    ), one.memory_bytes


def _on_chip(stated: OnChip | None) -> int:
    if stated is not None and stated.shared_kib:
        return stated.units * stated.shared_kib * 2**10
    return round(stated.l2_mib * 2**20) if stated is not None and stated.l2_mib else WHOLE_CHIP
