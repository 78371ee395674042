"""How tests/oracle/kernels.py reads the table of matmuls, and where its fit starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llmcx.machine.kernels import FORMATS, Peaks, gemm
from tests.oracle.kernels import DTYPES, Kind, Row


def read(line: Mapping[str, str]) -> Row:
    """A line of gemm.csv."""
    dtype = DTYPES.get(line["gemm_dtype"], line["gemm_dtype"])
    shape = int(line["m"]), int(line["n"]), int(line["k"])
    return Row((line["hardware"], line["engine"], dtype), shape, float(line["latency"]) * 1e-3)


HOSTS = {("vllm", "fp8_block")}
"""Measured call by call, so that the host bounds what is small."""


def bounds(group: tuple[str, str, str]) -> dict[str, tuple[float, float, float]]:
    """Start, least and most of each constant."""
    _, engine, dtype = group
    of = FORMATS[dtype]
    quantised = dtype in ("fp8", "fp8_block", "nvfp4")
    return {
        "flops": (0.8, 0.05, 1.0),
        "memory": (0.85, 0.3, 1.0),
        "cached": (2, 0.3, 10),
        "resident": (0.1, 0.001, 1),
        "l2": (4, 0.3, 30),
        "step_ns": (1.5, 0.01, 30),
        "tile_us": (0.8, 0.01, 20),
        "cut_us": (2, 0.01, 20),
        "launch_us": (4, 0.3, 20),
        "sharp": (2.5, 1, 10),
        "row_ns": (0.5, 0.001, 100) if quantised else (0, 0, 0),
        "quantise": (0.5, 0.01, 10) if quantised else (0, 0, 0),
        "weight": (of.weight,) * 3,
        "activation": (of.activation,) * 3,
        "host_us": (100, 20, 1000) if (engine, dtype) in HOSTS else (0, 0, 0),
    }


def many(constants: gemm.Constants, peaks: Peaks, shapes: Sequence[tuple[int, int, int]]) -> Any:
    """gemm.timed of many shapes at once."""
    import numpy as np

    m, n, k = (np.array(each, float)[:, None] for each in zip(*shapes, strict=True))
    cuts, (rows, columns) = np.array(gemm.CUTS, float), np.array(gemm.TILES, float).T
    of, memory = constants, peaks.bytes_per_s
    cache = of.l2 * memory
    each = np.maximum(
        np.maximum(
            2 * rows * columns / of.flops / peaks.flops * peaks.sms,
            (rows * of.activation + columns * of.weight) * peaks.sms / cache,
        ),
        of.step_ns * 1e-9,
    )
    depth = np.ceil(k / (cuts * gemm.STEP)) * gemm.STEP
    tiles = np.ceil(m / rows) * np.ceil(n / columns)
    waves = np.ceil(tiles[:, None, :] * cuts[None, :, None] / peaks.sms)
    busy = (waves * (of.tile_us * 1e-6 + depth[:, :, None] * each)).min(axis=2)
    moved = m * k * of.activation + n * k * of.weight + m * n * gemm.OUTPUT
    held = np.minimum(moved, of.resident * peaks.l2_bytes)
    sent = (moved - held) / (of.memory * memory) + held / (of.cached * memory)
    sums = np.where(cuts > 1, of.cut_us * 1e-6 + cuts * m * n * gemm.PARTIAL / cache, 0)
    found = ((busy**of.sharp + sent**of.sharp) ** (1 / of.sharp) + sums).min(axis=1)
    found += of.launch_us * 1e-6
    if of.quantise:
        found += (m * (of.row_ns * 1e-9 + k * (gemm.OUTPUT + of.activation) / (of.quantise * memory)))[:, 0]
    return np.maximum(of.host_us * 1e-6, found)


KINDS = [
    Kind(
        "gemm", ("gemm",), read, "gemm.Constants", bounds, gemm.timed, many=many, comparable=lambda group: group[1:] not in HOSTS
    )
]
