"""How tests/oracle/kernels.py reads the table of matmuls, and where its fit starts."""

from __future__ import annotations

from collections.abc import Mapping

from llmcx.machine.kernels import FORMATS, gemm
from tests.oracle.kernels import DTYPES, Kind, Row


def read(line: Mapping[str, str]) -> Row:
    """A line of gemm.csv."""
    dtype = DTYPES.get(line["gemm_dtype"], line["gemm_dtype"])
    shape = int(line["m"]), int(line["n"]), int(line["k"])
    return Row((line["hardware"], line["engine"], dtype), shape, float(line["latency"]) * 1e-3)


def bounds(dtype: str) -> dict[str, tuple[float, float, float]]:
    """Start, least and most of each constant."""
    of = FORMATS[dtype]
    return {
        "flops": (0.7, 0.001, 1.0),
        "memory": (0.8, 0.01, 1.0),
        "launch_us": (4, 0.5, 1000),
        "sharp": (2, 0.5, 10),
        "weight": (of.weight,) * 3,
        "activation": (of.activation,) * 3,
    }


KINDS = [Kind("gemm", ("gemm",), read, "gemm.Constants", bounds, gemm.seconds)]
