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
    "tpu-v7", "gaudi-3", "trainium2", "m1-max", "m2-ultra", "m3-max", "m4-max", "rtx-pro-6000", "gb300", "mi350x", "h20",
    "gh200", "h100-nvl", "h200-nvl", "a800", "t4", "a10", "a10g", "a40", "rtx-a6000", "l40", "a100-pcie", "rtx-3060", "rtx-3080",
    "rtx-3080-ti", "rtx-3090-ti", "rtx-4060-ti", "rtx-4070", "rtx-4070-ti-super", "rtx-4080", "rtx-4080-super", "rtx-5060-ti",
    "rtx-5070", "rtx-5070-ti", "rtx-5080", "dgx-spark", "jetson-agx-orin", "rx-7900-xtx", "w7900", "ryzen-ai-max-395",
    "arc-b580", "mi210", "mi100", "gaudi-2", "inferentia2", "trainium1", "m1", "m1-pro", "m2", "m2-pro", "m2-max", "m3", "m3-pro",
    "m4", "m4-pro", "m5", "m5-pro", "m5-max",
]  # fmt: skip

# What the makers print with 2:4 sparsity, in bf16 or fp16 TFLOP/s: twice the dense peak. NVIDIA's and AMD's product sheets.
SPARSE = {
    "a100": 624, "h100": 1979, "h100-pcie": 1513, "h200": 1979, "b200": 4500, "l4": 242, "l40s": 724, "rtx-3090": 142,
    "rtx-4090": 330.3, "rtx-5090": 419, "rtx-6000-ada": 728.5, "mi300x": 2614.9, "gb300": 5000, "b300": 4500, "h100-nvl": 1671,
    "h200-nvl": 1671, "a10": 250, "a40": 299.4, "rtx-a6000": 309.7, "l40": 362.1, "a100-pcie": 624, "rtx-3080": 119, "h20": 296,
}  # fmt: skip

# Memory in GB and its bandwidth in GB/s, from the same sheets.
MEMORY = {
    "v100": (32, 900), "a100": (80, 2039), "a100-40gb": (40, 1555), "h100": (80, 3350), "h200": (141, 4800), "l4": (24, 300),
    "l40s": (48, 864), "rtx-3090": (24, 936), "rtx-4090": (24, 1008), "rtx-5090": (32, 1792), "mi300x": (192, 5300),
    "mi325x": (256, 6000), "mi355x": (288, 8000), "tpu-v5e": (16, 819), "gaudi-3": (128, 3700), "rtx-pro-6000": (96, 1597),
    "gb300": (279, 8000), "h20": (96, 4000), "h200-nvl": (141, 4800), "mi350x": (288, 8000), "a10": (24, 600), "a40": (48, 696),
    "rtx-a6000": (48, 768), "l40": (48, 864), "rtx-3060": (12, 360), "rtx-3080": (10, 760), "rtx-4060-ti": (16, 288),
    "rtx-4080-super": (16, 736), "rtx-5070": (12, 672), "rtx-5070-ti": (16, 896), "rtx-5080": (16, 960), "dgx-spark": (128, 273),
    "rx-7900-xtx": (24, 960), "arc-b580": (12, 456), "mi210": (64, 1638), "inferentia2": (32, 820), "m2": (24, 100),
    "m4-pro": (64, 273), "m5": (32, 153), "m5-pro": (64, 307), "m5-max": (128, 614),
}  # fmt: skip

# Arithmetic of the processor: units x operations per clock x clock (GHz), in TFLOP/s. NVIDIA A100 and H100 whitepapers
# (boost 1.41 and 1.83 GHz, 1,024 and 2,048 fp16 FMAs per SM and clock); AMD CDNA 3 whitepaper (2.1 GHz, 2,048 FLOPs per CU).
DERIVED = {"a100": 108 * 2048 * 1.41e-3, "h100": 132 * 4096 * 1.83e-3, "mi300x": 304 * 2048 * 2.1e-3}


