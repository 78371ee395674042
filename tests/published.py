"""Published runs: what was measured, where it is printed, and the layout it was measured with.

``calibrates`` marks the rows that the shipped factors were fitted to; the others only test. Those of papers (this file) were
dealt alternately within each source before anything was fitted; those of published_steps.csv by source and by model.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from llmcx.answers.plan import label
from llmcx.catalog.build import build
from llmcx.catalog.data import load_hardware
from llmcx.catalog.presets import load_preset
from llmcx.machine.hardware import Hardware
from llmcx.model.spec import ModelSpec
from llmcx.parallel.layout import Layout


@dataclass(frozen=True)
class Run:
    """One training run: ``step_s`` as printed, or as it follows from what is printed (``how``)."""

    name: str
    spec: ModelSpec
    hardware: str
    seq: int
    batch: int
    layout: Layout
    step_s: float
    source: str
    calibrates: bool = False
    dtype: str | None = None
    fused: bool = True
    how: str = ""
    stack: str = "megatron"
    remark: str = ""
    kind: str = ""
    out: float | None = None

    @property
    def accelerator(self) -> Hardware:
        """With ``out`` GB/s beyond the node, where it is not as the vendor sells it."""
        found = load_hardware(self.hardware)
        return (
            found
            if self.out is None or found.scale_out is None
            else replace(found, scale_out=replace(found.scale_out, gb_per_s=self.out))
        )


def gpt(layers: int, d: int, heads: int, vocab: int, seq: int, bias: bool = True, tied: bool = True) -> ModelSpec:
    """A GPT-3-like model."""
    mixer = {"type": "attention", "n_heads": heads, "bias": bias}
    ffn = {"type": "plain", "d_ff": 4 * d, "activation": "gelu", "bias": bias}
    shape = {"name": f"gpt-{layers}x{d}", "d_model": d, "context": seq, "embedding": {"vocab": vocab, "positions": seq}}
    shape |= {"decoder": [{"repeat": layers, "mixer": mixer, "ffn": ffn}]}
    return build(shape | {"norm": {"type": "layernorm", "bias": bias}, "head": {"tied": tied}})


# --- Narayanan et al. 2021, arXiv:2104.04473, Table 1 (micro-batches and interleaving: Megatron-LM,
# examples/sc21/run_table_1.sh) --- billions, heads, d_model, layers, tp, pp, GPUs, batch, micro-batch, chunks per stage, TFLOP/s
# per GPU
MEGATRON = [
    (1.7, 24, 2304, 24, 1, 1, 32, 512, 16, 1, 137),
    (3.6, 32, 3072, 30, 2, 1, 64, 512, 16, 1, 138),
    (7.5, 32, 4096, 36, 4, 1, 128, 512, 16, 1, 142),
    (18.4, 48, 6144, 40, 8, 1, 256, 1024, 8, 1, 135),
    (39.1, 64, 8192, 48, 8, 2, 512, 1536, 4, 1, 138),
    (76.1, 80, 10240, 60, 8, 4, 1024, 1792, 2, 3, 140),
    (145.6, 96, 12288, 80, 8, 8, 1536, 2304, 2, 2, 148),
    (310.1, 128, 16384, 96, 8, 16, 1920, 2160, 1, 2, 155),
    (529.6, 128, 20480, 105, 8, 35, 2520, 2520, 1, 3, 163),
    (1008.0, 160, 25600, 128, 8, 64, 3072, 3072, 1, 1, 163),
]


def megatron() -> list[Run]:
    """F = 96 B s l h² (1 + s/6h + V/16lh) FLOPs a step, recomputation included (their eq. 3); seconds = F / (GPUs · TFLOP/s)."""
    runs = []
    s, vocab, source = 2048, 51200, "Narayanan et al. 2021, arXiv:2104.04473, Table 1"
    for number, (size, heads, d, n, tp, pp, gpus, batch, mb, v, tflops) in enumerate(MEGATRON):
        spec, layout = gpt(n, d, heads, vocab, s), Layout(tp, pp, 1, 1, gpus // (tp * pp), mb, v, "full", 0, False)
        seconds = 96 * batch * s * n * d**2 * (1 + s / (6 * d) + vocab / (16 * n * d)) / (gpus * tflops * 1e12)
        name, how = f"Megatron {size}B", f"{tflops} TFLOP/s per GPU"
        runs.append(Run(name, spec, "a100", s, batch, layout, seconds, source, number % 2 == 0, fused=False, how=how))
    return runs


def korthikanti() -> list[Run]:
    """Iteration times of Korthikanti et al. 2022, arXiv:2205.05198, Table 5: full recomputation, and sequence parallelism with
    selective recomputation.
    """
    rows = [
        ("22B", 48, 6144, 64, 1, 1, 8, 4, 4, 1.42, 1.10),
        ("175B", 96, 12288, 96, 8, 3, 64, 64, 1, 18.13, 13.75),
        ("530B", 105, 20480, 128, 35, 3, 280, 280, 1, 49.05, 37.83),
        ("1T", 128, 25600, 160, 64, 1, 512, 512, 1, 94.42, 71.49),
    ]
    runs, source = [], "Korthikanti et al. 2022, arXiv:2205.05198, Table 5"
    for number, (name, n, d, heads, pp, v, gpus, batch, mb, full, selective) in enumerate(rows):
        for recompute, seconds, sequence in (("full", full, False), ("selective", selective, True)):
            spec, layout = gpt(n, d, heads, 51200, 2048), Layout(8, pp, 1, 1, gpus // (8 * pp), mb, v, recompute, 0, sequence)
            title, calibrates = f"{name}, {recompute} recomputation", (number + (recompute == "full")) % 2 == 0
            how = f"{seconds} s"
            runs.append(Run(title, spec, "a100", 2048, batch, layout, seconds, source, calibrates, fused=False, how=how))
    return runs


# MosaicML, llm-foundry, scripts/train/benchmarking/README.md: model, seq, GPUs, micro-batch, accumulation, recomputation,
# tokens/s/GPU, dtype. FSDP, full shard.
MPT = {"70b": (80, 8192, 64), "30b": (48, 7168, 56), "13b": (40, 5120, 40), "7b": (32, 4096, 32), "3b": (32, 2560, 20)}
MPT |= {"1b": (24, 2048, 16)}
MOSAIC = [
    ("70b", 2048, 64, 8, 4, "full", 1039, "bf16"),
    ("70b", 2048, 32, 2, 16, "full", 882, "bf16"),
    ("30b", 8192, 8, 1, 21, "full", 1384, "bf16"),
    ("30b", 2048, 32, 14, 3, "full", 2308, "bf16"),
    ("13b", 16384, 8, 3, 3, "full", 2985, "bf16"),
    ("13b", 2048, 64, 2, 1, "none", 4800, "bf16"),
    ("13b", 2048, 8, 2, 1, "none", 4792, "bf16"),
    ("7b", 32768, 8, 2, 2, "full", 3318, "bf16"),
    ("7b", 8192, 8, 8, 2, "full", 6935, "bf16"),
    ("7b", 2048, 8, 6, 1, "none", 10643, "bf16"),
    ("3b", 8192, 8, 3, 6, "none", 16578, "bf16"),
    ("3b", 2048, 64, 6, 3, "none", 22525, "bf16"),
    ("1b", 8192, 8, 3, 4, "none", 29157, "bf16"),
    ("1b", 2048, 8, 14, 1, "none", 45455, "bf16"),
    ("3b", 8192, 8, 3, 6, "none", 19146, "fp8"),
    ("3b", 2048, 8, 10, 6, "none", 30586, "fp8"),
]


def mosaic() -> list[Run]:
    runs, source = [], "MosaicML llm-foundry, scripts/train/benchmarking/README.md"
    for number, (name, seq, gpus, mb, accumulate, recompute, rate, dtype) in enumerate(MOSAIC):
        spec, batch = gpt(*MPT[name], 50368, seq, bias=False), gpus * mb * accumulate
        layout = Layout(dp=gpus, micro_batch=mb, recompute=recompute, zero=3)
        title, how = f"MPT {name}, {seq:,} tokens, {gpus} GPUs, {dtype}", f"{rate:,} tokens/s per GPU"
        more = {"dtype": dtype, "how": how, "stack": "fsdp"}
        runs.append(Run(title, spec, "h100", seq, batch, layout, batch * seq / (rate * gpus), source, number % 2 == 0, **more))
    return runs


def bridge() -> list[Run]:
    """NVIDIA Megatron-Bridge, docs/performance-summary.md, container 25.11, DGX-H100, FP8 with current scaling."""
    rows = [
        ("llama-3-8b", 8, 128, Layout(dp=8, zero=3), 14451),
        ("llama-3-70b", 64, 128, Layout(4, 8, 1, 1, 2, 1, 5), 1602),
        ("llama-3.1-405b", 1024, 512, Layout(8, 8, 2, 1, 8, 1, 8), 292),
    ]
    runs, source = [], "NVIDIA Megatron-Bridge, docs/performance-summary.md, 25.11"
    for number, (name, gpus, batch, layout, rate) in enumerate(rows):
        spec, seconds = load_preset(name), batch * 8192 / (rate * gpus)
        title, more = f"{name}, {gpus} GPUs, fp8", {"dtype": "fp8", "how": f"{rate:,} tokens/s per GPU"}
        runs.append(Run(title, spec, "h100", 8192, batch, layout, seconds, source, number % 2 == 0, **more))
    return runs


def llama_3() -> list[Run]:
    """Llama Team 2024, arXiv:2407.21783, Table 4: TFLOP/s per GPU. Their FLOPs are taken as 6 N per token and the causal half of
    the scores; the table does not say. One layer per chunk of the pipeline, since their first chunk is the embedding alone (sec.
    3.3.2).
    """
    spec = load_preset("llama-3.1-405b")
    n, d, size = 126, 16384, 405.9e9
    rows = [
        (8192, 2048, Layout(8, 16, 1, 1, 64, 1, 8, "elementwise", 1), 430),
        (8192, 2048, Layout(8, 16, 1, 1, 128, 1, 8, "elementwise", 1), 400),
        (131072, 128, Layout(8, 16, 16, 1, 8, 1, 8, "elementwise", 1), 380),
    ]
    runs, source = [], "Llama Team 2024, arXiv:2407.21783, Table 4"
    for number, (seq, batch, layout, tflops) in enumerate(rows):
        seconds = batch * seq * (6 * size + 6 * n * seq * d) / (layout.gpus * tflops * 1e12)
        title, how = f"Llama 3.1 405B, {layout.gpus:,} GPUs, {seq:,} tokens", f"{tflops} TFLOP/s per GPU"
        runs.append(Run(title, spec, "h100", seq, batch, layout, seconds, source, number == 1, how=how))
    return runs


def palm() -> list[Run]:
    """Chowdhery et al. 2022, arXiv:2204.02311, sec. 4: 6,144 TPU v4, 12-way model and 256-way data parallel in each of two pods,
    rematerialisation (57.8% HFU to 46.2% MFU, nearer to full recomputation than to none), 238.3 k tokens/s at batch 2048.
    """
    mixer = {"type": "attention", "n_heads": 48, "n_kv_heads": 1, "head_dim": 256, "rope": True}
    ffn = {"type": "gated", "d_ff": 73728, "activation": "silu"}
    shape = {"name": "palm-540b", "d_model": 18432, "context": 2048, "embedding": {"vocab": 256000}, "head": {"tied": True}}
    shape |= {"decoder": [{"repeat": 118, "norms": ["shared"], "mixer": mixer, "ffn": ffn}]}
    spec = build(shape | {"norm": {"type": "layernorm", "bias": False}})
    layout = Layout(tp=12, dp=512, micro_batch=1, recompute="full", zero=3)
    source, how = "Chowdhery et al. 2022, arXiv:2204.02311, sec. 4.1", "238.3 k tokens/s, 46.2% MFU"
    return [Run("PaLM 540B", spec, "tpu-v4", 2048, 2048, layout, 2048 * 2048 / 238.3e3, source, how=how)]


def deepseek_v3() -> ModelSpec:
    """As it was trained, at 4,096 tokens."""
    return replace(load_preset("deepseek-v3"), context=4096)


def deepseek() -> list[Run]:
    """DeepSeek-AI 2024, arXiv:2412.19437, sec. 3.1, 4.2 and Table 1: 2,048 H800, PP 16, EP 64, ZeRO-1, batch 15,360 of 4,096
    tokens, 2.664 M GPU-hours for 14.8 T tokens, fp8. DualPipe is taken as two chunks per stage; hours are wall clock.
    """
    seconds = 2.664e6 * 3600 / 2048 / (14.8e12 / (15360 * 4096))
    layout = Layout(pp=16, ep=64, dp=128, micro_batch=1, virtual=2, recompute="elementwise", zero=1)
    source = "DeepSeek-AI 2024, arXiv:2412.19437, Table 1"
    how = "2.664 M GPU-hours"
    remark = (
        "many small fp8 matmuls (experts of width 2,048, scales per 128 columns, sums promoted to fp32) and the multi-token"
        " prediction module are not in the estimate; DeepSeek keeps activations in fp8, which the memory here does not"
    )
    return [Run("DeepSeek-V3", deepseek_v3(), "h800", 4096, 15360, layout, seconds, source, dtype="fp8", how=how, remark=remark)]


@dataclass(frozen=True)
class Hours:
    """GPU-hours of a whole run whose layout was not printed: the best one found stands in for it."""

    name: str
    preset: str
    hardware: str
    gpus: int
    tokens: float
    seq: int
    batch: int
    hours: float
    source: str
    remark: str = ""


LLAMA, LLAMA_2 = "Touvron et al. 2023, arXiv:2302.13971, Table 15", "Touvron et al. 2023, arXiv:2307.09288, Table 2"
HOURS = [
    Hours("Llama 2 7B", "llama-2-7b", "a100", 512, 2e12, 4096, 1024, 184_320, LLAMA_2),
    Hours("Llama 2 13B", "llama-2-13b", "a100", 512, 2e12, 4096, 1024, 368_640, LLAMA_2),
    Hours("Llama 2 70B", "llama-2-70b", "a100", 1024, 2e12, 4096, 1024, 1_720_320, LLAMA_2),
    Hours("Llama 3.1 405B", "llama-3.1-405b", "h100", 16384, 15.6e12, 8192, 2048, 30_840_000, "Llama 3.1 model card"),
    Hours("LLaMA 7B", "llama-7b", "a100", 512, 1e12, 2048, 2048, 82_432, LLAMA),
    Hours("LLaMA 13B", "llama-13b", "a100", 512, 1e12, 2048, 2048, 135_168, LLAMA),
    Hours("LLaMA 33B", "llama-33b", "a100", 2048, 1.4e12, 2048, 2048, 530_432, LLAMA),
    Hours("LLaMA 65B", "llama-65b", "a100", 2048, 1.4e12, 2048, 2048, 1_022_362, LLAMA),
]


LEFT_OUT = ("MoE, Blackwell", "MoE, Hopper")
"""Kinds whose rows all calibrate, and of which each model is estimated with numbers that were fitted without it."""

WITHOUT = {
    "deepseek-v3": (0.378, 2050),
    "gpt-oss-120b": (0.485, 2370),
    "nemotron-3-nano-30b": (0.438, 2210),
    "qwen3-235b-a22b": (0.432, 2180),
    "qwen3-30b-a3b": (0.425, 2280),
}
"""Megatron's ``experts`` and, on Hopper, ``routed_us``, as tests/oracle/training.py fits them to all rows but a model's own."""

SHAPES = {
    "gpt3-5b": (24, 4096, 32, 51200, 2048),
    "gpt3-20b": (44, 6144, 48, 51200, 2048),
    "mt-nlg-530b": (105, 20480, 128, 51200, 2048),
    "nemotron-8b": (32, 4096, 32, 256000, 4096, False, False),
    "nemotron-22b": (40, 6144, 48, 256000, 4096, False, False),
}
"""GPT-like models that have no preset, for :func:`gpt`."""

OMNI_PATH = 6.25
"""GB/s of a GPU: Jean Zay's nodes have four links of 100 Gb/s for eight A100 (tr11-176B-ml/README.md)."""

