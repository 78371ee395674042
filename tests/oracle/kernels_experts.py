"""How tests/oracle/kernels.py reads the table of experts, and where its fit starts.

A row times one rank. Rows of equal local shapes agree where num_tokens is of the whole group before the dispatch, inter_size is
divided by moe_tp_size, num_experts by moe_ep_size, and a power law's rank is the busiest. The table does not say which experts
have a gate: those without are the models of which TensorRT-LLM's kernel_source says so, in the other engines too, whose rows of
them take as long as two matrices do, not three.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from llmcx.machine.kernels import FORMATS, experts
from tests.oracle.kernels import DTYPES, Kind, Row

SKEWS = {"balanced": 0, "power_law_1.01": 1.01, "power_law_1.2": 1.2}


def read(line: Mapping[str, str]) -> Row:
    """A line of moe.csv."""
    dtype = DTYPES.get(line["moe_dtype"], line["moe_dtype"])
    names = ("num_tokens", "hidden_size", "inter_size", "topk", "num_experts", "moe_tp_size", "moe_ep_size")
    shape = tuple(int(line[name]) for name in names)
    plain = line["topk"] == "22" or (line["hidden_size"], line["inter_size"]) == ("2688", "1856")
    return Row(
        (line["hardware"], line["engine"], dtype),
        (*shape, SKEWS[line["distribution"]], int(not plain)),
        float(line["latency"]) * 1e-3,
    )


def bounds(dtype: str) -> dict[str, tuple[float, float, float]]:
    """Start, least and most of each constant."""
    return {
        "flops": (0.5, 0.02, 1.0),
        "memory": (0.7, 0.05, 1.0),
        "launch_us": (15, 1, 400),
        "sharp": (1.5, 0.5, 8),
        "tile": (30, 0.1, 400),
        "wave": (1, 0.05, 2),
        "thin": (0.3, 0.001, 50),
        "moved": (0.5, 0.001, 50),
        "others": (0.02, 0.0001, 1),
        "cached": (2, 1, 8),
        "plain": (1, 0.5, 4),
        "weight": (FORMATS[dtype].weight,) * 3,
    }


KINDS = [
    Kind("experts", ("moe",), read, "experts.Constants", bounds, partial(experts.seconds, repeated=True)),
]
