"""How tests/oracle/kernel_laws.py reads the table of matmuls, and where its fit starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llmcx.machine.kernels import FORMATS, Peaks, gemm
from tests.oracle.kernel_laws import DTYPES, Group, Kind, Row


def read(line: Mapping[str, str]) -> Row:
    """A line of gemm.csv."""
    dtype = DTYPES.get(line["gemm_dtype"], line["gemm_dtype"])
    shape = int(line["m"]), int(line["n"]), int(line["k"])
    return Row((line["hardware"], line["engine"], dtype), shape, float(line["latency"]) * 1e-3)


HOSTS = {("vllm", "fp8_block")}
"""Measured call by call, so that the host bounds what is small."""


def bounds(group: Group) -> dict[str, tuple[float, float, float]]:
    """Start, least and most of each constant."""
    of = FORMATS[group[2]]
    quantised = group[2] in ("fp8", "fp8_block", "nvfp4")
    return {
        "flops": (0.8, 0.05, 1.0),
        "sag": (0.15, 0.001, 3),
        "memory": (0.85, 0.3, 1.0),
        "fill_us": (0.3, 0.001, 5),
        "cached": (2, 1, 10),
        "resident": (0.1, 0.001, 1),
        "l2": (4, 0.3, 30),
        "store": (2, 0.1, 100),
        "step_ns": (1.5, 0.01, 30),
        "tile_us": (0.8, 0.01, 20),
        "cut_us": (2, 0.01, 1000),
        "launch_us": (4, 0.3, 20),
        "sharp": (2.5, 1, 10),
        "row_ns": (0.5, 0.001, 100) if quantised else (0, 0, 0),
        "quantise": (0.5, 0.01, 10) if quantised else (0, 0, 0),
        "weight": (of.weight,) * 3,
        "activation": (of.activation,) * 3,
        "host_us": (100, 20, 1000) if group[1:] in HOSTS else (0, 0, 0),
    }


STARTS = ({}, {"cut_us": 300, "step_ns": 4}, {"step_ns": 0.2, "tile_us": 3})
"""Libraries that cut k and those that do not, kernels that are bound by their steps and by their tiles."""


def like(group: Group, laws: Mapping[Group, Any]) -> dict[str, float]:
    """Where the host hides what is small, another engine on the same accelerator says what that takes."""
    others = [law for other, law in laws.items() if (other[0], other[2]) == (group[0], group[2])]
    if not others or group[1:] not in HOSTS:
        return {}
    return {name: value for name, value in others[0]._asdict().items() if name not in ("flops", "sag", "host_us")}


def many(constants: gemm.Constants, peaks: Peaks, shapes: Sequence[tuple[int, int, int]]) -> Any:
    """gemm.timed of many shapes at once."""
    import numpy as np

    m, n, k = (np.array(each, float)[:, None] for each in zip(*shapes, strict=True))
    cuts, (rows, columns) = np.array(gemm.CUTS, float), np.array(gemm.TILES, float).T
    of, memory = constants, peaks.bytes_per_s
    cache, area = of.l2 * memory, rows * columns
    read = (rows * of.activation + columns * of.weight) * peaks.sms / cache
    each = np.maximum(np.maximum(2 * area / of.flops / peaks.flops * peaks.sms, read), of.step_ns * 1e-9)
    once = of.tile_us * 1e-6 + area * gemm.OUTPUT * peaks.sms / (of.store * memory)
    depth = np.ceil(k / (cuts * gemm.STEP)) * gemm.STEP
    tiles = np.ceil(m / rows) * np.ceil(n / columns)
    waves = np.ceil(tiles[:, None, :] * cuts[None, :, None] / peaks.sms)
    busy = (waves * (once + depth[:, :, None] * each)).min(axis=2)
    busy = busy * (1 + of.sag * busy / (busy + gemm.HOT))
    moved = m * k * of.activation + n * k * of.weight + m * n * gemm.OUTPUT
    held = np.minimum(moved, of.resident * peaks.l2_bytes)
    sent = of.fill_us * 1e-6 + (moved - held) / (of.memory * memory) + held / (of.cached * memory)
    sums = np.where(cuts > 1, of.cut_us * 1e-6 + cuts * m * n * gemm.PARTIAL / cache, 0)
    found = ((busy**of.sharp + sent**of.sharp) ** (1 / of.sharp) + sums).min(axis=1)
    found += of.launch_us * 1e-6
    if of.quantise:
        found += (m * (of.row_ns * 1e-9 + k * (gemm.OUTPUT + of.activation) / (of.quantise * memory)))[:, 0]
    return np.maximum(of.host_us * 1e-6, found)


KINDS = [
    Kind(
        "gemm",
        ("gemm",),
        read,
        "gemm.Constants",
        bounds,
        gemm.timed,
        many=many,
        comparable=lambda group: group[1:] not in HOSTS,
        starts=STARTS,
        like=like,
    )
]