MAXTEXT = {
    "maxtext-16b": (4096, 64, 28672, 32),
    "maxtext-32b": (8192, 64, 28672, 32),
    "maxtext-64b": (8192, 64, 28672, 64),
    "maxtext-128b": (8192, 128, 57344, 64),
    "maxtext-256b": (16384, 128, 57344, 64),
    "maxtext-512b": (16384, 128, 57344, 128),
}
"""Models of MaxText's own (base.yml and pyconfig.get_individual_scales, March 2024): d_model, heads of 128, d_ff, layers. Seconds
follow from the TFLOP/s that it prints, in which attention is counted whole (maxtext_utils.py): ``elementwise`` recomputation is
its "minimal".
"""


def maxtext(d: int, heads: int, d_ff: int, layers: int) -> ModelSpec:
    """One of :data:`MAXTEXT`."""
    mixer = {"type": "attention", "n_heads": heads, "head_dim": 128, "rope": True}
    shape = {"name": f"maxtext-{layers}x{d}", "d_model": d, "context": 2048, "embedding": {"vocab": 32000}}
    shape |= {"decoder": [{"repeat": layers, "mixer": mixer, "ffn": {"type": "gated", "d_ff": d_ff}}]}
    return build(shape | {"norm": {"type": "rmsnorm"}, "head": {"tied": False}})


