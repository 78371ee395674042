"""How tests/oracle/kernel_laws.py reads the tables of recurrent mixers, and where its fits start."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from llmcx.machine.kernels import recurrent
from tests.oracle.kernel_laws import Group, Kind, Row, at_once

Bounds = dict[str, tuple[float, float, float]]


def _row(line: Mapping[str, str], *shape: int) -> Row:
    return Row((line["hardware"], line["engine"], "bf16"), shape, float(line["latency"]) * 1e-3)


def _delta(phase: str) -> Callable[[Mapping[str, str]], Row | None]:
    def read(line: Mapping[str, str]) -> Row | None:
        if line["phase"] != phase or "delta" not in line["kernel_source"]:
            return None
        batch, heads = int(line["batch_size"]), int(line["num_v_heads"])
        if phase == "generation":
            return _row(line, batch, heads)
        return _row(line, batch, int(line["num_k_heads"]), heads, int(line["seq_len"]))

    return read


def _convolution(phase: str) -> Callable[[Mapping[str, str]], Row | None]:
    def read(line: Mapping[str, str]) -> Row | None:
        if line["phase"] != phase or "conv" not in line["kernel_source"]:
            return None
        if "num_v_heads" in line and (line["engine"] == "trtllm" or line["hardware"] == "a100"):
            return None  # measured at one number of channels, whatever the model's: its time is the same for all
        if "nheads" in line:
            channels = int(line["nheads"]) * int(line["head_dim"]) + 2 * int(line["n_groups"]) * int(line["d_state"])
        else:
            keys, values = (int(line[f"num_{each}_heads"]) * int(line[f"head_{each}_dim"]) for each in "kv")
            channels = 2 * keys + values
        return _row(line, int(line["batch_size"]), channels, int(line["seq_len"]))

    return read


def _mamba2(kind: str) -> Callable[[Mapping[str, str]], Row | None]:
    """A line of mamba2.csv: published by vLLM's developers, in 16-bit activations."""

    def read(line: Mapping[str, str]) -> Row | None:
        if line["kind"] != kind:
            return None
        heads = int(line["batch"]), int(line["heads"])
        of = int(line["head_dim"]), int(line["d_state"])
        shape = (*heads, *of, int(line["bytes"]))
        if kind == "mamba2_prefill":
            shape = (*heads, int(line["tokens"]), *of, int(line["groups"]), int(line["chunk"]))
        return Row((line["hardware"], line["engine"], "bf16"), shape, float(line["us"]) * 1e-6)

    return read


COMMON = {
    "launch_us": (4.0, 0.5, 200.0),
    "block_us": (1.0, 0.001, 100.0),
    "resident": (4.0, 0.5, 32.0),
    "memory": (0.7, 0.02, 1.0),
    "sharp": (2.0, 1.0, 8.0),
}


def scan_bounds(group: Group) -> Bounds:
    """Start, least and most of each constant."""
    return COMMON | {
        "launch_us": (10, 0.5, 300),
        "chunk_us": (2, 0.01, 100),
        "pass_us": (0.1, 1e-4, 50),
        "l2": (3, 1, 20),
        "again": (3, 1, 30),
    }


def scan_choices(group: Group) -> list[dict[str, float]]:
    """Turns in whole numbers, or not."""
    return [{"whole": 0}, {"whole": 1}, {"whole": 1, "resident": 1}]


def step_bounds(group: Group) -> Bounds:
    """Start, least and most of each constant."""
    return COMMON | {"l2": (2, 1, 20)}


def update_bounds(group: Group) -> Bounds:
    """Start, least and most of each constant. The cache on the chip is as fast as the law of delta rules has it."""
    return COMMON | {"l2": (2, 1, 20), "block_us": (0.5, 0.001, 20), "resident": (8, 0.5, 64)}


def dual_bounds(group: Group) -> Bounds:
    """Start, least and most of each constant: one shape of heads tells products and passes over memory apart in nothing, so that
    products are taken at 0.3 of the peak, and a launch at 3 us a kernel.
    """
    return {"launch_us": (15, 15, 15), "host_us": (250, 10, 2000), "arithmetic": (0.3, 0.3, 0.3), "memory": (0.5, 0.02, 1.0)}


def convolution_bounds(group: Group) -> Bounds:
    """Start, least and most of each constant."""
    return COMMON | {"l2": (2, 1, 20), "chunk_us": (0.1, 1e-4, 20)}


def one_token(group: Group) -> Bounds:
    """The same for a single token, of which there is one chunk."""
    return convolution_bounds(group) | {"chunk_us": (0, 0, 0)}


KINDS = [
    Kind(
        "gated_delta_prefill",
        ("gated_delta",),
        _delta("context"),
        "recurrent.Scan",
        scan_bounds,
        recurrent.scanned,
        many=at_once(recurrent.scanned),
        choices=scan_choices,
    ),
    Kind(
        "gated_delta_decode",
        ("gated_delta",),
        _delta("generation"),
        "recurrent.Step",
        step_bounds,
        recurrent.stepped,
        many=at_once(recurrent.stepped),
    ),
    Kind(
        "mamba2_prefill",
        ("mamba2.csv",),
        _mamba2("mamba2_prefill"),
        "recurrent.Dual",
        dual_bounds,
        recurrent.dual,
        many=at_once(recurrent.dual),
    ),
    Kind(
        "mamba2_decode",
        ("mamba2.csv",),
        _mamba2("mamba2_decode"),
        "recurrent.Step",
        update_bounds,
        recurrent.updated,
        many=at_once(recurrent.updated),
    ),
    Kind(
        "convolution_prefill",
        ("gated_delta", "mamba2"),
        _convolution("context"),
        "recurrent.Convolution",
        convolution_bounds,
        recurrent.convolved,
        many=at_once(recurrent.convolved),
    ),
    Kind(
        "convolution_decode",
        ("gated_delta", "mamba2"),
        _convolution("generation"),
        "recurrent.Convolution",
        one_token,
        recurrent.convolved,
        many=at_once(recurrent.convolved),
    ),
]
