"""How tests/oracle/kernel_laws.py reads the table of experts, and where its fit starts.

A row times one rank. Rows of equal local shapes agree where num_tokens is of the whole group before the dispatch, inter_size is
divided by moe_tp_size, num_experts by moe_ep_size, and a power law's rank is the busiest. The table does not say which experts
have a gate: those without are the models of which TensorRT-LLM's kernel_source says so, in the other engines too, whose rows of
them take as long as two matrices do, not three. Weights stay in the cache from one repetition to the next: the L40S and the RTX
PRO 6000 read small ones at twice the bandwidth of their memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

from llmcx.machine.kernels import FORMATS, Peaks, experts
from tests.oracle.kernel_laws import DTYPES, Group, Kind, Row, of_arrays

SKEWS = {"balanced": 0, "power_law_1.01": 1.01, "power_law_1.2": 1.2}

BLACKWELL, HOPPER = {"b200", "gb200"}, {"h100", "h200"}
OTHERS = (
    ("sglang", "bf16", BLACKWELL, "fused_moe_triton", "triton"),
    ("sglang", "fp8_block", BLACKWELL, "fused_moe_triton", "triton"),
    ("sglang", "bf16", HOPPER | {"rtx-pro-6000"}, "flashinfer_cutlass", "cutlass"),
    ("sglang", "mxfp4", HOPPER, "marlin", "marlin"),
    ("vllm", "mxfp4", BLACKWELL | HOPPER, "compressedtensors", "marlin"),
)
"""Where an engine runs some models by another kernel than most, of another speed: by kernel_source, and what its engine is called
then.
"""


def read(line: Mapping[str, str]) -> Row:
    """A line of moe.csv."""
    hardware, engine, dtype = line["hardware"], line["engine"], DTYPES.get(line["moe_dtype"], line["moe_dtype"])
    for one, stored, where, source, kernel in OTHERS:
        if (one, stored) == (engine, dtype) and hardware in where and source in line["kernel_source"]:
            engine = f"{engine}/{kernel}"
            break
    names = ("num_tokens", "hidden_size", "inter_size", "topk", "num_experts", "moe_tp_size", "moe_ep_size")
    shape = tuple(int(line[name]) for name in names)
    plain = line["topk"] == "22" or (line["hidden_size"], line["inter_size"]) == ("2688", "1856")
    return Row((hardware, engine, dtype), (*shape, SKEWS[line["distribution"]], int(not plain)), float(line["latency"]) * 1e-3)


def bounds(group: Group) -> dict[str, tuple[float, float, float]]:
    """Start, least and most of each constant. Where no experts with a gate were measured, those without are the rule."""
    hardware, engine, dtype = group
    ungated = engine == "sglang/cutlass" or (engine == "trtllm" and hardware in HOPPER)
    return {
        "flops": (0.5, 0.02, 1.0),
        "spread": (4, 0.25, 64),
        "most": (100, 16, 300),
        "tile": (20, 0.1, 400),
        "wave": (0.5, 0.02, 4),
        "memory": (0.8, 0.05, 1.0),
        "thin": (0.3, 0.001, 50),
        "cached": (2, 1, 8),
        "weight": (FORMATS[dtype].weight,) * 3,
        "moved": (1, 0.0005, 25),
        "token": (1, 0.001, 300),
        "others": (0.05, 0.0001, 1),
        "passed": (0.05, 0.0001, 1),
        "launch_us": (20, 1, 400),
        "expert_us": (0.01, 0.0001, 5),
        "sharp": (1.5, 0.5, 8),
        "plain": (1, 1, 1) if ungated else (1, 0.5, 4),
    }


_law = of_arrays(experts.on_rank)


@lru_cache(maxsize=256)
def _loaded(shapes: tuple[tuple[Any, ...], ...]) -> tuple[Any, ...]:
    import numpy as np

    loads = [experts.busiest(tokens, top_k, each, ep, skew) for tokens, _, _, top_k, each, _, ep, skew, _ in shapes]
    draws = np.array([load.each if len(load.each) > 1 else load.each * experts.DRAWS for load in loads]).T
    load = experts.Load(np.array([load.rows for load in loads]), np.array([load.met for load in loads]), tuple(draws))
    tokens, hidden, inter, top_k, each, tp, ep, _, gated = (np.array(of) for of in zip(*shapes, strict=True))
    return load, tokens, top_k, each // ep, hidden, inter / tp, gated


def many(constants: Any, peaks: Peaks, shapes: Sequence[tuple[Any, ...]]) -> Any:
    """The law over many shapes."""
    return _law(constants, peaks, *_loaded(tuple(shapes)), True)


KINDS = [
    Kind(
        "experts",
        ("moe",),
        read,
        "experts.Constants",
        bounds,
        partial(experts.seconds, repeated=True),
        many=many,
        ridge=0.1,
        comparable=lambda group: "/" not in group[1],
    ),
]