def _spec(model: str) -> ModelSpec:
    if model.startswith("bigscience"):  # layers x d_model - heads
        layers, d, heads = map(int, model.removeprefix("bigscience-").replace("x", "-").split("-"))
        return gpt(layers, d, heads, 250880, 2048)
    if model in SHAPES:
        return gpt(*SHAPES[model])
    return maxtext(*MAXTEXT[model]) if model in MAXTEXT else load_preset(model)


@lru_cache(maxsize=1)
def steps() -> list[Run]:
    """Steps of published_steps.csv: seconds as printed, or as they follow from the tokens/s per GPU that are."""
    runs = []
    with (Path(__file__).parent / "published_steps.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            n = {key: int(row[key]) for key in ("gpus", "batch", "seq", "micro_batch", "tp", "pp", "cp", "ep", "virtual", "zero")}
            degrees = {key: n[key] for key in ("tp", "pp", "cp", "ep", "micro_batch", "virtual", "zero")}
            dp = n["gpus"] // (n["tp"] * n["pp"] * n["cp"])
            layout = Layout(**degrees, dp=dp, recompute=row["recompute"])  # type: ignore[arg-type]
            spec, hardware = _spec(row["model"]), row["hardware"].removesuffix("-omnipath")
            if row["engine"] == "megatron-deepspeed":
                layout = layout._replace(sequence=False)
            title = f"{row['model']}, {n['gpus']} x {row['hardware']}, {row['dtype']}, {label(layout)}"
            run = Run(title, spec, hardware, n["seq"], n["batch"], layout, float(row["seconds"]), row["source"])
            dtype = None if row["dtype"] == "bf16" else row["dtype"]
            facts = {"dtype": dtype, "fused": row["engine"] != "megatron-deepspeed", "stack": row["engine"], "kind": row["kind"]}
            facts["out"] = OMNI_PATH if hardware != row["hardware"] else None
            runs.append(replace(run, calibrates=row["calibrates"] == "yes", **facts))
    return runs


def training() -> list[Run]:
    """Those of papers."""
    return [*megatron(), *korthikanti(), *mosaic(), *bridge(), *llama_3(), *palm(), *deepseek()]


# --- serving --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Served:
    """Output tokens/s of all GPUs together, requests never lacking."""

    name: str
    spec: ModelSpec
    hardware: str
    tp: int
    prompt: int
    output: int
    tokens_per_s: float
    calibrates: bool
    source: str = "NVIDIA TensorRT-LLM, docs/source/performance/perf-overview.md, v1.0"


# Prompt, output, tokens/s: fp8 weights and cache. TensorRT-LLM's perf-overview, v1.0.
_LENGTHS = [(128, 128), (128, 2048), (128, 4096), (500, 2000), (1000, 1000), (1000, 2000), (2048, 128), (2048, 2048)]
_LENGTHS += [(5000, 500), (20000, 2000)]
_TRT = {
    ("llama-3.1-8b", "h100", 1): (28312, 22714, 14325, 17660, 15220, 13899, 3450, 9305, 3459, 1351),
    ("llama-3.1-8b", "h200", 1): (27911, 26221, 18027, 20770, 17744, 16828, 3538, 12194, 3902, 1804),
    ("llama-3.1-70b", "h100", 2): (6378, 6651, 4199, 5222, 4205, 4146, 762, 3082, 898, 437),
    ("llama-3.1-70b", "h200", 1): (3803, 4336, 2872, 3666, 2909, 2994, 442, 2003, 566, 283),
    ("llama-3.1-405b", "h100", 8): (3627, 4340, 3116, 3994, 2919, 2895, 453, 2296, 610, 345),
    ("llama-3.1-405b", "h200", 8): (3814, 5348, 4741, 4724, 3330, 3722, 456, 2948, 650, 505),
}


def serving() -> list[Served]:
    """Llama 3.3 70B has Llama 3.1 70B's shape."""
    rows = []
    for (model, hardware, tp), rates in _TRT.items():
        for (prompt, output), rate in zip(_LENGTHS, rates, strict=True):
            name = f"{model}, {tp} x {hardware}, {prompt:,} in, {output:,} out"
            rows.append(Served(name, load_preset(model), hardware, tp, prompt, output, rate, len(rows) % 2 == 0))
    return rows


# Time per output token of one user, and time to first token, ms. NVIDIA NIM LLM benchmarking 1.0.0, performance: Llama 3.3 70B,
# NIM 1.8.0, 2 x H100, fp8, TP 2.
LATENCY = [(5000, 500, 406.77, 18.58), (500, 2000, 47.77, 18.91)]


# --- one user -------------------------------------------------------------------------------------------------------

FILES = {"llama.cpp": "llama_cpp", "mlx": "mlx", "exllamav2": "exllamav2", "transformers": "transformers"}


@dataclass(frozen=True)
class Alone:
    """Tokens/s of one user: "prompt" tokens, "output" tokens after them, or output tokens over "all" of the time. ``aside``:
    neither calibrates nor tests, because its build is older than those that calibrate its chip, or its figure is suspect.
    """

    name: str
    engine: str
    kind: str
    model: str
    hardware: str
    gpus: int
    weight_bits: float
    prompt: int
    output: int
    of: str
    rate: float
    calibrates: bool
    source: str
    aside: bool = False


@lru_cache(maxsize=2)
def local(file_name: str = "published_local.csv") -> list[Alone]:
    """published_local.csv: split by source and by model; or published_chips.csv, of chips on which nothing calibrates."""
    rows = []
    with (Path(__file__).parent / file_name).open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            n = {key: int(row[key]) for key in ("gpus", "prompt", "output")}
            name = f"{row['model']}, {n['gpus']} x {row['hardware']}, {row['weight_bits']} bits, {n['prompt']:,} in"
            bits, rate = float(row["weight_bits"]), float(row["tokens_per_s"])
            texts = {key: row[key] for key in ("engine", "kind", "model", "hardware", "of", "source")}
            how = {"calibrates": row["calibrates"] == "yes", "aside": row["calibrates"] == "aside"}
            rows.append(Alone(name, weight_bits=bits, rate=rate, **how, **texts, **n))
    return rows
