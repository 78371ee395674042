"""How tests/oracle/kernel_laws.py reads the tables of collectives, and where its fits start."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from llmcx.machine.kernels import collectives
from tests.oracle.kernel_laws import DTYPES, Group, Kind, Row, at_once

BYTES = {"bf16": 2, "int8": 1}

Bounds = dict[str, tuple[float, float, float]]


def read_all_reduce(line: Mapping[str, str]) -> Row | None:
    """A line of allreduce.csv, of an engine's own kernels, or of nccl.csv. Sizes in both are elements."""
    if "op_name" in line:
        return _nccl("all_reduce")(line)
    engine = f"{line['engine']}_eager" if line["kernel_source"].endswith("eager") else line["engine"]
    shape = int(line["num_gpus"]), int(line["message_size"]) * BYTES["bf16"]
    return Row((line["hardware"], engine, "bf16"), shape, float(line["latency"]) * 1e-3)


def _nccl(name: str) -> Callable[[Mapping[str, str]], Row | None]:
    def read(line: Mapping[str, str]) -> Row | None:
        if line["op_name"] != name:
            return None
        dtype = DTYPES.get(line["nccl_dtype"], line["nccl_dtype"])
        shape = int(line["num_gpus"]), int(line["message_size"]) * BYTES[dtype]
        return Row((line["hardware"], "nccl", dtype), shape, float(line["latency"]) * 1e-3)

    return read


def bounds(group: Group) -> Bounds:
    """Start, least and most of each constant."""
    eager = group[1].endswith("_eager")
    return {
        "launch_us": (4, 0.5, 60),
        "hop_us": (0.3, 0.001, 20),
        "one": (0.4, 0.01, 1),
        "two_us": (5, 0.01, 100),
        "two": (0.5, 0.01, 1),
        "bulk_us": (20, 0.01, 300),
        "pair": (0.6, 0.005, 1.2),
        "four": (0.6, 0.005, 1.2),
        "eight": (0.6, 0.002, 1.2),
        "host_us": (30, 1, 100) if eager else (0, 0, 0),
    }


def _read_experts(phase: str, fast: bool) -> Callable[[Mapping[str, str]], Row | None]:
    def read(line: Mapping[str, str]) -> Row | None:
        backend = line["comm_backend"]
        if line["phase"] != phase or fast != backend.endswith(("_ll", "_generation")):
            return None
        engine = "vllm_deepep_v2" if "_v2" in backend else line["engine"]
        dtype = {"bfloat16": "bf16", "fp4": "nvfp4"}.get(line["comm_dtype"], line["comm_dtype"])
        shape = tuple(int(line[name]) for name in ("ep_size", "num_tokens", "hidden_size", "topk"))
        return Row((line["hardware"], engine, dtype), shape, float(line["latency"]) * 1e-6)

    return read


SENT = {"bf16": 2, "fp8": 1 + 4 / 128, "nvfp4": 0.5 + 1 / 16, "default": 2}
"""Bytes of an element: "default" is what vLLM sends unasked."""


def _experts(fast: bool, back: bool) -> Callable[[Group], Bounds]:
    def bounds(group: Group) -> Bounds:
        width = 2 if back and not fast else SENT[group[2]]  # results come back in 16 bits
        return {
            "launch_us": (60, 10, 1000),
            "token_ns": (5, 0.01, 500),
            "copy_ns": (1, 0.01, 500),
            "link": (0.6, 0.05, 1.2),
            "sharp": (2, 1, 8),
            "width": (width,) * 3,
            "each": (float(fast),) * 3,
        }

    return bounds


def _collective(
    name: str, tables: tuple[str, ...], read: Callable[[Mapping[str, str]], Row | None], seconds: Callable[..., float]
) -> Kind:
    return Kind(
        name,
        tables,
        read,
        "collectives.Collective",
        bounds,
        seconds,
        many=at_once(seconds),
        comparable=lambda group: not group[1].endswith("_eager"),
        ridge=0.003,
    )


def _exchange(name: str, phase: str, fast: bool) -> Kind:
    return Kind(
        name,
        ("all_to_all",),
        _read_experts(phase, fast),
        "collectives.Experts",
        _experts(fast, phase == "combine"),
        collectives.exchanged,
        many=at_once(collectives.exchanged),
    )


KINDS = [
    _collective("all_reduce", ("allreduce", "nccl"), read_all_reduce, collectives.all_reduce),
    _collective("all_gather", ("nccl",), _nccl("all_gather"), collectives.scattered),
    _collective("reduce_scatter", ("nccl",), _nccl("reduce_scatter"), collectives.scattered),
    _collective("all_to_all", ("nccl",), _nccl("alltoall"), collectives.scattered),
    _exchange("dispatch", "dispatch", False),
    _exchange("combine", "combine", False),
    _exchange("dispatch_low_latency", "dispatch", True),
    _exchange("combine_low_latency", "combine", True),
]
