"""Accelerators: figures from the makers' sheets, and the schema's refusals."""

from __future__ import annotations

import json
from math import isclose

import pytest

from llmcx.catalog import data as catalog
from llmcx.errors import InputError
from llmcx.machine.hardware import Hardware, hardware
from tests.helpers import here, refuses

NAMES = catalog.names("hardware")
WANTED = [
    "v100", "a100", "a100-40gb", "h100", "h100-pcie", "h800", "h200", "b200", "gb200", "b300", "l4", "l40s", "rtx-3090",
    "rtx-4090", "rtx-5090", "rtx-6000-ada", "mi250x", "mi300x", "mi325x", "mi355x", "tpu-v4", "tpu-v5e", "tpu-v5p", "tpu-v6e",
    "tpu-v7", "gaudi-3", "trainium2", "m1-max", "m2-ultra", "m3-max", "m4-max", "rtx-pro-6000",
]  # fmt: skip

# What the makers print with 2:4 sparsity, in bf16 or fp16 TFLOP/s: twice the dense peak. NVIDIA's and AMD's product sheets.
SPARSE = {
    "a100": 624, "h100": 1979, "h100-pcie": 1513, "h200": 1979, "b200": 4500, "l4": 242, "l40s": 724, "rtx-3090": 142,
    "rtx-4090": 330.3, "rtx-5090": 419, "rtx-6000-ada": 728.5, "mi300x": 2614.9,
}  # fmt: skip

# Memory in GB and its bandwidth in GB/s, from the same sheets.
MEMORY = {
    "v100": (32, 900), "a100": (80, 2039), "a100-40gb": (40, 1555), "h100": (80, 3350), "h200": (141, 4800), "l4": (24, 300),
    "l40s": (48, 864), "rtx-3090": (24, 936), "rtx-4090": (24, 1008), "rtx-5090": (32, 1792), "mi300x": (192, 5300),
    "mi325x": (256, 6000), "mi355x": (288, 8000), "tpu-v5e": (16, 819), "gaudi-3": (128, 3700), "rtx-pro-6000": (96, 1597),
}  # fmt: skip

# Arithmetic of the processor: units x operations per clock x clock (GHz), in TFLOP/s. NVIDIA A100 and H100 whitepapers
# (boost 1.41 and 1.83 GHz, 1,024 and 2,048 fp16 FMAs per SM and clock); AMD CDNA 3 whitepaper (2.1 GHz, 2,048 FLOPs per CU).
DERIVED = {"a100": 108 * 2048 * 1.41e-3, "h100": 132 * 4096 * 1.83e-3, "mi300x": 304 * 2048 * 2.1e-3}


def test_every_accelerator_asked_for_is_there() -> None:
    assert set(WANTED) <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_schema(name: str) -> None:
    one = catalog.load_hardware(name)
    assert one.name == name and one.source and one.memory_gb > 0
    # A ridge between 5 and 1,000 FLOPs per byte: a slip of a power of ten in either figure falls out.
    assert 5 < one.flops(one.dtype) / one.bytes_per_s < 1000
    for alias in one.aliases:
        assert catalog.load_hardware(alias).name == name


@pytest.mark.parametrize("name", sorted(SPARSE))
def test_peaks_are_dense(name: str) -> None:
    assert isclose(2 * catalog.load_hardware(name).dense_tflops["bf16"], SPARSE[name], rel_tol=2e-3)


@pytest.mark.parametrize("name", sorted(MEMORY))
def test_memory(name: str) -> None:
    one = catalog.load_hardware(name)
    assert (one.memory_gb, one.memory_gb_per_s) == MEMORY[name]


@pytest.mark.parametrize("name", sorted(DERIVED))
def test_peaks_follow_from_the_clock(name: str) -> None:
    assert isclose(catalog.load_hardware(name).dense_tflops["bf16"], DERIVED[name], rel_tol=2e-3)


GOOD = {"name": "x", "title": "X", "vendor": "me", "year": 2024, "dense_tflops": {"bf16": 1.0}, "memory_gb": 8}
GOOD |= {"memory_gb_per_s": 100, "source": "me"}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"dense_tflops": {"bf16": -1}}, "dense_tflops.bf16"),
        ({"dense_tflops": {"bf17": 1, "bf16": 1}}, "dense_tflops.bf17"),
        ({"dense_tflops": {"fp8": 1}}, "dense_tflops"),
        ({"memory_gb": float("nan")}, "memory_gb"),
        ({"memory": 3}, "memory"),
        ({"sources": {"price": "x"}}, "sources.price"),
        ({"scale_up": {"link": "x", "gb_per_s": 0}}, "scale_up.gb_per_s"),
        ({"scale_up": 450}, "scale_up"),
        ({"on_chip": {"units": 3}}, "unit"),
    ],
)
def test_refusals(change: dict, field: str) -> None:
    assert isinstance(hardware(GOOD), Hardware)
    with refuses(field):
        hardware({**GOOD, **change})


def test_missing_dtype_is_refused() -> None:
    with pytest.raises(InputError, match="fp16"):
        catalog.load_hardware("v100").flops("bf16")


def test_command_line() -> None:
    rows = json.loads(here("catalog", "hardware", "--json").out)["result"]
    assert [row["name"] for row in rows] == NAMES
    shown = json.loads(here("catalog", "show", "h100-sxm", "--json").out)["result"]
    assert (shown["name"], shown["scale_up"]["gb_per_s"], shown["on_chip"]["units"]) == ("h100", 450, 132)
    assert "did you mean" in here("catalog", "show", "h10").err
    assert "132 SM" in here("catalog", "show", "h100").out