# "AI TOPS" of NVIDIA's comparison pages: int8 with sparsity on GeForce cards of Ada, fp4 with sparsity on those of Blackwell and
# on RTX PRO; a DGX Spark's "1 PFLOP".
AI_TOPS = {
    ("rtx-4060-ti", "int8"): 353, ("rtx-4070", "int8"): 466, ("rtx-4070-super", "int8"): 568, ("rtx-4070-ti", "int8"): 641,
    ("rtx-4070-ti-super", "int8"): 706, ("rtx-4080", "int8"): 780, ("rtx-4080-super", "int8"): 836, ("rtx-4090", "int8"): 1321,
    ("rtx-5060-ti", "fp4"): 759, ("rtx-5070", "fp4"): 988, ("rtx-5070-ti", "fp4"): 1406, ("rtx-5080", "fp4"): 1801,
    ("rtx-5090", "fp4"): 3352, ("rtx-pro-6000-ws", "fp4"): 4000, ("rtx-pro-6000-max-q", "fp4"): 3511,
    ("rtx-pro-5000", "fp4"): 2064, ("rtx-pro-4000", "fp4"): 1178, ("dgx-spark", "fp4"): 1000, ("jetson-agx-orin", "int8"): 170,
    ("gb300", "int8"): 330, ("b300", "int8"): 307, ("arc-b580", "int8"): 466,
}  # fmt: skip


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


@pytest.mark.parametrize(("name", "dtype"), sorted(AI_TOPS))
def test_a_half_of_what_is_printed(name: str, dtype: str) -> None:
    """Rates with sparsity in print are twice the dense ones (Intel prints 233 dense TOP/s: twice that here)."""
    assert isclose(2 * catalog.load_hardware(name).dense_tflops[dtype], AI_TOPS[name, dtype], rel_tol=2e-3)


def test_blackwell_ultra() -> None:
    """A 72nd of GB300 NVL72's 1,080 PFLOP/s fp4 dense, an 8th of HGX B300's 108 (NVIDIA's product pages)."""
    assert catalog.load_hardware("gb300").dense_tflops["fp4"] == 1080e3 / 72
    assert catalog.load_hardware("b300").dense_tflops["fp4"] == 108e3 / 8


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
    assert sorted(row["name"] for row in rows) == NAMES
    assert [row["vendor"].lower() for row in rows] == sorted(row["vendor"].lower() for row in rows)
    shown = json.loads(here("catalog", "show", "h100-sxm", "--json").out)["result"]
    assert (shown["name"], shown["scale_up"]["gb_per_s"], shown["on_chip"]["units"]) == ("h100", 450, 132)
    assert "did you mean" in here("catalog", "show", "h10").err
    assert "132 SM" in here("catalog", "show", "h100").out


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("rtx4090", "rtx-4090"), ("3060", "rtx-3060"), ("RTX 4060 Ti 16GB", "rtx-4060-ti"), ("4080 super", "rtx-4080-super"),
        ("5080", "rtx-5080"), ("a6000", "rtx-a6000"), ("spark", "dgx-spark"), ("NVIDIA GB10", "dgx-spark"), ("b580", "arc-b580"),
        ("strix-halo", "ryzen-ai-max-395"), ("AMD Ryzen AI Max+ 395", "ryzen-ai-max-395"), ("7900xtx", "rx-7900-xtx"),
        ("Radeon RX 7900 XTX", "rx-7900-xtx"), ("Tesla T4", "t4"), ("v100-32gb", "v100"), ("NVIDIA A100 80GB PCIe", "a100-pcie"),
        ("NVIDIA A800-SXM4-80GB", "a800"), ("NVIDIA B300 SXM6 AC", "b300"), ("NVIDIA GB300", "gb300"), ("Apple M4 Pro", "m4-pro"),
        ("NVIDIA GH200 480GB", "gh200"), ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "rtx-pro-6000"), ("a100", "a100"),
        ("NVIDIA RTX PRO 6000 Blackwell Workstation Edition", "rtx-pro-6000-ws"), ("orin", "jetson-agx-orin"),
        ("NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition", "rtx-pro-6000-max-q"), ("NVIDIA H20", "h20"),
        ("NVIDIA GeForce RTX 3080", "rtx-3080"), ("NVIDIA H100 NVL", "h100-nvl"), ("inf2", "inferentia2"), ("a10", "a10"),
        ("AMD Radeon 8060S Graphics", "ryzen-ai-max-395"), ("Orin (nvgpu)", "jetson-agx-orin"),
    ],
)  # fmt: skip
def test_names_that_people_type(said: str, meant: str) -> None:
    """And what nvidia-smi and system_profiler print."""
    assert catalog.load_accelerators(said)[0].name == meant
    assert catalog.load_accelerators(f"2x{said}")[1] == 2


def test_no_two_are_called_alike() -> None:
    called = [name.lower() for name in (*NAMES, *catalog.hardware_aliases())]
    assert len(called) == len(set(called))
    bare = {name: catalog._bare(name) for name in NAMES}
    assert len(set(bare.values())) == len(NAMES)
